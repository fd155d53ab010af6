//! What a caller asks for, whatever dialect they asked in.
//!
//! Normal form, which every decoder produces and every encoder accepts:
//! - system and developer text are turns of their own role, in the place where they stood;
//! - tool results are turns of role [`Role::Tool`] holding only [`Block::ToolResult`]; consecutive ones may share a turn;
//! - an assistant turn holds its blocks in the order the model produced them: thinking, text, tool calls.

use crate::{Dialect, Raw};
use serde_json::Number;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The model as the upstream should read it (the journey sets it before encoding).
    pub model: String,
    pub stream: bool,
    pub turns: Vec<Turn>,
    pub tools: Vec<Tool>,
    pub tool_choice: Option<ToolChoice>,
    pub parallel_tool_calls: Option<bool>,
    pub format: Option<Format>,
    pub reasoning: Option<Reasoning>,
    pub params: Params,
    /// Top-level members this vocabulary has no word for, by the name the caller used. They survive inside one dialect and are
    /// listed as losses when they cross into another.
    pub extra: Vec<(String, Raw)>,
}

impl Request {
    /// What the caller put under a name this vocabulary has no word for.
    pub fn in_extra(&self, name: &str) -> Option<&Raw> {
        self.extra.iter().find(|(known, _)| known == name).map(|(_, raw)| raw)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    System,
    Developer,
    User,
    Assistant,
    Tool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    pub role: Role,
    /// OpenAI's per-message `name`.
    pub name: Option<String>,
    pub blocks: Vec<Block>,
}

impl Turn {
    pub fn new(role: Role, blocks: Vec<Block>) -> Turn {
        Turn { role, name: None, blocks }
    }
}

/// One part of a turn or of a reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    Text(Text),
    Media(Media),
    Thinking(Thinking),
    ToolCall(ToolCall),
    ToolResult(ToolResult),
    /// The model declined, in the words it used.
    Refusal(String),
    /// A block only `dialect` understands (server tool results, code execution parts, …). Dropped with a loss elsewhere.
    Opaque {
        dialect: Dialect,
        raw: Raw,
    },
}

