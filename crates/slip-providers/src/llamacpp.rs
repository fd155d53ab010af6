//! llama.cpp: `llama-server` on the operator's own machine, OpenAI-shaped. Its stream may carry usage twice. Docs:
//! <https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md>, as of 2026-06.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("llamacpp"),
    title: s("llama.cpp"),
    base: s("http://127.0.0.1:8080/v1"),
    auth: Auth::None,
    quirks: Quirks::OPENAI_CHAT,
    also: list![TEXT],
    local: Some(Local { port: 8080, probe: s("/v1/models"), host_env: None }),
    cancel_stops_billing: true,
    policy: Policy::ZERO,
    docs: s("https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md"),
    serves: list![
        serves(Op::Embeddings, Shape::OpenAi),
        serves(Op::Rerank, Shape::Jina),
        serves(Op::Transcription, Shape::OpenAi),
    ],
    ..Provider::BLANK
};
