//! Callers of Bedrock's InvokeModel: they ask in a maker's words, which only the body tells, and are answered in them. The journey
//! is that of the dialect nearest to it; here is the way in and the way out.

use super::read::bad_request;
use crate::body::Body;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response};
use slip_ir::Fault;
use slip_wire::envelope::asked::{Asked, Understood, Wrapped};
use slip_wire::peek::Named;

const COUNTS: [HeaderName; 2] = [
    HeaderName::from_static("x-amzn-bedrock-input-token-count"),
    HeaderName::from_static("x-amzn-bedrock-output-token-count"),
];

pub fn read(raw: &Bytes, named: Option<&Named>) -> Result<Understood, Fault> {
    let nameless = Named::default();
    Asked::read(raw, named.unwrap_or(&nameless)).map_err(bad_request)
}

/// The answer in the caller's words. Refusals are in Bedrock's already.
pub fn told(response: Response<Body>, asked: Asked) -> Response<Body> {
    if !response.status().is_success() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let mut whole = |bytes: Bytes| {
        if let Some(counts) = asked.counts(&bytes) {
            parts.headers.extend(COUNTS.into_iter().zip(counts.map(HeaderValue::from)));
        }
        asked.whole(&bytes).map_or(bytes, Bytes::from)
    };
    let body = match body {
        Body::Full(Some(bytes)) => Body::Full(Some(whole(bytes))),
        Body::Landing(landing) => {
            let (landing, bytes) = *landing;
            Body::after(landing, whole(bytes))
        }
        empty @ Body::Full(None) => empty,
        stream => Body::Wrapped(Box::new((stream, Wrapped::new(asked)))),
    };
    Response::from_parts(parts, body)
}
