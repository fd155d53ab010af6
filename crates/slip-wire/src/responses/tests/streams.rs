//! Streams as callers are told them.

use super::*;
use crate::frame::sse::Sse;
use crate::{End, Lens, Peek};

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
