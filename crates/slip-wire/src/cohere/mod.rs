//! Cohere chat, version 2: typed server-sent events, thoughts and plans apart from the text, citations with their sources.
//!
//! Version 1 (`/v1/chat`: one `message` beside a `chat_history`, events of an `event_type`, a line each) is another dialect, which
//! Cohere keeps for old programs only. A provider that speaks nothing else is told as this one: see [`crate::envelope::tongue`].
//!
//! A request: `request` reads it, `encode` and `turns` write it. A reply: `stream` and `reply` read it, `encoder` and `whole`
//! write it.

mod citations;
mod encode;
mod encoder;
mod finish;
mod reply;
mod request;
mod stream;
#[cfg(test)]
mod tests;
mod turns;
mod usage;
mod whole;

use crate::dialect::{Decode, Encode, Malformed, Wire};
use crate::openai_chat::error;
use crate::openai_chat::write::object;
use crate::{Quirks, Stamp};
use bytes::BytesMut;
use slip_ir::{Dialect, Fault, Loss, Reply, Request};
use std::sync::Arc;

pub struct Cohere;

impl Wire for Cohere {
    fn dialect(&self) -> Dialect {
        Dialect::Cohere
    }

    fn path(&self, _model: &str, _stream: bool) -> String {
        "/chat".to_owned()
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
        whole::encode(reply, stamp)
    }

    fn decoder(&self, _quirks: &Quirks) -> Box<dyn Decode> {
        Box::new(stream::Events::default())
    }

    fn encoder(&self, stamp: Arc<Stamp>) -> Box<dyn Encode> {
        Box::new(encoder::Encoder::new(stamp))
    }

    fn decode_error(&self, status: u16, headers: &http::HeaderMap, body: &[u8]) -> Fault {
        error::decode(status, headers, body)
    }

    fn encode_error(&self, fault: &Fault, id: Option<&str>) -> Vec<u8> {
        let mut out = BytesMut::new();
        object(&mut out, |o| {
            o.opt_str("id", id);
            o.str("message", &fault.says);
        });
        out.into()
    }

    fn encode_stream_error(&self, fault: &Fault, _stamp: &Stamp, out: &mut BytesMut) {
        encoder::failed(fault, out);
    }
}
