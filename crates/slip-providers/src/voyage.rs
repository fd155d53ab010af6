//! Voyage AI (of MongoDB): embeddings and rerankers, no chat. OpenAI-shaped with other names for two members.
//! Docs: <https://docs.voyageai.com/reference/embeddings-api>, as of 2026-11.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("voyage"),
    aliases: names!["voyageai"],
    title: s("Voyage AI"),
    base: s("https://api.voyageai.com/v1"),
    key_env: names!["VOYAGE_API_KEY"],
    chats: false,
    serves: list![serves(Op::Embeddings, Shape::Voyage), serves(Op::Rerank, Shape::Voyage)],
    links: links("https://www.voyageai.com/privacy", "https://www.voyageai.com/tos", None),
    headquarters: Some(s("US")),
    docs: s("https://docs.voyageai.com/reference/embeddings-api"),
    models_path: None,
    ..Provider::BLANK
};
