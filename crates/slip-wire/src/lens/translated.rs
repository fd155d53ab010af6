//! Two dialects: the upstream's frames are decoded into events, and the events encoded for the caller.

use super::ferry::Ferry;
use super::mend::{Mend, Torn};
use super::meter::Meter;
use super::onward::{Note, Way};
use super::{End, Phase, Tally, is_cut};
use crate::frame::Frame;
use crate::structured::Shape;
use crate::{Decode, Encode, Quirks, Stamp, wire};
use bytes::BytesMut;
use slip_ir::{Dialect, Event, Fault, Usage};
use std::sync::Arc;

pub(super) struct Translated {
    stamp: Arc<Stamp>,
    caller: Dialect,
    decode: Box<dyn Decode>,
    encode: Box<dyn Encode>,
    events: Vec<Event>,
    /// Only where the form of the answer was asked for by other means.
    shape: Option<Shape>,
    /// Only where another upstream may go on with it.
    mend: Option<Box<Mend>>,
    /// What the caller has not been told yet of another's going on.
    note: Option<Box<Note>>,
    ferry: Ferry,
    pub meter: Meter,
}

impl Translated {
    pub fn new(
        upstream: Dialect,
        caller: Dialect,
        stamp: Arc<Stamp>,
        quirks: &Quirks,
        shape: Option<Shape>,
    ) -> Translated {
        Translated {
            decode: wire(upstream).decoder(quirks),
            encode: wire(caller).encoder(stamp.clone()),
            stamp,
            caller,
            events: Vec::new(),
            shape,
            mend: None,
            note: None,
            ferry: Ferry::new(caller),
            meter: Meter::default(),
        }
    }

    pub fn frame(&mut self, frame: &Frame<'_>, partial: bool, out: &mut BytesMut) {
        if self.meter.phase == Phase::Broken || is_cut(frame, partial) {
            return;
        }
        self.decode.frame(frame, &mut self.events);
        self.pump(None, out);
    }

    /// Pass the events on. A fault is the last of them; `instead` takes the place of the decoder's own.
    fn pump(&mut self, instead: Option<Fault>, out: &mut BytesMut) {
        let (mut fault, at) = (None, out.len());
        if let Some(mend) = &mut self.mend {
            mend.failing = self.events.iter().any(|event| matches!(event, Event::Fault(_)));
        }
        for event in self.events.drain(..) {
            match event {
                Event::Fault(told) => {
                    fault = Some(told);
                    break;
                }
                // A count of nothing is no count; an estimate may follow.
                Event::Usage(usage) if usage.total() == 0 => {}
                event => {
                    let mut pass = |event| {
                        self.ferry.event(event, |event| {
                            self.meter.event(&event);
                            self.encode.event(&event, out);
                        });
                    };
                    match (&mut self.shape, &mut self.mend) {
                        (None, None) => pass(event),
                        (Some(shape), _) => shape.event(event, pass),
                        (None, Some(mend)) => mend.event(event, pass),
                    }
                }
            }
        }
        self.noted(at, out);
        if let Some(fault) = instead.or(fault) {
            self.broken(fault, out);
        }
    }

    /// The first event that is written after another went on says so.
    fn noted(&mut self, at: usize, out: &mut BytesMut) {
        if out.len() > at
            && let Some(note) = self.note.take()
            && !note.beside(at, out)
        {
            self.note = Some(note);
        }
    }

    pub fn broken(&mut self, fault: Fault, out: &mut BytesMut) {
        if self.meter.phase == Phase::Broken {
            return;
        }
        if let Some(mend) = self.mend.as_mut().filter(|mend| self.meter.phase == Phase::Flowing && mend.may()) {
            // Not told yet: somebody else may go on.
            mend.fault = Some(fault.clone());
            return self.meter.fault(fault);
        }
        self.let_go(out);
        self.settle(out);
        self.meter.fault(fault.clone());
        self.encode.event(&Event::Fault(fault), out);
    }

    /// Nothing more is waited for.
    fn let_go(&mut self, out: &mut BytesMut) {
        if let Some(mend) = &mut self.mend {
            mend.flush(|event| {
                self.meter.event(&event);
                self.encode.event(&event, out);
            });
        }
    }

    pub fn mending(mut self) -> Translated {
        self.mend = Some(Box::default());
        self
    }

    pub fn mends(&self) -> bool {
        self.mend.is_some()
    }

    pub fn is_torn(&self) -> bool {
        self.mend.as_ref().is_some_and(|mend| mend.fault.is_some())
    }

    /// Everything of its upstream was read already.
    pub fn is_read_out(&self) -> bool {
        self.mend.as_ref().is_some_and(|mend| mend.ended)
    }

