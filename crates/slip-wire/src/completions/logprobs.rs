//! Log probabilities: the legacy columns (`tokens`, `token_logprobs`, …) and chat's rows of them.

use serde_json::{Map, Value, json};
use slip_ir::{Event, Raw};

/// What chat servers say of a token that has no probability, as the first of an echoed prompt.
const UNKNOWN: f64 = -9999.0;

/// Turn the columns of an event into rows.
pub(super) fn to_rows(event: &mut Event) {
    if let Event::Logprobs { raw, .. } = event
        && let Some(rows) = rows(raw)
    {
        *raw = rows;
    }
}

/// `None` for what is not in columns.
pub(super) fn rows(columns: &Raw) -> Option<Raw> {
    let columns = columns.value();
    let list = |name: &str| columns[name].as_array().cloned().unwrap_or_default();
    let tokens = columns["tokens"].as_array()?;
    let (told, alternatives) = (list("token_logprobs"), list("top_logprobs"));
    let row = |token: &Value, logprob: Option<&Value>| {
        let text = token.as_str().unwrap_or_default();
        let logprob = logprob.filter(|n| n.is_number()).cloned().unwrap_or_else(|| json!(UNKNOWN));
        json!({"token": text, "logprob": logprob, "bytes": text.as_bytes()})
    };
    let rows: Vec<Value> = tokens
        .iter()
        .enumerate()
        .map(|(at, token)| {
            let mut told = row(token, told.get(at));
            let others = alternatives.get(at).and_then(Value::as_object);
            let others = others.into_iter().flatten().map(|(token, n)| row(&json!(token), Some(n)));
            told["top_logprobs"] = others.collect();
            told
        })
        .collect();
    Raw::of(&json!({"content": rows, "refusal": null}))
}

/// Rows as columns. `offset` counts the characters of one choice so far. What is in columns already stays as it is.
pub(super) fn columns(rows: &Raw, offset: &mut usize) -> Raw {
    let value = rows.value();
    let Some(list) = value["content"].as_array() else { return rows.clone() };
    let (mut tokens, mut told, mut alternatives, mut offsets) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for row in list {
        let token = row["token"].as_str().unwrap_or_default();
        let others: Map<String, Value> =
            row["top_logprobs"].as_array().into_iter().flatten().fold(Map::new(), |mut others, other| {
                others.insert(other["token"].as_str().unwrap_or_default().to_owned(), other["logprob"].clone());
                others
            });
        tokens.push(token.to_owned());
        told.push(row["logprob"].clone());
        alternatives.push(if others.is_empty() { Value::Null } else { Value::Object(others) });
        offsets.push(*offset);
        *offset += token.chars().count();
    }
    let columns =
        json!({"tokens": tokens, "token_logprobs": told, "top_logprobs": alternatives, "text_offset": offsets});
    Raw::of(&columns).unwrap_or_else(|| rows.clone())
}
