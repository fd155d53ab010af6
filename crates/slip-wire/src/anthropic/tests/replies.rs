//! Replies and streams, row by row.

use super::*;
use slip_ir::event::{Kind, Piece, Start};
use slip_ir::request::format;
use slip_ir::{
    Block, Choice, Fault, FaultKind, Finish, Pico, Price, Rates, Remedy, Thinking, ThinkingKind, ToolCall, Usage,
};

fn sse(events: &[Value]) -> String {
    events.iter().map(|e| format!("event: {}\ndata: {e}\n\n", e["type"].as_str().unwrap_or("x"))).collect()
}

fn message_start() -> Value {
    json!({"type":"message_start","message":{"id":"msg_1","model":"claude","content":[],
        "usage":{"input_tokens":10,"output_tokens":1,"service_tier":"standard"}}})
}

fn end(reason: &str) -> [Value; 2] {
    [
        json!({"type":"message_delta","delta":{"stop_reason":reason,"stop_sequence":null},"usage":{"output_tokens":5}}),
        json!({"type":"message_stop"}),
    ]
}

fn start_block(index: u64, block: Value) -> Value {
    json!({"type":"content_block_start","index":index,"content_block":block})
}

fn delta(index: u64, delta: Value) -> Value {
    json!({"type":"content_block_delta","index":index,"delta":delta})
}

fn stop_block(index: u64) -> Value {
    json!({"type":"content_block_stop","index":index})
}

/// The one choice that comes of these events between a start and an `end_turn`.
fn said(events: &[Value]) -> Choice {
    let mut all = vec![message_start()];
    all.extend_from_slice(events);
    all.extend(end("end_turn"));
    let reply = reply_of(&sse(&all));
    assert_eq!(reply.fault, None);
    reply.choices.into_iter().next().expect("a choice")
}

