//! A no, in the caller's own dialect.

use super::relay::Relay;
use crate::body::Body;
use crate::clock;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use slip_ir::{Dialect, Fault, FaultKind};
use slip_store::ProviderKey;
use slip_wire::stamp::signed;
use slip_wire::wire;
use std::time::Duration;

pub const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");
const ANY: HeaderValue = HeaderValue::from_static("*");
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "X-Generation-Id,X-Provider-Name,request-id,cf-ray,X-Slipswitch-Losses,X-Slipswitch-Attempts,X-Slipswitch-Strategy,Server-Timing,X-OpenRouter-Cache-Status,X-OpenRouter-Cache-Age,X-OpenRouter-Cache-TTL,X-OpenRouter-Cache-Source-Id",
);
pub const GENERATION: HeaderName = HeaderName::from_static("x-generation-id");
/// Where Anthropic's libraries look for what to quote to support.
const REQUEST: HeaderName = HeaderName::from_static("request-id");
pub const PROVIDER: HeaderName = HeaderName::from_static("x-provider-name");
/// What passes, but nobody said when.
const COME_BACK: Duration = Duration::from_secs(2);
/// Tells the OpenAI libraries whether trying again can help.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// How many headers a reply has, so that their map is not built anew as it grows.
const HEADERS: usize = 12;

/// What every reply to a browser or a library carries.
pub fn common(headers: &mut HeaderMap) {
    headers.reserve(HEADERS);
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
}

pub fn json(status: StatusCode, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = status;
    common(response.headers_mut());
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

pub fn event_stream(dialect: Dialect, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let media_type = HeaderValue::from_static(wire(dialect).framing().media_type());
    common(response.headers_mut());
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response.headers_mut().insert(CACHE_CONTROL, NO_CACHE);
    response
}

/// A service's answer on its way, announced as what it is.
pub fn flowing(dialect: Dialect, relay: Relay, id: &str) -> Response<Body> {
    let (media_type, provider, head) = (relay.media_type().cloned(), relay.provider().to_owned(), relay.head());
    let mut response = event_stream(dialect, Body::Relay(Box::new(relay)));
    if let Some(media_type) = media_type {
        response.headers_mut().insert(CONTENT_TYPE, media_type);
    }
    stamp(response.headers_mut(), id, Some(&provider));
    head.put(response.headers_mut());
    response
}

pub fn stamp(headers: &mut HeaderMap, id: &str, provider: Option<&str>) {
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(REQUEST, value.clone());
        headers.insert(GENERATION, value);
    }
    if let Some(name) = provider {
        self::provider(headers, name);
    }
}

/// Who answered.
pub fn provider(headers: &mut HeaderMap, name: &str) {
    if let Ok(value) = HeaderValue::from_str(name) {
        headers.insert(PROVIDER, value);
    }
}

/// What went wrong is wrong with a key of the caller's own: it is told by its label, so that somebody can mend it.
pub fn of_own_key(fault: &mut Fault, key: &ProviderKey) {
    let what = match fault.kind {
        FaultKind::UpstreamAuth => "refused your workspace's own key",
        FaultKind::UpstreamQuota => "says that there is no money left for your workspace's own key",
        _ => return,
    };
    fault.says = format!("the provider {what} {}", key.label).into();
}

/// The error body and status of a fault. `id` once the request was routed.
pub fn refuse(dialect: Dialect, fault: &Fault, id: Option<&str>) -> Response<Body> {
    accounted(dialect, fault, id, None)
}

/// The same with OpenRouter's account of the routing, for a caller that asked for it. Of what went wrong in this house it says
/// nothing.
pub fn accounted(dialect: Dialect, fault: &Fault, id: Option<&str>, metadata: Option<&str>) -> Response<Body> {
    let status = StatusCode::from_u16(fault.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut body = wire(dialect).encode_error(fault, id);
    if let Some(metadata) = metadata.filter(|_| fault.kind != FaultKind::Internal) {
        body = signed(dialect, metadata, body);
    }
    let mut response = json(status, body);
    let headers = response.headers_mut();
    for (name, value) in wire(dialect).error_headers(fault) {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if let Some(id) = id {
        stamp(headers, id, fault.provider.as_deref());
    }
    if matches!(status.as_u16(), 429 | 503) {
        // Whole seconds, rounded up, at least one: a client that comes back early only fails again.
        let after = fault.retry_after.unwrap_or(COME_BACK);
        headers.insert(RETRY_AFTER, HeaderValue::from(clock::ms(after).div_ceil(1000).max(1)));
    }
    if matches!(status.as_u16(), 402 | 502 | 504) {
        // We already tried what could be tried.
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    response
}
