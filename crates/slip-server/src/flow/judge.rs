//! Verb 7, judge: read until the first content and decide whether this reply is the one. Before that another endpoint may still be
//! tried; after it never.

mod service;

use super::again::Again;
use super::refuse;
use super::relay::{KEEPALIVE, Relay, keeps_alive};
use super::settle::Book;
use crate::clock;
use crate::config::Timeouts;
use crate::upstream::{Failed, Incoming, Sent, show};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::BodyExt;
pub use service::flowing;
use slip_ir::{Dialect, Fault, FaultKind, Remedy, Usage};
use slip_wire::ops::{Inquiry, Shape};
use slip_wire::structured::Reshape;
use slip_wire::{End, Lens, Phase, Quirks, Stamp, Tally, lens, wire};
use std::sync::Arc;
use std::time::Instant;
use tokio::time::timeout_at;

/// A whole reply larger than this is a provider gone wrong.
const MAX_REPLY: usize = 64 * 1024 * 1024;
/// Of an error body no more than this is read.
const MAX_ERROR: usize = 256 * 1024;
/// What is held back while waiting for the first content.
const MAX_HELD: usize = 32 * 1024 * 1024;

/// What both kinds of reply need to know.
pub struct Bench<'a> {
    pub upstream: Dialect,
    pub caller: Dialect,
    /// A service beside chat, and how the provider spells it.
    pub asked: Option<(&'a Inquiry, Shape)>,
    pub stamp: Arc<Stamp>,
    pub quirks: &'a Quirks,
    /// The reply is not what the caller asked for as it is.
    pub reshape: Option<&'a Reshape>,
    /// Another may go on with the stream if it breaks off.
    pub mends: bool,
    /// What an answer cost that was asked again.
    pub earlier: Option<&'a Usage>,
    pub faults: &'a [(u16, FaultKind, Remedy)],
    pub timeouts: Timeouts,
    /// When the attempt began.
    pub began: Instant,
    /// When the whole request must be over.
    pub over: Instant,
}

/// A reply that was read to its end.
pub struct Whole {
    pub bytes: Bytes,
    pub media_type: HeaderValue,
    pub tally: Box<Tally>,
    /// What each complete choice said, where its form is to be checked.
    pub said: Vec<String>,
}

/// A stream whose first content has come (or which ended properly without any).
pub struct Opening {
    /// Encoded for the caller, not yet sent.
    pub out: BytesMut,
    pub flow: Flow,
    /// When the first content came.
    pub first: Instant,
    /// What a service's answer is announced as; a chat's follows from its dialect.
    pub media_type: Option<HeaderValue>,
}

pub enum Flow {
    Running {
        lens: Box<Lens>,
        body: Incoming,
    },
    /// What another request is told, or was.
    Again {
        lens: Box<Lens>,
        again: Box<Again>,
    },
    Ended(Box<Tally>),
}

/// What a stream begins with, so that every proxy on the way passes its head on at once.
pub fn greeting(caller: Dialect) -> BytesMut {
    if keeps_alive(caller) { BytesMut::from(KEEPALIVE) } else { BytesMut::new() }
}

impl Opening {
    pub fn relay(self, book: Box<Book>, timeouts: Timeouts, over: Instant, keepalive: bool) -> Relay {
        Relay::new(self, book, timeouts, over, keepalive)
    }
}

fn failed(fault: Fault, sent: Sent) -> Failed {
    Failed { fault, sent }
}

/// Refuse anything but a success before its body is trusted.
async fn head(bench: &Bench<'_>, response: Response<Incoming>) -> Result<Response<Incoming>, Failed> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    if status.is_redirection() {
        let fault = Fault::upstream(
            FaultKind::Upstream,
            Remedy::Elsewhere,
            format!("the provider answered with a redirect ({status}), which is never followed"),
        );
        return Err(failed(Fault { status: Some(status.as_u16()), ..fault }, Sent::Rejected));
    }
    let body = collect(bench, body, MAX_ERROR).await.unwrap_or_default();
    Err(failed(classify(bench, status.as_u16(), &parts.headers, &body), Sent::Rejected))
}

