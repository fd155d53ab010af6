//! Fireworks: open models, OpenAI-shaped. Model ids are paths (`accounts/fireworks/models/…`); reasoning comes and goes back as
//! `reasoning_content`. Docs: <https://docs.fireworks.ai/api-reference/post-chatcompletions>, as of 2026-06.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("fireworks"),
    aliases: names!["fireworks-ai"],
    title: s("Fireworks"),
    base: s("https://api.fireworks.ai/inference/v1"),
    key_env: names!["FIREWORKS_API_KEY"],
    quirks: Quirks { replay: Replay::ReasoningContent, ..Quirks::OPENAI_CHAT },
    also: list![TEXT],
    cancel_stops_billing: true,
    policy: Policy::ZERO,
    links: links(
        "https://fireworks.ai/privacy-policy",
        "https://fireworks.ai/terms-of-service",
        Some("https://status.fireworks.ai"),
    ),
    headquarters: Some(s("US")),
    docs: s("https://docs.fireworks.ai/api-reference/post-chatcompletions"),
    serves: list![serves(Op::Embeddings, Shape::OpenAi), serves(Op::Rerank, Shape::Jina)],
    ..Provider::BLANK
};
