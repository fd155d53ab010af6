//! An upstream's lines, or its one object, read into events.

use super::{Door, time};
use crate::dialect::{Decode, cut_short};
use crate::frame::Frame;
use crate::openai_chat::choice::some;
use crate::openai_chat::error;
use crate::openai_chat::node::raw;
use crate::openai_chat::write::object;
use crate::{Malformed, json};
use slip_ir::event::{Kind, Start};
use slip_ir::request::format;
use slip_ir::{Event, Fault, FaultKind, Finish, Piece, Remedy, Reply, ThinkingKind, Usage, fold};

/// Lines that are not JSON objects are passed over this many times; a stream of them is not a reply.
const MAX_STRAYS: u32 = 16;
/// Tool calls of one reply; a model that repeats itself could otherwise open one per token.
const MAX_CALLS: u32 = 512;
/// More tokens than any reply holds: a count above it is an accident, and one would be billed.
const MOST_TOKENS: i64 = 1_000_000_000;

pub(super) struct Parts {
    door: Door,
    started: bool,
    over: bool,
    /// The block that text is going into, and whether it is reasoning.
    open: Option<(u32, bool)>,
    blocks: u32,
    calls: u32,
    strays: u32,
}

impl Parts {
    pub(super) fn new(door: Door) -> Parts {
        Parts { door, started: false, over: false, open: None, blocks: 0, calls: 0, strays: 0 }
    }

    /// Take in one object. An error in it is returned: it must be told last.
    fn object(&mut self, span: &[u8], out: &mut Vec<Event>) -> Option<Fault> {
        let mut start = Start::default();
        let (mut message, mut done, mut reason, mut logprobs) = (None, false, None, None);
        let (mut prompt, mut answer) = (None, None);
        let (mut text, mut thought) = (None, None);
        for (key, value) in json::fields(span) {
            match &*key.bytes() {
                b"error" if error::says_something(value) => return Some(error::inside(span)),
                b"model" => start.model = some(value),
                b"created_at" => start.created = some(value).and_then(|text| time::read(&text)),
                b"message" if value.first() == Some(&b'{') => message = Some(value),
                b"response" => text = some(value),
                b"thinking" => thought = some(value),
                b"done" => done = value == b"true",
                b"done_reason" => reason = some(value),
                b"prompt_eval_count" => prompt = count(value),
                b"eval_count" => answer = count(value),
                b"logprobs" if value.first() == Some(&b'[') => logprobs = Some(value),
                _ => {}
            }
        }
        if !std::mem::replace(&mut self.started, true) {
            out.push(Event::Start(start));
        }
        match (self.door, message) {
            (Door::Chat, Some(message)) => self.message(message, out),
            (Door::Chat, None) => {}
            (Door::Generate, _) => {
                self.text(thought, true, out);
                self.text(text, false, out);
            }
        }
        if let Some(list) = logprobs.filter(|list| json::items(list).next().is_some()) {
            let mut rows = Vec::new();
            object(&mut rows, |o| {
                o.span("content", list);
                o.null("refusal");
            });
            out.extend(raw(&rows).map(|raw| Event::Logprobs { choice: 0, raw }));
        }
        if done {
            self.over = true;
            self.close(out);
            if prompt.is_some() || answer.is_some() {
                let usage = Usage { input: prompt.unwrap_or(0), output: answer.unwrap_or(0), ..Usage::default() };
                out.push(Event::Usage(usage));
            }
            let finish = finish(reason.as_deref(), self.calls > 0);
            out.push(Event::Finish { choice: 0, reason: finish, native: reason, stop_sequence: None });
        }
        None
    }

    fn message(&mut self, message: &[u8], out: &mut Vec<Event>) {
        let (mut text, mut thought, mut calls) = (None, None, None);
        for (key, value) in json::fields(message) {
            match &*key.bytes() {
                b"content" => text = some(value),
                b"thinking" => thought = some(value),
                b"tool_calls" => calls = Some(value),
                _ => {}
            }
        }
        self.text(thought, true, out);
        self.text(text, false, out);
        for call in calls.into_iter().flat_map(json::items) {
            self.call(call, out);
        }
    }

