//! The answers of services beside chat: read whole, or passed on from their first content.

use super::{Bench, Flow, MAX_REPLY, Opening, collect, failed, first_content, head};
use crate::clock;
use crate::flow::refuse;
use crate::upstream::{Failed, Incoming, Sent};
use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response};
use slip_ir::{Fault, FaultKind, Remedy};
use slip_wire::envelope::counted;
use slip_wire::ops::{self, Answer, Inquiry, Shape};
use slip_wire::{Lens, wire};

/// What a success is announced as, where that can be read.
fn media_type(headers: &HeaderMap) -> &str {
    headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("")
}

/// A whole answer, in the caller's spelling.
pub(super) fn answer(
    bench: &Bench<'_>,
    (inquiry, shape): (&Inquiry, Shape),
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Answer, Failed> {
    let rejected = |fault| failed(fault, Sent::Rejected);
    if shape == Shape::Chat {
        let said = wire(bench.upstream).decode_reply(body, bench.quirks).map_err(|malformed| {
            let says = format!("the provider answered something unknown: {}", malformed.at);
            rejected(Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, says))
        })?;
        return ops::from_chat(inquiry, &said, &bench.stamp).map_err(rejected);
    }
    let bytes = if shape == Shape::Bedrock { &counted(headers, body.clone()) } else { body };
    let body = ops::Body { media_type: media_type(headers), bytes };
    ops::reply(inquiry, shape, body, &bench.stamp).map_err(rejected)
}

/// An answer that flows to the caller: as it arrives where it can, else once it is there.
pub async fn flowing(
    bench: &Bench<'_>,
    asked: (&Inquiry, Shape),
    response: Response<Incoming>,
) -> Result<Opening, Failed> {
    let response = head(bench, response).await?;
    let (parts, body) = response.into_parts();
    let (inquiry, shape) = asked;
    if let Some((flow, told)) = ops::open(inquiry, shape, media_type(&parts.headers), &bench.stamp) {
        let told = HeaderValue::try_from(told).ok();
        let opening = first_content(bench, Lens::service(flow), body, BytesMut::new()).await?;
        return Ok(Opening { media_type: told, ..opening });
    }
    let body = collect(bench, body, MAX_REPLY).await?;
    let answer = answer(bench, asked, &parts.headers, &body)?;
    Ok(Opening {
        out: BytesMut::from(answer.body),
        flow: Flow::Ended(Box::new(answer.tally)),
        first: clock::now(),
        media_type: Some(HeaderValue::try_from(answer.media_type).unwrap_or(refuse::JSON)),
    })
}
