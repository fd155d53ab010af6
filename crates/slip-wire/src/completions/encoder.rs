//! Events, written as the chunks of a text completion.

use super::logprobs;
use crate::Stamp;
use crate::dialect::Encode;
use crate::openai_chat::encoder::model;
use crate::openai_chat::error;
use crate::openai_chat::usage::write_usage;
use crate::openai_chat::write::{Obj, array, object};
use bytes::{BufMut, BytesMut};
use slip_ir::event::{Kind, Start};
use slip_ir::{Dialect, Event, Fault, Finish, Piece, Usage};
use std::sync::Arc;

pub(super) struct Encoder {
    stamp: Arc<Stamp>,
    /// Everything before `"choices"`; made once the upstream's name for itself can be known.
    head: Vec<u8>,
    start: Start,
    /// Blocks that are shown: `(choice, block)`, and whether it is reasoning.
    open: Vec<((u32, u32), bool)>,
    /// Characters of each choice, for the offsets of its log probabilities.
    offsets: Vec<(u32, usize)>,
    finished: Vec<(u32, Finish, Option<String>)>,
    usage: Option<Usage>,
    text_bytes: u64,
    failed: bool,
    over: bool,
}

impl Encoder {
    pub(super) fn new(stamp: Arc<Stamp>) -> Encoder {
        Encoder {
            stamp,
            head: Vec::new(),
            start: Start::default(),
            open: Vec::new(),
            offsets: Vec::new(),
            finished: Vec::new(),
            usage: None,
            text_bytes: 0,
            failed: false,
            over: false,
        }
    }

    fn chunk(&mut self, fill: impl FnOnce(&mut Obj<'_, BytesMut>), out: &mut BytesMut) {
        if self.head.is_empty() {
            self.head = head(&self.stamp, model(&self.stamp, &self.start), self.start.fingerprint.as_deref());
        }
        out.put_slice(&self.head);
        out.put_slice(b",\"choices\":[");
        object(out, fill);
        out.put_slice(b"]");
    }

    fn text(&mut self, choice: u32, text: &str, thought: bool, out: &mut BytesMut) {
        self.text_bytes += text.len() as u64;
        if text.is_empty() || thought && self.stamp.hide_reasoning {
            return;
        }
        let (shown, reasoning) = if thought { ("", Some(text)) } else { (text, None) };
        self.chunk(
            |o| {
                o.num("index", choice);
                o.str("text", shown);
                o.opt_str("reasoning", reasoning);
                o.null("logprobs");
                o.null("finish_reason");
                o.null("native_finish_reason");
            },
            out,
        );
        out.put_slice(b"}\n\n");
    }

    fn logprobs(&mut self, choice: u32, raw: &slip_ir::Raw, out: &mut BytesMut) {
        let at = match self.offsets.iter().position(|(c, _)| *c == choice) {
            Some(at) => at,
            None => {
                self.offsets.push((choice, 0));
                self.offsets.len() - 1
            }
        };
        let Some((_, offset)) = self.offsets.get_mut(at) else { return };
        let columns = logprobs::columns(raw, offset);
        self.chunk(
            |o| {
                o.num("index", choice);
                o.str("text", "");
                o.raw("logprobs", &columns);
                o.null("finish_reason");
                o.null("native_finish_reason");
            },
            out,
        );
        out.put_slice(b"}\n\n");
    }
}

impl Encode for Encoder {
    fn event(&mut self, event: &Event, out: &mut BytesMut) {
        if self.over || self.failed {
            return;
        }
        match event {
            Event::Start(start) => self.start = start.clone(),
            Event::Open { choice, block, kind } => match kind {
                Kind::Text | Kind::Refusal => self.open.push(((*choice, *block), false)),
                Kind::Thinking { .. } => self.open.push(((*choice, *block), true)),
                Kind::ToolCall { .. } | Kind::Media { .. } | Kind::Opaque { .. } => {}
            },
            Event::Delta { choice, block, piece: Piece::Text(text) } => {
                let found = self.open.iter().rev().find(|(at, _)| *at == (*choice, *block));
                if let Some((_, thought)) = found {
                    self.text(*choice, text, *thought, out);
                }
            }
            Event::Delta { .. } => {}
            Event::Close { choice, block } => self.open.retain(|(at, _)| *at != (*choice, *block)),
            Event::Logprobs { choice, raw } => self.logprobs(*choice, raw, out),
            Event::Usage(usage) => self.usage = Some(usage.clone()),
            Event::Finish { choice, reason, native, .. } => {
                if self.finished.iter().any(|(c, ..)| c == choice) {
                    return;
                }
                self.finished.push((*choice, *reason, native.clone()));
                self.chunk(|o| ending(o, *choice, *reason, native.as_deref()), out);
                out.put_slice(b"}\n\n");
            }
            Event::Fault(fault) => {
                self.failed = true;
                let head = std::mem::take(&mut self.head);
                broken(fault, &self.stamp, &head, out);
            }
            Event::Ping => out.put_slice(b": OPENROUTER PROCESSING\n\n"),
            Event::Opaque(_) => {}
        }
    }

