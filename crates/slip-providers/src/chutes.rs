//! Chutes: open models on a decentralised network, OpenAI-shaped; who computes is not known beforehand. Docs:
//! <https://chutes.ai/docs>, as of 2026-06.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("chutes"),
    title: s("Chutes"),
    base: s("https://llm.chutes.ai/v1"),
    key_env: names!["CHUTES_API_KEY"],
    quirks: Quirks::OPENAI_CHAT,
    docs: s("https://chutes.ai/docs"),
    ..Provider::BLANK
};
