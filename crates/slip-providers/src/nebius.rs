//! Nebius Token Factory: open models in Europe and the US, OpenAI-shaped. Docs:
//! <https://docs.tokenfactory.nebius.com/api-reference/inference/create-chat-completion>, as of 2026-06.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("nebius"),
    title: s("Nebius"),
    base: s("https://api.tokenfactory.nebius.com/v1"),
    key_env: names!["NEBIUS_API_KEY"],
    quirks: Quirks::OPENAI_CHAT,
    headquarters: Some(s("NL")),
    docs: s("https://docs.tokenfactory.nebius.com/api-reference/inference/create-chat-completion"),
    serves: list![serves(Op::Embeddings, Shape::OpenAi), serves(Op::Image, Shape::OpenAiLinks)],
    ..Provider::BLANK
};
