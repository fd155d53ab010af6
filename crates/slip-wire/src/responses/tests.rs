//! Both ways at once: what callers send, what upstreams get, and what comes of it.

use super::*;
use crate::frame::sse::Sse;
use crate::{End, Lens, Peek, cross, lens, wire};
use serde_json::{Value, json};
use slip_ir::{Block, FaultKind, Finish, Role, ThinkingKind, ToolChoice};

/// What a coding agent sends: instructions, functions and free-text tools, a sealed history, nothing kept.
fn agent() -> Value {
    json!({
        "model": "m", "instructions": "You are an agent.", "stream": true, "store": false,
        "input": [
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "sandboxed"}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "fix it"}]},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "gAAA"},
            {"type": "function_call", "name": "shell", "arguments": "{\"cmd\":\"ls\"}", "call_id": "call_1"},
            {"type": "function_call_output", "call_id": "call_1", "output": "a.rs"},
            {"type": "custom_tool_call", "status": "completed", "call_id": "call_2", "name": "apply_patch", "input": "*** Begin"},
            {"type": "custom_tool_call_output", "call_id": "call_2", "output": "done"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "fixed"}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "thanks"}]},
        ],
        "tools": [
            {"type": "function", "name": "shell", "description": "Run", "strict": false, "parameters": {"type": "object"}},
            {"type": "custom", "name": "apply_patch", "description": "Edit", "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"}},
            {"type": "local_shell"},
            {"type": "web_search", "external_web_access": false},
        ],
        "tool_choice": "auto", "parallel_tool_calls": true, "reasoning": {"effort": "medium", "summary": "auto"},
        "include": ["reasoning.encrypted_content"], "prompt_cache_key": "k", "text": {"verbosity": "low"},
    })
}

fn decoded(body: &Value) -> (Request, Vec<Loss>) {
    request::decode(body.to_string().as_bytes()).unwrap_or_else(|malformed| panic!("{malformed}: {body}"))
}

fn stamp() -> Arc<Stamp> {
    Arc::new(Stamp { id: "gen-1-x".into(), created: 7, model: "m/n".into(), provider: "P".into(), ..Stamp::default() })
}

#[test]
fn a_coding_agents_request_is_understood_and_goes_to_its_own_kind_as_it_came() {
    let body = agent();
    let (request, losses) = decoded(&body);
    assert_eq!(losses, []);
    let roles: Vec<Role> = request.turns.iter().map(|turn| turn.role).collect();
    use Role::{Assistant, Developer, System, Tool, User};
    assert_eq!(roles, [System, Developer, User, Assistant, Tool, Assistant, Tool, Assistant, User]);
    assert_eq!((request.tools.len(), &request.tool_choice), (4, &Some(ToolChoice::Auto)));
    let (peek, understood) = Peek::of(Dialect::Responses, body.to_string().as_bytes(), None).expect("a request");
    assert!(peek.spliceable && peek.stream && peek.want.tools && peek.want.reasoning && understood.is_some());
    assert_eq!(peek.want.sealed, [format::OPENAI]);

    let (out, losses) = wire(Dialect::Responses).encode_request(&request, &Quirks::RESPONSES);
    let out: Value = serde_json::from_slice(&out).expect("JSON");
    assert_eq!(losses, []);
    for name in ["instructions", "tools", "tool_choice", "reasoning", "include", "prompt_cache_key", "text", "store"] {
        assert_eq!(out[name], body[name], "{name}");
    }
    assert_eq!(out["input"][2], body["input"][2], "reasoning, byte for byte");
    assert_eq!(out["input"][5]["input"], body["input"][5]["input"]);
    assert_eq!(out["input"][6]["type"], "custom_tool_call_output");
}

