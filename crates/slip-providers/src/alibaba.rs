//! Alibaba Cloud Model Studio (DashScope): the Qwen models from its international region, OpenAI-shaped. Thinking is switched
//! by `enable_thinking` and bounded by `thinking_budget`. Docs:
//! <https://www.alibabacloud.com/help/en/model-studio/use-qwen-by-calling-api>, as of 2026-06.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("alibaba"),
    aliases: names!["dashscope"],
    title: s("Alibaba"),
    base: s("https://dashscope-intl.aliyuncs.com/compatible-mode/v1"),
    key_env: names!["DASHSCOPE_API_KEY"],
    quirks: Quirks {
        reasoning: ReasoningStyle::EnableThinking,
        structured: Structured::JsonObject,
        tool_choice_required: s("auto"),
        refuses: names!["logit_bias"],
        ..Quirks::OPENAI_CHAT
    },
    headquarters: Some(s("SG")),
    datacenters: names!["SG"],
    docs: s("https://www.alibabacloud.com/help/en/model-studio/use-qwen-by-calling-api"),
    serves: list![serves(Op::Embeddings, Shape::OpenAi)],
    ..Provider::BLANK
};
