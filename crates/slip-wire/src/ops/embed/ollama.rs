//! Ollama's own: `/api/embed`, and `/api/embeddings` of old with one prompt and one vector
//! (<https://github.com/ollama/ollama/blob/main/docs/api.md>, 2026-11).

use super::{Input, Reply, Task, Vector};
use crate::json;
use crate::ops::{Answer, Sent, Shape, raw};
use crate::{Malformed, Stamp, house};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, json};
use slip_ir::{Loss, Raw, Usage};

pub(super) fn read(body: &[u8]) -> Result<Task, Malformed> {
    let mut task = Task::default();
    for member in json::members(body)? {
        let span = &body[member.value.clone()];
        let at = member.key.as_str();
        match at {
            "model" => {}
            "input" if span.first() == Some(&b'[') => {
                task.inputs = crate::peek::texts(at, span, super::MAX_INPUTS)?.into_iter().map(Input::Text).collect();
            }
            "input" | "prompt" => task.inputs = crate::peek::text(at, span)?.map(Input::Text).into_iter().collect(),
            "dimensions" => task.dimensions = crate::peek::whole(at, span, 1, i64::MAX)?,
            name if house::is_ours(name) => {}
            _ if span == b"null" || span == b"{}" => {}
            _ => task.extra.extend(Some(member.key.clone()).zip(raw(span))),
        }
    }
    Ok(task)
}

pub(super) fn lower(task: &Task, same: bool, model: &str) -> Result<Sent, Malformed> {
    let mut losses = Vec::new();
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    body.insert("input".into(), json!(task.texts()?));
    task.dimensions.map(|n| body.insert("dimensions".into(), n.into()));
    let unsaid = [("input_type", task.purpose.is_some()), ("user", task.user.is_some())];
    losses.extend(
        unsaid.iter().filter(|(_, said)| *said).map(|(name, _)| Loss::new(*name, "Ollama has no place for it")),
    );
    if same {
        body.extend(task.extra.iter().map(|(name, raw)| (name.clone(), raw.value())));
    } else {
        task.lose_extra("only the caller's spelling knows it", &mut losses);
    }
    Ok(Sent::json("/api/embed", &body, losses))
}

#[derive(Deserialize)]
struct Told<'a> {
    #[serde(borrow, default)]
    embeddings: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    embedding: Option<&'a RawValue>,
    #[serde(default)]
    prompt_eval_count: Option<u64>,
    #[serde(default)]
    model: Option<String>,
}

pub(super) fn parse(body: &[u8]) -> Option<Reply> {
    let told: Told<'_> = serde_json::from_slice(body).ok()?;
    let all = told.embedding.into_iter().chain(told.embeddings);
    let vectors = all.map(|raw| Vector::of(raw, false)).collect::<Option<Vec<_>>>()?;
    let usage = told.prompt_eval_count.map(|input| Usage { input, ..Usage::default() });
    Some(Reply { vectors, usage, model: told.model })
}

#[derive(Serialize)]
struct Written<'a> {
    model: &'a str,
    embeddings: Vec<Raw>,
    total_duration: u64,
    load_duration: u64,
    prompt_eval_count: u64,
}

#[derive(Serialize)]
struct Old<'a> {
    embedding: &'a Raw,
}

pub(super) fn write(caller: Shape, reply: &Reply, usage: Usage, stamp: &Stamp) -> Option<Answer> {
    let numbers = reply.vectors.iter().map(Vector::numbers).collect::<Option<Vec<_>>>()?;
    if let (Shape::OllamaOld, [embedding]) = (caller, numbers.as_slice()) {
        return Some(Answer::json(&Old { embedding }, usage));
    }
    let written = Written {
        model: &stamp.model,
        embeddings: numbers,
        total_duration: 0,
        load_duration: 0,
        prompt_eval_count: usage.prompt_total(),
    };
    Some(Answer::json(&written, usage))
}
