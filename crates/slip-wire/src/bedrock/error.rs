//! Errors: what an upstream's refusal means, and how a caller is told of one. The body says a message and no more; the class stands
//! in a header, or is the name of the message in a stream.

use crate::object::{Object, Writer};
use crate::upstream_error;
use http::HeaderMap;
use slip_ir::{Fault, FaultKind, Remedy};

/// The status each class goes with, for errors in a stream, which have none.
const STATUSES: [(&str, u16); 14] = [
    ("ValidationException", 400),
    ("ServiceQuotaExceededException", 400),
    ("UnrecognizedClientException", 403),
    ("ExpiredTokenException", 403),
    ("AccessDeniedException", 403),
    ("ResourceNotFoundException", 404),
    ("ModelTimeoutException", 408),
    ("ModelErrorException", 424),
    ("ModelStreamErrorException", 424),
    ("ThrottlingException", 429),
    ("TooManyRequestsException", 429),
    ("ModelNotReadyException", 429),
    ("InternalServerException", 500),
    ("ServiceUnavailableException", 503),
];

pub fn decode(status: u16, headers: &HeaderMap, body: &[u8]) -> Fault {
    let header = headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (told, message) = said(body);
    judge(status, headers, header.or(told).as_deref().map(class), &message, body)
}

/// An exception in the middle of a stream.
pub fn in_stream(name: &str, payload: &[u8]) -> Fault {
    let mut letters = name.chars();
    let name: String = letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect();
    let (_, message) = said(payload);
    judge(200, &HeaderMap::new(), Some(class(&name)), &message, payload)
}

/// The class a body names, where it does, and its message.
fn said(body: &[u8]) -> (Option<String>, String) {
    let mut o = std::str::from_utf8(body).ok().and_then(|text| Object::parse(text, "").ok()).unwrap_or_default();
    let mut text = |name: &str| o.string(name, "").ok().flatten();
    let message = text("message").or_else(|| text("Message")).or_else(|| text("originalMessage"));
    (text("__type").or_else(|| text("code")), message.unwrap_or_default())
}

/// `ThrottlingException` of `ThrottlingException:http://internal…` and of `com.amazon.coral#ThrottlingException`.
fn class(name: &str) -> &str {
    let name = name.split(':').next().unwrap_or_default();
    name.rsplit('#').next().unwrap_or_default().trim()
}

fn judge(status: u16, headers: &HeaderMap, class: Option<&str>, message: &str, raw: &[u8]) -> Fault {
    let told = STATUSES.iter().find(|(name, _)| Some(*name) == class).map(|(_, status)| *status);
    let status = if status < 300 { told.unwrap_or(500) } else { status };
    let mut fault = upstream_error::classify(status, headers, message, class, raw);
    let words = message.to_ascii_lowercase();
    let says = |some: &[&str]| some.iter().any(|word| words.contains(word));
    let told = match class {
        Some("ValidationException")
            if says(&["model identifier is invalid", "throughput isn", "inference profile"]) =>
        {
            (FaultKind::UnknownModel, Remedy::Elsewhere)
        }
        Some("ServiceQuotaExceededException") => (FaultKind::UpstreamQuota, Remedy::Elsewhere),
        Some("ThrottlingException" | "TooManyRequestsException") => (FaultKind::RateLimited, Remedy::Elsewhere),
        Some("ModelNotReadyException") => (FaultKind::Overloaded, Remedy::Again),
        // The model failed, not the request.
        Some("ModelErrorException" | "ModelStreamErrorException") => (FaultKind::Upstream, Remedy::Again),
        Some("ResourceNotFoundException") => (FaultKind::NotFound, Remedy::Elsewhere),
        _ => return fault,
    };
    if (fault.kind, fault.remedy) != told && fault.kind != FaultKind::ContextTooLong {
        // The sentence goes with the kind.
        fault.says = upstream_error::says(told.0, status, message);
        (fault.kind, fault.remedy) = told;
    }
    fault
}

/// AWS's name for a kind of fault; the library raises an exception of that name.
fn type_of(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::BadRequest
        | FaultKind::ContextTooLong
        | FaultKind::MethodNotAllowed
        | FaultKind::TooLarge
        | FaultKind::UnsupportedMedia
        | FaultKind::Unprocessable => "ValidationException",
        FaultKind::Unauthorised => "UnrecognizedClientException",
        FaultKind::Forbidden | FaultKind::Moderated => "AccessDeniedException",
        FaultKind::NoFunds => "ServiceQuotaExceededException",
        FaultKind::UnknownModel | FaultKind::NotFound | FaultKind::NoEndpoint => "ResourceNotFoundException",
        FaultKind::RateLimited => "ThrottlingException",
        FaultKind::Busy | FaultKind::Overloaded => "ServiceUnavailableException",
        FaultKind::RequestTimeout | FaultKind::UpstreamTimeout => "ModelTimeoutException",
        FaultKind::Upstream | FaultKind::UpstreamAuth | FaultKind::UpstreamQuota => "ModelErrorException",
        FaultKind::Gone | FaultKind::Internal => "InternalServerException",
    }
}

