//! An answer that was told before, told to somebody else: under another id, and for nothing. What it says stays as it was.
//!
//! Bytes go in and bytes come out, in the caller's own dialect; the lens of that dialect to itself does the rest.

#![allow(clippy::result_large_err, reason = "a fault ends the reply: it is moved once, not passed around")]

use super::ferry::Ferry;
use super::meter::Meter;
use super::{Tally, is_cut, not_json};
use crate::frame::eventstream::rewritten;
use crate::frame::sse::Sink;
use crate::frame::{Frame, Framer, Framing};
use crate::{Decode, Quirks, Stamp, json, wire};
use bytes::BytesMut;
use memchr::memmem;
use slip_ir::{Dialect, Event, Fault, FaultKind, Remedy, Reply, fold};
use std::ops::Range;

/// Where a reply tells what it cost.
const BILLS: [&str; 3] = ["usage", "usageMetadata", "meta"];
/// What may stand around that.
const AROUND: [&str; 3] = ["response", "message", "delta"];
const MONEY: &[u8] = b"\"cost";

/// A whole answer, or bytes that are no text at all.
pub fn retold(body: &[u8], old: &str, new: &str) -> Vec<u8> {
    renamed(&free(body), old, new)
}

/// The same of messages of a stream, of which none is cut in two.
pub fn retold_events(framing: Framing, events: &[u8], old: &str, new: &str) -> Vec<u8> {
    if !matches!(framing, Framing::Sse | Framing::Lines) {
        // Each of Amazon's messages has a checksum.
        let mut out = BytesMut::with_capacity(events.len());
        rewritten(events, |payload| retold(payload, old, new), &mut out);
        return out.into();
    }
    if memmem::find(events, MONEY).is_none() {
        return renamed(events, old, new);
    }
    let mut out = Vec::with_capacity(events.len());
    for line in events.split_inclusive(|b| *b == b'\n') {
        let head = if line.starts_with(b"data:") { b"data:".len() } else { 0 };
        let (head, data) = line.split_at(head);
        out.extend_from_slice(head);
        out.extend_from_slice(&free(data));
    }
    renamed(&out, old, new)
}

/// The stream of a reply as the reply, for whoever asked for it whole.
pub fn reply_from_stream(
    dialect: Dialect,
    body: &[u8],
    stamp: &Stamp,
    quirks: &Quirks,
) -> Result<(Vec<u8>, Tally), Fault> {
    let mut reader = Reader { decode: wire(dialect).decoder(quirks), events: Vec::new(), partial: false };
    let mut framer = Framer::new(wire(dialect).framing());
    let damaged = |_| Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, "a stream that was kept is damaged");
    framer.push(body, &mut reader).map_err(damaged)?;
    reader.partial = true;
    framer.finish(&mut reader).map_err(damaged)?;
    let Reader { mut decode, events: mut told, .. } = reader;
    decode.eof(&mut told);
    let (mut meter, mut ferry, mut events) = (Meter::default(), Ferry::new(dialect), Vec::new());
    for event in told {
        match event {
            Event::Fault(fault) => return Err(fault),
            // A count of nothing is no count; an estimate may follow.
            Event::Usage(usage) if usage.total() == 0 => {}
            event => ferry.event(event, |event| events.push(event)),
        }
    }
    if events.is_empty() {
        return Err(not_json());
    }
    events.iter().for_each(|event| meter.event(event));
    meter.settle(stamp);
    let tally = meter.tally;
    let mut reply = Reply { usage: tally.usage.clone(), ..fold(events) };
    reply.start.served(tally.usage.as_ref().and_then(|usage| usage.tier));
    Ok((stamp.signed(dialect, wire(dialect).encode_reply(&reply, stamp)), tally))
}

struct Reader {
    decode: Box<dyn Decode>,
    events: Vec<Event>,
    partial: bool,
}

impl Sink for Reader {
    fn frame(&mut self, frame: Frame<'_>) {
        if !is_cut(&frame, self.partial) {
            self.decode.frame(&frame, &mut self.events);
        }
    }
}

/// One id in the place of another, and in whatever was made of its last part.
fn renamed(bytes: &[u8], old: &str, new: &str) -> Vec<u8> {
    let whole = replaced(bytes, old.as_bytes(), new.as_bytes());
    match (old.rsplit_once('-'), new.rsplit_once('-')) {
        // So long that nothing else is spelt so by chance.
        (Some((_, old)), Some((_, new))) if old.len() >= 16 => replaced(&whole, old.as_bytes(), new.as_bytes()),
        _ => whole,
    }
}

fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    if old.is_empty() {
        return bytes.to_vec();
    }
    let (mut out, mut from) = (Vec::with_capacity(bytes.len()), 0);
    for at in memmem::find_iter(bytes, old) {
        out.extend_from_slice(&bytes[from..at]);
        out.extend_from_slice(new);
        from = at + old.len();
    }
    out.extend_from_slice(&bytes[from..]);
    out
}

/// A document in which every price is nothing.
fn free(document: &[u8]) -> Vec<u8> {
    if memmem::find(document, MONEY).is_none() || json::check(document.trim_ascii()).is_err() {
        return document.to_vec();
    }
    let mut spans = Vec::new();
    bills(document, document.trim_ascii(), 0, &mut spans);
    let (mut out, mut from) = (Vec::with_capacity(document.len()), 0);
    for (span, instead) in spans {
        out.extend_from_slice(&document[from..span.start]);
        out.extend_from_slice(instead);
        from = span.end;
    }
    out.extend_from_slice(&document[from..]);
    out
}

type Spans = Vec<(Range<usize>, &'static [u8])>;

/// The prices, in the order in which they stand.
fn bills(document: &[u8], object: &[u8], depth: u32, spans: &mut Spans) {
    if object.first() != Some(&b'{') || depth > 2 {
        return;
    }
    for (key, value) in json::fields(object) {
        if BILLS.iter().any(|name| key.is(name)) {
            bill(document, value, spans);
        } else if AROUND.iter().any(|name| key.is(name)) {
            bills(document, value, depth + 1, spans);
        }
    }
}

fn bill(document: &[u8], object: &[u8], spans: &mut Spans) {
    if object.first() != Some(&b'{') {
        return;
    }
    for (key, value) in json::fields(object) {
        // Some providers tell it as an object of their own, which is not what we charged.
        if key.is("cost") && value.first().is_some_and(u8::is_ascii_digit) {
            spans.push((place(document, value), b"0"));
        } else if key.is("cost_unknown") {
            spans.push((place(document, value), b"false"));
        } else if key.is("cost_details") && value.first() == Some(&b'{') {
            let numbers = json::fields(value).filter(|(_, value)| value.first().is_some_and(u8::is_ascii_digit));
            spans.extend(numbers.map(|(_, value)| (place(document, value), &b"0"[..])));
        }
    }
}

/// Where a part of it stands.
fn place(document: &[u8], part: &[u8]) -> Range<usize> {
    let at = part.as_ptr().addr() - document.as_ptr().addr();
    at..at + part.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lens::{Lens, reply, stream_from_reply};
    use crate::{End, Stamp};
    use serde_json::{Value, json};
    use slip_ir::{Pico, Price, Rates};
    use std::sync::Arc;

    const OLD: &str = "gen-1795000000-01abcdefghijklmnopqr";
    const NEW: &str = "gen-1795000099-99zyxwvutsrqponmlkji";

    #[test]
    fn an_id_is_replaced_wherever_it_stands_and_a_price_where_it_is_one() {
        let rows = [
            (
                json!({ "id": OLD, "usage": { "cost": 0.5, "n": 1 } }),
                json!({ "id": NEW, "usage": { "cost": 0, "n": 1 } }),
            ),
            (
                json!({ "id": "msg_01abcdefghijklmnopqr_0", "usage": { "cost_details": { "a": 0.1, "b": null }, "cost": 1e-7 } }),
                json!({ "id": "msg_99zyxwvutsrqponmlkji_0", "usage": { "cost_details": { "a": 0, "b": null }, "cost": 0 } }),
            ),
            (
                json!({ "response": { "usage": { "cost": 0.1, "cost_unknown": true } } }),
                json!({ "response": { "usage": { "cost": 0, "cost_unknown": false } } }),
            ),
            // What was said is left alone, whatever it says.
            (
                json!({ "choices": [{ "message": { "content": "{\"usage\":{\"cost\":3}}" } }], "cost": 7 }),
                json!({ "choices": [{ "message": { "content": "{\"usage\":{\"cost\":3}}" } }], "cost": 7 }),
            ),
        ];
        for (before, after) in rows {
            let told: Value = serde_json::from_slice(&retold(before.to_string().as_bytes(), OLD, NEW)).unwrap();
            assert_eq!(told, after);
            let event = format!("event: x\ndata: {before}\n\n");
            let told = String::from_utf8(retold_events(Framing::Sse, event.as_bytes(), OLD, NEW)).unwrap();
            let data = told.strip_prefix("event: x\ndata: ").and_then(|rest| rest.strip_suffix("\n\n"));
            assert_eq!(serde_json::from_str::<Value>(data.expect("one event")).unwrap(), after);
        }
        for odd in [&b""[..], b"{", b"\"cost\"", b"{\"usage\":{\"cost\":", b"ID3\xff\"cost\xfe"] {
            assert_eq!(retold(odd, OLD, NEW), odd);
        }
    }

    fn stamp(id: &str, priced: bool) -> Arc<Stamp> {
        let rates = Rates { input: Pico(1_000_000), output: Pico(2_000_000), ..Rates::default() };
        let price = if priced { Price { rates, ..Price::default() } } else { Price::default() };
        let (model, provider) = ("a/m".to_owned(), "P".to_owned());
        Arc::new(Stamp {
            id: id.to_owned(),
            created: 7,
            model,
            provider,
            price: Some(price.into()),
            ..Stamp::default()
        })
    }

    /// Whatever is spoken: kept whole or as a stream, and told whole or as a stream, it says the same, and for nothing.
    #[test]
    fn what_is_kept_in_one_form_is_told_in_either() {
        let said = json!({
            "id": "x", "model": "m",
            "choices": [{ "index": 0, "message": { "role": "assistant", "content": "Where it rains, it \"pours\"." }, "finish_reason": "stop" }],
            "usage": { "prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10 },
        });
        for dialect in Dialect::ALL {
            let quirks = Quirks::of(dialect);
            let upstream = Dialect::OpenAiChat;
            let (old, new) = (stamp(OLD, true), stamp(NEW, false));
            let (whole, tally) =
                reply(upstream, dialect, said.to_string().as_bytes(), &old, Quirks::of(upstream)).unwrap();
            let mut stream = BytesMut::new();
            stream_from_reply(upstream, dialect, said.to_string().as_bytes(), &old, Quirks::of(upstream), &mut stream)
                .unwrap();
            assert!(tally.usage.is_some());

            let again = retold(&whole, OLD, NEW);
            let (a, tally_a) = reply(dialect, dialect, &again, &new, quirks).unwrap();
            let framing = wire(dialect).framing();
            let events = retold_events(framing, &stream, OLD, NEW);
            let (b, tally_b) = reply_from_stream(dialect, &events, &new, quirks).unwrap();
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            for told in [&a, &b] {
                let told = text(told);
                assert!(!told.contains(OLD) && !told.contains("01abcdefghijklmnopqr"), "{dialect}: {told}");
                assert!(told.contains("it rains"), "{dialect}: {told}");
                let value: Value = serde_json::from_str(&told).unwrap();
                for name in BILLS {
                    assert!(value[name]["cost"].as_f64().is_none_or(|cost| cost == 0.0), "{dialect}: {told}");
                }
            }
            for tally in [&tally_a, &tally_b] {
                let usage = tally.usage.as_ref().expect("it is told what was used");
                assert_eq!((usage.input, usage.output), (7, 3), "{dialect}");
                assert_eq!(tally.finish, Some(slip_ir::Finish::Stop), "{dialect}");
            }

            let mut out = BytesMut::new();
            let mut lens = Lens::new(dialect, dialect, new.clone(), quirks);
            lens.push(&events, &mut out);
            let tally = lens.end(End::Eof, &mut out);
            assert!(tally.fault.is_none() && tally.usage.is_some_and(|usage| usage.output == 3), "{dialect}");
            assert!(!text(&out).contains(OLD) && text(&out).contains("it rains"), "{dialect}: {}", text(&out));
            let mut out = BytesMut::new();
            let tally = stream_from_reply(dialect, dialect, &again, &new, quirks, &mut out).unwrap();
            assert_eq!(tally.finish, Some(slip_ir::Finish::Stop), "{dialect}");
            assert!(!text(&out).contains(OLD) && text(&out).contains("it rains"), "{dialect}: {}", text(&out));
        }
    }
}
