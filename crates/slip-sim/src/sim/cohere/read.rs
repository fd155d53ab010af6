//! Reading Cohere's requests, as strictly as its server where a gateway's mistake would show: it refuses members it does not know.

use super::super::ask::{Ask, Choice, Format, Refusal, Thinking, Tool, given, list_of, text_of};
use super::super::picture;
use serde_json::{Value, json};

const KNOWN: [&str; 22] = [
    "model",
    "messages",
    "stream",
    "tools",
    "strict_tools",
    "documents",
    "citation_options",
    "response_format",
    "safety_mode",
    "max_tokens",
    "stop_sequences",
    "temperature",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "k",
    "p",
    "logprobs",
    "tool_choice",
    "thinking",
    "priority",
    "raw_prompting",
];

pub(super) fn ask(body: &Value) -> Result<Ask, Refusal> {
    if let Some(unknown) = body.as_object().and_then(|b| b.keys().find(|key| !KNOWN.contains(&key.as_str()))) {
        return Err(Refusal::invalid(format!(
            "invalid request: unknown field: parameter '{unknown}' is not a valid field"
        )));
    }
    let Some(model) = body.get("model").and_then(Value::as_str).filter(|m| !m.is_empty()) else {
        return Err(Refusal::invalid("invalid request: model is required"));
    };
    let mut ask = Ask { model: model.to_owned(), parallel: true, n: 1, ..Ask::default() };
    ask.stream = body["stream"].as_bool().unwrap_or(false);
    tools(body, &mut ask)?;
    messages(body, &mut ask)?;
    for document in list_of(body, "documents") {
        ask.prompt.text(&document.to_string());
    }
    ask.prompt.mark();
    ask.max_tokens = given(body, "max_tokens").and_then(Value::as_u64);
    ask.stops = list_of(body, "stop_sequences").iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if given(body, "stop_sequences").is_some_and(|stops| !stops.is_array()) {
        return Err(Refusal::invalid("invalid request: stop_sequences must be a list"));
    }
    ask.thinking = match body["thinking"]["type"].as_str() {
        Some("enabled") => Thinking::Shown,
        _ => Thinking::Off,
    };
    ask.format = match given(body, "response_format") {
        None => None,
        Some(format) => match (text_of(format, "type"), given(format, "json_schema")) {
            ("text", _) => None,
            ("json_object", None) => Some(Format::Object),
            ("json_object", Some(schema)) => Some(Format::Schema(schema.clone())),
            _ => return Err(Refusal::invalid("invalid request: response_format.type must be text or json_object")),
        },
    };
    ask.caches = ask.model.contains("cache");
    Ok(ask)
}

fn tools(body: &Value, ask: &mut Ask) -> Result<(), Refusal> {
    for tool in list_of(body, "tools") {
        let function = tool.get("function").unwrap_or(&Value::Null);
        let name = text_of(function, "name");
        if text_of(tool, "type") != "function" || name.is_empty() || !function["parameters"].is_object() {
            return Err(Refusal::invalid("invalid tool: a function with a name and parameters is expected"));
        }
        let tool = Tool { name: name.to_owned(), schema: function["parameters"].clone() };
        ask.prompt.tool(&tool);
        ask.tools.push(tool);
    }
    ask.choice = match body["tool_choice"].as_str() {
        Some("REQUIRED") => Choice::Any,
        Some("NONE") => Choice::Never,
        None => Choice::Auto,
        Some(other) => return Err(Refusal::invalid(format!("invalid tool_choice: {other}"))),
    };
    Ok(())
}

fn messages(body: &Value, ask: &mut Ask) -> Result<(), Refusal> {
    let messages = list_of(body, "messages");
    if messages.is_empty() {
        return Err(Refusal::invalid("invalid request: message must be at least 1 token long"));
    }
    let mut open: Vec<String> = Vec::new();
    let mut results: Vec<String> = Vec::new();
    for message in messages {
        let role = text_of(message, "role");
        ask.prompt.message();
        if role != "tool" {
            results.clear();
        }
        let (text, seen) = content(message, role, ask)?;
        match role {
            "system" => {}
            "user" => {
                ask.text = text;
                ask.seen = seen;
            }
            "assistant" => {
                open.clear();
                for call in list_of(message, "tool_calls") {
                    let function = call.get("function").unwrap_or(&Value::Null);
                    if text_of(call, "id").is_empty() || !function["arguments"].is_string() {
                        return Err(Refusal::invalid(
                            "invalid tool call: an id and arguments in a string are expected",
                        ));
                    }
                    ask.prompt.text(&function.to_string());
                    open.push(text_of(call, "id").to_owned());
                }
            }
            "tool" => {
                let id = text_of(message, "tool_call_id");
                if !open.iter().any(|known| known == id) {
                    return Err(Refusal::invalid(format!("no tool call found with id '{id}'")));
                }
                results.push(text);
            }
            other => return Err(Refusal::invalid(format!("invalid role: {other}"))),
        }
    }
    ask.results = (!results.is_empty()).then_some(results);
    Ok(())
}

fn content(message: &Value, role: &str, ask: &mut Ask) -> Result<(String, Vec<String>), Refusal> {
    let mut seen = Vec::new();
    let parts = match message.get("content") {
        Some(Value::String(text)) => {
            ask.prompt.text(text);
            return Ok((text.clone(), seen));
        }
        Some(Value::Array(parts)) => parts,
        None | Some(Value::Null) if role == "assistant" => return Ok((String::new(), seen)),
        _ => return Err(Refusal::invalid("invalid message: content must be a string or a list")),
    };
    let mut texts = Vec::new();
    for part in parts {
        match (text_of(part, "type"), role) {
            ("text", _) => texts.push(text_of(part, "text").to_owned()),
            ("thinking", "assistant") => ask.prompt.text(text_of(part, "thinking")),
            ("document", "tool") => texts.push(part["document"]["data"].to_string()),
            ("image_url", "user") => {
                let url = text_of(part.get("image_url").unwrap_or(&json!({})), "url").to_owned();
                ask.prompt.media(&url);
                seen.push(picture::seen_url(&url));
            }
            (kind, _) => return Err(Refusal::invalid(format!("invalid content type: {kind} in a {role} message"))),
        }
    }
    texts.iter().for_each(|text| ask.prompt.text(text));
    Ok((texts.join("\n"), seen))
}
