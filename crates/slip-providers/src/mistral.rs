//! Mistral: OpenAI-shaped with differences. Tool call ids must be nine letters and digits, "required" is spelt `any`, usage comes
//! unasked. An assistant's turn at the end needs `prefix: true`, and the answer may begin
//! by repeating it. Docs: <https://docs.mistral.ai/api>, as of 2026-11.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("mistral"),
    aliases: names!["mistralai"],
    title: s("Mistral"),
    base: s("https://api.mistral.ai/v1"),
    key_env: names!["MISTRAL_API_KEY"],
    quirks: Quirks {
        stream_options: false,
        tool_ids: ToolIds::Alnum9,
        tool_choice_required: s("any"),
        prefill: Prefill::Prefix,
        ..Quirks::OPENAI_CHAT
    },
    infill: Some(Also {
        path: Some(s("/fim/completions")),
        quirks: Quirks { stream_options: false, ..Quirks::OPENAI_CHAT },
        ..TEXT
    }),
    // The free plan teaches its models unless one objects; a key does not tell its plan.
    policy: Policy { trains: None, retains: Some(true), zdr: false },
    links: links(
        "https://mistral.ai/terms/#privacy-policy",
        "https://mistral.ai/terms/#terms-of-use",
        Some("https://status.mistral.ai"),
    ),
    headquarters: Some(s("FR")),
    docs: s("https://docs.mistral.ai/api"),
    serves: list![
        serves(Op::Embeddings, Shape::OpenAi),
        serves(Op::Moderation, Shape::OpenAi),
        serves(Op::Speech, Shape::Mistral),
        serves(Op::Transcription, Shape::Mistral),
    ],
    ..Provider::BLANK
};