#[test]
fn what_only_this_dialect_has_is_told_in_plain_words_elsewhere() {
    let (request, _) = decoded(&agent());
    let (crossed, losses) = cross(&request, Dialect::Responses, Dialect::OpenAiChat);
    let (out, more) = wire(Dialect::OpenAiChat).encode_request(&crossed, &Quirks::OPENAI_CHAT);
    let out: Value = serde_json::from_slice(&out).expect("JSON");
    let named: Vec<&Value> = out["tools"].as_array().into_iter().flatten().map(|t| &t["function"]["name"]).collect();
    assert_eq!(named, ["shell", "apply_patch"]);
    let calls: Vec<&Value> =
        out["messages"].as_array().into_iter().flatten().filter_map(|m| m["tool_calls"].get(0)).collect();
    assert_eq!(calls[1]["function"], json!({"name": "apply_patch", "arguments": "{\"input\":\"*** Begin\"}"}));
    let lost: Vec<String> = losses.iter().chain(&more).map(|loss| loss.what.to_string()).collect();
    assert!(lost.iter().any(|what| what == "tools.apply_patch.format"), "{lost:?}");
    assert!(!lost.iter().any(|what| what == "include"), "it is kept by how replies are shown: {lost:?}");
}

#[test]
fn what_asks_for_a_memory_and_what_makes_no_sense_is_refused_by_its_name() {
    let item = |item: Value| json!({"input": [item]});
    let rows = [
        (json!({"input": "x", "store": true}), "store"),
        (json!({"input": "x", "previous_response_id": "resp_1"}), "previous_response_id"),
        (json!({"input": "x", "conversation": "conv_1"}), "conversation"),
        (json!({"input": "x", "background": true}), "background"),
        (json!({}), "input"),
        (json!({"input": []}), "input"),
        (json!({"input": 7}), "input"),
        (item(json!({"type": "item_reference", "id": "msg_1"})), "input[0]"),
        (item(json!({"id": "x"})), "input[0].type"),
        (item(json!({"role": "robot", "content": "x"})), "input[0].role"),
        (item(json!({"role": "user"})), "input[0].content"),
        (item(json!({"role": "user", "content": [{"type": "smell"}]})), "input[0].content[0].type"),
        (item(json!({"type": "function_call", "name": "f"})), "input[0].call_id"),
        (item(json!({"type": "function_call_output", "call_id": "c"})), "input[0].output"),
        (json!({"input": "x", "tools": [{"type": "function"}]}), "tools[0].name"),
        (json!({"input": "x", "tool_choice": "perhaps"}), "tool_choice"),
        (json!({"input": "x", "reasoning": {"effort": "much"}}), "reasoning.effort"),
        (json!({"input": "x", "max_output_tokens": 0}), "max_output_tokens"),
        (json!({"input": "x", "text": {"format": {"type": "json_schema"}}}), "text.format.schema"),
    ];
    for (body, at) in rows {
        let malformed = request::decode(body.to_string().as_bytes()).expect_err(at);
        assert_eq!(malformed.at, at, "{malformed}: {body}");
    }
    for body in [
        json!({"input": "x", "store": false, "previous_response_id": null, "background": false}),
        json!({"input": "x", "store": null, "background": null, "tool_choice": null, "text": {"format": null}}),
        json!({"prompt": {"id": "pmpt_1"}}),
    ] {
        decoded(&body);
    }
}

