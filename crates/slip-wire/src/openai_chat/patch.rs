//! An OpenAI-shaped upstream's reply made into OpenRouter's form by copying spans: nothing is decoded that can be copied.
//!
//! [`Patch`] is the stream, [`reply`] the whole reply. Both read with [`scan`], so that a spelling learnt once is known to both.

mod reply;
mod scan;
mod stream;
#[cfg(test)]
mod tests;
mod tools;

pub use reply::reply;
pub use stream::Patch;

use super::choice::finish_of;
use super::error;
use crate::json::{self, Str, write_string};
use bytes::{BufMut, BytesMut};
use scan::Extra;
use slip_ir::Fault;
use std::ops::Range;

/// Alternative answers in one reply; no request may ask for more.
const MAX_CHOICES: usize = 128;
/// Tool calls of one choice.
const MAX_TOOL_CALLS: usize = 1024;

type Span = Range<usize>;

/// An error inside a document: the value of its `error` member, or else the document itself.
fn error_in(document: &[u8], at: Option<&Span>) -> Fault {
    let error = at.and_then(|span| document.get(span.clone())).filter(|error| error.first() == Some(&b'{'));
    error::inside(error.unwrap_or(document))
}

/// The text members of a delta or message, gathered into the bodies of JSON strings.
#[derive(Default)]
struct Text {
    content: Vec<u8>,
    reasoning: Vec<u8>,
}

impl Text {
    fn clear(&mut self) {
        self.content.clear();
        self.reasoning.clear();
    }

    /// Content as an array of parts: text joins the content, thinking the reasoning.
    fn gather(&mut self, parts: &[u8]) {
        for part in json::items(parts) {
            if let Some(text) = Str::of(part) {
                self.content.extend_from_slice(text.raw());
                continue;
            }
            for (key, value) in json::fields(part) {
                match (&*key.bytes(), Str::of(value)) {
                    (b"text", Some(text)) => self.content.extend_from_slice(text.raw()),
                    (b"thinking", Some(text)) => self.reasoning.extend_from_slice(text.raw()),
                    (b"thinking", None) => {
                        for piece in json::items(value) {
                            if let Some(text) = json::field(piece, "text").and_then(Str::of) {
                                self.reasoning.extend_from_slice(text.raw());
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// The readable text of `reasoning_details`; true when something in them is sealed.
    fn gather_details(&mut self, details: &[u8]) -> bool {
        let mut sealed = false;
        for detail in json::items(details) {
            for (key, value) in json::fields(detail) {
                match (&*key.bytes(), Str::of(value)) {
                    (b"text" | b"summary", Some(text)) => self.reasoning.extend_from_slice(text.raw()),
                    (b"data", Some(data)) => sealed |= !data.is_empty(),
                    _ => {}
                }
            }
        }
        sealed
    }
}

/// The length of the text whose JSON string body this is.
fn text_len(body: &[u8]) -> usize {
    // A body without a backslash is its own text.
    if memchr::memchr(b'\\', body).is_none() {
        return body.len();
    }
    let quoted = [b"\"", body, b"\""].concat();
    Str::of(&quoted).map_or(body.len(), |text| text.text_len())
}

/// `"reasoning"` and the same text as a detail, which is how clients replay it.
fn put_reasoning(body: &[u8], out: &mut BytesMut) {
    out.put_slice(b",\"reasoning\":\"");
    out.put_slice(body);
    out.put_slice(b"\",\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"");
    out.put_slice(body);
    out.put_slice(b"\",\"format\":\"unknown\",\"index\":0}]");
}

/// Of reasoning the caller does not want to see, what must still go round: sealed blobs and bare signatures.
fn put_sealed(details: &[u8], out: &mut BytesMut) {
    let mark = out.len();
    out.put_slice(b",\"reasoning_details\":[");
    let from = out.len();
    for detail in json::items(details) {
        let sealed = json::field(detail, "type") == Some(b"\"reasoning.encrypted\"");
        let signed = json::field(detail, "signature").and_then(Str::of).is_some_and(|s| !s.is_empty());
        let bare = json::field(detail, "text").and_then(Str::of).is_none_or(|t| t.is_empty());
        if sealed || signed && bare {
            if out.len() > from {
                out.put_u8(b',');
            }
            put_value(detail, out);
        }
    }
    if out.len() == from {
        out.truncate(mark);
    } else {
        out.put_u8(b']');
    }
}

/// Members present only because the server always writes them: `null`, nothing, or a call or sound without content.
fn is_junk(key: &[u8], value: &[u8]) -> bool {
    let blank = |name: &str| json::field(value, name).and_then(Str::of).is_none_or(|text| text.is_empty());
    match (key, value.first()) {
        (_, Some(b'n')) => true,
        (_, Some(b'[')) => json::items(value).next().is_none(),
        (b"refusal", Some(b'"')) => value == b"\"\"",
        (b"function_call", Some(b'{')) => blank("name") && blank("arguments"),
        (b"audio", Some(b'{')) => blank("data") && blank("transcript") && blank("id"),
        _ => false,
    }
}

/// Does an unmodelled member of a delta or message carry something the caller can use?
fn is_content(key: &[u8]) -> bool {
    matches!(key, b"images" | b"audio" | b"function_call")
}

/// A value as it came. Line ends between its tokens are left out: in a stream they would end the data line.
fn put_value(value: &[u8], out: &mut BytesMut) {
    if memchr::memchr2(b'\n', b'\r', value).is_none() {
        out.put_slice(value);
    } else {
        value.split(|b| matches!(b, b'\n' | b'\r')).for_each(|line| out.put_slice(line));
    }
}

/// A further member; `key` with its quotes.
fn put_extra(key: &[u8], value: &[u8], out: &mut BytesMut) {
    out.put_u8(b',');
    out.put_slice(key);
    out.put_u8(b':');
    put_value(value, out);
}

fn put_extras(document: &[u8], extras: &[Extra], out: &mut BytesMut) {
    for extra in extras {
        put_extra(&document[extra.key.clone()], &document[extra.value.clone()], out);
    }
}

fn put_number(value: u64, out: &mut BytesMut) {
    out.put_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// The house's members that every chunk and reply starts with.
fn put_identity(stamp: &crate::Stamp, object: &str, out: &mut BytesMut) {
    out.put_slice(b"{\"id\":");
    write_string(&stamp.id, out);
    out.put_slice(b",\"object\":\"");
    out.put_slice(object.as_bytes());
    out.put_slice(b"\",\"created\":");
    put_number(stamp.created, out);
    out.put_slice(b",\"model\":");
    write_string(&stamp.model, out);
    out.put_slice(b",\"provider\":");
    write_string(&stamp.provider, out);
}
