//! Events, written as the chunks OpenRouter's clients read.

use super::message::is_custom;
use super::spell::{self, CallIds};
use super::turns::write_call;
use super::usage::write_usage;
use super::write::{Obj, array, object};
use super::{details, error};
use crate::dialect::Encode;
use crate::{Stamp, json};
use bytes::{BufMut, BytesMut};
use slip_ir::event::{Kind, Start};
use slip_ir::{Dialect, Event, Fault, Finish, MediaKind, Piece, Raw, Thinking, ThinkingKind, ToolCall, Usage};
use std::sync::Arc;

pub(super) struct Encoder {
    stamp: Arc<Stamp>,
    /// Everything before `"choices"`, the same in every chunk; made once the upstream's name for itself can be known.
    head: Vec<u8>,
    start: Start,
    ids: CallIds,
    choices: Vec<Choice>,
    usage: Option<Usage>,
    text_bytes: u64,
    failed: bool,
    over: bool,
}

struct Choice {
    index: u32,
    open: Vec<(u32, Block)>,
    calls: u32,
    /// Numbers of reasoning details.
    thoughts: u32,
    /// Signatures and seals of hidden reasoning, shown only once a tool is called.
    hidden: Vec<(Thinking, u32)>,
    finish: Option<(Finish, Option<String>)>,
}

enum Block {
    Text,
    Refusal,
    Thinking {
        thinking: Thinking,
        number: u32,
    },
    Call {
        number: u32,
        id: String,
        custom: bool,
        argued: bool,
    },
    /// Media arrives in its one piece; anything else is not shown.
    Other,
}

impl Encoder {
    pub(super) fn new(stamp: Arc<Stamp>) -> Encoder {
        let ids = CallIds::new(&stamp);
        Encoder {
            stamp,
            head: Vec::new(),
            start: Start::default(),
            ids,
            choices: Vec::new(),
            usage: None,
            text_bytes: 0,
            failed: false,
            over: false,
        }
    }

    fn choice(&mut self, index: u32) -> &mut Choice {
        let at = match self.choices.iter().position(|c| c.index == index) {
            Some(at) => at,
            None => {
                self.choices.push(Choice {
                    index,
                    open: Vec::new(),
                    calls: 0,
                    thoughts: 0,
                    hidden: Vec::new(),
                    finish: None,
                });
                self.choices.len() - 1
            }
        };
        &mut self.choices[at]
    }

    fn block(&mut self, choice: u32, block: u32) -> Option<&mut Block> {
        let open = &mut self.choice(choice).open;
        open.iter_mut().rev().find(|(number, _)| *number == block).map(|(_, block)| block)
    }

    fn head(&mut self, out: &mut BytesMut) {
        if self.head.is_empty() {
            self.head = head(&self.stamp, &self.start);
        }
        out.put_slice(&self.head);
    }

