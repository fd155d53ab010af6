//! OpenAI Responses, as OpenAI speaks it. Reading is in `read.rs`.

mod read;

use super::ask::{Ask, Refusal, Thinking, Why, mix};
use super::mind::{Answer, Call, Choice, Finish};
use super::sign;
use super::speak::{CREATED, Event, Route, Shape, Speak, Told, bearer};
use crate::fault::Mode;
use crate::http::Incoming;
use bytes::Bytes;
use serde_json::{Value, json};

pub(crate) struct Responses;

impl Speak for Responses {
    fn base(&self) -> &'static str {
        "/v1"
    }

    fn route(&self, request: &Incoming) -> Route {
        match (request.method.as_str(), request.path()) {
            ("POST", "/v1/responses") => Route::Generate,
            ("GET", "/v1/models") => Route::Models,
            _ => Route::Lost,
        }
    }

    fn credential(&self, request: &Incoming) -> Option<String> {
        bearer(request)
    }

    fn ask(&self, _: &Incoming, body: &Value) -> Result<Ask, Refusal> {
        read::ask(body)
    }

    fn whole(&self, ask: &Ask, answer: &Answer, shape: Shape) -> Value {
        let Some(choice) = answer.choices.first() else { return Value::Null };
        ended(ask, answer, choice, shape)
    }

    fn stream(&self, _: &Incoming, ask: &Ask, answer: &Answer, shape: Shape) -> Vec<Event> {
        let Some(choice) = answer.choices.first() else { return Vec::new() };
        let mut out = Telling::default();
        let begun = response(ask, "in_progress", Vec::new());
        out.say("response.created", json!({ "response": begun }), 0);
        out.say("response.in_progress", json!({ "response": begun }), 0);
        for (index, item) in items(ask, choice).into_iter().enumerate() {
            out.item(index, item);
        }
        let whole = ended(ask, answer, choice, shape);
        let status = whole["status"].as_str().unwrap_or("completed").to_owned();
        out.say(&format!("response.{status}"), json!({ "response": whole }), 0);
        out.events
    }

    fn stream_type(&self, _: &Incoming) -> &'static str {
        "text/event-stream; charset=utf-8"
    }

    fn refusal(&self, refusal: &Refusal, _: u64) -> Told {
        let mut headers = Vec::new();
        if let Some(after) = refusal.retry_after {
            headers.push(("retry-after".to_owned(), after.to_string()));
        }
        Told { status: refusal.status, headers, body: json!({ "error": error(refusal) }) }
    }

    fn error_event(&self, _: &Incoming, refusal: &Refusal, id: u64) -> Bytes {
        let error = error(refusal);
        let told = json!({"type": "error", "sequence_number": 1000, "error": error});
        let response = json!({
            "id": format!("resp_{id:016x}"), "object": "response", "created_at": CREATED, "status": "failed",
            "error": {"code": "server_error", "message": refusal.message}, "output": [], "usage": null,
        });
        let failed = json!({"type": "response.failed", "sequence_number": 1001, "response": response});
        format!("event: error\ndata: {told}\n\nevent: response.failed\ndata: {failed}\n\n").into()
    }

    fn models(&self, models: &[String]) -> Value {
        let of = |id: &String| json!({"id": id, "object": "model", "created": CREATED, "owned_by": "simulated"});
        json!({"object": "list", "data": models.iter().map(of).collect::<Vec<_>>()})
    }

    fn mode_refusal(&self, mode: &Mode) -> Option<Refusal> {
        Some(match mode {
            Mode::Auth => Refusal::new(401, Why::Auth, "Incorrect API key provided"),
            Mode::Quota => Refusal::new(429, Why::Quota, "You exceeded your current quota, check your plan"),
            Mode::Context => {
                let message = "Your input exceeds the context window of this model. Please adjust your input.";
                Refusal::new(400, Why::Context, message).at("input")
            }
            _ => return None,
        })
    }
}

/// An item as it is shown at its end, and its text in pieces.
struct Item {
    whole: Value,
    pieces: Vec<String>,
}

fn items(ask: &Ask, choice: &Choice) -> Vec<Item> {
    let mut out = Vec::new();
    if ask.thinking != Thinking::Off && !choice.reasoning.is_empty() {
        let shown = ask.thinking == Thinking::Shown;
        let summary =
            if shown { json!([{"type": "summary_text", "text": choice.reasoning.concat()}]) } else { json!([]) };
        let mut whole = json!({"id": format!("rs_{:016x}", mix(ask.id, 11)), "type": "reasoning", "summary": summary});
        if ask.seals {
            whole["encrypted_content"] = sign::seal(ask.id).into();
        }
        out.push(Item { whole, pieces: choice.reasoning.clone() });
    }
    if choice.calls.is_empty() {
        let part = json!({"type": "output_text", "text": choice.text.concat(), "annotations": [], "logprobs": []});
        let id = format!("msg_{:016x}", mix(ask.id, 12));
        let whole = json!({"id": id, "type": "message", "role": "assistant", "status": "completed", "content": [part]});
        out.push(Item { whole, pieces: choice.text.clone() });
    }
    out.extend(choice.calls.iter().map(|call| called(ask, call)));
    out
}

fn called(ask: &Ask, call: &Call) -> Item {
    let call_id = format!("call_{:016x}{:08x}", call.id, mix(call.id, 1) as u32);
    let free = ask.tools.iter().any(|tool| tool.name == call.name && tool.schema[read::FREE_TEXT] == true);
    if free {
        let input = call.args["input"].as_str().unwrap_or_default().to_owned();
        let id = format!("ctc_{:016x}", call.id);
        let whole = json!({"id": id, "type": "custom_tool_call", "call_id": call_id, "name": call.name, "input": input, "status": "completed"});
        return Item { whole, pieces: vec![input] };
    }
    let id = format!("fc_{:016x}", call.id);
    let whole = json!({"id": id, "type": "function_call", "call_id": call_id, "name": call.name, "arguments": call.pieces.concat(), "status": "completed"});
    Item { whole, pieces: call.pieces.clone() }
}

