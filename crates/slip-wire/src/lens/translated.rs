//! Two dialects: the upstream's frames are decoded into events, and the events encoded for the caller.

use super::ferry::Ferry;
use super::meter::Meter;
use super::{End, Phase, Tally, is_cut};
use crate::frame::Frame;
use crate::structured::Shape;
use crate::{Decode, Encode, Quirks, Stamp, wire};
use bytes::BytesMut;
use slip_ir::{Dialect, Event, Fault};
use std::sync::Arc;

pub(super) struct Translated {
    stamp: Arc<Stamp>,
    decode: Box<dyn Decode>,
    encode: Box<dyn Encode>,
    events: Vec<Event>,
    /// Only where the form of the answer was asked for by other means.
    shape: Option<Shape>,
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
            events: Vec::new(),
            shape,
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
        let mut fault = None;
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
                    match &mut self.shape {
                        None => pass(event),
                        Some(shape) => shape.event(event, pass),
                    }
                }
            }
        }
        if let Some(fault) = instead.or(fault) {
            self.broken(fault, out);
        }
    }

    pub fn broken(&mut self, fault: Fault, out: &mut BytesMut) {
        if self.meter.phase == Phase::Broken {
            return;
        }
        self.settle(out);
        self.meter.fault(fault.clone());
        self.encode.event(&Event::Fault(fault), out);
    }

    /// The encoder learns an estimate as it would a report.
    fn settle(&mut self, out: &mut BytesMut) {
        let reported = self.meter.reported().cloned();
        if let Some(usage) = self.meter.settle(&self.stamp)
            && reported.as_ref() != Some(usage)
        {
            self.encode.event(&Event::Usage(usage.clone()), out);
        }
    }

    pub fn end(mut self, how: End, out: &mut BytesMut) -> Tally {
        match how {
            End::Gone => {
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
