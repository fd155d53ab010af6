//! Errors, in and out.

use super::*;
use slip_ir::{Fault, FaultKind, Remedy};

#[test]
fn every_shape_of_error_body_is_read() {
    let rows: &[(u16, &str, FaultKind, Option<&str>, &str)] = &[
        (
            400,
            r#"{"error":{"message":"Bad value","type":"invalid_request_error","param":"top_p","code":null}}"#,
            FaultKind::BadRequest,
            Some("invalid_request_error"),
            "Bad value",
        ),
        (
            401,
            r#"{"error":{"code":"401","message":"Access denied"}}"#,
            FaultKind::UpstreamAuth,
            Some("401"),
            "credential",
        ),
        (401, r#"{"detail":"Invalid API Key"}"#, FaultKind::UpstreamAuth, None, "credential"),
        (
            422,
            r#"{"detail":[{"loc":["body","messages"],"msg":"field required","type":"value_error.missing"}]}"#,
            FaultKind::Unprocessable,
            Some("value_error.missing"),
            "field required",
        ),
        (
            400,
            r#"{"object":"error","message":"Unknown model","type":"invalid_model","code":"1500"}"#,
            FaultKind::BadRequest,
            Some("invalid_model"),
            "Unknown model",
        ),
        (
            400,
            r#"{"object":"error","message":{"detail":[{"msg":"too short"}]},"code":null}"#,
            FaultKind::BadRequest,
            None,
            "too short",
        ),
        (
            404,
            r#"{"error":{"message":"no","code":"model_not_found"}}"#,
            FaultKind::NotFound,
            Some("model_not_found"),
            "does not have",
        ),
        (
            400,
            r#"{"error":{"message":"m","code":"context_length_exceeded"}}"#,
            FaultKind::ContextTooLong,
            Some("context_length_exceeded"),
            "m",
        ),
        (
            429,
            r#"{"error":{"message":"m","type":"insufficient_quota","code":"insufficient_quota"}}"#,
            FaultKind::UpstreamQuota,
            Some("insufficient_quota"),
            "quota",
        ),
        (402, r#"{"error":{"message":"Insufficient Balance"}}"#, FaultKind::UpstreamQuota, None, "quota"),
        (
            400,
            r#"[{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}]"#,
            FaultKind::UpstreamAuth,
            Some("API_KEY_INVALID"),
            "credential",
        ),
        (
            400,
            r#"{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"maximum context length is 8192 tokens","provider_name":"X"}}}"#,
            FaultKind::ContextTooLong,
            Some("400"),
            "maximum context length",
        ),
        (
            500,
            r#"{"error":{"code":500,"message":"boom","type":"server_error"}}"#,
            FaultKind::Upstream,
            Some("server_error"),
            "500",
        ),
        (500, "", FaultKind::Upstream, None, "500"),
        (502, "<html><title>Bad gateway</title>", FaultKind::Upstream, None, "502"),
        (400, "plain words", FaultKind::BadRequest, None, "plain words"),
        (400, r#"{"error":"a string"}"#, FaultKind::BadRequest, None, "a string"),
        (
            403,
            r#"{"error":{"message":"Your request was flagged","code":"content_policy_violation"}}"#,
            FaultKind::Moderated,
            Some("content_policy_violation"),
            "flagged",
        ),
    ];
    for (status, body, kind, code, says) in rows {
        let fault = OpenAiChat.decode_error(*status, &http::HeaderMap::new(), body.as_bytes());
        assert_eq!((fault.kind, fault.code.as_deref(), fault.status), (*kind, *code, Some(*status)), "{body}");
        assert!(fault.says.contains(says), "{body}: {}", fault.says);
    }
    let fault = OpenAiChat.decode_error(400, &http::HeaderMap::new(), rows[0].1.as_bytes());
    assert_eq!(fault.param.as_deref(), Some("top_p"));
}

#[test]
fn our_envelope_holds_only_what_is_known() {
    let mut fault = Fault::upstream(FaultKind::RateLimited, Remedy::Elsewhere, "slow \"down\"");
    let text = |fault: &Fault| String::from_utf8(OpenAiChat.encode_error(fault, Some("gen-1"))).unwrap();
    assert_eq!(
        text(&fault),
        r#"{"error":{"code":429,"message":"slow \"down\"","metadata":{"error_type":"rate_limit_exceeded","reason":"rate_limited"}}}"#
    );
    fault.raw = Some("raw".to_owned());
    fault.provider = Some("P".to_owned());
    fault.code = Some("c".to_owned());
    fault.param = Some("stop".to_owned());
    assert!(
        text(&fault).ends_with(
            r#""reason":"rate_limited","raw":"raw","provider_name":"P","provider_code":"c","param":"stop"}}}"#
        )
    );
}
