//! The stream: every upstream frame becomes at most one chunk in OpenRouter's form, and the end is always told the same way.

use super::scan::{Choice, Message, Scan};
use super::tools::{Calls, Wrote};
use super::{
    Span, Text, fault, finish_of, is_content, is_junk, put_extra, put_extras, put_identity, put_number, put_reasoning,
    put_sealed,
};
use crate::frame::Frame;
use crate::json::Str;
use crate::lens::meter::Meter;
use crate::openai_chat::usage::{parse_usage, write_usage};
use crate::{End, Phase, Stamp, Tally};
use bytes::{BufMut, BytesMut};
use slip_ir::{Fault, FaultKind, Finish, Remedy};
use std::sync::Arc;

const DONE: &[u8] = b"data: [DONE]\n\n";

/// One stream being patched.
pub struct Patch {
    stamp: Arc<Stamp>,
    /// `data: {"id":…,"choices":[`, the same for every chunk.
    prefix: Vec<u8>,
    scan: Scan,
    text: Text,
    choices: Vec<State>,
    /// The last usage object seen. Counters are cumulative: the last one counts, they are never added.
    usage: Vec<u8>,
    /// The last `service_tier` seen, as it was written.
    tier: Vec<u8>,
    last: Option<Ending>,
    /// `[DONE]` came.
    done: bool,
    meter: Meter,
}

/// What is remembered of one choice.
struct State {
    index: u32,
    calls: Calls,
    started: bool,
    finished: bool,
}

/// The ending that the usage chunk repeats.
struct Ending {
    choice: u32,
    finish: Finish,
    /// The upstream's word as it was written, or `null`.
    native: Vec<u8>,
}

impl Patch {
    pub fn new(stamp: Arc<Stamp>) -> Patch {
        let mut prefix = BytesMut::with_capacity(192);
        prefix.put_slice(b"data: ");
        put_identity(&stamp, "chat.completion.chunk", &mut prefix);
        prefix.put_slice(b",\"choices\":[");
        Patch {
            stamp,
            prefix: prefix.to_vec(),
            scan: Scan::default(),
            text: Text::default(),
            choices: Vec::new(),
            usage: Vec::new(),
            tier: Vec::new(),
            last: None,
            done: false,
            meter: Meter::default(),
        }
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

    /// `partial`: the stream ended inside this event.
    pub fn frame(&mut self, frame: &Frame<'_>, partial: bool, out: &mut BytesMut) {
        if frame.data.len() < 16 {
            let bare = frame.data.trim_ascii();
            self.done |= bare == b"[DONE]";
            if bare == b"[DONE]" || bare.is_empty() {
                return;
            }
        }
        let mut scan = std::mem::take(&mut self.scan);
        match scan.read(frame.data) {
            Ok(()) => self.scanned(frame, &scan, out),
            Err(_) => {
                self.meter.tally.malformed += 1;
                if frame.event == Some("error") {
                    self.meter.fault(fault::read(frame.data, None));
                } else if !partial {
                    let says = "the provider sent a stream event that is not JSON";
                    self.meter.fault(Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, says));
                }
            }
        }
        self.scan = scan;
    }

    fn scanned(&mut self, frame: &Frame<'_>, scan: &Scan, out: &mut BytesMut) {
        let data = frame.data;
        if let Some(usage) = &scan.usage {
            keep(&mut self.usage, data, usage);
        }
        if let Some(tier) = &scan.tier {
            keep(&mut self.tier, data, tier);
        }
        remember(&mut self.meter.tally.upstream_id, scan.id.as_ref(), data);
        remember(&mut self.meter.tally.upstream_model, scan.model.as_ref(), data);
        if scan.error.is_some() || scan.is_error || frame.event == Some("error") {
            self.meter.fault(fault::read(data, scan.error.as_ref()));
        }
        if self.meter.phase == Phase::Broken || scan.choices.is_empty() {
            return;
        }
        let mark = out.len();
        out.reserve(self.prefix.len() + data.len() + 128);
        out.put_slice(&self.prefix);
        let first = out.len();
        for choice in &scan.choices {
            if let Some(error) = &choice.error {
                self.meter.fault(fault::read(data, Some(error)));
                out.truncate(mark);
                return;
            }
            let comma = out.len();
            if comma > first {
                out.put_u8(b',');
            }
            if !self.choice(data, scan, choice, out) {
                out.truncate(comma);
            }
        }
        if out.len() == first {
            out.truncate(mark);
            return;
        }
        out.put_u8(b']');
        if let Some(fingerprint) = &scan.fingerprint {
            out.put_slice(b",\"system_fingerprint\":");
            out.put_slice(&data[fingerprint.clone()]);
        }
        put_extras(data, &scan.extras, out);
        out.put_slice(b"}\n\n");
    }

