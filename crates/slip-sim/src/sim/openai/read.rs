//! Reading a chat completion request, as strictly as OpenAI does where a gateway's mistake would show.

use super::super::ask::{Ask, Choice, Format, Refusal, Thinking, Tool, given, list_of, text_of};
use super::super::mind::MAX_CHOICES;
use super::super::picture;
use serde_json::{Value, json};

pub(super) fn ask(body: &Value) -> Result<Ask, Refusal> {
    let mut ask = plain(body)?;
    tools(body, &mut ask)?;
    messages(body, &mut ask)?;
    ask.prompt.mark();
    ask.max_tokens = number(body, "max_completion_tokens", 1, u64::MAX)?.or(ask.max_tokens);
    ask.thinking = thinking(body);
    let top = number(body, "top_logprobs", 0, 20)?;
    if flag(body, "logprobs")?.unwrap_or(false) {
        ask.logprobs = Some(top.unwrap_or(0));
    } else if top.is_some() {
        return Err(Refusal::invalid("'top_logprobs' is only allowed when 'logprobs' is true").at("top_logprobs"));
    }
    Ok(ask)
}

/// What chat and completions say alike.
pub(super) fn plain(body: &Value) -> Result<Ask, Refusal> {
    let Some(model) = body.get("model").and_then(Value::as_str).filter(|m| !m.is_empty()) else {
        return Err(Refusal::invalid("you must provide a model parameter").at("model"));
    };
    let mut ask = Ask { model: model.to_owned(), parallel: true, n: 1, ..Ask::default() };
    ask.stream = flag(body, "stream")?.unwrap_or(false);
    if let Some(options) = given(body, "stream_options") {
        if !ask.stream {
            let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
            return Err(Refusal::invalid(message).at("stream_options"));
        }
        ask.include_usage = flag(options, "include_usage")?.unwrap_or(false);
    }
    ask.max_tokens = number(body, "max_tokens", 1, u64::MAX)?;
    if let Some(n) = number(body, "n", 1, u64::from(MAX_CHOICES))? {
        ask.n = n as u32;
    }
    ask.stops = stops(body)?;
    ask.format = format(body)?;
    for (member, most) in [("temperature", 2.0), ("top_p", 1.0)] {
        if let Some(value) = given(body, member)
            && !value.as_f64().is_some_and(|t| (0.0..=most).contains(&t))
        {
            return Err(Refusal::invalid(format!("'{member}' must be a number from 0 to {most}: {value}")).at(member));
        }
    }
    ask.caches = ask.model.contains("cache");
    Ok(ask)
}

fn flag(body: &Value, member: &str) -> Result<Option<bool>, Refusal> {
    match given(body, member) {
        None => Ok(None),
        Some(Value::Bool(b)) => Ok(Some(*b)),
        Some(other) => Err(Refusal::invalid(format!("'{member}' must be a boolean: {other}")).at(member)),
    }
}

pub(super) fn number(body: &Value, member: &str, least: u64, most: u64) -> Result<Option<u64>, Refusal> {
    let Some(value) = given(body, member) else { return Ok(None) };
    match value.as_u64().filter(|n| (least..=most).contains(n)) {
        Some(n) => Ok(Some(n)),
        None => Err(Refusal::invalid(format!("'{member}' must be an integer, at least {least}: {value}")).at(member)),
    }
}

