//! Verdicts by a list of words: OpenAI's categories, or Mistral's for a model of that name.

use super::super::ask::{Refusal, given, hash};
use super::super::tokens;
use super::words;
use serde_json::{Map, Value, json};

/// Category of OpenAI, category of Mistral, and the words that make it.
const LISTED: [(&str, &str, &[&str]); 4] = [
    ("hate", "hate_and_discrimination", &["hate", "despise"]),
    ("violence", "violence_and_threats", &["kill", "attack", "murder"]),
    ("sexual", "sexual", &["nude", "erotic"]),
    ("self-harm", "selfharm", &["suicide"]),
];

pub(super) fn answer(model: &str, body: &Value) -> Result<(Value, u64), Refusal> {
    let input = given(body, "input").ok_or_else(|| Refusal::invalid("'input' is required").at("input"))?;
    let texts: Vec<String> = match input {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        // Parts are judged together.
        Value::Array(items) => vec![items.iter().filter_map(|p| p["text"].as_str()).collect::<Vec<_>>().join(" ")],
        _ => return Err(Refusal::invalid("'input' must be a text or a list").at("input")),
    };
    let mistral = model.contains("mistral");
    let results: Vec<Value> = texts.iter().map(|text| verdict(text, mistral)).collect();
    let tokens: u64 = texts.iter().map(|text| tokens::count(text)).sum();
    let id = hash(body.to_string().as_bytes());
    let mut told = json!({ "id": format!("modr-{id:016x}"), "model": model, "results": results });
    if mistral {
        told["usage"] = json!({ "prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens });
    }
    Ok((told, tokens))
}

fn verdict(text: &str, mistral: bool) -> Value {
    let said = words(text);
    let (mut categories, mut scores) = (Map::new(), Map::new());
    for (openai, theirs, listed) in LISTED {
        let found = listed.iter().any(|word| said.iter().any(|w| w == word));
        let name = if mistral { theirs } else { openai };
        categories.insert(name.to_owned(), found.into());
        scores.insert(name.to_owned(), if found { json!(0.98) } else { json!(0.0123456789) });
    }
    let flagged = categories.values().any(|found| *found == true);
    let mut told = json!({ "categories": categories, "category_scores": scores });
    if !mistral {
        told["flagged"] = flagged.into();
    }
    told
}
