//! Errors: what an upstream's refusal means, and how a caller of the Messages surface is told of one.

use crate::object::{Object, Writer, to_raw};
use crate::upstream_error;
use http::HeaderMap;
use serde_json::value::RawValue;
use slip_ir::{Fault, FaultKind, Remedy};

/// The status each of Anthropic's error types goes with, for errors that arrive in a stream or under another status.
const STATUSES: [(&str, u16); 10] = [
    ("invalid_request_error", 400),
    ("authentication_error", 401),
    ("billing_error", 402),
    ("permission_error", 403),
    ("not_found_error", 404),
    ("request_too_large", 413),
    ("rate_limit_error", 429),
    ("api_error", 500),
    ("timeout_error", 504),
    ("overloaded_error", 529),
];

/// The member that names a conversation kept elsewhere, and the code by which Anthropic's libraries know to send all of it again.
pub const THREAD: &str = "thread.previous_message_id";
const THREAD_LOST: &str = "thread_not_found";

pub fn decode(status: u16, headers: &HeaderMap, body: &[u8]) -> Fault {
    let mut kind = None;
    let mut message = String::new();
    let mut detail = None;
    if let Ok(mut whole) = std::str::from_utf8(body).map_err(|_| ()).and_then(|t| Object::parse(t, "").map_err(|_| ()))
    {
        match whole.object("error", "") {
            Ok(Some(mut error)) => {
                kind = error.string("type", "").ok().flatten();
                message = error.string("message", "").ok().flatten().unwrap_or_default();
                let details = error.object("details", "").ok().flatten();
                detail = details.and_then(|mut d| d.string("error_code", "").ok().flatten());
            }
            // Proxies in front of the API answer with less.
            _ => message = whole.string("message", "").ok().flatten().unwrap_or_default(),
        }
    }
    let mut fault = judge(status, headers, kind.as_deref(), &message, body);
    if let Some(detail) = detail.filter(|d| is_detail(d)) {
        fault.code = Some(detail);
    }
    fault
}

/// Codes of `error.details` that change what a library does next.
fn is_detail(code: &str) -> bool {
    code.starts_with("thread_") && code.len() <= 64
}

/// An `error` event of a stream, or an error object where a message was expected: there is no status of its own.
pub fn in_reply(error: &RawValue) -> Fault {
    let mut o = Object::parse(error.get(), "").unwrap_or_default();
    let kind = o.string("type", "").ok().flatten();
    let message = o.string("message", "").ok().flatten().unwrap_or_default();
    judge(200, &HeaderMap::new(), kind.as_deref(), &message, error.get().as_bytes())
}

fn judge(status: u16, headers: &HeaderMap, kind: Option<&str>, message: &str, raw: &[u8]) -> Fault {
    let told = STATUSES.iter().find(|(name, _)| Some(*name) == kind).map(|(_, status)| *status);
    let status = if status < 300 { told.unwrap_or(status) } else { status };
    let mut fault = upstream_error::classify(status, headers, message, kind, raw);
    let words = message.to_ascii_lowercase();
    // Words only this API uses.
    if words.contains("exceed context limit") {
        (fault.kind, fault.remedy) = (FaultKind::ContextTooLong, Remedy::OtherModel);
    } else if words.contains("blocked by content filtering policy") {
        (fault.kind, fault.remedy) = (FaultKind::Moderated, Remedy::OtherModel);
    } else if kind == Some("billing_error") {
        (fault.kind, fault.remedy) = (FaultKind::UpstreamQuota, Remedy::Elsewhere);
    } else if kind == Some("overloaded_error") && fault.kind != FaultKind::Overloaded {
        (fault.kind, fault.remedy) = (FaultKind::Overloaded, Remedy::Again);
    }
    fault
}

