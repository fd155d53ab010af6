//! Events of the vocabulary as a Responses stream: items side by side, each event numbered and naming its item.
//!
//! Only `data:` lines, as OpenRouter writes them: the type stands in the data, and every client reads it there.

mod calls;
mod items;
mod parts;
mod thoughts;

use super::object::{self, Held, State};
use super::shown::{self, Part, Thought};
use super::{error, ids};
use crate::Stamp;
use crate::dialect::{Encode, put_event};
use crate::object::Writer;
use bytes::BytesMut;
use slip_ir::event::{Kind, Piece, Start};
use slip_ir::{Dialect, Event, Fault, FaultKind, Finish, Media, Remedy, Reply, ThinkingKind, Usage, unfold};
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
            Event::Usage(usage) => {
                self.start.served(usage.tier);
                self.usage = Some(usage.clone());
            }
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
            let usage = self.usage.take().unwrap_or_else(|| self.stamp.estimate(self.text_bytes));
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
        let usage = this.usage.take().unwrap_or_else(|| stamp.estimate(this.text_bytes));
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
        let response = self.stamp.signed(Dialect::Responses, response);
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
            Kind::ToolCall { id, name, extra } => at = Some(self.open_call(id, name, extra.as_ref(), out)),
            Kind::Opaque { dialect: Dialect::Responses, raw } => {
                let raw = raw.as_str().as_bytes().to_vec();
                self.whole(raw, out);
            }
            Kind::Text | Kind::Refusal | Kind::Thinking { .. } | Kind::Media { .. } | Kind::Opaque { .. } => {}
        }
        self.open.push(Open { block, kind: kind.clone(), at, sealed: String::new() });
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
            (kind @ (Kind::Text | Kind::Refusal), Piece::Text(text)) => {
                let plain = *kind == Kind::Text;
                self.text_bytes += text.len() as u64;
                self.say(number, plain, text, out);
            }
            (Kind::Text, Piece::Annotation(annotation)) => self.cite(number, annotation, out),
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

    fn media(&mut self, media: &Media, out: &mut BytesMut) {
        let id = ids::item(ids::Kind::Image, &self.stamp.id, self.items.len());
        if let Some(item) = shown::image(&id, media).filter(|_| media.kind == slip_ir::MediaKind::Image) {
            self.whole(item, out);
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
}
