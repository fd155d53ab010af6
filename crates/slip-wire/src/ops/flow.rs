//! Answers of services that are passed on as they arrive: sound as bare bytes, and streams of OpenAI's events.
//!
//! Both are counted by the same meter as a chat, so that the journey need not know what flows.

use super::{Shape, image, speech, transcribe};
use crate::frame::Frame;
use crate::frame::sse::{Sink, Sse};
use crate::lens::meter::Meter;
use crate::{End, Phase, Stamp, Tally, dialect::put_event, json, wire};
use bytes::BytesMut;
use http::HeaderMap;
use slip_ir::{Dialect, Fault, FaultKind, Finish, Remedy, Usage};
use std::borrow::Cow;
use std::sync::Arc;

/// A service's answer on its way.
pub struct Flow {
    kind: Kind,
    meter: Meter,
    /// What it comes to where the provider does not say.
    fallback: Usage,
    stamp: Arc<Stamp>,
}

enum Kind {
    Bytes,
    Events(Box<Events>),
}

/// Whose events they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    Image,
    Speech,
    Transcript,
}

struct Events {
    sse: Sse,
    keeper: Keeper,
    caller: Shape,
    /// Pictures finished so far.
    made: u64,
    /// The provider ended with `[DONE]`.
    done: bool,
}

impl Flow {
    /// Whatever it is, it goes out as it comes.
    pub fn bytes(fallback: Usage, stamp: Arc<Stamp>) -> Flow {
        Flow { kind: Kind::Bytes, meter: Meter::default(), fallback, stamp }
    }

    pub(super) fn events(keeper: Keeper, caller: Shape, fallback: Usage, stamp: Arc<Stamp>) -> Flow {
        let events = Events { sse: Sse::new(), keeper, caller, made: 0, done: false };
        Flow { kind: Kind::Events(Box::new(events)), meter: Meter::default(), fallback, stamp }
    }

    /// Bare bytes have no place for an error: a failure can only be told by breaking off.
    pub fn is_bare(&self) -> bool {
        matches!(self.kind, Kind::Bytes)
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

    pub fn push(&mut self, chunk: &[u8], out: &mut BytesMut) {
        match &mut self.kind {
            Kind::Bytes => {
                if !chunk.is_empty() {
                    // All of it is one piece of content, however it is cut.
                    if self.meter.tally.content == 0 {
                        self.meter.content(0);
                    }
                    out.extend_from_slice(chunk);
                }
            }
            Kind::Events(events) => {
                let mut sse = std::mem::take(&mut events.sse);
                let mut into = Into { flow: self, partial: false, out };
                let pushed = sse.push(chunk, &mut into);
                if let Err(too_long) = pushed {
                    self.meter.fault(Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, too_long.to_string()));
                }
                if let Kind::Events(events) = &mut self.kind {
                    events.sse = sse;
                }
            }
        }
    }

    /// Write what must come last and settle the accounts. Nothing is written for a caller who left.
    pub fn end(mut self, how: End, out: &mut BytesMut) -> Tally {
        if let (End::Eof, Kind::Events(events)) = (&how, &mut self.kind) {
            let mut sse = std::mem::take(&mut events.sse);
            let _ = sse.finish(&mut Into { flow: &mut self, partial: true, out });
        }
        let finished = self.meter.phase == Phase::Finished;
        let gone = how == End::Gone;
        match how {
            End::Gone => {}
            End::Fault(fault) if !finished => self.meter.fault(fault),
            End::Eof if self.meter.phase == Phase::Waiting => self.meter.fault(Fault::upstream(
                FaultKind::Upstream,
                Remedy::Elsewhere,
                "the provider's answer is empty",
            )),
            // Bytes end by ending: whether they were cut, their framing knows, and tells as a fault.
            End::Eof if self.is_bare() => self.meter.finish(0, Finish::Stop, None),
            End::Eof if !finished && self.meter.phase != Phase::Broken => self.meter.fault(Fault::upstream(
                FaultKind::Upstream,
                Remedy::Stop,
                "the provider's stream ended before it was finished",
            )),
            End::Eof | End::Fault(_) => {}
        }
        if self.meter.reported().is_none() && self.meter.owes() {
            self.meter.tally.usage = Some(self.fallback.clone());
        }
        if let (Kind::Events(events), false) = (&self.kind, gone) {
            events.close(self.meter.tally.fault.as_ref(), &self.stamp, out);
        }
        self.meter.tally
    }

