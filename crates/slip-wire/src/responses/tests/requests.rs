//! What callers send, and what upstreams get of it.

use super::*;
use crate::{Peek, cross, wire};
use slip_ir::{Block, Role, ThinkingKind, ToolChoice};

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
