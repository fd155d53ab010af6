//! What each surface and each dialect spells in its own way. Whoever adds one is asked here, by the compiler.

use crate::corpus::Surface;
use crate::corpus::ask::Ask;
use crate::corpus::natives::Native;
use crate::corpus::{bedrock, read, responses};
use crate::harness::KEY;
use serde_json::{Value, json};
use slip_ir::Dialect;

/// The request of a client of this surface.
pub fn body(surface: Surface, ask: &Ask, model: &str, stream: bool) -> Value {
    match surface {
        Surface::Chat => ask.to_chat(model, stream),
        Surface::Messages => ask.to_messages(model, stream),
        Surface::Gemini => ask.to_gemini(),
        Surface::Responses => responses::spell(ask, model, stream),
        Surface::Bedrock => bedrock::to(ask),
        Surface::Invoked(_) => unreachable!("no client speaks it"),
        Surface::Native(native) => {
            let mut body = native.body(ask, model, stream);
            match native {
                Native::Ollama | Native::Generate if ask.thinks => body["think"] = true.into(),
                Native::Cohere if ask.thinks => body["thinking"] = json!({"type": "enabled"}),
                _ => {}
            }
            body
        }
    }
}

/// The wish for a document that fits the schema.
pub fn wish(surface: Surface, body: &mut Value, schema: &Value) {
    match surface {
        Surface::Chat => {
            let named = json!({"name": "place", "strict": true, "schema": schema});
            body["response_format"] = json!({"type": "json_schema", "json_schema": named});
        }
        Surface::Messages => body["output_config"] = json!({"format": {"type": "json_schema", "schema": schema}}),
        Surface::Gemini => {
            body["generationConfig"]["responseMimeType"] = "application/json".into();
            body["generationConfig"]["responseJsonSchema"] = schema.clone();
        }
        Surface::Responses => {
            body["text"]["format"] = json!({"type": "json_schema", "name": "place", "strict": true, "schema": schema});
        }
        Surface::Bedrock => {
            let named = json!({"jsonSchema": {"name": "place", "schema": schema.to_string()}});
            body["outputConfig"] = json!({"textFormat": {"type": "json_schema", "structure": named}});
        }
        Surface::Native(Native::Ollama | Native::Generate) => body["format"] = schema.clone(),
        Surface::Native(Native::Cohere) => {
            body["response_format"] = json!({"type": "json_object", "json_schema": schema});
        }
        Surface::Native(Native::Text) | Surface::Invoked(_) => {}
    }
}

/// How a client of this surface shows its key.
pub fn credential(surface: Surface, key: &str) -> (&'static str, String) {
    match surface {
        Surface::Chat | Surface::Responses | Surface::Bedrock | Surface::Native(_) | Surface::Invoked(_) => {
            ("authorization", format!("Bearer {key}"))
        }
        Surface::Messages => ("x-api-key", key.to_owned()),
        Surface::Gemini => ("x-goog-api-key", key.to_owned()),
    }
}

/// What the provider calls its model. Google's third generation refuses calls that come back unsigned.
pub fn upstream_model(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Gemini => "gemini-3-made",
        // How a model is told to think is a matter of its family.
        Dialect::Bedrock => "us.anthropic.claude-sonnet-4-5-made-v1:0",
        _ => "made",
    }
}

/// Who reads the requests that reach a provider of this dialect.
pub fn reader(dialect: Dialect) -> Surface {
    match dialect {
        Dialect::OpenAiChat => Surface::Chat,
        Dialect::Anthropic => Surface::Messages,
        Dialect::Gemini => Surface::Gemini,
        Dialect::Responses => Surface::Responses,
        Dialect::Completions => Surface::Native(Native::Text),
        Dialect::Ollama => Surface::Native(Native::Ollama),
        Dialect::OllamaGenerate => Surface::Native(Native::Generate),
        Dialect::Cohere => Surface::Native(Native::Cohere),
        Dialect::Bedrock => Surface::Bedrock,
    }
}

/// The dialect has ids for calls.
pub fn names_calls(dialect: Dialect) -> bool {
    !matches!(dialect, Dialect::Gemini | Dialect::Ollama | Dialect::OllamaGenerate)
}

/// The simulated provider signs its thoughts, and wants them back as they were.
pub fn seals(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::Anthropic | Dialect::Gemini | Dialect::Responses | Dialect::Bedrock)
}

/// What it has a place for in a conversation: signatures of somebody else's have none in the smaller dialects.
pub fn keeps_seals(surface: Surface) -> bool {
    surface.native().is_none()
}

/// The dialect has stop sequences.
pub fn stops(dialect: &str) -> bool {
    dialect != Dialect::Responses.name()
}

/// An error says in words what is wrong.
pub fn tells(body: &Value) -> bool {
    !read::error_text(&body["error"]).is_empty() || body["message"].as_str().is_some_and(|words| !words.is_empty())
}

pub fn key(surface: Surface) -> (&'static str, String) {
    credential(surface, KEY)
}
