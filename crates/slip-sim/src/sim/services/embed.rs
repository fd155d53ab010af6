//! Vectors: words and pieces of words fall into the dimensions by their hash, so that texts with words in common are near.

use super::super::ask::{Refusal, given, hash, list_of};
use super::super::tokens;
use super::{Form, Service, rounded, words};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Dimensions where none are asked for, and the most there can be.
const USUAL: u64 = 64;
const MOST: u64 = 4096;
/// Letters of a word that count as a piece of it.
const PIECE: usize = 3;

pub(super) fn answer(service: &Service, model: &str, body: &Value) -> Result<(Value, u64), Refusal> {
    let (texts, size) = match service.form {
        Form::Gemini => google(service, body)?,
        Form::Cohere => (listed(service, body, &["texts", "images", "inputs"])?, dimensions(body, "output_dimension")?),
        Form::Ollama => (listed(service, body, &["input"])?, dimensions(body, "dimensions")?),
        _ => {
            let member = if given(body, "output_dimension").is_some() { "output_dimension" } else { "dimensions" };
            (listed(service, body, &["input"])?, dimensions(body, member)?)
        }
    };
    if service.form == Form::Cohere && given(body, "input_type").is_none() {
        return Err(Refusal::invalid("'input_type' is required").at("input_type"));
    }
    let tokens: u64 = texts.iter().map(|text| tokens::count(text)).sum();
    let vectors: Vec<Vec<f64>> = texts.iter().map(|text| vector(text, size)).collect();
    let told = match service.form {
        Form::Gemini if service.many => {
            json!({ "embeddings": vectors.iter().map(|v| json!({ "values": v })).collect::<Vec<_>>() })
        }
        Form::Gemini => {
            let counts = json!({ "promptTokenCount": tokens, "totalTokenCount": tokens });
            json!({ "embedding": { "values": vectors.first() }, "usageMetadata": counts })
        }
        Form::Cohere => json!({
            "id": format!("{:016x}", hash(body.to_string().as_bytes())),
            "embeddings": { "float": vectors },
            "texts": texts,
            "meta": { "api_version": { "version": "2" }, "billed_units": { "input_tokens": tokens } },
            "response_type": "embeddings_by_type",
        }),
        Form::Ollama => json!({
            "model": model,
            "embeddings": vectors,
            "total_duration": 1000,
            "load_duration": 10,
            "prompt_eval_count": tokens,
        }),
        _ => {
            let base64 =
                given(body, "encoding_format").or(given(body, "embedding_type")).is_some_and(|e| e == "base64");
            let item = |(index, vector): (usize, &Vec<f64>)| {
                let embedding = if base64 { packed(vector).into() } else { json!(vector) };
                json!({ "object": "embedding", "index": index, "embedding": embedding })
            };
            json!({
                "object": "list",
                "data": vectors.iter().enumerate().map(item).collect::<Vec<_>>(),
                "model": model,
                "usage": { "prompt_tokens": tokens, "total_tokens": tokens },
            })
        }
    };
    Ok((told, tokens))
}

fn google(service: &Service, body: &Value) -> Result<(Vec<String>, u64), Refusal> {
    let requests = if service.many { list_of(body, "requests").to_vec() } else { vec![body.clone()] };
    let first = requests.first().ok_or_else(|| Refusal::invalid("requests is required"))?;
    let size = dimensions(first, "outputDimensionality")?;
    let texts =
        requests.iter().map(|request| Ok(texts_of(service.must(request, "content")?))).collect::<Result<_, _>>()?;
    Ok((texts, size))
}

/// The entries of whichever of these members is there.
fn listed(service: &Service, body: &Value, members: &[&str]) -> Result<Vec<String>, Refusal> {
    let member = members.iter().find(|m| given(body, m).is_some()).or(members.first()).copied().unwrap_or_default();
    match service.must(body, member)? {
        Value::Array(items) if items.is_empty() => {
            Err(Refusal::invalid(format!("'{member}' must not be empty")).at(member))
        }
        // One list of token ids is one input.
        Value::Array(items) if items.iter().all(Value::is_number) => Ok(vec![texts_of(&json!(items))]),
        Value::Array(items) => Ok(items.iter().map(texts_of).collect()),
        Value::String(text) => Ok(vec![text.clone()]),
        other => Err(Refusal::invalid(format!("'{member}' must be a text or a list of texts: {other}")).at(member)),
    }
}

/// All the text there is in an entry.
fn texts_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(texts_of).collect::<Vec<_>>().join(" "),
        Value::Object(members) => {
            let told = members.iter().filter(|(name, _)| name.as_str() != "type");
            told.map(|(_, value)| texts_of(value)).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

fn dimensions(body: &Value, member: &str) -> Result<u64, Refusal> {
    let Some(size) = given(body, member) else { return Ok(USUAL) };
    let wrong = || Refusal::invalid(format!("'{member}' must be an integer from 1 to {MOST}: {size}")).at(member);
    size.as_u64().filter(|n| (1..=MOST).contains(n)).ok_or_else(wrong)
}

fn vector(text: &str, size: u64) -> Vec<f64> {
    let size = usize::try_from(size).unwrap_or(1);
    let mut sums = vec![0.0; size];
    let mut fall = |piece: &[u8], weight: f64| {
        let at = hash(piece);
        let sign = if at & 1 == 0 { 1.0 } else { -1.0 };
        if let Some(sum) = sums.get_mut((at >> 1) as usize % size) {
            *sum += sign * weight;
        }
    };
    for word in words(text) {
        fall(word.as_bytes(), 1.0);
        let letters: Vec<char> = word.chars().collect();
        for piece in letters.windows(PIECE) {
            fall(piece.iter().collect::<String>().as_bytes(), 0.3);
        }
    }
    let length = sums.iter().map(|x| x * x).sum::<f64>().sqrt();
    if length == 0.0 {
        // Not a word: a direction all the same.
        return (0..size).map(|at| if at == 0 { 1.0 } else { 0.0 }).collect();
    }
    sums.iter().map(|x| rounded(x / length)).collect()
}

/// 32-bit floats, the low byte first.
fn packed(vector: &[f64]) -> String {
    STANDARD.encode(vector.iter().flat_map(|x| (*x as f32).to_le_bytes()).collect::<Vec<u8>>())
}