fn classify(bench: &Bench<'_>, status: u16, headers: &HeaderMap, body: &[u8]) -> Fault {
    let mut fault = wire(bench.quirks.errors(bench.upstream)).decode_error(status, headers, body);
    fault.status = Some(status);
    if let Some((_, kind, remedy)) = bench.faults.iter().find(|(s, ..)| *s == status) {
        fault.kind = *kind;
        fault.remedy = *remedy;
    }
    fault
}

/// A reply that is not streamed.
pub async fn whole(bench: &Bench<'_>, response: Response<Incoming>) -> Result<Whole, Failed> {
    let response = head(bench, response).await?;
    let (parts, body) = response.into_parts();
    let body = collect(bench, body, MAX_REPLY).await?;
    if let Some(asked) = bench.asked {
        let answer = service::answer(bench, asked, &parts.headers, &body)?;
        let media_type = HeaderValue::try_from(answer.media_type).unwrap_or(refuse::JSON);
        return Ok(Whole { bytes: answer.body, media_type, tally: Box::new(answer.tally), said: Vec::new() });
    }
    let (up, caller, stamp, quirks) = (bench.upstream, bench.caller, &bench.stamp, bench.quirks);
    let body = quirks.opened(&parts.headers, body);
    let crossed = match bench.reshape {
        None => lens::reply(up, caller, &body, stamp, quirks).map(|(bytes, tally)| (bytes, tally, Vec::new())),
        Some(reshape) => lens::shaped(up, caller, &body, stamp, quirks, reshape, bench.earlier),
    };
    let (bytes, tally, said) = crossed.map_err(|fault| failed(fault, Sent::Rejected))?;
    Ok(Whole { bytes: bytes.into(), media_type: refuse::JSON, tally: Box::new(tally), said })
}

async fn collect(bench: &Bench<'_>, mut body: Incoming, limit: usize) -> Result<Bytes, Failed> {
    let deadline = (bench.began + bench.timeouts.total).min(bench.over);
    let mut first: Option<Bytes> = None;
    let mut all = BytesMut::new();
    loop {
        let quiet = clock::now() + bench.timeouts.idle;
        match timeout_at(deadline.min(quiet).into(), body.frame()).await {
            Ok(Some(Ok(frame))) => {
                let Ok(data) = frame.into_data() else { continue };
                if first.as_ref().map_or(0, Bytes::len) + all.len() + data.len() > limit {
                    let fault = Fault::upstream(
                        FaultKind::Upstream,
                        Remedy::Elsewhere,
                        format!("the provider's reply is larger than {} MiB", MAX_REPLY / (1024 * 1024)),
                    );
                    return Err(failed(fault, Sent::Rejected));
                }
                if first.is_none() && all.is_empty() {
                    first = Some(data);
                    continue;
                }
                if let Some(head) = first.take() {
                    all.extend_from_slice(&head);
                }
                all.extend_from_slice(&data);
            }
            Ok(Some(Err(e))) => return Err(failed(e.fault(), Sent::Ambiguous)),
            Ok(None) => break,
            Err(_) => {
                let says = if clock::now() >= deadline {
                    format!("the provider's reply was not complete within {}", show(bench.timeouts.total))
                } else {
                    format!("the provider's reply stalled: nothing came for {}", show(bench.timeouts.idle))
                };
                let fault = Fault::upstream(FaultKind::UpstreamTimeout, Remedy::Elsewhere, says);
                return Err(failed(fault, Sent::Ambiguous));
            }
        }
    }
    Ok(first.unwrap_or_else(|| all.freeze()))
}

