//! Laws: what is written is read back as it was, and nothing a peer sends breaks the grammar.

use super::made::{data, event, reply, request};
use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use slip_ir::Finish;
use std::collections::BTreeSet;

/// `Start (Open Delta* Close | Ping | Usage)* Finish? Usage*`, and a fault last.
fn keeps_the_grammar(events: &[Event]) {
    let mut open = BTreeSet::new();
    let mut opened = 0;
    let mut finished = false;
    for (n, event) in events.iter().enumerate() {
        match event {
            Event::Start(_) => assert_eq!(n, 0, "the start is first"),
            Event::Fault(_) => assert_eq!(n + 1, events.len(), "the fault is last"),
            _ => assert!(matches!(events[0], Event::Start(_)), "nothing comes before the start: {events:?}"),
        }
        match event {
            Event::Open { block, .. } => {
                assert_eq!(*block, opened, "numbers are minted in order");
                opened += 1;
                assert!(open.insert(*block));
            }
            Event::Delta { block, .. } => assert!(open.contains(block), "deltas are for open blocks"),
            Event::Close { block, .. } => assert!(open.remove(block), "open blocks are closed"),
            Event::Finish { .. } => {
                assert!(open.is_empty() && !std::mem::replace(&mut finished, true), "one finish, nothing open");
            }
            _ => {}
        }
        let after = matches!(event, Event::Finish { .. } | Event::Usage(_) | Event::Fault(_) | Event::Ping);
        assert!(!finished || after, "only counts follow the finish: {events:?}");
    }
    assert!(open.is_empty(), "nothing stays open");
    assert!(finished || matches!(events.last(), Some(Event::Fault(_))), "it ends in a finish or a fault");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_request_that_loses_nothing_is_read_back_as_it_was(request in request()) {
        let (body, losses) = Anthropic.encode_request(&request, &Quirks::ANTHROPIC);
        prop_assert_eq!(losses, vec![]);
        let (again, losses) = Anthropic.decode_request(&body).expect("our own request");
        prop_assert_eq!(losses, vec![]);
        prop_assert_eq!(again, request);
    }

    #[test]
    fn a_reply_is_read_back_as_it_was_whole_or_streamed(reply in reply()) {
        let unpriced = |mut reply: Reply| {
            if let Some(usage) = &mut reply.usage {
                usage.upstream_cost = None;
            }
            reply
        };
        let whole = Anthropic.encode_reply(&reply, &stamp());
        let stream = stream_of_reply(&reply, &stamp());
        let as_value: Value = serde_json::from_slice(&whole).expect("JSON");
        prop_assert_eq!(&gather(&stream)["usage"], &as_value["usage"]);
        prop_assert_eq!(unpriced(Anthropic.decode_reply(&whole, &Quirks::ANTHROPIC).expect("our own reply")), reply.clone());
        prop_assert_eq!(unpriced(reply_of(&stream)), reply);
    }

    #[test]
    fn any_events_make_a_stream_clients_can_read(events in vec(event(), 0..40), finish in any::<bool>()) {
        let mut events = events;
        if finish {
            events.push(Event::Finish { choice: 0, reason: Finish::Stop, native: None, stop_sequence: None });
        }
        let stream = stream_of(&events, &stamp());
        let message = gather(&stream);
        prop_assert_eq!(&message["type"], "message");
        keeps_the_grammar(&events_of(&stream));
    }

    #[test]
    fn any_stream_keeps_the_grammar(frames in vec(data(), 0..24)) {
        let stream: String = frames.iter().map(|data| format!("data: {data}\n\n")).collect();
        keeps_the_grammar(&events_of(&stream));
    }

    #[test]
    fn any_bytes_at_all_are_survived(bytes in vec(any::<u8>(), 0..200), head in 0usize..4) {
        let heads: [&[u8]; 4] = [b"", b"{\"type\":\"content_block_start\",", b"{\"messages\":[", b"{\"content\":["];
        let body = [heads[head], &bytes].concat();
        let mut decoder = Anthropic.decoder(&Quirks::ANTHROPIC);
        let mut events = Vec::new();
        decoder.frame(&Frame { event: None, data: &body }, &mut events);
        decoder.eof(&mut events);
        keeps_the_grammar(&events);
        prop_assert!(Anthropic.decode_request(&body).is_err());
        let reply = Anthropic.decode_reply(&body, &Quirks::ANTHROPIC);
        prop_assert!(reply.is_err() || reply.is_ok_and(|reply| reply.fault.is_some() || !reply.choices.is_empty()));
        let fault = Anthropic.decode_error(500, &http::HeaderMap::new(), &body);
        prop_assert!(fault.raw.is_none_or(|raw| !raw.chars().any(char::is_control)));
    }
}
