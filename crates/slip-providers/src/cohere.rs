//! Cohere: the Command models, in Cohere's own dialect, which tells thoughts, plans, citations and cached tokens that its
//! OpenAI-shaped door leaves out. Docs: <https://docs.cohere.com/reference/chat>, as of 2026-11.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("cohere"),
    title: s("Cohere"),
    dialect: Dialect::Cohere,
    base: s("https://api.cohere.com/v2"),
    key_env: names!["COHERE_API_KEY", "CO_API_KEY"],
    quirks: Quirks::OPENAI_CHAT,
    cancel_stops_billing: true,
    links: links("https://cohere.com/privacy", "https://cohere.com/terms-of-use", Some("https://status.cohere.com")),
    headquarters: Some(s("CA")),
    docs: s("https://docs.cohere.com/reference/chat"),
    models_path: Some(s("../v1/models?page_size=1000")),
    serves: list![serves(Op::Embeddings, Shape::Cohere), serves(Op::Rerank, Shape::Cohere)],
    ..Provider::BLANK
};
