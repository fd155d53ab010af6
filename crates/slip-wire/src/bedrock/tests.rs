//! The dialect as a whole: rows, laws and recorded traffic.

mod laws;
mod recorded;
mod replies;
mod requests;

use super::Bedrock;
use crate::dialect::Wire;
use crate::frame::Frame;
use crate::{Quirks, Stamp};
use bytes::BytesMut;
use serde_json::{Value, json};
use slip_ir::{Event, Loss, Reply, Request, fold, unfold};
use std::sync::Arc;

fn decoded(body: &Value) -> (Request, Vec<Loss>) {
    Bedrock.decode_request(body.to_string().as_bytes()).expect("a good request")
}

fn encoded(request: &Request) -> (Value, Vec<Loss>) {
    let (body, losses) = Bedrock.encode_request(request, &Quirks::BEDROCK);
    (serde_json::from_slice(&body).expect("an encoded request is JSON"), losses)
}

fn lost(losses: &[Loss]) -> Vec<&str> {
    losses.iter().map(|loss| &*loss.what).collect()
}

fn stamp() -> Arc<Stamp> {
    Arc::new(Stamp { id: "gen-1-abc".to_owned(), prompt_estimate: 7, ..Stamp::default() })
}

/// Type and payload of each message we wrote.
fn frames(bytes: &[u8]) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let mut each = |frame: Frame<'_>| {
        let payload = serde_json::from_slice(frame.data).expect("a payload is JSON");
        found.push((frame.event.unwrap_or_default().to_owned(), payload));
    };
    crate::frame::eventstream::EventStream::default().push(bytes, &mut each).expect("our own framing");
    found
}

/// The events that messages of these types and payloads come to.
fn events_of<'a>(messages: impl IntoIterator<Item = &'a (String, Value)>) -> Vec<Event> {
    let mut decoder = Bedrock.decoder(&Quirks::BEDROCK);
    let mut events = Vec::new();
    for (name, payload) in messages {
        let data = payload.to_string();
        decoder.frame(&Frame { event: Some(name), data: data.as_bytes() }, &mut events);
    }
    decoder.eof(&mut events);
    events
}

fn streamed(reply: &Reply) -> Vec<(String, Value)> {
    let mut encoder = Bedrock.encoder(stamp());
    let (mut events, mut out) = (Vec::new(), BytesMut::new());
    unfold(reply, &mut events);
    events.iter().for_each(|event| encoder.event(event, &mut out));
    encoder.eof(&mut out);
    frames(&out)
}

fn whole(reply: &Reply) -> Value {
    serde_json::from_slice(&Bedrock.encode_reply(reply, &stamp())).expect("a reply is JSON")
}

fn read(body: &Value) -> Reply {
    Bedrock.decode_reply(body.to_string().as_bytes(), &Quirks::BEDROCK).expect("a good reply")
}

fn message(name: &str, payload: Value) -> (String, Value) {
    (name.to_owned(), payload)
}

fn folded(messages: &[(String, Value)]) -> Reply {
    fold(events_of(messages))
}
