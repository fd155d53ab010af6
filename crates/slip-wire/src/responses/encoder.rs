//! Events of the vocabulary as a Responses stream: items side by side, each event numbered and naming its item.
//!
//! Only `data:` lines, as OpenRouter writes them: the type stands in the data, and every client reads it there.

use super::object::{self, Held, State};
use super::shown::{self, Part, Thought};
use super::{annotations, custom, error, ids, usage};
use crate::Stamp;
use crate::anthropic::object::Writer;
use crate::dialect::{Encode, put_event};
use crate::openai_chat::message::custom_mark;
use bytes::BytesMut;
use slip_ir::event::{Kind, Piece, Start};
use slip_ir::{Dialect, Event, Fault, FaultKind, Finish, Media, Raw, Remedy, Reply, ThinkingKind, Usage, unfold};
use std::sync::Arc;

/// The last event repeats all that was said, so that it must be kept until then.
const MAX_HELD: u64 = 64 << 20;
/// Items and parts of one reply.
const MAX_ITEMS: usize = 1 << 14;

pub struct Encoder {
    stamp: Arc<Stamp>,
    start: Start,
    sequence: u64,
    begun: bool,
    /// A fault was told: only the end is missing.
    failed: bool,
    over: bool,
    /// By their `output_index`.
    items: Vec<Item>,
    /// Blocks that are open on the upstream's side.
    open: Vec<Open>,
    usage: Option<Usage>,
    ending: Option<Finish>,
    text_bytes: u64,
    held: u64,
    payload: Vec<u8>,
    /// Only the last response is asked for, not the way to it.
    quiet: bool,
}

struct Open {
    block: u32,
    kind: Kind,
    /// Item and part, once something of the block is on the wire.
    at: Option<(usize, usize)>,
    /// A signature or blob, told whole at the end.
    sealed: String,
}

struct Item {
    id: String,
    body: Body,
    /// As it was told at its end.
    done: Option<Vec<u8>>,
}

enum Body {
    Message { parts: Vec<Part>, open: usize },
    Thought { thought: Thought, open: usize },
    Call(shown::Call),
    Whole,
}

impl Encode for Encoder {
    fn event(&mut self, event: &Event, out: &mut BytesMut) {
        if self.over || self.failed {
            return;
        }
        match event {
            Event::Start(start) => self.start = start.clone(),
            Event::Usage(usage) => self.usage = Some(usage.clone()),
            Event::Finish { choice: 0, reason, .. } => {
                self.settle("completed", out);
                self.ending = Some(*reason);
            }
            Event::Fault(fault) => self.fail(fault, out),
            _ if self.ending.is_some() => {}
            Event::Open { choice: 0, block, kind } => self.open(*block, kind, out),
            Event::Delta { choice: 0, block, piece } => self.piece(*block, piece, out),
            Event::Close { choice: 0, block } => self.close(*block, out),
            Event::Logprobs { choice: 0, raw } => self.logprobs(raw),
            // A response has one choice, and no place for what other dialects alone know.
            _ => {}
        }
    }

    fn eof(&mut self, out: &mut BytesMut) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        if !self.failed {
            self.settle("completed", out);
        }
        if !self.failed {
            let state = State::Ended(self.ending.unwrap_or(Finish::Stop));
            let usage = self.usage.take().unwrap_or_else(|| usage::estimate(&self.stamp, self.text_bytes));
            self.last(&state, Some(&usage), out);
        }
        put_event(None, b"[DONE]", out);
    }
}

impl Encoder {
    pub fn new(stamp: Arc<Stamp>) -> Encoder {
        Encoder {
            stamp,
            start: Start::default(),
            sequence: 0,
            begun: false,
            failed: false,
            over: false,
            items: Vec::new(),
            open: Vec::new(),
            usage: None,
            ending: None,
            text_bytes: 0,
            held: 0,
            payload: Vec::new(),
            quiet: false,
        }
    }

