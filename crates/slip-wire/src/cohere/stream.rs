//! An upstream's typed events, read into ours.

use super::{citations, finish, usage};
use crate::dialect::{Decode, cut_short};
use crate::frame::Frame;
use crate::json;
use crate::openai_chat::choice::some;
use crate::openai_chat::error;
use slip_ir::event::{Kind, Start};
use slip_ir::request::format;
use slip_ir::{Event, Fault, FaultKind, Finish, Piece, Remedy, ThinkingKind};

/// Events that are no JSON objects are passed over this many times; a stream of them is not a reply.
const MAX_STRAYS: u32 = 16;
/// Tool calls and stretches of content of one reply; a server gone wrong could otherwise open one per token.
const MAX_BLOCKS: u32 = 1024;
/// Citations of one reply.
const MAX_CITATIONS: u32 = 4096;

#[derive(Default)]
pub(super) struct Events {
    started: bool,
    over: bool,
    /// Open blocks: what they are upstream, its number for them, ours.
    open: Vec<(Part, i64, u32)>,
    blocks: u32,
    called: bool,
    cited: u32,
    /// Characters of text so far, and before the block that citations count from.
    characters: u64,
    before: u64,
    strays: u32,
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Text,
    Thinking,
    /// What it means to do with its tools: thought, and not said.
    Plan,
    Call,
}

impl Events {
    fn event(&mut self, data: &[u8], out: &mut Vec<Event>) -> Option<Fault> {
        let Some(kind) = json::field(data, "type").and_then(json::string) else {
            // `{"id","message"}` is how it refuses.
            let refused = json::field(data, "message").and_then(some).is_some()
                || json::field(data, "error").is_some_and(error::says_something);
            return refused.then(|| error::inside(data));
        };
        if !std::mem::replace(&mut self.started, true) {
            let id = json::field(data, "id").and_then(some);
            out.push(Event::Start(Start { id, ..Start::default() }));
        }
        let index = json::field(data, "index").and_then(json::integer).unwrap_or(0);
        let delta = json::field(data, "delta").unwrap_or(b"{}");
        let message = json::field(delta, "message").unwrap_or(b"{}");
        match &*kind {
            "content-start" | "content-delta" => {
                if let Some(content) = json::field(message, "content") {
                    self.content(index, content, &kind == "content-start", out);
                }
            }
            "content-end" => {
                self.close(|part, number| matches!(part, Part::Text | Part::Thinking) && number == index, out)
            }
            "tool-plan-delta" => {
                if let Some(text) = json::field(message, "tool_plan").and_then(some) {
                    self.text(Part::Plan, 0, text, out);
                }
            }
            "tool-call-start" => {
                if let Some(call) = json::field(message, "tool_calls") {
                    self.call(index, call, out);
                }
            }
            "tool-call-delta" => {
                let function = json::field(message, "tool_calls").and_then(|call| json::field(call, "function"));
                let text = function.and_then(|f| json::field(f, "arguments")).and_then(some);
                let open = self.open.iter().rev().find(|(part, number, _)| *part == Part::Call && *number == index);
                if let (Some(text), Some((.., block))) = (text, open) {
                    out.push(Event::Delta { choice: 0, block: *block, piece: Piece::Arguments(text) });
                }
            }
            "tool-call-end" => self.close(|part, number| part == Part::Call && number == index, out),
            "citation-start" => {
                if let Some(citation) = json::field(message, "citations") {
                    match citation.first() {
                        Some(b'[') => json::items(citation).for_each(|citation| self.cite(citation, out)),
                        _ => self.cite(citation, out),
                    }
                }
            }
            "message-end" => return self.end(data, delta, out),
            _ => {}
        }
        None
    }

    fn content(&mut self, index: i64, content: &[u8], starts: bool, out: &mut Vec<Event>) {
        let (mut kind, mut text, mut thought) = (None, None, None);
        for (key, value) in json::fields(content) {
            match &*key.bytes() {
                b"type" => kind = some(value),
                b"text" => text = json::string(value).map(|text| text.into_owned()),
                b"thinking" => thought = json::string(value).map(|text| text.into_owned()),
                _ => {}
            }
        }
        let thinks = kind.as_deref() == Some("thinking") || text.is_none() && thought.is_some();
        let part = if thinks { Part::Thinking } else { Part::Text };
        if starts {
            self.block(part, index, out);
        }
        if let Some(text) = if thinks { thought } else { text }.filter(|text| !text.is_empty()) {
            self.text(part, index, text, out);
        }
    }

    fn text(&mut self, part: Part, index: i64, text: String, out: &mut Vec<Event>) {
        let Some(block) = self.block(part, index, out) else { return };
        if part == Part::Text {
            self.characters += text.chars().count() as u64;
        }
        out.push(Event::Delta { choice: 0, block, piece: Piece::Text(text) });
    }

