//! The ranking as its caller reads it.

use super::{Document, Reply, Task};
use crate::Stamp;
use crate::ops::{Answer, Charge, Shape};
use serde::Serialize;
use serde_json::json;
use slip_ir::{Raw, Usage};

#[derive(Serialize)]
struct Ranked<'a> {
    index: usize,
    relevance_score: &'a Raw,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Raw>,
}

/// OpenRouter's.
#[derive(Serialize)]
struct Ranking<'a> {
    model: &'a str,
    results: Vec<Ranked<'a>>,
    usage: Counted,
    provider: &'a str,
    id: &'a str,
}

#[derive(Serialize)]
struct Counted {
    #[serde(skip_serializing_if = "Option::is_none")]
    search_units: Option<u64>,
    total_tokens: u64,
    #[serde(flatten)]
    charge: Charge,
}

/// Cohere's, version 2.
#[derive(Serialize)]
struct Cohere<'a> {
    id: &'a str,
    results: Vec<Ranked<'a>>,
    meta: serde_json::Value,
}

pub(super) fn answer(task: &Task, caller: Shape, reply: &Reply, usage: Usage, stamp: &Stamp) -> Option<Answer> {
    // OpenRouter's callers get the documents back unless they say no, Cohere's only if they say yes.
    let echo = task.echo.unwrap_or(caller != Shape::Cohere);
    let results = reply
        .ranks
        .iter()
        .map(|rank| {
            let document = if echo { Some(task.documents.get(rank.index).and_then(shown)?) } else { None };
            Some(Ranked { index: rank.index, relevance_score: &rank.score, document })
        })
        .collect::<Option<Vec<_>>>()?;
    let mut answer = if caller == Shape::Cohere {
        let mut billed = json!({ "search_units": usage.searches });
        if usage.searches == 0 {
            billed = json!({ "input_tokens": usage.input });
        }
        let meta = json!({ "api_version": { "version": "2" }, "billed_units": billed });
        Answer::json(&Cohere { id: &stamp.id, results, meta }, usage)
    } else {
        let counted = Counted {
            search_units: (usage.searches > 0).then_some(usage.searches),
            total_tokens: usage.input,
            charge: Charge::of(&usage, stamp)?,
        };
        let (model, provider, id) = (stamp.model.as_str(), stamp.provider.as_str(), stamp.id.as_str());
        Answer::json(&Ranking { model, results, usage: counted, provider, id }, usage)
    };
    answer.tally.upstream_id.clone_from(&reply.id);
    Some(answer)
}

fn shown(document: &Document) -> Option<Raw> {
    match document {
        Document::Text(text) => Raw::of(&json!({ "text": text })),
        Document::Parts(raw) => Some(raw.clone()),
    }
}
