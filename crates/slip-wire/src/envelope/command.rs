//! Cohere's Command text models
//! (<https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-cohere-command.html>, 2026-11).

use super::prompt::Prompt;
use super::tongue::{Said, merge, words};
use serde_json::{Map, Value};

pub(super) fn ask(mut prompt: Prompt) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("prompt".into(), prompt.play("User", "Chatbot").into());
    prompt.put(&mut body, ["max_tokens", "temperature", "p", "stop_sequences"]);
    merge(&mut body, prompt.more);
    body
}

/// Pieces of a stream come bare where it was asked for pieces, and as whole replies where it was not; the last may say nothing.
pub(super) fn said(told: &Value) -> Option<Said> {
    let one = if told["generations"].is_array() { &told["generations"][0] } else { told };
    let stop = words(&one["finish_reason"]);
    let text = words(&one["text"]).or_else(|| told["is_finished"].as_bool().map(|_| String::new()))?;
    Some(Said { text, stop, ..Said::default() })
}
