//! Jina AI (of Elastic): embeddings and rerankers for text and pictures. Its one chat model searches the web and is not offered
//! here. Docs: <https://api.jina.ai/redoc>, as of 2026-11.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("jina"),
    aliases: names!["jinaai", "jina-ai"],
    title: s("Jina AI"),
    base: s("https://api.jina.ai/v1"),
    key_env: names!["JINA_API_KEY"],
    chats: false,
    serves: list![serves(Op::Embeddings, Shape::Jina), serves(Op::Rerank, Shape::Jina)],
    links: links("https://jina.ai/legal#privacy-policy", "https://jina.ai/legal#terms-and-conditions", None),
    headquarters: Some(s("DE")),
    docs: s("https://api.jina.ai/redoc"),
    models_path: None,
    ..Provider::BLANK
};
