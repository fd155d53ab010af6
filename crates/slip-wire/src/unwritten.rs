//! A dialect that has a name and no words yet.

use crate::dialect::{Decode, Encode, Malformed, Wire};
use crate::{Quirks, Stamp, wire};
use slip_ir::{Dialect, Fault, Loss, Reply, Request};
use std::sync::Arc;

pub struct Unwritten(pub Dialect);

impl Wire for Unwritten {
    fn dialect(&self) -> Dialect {
        self.0
    }

    fn path(&self, _model: &str, _stream: bool) -> String {
        "/".to_owned()
    }

    fn decode_request(&self, _body: &[u8]) -> Result<(Request, Vec<Loss>), Malformed> {
        Err(Malformed::new("", "this dialect is not spoken yet"))
    }

    fn encode_request(&self, _request: &Request, _quirks: &Quirks) -> (Vec<u8>, Vec<Loss>) {
        (b"{}".to_vec(), Vec::new())
    }

    fn decode_reply(&self, _body: &[u8], _quirks: &Quirks) -> Result<Reply, Malformed> {
        Err(Malformed::new("", "this dialect is not spoken yet"))
    }

    fn encode_reply(&self, _reply: &Reply, _stamp: &Stamp) -> Vec<u8> {
        b"{}".to_vec()
    }

    fn decoder(&self, quirks: &Quirks) -> Box<dyn Decode> {
        wire(Dialect::OpenAiChat).decoder(quirks)
    }

    fn encoder(&self, stamp: Arc<Stamp>) -> Box<dyn Encode> {
        wire(Dialect::OpenAiChat).encoder(stamp)
    }

    fn decode_error(&self, status: u16, headers: &http::HeaderMap, body: &[u8]) -> Fault {
        wire(Dialect::OpenAiChat).decode_error(status, headers, body)
    }

    fn encode_error(&self, fault: &Fault, id: Option<&str>) -> Vec<u8> {
        wire(Dialect::OpenAiChat).encode_error(fault, id)
    }
}
