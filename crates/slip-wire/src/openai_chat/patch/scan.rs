//! Where the members of an upstream's chunk or reply lie. One pass, which also proves the document valid.

use super::{MAX_CHOICES, Span, error};
use crate::json::{Bad, Cursor};

/// The top level of a chunk or reply. Reused from frame to frame, so that steady state allocates nothing.
#[derive(Default)]
pub(super) struct Scan {
    pub choices: Vec<Choice>,
    pub usage: Option<Span>,
    /// Some servers count inside a choice.
    pub inner_usage: Option<Span>,
    pub error: Option<Span>,
    pub id: Option<Span>,
    pub model: Option<Span>,
    pub fingerprint: Option<Span>,
    pub tier: Option<Span>,
    /// `"object":"error"`, or a bare message without choices.
    pub is_error: bool,
    pub has_choices: bool,
    /// Unmodelled members of the top level.
    pub extras: Vec<Extra>,
    /// Unmodelled members of the choices.
    pub outer: Vec<Extra>,
    /// Unmodelled members of their deltas and messages.
    pub inner: Vec<Extra>,
}

/// A member by its spans; the key's span includes the quotes.
pub(super) struct Extra {
    pub key: Span,
    pub value: Span,
}

#[derive(Default)]
pub(super) struct Choice {
    pub index: Option<Span>,
    pub finish: Option<Span>,
    pub native: Option<Span>,
    pub logprobs: Option<Span>,
    pub error: Option<Span>,
    pub delta: Option<Message>,
    /// Of a whole reply; some servers repeat the message so far beside each delta.
    pub message: Option<Message>,
    /// In [`Scan::outer`].
    pub extras: Span,
}

/// A `delta` or `message`.
#[derive(Default)]
pub(super) struct Message {
    pub content: Option<Span>,
    pub reasoning: Option<Span>,
    pub details: Option<Span>,
    pub tools: Option<Span>,
    /// In [`Scan::inner`].
    pub extras: Span,
}

/// Keys whose value is written anew or of no use to a caller.
fn is_replaced(key: &[u8]) -> bool {
    matches!(
        key,
        b"object"
            | b"created"
            | b"provider"
            | b"p"
            | b"obfuscation"
            | b"copilot_usage"
            | b"usage_breakdown"
            | b"prompt_filter_results"
            | b"latency_checkpoint"
    )
}

impl Scan {
    fn clear(&mut self) {
        let Scan { choices, extras, outer, inner, is_error, has_choices, .. } = self;
        choices.clear();
        extras.clear();
        outer.clear();
        inner.clear();
        (*is_error, *has_choices) = (false, false);
        let Scan { usage, inner_usage, error, id, model, fingerprint, tier, .. } = self;
        for span in [usage, inner_usage, error, id, model, fingerprint, tier] {
            *span = None;
        }
    }

    pub fn read(&mut self, bytes: &[u8]) -> Result<(), Bad> {
        self.clear();
        let mut cursor = Cursor::new(bytes);
        cursor.object()?;
        let mut first = true;
        let mut bare = false;
        while let Some(key) = cursor.key(&mut first)? {
            match &*key.bytes() {
                b"choices" if cursor.peek() == Some(b'[') => {
                    self.has_choices = true;
                    cursor.array()?;
                    let mut first = true;
                    while cursor.item(&mut first)? {
                        if cursor.peek() == Some(b'{') && self.choices.len() < MAX_CHOICES {
                            let choice = self.choice(&mut cursor)?;
                            self.choices.push(choice);
                        } else {
                            cursor.value()?;
                        }
                    }
                }
                b"usage" => set_object(&mut self.usage, span(&mut cursor)?, bytes),
                b"x_groq" => {
                    // The name stands for a place other servers leave empty: usage beside the standard member.
                    let whole = span(&mut cursor)?;
                    self.inner_usage = nested(bytes, &whole, "usage").or(self.inner_usage.take());
                    if let Some(inner) = nested(bytes, &whole, "error") {
                        self.error.get_or_insert(inner);
                    }
                }
                b"error" => {
                    let found = span(&mut cursor)?;
                    if error::says_something(&bytes[found.clone()]) {
                        self.error = Some(found);
                    }
                }
                b"id" => set_string(&mut self.id, span(&mut cursor)?, bytes),
                b"model" => set_string(&mut self.model, span(&mut cursor)?, bytes),
                b"system_fingerprint" => set_string(&mut self.fingerprint, span(&mut cursor)?, bytes),
                b"service_tier" => set_string(&mut self.tier, span(&mut cursor)?, bytes),
                b"object" | b"type" => self.is_error |= cursor.value()? == b"\"error\"",
                name if is_replaced(name) => {
                    cursor.value()?;
                }
                name => {
                    bare |= matches!(name, b"message" | b"detail" | b"msg" | b"errors" | b"error_message");
                    let key = key.start()..key.start() + key.raw().len() + 2;
                    let value = span(&mut cursor)?;
                    if &bytes[value.clone()] != b"null" {
                        self.extras.push(Extra { key, value });
                    }
                }
            }
        }
        cursor.end()?;
        self.is_error |= bare && !self.has_choices && self.error.is_none();
        Ok(())
    }

