//! Laws: what is written is read back as it was, and nothing a peer sends breaks the grammar.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use slip_ir::event::{Kind, Piece};
use slip_ir::request::format;
use slip_ir::{Block, Choice, Finish, Text, Thinking, ThinkingKind, ToolCall, Usage};
use std::collections::BTreeSet;

/// `Start (Open Delta* Close)* Finish? Usage*`, and a fault last.
fn keeps_the_grammar(events: &[Event]) {
    let (mut open, mut opened, mut finished) = (BTreeSet::new(), 0, false);
    for (n, event) in events.iter().enumerate() {
        match event {
            Event::Start(_) => assert_eq!(n, 0, "the start is first"),
            Event::Fault(_) => assert_eq!(n + 1, events.len(), "the fault is last"),
            _ => assert!(matches!(events[0], Event::Start(_)), "nothing comes before the start: {events:?}"),
        }
        match event {
            Event::Open { block, .. } => {
                assert_eq!(*block, opened, "numbers are minted in order: {events:?}");
                opened += 1;
                assert!(open.insert(*block));
            }
            Event::Delta { block, .. } => assert!(open.contains(block), "deltas are for open blocks"),
            Event::Close { block, .. } => assert!(open.remove(block), "open blocks are closed"),
            Event::Finish { .. } => assert!(open.is_empty() && !std::mem::replace(&mut finished, true)),
            _ => {}
        }
        let after = matches!(event, Event::Finish { .. } | Event::Usage(_) | Event::Fault(_));
        assert!(!finished || after, "only counts follow the finish: {events:?}");
    }
    assert!(open.is_empty(), "nothing stays open");
    assert!(finished || matches!(events.last(), Some(Event::Fault(_))), "it ends in a finish or a fault");
}

fn words() -> impl Strategy<Value = String> {
    proptest::sample::select(vec!["a", "zażółć \u{1F600}", "\"quoted\"\n", "x y", "{}"]).prop_map(str::to_owned)
}

