//! Ollama: models on the operator's own machine. Its own API carries what the OpenAI-like one does not (levels of thinking, the
//! context's size, how long a model stays loaded); who asks in OpenAI's words is passed on in them all the same.
//! Docs: <https://github.com/ollama/ollama/blob/main/docs/api.md>, as of 2026-11.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("ollama"),
    title: s("Ollama"),
    dialect: Dialect::Ollama,
    base: s("http://127.0.0.1:11434"),
    auth: Auth::None,
    quirks: Quirks { image_urls: false, ..Quirks::OPENAI_CHAT },
    also: list![
        Also {
            dialect: Dialect::OpenAiChat,
            path: Some(s("/v1/chat/completions")),
            quirks: Quirks { replay: Replay::Reasoning, image_urls: false, ..Quirks::OPENAI_CHAT },
        },
        Also { path: Some(s("/v1/completions")), ..TEXT },
        Also { dialect: Dialect::OllamaGenerate, path: None, quirks: Quirks::OPENAI_CHAT },
    ],
    local: Some(Local { port: 11434, probe: s("/api/tags"), host_env: Some(s("OLLAMA_HOST")) }),
    policy: Policy::ZERO,
    cancel_stops_billing: true,
    docs: s("https://github.com/ollama/ollama/blob/main/docs/api.md"),
    models_path: Some(s("/v1/models")),
    serves: list![serves(Op::Embeddings, Shape::Ollama)],
    ..Provider::BLANK
};
