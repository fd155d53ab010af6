//! Turns as Converse's alternating messages: system text at the top, same roles merged, tool results first, the user's word first.

use super::media::{self, Album};
use super::sealed;
use crate::Quirks;
use crate::anthropic::ids::Ids;
use crate::anthropic::limits::replayable;
use crate::anthropic::messages::object_text;
use crate::object::{Writer, array};
use crate::quirks::Replay;
use slip_ir::{
    Block, Cache, Dialect, Loss, Media, MediaKind, Raw, Request, Role, Text, Thinking, ThinkingKind, ToolCall,
    ToolResult, Turn,
};
use std::borrow::Cow;

/// What a conversation that begins with the assistant is opened with, and what a document without words is given.
const OPENING: &str = "(the conversation begins)";
const BESIDE_A_DOCUMENT: &str = "(see the document)";

struct Message<'r> {
    assistant: bool,
    results: Vec<Part<'r>>,
    parts: Vec<Part<'r>>,
}

enum Part<'r> {
    Text(Cow<'r, str>),
    Document(Vec<u8>),
    Json(Vec<u8>),
    CachePoint(&'r Cache),
}

/// What the turns of a request come to.
#[derive(Default)]
pub struct Conversation<'r> {
    system: Vec<Part<'r>>,
    messages: Vec<Message<'r>>,
    /// Tools named in the history, each once.
    pub called: Vec<&'r str>,
    /// There are calls or results in the history.
    pub tools: bool,
}

impl<'r> Conversation<'r> {
    pub fn of(request: &'r Request, quirks: &Quirks, losses: &mut Vec<Loss>) -> Conversation<'r> {
        let album = Album::default();
        let mut telling = Telling { ids: Ids::new(quirks.tool_ids), album, quirks, losses, at: 0, cache_lost: false };
        let mut conversation = Conversation::default();
        for (n, turn) in request.turns.iter().enumerate() {
            telling.at = n;
            conversation.turn(turn, &mut telling);
        }
        if let (Some(cache), Some(last)) = (&request.params.cache, conversation.messages.last_mut())
            && quirks.cache_control
        {
            last.parts.push(Part::CachePoint(cache));
        }
        conversation.settle(losses);
        conversation
    }

    /// An instruction of ours, beside the caller's.
    pub fn instruct(&mut self, text: &'r str) {
        self.system.push(Part::Text(Cow::Borrowed(text)));
    }

    fn turn(&mut self, turn: &'r Turn, telling: &mut Telling<'_>) {
        if turn.name.is_some() {
            telling.lose("name", "messages have no names here");
        }
        if matches!(turn.role, Role::System | Role::Developer) {
            if !self.messages.is_empty() {
                telling.lose("role", "position of a later system message: it joined the system prompt");
            }
            turn.blocks.iter().for_each(|block| telling.system(block, &mut self.system));
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
                Block::ToolResult(result) if !assistant => {
                    self.tools = true;
                    telling.result(result, &mut message.results);
                }
                Block::ToolCall(call) if assistant => {
                    self.tools = true;
                    if !self.called.contains(&call.name.as_str()) {
                        self.called.push(&call.name);
                    }
                    telling.call(call, &mut message.parts);
                }
                _ if assistant => telling.assistant(block, &mut message.parts),
                _ => telling.user(block, &mut message.parts),
            }
        }
        if !(message.results.is_empty() && message.parts.is_empty()) {
            self.messages.push(message);
        }
    }

    /// The rules about the conversation as a whole.
    fn settle(&mut self, losses: &mut Vec<Loss>) {
        if let Some(last) = self.messages.last_mut().filter(|message| message.assistant)
            && let Some(Part::Text(text)) = last.parts.last_mut()
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
        if self.messages.first().is_some_and(|message| message.assistant) {
            losses.push(Loss::new("messages", "the user must speak first: a word was put before the assistant's"));
            let parts = vec![Part::Text(Cow::Borrowed(OPENING))];
            self.messages.insert(0, Message { assistant: false, results: Vec::new(), parts });
        }
        for message in self.messages.iter_mut().filter(|message| !message.assistant) {
            let documents = message.parts.iter().any(|part| matches!(part, Part::Document(_)));
            if documents && !message.parts.iter().any(|part| matches!(part, Part::Text(_))) {
                losses.push(Loss::new("messages", "a document needs words beside it: some were added"));
                message.parts.push(Part::Text(Cow::Borrowed(BESIDE_A_DOCUMENT)));
            }
        }
    }

