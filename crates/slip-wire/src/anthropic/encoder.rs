//! Events of the vocabulary as a Messages stream: one block open at a time, numbered from 0, and never a `[DONE]`.

use super::reply::{self, Ending};
use super::wire::{frame, without_input};
use super::{citations, error, seal, usage};
use crate::Stamp;
use crate::dialect::Encode;
use crate::object::Writer;
use bytes::BytesMut;
use slip_ir::event::{Kind, Piece, Start};
use slip_ir::{Dialect, Event, Fault, FaultKind, Finish, Raw, Remedy, ThinkingKind, Usage};
use std::collections::VecDeque;
use std::sync::Arc;

/// Events kept back while another tool call is being told. A reply that interleaves more than this is not one we can put in order.
const MAX_HELD: usize = 1 << 16;

pub struct Encoder {
    stamp: Arc<Stamp>,
    start: Start,
    started: bool,
    over: bool,
    /// Number of the next block on the wire.
    next: u64,
    open: Option<Open>,
    /// Text and thinking that had to be closed early because something else began: their numbers, and how to go on.
    parted: Vec<(u32, Kind)>,
    /// What came for other blocks while a tool call was open.
    held: VecDeque<Event>,
    refusal: String,
    usage: Option<Usage>,
    ending: Option<(Finish, Option<String>, Option<String>)>,
    text_bytes: u64,
    /// Text of the answer was shown.
    answered: bool,
    payload: Vec<u8>,
}

/// The block that is open on our side. It reaches the wire with its first piece, so that empty ones never do.
struct Open {
    block: u32,
    kind: Kind,
    /// Its number on the wire, once it is there.
    index: Option<u64>,
    /// A signature or sealed blob, told whole at the end.
    sealed: String,
}

impl Encode for Encoder {
    fn event(&mut self, event: &Event, out: &mut BytesMut) {
        if self.over {
            return;
        }
        match event {
            Event::Start(start) => self.start = start.clone(),
            Event::Usage(usage) => self.usage = Some(usage.clone()),
            Event::Ping if self.started => self.send("ping", out, |w, _| {
                w.put("type", "ping");
            }),
            Event::Finish { choice: 0, reason, native, stop_sequence } => {
                self.settle(out);
                self.ending = Some((*reason, native.clone(), stop_sequence.clone()));
            }
            Event::Fault(fault) => self.fail(fault, out),
            Event::Open { choice: 0, .. } | Event::Delta { choice: 0, .. } | Event::Close { choice: 0, .. }
                if self.ending.is_none() =>
            {
                self.block_event(event, out);
            }
            // A message has one choice, and no place for probabilities or what other dialects alone know.
            _ => {}
        }
    }

    fn eof(&mut self, out: &mut BytesMut) {
        if self.over {
            return;
        }
        self.settle(out);
        if self.over {
            return;
        }
        let (finish, native, stop_sequence) = self.ending.take().unwrap_or((Finish::Stop, None, None));
        let mut explanation = std::mem::take(&mut self.refusal);
        if !explanation.is_empty() && (self.next > 0 || finish != Finish::ContentFilter) {
            self.say(std::mem::take(&mut explanation), out);
        }
        self.begin(out);
        let usage = self.usage.take().unwrap_or_else(|| self.stamp.estimate(self.text_bytes));
        self.send("message_delta", out, |w, this| {
            w.put("type", "message_delta");
            let mut delta = Writer::open(w.key("delta"));
            let ending = Ending {
                finish,
                native: native.as_deref(),
                stop_sequence: stop_sequence.as_deref(),
                explanation: (!explanation.is_empty()).then_some(explanation.as_str()),
            };
            ending.write(&mut delta);
            delta.close();
            usage::write(w.key("usage"), &usage, &this.start, &this.stamp, true);
        });
        self.send("message_stop", out, |w, this| {
            w.put("type", "message_stop");
            if let Some(metadata) = &this.stamp.metadata {
                w.raw("openrouter_metadata", metadata);
            }
        });
        self.over = true;
    }
}

impl Encoder {
    pub fn new(stamp: Arc<Stamp>) -> Encoder {
        Encoder {
            stamp,
            start: Start::default(),
            started: false,
            over: false,
            next: 0,
            open: None,
            parted: Vec::new(),
            held: VecDeque::new(),
            refusal: String::new(),
            usage: None,
            ending: None,
            text_bytes: 0,
            answered: false,
            payload: Vec::new(),
        }
    }

    fn send(&mut self, name: &str, out: &mut BytesMut, write: impl FnOnce(&mut Writer<'_>, &Encoder)) {
        let mut payload = std::mem::take(&mut self.payload);
        payload.clear();
        let mut w = Writer::open(&mut payload);
        write(&mut w, self);
        w.close();
        frame(name, &mut payload, out);
        self.payload = payload;
    }

    fn begin(&mut self, out: &mut BytesMut) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let mut usage = self.usage.clone().unwrap_or_else(|| self.stamp.estimate(0));
        (usage.output, usage.reasoning) = (usage.output.min(1), 0);
        self.send("message_start", out, |w, this| {
            w.put("type", "message_start");
            let mut message = Writer::open(w.key("message"));
            reply::head(&mut message, &this.stamp);
            message.raw("content", "[]").raw("stop_reason", "null").raw("stop_sequence", "null");
            message.raw("stop_details", "null").raw("container", "null");
            usage::write(message.key("usage"), &usage, &this.start, &this.stamp, false);
            message.close();
        });
    }

