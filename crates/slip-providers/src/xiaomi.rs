//! Xiaomi: the MiMo models, OpenAI-shaped. Thinking turns are replayed with their `reasoning_content`. Docs:
//! <https://platform.xiaomimimo.com>, as of 2026-06.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("xiaomi"),
    title: s("Xiaomi"),
    base: s("https://api.xiaomimimo.com/v1"),
    key_env: names!["XIAOMI_API_KEY"],
    quirks: Quirks {
        max_tokens: MaxTokens::Completion,
        reasoning: ReasoningStyle::Thinking,
        replay: Replay::ReasoningContent,
        structured: Structured::JsonObject,
        ..Quirks::OPENAI_CHAT
    },
    headquarters: Some(s("CN")),
    docs: s("https://platform.xiaomimimo.com"),
    ..Provider::BLANK
};