fn stops(body: &Value) -> Result<Vec<String>, Refusal> {
    let wrong = || Refusal::invalid("'stop' must be a string or up to 4 strings").at("stop");
    match given(body, "stop") {
        None => Ok(Vec::new()),
        Some(Value::String(one)) => Ok(vec![one.clone()]),
        Some(Value::Array(some)) if some.len() <= 4 => {
            some.iter().map(|s| s.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

/// Every spelling in use among OpenAI-shaped servers.
fn thinking(body: &Value) -> Thinking {
    if let Some(object) = given(body, "reasoning") {
        let effort = object.get("effort").and_then(Value::as_str);
        let off = effort == Some("none") || object.get("enabled") == Some(&json!(false));
        let hidden = object.get("exclude") == Some(&json!(true));
        return match (off, hidden) {
            (true, _) => Thinking::Off,
            (_, true) => Thinking::Hidden,
            _ => Thinking::ShownAsReasoning,
        };
    }
    let effort = body.get("reasoning_effort").and_then(Value::as_str).is_some_and(|e| e != "none");
    let kind = body.get("thinking").map(|t| text_of(t, "type")).unwrap_or_default();
    let enabled = body.get("enable_thinking") == Some(&json!(true));
    if effort || kind == "enabled" || enabled { Thinking::Shown } else { Thinking::Off }
}

fn format(body: &Value) -> Result<Option<Format>, Refusal> {
    let Some(format) = given(body, "response_format") else { return Ok(None) };
    match text_of(format, "type") {
        "text" => Ok(None),
        "json_object" => Ok(Some(Format::Object)),
        "json_schema" => {
            let inner = format.get("json_schema").unwrap_or(&Value::Null);
            if text_of(inner, "name").is_empty() {
                let message = "Missing required parameter: 'response_format.json_schema.name'.";
                return Err(Refusal::invalid(message).at("response_format.json_schema.name"));
            }
            Ok(Some(given(inner, "schema").map_or(Format::Object, |s| Format::Schema(s.clone()))))
        }
        other => {
            let message = format!("'response_format.type' must be text, json_object or json_schema: {other:?}");
            Err(Refusal::invalid(message).at("response_format.type"))
        }
    }
}

fn tools(body: &Value, ask: &mut Ask) -> Result<(), Refusal> {
    if body.get("tools").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        return Err(Refusal::invalid("[] is too short - 'tools'").at("tools"));
    }
    for (at, tool) in list_of(body, "tools").iter().enumerate() {
        let function = tool.get("function").unwrap_or(&Value::Null);
        let name = text_of(function, "name");
        if text_of(tool, "type") != "function" || name.is_empty() {
            return Err(Refusal::invalid("a tool must be a function with a name").at(format!("tools[{at}]")));
        }
        if name.len() > 64 || !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')) {
            let message = format!("a function name must match ^[a-zA-Z0-9_-]{{1,64}}$: {name:?}");
            return Err(Refusal::invalid(message).at(format!("tools[{at}].function.name")));
        }
        let schema = given(function, "parameters").cloned().unwrap_or_else(|| json!({"type": "object"}));
        let tool = Tool { name: name.to_owned(), schema };
        ask.prompt.tool(&tool);
        ask.prompt.text(text_of(function, "description"));
        ask.tools.push(tool);
    }
    for member in ["tool_choice", "parallel_tool_calls"] {
        if given(body, member).is_some() && ask.tools.is_empty() {
            let message = format!("'{member}' is only allowed when 'tools' are specified.");
            return Err(Refusal::invalid(message).at(member));
        }
    }
    ask.parallel = flag(body, "parallel_tool_calls")?.unwrap_or(true);
    ask.choice = match given(body, "tool_choice") {
        None => Choice::Auto,
        Some(Value::String(word)) => match word.as_str() {
            "auto" => Choice::Auto,
            "none" => Choice::Never,
            // "any" is Mistral's word for it.
            "required" | "any" => Choice::Any,
            other => return Err(Refusal::invalid(format!("invalid 'tool_choice': {other:?}")).at("tool_choice")),
        },
        Some(object) => {
            let name = object.get("function").map(|f| text_of(f, "name")).unwrap_or_default();
            if !ask.tools.iter().any(|t| t.name == name) {
                let message = format!("the tool chosen by 'tool_choice' is not in 'tools': {name:?}");
                return Err(Refusal::invalid(message).at("tool_choice"));
            }
            Choice::Named(vec![name.to_owned()])
        }
    };
    Ok(())
}

fn messages(body: &Value, ask: &mut Ask) -> Result<(), Refusal> {
    let messages = list_of(body, "messages");
    if messages.is_empty() {
        return Err(Refusal::invalid("[] is too short - 'messages'").at("messages"));
    }
    // Calls of the last assistant message that still need an answer.
    let mut open: Vec<String> = Vec::new();
    let mut results: Vec<String> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let path = format!("messages[{at}]");
        let role = text_of(message, "role");
        ask.prompt.message();
        if role != "tool" {
            results.clear();
            unanswered(&open)?;
        }
        let (text, seen) = content(message, role, &path, ask)?;
        match role {
            "system" | "developer" => {}
            "user" => {
                ask.text = text;
                ask.seen = seen;
            }
            "assistant" => open = calls(message, &path, ask)?,
            "tool" => {
                let id = text_of(message, "tool_call_id");
                let Some(place) = open.iter().position(|o| o == id) else {
                    let message = format!(
                        "messages with role 'tool' must answer a tool call of the preceding assistant message: {id:?}"
                    );
                    return Err(Refusal::invalid(message).at(format!("{path}.tool_call_id")));
                };
                open.remove(place);
                results.push(text);
            }
            other => return Err(Refusal::invalid(format!("invalid role: {other:?}")).at(format!("{path}.role"))),
        }
    }
    unanswered(&open)?;
    ask.results = (!results.is_empty()).then_some(results);
    Ok(())
}

fn unanswered(open: &[String]) -> Result<(), Refusal> {
    if open.is_empty() {
        return Ok(());
    }
    let message = format!(
        "an assistant message with 'tool_calls' must be followed by tool messages for each: {}",
        open.join(", ")
    );
    Err(Refusal::invalid(message).at("messages"))
}

fn calls(message: &Value, path: &str, ask: &mut Ask) -> Result<Vec<String>, Refusal> {
    let mut ids = Vec::new();
    for (nth, call) in list_of(message, "tool_calls").iter().enumerate() {
        let path = format!("{path}.tool_calls[{nth}]");
        let function = call.get("function").unwrap_or(&Value::Null);
        let (id, name) = (text_of(call, "id"), text_of(function, "name"));
        let Some(arguments) = function.get("arguments").and_then(Value::as_str) else {
            return Err(Refusal::invalid("the arguments of a call must be a string").at(format!("{path}.function")));
        };
        if id.is_empty() || name.is_empty() || text_of(call, "type") != "function" {
            return Err(Refusal::invalid("a tool call must have an id, a type and a function name").at(path));
        }
        ask.prompt.text(name);
        ask.prompt.text(arguments);
        ids.push(id.to_owned());
    }
    Ok(ids)
}

/// The text of a message, and what it shows.
fn content(message: &Value, role: &str, path: &str, ask: &mut Ask) -> Result<(String, Vec<String>), Refusal> {
    let mut seen = Vec::new();
    let parts = match message.get("content") {
        Some(Value::String(text)) => {
            ask.prompt.text(text);
            return Ok((text.clone(), seen));
        }
        Some(Value::Array(parts)) if !parts.is_empty() => parts,
        None | Some(Value::Null) if role == "assistant" => return Ok((String::new(), seen)),
        _ => {
            let message = "content must be a string or a list of parts";
            return Err(Refusal::invalid(message).at(format!("{path}.content")));
        }
    };
    let mut texts = Vec::new();
    for (nth, part) in parts.iter().enumerate() {
        let path = format!("{path}.content[{nth}]");
        match (text_of(part, "type"), role) {
            ("text", _) => {
                let Some(text) = part.get("text").and_then(Value::as_str) else {
                    return Err(Refusal::invalid("a text part must have a text").at(path));
                };
                ask.prompt.text(text);
                texts.push(text);
            }
            ("refusal", "assistant") => ask.prompt.text(text_of(part, "refusal")),
            ("image_url", "user") => {
                let url = part.get("image_url").map(|i| text_of(i, "url")).unwrap_or_default();
                if url.is_empty() {
                    return Err(Refusal::invalid("an image_url part must have an object with a url").at(path));
                }
                ask.prompt.media(url);
                seen.push(picture::seen_url(url));
            }
            ("input_audio", "user") => {
                let audio = part.get("input_audio").unwrap_or(&Value::Null);
                ask.prompt.media(text_of(audio, "data"));
                seen.push(picture::seen(&format!("audio/{}", text_of(audio, "format")), text_of(audio, "data")));
            }
            ("file", "user") => {
                let file = part.get("file").unwrap_or(&Value::Null);
                ask.prompt.media(text_of(file, "file_data"));
                seen.push(picture::seen_url(text_of(file, "file_data")));
            }
            ("video_url", "user") => {
                let url = part.get("video_url").map(|i| text_of(i, "url")).unwrap_or_default();
                ask.prompt.media(url);
                seen.push(picture::seen_url(url));
            }
            (kind, _) => {
                let message = format!("a {role} message cannot have a content part of type {kind:?}");
                return Err(Refusal::invalid(message).at(path));
            }
        }
    }
    Ok((texts.join("\n"), seen))
}