#[derive(Default)]
struct Telling {
    events: Vec<Event>,
    number: u64,
}

impl Telling {
    fn say(&mut self, kind: &str, mut body: Value, tokens: u64) {
        body["type"] = kind.into();
        body["sequence_number"] = self.number.into();
        self.number += 1;
        self.events.push(Event { bytes: format!("event: {kind}\ndata: {body}\n\n").into(), tokens });
    }

    /// Announced empty, told in pieces, then whole: the part, and the item.
    fn item(&mut self, index: usize, item: Item) {
        let Item { whole, pieces } = item;
        let id = whole["id"].clone();
        let about = |mut more: Value| {
            more["item_id"] = id.clone();
            more["output_index"] = index.into();
            more
        };
        let mut opening = whole.clone();
        for (member, empty) in
            [("content", json!([])), ("summary", json!([])), ("arguments", json!("")), ("input", json!(""))]
        {
            if !opening[member].is_null() {
                opening[member] = empty;
            }
        }
        if !opening["status"].is_null() {
            opening["status"] = "in_progress".into();
        }
        let is_call = whole["type"] == "function_call" || whole["type"] == "custom_tool_call";
        self.say("response.output_item.added", json!({"output_index": index, "item": opening}), u64::from(is_call));
        let text: String = pieces.concat();
        match whole["type"].as_str() {
            Some("message") => {
                let part = |text: &str| json!({"content_index": 0, "part": {"type": "output_text", "text": text, "annotations": [], "logprobs": []}});
                self.say("response.content_part.added", about(part("")), 0);
                for piece in &pieces {
                    let delta = json!({"content_index": 0, "delta": piece, "logprobs": [], "obfuscation": "x1y2"});
                    self.say("response.output_text.delta", about(delta), 1);
                }
                let done = json!({"content_index": 0, "text": text, "logprobs": []});
                self.say("response.output_text.done", about(done), 0);
                self.say("response.content_part.done", about(part(&text)), 0);
            }
            Some("reasoning") if !whole["summary"][0].is_null() => {
                let part = |text: &str| json!({"summary_index": 0, "part": {"type": "summary_text", "text": text}});
                self.say("response.reasoning_summary_part.added", about(part("")), 0);
                for piece in &pieces {
                    let delta = json!({"summary_index": 0, "delta": piece, "obfuscation": "x1"});
                    self.say("response.reasoning_summary_text.delta", about(delta), 1);
                }
                let done = json!({"summary_index": 0, "text": text});
                self.say("response.reasoning_summary_text.done", about(done), 0);
                self.say("response.reasoning_summary_part.done", about(part(&text)), 0);
            }
            Some("reasoning") => {}
            Some(kind) => {
                let (event, member) = match kind {
                    "custom_tool_call" => ("custom_tool_call_input", "input"),
                    _ => ("function_call_arguments", "arguments"),
                };
                for piece in &pieces {
                    self.say(&format!("response.{event}.delta"), about(json!({ "delta": piece })), 1);
                }
                let mut done = json!({});
                done[member] = text.into();
                self.say(&format!("response.{event}.done"), about(done), 0);
            }
            None => {}
        }
        let thought = whole["type"] == "reasoning" && whole["summary"][0].is_null();
        // What is thought and not shown is paid for all the same.
        let tokens = if thought { pieces.len() as u64 } else { 0 };
        self.say("response.output_item.done", json!({"output_index": index, "item": whole}), tokens);
    }
}

fn response(ask: &Ask, status: &str, output: Vec<Value>) -> Value {
    json!({
        "id": format!("resp_{:016x}", ask.id),
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "background": false,
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "max_output_tokens": ask.max_tokens,
        "model": ask.model,
        "output": output,
        "parallel_tool_calls": ask.parallel,
        "previous_response_id": null,
        "service_tier": "default",
        "store": false,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": null,
        "metadata": {},
    })
}

fn ended(ask: &Ask, answer: &Answer, choice: &Choice, shape: Shape) -> Value {
    let short = choice.finish == Finish::Length;
    let output = items(ask, choice).into_iter().map(|item| item.whole).collect();
    let mut whole = response(ask, if short { "incomplete" } else { "completed" }, output);
    if short {
        whole["incomplete_details"] = json!({"reason": "max_output_tokens"});
    }
    if shape.usage {
        let output = answer.completion_tokens();
        whole["usage"] = json!({
            "input_tokens": answer.prompt_tokens,
            "input_tokens_details": {"cached_tokens": answer.cached},
            "output_tokens": output,
            "output_tokens_details": {"reasoning_tokens": answer.reasoning_tokens()},
            "total_tokens": answer.prompt_tokens + output,
        });
    }
    whole
}

fn error(refusal: &Refusal) -> Value {
    let (kind, code) = match (refusal.kind, refusal.status) {
        (Why::Auth, _) | (Why::Status, 401) => ("invalid_request_error", json!("invalid_api_key")),
        (Why::Quota, _) => ("insufficient_quota", json!("insufficient_quota")),
        (Why::Context, _) => ("invalid_request_error", json!("context_length_exceeded")),
        (Why::NotFound, _) => ("invalid_request_error", json!("model_not_found")),
        (Why::Status, 429) => ("requests", json!("rate_limit_exceeded")),
        (Why::Status, 500..) => ("server_error", json!("server_error")),
        _ => ("invalid_request_error", Value::Null),
    };
    json!({"message": refusal.message, "type": kind, "param": refusal.param, "code": code})
}
