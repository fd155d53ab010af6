//! Ollama's own API: a JSON value per line, parameters in `options`, pictures in base64, tool calls with objects for arguments.
//!
//! Two dialects share almost everything: `/api/chat`, with messages, and `/api/generate`, with one prompt. A request: `request`
//! and `options` read it, `encode` and `turns` write it. A reply: `read` reads it, `encoder` writes it.

mod encode;
mod encoder;
mod options;
mod read;
mod request;
#[cfg(test)]
mod tests;
mod time;
mod turns;

use crate::dialect::{Decode, Encode, Malformed, Wire};
use crate::frame::Framing;
use crate::openai_chat::error;
use crate::openai_chat::write::object;
use crate::{Quirks, Stamp};
use bytes::{BufMut, BytesMut};
use slip_ir::{Dialect, Fault, Loss, Reply, Request};
use std::sync::Arc;

/// `/api/chat`
pub struct Chat;
/// `/api/generate`
pub struct Generate;

/// Where the two differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Chat,
    Generate,
}

macro_rules! wire_of {
    ($door:ident, $dialect:ident, $path:literal) => {
        impl Wire for $door {
            fn dialect(&self) -> Dialect {
                Dialect::$dialect
            }

            fn path(&self, _model: &str, _stream: bool) -> String {
                $path.to_owned()
            }

            fn framing(&self) -> Framing {
                Framing::Lines
            }

            fn decode_request(&self, body: &[u8]) -> Result<(Request, Vec<Loss>), Malformed> {
                request::decode(Door::$door, body)
            }

            fn encode_request(&self, request: &Request, _quirks: &Quirks) -> (Vec<u8>, Vec<Loss>) {
                encode::encode(Door::$door, request)
            }

            fn decode_reply(&self, body: &[u8], _quirks: &Quirks) -> Result<Reply, Malformed> {
                read::whole(Door::$door, body)
            }

            fn encode_reply(&self, reply: &Reply, stamp: &Stamp) -> Vec<u8> {
                encoder::whole(Door::$door, reply, stamp)
            }

            fn decoder(&self, _quirks: &Quirks) -> Box<dyn Decode> {
                Box::new(read::Parts::new(Door::$door))
            }

            fn encoder(&self, stamp: Arc<Stamp>) -> Box<dyn Encode> {
                Box::new(encoder::Encoder::new(Door::$door, stamp))
            }

            fn decode_error(&self, status: u16, headers: &http::HeaderMap, body: &[u8]) -> Fault {
                error::decode(status, headers, body)
            }

            fn encode_error(&self, fault: &Fault, _id: Option<&str>) -> Vec<u8> {
                let mut out = BytesMut::new();
                failure(fault, &mut out);
                out.into()
            }

            fn encode_stream_error(&self, fault: &Fault, _stamp: &Stamp, out: &mut BytesMut) {
                failure(fault, out);
                out.put_u8(b'\n');
            }
        }
    };
}

wire_of!(Chat, Ollama, "/api/chat");
wire_of!(Generate, OllamaGenerate, "/api/generate");

/// An error is one sentence.
fn failure(fault: &Fault, out: &mut BytesMut) {
    object(out, |o| o.str("error", &fault.says));
}

/// What Ollama answers to a request that says nothing: it loads the model. Programs send it to warm up.
pub fn loaded(dialect: Dialect, model: &str, created: u64) -> Vec<u8> {
    let stamp = Stamp { model: model.to_owned(), created, ..Stamp::default() };
    let door = if dialect == Dialect::Ollama { Door::Chat } else { Door::Generate };
    encoder::loaded(door, &stamp)
}