#[test]
fn every_kind_of_block_is_read_from_a_stream() {
    let rows: Vec<(Vec<Value>, Vec<Block>)> = vec![
        (
            vec![
                start_block(0, json!({"type":"text","text":"He"})),
                delta(0, json!({"type":"text_delta","text":"y"})),
                stop_block(0),
            ],
            vec![Block::text("Hey")],
        ),
        (
            vec![
                start_block(0, json!({"type":"tool_use","id":"t","name":"f","input":{}})),
                delta(0, json!({"type":"input_json_delta","partial_json":""})),
                stop_block(0),
            ],
            vec![call("t", "{}")],
        ),
        (
            vec![start_block(0, json!({"type":"tool_use","id":"t","name":"f","input":{"a":1}})), stop_block(0)],
            vec![call("t", r#"{"a":1}"#)],
        ),
        (
            vec![
                start_block(3, json!({"type":"tool_use","id":"t","name":"f","input":{}})),
                start_block(4, json!({"type":"tool_use","id":"u","name":"f","input":{}})),
                delta(4, json!({"type":"input_json_delta","partial_json":"{\"b\""})),
                delta(3, json!({"type":"input_json_delta","partial_json":"{}"})),
                delta(4, json!({"type":"input_json_delta","partial_json":":2}"})),
                stop_block(3),
            ],
            vec![call("t", "{}"), call("u", r#"{"b":2}"#)],
        ),
        (
            vec![
                start_block(0, json!({"type":"thinking","thinking":"","signature":""})),
                delta(0, json!({"type":"thinking_delta","thinking":"hm"})),
                delta(0, json!({"type":"signature_delta","signature":"c2ln"})),
                stop_block(0),
                start_block(1, json!({"type":"redacted_thinking","data":"ZGF0YQ=="})),
                stop_block(1),
            ],
            vec![
                Block::Thinking(Thinking {
                    text: "hm".to_owned(),
                    signature: Some("c2ln".to_owned()),
                    format: format::ANTHROPIC.to_owned(),
                    ..Thinking::default()
                }),
                Block::Thinking(Thinking {
                    kind: ThinkingKind::Encrypted,
                    data: Some("ZGF0YQ==".to_owned()),
                    format: format::ANTHROPIC.to_owned(),
                    ..Thinking::default()
                }),
            ],
        ),
    ];
    for (events, want) in rows {
        assert_eq!(said(&events).blocks, want, "{events:?}");
    }
}

fn call(id: &str, arguments: &str) -> Block {
    Block::ToolCall(ToolCall {
        id: id.to_owned(),
        name: "f".to_owned(),
        arguments: arguments.to_owned(),
        ..ToolCall::default()
    })
}

#[test]
fn server_blocks_are_opaque_and_whole() {
    let choice = said(&[
        start_block(0, json!({"type":"server_tool_use","id":"s","name":"web_search","input":{},"caller":null})),
        delta(0, json!({"type":"input_json_delta","partial_json":"{\"query\":"})),
        delta(0, json!({"type":"input_json_delta","partial_json":"\"x\"}"})),
        stop_block(0),
        start_block(1, json!({"type":"web_search_tool_result","tool_use_id":"s","content":[]})),
        stop_block(1),
        start_block(2, json!({"type":"compaction","content":null})),
        delta(2, json!({"type":"compaction_delta","content":"summary"})),
        stop_block(2),
    ]);
    let raws: Vec<Value> = choice
        .blocks
        .iter()
        .map(|block| match block {
            Block::Opaque { raw, .. } => raw.value(),
            other => panic!("not opaque: {other:?}"),
        })
        .collect();
    assert_eq!(
        raws,
        [
            json!({"type":"server_tool_use","id":"s","name":"web_search","input":{"query":"x"},"caller":null}),
            json!({"type":"web_search_tool_result","tool_use_id":"s","content":[]}),
            json!({"type":"compaction","content":"summary"}),
        ]
    );
}

#[test]
fn citations_become_annotations_on_the_span_they_support() {
    let web = json!({"type":"web_search_result_location","url":"https://x","title":"X","cited_text":"c","encrypted_index":"e"});
    let page = json!({"type":"page_location","document_index":0,"start_page_number":1,"end_page_number":2,"cited_text":"c","document_title":null});
    let want = json!({"type":"url_citation","url_citation":{"url":"https://x","title":"X","content":"c","start_index":4,"end_index":7,"encrypted_index":"e"}});
    let streamed = said(&[
        start_block(0, json!({"type":"text","text":"Hé, "})),
        stop_block(0),
        start_block(1, json!({"type":"text","text":"","citations":[page]})),
        delta(1, json!({"type":"citations_delta","citation":web})),
        delta(1, json!({"type":"text_delta","text":"you"})),
        stop_block(1),
    ]);
    let body = json!({"id":"m","model":"c","stop_reason":"end_turn","content":[
        {"type":"text","text":"Hé, "},{"type":"text","text":"you","citations":[page,web]}]});
    let whole = Anthropic.decode_reply(body.to_string().as_bytes(), &Quirks::ANTHROPIC).expect("a reply");
    assert_eq!(streamed.blocks, whole.choices[0].blocks);
    let Block::Text(text) = &streamed.blocks[1] else { panic!("text") };
    let told: Vec<Value> = text.annotations.iter().map(|a| a.value()).collect();
    let place = json!({"type":"url_citation","url_citation":{"url":"#document-0-page-1","title":"","content":"c","start_index":4,"end_index":7,"location":page}});
    assert_eq!(told, [place, want]);
}

#[test]
fn stop_reasons_have_one_meaning_each() {
    let rows = [
        ("end_turn", Finish::Stop),
        ("stop_sequence", Finish::Stop),
        ("pause_turn", Finish::Stop),
        ("max_tokens", Finish::Length),
        ("model_context_window_exceeded", Finish::Length),
        ("tool_use", Finish::ToolCalls),
        ("refusal", Finish::ContentFilter),
        ("something_new", Finish::Stop),
    ];
    for (word, finish) in rows {
        let mut events = vec![message_start()];
        events.extend(end(word));
        let choice = &reply_of(&sse(&events)).choices[0];
        assert_eq!((choice.finish, choice.native.as_deref()), (Some(finish), Some(word)));
        let shown = gather(&stream_of(
            &[Event::Finish { choice: 0, reason: finish, native: Some(word.to_owned()), stop_sequence: None }],
            &stamp(),
        ));
        let known = word != "something_new";
        assert_eq!(shown["stop_reason"], if known { word } else { "end_turn" });
    }
    for (finish, native, stop, want) in [
        (Finish::Stop, Some("STOP"), None, "end_turn"),
        (Finish::Stop, Some("stop"), Some("x"), "stop_sequence"),
        (Finish::Length, Some("length"), None, "max_tokens"),
        (Finish::ToolCalls, Some("end_turn"), None, "tool_use"),
        (Finish::ContentFilter, None, None, "refusal"),
    ] {
        assert_eq!(super::super::stop_reason(finish, native, stop), want);
    }
}

#[test]
fn a_refusal_without_content_says_why() {
    let details = json!({"type":"refusal","category":"cyber","explanation":"blocked"});
    let stream = sse(&[
        message_start(),
        json!({"type":"message_delta","delta":{"stop_reason":"refusal","stop_sequence":null,"stop_details":details},"usage":{}}),
        json!({"type":"message_stop"}),
    ]);
    let body = json!({"id":"msg_1","model":"claude","content":[],"stop_reason":"refusal","stop_details":details,
        "usage":{"input_tokens":10,"output_tokens":1,"service_tier":"standard"}});
    let whole = Anthropic.decode_reply(body.to_string().as_bytes(), &Quirks::ANTHROPIC).expect("a reply");
    assert_eq!(reply_of(&stream), whole);
    assert_eq!(whole.choices[0].blocks, [Block::Refusal("blocked".to_owned())]);
    let shown = gather(&stream_of_reply(&whole, &stamp()));
    assert_eq!((&shown["content"], &shown["stop_details"]["explanation"]), (&json!([]), &json!("blocked")));
    let mut unexplained = body.clone();
    unexplained["stop_details"] = Value::Null;
    let whole = Anthropic.decode_reply(unexplained.to_string().as_bytes(), &Quirks::ANTHROPIC).expect("a reply");
    assert_eq!(whole.choices[0].blocks, []);
}

#[test]
fn streams_that_break_end_in_one_fault() {
    let hello = [start_block(0, json!({"type":"text","text":"Hi"}))];
    let overloaded = json!({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}});
    let rows: Vec<(String, FaultKind)> = vec![
        (String::new(), FaultKind::Upstream),
        (sse(&[message_start()]), FaultKind::Upstream),
        (sse(&[&[message_start()], &hello[..]].concat()), FaultKind::Upstream),
        (
            sse(&[message_start(), hello[0].clone(), overloaded.clone(), json!({"type":"message_stop"})]),
            FaultKind::Overloaded,
        ),
        (sse(&[overloaded]), FaultKind::Overloaded),
        ("event: error\ndata: {}\n\n".to_owned(), FaultKind::Upstream),
        (format!("{}data: {{\"type\":\n\n", sse(&[message_start()])), FaultKind::Upstream),
    ];
    for (stream, kind) in rows {
        let events = events_of(&stream);
        let faults = events.iter().filter(|e| matches!(e, Event::Fault(_))).count();
        assert_eq!(faults, 1, "{stream}");
        assert!(matches!(events.last(), Some(Event::Fault(f)) if f.kind == kind), "{stream}: {events:?}");
    }
    let body = br#"{"type":"error","error":{"type":"rate_limit_error","message":"slow"},"request_id":"r"}"#;
    let reply = Anthropic.decode_reply(body, &Quirks::ANTHROPIC).expect("an error is a reply");
    assert_eq!(reply.fault.map(|f| f.kind), Some(FaultKind::RateLimited));
    for body in [&b"<html>"[..], b"[]", b"{}", b"{\"content\":7}", b"\xff"] {
        assert!(Anthropic.decode_reply(body, &Quirks::ANTHROPIC).is_err());
    }
}

#[test]
fn a_fault_ends_the_stream_with_an_error_event() {
    let fault = Fault::upstream(FaultKind::Overloaded, Remedy::Again, "the provider is overloaded");
    let text = [
        Event::Open { choice: 0, block: 0, kind: Kind::Text },
        Event::Delta { choice: 0, block: 0, piece: Piece::Text("Hi".to_owned()) },
        Event::Fault(fault),
    ];
    let stream = stream_of(&text, &stamp());
    assert!(!stream.contains("message_stop") && !stream.contains("[DONE]"));
    let last = split(&stream).pop().expect("events");
    assert_eq!(last.0.as_deref(), Some("error"));
    let error: Value = serde_json::from_str(&last.1).expect("JSON");
    assert_eq!(error["error"]["type"], "overloaded_error");
    assert_eq!(error["request_id"], "gen-1-abc");
}

#[test]
fn interleaved_blocks_are_told_one_after_the_other() {
    let open = |block, kind| Event::Open { choice: 0, block, kind };
    let tool = |id: &str| Kind::ToolCall { id: id.to_owned(), name: "f".to_owned(), extra: None };
    let piece = |block, piece| Event::Delta { choice: 0, block, piece };
    let args = |block, text: &str| piece(block, Piece::Arguments(text.to_owned()));
    let text = |block, text: &str| piece(block, Piece::Text(text.to_owned()));
    let close = |block| Event::Close { choice: 0, block };
    let finish = Event::Finish { choice: 0, reason: Finish::ToolCalls, native: None, stop_sequence: None };
    let events = [
        open(0, Kind::Text),
        text(0, "a"),
        open(1, tool("t1")),
        args(1, "{\"x\""),
        text(0, "b"),
        open(2, tool("")),
        args(2, "{}"),
        args(1, ":1}"),
        Event::Open { choice: 1, block: 0, kind: Kind::Text },
        Event::Ping,
        finish,
        close(0),
    ];
    let shown = gather(&stream_of(&events, &stamp()));
    let content = shown["content"].as_array().expect("content");
    assert_eq!(content.len(), 4, "{content:?}");
    assert_eq!((&content[0]["text"], &content[2]["text"]), (&json!("a"), &json!("b")));
    assert_eq!((&content[1]["id"], &content[1]["input"]), (&json!("t1"), &json!({"x":1})));
    assert_eq!(content[3]["input"], json!({}));
    assert!(content[3]["id"].as_str().is_some_and(|id| id.starts_with("toolu_")), "an id is minted");
}

#[test]
fn hidden_reasoning_leaves_its_signature_only() {
    let hidden = Arc::new(Stamp { hide_reasoning: true, ..(*stamp()).clone() });
    let thought = |signature: Option<&str>| {
        Block::Thinking(Thinking {
            text: "t".to_owned(),
            signature: signature.map(str::to_owned),
            format: format::ANTHROPIC.to_owned(),
            ..Thinking::default()
        })
    };
    let reply = Reply {
        choices: vec![Choice {
            blocks: vec![thought(None), thought(Some("s")), Block::text("x")],
            finish: Some(Finish::Stop),
            ..Choice::default()
        }],
        ..Reply::default()
    };
    let whole: Value = serde_json::from_slice(&Anthropic.encode_reply(&reply, &hidden)).expect("JSON");
    let streamed = gather(&stream_of_reply(&reply, &hidden));
    assert_eq!(whole["content"], streamed["content"]);
    assert_eq!(whole["content"][0], json!({"type":"thinking","thinking":"","signature":"s"}));
    assert_eq!(whole["content"].as_array().map(Vec::len), Some(2));
}

#[test]
fn money_is_written_exactly_and_never_guessed() {
    let usage = Usage {
        input: 1000,
        cache_read: 10,
        cache_write: 5,
        cache_write_1h: 6,
        output: 100,
        reasoning: 20,
        web_searches: 1,
        ..Usage::default()
    };
    let price = Arc::new(Price {
        rates: Rates { input: Pico(3_000_000), output: Pico(15_000_000), ..Rates::default() },
        ..Price::default()
    });
    let reply = Reply {
        start: Start { service_tier: Some("standard".to_owned()), ..Start::default() },
        choices: vec![Choice { blocks: vec![Block::text("x")], finish: Some(Finish::Stop), ..Choice::default() }],
        usage: Some(usage),
        fault: None,
    };
    let base = (*stamp()).clone();
    let rows = [
        (Stamp { price: Some(price.clone()), ..base.clone() }, "0.004863", Value::Null, Value::Null),
        (Stamp { price: Some(price), byok: true, ..base.clone() }, "0", Value::Null, json!(0.004863)),
        (base, "0", json!(true), Value::Null),
    ];
    for (stamp, cost, unknown, upstream) in rows {
        let stamp = Arc::new(stamp);
        let body = String::from_utf8(Anthropic.encode_reply(&reply, &stamp)).expect("UTF-8");
        let stream = stream_of_reply(&reply, &stamp);
        for text in [&body, &stream] {
            assert!(text.contains(&format!("\"cost\":{cost},")), "{text}");
        }
        let whole: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(gather(&stream)["usage"], whole["usage"]);
        let usage = &whole["usage"];
        assert_eq!(usage.get("cost_unknown").cloned().unwrap_or_default(), unknown);
        assert_eq!(usage["cost_details"]["upstream_inference_cost"], upstream);
        assert_eq!((&usage["input_tokens"], &usage["output_tokens"]), (&json!(1000), &json!(120)));
        assert_eq!(usage["cache_creation_input_tokens"], 11);
        assert_eq!(usage["cache_creation"], json!({"ephemeral_5m_input_tokens":5,"ephemeral_1h_input_tokens":6}));
        assert_eq!(usage["output_tokens_details"], json!({"thinking_tokens":20}));
        assert_eq!(usage["service_tier"], "standard");
    }
}

#[test]
fn without_a_count_the_usage_is_estimated() {
    let reply = Reply {
        choices: vec![Choice {
            blocks: vec![Block::text("12345678")],
            finish: Some(Finish::Stop),
            ..Choice::default()
        }],
        ..Reply::default()
    };
    let whole: Value = serde_json::from_slice(&Anthropic.encode_reply(&reply, &stamp())).expect("JSON");
    for usage in [&whole["usage"], &gather(&stream_of_reply(&reply, &stamp()))["usage"]] {
        assert_eq!((&usage["input_tokens"], &usage["output_tokens"]), (&json!(7), &json!(2)));
        assert_eq!(usage["estimated"], true);
    }
}

#[test]
fn an_event_is_one_line_however_its_parts_were_spelt() {
    let body = "{\"content\": [\n {\"type\": \"server_tool_use\",\r\n \"id\": \"s\",\n \"input\": {\n\"q\": \"a\\nb\"\n}},\n {\"type\": \"x_result\",\n \"y\": [\n1]}],\n \"stop_reason\": \"end_turn\"}";
    let reply = Anthropic.decode_reply(body.as_bytes(), &Quirks::ANTHROPIC).expect("a reply");
    let stream = stream_of_reply(&reply, &stamp());
    for line in stream.lines() {
        assert!(line.is_empty() || line.starts_with("event: ") || line.starts_with("data: "), "{line:?}");
    }
    assert!(!stream.contains('\r'));
    assert_eq!(reply_of(&stream).choices, reply.choices);
}

#[test]
fn depth_is_nobodys_downfall() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let body = format!(
        "{{\"messages\":[{{\"role\":\"user\",\"content\":\"x\"}}],\"container\":{deep},\"tools\":[{{\"name\":\"f\",\"input_schema\":{{\"a\":{deep}}}}}]}}"
    );
    let (request, _) = Anthropic.decode_request(body.as_bytes()).expect("depth is judged elsewhere");
    assert!(Anthropic.encode_request(&request, &Quirks::ANTHROPIC).0.len() > 800_000);
    let reply = format!("{{\"content\":[{{\"type\":\"x\",\"y\":{deep}}}]}}");
    let reply = Anthropic.decode_reply(reply.as_bytes(), &Quirks::ANTHROPIC).expect("a reply");
    assert!(stream_of_reply(&reply, &stamp()).len() > 400_000);
}

#[test]
fn a_stream_whose_thoughts_are_hidden_ends_in_the_answer_and_not_in_its_signature() {
    let hidden = Arc::new(Stamp { hide_reasoning: true, ..(*stamp()).clone() });
    let signed = Block::Text(slip_ir::Text {
        text: "x".to_owned(),
        signature: Some("s".to_owned()),
        ..slip_ir::Text::default()
    });
    let alone = Block::Thinking(Thinking {
        signature: Some("s".to_owned()),
        format: format::GEMINI.to_owned(),
        ..Thinking::default()
    });
    for blocks in [vec![signed], vec![Block::text("x"), alone]] {
        let choices = vec![Choice { blocks, finish: Some(Finish::Stop), ..Choice::default() }];
        let reply = Reply { choices, ..Reply::default() };
        let kinds = |stamp: &Arc<Stamp>| -> Vec<String> {
            let message = gather(&stream_of_reply(&reply, stamp));
            let blocks = message["content"].as_array().cloned().unwrap_or_default();
            blocks.iter().map(|b| b["type"].as_str().unwrap_or_default().to_owned()).collect()
        };
        assert_eq!(kinds(&hidden), ["text"]);
        assert_eq!(kinds(&stamp()).len(), 2, "who sees thoughts gets the signature");
    }
}
