//! Turns as items: messages, reasoning, calls and outputs in one list, in the order in which they were said.

use super::{annotations, seal};
use crate::Quirks;
use crate::anthropic::ids::Ids;
use crate::json::write_string;
use crate::object::{Writer, array};
use crate::openai_chat::media;
use crate::openai_chat::message::is_custom;
use crate::quirks::Replay;
use base64::Engine;
use slip_ir::{
    Block, Dialect, Loss, Media, MediaKind, Request, Role, Source, Thinking, ThinkingKind, ToolCall, ToolResult, Turn,
};
use std::collections::HashSet;

pub struct History<'r> {
    /// The first system prompt, where it is text alone.
    pub instructions: Option<&'r str>,
    /// Each a JSON object.
    pub items: Vec<Vec<u8>>,
}

impl<'r> History<'r> {
    pub fn of(request: &'r Request, quirks: &Quirks, losses: &mut Vec<Loss>) -> History<'r> {
        let mut turns = request.turns.as_slice();
        let mut instructions = None;
        // Instructions alone are no input.
        if let [Turn { role: Role::System, name: None, blocks }, rest @ ..] = turns
            && let [Block::Text(text)] = blocks.as_slice()
            && rest.iter().any(|turn| !matches!(turn.role, Role::System | Role::Developer))
        {
            instructions = Some(text.text.as_str());
            turns = rest;
        }
        let mut telling = Telling {
            quirks,
            losses,
            items: Vec::new(),
            ids: Ids::new(quirks.tool_ids),
            custom: HashSet::new(),
            at: request.turns.len() - turns.len(),
            cache_lost: false,
        };
        for turn in turns {
            telling.turn(turn);
            telling.at += 1;
        }
        History { instructions, items: telling.items }
    }
}

struct Telling<'t> {
    quirks: &'t Quirks,
    losses: &'t mut Vec<Loss>,
    items: Vec<Vec<u8>>,
    ids: Ids,
    /// Calls of free-text tools: their outputs are of another kind.
    custom: HashSet<String>,
    /// Number of the turn.
    at: usize,
    cache_lost: bool,
}