    /// The open block of that kind and number; opened, where it is not. A plan ends where anything else begins.
    fn block(&mut self, part: Part, index: i64, out: &mut Vec<Event>) -> Option<u32> {
        if let Some((.., block)) = self.open.iter().find(|(p, number, _)| *p == part && *number == index) {
            return Some(*block);
        }
        self.close(|part, _| part == Part::Plan, out);
        let kind = match part {
            Part::Text => Kind::Text,
            _ => Kind::Thinking { kind: ThinkingKind::Text, format: format::UNKNOWN.to_owned(), id: None },
        };
        if part == Part::Text {
            self.before = self.characters;
        }
        self.open(part, index, kind, out)
    }

    fn open(&mut self, part: Part, index: i64, kind: Kind, out: &mut Vec<Event>) -> Option<u32> {
        if self.blocks >= MAX_BLOCKS {
            return None;
        }
        let block = self.blocks;
        self.blocks += 1;
        self.open.push((part, index, block));
        out.push(Event::Open { choice: 0, block, kind });
        Some(block)
    }

    fn call(&mut self, index: i64, call: &[u8], out: &mut Vec<Event>) {
        let function = json::field(call, "function").unwrap_or(b"{}");
        let Some(name) = json::field(function, "name").and_then(some) else { return };
        self.close(|part, number| part == Part::Plan || part == Part::Call && number == index, out);
        let id = json::field(call, "id").and_then(some).unwrap_or_default();
        let Some(block) = self.open(Part::Call, index, Kind::ToolCall { id, name, extra: None }, out) else { return };
        self.called = true;
        if let Some(text) = json::field(function, "arguments").and_then(some) {
            out.push(Event::Delta { choice: 0, block, piece: Piece::Arguments(text) });
        }
    }

    /// A citation may come when its text has ended already.
    fn cite(&mut self, citation: &[u8], out: &mut Vec<Event>) {
        if citation.first() != Some(&b'{') || self.cited >= MAX_CITATIONS {
            return;
        }
        self.cited += 1;
        let annotations = citations::to_annotations(citation, self.before);
        let open = self.open.iter().rev().find(|(part, ..)| *part == Part::Text).map(|(.., block)| *block);
        let Some(block) = open.or_else(|| self.open(Part::Text, i64::MIN, Kind::Text, out)) else { return };
        out.extend(annotations.into_iter().map(|raw| Event::Delta { choice: 0, block, piece: Piece::Annotation(raw) }));
        self.close(|_, number| number == i64::MIN, out);
    }

    fn end(&mut self, data: &[u8], delta: &[u8], out: &mut Vec<Event>) -> Option<Fault> {
        let word = json::field(delta, "finish_reason").and_then(some).unwrap_or_else(|| "COMPLETE".to_owned());
        let told = json::field(delta, "error").filter(|value| error::says_something(value));
        self.close(|_, _| true, out);
        out.extend(json::field(delta, "usage").and_then(usage::read).map(Event::Usage));
        let reason = finish::meaning(&word, self.called);
        if told.is_some() || reason == Finish::Error {
            let span = if told.is_some() { delta } else { data };
            let mut fault = error::inside(span);
            if told.is_none() {
                fault.says = format!("the provider ended the reply with an error: {word}").into();
            }
            return Some(fault);
        }
        self.over = true;
        out.push(Event::Finish { choice: 0, reason, native: Some(word), stop_sequence: None });
        None
    }

    fn close(&mut self, which: impl Fn(Part, i64) -> bool, out: &mut Vec<Event>) {
        self.open.retain(|(part, number, block)| {
            let ends = which(*part, *number);
            if ends {
                out.push(Event::Close { choice: 0, block: *block });
            }
            !ends
        });
    }

    fn fail(&mut self, fault: Fault, out: &mut Vec<Event>) {
        self.over = true;
        self.close(|_, _| true, out);
        out.push(Event::Fault(fault));
    }

    fn nonsense(&mut self, says: String, out: &mut Vec<Event>) {
        self.fail(Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, says), out);
    }
}

impl Decode for Events {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        let data = frame.data.trim_ascii();
        if self.over || data.is_empty() || frame.is_done() {
            return;
        }
        if data.first() != Some(&b'{') {
            self.strays += 1;
            if self.strays > MAX_STRAYS {
                self.nonsense("the provider sent a stream that is not of Cohere's events".to_owned(), out);
            }
            return;
        }
        if let Err(why) = json::check(data) {
            return self.nonsense(format!("the provider sent an event that is not JSON: {why}"), out);
        }
        if let Some(fault) = self.event(data, out) {
            self.fail(fault, out);
        }
    }

    fn eof(&mut self, out: &mut Vec<Event>) {
        if !self.over {
            self.fail(cut_short(Remedy::Elsewhere), out);
        }
    }
}
