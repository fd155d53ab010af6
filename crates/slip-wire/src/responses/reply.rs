//! Whole replies, both ways. A whole reply is a stream in which everything comes at once, so that both are told by the same code.

use super::decoder::Decoder;
use super::encoder::Encoder;
use super::error;
use crate::object::Object;
use crate::{Malformed, Stamp};
use slip_ir::{Reply, fold};

pub fn decode(body: &[u8]) -> Result<Reply, Malformed> {
    let text = std::str::from_utf8(body).map_err(|_| Malformed::new("", "the body is not UTF-8"))?;
    let mut o = Object::parse(text, "")?;
    if !o.has("output") {
        return match o.take("error") {
            Some(said) => Ok(Reply { fault: Some(error::inside(said)), ..Reply::default() }),
            None => Err(Malformed::new("output", "is required")),
        };
    }
    let mut events = Vec::new();
    Decoder::default().whole(text, &mut events);
    Ok(fold(events))
}

pub fn encode(reply: &Reply, stamp: &Stamp) -> Vec<u8> {
    Encoder::whole_reply(reply, stamp)
}
