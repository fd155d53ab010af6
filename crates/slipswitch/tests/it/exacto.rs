//! Who calls tools badly is found out, whatever the two sides speak, and passed over by those who ask for the most exact.

use crate::harness::{Gateway, MANAGEMENT, provider, with};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use slip_ir::Dialect;
use slip_sim::{Script, Scripted};
use std::time::Duration;

/// A reply that calls `look` with these arguments.
fn calling(dialect: Dialect, arguments: &str, stream: bool) -> Script {
    if dialect == Dialect::Anthropic {
        let (head, tail) = arguments.split_at(arguments.len() / 2);
        let delta = |piece: &str| json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "input_json_delta", "partial_json": piece } });
        let events = [
            json!({ "type": "message_start", "message": { "id": "m1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": { "input_tokens": 9, "output_tokens": 1 } } }),
            json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "tool_use", "id": "t1", "name": "look", "input": {} } }),
            delta(head),
            delta(tail),
            json!({ "type": "content_block_stop", "index": 0 }),
            json!({ "type": "message_delta", "delta": { "stop_reason": "tool_use" }, "usage": { "output_tokens": 9 } }),
            json!({ "type": "message_stop" }),
        ];
        return Script::stream(
            events.iter().map(|e| format!("event: {}\ndata: {e}\n\n", e["type"].as_str().unwrap_or(""))),
        );
    }
    let usage = json!({ "prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18 });
    let call = |index: Option<u32>, name: Option<&str>, arguments: &str| {
        let mut call = json!({ "function": { "arguments": arguments } });
        if let Some(name) = name {
            call = json!({ "id": "t1", "type": "function", "function": { "name": name, "arguments": arguments } });
        }
        if let Some(index) = index {
            call["index"] = index.into();
        }
        call
    };
    if !stream {
        let message =
            json!({ "role": "assistant", "content": null, "tool_calls": [call(None, Some("look"), arguments)] });
        let choice = json!({ "index": 0, "message": message, "finish_reason": "tool_calls" });
        return Script::json(
            200,
            &json!({ "id": "c1", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage }),
        );
    }
    let (head, tail) = arguments.split_at(arguments.len() / 2);
    let chunk = |delta: Value, finish: Value| json!({ "id": "c1", "model": "m", "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] });
    Script::events(&[
        chunk(json!({ "role": "assistant", "tool_calls": [call(Some(0), Some("look"), head)] }), Value::Null),
        chunk(json!({ "tool_calls": [call(Some(0), None, tail)] }), Value::Null),
        with(chunk(json!({}), "tool_calls".into()), json!({ "usage": usage })),
    ])
}

fn schema() -> Value {
    json!({ "type": "object", "required": ["city"], "properties": { "city": { "type": "string" } } })
}

fn chat(model: &str, stream: bool) -> Value {
    let tool = json!({ "type": "function", "function": { "name": "look", "parameters": schema() } });
    json!({ "model": model, "stream": stream, "tools": [tool], "messages": [{ "role": "user", "content": "look" }] })
}

fn messages(model: &str, stream: bool) -> Value {
    let tool = json!({ "name": "look", "input_schema": schema() });
    json!({ "model": model, "stream": stream, "max_tokens": 99, "tools": [tool], "messages": [{ "role": "user", "content": "look" }] })
}

#[tokio::test]
async fn whoever_calls_tools_badly_is_passed_over_by_those_who_want_them_exact() {
    type Ask = fn(&str, bool) -> Value;
    let rows: [(&str, Dialect, &str, Ask, bool, &str); 6] = [
        ("patched", Dialect::OpenAiChat, "/api/v1/chat/completions", chat, true, r#"{"city": "Ro"#),
        ("whole", Dialect::OpenAiChat, "/api/v1/chat/completions", chat, false, r#"{"town": "Rome \"x\""}"#),
        ("translated", Dialect::OpenAiChat, "/v1/messages", messages, true, r#"{"city": 5}"#),
        ("whole, translated", Dialect::OpenAiChat, "/v1/messages", messages, false, r#"{"city": {}}"#),
        ("verbatim", Dialect::Anthropic, "/v1/messages", messages, true, r#"{"city": "Ro"#),
        ("from afar", Dialect::Anthropic, "/api/v1/chat/completions", chat, true, r#"{}"#),
    ];
    for (what, dialect, path, ask, stream, bad) in rows {
        let (sloppy, exact) = (Scripted::start().await.expect("a socket"), Scripted::start().await.expect("a socket"));
        sloppy.always(calling(dialect, bad, stream));
        exact.always(calling(dialect, r#"{"city": "Rome"}"#, stream));
        let config = provider("sloppy", dialect, &sloppy.base_url(), &["lab/one"])
            + &provider("exact", dialect, &exact.base_url(), &["lab/one"]);
        let gateway = Gateway::start(&config);
        for name in ["sloppy", "exact"] {
            for _ in 0..4 {
                let body = with(ask("lab/one", stream), json!({ "provider": { "only": [name] } }));
                let got = gateway.post(path, &body).await;
                assert_eq!((got.status, got.header("x-provider-name")), (200, name), "{what}: {}", got.text());
            }
        }
        let bearer = format!("Bearer {MANAGEMENT}");
        let wants = [("sloppy", 1), ("exact", 0)].map(|(name, ratio)| {
            format!(
                "slipswitch_endpoint_bad_tool_call_ratio{{provider=\"{name}\",model=\"lab/one\",tag=\"{name}\"}} {ratio}"
            )
        });
        let mut metrics = String::new();
        for _ in 0..100 {
            metrics = gateway.send(Method::GET, "/metrics", &[("authorization", &bearer)], Bytes::new()).await.text();
            if wants.iter().all(|want| metrics.contains(want)) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let told: Vec<&str> = metrics.lines().filter(|l| l.contains("bad_tool_call_ratio")).collect();
        assert!(wants.iter().all(|want| metrics.contains(want)), "{what}: {told:?}");
        for _ in 0..4 {
            let body = with(ask("lab/one", stream), json!({ "provider": { "sort": "exacto" } }));
            let got = gateway.post(path, &body).await;
            assert_eq!((got.status, got.header("x-provider-name")), (200, "exact"), "{what}: {}", got.text());
        }
    }
}
