//! SGLang: the operator's own server, OpenAI-shaped. `continue_final_message` makes it go on with the last
//! turn. Docs: <https://docs.sglang.ai/basic_usage/openai_api_completions.html>, as of 2026-06.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("sglang"),
    title: s("SGLang"),
    base: s("http://127.0.0.1:30000/v1"),
    auth: Auth::None,
    quirks: Quirks { prefill: Prefill::Final, ..Quirks::OPENAI_CHAT },
    also: list![TEXT],
    local: Some(Local { port: 30000, probe: s("/v1/models"), host_env: None }),
    cancel_stops_billing: true,
    policy: Policy::ZERO,
    docs: s("https://docs.sglang.ai/basic_usage/openai_api_completions.html"),
    serves: list![serves(Op::Embeddings, Shape::OpenAi), serves(Op::Rerank, Shape::Jina)],
    ..Provider::BLANK
};
