//! Error bodies in and out.

use super::{Gemini, json};
use crate::dialect::Wire;
use slip_ir::{Fault, FaultKind, Remedy};
use std::time::Duration;

fn check(status: u16, body: &str, kind: FaultKind, remedy: Remedy) -> Fault {
    let fault = Gemini.decode_error(status, &http::HeaderMap::new(), body.as_bytes());
    assert_eq!((fault.kind, fault.remedy), (kind, remedy), "{body}");
    fault
}

#[test]
fn googles_words_decide_what_may_be_done() {
    use FaultKind::*;
    use Remedy::*;
    let rows = [
        (400, "INVALID_ARGUMENT", "Invalid value at 'contents'", BadRequest, Stop),
        (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", UpstreamAuth, Elsewhere),
        (400, "INVALID_ARGUMENT", "API key expired. Please renew the API key.", UpstreamAuth, Elsewhere),
        (
            400,
            "INVALID_ARGUMENT",
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            ContextTooLong,
            OtherModel,
        ),
        (400, "FAILED_PRECONDITION", "User location is not supported for the API use.", Forbidden, Elsewhere),
        (400, "FAILED_PRECONDITION", "Please enable billing on your project.", UpstreamQuota, Elsewhere),
        (400, "INVALID_ARGUMENT", "Request payload size exceeds the limit: 20971520 bytes.", TooLarge, Elsewhere),
        (401, "UNAUTHENTICATED", "Request had invalid authentication credentials.", UpstreamAuth, Elsewhere),
        (403, "PERMISSION_DENIED", "The caller does not have permission", UpstreamAuth, Elsewhere),
        (404, "NOT_FOUND", "models/x is not found for API version v1beta", NotFound, Elsewhere),
        (
            429,
            "RESOURCE_EXHAUSTED",
            "You exceeded your current quota, please check your plan and billing details.",
            RateLimited,
            Elsewhere,
        ),
        (429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted.", UpstreamQuota, Elsewhere),
        (500, "INTERNAL", "An internal error has occurred.", Upstream, Again),
        (503, "UNAVAILABLE", "The model is overloaded. Please try again later.", Overloaded, Again),
        (504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete.", UpstreamTimeout, Again),
    ];
    for (code, status, message, kind, remedy) in rows {
        let error = format!(r#"{{"error":{{"code":{code},"message":"{message}","status":"{status}"}}}}"#);
        let fault = check(code, &error, kind, remedy);
        assert_eq!((fault.status, fault.code.as_deref()), (Some(code), Some(status)));
        // The streaming endpoint answers with a list.
        check(code, &format!("[{error}]"), kind, remedy);
        // In the middle of a stream the error says itself which status it would have had.
        let mut events = Vec::new();
        let frame = crate::frame::Frame { event: None, data: error.as_bytes() };
        Gemini.decoder(&crate::Quirks::GEMINI).frame(&frame, &mut events);
        let [slip_ir::Event::Fault(fault)] = events.as_slice() else { panic!("not one fault: {events:?}") };
        assert_eq!((fault.kind, fault.remedy), (kind, remedy), "in a stream: {message}");
    }
}

#[test]
fn details_tell_the_reason_and_the_delay() {
    let details = r#"[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_SERVICE_BLOCKED"},
        {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.4s"}]"#;
    let body = format!(r#"{{"error":{{"code":403,"message":"no","status":"PERMISSION_DENIED","details":{details}}}}}"#);
    let fault = check(403, &body, FaultKind::UpstreamAuth, Remedy::Elsewhere);
    assert_eq!(fault.code.as_deref(), Some("API_KEY_SERVICE_BLOCKED"));
    assert_eq!(fault.retry_after, Some(Duration::from_millis(34_400)));
    for absurd in ["-1s", "90000s", "soon", "NaNs", "1e400s"] {
        let body = body.replace("34.4s", absurd);
        assert_eq!(Gemini.decode_error(403, &http::HeaderMap::new(), body.as_bytes()).retry_after, None, "{absurd}");
    }
}

#[test]
fn bodies_that_are_not_googles_are_still_understood() {
    check(502, "<html><title>Bad Gateway</title></html>", FaultKind::Upstream, Remedy::Again);
    check(429, "", FaultKind::RateLimited, Remedy::Elsewhere);
    check(400, r#"{"error":"no"}"#, FaultKind::BadRequest, Remedy::Stop);
    check(400, r#"[[[{"error":1}"#, FaultKind::BadRequest, Remedy::Stop);
    let long = format!(r#"{{"error":{{"message":"{}\u0007"}}}}"#, "x".repeat(10_000));
    let fault = check(500, &long, FaultKind::Upstream, Remedy::Again);
    assert!(fault.raw.is_some_and(|raw| raw.len() <= 2048 && !raw.contains('\u{7}')));
}

#[test]
fn faults_are_written_as_googles_envelope() {
    let mut fault = Fault::caller(FaultKind::UnknownModel, "no such model: x").at("model");
    fault.retry_after = Some(Duration::from_millis(1500));
    let error = json(Gemini.encode_error(&fault, Some("gen-1")))["error"].clone();
    assert_eq!((&error["code"], &error["status"]), (&400.into(), &"INVALID_ARGUMENT".into()));
    assert_eq!(error["message"], "no such model: x");
    assert_eq!(error["details"][0]["reason"], "MODEL_NOT_FOUND");
    assert_eq!(error["details"][0]["metadata"]["generation_id"], "gen-1");
    assert_eq!(error["details"][0]["metadata"]["param"], "model");
    assert_eq!(error["details"][1]["retryDelay"], "1.5s");
    for kind in FaultKind::ALL {
        let error = json(Gemini.encode_error(&Fault::house(kind, "x"), None))["error"].clone();
        assert_eq!(error["code"], kind.status());
        let word = error["status"].as_str().unwrap_or_default();
        assert!(!word.is_empty() && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'), "{kind:?}: {word}");
    }
}
