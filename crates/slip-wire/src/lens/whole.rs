//! Replies that arrive whole: the same three grades without a stream.

#![allow(clippy::result_large_err, reason = "a fault ends the reply: it is moved once, not passed around")]

use super::ferry::Ferry;
use super::meter::Meter;
use super::{Phase, Tally};
use crate::{Quirks, Stamp, completions, json, openai_chat, wire};
use bytes::BytesMut;
use slip_ir::{Dialect, Event, Fault, FaultKind, Remedy, Reply, fold, unfold};
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
    let (events, tally) = decoded(upstream, caller, body, stamp, quirks)?;
    if upstream == caller {
        let bytes = match caller {
            Dialect::Completions => completions::patch::reply(body, &tally, stamp),
            _ => body.to_vec(),
        };
        return Ok((bytes, tally));
    }
    let reply = Reply { usage: tally.usage.clone(), ..fold(events) };
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
    let (events, tally) = decoded(upstream, caller, body, stamp, quirks)?;
    let mut encode = wire(caller).encoder(stamp.clone());
    let counts = tally.usage.clone().map(Event::Usage);
    for event in events.iter().filter(|event| !matches!(event, Event::Usage(_))).chain(&counts) {
        encode.event(event, out);
    }
    encode.eof(out);
    Ok(tally)
}

/// What the upstream said, as far as the caller's dialect has a place for it.
fn decoded(
    upstream: Dialect,
    caller: Dialect,
    body: &[u8],
    stamp: &Stamp,
    quirks: &Quirks,
) -> Result<(Vec<Event>, Tally), Fault> {
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
    let (mut told, mut events) = (Vec::new(), Vec::new());
    unfold(&reply, &mut told);
    let mut ferry = Ferry::new(caller);
    told.into_iter().for_each(|event| ferry.event(event, |event| events.push(event)));
    let mut meter = Meter::default();
    events.iter().filter(|event| !matches!(event, Event::Fault(_))).for_each(|event| meter.event(event));
    debug_assert_ne!(meter.phase, Phase::Broken);
    meter.settle(stamp);
    if upstream != caller {
        meter.tally.losses = ferry.losses();
    }
    Ok((events, meter.tally))
}
