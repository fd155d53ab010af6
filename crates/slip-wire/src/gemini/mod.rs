//! Google Gemini: `generateContent` and `streamGenerateContent`, as an upstream and as a surface for callers.
//!
//! Read [`request`] and [`encode`] for what is asked, [`reply`], [`stream`] and [`emit`] for what is answered. Both spellings of a
//! member (`inlineData`, `inline_data`) are read; camelCase is written.

use crate::dialect::{Decode, Encode, Malformed, Wire};
use crate::{Quirks, Stamp};
use slip_ir::{Dialect, Fault, Loss, Reply, Request};
use std::fmt::Write;
use std::sync::Arc;

mod config;
mod contents;
mod emit;
mod encode;
mod error;
mod finish;
mod grounding;
mod logprobs;
mod part;
mod reply;
mod request;
mod schema;
pub(crate) mod sealed;
mod stream;
mod tree;
mod usage;

#[cfg(test)]
mod tests;

/// How ids begin that were made up for calls a Gemini client left without one.
const MINTED: &str = "gemini_call_";

pub struct Gemini;

impl Wire for Gemini {
    fn dialect(&self) -> Dialect {
        Dialect::Gemini
    }

    fn path(&self, model: &str, stream: bool) -> String {
        let mut path = String::from("/models/");
        for byte in model.strip_prefix("models/").unwrap_or(model).bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' => {
                    path.push(char::from(byte))
                }
                // A model's name can never reach another path, nor add a query.
                _ => {
                    let _ = write!(path, "%{byte:02X}");
                }
            }
        }
        path.push_str(if stream { ":streamGenerateContent?alt=sse" } else { ":generateContent" });
        path
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
        Box::new(stream::Decoder::default())
    }

    fn encoder(&self, stamp: Arc<Stamp>) -> Box<dyn Encode> {
        Box::new(emit::Encoder::new(stamp))
    }

    fn decode_error(&self, status: u16, headers: &http::HeaderMap, body: &[u8]) -> Fault {
        error::decode(status, headers, body)
    }

    fn encode_error(&self, fault: &Fault, id: Option<&str>) -> Vec<u8> {
        error::encode(fault, id)
    }
}
