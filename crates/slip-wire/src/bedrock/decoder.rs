//! An upstream's ConverseStream as events of the vocabulary.
//!
//! Text and reasoning have no event that begins them: the first delta with a new number does. The counts come after the end.

use super::reply::stop_sequence;
use super::{blocks, citations, error, finish_of, media, sealed, usage};
use crate::dialect::{Decode, cut_short};
use crate::frame::Frame;
use crate::json;
use crate::object::{Object, Writer, array, to_raw};
use serde::Deserialize;
use serde_json::value::RawValue;
use slip_ir::event::{Kind, Piece, Start};
use slip_ir::request::format;
use slip_ir::{Dialect, Event, Fault, FaultKind, Media, MediaKind, Raw, Remedy, Source, ThinkingKind, Usage};

/// Every event of a stream; a message of another name is an exception.
pub const EVENTS: [&str; 7] = [
    "messageStart",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "messageStop",
    "metadata",
    // The first message of some event streams, which says nothing.
    "initial-response",
];

/// Blocks open at once. Bedrock opens one at a time.
const MAX_OPEN: usize = 256;
/// Bytes gathered for one block that is only told once it is whole.
const MAX_GATHERED: usize = 16 << 20;

/// One event as it stands on the wire; `p` is padding.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    content_block_index: Option<u64>,
    #[serde(borrow)]
    start: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

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
}

struct Open {
    /// The upstream's number.
    index: u64,
    /// Ours. Blocks that are told whole get theirs then.
    block: u32,
    state: State,
}

enum State {
    Text {
        chars: usize,
        citations: Vec<Raw>,
    },
    Thinking,
    Sealed {
        blob: String,
    },
    Tool {
        said: bool,
    },
    /// What the provider ran by itself: the start, and what it was given or gave.
    Server {
        member: &'static str,
        start: Raw,
        gathered: String,
    },
    Picture {
        format: String,
        base64: String,
    },
}

