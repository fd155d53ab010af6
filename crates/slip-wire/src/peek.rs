//! The little that must be known of a request before it is understood.

mod anthropic;
mod chat;
mod conversation;
mod gemini;
mod meaning;
#[cfg(test)]
mod tests;

use crate::json::{self, Str};
use crate::{Malformed, wire};
use slip_ir::{Dialect, Effort, Loss, MediaKind, Raw, Request, Tier, Want};
use std::ops::Range;

/// More turns than any real conversation has; a limit keeps the walk and the upstream's bill bounded.
pub const MAX_MESSAGES: usize = 2048;
/// Fallback models a caller may list.
pub const MAX_MODELS: usize = 64;
/// Alternative answers a caller may ask for (OpenAI's own limit).
pub const MAX_N: u64 = 128;
/// Families of sealed reasoning worth remembering; a history names one or two.
const MAX_SEALED: usize = 16;

/// What the journey reads of a request without decoding it. `members` are the top-level members in order; their spans point into
/// the body.
#[derive(Clone, Debug, Default)]
pub struct Peek {
    pub members: Vec<Member>,
    pub model: Option<String>,
    /// OpenRouter's fallback list.
    pub models: Vec<String>,
    pub stream: bool,
    /// OpenRouter's `provider` object, as it stands.
    pub provider: Option<Raw>,
    pub route: Option<String>,
    pub user: Option<String>,
    pub session_id: Option<String>,
    /// `reasoning.exclude` or `include_reasoning: false`.
    pub hide_reasoning: bool,
    /// The body can cross to an upstream of the same dialect by splicing top-level members only. False when a message carries
    /// something only this house understands (`reasoning_details`, `cache_control`, …): then it goes through the IR.
    pub spliceable: bool,
    /// What inside the messages may be more than a given upstream takes; see `openai_chat::splice::needs_ir`.
    pub shape: Shape,
    /// The wish for reasoning, told in any of the caller's ways.
    pub reasoning: Thought,
    pub want: Want,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The key, unescaped.
    pub key: String,
    /// From the key's opening quote to the end of the value.
    pub whole: Range<usize>,
    pub value: Range<usize>,
}

/// Features of the messages that some upstreams of the same dialect do not take as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// A turn of role `developer`.
    pub developer: bool,
    /// A cache breakpoint, anywhere.
    pub cache_control: bool,
    /// Content as an array in a turn that is not the user's.
    pub parts: bool,
    /// An image by `http(s)` URL.
    pub image_urls: bool,
    /// The model has called tools before.
    pub calls: bool,
    /// `tool_choice` is `"required"`.
    pub tool_required: bool,
    /// A tool call id that is not nine letters and digits.
    pub id_not_alnum9: bool,
    /// A tool call id beyond 64 letters, digits, `_` and `-`.
    pub id_not_word64: bool,
}

/// What the caller said about reasoning, before any provider's spelling of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thought {
    pub effort: Option<Effort>,
    pub budget: Option<u64>,
    pub enabled: Option<bool>,
}

impl Thought {
    /// Did the caller ask for reasoning (and not against it)?
    pub fn wanted(&self) -> bool {
        match (self.enabled, self.effort, self.budget) {
            (Some(false), ..) | (_, Some(Effort::None), _) => false,
            (enabled, effort, budget) => enabled.is_some() || effort.is_some() || budget.is_some_and(|b| b > 0),
        }
    }

    pub fn refused(&self) -> bool {
        self.enabled == Some(false) || self.effort == Some(Effort::None)
    }
}

/// What some dialects keep in the path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    pub model: String,
    pub stream: bool,
}

/// A request that had to be understood to be peeked at, so that nobody needs to decode it again.
pub type Understood = (Request, Vec<Loss>);

impl Peek {
    /// A request of this dialect. Dialects that are not on the hot path are decoded, and what is asked of them is read off the
    /// meaning.
    pub fn of(dialect: Dialect, body: &[u8], named: Option<&Named>) -> Result<(Peek, Option<Understood>), Malformed> {
        match (dialect, named) {
            (Dialect::OpenAiChat, _) => Peek::openai_chat(body).map(|peek| (peek, None)),
            (Dialect::Anthropic, _) => Peek::anthropic(body).map(|peek| (peek, None)),
            (Dialect::Gemini, Some(named)) => Peek::gemini(body, &named.model, named.stream).map(|peek| (peek, None)),
            (Dialect::Gemini | Dialect::Bedrock, None) => wrong("", "the path names no model"),
            _ => {
                let understood = wire(dialect).decode_request(body)?;
                let mut peek = meaning::peek(body, &understood.0, named)?;
                if dialect == Dialect::Responses {
                    peek.spliceable = crate::responses::speaks_natively(body, &understood.0);
                }
                Ok((peek, Some(understood)))
            }
        }
    }

    /// A chat completions request, as OpenRouter's clients write it.
    pub fn openai_chat(body: &[u8]) -> Result<Peek, Malformed> {
        chat::peek(body)
    }

    /// An Anthropic Messages request.
    pub fn anthropic(body: &[u8]) -> Result<Peek, Malformed> {
        anthropic::peek(body)
    }

