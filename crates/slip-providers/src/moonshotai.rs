//! Moonshot AI: the Kimi models, OpenAI-shaped. Thinking turns are replayed with their `reasoning_content`; images must be sent
//! inline; a tool cannot be forced while thinking. Docs: <https://platform.kimi.ai/docs/api/chat>, as of 2026-06.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("moonshotai"),
    aliases: names!["moonshot"],
    title: s("Moonshot AI"),
    base: s("https://api.moonshot.ai/v1"),
    key_env: names!["MOONSHOT_API_KEY"],
    quirks: Quirks {
        max_tokens: MaxTokens::Completion,
        reasoning: ReasoningStyle::Thinking,
        replay: Replay::ReasoningContent,
        tool_choice_required: s("auto"),
        image_urls: false,
        ..Quirks::OPENAI_CHAT
    },
    links: links(
        "https://platform.moonshot.ai/docs/agreement/userprivacy",
        "https://platform.moonshot.ai/docs/agreement/modeluse",
        None,
    ),
    headquarters: Some(s("CN")),
    docs: s("https://platform.kimi.ai/docs/api/chat"),
    ..Provider::BLANK
};
