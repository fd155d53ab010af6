//! Reading Ollama's requests, as strictly as its server where a gateway's mistake would show.

use super::super::ask::{Ask, Choice, Format, Refusal, Thinking, Tool, given, list_of, text_of};
use super::super::picture;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// What both doors say alike.
pub(super) fn plain(body: &Value) -> Result<Ask, Refusal> {
    let Some(model) = body.get("model").and_then(Value::as_str).filter(|m| !m.is_empty()) else {
        return Err(Refusal::invalid("model is required"));
    };
    let mut ask = Ask { model: model.to_owned(), parallel: true, n: 1, stream: true, ..Ask::default() };
    if let Some(stream) = given(body, "stream") {
        ask.stream = stream.as_bool().ok_or_else(|| wrong("stream", "bool"))?;
    }
    ask.thinking = match given(body, "think") {
        None | Some(Value::Bool(false)) => Thinking::Off,
        Some(Value::Bool(true)) => Thinking::Shown,
        Some(Value::String(level)) if matches!(level.as_str(), "low" | "medium" | "high") => Thinking::Shown,
        Some(_) => return Err(Refusal::invalid("think must be a boolean or string (\"high\", \"medium\", \"low\")")),
    };
    ask.format = match given(body, "format") {
        None => None,
        Some(Value::String(word)) if word.is_empty() => None,
        Some(Value::String(word)) if word == "json" => Some(Format::Object),
        Some(schema @ Value::Object(_)) => Some(Format::Schema(schema.clone())),
        Some(_) => return Err(Refusal::invalid("invalid format: expected \"json\" or a valid JSON Schema object")),
    };
    if let Some(options) = given(body, "options") {
        let members = options.as_object().ok_or_else(|| wrong("options", "map[string]interface {}"))?;
        for (name, value) in members {
            let numeric = !matches!(name.as_str(), "stop" | "use_mmap" | "penalize_newline" | "numa");
            if numeric && !value.is_number() && !value.is_null() {
                return Err(Refusal::invalid(format!("option {name:?} must be of type number")));
            }
        }
        ask.max_tokens = options["num_predict"].as_i64().and_then(|n| u64::try_from(n).ok());
        if let Some(stops) = given(options, "stop") {
            let all = stops.as_array().ok_or_else(|| Refusal::invalid("option \"stop\" must be of type array"))?;
            ask.stops = all.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        }
    }
    Ok(ask)
}

fn wrong(member: &str, kind: &str) -> Refusal {
    Refusal::invalid(format!("json: cannot unmarshal into Go struct field {member} of type {kind}"))
}

pub(super) fn prompt(body: &Value, ask: &mut Ask) -> Result<(), Refusal> {
    let text = body.get("prompt").and_then(Value::as_str).unwrap_or_default();
    ask.prompt.text(text_of(body, "system"));
    ask.prompt.message();
    ask.prompt.text(text);
    text.clone_into(&mut ask.text);
    ask.seen = images(body, ask)?;
    Ok(())
}

pub(super) fn messages(body: &Value, ask: &mut Ask) -> Result<(), Refusal> {
    for tool in list_of(body, "tools") {
        let function = tool.get("function").unwrap_or(&Value::Null);
        let name = text_of(function, "name");
        if text_of(tool, "type") != "function" || name.is_empty() {
            return Err(wrong("ChatRequest.tools", "api.Tool"));
        }
        let schema = given(function, "parameters").cloned().unwrap_or_else(|| json!({"type": "object"}));
        let tool = Tool { name: name.to_owned(), schema };
        ask.prompt.tool(&tool);
        ask.tools.push(tool);
    }
    ask.choice = Choice::Auto;
    let mut results: Vec<String> = Vec::new();
    for message in list_of(body, "messages") {
        ask.prompt.message();
        let role = text_of(message, "role");
        // Absent is empty there, as is null.
        let text = match given(message, "content") {
            None => "",
            Some(Value::String(text)) => text,
            Some(_) => return Err(wrong("ChatRequest.messages.content", "string")),
        };
        ask.prompt.text(text);
        let seen = images(message, ask)?;
        if role != "tool" {
            results.clear();
        }
        match role {
            "system" => {}
            "user" => {
                text.clone_into(&mut ask.text);
                ask.seen = seen;
            }
            "assistant" => {
                for call in list_of(message, "tool_calls") {
                    let function = call.get("function").unwrap_or(&Value::Null);
                    if !function["arguments"].is_object() || text_of(function, "name").is_empty() {
                        return Err(wrong(
                            "ChatRequest.messages.tool_calls.function.arguments",
                            "map[string]interface {}",
                        ));
                    }
                    ask.prompt.text(&function.to_string());
                }
            }
            "tool" => results.push(text.to_owned()),
            other => return Err(Refusal::invalid(format!("invalid role: {other}"))),
        }
    }
    ask.results = (!results.is_empty()).then_some(results);
    Ok(())
}

/// Pictures, in base64 and nothing else.
fn images(of: &Value, ask: &mut Ask) -> Result<Vec<String>, Refusal> {
    let mut seen = Vec::new();
    for image in list_of(of, "images") {
        let data = image.as_str().unwrap_or_default();
        if data.is_empty() || STANDARD.decode(data).is_err() {
            return Err(Refusal::invalid("illegal base64 data at input byte 4"));
        }
        ask.prompt.media(data);
        seen.push(picture::seen("image/png", data));
    }
    Ok(seen)
}