#[test]
fn a_body_goes_on_as_it_is_only_where_its_own_kind_can_read_all_of_it() {
    let items = |items: Value| json!({"input": items}).to_string();
    let rows = [
        (items(json!([{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}])), true),
        (
            items(
                json!([{"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}]),
            ),
            true,
        ),
        (items(json!([{"type": "reasoning", "summary": [], "encrypted_content": "anthropic-claude-v1::EuY"}])), false),
        (items(json!([{"type": "reasoning", "summary": [], "encrypted_content": "xai-responses-v1!rs_1:zz"}])), false),
        (
            items(
                json!([{"type": "reasoning", "id": "rs_tmp_1", "summary": [{"type": "summary_text", "text": "hm"}]}]),
            ),
            false,
        ),
        (
            json!({"input": "x", "truncation": "auto", "max_tool_calls": 3, "provider": {"only": ["a"]}}).to_string(),
            true,
        ),
        (json!({"input": "x", "top_k": 3}).to_string(), false),
        (json!({"input": "x", "reasoning": {"max_tokens": 3000}}).to_string(), false),
        (json!({"input": "x", "stranger": 1}).to_string(), false),
    ];
    for (body, want) in rows {
        let (peek, _) = Peek::of(Dialect::Responses, body.as_bytes(), None).expect("a request");
        assert_eq!(peek.spliceable, want, "{body}");
    }
}

fn events(text: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut each = |frame: crate::frame::Frame<'_>| found.extend(serde_json::from_slice(frame.data).ok());
    let mut sse = Sse::new();
    sse.push(text.as_bytes(), &mut each).expect("events");
    sse.finish(&mut each).expect("an end");
    found
}

fn told(up: Dialect, stream: &str, stamp: Arc<Stamp>) -> Vec<Value> {
    let mut lens = Lens::new(up, Dialect::Responses, stamp, Quirks::of(up));
    let mut out = BytesMut::new();
    lens.push(stream.as_bytes(), &mut out);
    lens.end(End::Eof, &mut out);
    events(std::str::from_utf8(&out).expect("text"))
}

const CHAT: &str = r#"data: {"id":"c","choices":[{"index":0,"delta":{"role":"assistant","reasoning":"hm"}}]}

data: {"choices":[{"index":0,"delta":{"content":"so"}}]}

data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"apply_patch","arguments":"{\"in"}}]}}]}

data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"put\":\"x\"}"}}]}}]}

data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}

data: [DONE]

"#;

#[test]
fn a_stream_is_told_in_the_order_clients_expect() {
    let kinds: Vec<String> = told(Dialect::OpenAiChat, CHAT, stamp())
        .iter()
        .enumerate()
        .map(|(at, event)| {
            assert_eq!(event["sequence_number"], at);
            event["type"].as_str().unwrap_or_default().trim_start_matches("response.").to_owned()
        })
        .collect();
    let want = [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ];
    assert_eq!(kinds, want);
}

#[test]
fn a_function_that_stands_for_a_free_text_tool_is_told_as_one() {
    let body = agent().to_string();
    let (peek, _) = Peek::of(Dialect::Responses, body.as_bytes(), None).expect("a request");
    let stamp = Stamp { echo: Some(Box::new(Echo::of(body.as_bytes(), &peek))), ..(*stamp()).clone() };
    let events = told(Dialect::OpenAiChat, CHAT, Arc::new(stamp));
    let kinds: Vec<&str> = events.iter().filter_map(|e| e["type"].as_str()).filter(|k| k.contains("custom")).collect();
    assert_eq!(kinds, ["response.custom_tool_call_input.delta", "response.custom_tool_call_input.done"]);
    let last = &events.last().expect("a last event")["response"];
    let call = &last["output"][2];
    assert_eq!(
        (&call["type"], &call["input"], &call["call_id"]),
        (&json!("custom_tool_call"), &json!("x"), &json!("a"))
    );
    // And the request is read back, its tools and its form above all.
    assert_eq!((&last["tools"], &last["instructions"]), (&agent()["tools"], &agent()["instructions"]));
    assert_eq!(last["text"], json!({"format": {"type": "text"}, "verbosity": "low"}));
}

