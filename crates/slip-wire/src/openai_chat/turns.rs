//! The turns of a conversation, written as OpenAI-shaped messages.

use super::encode::{Losses, NO_CACHE_CONTROL, write_cache};
use super::ids::Ids;
use super::message::is_custom;
use super::write::{Arr, Obj, array};
use super::{details, media};
use crate::Quirks;
use crate::quirks::Replay;
use bytes::BytesMut;
use slip_ir::{
    Block, Cache, Dialect, Media, MediaKind, Role, Source, Text, Thinking, ThinkingKind, ToolCall, ToolResult, Turn,
};

/// What writing the turns needs at every step.
pub(super) struct Telling<'a> {
    pub quirks: &'a Quirks,
    pub losses: &'a mut Losses,
    ids: Ids,
}

pub(super) fn write(out: &mut BytesMut, turns: &[Turn], quirks: &Quirks, losses: &mut Losses) {
    let mut telling = Telling { quirks, losses, ids: Ids::new(quirks.tool_ids) };
    array(out, |a| {
        for turn in turns {
            match turn.role {
                Role::Developer if quirks.developer_role => telling.plain(a, "developer", turn),
                Role::System | Role::Developer => telling.plain(a, "system", turn),
                Role::User => telling.user(a, turn),
                Role::Assistant => telling.assistant(a, turn),
                Role::Tool => telling.user(a, turn),
            }
        }
    });
}