impl Decode for Decoder {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        if self.over {
            return;
        }
        let name = frame.event.unwrap_or_default();
        if !EVENTS.contains(&name) {
            if name.is_empty() && frame.data.is_empty() {
                return;
            }
            return self.fail(error::in_stream(name, frame.data), out);
        }
        let wire: Wire<'_> = match frame.read() {
            Ok(Some(wire)) => wire,
            Ok(None) => return,
            Err(fault) => return self.fail(fault, out),
        };
        match name {
            "messageStart" => self.start(out),
            "metadata" => {
                self.start(out);
                let tier = usage::served(json::field(frame.data, "serviceTier"));
                out.extend(wire.usage.and_then(usage::read).map(|usage| Event::Usage(Usage { tier, ..usage })));
            }
            _ if self.finished => {}
            "contentBlockStart" => self.block_start(wire.content_block_index, wire.start, out),
            "contentBlockDelta" => self.block_delta(wire.content_block_index, wire.delta, out),
            "contentBlockStop" => self.block_stop(wire.content_block_index, out),
            "messageStop" => self.finish(frame.data, out),
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
    fn start(&mut self, out: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.started, true) {
            out.push(Event::Start(Start::default()));
        }
    }

    /// Blocks that were open are left whole, so that what follows a fault can be read by the grammar.
    fn fail(&mut self, fault: Fault, out: &mut Vec<Event>) {
        self.close_all(out);
        out.push(Event::Fault(fault));
        self.over = true;
    }

    fn finish(&mut self, data: &[u8], out: &mut Vec<Event>) {
        self.start(out);
        self.close_all(out);
        let mut o = std::str::from_utf8(data).ok().and_then(|text| Object::parse(text, "").ok()).unwrap_or_default();
        let native = o.string("stopReason", "").ok().flatten();
        let reason = finish_of(native.as_deref(), self.called_tools);
        out.push(Event::Finish { choice: 0, reason, native, stop_sequence: stop_sequence(&mut o) });
        self.finished = true;
    }

    fn block_start(&mut self, index: Option<u64>, start: Option<&RawValue>, out: &mut Vec<Event>) {
        let Some(Ok((kind, inner))) = start.map(|raw| blocks::only(raw, "")) else { return };
        let Ok(mut o) = Object::parse(inner.get(), "") else { return };
        let index = index.unwrap_or(u64::from(self.next));
        let mut string = |name: &str| o.string(name, "").ok().flatten();
        match &*kind {
            "toolUse" if blocks::is_server(string("type").as_deref()) => self.server(index, "toolUse", inner, out),
            "toolUse" => {
                let (id, name) = (string("toolUseId").unwrap_or_default(), string("name").unwrap_or_default());
                self.called_tools = true;
                let kind = Kind::ToolCall { id, name, extra: None };
                self.open(index, Some(kind), State::Tool { said: false }, out);
            }
            "toolResult" => self.server(index, "toolResult", inner, out),
            "image" => {
                let format = string("format").unwrap_or_default();
                self.open(index, None, State::Picture { format, base64: String::new() }, out);
            }
            _ => {}
        }
    }

    fn server(&mut self, index: u64, member: &'static str, start: &RawValue, out: &mut Vec<Event>) {
        let Some(start) = Raw::parse(start.get()) else { return };
        self.open(index, None, State::Server { member, start, gathered: String::new() }, out);
    }

    /// A number used again closes what had it.
    fn open(&mut self, index: u64, kind: Option<Kind>, state: State, out: &mut Vec<Event>) {
        self.start(out);
        self.block_stop(Some(index), out);
        if self.open.len() >= MAX_OPEN {
            let says = "the provider opened too many blocks at once";
            return self.fail(Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, says), out);
        }
        let mut block = 0;
        if let Some(kind) = kind {
            block = self.number();
            out.push(Event::Open { choice: 0, block, kind });
        }
        self.open.push(Open { index, block, state });
    }

    fn number(&mut self) -> u32 {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        number
    }

    fn block_delta(&mut self, index: Option<u64>, delta: Option<&RawValue>, out: &mut Vec<Event>) {
        let Some(Ok((kind, inner))) = delta.map(|raw| blocks::only(raw, "")) else { return };
        let index = index.or(self.open.last().map(|open| open.index)).unwrap_or_default();
        match &*kind {
            "text" => {
                let Ok(text) = serde_json::from_str::<String>(inner.get()) else { return };
                let Some(open) = self.wanted(index, Kind::Text, |state| matches!(state, State::Text { .. }), out)
                else {
                    return;
                };
                if let State::Text { chars, .. } = &mut open.state {
                    *chars += text.chars().count();
                }
                let block = open.block;
                push(block, Piece::Text(text), out);
            }
            "citation" => {
                let Some(raw) = Raw::parse(inner.get()) else { return };
                let open = self.wanted(index, Kind::Text, |state| matches!(state, State::Text { .. }), out);
                if let Some(Open { state: State::Text { citations, .. }, .. }) = open {
                    citations.push(raw);
                }
            }
            "reasoningContent" => self.reasoning(index, inner, out),
            "toolUse" => {
                let input = Object::parse(inner.get(), "").ok().and_then(|mut o| o.string("input", "").ok().flatten());
                let Some(input) = input else { return };
                match self.found(index) {
                    Some(Open { block, state: State::Tool { said }, .. }) => {
                        *said |= !input.is_empty();
                        let block = *block;
                        push(block, Piece::Arguments(input), out);
                    }
                    Some(Open { state: State::Server { gathered, .. }, .. }) => {
                        gathered.push_str(&input);
                        self.weigh(index, out);
                    }
                    _ => {}
                }
            }
            "toolResult" => {
                if let Some(Open { state: State::Server { gathered, .. }, .. }) = self.found(index) {
                    // Lists of parts, one after the other.
                    let parts: Vec<&RawValue> = serde_json::from_str(inner.get()).unwrap_or_default();
                    for part in parts {
                        if !gathered.is_empty() {
                            gathered.push(',');
                        }
                        gathered.push_str(part.get());
                    }
                    self.weigh(index, out);
                }
            }
            "image" => {
                let mut o = Object::parse(inner.get(), "").unwrap_or_default();
                let bytes =
                    o.object("source", "").ok().flatten().and_then(|mut source| source.string("bytes", "").ok()?);
                if let Some(Open { state: State::Picture { base64, .. }, .. }) = self.found(index) {
                    base64.push_str(&bytes.unwrap_or_default());
                    self.weigh(index, out);
                }
            }
            _ => {}
        }
    }

    fn reasoning(&mut self, index: u64, raw: &RawValue, out: &mut Vec<Event>) {
        let mut o = Object::parse(raw.get(), "").unwrap_or_default();
        let mut string = |name: &str| o.string(name, "").ok().flatten();
        if let Some(blob) = string("redactedContent") {
            if !matches!(self.found(index), Some(Open { state: State::Sealed { .. }, .. })) {
                self.open(index, None, State::Sealed { blob: String::new() }, out);
            }
            if let Some(Open { state: State::Sealed { blob: so_far }, .. }) = self.found(index) {
                so_far.push_str(&blob);
                self.weigh(index, out);
            }
            return;
        }
        let (text, signature) = (string("text"), string("signature"));
        // Whose it is shows only with the signature, at the end; here only Anthropic's models sign.
        let kind = Kind::Thinking { kind: ThinkingKind::Text, format: format::ANTHROPIC.to_owned(), id: None };
        let Some(open) = self.wanted(index, kind, |state| matches!(state, State::Thinking), out) else { return };
        let block = open.block;
        push(block, Piece::Text(text.unwrap_or_default()), out);
        push(block, Piece::Signature(signature.unwrap_or_default()), out);
    }

    fn found(&mut self, index: u64) -> Option<&mut Open> {
        self.open.iter_mut().find(|open| open.index == index)
    }

    /// The open block of this number; begun where there is none, or one of another kind.
    fn wanted(&mut self, index: u64, kind: Kind, fits: fn(&State) -> bool, out: &mut Vec<Event>) -> Option<&mut Open> {
        if !self.found(index).is_some_and(|open| fits(&open.state)) {
            let state = match kind {
                Kind::Text => State::Text { chars: 0, citations: Vec::new() },
                _ => State::Thinking,
            };
            self.open(index, Some(kind), state, out);
        }
        self.found(index)
    }

    /// What is gathered must not grow without end.
    fn weigh(&mut self, index: u64, out: &mut Vec<Event>) {
        let weight = match self.found(index).map(|open| &open.state) {
            Some(
                State::Server { gathered: text, .. }
                | State::Picture { base64: text, .. }
                | State::Sealed { blob: text },
            ) => text.len(),
            _ => 0,
        };
        if weight > MAX_GATHERED {
            let says = "a block of the provider's is too long";
            self.fail(Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, says), out);
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

    fn close_all(&mut self, out: &mut Vec<Event>) {
        for open in std::mem::take(&mut self.open) {
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
                    let told = told.and_then(|raw| citations::to_annotation(raw, start, self.chars));
                    out.extend(told.map(|raw| Event::Delta { choice: 0, block, piece: Piece::Annotation(raw) }));
                }
            }
            State::Thinking | State::Tool { said: true } => {}
            State::Tool { said: false } => push(block, Piece::Arguments("{}".to_owned()), out),
            State::Sealed { blob } => {
                let thinking = sealed::from_blob(&blob);
                block = self.number();
                let kind = Kind::Thinking { kind: thinking.kind, format: thinking.format, id: thinking.id };
                out.push(Event::Open { choice: 0, block, kind });
                let data = thinking.data.unwrap_or_default();
                out.push(Event::Delta { choice: 0, block, piece: Piece::Data(data) });
            }
            State::Server { member, start, gathered } => {
                block = self.number();
                let raw = whole(member, &start, &gathered).unwrap_or(start);
                out.push(Event::Open { choice: 0, block, kind: Kind::Opaque { dialect: Dialect::Bedrock, raw } });
            }
            State::Picture { format, base64 } => {
                block = self.number();
                let source = Source::Data { mime: media::mime_of(MediaKind::Image, &format), base64 };
                let (kind, name, detail, cache, extra) = (MediaKind::Image, None, None, None, None);
                out.push(Event::Open { choice: 0, block, kind: Kind::Media { kind } });
                let media = Media { kind, source, name, detail, cache, extra };
                out.push(Event::Delta { choice: 0, block, piece: Piece::Media(media) });
            }
        }
        out.push(Event::Close { choice: 0, block });
    }
}

/// A piece of an open block; an empty one is no news.
fn push(block: u32, piece: Piece, out: &mut Vec<Event>) {
    if let Piece::Text(text) | Piece::Arguments(text) | Piece::Signature(text) = &piece
        && text.is_empty()
    {
        return;
    }
    out.push(Event::Delta { choice: 0, block, piece });
}

/// A block of the provider's own tools as it stands in a whole reply.
fn whole(member: &str, start: &Raw, gathered: &str) -> Option<Raw> {
    let members = Object::parse(start.as_str(), "").ok()?;
    let mut out = Vec::new();
    let mut w = Writer::open(&mut out);
    let mut inner = Writer::open(w.key(member));
    members.rest().for_each(|(name, raw)| {
        inner.raw(&name, raw.get());
    });
    if member == "toolUse" {
        let input = Raw::parse(gathered).filter(|raw| raw.as_str().trim_start().starts_with('{'));
        inner.raw("input", input.as_ref().map_or("{}", Raw::as_str));
    } else {
        array(inner.key("content"), Some(gathered).filter(|some| !some.is_empty()), |out, some| {
            out.extend_from_slice(some.as_bytes());
        });
    }
    inner.close();
    w.close();
    to_raw(out)
}
