//! An upstream's stream of Messages events as events of the vocabulary.

use super::blocks::sealed;
use super::usage::Counts;
use super::wire::{Delta, Wire, explanation, is_empty, whole};
use super::{citations, error, finish_of, seal};
use crate::dialect::{Decode, cut_short};
use crate::frame::Frame;
use crate::object::{Object, is_object};
use serde_json::value::RawValue;
use slip_ir::event::{Kind, Piece, Start};
use slip_ir::request::format;
use slip_ir::{Dialect, Event, Fault, FaultKind, Raw, Remedy, ThinkingKind};

/// Blocks open at once. Anthropic opens one at a time; imitators may overlap a few parallel tool calls.
const MAX_OPEN: usize = 256;
/// Bytes gathered for one server tool's input, which is only told once it is whole.
const MAX_GATHERED: usize = 8 << 20;

#[derive(Default)]
pub struct Decoder {
    started: bool,
    over: bool,
    finished: bool,
    called_tools: bool,
    /// The next block's number.
    next: u32,
    /// Characters of text in closed blocks: where citations point.
    chars: usize,
    open: Vec<Open>,
    counts: Counts,
}

struct Open {
    /// The upstream's number.
    index: u64,
    /// Ours. Opaque blocks get theirs when they are whole.
    block: u32,
    state: State,
}

enum State {
    Text {
        chars: usize,
        citations: Vec<Raw>,
    },
    Thinking {
        signed: bool,
    },
    /// Arguments given whole at the start count only if no deltas follow.
    Tool {
        given: Option<String>,
        said: bool,
    },
    Sealed,
    /// Gathered until it is whole.
    Opaque {
        raw: Raw,
        input: String,
        replaced: Vec<(&'static str, Raw)>,
    },
}

impl Decode for Decoder {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        if self.over || frame.is_done() || frame.data.trim_ascii().is_empty() {
            return;
        }
        let wire: Wire<'_> = match frame.read() {
            Ok(Some(wire)) => wire,
            Ok(None) => return,
            Err(fault) => return self.fail(fault, out),
        };
        let kind = wire.kind.as_deref().or(frame.event).unwrap_or_default();
        match kind {
            "ping" => out.extend(self.started.then_some(Event::Ping)),
            "error" => {
                let fault = match wire.error {
                    Some(error) => error::in_reply(error),
                    None => Fault::upstream(FaultKind::Upstream, Remedy::Again, "the provider failed in the middle"),
                };
                self.fail(fault, out);
            }
            "message_start" => self.message_start(wire.message, out),
            _ if self.finished && kind != "message_delta" && kind != "message_stop" => {}
            "content_block_start" => self.block_start(wire.index, wire.content_block, out),
            "content_block_delta" => self.block_delta(wire.index, wire.delta, out),
            "content_block_stop" => self.block_stop(wire.index, out),
            "message_delta" => self.message_delta(wire.delta, wire.usage, out),
            "message_stop" => self.finish(None, out),
            _ => {}
        }
    }

    fn eof(&mut self, out: &mut Vec<Event>) {
        if self.over {
            return;
        }
        self.close_all(out);
        if !self.finished {
            self.fail(cut_short(Remedy::Again), out);
        }
        self.over = true;
    }
}

