//! Errors: reading an upstream's, in any of their shapes, and writing ours.

use super::choice::some;
use super::write::{Obj, object};
use crate::json;
use crate::upstream_error::{UNTOLD, classify, told_status};
use bytes::BytesMut;
use slip_ir::Fault;

/// What an error body says, wherever it says it.
#[derive(Default)]
struct Told {
    message: String,
    code: Option<String>,
    kind: Option<String>,
    param: Option<String>,
    /// `status_code`, or a code that is a status.
    status: Option<u16>,
    /// The words of the provider behind a router.
    raw: Option<String>,
}

/// Read an answer with an error status.
pub(crate) fn decode(status: u16, headers: &http::HeaderMap, body: &[u8]) -> Fault {
    let told = if json::check(body).is_ok() { told(body.trim_ascii()) } else { Told::default() };
    let html = body.trim_ascii_start().first() == Some(&b'<');
    let message = match told.message.is_empty() && !html {
        true => String::from_utf8_lossy(&body[..body.len().min(1024)]).into_owned(),
        false => told.message.clone(),
    };
    finish(status, headers, &message, told, body)
}

/// An error inside an answer that had begun well.
pub(crate) fn inside(span: &[u8]) -> Fault {
    let told = told(span);
    let message = told.message.clone();
    finish(200, &http::HeaderMap::new(), &message, told, span)
}

fn finish(status: u16, headers: &http::HeaderMap, message: &str, told: Told, body: &[u8]) -> Fault {
    // The code is the finer word, except where it only repeats the status.
    let numeric = told.code.as_deref().is_some_and(|c| c.bytes().all(|b| b.is_ascii_digit()));
    let code = match (&told.code, &told.kind) {
        (Some(code), _) if !numeric || status < 300 => Some(code.as_str()),
        (code, kind) => kind.as_deref().or(code.as_deref()),
    };
    let status = match (status, told.status, told.kind.as_deref()) {
        (200..=299, Some(told), _) => told,
        (200..=299, None, Some(kind)) => match told_status(code, message) {
            UNTOLD => told_status(Some(kind), message),
            told => told,
        },
        _ => status,
    };
    let mut fault = match told.raw {
        // What the provider behind a router said decides better than the router's "provider returned error".
        Some(raw) => classify(status, headers, &format!("{message}: {raw}"), code, raw.as_bytes()),
        None => classify(status, headers, message, code, body),
    };
    fault.param = told.param;
    fault
}

/// Does an `error` member hold an error? Some servers always send one, empty.
pub(crate) fn says_something(value: &[u8]) -> bool {
    !matches!(value, b"null" | b"\"\"" | b"false" | b"{}" | b"[]")
}

/// Is this an error that does not call itself one in the usual place?
pub(crate) fn looks_like(span: &[u8]) -> bool {
    if span.first() == Some(&b'[') {
        return json::items(span).next().is_some_and(|first| first.first() == Some(&b'{') && looks_like(first));
    }
    let (mut choices, mut says, mut error) = (false, false, false);
    for (key, value) in json::fields(span) {
        match &*key.bytes() {
            b"choices" => choices = true,
            b"error" => error |= says_something(value),
            b"type" | b"object" => error |= json::string(value).as_deref() == Some("error"),
            b"detail" | b"message" | b"msg" | b"errors" | b"error_message" => says |= says_something(value),
            _ => {}
        }
    }
    error || says && !choices
}

/// `{"error":{…}}`, `{"error":"…"}`, `[{"error":{…}}]`, `{"detail":…}`, `{"object":"error","message":…}` and their kin.
fn told(span: &[u8]) -> Told {
    let mut told = Told::default();
    if span.first() == Some(&b'[') {
        return json::items(span).next().map(self::told).unwrap_or_default();
    }
    read(span, 0, &mut told);
    told
}

fn read(span: &[u8], depth: u32, told: &mut Told) {
    for (key, value) in json::fields(span) {
        match &*key.bytes() {
            b"error" | b"errors" if depth < 2 => nested(value, depth, told),
            b"message" | b"msg" | b"error_message" | b"error_msg" | b"detail" => {
                if let Some(text) = some(value) {
                    told.message = text;
                } else if depth < 3 {
                    nested(value, depth, told);
                }
            }
            b"code" | b"error_code" | b"status_code" => {
                let number = json::integer(value).map(|n| n.to_string());
                let text = some(value);
                let status = number.as_deref().or(text.as_deref()).and_then(|n| n.parse().ok());
                told.status = status.filter(|s| (300..600).contains(s)).or(told.status);
                told.code = told.code.take().or(text).or(number);
            }
            b"type" | b"error_type" | b"status" => told.kind = told.kind.take().or(some(value)),
            b"param" => told.param = some(value),
            b"metadata" => {
                told.raw = json::field(value, "raw").and_then(some);
                told.kind = json::field(value, "error_type").and_then(some).or(told.kind.take());
            }
            // Gemini's OpenAI-compatible server keeps the reason in a list.
            b"details" => {
                let reason = json::items(value).find_map(|d| json::field(d, "reason").and_then(some));
                told.kind = reason.or(told.kind.take());
            }
            _ => {}
        }
    }
}

fn nested(value: &[u8], depth: u32, told: &mut Told) {
    match value.first() {
        Some(b'"') => told.message = some(value).unwrap_or_default(),
        Some(b'{') => read(value, depth + 1, told),
        Some(b'[') => {
            if let Some(first) = json::items(value).next() {
                nested(first, depth + 1, told);
            }
        }
        _ => {}
    }
}

/// OpenRouter's envelope.
pub(crate) fn encode(fault: &Fault) -> Vec<u8> {
    let mut out = BytesMut::new();
    object(&mut out, |o| write(o, "error", fault));
    Vec::from(out)
}

/// The `error` member: whole in an error body, and inside chunks and choices that failed late.
pub(crate) fn write(o: &mut Obj<'_, BytesMut>, key: &str, fault: &Fault) {
    o.obj(key, |o| {
        o.num("code", fault.kind.status());
        o.str("message", &fault.says);
        o.obj("metadata", |o| {
            o.str("error_type", fault.kind.error_type());
            o.str("reason", fault.kind.reason());
            o.opt_str("raw", fault.raw.as_deref());
            o.opt_str("provider_name", fault.provider.as_deref());
            o.opt_str("provider_code", fault.code.as_deref());
            o.opt_str("param", fault.param.as_deref());
        });
    });
}
