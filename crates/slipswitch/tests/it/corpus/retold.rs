//! A whole reply told as the stream that a server of its kind would send: siblings of recordings that were not streamed.

use super::Surface;
use super::said::list;
use serde_json::{Value, json};

/// Characters of a piece: enough to split words, and whatever is escaped in JSON.
const PIECE: usize = 7;

pub fn stream(surface: Surface, reply: &Value) -> Option<String> {
    match surface {
        Surface::Chat => chat(reply),
        Surface::Messages => messages(reply),
        Surface::Gemini => gemini(reply),
        Surface::Responses => responses(reply),
        Surface::Native(_) | Surface::Invoked(_) => None,
        // Not text.
        Surface::Bedrock => None,
    }
}

fn pieces(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(PIECE).map(|piece| piece.iter().collect()).collect()
}

fn chat(reply: &Value) -> Option<String> {
    let mut out = String::new();
    let mut send = |index: &Value, delta: Value, finish: Value| {
        let choice = json!({"index": index, "delta": delta, "finish_reason": finish});
        let chunk = json!({"id": reply["id"], "object": "chat.completion.chunk", "created": reply["created"], "model": reply["model"], "choices": [choice]});
        out += &format!("data: {chunk}\n\n");
    };
    let choices = reply["choices"].as_array()?;
    for choice in choices {
        let (index, message) = (&choice["index"], choice["message"].as_object()?);
        send(index, json!({"role": "assistant"}), Value::Null);
        // Reasoning comes first, whatever its name sorts as.
        let order = |name: &str| if name.starts_with("reason") { 0 } else { 1 };
        let mut members: Vec<_> = message.iter().filter(|(name, value)| *name != "role" && !value.is_null()).collect();
        members.sort_by_key(|(name, _)| order(name));
        // A sealed list and the same text beside it belong in the same chunks; told apart they would be told twice.
        if message.contains_key("reasoning_details") {
            members.retain(|(name, _)| !matches!(name.as_str(), "reasoning" | "reasoning_content"));
        }
        for (name, value) in members {
            match (name.as_str(), value) {
                ("content" | "reasoning" | "reasoning_content" | "refusal", Value::String(text)) => {
                    pieces(text).into_iter().for_each(|piece| send(index, json!({ name: piece }), Value::Null));
                }
                ("tool_calls", Value::Array(calls)) => {
                    for (number, call) in calls.iter().enumerate() {
                        let mut first = call.clone();
                        first["index"] = number.into();
                        let text = call["function"]["arguments"].as_str().unwrap_or_default().to_owned();
                        first["function"]["arguments"] = "".into();
                        send(index, json!({ "tool_calls": [first] }), Value::Null);
                        for piece in pieces(&text) {
                            let more = json!({"index": number, "function": {"arguments": piece}});
                            send(index, json!({ "tool_calls": [more] }), Value::Null);
                        }
                    }
                }
                _ => send(index, json!({ name: value }), Value::Null),
            }
        }
    }
    for choice in choices {
        send(&choice["index"], json!({}), choice["finish_reason"].clone());
    }
    let mut last = reply.clone();
    last["object"] = "chat.completion.chunk".into();
    last["choices"] = json!([]);
    Some(format!("{out}data: {last}\n\ndata: [DONE]\n\n"))
}

fn messages(reply: &Value) -> Option<String> {
    let mut out = String::new();
    let mut send =
        |event: Value| out += &format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default());
    let mut start = reply.clone();
    start["content"] = json!([]);
    start["stop_reason"] = Value::Null;
    start["stop_sequence"] = Value::Null;
    start["usage"]["output_tokens"] = 1.into();
    send(json!({"type": "message_start", "message": start}));
    send(json!({"type": "ping"}));
    for (index, block) in list(&reply["content"]).iter().enumerate() {
        let mut opening = block.clone();
        let mut deltas = Vec::new();
        let mut take = |member: &str, empty: Value, kind: &str| {
            let text = opening[member].as_str().map(str::to_owned);
            if let Some(text) = text {
                deltas.extend(pieces(&text).into_iter().map(|piece| json!({"type": kind, member: piece})));
                opening[member] = empty;
            }
        };
        match block["type"].as_str() {
            Some("text") => take("text", "".into(), "text_delta"),
            Some("thinking") => {
                take("thinking", "".into(), "thinking_delta");
                deltas.push(json!({"type": "signature_delta", "signature": block["signature"]}));
                opening["signature"] = "".into();
            }
            Some("tool_use" | "server_tool_use") => {
                let input = block["input"].to_string();
                deltas.push(json!({"type": "input_json_delta", "partial_json": ""}));
                deltas.extend(
                    pieces(&input).into_iter().map(|piece| json!({"type": "input_json_delta", "partial_json": piece})),
                );
                opening["input"] = json!({});
            }
            _ => {}
        }
        if block["type"] == "text" {
            let cited = list(&block["citations"]).iter();
            let cited: Vec<Value> = cited.map(|c| json!({"type": "citations_delta", "citation": c})).collect();
            deltas.splice(0..0, cited);
            if let Some(members) = opening.as_object_mut() {
                members.remove("citations");
            }
        }
        send(json!({"type": "content_block_start", "index": index, "content_block": opening}));
        deltas
            .into_iter()
            .for_each(|delta| send(json!({"type": "content_block_delta", "index": index, "delta": delta})));
        send(json!({"type": "content_block_stop", "index": index}));
    }
    let mut delta = json!({"stop_reason": reply["stop_reason"], "stop_sequence": reply["stop_sequence"]});
    if reply["stop_details"].is_object() {
        delta["stop_details"] = reply["stop_details"].clone();
    }
    send(json!({"type": "message_delta", "delta": delta, "usage": reply["usage"]}));
    send(json!({"type": "message_stop"}));
    Some(out)
}

