//! Anthropic: its own Messages dialect. Docs: <https://docs.anthropic.com/en/api/messages>, as of 2026-11.

use crate::prelude::*;

pub const SERVES: &[Serves] = &[serves(Op::CountTokens, Shape::Anthropic)];

pub static PROVIDER: Provider = Provider {
    id: s("anthropic"),
    title: s("Anthropic"),
    dialect: Dialect::Anthropic,
    base: s("https://api.anthropic.com/v1"),
    auth: Auth::Header(s("x-api-key")),
    key_env: names!["ANTHROPIC_API_KEY"],
    headers: list![(s("anthropic-version"), s("2023-06-01"))],
    quirks: Quirks::ANTHROPIC,
    faults: list![(529, FaultKind::Overloaded, Remedy::Elsewhere)],
    cancel_stops_billing: true,
    policy: Policy::RETAINS,
    links: links(
        "https://www.anthropic.com/legal/privacy",
        "https://www.anthropic.com/legal/commercial-terms",
        Some("https://status.anthropic.com"),
    ),
    headquarters: Some(s("US")),
    docs: s("https://docs.anthropic.com/en/api/messages"),
    models_path: Some(s("/models?limit=1000")),
    serves: Cow::Borrowed(SERVES),
    ..Provider::BLANK
};
