//! Events of the vocabulary as the ConverseStream a caller reads.

use super::order::{Order, Step};
use super::reply::{METRICS, sealed_signature, write_bytes, write_ending};
use super::{citations, error, media, sealed, usage};
use crate::Stamp;
use crate::anthropic::reply::shown_id;
use crate::anthropic::seal;
use crate::dialect::Encode;
use crate::frame::eventstream::{put_exception, put_message};
use crate::object::Writer;
use bytes::BytesMut;
use slip_ir::event::{Kind, Piece};
use slip_ir::{Dialect, Event, Fault, FaultKind, Finish, Raw, Remedy, ThinkingKind, Usage};
use std::sync::Arc;

pub struct Encoder {
    stamp: Arc<Stamp>,
    started: bool,
    over: bool,
    order: Order,
    /// Number of the next block on the wire.
    next: u64,
    open: Option<Open>,
    usage: Option<Usage>,
    ending: Option<(Finish, Option<String>, Option<String>)>,
    text_bytes: u64,
}

/// The block that is open. It reaches the wire with its first piece, so that empty ones never do.
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
            Event::Usage(usage) => self.usage = Some(usage.clone()),
            Event::Finish { choice: 0, reason, native, stop_sequence } => {
                self.settle(out);
                self.ending = Some((*reason, native.clone(), stop_sequence.clone()));
            }
            Event::Fault(fault) => self.fail(fault, out),
            Event::Open { choice: 0, .. } | Event::Delta { choice: 0, .. } | Event::Close { choice: 0, .. }
                if self.ending.is_none() =>
            {
                let mut steps = Vec::new();
                let done = self.order.event(event, &mut steps).is_ok();
                self.tell(steps, done, out);
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
        self.begin(out);
        let (finish, native, stop_sequence) = self.ending.take().unwrap_or((Finish::Stop, None, None));
        send("messageStop", out, |w| write_ending(w, finish, native.as_deref(), stop_sequence.as_deref()));
        let usage = self.usage.take().unwrap_or_else(|| self.stamp.estimate(self.text_bytes));
        send("metadata", out, |w| {
            usage::write(w.key("usage"), &usage, &self.stamp);
            w.raw("metrics", METRICS);
        });
        self.over = true;
    }
}