/// Anthropic's word for a kind of fault.
fn type_of(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Unauthorised => "authentication_error",
        FaultKind::Forbidden => "permission_error",
        FaultKind::NoFunds => "billing_error",
        FaultKind::NotFound | FaultKind::NoEndpoint => "not_found_error",
        FaultKind::RateLimited => "rate_limit_error",
        FaultKind::Busy | FaultKind::Overloaded => "overloaded_error",
        FaultKind::RequestTimeout | FaultKind::UpstreamTimeout => "timeout_error",
        FaultKind::Upstream
        | FaultKind::UpstreamAuth
        | FaultKind::UpstreamQuota
        | FaultKind::Gone
        | FaultKind::Internal => "api_error",
        FaultKind::BadRequest
        | FaultKind::ContextTooLong
        | FaultKind::UnknownModel
        | FaultKind::Moderated
        | FaultKind::MethodNotAllowed
        | FaultKind::TooLarge
        | FaultKind::UnsupportedMedia
        | FaultKind::Unprocessable => "invalid_request_error",
    }
}

/// The envelope, in a body of its own or as the data of an `error` event. What the provider said stands in `metadata`.
pub fn encode(fault: &Fault, id: Option<&str>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut w = Writer::open(&mut out);
    w.put("type", "error");
    let mut error = Writer::open(w.key("error"));
    error.put("type", type_of(fault.kind)).put("message", &message(fault)).put("error_type", fault.kind.error_type());
    let lost = fault.param.as_deref().filter(|param| *param == THREAD).map(|_| THREAD_LOST);
    if let Some(code) = fault.code.as_deref().filter(|code| is_detail(code)).or(lost) {
        let mut details = Writer::open(error.key("details"));
        details.put("error_code", code);
        details.close();
    }
    error.close();
    w.put("request_id", &id);
    let mut metadata = Vec::new();
    let mut m = Writer::open(&mut metadata);
    m.put("reason", fault.kind.reason());
    m.put_some("provider_name", &fault.provider).put_some("raw", &fault.raw);
    m.close();
    if (fault.provider.is_some() || fault.raw.is_some())
        && let Some(metadata) = to_raw(metadata)
    {
        w.raw("metadata", metadata.as_str());
    }
    w.close();
    out
}