    /// One chunk: `content` is always there, `more` adds what else the delta says.
    fn chunk(&mut self, choice: u32, content: &str, more: impl FnOnce(&mut Obj<'_, BytesMut>), out: &mut BytesMut) {
        self.head(out);
        out.put_slice(b",\"choices\":[");
        object(out, |o| {
            o.num("index", choice);
            o.obj("delta", |o| {
                o.str("role", "assistant");
                o.str("content", content);
                more(o);
            });
            o.null("finish_reason");
            o.null("native_finish_reason");
        });
        out.put_slice(b"]}\n\n");
    }

    fn open(&mut self, choice: u32, block: u32, kind: &Kind, out: &mut BytesMut) {
        let made = match kind {
            Kind::Text => Block::Text,
            Kind::Refusal => Block::Refusal,
            Kind::Thinking { kind, format, id } => {
                let state = self.choice(choice);
                let number = state.thoughts;
                state.thoughts += 1;
                let thinking = Thinking { kind: *kind, format: format.clone(), id: id.clone(), ..Thinking::default() };
                Block::Thinking { thinking, number }
            }
            Kind::ToolCall { id, name, extra } => {
                let id = self.ids.take(id);
                let state = self.choice(choice);
                let number = state.calls;
                state.calls += 1;
                let hidden = std::mem::take(&mut state.hidden);
                if !hidden.is_empty() {
                    self.details(choice, None, &hidden, out);
                }
                let custom = is_custom(extra.as_ref());
                let call = ToolCall { name: name.clone(), extra: extra.clone(), ..ToolCall::default() };
                self.chunk(choice, "", |o| calls(o, number, Some(&id), |o| write_call(o, &call, "")), out);
                Block::Call { number, id, custom, argued: false }
            }
            Kind::Media { .. } | Kind::Opaque { .. } => Block::Other,
        };
        self.choice(choice).open.push((block, made));
    }

    fn delta(&mut self, choice: u32, block: u32, piece: &Piece, out: &mut BytesMut) {
        let hide = self.stamp.hide_reasoning;
        let Some(slot) = self.block(choice, block) else { return };
        match (slot, piece) {
            (Block::Text, Piece::Text(text)) => {
                self.text_bytes += text.len() as u64;
                if !text.is_empty() {
                    self.chunk(choice, text, |_| {}, out);
                }
            }
            (Block::Refusal, Piece::Text(text)) => {
                self.text_bytes += text.len() as u64;
                self.chunk(choice, "", |o| o.str("refusal", text), out);
            }
            (Block::Text, Piece::Annotation(raw)) if spell::is_annotation(raw) => {
                self.chunk(choice, "", |o| o.arr("annotations", |a| a.raw(raw)), out);
            }
            (Block::Text, Piece::Signature(signature)) => {
                // A signature on text has no place of its own; sealed, it survives the way to the client and back.
                let sealed = Thinking { id: None, ..details::seal("", signature) };
                self.seal(choice, sealed, out);
            }
            (Block::Thinking { thinking, number }, Piece::Text(text)) => {
                let detail = Thinking { text: text.clone(), data: None, signature: None, ..thinking.clone() };
                let number = *number;
                self.text_bytes += text.len() as u64;
                if !hide && !text.is_empty() {
                    self.details(choice, Some(text), &[(detail, number)], out);
                }
            }
            (Block::Thinking { thinking, .. }, Piece::Data(data)) => {
                thinking.data.get_or_insert_default().push_str(data);
            }
            (Block::Thinking { thinking, .. }, Piece::Signature(signature)) => {
                thinking.signature.get_or_insert_default().push_str(signature);
            }
            (Block::Call { number, custom, argued, .. }, Piece::Arguments(text)) if !text.is_empty() => {
                *argued = true;
                let (number, custom) = (*number, *custom);
                self.text_bytes += text.len() as u64;
                self.chunk(choice, "", |o| calls(o, number, None, |o| arguments(o, text, custom)), out);
            }
            (Block::Call { id, .. }, Piece::Signature(signature)) => {
                let sealed = details::seal(id, signature);
                self.seal(choice, sealed, out);
            }
            (Block::Other, Piece::Media(media)) if spell::is_shown(media) => match media.kind {
                MediaKind::Audio => {
                    self.chunk(choice, "", |o| o.obj("audio", |o| spell::write_audio(o, media)), out);
                }
                _ => self.chunk(choice, "", |o| o.arr("images", |a| a.obj(|o| spell::write_image(o, media))), out),
            },
            _ => {}
        }
    }

    fn close(&mut self, choice: u32, block: u32, out: &mut BytesMut) {
        let open = &mut self.choice(choice).open;
        let Some(at) = open.iter().rposition(|(number, _)| *number == block) else { return };
        match open.remove(at).1 {
            // A signature stands in a detail of its own, after the text it signs; a seal is shown whole.
            Block::Thinking { thinking, number } if thinking.signature.is_some() || thinking.data.is_some() => {
                self.reveal(choice, thinking, number, out);
            }
            Block::Call { number, custom: false, argued: false, .. } => {
                self.chunk(choice, "", |o| calls(o, number, None, |o| arguments(o, "{}", false)), out);
            }
            _ => {}
        }
    }

    fn seal(&mut self, choice: u32, sealed: Thinking, out: &mut BytesMut) {
        let state = self.choice(choice);
        let number = state.thoughts;
        state.thoughts += 1;
        self.reveal(choice, sealed, number, out);
    }

    /// Show a signature or a seal, or keep it back while reasoning is hidden and no tool has been called.
    fn reveal(&mut self, choice: u32, thinking: Thinking, number: u32, out: &mut BytesMut) {
        let hide = self.stamp.hide_reasoning;
        let state = self.choice(choice);
        if hide && state.calls == 0 {
            state.hidden.push((thinking, number));
        } else {
            self.details(choice, None, &[(thinking, number)], out);
        }
    }

    fn details(&mut self, choice: u32, said: Option<&str>, list: &[(Thinking, u32)], out: &mut BytesMut) {
        let write = |o: &mut Obj<'_, BytesMut>| {
            o.opt_str("reasoning", said);
            o.arr("reasoning_details", |a| {
                for (thinking, number) in list {
                    a.obj(|o| details::write(o, thinking, *number));
                }
            });
        };
        self.chunk(choice, "", write, out);
    }

    fn logprobs(&mut self, choice: u32, raw: &Raw, out: &mut BytesMut) {
        self.head(out);
        out.put_slice(b",\"choices\":[");
        object(out, |o| {
            o.num("index", choice);
            o.obj("delta", |o| {
                o.str("role", "assistant");
                o.str("content", "");
            });
            o.raw("logprobs", raw);
            o.null("finish_reason");
            o.null("native_finish_reason");
        });
        out.put_slice(b"]}\n\n");
    }

