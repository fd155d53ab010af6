//! Groq: open models on its own chips, OpenAI-shaped. Reasoning comes and goes back as `reasoning`; its 498 means that the flex
//! tier is full. Docs: <https://console.groq.com/docs/api-reference>, as of 2026-11.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("groq"),
    title: s("Groq"),
    base: s("https://api.groq.com/openai/v1"),
    key_env: names!["GROQ_API_KEY"],
    quirks: Quirks {
        max_tokens: MaxTokens::Completion,
        replay: Replay::Reasoning,
        refuses: names!["logprobs", "logit_bias", "top_logprobs", "n"],
        ..Quirks::OPENAI_CHAT
    },
    also: list![responses(Quirks {
        replay: Replay::Reasoning,
        refuses: names!["include", "truncation", "safety_identifier", "prompt_cache_key"],
        ..Quirks::RESPONSES
    })],
    faults: list![(498, FaultKind::Overloaded, Remedy::Elsewhere)],
    policy: Policy { trains: Some(false), retains: Some(false), zdr: false },
    links: links("https://groq.com/privacy-policy", "https://groq.com/terms-of-use", Some("https://groqstatus.com")),
    headquarters: Some(s("US")),
    docs: s("https://console.groq.com/docs/api-reference"),
    serves: list![
        serves(Op::Speech, Shape::OpenAi),
        serves(Op::Transcription, Shape::OpenAi),
        serves(Op::Translation, Shape::OpenAi),
    ],
    ..Provider::BLANK
};
