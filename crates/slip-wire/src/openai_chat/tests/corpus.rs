//! Recorded traffic, read by this dialect and by a few plain lines over `serde_json::Value`: both must see the same.

use super::*;
use crate::recordings;
use serde_json::Value;
use slip_ir::{Block, Finish, fold};
use std::fmt::Debug;

/// What somebody without this crate would say is in a reply's first choice.
#[derive(Clone, Debug, Default, PartialEq)]
struct Seen {
    text: String,
    reasoning: String,
    sealed: Vec<String>,
    signatures: String,
    calls: Vec<(String, String)>,
    refusal: String,
    finish: Option<String>,
    totals: Option<(u64, u64)>,
    failed: bool,
}

fn text_of(content: &Value, seen: &mut Seen) {
    match content {
        Value::String(text) => seen.text.push_str(text),
        Value::Array(parts) => {
            for part in parts {
                match part["type"].as_str() {
                    Some("thinking") => {
                        for piece in part["thinking"].as_array().into_iter().flatten() {
                            seen.reasoning.push_str(piece["text"].as_str().unwrap_or_default());
                        }
                    }
                    _ => seen.text.push_str(part["text"].as_str().unwrap_or_default()),
                }
            }
        }
        _ => {}
    }
}

fn look(message: &Value, calls: &mut Vec<(Value, String, String, String)>, seen: &mut Seen) {
    text_of(&message["content"], seen);
    seen.refusal.push_str(message["refusal"].as_str().unwrap_or_default());
    let mut told = false;
    for detail in message["reasoning_details"].as_array().into_iter().flatten() {
        for key in ["text", "summary"] {
            let text = detail[key].as_str().unwrap_or_default();
            told |= !text.is_empty();
            seen.reasoning.push_str(text);
        }
        seen.signatures.push_str(detail["signature"].as_str().unwrap_or_default());
        seen.sealed.extend(detail["data"].as_str().map(str::to_owned));
    }
    if !told {
        let plain = [&message["reasoning_content"], &message["reasoning"]].into_iter().find_map(Value::as_str);
        seen.reasoning.push_str(plain.unwrap_or_default());
    }
    seen.signatures.push_str(message["thought_signature"].as_str().unwrap_or_default());
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        let id = call["id"].as_str().unwrap_or_default();
        let name = call["function"]["name"].as_str().unwrap_or_default();
        let arguments = call["function"]["arguments"].as_str().unwrap_or_default();
        let known = calls.iter_mut().find(|c| !call["index"].is_null() && c.0 == call["index"]);
        match known {
            Some(known) => known.3.push_str(arguments),
            None => calls.push((call["index"].clone(), id.to_owned(), name.to_owned(), arguments.to_owned())),
        }
    }
    if let Some(name) = message["function_call"]["name"].as_str().filter(|n| !n.is_empty()) {
        let arguments = message["function_call"]["arguments"].as_str().unwrap_or_default();
        calls.push((Value::Null, String::new(), name.to_owned(), arguments.to_owned()));
    }
}

fn oracle(documents: &[Value]) -> Seen {
    let mut seen = Seen::default();
    let mut calls = Vec::new();
    for document in documents {
        seen.failed |= document["error"].is_object();
        for choice in document["choices"].as_array().into_iter().flatten() {
            if choice["index"].as_u64().unwrap_or(0) != 0 {
                continue;
            }
            look(
                if choice["delta"].is_object() { &choice["delta"] } else { &choice["message"] },
                &mut calls,
                &mut seen,
            );
            if let Some(word) = choice["finish_reason"].as_str() {
                seen.finish = seen.finish.take().or(Some(word.to_owned()));
            }
        }
        for usage in [&document["usage"], &document["x_groq"]["usage"]] {
            if let Some(prompt) = usage["prompt_tokens"].as_u64() {
                let completion = usage["completion_tokens"].as_u64().unwrap_or(0);
                let total = usage["total_tokens"].as_u64().unwrap_or(prompt + completion);
                seen.totals = Some((prompt, completion.max(total - prompt)));
            }
        }
    }
    let called = !calls.is_empty();
    seen.calls = calls
        .into_iter()
        .map(|(_, _, name, arguments)| (name, if arguments.is_empty() { "{}".to_owned() } else { arguments }))
        .collect();
    seen.finish = seen.finish.map(|word| {
        let plain = match word.as_str() {
            "length" | "content_filter" => word.as_str(),
            "tool_calls" | "function_call" => "tool_calls",
            _ if called => "tool_calls",
            _ => "stop",
        };
        plain.to_owned()
    });
    seen
}

