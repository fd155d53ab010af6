//! Which tools the simulated model calls, and with what.
//!
//! It calls when `tool_choice` makes it, or when the last user text mentions a tool's name or one of its parameter words (three
//! letters or more), or speaks of weather while a tool's name does. Two tools are called when the text names both with an "and"
//! between the clauses; the same tool twice when the text says "twice".

use super::ask::{Ask, Choice, Tool};
use super::schema;
use serde_json::Value;

/// Calls of one answer.
const MAX_CALLS: usize = 16;
/// A parameter called `a` is in every sentence.
const MIN_WORD: usize = 3;

pub(crate) fn calls(ask: &Ask) -> Vec<(String, Value)> {
    let allowed: Vec<&Tool> = match &ask.choice {
        Choice::Never => return Vec::new(),
        Choice::Named(names) if !names.is_empty() => ask.tools.iter().filter(|t| names.contains(&t.name)).collect(),
        _ => ask.tools.iter().collect(),
    };
    let words = words(&ask.text);
    let named: Vec<&Tool> = allowed.iter().copied().filter(|t| names(&words, &t.name)).collect();
    let chosen = match named.as_slice() {
        [] => {
            let hinted = allowed.iter().copied().find(|t| hints(&words, t));
            let forced =
                matches!(ask.choice, Choice::Any | Choice::Named(_)).then(|| allowed.first().copied()).flatten();
            hinted.or(forced).into_iter().collect()
        }
        [_] => named,
        _ if words.iter().any(|w| w == "and") => named,
        [first, ..] => vec![*first],
    };
    let mut calls: Vec<&Tool> = chosen;
    if words.iter().any(|w| w == "twice")
        && let [only] = calls.as_slice()
    {
        calls = vec![*only, *only];
    }
    calls.truncate(if ask.parallel { MAX_CALLS } else { 1 });
    let of = |(nth, tool): (usize, &Tool)| (tool.name.clone(), schema::arguments(&tool.schema, &ask.text, nth));
    calls.into_iter().enumerate().map(of).collect()
}

fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    lower.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty()).map(str::to_owned).collect()
}

/// `get_weather` is named by "get_weather", and by "get weather".
fn names(words: &[String], tool: &str) -> bool {
    let tool = tool.to_lowercase();
    if words.contains(&tool) {
        return true;
    }
    let parts: Vec<&str> = tool.split(['_', '-', '.']).filter(|p| !p.is_empty()).collect();
    !parts.is_empty() && words.windows(parts.len()).any(|w| w.iter().zip(&parts).all(|(a, b)| a == b))
}

fn hints(words: &[String], tool: &Tool) -> bool {
    if tool.name.to_lowercase().contains("weather") && words.iter().any(|w| w.contains("weather")) {
        return true;
    }
    let properties = tool.schema.get("properties").and_then(Value::as_object);
    properties.is_some_and(|p| p.keys().any(|k| k.len() >= MIN_WORD && words.contains(&k.to_lowercase())))
}
