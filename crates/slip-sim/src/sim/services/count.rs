//! Counts: every text of the conversation by the simulated tokeniser, and a little for each turn.

use super::super::ask::{Refusal, given};
use super::super::tokens;
use super::{Form, Service};
use serde_json::{Value, json};

const PER_TURN: u64 = 4;

pub(super) fn answer(service: &Service, body: &Value) -> Result<(Value, u64), Refusal> {
    let chat = given(body, "generateContentRequest").unwrap_or(body);
    let turns = match service.form {
        Form::Gemini => "contents",
        Form::Responses => "input",
        _ => "messages",
    };
    service.must(chat, turns)?;
    if service.form == Form::Anthropic
        && let Some(extra) = ["max_tokens", "stream", "temperature"].iter().find(|name| chat.get(**name).is_some())
    {
        return Err(Refusal::invalid(format!("{extra}: Extra inputs are not permitted")));
    }
    let said = ["messages", "contents", "input", "system", "systemInstruction", "instructions", "tools"];
    let count: u64 = said.iter().filter_map(|name| given(chat, name)).map(texts).sum();
    let turns = given(chat, turns).and_then(Value::as_array).map_or(1, |list| list.len() as u64);
    let count = count + PER_TURN * turns;
    let told = match service.form {
        Form::Gemini => {
            json!({ "totalTokens": count, "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": count }] })
        }
        Form::Responses => json!({ "object": "response.input_tokens", "input_tokens": count }),
        _ => json!({ "input_tokens": count }),
    };
    Ok((told, count))
}

fn texts(value: &Value) -> u64 {
    match value {
        Value::String(text) => tokens::count(text),
        Value::Array(items) => items.iter().map(texts).sum(),
        Value::Object(members) => {
            members.iter().filter(|(name, _)| !matches!(name.as_str(), "role" | "type")).map(|(_, v)| texts(v)).sum()
        }
        _ => 0,
    }
}
