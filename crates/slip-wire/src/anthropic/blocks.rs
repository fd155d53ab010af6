//! Content blocks as they are read, in requests and in whole replies alike.

use super::{citations, seal};
use crate::Malformed;
use crate::object::{Object, below, is_object, is_string, read};
use serde_json::value::RawValue;
use slip_ir::request::format;
use slip_ir::{
    Block, Cache, Dialect, Loss, Media, MediaKind, Raw, Source, Text, Thinking, ThinkingKind, ToolCall, ToolResult,
};

/// Reads the blocks of one message, in order.
pub struct Reader<'l> {
    /// Characters of text read so far: where the next block's citations point.
    chars: usize,
    losses: &'l mut Vec<Loss>,
}

/// Where blocks stand. Tool results hold content of their own, but not one another.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Message,
    ToolResult,
}

impl<'l> Reader<'l> {
    pub fn new(losses: &'l mut Vec<Loss>) -> Reader<'l> {
        Reader { chars: 0, losses }
    }

    /// A message's `content`: a string or an array of blocks.
    pub fn content(&mut self, raw: &RawValue, at: &str) -> Result<Vec<Block>, Malformed> {
        self.content_in(raw, at, Place::Message)
    }

    fn content_in(&mut self, raw: &RawValue, at: &str, place: Place) -> Result<Vec<Block>, Malformed> {
        if is_string(raw) {
            let text: String = read(raw, at, "a string or an array of blocks")?;
            return Ok(if text.is_empty() { Vec::new() } else { vec![Block::text(text)] });
        }
        let items: Vec<&RawValue> = read(raw, at, "a string or an array of blocks")?;
        items.into_iter().enumerate().map(|(n, item)| self.block(item, &format!("{at}[{n}]"), place)).collect()
    }

    fn block(&mut self, raw: &RawValue, at: &str, place: Place) -> Result<Block, Malformed> {
        let mut o = Object::parse(raw.get(), at)?;
        let kind = o.required("type", at)?;
        match kind.as_str() {
            "text" => self.text(o, at).map(Block::Text),
            "image" => Ok(image(o, at)?.map_or_else(|| opaque(raw), Block::Media)),
            "document" => Ok(document(o, at)?.map_or_else(|| opaque(raw), Block::Media)),
            "thinking" => thinking(o, at),
            "redacted_thinking" => redacted(o, at),
            "tool_use" => tool_use(o, at),
            "tool_result" if place == Place::ToolResult => {
                Err(Malformed::new(at, "a tool result cannot hold another tool result"))
            }
            "tool_result" => self.tool_result(o, at),
            _ => Ok(opaque(raw)),
        }
    }

    pub fn text(&mut self, mut o: Object<'_>, at: &str) -> Result<Text, Malformed> {
        let text = o.required("text", at)?;
        let cache = cache(&mut o, at)?;
        let start = self.chars;
        self.chars += text.chars().count();
        let annotations = match o.take("citations") {
            Some(raw) if !is_object(raw) => read::<Vec<&RawValue>>(raw, &below(at, "citations"), "an array")?
                .into_iter()
                .filter_map(|citation| citations::to_annotation(citation, start, self.chars))
                .collect(),
            _ => Vec::new(),
        };
        self.lose(o, at);
        Ok(Text { text, cache, annotations, signature: None })
    }

    fn tool_result(&mut self, mut o: Object<'_>, at: &str) -> Result<Block, Malformed> {
        let id = o.required("tool_use_id", at)?;
        let cache = cache(&mut o, at)?;
        let is_error = o.bool("is_error", at)?.unwrap_or(false);
        let content = match o.take("content") {
            // One block on its own is not in the documentation, but clients send it.
            Some(raw) if is_object(raw) => vec![self.block(raw, &below(at, "content"), Place::ToolResult)?],
            Some(raw) => self.content_in(raw, &below(at, "content"), Place::ToolResult)?,
            None => Vec::new(),
        };
        self.lose(o, at);
        Ok(Block::ToolResult(ToolResult { id, name: None, content, is_error, cache }))
    }

    fn lose(&mut self, o: Object<'_>, at: &str) {
        for (name, _) in o.rest() {
            if name != "type" {
                self.losses.push(Loss::new(below(at, &name), "not a member we know"));
            }
        }
    }
}

pub fn opaque(raw: &RawValue) -> Block {
    match Raw::parse(raw.get()) {
        Some(raw) => Block::Opaque { dialect: Dialect::Anthropic, raw },
        None => Block::text(""),
    }
}

/// `cache_control`, on blocks, tools and at the top alike.
pub fn cache(o: &mut Object<'_>, at: &str) -> Result<Option<Cache>, Malformed> {
    let Some(mut cache) = o.object("cache_control", at)? else { return Ok(None) };
    Ok(Some(Cache { ttl: cache.string("ttl", &below(at, "cache_control"))? }))
}

/// The sources images and documents share; `None` for one we do not know.
fn source(o: &mut Object<'_>, at: &str) -> Result<Option<Source>, Malformed> {
    let source = o.object("source", at)?;
    let at = below(at, "source");
    let mut source = source.ok_or_else(|| Malformed::new(&at, "is required"))?;
    Ok(match source.required("type", &at)?.as_str() {
        "base64" => {
            Some(Source::Data { mime: source.required("media_type", &at)?, base64: source.required("data", &at)? })
        }
        "url" => Some(Source::Url(source.required("url", &at)?)),
        "file" => Some(Source::FileId(source.required("file_id", &at)?)),
        "text" => Some(Source::Text(source.required("data", &at)?)),
        _ => None,
    })
}

fn image(mut o: Object<'_>, at: &str) -> Result<Option<Media>, Malformed> {
    let cache = cache(&mut o, at)?;
    let Some(source) = source(&mut o, at)? else { return Ok(None) };
    let media = Media { kind: MediaKind::Image, source, name: None, detail: None, cache, extra: o.rest_object() };
    Ok((!matches!(media.source, Source::Text(_))).then_some(media))
}

/// A document's title is its file name elsewhere. Documents made of blocks have no home in the vocabulary and stay opaque.
fn document(mut o: Object<'_>, at: &str) -> Result<Option<Media>, Malformed> {
    let cache = cache(&mut o, at)?;
    let name = o.string("title", at)?;
    let Some(source) = source(&mut o, at)? else { return Ok(None) };
    Ok(Some(Media { kind: MediaKind::File, source, name, detail: None, cache, extra: o.rest_object() }))
}

/// Unsigned thinking is nobody's: it cannot be replayed to Anthropic, whoever made it.
fn thinking(mut o: Object<'_>, at: &str) -> Result<Block, Malformed> {
    let text = o.string("thinking", at)?.unwrap_or_default();
    let signature = o.string("signature", at)?.filter(|s| !s.is_empty());
    let mut thinking = Thinking { text, format: format::UNKNOWN.to_owned(), ..Thinking::default() };
    match &signature {
        Some(signature) => {
            let unsealed = seal::unseal(signature);
            thinking.format = unsealed.format.to_owned();
            thinking.id = unsealed.id.map(str::to_owned);
            thinking.signature = (!unsealed.payload.is_empty()).then(|| unsealed.payload.to_owned());
        }
        None => {
            if let Some(name) = o.string("format", at)? {
                thinking.format = name;
            }
            thinking.id = o.string("id", at)?;
        }
    }
    Ok(Block::Thinking(thinking))
}

fn redacted(mut o: Object<'_>, at: &str) -> Result<Block, Malformed> {
    Ok(Block::Thinking(sealed(&o.required("data", at)?)))
}

pub fn sealed(data: &str) -> Thinking {
    let unsealed = seal::unseal(data);
    Thinking {
        kind: ThinkingKind::Encrypted,
        data: Some(unsealed.payload.to_owned()),
        format: unsealed.format.to_owned(),
        id: unsealed.id.map(str::to_owned),
        ..Thinking::default()
    }
}

fn tool_use(mut o: Object<'_>, at: &str) -> Result<Block, Malformed> {
    let id = o.required("id", at)?;
    let name = o.required("name", at)?;
    let cache = cache(&mut o, at)?;
    let arguments = match o.take("input") {
        Some(raw) if is_object(raw) => raw.get().to_owned(),
        Some(_) => return Err(Malformed::new(below(at, "input"), "must be an object")),
        None => "{}".to_owned(),
    };
    Ok(Block::ToolCall(ToolCall { id, name, arguments, signature: None, extra: o.rest_object(), cache }))
}
