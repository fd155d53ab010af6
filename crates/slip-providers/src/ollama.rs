//! Ollama: models on the operator's own machine, through its OpenAI-shaped door.
//! Docs: <https://github.com/ollama/ollama/blob/main/docs/openai.md>, as of 2026-11.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("ollama"),
    title: s("Ollama"),
    base: s("http://127.0.0.1:11434/v1"),
    auth: Auth::None,
    quirks: Quirks { replay: Replay::Reasoning, image_urls: false, ..Quirks::OPENAI_CHAT },
    local: Some(Local { port: 11434, probe: s("/api/tags"), host_env: Some(s("OLLAMA_HOST")) }),
    policy: Policy::ZERO,
    cancel_stops_billing: true,
    docs: s("https://github.com/ollama/ollama/blob/main/docs/openai.md"),
    serves: list![serves_at(Op::Embeddings, Shape::Ollama, "../api/embed")],
    ..Provider::BLANK
};
