//! LM Studio: models on the operator's own machine, OpenAI-shaped. It knows `json_schema` but not `json_object`. Docs:
//! <https://lmstudio.ai/docs/developer/openai-compat>, as of 2026-06.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("lmstudio"),
    title: s("LM Studio"),
    base: s("http://127.0.0.1:1234/v1"),
    auth: Auth::None,
    quirks: Quirks { image_urls: false, ..Quirks::OPENAI_CHAT },
    also: list![responses(Quirks { replay: Replay::Reasoning, image_urls: false, ..Quirks::RESPONSES }), TEXT],
    local: Some(Local { port: 1234, probe: s("/v1/models"), host_env: None }),
    cancel_stops_billing: true,
    policy: Policy::ZERO,
    docs: s("https://lmstudio.ai/docs/developer/openai-compat"),
    serves: list![serves(Op::Embeddings, Shape::OpenAi)],
    ..Provider::BLANK
};
