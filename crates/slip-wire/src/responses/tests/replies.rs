//! Replies of upstreams, and what comes of them.

use super::*;
use crate::{lens, wire};
use slip_ir::{Block, FaultKind, Finish};

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
