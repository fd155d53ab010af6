//! A request passed on to a server of the same dialect: the caller's bytes, with the few members put right that must be.

use crate::json::write_string;
use crate::peek::Peek;
use crate::{Quirks, house};
use bytes::BufMut;
use slip_ir::Loss;

/// Write `body` for an upstream that calls the model `model`.
pub fn splice(body: &[u8], peek: &Peek, model: &str, quirks: &Quirks, out: &mut Vec<u8>) -> Vec<Loss> {
    let mut losses = Vec::new();
    out.reserve(body.len() + 64);
    out.put_slice(b"{\"model\":");
    write_string(model, out);
    for member in &peek.members {
        let key = member.key.as_str();
        let ours = key == "usage" || !quirks.router && house::is_ours(key);
        // Whether usage is counted is for this house to say; most servers refuse the member on a plain request.
        if key == "model" || key == "stream_options" || ours {
            continue;
        }
        if quirks.refuses(key) {
            losses.push(Loss::new(key.to_owned(), "this provider refuses it"));
            continue;
        }
        out.put_u8(b',');
        out.put_slice(body.get(member.whole.clone()).unwrap_or_default());
    }
    if peek.stream && quirks.stream_options {
        out.put_slice(b",\"stream_options\":{\"include_usage\":true}");
    }
    out.put_u8(b'}');
    losses
}
