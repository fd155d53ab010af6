//! OpenAI's legacy completions, as an OpenAI-shaped server speaks them: a prompt in, text out, without tools or thoughts.

use super::super::ask::{Ask, Refusal, given};
use super::super::mind::{Answer, Choice};
use super::super::speak::{CREATED, Event, Route, Shape, Speak, Told, bearer, interleave};
use super::{OpenAi, finish, read, usage};
use crate::fault::Mode;
use crate::http::Incoming;
use bytes::Bytes;
use serde_json::{Map, Value, json};

pub(crate) struct Text;

impl Speak for Text {
    fn base(&self) -> &'static str {
        "/v1"
    }

    fn route(&self, request: &Incoming) -> Route {
        match (request.method.as_str(), request.path()) {
            ("POST", "/v1/completions") => Route::Generate,
            ("GET", "/v1/models") => Route::Models,
            _ => Route::Lost,
        }
    }

    fn credential(&self, request: &Incoming) -> Option<String> {
        bearer(request)
    }

    fn ask(&self, _: &Incoming, body: &Value) -> Result<Ask, Refusal> {
        for foreign in ["messages", "tools", "tool_choice", "reasoning", "reasoning_effort", "top_logprobs"] {
            if given(body, foreign).is_some() {
                return Err(Refusal::invalid(format!("Unrecognized request argument supplied: {foreign}")).at(foreign));
            }
        }
        let mut ask = read::plain(body)?;
        let wrong = || Refusal::invalid("'prompt' must be a string or a list of strings").at("prompt");
        let prompts: Vec<&str> = match body.get("prompt") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(some)) => {
                some.iter().map(|text| text.as_str().ok_or_else(wrong)).collect::<Result<_, _>>()?
            }
            _ => return Err(wrong()),
        };
        ask.prompt.message();
        prompts.iter().for_each(|text| ask.prompt.text(text));
        ask.prompt.mark();
        ask.text = prompts.first().ok_or_else(wrong)?.to_string();
        ask.n = ask.n.saturating_mul(prompts.len() as u32);
        ask.logprobs = read::number(body, "logprobs", 0, 5)?;
        Ok(ask)
    }

    fn whole(&self, ask: &Ask, answer: &Answer, shape: Shape) -> Value {
        let choice = |(index, choice): (usize, &Choice)| {
            let columns = ask.logprobs.map_or(Value::Null, |top| columns(&choice.text, 0, top));
            let text = choice.text.concat();
            json!({"text": text, "index": index, "logprobs": columns, "finish_reason": finish(&choice.finish)})
        };
        let mut body = envelope(ask, answer.choices.iter().enumerate().map(choice).collect());
        if shape.usage {
            body["usage"] = usage(answer);
        }
        body
    }

    fn stream(&self, _: &Incoming, ask: &Ask, answer: &Answer, shape: Shape) -> Vec<Event> {
        let tells = ask.include_usage && shape.usage;
        let chunk = |choices: Vec<Value>, usage: Option<Value>, tokens: u64| {
            let mut body = envelope(ask, choices);
            if let Some(usage) = usage {
                body["usage"] = usage;
            }
            Event { bytes: format!("data: {body}\n\n").into(), tokens }
        };
        let turns = answer.choices.iter().enumerate().map(|(index, choice)| {
            let piece = |text: &str, logprobs: Value, finish: Value, tokens: u64| {
                let choice = json!({"text": text, "index": index, "logprobs": logprobs, "finish_reason": finish});
                chunk(vec![choice], tells.then_some(Value::Null), tokens)
            };
            let mut events: Vec<Event> = Vec::new();
            for (nth, token) in choice.text.iter().enumerate() {
                let columns = ask.logprobs.map_or(Value::Null, |top| columns(std::slice::from_ref(token), nth, top));
                events.push(piece(token, columns, Value::Null, 1));
            }
            events.push(piece("", Value::Null, finish(&choice.finish).into(), 0));
            events
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

    fn stream_type(&self, request: &Incoming) -> &'static str {
        OpenAi.stream_type(request)
    }

    fn refusal(&self, refusal: &Refusal, id: u64) -> Told {
        OpenAi.refusal(refusal, id)
    }

    fn error_event(&self, request: &Incoming, refusal: &Refusal, id: u64) -> Bytes {
        OpenAi.error_event(request, refusal, id)
    }

    fn models(&self, models: &[String]) -> Value {
        OpenAi.models(models)
    }

    fn mode_refusal(&self, mode: &Mode) -> Option<Refusal> {
        OpenAi.mode_refusal(mode)
    }
}

fn envelope(ask: &Ask, choices: Vec<Value>) -> Value {
    let id = format!("cmpl-{:016x}", ask.id);
    json!({"id": id, "object": "text_completion", "created": CREATED, "model": ask.model, "choices": choices})
}

/// The legacy shape: a column for each property of the tokens.
fn columns(tokens: &[String], first: usize, top: u64) -> Value {
    let logprob = |nth: usize| -0.1 * ((first + nth) % 5 + 1) as f64;
    let told: Vec<f64> = (0..tokens.len()).map(logprob).collect();
    let alternatives = |(nth, token): (usize, &String)| {
        let name = |i: u64| if i == 0 { token.clone() } else { format!("{token}~{i}") };
        (0..top).map(|i| (name(i), json!(logprob(nth) - i as f64))).collect::<Map<_, _>>()
    };
    let alternatives: Vec<_> = tokens.iter().enumerate().map(alternatives).collect();
    let offsets: Vec<usize> = tokens.iter().scan(0, |at, t| Some(std::mem::replace(at, *at + t.len()))).collect();
    json!({"tokens": tokens, "token_logprobs": told, "top_logprobs": alternatives, "text_offset": offsets})
}
