//! The dialect as a whole: rows, laws and recorded traffic.

mod corpus;
mod laws;
mod made;
mod replies;
mod requests;
mod thinking;

use super::Anthropic;
use crate::dialect::Wire;
use crate::frame::Frame;
use crate::{Quirks, Stamp};
use bytes::BytesMut;
use serde_json::{Value, json};
use slip_ir::{Event, Loss, Reply, Request, fold, unfold};
use std::collections::BTreeMap;
use std::sync::Arc;

fn decoded(body: &Value) -> (Request, Vec<Loss>) {
    Anthropic.decode_request(body.to_string().as_bytes()).expect("a good request")
}

fn encoded(request: &Request) -> (Value, Vec<Loss>) {
    encoded_for(request, &Quirks::ANTHROPIC)
}

fn encoded_for(request: &Request, quirks: &Quirks) -> (Value, Vec<Loss>) {
    let (body, losses) = Anthropic.encode_request(request, quirks);
    (serde_json::from_slice(&body).expect("an encoded request is JSON"), losses)
}

fn lost(losses: &[Loss]) -> Vec<&str> {
    losses.iter().map(|loss| &*loss.what).collect()
}

fn stamp() -> Arc<Stamp> {
    Arc::new(Stamp {
        id: "gen-1-abc".to_owned(),
        model: "anthropic/claude-sonnet-4.5".to_owned(),
        provider: "Anthropic".to_owned(),
        prompt_estimate: 7,
        ..Stamp::default()
    })
}

/// Cut a stream of server-sent events into `(event, data)`.
fn split(stream: &str) -> Vec<(Option<String>, String)> {
    let field = |block: &str, name: &str| {
        block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(|v| v.trim_start().to_owned()))
    };
    let blocks = stream.replace("\r\n", "\n");
    blocks.split("\n\n").filter_map(|b| Some((field(b, "event"), field(b, "data")?))).collect()
}

fn events_of(stream: &str) -> Vec<Event> {
    let mut decoder = Anthropic.decoder(&Quirks::ANTHROPIC);
    let mut events = Vec::new();
    for (event, data) in split(stream) {
        decoder.frame(&Frame { event: event.as_deref(), data: data.as_bytes() }, &mut events);
    }
    decoder.eof(&mut events);
    events
}

fn stream_of(events: &[Event], stamp: &Arc<Stamp>) -> String {
    let mut encoder = Anthropic.encoder(stamp.clone());
    let mut out = BytesMut::new();
    for event in events {
        encoder.event(event, &mut out);
    }
    encoder.eof(&mut out);
    let before = out.len();
    encoder.eof(&mut out);
    assert_eq!(out.len(), before, "the end is written once");
    String::from_utf8(out.to_vec()).expect("UTF-8")
}

fn stream_of_reply(reply: &Reply, stamp: &Arc<Stamp>) -> String {
    let mut events = Vec::new();
    unfold(reply, &mut events);
    stream_of(&events, stamp)
}

fn reply_of(stream: &str) -> Reply {
    fold(events_of(stream))
}

/// Put a stream together as the official client libraries do, and insist on the order of events while doing so. Written on
/// `Value`s, apart from the decoder it judges.
fn gather(stream: &str) -> Value {
    let mut message = Value::Null;
    let mut blocks: BTreeMap<u64, (Value, String)> = BTreeMap::new();
    let mut open: Option<u64> = None;
    let mut stopped = false;
    for (event, data) in split(stream) {
        let v: Value = serde_json::from_str(&data).expect("every event is JSON");
        let kind = v["type"].as_str().expect("every event has a type").to_owned();
        assert_eq!(event.as_deref(), Some(kind.as_str()), "the event line and the type agree");
        assert!(!stopped, "nothing follows message_stop");
        match kind.as_str() {
            "message_start" => {
                assert!(message.is_null(), "one message_start");
                message = v["message"].clone();
            }
            "content_block_start" => {
                assert!(!message.is_null() && open.is_none(), "one block open at a time");
                let index = v["index"].as_u64().expect("an index");
                assert_eq!(index, blocks.len() as u64, "blocks are numbered from 0");
                open = Some(index);
                blocks.insert(index, (v["content_block"].clone(), String::new()));
            }
            "content_block_delta" => {
                let index = v["index"].as_u64().expect("an index");
                assert_eq!(open, Some(index), "deltas are for the open block");
                let (block, input) = blocks.get_mut(&index).expect("an open block");
                let delta = &v["delta"];
                let mut append = |member: &str, delta: &Value| {
                    let joined = format!(
                        "{}{}",
                        block[member].as_str().unwrap_or_default(),
                        delta[member].as_str().expect("text")
                    );
                    block[member] = Value::String(joined);
                };
                match delta["type"].as_str().expect("a type") {
                    "text_delta" => append("text", delta),
                    "thinking_delta" => append("thinking", delta),
                    "signature_delta" => append("signature", delta),
                    "input_json_delta" => input.push_str(delta["partial_json"].as_str().expect("text")),
                    "citations_delta" => match &mut block["citations"] {
                        Value::Array(cited) => cited.push(delta["citation"].clone()),
                        slot => *slot = json!([delta["citation"]]),
                    },
                    other => panic!("a delta nobody knows: {other}"),
                }
            }
            "content_block_stop" => assert_eq!(open.take(), v["index"].as_u64(), "the open block is closed"),
            "message_delta" => {
                assert!(open.is_none(), "no block is open at the end");
                for part in ["delta", "usage"] {
                    let into = if part == "usage" { &mut message["usage"] } else { &mut message };
                    for (key, value) in v[part].as_object().expect("an object") {
                        if !value.is_null() || into[key].is_null() {
                            into[key] = value.clone();
                        }
                    }
                }
            }
            "message_stop" => stopped = true,
            "ping" => {}
            "error" => return v,
            other => panic!("an event nobody knows: {other}"),
        }
    }
    assert!(stopped, "the stream ends with message_stop");
    let content = blocks.into_values().map(|(mut block, input)| {
        if !input.is_empty() {
            block["input"] = serde_json::from_str(&input).expect("the input is JSON");
        }
        block
    });
    message["content"] = content.collect();
    message
}
