//! Recorded traffic against an oracle that knows nothing of the decoders: it reads `Value`s.

use super::*;
use crate::recordings;
use slip_ir::{Block, ThinkingKind};
use std::fmt::Write as _;

/// Every case of the API this dialect speaks.
fn cases() -> Option<Vec<Value>> {
    recordings::cases(|case| id(case).starts_with("anthropic.messages."))
}

fn id(case: &Value) -> &str {
    case["id"].as_str().expect("an id")
}

/// What of a reply must not change on its way.
#[derive(Debug, Default, PartialEq)]
struct Facts {
    text: String,
    tools: Vec<(String, String, Value)>,
    /// Text, signature or sealed data.
    thinking: Vec<(String, String)>,
    opaque: Vec<Value>,
    citations: usize,
    native: Option<String>,
    stop_sequence: Option<String>,
    /// input, cache read, cache written, output in all, thinking, searches
    usage: [u64; 6],
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The facts of a message as Anthropic writes it.
fn facts_of_message(message: &Value) -> Facts {
    let mut facts = Facts { native: message["stop_reason"].as_str().map(str::to_owned), ..Facts::default() };
    facts.stop_sequence = message["stop_sequence"].as_str().map(str::to_owned);
    for block in message["content"].as_array().expect("content") {
        match block["type"].as_str().expect("a type") {
            "text" => {
                facts.text.push_str(block["text"].as_str().expect("text"));
                facts.citations += block["citations"].as_array().map_or(0, Vec::len);
            }
            "thinking" => facts.thinking.push((text(&block["thinking"]), text(&block["signature"]))),
            "redacted_thinking" => facts.thinking.push((String::new(), text(&block["data"]))),
            "tool_use" => facts.tools.push((text(&block["id"]), text(&block["name"]), block["input"].clone())),
            _ => facts.opaque.push(block.clone()),
        }
    }
    let u = &message["usage"];
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    facts.usage = [
        count(&u["input_tokens"]),
        count(&u["cache_read_input_tokens"]),
        count(&u["cache_creation_input_tokens"]),
        count(&u["output_tokens"]),
        count(&u["output_tokens_details"]["thinking_tokens"]),
        count(&u["server_tool_use"]["web_search_requests"]),
    ];
    facts
}

/// The facts of a reply in the vocabulary.
fn facts_of_reply(reply: &Reply) -> Facts {
    let choice = &reply.choices[0];
    let mut facts = Facts { text: choice.text(), native: choice.native.clone(), ..Facts::default() };
    facts.stop_sequence = choice.stop_sequence.clone();
    for block in &choice.blocks {
        match block {
            Block::Text(text) => facts.citations += text.annotations.len(),
            Block::Thinking(t) if t.kind == ThinkingKind::Encrypted => {
                facts.thinking.push((t.text.clone(), t.data.clone().unwrap_or_default()));
            }
            Block::Thinking(t) => facts.thinking.push((t.text.clone(), t.signature.clone().unwrap_or_default())),
            Block::ToolCall(call) => {
                let input = serde_json::from_str(&call.arguments).expect("arguments are JSON");
                facts.tools.push((call.id.clone(), call.name.clone(), input));
            }
            Block::Opaque { raw, .. } => facts.opaque.push(raw.value()),
            Block::Refusal(_) => assert_eq!(choice.native.as_deref(), Some("refusal")),
            other => panic!("not in any recording: {other:?}"),
        }
    }
    let u = reply.usage.as_ref().expect("usage");
    facts.usage =
        [u.input, u.cache_read, u.cache_write + u.cache_write_1h, u.completion_total(), u.reasoning, u.web_searches];
    facts
}

#[test]
fn recorded_replies_keep_every_fact() {
    let Some(cases) = cases() else { return };
    let (mut passed, mut failed) = (0, String::new());
    for case in &cases {
        let response = &case["response"];
        let body = response["body"].as_str().expect("a body");
        if response["status"].as_u64() >= Some(400) {
            let status = response["status"].as_u64().expect("a status") as u16;
            let fault = Anthropic.decode_error(status, &http::HeaderMap::new(), body.as_bytes());
            let said: Value = serde_json::from_str(body).expect("JSON");
            assert_eq!(fault.code.as_deref(), said["error"]["type"].as_str(), "{}", id(case));
            assert_eq!(fault.status, Some(status));
            passed += 1;
            continue;
        }
        let streamed = response["framing"] == "sse";
        let message = if streamed { gather(body) } else { serde_json::from_str(body).expect("JSON") };
        let want = facts_of_message(&message);
        let reply = if streamed {
            reply_of(body)
        } else {
            Anthropic.decode_reply(body.as_bytes(), &Quirks::ANTHROPIC).expect("a reply")
        };
        assert_eq!(reply.fault, None, "{}", id(case));
        let whole: Value = serde_json::from_slice(&Anthropic.encode_reply(&reply, &stamp())).expect("JSON");
        let stream = stream_of_reply(&reply, &stamp());
        let rows = [
            ("decoded", facts_of_reply(&reply)),
            ("written whole", facts_of_message(&whole)),
            ("written as a stream", facts_of_message(&gather(&stream))),
            ("streamed and read again", facts_of_reply(&reply_of(&stream))),
        ];
        let mut good = true;
        for (how, got) in rows {
            if got != want {
                good = false;
                writeln!(failed, "{} {how}:\n  want {want:?}\n  got  {got:?}", id(case)).expect("a string");
            }
        }
        if streamed {
            let live = facts_of_message(&gather(&stream_of(&events_of(body), &stamp())));
            if live != want {
                good = false;
                writeln!(failed, "{} as it happens:\n  want {want:?}\n  got  {live:?}", id(case)).expect("a string");
            }
        }
        passed += usize::from(good);
    }
    println!("{passed} replies passed of {}", cases.len());
    assert!(failed.is_empty(), "{failed}");
}

/// The spellings that mean the same: a lone text and a string, an empty system prompt and none, what is the default anyway, and
/// the older name of `output_config.format`.
fn normal(mut body: Value) -> Value {
    fn as_blocks(content: &mut Value) {
        if let Value::String(text) = content {
            *content = if text.is_empty() { Value::Null } else { json!([{"type":"text","text":text}]) };
        }
        for block in content.as_array_mut().into_iter().flatten() {
            if block["type"] == "tool_result" {
                as_blocks(&mut block["content"]);
            }
        }
    }
    let top = body.as_object_mut().expect("an object");
    if top.get("stream") == Some(&Value::Bool(false)) {
        top.remove("stream");
    }
    if let Some(format) = top.remove("output_format") {
        top.insert("output_config".to_owned(), json!({"format":format}));
    }
    if let Some(system) = top.get_mut("system") {
        as_blocks(system);
    }
    for message in top["messages"].as_array_mut().expect("messages") {
        as_blocks(&mut message["content"]);
    }
    top.retain(|_, value| !value.is_null());
    body
}

#[test]
fn recorded_requests_come_back_as_they_went() {
    let Some(cases) = cases() else { return };
    let (mut passed, mut failed) = (0, String::new());
    for case in cases.iter().filter(|case| case["request"]["body"].is_object()) {
        let body = &case["request"]["body"];
        let (request, lost_in) = decoded(body);
        let (again, lost_out) = encoded(&request);
        let (want, got) = (normal(body.clone()), normal(again));
        if want == got && lost_in.is_empty() && lost_out.is_empty() {
            passed += 1;
            continue;
        }
        writeln!(failed, "{}: lost {lost_in:?} {lost_out:?}", id(case)).expect("a string");
        for (key, value) in want.as_object().expect("an object") {
            if got[key] != *value {
                writeln!(failed, "  {key}: {value}\n  -> {}", got[key]).expect("a string");
            }
        }
    }
    println!("{passed} requests passed");
    assert!(failed.is_empty(), "{failed}");
}
