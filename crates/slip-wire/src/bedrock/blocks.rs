//! Content blocks as they are read, in requests and in whole replies alike. Each is an object of one member, which is its kind.

use super::{citations, media, sealed};
use crate::Malformed;
use crate::anthropic::seal;
use crate::object::{Object, below, is_object};
use serde_json::value::RawValue;
use slip_ir::request::format;
use slip_ir::{Block, Cache, Dialect, Loss, Raw, Text, Thinking, ToolCall, ToolResult};
use std::borrow::Cow;

/// Reads the blocks of one message, in order.
pub struct Reader<'l> {
    /// Characters of text read so far: where the next block's citations point.
    chars: usize,
    /// Whose message it is: results of tools the model ran by itself stand in its own.
    assistant: bool,
    losses: &'l mut Vec<Loss>,
}

impl<'l> Reader<'l> {
    pub fn new(assistant: bool, losses: &'l mut Vec<Loss>) -> Reader<'l> {
        Reader { chars: 0, assistant, losses }
    }

    pub fn content(&mut self, items: Vec<&RawValue>, at: &str) -> Result<Vec<Block>, Malformed> {
        let mut blocks = Vec::new();
        for (n, item) in items.into_iter().enumerate() {
            let at = format!("{at}[{n}]");
            let (kind, inner) = only(item, &at)?;
            if kind == "cachePoint" {
                self.cache_point(inner, &at, &mut blocks)?;
            } else {
                blocks.push(self.block(item, &kind, inner, &below(&at, &kind))?);
            }
        }
        Ok(blocks)
    }

    /// A point marks what stands before it.
    fn cache_point(&mut self, raw: &RawValue, at: &str, blocks: &mut [Block]) -> Result<(), Malformed> {
        let point = cache(raw, at)?;
        match blocks.last_mut() {
            Some(Block::Text(text)) => text.cache = Some(point),
            Some(Block::Media(media)) => media.cache = Some(point),
            Some(Block::ToolCall(call)) => call.cache = Some(point),
            Some(Block::ToolResult(result)) => result.cache = Some(point),
            _ => self.losses.push(Loss::new(at.to_owned(), "there is nothing before it to be cached")),
        }
        Ok(())
    }

    fn block(&mut self, whole: &RawValue, kind: &str, inner: &RawValue, at: &str) -> Result<Block, Malformed> {
        if let Some(of) = media::kind_of(kind) {
            let media = media::read(of, Object::parse(inner.get(), at)?, at)?;
            return Ok(media.map_or_else(|| opaque(whole), Block::Media));
        }
        match kind {
            "text" => {
                let text: String = crate::object::read(inner, at, "a string")?;
                self.chars += text.chars().count();
                Ok(Block::text(text))
            }
            "reasoningContent" => {
                reasoning(inner, at).map(|thinking| thinking.map_or_else(|| opaque(whole), Block::Thinking))
            }
            "toolUse" => tool_use(inner, at).map(|call| call.map_or_else(|| opaque(whole), Block::ToolCall)),
            "toolResult" if self.assistant => Ok(opaque(whole)),
            "toolResult" => self.tool_result(inner, at),
            "citationsContent" => self.cited(inner, at),
            "guardContent" => Ok(self.guarded(inner, at).unwrap_or_else(|| opaque(whole))),
            _ => Ok(opaque(whole)),
        }
    }

    fn tool_result(&mut self, raw: &RawValue, at: &str) -> Result<Block, Malformed> {
        let mut o = Object::parse(raw.get(), at)?;
        let id = o.required("toolUseId", at)?;
        let is_error = o.string("status", at)?.as_deref() == Some("error");
        let within = below(at, "content");
        let mut content = Vec::new();
        for (n, item) in o.array("content", at)?.unwrap_or_default().into_iter().enumerate() {
            let at = format!("{within}[{n}]");
            let (kind, inner) = only(item, &at)?;
            content.push(match &*kind {
                "json" => Block::text(inner.get()),
                "toolResult" => return Err(Malformed::new(at, "a tool result cannot hold another tool result")),
                kind => self.block(item, kind, inner, &below(&at, kind))?,
            });
        }
        Ok(Block::ToolResult(ToolResult { id, name: None, content, is_error, cache: None }))
    }

    /// Text that rests on sources: one block of text here.
    fn cited(&mut self, raw: &RawValue, at: &str) -> Result<Block, Malformed> {
        let mut o = Object::parse(raw.get(), at)?;
        let mut text = String::new();
        for part in o.array("content", at)?.unwrap_or_default() {
            text.push_str(&Object::parse(part.get(), at)?.string("text", at)?.unwrap_or_default());
        }
        let start = self.chars;
        self.chars += text.chars().count();
        let cited = o.array("citations", at)?.unwrap_or_default().into_iter();
        let annotations = cited.filter_map(|raw| citations::to_annotation(raw, start, self.chars)).collect();
        Ok(Block::Text(Text { text, annotations, ..Text::default() }))
    }

    /// What a guardrail shall look at is said to the model all the same.
    fn guarded(&mut self, raw: &RawValue, at: &str) -> Option<Block> {
        let mut o = Object::parse(raw.get(), at).ok()?;
        let text = o.object("text", at).ok()??.string("text", at).ok()??;
        self.losses.push(Loss::new(at.to_owned(), "a mark for guardrails"));
        self.chars += text.chars().count();
        Some(Block::text(text))
    }
}

/// The one member of a union, and its name.
pub fn only<'a>(raw: &'a RawValue, at: &str) -> Result<(Cow<'a, str>, &'a RawValue), Malformed> {
    let member = Object::parse(raw.get(), at)?.rest().next();
    member.ok_or_else(|| Malformed::new(at, "must have a member that says what it is"))
}

