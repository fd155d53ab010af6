//! Turns as Anthropic's alternating messages: one system prompt at the top, same roles merged, tool results first.

use super::ids::Ids;
use super::{citations, limits};
use crate::Quirks;
use crate::json::write_string;
use crate::object::{Object, Writer, array};
use crate::openai_chat::media::{data_url, plain_type};
use crate::quirks::Replay;
use base64::Engine;
use slip_ir::{
    Block, Cache, Dialect, Loss, Media, MediaKind, Raw, Request, Role, Source, Text, Thinking, ThinkingKind, ToolCall,
    ToolResult, Turn,
};
use std::borrow::Cow;

/// Image types Anthropic reads.
const IMAGES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];
/// Members of a document or image beside its source and title.
const MEDIA_EXTRA: [&str; 2] = ["context", "citations"];
/// Members of a tool call beside its name and input.
const CALL_EXTRA: [&str; 1] = ["caller"];

/// One content block on its way out. Text is kept apart until the end: lone plain text is written as a string, and the last word
/// of an unfinished assistant turn is trimmed.
#[derive(Debug)]
pub enum Part<'r> {
    Text { text: Cow<'r, str>, cache: Option<&'r Cache>, citations: Vec<Raw> },
    Json(Vec<u8>),
}

#[derive(Debug)]
struct Message<'r> {
    assistant: bool,
    results: Vec<Part<'r>>,
    parts: Vec<Part<'r>>,
}

/// What the turns of a request come to.
#[derive(Debug, Default)]
pub struct Conversation<'r> {
    pub system: Vec<Part<'r>>,
    messages: Vec<Message<'r>>,
}

impl<'r> Conversation<'r> {
    pub fn of(request: &'r Request, quirks: &Quirks, losses: &mut Vec<Loss>) -> Conversation<'r> {
        let mut telling = Telling { ids: Ids::new(quirks.tool_ids), quirks, losses, at: 0, cache_lost: false };
        let mut conversation = Conversation::default();
        for (n, turn) in request.turns.iter().enumerate() {
            telling.at = n;
            conversation.turn(turn, &mut telling);
        }
        conversation.settle(losses);
        conversation
    }

    fn turn(&mut self, turn: &'r Turn, telling: &mut Telling<'_>) {
        if turn.name.is_some() {
            telling.lose("name", "messages have no names here");
        }
        if matches!(turn.role, Role::System | Role::Developer) {
            if !self.messages.is_empty() {
                telling.lose("role", "position of a later system message: it joined the system prompt");
            }
            self.system.extend(turn.blocks.iter().filter_map(|block| telling.system(block)));
            return;
        }
        let assistant = turn.role == Role::Assistant;
        let mut message = match self.messages.pop() {
            Some(last) if last.assistant == assistant => last,
            last => {
                self.messages.extend(last);
                Message { assistant, results: Vec::new(), parts: Vec::new() }
            }
        };
        for block in &turn.blocks {
            match block {
                Block::ToolResult(result) if !assistant => message.results.push(Part::Json(telling.result(result))),
                _ if assistant => message.parts.extend(telling.assistant(block)),
                _ => message.parts.extend(telling.user(block)),
            }
        }
        if !(message.results.is_empty() && message.parts.is_empty()) {
            self.messages.push(message);
        }
    }

    /// The rules about the conversation as a whole.
    fn settle(&mut self, losses: &mut Vec<Loss>) {
        if let Some(last) = self.messages.last_mut().filter(|message| message.assistant)
            && let Some(Part::Text { text, .. }) = last.parts.last_mut()
            && text.trim_end().len() != text.len()
        {
            *text = Cow::Owned(text.trim_end().to_owned());
            losses.push(Loss::new("messages", "white space at the end of the last assistant message is refused"));
        }
        if self.messages.is_empty() && !self.system.is_empty() {
            losses.push(Loss::new("messages", "a system prompt alone is refused: it is sent as the user's"));
            let parts = std::mem::take(&mut self.system);
            self.messages.push(Message { assistant: false, results: Vec::new(), parts });
        }
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        array(out, &self.messages, |out, message| {
            let mut w = Writer::open(out);
            w.put("role", if message.assistant { "assistant" } else { "user" });
            let parts: Vec<&Part<'_>> = message.results.iter().chain(&message.parts).collect();
            write_parts(w.key("content"), &parts);
            w.close();
        });
    }
}

/// A string where one plain text is all there is, else an array of blocks.
pub fn write_parts(out: &mut Vec<u8>, parts: &[&Part<'_>]) {
    if let [Part::Text { text, cache: None, citations }] = parts
        && citations.is_empty()
    {
        return write_string(text, out);
    }
    array(out, parts, |out, part| match part {
        Part::Json(bytes) => out.extend_from_slice(bytes),
        Part::Text { text, cache, citations } => {
            let mut w = Writer::open(out);
            w.put("type", "text").text("text", text);
            if !citations.is_empty() {
                w.put("citations", citations);
            }
            write_cache(&mut w, *cache);
            w.close();
        }
    });
}

pub fn write_cache(w: &mut Writer<'_>, cache: Option<&Cache>) {
    if let Some(cache) = cache {
        write_cache_value(w.key("cache_control"), cache);
    }
}

pub fn write_cache_value(out: &mut Vec<u8>, cache: &Cache) {
    let mut w = Writer::open(out);
    w.put("type", "ephemeral").put_some("ttl", &cache.ttl);
    w.close();
}

/// Tells blocks in Anthropic's words and keeps account of what it could not tell.
struct Telling<'t> {
    ids: Ids,
    quirks: &'t Quirks,
    losses: &'t mut Vec<Loss>,
    /// Number of the turn.
    at: usize,
    cache_lost: bool,
}

impl Telling<'_> {
    fn lose(&mut self, what: &str, why: &'static str) {
        self.losses.push(Loss::new(format!("messages[{}].{what}", self.at), why));
    }

