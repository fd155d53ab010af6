//! xAI: the Grok models, OpenAI-shaped. Its reasoning models, which by now is nearly all of them, refuse penalties and stop
//! sequences. Docs: <https://docs.x.ai/docs/api-reference>, as of 2026-11.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("xai"),
    aliases: names!["x-ai"],
    title: s("xAI"),
    base: s("https://api.x.ai/v1"),
    key_env: names!["XAI_API_KEY"],
    quirks: Quirks {
        max_tokens: MaxTokens::Completion,
        refuses: names!["presence_penalty", "frequency_penalty", "stop", "logit_bias"],
        ..Quirks::OPENAI_CHAT
    },
    also: list![responses(Quirks::RESPONSES)],
    cancel_stops_billing: true,
    policy: Policy::RETAINS,
    links: links(
        "https://x.ai/legal/privacy-policy",
        "https://x.ai/legal/terms-of-service-enterprise",
        Some("https://status.x.ai"),
    ),
    headquarters: Some(s("US")),
    datacenters: names!["US"],
    docs: s("https://docs.x.ai/docs/api-reference"),
    serves: list![serves(Op::Image, Shape::OpenAiLinks)],
    ..Provider::BLANK
};