fn ours(reply: &Reply) -> Seen {
    let mut seen = Seen { failed: reply.fault.is_some(), ..Seen::default() };
    seen.totals = reply.usage.as_ref().map(|u| (u.prompt_total(), u.completion_total()));
    let Some(choice) = reply.choices.iter().find(|c| c.index == 0) else { return seen };
    seen.text = choice.text();
    seen.finish = choice.finish.map(|f: Finish| f.name().to_owned());
    for block in &choice.blocks {
        match block {
            Block::Thinking(t) => {
                seen.reasoning.push_str(&t.text);
                seen.signatures.push_str(t.signature.as_deref().unwrap_or_default());
                seen.sealed.extend(t.data.clone());
            }
            Block::Text(t) => seen.signatures.push_str(t.signature.as_deref().unwrap_or_default()),
            Block::ToolCall(c) => {
                seen.calls.push((c.name.clone(), c.arguments.clone()));
                seen.sealed.extend(c.signature.clone());
            }
            Block::Refusal(words) => seen.refusal.push_str(words),
            _ => {}
        }
    }
    seen
}

#[derive(Default)]
struct Report {
    cases: usize,
    failures: Vec<String>,
}

impl Report {
    fn same<T: PartialEq + Debug>(&mut self, id: &str, what: &str, got: &T, want: &T) {
        if got != want {
            self.failures.push(format!("{id}: {what}: got {got:.600?}, want {want:.600?}"));
        }
    }
}

fn cases() -> Option<Vec<Value>> {
    recordings::cases(|case| case["api"] == "chat.completions")
}

/// Strict clients refuse nulls in these places.
fn check_chunks(id: &str, text: &str, report: &mut Report) {
    let all = frames(text);
    if all.last().is_none_or(|(_, data)| data != "[DONE]") {
        report.failures.push(format!("{id}: our stream does not end in [DONE]"));
    }
    for (_, data) in all.iter().filter(|(_, data)| data != "[DONE]") {
        let chunk: Value = serde_json::from_str(data).unwrap_or_else(|why| panic!("{id}: {why}: {data}"));
        let mut bad =
            chunk.get("usage").is_some_and(Value::is_null) || chunk.get("system_fingerprint") == Some(&Value::Null);
        for choice in chunk["choices"].as_array().unwrap() {
            bad |= choice.get("finish_reason").is_none() || choice["index"].is_null();
            bad |= !choice["delta"]["content"].is_string();
            for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
                bad |= call.as_object().unwrap().values().any(Value::is_null) || !call["index"].is_u64();
            }
        }
        if bad {
            report.failures.push(format!("{id}: strict clients would refuse {data}"));
        }
    }
}

#[test]
fn recorded_replies_are_read_as_they_are_meant_and_written_without_loss() {
    let Some(cases) = cases() else { return };
    let mut report = Report::default();
    for case in &cases {
        let id = case["id"].as_str().unwrap();
        let response = &case["response"];
        let body = response["body"].as_str().unwrap();
        if response["status"] != 200 {
            continue;
        }
        report.cases += 1;
        let (events, want) = if response["stream"] == true {
            let events = decode_stream(body);
            let documents: Vec<Value> =
                frames(body).iter().filter_map(|(_, data)| serde_json::from_str(data).ok()).collect();
            (events, oracle(&documents))
        } else {
            let reply = decode_reply(body);
            let mut events = Vec::new();
            slip_ir::unfold(&reply, &mut events);
            (events, oracle(&[serde_json::from_str(body).unwrap()]))
        };
        check_grammar(&events);
        let reply = fold(events.clone());
        let got = ours(&reply);
        report.same(id, "decoded", &got, &want);
        let text = encode_stream(&events, &stamp());
        check_chunks(id, &text, &mut report);
        let again = ours(&fold(decode_stream(&text)));
        if !got.failed && got.totals.is_some() {
            // An error chunk ends the stream where it stands; until then nothing may be lost.
            report.same(id, "as our stream", &again, &sorted(&got, &again));
            let whole = OpenAiChat.encode_reply(&reply, &stamp());
            let whole = ours(&decode_reply(std::str::from_utf8(&whole).unwrap()));
            report.same(id, "as our whole reply", &whole, &sorted(&got, &whole));
        }
    }
    assert!(report.cases > 0, "the corpus holds no chat completions");
    assert!(report.failures.is_empty(), "{} failures\n{}", report.failures.len(), report.failures.join("\n"));
    println!("{} recorded replies agree", report.cases);
}

