//! Events, written as Cohere's.

use super::{citations, finish, usage};
use crate::Stamp;
use crate::dialect::{Encode, put_event};
use crate::openai_chat::spell::CallIds;
use crate::openai_chat::write::{Obj, object};
use bytes::BytesMut;
use slip_ir::event::Kind;
use slip_ir::{Event, Fault, Finish, Piece, Usage};
use std::sync::Arc;

pub(super) struct Encoder {
    stamp: Arc<Stamp>,
    ids: CallIds,
    started: bool,
    open: Vec<(u32, Shown)>,
    contents: u32,
    calls: u32,
    cited: u32,
    finish: Option<(Finish, Option<String>, bool)>,
    usage: Option<Usage>,
    text_bytes: u64,
    failed: bool,
    over: bool,
}

enum Shown {
    /// Numbered when the first of it is told.
    Content {
        thinks: bool,
        number: Option<u32>,
    },
    Call {
        number: u32,
        argued: bool,
    },
}

impl Encoder {
    pub(super) fn new(stamp: Arc<Stamp>) -> Encoder {
        Encoder {
            ids: CallIds::new(&stamp),
            stamp,
            started: false,
            open: Vec::new(),
            contents: 0,
            calls: 0,
            cited: 0,
            finish: None,
            usage: None,
            text_bytes: 0,
            failed: false,
            over: false,
        }
    }

    fn start(&mut self, out: &mut BytesMut) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let id = &self.stamp.id;
        send(
            "message-start",
            |o| {
                o.str("id", id);
                message(o, |o| {
                    o.str("role", "assistant");
                    o.arr("content", |_| {});
                    o.str("tool_plan", "");
                    o.arr("tool_calls", |_| {});
                    o.arr("citations", |_| {});
                });
            },
            out,
        );
    }

    fn open(&mut self, block: u32, kind: &Kind, out: &mut BytesMut) {
        let shown = match kind {
            Kind::Text | Kind::Refusal => Shown::Content { thinks: false, number: None },
            Kind::Thinking { .. } => Shown::Content { thinks: true, number: None },
            Kind::ToolCall { id, name, .. } => {
                self.start(out);
                let id = self.ids.take(id);
                let number = self.calls;
                self.calls += 1;
                numbered("tool-call-start", number, out, |o| {
                    o.obj("tool_calls", |o| {
                        o.str("id", &id);
                        o.str("type", "function");
                        o.obj("function", |o| {
                            o.str("name", name);
                            o.str("arguments", "");
                        });
                    });
                });
                Shown::Call { number, argued: false }
            }
            Kind::Media { .. } | Kind::Opaque { .. } => return,
        };
        self.open.push((block, shown));
    }

    fn delta(&mut self, block: u32, piece: &Piece, out: &mut BytesMut) {
        self.start(out);
        let hide = self.stamp.hide_reasoning;
        let Some((_, shown)) = self.open.iter_mut().rev().find(|(number, _)| *number == block) else { return };
        match (shown, piece) {
            (Shown::Content { thinks, number }, Piece::Text(text)) => {
                self.text_bytes += text.len() as u64;
                if text.is_empty() || *thinks && hide {
                    return;
                }
                let kind = if *thinks { "thinking" } else { "text" };
                let number = *number.get_or_insert_with(|| {
                    let number = self.contents;
                    self.contents += 1;
                    numbered("content-start", number, out, |o| {
                        o.obj("content", |o| {
                            o.str("type", kind);
                            o.str(kind, "");
                        });
                    });
                    number
                });
                numbered("content-delta", number, out, |o| o.obj("content", |o| o.str(kind, text)));
            }
            (Shown::Content { thinks: false, number }, Piece::Annotation(raw)) => {
                let Some(citation) = citations::to_citation(raw) else { return };
                let place = number.unwrap_or(0);
                let number = self.cited;
                self.cited += 1;
                numbered("citation-start", number, out, |o| {
                    o.obj("citations", |o| {
                        o.merge(&citation);
                        if crate::json::field(citation.as_str().as_bytes(), "content_index").is_none() {
                            o.num("content_index", place);
                        }
                    });
                });
                ended("citation-end", number, out);
            }
            (Shown::Call { number, argued }, Piece::Arguments(text)) if !text.is_empty() => {
                *argued = true;
                self.text_bytes += text.len() as u64;
                arguments(*number, text, out);
            }
            _ => {}
        }
    }

    fn close(&mut self, block: u32, out: &mut BytesMut) {
        let Some(at) = self.open.iter().rposition(|(number, _)| *number == block) else { return };
        match self.open.remove(at).1 {
            Shown::Content { number: Some(number), .. } => ended("content-end", number, out),
            Shown::Content { number: None, .. } => {}
            Shown::Call { number, argued } => {
                if !argued {
                    arguments(number, "{}", out);
                }
                ended("tool-call-end", number, out);
            }
        }
    }
}