    fn text(&mut self, text: Option<String>, thought: bool, out: &mut Vec<Event>) {
        let Some(text) = text else { return };
        let block = match self.open {
            Some((block, open)) if open == thought => block,
            _ => {
                self.close(out);
                let kind = match thought {
                    true => Kind::Thinking { kind: ThinkingKind::Text, format: format::UNKNOWN.to_owned(), id: None },
                    false => Kind::Text,
                };
                let block = self.open(kind, out);
                self.open = Some((block, thought));
                block
            }
        };
        out.push(Event::Delta { choice: 0, block, piece: Piece::Text(text) });
    }

    /// A call comes whole.
    fn call(&mut self, call: &[u8], out: &mut Vec<Event>) {
        let Some(function) = json::field(call, "function") else { return };
        let Some(name) = json::field(function, "name").and_then(some) else { return };
        if self.calls >= MAX_CALLS {
            return;
        }
        self.calls += 1;
        self.close(out);
        let id = json::field(call, "id").and_then(some).unwrap_or_default();
        let block = self.open(Kind::ToolCall { id, name, extra: None }, out);
        let arguments = match json::field(function, "arguments") {
            Some(text) if text.first() == Some(&b'"') => some(text),
            Some(value) if value != b"null" => std::str::from_utf8(value).ok().map(str::to_owned),
            _ => None,
        };
        let piece = Piece::Arguments(arguments.unwrap_or_else(|| "{}".to_owned()));
        out.push(Event::Delta { choice: 0, block, piece });
        out.push(Event::Close { choice: 0, block });
    }

    fn open(&mut self, kind: Kind, out: &mut Vec<Event>) -> u32 {
        let block = self.blocks;
        self.blocks += 1;
        out.push(Event::Open { choice: 0, block, kind });
        block
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        if let Some((block, _)) = self.open.take() {
            out.push(Event::Close { choice: 0, block });
        }
    }

    fn fail(&mut self, fault: Fault, out: &mut Vec<Event>) {
        self.over = true;
        self.close(out);
        out.push(Event::Fault(fault));
    }

    fn nonsense(&mut self, says: String, out: &mut Vec<Event>) {
        self.fail(Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, says), out);
    }
}

impl Decode for Parts {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        let data = frame.data.trim_ascii();
        if self.over || data.is_empty() {
            return;
        }
        if data.first() != Some(&b'{') {
            self.strays += 1;
            if self.strays > MAX_STRAYS {
                self.nonsense("the provider sent a stream that is not of JSON lines".to_owned(), out);
            }
            return;
        }
        if let Err(why) = json::check(data) {
            return self.nonsense(format!("the provider sent a line that is not JSON: {why}"), out);
        }
        if let Some(fault) = self.object(data, out) {
            self.fail(fault, out);
        }
    }

    fn eof(&mut self, out: &mut Vec<Event>) {
        if !self.over {
            self.fail(cut_short(Remedy::Elsewhere), out);
        }
    }
}

fn count(value: &[u8]) -> Option<u64> {
    json::integer(value).filter(|n| (0..=MOST_TOKENS).contains(n)).and_then(|n| u64::try_from(n).ok())
}

/// It says `stop` also when it calls tools.
fn finish(word: Option<&str>, called: bool) -> Finish {
    match word {
        Some("length") => Finish::Length,
        Some("content_filter") => Finish::ContentFilter,
        Some("error") => Finish::Error,
        _ if called => Finish::ToolCalls,
        _ => Finish::Stop,
    }
}

/// A whole reply.
pub(super) fn whole(door: Door, body: &[u8]) -> Result<Reply, Malformed> {
    json::check(body)?;
    let body = body.trim_ascii();
    if body.first() != Some(&b'{') {
        return Err(Malformed::new("", "expected an object"));
    }
    let mut parts = Parts::new(door);
    let mut events = Vec::new();
    if let Some(fault) = parts.object(body, &mut events) {
        return Ok(Reply { fault: Some(fault), ..Reply::default() });
    }
    let (member, what) = match door {
        Door::Chat => ("message", "an object"),
        Door::Generate => ("response", "a string"),
    };
    if json::field(body, member).is_none() {
        return Err(Malformed::new(member, format!("expected {what}")));
    }
    parts.close(&mut events);
    Ok(fold(events))
}
