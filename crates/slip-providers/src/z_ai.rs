//! Z.AI (Zhipu): the GLM models, OpenAI-shaped. Tools cannot be forced, usage comes unasked, and thinking turns are replayed
//! with their `reasoning_content`. Docs: <https://docs.z.ai/api-reference/llm/chat-completion>, as of 2026-06.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("z-ai"),
    aliases: names!["zhipu", "zhipuai", "zai"],
    title: s("Z.AI"),
    base: s("https://api.z.ai/api/paas/v4"),
    key_env: names!["ZAI_API_KEY", "ZHIPU_API_KEY"],
    quirks: Quirks {
        stream_options: false,
        reasoning: ReasoningStyle::Thinking,
        replay: Replay::ReasoningContent,
        structured: Structured::JsonObject,
        tool_choice_required: s("auto"),
        refuses: names!["n", "logprobs", "top_logprobs", "logit_bias", "presence_penalty", "frequency_penalty"],
        ..Quirks::OPENAI_CHAT
    },
    links: links(
        "https://docs.z.ai/legal-agreement/privacy-policy",
        "https://docs.z.ai/legal-agreement/terms-of-use",
        None,
    ),
    headquarters: Some(s("CN")),
    docs: s("https://docs.z.ai/api-reference/llm/chat-completion"),
    ..Provider::BLANK
};
