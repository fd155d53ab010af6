//! Together: open models on its own clusters, OpenAI-shaped. Docs: <https://docs.together.ai/reference/chat-completions>, as of
//! 2026-06.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("together"),
    aliases: names!["togetherai"],
    title: s("Together"),
    base: s("https://api.together.xyz/v1"),
    key_env: names!["TOGETHER_API_KEY"],
    quirks: Quirks::OPENAI_CHAT,
    also: list![TEXT],
    faults: list![(402, FaultKind::UpstreamQuota, Remedy::Elsewhere), (529, FaultKind::Overloaded, Remedy::Elsewhere)],
    cancel_stops_billing: true,
    policy: Policy { trains: Some(false), retains: None, zdr: false },
    links: links(
        "https://www.together.ai/privacy",
        "https://www.together.ai/terms-of-service",
        Some("https://status.together.ai"),
    ),
    headquarters: Some(s("US")),
    docs: s("https://docs.together.ai/reference/chat-completions"),
    serves: list![
        serves(Op::Embeddings, Shape::OpenAi),
        serves(Op::Rerank, Shape::Jina),
        serves(Op::Speech, Shape::OpenAi),
        serves(Op::Transcription, Shape::OpenAi),
        serves(Op::Translation, Shape::OpenAi),
    ],
    ..Provider::BLANK
};
