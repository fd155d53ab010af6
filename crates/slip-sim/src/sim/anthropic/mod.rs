//! The Anthropic Messages API. Reading is in `read.rs` and `turns.rs`.

mod read;
mod turns;

use super::ask::{Ask, Refusal, Thinking, Why, mix};
use super::mind::{Answer, Call, Choice, Finish};
use super::sign;
use super::speak::{Event, Route, Shape, Speak, Told, bearer};
use crate::fault::Mode;
use crate::http::Incoming;
use bytes::Bytes;
use serde_json::{Value, json};

pub(crate) struct Anthropic;

impl Speak for Anthropic {
    fn base(&self) -> &'static str {
        "/v1"
    }

    fn route(&self, request: &Incoming) -> Route {
        match (request.method.as_str(), request.path()) {
            ("POST", "/v1/messages") => Route::Generate,
            ("GET", "/v1/models") => Route::Models,
            _ => Route::Lost,
        }
    }

    fn credential(&self, request: &Incoming) -> Option<String> {
        request.header("x-api-key").map(str::to_owned).or_else(|| bearer(request))
    }

    fn ask(&self, request: &Incoming, body: &Value) -> Result<Ask, Refusal> {
        if request.header("anthropic-version").is_none() {
            return Err(Refusal::invalid("anthropic-version: header is required"));
        }
        read::ask(body, request.header("anthropic-beta").unwrap_or_default())
    }

    fn whole(&self, ask: &Ask, answer: &Answer, shape: Shape) -> Value {
        let Some(choice) = answer.choices.first() else { return Value::Null };
        let mut body = message(ask, blocks(ask, choice));
        let (reason, sequence) = stop(&choice.finish);
        body["stop_reason"] = reason.into();
        body["stop_sequence"] = sequence;
        if shape.usage {
            body["usage"] = usage(ask, answer, answer.completion_tokens());
        }
        body
    }

    fn stream(&self, _: &Incoming, ask: &Ask, answer: &Answer, shape: Shape) -> Vec<Event> {
        let Some(choice) = answer.choices.first() else { return Vec::new() };
        let mut message = message(ask, Vec::new());
        if shape.usage {
            message["usage"] = usage(ask, answer, answer.completion_tokens().min(1));
        }
        let mut out = vec![event("message_start", json!({"type": "message_start", "message": message}), 0)];
        for (index, block) in pieces(ask, choice).into_iter().enumerate() {
            let (start, start_tokens, deltas) = block;
            let opening = json!({"type": "content_block_start", "index": index, "content_block": start});
            out.push(event("content_block_start", opening, start_tokens));
            if index == 0 {
                out.push(event("ping", json!({"type": "ping"}), 0));
            }
            for (delta, tokens) in deltas {
                let delta = json!({"type": "content_block_delta", "index": index, "delta": delta});
                out.push(event("content_block_delta", delta, tokens));
            }
            out.push(event("content_block_stop", json!({"type": "content_block_stop", "index": index}), 0));
        }
        let (reason, sequence) = stop(&choice.finish);
        let mut delta = json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": sequence}});
        if shape.usage {
            delta["usage"] = usage(ask, answer, answer.completion_tokens());
        }
        out.push(event("message_delta", delta, 0));
        if shape.done {
            out.push(event("message_stop", json!({"type": "message_stop"}), 0));
        }
        out
    }

    fn stream_type(&self, _: &Incoming) -> &'static str {
        "text/event-stream; charset=utf-8"
    }

    fn refusal(&self, refusal: &Refusal, id: u64) -> Told {
        let mut headers = vec![("request-id".to_owned(), format!("req_{id:016x}"))];
        if let Some(after) = refusal.retry_after {
            headers.push(("retry-after".to_owned(), after.to_string()));
        }
        Told { status: refusal.status, headers, body: error(refusal, id) }
    }

    fn error_event(&self, _: &Incoming, refusal: &Refusal, id: u64) -> Bytes {
        // What Anthropic says in a stream is nearly always this; its status outside one would be 529.
        let overloaded = Refusal { status: 529, ..refusal.clone() };
        event("error", error(&overloaded, id), 0).bytes
    }

    fn models(&self, models: &[String]) -> Value {
        let of =
            |id: &String| json!({"type": "model", "id": id, "display_name": id, "created_at": "2026-01-01T00:00:00Z"});
        json!({
            "data": models.iter().map(of).collect::<Vec<_>>(),
            "has_more": false,
            "first_id": models.first(),
            "last_id": models.last(),
        })
    }

    fn mode_refusal(&self, mode: &Mode) -> Option<Refusal> {
        Some(match mode {
            Mode::Auth => Refusal::new(401, Why::Auth, "invalid x-api-key"),
            // Not a 402 or 429: a plain bad request, which only its words tell apart.
            Mode::Quota => Refusal::new(400, Why::Quota, "Your credit balance is too low to access the Anthropic API."),
            Mode::Context => Refusal::new(400, Why::Context, "prompt is too long: 200001 tokens > 200000 maximum"),
            _ => return None,
        })
    }
}

fn event(name: &str, data: Value, tokens: u64) -> Event {
    Event { bytes: format!("event: {name}\ndata: {data}\n\n").into(), tokens }
}

fn message(ask: &Ask, content: Vec<Value>) -> Value {
    json!({
        "id": format!("msg_{:016x}", ask.id),
        "type": "message",
        "role": "assistant",
        "model": ask.model,
        "content": content,
        "stop_reason": null,
        "stop_sequence": null,
    })
}