    fn choice(&mut self, cursor: &mut Cursor<'_>) -> Result<Choice, Bad> {
        cursor.object()?;
        let mut choice = Choice::default();
        let from = self.outer.len();
        let mut first = true;
        while let Some(key) = cursor.key(&mut first)? {
            match &*key.bytes() {
                b"index" => choice.index = Some(span(cursor)?),
                b"finish_reason" => choice.finish = some(cursor)?,
                b"native_finish_reason" => choice.native = some(cursor)?,
                b"logprobs" => choice.logprobs = some(cursor)?,
                b"error" => choice.error = some(cursor)?,
                b"usage" => {
                    let found = span(cursor)?;
                    self.inner_usage.get_or_insert(found);
                }
                b"delta" if cursor.peek() == Some(b'{') => choice.delta = Some(self.message(cursor)?),
                b"message" if cursor.peek() == Some(b'{') => choice.message = Some(self.message(cursor)?),
                b"delta" | b"message" => {
                    cursor.value()?;
                }
                _ => {
                    let key = key.start()..key.start() + key.raw().len() + 2;
                    if let Some(value) = some(cursor)? {
                        self.outer.push(Extra { key, value });
                    }
                }
            }
        }
        choice.extras = from..self.outer.len();
        Ok(choice)
    }

    fn message(&mut self, cursor: &mut Cursor<'_>) -> Result<Message, Bad> {
        cursor.object()?;
        let mut message = Message::default();
        let from = self.inner.len();
        let mut first = true;
        while let Some(key) = cursor.key(&mut first)? {
            match &*key.bytes() {
                b"role" => {
                    cursor.value()?;
                }
                b"content" => message.content = some(cursor)?,
                b"reasoning" => {
                    let found = filled(cursor)?;
                    message.reasoning = found.or(message.reasoning.take());
                }
                b"reasoning_content" | b"thinking" => {
                    let found = filled(cursor)?;
                    message.reasoning = message.reasoning.take().or(found);
                }
                b"reasoning_details" => message.details = listed(cursor)?,
                b"tool_calls" => message.tools = listed(cursor)?,
                _ => {
                    let key = key.start()..key.start() + key.raw().len() + 2;
                    if let Some(value) = some(cursor)? {
                        self.inner.push(Extra { key, value });
                    }
                }
            }
        }
        message.extras = from..self.inner.len();
        Ok(message)
    }
}

/// The value that comes next, by its place.
fn span(cursor: &mut Cursor<'_>) -> Result<Span, Bad> {
    cursor.peek();
    let from = cursor.at();
    cursor.value()?;
    Ok(from..cursor.at())
}

/// [`span`], when it is not `null`.
fn some(cursor: &mut Cursor<'_>) -> Result<Option<Span>, Bad> {
    let null = cursor.peek() == Some(b'n');
    let found = span(cursor)?;
    Ok((!null).then_some(found))
}

/// [`span`], when it is a string with something in it.
fn filled(cursor: &mut Cursor<'_>) -> Result<Option<Span>, Bad> {
    let string = cursor.peek() == Some(b'"');
    let found = span(cursor)?;
    Ok((string && found.len() > 2).then_some(found))
}

/// [`span`], when it is an array with something in it.
fn listed(cursor: &mut Cursor<'_>) -> Result<Option<Span>, Bad> {
    let array = cursor.peek() == Some(b'[');
    let value = cursor.value()?;
    let end = cursor.at();
    let some = array && value[1..].trim_ascii_start().first() != Some(&b']');
    Ok(some.then_some(end - value.len()..end))
}

fn set_object(slot: &mut Option<Span>, found: Span, bytes: &[u8]) {
    if bytes.get(found.start) == Some(&b'{') {
        *slot = Some(found);
    }
}

fn set_string(slot: &mut Option<Span>, found: Span, bytes: &[u8]) {
    if bytes.get(found.start) == Some(&b'"') && found.len() > 2 {
        *slot = Some(found);
    }
}

/// An object member of the object at `whole`, by its place in `bytes`.
fn nested(bytes: &[u8], whole: &Span, name: &str) -> Option<Span> {
    let mut cursor = Cursor::new(bytes.get(..whole.end)?);
    cursor.skip_to(whole.start);
    if cursor.peek() != Some(b'{') {
        return None;
    }
    cursor.object().ok()?;
    let mut first = true;
    while let Some(key) = cursor.key(&mut first).ok()? {
        let found = span(&mut cursor).ok()?;
        if key.is(name) {
            return matches!(bytes.get(found.start), Some(b'{' | b'"')).then_some(found);
        }
    }
    None
}
