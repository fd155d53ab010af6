//! How one provider's spelling of a dialect departs from it. Named after the behaviour, never after the company, and plain data:
//! built-in providers and those declared in a configuration file use the same struct.

use crate::Envelope;
use crate::frame::Framing;
use slip_ir::Dialect;
use std::borrow::Cow;

#[derive(Clone, Debug, PartialEq)]
pub struct Quirks {
    /// The member that caps output.
    pub max_tokens: MaxTokens,
    /// Understands `stream_options: {"include_usage": true}`. Without it the member must not be sent.
    pub stream_options: bool,
    /// How a wish for reasoning is told.
    pub reasoning: ReasoningStyle,
    /// How an assistant turn's earlier reasoning is replayed.
    pub replay: Replay,
    /// Knows the `developer` role; otherwise it becomes `system`.
    pub developer_role: bool,
    /// Accepts `cache_control` on content parts and tools.
    pub cache_control: bool,
    /// What it understands of `response_format`.
    pub structured: Structured,
    /// Which shape tool call ids must have.
    pub tool_ids: ToolIds,
    /// Its word for `tool_choice: "required"`.
    pub tool_choice_required: Cow<'static, str>,
    /// Accepts content as an array of parts in system, tool and assistant messages (else strings are joined).
    pub content_parts: bool,
    /// Top-level members it refuses; dropped with a loss.
    pub refuses: Cow<'static, [Cow<'static, str>]>,
    /// Fetches `http(s)` image URLs by itself.
    pub image_urls: bool,
    /// Understands OpenRouter's own top-level members (`provider`, `models`, `reasoning`, …): another router of the same kind.
    pub router: bool,
    /// Takes tools of the `openrouter:…` types without being a router for certain: a server of unknown making decides by itself.
    pub server_tools: bool,
    /// Default when the dialect requires an output cap and neither the caller nor the catalogue gave one.
    pub default_max_tokens: u64,
    /// JSON Schema support of tool parameters is limited to the OpenAPI 3.0 subset (no `$ref`, `additionalProperties`, …).
    pub schema_subset: bool,
    /// How it is asked to go on with an answer that another began.
    pub prefill: Prefill,
    /// Which of its models can be asked so: those whose name holds one of these. Empty: all.
    pub prefills: Cow<'static, [Cow<'static, str>]>,
    /// How a cloud that serves another house's dialect wraps it.
    pub envelope: Option<&'static Envelope>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxTokens {
    /// `max_completion_tokens`
    Completion,
    /// `max_tokens`
    Plain,
    /// A server of unknown making: the name the caller used, `max_tokens` where there was none.
    AsSent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefill {
    /// There is no way to say it: a user's turn asks for it in words.
    Unsaid,
    /// An assistant's turn at the end is gone on with.
    Turn,
    /// The same with `prefix: true` on it; the answer may begin by saying it again.
    Prefix,
    /// The same with `continue_final_message: true` beside the messages.
    Final,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasoningStyle {
    /// `reasoning_effort: "low"`
    Effort,
    /// `reasoning: {"effort": …, "max_tokens": …}`
    Object,
    /// `thinking: {"type": "enabled" | "disabled", "budget_tokens"?}`
    Thinking,
    /// `enable_thinking: bool`, `thinking_budget: n`
    EnableThinking,
    /// There is no way to say it.
    Unsaid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// Reasoning must not be sent back.
    Drop,
    /// As `reasoning_content` on the assistant message.
    ReasoningContent,
    /// As `reasoning` on the assistant message.
    Reasoning,
    /// As `reasoning_details`, byte for byte.
    Details,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Structured {
    /// `json_schema` and `json_object`
    JsonSchema,
    /// `json_object` only
    JsonObject,
    /// neither
    Unsaid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolIds {
    Any,
    /// Exactly nine letters and digits; others are mapped by a stable hash.
    Alnum9,
    /// Letters, digits, `_` and `-` only, at most 64.
    Word64,
}

/// The Claude models that go on with an assistant's turn at the end. From 4.6 on they refuse it with 400. Sources:
/// <https://platform.claude.com/docs/en/about-claude/models/whats-new-claude-4-6#prefill-removal> and
/// <https://platform.claude.com/docs/en/about-claude/models/migration-guide>, read 2026-11.
const CLAUDE_PREFILLS: &[Cow<'static, str>] = &[
    Cow::Borrowed("claude-3-"),
    Cow::Borrowed("claude-opus-4-0"),
    Cow::Borrowed("claude-opus-4-1"),
    Cow::Borrowed("claude-opus-4-2025"),
    Cow::Borrowed("claude-opus-4@2025"),
    Cow::Borrowed("claude-opus-4-5"),
    Cow::Borrowed("claude-sonnet-4-0"),
    Cow::Borrowed("claude-sonnet-4-2025"),
    Cow::Borrowed("claude-sonnet-4@2025"),
    Cow::Borrowed("claude-sonnet-4-5"),
    Cow::Borrowed("claude-haiku-4-5"),
];

impl Quirks {
    /// How this model is asked to go on with an answer that another began.
    pub fn prefill(&self, model: &str) -> Prefill {
        let can = self.prefills.is_empty() || self.prefills.iter().any(|name| model.contains(&**name));
        if can { self.prefill } else { Prefill::Unsaid }
    }

    /// May the top-level member `name` not be sent?
    pub fn refuses(&self, name: &str) -> bool {
        self.refuses.iter().any(|refused| refused == name)
    }

    /// The dialect as its author serves it.
    pub const fn of(dialect: Dialect) -> &'static Quirks {
        match dialect {
            Dialect::Anthropic => &Quirks::ANTHROPIC,
            Dialect::Gemini => &Quirks::GEMINI,
            Dialect::Responses => &Quirks::RESPONSES,
            Dialect::OpenAiChat
            | Dialect::Completions
            | Dialect::Ollama
            | Dialect::OllamaGenerate
            | Dialect::Cohere => &Quirks::OPENAI_CHAT,
            Dialect::Bedrock => &Quirks::BEDROCK,
        }
    }

    /// How a stream of this dialect is cut into messages here.
    pub fn framing(&self, dialect: Dialect) -> Framing {
        self.envelope.map_or_else(|| crate::wire(dialect).framing(), |envelope| envelope.framing)
    }

    /// In whose words a server of this dialect refuses.
    pub fn errors(&self, dialect: Dialect) -> Dialect {
        self.envelope.map_or(dialect, |envelope| envelope.errors)
    }

    /// A plain OpenAI-shaped server of unknown making: the most widely accepted spelling.
    pub const OPENAI_CHAT: Quirks = Quirks {
        max_tokens: MaxTokens::Plain,
        stream_options: true,
        reasoning: ReasoningStyle::Effort,
        replay: Replay::Drop,
        developer_role: false,
        cache_control: false,
        structured: Structured::JsonSchema,
        tool_ids: ToolIds::Any,
        tool_choice_required: Cow::Borrowed("required"),
        content_parts: true,
        refuses: Cow::Borrowed(&[]),
        image_urls: true,
        router: false,
        server_tools: false,
        default_max_tokens: 4096,
        schema_subset: false,
        prefill: Prefill::Unsaid,
        prefills: Cow::Borrowed(&[]),
        envelope: None,
    };

    /// The Anthropic Messages API as Anthropic serves it.
    pub const ANTHROPIC: Quirks = Quirks {
        reasoning: ReasoningStyle::Thinking,
        replay: Replay::Details,
        cache_control: true,
        tool_ids: ToolIds::Word64,
        default_max_tokens: 8192,
        prefill: Prefill::Turn,
        prefills: Cow::Borrowed(CLAUDE_PREFILLS),
        ..Quirks::OPENAI_CHAT
    };

    /// The Responses API as OpenAI serves it.
    pub const RESPONSES: Quirks = Quirks { replay: Replay::Details, developer_role: true, ..Quirks::OPENAI_CHAT };
    /// Bedrock's Converse. Which fields a model takes beside it is a matter of its family, not of the provider.
    pub const BEDROCK: Quirks = Quirks { image_urls: false, ..Quirks::ANTHROPIC };

    /// The Gemini API as Google AI Studio serves it.
    pub const GEMINI: Quirks =
        Quirks { replay: Replay::Details, image_urls: false, schema_subset: true, ..Quirks::OPENAI_CHAT };
}
