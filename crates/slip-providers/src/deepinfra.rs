//! DeepInfra: open models at low prices, often quantised, OpenAI-shaped. Docs:
//! <https://docs.deepinfra.com/api-reference/chat-completions/openai-chat-completions>, as of 2026-06.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("deepinfra"),
    title: s("DeepInfra"),
    base: s("https://api.deepinfra.com/v1/openai"),
    key_env: names!["DEEPINFRA_API_KEY"],
    quirks: Quirks::OPENAI_CHAT,
    also: list![TEXT],
    faults: list![(402, FaultKind::UpstreamQuota, Remedy::Elsewhere)],
    cancel_stops_billing: true,
    policy: Policy::ZERO,
    links: links("https://deepinfra.com/privacy", "https://deepinfra.com/terms", Some("https://status.deepinfra.com")),
    headquarters: Some(s("US")),
    datacenters: names!["US"],
    docs: s("https://docs.deepinfra.com/api-reference/chat-completions/openai-chat-completions"),
    serves: list![
        serves(Op::Embeddings, Shape::OpenAi),
        serves(Op::Image, Shape::OpenAiLinks),
        serves(Op::Speech, Shape::OpenAi),
        serves(Op::Transcription, Shape::OpenAi),
        serves(Op::Translation, Shape::OpenAi),
    ],
    ..Provider::BLANK
};
