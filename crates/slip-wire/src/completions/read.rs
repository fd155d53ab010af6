//! An upstream's text completions, read into events: chunks like those of chat, with `text` where chat has a delta.

use super::logprobs;
use crate::dialect::Decode;
use crate::frame::Frame;
use crate::openai_chat::{reply, stream::Chunks};
use crate::{Malformed, json};
use slip_ir::{Event, Reply};

#[derive(Default)]
pub(super) struct Texts {
    chunks: Chunks,
}

impl Decode for Texts {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        let from = out.len();
        self.chunks.frame(frame, out);
        out.iter_mut().skip(from).for_each(logprobs::to_rows);
    }

    fn eof(&mut self, out: &mut Vec<Event>) {
        self.chunks.eof(out);
    }
}

/// A whole reply.
pub(super) fn whole(body: &[u8]) -> Result<Reply, Malformed> {
    json::check(body)?;
    let mut reply = reply::decode(body)?;
    for choice in &mut reply.choices {
        if let Some(rows) = choice.logprobs.as_ref().and_then(logprobs::rows) {
            choice.logprobs = Some(rows);
        }
    }
    Ok(reply)
}