impl Encode for Encoder {
    fn event(&mut self, event: &Event, out: &mut BytesMut) {
        if self.over || self.failed {
            return;
        }
        match event {
            Event::Start(_) => self.start(out),
            Event::Usage(usage) => self.usage = Some(usage.clone()),
            Event::Fault(fault) => {
                self.failed = true;
                failed(fault, out);
            }
            // A message has one choice.
            Event::Open { choice: 0, block, kind } => self.open(*block, kind, out),
            Event::Delta { choice: 0, block, piece } => self.delta(*block, piece, out),
            Event::Close { choice: 0, block } => self.close(*block, out),
            Event::Finish { choice: 0, reason, native, stop_sequence } => {
                self.finish = Some((*reason, native.clone(), stop_sequence.is_some()));
            }
            _ => {}
        }
    }

    fn eof(&mut self, out: &mut BytesMut) {
        if std::mem::replace(&mut self.over, true) || self.failed {
            return;
        }
        self.start(out);
        let told = self.usage.take().unwrap_or_else(|| self.stamp.estimate(self.text_bytes));
        let (reason, native, stopped) = self.finish.take().unwrap_or((Finish::Stop, None, false));
        let stamp = &self.stamp;
        send(
            "message-end",
            |o| {
                o.obj("delta", |o| {
                    o.str("finish_reason", finish::spell(reason, native.as_deref(), stopped));
                    usage::write(o, &told, stamp);
                });
            },
            out,
        );
    }
}

/// The error as the last event of a stream.
pub(super) fn failed(fault: &Fault, out: &mut BytesMut) {
    send(
        "message-end",
        |o| {
            o.obj("delta", |o| {
                o.str("error", &fault.says);
                o.str("finish_reason", "ERROR");
            });
        },
        out,
    );
}

fn send(kind: &str, fill: impl FnOnce(&mut Obj<'_, BytesMut>), out: &mut BytesMut) {
    let mut data = BytesMut::new();
    object(&mut data, |o| {
        o.str("type", kind);
        fill(o);
    });
    put_event(Some(kind), &data, out);
}

fn message(o: &mut Obj<'_, BytesMut>, fill: impl FnOnce(&mut Obj<'_, BytesMut>)) {
    o.obj("delta", |o| o.obj("message", fill));
}

fn numbered(kind: &str, number: u32, out: &mut BytesMut, fill: impl FnOnce(&mut Obj<'_, BytesMut>)) {
    send(
        kind,
        |o| {
            o.num("index", number);
            message(o, fill);
        },
        out,
    );
}

fn ended(kind: &str, number: u32, out: &mut BytesMut) {
    send(kind, |o| o.num("index", number), out);
}

fn arguments(number: u32, text: &str, out: &mut BytesMut) {
    numbered("tool-call-delta", number, out, |o| {
        o.obj("tool_calls", |o| o.obj("function", |o| o.str("arguments", text)));
    });
}
