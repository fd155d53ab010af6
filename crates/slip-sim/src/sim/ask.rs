//! What a request asks for, once the dialect has been read off it; and why it may be refused.

use serde_json::Value;

/// A message costs this much beside its text.
const PER_MESSAGE: u64 = 4;
/// An image, a file or a sound costs this much, whatever its size.
const PER_MEDIA: u64 = 85;

#[derive(Clone, Debug, Default)]
pub(crate) struct Ask {
    pub model: String,
    pub stream: bool,
    /// The text of the last user message.
    pub text: String,
    /// Where the conversation ends with tool results: what they said.
    pub results: Option<Vec<String>>,
    pub tools: Vec<Tool>,
    pub choice: Choice,
    pub parallel: bool,
    pub format: Option<Format>,
    pub thinking: Thinking,
    pub max_tokens: Option<u64>,
    pub stops: Vec<String>,
    pub n: u32,
    /// The stream shall say what it used (OpenAI's `stream_options`).
    pub include_usage: bool,
    /// What was shown in the last user message: "an image of 2x3".
    pub seen: Vec<String>,
    /// Log probabilities, with so many alternatives.
    pub logprobs: Option<u64>,
    pub prompt: Prompt,
    /// Whether this request may read and write the prompt cache, and whether for an hour.
    pub caches: bool,
    pub caches_1h: bool,
    /// Reasoning shall come sealed as well (OpenAI's `include`).
    pub seals: bool,
    /// Set by the simulator from the request's bytes and the seed.
    pub id: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Tool {
    pub name: String,
    pub schema: Value,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Choice {
    #[default]
    Auto,
    Never,
    Any,
    /// One of these; empty is [`Choice::Any`].
    Named(Vec<String>),
}

#[derive(Clone, Debug)]
pub(crate) enum Format {
    Object,
    Schema(Value),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Thinking {
    #[default]
    Off,
    /// Thought, counted, but not shown.
    Hidden,
    Shown,
    /// Shown in the form the caller used: OpenAI-shaped servers spell the member `reasoning_content` or `reasoning`.
    ShownAsReasoning,
}

/// The size of a prompt, and a running fingerprint of it after each message for the prompt cache.
#[derive(Clone, Debug)]
pub(crate) struct Prompt {
    pub tokens: u64,
    pub marks: Vec<(u64, u64)>,
    hash: u64,
}

impl Default for Prompt {
    fn default() -> Prompt {
        Prompt { tokens: 0, marks: Vec::new(), hash: FNV_START }
    }
}

impl Prompt {
    /// A message begins.
    pub fn message(&mut self) {
        self.mark();
        self.tokens += PER_MESSAGE;
    }

    pub fn text(&mut self, text: &str) {
        self.tokens += super::tokens::count(text);
        self.hash = fnv(self.hash, text.as_bytes());
    }

    pub fn media(&mut self, data: &str) {
        self.tokens += PER_MEDIA;
        self.hash = fnv(self.hash, data.as_bytes());
    }

    pub fn tool(&mut self, tool: &Tool) {
        self.text(&tool.name);
        self.text(&tool.schema.to_string());
    }

    /// What was said so far may be found in the cache later.
    pub fn mark(&mut self) {
        if self.tokens > 0 {
            self.marks.push((self.hash, self.tokens));
        }
    }
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, so that ids are the same on every machine and in every build.
pub(crate) fn fnv(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// One more stir, so that neighbouring inputs do not give neighbouring ids.
pub(crate) fn mix(a: u64, b: u64) -> u64 {
    let mut x = fnv(fnv(FNV_START, &a.to_le_bytes()), &b.to_le_bytes());
    x ^= x >> 33;
    x = x.wrapping_mul(0xff51_afd7_ed55_8ccd);
    x ^ (x >> 33)
}

pub(crate) fn hash(bytes: &[u8]) -> u64 {
    fnv(FNV_START, bytes)
}

/// Why a request is not answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    pub status: u16,
    pub kind: Why,
    pub message: String,
    pub param: Option<String>,
    pub retry_after: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Invalid,
    Auth,
    Quota,
    Context,
    NotFound,
    /// Told by the status alone.
    Status,
}

impl Refusal {
    pub fn new(status: u16, kind: Why, message: impl Into<String>) -> Refusal {
        Refusal { status, kind, message: message.into(), param: None, retry_after: None }
    }

    pub fn invalid(message: impl Into<String>) -> Refusal {
        Refusal::new(400, Why::Invalid, message)
    }

    pub fn at(mut self, param: impl Into<String>) -> Refusal {
        self.param = Some(param.into());
        self
    }
}

/// The object's member as text.
pub(crate) fn text_of<'a>(value: &'a Value, member: &str) -> &'a str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn list_of<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value.get(member).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A member that is there and not null.
pub(crate) fn given<'a>(value: &'a Value, member: &str) -> Option<&'a Value> {
    value.get(member).filter(|v| !v.is_null())
}