    pub fn has_system(&self) -> bool {
        !self.system.is_empty()
    }

    pub fn write_system(&self, out: &mut Vec<u8>) {
        array(out, &self.system, |out, part| part.write(out));
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        array(out, &self.messages, |out, message| {
            let mut w = Writer::open(out);
            w.put("role", if message.assistant { "assistant" } else { "user" });
            array(w.key("content"), message.results.iter().chain(&message.parts), |out, part| part.write(out));
            w.close();
        });
    }
}

impl Part<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Part::Text(text) => {
                let mut w = Writer::open(out);
                w.text("text", text);
                w.close();
            }
            Part::Json(json) | Part::Document(json) => out.extend_from_slice(json),
            Part::CachePoint(cache) => write_cache_point(out, cache),
        }
    }
}

pub fn write_cache_point(out: &mut Vec<u8>, cache: &Cache) {
    let mut w = Writer::open(out);
    let mut point = Writer::open(w.key("cachePoint"));
    point.put("type", "default").put_some("ttl", &cache.ttl);
    point.close();
    w.close();
}

/// Tells blocks in Converse's words and keeps account of what it could not tell.
struct Telling<'t> {
    ids: Ids,
    album: Album,
    quirks: &'t Quirks,
    losses: &'t mut Vec<Loss>,
    /// Number of the turn.
    at: usize,
    cache_lost: bool,
}

