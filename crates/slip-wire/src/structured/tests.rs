//! Which way a format goes, what is asked, and how the answer comes back.

use super::*;
use crate::{End, Lens, Stamp, lens, wire};
use bytes::BytesMut;
use serde_json::{Value, json};
use slip_ir::{Effort, Reasoning};
use std::sync::Arc;

fn schema(text: &str) -> Format {
    Format::JsonSchema {
        name: "n".into(),
        schema: Raw::parse(text).expect("JSON"),
        strict: Some(true),
        description: None,
    }
}

const OBJECT: &str = r#"{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}"#;

fn asked(format: Format) -> Request {
    let turns = vec![Turn::new(Role::User, vec![Block::text("hi")])];
    Request { model: "m".into(), turns, format: Some(format), ..Request::default() }
}

#[test]
fn the_way_depends_on_the_upstream_and_on_what_else_is_asked() {
    use Dialect::{Anthropic, Bedrock, Cohere, Completions, Gemini, Ollama, OpenAiChat};
    let only = |structured| Quirks { structured, ..Quirks::OPENAI_CHAT };
    let full = Quirks::OPENAI_CHAT;
    let old = Quirks { structured: Structured::Unsaid, ..Quirks::ANTHROPIC };
    let rows: Vec<(Dialect, &Quirks, Format, bool, Option<Way>)> = vec![
        (OpenAiChat, &full, schema(OBJECT), true, None),
        (Gemini, &full, schema(OBJECT), true, None),
        (Ollama, &full, Format::JsonObject, true, None),
        (Cohere, &full, schema(OBJECT), true, None),
        (Anthropic, &full, schema(OBJECT), true, None),
        (Anthropic, &full, Format::JsonObject, true, Some(Way::Prompt)),
        (Anthropic, &old, schema(OBJECT), true, Some(Way::Tool)),
        (Bedrock, &full, schema(OBJECT), true, Some(Way::Tool)),
        (Bedrock, &full, schema(OBJECT), false, Some(Way::Prompt)),
        (Bedrock, &full, schema(r#"{"type":"array"}"#), true, Some(Way::Prompt)),
        (Bedrock, &full, Format::Text, true, None),
        (Completions, &full, schema(OBJECT), true, Some(Way::Prompt)),
    ];
    for (to, quirks, format, can_force, want) in rows {
        let shown = format!("{to} {format:?} {can_force}");
        assert_eq!(way(&asked(format), to, quirks, can_force), want, "{shown}");
    }
    for (structured, wants_schema, wants_object) in [
        (Structured::JsonSchema, None, None),
        (Structured::JsonObject, Some(Way::Tool), None),
        (Structured::Unsaid, Some(Way::Tool), Some(Way::Prompt)),
    ] {
        assert_eq!(way(&asked(schema(OBJECT)), OpenAiChat, &only(structured), true), wants_schema, "{structured:?}");
        assert_eq!(
            way(&asked(Format::JsonObject), OpenAiChat, &only(structured), true),
            wants_object,
            "{structured:?}"
        );
    }
    let mut thinks = asked(schema(OBJECT));
    thinks.reasoning = Some(Reasoning { effort: Some(Effort::High), ..Reasoning::default() });
    assert_eq!(way(&thinks, Bedrock, &full, true), Some(Way::Prompt), "a model that thinks cannot be forced");
    let mut tools = asked(schema(OBJECT));
    tools.tools = vec![Tool::Function(Function { name: "f".into(), ..Function::default() })];
    assert_eq!(way(&tools, Bedrock, &full, true), Some(Way::Prompt), "the caller's own tools are not mixed with ours");
}

#[test]
fn what_is_asked_for_instead_is_told() {
    let quirks = Quirks { structured: Structured::JsonObject, ..Quirks::OPENAI_CHAT };
    let mut request = asked(schema(OBJECT));
    let loss = impose(&mut request, Way::Tool, Dialect::OpenAiChat, &quirks).expect("a loss");
    assert_eq!((loss.to_string(), loss.counts()), ("response_format: by forced tool".into(), true));
    let (body, losses) = wire(Dialect::OpenAiChat).encode_request(&request, &quirks);
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(body["tool_choice"]["function"]["name"], TOOL);
    assert_eq!((body["tools"][0]["function"]["parameters"]["required"][0].clone(), losses.len()), (json!("a"), 0));
    assert!(body.get("response_format").is_none());

    let mut request = asked(schema(OBJECT));
    request.turns.insert(0, Turn::new(Role::System, vec![Block::text("Be brief.")]));
    let loss = impose(&mut request, Way::Prompt, Dialect::OpenAiChat, &quirks).expect("a loss");
    assert_eq!(loss.to_string(), "response_format: by prompt");
    let (body, _) = wire(Dialect::OpenAiChat).encode_request(&request, &quirks);
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    let system = body["messages"][0]["content"].to_string();
    assert!(system.contains("Be brief.") && system.contains("JSON Schema") && system.contains("required"), "{body}");
    assert_eq!(body["response_format"]["type"], "json_object");
}

fn stamp() -> Arc<Stamp> {
    Arc::new(Stamp { id: "gen-1-x".into(), model: "m/n".into(), provider: "P".into(), ..Stamp::default() })
}

fn streamed(way: Way, deltas: &[Value], finish: &str) -> (String, Value) {
    let mut lens = Lens::shaped(
        Dialect::OpenAiChat,
        Dialect::OpenAiChat,
        stamp(),
        &Quirks::OPENAI_CHAT,
        &Reshape { way: Some(way), ..Reshape::default() },
    );
    let mut out = BytesMut::new();
    for delta in deltas {
        lens.push(format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": delta}]})).as_bytes(), &mut out);
    }
    let last = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]});
    lens.push(format!("data: {last}\n\ndata: [DONE]\n\n").as_bytes(), &mut out);
    let tally = lens.end(End::Eof, &mut out);
    assert_eq!(tally.fault, None);
    let text = String::from_utf8(out.to_vec()).expect("text");
    let events: Vec<Value> =
        text.lines().filter_map(|l| serde_json::from_str(l.strip_prefix("data: ")?).ok()).collect();
    let said = events.iter().filter_map(|e| e["choices"][0]["delta"]["content"].as_str()).collect();
    let finish = events.iter().map(|e| e["choices"][0]["finish_reason"].clone()).find(|f| !f.is_null());
    assert!(!text.contains("tool_calls\":["), "{text}");
    (said, finish.unwrap_or_default())
}

