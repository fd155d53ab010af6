//! Framing: where one message of a stream ends and the next begins.

pub mod chunks;
pub mod eventstream;
pub mod lines;
pub mod sse;

use crate::envelope::Tongue;
use crate::envelope::retold::Retold;
use chunks::Chunks;
use eventstream::EventStream;
use lines::Lines;
use serde::Deserialize;
use slip_ir::{Fault, FaultKind, Remedy};
use sse::{Sink, Sse, TooLong};
use std::fmt;

/// One complete message of a stream. Of a server-sent event, `data` is the joined payload without the field name (multi-line data
/// joined by `\n`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The `event:` field, where there was one; in Amazon's framing the type of the event or exception.
    pub event: Option<&'a str>,
    pub data: &'a [u8],
}

impl<'a> Frame<'a> {
    pub fn is_done(&self) -> bool {
        self.data.trim_ascii() == b"[DONE]"
    }

    /// The event of a dialect inside. `None` for one of a shape we do not know, which is passed over. Bytes that are no JSON mean
    /// that a part of the reply is lost, and a reply with a hole in it must not look whole.
    #[allow(clippy::result_large_err, reason = "a fault ends the reply: it is moved once, not passed around")]
    pub(crate) fn read<T: Deserialize<'a>>(&self) -> Result<Option<T>, Fault> {
        match serde_json::from_slice(self.data) {
            Ok(event) => Ok(Some(event)),
            Err(e) if e.is_data() => Ok(None),
            Err(_) => {
                let says = "the provider sent an event that is not JSON";
                Err(Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, says))
            }
        }
    }
}

/// How a dialect's streams are cut into messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events.
    Sse,
    /// A JSON value per line.
    Lines,
    /// Amazon's binary messages.
    EventStream,
    /// Server-sent events of Anthropic's, each inside one of Amazon's messages.
    Chunks,
    /// Messages in a maker's tongue, each inside one of Amazon's.
    Invoked(Tongue),
    /// The same, a line each.
    Lined(Tongue),
}

impl Framing {
    /// The media type of such a stream.
    pub const fn media_type(self) -> &'static str {
        match self {
            Framing::Sse => "text/event-stream",
            Framing::Lines => "application/x-ndjson",
            Framing::Lined(_) => "application/stream+json",
            Framing::EventStream | Framing::Chunks | Framing::Invoked(_) => "application/vnd.amazon.eventstream",
        }
    }

    /// A message that says nothing but "still here", where there is one that no client stumbles over.
    pub const fn has_comments(self) -> bool {
        matches!(self, Framing::Sse)
    }
}

/// Takes a stream apart as its bytes arrive, in whichever framing.
#[derive(Debug)]
pub enum Framer {
    Sse(Sse),
    Lines(Lines),
    EventStream(EventStream),
    Chunks(Chunks),
    Retold(Box<Retold>),
}

/// Why a stream cannot be taken apart any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unframed {
    /// The message in progress exceeds [`sse::MAX_EVENT`].
    TooLong,
    /// A checksum does not hold, or a length cannot be.
    Corrupt,
}

impl fmt::Display for Unframed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unframed::TooLong => TooLong.fmt(f),
            Unframed::Corrupt => f.write_str("the provider's stream is damaged: a checksum does not hold"),
        }
    }
}

impl std::error::Error for Unframed {}

impl From<TooLong> for Unframed {
    fn from(TooLong: TooLong) -> Unframed {
        Unframed::TooLong
    }
}

impl Framer {
    pub fn new(framing: Framing) -> Framer {
        match framing {
            Framing::Sse => Framer::Sse(Sse::new()),
            Framing::Lines => Framer::Lines(Lines::default()),
            Framing::EventStream => Framer::EventStream(EventStream::default()),
            Framing::Chunks => Framer::Chunks(Chunks::default()),
            Framing::Invoked(tongue) => Framer::Retold(Box::new(Retold::chunks(tongue))),
            Framing::Lined(tongue) => Framer::Retold(Box::new(Retold::lines(tongue))),
        }
    }

    pub fn push(&mut self, chunk: &[u8], sink: &mut impl Sink) -> Result<(), Unframed> {
        match self {
            Framer::Sse(sse) => Ok(sse.push(chunk, sink)?),
            Framer::Lines(lines) => Ok(lines.push(chunk, sink)?),
            Framer::EventStream(stream) => stream.push(chunk, sink),
            Framer::Chunks(chunks) => chunks.push(chunk, sink),
            Framer::Retold(retold) => retold.push(chunk, sink),
        }
    }

    /// The stream ended: a message whose end never came is handed out as well.
    pub fn finish(&mut self, sink: &mut impl Sink) -> Result<(), Unframed> {
        match self {
            Framer::Sse(sse) => Ok(sse.finish(sink)?),
            Framer::Lines(lines) => Ok(lines.finish(sink)?),
            Framer::EventStream(stream) => stream.finish(),
            Framer::Chunks(chunks) => chunks.finish(),
            Framer::Retold(retold) => retold.finish(sink),
        }
    }
}
