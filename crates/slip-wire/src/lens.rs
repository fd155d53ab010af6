//! How a reply crosses from the upstream's dialect into the caller's: verbatim, patched or translated. One type to the journey.

mod called;
mod ferry;
mod mend;
pub(crate) mod meter;
mod onward;
mod retell;
#[cfg(test)]
mod tests;
mod translated;
mod verbatim;
mod whole;

pub use called::{Called, Calls};
pub use mend::Torn;
pub use onward::{Way, go_on, prefilled};
pub use retell::{reply_from_stream, retold, retold_events};
pub(crate) use whole::not_json;
pub use whole::{reply, shaped, shaped_stream_from_reply, stream_from_reply};

use crate::completions::patch::Patch as TextPatch;
use crate::frame::sse::Sink;
use crate::frame::{Frame, Framer, Framing};
use crate::openai_chat::patch::Patch;
use crate::ops::Flow;
use crate::structured::{Reshape, Shape};
use crate::{Quirks, Stamp};
use bytes::BytesMut;
use slip_ir::{Dialect, Fault, FaultKind, Finish, Loss, Remedy, Usage};
use std::sync::Arc;
use translated::Translated;
use verbatim::Verbatim;

/// Where a reply is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing the caller could use has come yet (role, pings and comments do not count): another endpoint may still be tried.
    Waiting,
    /// The first content has been seen: committed.
    Flowing,
    /// The upstream said how it ended (of several choices, at least one). More may follow, usage above all: read on to the end.
    Finished,
    /// It failed; see `fault`. Nothing more is worth reading.
    Broken,
}

/// How the upstream's bytes ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// The body ended by itself.
    Eof,
    /// The connection or a deadline failed.
    Fault(Fault),
    /// The caller left.
    Gone,
}

/// What a reply came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Always there once a reply has content: reported, or estimated and marked so.
    pub usage: Option<Usage>,
    pub finish: Option<Finish>,
    pub native: Option<String>,
    /// Events that carried content.
    pub content: u64,
    /// Bytes of visible text, reasoning and arguments.
    pub text_bytes: u64,
    pub malformed: u32,
    pub upstream_id: Option<String>,
    pub upstream_model: Option<String>,
    pub fault: Option<Fault>,
    pub losses: Vec<Loss>,
    pub calls: Calls,
}

/// A streamed reply on its way. Bytes in by [`Lens::push`], bytes out as soon as they can be.
///
/// While [`Phase::Waiting`], whatever was put out may be thrown away by whoever falls back to another endpoint.
pub struct Lens {
    framer: Framer,
    grade: Grade,
}

enum Grade {
    /// Same dialect: bytes out are bytes in, up to the last complete event.
    Verbatim(Verbatim),
    /// Same dialect, but the house's identity, price and ending are written into it.
    Patched(Box<Patch>),
    /// The same of text completions.
    PatchedText(Box<TextPatch>),
    /// Another dialect: events in the middle.
    Translated(Translated),
    /// No dialect: the answer of a service.
    Service(Box<Flow>),
}

impl Lens {
    pub fn new(upstream: Dialect, caller: Dialect, stamp: Arc<Stamp>, quirks: &Quirks) -> Lens {
        let grade = match (upstream, caller) {
            (Dialect::OpenAiChat, Dialect::OpenAiChat) => Grade::Patched(Box::new(Patch::new(stamp))),
            (Dialect::Completions, Dialect::Completions) => Grade::PatchedText(Box::new(TextPatch::new(stamp))),
            _ if upstream == caller => Grade::Verbatim(Verbatim::new(caller, stamp, quirks)),
            _ => Grade::Translated(Translated::new(upstream, caller, stamp, quirks, None)),
        };
        Lens { framer: Framer::new(quirks.framing(upstream)), grade }
    }

    /// The same for a reply that is not what the caller asked for as it is: it is translated even between equal dialects.
    pub fn shaped(upstream: Dialect, caller: Dialect, stamp: Arc<Stamp>, quirks: &Quirks, reshape: &Reshape) -> Lens {
        let shape = Some(Shape::new(reshape));
        let grade = Grade::Translated(Translated::new(upstream, caller, stamp, quirks, shape));
        Lens { framer: Framer::new(quirks.framing(upstream)), grade }
    }

    /// A reply that another upstream may go on with if this one breaks off: translated even between equal dialects.
    pub fn mending(upstream: Dialect, caller: Dialect, stamp: Arc<Stamp>, quirks: &Quirks) -> Lens {
        let grade = Grade::Translated(Translated::new(upstream, caller, stamp, quirks, None).mending());
        Lens { framer: Framer::new(quirks.framing(upstream)), grade }
    }

    /// Whether it is one of those.
    pub fn mends(&self) -> bool {
        matches!(&self.grade, Grade::Translated(translated) if translated.mends())
    }

    /// It broke off, and has not told so yet.
    pub fn is_torn(&self) -> bool {
        matches!(&self.grade, Grade::Translated(translated) if translated.is_torn())
    }

    /// A call of a tool is on its way that is passed on when it is whole.
    pub fn holds(&self) -> bool {
        matches!(&self.grade, Grade::Translated(translated) if translated.holds())
    }

