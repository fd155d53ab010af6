//! llama.cpp: `llama-server` on the operator's own machine, OpenAI-shaped. Its stream may carry usage twice. It goes on with
//! an assistant's turn at the end unless told `--no-prefill-assistant`; a model that thinks refuses that. Docs:
//! <https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md>, as of 2026-06.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("llamacpp"),
    title: s("llama.cpp"),
    base: s("http://127.0.0.1:8080/v1"),
    auth: Auth::None,
    quirks: Quirks { prefill: Prefill::Turn, ..Quirks::OPENAI_CHAT },
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
