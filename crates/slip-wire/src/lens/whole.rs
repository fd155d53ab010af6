//! Replies that arrive whole: the same three grades without a stream.

use super::meter::Meter;
use super::{Phase, Tally};
use crate::{Quirks, Stamp, json, openai_chat, wire};
use bytes::BytesMut;
use slip_ir::{Dialect, Event, Fault, FaultKind, Remedy, Reply, unfold};
use std::sync::Arc;

/// Never quotes what was answered instead: it is some proxy's HTML, and not for the caller.
pub(crate) fn not_json() -> Fault {
    let says = "the provider answered something that is not JSON";
    Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, says)
}

/// A reply of status 200, as the caller's dialect writes it. An error inside it is an error here.
pub fn reply(
    upstream: Dialect,
    caller: Dialect,
    body: &[u8],
    stamp: &Stamp,
    quirks: &Quirks,
) -> Result<(Vec<u8>, Tally), Fault> {
    if (upstream, caller) == (Dialect::OpenAiChat, Dialect::OpenAiChat) {
        return openai_chat::patch::reply(body, stamp);
    }
    let (mut reply, tally) = decoded(upstream, body, stamp, quirks)?;
    if upstream == caller {
        return Ok((body.to_vec(), tally));
    }
    reply.usage.clone_from(&tally.usage);
    Ok((wire(caller).encode_reply(&reply, stamp), tally))
}

/// A reply of status 200 told as the stream the caller asked for.
pub fn stream_from_reply(
    upstream: Dialect,
    caller: Dialect,
    body: &[u8],
    stamp: &Arc<Stamp>,
    quirks: &Quirks,
    out: &mut BytesMut,
) -> Result<Tally, Fault> {
    let (mut reply, tally) = decoded(upstream, body, stamp, quirks)?;
    reply.usage.clone_from(&tally.usage);
    let mut events = Vec::new();
    unfold(&reply, &mut events);
    let mut encode = wire(caller).encoder(stamp.clone());
    for event in &events {
        encode.event(event, out);
    }
    encode.eof(out);
    Ok(tally)
}

fn decoded(upstream: Dialect, body: &[u8], stamp: &Stamp, quirks: &Quirks) -> Result<(Reply, Tally), Fault> {
    if json::check(body).is_err() {
        return Err(not_json());
    }
    let reply = wire(upstream).decode_reply(body, quirks).map_err(|malformed| {
        let at = if malformed.at.is_empty() { String::new() } else { format!(": {}", malformed.at) };
        let says = format!("the provider answered something unknown{at}");
        Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, says)
    })?;
    if let Some(fault) = reply.fault {
        return Err(fault);
    }
    let mut meter = Meter::default();
    let mut events = Vec::new();
    unfold(&reply, &mut events);
    events.iter().filter(|event| !matches!(event, Event::Fault(_))).for_each(|event| meter.event(event));
    debug_assert_ne!(meter.phase, Phase::Broken);
    meter.settle(stamp);
    Ok((reply, meter.tally))
}
