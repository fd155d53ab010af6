//! What is promised between dialects: what is carried, what is carried in another way, and that the caller is told of the rest.

mod caching;
mod files;
mod losses;
mod pictures;
mod seals;
mod structured;

use crate::harness::{Gateway, provider, with};
use serde_json::{Value, json};
use slip_ir::Dialect;
use slip_sim::{Script, Scripted};

/// An upstream with a queue of answers, and how the configuration names it.
async fn scripted(name: &str, dialect: Dialect, models: &[&str]) -> (Scripted, String) {
    let upstream = Scripted::start().await.expect("a socket");
    let table = provider(name, dialect, &upstream.base_url(), models);
    (upstream, table)
}

/// A plain answer of each dialect.
fn answer(dialect: Dialect, text: &str) -> Script {
    Script::json(
        200,
        &match dialect {
            Dialect::Anthropic => json!({
                "id": "msg_1", "type": "message", "role": "assistant", "model": "m",
                "content": [{ "type": "text", "text": text }],
                "stop_reason": "end_turn", "usage": { "input_tokens": 3, "output_tokens": 2 },
            }),
            Dialect::Gemini => json!({
                "candidates": [{ "content": { "role": "model", "parts": [{ "text": text }] }, "finishReason": "STOP", "index": 0 }],
                "usageMetadata": { "promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5 },
            }),
            _ => json!({
                "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
                "choices": [{ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }],
                "usage": { "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5 },
            }),
        },
    )
}

fn ask(model: &str, more: Value) -> Value {
    with(json!({ "model": model, "messages": [{ "role": "user", "content": "hello" }] }), more)
}

async fn losses(gateway: &Gateway, got: &crate::harness::Got) -> Vec<String> {
    let record = gateway.record(got).await;
    let list = record["slipswitch"]["losses"].as_array().cloned().unwrap_or_default();
    list.iter().filter_map(|loss| loss.as_str().map(str::to_owned)).collect()
}
