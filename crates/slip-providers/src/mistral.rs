//! Mistral: OpenAI-shaped with differences. Tool call ids must be nine letters and digits, "required" is spelt `any`, usage comes
//! unasked. Docs: <https://docs.mistral.ai/api>, read 2026-11.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("mistral"),
    title: s("Mistral"),
    base: s("https://api.mistral.ai/v1"),
    key_env: names!["MISTRAL_API_KEY"],
    quirks: Quirks {
        stream_options: false,
        tool_ids: ToolIds::Alnum9,
        tool_choice_required: s("any"),
        ..Quirks::OPENAI_CHAT
    },
    policy: Policy::RETAINS,
    links: links(
        "https://mistral.ai/terms/#privacy-policy",
        "https://mistral.ai/terms/#terms-of-use",
        Some("https://status.mistral.ai"),
    ),
    headquarters: Some(s("FR")),
    docs: s("https://docs.mistral.ai/api"),
    ..Provider::BLANK
};
