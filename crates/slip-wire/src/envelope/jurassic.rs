//! AI21's Jurassic-2, which does not stream
//! (<https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-jurassic2.html>, 2026-11).

use super::prompt::Prompt;
use super::tongue::{Said, merge, words};
use serde_json::{Map, Value};

pub(super) fn ask(mut prompt: Prompt) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("prompt".into(), prompt.play("User", "Assistant").into());
    prompt.put(&mut body, ["maxTokens", "temperature", "topP", "stopSequences"]);
    merge(&mut body, prompt.more);
    body
}

pub(super) fn said(told: &Value) -> Option<Said> {
    let one = &told["completions"][0];
    // A list of everything it read is there to be counted, where the head did not say.
    let read = |value: &Value| value.as_array().map(|tokens| tokens.len() as u64);
    Some(Said {
        text: words(&one["data"]["text"])?,
        stop: words(&one["finishReason"]["reason"]),
        input: read(&told["prompt"]["tokens"]),
        output: read(&one["data"]["tokens"]),
    })
}
