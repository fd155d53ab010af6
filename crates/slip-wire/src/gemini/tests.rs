//! What the Gemini dialect promises: by rows, by property, and against recorded traffic.

mod errors;
mod laws;
mod recorded;
mod replies;
mod requests;
mod schemas;
mod streams;

use super::Gemini;
use crate::dialect::Wire;
use crate::frame::Frame;
use crate::{Quirks, Stamp};
use bytes::BytesMut;
use serde_json::Value;
use slip_ir::{Event, Price, Reply, Request, fold};
use std::sync::Arc;

/// A server that takes whole JSON Schema and follows links: nothing about a request has to be given up.
const WIDE: Quirks = Quirks { schema_subset: false, image_urls: true, ..Quirks::GEMINI };

fn stamp() -> Stamp {
    Stamp {
        id: "gen-1-abc".to_owned(),
        created: 1,
        model: "google/gemini".to_owned(),
        provider: "Google".to_owned(),
        price: Some(Arc::new(Price::default())),
        ..Stamp::default()
    }
}

fn json(text: impl AsRef<[u8]>) -> Value {
    serde_json::from_slice(text.as_ref()).expect("the test's own JSON")
}

fn request(body: &str) -> Request {
    Gemini.decode_request(body.as_bytes()).expect("a request Gemini accepts").0
}

/// The `data:` payloads of a stream of server-sent events.
fn payloads(stream: &str) -> Vec<String> {
    let stream = stream.replace("\r\n", "\n");
    let blocks = stream.split("\n\n").filter_map(|block| block.strip_prefix("data: "));
    blocks.map(str::to_owned).collect()
}

/// Decode every payload and the end of the stream.
fn events(payloads: &[String]) -> Vec<Event> {
    let mut decoder = Gemini.decoder(&Quirks::GEMINI);
    let mut out = Vec::new();
    for data in payloads {
        decoder.frame(&Frame { event: None, data: data.as_bytes() }, &mut out);
    }
    decoder.eof(&mut out);
    out
}

fn folded(payloads: &[String]) -> Reply {
    fold(events(payloads))
}

/// Encode events as a stream.
fn stream(events: &[Event], stamp: Stamp) -> String {
    let mut encoder = Gemini.encoder(Arc::new(stamp));
    let mut out = BytesMut::new();
    for event in events {
        encoder.event(event, &mut out);
    }
    encoder.eof(&mut out);
    encoder.eof(&mut out);
    String::from_utf8(out.to_vec()).expect("JSON is UTF-8")
}

#[test]
fn a_model_name_cannot_reach_another_path() {
    let rows = [
        ("gemini-2.5-pro", false, "/models/gemini-2.5-pro:generateContent"),
        ("models/gemini-2.5-pro", true, "/models/gemini-2.5-pro:streamGenerateContent?alt=sse"),
        ("../x?y#z", false, "/models/..%2Fx%3Fy%23z:generateContent"),
        ("a b:c/ü", false, "/models/a%20b%3Ac%2F%C3%BC:generateContent"),
    ];
    for (model, streamed, want) in rows {
        assert_eq!(Gemini.path(model, streamed), want);
    }
}
