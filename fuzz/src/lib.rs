//! What the targets share: how raw bytes become chunks, and what every decoder must do with any frame.

use bytes::BytesMut;
use slip_ir::{Dialect, Event, fold};
use slip_wire::frame::{Frame, Framer};
use slip_wire::{Quirks, Stamp, wire};
use std::collections::HashSet;
use std::sync::Arc;

pub fn quirks(dialect: Dialect) -> Quirks {
    Quirks::of(dialect).clone()
}

pub fn stamp() -> Arc<Stamp> {
    Arc::new(Stamp {
        id: "gen-1-abcdefghijklmnopqrst".into(),
        created: 1,
        model: "m/n".into(),
        provider: "P".into(),
        prompt_estimate: 3,
        ..Stamp::default()
    })
}

/// `bytes` cut into chunks whose sizes follow from `seed`.
pub fn chunks(mut bytes: &[u8], seed: u8) -> Vec<&[u8]> {
    let mut chunks = Vec::new();
    let mut state = seed as usize + 1;
    while !bytes.is_empty() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (chunk, rest) = bytes.split_at((state >> 33) % 24 % bytes.len() + 1);
        chunks.push(chunk);
        bytes = rest;
    }
    chunks
}

/// Requests, replies, errors and streams of one dialect: no bytes may break it.
pub fn decode(dialect: Dialect, bytes: &[u8]) {
    let wire = wire(dialect);
    let quirks = quirks(dialect);
    if let Ok((request, _)) = wire.decode_request(bytes) {
        for other in Dialect::ALL {
            let (body, _) = slip_wire::wire(other).encode_request(&request, &self::quirks(other));
            assert!(serde_json::from_slice::<&serde_json::value::RawValue>(&body).is_ok(), "{other} wrote no JSON");
        }
    }
    if let Ok(reply) = wire.decode_reply(bytes, &quirks) {
        for other in Dialect::ALL {
            let body = slip_wire::wire(other).encode_reply(&reply, &stamp());
            assert!(serde_json::from_slice::<&serde_json::value::RawValue>(&body).is_ok(), "{other} wrote no JSON");
        }
    }
    let headers = Default::default();
    let fault = wire.decode_error(400 + bytes.len() as u16 % 200, &headers, bytes);
    wire.encode_error(&fault, Some("gen-1-x"));
    stream(dialect, bytes);
}

/// The grammar of events holds for any bytes.
fn stream(dialect: Dialect, bytes: &[u8]) {
    let mut decode = wire(dialect).decoder(&quirks(dialect));
    let mut events = Vec::new();
    let mut each = |frame: Frame<'_>| decode.frame(&frame, &mut events);
    let mut framer = Framer::new(wire(dialect).framing());
    if framer.push(bytes, &mut each).is_ok() {
        let _ = framer.finish(&mut each);
    }
    decode.eof(&mut events);
    let mut open = HashSet::new();
    let mut seen = HashSet::new();
    for (at, event) in events.iter().enumerate() {
        match event {
            Event::Open { choice, block, .. } => {
                assert!(seen.insert((*choice, *block)), "block {block} opened twice");
                open.insert((*choice, *block));
            }
            Event::Delta { choice, block, .. } => assert!(open.contains(&(*choice, *block)), "delta outside a block"),
            Event::Close { choice, block } => assert!(open.remove(&(*choice, *block)), "closed, but not open"),
            Event::Fault(_) => assert_eq!(at + 1, events.len(), "a fault is last"),
            Event::Start(_) => assert_eq!(at, 0, "a start is first"),
            _ => {}
        }
    }
    assert!(open.is_empty(), "a block is left open");
    for caller in Dialect::ALL {
        let mut encode = wire(caller).encoder(stamp());
        let mut out = BytesMut::new();
        events.iter().for_each(|event| encode.event(event, &mut out));
        encode.eof(&mut out);
    }
    fold(events);
}