/// A streamed reply, up to its first content.
pub async fn stream(bench: &Bench<'_>, response: Response<Incoming>) -> Result<Opening, Failed> {
    let response = head(bench, response).await?;
    let (parts, body) = response.into_parts();
    let kind = parts.headers.get(http::header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    if kind.starts_with("application/json") {
        // It was asked for a stream and answered whole: a valid completion becomes a short stream.
        let body = bench.quirks.opened(&parts.headers, collect(bench, body, MAX_REPLY).await?);
        let mut out = greeting(bench.caller);
        let (up, caller, stamp, quirks) = (bench.upstream, bench.caller, &bench.stamp, bench.quirks);
        let tally = match bench.reshape {
            None => lens::stream_from_reply(up, caller, &body, stamp, quirks, &mut out),
            Some(reshape) => lens::shaped_stream_from_reply(up, caller, &body, stamp, quirks, reshape, &mut out),
        };
        let tally = tally.map_err(|fault| failed(fault, Sent::Rejected))?;
        return Ok(Opening { out, flow: Flow::Ended(Box::new(tally)), first: clock::now(), media_type: None });
    }
    if kind.starts_with("text/html") {
        let fault = Fault::upstream(
            FaultKind::Upstream,
            Remedy::Elsewhere,
            "the provider answered with an HTML page where a stream was expected",
        );
        return Err(failed(fault, Sent::Rejected));
    }
    let stamp = bench.stamp.clone();
    let lens = match bench.reshape {
        None if bench.mends => Lens::mending(bench.upstream, bench.caller, stamp, bench.quirks),
        None => Lens::new(bench.upstream, bench.caller, stamp, bench.quirks),
        Some(reshape) => Lens::shaped(bench.upstream, bench.caller, stamp, bench.quirks, reshape),
    };
    first_content(bench, lens, body, greeting(bench.caller)).await
}

/// The body of a stream that goes on with another one.
pub async fn more(bench: &Bench<'_>, response: Response<Incoming>) -> Result<Incoming, Failed> {
    let (parts, body) = head(bench, response).await?.into_parts();
    let kind = parts.headers.get(http::header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    if ["application/json", "text/html"].iter().any(|other| kind.starts_with(other)) {
        let says = "the provider answered with something else where a stream was expected";
        return Err(failed(Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, says), Sent::Rejected));
    }
    Ok(body)
}

/// Read until the first content; `out` holds what comes before it.
async fn first_content(
    bench: &Bench<'_>,
    mut lens: Lens,
    mut body: Incoming,
    mut out: BytesMut,
) -> Result<Opening, Failed> {
    let mut deadline = (bench.began + bench.timeouts.first_content).min(bench.over);
    loop {
        match timeout_at(deadline.into(), body.frame()).await {
            Ok(Some(Ok(frame))) => {
                let Ok(data) = frame.into_data() else { continue };
                lens.push(&data, &mut out);
                if lens.holds() {
                    // It says something, though nothing may be passed on yet: it must go on saying it.
                    deadline = (clock::now() + bench.timeouts.idle).max(deadline).min(bench.over);
                }
                match lens.phase() {
                    // A short answer may come whole, its end included: what follows it can no longer spoil it.
                    Phase::Flowing | Phase::Finished => {
                        let flow = Flow::Running { lens: Box::new(lens), body };
                        return Ok(Opening { out, flow, first: clock::now(), media_type: None });
                    }
                    // What came with the failure may be gone on with.
                    Phase::Broken if lens.is_torn() => {
                        let flow = Flow::Running { lens: Box::new(lens), body };
                        return Ok(Opening { out, flow, first: clock::now(), media_type: None });
                    }
                    Phase::Broken => {
                        let fault = lens.fault().cloned().unwrap_or_else(|| {
                            Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, "the provider's stream failed")
                        });
                        let tally = lens.end(End::Eof, &mut out);
                        if tally.content == 0 {
                            return Err(failed(fault, Sent::Rejected));
                        }
                        // Content and the failure behind it came in one piece: what was said is told, and then how it broke.
                        return Ok(Opening {
                            out,
                            flow: Flow::Ended(Box::new(tally)),
                            first: clock::now(),
                            media_type: None,
                        });
                    }
                    Phase::Waiting if out.len() > MAX_HELD => {
                        let fault = Fault::upstream(
                            FaultKind::Upstream,
                            Remedy::Elsewhere,
                            "the provider's stream never came to its content",
                        );
                        return Err(failed(fault, Sent::Rejected));
                    }
                    Phase::Waiting => {}
                }
            }
            Ok(Some(Err(e))) => return Err(failed(e.fault(), Sent::Ambiguous)),
            Ok(None) => {
                let tally = lens.end(End::Eof, &mut out);
                if let Some(fault) = tally.fault.clone() {
                    return Err(failed(fault, Sent::Ambiguous));
                }
                return Ok(Opening { out, flow: Flow::Ended(Box::new(tally)), first: clock::now(), media_type: None });
            }
            Err(_) => {
                let fault = Fault::upstream(
                    FaultKind::UpstreamTimeout,
                    Remedy::Elsewhere,
                    format!("the provider sent no content within {}", show(bench.timeouts.first_content)),
                );
                return Err(failed(fault, Sent::Ambiguous));
            }
        }
    }
}
