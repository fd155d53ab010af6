//! The stream: every upstream frame becomes at most one chunk in OpenRouter's form, and the end is always told the same way.

use super::scan::{Choice, Message, Scan};
use super::tools::Calls;
use super::{
    Span, Text, error, error_in, finish_of, is_content, is_junk, put_extra, put_extras, put_identity, put_number,
    put_reasoning, put_sealed,
};
use crate::dialect::cut_short;
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
    /// Boxed because it is taken out and put back for every frame.
    scan: Option<Box<Scan>>,
    text: Text,
    choices: Vec<State>,
    /// The last `service_tier` seen, as it was written.
    tier: Vec<u8>,
    /// The choice whose ending was told last, for the usage chunk to repeat.
    last: Option<u32>,
    /// `[DONE]` came.
    done: bool,
    meter: Meter,
}

/// Lines that are no chunks at all (`[START]`, `ping`) are passed over this many times; a stream of them is not a reply.
const MAX_STRAYS: u32 = 16;

/// What is remembered of one choice.
struct State {
    index: u32,
    calls: Calls,
    started: bool,
    /// The last frame had something of this choice.
    stirred: bool,
    /// How it will have ended. Told one frame late, because some servers say it early and then go on.
    ending: Option<Ending>,
    told: Option<Finish>,
}

#[derive(Default)]
struct Ending {
    word: String,
    /// The upstream's finer word as it was written.
    native: Vec<u8>,
}

impl State {
    fn new(index: u32) -> State {
        State { index, calls: Calls::default(), started: false, stirred: false, ending: None, told: None }
    }
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
            scan: None,
            text: Text::default(),
            choices: Vec::new(),
            tier: Vec::new(),
            last: None,
            done: false,
            meter: Meter::default(),
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