    /// A whole reply: what the last event of its stream would hold.
    pub fn whole_reply(reply: &Reply, stamp: &Stamp) -> Vec<u8> {
        let mut this = Encoder { quiet: true, ..Encoder::new(Arc::new(stamp.clone())) };
        let (mut events, mut nothing, mut response) = (Vec::new(), BytesMut::new(), Vec::new());
        unfold(reply, &mut events);
        events.iter().for_each(|event| this.event(event, &mut nothing));
        this.settle("completed", &mut nothing);
        let state = match &reply.fault {
            Some(fault) => State::Failed(fault),
            None => State::Ended(this.ending.unwrap_or(Finish::Stop)),
        };
        let usage = this.usage.take().unwrap_or_else(|| usage::estimate(stamp, this.text_bytes));
        this.response(&state, Some(&usage), &mut response);
        response
    }

    /// One event. `write` puts what follows the type and the number.
    fn send(&mut self, kind: &str, out: &mut BytesMut, write: impl FnOnce(&mut Writer<'_>, &Encoder)) {
        if self.quiet {
            return;
        }
        let mut payload = std::mem::take(&mut self.payload);
        payload.clear();
        let mut w = Writer::open(&mut payload);
        w.put("type", kind).put("sequence_number", &self.sequence);
        write(&mut w, self);
        w.close();
        put_event(None, &payload, out);
        self.payload = payload;
        self.sequence += 1;
    }

    /// An event about a part of an item.
    fn about(
        &mut self,
        kind: &str,
        at: (usize, usize),
        index: &str,
        out: &mut BytesMut,
        write: impl FnOnce(&mut Writer<'_>),
    ) {
        self.send(kind, out, |w, this| {
            w.put("item_id", this.items.get(at.0).map_or("", |item| item.id.as_str()));
            w.put("output_index", &at.0);
            if !index.is_empty() {
                w.put(index, &at.1);
            }
            write(w);
        });
    }

    fn begin(&mut self, out: &mut BytesMut) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        for kind in ["response.created", "response.in_progress"] {
            self.send(kind, out, |w, this| {
                object::write(w.key("response"), &this.stamp, &this.start, &State::InProgress, &Held::default());
            });
        }
    }

    /// The event that ends a response and repeats all of it.
    fn last(&mut self, state: &State<'_>, usage: Option<&Usage>, out: &mut BytesMut) {
        self.begin(out);
        let mut response = Vec::new();
        self.response(state, usage, &mut response);
        self.send(&format!("response.{}", state.status()), out, |w, _| {
            w.key("response").extend_from_slice(&response);
        });
    }

    fn response(&self, state: &State<'_>, usage: Option<&Usage>, out: &mut Vec<u8>) {
        let output: Vec<&[u8]> = self.items.iter().filter_map(|item| item.done.as_deref()).collect();
        let said = |item: &Item| match &item.body {
            Body::Message { parts, .. } => {
                parts.iter().filter(|part| !part.refusal).map(|part| part.text.as_str()).collect()
            }
            _ => String::new(),
        };
        let text: String = self.items.iter().map(said).collect();
        object::write(out, &self.stamp, &self.start, state, &Held { output: &output, text: &text, usage });
    }

    /// OpenAI's own servers say it twice, and clients differ in which they hear.
    fn fail(&mut self, fault: &Fault, out: &mut BytesMut) {
        self.settle("incomplete", out);
        self.begin(out);
        self.send("error", out, |w, _| error::event(w, fault));
        let usage = self.usage.take();
        self.last(&State::Failed(fault), usage.as_ref(), out);
        self.failed = true;
    }

    /// Everything that is open is closed.
    fn settle(&mut self, status: &str, out: &mut BytesMut) {
        while let Some(block) = self.open.first().map(|open| open.block) {
            self.close_as(block, status, out);
        }
        for at in 0..self.items.len() {
            self.end_item(at, status, out);
        }
    }

    fn open(&mut self, block: u32, kind: &Kind, out: &mut BytesMut) {
        if self.items.len() + self.open.len() >= MAX_ITEMS {
            let says = "the provider's reply has too many parts";
            return self.fail(&Fault::upstream(FaultKind::Upstream, Remedy::Stop, says), out);
        }
        let mut at = None;
        match kind {
            Kind::ToolCall { id, name, extra } => {
                let place = self.items.len();
                let marked = *extra == custom_mark();
                let call = shown::Call {
                    id: if id.is_empty() { ids::call(&self.stamp.id, place) } else { id.clone() },
                    name: name.clone(),
                    arguments: String::new(),
                    custom: marked || self.stamp.echo.as_ref().is_some_and(|echo| echo.is_custom(name)),
                    extra: extra.clone(),
                };
                let kind = if call.custom { ids::Kind::Custom } else { ids::Kind::Function };
                let id = ids::item(kind, &self.stamp.id, place);
                let first = call.write(&id, "in_progress");
                at = Some((self.add(id, Body::Call(call), &first, out), 0));
            }
            Kind::Opaque { dialect: Dialect::Responses, raw } => {
                let raw = raw.as_str().as_bytes().to_vec();
                self.whole(raw, out);
            }
            Kind::Text | Kind::Refusal | Kind::Thinking { .. } | Kind::Media { .. } | Kind::Opaque { .. } => {}
        }
        self.open.push(Open { block, kind: kind.clone(), at, sealed: String::new() });
    }

    /// A new item behind the others. Those that wait for more of their kind, and have nothing open, end here.
    fn add(&mut self, id: String, body: Body, shown: &[u8], out: &mut BytesMut) -> usize {
        self.begin(out);
        if let Some(last) = self.items.len().checked_sub(1)
            && self.idle(last)
        {
            self.end_item(last, "completed", out);
        }
        let place = self.items.len();
        self.items.push(Item { id, body, done: None });
        self.send("response.output_item.added", out, |w, _| {
            w.put("output_index", &place);
            w.key("item").extend_from_slice(shown);
        });
        place
    }

    fn idle(&self, at: usize) -> bool {
        self.items.get(at).is_some_and(|item| {
            item.done.is_none() && matches!(&item.body, Body::Message { open: 0, .. } | Body::Thought { open: 0, .. })
        })
    }

    /// An item that came whole.
    fn whole(&mut self, item: Vec<u8>, out: &mut BytesMut) {
        self.held += item.len() as u64;
        let place = self.add(String::new(), Body::Whole, &item, out);
        self.finish_item(place, item, out);
    }

    fn finish_item(&mut self, place: usize, shown: Vec<u8>, out: &mut BytesMut) {
        self.send("response.output_item.done", out, |w, _| {
            w.put("output_index", &place);
            w.key("item").extend_from_slice(&shown);
        });
        if let Some(item) = self.items.get_mut(place) {
            item.done = Some(shown);
        }
    }

    fn end_item(&mut self, place: usize, status: &str, out: &mut BytesMut) {
        let Some(item) = self.items.get(place).filter(|item| item.done.is_none()) else { return };
        let shown = match &item.body {
            Body::Message { parts, .. } => shown::message(&item.id, status, parts),
            Body::Thought { thought, .. } => thought.write(&item.id),
            Body::Call(call) => call.write(&item.id, status),
            Body::Whole => return,
        };
        self.finish_item(place, shown, out);
    }

    /// Where the block stands on the wire; brings it there.
    fn show(&mut self, number: usize, out: &mut BytesMut) -> Option<(usize, usize)> {
        let open = self.open.get(number)?;
        if open.at.is_some() {
            return open.at;
        }
        let at = match open.kind.clone() {
            Kind::Text => self.show_part(false, out),
            Kind::Refusal => self.show_part(true, out),
            Kind::Thinking { kind, format, id } => self.show_thought(kind, format, id, out),
            _ => return None,
        };
        self.open.get_mut(number)?.at = Some(at);
        Some(at)
    }

    /// A part of a message: of the last one, where that is the last item.
    fn show_part(&mut self, refusal: bool, out: &mut BytesMut) -> (usize, usize) {
        let joins =
            self.items.last().is_some_and(|item| item.done.is_none() && matches!(item.body, Body::Message { .. }));
        let place = if joins {
            self.items.len() - 1
        } else {
            let id = ids::item(ids::Kind::Message, &self.stamp.id, self.items.len());
            let first = shown::message(&id, "in_progress", &[]);
            self.add(id, Body::Message { parts: Vec::new(), open: 0 }, &first, out)
        };
        let mut part = Vec::new();
        let mut at = (place, 0);
        if let Some(Item { body: Body::Message { parts, open }, .. }) = self.items.get_mut(place) {
            at.1 = parts.len();
            parts.push(Part { refusal, ..Part::default() });
            *open += 1;
            parts[at.1].write(&mut part);
        }
        self.about("response.content_part.added", at, "content_index", out, |w| {
            w.key("part").extend_from_slice(&part);
        });
        at
    }

    /// A text of a reasoning item: of the last one, where that is the last item and the provider says they are one.
    fn show_thought(
        &mut self,
        kind: ThinkingKind,
        format: String,
        id: Option<String>,
        out: &mut BytesMut,
    ) -> (usize, usize) {
        let joins = self.items.last().is_some_and(|item| match &item.body {
            Body::Thought { thought, .. } => {
                item.done.is_none()
                    && id.is_some()
                    && thought.id == id
                    && thought.format == format
                    && thought.sealed.is_none()
            }
            _ => false,
        });
        let place = if joins {
            self.items.len() - 1
        } else {
            let thought = Thought { format, id, ..Thought::default() };
            let id = thought.shown_id(&self.stamp, self.items.len());
            let first = thought.write(&id);
            self.add(id, Body::Thought { thought, open: 0 }, &first, out)
        };
        let mut at = (place, 0);
        if let Some(Item { body: Body::Thought { thought, open }, .. }) = self.items.get_mut(place) {
            *open += 1;
            let texts = match kind {
                ThinkingKind::Summary => &mut thought.summary,
                ThinkingKind::Text => &mut thought.content,
                ThinkingKind::Encrypted => return at,
            };
            at.1 = texts.len();
            texts.push(String::new());
        }
        let (event, index, part) = match kind {
            ThinkingKind::Summary => ("response.reasoning_summary_part.added", "summary_index", "summary_text"),
            _ => ("response.content_part.added", "content_index", "reasoning_text"),
        };
        self.about(event, at, index, out, |w| shown::text_part(w.key("part"), part, ""));
        at
    }

    fn piece(&mut self, block: u32, piece: &Piece, out: &mut BytesMut) {
        let Some(number) = self.open.iter().rposition(|open| open.block == block) else { return };
        if let Piece::Text(text) | Piece::Arguments(text) | Piece::Signature(text) | Piece::Data(text) = piece {
            self.held += text.len() as u64;
            if self.held > MAX_HELD {
                let says = "the provider's reply is too long";
                return self.fail(&Fault::upstream(FaultKind::Upstream, Remedy::Stop, says), out);
            }
        }
        match (&self.open[number].kind, piece) {
            (_, Piece::Text(text) | Piece::Arguments(text)) if text.is_empty() => {}
            (Kind::Text | Kind::Refusal, Piece::Text(text)) => {
                self.text_bytes += text.len() as u64;
                let event = if self.open[number].kind == Kind::Text {
                    "response.output_text.delta"
                } else {
                    "response.refusal.delta"
                };
                let plain = self.open[number].kind == Kind::Text;
                let Some(at) = self.show(number, out) else { return };
                if let Some(part) = self.part(at) {
                    part.text.push_str(text);
                }
                self.about(event, at, "content_index", out, |w| {
                    w.text("delta", text);
                    if plain {
                        w.raw("logprobs", "[]");
                    }
                });
            }
            (Kind::Text, Piece::Annotation(annotation)) => {
                let Some(shown) = annotations::shown(annotation) else { return };
                let Some(at) = self.show(number, out) else { return };
                let Some(part) = self.part(at) else { return };
                let index = part.annotations.len();
                part.annotations.push(shown.clone());
                self.about("response.output_text.annotation.added", at, "content_index", out, |w| {
                    w.put("annotation_index", &index).put("annotation", &shown);
                });
            }
            (Kind::Thinking { kind: ThinkingKind::Encrypted, .. }, Piece::Data(data)) => {
                self.open[number].sealed.push_str(data)
            }
            (Kind::Thinking { .. } | Kind::ToolCall { .. } | Kind::Text, Piece::Signature(text)) => {
                self.open[number].sealed.push_str(text);
            }
            (Kind::Thinking { kind, .. }, Piece::Text(text)) if *kind != ThinkingKind::Encrypted => {
                let kind = *kind;
                self.text_bytes += text.len() as u64;
                self.thought(number, kind, text, out);
            }
            (Kind::ToolCall { .. }, Piece::Arguments(json)) => {
                self.text_bytes += json.len() as u64;
                self.arguments(number, json, out);
            }
            (Kind::Media { .. }, Piece::Media(media)) => self.media(media, out),
            _ => {}
        }
    }

    fn part(&mut self, at: (usize, usize)) -> Option<&mut Part> {
        match &mut self.items.get_mut(at.0)?.body {
            Body::Message { parts, .. } => parts.get_mut(at.1),
            _ => None,
        }
    }

    /// What a caller does not want to see is not told, but what seals it is.
    fn thought(&mut self, number: usize, kind: ThinkingKind, text: &str, out: &mut BytesMut) {
        if self.stamp.hide_reasoning {
            return;
        }
        let Some(at) = self.show(number, out) else { return };
        if let Some(Item { body: Body::Thought { thought, .. }, .. }) = self.items.get_mut(at.0) {
            let texts = if kind == ThinkingKind::Summary { &mut thought.summary } else { &mut thought.content };
            if let Some(said) = texts.get_mut(at.1) {
                said.push_str(text);
            }
        }
        let (event, index) = match kind {
            ThinkingKind::Summary => ("response.reasoning_summary_text.delta", "summary_index"),
            _ => ("response.reasoning_text.delta", "content_index"),
        };
        self.about(event, at, index, out, |w| {
            w.text("delta", text);
        });
    }

    /// Free text that comes wrapped in JSON is told once it is whole.
    fn arguments(&mut self, number: usize, json: &str, out: &mut BytesMut) {
        let Open { at: Some(at), kind: Kind::ToolCall { extra, .. }, .. } = &self.open[number] else { return };
        let (at, marked) = (*at, *extra == custom_mark());
        let Some(Item { body: Body::Call(call), .. }) = self.items.get_mut(at.0) else { return };
        call.arguments.push_str(json);
        match (call.custom, marked) {
            (false, _) => self.about("response.function_call_arguments.delta", at, "", out, |w| {
                w.text("delta", json);
            }),
            (true, true) => self.about("response.custom_tool_call_input.delta", at, "", out, |w| {
                w.text("delta", json);
            }),
            (true, false) => {}
        }
    }

    fn media(&mut self, media: &Media, out: &mut BytesMut) {
        let id = ids::item(ids::Kind::Image, &self.stamp.id, self.items.len());
        if let Some(item) = shown::image(&id, media).filter(|_| media.kind == slip_ir::MediaKind::Image) {
            self.whole(item, out);
        }
    }

    /// They belong to the text that is being told.
    fn logprobs(&mut self, raw: &Raw) {
        let content = crate::json::field(raw.as_str().as_bytes(), "content").unwrap_or_default();
        let entries =
            crate::json::items(content).filter_map(|entry| std::str::from_utf8(entry).ok().and_then(Raw::parse));
        let last = self.items.iter_mut().rev().find_map(|item| match &mut item.body {
            Body::Message { parts, .. } if item.done.is_none() => parts.last_mut(),
            _ => None,
        });
        if let Some(part) = last {
            part.logprobs.extend(entries);
            self.held += raw.as_str().len() as u64;
        }
    }

    fn close(&mut self, block: u32, out: &mut BytesMut) {
        self.close_as(block, "completed", out);
    }

    fn close_as(&mut self, block: u32, status: &str, out: &mut BytesMut) {
        let Some(number) = self.open.iter().rposition(|open| open.block == block) else { return };
        let open = self.open.remove(number);
        let sealed = open.sealed;
        match (&open.kind, open.at) {
            (Kind::Text | Kind::Refusal, Some(at)) => {
                self.close_part(at, status, out);
                if !sealed.is_empty() {
                    self.sealed(None, &sealed, out);
                }
            }
            // Only Gemini signs a part that says nothing.
            (Kind::Text, None) if !sealed.is_empty() => self.sealed(None, &sealed, out),
            (Kind::Thinking { kind, .. }, Some(at)) => self.close_thought(at, *kind, (*kind, sealed), status, out),
            // Sealed, with nothing to show.
            (Kind::Thinking { kind, format, id }, None) if !sealed.is_empty() => {
                let at = self.show_thought(ThinkingKind::Encrypted, format.clone(), id.clone(), out);
                self.close_thought(at, ThinkingKind::Encrypted, (*kind, sealed), status, out);
            }
            (Kind::ToolCall { .. }, Some(at)) => {
                let id = self.close_call(at, status, out);
                if !sealed.is_empty() {
                    self.sealed(id.as_deref(), &sealed, out);
                }
            }
            _ => {}
        }
    }

    /// Once nothing of it is open, an item that others have begun behind ends.
    fn release(&mut self, place: usize, status: &str, out: &mut BytesMut) {
        if let Some(Item { body: Body::Message { open, .. } | Body::Thought { open, .. }, .. }) =
            self.items.get_mut(place)
        {
            *open = open.saturating_sub(1);
        }
        if place + 1 < self.items.len() && self.idle(place) {
            self.end_item(place, status, out);
        }
    }

    fn close_part(&mut self, at: (usize, usize), status: &str, out: &mut BytesMut) {
        let Some(part) = self.part(at) else { return };
        let (refusal, text, logprobs) = (part.refusal, part.text.clone(), part.logprobs.clone());
        let mut whole = Vec::new();
        part.write(&mut whole);
        match refusal {
            true => self.about("response.refusal.done", at, "content_index", out, |w| {
                w.text("refusal", &text);
            }),
            false => self.about("response.output_text.done", at, "content_index", out, |w| {
                w.text("text", &text).put("logprobs", &logprobs);
            }),
        }
        self.about("response.content_part.done", at, "content_index", out, |w| {
            w.key("part").extend_from_slice(&whole);
        });
        self.release(at.0, status, out);
    }

    fn close_thought(
        &mut self,
        at: (usize, usize),
        kind: ThinkingKind,
        sealed: (ThinkingKind, String),
        status: &str,
        out: &mut BytesMut,
    ) {
        let Some(Item { body: Body::Thought { thought, .. }, .. }) = self.items.get_mut(at.0) else { return };
        if !sealed.1.is_empty() {
            thought.sealed = Some(sealed);
        }
        let text = match kind {
            ThinkingKind::Summary => thought.summary.get(at.1).cloned(),
            ThinkingKind::Text => thought.content.get(at.1).cloned(),
            ThinkingKind::Encrypted => None,
        };
        if let Some(text) = text {
            let (event, part_event, index, part) = match kind {
                ThinkingKind::Summary => (
                    "response.reasoning_summary_text.done",
                    "response.reasoning_summary_part.done",
                    "summary_index",
                    "summary_text",
                ),
                _ => ("response.reasoning_text.done", "response.content_part.done", "content_index", "reasoning_text"),
            };
            self.about(event, at, index, out, |w| {
                w.text("text", &text);
            });
            self.about(part_event, at, index, out, |w| shown::text_part(w.key("part"), part, &text));
        }
        self.release(at.0, status, out);
    }

    /// The call's id, for what is sealed about it.
    fn close_call(&mut self, at: (usize, usize), status: &str, out: &mut BytesMut) -> Option<String> {
        let Some(Item { body: Body::Call(call), .. }) = self.items.get_mut(at.0) else { return None };
        let marked = call.extra == custom_mark();
        if call.custom && !marked {
            call.arguments = custom::unwrapped(&call.arguments).into_owned();
        } else if call.arguments.is_empty() && !call.custom {
            call.arguments.push_str("{}");
        }
        let (id, name) = (call.id.clone(), call.name.clone());
        let (custom, arguments) = (call.custom, call.arguments.clone());
        if custom && !marked && !arguments.is_empty() {
            self.about("response.custom_tool_call_input.delta", at, "", out, |w| {
                w.text("delta", &arguments);
            });
        }
        match custom {
            true => self.about("response.custom_tool_call_input.done", at, "", out, |w| {
                w.text("input", &arguments);
            }),
            // The name is OpenRouter's.
            false => self.about("response.function_call_arguments.done", at, "", out, |w| {
                w.put("name", &name).text("arguments", &arguments);
            }),
        }
        self.end_item(at.0, status, out);
        Some(id)
    }

    fn sealed(&mut self, call: Option<&str>, payload: &str, out: &mut BytesMut) {
        let thought = shown::signature(call, payload);
        let id = thought.shown_id(&self.stamp, self.items.len());
        let shown = thought.write(&id);
        self.whole(shown, out);
    }
}