    pub fn torn(&mut self, how: &End, out: &mut BytesMut) -> Option<Torn> {
        if self.meter.phase != Phase::Broken {
            self.read_out(how, out);
        }
        let fault = self.mend.as_ref()?.fault.clone()?;
        self.settle(out);
        let tally = &self.meter.tally;
        let (usage, upstream_id) = (tally.usage.clone().unwrap_or_default(), tally.upstream_id.clone());
        Some(self.mend.as_mut()?.torn(fault, usage, upstream_id))
    }

    /// What the decoder still has, and whether it was all.
    fn read_out(&mut self, how: &End, out: &mut BytesMut) {
        if let Some(mend) = &mut self.mend
            && std::mem::replace(&mut mend.ended, true)
        {
            return;
        }
        self.decode.eof(&mut self.events);
        // A decoder that had read the finish has nothing to complain of: then all that matters had come.
        let cut = self.events.iter().any(|event| matches!(event, Event::Fault(_)));
        let instead = match how {
            End::Fault(fault) if cut => Some(fault.clone()),
            _ => None,
        };
        self.pump(instead, out);
    }

    /// A call of a tool is held until it is whole.
    pub fn holds(&self) -> bool {
        self.mend.as_ref().is_some_and(|mend| mend.holds())
    }

    pub fn resume(&mut self, upstream: Dialect, stamp: Arc<Stamp>, quirks: &Quirks, way: Way, out: &mut BytesMut) {
        let Some(mend) = &mut self.mend else { return };
        self.decode = wire(upstream).decoder(quirks);
        self.events.clear();
        let text = self.meter.tally.text_bytes;
        mend.resume(self.stamp.clone(), stamp.clone(), text, way);
        self.meter.tally.usage = None;
        self.meter.tally.fault = None;
        self.meter.phase = Phase::Flowing;
        let note = Note::new(self.caller, &stamp, mend.tokens(), way);
        self.note = (!note.alone(&self.stamp, out)).then(|| Box::new(note));
    }

    /// The last words of a reply that might have been gone on with.
    fn end_mended(mut self, out: &mut BytesMut) -> Tally {
        let at = out.len();
        match self.mend.as_mut().and_then(|mend| mend.fault.take()) {
            None => self.let_go(out),
            Some(fault) => {
                // Nobody went on: now it is told.
                if let Some(mend) = &mut self.mend {
                    mend.give_up(|event| self.encode.event(&event, out));
                }
                self.settle(out);
                self.encode.event(&Event::Fault(fault), out);
            }
        }
        self.settle(out);
        self.encode.eof(out);
        self.noted(at, out);
        self.meter.tally.losses = self.ferry.losses();
        self.meter.tally
    }

    /// Of two parts together, where the second upstream did not count.
    fn estimate(&mut self) -> Option<Usage> {
        let none = self.meter.reported().is_none();
        let estimate = self.mend.as_ref().filter(|_| none)?.estimate(self.meter.tally.text_bytes)?;
        self.meter.tally.usage = Some(estimate.clone());
        Some(estimate)
    }

    /// The encoder learns an estimate as it would a report.
    fn settle(&mut self, out: &mut BytesMut) {
        if let Some(estimate) = self.estimate() {
            self.encode.event(&Event::Usage(estimate), out);
        }
        let reported = self.meter.reported().cloned();
        if let Some(usage) = self.meter.settle(&self.stamp)
            && reported.as_ref() != Some(usage)
        {
            self.encode.event(&Event::Usage(usage.clone()), out);
        }
    }

    pub fn end(mut self, how: End, out: &mut BytesMut) -> Tally {
        if self.mend.is_some() && how != End::Gone {
            if self.meter.phase != Phase::Broken {
                self.read_out(&how, out);
            }
            return self.end_mended(out);
        }
        match how {
            End::Gone => {
                self.estimate();
                self.meter.settle(&self.stamp);
                self.meter.tally.losses = self.ferry.losses();
                return self.meter.tally;
            }
            _ if self.meter.phase == Phase::Broken => {}
            End::Fault(fault) if self.meter.phase != Phase::Finished => {
                // What is open is closed first, so that the error does not stand inside a block.
                // A decoder that had read the finish has nothing to complain of: then all that matters had come.
                self.decode.eof(&mut self.events);
                let cut = self.events.iter().any(|event| matches!(event, Event::Fault(_)));
                self.pump(cut.then_some(fault), out);
            }
            End::Eof | End::Fault(_) => {
                self.decode.eof(&mut self.events);
                self.pump(None, out);
            }
        }
        self.settle(out);
        self.encode.eof(out);
        self.meter.tally.losses = self.ferry.losses();
        self.meter.tally
    }
}
