//! The form of what reaches a client, whatever was said in it: what strict clients refuse.

use super::read::{self, events};
use super::said::{list, text};
use super::{Differences, Surface, bedrock, responses};
use crate::harness::Got;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const ENDINGS: [&str; 5] = ["stop", "length", "tool_calls", "content_filter", "error"];

/// A successful answer. `verbatim`: the provider's own bytes, whose identity is not ours.
pub fn check(surface: Surface, stream: bool, verbatim: bool, got: &Got, out: &mut Differences) {
    let streamed = match surface {
        Surface::Bedrock => "application/vnd.amazon.eventstream",
        _ => surface.native().map_or("text/event-stream", |native| native.stream_type()),
    };
    let kind = if stream { streamed } else { "application/json" };
    if got.header("content-type") != kind {
        out.say("form.content-type", got.header("content-type"));
    }
    if !got.header("x-generation-id").starts_with("gen-") || got.header("x-provider-name").is_empty() {
        out.say("form.headers", format!("{:?}", got.headers));
    }
    match (surface, stream) {
        (Surface::Chat, false) => chat(&got.json(), got.header("x-generation-id"), out),
        (Surface::Chat, true) => chat_stream(got, out),
        (Surface::Messages, false) => message(&got.json(), out),
        (Surface::Messages, true) => message_stream(got, verbatim, out),
        (Surface::Responses, _) if verbatim => {}
        (Surface::Responses, false) => responses::form(&got.json(), got.header("x-generation-id"), out),
        (Surface::Responses, true) => responses::stream_form(got, out),
        (Surface::Gemini, false) => gemini(&[got.json()], verbatim, out),
        (Surface::Gemini, true) => gemini_stream(got, verbatim, out),
        (Surface::Native(native), _) => native.check(stream, verbatim, got, out),
        (Surface::Invoked(_), _) => unreachable!("no client speaks it"),
        (Surface::Bedrock, _) if verbatim => {}
        (Surface::Bedrock, _) => bedrock::form(stream, got, out),
    }
}

fn need(out: &mut Differences, check: &str, holds: bool, seen: &Value) {
    if !holds {
        let text = seen.to_string();
        out.say(&format!("form.{check}"), text.chars().take(400).collect::<String>());
    }
}

fn is_key(value: &Value, key: &str) -> bool {
    value.get(key).is_some()
}

fn identity(body: &Value, object: &str, id: &str, out: &mut Differences) {
    need(out, "id", body["id"] == id && id.starts_with("gen-"), &body["id"]);
    need(out, "object", body["object"] == object, &body["object"]);
    need(out, "created", body["created"].as_u64().is_some_and(|c| c > 1_700_000_000), &body["created"]);
    need(out, "model", text(&body["model"]).is_some_and(|m| m.starts_with("replay/")), &body["model"]);
    need(out, "provider", text(&body["provider"]).is_some(), &body["provider"]);
}

fn ending(choice: &Value, out: &mut Differences) {
    let reason = &choice["finish_reason"];
    let known = reason.is_null() || reason.as_str().is_some_and(|r| ENDINGS.contains(&r));
    need(out, "finish_reason", is_key(choice, "finish_reason") && known, choice);
    need(out, "native_finish_reason", is_key(choice, "native_finish_reason"), choice);
    need(out, "index", choice["index"].is_u64(), choice);
}

fn chat(body: &Value, id: &str, out: &mut Differences) {
    identity(body, "chat.completion", id, out);
    let fingerprint = is_key(body, "system_fingerprint");
    need(out, "system_fingerprint", fingerprint, body);
    need(out, "choices", !list(&body["choices"]).is_empty(), body);
    for choice in list(&body["choices"]) {
        ending(choice, out);
        let message = &choice["message"];
        need(out, "role", message["role"] == "assistant", message);
        let said = message["content"].is_string() || (is_key(message, "content") && message["content"].is_null());
        need(out, "content", said, message);
        need(out, "refusal", message["refusal"].is_string() || message["refusal"].is_null(), message);
        need(out, "reasoning", is_key(message, "reasoning"), message);
        let details = list(&message["reasoning_details"]);
        twice(message["reasoning"].as_str().unwrap_or_default(), details.iter(), out);
        need(out, "reasoning_details", details.iter().all(is_detail), message);
        for (at, call) in list(&message["tool_calls"]).iter().enumerate() {
            let named = text(&call["id"]).is_some() && text(&call["type"]).is_some() && call["index"] == at;
            let body = if call["type"] == "custom" { &call["custom"]["input"] } else { &call["function"]["arguments"] };
            need(out, "tool_calls", named && body.is_string(), call);
        }
        annotations(message, out);
    }
    usage(&body["usage"], out);
}

