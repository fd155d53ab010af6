//! Rankings: a document scores by how many of the query's words it has.

use super::super::ask::{Refusal, given, hash, text_of};
use super::super::tokens;
use super::{Form, Service, rounded, words};
use serde_json::{Value, json};

/// Documents of one search.
const PER_SEARCH: usize = 100;

pub(super) fn answer(service: &Service, model: &str, body: &Value) -> Result<(Value, u64), Refusal> {
    let query = text_of(body, "query");
    if query.is_empty() {
        return Err(Refusal::invalid("'query' is required").at("query"));
    }
    let documents = service.must(body, "documents")?.as_array().filter(|list| !list.is_empty());
    let documents =
        documents.ok_or_else(|| Refusal::invalid("'documents' must be a list that is not empty").at("documents"))?;
    let texts: Vec<&str> = documents.iter().map(|d| d.as_str().unwrap_or_else(|| text_of(d, "text"))).collect();
    let wanted = words(query);
    let score = |text: &str| {
        let had = words(text);
        let common = wanted.iter().filter(|word| had.contains(word)).count();
        // A little above nothing, so that no two places are told by zero.
        rounded(0.01 + 0.98 * common as f64 / wanted.len().max(1) as f64)
    };
    let mut ranks: Vec<(usize, f64)> = texts.iter().map(|text| score(text)).enumerate().collect();
    ranks.sort_by(|a, b| b.1.total_cmp(&a.1));
    let voyage = given(body, "top_k").is_some() || model.contains("voyage");
    let top = given(body, "top_n").or(given(body, "top_k")).and_then(Value::as_u64).unwrap_or(u64::MAX);
    ranks.truncate(usize::try_from(top).unwrap_or(usize::MAX));
    let results: Vec<Value> =
        ranks.iter().map(|(index, score)| json!({ "index": index, "relevance_score": score })).collect();
    let tokens: u64 = texts.iter().map(|text| tokens::count(text) + tokens::count(query)).sum();
    let told = match service.form {
        Form::Cohere => json!({
            "id": format!("{:016x}", hash(body.to_string().as_bytes())),
            "results": results,
            "meta": { "api_version": { "version": "2" }, "billed_units": { "search_units": texts.len().div_ceil(PER_SEARCH) } },
        }),
        _ if voyage => {
            json!({ "object": "list", "data": results, "model": model, "usage": { "total_tokens": tokens } })
        }
        _ => json!({ "model": model, "results": results, "usage": { "total_tokens": tokens } }),
    };
    Ok((told, tokens))
}
