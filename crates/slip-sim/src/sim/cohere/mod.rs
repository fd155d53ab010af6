//! Cohere chat, version 2, as its server speaks it. Reading is in `read.rs`.

mod read;

use super::ask::{Ask, Refusal, Why};
use super::mind::{Answer, Call, Choice, Finish};
use super::speak::{Event, Route, Shape, Speak, Told, bearer};
use crate::fault::Mode;
use crate::http::Incoming;
use bytes::Bytes;
use serde_json::{Value, json};

pub(crate) struct Cohere;

impl Speak for Cohere {
    fn base(&self) -> &'static str {
        "/v2"
    }

    fn route(&self, request: &Incoming) -> Route {
        match (request.method.as_str(), request.path()) {
            ("POST", "/v2/chat") => Route::Generate,
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
        let Some(choice) = answer.choices.first() else { return json!({}) };
        let mut content = Vec::new();
        if !choice.reasoning.is_empty() {
            content.push(json!({"type": "thinking", "thinking": choice.reasoning.concat()}));
        }
        if !choice.text.is_empty() {
            content.push(json!({"type": "text", "text": choice.text.concat()}));
        }
        let mut message = json!({"role": "assistant", "content": content});
        if !choice.calls.is_empty() {
            message["tool_calls"] = choice.calls.iter().map(|c| call(c, &c.pieces.concat())).collect();
        }
        let mut body = json!({"id": id(ask), "message": message, "finish_reason": finish(&choice.finish)});
        if shape.usage {
            body["usage"] = usage(answer);
        }
        body
    }

    fn stream(&self, _: &Incoming, ask: &Ask, answer: &Answer, shape: Shape) -> Vec<Event> {
        let Some(choice) = answer.choices.first() else { return Vec::new() };
        let start = json!({"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []});
        let mut events = vec![event(json!({"id": id(ask), "type": "message-start", "delta": {"message": start}}), 0)];
        let mut index = 0;
        for (kind, pieces) in [("thinking", &choice.reasoning), ("text", &choice.text)] {
            if pieces.is_empty() {
                continue;
            }
            let told = |name: &str, content: Value| json!({"type": name, "index": index, "delta": {"message": {"content": content}}});
            events.push(event(told("content-start", json!({"type": kind, kind: ""})), 0));
            events.extend(pieces.iter().map(|piece| event(told("content-delta", json!({kind: piece})), 1)));
            events.push(event(json!({"type": "content-end", "index": index}), 0));
            index += 1;
        }
        events.extend(calls(choice));
        if shape.done {
            let mut delta = json!({"finish_reason": finish(&choice.finish)});
            if shape.usage {
                delta["usage"] = usage(answer);
            }
            events.push(event(json!({"type": "message-end", "delta": delta}), 0));
            events.push(Event { bytes: Bytes::from_static(b"data: [DONE]\n\n"), tokens: 0 });
        } else {
            // Without the marker after it: the last event itself is what nobody could do without.
            let delta = json!({"finish_reason": finish(&choice.finish), "usage": usage(answer)});
            events.push(event(json!({"type": "message-end", "delta": delta}), 0));
        }
        events
    }

    fn stream_type(&self, _: &Incoming) -> &'static str {
        "text/event-stream"
    }

    fn refusal(&self, refusal: &Refusal, id: u64) -> Told {
        let mut headers = Vec::new();
        if let Some(after) = refusal.retry_after {
            headers.push(("retry-after".to_owned(), after.to_string()));
        }
        let body = json!({"id": format!("{id:016x}"), "message": refusal.message});
        Told { status: refusal.status, headers, body }
    }

    fn error_event(&self, _: &Incoming, refusal: &Refusal, _: u64) -> Bytes {
        event(json!({"type": "message-end", "delta": {"error": refusal.message, "finish_reason": "ERROR"}}), 0).bytes
    }

    fn models(&self, models: &[String]) -> Value {
        let of = |id: &String| json!({"name": id, "endpoints": ["chat"]});
        json!({"models": models.iter().map(of).collect::<Vec<_>>()})
    }

    fn mode_refusal(&self, mode: &Mode) -> Option<Refusal> {
        Some(match mode {
            Mode::Auth => Refusal::new(401, Why::Auth, "invalid api token"),
            Mode::Quota => Refusal::new(402, Why::Quota, "you have exceeded your billing limit"),
            Mode::Context => Refusal::new(400, Why::Context, "too many tokens: the prompt is too long for this model"),
            _ => return None,
        })
    }
}

fn id(ask: &Ask) -> String {
    format!("{:016x}-{:04x}", ask.id, ask.id >> 48)
}

fn event(value: Value, tokens: u64) -> Event {
    let name = value["type"].as_str().unwrap_or_default();
    Event { bytes: format!("event: {name}\ndata: {value}\n\n").into(), tokens }
}

fn call(call: &Call, arguments: &str) -> Value {
    let id = format!("{}_{:012x}", call.name, call.id & 0xffff_ffff_ffff);
    json!({"id": id, "type": "function", "function": {"name": call.name, "arguments": arguments}})
}

fn calls(choice: &Choice) -> Vec<Event> {
    let mut events = Vec::new();
    for (index, one) in choice.calls.iter().enumerate() {
        let told = |name: &str, calls: Value| json!({"type": name, "index": index, "delta": {"message": {"tool_calls": calls}}});
        events.push(event(told("tool-call-start", call(one, "")), 1));
        for piece in &one.pieces {
            events.push(event(told("tool-call-delta", json!({"function": {"arguments": piece}})), 1));
        }
        events.push(event(json!({"type": "tool-call-end", "index": index}), 0));
    }
    events
}

fn finish(finish: &Finish) -> &'static str {
    match finish {
        Finish::Stop => "COMPLETE",
        Finish::Sequence(_) => "STOP_SEQUENCE",
        Finish::Length => "MAX_TOKENS",
        Finish::Calls => "TOOL_CALL",
    }
}

fn usage(answer: &Answer) -> Value {
    let (input, output) = (answer.prompt_tokens, answer.completion_tokens());
    json!({
        "billed_units": {"input_tokens": input, "output_tokens": output},
        "tokens": {"input_tokens": input, "output_tokens": output, "reasoning_tokens": answer.reasoning_tokens()},
        "cached_tokens": answer.cached,
    })
}
