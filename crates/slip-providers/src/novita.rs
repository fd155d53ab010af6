//! Novita: open models, OpenAI-shaped, thinking switched by `enable_thinking`. Docs:
//! <https://novita.ai/docs/api-reference/model-apis-llm-create-chat-completion>, as of 2026-06.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("novita"),
    title: s("Novita"),
    base: s("https://api.novita.ai/openai/v1"),
    key_env: names!["NOVITA_API_KEY"],
    quirks: Quirks { reasoning: ReasoningStyle::EnableThinking, ..Quirks::OPENAI_CHAT },
    cancel_stops_billing: true,
    links: links("https://novita.ai/legal/privacy-policy", "https://novita.ai/legal/terms-of-service", None),
    headquarters: Some(s("US")),
    docs: s("https://novita.ai/docs/api-reference/model-apis-llm-create-chat-completion"),
    serves: list![serves(Op::Embeddings, Shape::OpenAi), serves(Op::Rerank, Shape::Jina)],
    ..Provider::BLANK
};
