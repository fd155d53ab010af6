//! An upstream's error inside a stream or a successful reply, in whichever shape, as a fault.

use super::Span;
use crate::json::{self, Str};
use bytes::{BufMut, BytesMut};
use slip_ir::{Fault, FaultKind, Remedy};
use std::borrow::Cow;

/// The upstream's own words that are kept.
const MAX_RAW: usize = 2048;

pub(super) const CUT: &str = "the stream ended before it was finished";

pub(super) fn cut() -> Fault {
    Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, CUT)
}

/// `at` is the value of the `error` member; without it the whole document is the error.
pub(super) fn read(document: &[u8], at: Option<&Span>) -> Fault {
    let error = at.and_then(|span| document.get(span.clone())).unwrap_or(document);
    let (mut status, mut code, mut kind, mut message) = (None, None, None, None);
    match Str::of(error) {
        Some(text) => message = Some(text.text()),
        None => {
            for (key, value) in json::fields(error) {
                match &*key.bytes() {
                    b"code" => code = word(value),
                    b"status" | b"status_code" => status = word(value),
                    b"type" => kind = word(value),
                    b"message" | b"detail" => message = word(value).or(message),
                    // `event: error` with the standard object one level down.
                    b"error" if at.is_none() && value.first() == Some(&b'{') => {
                        return read(value, Some(&(0..value.len())));
                    }
                    _ => {}
                }
            }
        }
    }
    let numbers = [&code, &status, &kind];
    let status = numbers.iter().find_map(|n| n.as_ref()?.parse::<u16>().ok()).filter(|n| (400..600).contains(n));
    let words = [&code, &kind, &message].map(|word| word.as_deref().unwrap_or_default().to_ascii_lowercase()).join(" ");
    let (class, remedy) = classify(status, &words);
    let mut fault = Fault::upstream(class, remedy, "the provider returned an error");
    fault.raw = Some(clean(&String::from_utf8_lossy(error.get(..MAX_RAW).unwrap_or(error))));
    fault.code = code.or(kind).map(|word| clean(&word));
    fault.status = status;
    fault
}

fn word(value: &[u8]) -> Option<Cow<'_, str>> {
    match value.first() {
        Some(b'"') => json::string(value),
        Some(b'-' | b'0'..=b'9') => std::str::from_utf8(value).ok().map(Cow::Borrowed),
        _ => None,
    }
}

fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_RAW).collect()
}

/// What the words say is surer than the number beside them: many servers answer everything with 400 or 500.
fn classify(status: Option<u16>, words: &str) -> (FaultKind, Remedy) {
    const WORDS: [(&[&str], FaultKind, Remedy); 7] = [
        (&["insufficient_quota", "billing"], FaultKind::UpstreamQuota, Remedy::Elsewhere),
        (
            &["context_length", "context length", "context window", "maximum context"],
            FaultKind::ContextTooLong,
            Remedy::OtherModel,
        ),
        (&["rate_limit", "rate limit", "too_many_requests"], FaultKind::RateLimited, Remedy::Elsewhere),
        (&["overloaded", "capacity"], FaultKind::Overloaded, Remedy::Elsewhere),
        (&["invalid_api_key", "authentication"], FaultKind::UpstreamAuth, Remedy::Elsewhere),
        (&["content_policy", "content_filter", "moderation"], FaultKind::Moderated, Remedy::OtherModel),
        (&["timeout", "timed out"], FaultKind::UpstreamTimeout, Remedy::Elsewhere),
    ];
    for (needles, kind, remedy) in WORDS {
        if needles.iter().any(|needle| words.contains(needle)) {
            return (kind, remedy);
        }
    }
    match status {
        Some(401 | 403) => (FaultKind::UpstreamAuth, Remedy::Elsewhere),
        Some(402) => (FaultKind::UpstreamQuota, Remedy::Elsewhere),
        Some(404) => (FaultKind::NotFound, Remedy::Elsewhere),
        Some(408 | 504 | 524) => (FaultKind::UpstreamTimeout, Remedy::Elsewhere),
        Some(413) => (FaultKind::TooLarge, Remedy::Elsewhere),
        Some(422) => (FaultKind::Unprocessable, Remedy::Stop),
        Some(429) => (FaultKind::RateLimited, Remedy::Elsewhere),
        Some(503 | 529) => (FaultKind::Overloaded, Remedy::Elsewhere),
        Some(400..500) => (FaultKind::BadRequest, Remedy::Stop),
        _ if words.contains("invalid_request") || words.contains("bad_request") => {
            (FaultKind::BadRequest, Remedy::Stop)
        }
        _ => (FaultKind::Upstream, Remedy::Elsewhere),
    }
}

/// The `error` object of a chunk. `code` is the status this would have been, an integer: clients check the type.
pub(super) fn put(fault: &Fault, out: &mut BytesMut) {
    out.put_slice(b"{\"code\":");
    super::put_number(fault.kind.status() as u64, out);
    let mut member = |name: &str, value: &str| {
        out.put_slice(name.as_bytes());
        json::write_string(value, out);
    };
    member(",\"message\":", &fault.says);
    member(",\"metadata\":{\"error_type\":", fault.kind.error_type());
    member(",\"reason\":", fault.kind.reason());
    if let Some(raw) = &fault.raw {
        member(",\"raw\":", raw);
    }
    if let Some(code) = &fault.code {
        member(",\"provider_code\":", code);
    }
    if let Some(provider) = &fault.provider {
        member(",\"provider_name\":", provider);
    }
    out.put_slice(b"}}");
}