/// Every item announced, told in pieces and then whole.
fn responses(reply: &Value) -> Option<String> {
    let mut out = String::new();
    let mut number = 0;
    let mut send = |mut event: Value| {
        event["sequence_number"] = number.into();
        number += 1;
        out += &format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default());
    };
    let mut start = reply.clone();
    start["output"] = json!([]);
    start["status"] = "in_progress".into();
    start["usage"] = Value::Null;
    send(json!({"type": "response.created", "response": start}));
    for (at, item) in list(&reply["output"]).iter().enumerate() {
        let mut opening = item.clone();
        for member in ["content", "summary"] {
            if opening[member].is_array() {
                opening[member] = json!([]);
            }
        }
        if opening["arguments"].is_string() {
            opening["arguments"] = "".into();
        }
        send(json!({"type": "response.output_item.added", "output_index": at, "item": opening}));
        let id = &item["id"];
        let texts =
            [("content", "output_text", "content_index"), ("summary", "reasoning_summary_text", "summary_index")];
        for (member, event, index) in texts {
            for (n, part) in list(&item[member]).iter().enumerate() {
                let event = match part["type"].as_str() {
                    Some("refusal") => "refusal",
                    Some("reasoning_text") => "reasoning_text",
                    _ => event,
                };
                let text = part["text"].as_str().or(part["refusal"].as_str()).unwrap_or_default();
                for piece in pieces(text) {
                    let kind = format!("response.{event}.delta");
                    send(
                        json!({"type": kind, "output_index": at, "item_id": id, index: n, "delta": piece, "obfuscation": "x"}),
                    );
                }
            }
        }
        if let Some(arguments) = item["arguments"].as_str().filter(|_| item["type"] == "function_call") {
            for piece in pieces(arguments) {
                let kind = "response.function_call_arguments.delta";
                send(json!({"type": kind, "output_index": at, "item_id": id, "delta": piece}));
            }
        }
        send(json!({"type": "response.output_item.done", "output_index": at, "item": item}));
    }
    let status = reply["status"].as_str().unwrap_or("completed");
    send(json!({"type": format!("response.{status}"), "response": reply}));
    Some(out)
}

/// One part to a chunk, text in pieces; the finish, the sources and the counts in the last.
fn gemini(reply: &Value) -> Option<String> {
    let mut out = String::new();
    let mut send = |chunk: Value| out += &format!("data: {chunk}\r\n\r\n");
    let part_chunk = |index: &Value, part: Value| {
        let candidate = json!({"content": {"parts": [part], "role": "model"}, "index": index});
        json!({"candidates": [candidate], "modelVersion": reply["modelVersion"], "responseId": reply["responseId"]})
    };
    let mut last = reply.clone();
    for (number, candidate) in list(&reply["candidates"]).iter().enumerate() {
        let index = candidate.get("index").cloned().unwrap_or(number.into());
        for part in list(&candidate["content"]["parts"]) {
            let signed = part.get("thoughtSignature").is_some();
            match part["text"].as_str().filter(|text| !signed && !text.is_empty()) {
                Some(text) => pieces(text).into_iter().for_each(|piece| {
                    let mut part = part.clone();
                    part["text"] = piece.into();
                    send(part_chunk(&index, part));
                }),
                None => send(part_chunk(&index, part.clone())),
            }
        }
        last["candidates"][number]["content"] = json!({"parts": [{"text": ""}], "role": "model"});
    }
    send(last);
    Some(out)
}
