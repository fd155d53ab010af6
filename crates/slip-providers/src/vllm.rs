//! vLLM: the operator's own server, OpenAI-shaped. `continue_final_message` makes it go on with the last turn.
//! Docs: <https://docs.vllm.ai/en/latest/serving/openai_compatible_server>, as of 2026-06.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("vllm"),
    title: s("vLLM"),
    base: s("http://127.0.0.1:8000/v1"),
    auth: Auth::None,
    quirks: Quirks { prefill: Prefill::Final, ..Quirks::OPENAI_CHAT },
    also: list![responses(Quirks { replay: Replay::Reasoning, ..Quirks::RESPONSES }), TEXT],
    local: Some(Local { port: 8000, probe: s("/v1/models"), host_env: None }),
    cancel_stops_billing: true,
    policy: Policy::ZERO,
    docs: s("https://docs.vllm.ai/en/latest/serving/openai_compatible_server"),
    serves: list![
        serves(Op::Embeddings, Shape::OpenAi),
        serves(Op::Rerank, Shape::Jina),
        serves(Op::Transcription, Shape::OpenAi),
        serves(Op::Translation, Shape::OpenAi),
    ],
    ..Provider::BLANK
};
