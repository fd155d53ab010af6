//! OpenAI's legacy completions: a prompt in, text out. The surroundings (parameters, usage, errors, `[DONE]`) are those of chat.
//!
//! A request: `request` reads it, `encode` and `prompt` write it, `splice` passes it on. A reply: `read` reads it, `encoder` and
//! `whole` write it, `patch` passes it on.

mod encode;
mod encoder;
mod logprobs;
pub mod patch;
pub(crate) mod prompt;
mod read;
mod request;
pub mod splice;
#[cfg(test)]
mod tests;
mod whole;

use crate::dialect::{Decode, Encode, Malformed, Wire};
use crate::openai_chat::error;
use crate::{Quirks, Stamp};
use bytes::BytesMut;
use slip_ir::{Block, Dialect, Fault, Loss, Reply, Request};
use std::sync::Arc;

pub struct Completions;

impl Wire for Completions {
    fn dialect(&self) -> Dialect {
        Dialect::Completions
    }

    fn path(&self, _model: &str, _stream: bool) -> String {
        "/completions".to_owned()
    }

    fn decode_request(&self, body: &[u8]) -> Result<(Request, Vec<Loss>), Malformed> {
        request::decode(body)
    }

    fn encode_request(&self, request: &Request, quirks: &Quirks) -> (Vec<u8>, Vec<Loss>) {
        encode::encode(request, quirks)
    }

    fn decode_reply(&self, body: &[u8], _quirks: &Quirks) -> Result<Reply, Malformed> {
        read::whole(body)
    }

    fn encode_reply(&self, reply: &Reply, stamp: &Stamp) -> Vec<u8> {
        whole::encode(reply, stamp)
    }

    fn decoder(&self, _quirks: &Quirks) -> Box<dyn Decode> {
        Box::new(read::Texts::default())
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

    fn encode_stream_error(&self, fault: &Fault, stamp: &Stamp, out: &mut BytesMut) {
        encoder::failed(fault, stamp, out);
    }
}

/// Several prompts at once, or one told in tokens: only a server of this dialect can answer it.
pub fn is_bound(request: &Request) -> bool {
    let foreign = |block: &Block| matches!(block, Block::Opaque { dialect: Dialect::Completions, .. });
    request.turns.iter().flat_map(|turn| &turn.blocks).any(foreign)
}