fn send(name: &str, out: &mut BytesMut, write: impl FnOnce(&mut Writer<'_>)) {
    let mut payload = Vec::new();
    let mut w = Writer::open(&mut payload);
    write(&mut w);
    w.close();
    put_message(name, &payload, out);
}

impl Encoder {
    pub fn new(stamp: Arc<Stamp>) -> Encoder {
        Encoder {
            stamp,
            started: false,
            over: false,
            order: Order::default(),
            next: 0,
            open: None,
            usage: None,
            ending: None,
            text_bytes: 0,
        }
    }

    fn begin(&mut self, out: &mut BytesMut) {
        if !std::mem::replace(&mut self.started, true) {
            send("messageStart", out, |w| {
                w.put("role", "assistant");
            });
        }
    }

    fn settle(&mut self, out: &mut BytesMut) {
        let mut steps = Vec::new();
        let done = self.order.settle(&mut steps).is_ok();
        self.tell(steps, done, out);
    }

    fn tell(&mut self, steps: Vec<Step>, done: bool, out: &mut BytesMut) {
        for step in steps {
            match step {
                Step::Open(block, kind) => self.open(block, kind, out),
                Step::Piece(piece) => self.piece(&piece, out),
                Step::Close => self.close(out),
            }
        }
        if !done {
            let says = "the provider interleaved too many tool calls";
            self.fail(&Fault::upstream(FaultKind::Upstream, Remedy::Stop, says), out);
        }
    }

    fn open(&mut self, block: u32, kind: Kind, out: &mut BytesMut) {
        let opaque = match &kind {
            Kind::Opaque { dialect: Dialect::Bedrock, raw } => Some(raw.clone()),
            _ => None,
        };
        let call = matches!(kind, Kind::ToolCall { .. });
        self.open = Some(Open { block, kind, index: None, sealed: String::new() });
        if call {
            self.show(out);
        }
        if let Some(raw) = opaque {
            self.opaque(&raw, out);
        }
    }

    /// Bring the open block onto the wire; its number there.
    fn show(&mut self, out: &mut BytesMut) -> Option<u64> {
        let open = self.open.as_ref()?;
        if open.index.is_some() {
            return open.index;
        }
        let start = match &open.kind {
            Kind::ToolCall { id, name, .. } => {
                Some((shown_id(id, &self.stamp, u64::from(open.block)).into_owned(), name.clone()))
            }
            _ => None,
        };
        let index = self.number(out);
        if let Some((id, name)) = start {
            send("contentBlockStart", out, |w| {
                let mut start = Writer::open(w.key("start"));
                let mut call = Writer::open(start.key("toolUse"));
                call.put("toolUseId", &id).put("name", &name);
                call.close();
                start.close();
                w.put("contentBlockIndex", &index);
            });
        }
        if let Some(open) = &mut self.open {
            open.index = Some(index);
        }
        Some(index)
    }

    fn number(&mut self, out: &mut BytesMut) -> u64 {
        self.begin(out);
        let index = self.next;
        self.next += 1;
        index
    }

    fn piece(&mut self, piece: &Piece, out: &mut BytesMut) {
        let hide = self.stamp.hide_reasoning;
        let Some(open) = &mut self.open else { return };
        match (&open.kind, piece) {
            (_, Piece::Text(text)) if text.is_empty() => {}
            (Kind::Text | Kind::Refusal, Piece::Text(text)) => {
                self.text_bytes += text.len() as u64;
                if let Some(index) = self.show(out) {
                    delta(index, out, |w| {
                        w.text("text", text);
                    });
                }
            }
            (Kind::Text, Piece::Annotation(annotation)) => {
                if let Some(citation) = citations::to_citation(annotation)
                    && let Some(index) = self.show(out)
                {
                    delta(index, out, |w| write_citation(w.key("citation"), &citation));
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
                    reasoning(index, "text", text, out);
                }
            }
            (Kind::ToolCall { .. }, Piece::Arguments(json)) if !json.is_empty() => {
                self.text_bytes += json.len() as u64;
                if let Some(index) = self.show(out) {
                    delta(index, out, |w| {
                        let mut call = Writer::open(w.key("toolUse"));
                        call.put("input", json);
                        call.close();
                    });
                }
            }
            (Kind::Media { .. }, Piece::Media(media)) => {
                if let Some((format, base64)) = media::picture(media)
                    && let Some(index) = self.show(out)
                {
                    send("contentBlockStart", out, |w| {
                        let mut start = Writer::open(w.key("start"));
                        let mut image = Writer::open(start.key("image"));
                        image.put("format", format);
                        image.close();
                        start.close();
                        w.put("contentBlockIndex", &index);
                    });
                    delta(index, out, |w| {
                        let mut image = Writer::open(w.key("image"));
                        write_bytes(image.key("source"), &base64);
                        image.close();
                    });
                }
            }
            _ => {}
        }
    }

    fn close(&mut self, out: &mut BytesMut) {
        let Some(open) = &mut self.open else { return };
        let held = std::mem::take(&mut open.sealed);
        let mut after = None;
        match &open.kind {
            Kind::Thinking { kind: ThinkingKind::Encrypted, format, id } => {
                after = Some(sealed::to_blob(&held, format, id.as_deref()).into_owned());
            }
            Kind::Thinking { format, id, .. } if !held.is_empty() => {
                let signature = seal::seal(format, id.as_deref(), &held);
                if let Some(index) = self.show(out) {
                    reasoning(index, "signature", &signature, out);
                }
            }
            Kind::ToolCall { id, .. } if !held.is_empty() => {
                let id = shown_id(id, &self.stamp, u64::from(open.block));
                after = Some(blob_of(Some(&id), &held));
            }
            Kind::Text if !held.is_empty() => after = Some(blob_of(None, &held)),
            _ => {}
        }
        if let Some(index) = self.open.take().and_then(|open| open.index) {
            stop(index, out);
        }
        if let Some(blob) = after {
            let index = self.number(out);
            reasoning(index, "redactedContent", &blob, out);
            stop(index, out);
        }
    }

    /// A block of Bedrock's own that arrived whole, as it would have been streamed.
    fn opaque(&mut self, raw: &Raw, out: &mut BytesMut) {
        use crate::object::Object;
        let Ok(mut o) = Object::parse(raw.as_str(), "") else { return };
        let (member, inner) = match (o.object("toolUse", ""), o.object("toolResult", "")) {
            (Ok(Some(call)), _) => ("toolUse", call),
            (_, Ok(Some(result))) => ("toolResult", result),
            // Others have no event.
            _ => return,
        };
        let mut inner = inner;
        let (input, content) = (inner.take("input"), inner.take("content"));
        let index = self.number(out);
        send("contentBlockStart", out, |w| {
            let mut start = Writer::open(w.key("start"));
            let mut block = Writer::open(start.key(member));
            inner.rest().for_each(|(name, raw)| {
                block.raw(&name, raw.get());
            });
            block.close();
            start.close();
            w.put("contentBlockIndex", &index);
        });
        if let Some(input) = input {
            delta(index, out, |w| {
                let mut call = Writer::open(w.key("toolUse"));
                call.put("input", input.get());
                call.close();
            });
        }
        if let Some(content) = content {
            delta(index, out, |w| {
                w.raw("toolResult", content.get());
            });
        }
        stop(index, out);
    }

    fn fail(&mut self, fault: &Fault, out: &mut BytesMut) {
        put_exception(error::exception(fault.kind), &error::encode(fault), out);
        self.over = true;
    }
}

fn blob_of(call: Option<&str>, signature: &str) -> String {
    let thinking = sealed_signature(call, signature);
    sealed::to_blob(signature, &thinking.format, call).into_owned()
}

fn delta(index: u64, out: &mut BytesMut, write: impl FnOnce(&mut Writer<'_>)) {
    send("contentBlockDelta", out, |w| {
        let mut delta = Writer::open(w.key("delta"));
        write(&mut delta);
        delta.close();
        w.put("contentBlockIndex", &index);
    });
}

fn reasoning(index: u64, member: &str, text: &str, out: &mut BytesMut) {
    delta(index, out, |w| {
        let mut inner = Writer::open(w.key("reasoningContent"));
        inner.text(member, text);
        inner.close();
    });
}

fn stop(index: u64, out: &mut BytesMut) {
    send("contentBlockStop", out, |w| {
        w.put("contentBlockIndex", &index);
    });
}

fn write_citation(out: &mut Vec<u8>, citation: &Raw) {
    out.extend_from_slice(citation.as_str().as_bytes());
}