fn call_id(call: &Call) -> String {
    format!("toolu_{:016x}", call.id)
}

/// The model keeps its thoughts sealed.
fn redacts(ask: &Ask) -> bool {
    ask.model.contains("redacted")
}

/// The thought as it is shown, and its signature. A hidden one is an empty text with a signature.
fn thought(ask: &Ask, choice: &Choice) -> (String, String) {
    let shown = if ask.thinking == Thinking::Hidden { String::new() } else { choice.reasoning.concat() };
    let signature = sign::sign(mix(ask.id, 77), &shown);
    (shown, signature)
}

/// A call cut short by `max_tokens` has no arguments yet.
fn whole_input(call: &Call) -> Value {
    serde_json::from_str(&call.pieces.concat()).unwrap_or_else(|_| json!({}))
}

fn blocks(ask: &Ask, choice: &Choice) -> Vec<Value> {
    let mut out = Vec::new();
    if !choice.reasoning.is_empty() {
        let (thinking, signature) = thought(ask, choice);
        out.push(match redacts(ask) {
            true => json!({"type": "redacted_thinking", "data": sign::seal(ask.id)}),
            false => json!({"type": "thinking", "thinking": thinking, "signature": signature}),
        });
    }
    if !choice.text.is_empty() {
        out.push(json!({"type": "text", "text": choice.text.concat()}));
    }
    let call = |c: &Call| json!({"type": "tool_use", "id": call_id(c), "name": c.name, "input": whole_input(c)});
    out.extend(choice.calls.iter().map(call));
    out
}

/// A block: how it starts, the tokens that carries, and its deltas with theirs.
type Block = (Value, u64, Vec<(Value, u64)>);

fn pieces(ask: &Ask, choice: &Choice) -> Vec<Block> {
    let mut out: Vec<Block> = Vec::new();
    let thoughts = choice.reasoning_tokens();
    if thoughts > 0 && redacts(ask) {
        out.push((json!({"type": "redacted_thinking", "data": sign::seal(ask.id)}), thoughts, Vec::new()));
    } else if thoughts > 0 {
        let (shown, signature) = thought(ask, choice);
        let delta = |piece: &String| (json!({"type": "thinking_delta", "thinking": piece}), 1);
        let mut deltas: Vec<_> =
            if shown.is_empty() { Vec::new() } else { choice.reasoning.iter().map(delta).collect() };
        let hidden = if shown.is_empty() { thoughts } else { 0 };
        deltas.push((json!({"type": "signature_delta", "signature": signature}), hidden));
        out.push((json!({"type": "thinking", "thinking": "", "signature": ""}), 0, deltas));
    }
    if !choice.text.is_empty() {
        let delta = |piece: &String| (json!({"type": "text_delta", "text": piece}), 1);
        out.push((json!({"type": "text", "text": ""}), 0, choice.text.iter().map(delta).collect()));
    }
    for call in &choice.calls {
        let delta = |piece: &str| json!({"type": "input_json_delta", "partial_json": piece});
        let mut deltas = vec![(delta(""), 0)];
        // Without arguments there is nothing but the empty fragment.
        let empty = call.args.as_object().is_some_and(serde_json::Map::is_empty);
        let fragments = if empty { &[][..] } else { call.pieces.as_slice() };
        deltas.extend(fragments.iter().map(|piece| (delta(piece), 1)));
        let tokens = 1 + (call.pieces.len() - fragments.len()) as u64;
        out.push((json!({"type": "tool_use", "id": call_id(call), "name": call.name, "input": {}}), tokens, deltas));
    }
    out
}

fn stop(finish: &Finish) -> (&'static str, Value) {
    match finish {
        Finish::Stop => ("end_turn", Value::Null),
        Finish::Length => ("max_tokens", Value::Null),
        Finish::Sequence(sequence) => ("stop_sequence", sequence.clone().into()),
        Finish::Calls => ("tool_use", Value::Null),
    }
}

/// The three kinds of input are apart from each other: `input_tokens` counts neither what was read from the cache nor what was
/// written to it.
fn usage(ask: &Ask, answer: &Answer, output: u64) -> Value {
    let (hour, minutes) = if ask.caches_1h { (answer.cache_written, 0) } else { (0, answer.cache_written) };
    let mut usage = json!({
        "input_tokens": answer.prompt_tokens - answer.cached - answer.cache_written,
        "cache_creation_input_tokens": answer.cache_written,
        "cache_read_input_tokens": answer.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": minutes, "ephemeral_1h_input_tokens": hour},
        "output_tokens": output,
        "service_tier": "standard",
    });
    if ask.thinking != Thinking::Off && output >= answer.reasoning_tokens() {
        usage["output_tokens_details"] = json!({"thinking_tokens": answer.reasoning_tokens()});
    }
    usage
}

fn error(refusal: &Refusal, id: u64) -> Value {
    let kind = match refusal.status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    };
    let message = if refusal.status == 529 { "Overloaded" } else { &refusal.message };
    let mut told = json!({
        "type": "error",
        "error": {"type": kind, "message": message},
        "request_id": format!("req_{id:016x}"),
    });
    if refusal.param.as_deref() == Some("thread") {
        told["error"]["details"] = json!({"error_code": "thread_not_found"});
    }
    told
}