fn annotations(message: &Value, out: &mut Differences) {
    for annotation in list(&message["annotations"]) {
        let citation = &annotation["url_citation"];
        let whole = annotation["type"] != "url_citation"
            || citation["url"].is_string() && citation["start_index"].is_u64() && citation["end_index"].is_u64();
        need(out, "annotations", whole && text(&annotation["type"]).is_some(), annotation);
    }
}

/// The readable text of reasoning stands in `reasoning` and again in `reasoning_details`.
fn twice<'v>(plain: &str, details: impl Iterator<Item = &'v Value>, out: &mut Differences) {
    let told: String = details.filter_map(|d| text(&d["text"]).or(text(&d["summary"]))).collect();
    if told != plain {
        out.say("form.reasoning", format!("{plain:.60?} in `reasoning`, {told:.60?} in `reasoning_details`"));
    }
}

fn is_detail(detail: &Value) -> bool {
    let payload = match detail["type"].as_str() {
        Some("reasoning.text") => detail["text"].is_string(),
        Some("reasoning.summary") => detail["summary"].is_string(),
        Some("reasoning.encrypted") => text(&detail["data"]).is_some(),
        _ => false,
    };
    payload && (text(&detail["format"]).is_some() || detail["format"].is_null()) && detail["index"].is_u64()
}

fn usage(usage: &Value, out: &mut Differences) {
    let number = |name: &str| usage[name].as_u64();
    let sum = number("prompt_tokens").zip(number("completion_tokens")).map(|(p, c)| p + c);
    need(out, "usage.total", sum.is_some() && sum == number("total_tokens"), usage);
    need(out, "usage.cost", usage["cost"].is_number() && usage["is_byok"].is_boolean(), usage);
    need(out, "usage.cached", usage["prompt_tokens_details"]["cached_tokens"].is_u64(), usage);
    need(out, "usage.reasoning", usage["completion_tokens_details"]["reasoning_tokens"].is_u64(), usage);
    let cost = &usage["cost_details"];
    let split =
        cost["upstream_inference_prompt_cost"].is_number() && cost["upstream_inference_completions_cost"].is_number();
    need(out, "usage.cost_details", split, usage);
}