    /// A Gemini request. Its model and whether it streams stand in the path.
    pub fn gemini(body: &[u8], model: &str, stream: bool) -> Result<Peek, Malformed> {
        gemini::peek(body, model, stream)
    }

    /// The member of that name.
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|m| m.key == name)
    }

    /// Routing is said in the same words whatever the dialect.
    fn routed(&mut self, member: &str, span: &[u8]) -> Result<(), Malformed> {
        match member {
            "models" => self.models = texts("models", span, MAX_MODELS)?,
            "provider" if object("provider", span)? => {
                self.provider = std::str::from_utf8(span).ok().and_then(Raw::parse);
            }
            "route" => self.route = text("route", span)?,
            "session_id" => self.session_id = text("session_id", span)?,
            "service_tier" | "serviceTier" => self.tier(span),
            _ => {}
        }
        Ok(())
    }

    /// A word, or as Bedrock has it, an object of its type. What is neither is for the upstream to refuse.
    fn tier(&mut self, span: &[u8]) {
        let word = json::string(span).or_else(|| json::field(span, "type").and_then(json::string));
        self.want.tier = word.and_then(|word| Tier::parse(&word));
    }

    fn param(&mut self, name: &'static str) {
        if !self.want.params.contains(&name) {
            self.want.params.push(name);
        }
    }

    fn seal(&mut self, family: &str) {
        const LONGEST: usize = 64;
        let known = self.want.sealed.iter().any(|f| f == family);
        if !known && !family.is_empty() && family.len() <= LONGEST && self.want.sealed.len() < MAX_SEALED {
            self.want.sealed.push(family.to_owned());
        }
    }
}

fn wrong<T>(at: impl Into<String>, why: &str) -> Result<T, Malformed> {
    Err(Malformed::new(at, why))
}

/// `null` counts as absent.
fn present(span: &[u8]) -> bool {
    span != b"null"
}

pub(crate) fn text(at: &str, span: &[u8]) -> Result<Option<String>, Malformed> {
    match Str::of(span) {
        Some(found) => Ok(Some(found.text().into_owned())),
        None if !present(span) => Ok(None),
        None => wrong(at, "must be a string"),
    }
}

pub(crate) fn flag(at: &str, span: &[u8]) -> Result<Option<bool>, Malformed> {
    match span {
        b"true" => Ok(Some(true)),
        b"false" => Ok(Some(false)),
        b"null" => Ok(None),
        _ => wrong(at, "must be true or false"),
    }
}

fn number(at: &str, span: &[u8]) -> Result<bool, Malformed> {
    match span.first() {
        Some(b'-' | b'0'..=b'9') => Ok(true),
        _ if !present(span) => Ok(false),
        _ => wrong(at, "must be a number"),
    }
}

pub(crate) fn whole(at: &str, span: &[u8], least: i64, most: i64) -> Result<Option<u64>, Malformed> {
    if !present(span) {
        return Ok(None);
    }
    match json::integer(span) {
        Some(n) if (least..=most).contains(&n) => Ok(u64::try_from(n).ok()),
        _ if most == i64::MAX && least == 1 => wrong(at, "must be a positive integer"),
        _ if most == i64::MAX => wrong(at, &format!("must be an integer of at least {least}")),
        _ => wrong(at, &format!("must be an integer from {least} to {most}")),
    }
}

pub(crate) fn object(at: &str, span: &[u8]) -> Result<bool, Malformed> {
    match span.first() {
        Some(b'{') => Ok(true),
        _ if !present(span) => Ok(false),
        _ => wrong(at, "must be an object"),
    }
}

pub(crate) fn array(at: &str, span: &[u8]) -> Result<bool, Malformed> {
    match span.first() {
        Some(b'[') => Ok(true),
        _ if !present(span) => Ok(false),
        _ => wrong(at, "must be an array"),
    }
}

pub(crate) fn texts(at: &str, span: &[u8], most: usize) -> Result<Vec<String>, Malformed> {
    let mut found = Vec::new();
    if !array(at, span)? {
        return Ok(found);
    }
    for (i, item) in json::items(span).enumerate() {
        if i >= most {
            return wrong(at, &format!("must hold at most {most} entries"));
        }
        match Str::of(item) {
            Some(text) => found.push(text.text().into_owned()),
            None => return wrong(format!("{at}[{i}]"), "must be a string"),
        }
    }
    Ok(found)
}

fn effort(at: &str, span: &[u8]) -> Result<Option<Effort>, Malformed> {
    let Some(word) = text(at, span)? else { return Ok(None) };
    match Effort::parse(&word) {
        Some(effort) => Ok(Some(effort)),
        None => {
            let words = Effort::ALL.map(Effort::name).join(", ");
            wrong(at, &format!("must be one of {words}, not {}", json::shown(&word)))
        }
    }
}

/// Which kind of media a MIME type names.
fn media_of(mime: &str) -> MediaKind {
    match mime.split('/').next() {
        Some("image") => MediaKind::Image,
        Some("audio") => MediaKind::Audio,
        Some("video") => MediaKind::Video,
        _ => MediaKind::File,
    }
}
