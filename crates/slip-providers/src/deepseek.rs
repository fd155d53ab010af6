//! DeepSeek: its own models, OpenAI-shaped. A thinking turn must be replayed with its `reasoning_content`, or the next request
//! is refused with 400. Docs: <https://api-docs.deepseek.com>, as of 2026-11.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("deepseek"),
    title: s("DeepSeek"),
    base: s("https://api.deepseek.com"),
    key_env: names!["DEEPSEEK_API_KEY"],
    quirks: Quirks {
        reasoning: ReasoningStyle::Thinking,
        replay: Replay::ReasoningContent,
        structured: Structured::JsonObject,
        ..Quirks::OPENAI_CHAT
    },
    // In beta: https://api-docs.deepseek.com/guides/fim_completion
    infill: Some(Also { path: Some(s("/beta/completions")), ..TEXT }),
    faults: list![(402, FaultKind::UpstreamQuota, Remedy::Elsewhere), (503, FaultKind::Overloaded, Remedy::Elsewhere)],
    cancel_stops_billing: true,
    policy: Policy { trains: Some(true), retains: Some(true), zdr: false },
    links: links(
        "https://cdn.deepseek.com/policies/en-US/deepseek-privacy-policy.html",
        "https://cdn.deepseek.com/policies/en-US/deepseek-open-platform-terms-of-service.html",
        Some("https://status.deepseek.com"),
    ),
    headquarters: Some(s("CN")),
    docs: s("https://api-docs.deepseek.com"),
    ..Provider::BLANK
};
