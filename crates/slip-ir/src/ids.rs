//! Small closed names shared by all crates.

use std::fmt;

/// The wire dialects: how a request, a reply and a stream are spelt. A dialect is not a provider: forty providers speak
/// [`Dialect::OpenAiChat`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    /// OpenAI chat completions (and, towards callers, OpenRouter's superset of it).
    OpenAiChat,
    /// Anthropic Messages.
    Anthropic,
    /// Google Gemini `generateContent` / `streamGenerateContent`.
    Gemini,
    /// OpenAI Responses.
    Responses,
    /// OpenAI's legacy completions: a prompt in, text out.
    Completions,
    /// Ollama's own chat.
    Ollama,
    /// Ollama's own `generate`: a prompt in, text out.
    OllamaGenerate,
    /// Cohere chat, version 2.
    Cohere,
    /// Amazon Bedrock Converse.
    Bedrock,
}

impl Dialect {
    pub const ALL: [Dialect; 4] = [Dialect::OpenAiChat, Dialect::Anthropic, Dialect::Gemini, Dialect::Bedrock];

    /// The name used in configuration files, logs and the catalogue.
    pub const fn name(self) -> &'static str {
        match self {
            Dialect::OpenAiChat => "openai-chat",
            Dialect::Anthropic => "anthropic",
            Dialect::Gemini => "gemini",
            Dialect::Responses => "openai-responses",
            Dialect::Completions => "openai-completions",
            Dialect::Ollama => "ollama",
            Dialect::OllamaGenerate => "ollama-generate",
            Dialect::Cohere => "cohere",
            Dialect::Bedrock => "bedrock",
        }
    }

    pub fn parse(name: &str) -> Option<Dialect> {
        Dialect::ALL.into_iter().find(|d| d.name() == name)
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
