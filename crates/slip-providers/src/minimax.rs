//! MiniMax: its own models, through the door it recommends, which speaks Anthropic Messages; thinking keeps its signature
//! there. Docs: <https://platform.minimax.io/docs/api-reference/text-anthropic-api>, as of 2026-06.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("minimax"),
    title: s("Minimax"),
    dialect: Dialect::Anthropic,
    base: s("https://api.minimax.io/anthropic/v1"),
    auth: Auth::Header(s("x-api-key")),
    key_env: names!["MINIMAX_API_KEY"],
    headers: list![(s("anthropic-version"), s("2023-06-01"))],
    quirks: Quirks { image_urls: false, ..Quirks::ANTHROPIC },
    headquarters: Some(s("CN")),
    docs: s("https://platform.minimax.io/docs/api-reference/text-anthropic-api"),
    models_path: None,
    ..Provider::BLANK
};