    fn cache<'r>(&mut self, cache: &'r Option<Cache>) -> Option<&'r Cache> {
        if self.quirks.cache_control {
            return cache.as_ref();
        }
        if cache.is_some() && !std::mem::replace(&mut self.cache_lost, true) {
            self.losses.push(Loss::new("cache_control", "this upstream takes none on parts of a message"));
        }
        None
    }

    fn text<'r>(&mut self, text: &'r Text) -> Option<Part<'r>> {
        if text.signature.is_some() {
            self.lose("signature", "sealed by another family");
        }
        if text.text.trim().is_empty() {
            if !text.text.is_empty() {
                self.lose("text", "text of white space alone is refused");
            }
            return None;
        }
        Some(Part::Text { text: Cow::Borrowed(&text.text), cache: self.cache(&text.cache), citations: Vec::new() })
    }

    fn system<'r>(&mut self, block: &'r Block) -> Option<Part<'r>> {
        match block {
            Block::Text(text) => self.text(text),
            _ => self.lost("content", "a system prompt holds text alone"),
        }
    }

    fn user<'r>(&mut self, block: &'r Block) -> Option<Part<'r>> {
        match block {
            Block::Text(text) => self.text(text),
            Block::Media(media) => self.media(media).map(Part::Json),
            Block::Opaque { dialect, raw } => self.opaque(*dialect, raw),
            _ => self.lost("content", "not a block a user can send"),
        }
    }

    fn assistant<'r>(&mut self, block: &'r Block) -> Option<Part<'r>> {
        match block {
            Block::Text(text) => {
                let cited: Vec<Raw> = text.annotations.iter().filter_map(|a| citations::to_citation(a, true)).collect();
                if cited.len() < text.annotations.len() {
                    self.lose("annotations", "cannot be told as citations of this dialect");
                }
                match self.text(text)? {
                    Part::Text { text, cache, .. } => Some(Part::Text { text, cache, citations: cited }),
                    part => Some(part),
                }
            }
            Block::Refusal(text) if text.trim().is_empty() => None,
            Block::Refusal(text) => Some(Part::Text { text: Cow::Borrowed(text), cache: None, citations: Vec::new() }),
            Block::Thinking(thinking) => self.thinking(thinking),
            Block::ToolCall(call) => Some(Part::Json(self.call(call))),
            Block::Opaque { dialect, raw } => self.opaque(*dialect, raw),
            Block::Media(_) => self.lost("content", "an assistant message holds no media here"),
            Block::ToolResult(_) => self.lost("content", "an assistant message holds no tool results"),
        }
    }

    fn lost<'r>(&mut self, what: &str, why: &'static str) -> Option<Part<'r>> {
        self.lose(what, why);
        None
    }

    fn opaque<'r>(&mut self, dialect: Dialect, raw: &Raw) -> Option<Part<'r>> {
        if dialect != Dialect::Anthropic {
            return self.lost("content", "a block of another dialect");
        }
        Some(Part::Json(raw.as_str().as_bytes().to_vec()))
    }

    /// Signed or sealed by Anthropic: byte for byte. Anything else would be refused, except by imitators that sign nothing and
    /// want their own words back.
    fn thinking<'r>(&mut self, thinking: &Thinking) -> Option<Part<'r>> {
        let unsigned = thinking.kind == ThinkingKind::Text && thinking.signature.is_none();
        let replayed = match self.quirks.replay {
            Replay::Drop => false,
            Replay::Details => limits::replayable(thinking),
            Replay::ReasoningContent | Replay::Reasoning => limits::replayable(thinking) || unsigned,
        };
        if !replayed {
            return self.lost("reasoning", "neither signed nor sealed by this family");
        }
        let mut out = Vec::new();
        let mut w = Writer::open(&mut out);
        match thinking.kind {
            ThinkingKind::Encrypted => {
                let data = thinking.data.as_deref().map(crate::bedrock::sealed::for_anthropic);
                w.put("type", "redacted_thinking").put_some("data", &data)
            }
            ThinkingKind::Text | ThinkingKind::Summary => {
                w.put("type", "thinking").put("thinking", &thinking.text).put_some("signature", &thinking.signature)
            }
        };
        w.close();
        Some(Part::Json(out))
    }

    fn call(&mut self, call: &ToolCall) -> Vec<u8> {
        if call.signature.is_some() {
            self.lose("tool_calls.signature", "sealed by another family");
        }
        let mut out = Vec::new();
        let mut w = Writer::open(&mut out);
        w.put("type", "tool_use").put("id", &self.ids.call(call)).put("name", &call.name);
        match object_text(&call.arguments) {
            Some(input) => w.raw("input", input),
            None => {
                self.lose("tool_calls.arguments", "not a JSON object: sent as an empty one");
                w.raw("input", "{}")
            }
        };
        if let Some(extra) = &call.extra {
            w.known(extra, &CALL_EXTRA, |name| self.lose(&format!("tool_calls.{name}"), "not known to this dialect"));
        }
        write_cache(&mut w, self.cache(&call.cache));
        w.close();
        out
    }

    fn result(&mut self, result: &ToolResult) -> Vec<u8> {
        let parts: Vec<Part<'_>> = result.content.iter().filter_map(|block| self.user(block)).collect();
        let mut out = Vec::new();
        let mut w = Writer::open(&mut out);
        w.put("type", "tool_result").put("tool_use_id", &self.ids.result(result));
        if !parts.is_empty() {
            write_parts(w.key("content"), &parts.iter().collect::<Vec<_>>());
        }
        if result.is_error {
            w.put("is_error", &true);
        }
        write_cache(&mut w, self.cache(&result.cache));
        w.close();
        out
    }

    fn media(&mut self, media: &Media) -> Option<Vec<u8>> {
        if media.detail.as_deref().is_some_and(|detail| detail != "auto") {
            self.lose("image_url.detail", "not known to this dialect");
        }
        let source = self.source(media)?;
        let document = matches!(&source, Placed::Document(_));
        let (Placed::Image(source) | Placed::Document(source)) = source;
        let mut out = Vec::new();
        let mut w = Writer::open(&mut out);
        w.put("type", if document { "document" } else { "image" });
        write_source(w.key("source"), &source);
        if document {
            w.put_some("title", &media.name);
        }
        if let Some(extra) = &media.extra {
            let known: &[&str] = if document { &MEDIA_EXTRA } else { &[] };
            w.known(extra, known, |name| self.lose(name, "not known to this dialect"));
        }
        write_cache(&mut w, self.cache(&media.cache));
        w.close();
        Some(out)
    }

    /// Which kind of block a piece of media becomes. By its real type rather than by the part it came in: an image sent as a file
    /// is an image.
    fn source<'r>(&mut self, media: &'r Media) -> Option<Placed<'r>> {
        let source = match &media.source {
            Source::Url(url) => match data_url(url) {
                Some((mime, base64)) => From::Data { mime: Cow::Borrowed(mime), base64 },
                None if media.kind == MediaKind::Image && !self.quirks.image_urls => {
                    self.lose("image_url", "this upstream does not fetch images");
                    return None;
                }
                None => From::Url(url),
            },
            Source::Data { mime, base64 } => From::Data { mime: Cow::Borrowed(mime), base64 },
            Source::Text(text) => From::Text(Cow::Borrowed(text)),
            Source::FileId(id) => From::FileId(id),
        };
        match (media.kind, source) {
            (MediaKind::Audio, _) => self.unreadable("input_audio", "this dialect takes no audio"),
            (MediaKind::Video, _) => self.unreadable("video_url", "this dialect takes no video"),
            (MediaKind::Image, From::Text(_)) => self.unreadable("image_url", "text is not an image"),
            (_, From::Data { mime, base64 }) => match plain_type(&mime).as_str() {
                "image/jpg" => Some(Placed::Image(From::Data { mime: Cow::Borrowed("image/jpeg"), base64 })),
                image if IMAGES.contains(&image) => Some(Placed::Image(From::Data { mime, base64 })),
                "application/pdf" => Some(Placed::Document(From::Data { mime, base64 })),
                text if text.starts_with("text/") || text == "application/json" => match decoded(base64) {
                    Some(text) => Some(Placed::Document(From::Text(Cow::Owned(text)))),
                    None => self.unreadable("file", "not readable as text"),
                },
                _ => self.unreadable("content", "a media type this dialect does not read"),
            },
            (MediaKind::Image, source) => Some(Placed::Image(source)),
            (MediaKind::File, source) => Some(Placed::Document(source)),
        }
    }

    fn unreadable<'r>(&mut self, what: &str, why: &'static str) -> Option<Placed<'r>> {
        self.lose(what, why);
        None
    }
}

enum Placed<'r> {
    Image(From<'r>),
    Document(From<'r>),
}

enum From<'r> {
    Url(&'r str),
    Data { mime: Cow<'r, str>, base64: &'r str },
    Text(Cow<'r, str>),
    FileId(&'r str),
}

fn write_source(out: &mut Vec<u8>, source: &From<'_>) {
    let mut w = Writer::open(out);
    match source {
        From::Url(url) => w.put("type", "url").put("url", url),
        From::Data { mime, base64 } => w.put("type", "base64").put("media_type", mime).put("data", base64),
        From::Text(text) => w.put("type", "text").put("media_type", "text/plain").put("data", text),
        From::FileId(id) => w.put("type", "file").put("file_id", id),
    };
    w.close();
}

fn decoded(base64: &str) -> Option<String> {
    base64::engine::general_purpose::STANDARD.decode(base64).ok().and_then(|bytes| String::from_utf8(bytes).ok())
}

/// The arguments of a call as the text of one JSON object; nothing at all means no arguments.
pub fn object_text(arguments: &str) -> Option<&str> {
    let text = arguments.trim();
    if text.is_empty() {
        return Some("{}");
    }
    Object::parse(text, "").is_ok().then_some(text)
}
