//! Google AI Studio: the Gemini API with a plain key. Docs: <https://ai.google.dev/api/generate-content>, as of 2026-11.

use crate::prelude::*;

pub const SERVES: &[Serves] = &[
    serves(Op::Embeddings, Shape::Gemini),
    serves(Op::CountTokens, Shape::Gemini),
    serves(Op::Image, Shape::Chat),
    serves(Op::Speech, Shape::Chat),
];

pub static PROVIDER: Provider = Provider {
    id: s("google-ai-studio"),
    aliases: names!["google", "gemini"],
    title: s("Google AI Studio"),
    dialect: Dialect::Gemini,
    base: s("https://generativelanguage.googleapis.com/v1beta"),
    auth: Auth::Header(s("x-goog-api-key")),
    key_env: names!["GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY"],
    quirks: Quirks::GEMINI,
    serves: Cow::Borrowed(SERVES),
    // Keys of the free tier teach its models, keys of a paying project do not; a key does not tell which it is.
    policy: Policy { trains: None, retains: Some(true), zdr: false },
    links: links(
        "https://policies.google.com/privacy",
        "https://ai.google.dev/gemini-api/terms",
        Some("https://aistudio.google.com/status"),
    ),
    headquarters: Some(s("US")),
    docs: s("https://ai.google.dev/api/generate-content"),
    models_path: Some(s("/models?pageSize=1000")),
    ..Provider::BLANK
};