    /// The upstream's bytes are at an end, or it failed: what of a reply that can be gone on with was said so far. `None`: it is
    /// whole, or nobody can go on with it, or somebody did already. [`Lens::end`] ends it in either case.
    pub fn torn(&mut self, how: &End, out: &mut BytesMut) -> Option<Torn> {
        if !self.mends() {
            return None;
        }
        if *how == End::Eof {
            let mut into = Into { grade: &mut self.grade, partial: true, out };
            let _ = self.framer.finish(&mut into);
        }
        match &mut self.grade {
            Grade::Translated(translated) => translated.torn(how, out),
            _ => None,
        }
    }

    /// What comes now is said by this upstream, and goes on where the one before broke off.
    pub fn resume(&mut self, upstream: Dialect, stamp: Arc<Stamp>, quirks: &Quirks, way: Way, out: &mut BytesMut) {
        if let Grade::Translated(translated) = &mut self.grade {
            self.framer = Framer::new(quirks.framing(upstream));
            translated.resume(upstream, stamp, quirks, way, out);
        }
    }

    /// The answer of a service beside chat.
    pub fn service(flow: Flow) -> Lens {
        Lens { framer: Framer::new(Framing::Sse), grade: Grade::Service(Box::new(flow)) }
    }

    /// Bare bytes, in which an error cannot be told: a failure breaks them off.
    pub fn is_bare(&self) -> bool {
        matches!(&self.grade, Grade::Service(flow) if flow.is_bare())
    }

    pub fn push(&mut self, chunk: &[u8], out: &mut BytesMut) {
        if let Grade::Service(flow) = &mut self.grade {
            return flow.push(chunk, out);
        }
        let mut into = Into { grade: &mut self.grade, partial: false, out };
        if let Err(unframed) = self.framer.push(chunk, &mut into) {
            let fault = Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, unframed.to_string());
            self.grade.broken(fault, out);
        }
    }

    pub fn phase(&self) -> Phase {
        match &self.grade {
            Grade::Verbatim(verbatim) => verbatim.meter.phase,
            Grade::Patched(patch) => patch.phase(),
            Grade::PatchedText(patch) => patch.phase(),
            Grade::Translated(translated) => translated.meter.phase,
            Grade::Service(flow) => flow.phase(),
        }
    }

    /// How many tokens of the answer have come so far, estimated from its text.
    pub fn said(&self) -> u64 {
        match &self.grade {
            Grade::Verbatim(verbatim) => verbatim.meter.said(),
            Grade::Patched(patch) => patch.said(),
            Grade::PatchedText(patch) => patch.said(),
            Grade::Translated(translated) => translated.meter.said(),
            Grade::Service(flow) => flow.said(),
        }
    }

    pub fn fault(&self) -> Option<&Fault> {
        match &self.grade {
            Grade::Verbatim(verbatim) => verbatim.meter.tally.fault.as_ref(),
            Grade::Patched(patch) => patch.fault(),
            Grade::PatchedText(patch) => patch.fault(),
            Grade::Translated(translated) => translated.meter.tally.fault.as_ref(),
            Grade::Service(flow) => flow.fault(),
        }
    }

    /// Write what must come last (after a fault: the error in the caller's words, then the ending) and settle the accounts.
    /// Nothing is written for a caller who left.
    pub fn end(mut self, how: End, out: &mut BytesMut) -> Tally {
        let read_out = matches!(&self.grade, Grade::Translated(translated) if translated.is_read_out());
        if how == End::Eof && !read_out && !matches!(self.grade, Grade::Service(_)) {
            // The event in progress may be whole but for its blank line, or cut.
            let mut into = Into { grade: &mut self.grade, partial: true, out };
            let _ = self.framer.finish(&mut into);
        }
        match self.grade {
            Grade::Verbatim(verbatim) => verbatim.end(how, out),
            Grade::Patched(patch) => patch.end(how, out),
            Grade::PatchedText(patch) => patch.end(how, out),
            Grade::Translated(translated) => translated.end(how, out),
            Grade::Service(flow) => flow.end(how, out),
        }
    }
}

impl Grade {
    fn broken(&mut self, fault: Fault, out: &mut BytesMut) {
        match self {
            Grade::Verbatim(verbatim) => verbatim.meter.fault(fault),
            Grade::Patched(patch) => patch.broken(fault),
            Grade::PatchedText(patch) => patch.broken(fault),
            Grade::Translated(translated) => translated.broken(fault, out),
            Grade::Service(_) => {}
        }
    }
}

/// Frames on their way from the scanner into the grade.
struct Into<'a> {
    grade: &'a mut Grade,
    partial: bool,
    out: &'a mut BytesMut,
}

impl Sink for Into<'_> {
    #[inline]
    fn frame(&mut self, frame: Frame<'_>) {
        match self.grade {
            Grade::Verbatim(verbatim) => verbatim.frame(&frame, self.partial),
            Grade::Patched(patch) => patch.frame(&frame, self.partial, self.out),
            Grade::PatchedText(patch) if !is_cut(&frame, self.partial) => patch.frame(&frame, self.out),
            Grade::PatchedText(_) => {}
            Grade::Translated(translated) => translated.frame(&frame, self.partial, self.out),
            Grade::Service(_) => {}
        }
    }

    #[inline]
    fn raw(&mut self, bytes: &[u8]) {
        if let Grade::Verbatim(verbatim) = self.grade {
            verbatim.raw(bytes, self.out);
        }
    }
}

/// An event cut off by the end of the stream is not the provider's nonsense; it is the cut that is reported.
pub(crate) fn is_cut(frame: &Frame<'_>, partial: bool) -> bool {
    partial && !frame.is_done() && crate::json::check(frame.data).is_err()
}
