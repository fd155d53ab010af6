//! Events, written as Ollama's lines; and whole replies, which are such a line.

use super::turns::arguments;
use super::{Door, failure, time};
use crate::dialect::Encode;
use crate::openai_chat::encoder::{model, readable};
use crate::openai_chat::write::{Obj, object};
use crate::{Stamp, json};
use bytes::{BufMut, BytesMut};
use slip_ir::event::{Kind, Start};
use slip_ir::{Block, Choice, Event, Finish, Piece, Raw, Reply, Usage};
use std::sync::Arc;

/// Arguments of one tool call; they go out whole. What comes after is dropped.
const MAX_ARGUMENTS: usize = 8 * 1024 * 1024;

pub(super) struct Encoder {
    door: Door,
    stamp: Arc<Stamp>,
    start: Start,
    open: Vec<(u32, Shown)>,
    finish: Option<Finish>,
    usage: Option<Usage>,
    text_bytes: u64,
    failed: bool,
    over: bool,
}

enum Shown {
    Text,
    Thought,
    Call { id: String, name: String, arguments: String },
}

impl Encoder {
    pub(super) fn new(door: Door, stamp: Arc<Stamp>) -> Encoder {
        Encoder {
            door,
            stamp,
            start: Start::default(),
            open: Vec::new(),
            finish: None,
            usage: None,
            text_bytes: 0,
            failed: false,
            over: false,
        }
    }

    fn line(&self, fill: impl FnOnce(&mut Obj<'_, BytesMut>), out: &mut BytesMut) {
        object(out, |o| {
            head(o, &self.stamp, &self.start);
            fill(o);
        });
        out.put_u8(b'\n');
    }

    fn text(&mut self, text: &str, thought: bool, out: &mut BytesMut) {
        self.text_bytes += text.len() as u64;
        if text.is_empty() || thought && self.stamp.hide_reasoning {
            return;
        }
        let door = self.door;
        let (said, thought) = if thought { ("", text) } else { (text, "") };
        self.line(
            |o| {
                message(o, door, said, thought, &[]);
                o.bool("done", false);
            },
            out,
        );
    }

    fn delta(&mut self, block: u32, piece: &Piece, out: &mut BytesMut) {
        let Some((_, shown)) = self.open.iter_mut().rev().find(|(number, _)| *number == block) else { return };
        match (shown, piece) {
            (Shown::Text, Piece::Text(text)) => self.text(text, false, out),
            (Shown::Thought, Piece::Text(text)) => self.text(text, true, out),
            (Shown::Call { arguments, .. }, Piece::Arguments(text)) => {
                self.text_bytes += text.len() as u64;
                if arguments.len() + text.len() <= MAX_ARGUMENTS {
                    arguments.push_str(text);
                }
            }
            _ => {}
        }
    }

    fn close(&mut self, block: u32, out: &mut BytesMut) {
        let Some(at) = self.open.iter().rposition(|(number, _)| *number == block) else { return };
        if let (_, Shown::Call { id, name, arguments }) = self.open.remove(at)
            && self.door == Door::Chat
        {
            let door = self.door;
            self.line(
                |o| {
                    message(o, door, "", "", &[(&id, &name, &arguments)]);
                    o.bool("done", false);
                },
                out,
            );
        }
    }
}

impl Encode for Encoder {
    fn event(&mut self, event: &Event, out: &mut BytesMut) {
        if self.over || self.failed {
            return;
        }
        match event {
            Event::Start(start) => self.start = start.clone(),
            Event::Usage(usage) => self.usage = Some(usage.clone()),
            Event::Fault(fault) => {
                self.failed = true;
                failure(fault, out);
                out.put_u8(b'\n');
            }
            // A message has one choice.
            Event::Open { choice: 0, block, kind } => {
                let shown = match kind {
                    Kind::Text | Kind::Refusal => Shown::Text,
                    Kind::Thinking { .. } => Shown::Thought,
                    Kind::ToolCall { id, name, .. } => {
                        Shown::Call { id: id.clone(), name: name.clone(), arguments: String::new() }
                    }
                    Kind::Media { .. } | Kind::Opaque { .. } => return,
                };
                self.open.push((*block, shown));
            }
            Event::Delta { choice: 0, block, piece } => self.delta(*block, piece, out),
            Event::Close { choice: 0, block } => self.close(*block, out),
            Event::Logprobs { choice: 0, raw } => {
                let door = self.door;
                self.line(
                    |o| {
                        message(o, door, "", "", &[]);
                        logprobs(o, raw);
                        o.bool("done", false);
                    },
                    out,
                );
            }
            Event::Finish { choice: 0, reason, .. } => self.finish = Some(*reason),
            _ => {}
        }
    }

