//! Framing: where one message of a stream ends and the next begins.

pub mod lines;
pub mod sse;

use lines::Lines;
use sse::{Sink, Sse, TooLong};

/// One complete message of a stream. Of a server-sent event, `data` is the joined payload without the field name (multi-line data
/// joined by `\n`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The `event:` field, where there was one.
    pub event: Option<&'a str>,
    pub data: &'a [u8],
}

impl Frame<'_> {
    pub fn is_done(&self) -> bool {
        self.data.trim_ascii() == b"[DONE]"
    }
}

/// How a dialect's streams are cut into messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events.
    Sse,
    /// A JSON value per line.
    Lines,
}

impl Framing {
    /// The media type of such a stream.
    pub const fn media_type(self) -> &'static str {
        match self {
            Framing::Sse => "text/event-stream",
            Framing::Lines => "application/x-ndjson",
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
}

impl Framer {
    pub fn new(framing: Framing) -> Framer {
        match framing {
            Framing::Sse => Framer::Sse(Sse::new()),
            Framing::Lines => Framer::Lines(Lines::default()),
        }
    }

    pub fn push(&mut self, chunk: &[u8], sink: &mut impl Sink) -> Result<(), TooLong> {
        match self {
            Framer::Sse(sse) => sse.push(chunk, sink),
            Framer::Lines(lines) => lines.push(chunk, sink),
        }
    }

    /// The stream ended: a message whose end never came is handed out as well.
    pub fn finish(&mut self, sink: &mut impl Sink) -> Result<(), TooLong> {
        match self {
            Framer::Sse(sse) => sse.finish(sink),
            Framer::Lines(lines) => lines.finish(sink),
        }
    }
}
