//! What a provider answered, in whichever of the spellings.

use super::{Rank, Reply};
use crate::envelope::METRICS;
use crate::json;
use crate::openai_chat::usage::cost;
use crate::ops::{count, raw};
use slip_ir::Usage;

/// A list in `results` or `data`, or nothing but the list, each with its `index` and `relevance_score` or `score`.
pub(super) fn parse(body: &[u8]) -> Option<Reply> {
    let list = match body.trim_ascii().first()? {
        b'[' => body.trim_ascii(),
        _ => {
            ["results", "data"].into_iter().find_map(|name| json::field(body, name)).filter(|l| l.starts_with(b"["))?
        }
    };
    let rank = |item: &[u8]| {
        let index = usize::try_from(json::integer(json::field(item, "index")?)?).ok()?;
        let score = ["relevance_score", "score"].into_iter().find_map(|name| json::field(item, name))?;
        let score = raw(score).filter(|score| score.as_str().parse::<f64>().is_ok_and(f64::is_finite))?;
        Some(Rank { index, score })
    };
    let ranks = json::items(list).map(rank).collect::<Option<Vec<_>>>()?;
    let id = json::field(body, "id").and_then(json::string).map(|id| id.into_owned());
    let (usage, searches) = counted(body);
    Some(Reply { ranks, usage, searches, id })
}

/// `usage` (Voyage, Jina, OpenRouter), `meta.billed_units` and `meta.tokens` (Cohere), `tokens` (SiliconFlow), and Bedrock's
/// metrics.
fn counted(body: &[u8]) -> (Option<Usage>, Option<u64>) {
    let usage = json::field(body, "usage");
    let meta = json::field(body, "meta");
    let inside = |name: &str| meta.and_then(|meta| json::field(meta, name));
    let places =
        [usage, inside("billed_units"), inside("tokens"), json::field(body, "tokens"), json::field(body, METRICS)];
    let find = |names: &[&str]| {
        let mut all = names.iter().flat_map(|name| places.iter().flatten().map(move |place| json::field(place, name)));
        all.find_map(|value| value.and_then(count))
    };
    let input = find(&["prompt_tokens", "input_tokens", "total_tokens", "inputTokenCount"]);
    let searches = find(&["search_units"]);
    let charged = usage.and_then(|usage| json::field(usage, "cost")).and_then(cost);
    let known = input.is_some() || searches.is_some() || charged.is_some();
    let usage = Usage { input: input.unwrap_or(0), upstream_cost: charged, ..Usage::default() };
    (known.then_some(usage), searches)
}
