//! Venice: open models without retention, and others' models through it, OpenAI-shaped. Docs:
//! <https://docs.venice.ai/api-reference/endpoint/chat/completions>, as of 2026-06.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("venice"),
    title: s("Venice"),
    base: s("https://api.venice.ai/api/v1"),
    key_env: names!["VENICE_API_KEY"],
    quirks: Quirks { max_tokens: MaxTokens::Completion, ..Quirks::OPENAI_CHAT },
    faults: list![(402, FaultKind::UpstreamQuota, Remedy::Elsewhere)],
    // Its own models are not kept; what it passes on is only made anonymous, so the whole cannot promise zero.
    policy: Policy { trains: Some(false), retains: Some(false), zdr: false },
    links: links("https://venice.ai/legal/privacy-policy", "https://venice.ai/legal/tos", None),
    headquarters: Some(s("US")),
    docs: s("https://docs.venice.ai/api-reference/endpoint/chat/completions"),
    serves: list![
        serves(Op::Embeddings, Shape::OpenAi),
        serves(Op::Image, Shape::OpenAiLinks),
        serves(Op::Speech, Shape::OpenAi),
        serves(Op::Transcription, Shape::OpenAi),
    ],
    ..Provider::BLANK
};
