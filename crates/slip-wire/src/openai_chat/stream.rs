//! An upstream's stream of chunks, read into events.

use super::reply::Reading;
use super::{error, plain};
use crate::dialect::{Decode, cut_short};
use crate::frame::Frame;
use crate::json;
use slip_ir::{Event, Fault, FaultKind, Remedy};

/// Lines that are not chunks at all (`[START]`, `ping`) are passed over this many times; a stream of them is not a reply.
const MAX_STRAYS: u32 = 16;

#[derive(Default)]
pub(crate) struct Chunks {
    reading: Reading,
    strays: u32,
    over: bool,
    /// Every chunk is read with all there is to know of chunks.
    careful: bool,
}

impl Decode for Chunks {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        let data = frame.data.trim_ascii();
        if self.over || data.is_empty() {
            return;
        }
        if frame.is_done() {
            return self.done(out);
        }
        if data.first() != Some(&b'{') {
            return self.stray(data, out);
        }
        if frame.event != Some("error") && self.plain(data, out) {
            return;
        }
        if let Err(why) = json::check(data) {
            return self.fail(Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, unreadable(&why)), out);
        }
        let fault = self.reading.object(data, out);
        let named_error = frame.event == Some("error") && json::field(data, "choices").is_none();
        let fault = fault.or((named_error || error::looks_like(data)).then_some(data));
        match fault {
            Some(span) => {
                let fault = error::inside(span);
                self.fail(fault, out);
            }
            None => self.reading.settle(out),
        }
    }

    fn eof(&mut self, out: &mut Vec<Event>) {
        if self.over {
            return;
        }
        // Some servers never say `[DONE]`; a finish for every choice says as much.
        if self.reading.all_ended() {
            return self.done(out);
        }
        self.fail(cut_short(Remedy::Elsewhere), out);
    }
}

fn unreadable(why: &crate::Malformed) -> String {
    format!("the provider sent a chunk that is not JSON: {why}")
}

impl Chunks {
    /// The short way for what nearly all chunks are. False, and nothing done, for any other.
    fn plain(&mut self, data: &[u8], out: &mut Vec<Event>) -> bool {
        if self.careful {
            return false;
        }
        let Ok(Some(piece)) = plain::read(data) else { return false };
        if !self.reading.goes_on(piece.index, &piece.text.text(), out) {
            return false;
        }
        self.reading.served(piece.tier);
        self.reading.settle(out);
        true
    }

    /// Without the short way, to compare the two.
    #[cfg(test)]
    pub(crate) fn careful() -> Chunks {
        Chunks { careful: true, ..Chunks::default() }
    }

    fn done(&mut self, out: &mut Vec<Event>) {
        if self.reading.choices.is_empty() {
            let says = "the provider sent an empty stream";
            return self.fail(Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, says), out);
        }
        self.over = true;
        self.reading.finish(out);
    }

    fn fail(&mut self, fault: Fault, out: &mut Vec<Event>) {
        self.over = true;
        self.reading.abandon(out);
        out.push(Event::Fault(fault));
    }

    fn stray(&mut self, data: &[u8], out: &mut Vec<Event>) {
        if data.first() == Some(&b'[') && json::check(data).is_ok() && error::looks_like(data) {
            return self.fail(error::inside(data), out);
        }
        self.strays += 1;
        if self.strays > MAX_STRAYS {
            let says = "the provider sent a stream that is not of chat chunks";
            self.fail(Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, says), out);
        }
    }
}
