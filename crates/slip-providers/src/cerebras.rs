//! Cerebras: a few open models on wafer-sized chips, OpenAI-shaped. Penalties and logit bias are refused with 400. Docs:
//! <https://inference-docs.cerebras.ai/api-reference/chat-completions>, as of 2026-11.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("cerebras"),
    title: s("Cerebras"),
    base: s("https://api.cerebras.ai/v1"),
    key_env: names!["CEREBRAS_API_KEY"],
    quirks: Quirks {
        max_tokens: MaxTokens::Completion,
        replay: Replay::Reasoning,
        refuses: names!["frequency_penalty", "logit_bias", "presence_penalty", "parallel_tool_calls"],
        ..Quirks::OPENAI_CHAT
    },
    also: list![TEXT],
    policy: Policy { trains: Some(false), retains: Some(false), zdr: false },
    links: links(
        "https://www.cerebras.ai/privacy-policy",
        "https://www.cerebras.ai/terms-of-service",
        Some("https://status.cerebras.ai"),
    ),
    headquarters: Some(s("US")),
    docs: s("https://inference-docs.cerebras.ai/api-reference/chat-completions"),
    ..Provider::BLANK
};
