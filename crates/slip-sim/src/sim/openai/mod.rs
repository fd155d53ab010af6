//! OpenAI chat completions, as an OpenAI-shaped server speaks it. Reading is in `read.rs`.

mod read;
pub(super) mod text;

use super::ask::{Ask, Refusal, Thinking, Why, mix};
use super::mind::{Answer, Choice, Finish};
use super::speak::{CREATED, Event, Route, Shape, Speak, Told, bearer, interleave};
use crate::fault::Mode;
use crate::http::Incoming;
use bytes::Bytes;
use serde_json::{Map, Value, json};

pub(crate) struct OpenAi;

impl Speak for OpenAi {
    fn base(&self) -> &'static str {
        "/v1"
    }

    fn route(&self, request: &Incoming) -> Route {
        match (request.method.as_str(), request.path()) {
            ("POST", "/v1/chat/completions") => Route::Generate,
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
        let choices: Vec<Value> = answer.choices.iter().enumerate().map(|(i, c)| whole_choice(ask, i, c)).collect();
        let mut body = envelope(ask, "chat.completion", choices);
        if shape.usage {
            body["usage"] = usage(answer);
        }
        body
    }

    fn stream(&self, _: &Incoming, ask: &Ask, answer: &Answer, shape: Shape) -> Vec<Event> {
        let tells = ask.include_usage && shape.usage;
        let chunk = |choices: Vec<Value>, usage: Option<Value>, tokens: u64| {
            let mut body = envelope(ask, "chat.completion.chunk", choices);
            if let Some(usage) = usage {
                body["usage"] = usage;
            }
            Event { bytes: format!("data: {body}\n\n").into(), tokens }
        };
        let turns = answer.choices.iter().enumerate().map(|(index, choice)| {
            let piece = |(delta, logprobs, finish, tokens): Piece| {
                let choice = json!({"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish});
                chunk(vec![choice], tells.then_some(Value::Null), tokens)
            };
            pieces(ask, choice).into_iter().map(piece).collect()
        });
        let mut events = interleave(turns.collect());
        if tells {
            events.push(chunk(Vec::new(), Some(usage(answer)), 0));
        }
        if shape.done {
            events.push(Event { bytes: Bytes::from_static(b"data: [DONE]\n\n"), tokens: 0 });
        }
        events
    }

    fn stream_type(&self, _: &Incoming) -> &'static str {
        "text/event-stream; charset=utf-8"
    }

    fn refusal(&self, refusal: &Refusal, _: u64) -> Told {
        let mut headers = Vec::new();
        if let Some(after) = refusal.retry_after {
            headers.push(("retry-after".to_owned(), after.to_string()));
        }
        Told { status: refusal.status, headers, body: error(refusal) }
    }

    fn error_event(&self, _: &Incoming, refusal: &Refusal, _: u64) -> Bytes {
        format!("data: {}\n\n", error(refusal)).into()
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
                let message = "This model's maximum context length is 8192 tokens, your messages have 9000";
                Refusal::new(400, Why::Context, message).at("messages")
            }
            _ => return None,
        })
    }
}

fn envelope(ask: &Ask, object: &str, choices: Vec<Value>) -> Value {
    json!({
        "id": format!("chatcmpl-{:016x}", ask.id),
        "object": object,
        "created": CREATED,
        "model": ask.model,
        "system_fingerprint": "fp_simulated",
        "service_tier": "default",
        "choices": choices,
    })
}

fn reasoning_member(ask: &Ask) -> &'static str {
    if ask.thinking == Thinking::ShownAsReasoning { "reasoning" } else { "reasoning_content" }
}

fn call_id(id: u64) -> String {
    format!("call_{:016x}{:08x}", id, mix(id, 1) as u32)
}

