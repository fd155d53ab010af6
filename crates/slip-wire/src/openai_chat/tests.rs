//! What this dialect promises.

mod corpus;
mod errors;
mod laws;
mod replies;
mod requests;
mod streams;

use super::OpenAiChat;
use crate::frame::Frame;
use crate::{Quirks, Stamp, Wire};
use bytes::BytesMut;
use slip_ir::{Event, Reply};
use std::sync::Arc;

/// Server-sent events, split the plain way: these tests are about what is inside.
pub(super) fn frames(text: &str) -> Vec<(Option<String>, String)> {
    let mut frames = Vec::new();
    for block in text.replace("\r\n", "\n").split("\n\n") {
        let field = |name: &str| -> Vec<String> {
            let lines = block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            lines.map(|value| value.strip_prefix(' ').unwrap_or(value).to_owned()).collect()
        };
        let data = field("data");
        if !data.is_empty() {
            frames.push((field("event").pop(), data.join("\n")));
        }
    }
    frames
}

pub(super) fn decode_stream(text: &str) -> Vec<Event> {
    let mut decoder = OpenAiChat.decoder(&Quirks::OPENAI_CHAT);
    let mut events = Vec::new();
    for (event, data) in frames(text) {
        decoder.frame(&Frame { event: event.as_deref(), data: data.as_bytes() }, &mut events);
    }
    decoder.eof(&mut events);
    events
}

pub(super) fn encode_stream(events: &[Event], stamp: &Stamp) -> String {
    let mut encoder = OpenAiChat.encoder(Arc::new(stamp.clone()));
    let mut out = BytesMut::new();
    for event in events {
        encoder.event(event, &mut out);
    }
    encoder.eof(&mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

pub(super) fn stamp() -> Stamp {
    Stamp {
        id: "gen-1700000000-abcdefghij0123456789".to_owned(),
        created: 1_700_000_000,
        model: "house/model-1".to_owned(),
        provider: "Provider".to_owned(),
        ..Stamp::default()
    }
}

pub(super) fn decode_reply(text: &str) -> Reply {
    OpenAiChat.decode_reply(text.as_bytes(), &Quirks::OPENAI_CHAT).unwrap()
}

/// The grammar of events, per choice: blocks open once and in order, deltas only inside them, nothing but usage after a finish,
/// a fault last.
pub(super) fn check_grammar(events: &[Event]) {
    use std::collections::{HashMap, HashSet};
    let mut open: HashSet<(u32, u32)> = HashSet::new();
    let mut next: HashMap<u32, u32> = HashMap::new();
    let mut finished: HashSet<u32> = HashSet::new();
    for (at, event) in events.iter().enumerate() {
        match event {
            Event::Start(_) => assert_eq!(at, 0, "start is first"),
            Event::Open { choice, block, .. } => {
                assert!(!finished.contains(choice), "opened after the finish");
                let number = next.entry(*choice).or_default();
                assert_eq!(block, number, "blocks are numbered in order");
                *number += 1;
                open.insert((*choice, *block));
            }
            Event::Delta { choice, block, .. } => assert!(open.contains(&(*choice, *block)), "delta outside a block"),
            Event::Close { choice, block } => assert!(open.remove(&(*choice, *block)), "closed twice"),
            Event::Logprobs { choice, .. } => assert!(!finished.contains(choice)),
            Event::Finish { choice, .. } => {
                assert!(finished.insert(*choice), "finished twice");
                assert!(!open.iter().any(|(c, _)| c == choice), "finished with open blocks");
            }
            Event::Fault(_) => {
                assert_eq!(at + 1, events.len(), "a fault is last");
                assert!(open.is_empty(), "failed with open blocks");
            }
            Event::Usage(_) | Event::Ping | Event::Opaque(_) => {}
        }
    }
    assert!(open.is_empty(), "ended with open blocks");
    let ended = matches!(events.last(), Some(Event::Fault(_))) || next.keys().all(|c| finished.contains(c));
    assert!(ended, "ended without saying so");
}
