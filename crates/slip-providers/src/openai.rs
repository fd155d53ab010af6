//! OpenAI: the dialect's own author, with the newest spelling of it. Reasoning models refuse `max_tokens` and take a `developer`
//! message for the system's. Docs: <https://platform.openai.com/docs/api-reference/chat>, as of 2026-11.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("openai"),
    title: s("OpenAI"),
    base: s("https://api.openai.com/v1"),
    key_env: names!["OPENAI_API_KEY"],
    quirks: Quirks { max_tokens: MaxTokens::Completion, developer_role: true, ..Quirks::OPENAI_CHAT },
    also: list![responses(Quirks::RESPONSES)],
    cancel_stops_billing: true,
    policy: Policy::RETAINS,
    links: links(
        "https://openai.com/policies/privacy-policy",
        "https://openai.com/policies/services-agreement",
        Some("https://status.openai.com"),
    ),
    headquarters: Some(s("US")),
    datacenters: names!["US"],
    docs: s("https://platform.openai.com/docs/api-reference/chat"),
    serves: list![
        serves(Op::Embeddings, Shape::OpenAi),
        serves(Op::Moderation, Shape::OpenAi),
        serves(Op::CountTokens, Shape::Responses),
        serves(Op::Image, Shape::OpenAi),
        serves(Op::Speech, Shape::OpenAi),
        serves(Op::Transcription, Shape::OpenAi),
        serves(Op::Translation, Shape::OpenAi),
    ],
    ..Provider::BLANK
};
