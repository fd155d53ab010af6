//! Cohere's embed, version 2 (<https://docs.cohere.com/reference/embed>, 2026-11).

use super::openai::Encoded;
use super::{Input, Purpose, Reply, Task, Vector};
use crate::json;
use crate::ops::{Answer, Sent, count, raw};
use crate::{Malformed, Stamp, house};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use slip_ir::{Loss, Usage};
use std::collections::BTreeMap;

pub(super) fn read(body: &[u8]) -> Result<Task, Malformed> {
    let mut task = Task::default();
    let list = |at: &str, span: &[u8]| crate::peek::texts(at, span, super::MAX_INPUTS);
    for member in json::members(body)? {
        let span = &body[member.value.clone()];
        let at = member.key.as_str();
        match at {
            "model" => {}
            "texts" => task.inputs.extend(list(at, span)?.into_iter().map(Input::Text)),
            "images" => task.inputs.extend(list(at, span)?.into_iter().map(Input::Image)),
            "inputs" => {
                for (i, item) in json::items(span).enumerate() {
                    let parts = raw(item).ok_or_else(|| Malformed::new(format!("{at}[{i}]"), "is not text"))?;
                    task.inputs.push(Input::Parts(parts));
                }
            }
            "output_dimension" => task.dimensions = crate::peek::whole(at, span, 1, i64::MAX)?,
            "input_type" => task.purpose = crate::peek::text(at, span)?.map(|word| Purpose::parse(&word)),
            "embedding_types" => {
                // One kind is one spelling of our own; several at once only Cohere makes.
                let kinds = list(at, span)?;
                match kinds.as_slice() {
                    [] => {}
                    [kind] => task.encoding = Some(kind.clone()),
                    _ => task.extra.extend(Some(member.key.clone()).zip(raw(span))),
                }
            }
            name if house::is_ours(name) => {}
            _ if span == b"null" => {}
            _ => task.extra.extend(Some(member.key.clone()).zip(raw(span))),
        }
    }
    Ok(task)
}

pub(super) fn lower(task: &Task, same: bool, model: &str) -> Result<Sent, Malformed> {
    let (mut body, losses) = asked(task, same)?;
    body.insert("model".into(), model.into());
    Ok(Sent::json("/embed", &body, losses))
}

/// The question, but for the name of the model: clouds have that in the path.
pub(super) fn asked(task: &Task, same: bool) -> Result<(Map<String, Value>, Vec<Loss>), Malformed> {
    let mut losses = Vec::new();
    let mut body = Map::new();
    let images: Vec<&str> =
        task.inputs.iter().filter_map(|i| if let Input::Image(url) = i { Some(url.as_str()) } else { None }).collect();
    if images.len() == task.inputs.len() {
        body.insert("images".into(), json!(images));
    } else if task.inputs.iter().any(|i| matches!(i, Input::Parts(_) | Input::Image(_))) {
        let part = |input: &Input| match input {
            Input::Text(text) => Ok(json!({ "content": [{ "type": "text", "text": text }] })),
            Input::Image(url) => Ok(json!({ "content": [{ "type": "image_url", "image_url": { "url": url } }] })),
            Input::Parts(raw) => Ok(raw.value()),
            Input::Tokens(_) => Err(Malformed::new("input", "this provider takes no token ids")),
        };
        let inputs: Vec<Value> = task.inputs.iter().map(part).collect::<Result<_, _>>()?;
        body.insert("inputs".into(), inputs.into());
    } else {
        body.insert("texts".into(), json!(task.texts()?));
    }
    // It must be said, and documents are what most vectors are made of.
    let purpose = match task.purpose.as_ref().map(|p| p.cohere()) {
        Some(Some(word)) => word,
        Some(None) => {
            losses.push(Loss::new("input_type", "this provider has no word for it"));
            "search_document"
        }
        None if images.len() == task.inputs.len() => "image",
        None => "search_document",
    };
    body.insert("input_type".into(), purpose.into());
    let several = same && task.extra.iter().any(|(name, _)| name == "embedding_types");
    if !several {
        let kind = match task.encoding.as_deref() {
            None | Some("base64") => "float",
            Some(kind) => kind,
        };
        body.insert("embedding_types".into(), json!([kind]));
    }
    if let Some(n) = task.dimensions {
        body.insert("output_dimension".into(), n.into());
    }
    if task.user.is_some() {
        losses.push(Loss::new("user", "this provider has no place for it"));
    }
    if same {
        body.extend(task.extra.iter().map(|(name, raw)| (name.clone(), raw.value())));
    } else {
        task.lose_extra("only the caller's spelling knows it", &mut losses);
    }
    Ok((body, losses))
}

#[derive(Deserialize)]
struct Told<'a> {
    #[serde(borrow)]
    embeddings: &'a RawValue,
    #[serde(borrow, default)]
    meta: Option<&'a RawValue>,
}

pub(super) fn parse(body: &[u8]) -> Option<Reply> {
    let told: Told<'_> = serde_json::from_slice(body).ok()?;
    let embeddings = told.embeddings.get().as_bytes();
    // By kind, or (in its first version) floats alone.
    let list = match embeddings.first()? {
        b'[' => embeddings,
        // Of several kinds, the one that everybody understands.
        _ => json::field(embeddings, "float").or_else(|| json::fields(embeddings).map(|(_, list)| list).next())?,
    };
    let vector = |item: &[u8]| {
        let text = std::str::from_utf8(item).ok()?;
        Vector::of(serde_json::from_str::<&RawValue>(text).ok()?, false)
    };
    let vectors = json::items(list).map(vector).collect::<Option<Vec<_>>>()?;
    Some(Reply { vectors, usage: told.meta.and_then(|meta| billed(meta.get().as_bytes())), model: None })
}

fn billed(meta: &[u8]) -> Option<Usage> {
    let units = json::field(meta, "billed_units")?;
    let of = |name| json::field(units, name).and_then(count).unwrap_or(0);
    let known = ["input_tokens", "image_tokens", "images"].iter().any(|name| json::field(units, name).is_some());
    known.then(|| Usage { input: of("input_tokens"), image_in: of("image_tokens"), ..Usage::default() })
}

#[derive(Serialize)]
struct Written<'a> {
    id: &'a str,
    embeddings: BTreeMap<&'a str, Vec<Encoded>>,
    texts: Vec<&'a str>,
    meta: Value,
    response_type: &'static str,
}

pub(super) fn write(task: &Task, reply: &Reply, usage: Usage, stamp: &Stamp) -> Option<Answer> {
    let kind = task.encoding.as_deref().unwrap_or("float");
    let each = |vector: &Vector| match kind {
        "base64" => vector.base64().map(Encoded::Base64),
        _ => vector.numbers().map(Encoded::Numbers),
    };
    let vectors = reply.vectors.iter().map(each).collect::<Option<Vec<_>>>()?;
    let texts: Vec<&str> =
        task.inputs.iter().filter_map(|i| if let Input::Text(text) = i { Some(text.as_str()) } else { None }).collect();
    let written = Written {
        id: &stamp.id,
        embeddings: BTreeMap::from([(kind, vectors)]),
        texts,
        meta: json!({ "api_version": { "version": "2" }, "billed_units": { "input_tokens": usage.prompt_total() } }),
        response_type: "embeddings_by_type",
    };
    Some(Answer::json(&written, usage))
}