#[test]
fn other_families_seals_come_back_to_them_through_this_dialects_clients() {
    let anthropic = json!({"id": "a", "type": "message", "role": "assistant", "model": "x", "stop_reason": "tool_use", "content": [
        {"type": "thinking", "thinking": "hm", "signature": "EuYB"},
        {"type": "redacted_thinking", "data": "EmwK"},
        {"type": "tool_use", "id": "t", "name": "f", "input": {}},
    ], "usage": {"input_tokens": 1, "output_tokens": 1}});
    let gemini = json!({"candidates": [{"content": {"role": "model", "parts": [
        {"functionCall": {"id": "t", "name": "f", "args": {}}, "thoughtSignature": "CiQB"},
    ]}, "finishReason": "STOP"}]});
    for (up, body, member) in [(Dialect::Anthropic, anthropic, "content"), (Dialect::Gemini, gemini, "parts")] {
        let (reply, _) = lens::reply(up, Dialect::Responses, body.to_string().as_bytes(), &stamp(), Quirks::of(up))
            .expect("a reply");
        let reply: Value = serde_json::from_slice(&reply).expect("JSON");
        let mut input = reply["output"].as_array().cloned().unwrap_or_default();
        // A client that keeps no more than it must.
        for item in &mut input {
            if let Some(item) = item.as_object_mut() {
                item.retain(|name, _| !matches!(name.as_str(), "id" | "format" | "status"));
            }
        }
        input.push(json!({"type": "function_call_output", "call_id": "t", "output": "x"}));
        let (request, _) = decoded(&json!({"input": input}));
        let (out, _) = wire(up).encode_request(&request, Quirks::of(up));
        let out: Value = serde_json::from_slice(&out).expect("JSON");
        let turn = if up == Dialect::Gemini { &out["contents"][0] } else { &out["messages"][0] };
        let said = if up == Dialect::Gemini { &body["candidates"][0]["content"] } else { &body };
        assert_eq!(turn[member], said[member], "{up}");
    }
}

#[test]
fn sealed_reasoning_of_this_kind_reaches_its_upstream_before_what_it_belongs_to() {
    let thinking = |kind, text: &str, data: Option<&str>| {
        Block::Thinking(slip_ir::Thinking {
            kind,
            text: text.into(),
            data: data.map(Into::into),
            format: format::OPENAI.into(),
            id: Some("rs_1".into()),
            ..Default::default()
        })
    };
    let blocks = vec![
        thinking(ThinkingKind::Summary, "in short", None),
        thinking(ThinkingKind::Encrypted, "", Some("gAAA")),
        Block::text("so"),
    ];
    let request = Request { turns: vec![slip_ir::Turn::new(Role::Assistant, blocks)], ..Request::default() };
    let (out, losses) = wire(Dialect::Responses).encode_request(&request, &Quirks::RESPONSES);
    let out: Value = serde_json::from_slice(&out).expect("JSON");
    let want = json!({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "in short"}], "encrypted_content": "gAAA"});
    assert_eq!((&out["input"][0], &out["input"][1]["content"], losses), (&want, &json!("so"), vec![]));
    assert_eq!(out["store"], false);
}

#[test]
fn a_reply_is_read_alike_in_pieces_at_the_end_of_items_and_at_the_very_end() {
    let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hi", "annotations": []}]});
    let call = json!({"id": "fc_1", "type": "function_call", "call_id": "c", "name": "f", "arguments": "{\"a\":1}"});
    let usage = json!({"input_tokens": 3, "output_tokens": 2, "total_tokens": 5});
    let done = |output: Value| json!({"type": "response.completed", "response": {"id": "r", "status": "completed", "output": output, "usage": usage}});
    let pieces = vec![
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"id": "msg_1", "type": "message", "content": []}}),
        json!({"type": "response.output_text.delta", "output_index": 0, "item_id": "msg_1", "content_index": 0, "delta": "h"}),
        json!({"type": "response.output_text.delta", "output_index": 0, "item_id": "msg_1", "content_index": 0, "delta": "i"}),
        json!({"type": "response.output_text.done", "output_index": 0, "item_id": "msg_1", "content_index": 0, "text": "hi"}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": message}),
        json!({"type": "response.output_item.added", "output_index": 1, "item": {"id": "fc_1", "type": "function_call", "call_id": "c", "name": "f", "arguments": ""}}),
        json!({"type": "response.function_call_arguments.delta", "output_index": 1, "item_id": "fc_1", "delta": "{\"a\":1}"}),
        json!({"type": "response.function_call_arguments.done", "output_index": 1, "item_id": "fc_1", "arguments": "{\"a\":1}"}),
        json!({"type": "response.output_item.done", "output_index": 1, "item": call}),
        done(json!([message, call])),
    ];
    let items = vec![
        json!({"type": "response.output_item.done", "output_index": 0, "item": message}),
        json!({"type": "response.output_item.done", "output_index": 1, "item": call}),
        done(json!([message, call])),
    ];
    for events in [pieces, items, vec![done(json!([message, call]))]] {
        let mut decode = decoder::Decoder::default();
        let mut found = Vec::new();
        for event in &events {
            let data = event.to_string();
            decode.frame(&crate::frame::Frame { event: None, data: data.as_bytes() }, &mut found);
        }
        decode.eof(&mut found);
        let reply = slip_ir::fold(found);
        let choice = &reply.choices[0];
        let Block::ToolCall(call) = &choice.blocks[1] else { panic!("{choice:?}") };
        assert_eq!((choice.text().as_str(), call.id.as_str(), call.arguments.as_str()), ("hi", "c", "{\"a\":1}"));
        assert_eq!((choice.finish, reply.fault, choice.blocks.len()), (Some(Finish::ToolCalls), None, 2));
    }
}

