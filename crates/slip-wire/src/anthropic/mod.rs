//! The Anthropic Messages dialect, as an upstream we call and as a surface callers use.
//!
//! Start with [`request`] (what callers send) and [`decoder`] (what the upstream streams); the other way round are [`encode`] and
//! [`encoder`]. Facts about the API are from its documentation and from recorded traffic, read 2026-11.

mod blocks;
pub(crate) mod citations;
mod decoder;
pub(crate) mod encode;
mod encoder;
mod error;
pub(crate) mod ids;
pub(crate) mod limits;
pub(crate) mod messages;
pub(crate) mod reply;
pub(crate) mod request;
mod schema;
pub(crate) mod seal;
pub(crate) mod usage;
mod wire;

#[cfg(test)]
mod tests;

use crate::dialect::{Decode, Encode, Malformed, Wire, put_event};
use crate::frame::Frame;
use crate::{Quirks, Stamp, json};
use bytes::BytesMut;
use slip_ir::{Dialect, Fault, Finish, Loss, Reply, Request};
use std::sync::Arc;

pub struct Anthropic;

impl Wire for Anthropic {
    fn dialect(&self) -> Dialect {
        Dialect::Anthropic
    }

    fn path(&self, _model: &str, _stream: bool) -> String {
        "/messages".to_owned()
    }

    fn decode_request(&self, body: &[u8]) -> Result<(Request, Vec<Loss>), Malformed> {
        request::decode(body)
    }

    fn encode_request(&self, request: &Request, quirks: &Quirks) -> (Vec<u8>, Vec<Loss>) {
        encode::encode(request, quirks)
    }

    fn decode_reply(&self, body: &[u8], _quirks: &Quirks) -> Result<Reply, Malformed> {
        reply::decode(body)
    }

    fn encode_reply(&self, reply: &Reply, stamp: &Stamp) -> Vec<u8> {
        reply::encode(reply, stamp)
    }

    fn decoder(&self, _quirks: &Quirks) -> Box<dyn Decode> {
        Box::new(decoder::Decoder::default())
    }

    fn encoder(&self, stamp: Arc<Stamp>) -> Box<dyn Encode> {
        Box::new(encoder::Encoder::new(stamp))
    }

    fn decode_error(&self, status: u16, headers: &http::HeaderMap, body: &[u8]) -> Fault {
        error::decode(status, headers, body)
    }

    fn encode_error(&self, fault: &Fault, id: Option<&str>) -> Vec<u8> {
        error::encode(fault, id)
    }

    fn encode_stream_error(&self, fault: &Fault, stamp: &Stamp, out: &mut BytesMut) {
        let told = stamp.signed(Dialect::Anthropic, error::encode(fault, Some(&stamp.id)));
        put_event(Some("error"), &told, out);
    }

    fn signed(&self, frame: &Frame<'_>, stamp: &Stamp) -> Option<Vec<u8>> {
        let last = b"{\"type\":\"message_stop\"}".to_vec();
        self.is_last(frame).then(|| stamp.signed(Dialect::Anthropic, last))
    }

    fn is_last(&self, frame: &Frame<'_>) -> bool {
        // Some servers of this dialect leave the event's name to the `type` inside.
        match frame.event {
            Some(name) => name == "message_stop",
            None => json::field(frame.data, "type") == Some(b"\"message_stop\""),
        }
    }

    fn last(&self) -> &'static [u8] {
        b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
    }
}

/// Every `stop_reason` the API knows, and what it comes to.
const STOP_REASONS: [(&str, Finish); 8] = [
    ("end_turn", Finish::Stop),
    ("stop_sequence", Finish::Stop),
    ("pause_turn", Finish::Stop),
    ("compaction", Finish::Stop),
    ("max_tokens", Finish::Length),
    ("model_context_window_exceeded", Finish::Length),
    ("tool_use", Finish::ToolCalls),
    ("refusal", Finish::ContentFilter),
];

/// What a word of such a table means. Absent or unknown: it stopped, for its tools where it called any.
pub(crate) fn meaning(words: &[(&str, Finish)], word: Option<&str>, called_tools: bool) -> Finish {
    let known = words.iter().find(|(known, _)| Some(*known) == word);
    known.map_or(if called_tools { Finish::ToolCalls } else { Finish::Stop }, |(_, finish)| *finish)
}

/// The upstream's own word, where it is one of the table's and says the same.
pub(crate) fn own_word(words: &[(&'static str, Finish)], finish: Finish, native: Option<&str>) -> Option<&'static str> {
    words.iter().find(|(word, means)| Some(*word) == native && *means == finish).map(|(word, _)| *word)
}

fn finish_of(word: Option<&str>, called_tools: bool) -> Finish {
    meaning(&STOP_REASONS, word, called_tools)
}

/// The `stop_reason` a caller sees: the upstream's own word where it is one of ours and says the same.
fn stop_reason(finish: Finish, native: Option<&str>, stop_sequence: Option<&str>) -> &'static str {
    if let Some(word) = own_word(&STOP_REASONS, finish, native) {
        return word;
    }
    match finish {
        Finish::Stop if stop_sequence.is_some() => "stop_sequence",
        Finish::Stop | Finish::Error => "end_turn",
        Finish::Length => "max_tokens",
        Finish::ToolCalls => "tool_use",
        Finish::ContentFilter => "refusal",
    }
}
