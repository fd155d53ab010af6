//! The OpenAI Responses dialect, as an upstream we call and as a surface callers use.
//!
//! Where other dialects have messages, this one has items: messages, reasoning, calls and their outputs stand side by side in one
//! list. Start with [`request`] and [`items`] (what callers send) and [`decoder`] (what the upstream streams); the other way round
//! are [`encode`], [`history`] and [`encoder`]. Nothing is kept between requests: what would need a memory is refused.

mod annotations;
mod custom;
mod decoder;
mod echo;
mod encode;
mod encoder;
mod error;
mod history;
mod ids;
mod items;
mod object;
mod parts;
mod reply;
mod request;
mod seal;
mod shown;
mod tools;
mod usage;
mod wire;

#[cfg(test)]
mod tests;

pub use echo::Echo;

use crate::dialect::{Decode, Encode, Malformed, Wire};
use crate::frame::Frame;
use crate::{Quirks, Stamp, json};
use bytes::BytesMut;
use slip_ir::request::format;
use slip_ir::{Dialect, Fault, Loss, Reply, Request};
use std::sync::Arc;

pub(crate) use custom::plain;
pub(crate) use seal::speaks_natively;

pub struct Responses;

impl Wire for Responses {
    fn dialect(&self) -> Dialect {
        Dialect::Responses
    }

    fn path(&self, _model: &str, _stream: bool) -> String {
        "/responses".to_owned()
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
        error::in_foreign_stream(fault, stamp, out);
    }

    fn signed(&self, frame: &Frame<'_>, stamp: &Stamp) -> Option<Vec<u8>> {
        const LAST: [&str; 3] = ["response.completed", "response.incomplete", "response.failed"];
        let kind = json::field(frame.data, "type").and_then(json::string);
        LAST.contains(&kind.as_deref().or(frame.event)?).then_some(())?;
        let mut out = vec![b'{'];
        for (key, value) in json::fields(frame.data) {
            if out.len() > 1 {
                out.push(b',');
            }
            out.push(b'"');
            out.extend_from_slice(key.raw());
            out.extend_from_slice(b"\":");
            match key.is("response") {
                true => out.extend_from_slice(&stamp.signed(Dialect::Responses, value.to_vec())),
                false => out.extend_from_slice(value),
            }
        }
        out.push(b'}');
        Some(out)
    }
}

/// Who seals reasoning under a model's name. All servers of this dialect seal in one way, but only the family can open its own.
fn family(model: &str) -> &'static str {
    if model.contains("grok") { format::XAI } else { format::OPENAI }
}