impl Telling<'_> {
    fn lose(&mut self, what: &str, why: &'static str) {
        self.losses.push(Loss::new(format!("messages[{}].{what}", self.at), why));
    }

    fn turn(&mut self, turn: &Turn) {
        if turn.name.is_some() {
            self.lose("name", "messages have no names here");
        }
        match turn.role {
            Role::Assistant => self.assistant(&turn.blocks),
            role => self.theirs(role, &turn.blocks),
        }
    }

    /// A message of the user or the system, with tool results and foreign items as items of their own.
    fn theirs(&mut self, role: Role, blocks: &[Block]) {
        let mut parts = Vec::new();
        for block in blocks {
            match block {
                Block::ToolResult(result) => {
                    self.message(role, &mut parts);
                    self.result(result);
                }
                Block::Opaque { dialect: Dialect::Responses, raw } => {
                    self.message(role, &mut parts);
                    self.items.push(raw.as_str().as_bytes().to_vec());
                }
                block => parts.extend(self.part(block)),
            }
        }
        self.message(role, &mut parts);
    }

    fn message(&mut self, role: Role, parts: &mut Vec<Part>) {
        if parts.is_empty() {
            return;
        }
        let role = match role {
            Role::System => "system",
            Role::Developer if self.quirks.developer_role => "developer",
            Role::Developer => "system",
            Role::User | Role::Tool | Role::Assistant => "user",
        };
        let mut out = Vec::new();
        let mut w = Writer::open(&mut out);
        w.put("type", "message").put("role", role);
        write_parts(w.key("content"), &std::mem::take(parts));
        w.close();
        self.items.push(out);
    }

    /// Text and media, for messages and for what a tool answered.
    fn part(&mut self, block: &Block) -> Option<Part> {
        match block {
            Block::Text(text) => {
                self.cache(text.cache.is_some());
                Some(Part::Text(text.text.clone()))
            }
            Block::Refusal(text) => Some(Part::Text(text.clone())),
            Block::Media(media) => self.media(media).map(Part::Json),
            _ => {
                self.lose("content", "has no place in this dialect");
                None
            }
        }
    }

    fn cache(&mut self, marked: bool) {
        if marked && !std::mem::replace(&mut self.cache_lost, true) {
            self.losses.push(Loss::new("cache_control", "this dialect caches by itself"));
        }
    }

    fn assistant(&mut self, blocks: &[Block]) {
        let mut rest = blocks;
        while let [block, ..] = rest {
            let same = match block {
                Block::Text(_) | Block::Refusal(_) => {
                    run(rest, |block| matches!(block, Block::Text(_) | Block::Refusal(_)))
                }
                Block::Thinking(first) => thoughts(rest, first),
                _ => 1,
            };
            let (group, after) = rest.split_at(same.max(1));
            match block {
                Block::Text(_) | Block::Refusal(_) => self.said(group),
                Block::Thinking(_) => self.thought(group),
                Block::ToolCall(call) => self.call(call),
                Block::Opaque { dialect: Dialect::Responses, raw } => {
                    self.items.push(raw.as_str().as_bytes().to_vec());
                }
                Block::Opaque { .. } => self.lose("content", "a block of another dialect"),
                Block::Media(_) => self.lose("content", "an assistant message holds no media here"),
                Block::ToolResult(_) => self.lose("content", "an assistant message holds no tool results"),
            }
            rest = after;
        }
    }

    fn said(&mut self, blocks: &[Block]) {
        if let [Block::Text(text)] = blocks
            && text.annotations.is_empty()
        {
            if text.text.is_empty() {
                return;
            }
            self.cache(text.cache.is_some());
            if text.signature.is_some() {
                self.lose("signature", "sealed by another family");
            }
            let mut out = Vec::new();
            let mut w = Writer::open(&mut out);
            w.put("type", "message").put("role", "assistant").text("content", &text.text);
            w.close();
            return self.items.push(out);
        }
        let mut out = Vec::new();
        let mut w = Writer::open(&mut out);
        w.put("type", "message").put("role", "assistant");
        array(w.key("content"), blocks, |out, block| {
            let mut w = Writer::open(out);
            match block {
                Block::Refusal(text) => w.put("type", "refusal").text("refusal", text),
                Block::Text(text) => {
                    let shown: Vec<_> = text.annotations.iter().filter_map(annotations::shown).collect();
                    w.put("type", "output_text").text("text", &text.text).put("annotations", &shown)
                }
                _ => &mut w,
            };
            w.close();
        });
        w.close();
        let signed = blocks.iter().any(|block| matches!(block, Block::Text(text) if text.signature.is_some()));
        if signed {
            self.lose("signature", "sealed by another family");
        }
        self.items.push(out);
    }

    /// Sealed by a server of this dialect: byte for byte. Anything else would be refused, except by servers that seal nothing and
    /// want their own words back.
    fn thought(&mut self, group: &[Block]) {
        let thoughts: Vec<&Thinking> = group
            .iter()
            .filter_map(|block| match block {
                Block::Thinking(thinking) => Some(thinking),
                _ => None,
            })
            .collect();
        let sealed =
            thoughts.iter().find_map(|t| t.data.as_deref().or(t.signature.as_deref()).filter(|s| !s.is_empty()));
        let own = thoughts.first().is_some_and(|first| seal::replayable(first));
        let replayed = match self.quirks.replay {
            Replay::Drop => false,
            Replay::Details => own && sealed.is_some(),
            Replay::ReasoningContent | Replay::Reasoning => own || sealed.is_none(),
        };
        if !replayed {
            return self.lose("reasoning", "not sealed by this family");
        }
        let mut out = Vec::new();
        let mut w = Writer::open(&mut out);
        w.put("type", "reasoning");
        w.put_some("id", &thoughts.iter().find_map(|t| t.id.as_deref()));
        let of = |kind: ThinkingKind| thoughts.iter().filter(move |t| t.kind == kind);
        array(w.key("summary"), of(ThinkingKind::Summary), |out, t| {
            super::shown::text_part(out, "summary_text", &t.text)
        });
        let mut content = of(ThinkingKind::Text).filter(|t| !t.text.is_empty()).peekable();
        if content.peek().is_some() {
            array(w.key("content"), content, |out, t| super::shown::text_part(out, "reasoning_text", &t.text));
        }
        w.put_some("encrypted_content", &sealed);
        w.close();
        self.items.push(out);
    }

    fn call(&mut self, call: &ToolCall) {
        let id = self.ids.call(call).into_owned();
        if call.signature.is_some() {
            self.lose("tool_calls.signature", "sealed by another family");
        }
        let mut out = Vec::new();
        let mut w = Writer::open(&mut out);
        if is_custom(call.extra.as_ref()) {
            w.put("type", "custom_tool_call")
                .put("call_id", &id)
                .put("name", &call.name)
                .text("input", &call.arguments);
            self.custom.insert(id);
        } else {
            w.put("type", "function_call").put("call_id", &id).put("name", &call.name);
            w.text("arguments", if call.arguments.is_empty() { "{}" } else { &call.arguments });
            if let Some(extra) = &call.extra {
                w.known(extra, &["namespace"], |name| {
                    self.losses.push(Loss::new(
                        format!("messages[{}].tool_calls.{name}", self.at),
                        "not known to this dialect",
                    ));
                });
            }
        }
        w.close();
        self.items.push(out);
    }

    fn result(&mut self, result: &ToolResult) {
        let id = self.ids.result(result).into_owned();
        if result.is_error {
            self.lose("tool_result.is_error", "told by the text alone");
        }
        self.cache(result.cache.is_some());
        let parts: Vec<Part> = result.content.iter().filter_map(|block| self.part(block)).collect();
        let kind = if self.custom.contains(&id) { "custom_tool_call_output" } else { "function_call_output" };
        let mut out = Vec::new();
        let mut w = Writer::open(&mut out);
        w.put("type", kind).put("call_id", &id);
        if parts.is_empty() {
            w.put("output", "");
        } else {
            write_parts(w.key("output"), &parts);
        }
        w.close();
        self.items.push(out);
    }

    fn media(&mut self, media: &Media) -> Option<Vec<u8>> {
        self.cache(media.cache.is_some());
        if media.extra.is_some() {
            self.lose("content", "a document's context and citations are not known to this dialect");
        }
        let url = media::to_url(&media.source);
        let mut out = Vec::new();
        let mut w = Writer::open(&mut out);
        match (media.kind, &media.source) {
            (MediaKind::Image, Source::Url(url)) if !self.quirks.image_urls && !url.starts_with("data:") => {
                return self.unreadable("image_url", "this upstream does not fetch images");
            }
            (MediaKind::Image, Source::Url(_) | Source::Data { .. }) => {
                w.put("type", "input_image").put_some("image_url", &url);
                w.put("detail", media.detail.as_deref().unwrap_or("auto"));
            }
            (MediaKind::Image, Source::FileId(id)) => {
                w.put("type", "input_image").put("file_id", id);
                w.put("detail", media.detail.as_deref().unwrap_or("auto"));
            }
            (MediaKind::Image, Source::Text(_)) => return self.unreadable("image_url", "text is not an image"),
            (MediaKind::File, Source::Url(url)) if !url.starts_with("data:") => {
                w.put("type", "input_file").put("file_url", url);
            }
            (MediaKind::File, Source::FileId(id)) => {
                w.put("type", "input_file").put("file_id", id);
            }
            (MediaKind::File, Source::Text(text)) => {
                let data = base64::engine::general_purpose::STANDARD.encode(text);
                w.put("type", "input_file").put("filename", media.name.as_deref().unwrap_or("document.txt"));
                w.text("file_data", &format!("data:text/plain;base64,{data}"));
            }
            (MediaKind::File, Source::Url(_) | Source::Data { .. }) => {
                // A name is demanded; what is inside is told by the type.
                w.put("type", "input_file").put("filename", media.name.as_deref().unwrap_or("document.pdf"));
                w.put_some("file_data", &url);
            }
            (MediaKind::Audio, Source::Data { mime, base64 }) => {
                w.put("type", "input_audio");
                let mut inner = Writer::open(w.key("input_audio"));
                inner.text("data", base64).put("format", media::audio_format(mime));
                inner.close();
            }
            (MediaKind::Audio, _) => return self.unreadable("input_audio", "this dialect takes sound inline only"),
            (MediaKind::Video, Source::Url(_) | Source::Data { .. }) if self.quirks.router => {
                w.put("type", "input_video").put_some("video_url", &url);
            }
            (MediaKind::Video, _) => return self.unreadable("video_url", "this dialect takes no video"),
        }
        w.close();
        Some(out)
    }

    fn unreadable(&mut self, what: &str, why: &'static str) -> Option<Vec<u8>> {
        self.lose(what, why);
        None
    }
}

enum Part {
    Text(String),
    Json(Vec<u8>),
}

/// A string where one text is all there is, else an array of parts.
fn write_parts(out: &mut Vec<u8>, parts: &[Part]) {
    if let [Part::Text(text)] = parts {
        return write_string(text, out);
    }
    array(out, parts, |out, part| match part {
        Part::Json(bytes) => out.extend_from_slice(bytes),
        Part::Text(text) => super::shown::text_part(out, "input_text", text),
    });
}

/// How many blocks from the first on are of one kind.
fn run(blocks: &[Block], mut of_kind: impl FnMut(&Block) -> bool) -> usize {
    blocks.iter().take_while(|block| of_kind(block)).count()
}

/// How many blocks from the first on are one item: those of one id, or, where clients drop the ids, all up to the seal.
fn thoughts(blocks: &[Block], first: &Thinking) -> usize {
    let mut sealed = false;
    run(blocks, |block| match block {
        Block::Thinking(other) if other.id == first.id && other.format == first.format && !sealed => {
            sealed = other.data.is_some() || other.signature.is_some();
            true
        }
        _ => false,
    })
}
