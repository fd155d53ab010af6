//! Same dialect on both sides: complete events go out as they came while a meter watches.

use super::meter::Meter;
use super::{End, Phase, Tally, is_cut};
use crate::dialect::put_event;
use crate::frame::Frame;
use crate::json::{Bad, Cursor};
use crate::{Decode, Quirks, Stamp, wire};
use bytes::{BufMut, BytesMut};
use slip_ir::{Dialect, Event};
use std::sync::Arc;

pub(super) struct Verbatim {
    caller: Dialect,
    stamp: Arc<Stamp>,
    decode: Box<dyn Decode>,
    events: Vec<Event>,
    pub meter: Meter,
    gate: Gate,
    /// What goes out in the place of the last event: its name and its payload.
    signed: (Option<String>, Vec<u8>),
    /// The last byte passed on was a CR: an LF that follows belongs to it.
    after_cr: bool,
    /// The upstream's own error event went out.
    told: bool,
    /// The dialect's last event went out.
    closed: bool,
}

/// Whether the upstream's bytes go out.
#[derive(Clone, Copy, PartialEq)]
enum Gate {
    Open,
    /// This event still, as the last one.
    Closing,
    /// In its place, the same with what the caller wants to know of the routing; it is the last one.
    Signing,
    Shut,
}

impl Verbatim {
    pub fn new(caller: Dialect, stamp: Arc<Stamp>, quirks: &Quirks) -> Verbatim {
        Verbatim {
            caller,
            stamp,
            decode: wire(caller).decoder(quirks),
            events: Vec::new(),
            meter: Meter::default(),
            gate: Gate::Open,
            signed: (None, Vec::new()),
            after_cr: false,
            told: false,
            closed: false,
        }
    }

    pub fn frame(&mut self, frame: &Frame<'_>, partial: bool) {
        if self.gate != Gate::Open {
            return;
        }
        if is_cut(frame, partial) {
            self.gate = Gate::Shut;
            return;
        }
        self.closed |= wire(self.caller).is_last(frame);
        if self.caller == Dialect::Anthropic
            && self.meter.phase == Phase::Flowing
            && frame.event == Some("content_block_delta")
            && let Ok(Some(length)) = plain_delta(frame.data)
        {
            if length > 0 {
                self.meter.content(length);
            }
            return;
        }
        self.decode.frame(frame, &mut self.events);
        let before = self.meter.phase;
        self.absorb();
        if self.meter.phase == Phase::Broken && before != Phase::Broken {
            // What the upstream itself calls an error, the caller can read as one.
            self.told = wire(self.caller).is_error(frame);
            self.gate = if self.told { Gate::Closing } else { Gate::Shut };
        }
        if self.stamp.metadata.is_some()
            && self.gate != Gate::Shut
            && let Some(signed) = wire(self.caller).signed(frame, &self.stamp)
        {
            (self.signed, self.gate) = ((frame.event.map(str::to_owned), signed), Gate::Signing);
        }
    }

    pub fn raw(&mut self, bytes: &[u8], out: &mut BytesMut) {
        match self.gate {
            Gate::Shut if self.after_cr && bytes == b"\n" => {}
            Gate::Shut => {
                // What was withheld ends here: an LF that follows belongs to it, and not to what went out before.
                self.after_cr = false;
                return;
            }
            Gate::Closing => self.gate = Gate::Shut,
            Gate::Signing => {
                self.gate = Gate::Shut;
                self.after_cr = false;
                let (name, payload) = std::mem::take(&mut self.signed);
                put_event(name.as_deref(), &payload, out);
                return;
            }
            Gate::Open => {}
        }
        out.put_slice(bytes);
        self.after_cr = bytes.ends_with(b"\r");
    }

    fn absorb(&mut self) {
        for event in self.events.drain(..) {
            self.meter.event(&event);
        }
    }

    pub fn end(mut self, how: End, out: &mut BytesMut) -> Tally {
        let finished = self.meter.phase == Phase::Finished;
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
            End::Fault(fault) if !finished => {
                self.decode.eof(&mut self.events);
                if self.events.iter().any(|event| matches!(event, Event::Fault(_))) {
                    self.events.clear();
                    self.meter.fault(fault);
                } else {
                    self.absorb();
                }
            }
            End::Fault(_) => {}
        }
        self.meter.settle(&self.stamp);
        match &self.meter.tally.fault {
            Some(fault) if !self.told => {
                wire(self.caller).encode_stream_error(fault, &self.stamp, out);
            }
            None if !self.closed => out.put_slice(wire(self.caller).last()),
            _ => {}
        }
        self.meter.tally
    }
}

/// The length of text in a delta that nothing depends on but the count; `None` for any other.
fn plain_delta(data: &[u8]) -> Result<Option<usize>, Bad> {
    let mut cursor = Cursor::new(data);
    let mut length = None;
    cursor.object()?;
    let mut first = true;
    while let Some(key) = cursor.key(&mut first)? {
        if !key.is("delta") || cursor.peek() != Some(b'{') {
            cursor.value()?;
            continue;
        }
        cursor.object()?;
        let mut first = true;
        while let Some(key) = cursor.key(&mut first)? {
            match &*key.bytes() {
                b"text" | b"thinking" if cursor.peek() == Some(b'"') => {
                    length = Some(cursor.string()?.text_len());
                }
                _ => {
                    cursor.value()?;
                }
            }
        }
    }
    cursor.end()?;
    Ok(length)
}