    /// `partial`: the stream ended inside this event.
    pub fn frame(&mut self, frame: &Frame<'_>, partial: bool, out: &mut BytesMut) {
        if self.done {
            return;
        }
        if frame.data.len() < 16 {
            let bare = frame.data.trim_ascii();
            self.done |= bare == b"[DONE]";
            if bare == b"[DONE]" || bare.is_empty() {
                return;
            }
        }
        if frame.data.trim_ascii_start().first() != Some(&b'{') {
            return self.stray(frame.data);
        }
        let mut scan = self.scan.take().unwrap_or_default();
        match scan.read(frame.data) {
            Ok(()) => self.scanned(frame, &scan, out),
            Err(_) => {
                self.meter.tally.malformed += 1;
                if !partial {
                    let says = "the provider sent a chunk that is not JSON";
                    self.meter.fault(Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, says));
                }
            }
        }
        self.scan = Some(scan);
    }

    fn stray(&mut self, data: &[u8]) {
        self.meter.tally.malformed += 1;
        if data.trim_ascii_start().first() == Some(&b'[') && error::looks_like(data.trim_ascii()) {
            self.meter.fault(error::inside(data.trim_ascii()));
        } else if self.meter.tally.malformed > MAX_STRAYS {
            let says = "the provider sent a stream that is not of chat chunks";
            self.meter.fault(Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, says));
        }
    }

    fn scanned(&mut self, frame: &Frame<'_>, scan: &Scan, out: &mut BytesMut) {
        let data = frame.data;
        // Counters are cumulative: the last that makes sense counts, they are never added.
        let read = |span: &Span| parse_usage(&data[span.clone()]);
        if let Some(usage) = scan.usage.as_ref().and_then(read).or_else(|| scan.inner_usage.as_ref().and_then(read)) {
            self.meter.tally.usage = Some(usage);
        }
        if let Some(tier) = scan.tier.as_ref().filter(|tier| data[(*tier).clone()] != self.tier) {
            keep(&mut self.tier, data, tier);
            self.meter.served(crate::json::string(&self.tier).as_deref());
        }
        remember(&mut self.meter.tally.upstream_id, scan.id.as_ref(), data);
        remember(&mut self.meter.tally.upstream_model, scan.model.as_ref(), data);
        if scan.error.is_some() || scan.is_error || frame.event == Some("error") && !scan.has_choices {
            self.meter.fault(error_in(data, scan.error.as_ref()));
        }
        if self.meter.phase == Phase::Broken {
            return;
        }
        if !scan.choices.is_empty() {
            self.chunk(data, scan, out);
        }
        for at in 0..self.choices.len() {
            let state = &mut self.choices[at];
            if !std::mem::take(&mut state.stirred) && state.ending.is_some() && state.told.is_none() {
                self.tell_ending(at, out);
            }
        }
    }

    fn chunk(&mut self, data: &[u8], scan: &Scan, out: &mut BytesMut) {
        let mark = out.len();
        out.reserve(self.prefix.len() + data.len() + 128);
        out.put_slice(&self.prefix);
        let first = out.len();
        for (position, choice) in scan.choices.iter().enumerate() {
            if let Some(error) = &choice.error {
                self.meter.fault(error_in(data, Some(error)));
                out.truncate(mark);
                return;
            }
            let comma = out.len();
            if comma > first {
                out.put_u8(b',');
            }
            if !self.choice(data, scan, position, choice, out) {
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
    fn choice(&mut self, data: &[u8], scan: &Scan, position: usize, choice: &Choice, out: &mut BytesMut) -> bool {
        let index = choice.index.as_ref().and_then(|span| crate::json::integer(&data[span.clone()]));
        let index = index.and_then(|index| u32::try_from(index).ok()).unwrap_or(position as u32);
        let at = match self.choices.iter().position(|state| state.index == index) {
            Some(at) => at,
            None if self.choices.len() < super::MAX_CHOICES => {
                self.choices.push(State::new(index));
                self.choices.len() - 1
            }
            None => return false,
        };
        if self.choices[at].told.is_some() {
            return false;
        }
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

        let state = &mut self.choices[at];
        if let Some(tools) = &message.tools {
            let tools_at = out.len();
            out.put_slice(b",\"tool_calls\":[");
            let wrote = state.calls.push(&data[tools.clone()], index, &self.stamp, out);
            if wrote.any {
                out.put_u8(b']');
                news = true;
            } else {
                out.truncate(tools_at);
            }
            for n in 0..wrote.content {
                self.meter.content(if n == 0 { wrote.text } else { 0 });
            }
        }
        out.put_slice(b"},\"finish_reason\":null,\"native_finish_reason\":null");
        if let Some(logprobs) = &choice.logprobs {
            put_extra(b"\"logprobs\"", &data[logprobs.clone()], out);
            news = true;
        }
        put_extras(data, &scan.outer[choice.extras.clone()], out);
        out.put_u8(b'}');

        state.stirred |= news;
        // Role and nothing else is passed on once: it tells the client that the reply has begun.
        news |= !std::mem::replace(&mut state.started, true) && choice.finish.is_none();
        if let Some(word) = choice.finish.as_ref().and_then(|span| Str::of(&data[span.clone()])) {
            let better = state.ending.as_ref().is_none_or(|ending| ending.word.is_empty());
            if better {
                let native = choice.native.as_ref().or(choice.finish.as_ref()).filter(|span| span.len() > 2);
                let native = native.map_or(b"null".as_slice(), |span| &data[span.clone()]);
                state.ending = Some(Ending { word: word.text().into_owned(), native: native.to_vec() });
                state.stirred = true;
            }
            if !word.is_empty() && self.meter.phase != Phase::Broken {
                self.meter.phase = Phase::Finished;
            }
        }
        news
    }

    /// A chunk of its own that says how a choice ended.
    fn tell_ending(&mut self, at: usize, out: &mut BytesMut) {
        let Some(state) = self.choices.get_mut(at) else { return };
        let ending = state.ending.get_or_insert_with(|| Ending { word: String::new(), native: b"null".to_vec() });
        let finish = finish_of(&ending.word, state.calls.any());
        state.told = Some(finish);
        let native = Str::of(&ending.native).map(|text| text.text().into_owned());
        if finish == Finish::Error {
            let says = "the provider ended the reply with an error";
            self.meter.fault(Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, says));
            return;
        }
        self.meter.finish(state.index, finish, native);
        self.last = Some(state.index);
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
        put_finish(finish, &ending.native, out);
        out.put_slice(b"}]}\n\n");
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
        let ended = !self.choices.is_empty() && self.choices.iter().all(|s| s.told.is_some() || s.ending.is_some());
        // `[DONE]` without a word about the end is an ordinary end.
        let ended = ended || self.done && !self.choices.is_empty();
        let gone = how == End::Gone;
        match how {
            _ if self.meter.phase == Phase::Broken => {}
            _ if ended => {
                // Nothing reaches a caller who left, but the account is the same.
                let mut unread = BytesMut::new();
                let out = if gone { &mut unread } else { &mut *out };
                for at in 0..self.choices.len() {
                    if self.choices[at].told.is_none() {
                        self.tell_ending(at, out);
                    }
                }
            }
            End::Gone => {}
            End::Eof => self.meter.fault(cut_short(Remedy::Elsewhere)),
            End::Fault(fault) => self.meter.fault(fault),
        }
        for called in self.choices.iter().flat_map(|state| state.calls.told()) {
            self.meter.tally.calls.whole(called);
        }
        self.meter.settle(&self.stamp);
        if gone {
            return self.meter.tally;
        }
        out.put_slice(&self.prefix);
        if let Some(fault) = &self.meter.tally.fault {
            put_ending(0, Finish::Error, b"null", out);
            out.put_slice(b"],");
            // The member of the error body, without the braces around it.
            let body = error::encode(fault);
            out.put_slice(body.get(1..body.len().saturating_sub(1)).unwrap_or_default());
        } else {
            let last = self.choices.iter().find(|state| Some(state.index) == self.last);
            let native = last.and_then(|state| state.ending.as_ref()).map_or(b"null".as_slice(), |e| &e.native);
            let finish = last.and_then(|state| state.told).unwrap_or(Finish::Stop);
            put_ending(self.last.unwrap_or(0), finish, native, out);
            out.put_u8(b']');
        }
        if !self.tier.is_empty() {
            put_extra(b"\"service_tier\"", &self.tier, out);
        }
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
