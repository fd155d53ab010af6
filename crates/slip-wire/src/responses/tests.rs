//! Both ways at once: what callers send, what upstreams get, and what comes of it.

mod replies;
mod requests;
mod streams;

use super::*;
use serde_json::{Value, json};

/// What a coding agent sends: instructions, functions and free-text tools, a sealed history, nothing kept.
fn agent() -> Value {
    json!({
        "model": "m", "instructions": "You are an agent.", "stream": true, "store": false,
        "input": [
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "sandboxed"}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "fix it"}]},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "gAAA"},
            {"type": "function_call", "name": "shell", "arguments": "{\"cmd\":\"ls\"}", "call_id": "call_1"},
            {"type": "function_call_output", "call_id": "call_1", "output": "a.rs"},
            {"type": "custom_tool_call", "status": "completed", "call_id": "call_2", "name": "apply_patch", "input": "*** Begin"},
            {"type": "custom_tool_call_output", "call_id": "call_2", "output": "done"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "fixed"}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "thanks"}]},
        ],
        "tools": [
            {"type": "function", "name": "shell", "description": "Run", "strict": false, "parameters": {"type": "object"}},
            {"type": "custom", "name": "apply_patch", "description": "Edit", "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"}},
            {"type": "local_shell"},
            {"type": "web_search", "external_web_access": false},
        ],
        "tool_choice": "auto", "parallel_tool_calls": true, "reasoning": {"effort": "medium", "summary": "auto"},
        "include": ["reasoning.encrypted_content"], "prompt_cache_key": "k", "text": {"verbosity": "low"},
    })
}

fn decoded(body: &Value) -> (Request, Vec<Loss>) {
    request::decode(body.to_string().as_bytes()).unwrap_or_else(|malformed| panic!("{malformed}: {body}"))
}

fn stamp() -> Arc<Stamp> {
    Arc::new(Stamp { id: "gen-1-x".into(), created: 7, model: "m/n".into(), provider: "P".into(), ..Stamp::default() })
}