pub fn opaque(raw: &RawValue) -> Block {
    match Raw::parse(raw.get()) {
        Some(raw) => Block::Opaque { dialect: Dialect::Bedrock, raw },
        None => Block::text(""),
    }
}

pub fn cache(raw: &RawValue, at: &str) -> Result<Cache, Malformed> {
    Ok(Cache { ttl: Object::parse(raw.get(), at)?.string("ttl", at)? })
}

/// Reasoning with a signature is Anthropic's, unless our own mark says whose; without one it is nobody's, and cannot be read again.
fn reasoning(raw: &RawValue, at: &str) -> Result<Option<Thinking>, Malformed> {
    let mut o = Object::parse(raw.get(), at)?;
    if let Some(blob) = o.string("redactedContent", at)? {
        return Ok(Some(sealed::from_blob(&blob)));
    }
    let Some(mut text) = o.object("reasoningText", at)? else { return Ok(None) };
    let mut thinking = Thinking {
        text: text.string("text", at)?.unwrap_or_default(),
        format: format::UNKNOWN.to_owned(),
        ..Thinking::default()
    };
    if let Some(signature) = text.string("signature", at)?.filter(|signature| !signature.is_empty()) {
        let unsealed = seal::unseal(&signature);
        thinking.format = unsealed.format.to_owned();
        thinking.id = unsealed.id.map(str::to_owned);
        thinking.signature = (!unsealed.payload.is_empty()).then(|| unsealed.payload.to_owned());
    }
    Ok(Some(thinking))
}

/// A call for the caller; one the provider ran by itself is none.
fn tool_use(raw: &RawValue, at: &str) -> Result<Option<ToolCall>, Malformed> {
    let mut o = Object::parse(raw.get(), at)?;
    if is_server(o.string("type", at)?.as_deref()) {
        return Ok(None);
    }
    let (id, name) = (o.required("toolUseId", at)?, o.required("name", at)?);
    let arguments = match o.take("input") {
        Some(raw) if is_object(raw) => raw.get().to_owned(),
        Some(_) => return Err(Malformed::new(below(at, "input"), "must be an object")),
        None => "{}".to_owned(),
    };
    Ok(Some(ToolCall { id, name, arguments, ..ToolCall::default() }))
}

/// Whether a call's `type` says that the provider runs it.
pub fn is_server(kind: Option<&str>) -> bool {
    kind.is_some_and(|kind| kind != "tool_use")
}
