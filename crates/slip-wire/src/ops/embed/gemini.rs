//! Google's: `embedContent` for one, `batchEmbedContents` for several, and Vertex AI's older `predict`
//! (<https://ai.google.dev/api/embeddings>, 2026-11).

use super::{Input, Purpose, Reply, Task, Vector};
use crate::json;
use crate::ops::{Answer, Sent, raw};
use crate::peek::Named;
use crate::{Malformed, house};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use slip_ir::{Dialect, Loss, Raw, Usage};

/// Of one request: `content`, `taskType`, `outputDimensionality`; or a batch of such.
pub(super) fn read(body: &[u8], _named: Option<&Named>) -> Result<Task, Malformed> {
    if let Some(requests) = json::field(body, "requests") {
        let mut task = Task::default();
        for (i, item) in json::items(requests).enumerate() {
            if i >= super::MAX_INPUTS {
                return Err(Malformed::new("requests", format!("must hold at most {} entries", super::MAX_INPUTS)));
            }
            let one = read_one(item).map_err(|bad| Malformed::new(format!("requests[{i}].{}", bad.at), bad.why))?;
            task.inputs.extend(one.inputs);
            task.dimensions = task.dimensions.or(one.dimensions);
            task.purpose = task.purpose.or(one.purpose);
        }
        return Ok(task);
    }
    read_one(body).map(|task| Task { single: true, ..task })
}

fn read_one(body: &[u8]) -> Result<Task, Malformed> {
    let mut task = Task::default();
    for member in json::members(body)? {
        let span = &body[member.value.clone()];
        let at = member.key.as_str();
        match at {
            "model" => {}
            "content" => task.inputs.push(content(span)?),
            "taskType" | "task_type" => {
                task.purpose = crate::peek::text(at, span)?.map(|word| Purpose::parse(&word));
            }
            "outputDimensionality" | "output_dimensionality" => {
                task.dimensions = crate::peek::whole(at, span, 1, i64::MAX)?;
            }
            name if house::is_ours(name) => {}
            _ if span == b"null" => {}
            _ => task.extra.extend(Some(member.key.clone()).zip(raw(span))),
        }
    }
    Ok(task)
}

fn content(span: &[u8]) -> Result<Input, Malformed> {
    let Some(parts) = json::field(span, "parts") else { return Err(Malformed::new("content.parts", "is required")) };
    let items: Vec<&[u8]> = if parts.first() == Some(&b'[') { json::items(parts).collect() } else { vec![parts] };
    let text = |part: &[u8]| json::field(part, "text").and_then(json::string).map(|text| text.into_owned());
    let texts: Option<Vec<String>> = items.iter().map(|part| text(part)).collect();
    match texts {
        Some(texts) if !texts.is_empty() => Ok(Input::Text(texts.concat())),
        _ => raw(span).map(Input::Parts).ok_or_else(|| Malformed::new("content", "is not text")),
    }
}

pub(super) fn lower(task: &Task, same: bool, model: &str) -> Result<Sent, Malformed> {
    let mut losses = Vec::new();
    let name = model.strip_prefix("models/").unwrap_or(model);
    let purpose = purpose(task, &mut losses);
    let one = |input: &Input| {
        let content = match input {
            Input::Text(text) => json!({ "parts": [{ "text": text }] }),
            Input::Parts(raw) if same => raw.value(),
            _ => {
                return Err(Malformed::new(
                    "input",
                    "this provider takes texts only, not token ids, pictures or parts",
                ));
            }
        };
        let mut request = Map::new();
        request.insert("model".into(), format!("models/{name}").into());
        request.insert("content".into(), content);
        purpose.as_ref().map(|word| request.insert("taskType".into(), word.as_str().into()));
        task.dimensions.map(|n| request.insert("outputDimensionality".into(), n.into()));
        Ok(Value::Object(request))
    };
    let mut requests: Vec<Value> = task.inputs.iter().map(one).collect::<Result<_, _>>()?;
    common_losses(task, same, &mut losses);
    let path = |verb: &str| {
        let path = crate::wire(Dialect::Gemini).path(model, false);
        path.replace(":generateContent", verb)
    };
    // A list of one is answered with a list of one.
    if requests.len() == 1 && (task.single || !same) {
        if let (true, Some(Value::Object(one))) = (same, requests.first_mut()) {
            one.extend(task.extra.iter().map(|(name, raw)| (name.clone(), raw.value())));
        }
        return Ok(Sent::json(path(":embedContent"), &requests.remove(0), losses));
    }
    Ok(Sent::json(path(":batchEmbedContents"), &json!({ "requests": requests }), losses))
}

fn purpose(task: &Task, losses: &mut Vec<Loss>) -> Option<String> {
    let word = task.purpose.as_ref().and_then(|p| p.gemini()).map(str::to_owned);
    if task.purpose.is_some() && word.is_none() {
        losses.push(Loss::new("input_type", "this provider has no word for it"));
    }
    word
}

fn common_losses(task: &Task, same: bool, losses: &mut Vec<Loss>) {
    if task.user.is_some() {
        losses.push(Loss::new("user", "this provider has no place for it"));
    }
    if !same || !task.single {
        task.lose_extra("only the caller's spelling knows it", losses);
    }
}