    fn eof(&mut self, out: &mut BytesMut) {
        if std::mem::replace(&mut self.over, true) || self.failed {
            return;
        }
        let usage = self.usage.take().unwrap_or_else(|| self.stamp.estimate(self.text_bytes));
        let (door, finish) = (self.door, self.finish);
        self.line(
            |o| {
                message(o, door, "", "", &[]);
                ending(o, finish, &usage);
            },
            out,
        );
    }
}

fn head(o: &mut Obj<'_, BytesMut>, stamp: &Stamp, start: &Start) {
    o.str("model", model(stamp, start));
    o.str("created_at", &time::write(stamp.created));
}

/// What is said, where this door puts it. A call is its id, name and arguments.
fn message(o: &mut Obj<'_, BytesMut>, door: Door, said: &str, thought: &str, calls: &[(&str, &str, &str)]) {
    if door == Door::Generate {
        o.str("response", said);
        return o.opt_str("thinking", Some(thought).filter(|text| !text.is_empty()));
    }
    o.obj("message", |o| {
        o.str("role", "assistant");
        o.str("content", said);
        o.opt_str("thinking", Some(thought).filter(|text| !text.is_empty()));
        if calls.is_empty() {
            return;
        }
        o.arr("tool_calls", |a| {
            for (id, name, text) in calls {
                a.obj(|o| {
                    o.opt_str("id", Some(*id).filter(|id| !id.is_empty()));
                    o.obj("function", |o| {
                        o.str("name", name);
                        arguments(o, text);
                    });
                });
            }
        });
    });
}

fn logprobs(o: &mut Obj<'_, BytesMut>, raw: &Raw) {
    if let Some(rows) = json::field(raw.as_str().as_bytes(), "content").filter(|rows| rows.first() == Some(&b'[')) {
        o.span("logprobs", rows);
    }
}

/// The counts. How long anything took upstream is not known here, and Ollama leaves out what is zero.
fn ending(o: &mut Obj<'_, BytesMut>, finish: Option<Finish>, usage: &Usage) {
    o.bool("done", true);
    o.str(
        "done_reason",
        match finish.unwrap_or(Finish::Stop) {
            Finish::Stop | Finish::ToolCalls => "stop",
            other => other.name(),
        },
    );
    o.num("prompt_eval_count", usage.prompt_total());
    o.num("eval_count", usage.completion_total());
}

pub(super) fn whole(door: Door, reply: &Reply, stamp: &Stamp) -> Vec<u8> {
    let mut out = BytesMut::with_capacity(1024);
    if let Some(fault) = &reply.fault {
        failure(fault, &mut out);
        return out.into();
    }
    let empty = Choice::default();
    let choice = reply.choices.iter().find(|choice| choice.index == 0).unwrap_or(&empty);
    let (mut text, mut thought, mut calls) = (String::new(), String::new(), Vec::new());
    for block in &choice.blocks {
        match block {
            Block::Text(said) => text.push_str(&said.text),
            Block::Refusal(words) => text.push_str(words),
            Block::Thinking(thinking) if !stamp.hide_reasoning => thought.push_str(readable(thinking)),
            Block::ToolCall(call) => calls.push((call.id.as_str(), call.name.as_str(), call.arguments.as_str())),
            _ => {}
        }
    }
    let usage = reply.usage.clone().unwrap_or_else(|| stamp.estimate(text.len() as u64));
    object(&mut out, |o| {
        head(o, stamp, &reply.start);
        message(o, door, &text, &thought, &calls);
        if let Some(raw) = &choice.logprobs {
            logprobs(o, raw);
        }
        ending(o, choice.finish, &usage);
    });
    out.into()
}

pub(super) fn loaded(door: Door, stamp: &Stamp) -> Vec<u8> {
    let mut out = BytesMut::new();
    object(&mut out, |o| {
        head(o, stamp, &Start::default());
        message(o, door, "", "", &[]);
        o.bool("done", true);
        o.str("done_reason", "load");
    });
    out.into()
}