/// Anthropic names the member at fault at the head of its message, and so do we.
fn message(fault: &Fault) -> String {
    match &fault.param {
        Some(param) if !fault.says.starts_with(param.as_str()) => format!("{param}: {}", fault.says),
        _ => fault.says.clone().into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slip_ir::Origin;
    use std::time::Duration;

    #[test]
    fn a_refusal_is_classed_by_status_type_and_words() {
        let rows: &[(u16, &str, &str, FaultKind, Remedy)] = &[
            (529, "overloaded_error", "Overloaded", FaultKind::Overloaded, Remedy::Again),
            (429, "rate_limit_error", "slow down", FaultKind::RateLimited, Remedy::Elsewhere),
            (401, "authentication_error", "invalid x-api-key", FaultKind::UpstreamAuth, Remedy::Elsewhere),
            (403, "permission_error", "no access", FaultKind::UpstreamAuth, Remedy::Elsewhere),
            (
                400,
                "invalid_request_error",
                "Your credit balance is too low to access the Anthropic API.",
                FaultKind::UpstreamQuota,
                Remedy::Elsewhere,
            ),
            (403, "billing_error", "payment", FaultKind::UpstreamQuota, Remedy::Elsewhere),
            (404, "not_found_error", "model: claude-0", FaultKind::NotFound, Remedy::Elsewhere),
            (413, "request_too_large", "too large", FaultKind::TooLarge, Remedy::Elsewhere),
            (
                400,
                "invalid_request_error",
                "prompt is too long: 208310 tokens > 200000 maximum",
                FaultKind::ContextTooLong,
                Remedy::OtherModel,
            ),
            (
                400,
                "invalid_request_error",
                "input length and `max_tokens` exceed context limit: 198000 + 8192 > 200000",
                FaultKind::ContextTooLong,
                Remedy::OtherModel,
            ),
            (
                400,
                "invalid_request_error",
                "Output blocked by content filtering policy",
                FaultKind::Moderated,
                Remedy::OtherModel,
            ),
            (400, "invalid_request_error", "messages: bad", FaultKind::BadRequest, Remedy::Stop),
            (500, "api_error", "Internal server error", FaultKind::Upstream, Remedy::Again),
            // As they come in a stream, after a status of 200.
            (200, "overloaded_error", "Overloaded", FaultKind::Overloaded, Remedy::Again),
            (200, "api_error", "Internal server error", FaultKind::Upstream, Remedy::Again),
            (200, "request_too_large", "too large", FaultKind::TooLarge, Remedy::Elsewhere),
        ];
        for (status, kind, message, want, remedy) in rows {
            let body = serde_json::json!({"type":"error","error":{"type":kind,"message":message},"request_id":"req_1"});
            let fault = decode(*status, &HeaderMap::new(), body.to_string().as_bytes());
            assert_eq!(
                (fault.kind, fault.remedy, fault.origin),
                (*want, *remedy, Origin::Upstream),
                "{kind} {message}"
            );
            assert_eq!(fault.code.as_deref(), Some(*kind));
        }
    }

    #[test]
    fn bodies_that_are_no_error_object_are_judged_by_status() {
        for body in
            [&b"<html><title>502</title>"[..], b"", b"\xff\xfe", b"[]", b"{\"error\":\"no\"}", b"{\"message\":\"m\"}"]
        {
            let fault = decode(502, &HeaderMap::new(), body);
            assert_eq!(fault.kind, FaultKind::Upstream, "{body:?}");
        }
    }

    #[test]
    fn the_pause_is_read_off_the_limit_that_is_spent() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("date", "Wed, 18 Mar 2026 17:50:00 GMT"),
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("anthropic-ratelimit-requests-reset", "2026-03-18T17:50:11Z"),
            ("anthropic-ratelimit-tokens-remaining", "5"),
            ("anthropic-ratelimit-tokens-reset", "2026-03-18T17:51:00Z"),
        ] {
            headers.insert(name, http::HeaderValue::from_static(value));
        }
        assert_eq!(decode(429, &headers, b"{}").retry_after, Some(Duration::from_secs(11)));
    }

    #[test]
    fn a_lost_thread_is_told_by_the_code_libraries_look_for() {
        let upstream = br#"{"type":"error","error":{"type":"not_found_error","message":"no such thread",
            "details":{"error_code":"thread_not_found"}}}"#;
        let told = |fault: &Fault| {
            let body: serde_json::Value = serde_json::from_slice(&encode(fault, None)).expect("JSON");
            body["error"]["details"]["error_code"].clone()
        };
        assert_eq!(told(&decode(404, &HeaderMap::new(), upstream)), "thread_not_found");
        assert_eq!(told(&Fault::caller(FaultKind::BadRequest, "send it again").at(THREAD)), "thread_not_found");
        assert_eq!(told(&Fault::caller(FaultKind::BadRequest, "no").at("model")), serde_json::Value::Null);
    }

    #[test]
    fn the_envelope_is_anthropics() {
        let fault = Fault::house(FaultKind::Busy, "too many requests in flight");
        let body: serde_json::Value = serde_json::from_slice(&encode(&fault, Some("gen-1-x"))).expect("JSON");
        assert_eq!(
            body,
            serde_json::json!({"type":"error","error":{"type":"overloaded_error","message":"too many requests in flight",
                "error_type":"provider_overloaded"},"request_id":"gen-1-x"})
        );
        let mut fault = Fault::caller(FaultKind::BadRequest, "must be a string").at("model");
        fault.provider = Some("Lab".to_owned());
        let body: serde_json::Value = serde_json::from_slice(&encode(&fault, None)).expect("JSON");
        assert_eq!(body["error"]["message"], "model: must be a string");
        assert_eq!(body["request_id"], serde_json::Value::Null);
        assert_eq!(body["metadata"]["provider_name"], "Lab");
    }
}