pub fn headers(kind: FaultKind) -> &'static [(&'static str, &'static str)] {
    match type_of(kind) {
        "ValidationException" => &[("x-amzn-errortype", "ValidationException")],
        "UnrecognizedClientException" => &[("x-amzn-errortype", "UnrecognizedClientException")],
        "AccessDeniedException" => &[("x-amzn-errortype", "AccessDeniedException")],
        "ServiceQuotaExceededException" => &[("x-amzn-errortype", "ServiceQuotaExceededException")],
        "ResourceNotFoundException" => &[("x-amzn-errortype", "ResourceNotFoundException")],
        "ThrottlingException" => &[("x-amzn-errortype", "ThrottlingException")],
        "ServiceUnavailableException" => &[("x-amzn-errortype", "ServiceUnavailableException")],
        "ModelTimeoutException" => &[("x-amzn-errortype", "ModelTimeoutException")],
        "ModelErrorException" => &[("x-amzn-errortype", "ModelErrorException")],
        _ => &[("x-amzn-errortype", "InternalServerException")],
    }
}

/// The five exceptions a stream can end with.
pub fn exception(kind: FaultKind) -> &'static str {
    match type_of(kind) {
        "ThrottlingException" => "throttlingException",
        "ServiceUnavailableException" => "serviceUnavailableException",
        "ModelErrorException" | "ModelTimeoutException" => "modelStreamErrorException",
        "InternalServerException" => "internalServerException",
        _ => "validationException",
    }
}

pub fn encode(fault: &Fault) -> Vec<u8> {
    let message = match &fault.param {
        Some(param) if !fault.says.starts_with(param.as_str()) => format!("{param}: {}", fault.says),
        _ => fault.says.clone().into_owned(),
    };
    let mut out = Vec::new();
    let mut w = Writer::open(&mut out);
    w.put("message", &message);
    w.close();
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use slip_ir::Origin;

    #[test]
    fn a_refusal_is_classed_by_header_status_and_words() {
        use FaultKind as K;
        use Remedy as R;
        let rows: &[(u16, &str, &str, K, R)] = &[
            (403, "ExpiredTokenException:http://internal.amazon.com/coral/", "expired", K::UpstreamAuth, R::Elsewhere),
            (403, "UnrecognizedClientException", "invalid", K::UpstreamAuth, R::Elsewhere),
            (403, "AccessDeniedException", "You don't have access to the model", K::UpstreamAuth, R::Elsewhere),
            (400, "ValidationException", "The provided model identifier is invalid.", K::UnknownModel, R::Elsewhere),
            (400, "ValidationException", "on-demand throughput isn't supported", K::UnknownModel, R::Elsewhere),
            (400, "ValidationException", "Input is too long for requested model.", K::ContextTooLong, R::OtherModel),
            (400, "ValidationException", "messages: bad", K::BadRequest, R::Stop),
            (400, "", "This model doesn't support the video content block", K::BadRequest, R::Stop),
            (429, "ThrottlingException", "Too many tokens, please wait", K::RateLimited, R::Elsewhere),
            (429, "ModelNotReadyException", "not ready", K::Overloaded, R::Again),
            (400, "ServiceQuotaExceededException", "quota", K::UpstreamQuota, R::Elsewhere),
            (404, "ResourceNotFoundException", "end of its life", K::NotFound, R::Elsewhere),
            (408, "ModelTimeoutException", "slow", K::UpstreamTimeout, R::Again),
            (424, "ModelErrorException", "failed", K::Upstream, R::Again),
            (500, "InternalServerException", "failed", K::Upstream, R::Again),
            (503, "ServiceUnavailableException", "busy", K::Overloaded, R::Again),
        ];
        for (status, class, message, kind, remedy) in rows {
            let body = serde_json::json!({ "message": message }).to_string();
            let mut headers = HeaderMap::new();
            if !class.is_empty() {
                headers.insert("x-amzn-errortype", http::HeaderValue::from_static(class));
            }
            let fault = decode(*status, &headers, body.as_bytes());
            assert_eq!(
                (fault.kind, fault.remedy, fault.origin),
                (*kind, *remedy, Origin::Upstream),
                "{class} {message}"
            );
            assert_eq!(fault.code.as_deref(), class.split(':').next().filter(|class| !class.is_empty()));
        }
    }

    #[test]
    fn bodies_that_are_no_error_object_are_judged_by_status() {
        for body in [&b"<html>"[..], b"", b"\xff", b"[]", br#"{"message":7}"#] {
            assert_eq!(decode(502, &HeaderMap::new(), body).kind, FaultKind::Upstream, "{body:?}");
        }
        let fault = decode(400, &HeaderMap::new(), br#"{"__type":"com.amazon#ThrottlingException","Message":"m"}"#);
        assert_eq!((fault.kind, fault.code.as_deref()), (FaultKind::RateLimited, Some("ThrottlingException")));
    }

    #[test]
    fn an_exception_in_a_stream_says_its_class_by_its_name() {
        let rows = [
            ("throttlingException", FaultKind::RateLimited),
            ("modelStreamErrorException", FaultKind::Upstream),
            ("validationException", FaultKind::BadRequest),
            ("serviceUnavailableException", FaultKind::Overloaded),
            ("internalServerException", FaultKind::Upstream),
            ("somethingNewException", FaultKind::Upstream),
            ("", FaultKind::Upstream),
        ];
        for (name, want) in rows {
            assert_eq!(in_stream(name, br#"{"message":"m"}"#).kind, want, "{name}");
        }
    }

    #[test]
    fn every_kind_has_its_class_in_the_header_and_its_exception() {
        for kind in FaultKind::ALL {
            assert_eq!(headers(kind), [("x-amzn-errortype", type_of(kind))], "{kind:?}");
            assert_ne!(in_stream(exception(kind), b"{}").status, Some(200));
        }
    }
}
