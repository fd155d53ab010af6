//! OpenAI's speech and Mistral's, which is nearly the same and answers in JSON.

use super::{Format, Task};
use crate::ops::Sent;
use crate::{Malformed, house, json, peek};
use serde_json::{Map, Value};
use slip_ir::{Loss, Raw};

pub(super) fn read(body: &[u8]) -> Result<Task, Malformed> {
    let mut task = Task::default();
    for member in json::members(body)? {
        let span = &body[member.value.clone()];
        let at = member.key.as_str();
        let raw = || std::str::from_utf8(span).ok().and_then(Raw::parse);
        match at {
            "model" => {}
            "input" => task.input = peek::text(at, span)?.unwrap_or_default(),
            "voice" | "voice_id" => match span.first() {
                Some(b'"' | b'{') => {
                    task.voice = raw();
                    task.by_id = at == "voice_id";
                }
                _ if span == b"null" => {}
                _ => return Err(Malformed::new(at, "must be the name of a voice")),
            },
            "response_format" => {
                if let Some(name) = peek::text(at, span)? {
                    let names = Format::ALL.map(Format::name).join(", ");
                    let why = || format!("must be one of {names}, not {}", json::shown(&name));
                    task.format = Some(Format::parse(&name).ok_or_else(|| Malformed::new(at, why()))?);
                }
            }
            "speed" => match span.first() {
                Some(b'0'..=b'9') => task.speed = raw(),
                _ if span == b"null" => {}
                _ => return Err(Malformed::new(at, "must be a number")),
            },
            "instructions" => task.instructions = peek::text(at, span)?,
            "stream_format" => match peek::text(at, span)?.as_deref() {
                Some("sse") => task.events = true,
                Some("audio") | None => {}
                Some(other) => {
                    let why = format!("must be sse or audio, not {}", json::shown(other));
                    return Err(Malformed::new(at, why));
                }
            },
            name if house::is_ours(name) => {}
            _ if span == b"null" => {}
            _ => task.extra.extend(Some(member.key.clone()).zip(raw())),
        }
    }
    Ok(task)
}

pub(super) fn lower(task: &Task, same: bool, model: &str) -> Result<Sent, Malformed> {
    let mut losses = Vec::new();
    let mut body = common(task, model);
    if let Some(speed) = &task.speed {
        body.insert("speed".into(), speed.value());
    }
    if let Some(text) = &task.instructions {
        body.insert("instructions".into(), text.as_str().into());
    }
    if task.events {
        body.insert("stream_format".into(), "sse".into());
    }
    if same {
        body.extend(task.extra.iter().map(|(name, raw)| (name.clone(), raw.value())));
    } else {
        lose_extra(task, &mut losses);
    }
    Ok(Sent::json("/audio/speech", &body, losses))
}

/// Its own word for a voice is `voice_id`, and it takes OpenAI's. It answers whole, in JSON. Members that neither of the two
/// shares are its own: nobody else has them.
pub(super) fn mistral(task: &Task, model: &str) -> Result<Sent, Malformed> {
    let mut losses = Vec::new();
    let mut body = common(task, model);
    match body.remove("voice") {
        Some(Value::Object(mut voice)) => drop(body.insert("voice_id".into(), voice.remove("id").unwrap_or_default())),
        Some(voice) => drop(body.insert(if task.by_id { "voice_id" } else { "voice" }.into(), voice)),
        None => {}
    }
    body.extend(task.extra.iter().map(|(name, raw)| (name.clone(), raw.value())));
    for (name, told) in [("speed", task.speed.is_some()), ("instructions", task.instructions.is_some())] {
        if told {
            losses.push(Loss::new(name, "this provider has no place for it"));
        }
    }
    Ok(Sent::json("/audio/speech", &body, losses))
}

fn common(task: &Task, model: &str) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    body.insert("input".into(), task.input.as_str().into());
    body.extend(task.voice.iter().map(|voice| ("voice".to_owned(), voice.value())));
    body.extend(task.format.iter().map(|format| ("response_format".to_owned(), format.name().into())));
    body
}

/// What a provider of another making has no place for.
pub(super) fn lose_instructions(task: &Task, losses: &mut Vec<Loss>) {
    if task.instructions.is_some() {
        losses.push(Loss::new("instructions", "this provider has no place for it"));
    }
    lose_extra(task, losses);
}

fn lose_extra(task: &Task, losses: &mut Vec<Loss>) {
    losses.extend(task.extra.iter().map(|(name, _)| Loss::new(name.clone(), "only the caller's spelling knows it")));
}
