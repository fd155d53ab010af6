//! Amazon's Titan text models
//! (<https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-text.html>, 2026-11).

use super::prompt::Prompt;
use super::tongue::{Said, count, merge, words};
use serde_json::{Map, Value, json};

pub(super) fn ask(mut prompt: Prompt) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("inputText".into(), prompt.play("User", "Bot").into());
    let mut config = Map::new();
    prompt.put(&mut config, ["maxTokenCount", "temperature", "topP", "stopSequences"]);
    body.insert("textGenerationConfig".into(), json!(config));
    merge(&mut body, prompt.more);
    body
}

/// A whole reply has its text in a list of one; a piece of a stream says the same without it.
pub(super) fn said(told: &Value) -> Option<Said> {
    let one = if told["results"].is_array() { &told["results"][0] } else { told };
    Some(Said {
        text: words(&one["outputText"])?,
        stop: words(&one["completionReason"]),
        input: count(&told["inputTextTokenCount"]),
        output: count(&one["tokenCount"]).or_else(|| count(&told["totalOutputTextTokenCount"])),
    })
}
