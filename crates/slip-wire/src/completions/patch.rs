//! A reply passed on from a server of the same dialect: the choices as they came, with this house's identity, price and ending.

use super::encoder::{DONE, ending, failed, head, identity, word};
use super::read::Texts;
use crate::dialect::Decode;
use crate::frame::Frame;
use crate::lens::meter::Meter;
use crate::openai_chat::choice::finish_of;
use crate::openai_chat::usage::write_usage;
use crate::openai_chat::write::{Arr, Obj, array, object};
use crate::{End, Phase, Stamp, Tally, json};
use bytes::{BufMut, BytesMut};
use slip_ir::{Event, Fault, Finish};
use std::sync::Arc;

/// Members of the top level that are written anew.
const OURS: [&str; 8] = ["id", "object", "created", "model", "provider", "choices", "usage", "error"];

/// One stream on its way.
pub struct Patch {
    stamp: Arc<Stamp>,
    head: Vec<u8>,
    decode: Texts,
    events: Vec<Event>,
    meter: Meter,
    /// The choice whose ending was told last, for the usage chunk to repeat.
    last: (u32, Finish, Option<String>),
}

impl Patch {
    pub fn new(stamp: Arc<Stamp>) -> Patch {
        Patch {
            head: head(&stamp, &stamp.model, None),
            stamp,
            decode: Texts::default(),
            events: Vec::new(),
            meter: Meter::default(),
            last: (0, Finish::Stop, None),
        }
    }

    /// See [`crate::Lens::said`].
    pub fn said(&self) -> u64 {
        self.meter.said()
    }

    pub fn phase(&self) -> Phase {
        self.meter.phase
    }

    pub fn fault(&self) -> Option<&Fault> {
        self.meter.tally.fault.as_ref()
    }

    pub fn broken(&mut self, fault: Fault) {
        self.meter.fault(fault);
    }

    /// A frame that was cut off by the end must not be handed in.
    pub fn frame(&mut self, frame: &Frame<'_>, out: &mut BytesMut) {
        if self.meter.phase == Phase::Broken {
            return;
        }
        self.decode.frame(frame, &mut self.events);
        self.absorb();
        let data = frame.data.trim_ascii();
        let choices = json::field(data, "choices").filter(|list| json::items(list).next().is_some());
        let Some(choices) = choices.filter(|_| self.meter.phase != Phase::Broken) else { return };
        out.put_slice(&self.head);
        let mut members = BytesMut::with_capacity(data.len());
        object(&mut members, |o| {
            array(o.key("choices"), |a| json::items(choices).for_each(|choice| self.choice(a, choice)));
            rest(o, data);
        });
        out.put_u8(b',');
        out.put_slice(members.get(1..).unwrap_or_default());
        out.put_slice(b"\n\n");
    }

    fn absorb(&mut self) {
        for event in self.events.drain(..) {
            self.meter.event(&event);
        }
    }

    fn choice(&mut self, a: &mut Arr<'_, BytesMut>, choice: &[u8]) {
        if let Some((finish, native)) = copy(a, choice) {
            let index = json::field(choice, "index").and_then(json::integer).and_then(|n| u32::try_from(n).ok());
            self.last = (index.unwrap_or(0), finish, native);
        }
    }

    pub fn end(mut self, how: End, out: &mut BytesMut) -> Tally {
        match how {
            End::Gone => {
                self.meter.settle(&self.stamp);
                return self.meter.tally;
            }
            _ if self.meter.phase == Phase::Broken => {}
            End::Eof => {
                self.decode.eof(&mut self.events);
                self.absorb();
            }
            End::Fault(fault) => {
                self.decode.eof(&mut self.events);
                // A decoder that had read the finish has nothing to complain of: then all that matters had come.
                if self.events.iter().any(|event| matches!(event, Event::Fault(_))) {
                    self.events.retain(|event| !matches!(event, Event::Fault(_)));
                    self.absorb();
                    self.meter.fault(fault);
                } else {
                    self.absorb();
                }
            }
        }
        self.meter.settle(&self.stamp);
        if let Some(fault) = &self.meter.tally.fault {
            failed(fault, &self.stamp, out);
            return self.meter.tally;
        }
        let (index, finish, native) = &self.last;
        out.put_slice(&self.head);
        out.put_slice(b",\"choices\":[");
        object(out, |o| ending(o, *index, *finish, native.as_deref()));
        out.put_u8(b']');
        if let Some(usage) = &self.meter.tally.usage {
            out.put_slice(b",\"usage\":");
            write_usage(usage, &self.stamp, out);
        }
        self.stamp.put_metadata(out);
        out.put_slice(b"}\n\n");
        out.put_slice(DONE);
        self.meter.tally
    }
}

/// A whole reply, valid and counted already.
pub fn reply(body: &[u8], tally: &Tally, stamp: &Stamp) -> Vec<u8> {
    let body = body.trim_ascii();
    let mut out = BytesMut::with_capacity(body.len() + 512);
    object(&mut out, |o| {
        identity(o, stamp, &stamp.model, None);
        o.arr("choices", |a| {
            for choice in json::field(body, "choices").into_iter().flat_map(json::items) {
                copy(a, choice);
            }
        });
        rest(o, body);
        if let Some(usage) = &tally.usage {
            write_usage(usage, stamp, o.key("usage"));
        }
    });
    Vec::from(out)
}

/// A choice as it came, its ending in OpenRouter's words. Returns how it ended, where it did.
fn copy(a: &mut Arr<'_, BytesMut>, choice: &[u8]) -> Option<(Finish, Option<String>)> {
    let member = |name: &str| json::field(choice, name).and_then(json::string).filter(|word| !word.is_empty());
    let finish = member("finish_reason").map(|word| (finish_of(&word, false), word.into_owned()));
    let native = member("native_finish_reason").map(|word| word.into_owned());
    let ended = finish.map(|(finish, word)| (finish, native.or(Some(word))));
    a.obj(|o| {
        for (key, value) in json::fields(choice) {
            match &*key.bytes() {
                b"finish_reason" | b"native_finish_reason" => {}
                // Some fill in the middle and answer as if they chatted.
                b"message" | b"delta" if value.first() == Some(&b'{') => {
                    let text = json::field(value, "content").filter(|text| text.first() == Some(&b'"'));
                    o.span("text", text.unwrap_or(b"\"\""));
                }
                _ => o.span(&key.text(), value),
            }
        }
        o.str_or_null("finish_reason", ended.as_ref().map(|(finish, _)| word(*finish)));
        o.str_or_null("native_finish_reason", ended.as_ref().and_then(|(_, native)| native.as_deref()));
    });
    ended
}

/// The members of the top level that nobody here has words for.
fn rest(o: &mut Obj<'_, BytesMut>, top: &[u8]) {
    for (key, value) in json::fields(top) {
        let text = key.text();
        if !OURS.contains(&&*text) && value != b"null" {
            o.span(&text, value);
        }
    }
}