    /// Tool calls are told one after the other; text and thinking make way for whatever begins.
    fn block_event(&mut self, event: &Event, out: &mut BytesMut) {
        let (Event::Open { block, .. } | Event::Delta { block, .. } | Event::Close { block, .. }) = event else {
            return;
        };
        if let Some(open) = &self.open
            && open.block != *block
            && matches!(open.kind, Kind::ToolCall { .. })
        {
            if self.held.len() >= MAX_HELD {
                let says = "the provider interleaved too many tool calls";
                return self.fail(&Fault::upstream(FaultKind::Upstream, Remedy::Stop, says), out);
            }
            return self.held.push_back(event.clone());
        }
        match event {
            Event::Open { kind, .. } => self.open(*block, kind.clone(), out),
            Event::Delta { piece, .. } => {
                if self.open.as_ref().is_none_or(|open| open.block != *block) {
                    let Some(at) = self.parted.iter().position(|(number, _)| number == block) else { return };
                    let (number, kind) = self.parted.swap_remove(at);
                    self.open(number, kind, out);
                }
                self.piece(piece, out);
            }
            Event::Close { .. } => {
                self.parted.retain(|(number, _)| number != block);
                if self.open.as_ref().is_some_and(|open| open.block == *block) {
                    self.close(out);
                    self.release(out);
                }
            }
            _ => {}
        }
    }

    /// Tell what was held back, until another tool call holds the rest back again.
    fn release(&mut self, out: &mut BytesMut) {
        for event in std::mem::take(&mut self.held) {
            if self.over {
                return;
            }
            self.block_event(&event, out);
        }
    }

    /// Everything that is open or held back is told and closed.
    fn settle(&mut self, out: &mut BytesMut) {
        while !self.over && (self.open.is_some() || !self.held.is_empty()) {
            self.close(out);
            self.release(out);
        }
    }

    fn open(&mut self, block: u32, kind: Kind, out: &mut BytesMut) {
        if let Some(open) = &self.open {
            if matches!(open.kind, Kind::Text | Kind::Thinking { .. } | Kind::Refusal) {
                let parted = (open.block, open.kind.clone());
                self.parted.push(parted);
            }
            self.close(out);
        }
        if kind != Kind::Refusal && !self.refusal.is_empty() {
            let refusal = std::mem::take(&mut self.refusal);
            self.say(refusal, out);
        }
        self.open = Some(Open { block, kind, index: None, sealed: String::new() });
        match self.open.as_ref().map(|open| &open.kind) {
            Some(Kind::ToolCall { .. }) => {
                self.show(out);
            }
            Some(Kind::Opaque { dialect: Dialect::Anthropic, raw }) => {
                let raw = raw.clone();
                self.opaque(&raw, out);
            }
            _ => {}
        }
    }

