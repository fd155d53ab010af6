//! What a service found, read off any of the spellings: of the provider as of our own surfaces. Numbers stay texts, so that a lost
//! digit shows.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub struct Found {
    pub vectors: Vec<Vector>,
    /// Index and score.
    pub ranks: Vec<(usize, String)>,
    pub documents: Vec<(usize, Value)>,
    /// Verdicts, without what only some say.
    pub results: Vec<Value>,
    pub tokens: Option<u64>,
    pub cost: Option<f64>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Vector {
    Numbers(Vec<String>),
    Base64(String),
}

impl Vector {
    fn of(raw: &RawValue) -> Vector {
        let text = raw.get();
        match serde_json::from_str::<String>(text) {
            Ok(packed) => Vector::Base64(packed),
            Err(_) => {
                let inner = text.trim_start_matches('[').trim_end_matches(']');
                Vector::Numbers(inner.split(',').map(|n| n.trim().to_owned()).collect())
            }
        }
    }

    /// What a text holds: 32-bit floats, or signed bytes.
    fn unpacked(text: &str, bytes: bool) -> Vec<f32> {
        let packed = super::super::base64(text).unwrap_or_default();
        match bytes {
            true => packed.iter().map(|b| f32::from(b.cast_signed())).collect(),
            false => packed.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        }
    }

    /// How two differ that should be one; `bytes` is what a text said by the provider holds.
    pub fn differ(said: &Vector, heard: &Vector, bytes: bool) -> Option<String> {
        if said == heard {
            return None;
        }
        let floats = |v: &Vector, bytes| match v {
            Vector::Base64(text) => Vector::unpacked(text, bytes),
            Vector::Numbers(list) => list.iter().map(|n| n.parse().unwrap_or(f32::NAN)).collect(),
        };
        match (said, heard) {
            (Vector::Numbers(said), Vector::Numbers(heard)) => {
                let at = said.iter().zip(heard).position(|(a, b)| a != b);
                Some(format!(
                    "{} and {} long, at {at:?}: {:?}",
                    said.len(),
                    heard.len(),
                    at.map(|at| (&said[at], &heard[at]))
                ))
            }
            _ => {
                let (said, heard) = (floats(said, bytes), floats(heard, false));
                (said != heard).then(|| {
                    format!(
                        "{} and {} long: {:.80?} became {:.80?}",
                        said.len(),
                        heard.len(),
                        said.first(),
                        heard.first()
                    )
                })
            }
        }
    }
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    embedding: &'a RawValue,
    index: Option<usize>,
}

#[derive(Deserialize)]
struct Values<'a> {
    #[serde(borrow)]
    values: &'a RawValue,
}

#[derive(Deserialize)]
struct Rank<'a> {
    index: usize,
    #[serde(borrow)]
    relevance_score: &'a RawValue,
    document: Option<Value>,
}

#[derive(Default, Deserialize)]
struct Told<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    embedding: Option<&'a RawValue>,
    #[serde(borrow)]
    embeddings: Option<&'a RawValue>,
    #[serde(borrow)]
    results: Option<&'a RawValue>,
    #[serde(borrow)]
    predictions: Option<&'a RawValue>,
}

pub fn found(api: &str, body: &[u8]) -> Found {
    let Ok(told) = serde_json::from_slice::<Told<'_>>(body) else { return Found::default() };
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut found = Found { tokens: tokens(api, &value), cost: value["usage"]["cost"].as_f64(), ..Found::default() };
    match api {
        "embeddings" => found.vectors = vectors(&told),
        "rerank" => {
            let list = told.results.or(told.data).map_or("[]", RawValue::get);
            for rank in serde_json::from_str::<Vec<Rank<'_>>>(list).unwrap_or_default() {
                found.ranks.push((rank.index, rank.relevance_score.get().to_owned()));
                found.documents.extend(rank.document.map(|document| (rank.index, document)));
            }
        }
        "moderations" => {
            let list = told.results.map_or("[]", RawValue::get);
            found.results = serde_json::from_str(list).unwrap_or_default();
            for result in &mut found.results {
                result.as_object_mut().map(|members| members.remove("flagged"));
            }
        }
        _ => {}
    }
    found
}

#[derive(Deserialize)]
struct Predicted<'a> {
    #[serde(borrow)]
    embeddings: Values<'a>,
}

fn vectors(told: &Told<'_>) -> Vec<Vector> {
    if let Some(all) = told.predictions {
        let all: Vec<Predicted<'_>> = serde_json::from_str(all.get()).unwrap_or_default();
        return all.iter().map(|one| Vector::of(one.embeddings.values)).collect();
    }
    if let Some(data) = told.data {
        let mut items: Vec<Item<'_>> = serde_json::from_str(data.get()).unwrap_or_default();
        items.sort_by_key(|item| item.index.unwrap_or_default());
        return items.iter().map(|item| Vector::of(item.embedding)).collect();
    }
    if let Some(one) = told.embedding {
        let values = serde_json::from_str::<Values<'_>>(one.get()).map_or(one, |v| v.values);
        return vec![Vector::of(values)];
    }
    let Some(list) = told.embeddings.map(RawValue::get) else { return Vec::new() };
    if let Ok(all) = serde_json::from_str::<Vec<Values<'_>>>(list)
        && list.contains("\"values\"")
    {
        return all.iter().map(|v| Vector::of(v.values)).collect();
    }
    if let Ok(all) = serde_json::from_str::<Vec<Item<'_>>>(list) {
        return all.iter().map(|item| Vector::of(item.embedding)).collect();
    }
    // By kind, or as they are. Floats where there are several kinds.
    let kinds: BTreeMap<String, &RawValue> =
        if list.starts_with('{') { serde_json::from_str(list).unwrap_or_default() } else { BTreeMap::new() };
    let list = kinds.get("float").or(kinds.values().next()).map_or(list, |kind| kind.get());
    let all: Vec<&RawValue> = serde_json::from_str(list).unwrap_or_default();
    all.into_iter().map(Vector::of).collect()
}

fn tokens(api: &str, value: &Value) -> Option<u64> {
    if api == "embeddings" && value["predictions"].is_array() {
        let each = value["predictions"].as_array().into_iter().flatten();
        let counts = each.map(|one| one["embeddings"]["statistics"]["token_count"].as_f64());
        return counts.sum::<Option<f64>>().map(|n| n as u64);
    }
    let places: &[&str] = match api {
        "count_tokens" => &["/input_tokens", "/totalTokens", "/inputTokens"],
        _ => &[
            "/usage/prompt_tokens",
            "/usage/total_tokens",
            "/usageMetadata/promptTokenCount",
            "/inputTextTokenCount",
            "/meta/billed_units/input_tokens",
            "/prompt_eval_count",
        ],
    };
    places.iter().find_map(|at| value.pointer(at)).and_then(Value::as_f64).map(|n| n as u64)
}
