//! When two requests mean the same: the same question to the same provider, whatever else changes from run to run.
//!
//! There are two degrees of it. The *address* overlooks ids and times wherever they stand, so that a prompt with today's date finds
//! the answer of yesterday; the *wording* does not, and where several cassettes have one address, those of the same wording go first.

use super::{Data, Request};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// Members at the top of a request that say who asks, or mark this one request, and change nothing about the answer.
const PASSING: [&str; 7] =
    ["user", "safety_identifier", "prompt_cache_key", "metadata", "session_id", "request_id", "idempotency_key"];

/// How generated ids begin; what follows is taken for chance from so many characters on.
const IDS: [&str; 14] = [
    "call_",
    "toolu_",
    "tooluse_",
    "msg_",
    "resp_",
    "rs_",
    "fc_",
    "item_",
    "run-",
    "run_",
    "gen-",
    "chatcmpl-",
    "req_",
    "cmpl-",
];
const CHANCE: usize = 12;

/// Deeper than this nothing is told apart; JSON itself is refused at 128.
const DEPTH: usize = 130;

/// The hash of what a request means.
pub fn address(provider: &str, request: &Request) -> String {
    hash(provider, request, true)
}

/// The hash of what it says.
pub fn wording(provider: &str, request: &Request) -> String {
    hash(provider, request, false)
}

fn hash(provider: &str, request: &Request, lenient: bool) -> String {
    let mut text = format!("{provider}\n{}\n{}\n", request.method, path(&request.path));
    match &request.body {
        Data::Json(value) => canonical(value, lenient, 0, &mut text),
        Data::Text(plain) if lenient => text.push_str(&steady(plain)),
        Data::Text(plain) | Data::Base64(plain) => text.push_str(plain),
    }
    let mut out = String::with_capacity(64);
    for byte in Sha256::digest(text.as_bytes()) {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// The parts of a query in one order.
fn path(path: &str) -> String {
    let Some((path, query)) = path.split_once('?') else { return path.to_owned() };
    let mut parts: Vec<&str> = query.split('&').filter(|p| !p.is_empty()).collect();
    parts.sort_unstable();
    format!("{path}?{}", parts.join("&"))
}

/// A body without what passes.
pub fn lasting(mut body: Value) -> Value {
    if let Value::Object(members) = &mut body {
        PASSING.iter().for_each(|name| drop(members.remove(*name)));
    }
    body
}

/// Objects in the order of their names, no spaces.
fn canonical(value: &Value, lenient: bool, depth: usize, out: &mut String) {
    if depth > DEPTH {
        return;
    }
    match value {
        Value::String(text) if lenient => quote(&steady(text), out),
        Value::String(text) => quote(text, out),
        Value::Array(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                out.push_str(if n > 0 { "," } else { "" });
                canonical(item, lenient, depth + 1, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (n, (name, value)) in sorted(members).into_iter().enumerate() {
                out.push_str(if n > 0 { "," } else { "" });
                quote(name, out);
                out.push(':');
                // Dates in the names of models are names.
                canonical(value, lenient && !(depth == 0 && name == "model"), depth + 1, out);
            }
            out.push('}');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

/// Whatever order the map keeps.
pub(super) fn sorted(members: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut all: Vec<_> = members.iter().collect();
    all.sort_by_key(|(name, _)| *name);
    all
}

fn quote(text: &str, out: &mut String) {
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

/// A text with its ids, dates and times taken for the same as any others.
pub fn steady(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let mut kept = 0;
    while at < bytes.len() {
        let fresh = at == 0 || !bytes[at - 1].is_ascii_alphanumeric();
        let rest = &bytes[at..];
        let found = if fresh { passing(rest) } else { None };
        match found {
            Some((len, word)) => {
                out.push_str(text.get(kept..at).unwrap_or_default());
                out.push_str(word);
                at += len;
                kept = at;
            }
            None => at += 1,
        }
    }
    out.push_str(text.get(kept..).unwrap_or_default());
    out
}

/// An id, a date or a time at the beginning of this.
fn passing(bytes: &[u8]) -> Option<(usize, &'static str)> {
    let first = bytes.first()?;
    if first.is_ascii_hexdigit()
        && let Some(len) = shaped(bytes, "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh")
    {
        return Some((len, "{id}"));
    }
    if first.is_ascii_digit() {
        if let Some(date) = shaped(bytes, "dddd-dd-dd") {
            let mut len = date;
            if matches!(bytes.get(len), Some(b'T' | b't' | b' ')) {
                len += time(&bytes[len + 1..]).map_or(0, |n| n + 1);
            }
            return Some((len, "{time}"));
        }
        if let Some(len) = time(bytes) {
            return Some((len, "{time}"));
        }
        // Seconds or milliseconds since 1970, from 2017 to 2033.
        let digits = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
        if matches!(digits, 10 | 13) && matches!(bytes, [b'1', b'5'..=b'9', ..]) && !glued(bytes, digits) {
            return Some((digits, "{time}"));
        }
        return None;
    }
    let start = IDS.iter().find(|start| bytes.starts_with(start.as_bytes()))?;
    let tail =
        bytes[start.len()..].iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')).count();
    (tail >= CHANCE).then_some((start.len() + tail, "{id}"))
}

/// `12:30`, `12:30:59.123Z`, `12:30:59+02:00`.
fn time(bytes: &[u8]) -> Option<usize> {
    let mut len = shaped_within(bytes, "dd:dd")?;
    if let Some(seconds) = bytes.get(len..).and_then(|rest| shaped_within(rest, ":dd")) {
        len += seconds;
        if bytes.get(len) == Some(&b'.') {
            let digits = bytes[len + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
            len += if digits > 0 { digits + 1 } else { 0 };
        }
    }
    if bytes.get(len) == Some(&b'Z') {
        len += 1;
    } else if matches!(bytes.get(len), Some(b'+' | b'-')) {
        let rest = &bytes[len + 1..];
        len += shaped_within(rest, "dd:dd").or_else(|| shaped_within(rest, "dddd")).map_or(0, |n| n + 1);
    }
    (!glued(bytes, len)).then_some(len)
}

/// The length of the shape (`d` a digit, `h` a hexadecimal one), where nothing is glued to it.
fn shaped(bytes: &[u8], shape: &str) -> Option<usize> {
    let len = shaped_within(bytes, shape)?;
    let time_follows = matches!(bytes.get(len), Some(b'T' | b't')) && shape.starts_with("dddd-");
    (time_follows || !glued(bytes, len)).then_some(len)
}

fn shaped_within(bytes: &[u8], shape: &str) -> Option<usize> {
    let fits = |(byte, wanted): (&u8, u8)| match wanted {
        b'd' => byte.is_ascii_digit(),
        b'h' => byte.is_ascii_hexdigit(),
        exact => *byte == exact,
    };
    let head = bytes.get(..shape.len())?;
    head.iter().zip(shape.bytes()).all(fits).then_some(shape.len())
}

fn glued(bytes: &[u8], len: usize) -> bool {
    bytes.get(len).is_some_and(u8::is_ascii_alphanumeric)
}
