//! Amazon Bedrock's Converse and ConverseStream, as an upstream and as a surface for callers.
//!
//! Read [`request`] and [`encode`] for what is asked, [`reply`], [`decoder`] and [`encoder`] for what is answered. Facts about the API
//! are from its reference and from recorded traffic, read 2026-11.

mod blocks;
mod citations;
mod decoder;
mod encode;
mod encoder;
mod error;
mod fields;
mod media;
mod messages;
mod order;
mod reply;
mod request;
pub(crate) mod sealed;
mod usage;

#[cfg(test)]
mod tests;

use crate::anthropic::{meaning, own_word};
use crate::dialect::{Decode, Encode, Malformed, Wire};
use crate::envelope::escaped;
use crate::frame::eventstream::put_exception;
use crate::frame::{Frame, Framing};
use crate::{Quirks, Stamp};
use bytes::BytesMut;
use slip_ir::{Dialect, Fault, Finish, Loss, Reply, Request};
use std::sync::Arc;

pub struct Bedrock;

impl Wire for Bedrock {
    fn dialect(&self) -> Dialect {
        Dialect::Bedrock
    }

    fn path(&self, model: &str, stream: bool) -> String {
        format!("/model/{}/converse{}", escaped(model), if stream { "-stream" } else { "" })
    }

    fn framing(&self) -> Framing {
        Framing::EventStream
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

    fn encode_error(&self, fault: &Fault, _id: Option<&str>) -> Vec<u8> {
        error::encode(fault)
    }

    fn error_headers(&self, fault: &Fault) -> &'static [(&'static str, &'static str)] {
        error::headers(fault.kind)
    }

    fn encode_stream_error(&self, fault: &Fault, _stamp: &Stamp, out: &mut BytesMut) {
        put_exception(error::exception(fault.kind), &error::encode(fault), out);
    }

    fn is_error(&self, frame: &Frame<'_>) -> bool {
        frame.event.is_some_and(|name| !decoder::EVENTS.contains(&name))
    }

    fn is_last(&self, frame: &Frame<'_>) -> bool {
        frame.event == Some("metadata")
    }
}

/// Every `stopReason` the API knows, and what it comes to.
const STOP_REASONS: [(&str, Finish); 9] = [
    ("end_turn", Finish::Stop),
    ("stop_sequence", Finish::Stop),
    ("max_tokens", Finish::Length),
    ("model_context_window_exceeded", Finish::Length),
    ("tool_use", Finish::ToolCalls),
    ("guardrail_intervened", Finish::ContentFilter),
    ("content_filtered", Finish::ContentFilter),
    ("malformed_model_output", Finish::Error),
    ("malformed_tool_use", Finish::Error),
];

fn finish_of(word: Option<&str>, called_tools: bool) -> Finish {
    meaning(&STOP_REASONS, word, called_tools)
}

/// The `stopReason` a caller sees: the upstream's own word where it is one of ours and says the same.
fn stop_reason(finish: Finish, native: Option<&str>, stop_sequence: Option<&str>) -> &'static str {
    if let Some(word) = own_word(&STOP_REASONS, finish, native) {
        return word;
    }
    match finish {
        Finish::Stop if stop_sequence.is_some() => "stop_sequence",
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::ToolCalls => "tool_use",
        Finish::ContentFilter => "content_filtered",
        Finish::Error => "malformed_model_output",
    }
}