    fn finish(&mut self, index: u32, reason: Finish, native: &Option<String>, out: &mut BytesMut) {
        let choice = self.choice(index);
        if choice.finish.is_some() {
            return;
        }
        choice.finish = Some((reason, native.clone()));
        self.head(out);
        out.put_slice(b",\"choices\":[");
        finished(index, reason, native.as_deref(), out);
        out.put_slice(b"]}\n\n");
    }

    fn fault(&mut self, fault: &Fault, out: &mut BytesMut) {
        if std::mem::replace(&mut self.failed, true) {
            return;
        }
        self.head(out);
        let mut members = BytesMut::new();
        object(&mut members, |o| {
            error::write(o, "error", fault);
            array(o.key("choices"), |a| {
                a.obj(|o| {
                    o.num("index", 0);
                    o.obj("delta", |o| o.str("content", ""));
                    o.str("finish_reason", Finish::Error.name());
                    o.null("native_finish_reason");
                });
            });
        });
        out.put_u8(b',');
        let members = self.stamp.signed(Dialect::OpenAiChat, members.into());
        out.put_slice(members.strip_prefix(b"{").unwrap_or_default());
        out.put_slice(b"\n\n");
    }
}

impl Encode for Encoder {
    fn event(&mut self, event: &Event, out: &mut BytesMut) {
        if self.over || self.failed {
            return;
        }
        match event {
            Event::Start(start) => {
                self.start = start.clone();
                // The caller learns at once that something has begun.
                self.chunk(0, "", |_| {}, out);
            }
            Event::Open { choice, block, kind } => self.open(*choice, *block, kind, out),
            Event::Delta { choice, block, piece } => self.delta(*choice, *block, piece, out),
            Event::Close { choice, block } => self.close(*choice, *block, out),
            Event::Logprobs { choice, raw } => self.logprobs(*choice, raw, out),
            Event::Usage(usage) => {
                self.start.served(usage.tier);
                self.usage = Some(usage.clone());
            }
            Event::Finish { choice, reason, native, .. } => self.finish(*choice, *reason, native, out),
            Event::Fault(fault) => self.fault(fault, out),
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
            let first = self.choices.iter().find_map(|c| Some((c.index, c.finish.clone()?)));
            self.head(out);
            if let Some(tier) = &self.start.service_tier {
                out.put_slice(b",\"service_tier\":");
                json::write_string(tier, out);
            }
            out.put_slice(b",\"choices\":[");
            if let Some((index, (reason, native))) = first {
                finished(index, reason, native.as_deref(), out);
            }
            out.put_slice(b"],\"usage\":");
            write_usage(&usage, &self.stamp, out);
            self.stamp.put_metadata(out);
            out.put_slice(b"}\n\n");
        }
        out.put_slice(b"data: [DONE]\n\n");
    }
}

/// A chunk from `data: ` up to `"choices"`.
fn head(stamp: &Stamp, start: &Start) -> Vec<u8> {
    let mut head = b"data: ".to_vec();
    object(&mut head, |o| {
        o.str("id", &stamp.id);
        o.str("object", "chat.completion.chunk");
        o.num("created", stamp.created);
        o.str("model", model(stamp, start));
        o.str("provider", &stamp.provider);
        o.opt_str("system_fingerprint", start.fingerprint.as_deref());
    });
    head.pop();
    head
}

/// The catalogue's name of the model that answered, or failing that the upstream's.
pub(crate) fn model<'a>(stamp: &'a Stamp, start: &'a Start) -> &'a str {
    if stamp.model.is_empty() { start.model.as_deref().unwrap_or_default() } else { &stamp.model }
}

fn finished(index: u32, reason: Finish, native: Option<&str>, out: &mut BytesMut) {
    object(out, |o| {
        o.num("index", index);
        o.obj("delta", |o| {
            o.str("role", "assistant");
            o.str("content", "");
        });
        o.str("finish_reason", reason.name());
        o.str_or_null("native_finish_reason", native);
    });
}

/// `tool_calls` with one entry: first with its id, later only with what is new.
fn calls(o: &mut Obj<'_, BytesMut>, number: u32, id: Option<&str>, rest: impl FnOnce(&mut Obj<'_, BytesMut>)) {
    o.arr("tool_calls", |a| {
        a.obj(|o| {
            o.num("index", number);
            o.opt_str("id", id);
            rest(o);
        });
    });
}

fn arguments(o: &mut Obj<'_, BytesMut>, text: &str, custom: bool) {
    match custom {
        true => o.obj("custom", |o| o.str("input", text)),
        false => o.obj("function", |o| o.str("arguments", text)),
    }
}

/// Reasoning as one string, of the kinds that can be read.
pub(crate) fn readable(thinking: &Thinking) -> &str {
    if thinking.kind == ThinkingKind::Encrypted { "" } else { &thinking.text }
}
