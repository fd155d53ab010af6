//! Hugging Face Inference Providers: a router over many hosts, OpenAI-shaped; `model:host` picks the host, whose terms then
//! apply. Docs: <https://huggingface.co/docs/inference-providers/en/tasks/chat-completion>, as of 2026-06.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("huggingface"),
    title: s("HuggingFace"),
    base: s("https://router.huggingface.co/v1"),
    key_env: names!["HF_TOKEN"],
    quirks: Quirks::OPENAI_CHAT,
    faults: list![(402, FaultKind::UpstreamQuota, Remedy::Elsewhere)],
    links: links(
        "https://huggingface.co/privacy",
        "https://huggingface.co/terms-of-service",
        Some("https://status.huggingface.co"),
    ),
    headquarters: Some(s("US")),
    docs: s("https://huggingface.co/docs/inference-providers/en/tasks/chat-completion"),
    ..Provider::BLANK
};