impl Telling<'_> {
    fn lose(&mut self, what: &str, why: &'static str) {
        self.losses.push(media::lost(self.at, what, why));
    }

    /// A point stands after what is to be cached.
    fn cache<'r>(&mut self, cache: &'r Option<Cache>, out: &mut Vec<Part<'r>>) {
        if self.quirks.cache_control {
            out.extend(cache.as_ref().map(Part::CachePoint));
        } else if cache.is_some() && !std::mem::replace(&mut self.cache_lost, true) {
            self.losses.push(Loss::new("cache_control", "this upstream takes none on parts of a message"));
        }
    }

    fn text<'r>(&mut self, text: &'r Text, out: &mut Vec<Part<'r>>) {
        if text.signature.is_some() {
            self.lose("signature", "sealed by another family");
        }
        if text.text.trim().is_empty() {
            if !text.text.is_empty() {
                self.lose("text", "text of white space alone is refused");
            }
            return;
        }
        out.push(Part::Text(Cow::Borrowed(&text.text)));
        self.cache(&text.cache, out);
    }

    fn system<'r>(&mut self, block: &'r Block, out: &mut Vec<Part<'r>>) {
        match block {
            Block::Text(text) => self.text(text, out),
            Block::Opaque { dialect, raw } => self.opaque(*dialect, raw, out),
            _ => self.lose("content", "a system prompt holds text alone"),
        }
    }

    fn user<'r>(&mut self, block: &'r Block, out: &mut Vec<Part<'r>>) {
        match block {
            Block::Text(text) => self.text(text, out),
            Block::Media(media) => {
                if let Some(part) = self.media(media) {
                    out.push(part);
                    self.cache(&media.cache, out);
                }
            }
            Block::Opaque { dialect, raw } => self.opaque(*dialect, raw, out),
            _ => self.lose("content", "not a block a user can send"),
        }
    }

    fn assistant<'r>(&mut self, block: &'r Block, out: &mut Vec<Part<'r>>) {
        match block {
            Block::Text(text) => {
                if !text.annotations.is_empty() {
                    self.lose("annotations", "citations are not replayed");
                }
                self.text(text, out);
            }
            Block::Refusal(text) if text.trim().is_empty() => {}
            Block::Refusal(text) => out.push(Part::Text(Cow::Borrowed(text))),
            Block::Thinking(thinking) => self.thinking(thinking, out),
            Block::Opaque { dialect, raw } => self.opaque(*dialect, raw, out),
            Block::Media(media) => match self.media(media) {
                Some(part) if media.kind == MediaKind::Image => out.push(part),
                _ => self.lose("content", "an assistant message holds no such media here"),
            },
            Block::ToolCall(_) | Block::ToolResult(_) => {
                self.lose("content", "an assistant message holds no tool results")
            }
        }
    }

    fn opaque(&mut self, dialect: Dialect, raw: &Raw, out: &mut Vec<Part<'_>>) {
        if dialect == Dialect::Bedrock {
            out.push(Part::Json(raw.as_str().as_bytes().to_vec()));
        } else {
            self.lose("content", "a block of another dialect");
        }
    }

    fn media(&mut self, media: &Media) -> Option<Part<'static>> {
        let (losses, at) = (&mut *self.losses, self.at);
        let (kind, json) = self.album.write(media, |what, why| losses.push(media::lost(at, what, why)))?;
        Some(if kind == MediaKind::File { Part::Document(json) } else { Part::Json(json) })
    }

    /// Signed or sealed by Anthropic: byte for byte. Anything else is refused, unless this upstream wants its own words back.
    fn thinking(&mut self, thinking: &Thinking, out: &mut Vec<Part<'_>>) {
        let unsigned = thinking.kind == ThinkingKind::Text && thinking.signature.is_none();
        let replayed = match self.quirks.replay {
            Replay::Drop => false,
            Replay::Details => replayable(thinking),
            Replay::ReasoningContent | Replay::Reasoning => replayable(thinking) || unsigned,
        };
        if !replayed {
            return self.lose("reasoning", "neither signed nor sealed by this family");
        }
        let mut json = Vec::new();
        write_thinking(&mut json, thinking);
        out.push(Part::Json(json));
    }

    fn call<'r>(&mut self, call: &'r ToolCall, out: &mut Vec<Part<'r>>) {
        if call.signature.is_some() {
            self.lose("tool_calls.signature", "sealed by another family");
        }
        let input = object_text(&call.arguments);
        if input.is_none() {
            self.lose("tool_calls.arguments", "not a JSON object: sent as an empty one");
        }
        let mut json = Vec::new();
        write_call(&mut json, &self.ids.call(call), &call.name, input.unwrap_or("{}"));
        out.push(Part::Json(json));
        self.cache(&call.cache, out);
    }

    fn result<'r>(&mut self, result: &'r ToolResult, out: &mut Vec<Part<'r>>) {
        let mut content = Vec::new();
        result.content.iter().for_each(|block| self.user(block, &mut content));
        // A point inside a result is not allowed: it follows the result.
        let inner = content.iter().rev().find_map(|part| match part {
            Part::CachePoint(cache) => Some(*cache),
            _ => None,
        });
        let mut json = Vec::new();
        let mut w = Writer::open(&mut json);
        let mut body = Writer::open(w.key("toolResult"));
        body.put("toolUseId", &self.ids.result(result));
        let kept = content.iter().filter(|part| !matches!(part, Part::CachePoint(_)));
        array(body.key("content"), kept, |out, part| part.write(out));
        // Not every model takes a status; one that says nothing new is left out.
        if result.is_error {
            body.put("status", "error");
        }
        body.close();
        w.close();
        out.push(Part::Json(json));
        match inner {
            Some(cache) if result.cache.is_none() => out.push(Part::CachePoint(cache)),
            _ => self.cache(&result.cache, out),
        }
    }
}

/// A `reasoningContent` block.
pub fn write_thinking(out: &mut Vec<u8>, thinking: &Thinking) {
    use crate::anthropic::seal;
    let mut w = Writer::open(out);
    let mut inner = Writer::open(w.key("reasoningContent"));
    let id = thinking.id.as_deref();
    if thinking.kind == ThinkingKind::Encrypted {
        let data = thinking.data.as_deref().unwrap_or_default();
        inner.put("redactedContent", &sealed::to_blob(data, &thinking.format, id));
    } else {
        let mut text = Writer::open(inner.key("reasoningText"));
        text.text("text", &thinking.text);
        text.put_some("signature", &thinking.signature.as_ref().map(|s| seal::seal(&thinking.format, id, s)));
        text.close();
    }
    inner.close();
    w.close();
}

/// A `toolUse` block; `input` must be one JSON object.
pub fn write_call(out: &mut Vec<u8>, id: &str, name: &str, input: &str) {
    let mut w = Writer::open(out);
    let mut call = Writer::open(w.key("toolUse"));
    call.put("toolUseId", id).put("name", name).raw("input", input);
    call.close();
    w.close();
}