fn chat_stream(got: &Got, out: &mut Differences) {
    let body = got.text();
    let odd = body.lines().find(|l| !(l.is_empty() || l.starts_with("data: ") || *l == ": OPENROUTER PROCESSING"));
    need(out, "lines", odd.is_none(), &odd.map_or(Value::Null, Value::from));
    need(
        out,
        "done",
        body.ends_with("data: [DONE]\n\n") && body.matches("data: [DONE]").count() == 1,
        &Value::from(tail(&body)),
    );
    let chunks: Vec<Value> = got.events();
    let mut begun: BTreeMap<(u64, u64), bool> = BTreeMap::new();
    let mut finished: BTreeSet<u64> = BTreeSet::new();
    let mut details: BTreeMap<u64, (String, Vec<Value>)> = BTreeMap::new();
    let failed = chunks.iter().any(|c| is_key(c, "error"));
    for (at, chunk) in chunks.iter().enumerate() {
        identity(chunk, "chat.completion.chunk", got.header("x-generation-id"), out);
        need(
            out,
            "chunk.nulls",
            !["system_fingerprint", "usage"].iter().any(|k| is_key(chunk, k) && chunk[*k].is_null()),
            chunk,
        );
        need(out, "chunk.choices", !list(&chunk["choices"]).is_empty(), chunk);
        let last = at + 1 == chunks.len();
        need(out, "usage.place", failed || is_key(chunk, "usage") == last, chunk);
        if is_key(chunk, "usage") {
            usage(&chunk["usage"], out);
        }
        if is_key(chunk, "error") {
            let error = &chunk["error"];
            let told = [400, 403, 404, 413, 422, 429, 502, 503, 504].iter().any(|code| error["code"] == *code)
                && text(&error["message"]).is_some()
                && text(&error["metadata"]["error_type"]).is_some();
            need(out, "error", told && chunk["choices"][0]["finish_reason"] == "error" && last, chunk);
        }
        for choice in list(&chunk["choices"]) {
            ending(choice, out);
            let delta = &choice["delta"];
            let index = choice["index"].as_u64().unwrap_or(u64::MAX);
            let content = delta["content"].is_string() && (delta["role"] == "assistant" || is_key(chunk, "error"));
            need(out, "chunk.delta", content, choice);
            let after = finished.contains(&index) && !last;
            need(out, "chunk.after-finish", !after, chunk);
            if !choice["finish_reason"].is_null() {
                finished.insert(index);
            }
            let (plain, list_of) = details.entry(index).or_default();
            plain.push_str(delta["reasoning"].as_str().unwrap_or_default());
            list_of.extend(list(&delta["reasoning_details"]).iter().cloned());
            annotations(delta, out);
            for call in list(&delta["tool_calls"]) {
                let Some(number) = call["index"].as_u64() else {
                    need(out, "chunk.tool_calls", false, call);
                    continue;
                };
                let body = if is_key(call, "custom") { &call["custom"] } else { &call["function"] };
                let first = !std::mem::replace(begun.entry((index, number)).or_default(), true);
                let whole = match first {
                    true => {
                        text(&call["id"]).is_some() && text(&call["type"]).is_some() && text(&body["name"]).is_some()
                    }
                    false => !["id", "type"].iter().any(|k| is_key(call, k)) && !is_key(body, "name"),
                };
                let payload = body["arguments"].is_string() || body["input"].is_string();
                need(out, "chunk.tool_calls", whole && payload, call);
            }
        }
        if last && !failed {
            let repeats =
                list(&chunk["choices"]).iter().all(|c| c["finish_reason"].is_string() && c["delta"]["content"] == "");
            need(out, "usage.chunk", repeats, chunk);
        }
    }
    for (plain, list_of) in details.values() {
        twice(plain, list_of.iter(), out);
        need(out, "reasoning_details", list_of.iter().all(is_piece), &Value::from(list_of.clone()));
    }
    // Tool calls are numbered from 0 without gaps.
    for (choice, number) in begun.keys() {
        let gap = *number > 0 && !begun.contains_key(&(*choice, number - 1));
        need(out, "chunk.tool_calls.index", !gap, &Value::from(*number));
    }
}

/// In a stream a signature may come by itself.
fn is_piece(detail: &Value) -> bool {
    is_detail(detail)
        || detail["type"] == "reasoning.text" && text(&detail["signature"]).is_some() && detail["index"].is_u64()
}

fn tail(body: &str) -> String {
    body.chars().rev().take(200).collect::<Vec<_>>().into_iter().rev().collect()
}

fn message(body: &Value, out: &mut Differences) {
    let head = body["type"] == "message" && body["role"] == "assistant" && text(&body["id"]).is_some();
    need(out, "message", head && text(&body["model"]).is_some(), body);
    need(out, "stop_reason", is_key(body, "stop_reason") && is_key(body, "stop_sequence"), body);
    need(out, "content", body["content"].is_array(), body);
    need(
        out,
        "usage",
        body["usage"]["input_tokens"].is_u64() && body["usage"]["output_tokens"].is_u64(),
        &body["usage"],
    );
    for block in list(&body["content"]) {
        need(out, "block", is_block(block), block);
    }
}

fn is_block(block: &Value) -> bool {
    match block["type"].as_str() {
        Some("text") => block["text"].is_string(),
        Some("thinking") => block["thinking"].is_string() && block["signature"].is_string(),
        Some("redacted_thinking") => text(&block["data"]).is_some(),
        Some("tool_use") => {
            let id = block["id"].as_str().unwrap_or_default();
            let plain = !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
            plain && text(&block["name"]).is_some() && block["input"].is_object()
        }
        other => other.is_some(),
    }
}

