//! Mistral's first models, prompted in their brackets
//! (<https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-mistral-text-completion.html>, 2026-11).

use super::prompt::Prompt;
use super::tongue::{Said, merge, words};
use serde_json::{Map, Value};

pub(super) fn ask(mut prompt: Prompt) -> Map<String, Value> {
    let mut body = Map::new();
    let system = &prompt.system;
    let head = if system.is_empty() { String::new() } else { format!("{system}\n\n") };
    body.insert("prompt".into(), prompt.bracketed(&head).into());
    prompt.put(&mut body, ["max_tokens", "temperature", "top_p", "stop"]);
    merge(&mut body, prompt.more);
    body
}

pub(super) fn said(told: &Value) -> Option<Said> {
    let one = &told["outputs"][0];
    Some(Said { text: words(&one["text"])?, stop: words(&one["stop_reason"]), ..Said::default() })
}
