//! Cohere: the Command models through its OpenAI-shaped door. Thinking can only be switched on or off there, so it is left to
//! the model. Docs: <https://docs.cohere.com/docs/compatibility-api>, as of 2026-11.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("cohere"),
    title: s("Cohere"),
    base: s("https://api.cohere.ai/compatibility/v1"),
    key_env: names!["COHERE_API_KEY", "CO_API_KEY"],
    quirks: Quirks {
        reasoning: ReasoningStyle::Unsaid,
        developer_role: true,
        refuses: names![
            "n",
            "logit_bias",
            "parallel_tool_calls",
            "store",
            "metadata",
            "service_tier",
            "top_logprobs",
            "modalities",
            "prediction"
        ],
        ..Quirks::OPENAI_CHAT
    },
    cancel_stops_billing: true,
    links: links("https://cohere.com/privacy", "https://cohere.com/terms-of-use", Some("https://status.cohere.com")),
    headquarters: Some(s("CA")),
    docs: s("https://docs.cohere.com/docs/compatibility-api"),
    models_path: None,
    serves: list![
        serves_at(Op::Embeddings, Shape::Cohere, "../../v2/embed"),
        serves_at(Op::Rerank, Shape::Cohere, "../../v2/rerank")
    ],
    ..Provider::BLANK
};