#[test]
fn how_a_response_ended_is_understood() {
    let rows = [
        (json!({"status": "completed"}), Some(Finish::Stop), None),
        (json!({}), Some(Finish::Stop), None),
        (
            json!({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}),
            Some(Finish::Length),
            None,
        ),
        (
            json!({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}),
            Some(Finish::ContentFilter),
            None,
        ),
        (
            json!({"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "slow down"}}),
            None,
            Some(FaultKind::RateLimited),
        ),
        (json!({"status": "failed", "error": null}), None, Some(FaultKind::Upstream)),
        (json!({"status": "queued"}), None, Some(FaultKind::Upstream)),
    ];
    for (mut body, finish, fault) in rows {
        let shown = body.to_string();
        body["output"] = json!([{"type": "message", "content": [{"type": "output_text", "text": "x"}]}]);
        let reply = reply::decode(body.to_string().as_bytes()).expect("a reply");
        assert_eq!(reply.fault.map(|fault| fault.kind), fault, "{shown}");
        if fault.is_none() {
            assert_eq!(reply.choices[0].finish, finish, "{shown}");
        }
    }
    assert!(reply::decode(b"{\"output\":7}").is_ok() && reply::decode(b"{}").is_err());
}

#[test]
fn a_failure_in_the_middle_is_told_in_both_ways_and_closes_what_is_open() {
    let cut = CHAT.split("\n\n").take(2).collect::<Vec<_>>().join("\n\n") + "\n\n";
    let events = told(Dialect::OpenAiChat, &cut, stamp());
    let [.., error, failed] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!("server_error")));
    assert_eq!(error["error"]["message"], "the stream ended before it was finished");
    assert_eq!((&failed["type"], &failed["response"]["status"]), (&json!("response.failed"), &json!("failed")));
    assert_eq!(failed["response"]["error"]["code"], "server_error");
    assert_eq!(failed["response"]["output"][1]["status"], "incomplete");
}

#[test]
fn reasoning_that_shall_not_be_seen_keeps_its_seal() {
    let body = json!({"id": "a", "type": "message", "role": "assistant", "content": [
        {"type": "thinking", "thinking": "secret", "signature": "EuYB"}, {"type": "text", "text": "so"},
    ], "stop_reason": "end_turn"});
    let hiding = Stamp { hide_reasoning: true, ..(*stamp()).clone() };
    let (up, body) = (Dialect::Anthropic, body.to_string());
    let (reply, _) = lens::reply(up, Dialect::Responses, body.as_bytes(), &hiding, Quirks::of(up)).expect("a reply");
    let reply: Value = serde_json::from_slice(&reply).expect("JSON");
    assert!(!reply.to_string().contains("secret"), "{reply}");
    assert_eq!(reply["output"][0]["encrypted_content"], "anthropic-claude-v1::EuYB");
    assert_eq!(reply["output_text"], "so");
}
