//! SiliconFlow: open models, OpenAI-shaped, thinking switched by `enable_thinking` and bounded by `thinking_budget`. Docs:
//! <https://docs.siliconflow.com/en/api-reference/chat-completions/chat-completions>, as of 2026-06.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("siliconflow"),
    title: s("SiliconFlow"),
    base: s("https://api.siliconflow.com/v1"),
    key_env: names!["SILICONFLOW_API_KEY"],
    quirks: Quirks { reasoning: ReasoningStyle::EnableThinking, ..Quirks::OPENAI_CHAT },
    headquarters: Some(s("SG")),
    docs: s("https://docs.siliconflow.com/en/api-reference/chat-completions/chat-completions"),
    serves: list![
        serves(Op::Embeddings, Shape::OpenAi),
        serves(Op::Rerank, Shape::Jina),
        serves(Op::Speech, Shape::OpenAi),
        serves(Op::Transcription, Shape::OpenAi),
    ],
    ..Provider::BLANK
};
