//! OpenAI's chat completions inside InvokeModel, as AI21's Jamba, OpenAI's open models, Qwen and others are asked there. Some say
//! `stop_reason` for `finish_reason`; the counts of a stream stand in its last message
//! (<https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-openai.html>, 2026-11).

use super::METRICS;
use super::tongue::count;
use serde_json::{Value, json};

/// A reply, or a piece of a stream: both are almost right.
pub(super) fn told(mut told: Value) -> Option<Value> {
    let choices = told["choices"].as_array_mut();
    for choice in choices.into_iter().flatten().filter_map(Value::as_object_mut) {
        // Mistral's whole message stands where a piece of one does.
        if let Some(stop) = choice.remove("stop_reason") {
            choice.entry("finish_reason").or_insert(stop);
        }
    }
    let metrics = told.as_object_mut()?.remove(METRICS).unwrap_or_default();
    let counts = [count(&metrics["inputTokenCount"]), count(&metrics["outputTokenCount"])];
    if let ([Some(input), output], false) = (counts, told["usage"].is_object()) {
        let output = output.unwrap_or(0);
        told["usage"] = json!({ "prompt_tokens": input, "completion_tokens": output, "total_tokens": input.saturating_add(output) });
    }
    (told["choices"].is_array() || told["usage"].is_object()).then_some(told)
}