/// A signature on plain text comes back as a seal, which is where this dialect has a place for it.
fn sorted(want: &Seen, got: &Seen) -> Seen {
    let mut want = want.clone();
    if got.signatures.is_empty() && !want.signatures.is_empty() {
        want.sealed.push(std::mem::take(&mut want.signatures));
    }
    want
}

#[test]
fn recorded_errors_are_classified() {
    let Some(cases) = cases() else { return };
    let mut seen = 0;
    for case in &cases {
        let status = case["response"]["status"].as_u64().unwrap() as u16;
        if status < 400 {
            continue;
        }
        seen += 1;
        let body = case["response"]["body"].as_str().unwrap();
        let fault = OpenAiChat.decode_error(status, &http::HeaderMap::new(), body.as_bytes());
        assert_eq!(fault.status, Some(status), "{}", case["id"]);
        assert_eq!(fault.raw.is_none(), body.is_empty(), "{}", case["id"]);
        let document: Value = serde_json::from_str(body).unwrap_or_default();
        if let Some(message) = document["error"]["message"].as_str().or(document["detail"].as_str()) {
            let words: String = message.chars().take(20).collect();
            assert!(fault.raw.as_deref().unwrap_or_default().contains(&words), "{}: {:?}", case["id"], fault.raw);
        }
    }
    assert!(seen > 0, "the corpus holds no errors");
}

#[test]
fn recorded_requests_are_read_and_written_again() {
    let Some(cases) = cases() else { return };
    let quirks = super::laws::lossless();
    let mut report = Report::default();
    for case in &cases {
        let id = case["id"].as_str().unwrap();
        let body = &case["request"]["body"];
        if !body["messages"].is_array() {
            continue;
        }
        report.cases += 1;
        let text = body.to_string();
        let request = match OpenAiChat.decode_request(text.as_bytes()) {
            Ok((request, _)) => request,
            Err(why) => {
                report.failures.push(format!("{id}: {why}"));
                continue;
            }
        };
        let (written, _) = OpenAiChat.encode_request(&request, &quirks);
        let back: Value = serde_json::from_slice(&written).unwrap();
        let (again, _) = OpenAiChat.decode_request(&written).unwrap();
        report.same(id, "request", &again, &request);
        // Everything the caller said stands in what is sent, unless it is ours or told differently on purpose.
        for (key, value) in body.as_object().unwrap() {
            let differently = [
                "messages",
                "stream",
                "stream_options",
                "provider",
                "functions",
                "function_call",
                "max_completion_tokens",
                "max_tokens",
                "reasoning_effort",
                "reasoning",
                "include_reasoning",
                "tools",
                "stop",
                "usage",
            ];
            if !differently.contains(&key.as_str()) && !value.is_null() {
                let plain = |v: &Value| v.as_f64().map_or_else(|| v.to_string(), |n| n.to_string());
                report.same(id, key, &plain(&back[key]), &plain(value));
            }
        }
        let count = |v: &Value| v["messages"].as_array().map_or(0, Vec::len);
        report.same(id, "number of messages", &count(&back), &count(body));
        for (got, want) in back["messages"].as_array().unwrap().iter().zip(body["messages"].as_array().unwrap()) {
            report.same(
                id,
                "role",
                &got["role"].as_str(),
                &want["role"].as_str().map(|r| if r == "function" { "tool" } else { r }),
            );
            if want["content"].is_string() {
                report.same(
                    id,
                    "content",
                    &got["content"].as_str().unwrap_or_default(),
                    &want["content"].as_str().unwrap(),
                );
            }
            if want["content"].is_array() && got["content"].is_array() {
                let types = |v: &Value| -> Vec<String> {
                    v["content"].as_array().unwrap().iter().map(|p| p["type"].to_string()).collect()
                };
                report.same(id, "parts", &types(got), &types(want));
            }
            if want["role"] == "assistant" {
                let calls = |v: &Value| -> Vec<(String, String, String)> {
                    let list = v["tool_calls"].as_array().into_iter().flatten();
                    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
                    list.map(|c| (text(&c["id"]), text(&c["function"]["name"]), text(&c["function"]["arguments"])))
                        .collect()
                };
                report.same(id, "calls", &calls(got), &calls(want));
            }
            if want["role"] == "tool" {
                report.same(id, "tool_call_id", &got["tool_call_id"], &want["tool_call_id"]);
            }
        }
    }
    assert!(report.cases > 0, "the corpus holds no requests");
    assert!(report.failures.is_empty(), "{} failures\n{}", report.failures.len(), report.failures.join("\n"));
    println!("{} recorded requests agree", report.cases);
}
