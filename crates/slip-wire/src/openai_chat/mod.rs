//! See the sibling files.

pub mod patch;
pub mod splice;
pub mod usage;

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
        todo!()
    }

    fn decode_request(&self, _body: &[u8]) -> Result<(Request, Vec<Loss>), Malformed> {
        todo!()
    }

    fn encode_request(&self, _request: &Request, _quirks: &Quirks) -> (Vec<u8>, Vec<Loss>) {
        todo!()
    }

    fn decode_reply(&self, _body: &[u8], _quirks: &Quirks) -> Result<Reply, Malformed> {
        todo!()
    }

    fn encode_reply(&self, _reply: &Reply, _stamp: &Stamp) -> Vec<u8> {
        todo!()
    }

    fn decoder(&self, _quirks: &Quirks) -> Box<dyn Decode> {
        todo!()
    }

    fn encoder(&self, _stamp: Arc<Stamp>) -> Box<dyn Encode> {
        todo!()
    }

    fn decode_error(&self, _status: u16, _headers: &http::HeaderMap, _body: &[u8]) -> Fault {
        todo!()
    }

    fn encode_error(&self, _fault: &Fault, _id: Option<&str>) -> Vec<u8> {
        todo!()
    }
}