pub(super) fn predict(task: &Task, same: bool, model: &str) -> Result<Sent, Malformed> {
    let mut losses = Vec::new();
    let purpose = purpose(task, &mut losses);
    let instances: Vec<Value> = task
        .texts()?
        .into_iter()
        .map(|text| match &purpose {
            Some(word) => json!({ "content": text, "task_type": word }),
            None => json!({ "content": text }),
        })
        .collect();
    common_losses(task, same, &mut losses);
    let mut body = json!({ "instances": instances });
    if let Some(n) = task.dimensions {
        body["parameters"] = json!({ "outputDimensionality": n });
    }
    let path = crate::wire(Dialect::Gemini).path(model, false).replace(":generateContent", ":predict");
    Ok(Sent::json(path, &body, losses))
}

/// Where Vertex AI keeps Google's own models.
const PUBLISHER: &str = "/publishers/google";

/// Of Vertex AI's models, the older answer to `predict` and take lists; those since the second Gemini embedding answer to
/// `embedContent`, one at a time.
pub(super) fn vertex(task: &Task, same: bool, model: &str) -> Result<Sent, Malformed> {
    let name = model.rsplit('/').next().unwrap_or(model);
    let predicts = name == "gemini-embedding-001" || !name.starts_with("gemini-embedding");
    let mut sent = if predicts {
        predict(task, false, model)?
    } else if let [_] = task.inputs.as_slice() {
        let one = Task { single: true, ..task.clone() };
        let mut sent = lower(&one, same, model)?;
        // The path says it; in the body it would be a resource's whole name.
        sent.body = without(&sent.body, "model");
        sent
    } else {
        return Err(Malformed::new("input", "this model makes one vector at a time"));
    };
    sent.path.insert_str(0, PUBLISHER);
    Ok(sent)
}

fn without(body: &[u8], member: &str) -> Vec<u8> {
    let mut value: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
    value.remove(member);
    serde_json::to_vec(&value).unwrap_or_default()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    #[serde(borrow, default)]
    embedding: Option<Values<'a>>,
    #[serde(borrow, default)]
    embeddings: Vec<Values<'a>>,
    #[serde(borrow, default)]
    usage_metadata: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Values<'a> {
    #[serde(borrow)]
    values: &'a RawValue,
}

pub(super) fn parse(body: &[u8]) -> Option<Reply> {
    let told: Told<'_> = serde_json::from_slice(body).ok()?;
    let all = told.embedding.into_iter().chain(told.embeddings);
    let vectors = all.map(|e| Vector::of(e.values, false)).collect::<Option<Vec<_>>>()?;
    let usage = told.usage_metadata.and_then(|raw| {
        let count = json::field(raw.get().as_bytes(), "promptTokenCount").and_then(json::integer)?;
        Some(Usage { input: u64::try_from(count).ok()?, ..Usage::default() })
    });
    Some(Reply { vectors, usage, model: None })
}

#[derive(Deserialize)]
struct Predictions<'a> {
    #[serde(borrow)]
    predictions: Vec<Prediction<'a>>,
}

#[derive(Deserialize)]
struct Prediction<'a> {
    #[serde(borrow)]
    embeddings: Predicted<'a>,
}

#[derive(Deserialize)]
struct Predicted<'a> {
    #[serde(borrow)]
    values: &'a RawValue,
    #[serde(default)]
    statistics: Option<Statistics>,
}

#[derive(Deserialize)]
struct Statistics {
    #[serde(default)]
    token_count: f64,
}

pub(super) fn parse_predictions(body: &[u8]) -> Option<Reply> {
    let told: Predictions<'_> = serde_json::from_slice(body).ok()?;
    let vectors =
        told.predictions.iter().map(|p| Vector::of(p.embeddings.values, false)).collect::<Option<Vec<_>>>()?;
    let counts: Option<Vec<f64>> =
        told.predictions.iter().map(|p| p.embeddings.statistics.as_ref().map(|s| s.token_count)).collect();
    let usage = counts.map(|counts| {
        let sum: f64 = counts.iter().filter(|n| (0.0..1e12).contains(*n)).sum();
        Usage { input: sum as u64, ..Usage::default() }
    });
    Some(Reply { vectors, usage, model: None })
}

#[derive(Serialize)]
struct Numbers {
    values: Raw,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding: Option<Numbers>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embeddings: Option<Vec<Numbers>>,
    usage_metadata: Value,
}

pub(super) fn write(task: &Task, reply: &Reply, usage: Usage) -> Option<Answer> {
    let mut values =
        reply.vectors.iter().map(|v| Some(Numbers { values: v.numbers()? })).collect::<Option<Vec<_>>>()?;
    let usage_metadata = json!({ "promptTokenCount": usage.prompt_total(), "totalTokenCount": usage.prompt_total() });
    let written = match task.single {
        true => Written { embedding: values.pop(), embeddings: None, usage_metadata },
        false => Written { embedding: None, embeddings: Some(values), usage_metadata },
    };
    Some(Answer::json(&written, usage))
}