    fn eof(&mut self, out: &mut BytesMut) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        if !self.failed {
            let usage = self.usage.take().unwrap_or_else(|| self.stamp.estimate(self.text_bytes));
            let (index, reason, native) = self.finished.first().cloned().unwrap_or((0, Finish::Stop, None));
            self.chunk(|o| ending(o, index, reason, native.as_deref()), out);
            out.put_slice(b",\"usage\":");
            write_usage(&usage, &self.stamp, out);
            self.stamp.put_metadata(out);
            out.put_slice(b"}\n\n");
        }
        out.put_slice(DONE);
    }
}

pub(super) const DONE: &[u8] = b"data: [DONE]\n\n";

/// A chunk from `data: ` up to what its choices are.
pub(super) fn head(stamp: &Stamp, model: &str, fingerprint: Option<&str>) -> Vec<u8> {
    let mut head = b"data: ".to_vec();
    object(&mut head, |o| identity(o, stamp, model, fingerprint));
    head.pop();
    head
}

pub(super) fn identity<B: BufMut>(o: &mut Obj<'_, B>, stamp: &Stamp, model: &str, fingerprint: Option<&str>) {
    o.str("id", &stamp.id);
    o.str("object", "text_completion");
    o.num("created", stamp.created);
    o.str("model", model);
    o.str("provider", &stamp.provider);
    o.opt_str("system_fingerprint", fingerprint);
}

/// A choice that only says how it ended.
pub(super) fn ending(o: &mut Obj<'_, BytesMut>, index: u32, reason: Finish, native: Option<&str>) {
    o.num("index", index);
    o.str("text", "");
    o.null("logprobs");
    o.str("finish_reason", word(reason));
    o.str_or_null("native_finish_reason", native);
}

/// Text cannot call tools: a reply that did simply stopped.
pub(super) fn word(reason: Finish) -> &'static str {
    if reason == Finish::ToolCalls { Finish::Stop.name() } else { reason.name() }
}

/// The error as a chunk, which is also the ending of the choice.
pub(super) fn failed(fault: &Fault, stamp: &Stamp, out: &mut BytesMut) {
    broken(fault, stamp, &[], out);
    out.put_slice(DONE);
}

fn broken(fault: &Fault, stamp: &Stamp, known: &[u8], out: &mut BytesMut) {
    if known.is_empty() {
        out.put_slice(&head(stamp, &stamp.model, None));
    } else {
        out.put_slice(known);
    }
    let mut members = BytesMut::new();
    object(&mut members, |o| {
        error::write(o, "error", fault);
        array(o.key("choices"), |a| a.obj(|o| ending(o, 0, Finish::Error, None)));
    });
    out.put_u8(b',');
    let members = stamp.signed(Dialect::Completions, members.into());
    out.put_slice(members.get(1..).unwrap_or_default());
    out.put_slice(b"\n\n");
}
