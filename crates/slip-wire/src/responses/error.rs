//! Errors, both ways: in a body of their own, inside a response, and in the middle of a stream.

use super::object::{self, Held, State};
use crate::dialect::put_event;
use crate::object::Writer;
use crate::upstream_error::classify;
use crate::{Stamp, wire};
use bytes::BytesMut;
use serde_json::value::RawValue;
use slip_ir::event::Start;
use slip_ir::{Dialect, Fault, FaultKind, Remedy};

/// An answer with an error status has the shape it has in chat completions.
pub fn decode(status: u16, headers: &http::HeaderMap, body: &[u8]) -> Fault {
    wire(Dialect::OpenAiChat).decode_error(status, headers, body)
}

pub fn encode(fault: &Fault, id: Option<&str>) -> Vec<u8> {
    wire(Dialect::OpenAiChat).encode_error(fault, id)
}

/// The `error` of a failed response or of an error event.
pub fn inside(error: &RawValue) -> Fault {
    let body = format!("{{\"error\":{}}}", error.get());
    let mut fault = wire(Dialect::OpenAiChat).decode_error(200, &http::HeaderMap::new(), body.as_bytes());
    fault.raw = Some(crate::upstream_error::clean(error.get().as_bytes())).filter(|raw| !raw.is_empty());
    fault
}

/// An error event that says what it has to say beside its type.
pub fn flat(code: Option<&str>, message: Option<&str>, raw: &[u8]) -> Fault {
    classify(200, &http::HeaderMap::new(), message.unwrap_or_default(), code, raw)
}

/// Failed, and nobody said why.
pub fn unsaid() -> Fault {
    Fault::upstream(FaultKind::Upstream, Remedy::Again, "the provider failed in the middle")
}

/// The few codes a response's `error` may have. A context that is too long and an account that is empty keep their own: clients
/// that shorten the conversation, or stop asking, tell them by it.
fn code(fault: &Fault) -> &'static str {
    match fault.kind {
        FaultKind::RateLimited => "rate_limit_exceeded",
        FaultKind::ContextTooLong => "context_length_exceeded",
        FaultKind::NoFunds | FaultKind::UpstreamQuota => "insufficient_quota",
        FaultKind::BadRequest
        | FaultKind::UnknownModel
        | FaultKind::Moderated
        | FaultKind::TooLarge
        | FaultKind::UnsupportedMedia
        | FaultKind::Unprocessable => "invalid_prompt",
        _ => "server_error",
    }
}

pub fn write(out: &mut Vec<u8>, fault: &Fault) {
    let mut w = Writer::open(out);
    w.put("code", code(fault)).put("message", &fault.says);
    w.close();
}

/// The error of a response whose upstream called it failed without a word.
pub fn write_unknown(out: &mut Vec<u8>) {
    let mut w = Writer::open(out);
    w.put("code", "server_error").put("message", "the provider failed in the middle");
    w.close();
}

/// The `error` event. OpenAI's documentation puts code and message beside the type, its servers below `error`, and its libraries
/// raise only what stands there.
pub fn event(w: &mut Writer<'_>, fault: &Fault) {
    w.put("code", code(fault)).put("message", &fault.says).put("param", &fault.param);
    let mut error = Writer::open(w.key("error"));
    error.put("type", fault.kind.error_type()).put("code", code(fault));
    error.put("message", &fault.says).put("param", &fault.param);
    let mut metadata = Writer::open(error.key("metadata"));
    metadata.put("reason", fault.kind.reason());
    metadata.put_some("provider_name", &fault.provider).put_some("raw", &fault.raw);
    metadata.close();
    error.close();
}

/// Nobody counted the events of a stream that was passed on as it came: a number no stream reaches keeps their order.
const BEHIND_ALL: u64 = 1 << 30;

/// The failure of a stream whose other events were the upstream's own.
pub fn in_foreign_stream(fault: &Fault, stamp: &Stamp, out: &mut BytesMut) {
    let mut payload = Vec::new();
    let mut w = Writer::open(&mut payload);
    w.put("type", "error").put("sequence_number", &BEHIND_ALL);
    event(&mut w, fault);
    w.close();
    put_event(None, &payload, out);
    payload.clear();
    let mut w = Writer::open(&mut payload);
    w.put("type", "response.failed").put("sequence_number", &(BEHIND_ALL + 1));
    let mut response = Vec::new();
    object::write(&mut response, stamp, &Start::default(), &State::Failed(fault), &Held::default());
    w.key("response").extend_from_slice(&stamp.signed(Dialect::Responses, response));
    w.close();
    put_event(None, &payload, out);
}
