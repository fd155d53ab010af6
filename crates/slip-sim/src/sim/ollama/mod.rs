//! Ollama's own API, as its server speaks it: a JSON value per line, counts on the last. Reading is in `read.rs`.

mod read;

use super::ask::{Ask, Refusal, Thinking, Why};
use super::mind::{Answer, Call, Choice, Finish};
use super::speak::{Event, Route, Shape, Speak, Told, bearer};
use crate::fault::Mode;
use crate::http::Incoming;
use bytes::Bytes;
use serde_json::{Value, json};

/// Everything was said at the start of 2026.
const CREATED_AT: &str = "2026-01-01T00:00:00.123456Z";

/// `/api/chat`
pub(crate) struct Chat;
/// `/api/generate`
pub(crate) struct Generate;

/// What differs between the two: the path, how the conversation is told, and where the words stand.
trait Door: Send + Sync {
    const PATH: &'static str;
    fn read(body: &Value, ask: &mut Ask) -> Result<(), Refusal>;
    fn part(said: &str, thought: &str, calls: &[Call]) -> Value;
}

impl Door for Chat {
    const PATH: &'static str = "/api/chat";

    fn read(body: &Value, ask: &mut Ask) -> Result<(), Refusal> {
        read::messages(body, ask)
    }

    fn part(said: &str, thought: &str, calls: &[Call]) -> Value {
        let mut message = json!({"role": "assistant", "content": said});
        if !thought.is_empty() {
            message["thinking"] = thought.into();
        }
        if !calls.is_empty() {
            let call = |(n, c): (usize, &Call)| {
                let args = arguments(c);
                json!({"id": format!("call_{:016x}", c.id), "function": {"index": n, "name": c.name, "arguments": args}})
            };
            message["tool_calls"] = calls.iter().enumerate().map(call).collect();
        }
        json!({"message": message})
    }
}

impl Door for Generate {
    const PATH: &'static str = "/api/generate";

    fn read(body: &Value, ask: &mut Ask) -> Result<(), Refusal> {
        read::prompt(body, ask)
    }

    fn part(said: &str, thought: &str, _: &[Call]) -> Value {
        let mut part = json!({"response": said});
        if !thought.is_empty() {
            part["thinking"] = thought.into();
        }
        part
    }
}

/// A call cut short by the budget has half an object, which cannot be told as one.
fn arguments(call: &Call) -> Value {
    serde_json::from_str(&call.pieces.concat()).unwrap_or_else(|_| json!({}))
}

impl<D: Door> Speak for D {
    fn base(&self) -> &'static str {
        ""
    }

    fn route(&self, request: &Incoming) -> Route {
        match (request.method.as_str(), request.path()) {
            ("POST", path) if path == D::PATH => Route::Generate,
            ("GET", "/api/tags") => Route::Models,
            _ => Route::Lost,
        }
    }

    fn credential(&self, request: &Incoming) -> Option<String> {
        bearer(request)
    }

    fn ask(&self, _: &Incoming, body: &Value) -> Result<Ask, Refusal> {
        let mut ask = read::plain(body)?;
        D::read(body, &mut ask)?;
        ask.prompt.mark();
        Ok(ask)
    }

    fn whole(&self, ask: &Ask, answer: &Answer, shape: Shape) -> Value {
        let Some(choice) = answer.choices.first() else { return json!({}) };
        let shown = if ask.thinking == Thinking::Off { String::new() } else { choice.reasoning.concat() };
        let part = D::part(&choice.text.concat(), &shown, &choice.calls);
        last(ask, part, choice, answer, shape)
    }

    fn stream(&self, _: &Incoming, ask: &Ask, answer: &Answer, shape: Shape) -> Vec<Event> {
        let Some(choice) = answer.choices.first() else { return Vec::new() };
        let part = |part: Value, tokens: u64| line(&envelope(ask, part, false), tokens);
        let mut events: Vec<Event> = Vec::new();
        events.extend(choice.reasoning.iter().map(|piece| part(D::part("", piece, &[]), 1)));
        events.extend(choice.text.iter().map(|piece| part(D::part(piece, "", &[]), 1)));
        for call in &choice.calls {
            // A call comes whole, and with it all of its tokens.
            let tokens = 1 + call.pieces.len() as u64;
            events.push(part(D::part("", "", std::slice::from_ref(call)), tokens));
        }
        // Nothing comes after the line that says it is done, so that there is nothing to leave out.
        events.push(line(&last(ask, D::part("", "", &[]), choice, answer, shape), 0));
        events
    }

    fn stream_type(&self, _: &Incoming) -> &'static str {
        "application/x-ndjson"
    }

    fn refusal(&self, refusal: &Refusal, _: u64) -> Told {
        let mut headers = Vec::new();
        if let Some(after) = refusal.retry_after {
            headers.push(("retry-after".to_owned(), after.to_string()));
        }
        Told { status: refusal.status, headers, body: json!({"error": refusal.message}) }
    }

    fn error_event(&self, _: &Incoming, refusal: &Refusal, _: u64) -> Bytes {
        format!("{}\n", json!({"error": refusal.message})).into()
    }

    fn models(&self, models: &[String]) -> Value {
        let of = |id: &String| json!({"name": id, "model": id, "modified_at": CREATED_AT, "size": 0, "digest": ""});
        json!({"models": models.iter().map(of).collect::<Vec<_>>()})
    }

    fn mode_refusal(&self, mode: &Mode) -> Option<Refusal> {
        Some(match mode {
            Mode::Auth => Refusal::new(401, Why::Auth, "unauthorized"),
            Mode::Quota => Refusal::new(402, Why::Quota, "you've reached your usage limit, please upgrade"),
            Mode::Context => Refusal::new(400, Why::Context, "the input length exceeds the context length"),
            _ => return None,
        })
    }
}

fn envelope(ask: &Ask, part: Value, done: bool) -> Value {
    let mut body = json!({"model": ask.model, "created_at": CREATED_AT, "done": done});
    if let (Some(body), Value::Object(part)) = (body.as_object_mut(), part) {
        body.extend(part);
    }
    body
}

fn line(value: &Value, tokens: u64) -> Event {
    Event { bytes: format!("{value}\n").into(), tokens }
}

/// The line that says it is done, or a whole reply.
fn last(ask: &Ask, part: Value, choice: &Choice, answer: &Answer, shape: Shape) -> Value {
    let mut body = envelope(ask, part, true);
    body["done_reason"] = if choice.finish == Finish::Length { "length" } else { "stop" }.into();
    for (name, nanoseconds) in
        [("total_duration", 5_000_000), ("load_duration", 1_000_000), ("eval_duration", 4_000_000)]
    {
        body[name] = nanoseconds.into();
    }
    if shape.usage {
        body["prompt_eval_count"] = answer.prompt_tokens.into();
        body["eval_count"] = answer.completion_tokens().into();
    }
    // The simulator salts with the id what has no other place for it, so that another seed gives other bytes.
    body["prompt_eval_duration"] = (ask.id % 1_000_000_007).into();
    body
}
