//! Baseten Model APIs: open models, OpenAI-shaped. Docs: <https://docs.baseten.co/reference/inference-api/chat-completions>, as
//! of 2026-06.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("baseten"),
    title: s("BaseTen"),
    base: s("https://inference.baseten.co/v1"),
    key_env: names!["BASETEN_API_KEY"],
    quirks: Quirks::OPENAI_CHAT,
    policy: Policy { trains: Some(false), retains: Some(false), zdr: false },
    links: links(
        "https://www.baseten.co/privacy-policy",
        "https://www.baseten.co/terms-and-conditions",
        Some("https://status.baseten.co"),
    ),
    headquarters: Some(s("US")),
    docs: s("https://docs.baseten.co/reference/inference-api/chat-completions"),
    ..Provider::BLANK
};