    fn frame(&mut self, frame: &Frame<'_>, partial: bool, out: &mut BytesMut) {
        let Kind::Events(events) = &mut self.kind else { return };
        if self.meter.phase == Phase::Broken || crate::lens::is_cut(frame, partial) {
            return;
        }
        if frame.is_done() {
            events.done = true;
            return;
        }
        let data = frame.data;
        if json::check(data).is_err() {
            self.meter.tally.malformed += 1;
            return;
        }
        let kind = json::field(data, "type").and_then(json::string).or_else(|| frame.event.map(Cow::Borrowed));
        let kind = kind.unwrap_or_default();
        let failed = json::field(data, "error").is_some_and(|error| error != b"null");
        if kind == "error" || failed {
            let headers = HeaderMap::new();
            self.meter.fault(wire(Dialect::OpenAiChat).decode_error(500, &headers, data));
            return;
        }
        let spent = events.count(&kind, data, &mut self.meter, &self.fallback, &self.stamp);
        match events.keeper {
            Keeper::Image => image::event(events.caller, &kind, data, spent.as_ref(), &self.stamp, out),
            Keeper::Speech => speech::event(&kind, frame.event, data, spent.as_ref(), &self.stamp, out),
            Keeper::Transcript => transcribe::event(&kind, frame.event, data, spent.as_ref(), &self.stamp, out),
        }
    }
}

impl Events {
    /// What an event means; what it says was consumed, once it is the last of its kind.
    fn count(&mut self, kind: &str, data: &[u8], meter: &mut Meter, fallback: &Usage, stamp: &Stamp) -> Option<Usage> {
        let length = |name: &str| json::field(data, name).and_then(json::string).map_or(0, |text| text.len());
        if kind.ends_with(".delta") || kind.ends_with(".segment") || kind.ends_with(".partial_image") {
            let text = if self.keeper == Keeper::Transcript { length("delta") } else { 0 };
            meter.content(text);
            return None;
        }
        if !(kind.ends_with(".done") || kind.ends_with(".completed")) {
            return None;
        }
        self.made += 1;
        if meter.tally.content == 0 || self.keeper == Keeper::Image {
            meter.content(0);
        }
        let told = json::field(data, "usage").filter(|usage| *usage != b"null");
        let usage = match self.keeper {
            Keeper::Image => {
                let fallback = Usage { images: if fallback.images > 0 { self.made } else { 0 }, ..fallback.clone() };
                let told = told.and_then(image::usage).filter(|usage| usage.total() > 0);
                told.map(|usage| Usage { images: fallback.images, ..usage }).unwrap_or(fallback)
            }
            Keeper::Speech => told.and_then(|told| speech::usage(told, stamp)).unwrap_or_else(|| fallback.clone()),
            Keeper::Transcript => {
                told.and_then(|told| transcribe::usage(told, stamp)).unwrap_or_else(|| fallback.clone())
            }
        };
        meter.tally.usage = Some(usage.clone());
        meter.finish(0, Finish::Stop, None);
        Some(usage)
    }

    fn close(&self, fault: Option<&Fault>, stamp: &Stamp, out: &mut BytesMut) {
        if let Some(fault) = fault {
            let told = wire(Dialect::OpenAiChat).encode_error(fault, Some(&stamp.id));
            let rest = told.strip_prefix(b"{").unwrap_or(b"}");
            let body = [b"{\"type\":\"error\",", rest].concat();
            put_event((self.caller != Shape::OpenRouter).then_some("error"), &body, out);
        }
        if self.done || self.caller == Shape::OpenRouter {
            put_event(None, b"[DONE]", out);
        }
    }
}

struct Into<'a> {
    flow: &'a mut Flow,
    partial: bool,
    out: &'a mut BytesMut,
}

impl Sink for Into<'_> {
    fn frame(&mut self, frame: Frame<'_>) {
        self.flow.frame(&frame, self.partial, self.out);
    }
}