#[test]
fn a_forced_tools_arguments_are_streamed_as_text() {
    let call = |name: &str, arguments: &str| json!({"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": name, "arguments": arguments}}]});
    let more = |arguments: &str| json!({"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]});
    let rows: Vec<(Vec<Value>, &str, &str)> = vec![
        (vec![call(TOOL, ""), more("{\"a\""), more(":1}")], "tool_calls", "{\"a\":1}"),
        (vec![json!({"content": "Let me see."}), call(TOOL, "{\"a\":1}")], "tool_calls", "{\"a\":1}"),
        (vec![call(TOOL, "")], "tool_calls", "{}"),
        // It would not be forced: then its words are the answer.
        (vec![json!({"content": "{\"a\":"}), json!({"content": "2}"})], "stop", "{\"a\":2}"),
    ];
    for (deltas, finish, want) in rows {
        let shown = format!("{deltas:?}");
        assert_eq!(streamed(Way::Tool, &deltas, finish), (want.to_owned(), json!("stop")), "{shown}");
    }
    let fenced = [json!({"content": "```js"}), json!({"content": "on\n{\"a\":1}\n`"}), json!({"content": "``"})];
    assert_eq!(streamed(Way::Prompt, &fenced, "stop"), ("\n{\"a\":1}".to_owned(), json!("stop")));
}

#[test]
fn a_whole_reply_is_cleaned_and_what_it_said_is_handed_over() {
    let body = |content: Value, calls: Value, finish: &str| {
        json!({"id": "a", "choices": [{"index": 0, "message": {"role": "assistant", "content": content, "tool_calls": calls}, "finish_reason": finish}],
               "usage": {"prompt_tokens": 3, "completion_tokens": 2}})
        .to_string()
    };
    let call = json!([{"id": "c", "type": "function", "function": {"name": TOOL, "arguments": "{\"a\":1}"}}]);
    let rows = [
        (Way::Tool, body(Value::Null, call, "tool_calls"), "{\"a\":1}", true),
        (Way::Prompt, body(json!("Sure!\n```json\n{\"a\":1}\n```"), Value::Null, "stop"), "{\"a\":1}", true),
        (Way::Prompt, body(json!("{\"a\":1"), Value::Null, "length"), "{\"a\":1", false),
    ];
    let earlier = slip_ir::Usage { input: 10, output: 5, ..slip_ir::Usage::default() };
    for caller in Dialect::ALL {
        for (way, body, want, complete) in &rows {
            let quirks = Quirks::OPENAI_CHAT;
            let shaped = lens::shaped(
                Dialect::OpenAiChat,
                caller,
                body.as_bytes(),
                &stamp(),
                &quirks,
                &Reshape { way: Some(*way), ..Reshape::default() },
                Some(&earlier),
            );
            let (bytes, tally, said) = shaped.expect("a reply");
            let text = String::from_utf8(bytes).expect("text");
            let escaped = serde_json::to_string(want).expect("a string");
            assert!(text.contains(&escaped), "{caller}: {text}");
            assert_eq!(said, if *complete { vec![(*want).to_owned()] } else { vec![] }, "{caller}");
            assert_eq!(tally.usage.map(|u| (u.input, u.output)), Some((13, 7)), "{caller}: both answers are paid for");
        }
    }
}

#[test]
fn annotations_of_ours_stand_beside_the_first_words_or_before_the_end() {
    let note = Raw::parse(r#"{"type":"file","file":{"hash":"h","name":"n"}}"#).expect("JSON");
    let reshape = Reshape { way: None, annotations: vec![note] };
    let call = json!([{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]);
    for message in [
        json!({"role": "assistant", "content": "hi"}),
        json!({"role": "assistant", "content": null, "tool_calls": call}),
    ] {
        let body =
            json!({"id": "a", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).to_string();
        let (up, quirks) = (Dialect::OpenAiChat, Quirks::OPENAI_CHAT);
        let (whole, tally, said) =
            lens::shaped(up, up, body.as_bytes(), &stamp(), &quirks, &reshape, None).expect("a reply");
        let whole: Value = serde_json::from_slice(&whole).expect("JSON");
        let told = whole["choices"][0]["message"]["annotations"].clone();
        assert_eq!((told[0]["file"]["hash"].clone(), told.as_array().map(Vec::len)), (json!("h"), Some(1)), "{whole}");
        assert!(said.is_empty() && tally.losses.is_empty(), "{tally:?}");
        let mut out = BytesMut::new();
        lens::shaped_stream_from_reply(up, up, body.as_bytes(), &stamp(), &quirks, &reshape, &mut out)
            .expect("a stream");
        assert_eq!(String::from_utf8_lossy(&out).matches("\"hash\":\"h\"").count(), 1);
    }
}

#[test]
fn whatever_a_model_does_every_event_has_its_block() {
    use slip_ir::{BlockKind, Event, Finish, Piece};
    let mut state = 7u64;
    let mut roll = |sides: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % sides.max(1)
    };
    for round in 0..2000 {
        let way = [Some(Way::Tool), Some(Way::Prompt), None][roll(3)];
        let note = Raw::parse("{}").into_iter().collect();
        let mut shape = Shape::new(&Reshape { way, annotations: note });
        let (mut open, mut used, mut out) = (Vec::new(), 0u32, Vec::new());
        let steps = roll(30);
        for _ in 0..steps {
            let event = match roll(5) {
                0 => {
                    used += 1;
                    open.push(used);
                    let name = if roll(2) == 0 { TOOL } else { "f" };
                    let kind = match roll(3) {
                        0 => BlockKind::ToolCall { id: "c".into(), name: name.into(), extra: None },
                        _ => BlockKind::Text,
                    };
                    Event::Open { choice: 0, block: used, kind }
                }
                1 | 2 => match open.get(roll(open.len())) {
                    Some(block) => {
                        let text = "x`\n".repeat(if roll(20) == 0 { 40_000 } else { 1 });
                        let piece = if roll(2) == 0 { Piece::Text(text) } else { Piece::Arguments(text) };
                        Event::Delta { choice: 0, block: *block, piece }
                    }
                    None => Event::Ping,
                },
                3 if !open.is_empty() => {
                    let block = open.swap_remove(roll(open.len()));
                    Event::Close { choice: 0, block }
                }
                _ => Event::Ping,
            };
            shape.event(event, |event| out.push(event));
        }
        for block in open {
            shape.event(Event::Close { choice: 0, block }, |event| out.push(event));
        }
        let reason = Finish::ToolCalls;
        shape.event(Event::Finish { choice: 0, reason, native: None, stop_sequence: None }, |event| out.push(event));
        let mut now: Vec<u32> = Vec::new();
        for event in &out {
            match event {
                Event::Open { block, .. } => now.push(*block),
                Event::Delta { block, .. } => assert!(now.contains(block), "{round} {way:?}: {out:?}"),
                Event::Close { block, .. } => {
                    assert!(now.contains(block), "{round} {way:?}: {out:?}");
                    now.retain(|open| open != block);
                }
                _ => {}
            }
        }
        assert!(now.is_empty(), "{round} {way:?}");
    }
}

#[test]
fn any_split_of_a_stream_gives_the_same_output() {
    let chunk = |delta: Value, finish: Value| {
        format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}))
    };
    let call = |arguments: &str| json!({"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": TOOL, "arguments": arguments}}]});
    let mut bytes = chunk(json!({"content": "```json\nwords"}), Value::Null);
    bytes += &chunk(call("{\"a\":"), Value::Null);
    bytes += &chunk(json!({"tool_calls": [{"index": 0, "function": {"arguments": "\"ü\"}"}}]}), Value::Null);
    bytes += &chunk(json!({}), json!("tool_calls"));
    bytes += "data: [DONE]\n\n";
    for way in [Way::Tool, Way::Prompt] {
        for caller in Dialect::ALL {
            let crossed = |pieces: [&[u8]; 2]| {
                let reshape = Reshape { way: Some(way), annotations: Vec::new() };
                let mut lens = Lens::shaped(Dialect::OpenAiChat, caller, stamp(), &Quirks::OPENAI_CHAT, &reshape);
                let mut out = BytesMut::new();
                pieces.iter().for_each(|piece| lens.push(piece, &mut out));
                let tally = lens.end(End::Eof, &mut out);
                (out, tally)
            };
            let whole = crossed([bytes.as_bytes(), b""]);
            for at in 1..bytes.len() {
                let (one, two) = bytes.as_bytes().split_at(at);
                assert_eq!(crossed([one, two]), whole, "{way:?} to {caller}, cut at {at}");
            }
        }
    }
}