fn message_stream(got: &Got, verbatim: bool, out: &mut Differences) {
    let body = got.text();
    need(out, "done", !body.contains("[DONE]"), &Value::from(tail(&body)));
    let mut open: Option<u64> = None;
    let mut next = 0;
    let mut seen = Vec::new();
    for event in events(&got.body) {
        let Ok(value) = serde_json::from_str::<Value>(&event.data) else {
            need(out, "json", false, &Value::from(event.data));
            continue;
        };
        let kind = value["type"].as_str().unwrap_or_default().to_owned();
        need(out, "event", verbatim || event.name.as_deref() == Some(&kind), &value);
        let index = value["index"].as_u64();
        match kind.as_str() {
            "message_start" => {
                let m = &value["message"];
                let head = m["type"] == "message"
                    && m["role"] == "assistant"
                    && text(&m["id"]).is_some()
                    && m["content"].is_array();
                need(out, "message_start", head && m["usage"]["input_tokens"].is_u64() && seen.is_empty(), &value);
            }
            "content_block_start" => {
                need(
                    out,
                    "blocks",
                    (verbatim || index == Some(next)) && open.is_none() && is_block(&value["content_block"]),
                    &value,
                );
                open = index;
                next += 1;
            }
            "content_block_delta" => need(out, "blocks", open.is_some() && open == index, &value),
            "content_block_stop" => {
                need(out, "blocks", open.is_some() && open == index, &value);
                open = None;
            }
            "message_delta" => {
                let told = value["delta"]["stop_reason"].is_string() && value["usage"]["output_tokens"].is_u64();
                need(out, "message_delta", told && open.is_none(), &value);
            }
            "message_stop" => need(out, "message_stop", seen.last().is_some_and(|k| k == "message_delta"), &value),
            "error" => need(
                out,
                "error",
                text(&value["error"]["type"]).is_some() && text(&value["error"]["message"]).is_some(),
                &value,
            ),
            _ => {}
        }
        seen.push(kind);
    }
    let ended = matches!(seen.iter().rfind(|k| *k != "ping").map(String::as_str), Some("message_stop" | "error"));
    need(out, "ending", ended && seen.iter().any(|k| k == "message_start" || k == "error"), &Value::from(tail(&body)));
}

fn gemini(chunks: &[Value], verbatim: bool, out: &mut Differences) {
    let mut counted = false;
    for chunk in chunks {
        for candidate in list(&chunk["candidates"]) {
            let parts = &candidate["content"]["parts"];
            need(out, "parts", verbatim || parts.is_array() || !is_key(&candidate["content"], "parts"), candidate);
            for part in list(parts) {
                let call = &part["functionCall"];
                need(
                    out,
                    "call",
                    !call.is_object()
                        || text(&call["name"]).is_some() && (call["args"].is_object() || call["args"].is_null()),
                    part,
                );
                // Google's clients decode it.
                let seal = part["thoughtSignature"].as_str().unwrap_or_default();
                let base64 = seal.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/-_=".contains(&b));
                need(out, "signature", base64 || seal.contains("REDACTED"), part);
            }
        }
        counted |= chunk["usageMetadata"]["promptTokenCount"].is_u64();
    }
    need(
        out,
        "usage",
        counted || verbatim || chunks.iter().any(|c| is_key(c, "error")),
        &chunks.last().cloned().unwrap_or_default(),
    );
}

fn gemini_stream(got: &Got, verbatim: bool, out: &mut Differences) {
    let body = got.text();
    let mut lines = body.split(['\r', '\n']);
    let odd = lines.find(|l| !(l.is_empty() || l.starts_with("data: ")));
    need(out, "lines", verbatim || odd.is_none(), &odd.map_or(Value::Null, Value::from));
    need(out, "done", !body.contains("[DONE]"), &Value::from(tail(&body)));
    let chunks = read::values(&got.body);
    let last = chunks.last().cloned().unwrap_or_default();
    let ended = list(&last["candidates"]).iter().any(|c| is_key(c, "finishReason")) || is_key(&last, "error");
    need(out, "ending", verbatim || ended, &last);
    gemini(&chunks, verbatim, out);
}
