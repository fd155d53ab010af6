//! OpenAI chat completions: towards callers OpenRouter's superset of it, towards upstreams whatever forty servers make of it.
//!
//! A request: `request` and `message` read it, `encode`, `shapes` and `turns` write it. A reply: `stream`, `reply` and `choice`
//! read it, `encoder` and `whole` write it.

mod calls;
pub(crate) mod choice;
mod details;
pub(crate) mod encode;
pub(crate) mod encoder;
pub(crate) mod error;
pub(crate) mod ids;
pub(crate) mod media;
pub(crate) mod message;
pub(crate) mod node;
pub mod patch;
mod plain;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod shapes;
mod sound;
pub(crate) mod spell;
pub mod splice;
pub(crate) mod stream;
mod turns;
pub mod usage;
mod whole;
pub(crate) mod write;

#[cfg(test)]
mod tests;

use crate::dialect::{Decode, Encode, Malformed, Wire};
use crate::{Quirks, Stamp};
use slip_ir::{Dialect, Fault, Loss, Reply, Request};
use std::sync::Arc;

pub struct OpenAiChat;

impl Wire for OpenAiChat {
    fn dialect(&self) -> Dialect {
        Dialect::OpenAiChat
    }

    fn path(&self, _model: &str, _stream: bool) -> String {
        "/chat/completions".to_owned()
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
        Box::new(stream::Chunks::default())
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
}
