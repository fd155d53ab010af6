//! Upstage: the Solar models, OpenAI-shaped. Docs: <https://developers.upstage.ai/docs/apis/chat>, as of 2026-06.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("upstage"),
    title: s("Upstage"),
    base: s("https://api.upstage.ai/v1/solar"),
    key_env: names!["UPSTAGE_API_KEY"],
    quirks: Quirks::OPENAI_CHAT,
    headquarters: Some(s("KR")),
    docs: s("https://developers.upstage.ai/docs/apis/chat"),
    models_path: None,
    serves: list![serves(Op::Embeddings, Shape::OpenAi)],
    ..Provider::BLANK
};
