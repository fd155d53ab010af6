//! What every dialect can do, and the table of them.

use crate::frame::{Frame, Framing};
use crate::{Quirks, Stamp};
use bytes::{BufMut, BytesMut};
use slip_ir::{Dialect, Event, Fault, FaultKind, Loss, Remedy, Reply, Request};
use std::fmt;
use std::sync::Arc;

/// Bytes that are not what the dialect says they should be. `at` is a path into the document (`messages[2].content`), or empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    pub at: String,
    pub why: String,
}

impl Malformed {
    pub fn new(at: impl Into<String>, why: impl Into<String>) -> Malformed {
        Malformed { at: at.into(), why: why.into() }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.at.is_empty() { f.write_str(&self.why) } else { write!(f, "{}: {}", self.at, self.why) }
    }
}

impl std::error::Error for Malformed {}

/// One dialect, both ways. Implementations hold no state; streams get a [`Decode`] or [`Encode`] of their own.
pub trait Wire: Send + Sync {
    fn dialect(&self) -> Dialect;

    /// Path below the base URL, with query: `/chat/completions`, `/models/gemini-2.5-pro:streamGenerateContent?alt=sse`.
    fn path(&self, model: &str, stream: bool) -> String;

    /// How its streams are cut into messages.
    fn framing(&self) -> Framing {
        Framing::Sse
    }

    fn decode_request(&self, body: &[u8]) -> Result<(Request, Vec<Loss>), Malformed>;

    /// Never fails: what the dialect has no place for is a loss.
    fn encode_request(&self, request: &Request, quirks: &Quirks) -> (Vec<u8>, Vec<Loss>);

    /// A whole successful reply. A body that is really an error object gives a [`Reply`] with `fault` set.
    fn decode_reply(&self, body: &[u8], quirks: &Quirks) -> Result<Reply, Malformed>;

    fn encode_reply(&self, reply: &Reply, stamp: &Stamp) -> Vec<u8>;

    fn decoder(&self, quirks: &Quirks) -> Box<dyn Decode>;

    fn encoder(&self, stamp: Arc<Stamp>) -> Box<dyn Encode>;

    /// Classify an answer with a status of 400 or more. Never quotes more than 2 KiB of it, control characters removed.
    fn decode_error(&self, status: u16, headers: &http::HeaderMap, body: &[u8]) -> Fault;

    /// The error body for a caller of this dialect. The status is `fault.kind.status()`. `id` is the generation id.
    fn encode_error(&self, fault: &Fault, id: Option<&str>) -> Vec<u8>;

    /// The error as the last message of a stream whose other messages were the upstream's own.
    fn encode_stream_error(&self, fault: &Fault, stamp: &Stamp, out: &mut BytesMut) {
        put_event(None, &self.encode_error(fault, Some(&stamp.id)), out);
    }

    /// Headers of an error beside those of every reply, for clients that read its class there.
    fn error_headers(&self, _fault: &Fault) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// Whether a message of a stream is an error in this dialect's own words.
    fn is_error(&self, frame: &Frame<'_>) -> bool {
        frame.event == Some("error") || memchr::memmem::find(frame.data, b"\"error\"").is_some()
    }

    /// Whether a message of a stream is the one after which nothing comes, where the dialect has such a one.
    fn is_last(&self, _frame: &Frame<'_>) -> bool {
        false
    }

    /// A message of a stream of which nothing comes after it, with the account of the routing in it; `None` for any other message,
    /// and where the dialect has no place for that.
    fn signed(&self, _frame: &Frame<'_>, _stamp: &Stamp) -> Option<Vec<u8>> {
        None
    }

    /// That last message, for a stream that finished without it. Clients wait for it.
    fn last(&self) -> &'static [u8] {
        b""
    }
}

/// One server-sent event.
pub(crate) fn put_event(name: Option<&str>, data: &[u8], out: &mut BytesMut) {
    if let Some(name) = name {
        out.put_slice(b"event: ");
        out.put_slice(name.as_bytes());
        out.put_slice(b"\n");
    }
    out.put_slice(b"data: ");
    data.split(|b| matches!(b, b'\n' | b'\r')).for_each(|line| out.put_slice(line));
    out.put_slice(b"\n\n");
}

/// Frames in, events out. Must keep the grammar of [`slip_ir::event`] for any bytes whatever, and never panic.
pub trait Decode: Send {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>);
    /// The bytes ended. Closes what is open; if nothing said the reply was finished, the last event is a
    /// [`Event::Fault`] of kind `Upstream`, as [`cut_short`] makes it.
    fn eof(&mut self, out: &mut Vec<Event>);
}

/// What [`Decode::eof`] ends with where nothing said that the reply was finished.
pub(crate) fn cut_short(remedy: Remedy) -> Fault {
    Fault::upstream(FaultKind::Upstream, remedy, "the stream ended before it was finished")
}

/// Events in, framed bytes out.
pub trait Encode: Send {
    fn event(&mut self, event: &Event, out: &mut BytesMut);
    /// Everything that must come last (usage chunk, `[DONE]`, `message_stop`), exactly once, also after a fault.
    fn eof(&mut self, out: &mut BytesMut);
}

/// The table of dialects.
pub fn wire(dialect: Dialect) -> &'static dyn Wire {
    match dialect {
        Dialect::OpenAiChat => &crate::openai_chat::OpenAiChat,
        Dialect::Anthropic => &crate::anthropic::Anthropic,
        Dialect::Gemini => &crate::gemini::Gemini,
        Dialect::Responses => &crate::responses::Responses,
        Dialect::Completions => &crate::completions::Completions,
        Dialect::Ollama => &crate::ollama::Chat,
        Dialect::OllamaGenerate => &crate::ollama::Generate,
        Dialect::Cohere => &crate::cohere::Cohere,
        Dialect::Bedrock => &crate::bedrock::Bedrock,
    }
}
