//! Friendli: open models on serverless endpoints, OpenAI-shaped; reasoning is switched per model in its template, so there is
//! no common way to ask for it. Docs: <https://friendli.ai/docs/guides/serverless_endpoints/introduction>, as of 2026-06.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("friendli"),
    title: s("Friendli"),
    base: s("https://api.friendli.ai/serverless/v1"),
    key_env: names!["FRIENDLI_TOKEN"],
    quirks: Quirks { reasoning: ReasoningStyle::Unsaid, ..Quirks::OPENAI_CHAT },
    cancel_stops_billing: true,
    links: links("https://friendli.ai/privacy-policy", "https://friendli.ai/terms-of-service", None),
    headquarters: Some(s("US")),
    docs: s("https://friendli.ai/docs/guides/serverless_endpoints/introduction"),
    ..Provider::BLANK
};
