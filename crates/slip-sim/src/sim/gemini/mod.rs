//! Placeholder: spoken as OpenAI until its own is written.
pub(crate) struct Gemini;