    /// Write one choice; false when it says nothing new.
    fn choice(&mut self, data: &[u8], scan: &Scan, choice: &Choice, out: &mut BytesMut) -> bool {
        let index = choice.index.as_ref().and_then(|span| crate::json::integer(&data[span.clone()]));
        let Ok(index) = u32::try_from(index.unwrap_or(0)) else { return false };
        let at = match self.choices.iter().position(|state| state.index == index) {
            Some(at) => at,
            None if self.choices.len() < super::MAX_CHOICES => {
                self.choices.push(State { index, calls: Calls::default(), started: false, finished: false });
                self.choices.len() - 1
            }
            None => return false,
        };
        let empty = Message::default();
        let message = choice.delta.as_ref().or(choice.message.as_ref()).unwrap_or(&empty);

        out.put_slice(b"{\"index\":");
        put_number(index as u64, out);
        out.put_slice(b",\"delta\":{\"role\":\"assistant\",\"content\":");
        let mut news = self.content(data, message, out);
        news |= self.reasoning(data, message, out);
        for extra in &scan.inner[message.extras.clone()] {
            let (key, value) = (&data[extra.key.clone()], &data[extra.value.clone()]);
            let name = &key[1..key.len() - 1];
            if is_junk(name, value) {
                continue;
            }
            if is_content(name) {
                self.meter.content(0);
            } else if name == b"refusal" {
                self.meter.content(Str::of(value).map_or(0, |text| text.text_len()));
            }
            put_extra(key, value, out);
            news = true;
        }

        let word = choice.finish.as_ref().and_then(|span| Str::of(&data[span.clone()])).filter(|w| !w.is_empty());
        let tools_at = out.len();
        out.put_slice(b",\"tool_calls\":[");
        let state = &mut self.choices[at];
        let mut wrote = Wrote::default();
        if let Some(tools) = &message.tools {
            wrote = state.calls.push(&data[tools.clone()], index, &self.stamp, out);
            for n in 0..wrote.content {
                self.meter.content(if n == 0 { wrote.text } else { 0 });
            }
        }
        if word.is_some() && !state.finished {
            let mark = out.len();
            if wrote.any {
                out.put_u8(b',');
            }
            if state.calls.finish(out) {
                wrote.any = true;
            } else {
                out.truncate(mark);
            }
        }
        if wrote.any {
            out.put_u8(b']');
            news = true;
        } else {
            out.truncate(tools_at);
        }

        let ended = match word {
            None => {
                out.put_slice(b"},\"finish_reason\":null,\"native_finish_reason\":null");
                false
            }
            Some(word) => {
                let raw = choice.native.as_ref().or(choice.finish.as_ref());
                let raw = raw.map_or(b"null".as_slice(), |span| &data[span.clone()]);
                let finish = finish_of(&word.text(), state.calls.any());
                put_finish(finish, raw, out);
                if finish == Finish::Error {
                    let says = "the provider ended the reply with an error";
                    self.meter.fault(Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, says));
                    return false;
                }
                if !state.finished {
                    let native = Str::of(raw).map(|text| text.text().into_owned());
                    self.meter.finish(index, finish, native);
                    self.last = Some(Ending { choice: index, finish, native: raw.to_vec() });
                }
                true
            }
        };
        if let Some(logprobs) = &choice.logprobs {
            put_extra(b"\"logprobs\"", &data[logprobs.clone()], out);
            news = true;
        }
        put_extras(data, &scan.outer[choice.extras.clone()], out);
        out.put_u8(b'}');
        // An ending told twice, and a delta of nothing once the reply has begun, would only confuse.
        news |= !state.finished && (ended || !state.started);
        state.started = true;
        state.finished |= ended;
        news
    }

    /// The value of `content`; true when there is some.
    #[inline]
    fn content(&mut self, data: &[u8], message: &Message, out: &mut BytesMut) -> bool {
        self.text.clear();
        let value = message.content.as_ref().map_or(b"".as_slice(), |span| &data[span.clone()]);
        if let Some(text) = Str::of(value) {
            out.put_slice(value);
            if text.is_empty() {
                return false;
            }
            self.meter.content(text.text_len());
            return true;
        }
        if value.first() == Some(&b'[') {
            self.text.gather(value);
        }
        out.put_u8(b'"');
        out.put_slice(&self.text.content);
        out.put_u8(b'"');
        if self.text.content.is_empty() {
            return false;
        }
        self.meter.content(super::text_len(&self.text.content));
        true
    }

    /// `reasoning` and `reasoning_details`; true when something was written.
    #[inline]
    fn reasoning(&mut self, data: &[u8], message: &Message, out: &mut BytesMut) -> bool {
        let details = message.details.as_ref().map(|span| &data[span.clone()]);
        if message.reasoning.is_none() && details.is_none() && self.text.reasoning.is_empty() {
            return false;
        }
        let mut sealed = false;
        let body = match (&message.reasoning, details) {
            (Some(span), _) => &data[span.start + 1..span.end - 1],
            (None, Some(details)) => {
                sealed = self.text.gather_details(details);
                self.text.reasoning.as_slice()
            }
            (None, None) => self.text.reasoning.as_slice(),
        };
        if !body.is_empty() || sealed {
            self.meter.content(super::text_len(body));
        }
        let mark = out.len();
        match details {
            _ if self.stamp.hide_reasoning => put_sealed(details.unwrap_or_default(), out),
            Some(details) => {
                if !body.is_empty() {
                    out.put_slice(b",\"reasoning\":\"");
                    out.put_slice(body);
                    out.put_u8(b'"');
                }
                put_extra(b"\"reasoning_details\"", details, out);
            }
            None => put_reasoning(body, out),
        }
        out.len() > mark
    }

    /// The end of the stream, told as callers expect it: usage, then `[DONE]`, whatever happened.
    pub fn end(mut self, how: End, out: &mut BytesMut) -> Tally {
        let complete = !self.choices.is_empty() && self.choices.iter().all(|state| state.finished);
        let gone = how == End::Gone;
        match how {
            _ if self.meter.phase == Phase::Broken || complete => {}
            End::Eof if self.done && self.meter.tally.content > 0 => self.assume_finished(out),
            End::Eof => self.meter.fault(fault::cut()),
            End::Fault(fault) => self.meter.fault(fault),
            End::Gone => {}
        }
        self.meter.tally.usage = parse_usage(&self.usage);
        self.meter.settle(&self.stamp);
        if gone {
            return self.meter.tally;
        }
        out.put_slice(&self.prefix);
        match (&self.meter.tally.fault, &self.last) {
            (Some(fault), _) => {
                put_ending(0, Finish::Error, b"null", out);
                out.put_slice(b"],\"error\":");
                fault::put(fault, out);
            }
            (None, Some(last)) => {
                put_ending(last.choice, last.finish, &last.native, out);
                out.put_u8(b']');
            }
            (None, None) => {
                put_ending(0, Finish::Stop, b"null", out);
                out.put_u8(b']');
            }
        }
        if !self.tier.is_empty() {
            put_extra(b"\"service_tier\"", &self.tier, out);
        }
        if let Some(usage) = &self.meter.tally.usage {
            out.put_slice(b",\"usage\":");
            write_usage(usage, &self.stamp, out);
        }
        out.put_slice(b"}\n\n");
        out.put_slice(DONE);
        self.meter.tally
    }

    /// The upstream said `[DONE]` and nothing else about the end: then it is an ordinary one.
    fn assume_finished(&mut self, out: &mut BytesMut) {
        for state in self.choices.iter_mut().filter(|state| !state.finished) {
            let finish = finish_of("", state.calls.any());
            out.put_slice(&self.prefix);
            out.put_slice(b"{\"index\":");
            put_number(state.index as u64, out);
            out.put_slice(b",\"delta\":{\"role\":\"assistant\",\"content\":\"\"");
            let mark = out.len();
            out.put_slice(b",\"tool_calls\":[");
            if state.calls.finish(out) {
                out.put_u8(b']');
            } else {
                out.truncate(mark);
            }
            put_finish(finish, b"null", out);
            out.put_slice(b"}]}\n\n");
            state.finished = true;
            self.meter.finish(state.index, finish, None);
            self.last = Some(Ending { choice: state.index, finish, native: b"null".to_vec() });
        }
    }
}

/// Close the delta and say how the choice ended.
fn put_finish(finish: Finish, native: &[u8], out: &mut BytesMut) {
    out.put_slice(b"},\"finish_reason\":\"");
    out.put_slice(finish.name().as_bytes());
    out.put_slice(b"\",\"native_finish_reason\":");
    out.put_slice(native);
}

/// A choice that only says how it ended.
fn put_ending(choice: u32, finish: Finish, native: &[u8], out: &mut BytesMut) {
    out.put_slice(b"{\"index\":");
    put_number(choice as u64, out);
    out.put_slice(b",\"delta\":{\"role\":\"assistant\",\"content\":\"\"");
    put_finish(finish, native, out);
    out.put_u8(b'}');
}

fn keep(slot: &mut Vec<u8>, data: &[u8], span: &Span) {
    slot.clear();
    slot.extend_from_slice(&data[span.clone()]);
}

fn remember(slot: &mut Option<String>, span: Option<&Span>, data: &[u8]) {
    if slot.is_none()
        && let Some(span) = span
    {
        *slot = crate::json::string(&data[span.clone()]).map(|text| text.into_owned());
    }
}