impl Decoder {
    fn start(&mut self, start: Start, out: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.started, true) {
            out.push(Event::Start(start));
        }
    }

    /// Blocks that were open are left whole, so that what follows a fault can be read by the grammar.
    fn fail(&mut self, fault: Fault, out: &mut Vec<Event>) {
        self.close_all(out);
        out.push(Event::Fault(fault));
        self.over = true;
    }

    fn message_start(&mut self, message: Option<&RawValue>, out: &mut Vec<Event>) {
        if self.started {
            return;
        }
        let mut message = message.and_then(|raw| Object::parse(raw.get(), "").ok()).unwrap_or_default();
        if let Some(usage) = message.take("usage") {
            self.counts.absorb(usage);
        }
        let start = Start {
            id: message.string("id", "").ok().flatten(),
            model: message.string("model", "").ok().flatten(),
            service_tier: self.counts.service_tier.clone(),
            ..Start::default()
        };
        self.start(start, out);
        out.extend(self.counts.usage().map(Event::Usage));
    }

    fn block_start(&mut self, index: Option<u64>, block: Option<&RawValue>, out: &mut Vec<Event>) {
        let Some(raw) = block else { return };
        let Ok(mut o) = Object::parse(raw.get(), "") else { return };
        self.start(Start::default(), out);
        let index = index.unwrap_or(u64::from(self.next));
        // A number used again closes what had it.
        self.block_stop(Some(index), out);
        if self.open.len() >= MAX_OPEN {
            let says = "the provider opened too many blocks at once";
            return self.fail(Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, says), out);
        }
        let kind = o.string("type", "").ok().flatten().unwrap_or_default();
        let mut string = |name: &str| o.string(name, "").ok().flatten();
        match kind.as_str() {
            "text" => {
                let text = string("text").unwrap_or_default();
                let cited: Vec<Raw> = o
                    .array("citations", "")
                    .ok()
                    .flatten()
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|raw| Raw::parse(raw.get()))
                    .collect();
                let block = self.open(index, Kind::Text, State::Text { chars: 0, citations: cited }, out);
                self.piece(block, Piece::Text(text), out);
            }
            "thinking" => {
                let text = string("thinking").unwrap_or_default();
                let signature = string("signature");
                let told = string("format").zip(Some(string("id")));
                // Anthropic always has the member; an imitator's thinking without it is nobody's.
                let (name, id) = match (told, &signature) {
                    (Some(told), _) => told,
                    (None, Some(signature)) => {
                        let unsealed = seal::unseal(signature);
                        (unsealed.format.to_owned(), unsealed.id.map(str::to_owned))
                    }
                    (None, None) => (format::UNKNOWN.to_owned(), None),
                };
                let kind = Kind::Thinking { kind: ThinkingKind::Text, format: name, id };
                let block = self.open(index, kind, State::Thinking { signed: false }, out);
                self.piece(block, Piece::Text(text), out);
                self.sign(block, signature.unwrap_or_default(), out);
            }
            "redacted_thinking" => {
                let thinking = sealed(&string("data").unwrap_or_default());
                let kind = Kind::Thinking { kind: thinking.kind, format: thinking.format, id: thinking.id };
                let block = self.open(index, kind, State::Sealed, out);
                let data = thinking.data.unwrap_or_default();
                out.push(Event::Delta { choice: 0, block, piece: Piece::Data(data) });
            }
            "tool_use" => {
                let id = string("id").unwrap_or_default();
                let name = string("name").unwrap_or_default();
                let given =
                    o.take("input").filter(|raw| is_object(raw) && !is_empty(raw)).map(|raw| raw.get().to_owned());
                o.take("cache_control");
                self.called_tools = true;
                let kind = Kind::ToolCall { id, name, extra: o.rest_object() };
                self.open(index, kind, State::Tool { given, said: false }, out);
            }
            _ => {
                let Some(raw) = Raw::parse(raw.get()) else { return };
                let state = State::Opaque { raw, input: String::new(), replaced: Vec::new() };
                self.open.push(Open { index, block: 0, state });
            }
        }
    }

    fn open(&mut self, index: u64, kind: Kind, state: State, out: &mut Vec<Event>) -> u32 {
        let block = self.next;
        self.next = self.next.saturating_add(1);
        out.push(Event::Open { choice: 0, block, kind });
        self.open.push(Open { index, block, state });
        block
    }

    /// Text of a block that is open; empty text is no news.
    fn piece(&mut self, block: u32, piece: Piece, out: &mut Vec<Event>) {
        let (Piece::Text(text) | Piece::Arguments(text)) = &piece else { return };
        if text.is_empty() {
            return;
        }
        if let Some(Open { state: State::Text { chars, .. }, .. }) = self.open.iter_mut().find(|o| o.block == block) {
            *chars += text.chars().count();
        }
        out.push(Event::Delta { choice: 0, block, piece });
    }

    /// A signature's first piece may carry the mark of another family.
    fn sign(&mut self, block: u32, signature: String, out: &mut Vec<Event>) {
        if signature.is_empty() {
            return;
        }
        let Some(Open { state: State::Thinking { signed }, .. }) = self.open.iter_mut().find(|o| o.block == block)
        else {
            return;
        };
        let payload =
            if std::mem::replace(signed, true) { signature } else { seal::unseal(&signature).payload.to_owned() };
        if !payload.is_empty() {
            out.push(Event::Delta { choice: 0, block, piece: Piece::Signature(payload) });
        }
    }

    fn block_delta(&mut self, index: Option<u64>, delta: Option<&RawValue>, out: &mut Vec<Event>) {
        let Some(Ok(delta)) = delta.map(|raw| serde_json::from_str::<Delta<'_>>(raw.get())) else { return };
        let found = match index {
            Some(index) => self.open.iter_mut().find(|open| open.index == index),
            None => self.open.last_mut(),
        };
        let Some(open) = found else { return };
        let block = open.block;
        match &mut open.state {
            State::Text { citations, .. } => {
                citations.extend(delta.citation.and_then(|raw| Raw::parse(raw.get())));
                if let Some(text) = delta.text {
                    self.piece(block, Piece::Text(text), out);
                }
            }
            State::Thinking { .. } => {
                if let Some(text) = delta.thinking {
                    self.piece(block, Piece::Text(text), out);
                }
                if let Some(signature) = delta.signature {
                    self.sign(block, signature, out);
                }
            }
            State::Tool { said, .. } => {
                if let Some(json) = delta.partial_json.filter(|json| !json.is_empty()) {
                    *said = true;
                    self.piece(block, Piece::Arguments(json), out);
                }
            }
            State::Sealed => {}
            State::Opaque { input, replaced, .. } => {
                if let Some(json) = delta.partial_json {
                    if input.len() + json.len() > MAX_GATHERED {
                        let says = "the provider's tool input is too long";
                        return self.fail(Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, says), out);
                    }
                    input.push_str(&json);
                }
                // A compaction block is told empty and filled by one delta.
                for (name, raw) in [("content", delta.content), ("encrypted_content", delta.encrypted_content)] {
                    if let Some(raw) = raw.and_then(|raw| Raw::parse(raw.get())) {
                        replaced.retain(|(known, _)| *known != name);
                        replaced.push((name, raw));
                    }
                }
            }
        }
    }

    fn block_stop(&mut self, index: Option<u64>, out: &mut Vec<Event>) {
        let found = match index {
            Some(index) => self.open.iter().position(|open| open.index == index),
            None => self.open.len().checked_sub(1),
        };
        if let Some(at) = found {
            let open = self.open.remove(at);
            self.close(open, out);
        }
    }

    fn close(&mut self, open: Open, out: &mut Vec<Event>) {
        let mut block = open.block;
        match open.state {
            State::Text { chars, citations } => {
                let start = self.chars;
                self.chars += chars;
                for raw in citations {
                    let told = serde_json::from_str::<&RawValue>(raw.as_str()).ok();
                    if let Some(raw) = told.and_then(|raw| citations::to_annotation(raw, start, self.chars)) {
                        out.push(Event::Delta { choice: 0, block, piece: Piece::Annotation(raw) });
                    }
                }
            }
            State::Tool { given, said: false } => {
                let arguments = given.unwrap_or_else(|| "{}".to_owned());
                out.push(Event::Delta { choice: 0, block, piece: Piece::Arguments(arguments) });
            }
            State::Opaque { raw, input, replaced } => {
                let raw = whole(raw, &input, &replaced);
                block = self.next;
                self.next = self.next.saturating_add(1);
                out.push(Event::Open { choice: 0, block, kind: Kind::Opaque { dialect: Dialect::Anthropic, raw } });
            }
            State::Tool { .. } | State::Thinking { .. } | State::Sealed => {}
        }
        out.push(Event::Close { choice: 0, block });
    }

    fn close_all(&mut self, out: &mut Vec<Event>) {
        for open in std::mem::take(&mut self.open) {
            self.close(open, out);
        }
    }

    /// Usage in it is cumulative. Imitators send several of these, the reason in any of them.
    fn message_delta(&mut self, delta: Option<&RawValue>, usage: Option<&RawValue>, out: &mut Vec<Event>) {
        self.start(Start::default(), out);
        if let Some(usage) = usage {
            let before = self.counts.usage();
            self.counts.absorb(usage);
            let after = self.counts.usage();
            if after != before {
                out.extend(after.map(Event::Usage));
            }
        }
        let delta = delta.and_then(|raw| Object::parse(raw.get(), "").ok());
        if let Some(delta) = delta.filter(|delta| delta.has("stop_reason")) {
            self.finish(Some(delta), out);
        }
    }

    fn finish(&mut self, delta: Option<Object<'_>>, out: &mut Vec<Event>) {
        if self.finished {
            return;
        }
        let last = delta.is_none();
        let mut delta = delta.unwrap_or_default();
        let native = delta.string("stop_reason", "").ok().flatten();
        if native.is_none() && !last {
            return;
        }
        self.start(Start::default(), out);
        self.close_all(out);
        if let Some(explanation) = explanation(&mut delta, native.as_deref())
            && self.next == 0
        {
            out.push(Event::Open { choice: 0, block: 0, kind: Kind::Refusal });
            out.push(Event::Delta { choice: 0, block: 0, piece: Piece::Text(explanation) });
            out.push(Event::Close { choice: 0, block: 0 });
            self.next = 1;
        }
        let reason = finish_of(native.as_deref(), self.called_tools);
        let stop_sequence = delta.string("stop_sequence", "").ok().flatten();
        out.push(Event::Finish { choice: 0, reason, native, stop_sequence });
        self.finished = true;
    }
}