    /// A text block of its own.
    fn say(&mut self, text: String, out: &mut BytesMut) {
        let index = self.block_start(br#"{"type":"text","text":"","citations":null}"#, out);
        self.delta(index, "text_delta", "text", &text, out);
        self.block_stop(index, out);
    }

    /// Bring the open block onto the wire; its number there.
    fn show(&mut self, out: &mut BytesMut) -> Option<u64> {
        let open = self.open.as_ref()?;
        if open.index.is_some() {
            return open.index;
        }
        let mut start = Vec::new();
        match &open.kind {
            Kind::Text | Kind::Refusal => start.extend_from_slice(br#"{"type":"text","text":"","citations":null}"#),
            Kind::Thinking { format, id, .. } => reply::thinking_start(&mut start, "", "", format, id.as_deref()),
            Kind::ToolCall { id, name, extra } => {
                let id = reply::shown_id(id, &self.stamp, u64::from(open.block));
                reply::call_start(&mut start, &id, name, "{}", extra.as_ref());
            }
            Kind::Media { .. } | Kind::Opaque { .. } => return None,
        }
        let index = self.block_start(&start, out);
        if let Some(open) = &mut self.open {
            open.index = Some(index);
        }
        Some(index)
    }

    fn piece(&mut self, piece: &Piece, out: &mut BytesMut) {
        let hide = self.stamp.hide_reasoning;
        let Some(open) = &mut self.open else { return };
        match (&open.kind, piece) {
            (_, Piece::Text(text)) if text.is_empty() => {}
            (Kind::Refusal, Piece::Text(text)) => {
                self.text_bytes += text.len() as u64;
                self.refusal.push_str(text);
            }
            (Kind::Text, Piece::Text(text)) => {
                self.text_bytes += text.len() as u64;
                self.answered = true;
                if let Some(index) = self.show(out) {
                    self.delta(index, "text_delta", "text", text, out);
                }
            }
            (Kind::Text, Piece::Annotation(annotation)) => {
                if let Some(citation) = citations::to_citation(annotation, false)
                    && let Some(index) = self.show(out)
                {
                    self.citation(index, &citation, out);
                }
            }
            (Kind::Thinking { kind: ThinkingKind::Encrypted, .. }, Piece::Data(data)) => open.sealed.push_str(data),
            (Kind::Thinking { kind: ThinkingKind::Encrypted, .. }, _) => {}
            (Kind::Thinking { .. } | Kind::ToolCall { .. } | Kind::Text, Piece::Signature(signature)) => {
                open.sealed.push_str(signature);
            }
            (Kind::Thinking { .. }, Piece::Text(text)) => {
                self.text_bytes += text.len() as u64;
                if !hide && let Some(index) = self.show(out) {
                    self.delta(index, "thinking_delta", "thinking", text, out);
                }
            }
            (Kind::ToolCall { .. }, Piece::Arguments(json)) if !json.is_empty() => {
                self.text_bytes += json.len() as u64;
                if let Some(index) = self.show(out) {
                    self.delta(index, "input_json_delta", "partial_json", json, out);
                }
            }
            _ => {}
        }
    }

    fn close(&mut self, out: &mut BytesMut) {
        let Some(open) = &self.open else { return };
        let sealed = open.sealed.clone();
        let mut after = None;
        match &open.kind {
            // Programs take a message's last block for its answer; who wants no thoughts shown finds nothing there. Google asks for
            // the signature of a text back, and does without.
            Kind::Thinking { format, id: None, .. }
                if self.stamp.hide_reasoning && self.answered && format == slip_ir::request::format::GEMINI => {}
            Kind::Text if self.stamp.hide_reasoning => {}
            Kind::Thinking { kind: ThinkingKind::Encrypted, format, id } => {
                let mut start = Vec::new();
                reply::sealed_block(&mut start, &sealed, format, id.as_deref());
                after = Some(start);
            }
            Kind::Thinking { format, id, .. } if !sealed.is_empty() => {
                let signature = seal::seal(format, id.as_deref(), &sealed);
                if let Some(index) = self.show(out) {
                    self.delta(index, "signature_delta", "signature", &signature, out);
                }
            }
            Kind::ToolCall { id, .. } if !sealed.is_empty() => {
                let id = reply::shown_id(id, &self.stamp, u64::from(open.block));
                after = Some(reply::signature_block(Some(&id), &sealed));
            }
            Kind::Text if !sealed.is_empty() => after = Some(reply::signature_block(None, &sealed)),
            _ => {}
        }
        if let Some(index) = self.open.take().and_then(|open| open.index) {
            self.block_stop(index, out);
        }
        if let Some(start) = after {
            let index = self.block_start(&start, out);
            self.block_stop(index, out);
        }
    }

    /// Server blocks arrive whole. Those that are calls stream their input, as Anthropic does; clients gather it from the deltas.
    fn opaque(&mut self, raw: &Raw, out: &mut BytesMut) {
        let (start, input) = without_input(raw).unwrap_or((raw.clone(), None));
        let index = self.block_start(start.as_str().as_bytes(), out);
        if let Some(input) = input {
            self.delta(index, "input_json_delta", "partial_json", input.as_str(), out);
        }
        self.block_stop(index, out);
    }

    fn block_start(&mut self, block: &[u8], out: &mut BytesMut) -> u64 {
        self.begin(out);
        let index = self.next;
        self.next += 1;
        self.send("content_block_start", out, |w, _| {
            w.put("type", "content_block_start").put("index", &index);
            w.key("content_block").extend_from_slice(block);
        });
        index
    }

    fn delta(&mut self, index: u64, kind: &str, member: &str, text: &str, out: &mut BytesMut) {
        self.send("content_block_delta", out, |w, _| {
            w.put("type", "content_block_delta").put("index", &index);
            let mut delta = Writer::open(w.key("delta"));
            delta.put("type", kind).put(member, text);
            delta.close();
        });
    }

    fn citation(&mut self, index: u64, citation: &Raw, out: &mut BytesMut) {
        self.send("content_block_delta", out, |w, _| {
            w.put("type", "content_block_delta").put("index", &index);
            let mut delta = Writer::open(w.key("delta"));
            delta.put("type", "citations_delta").put("citation", citation);
            delta.close();
        });
    }

    fn block_stop(&mut self, index: u64, out: &mut BytesMut) {
        self.send("content_block_stop", out, |w, _| {
            w.put("type", "content_block_stop").put("index", &index);
        });
    }

    fn fail(&mut self, fault: &Fault, out: &mut BytesMut) {
        let id = (!self.stamp.id.is_empty()).then_some(self.stamp.id.as_str());
        let mut told = self.stamp.signed(Dialect::Anthropic, error::encode(fault, id));
        frame("error", &mut told, out);
        self.over = true;
    }
}