impl Block {
    pub fn text(text: impl Into<String>) -> Block {
        Block::Text(Text { text: text.into(), ..Text::default() })
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Text {
    pub text: String,
    pub cache: Option<Cache>,
    /// Citations as OpenRouter's annotation objects (`{"type":"url_citation",…}`), or the dialect's own objects when they
    /// cannot be told as such. Only on replies and replayed assistant turns.
    pub annotations: Vec<Raw>,
    /// A signature bound to this text (Gemini puts `thoughtSignature` on text parts too).
    pub signature: Option<String>,
}

/// A prompt-cache breakpoint after this block (Anthropic's `cache_control`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cache {
    /// `5m` (when absent) or `1h`.
    pub ttl: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaKind {
    Image,
    Audio,
    Video,
    File,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Media {
    pub kind: MediaKind,
    pub source: Source,
    /// File name, where the caller gave one.
    pub name: Option<String>,
    /// OpenAI's image `detail`.
    pub detail: Option<String>,
    pub cache: Option<Cache>,
    /// Members of the original part without a home here (Anthropic's document `title`, `context`, `citations`, …), as an object.
    pub extra: Option<Raw>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    Url(String),
    /// Base64 without the `data:` prefix. `mime` such as `image/png`; for OpenAI's `input_audio` it is `audio/<format>`.
    Data {
        mime: String,
        base64: String,
    },
    /// Plain text given as a document.
    Text(String),
    /// An id in the provider's own file store.
    FileId(String),
}

/// Who signed or sealed a piece of reasoning. Only that family can read it again.
/// The names are OpenRouter's `reasoning_details[].format` values.
pub mod format {
    pub const UNKNOWN: &str = "unknown";
    pub const ANTHROPIC: &str = "anthropic-claude-v1";
    pub const GEMINI: &str = "google-gemini-v1";
    pub const OPENAI: &str = "openai-responses-v1";
    pub const XAI: &str = "xai-responses-v1";
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum ThinkingKind {
    /// The reasoning itself (`reasoning.text`).
    #[default]
    Text,
    /// A summary of it (`reasoning.summary`).
    Summary,
    /// Sealed: `data` only, for the provider to read back (`reasoning.encrypted`; Anthropic's `redacted_thinking`).
    Encrypted,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thinking {
    pub kind: ThinkingKind,
    /// Empty for [`ThinkingKind::Encrypted`].
    pub text: String,
    pub signature: Option<String>,
    /// The sealed blob of [`ThinkingKind::Encrypted`].
    pub data: Option<String>,
    /// See [`format`]; empty means [`format::UNKNOWN`].
    pub format: String,
    pub id: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolCall {
    /// Empty when the provider gives none (Gemini); the encoder mints one.
    pub id: String,
    pub name: String,
    /// JSON text of the arguments, exactly as produced. Never empty once complete: `{}` for none.
    pub arguments: String,
    /// Gemini's `thoughtSignature` on a `functionCall` part.
    pub signature: Option<String>,
    /// Members of the original call without a home here (Anthropic's `caller`), as an object.
    pub extra: Option<Raw>,
    pub cache: Option<Cache>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolResult {
    /// The call it answers.
    pub id: String,
    /// The tool's name, where the dialect says it (Gemini must; OpenAI may). Encoders that need it look it up by `id`.
    pub name: Option<String>,
    /// Text and media.
    pub content: Vec<Block>,
    pub is_error: bool,
    pub cache: Option<Cache>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Tool {
    Function(Function),
    /// A tool only `dialect` understands (server tools, computer use, …).
    Opaque {
        dialect: Dialect,
        raw: Raw,
    },
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Function {
    pub name: String,
    pub description: Option<String>,
    /// JSON Schema of the parameters; absent means no parameters.
    pub parameters: Option<Raw>,
    pub strict: Option<bool>,
    pub cache: Option<Cache>,
    /// Members of the original tool without a home here (Anthropic's `input_examples`, `eager_input_streaming`, …), an object.
    pub extra: Option<Raw>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    Auto,
    None,
    /// Some tool must be called.
    Required,
    Named(String),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    Text,
    JsonObject,
    JsonSchema {
        name: String,
        schema: Raw,
        strict: Option<bool>,
        description: Option<String>,
    },
    /// A response format only one dialect understands.
    Opaque {
        dialect: Dialect,
        raw: Raw,
    },
}

/// How much a model should think. Ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    XHigh,
    Max,
}

impl Effort {
    pub const ALL: [Effort; 7] =
        [Effort::None, Effort::Minimal, Effort::Low, Effort::Medium, Effort::High, Effort::XHigh, Effort::Max];

    pub const fn name(self) -> &'static str {
        match self {
            Effort::None => "none",
            Effort::Minimal => "minimal",
            Effort::Low => "low",
            Effort::Medium => "medium",
            Effort::High => "high",
            Effort::XHigh => "xhigh",
            Effort::Max => "max",
        }
    }

    pub fn parse(name: &str) -> Option<Effort> {
        Effort::ALL.into_iter().find(|e| e.name() == name)
    }

    /// Thinking tokens for models that take a budget: `clamp(max_tokens × ratio, 1024, 128 000)`.
    /// Ratios from OpenRouter's documentation of reasoning tokens, read 2026-11: max and xhigh 0.95, high 0.8, medium 0.5,
    /// low 0.2, minimal 0.1.
    pub fn budget(self, max_tokens: u64) -> u64 {
        let percent = match self {
            Effort::None => return 0,
            Effort::Minimal => 10,
            Effort::Low => 20,
            Effort::Medium => 50,
            Effort::High => 80,
            Effort::XHigh | Effort::Max => 95,
        };
        (max_tokens.saturating_mul(percent) / 100).clamp(1024, 128_000)
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reasoning {
    pub effort: Option<Effort>,
    /// Thinking budget in tokens.
    pub budget: Option<u64>,
    /// Think, but do not show it.
    pub exclude: bool,
    /// `Some(true)` alone means "on, as the model likes" (medium where a level must be named); `Some(false)` means off.
    pub enabled: Option<bool>,
    /// `auto`, `concise`, `detailed`.
    pub summary: Option<String>,
    /// The model decides how much (Anthropic `thinking: {"type":"adaptive"}`).
    pub adaptive: bool,
}

impl Reasoning {
    /// Asks for an answer without thinking.
    pub fn is_off(&self) -> bool {
        self.enabled == Some(false) || self.effort == Some(Effort::None) || self.budget == Some(0)
    }

    /// Says anything about whether or how much to think.
    pub fn is_said(&self) -> bool {
        self.enabled.is_some() || self.adaptive || self.effort.is_some() || self.budget.is_some()
    }
}

/// Sampling and other scalar wishes. Absent means absent: nothing the caller left out is ever invented, except where a dialect
/// requires a member (Anthropic's `max_tokens`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Params {
    pub max_tokens: Option<u64>,
    pub temperature: Option<Number>,
    pub top_p: Option<Number>,
    pub top_k: Option<Number>,
    pub min_p: Option<Number>,
    pub top_a: Option<Number>,
    pub frequency_penalty: Option<Number>,
    pub presence_penalty: Option<Number>,
    pub repetition_penalty: Option<Number>,
    pub seed: Option<i64>,
    pub stop: Vec<String>,
    pub n: Option<u32>,
    pub logprobs: Option<bool>,
    pub top_logprobs: Option<u32>,
    pub logit_bias: Option<Raw>,
    /// End-user id: OpenAI `user`, Anthropic `metadata.user_id`.
    pub user: Option<String>,
    pub verbosity: Option<String>,
    pub service_tier: Option<String>,
    pub prediction: Option<Raw>,
    /// `["text","image","audio"]`, lower case.
    pub modalities: Vec<String>,
    /// OpenAI's `audio` (voice, format).
    pub audio: Option<Raw>,
    /// OpenRouter's `image_config`.
    pub image_config: Option<Raw>,
    pub web_search_options: Option<Raw>,
    pub prompt_cache_key: Option<String>,
    /// Top-level `cache_control`: an automatic breakpoint on the last cacheable block.
    pub cache: Option<Cache>,
    /// Free string pairs kept by the provider with the completion (OpenAI `metadata`).
    pub metadata: Option<Raw>,
}