fn whole_choice(ask: &Ask, index: usize, choice: &Choice) -> Value {
    let content = if choice.calls.is_empty() { Value::String(choice.text.concat()) } else { Value::Null };
    let mut message = json!({"role": "assistant", "content": content, "refusal": null});
    if !choice.reasoning.is_empty() {
        message[reasoning_member(ask)] = choice.reasoning.concat().into();
    }
    if !choice.calls.is_empty() {
        let call = |c: &super::mind::Call| json!({"id": call_id(c.id), "type": "function", "function": {"name": c.name, "arguments": c.pieces.concat()}});
        message["tool_calls"] = choice.calls.iter().map(call).collect();
    }
    let logprobs = match ask.logprobs {
        Some(top) => logprobs(&choice.text, 0, top),
        None => Value::Null,
    };
    json!({"index": index, "message": message, "logprobs": logprobs, "finish_reason": finish(&choice.finish)})
}

/// Delta, logprobs, finish reason, tokens.
type Piece = (Value, Value, Value, u64);

fn pieces(ask: &Ask, choice: &Choice) -> Vec<Piece> {
    let delta = |delta: Value, tokens| (delta, Value::Null, Value::Null, tokens);
    let opening = if choice.calls.is_empty() { json!("") } else { Value::Null };
    let mut out = vec![delta(json!({"role": "assistant", "content": opening, "refusal": null}), 0)];
    for piece in &choice.reasoning {
        let mut member = Map::new();
        member.insert(reasoning_member(ask).to_owned(), piece.clone().into());
        out.push(delta(Value::Object(member), 1));
    }
    for (nth, piece) in choice.text.iter().enumerate() {
        let logprobs = ask.logprobs.map_or(Value::Null, |top| logprobs(std::slice::from_ref(piece), nth, top));
        out.push((json!({"content": piece}), logprobs, Value::Null, 1));
    }
    for (index, call) in choice.calls.iter().enumerate() {
        let function = json!({"name": call.name, "arguments": ""});
        let opening = json!({"index": index, "id": call_id(call.id), "type": "function", "function": function});
        out.push(delta(json!({"tool_calls": [opening]}), 1));
        for piece in &call.pieces {
            let fragment = json!({"index": index, "function": {"arguments": piece}});
            out.push(delta(json!({"tool_calls": [fragment]}), 1));
        }
    }
    out.push((json!({}), Value::Null, finish(&choice.finish).into(), 0));
    out
}

fn finish(finish: &Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::Sequence(_) => "stop",
        Finish::Length => "length",
        Finish::Calls => "tool_calls",
    }
}

/// The n-th token has the probability e^-0.1, e^-0.2, … e^-0.5, and around again; its alternatives are less likely by one each.
fn logprobs(tokens: &[String], first: usize, top: u64) -> Value {
    let one = |token: &str, logprob: f64| json!({"token": token, "logprob": logprob, "bytes": token.as_bytes()});
    let of = |(nth, token): (usize, &String)| {
        let logprob = -0.1 * ((first + nth) % 5 + 1) as f64;
        let alternative = |i: u64| match i {
            0 => one(token, logprob),
            _ => one(&format!("{token}~{i}"), logprob - i as f64),
        };
        let mut entry = one(token, logprob);
        entry["top_logprobs"] = (0..top).map(alternative).collect();
        entry
    };
    json!({"content": tokens.iter().enumerate().map(of).collect::<Vec<_>>(), "refusal": null})
}

fn usage(answer: &Answer) -> Value {
    let completion = answer.completion_tokens();
    json!({
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": completion,
        "total_tokens": answer.prompt_tokens + completion,
        "prompt_tokens_details": {"cached_tokens": answer.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": answer.reasoning_tokens(),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

fn error(refusal: &Refusal) -> Value {
    let (kind, code) = match (refusal.kind, refusal.status) {
        (Why::Auth, _) | (Why::Status, 401) => ("invalid_request_error", json!("invalid_api_key")),
        (Why::Quota, _) => ("insufficient_quota", json!("insufficient_quota")),
        (Why::Context, _) => ("invalid_request_error", json!("context_length_exceeded")),
        (Why::NotFound, _) => ("invalid_request_error", json!("model_not_found")),
        (Why::Status, 429) => ("requests", json!("rate_limit_exceeded")),
        (Why::Status, 500..) => ("server_error", Value::Null),
        _ => ("invalid_request_error", Value::Null),
    };
    json!({"error": {"message": refusal.message, "type": kind, "param": refusal.param, "code": code}})
}