impl Telling<'_> {
    /// Note a breakpoint and say whether to write it.
    fn marks(&mut self, cache: &Option<Cache>) -> bool {
        if cache.is_some() && !self.quirks.cache_control {
            self.losses.push("cache_control", NO_CACHE_CONTROL);
        }
        cache.is_some() && self.quirks.cache_control
    }

    fn plain(&mut self, a: &mut Arr<'_, BytesMut>, role: &str, turn: &Turn) {
        let said = self.speakable(&turn.blocks);
        a.obj(|o| {
            o.str("role", role);
            self.content(o, &said, "\n");
            o.opt_str("name", turn.name.as_deref());
        });
    }

    /// A user's turn, or one of tool results: the results first, as messages of their own, then what is left.
    fn user(&mut self, a: &mut Arr<'_, BytesMut>, turn: &Turn) {
        let mut rest: Vec<Block> = Vec::new();
        let mut answered = false;
        for block in &turn.blocks {
            let Block::ToolResult(result) = block else { continue };
            answered = true;
            let (said, shown): (Vec<Block>, Vec<Block>) = result.content.iter().cloned().partition(|b| {
                matches!(b, Block::Text(_)) || matches!(b, Block::Media(m) if matches!(m.source, Source::Text(_)))
            });
            if !shown.is_empty() {
                self.losses
                    .push("tool result media", "moved into a user message, because tool messages hold text only");
                rest.push(Block::text(format!("From the result of tool call {}:", self.peek_id(result))));
                rest.extend(shown);
            }
            self.tool(a, result, said, rest.is_empty());
        }
        rest.extend(turn.blocks.iter().filter(|b| !matches!(b, Block::ToolResult(_))).cloned());
        if answered && rest.is_empty() {
            return;
        }
        let said = self.speakable(&rest);
        a.obj(|o| {
            o.str("role", "user");
            self.content(o, &said, "\n");
            o.opt_str("name", turn.name.as_deref().filter(|_| turn.role == Role::User));
        });
    }

    fn peek_id(&self, result: &ToolResult) -> String {
        if result.id.is_empty() { result.name.clone().unwrap_or_default() } else { result.id.clone() }
    }

    fn tool(&mut self, a: &mut Arr<'_, BytesMut>, result: &ToolResult, said: Vec<Block>, whole: bool) {
        if result.is_error {
            self.losses.push("tool result error mark", "this dialect cannot mark a result as failed");
        }
        let mut said = self.speakable(&said);
        if said.is_empty() && !whole {
            said.push(Block::text("(see the next message)"));
        }
        if let Some(Block::Text(text)) = said.last_mut() {
            text.cache = text.cache.take().or(result.cache.clone());
        } else if self.marks(&result.cache) {
            said.push(Block::Text(Text { cache: result.cache.clone(), ..Text::default() }));
        }
        let id = self.ids.result(&result.id, result.name.as_deref());
        a.obj(|o| {
            o.str("role", "tool");
            o.str("tool_call_id", &id);
            o.opt_str("name", result.name.as_deref());
            self.content(o, &said, "\n");
        });
    }

    /// Only what a message's content can hold; documents given as text become text, the rest is a loss.
    fn speakable(&mut self, blocks: &[Block]) -> Vec<Block> {
        let mut kept = Vec::with_capacity(blocks.len());
        for block in blocks {
            match block {
                Block::Text(_) | Block::Refusal(_) => kept.push(block.clone()),
                Block::Media(media) => kept.extend(self.media(media)),
                Block::Opaque { dialect: Dialect::OpenAiChat, .. } => kept.push(block.clone()),
                Block::Opaque { dialect, .. } => {
                    self.losses.push("messages[].content", format!("a part only {dialect} knows"));
                }
                Block::Thinking(_) | Block::ToolCall(_) | Block::ToolResult(_) => {
                    self.losses.push("messages[].content", "a part that has no place in this role");
                }
            }
        }
        kept
    }

    fn media(&mut self, media: &Media) -> Option<Block> {
        if media.extra.is_some() {
            self.losses
                .push("document settings", "this dialect has no place for a document's title, context or citations");
        }
        match (&media.source, media.kind) {
            (Source::Text(text), _) => {
                let text = match &media.name {
                    Some(name) => format!("{name}:\n{text}"),
                    None => text.clone(),
                };
                return Some(Block::Text(Text { text, cache: media.cache.clone(), ..Text::default() }));
            }
            (Source::Url(_), MediaKind::Audio) => {
                self.losses.push("input_audio", "this dialect takes sound inline only, not by URL");
                return None;
            }
            (Source::Url(_), MediaKind::Image) if !self.quirks.image_urls => {
                self.losses.push("image_url", "this provider does not fetch pictures by URL");
            }
            _ => {}
        }
        Some(Block::Media(media.clone()))
    }

    /// `content`: a string where that says it all, else parts, else (where parts are refused) the text joined by `glue`.
    fn content(&mut self, o: &mut Obj<'_, BytesMut>, blocks: &[Block], glue: &str) {
        let marked = blocks.iter().any(|b| match b {
            Block::Text(t) => self.marks(&t.cache),
            Block::Media(m) => self.marks(&m.cache),
            _ => false,
        });
        let texts: Vec<&str> = blocks
            .iter()
            .filter_map(|b| match b {
                Block::Text(t) => Some(t.text.as_str()),
                Block::Refusal(t) => Some(t.as_str()),
                _ => None,
            })
            .collect();
        let only_text = texts.len() == blocks.len();
        let refusal = blocks.iter().any(|b| matches!(b, Block::Refusal(_)));
        if only_text && (!self.quirks.content_parts || !marked && !refusal && texts.len() < 2) {
            o.str("content", &texts.join(glue));
            return;
        }
        o.arr("content", |a| blocks.iter().for_each(|block| self.part(a, block)));
    }

    fn part(&mut self, a: &mut Arr<'_, BytesMut>, block: &Block) {
        match block {
            Block::Text(text) => a.obj(|o| {
                o.str("type", "text");
                o.str("text", &text.text);
                self.mark(o, &text.cache);
            }),
            Block::Refusal(words) => a.obj(|o| {
                o.str("type", "refusal");
                o.str("refusal", words);
            }),
            Block::Media(media) => a.obj(|o| {
                self.media_part(o, media);
                self.mark(o, &media.cache);
            }),
            Block::Opaque { raw, .. } => a.raw(raw),
            Block::Thinking(_) | Block::ToolCall(_) | Block::ToolResult(_) => {}
        }
    }

    fn mark(&mut self, o: &mut Obj<'_, BytesMut>, cache: &Option<Cache>) {
        if let Some(cache) = cache
            && self.quirks.cache_control
        {
            write_cache(o, "cache_control", cache);
        }
    }

    fn media_part(&self, o: &mut Obj<'_, BytesMut>, media: &Media) {
        let url = media::to_url(&media.source).unwrap_or_default();
        match (media.kind, &media.source) {
            (_, Source::FileId(id)) => {
                o.str("type", "file");
                o.obj("file", |o| o.str("file_id", id));
            }
            (MediaKind::Audio, Source::Data { mime, base64 }) => {
                o.str("type", "input_audio");
                o.obj("input_audio", |o| {
                    o.str("data", base64);
                    o.str("format", media::audio_format(mime));
                });
            }
            (MediaKind::Image | MediaKind::Audio, _) => {
                o.str("type", "image_url");
                o.obj("image_url", |o| {
                    o.str("url", &url);
                    o.opt_str("detail", media.detail.as_deref());
                });
            }
            (MediaKind::Video, _) => {
                o.str("type", "video_url");
                o.obj("video_url", |o| o.str("url", &url));
            }
            (MediaKind::File, _) => {
                o.str("type", "file");
                o.obj("file", |o| {
                    // OpenAI refuses file data without a name.
                    o.str("filename", media.name.as_deref().unwrap_or("document"));
                    o.str("file_data", &url);
                });
            }
        }
    }

    fn assistant(&mut self, a: &mut Arr<'_, BytesMut>, turn: &Turn) {
        let mut said = Vec::new();
        let mut thoughts = Vec::new();
        let mut calls = Vec::new();
        let mut images = Vec::new();
        let mut refusal = String::new();
        let mut audio = None;
        let mut annotations = Vec::new();
        for block in &turn.blocks {
            match block {
                Block::Thinking(thinking) => thoughts.push(thinking),
                Block::ToolCall(call) => {
                    let id = self.ids.call(&call.id, &call.name);
                    calls.push((id, call));
                }
                Block::Refusal(words) => refusal.push_str(words),
                Block::Media(media) => match (&media.source, media.kind) {
                    (Source::FileId(id), MediaKind::Audio) => audio = Some(id.as_str()),
                    (_, MediaKind::Image) if self.quirks.router => images.push(media),
                    _ => {
                        self.losses.push("messages[].images", "this provider takes no media in an assistant's message")
                    }
                },
                Block::Text(text) => {
                    annotations.extend(&text.annotations);
                    if text.signature.is_some() {
                        self.losses.push("messages[].thought_signature", "this provider cannot read it");
                    }
                    said.push(block.clone());
                }
                _ => said.push(block.clone()),
            }
        }
        let said = self.speakable(&said);
        a.obj(|o| {
            o.str("role", "assistant");
            let silent = !calls.is_empty() || !refusal.is_empty() || audio.is_some();
            if said.is_empty() && silent {
                o.null("content");
            } else if said.iter().any(|b| matches!(b, Block::Opaque { .. } | Block::Media(_)) || self.is_marked(b)) {
                self.content(o, &said, "");
            } else {
                // The model said this in one breath; a separator would put words between its words.
                let texts = said.iter().filter_map(|b| if let Block::Text(t) = b { Some(t) } else { None });
                let whole: String = texts.clone().map(|t| t.text.as_str()).collect();
                if texts.into_iter().any(|t| t.cache.is_some()) {
                    self.losses.push("cache_control", NO_CACHE_CONTROL);
                }
                o.str("content", &whole);
            }
            o.opt_str("name", turn.name.as_deref());
            if !refusal.is_empty() {
                o.str("refusal", &refusal);
            }
            self.thoughts(o, &thoughts, &calls);
            if let Some(id) = audio {
                o.obj("audio", |o| o.str("id", id));
            }
            if !annotations.is_empty() {
                if self.quirks.router {
                    o.arr("annotations", |a| annotations.iter().for_each(|raw| a.raw(raw)));
                } else {
                    self.losses.push("messages[].annotations", "this provider does not take them back");
                }
            }
            if !images.is_empty() {
                o.arr("images", |a| images.iter().for_each(|image| a.obj(|o| self.media_part(o, image))));
            }
            if !calls.is_empty() {
                o.arr("tool_calls", |a| {
                    for (id, call) in &calls {
                        a.obj(|o| self.call(o, id, call));
                    }
                });
            }
        });
    }

    fn is_marked(&self, block: &Block) -> bool {
        self.quirks.cache_control && self.quirks.content_parts && matches!(block, Block::Text(t) if t.cache.is_some())
    }

    fn call(&mut self, o: &mut Obj<'_, BytesMut>, id: &str, call: &ToolCall) {
        o.str("id", id);
        write_call(o, call, if call.arguments.is_empty() { "{}" } else { &call.arguments });
        if self.marks(&call.cache) {
            self.mark(o, &call.cache);
        }
    }

    fn thoughts(&mut self, o: &mut Obj<'_, BytesMut>, thoughts: &[&Thinking], calls: &[(String, &ToolCall)]) {
        let sealed: Vec<Thinking> =
            calls.iter().filter_map(|(id, c)| Some(details::seal(id, c.signature.as_deref()?))).collect();
        // DeepSeek and Moonshot refuse a turn of calls without the member, even where nothing was thought (seen 2026-11).
        let demanded = self.quirks.replay == Replay::ReasoningContent && !calls.is_empty();
        if thoughts.is_empty() && sealed.is_empty() && !demanded {
            return;
        }
        let key = match self.quirks.replay {
            Replay::Details => {
                o.arr("reasoning_details", |a| {
                    for (index, thinking) in (0u32..).zip(thoughts.iter().copied().chain(&sealed)) {
                        a.obj(|o| details::write(o, thinking, index));
                    }
                });
                return;
            }
            Replay::Drop => {
                self.losses.push("messages[].reasoning_details", "this provider takes no earlier reasoning back");
                return;
            }
            Replay::ReasoningContent => "reasoning_content",
            Replay::Reasoning => "reasoning",
        };
        let text: String = thoughts.iter().map(|t| t.text.as_str()).collect();
        if !text.is_empty() || demanded {
            o.str(key, &text);
        }
        let sealed_thought = |t: &&Thinking| t.kind == ThinkingKind::Encrypted || t.signature.is_some();
        if !sealed.is_empty() || thoughts.iter().any(sealed_thought) {
            self.losses.push("messages[].reasoning_details", "this provider takes reasoning back as plain text only");
        }
    }
}

/// The members of a call after its id. Shared with replies.
pub(super) fn write_call<B: bytes::BufMut>(o: &mut Obj<'_, B>, call: &ToolCall, arguments: &str) {
    if is_custom(call.extra.as_ref()) {
        o.str("type", "custom");
        o.obj("custom", |o| {
            o.str("name", &call.name);
            o.str("input", &call.arguments);
        });
        return;
    }
    o.str("type", "function");
    o.obj("function", |o| {
        o.str("name", &call.name);
        o.str("arguments", arguments);
    });
}