fn block() -> impl Strategy<Value = Block> {
    prop_oneof![
        words().prop_map(|text| Block::Text(Text::plain(text))),
        (words(), words()).prop_map(|(text, signature)| Block::Thinking(Thinking {
            text,
            signature: Some(signature),
            format: format::ANTHROPIC.to_owned(),
            ..Thinking::default()
        })),
        Just(Block::Thinking(Thinking {
            kind: ThinkingKind::Encrypted,
            data: Some("RXRrRUNrZ0k9".to_owned()),
            format: format::ANTHROPIC.to_owned(),
            ..Thinking::default()
        })),
        (words(), proptest::sample::select(vec!["{}", r#"{"a":1.0}"#])).prop_map(|(name, arguments)| {
            Block::ToolCall(ToolCall { id: "t_1".into(), name, arguments: arguments.to_owned(), ..ToolCall::default() })
        }),
    ]
}

fn reply() -> impl Strategy<Value = Reply> {
    let counts = proptest::option::of((0u64..99, 1u64..99, 0u64..99, 0u64..99, 0u64..99));
    (vec(block(), 0..6), counts, any::<bool>()).prop_map(|(blocks, counts, length)| Reply {
        choices: vec![Choice {
            finish: Some(if length { Finish::Length } else { Finish::Stop }),
            native: Some(if length { "max_tokens" } else { "end_turn" }.to_owned()),
            blocks,
            ..Choice::default()
        }],
        usage: counts.map(|(input, output, cache_read, cache_write, cache_write_1h)| Usage {
            input,
            output,
            cache_read,
            cache_write,
            cache_write_1h,
            ..Usage::default()
        }),
        ..Reply::default()
    })
}

fn event() -> impl Strategy<Value = Event> {
    let kind = prop_oneof![
        Just(Kind::Text),
        Just(Kind::Refusal),
        Just(Kind::Thinking { kind: ThinkingKind::Text, format: format::GEMINI.to_owned(), id: None }),
        Just(Kind::Thinking { kind: ThinkingKind::Encrypted, format: String::new(), id: None }),
        Just(Kind::ToolCall { id: String::new(), name: "f".to_owned(), extra: None }),
    ];
    let piece = prop_oneof![
        words().prop_map(Piece::Text),
        words().prop_map(Piece::Arguments),
        words().prop_map(Piece::Signature),
        words().prop_map(Piece::Data),
    ];
    prop_oneof![
        (0u32..2, 0u32..4, kind).prop_map(|(choice, block, kind)| Event::Open { choice, block, kind }),
        (0u32..2, 0u32..4, piece).prop_map(|(choice, block, piece)| Event::Delta { choice, block, piece }),
        (0u32..2, 0u32..4).prop_map(|(choice, block)| Event::Close { choice, block }),
        Just(Event::Usage(Usage { input: 3, output: 2, ..Usage::default() })),
        Just(Event::Ping),
    ]
}

/// Messages a server sends, in no order, some of them nonsense.
fn payload() -> impl Strategy<Value = (String, Value)> {
    let index = || prop_oneof![Just(json!(0)), Just(json!(1)), Just(json!(7)), Just(Value::Null)];
    let delta = proptest::sample::select(vec![
        json!({"text": "a"}),
        json!({"toolUse": {"input": "{"}}),
        json!({"toolResult": [{"text": "r"}, 5]}),
        json!({"reasoningContent": {"text": "t"}}),
        json!({"reasoningContent": {"signature": "s"}}),
        json!({"reasoningContent": {"redactedContent": "QUFBQQ=="}}),
        json!({"citation": {"location": {"web": {"url": "u"}}}}),
        json!({"image": {"source": {"bytes": "AAAA"}}}),
        json!({"text": 5}),
        json!({}),
        json!([]),
    ]);
    let start = proptest::sample::select(vec![
        json!({"toolUse": {"toolUseId": "t", "name": "f"}}),
        json!({"toolUse": {"toolUseId": "t", "name": "f", "type": "server_tool_use"}}),
        json!({"toolResult": {"toolUseId": "t"}}),
        json!({"image": {"format": "png"}}),
        json!({"video": 5}),
    ]);
    let named = |name: &'static str| move |payload: Value| (name.to_owned(), payload);
    prop_oneof![
        (index(), delta)
            .prop_map(|(i, d)| json!({"contentBlockIndex": i, "delta": d}))
            .prop_map(named("contentBlockDelta")),
        (index(), start)
            .prop_map(|(i, s)| json!({"contentBlockIndex": i, "start": s}))
            .prop_map(named("contentBlockStart")),
        index().prop_map(|i| json!({ "contentBlockIndex": i })).prop_map(named("contentBlockStop")),
        Just(("messageStart".to_owned(), json!({"role": "assistant"}))),
        Just(("messageStop".to_owned(), json!({"stopReason": "tool_use"}))),
        Just(("messageStop".to_owned(), json!("?"))),
        Just(("metadata".to_owned(), json!({"usage": {"inputTokens": 1, "outputTokens": 2}}))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_reply_is_read_back_as_it_was_whole_or_streamed(reply in reply()) {
        let mut again = read(&whole(&reply));
        let mut told = folded(&streamed(&reply));
        if reply.usage.is_none() {
            // Then there is an estimate, marked as one.
            prop_assert_eq!(&whole(&reply)["usage"]["estimated"], &json!(true));
            (again.usage, told.usage) = (None, None);
        }
        prop_assert_eq!(&again, &reply);
        prop_assert_eq!(&told, &reply);
    }

    #[test]
    fn any_events_make_a_stream_clients_can_read(events in vec(event(), 0..40)) {
        let (mut encoder, mut out) = (Bedrock.encoder(stamp()), BytesMut::new());
        events.iter().for_each(|event| encoder.event(event, &mut out));
        encoder.eof(&mut out);
        let messages = frames(&out);
        let (mut open, mut next) = (None, 0);
        for (name, payload) in &messages {
            let index = payload["contentBlockIndex"].as_u64();
            match name.as_str() {
                "contentBlockStart" => {
                    prop_assert_eq!((open, index), (None, Some(next)));
                    open = index;
                }
                "contentBlockDelta" => {
                    prop_assert!(open == index || open.is_none() && index == Some(next), "{:?}", messages);
                    open = index;
                }
                "contentBlockStop" => {
                    prop_assert!(open == index || open.is_none() && index == Some(next));
                    (open, next) = (None, next + 1);
                }
                _ => prop_assert_eq!(open, None),
            }
        }
        let first = messages.first().map(|(name, _)| name.as_str());
        let last = messages.last().map(|(name, _)| name.as_str());
        prop_assert_eq!((first, last), (Some("messageStart"), Some("metadata")));
        keeps_the_grammar(&events_of(&messages));
    }

    #[test]
    fn any_stream_keeps_the_grammar(messages in vec(payload(), 0..24)) {
        keeps_the_grammar(&events_of(&messages));
    }

    #[test]
    fn any_bytes_at_all_are_survived(bytes in vec(any::<u8>(), 0..200), name in proptest::sample::select(super::super::decoder::EVENTS.to_vec())) {
        let _ = Bedrock.decode_request(&bytes);
        let _ = Bedrock.decode_reply(&bytes, &Quirks::BEDROCK);
        let _ = Bedrock.decode_error(400, &http::HeaderMap::new(), &bytes);
        let (mut decoder, mut events) = (Bedrock.decoder(&Quirks::BEDROCK), Vec::new());
        decoder.frame(&Frame { event: Some(name), data: &bytes }, &mut events);
        decoder.eof(&mut events);
        keeps_the_grammar(&events);
    }
}
