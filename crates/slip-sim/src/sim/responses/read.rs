//! Reading a Responses request, as strictly as OpenAI does where a gateway's mistake would show.

use super::super::ask::{Ask, Choice, Format, Refusal, Thinking, Tool, Why, given, list_of, text_of};
use super::super::{picture, sign};
use serde_json::{Value, json};

/// Marks the schema of a tool that takes free text.
pub(super) const FREE_TEXT: &str = "x-free-text";
/// Every member OpenAI takes; it refuses all others.
const KNOWN: [&str; 28] = [
    "background",
    "conversation",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

pub(super) fn ask(body: &Value) -> Result<Ask, Refusal> {
    if let Some(name) =
        body.as_object().into_iter().flatten().map(|(name, _)| name).find(|n| !KNOWN.contains(&n.as_str()))
    {
        return Err(Refusal::invalid(format!("Unknown parameter: '{name}'.")).at(name.as_str()));
    }
    let Some(model) = body.get("model").and_then(Value::as_str).filter(|m| !m.is_empty()) else {
        return Err(Refusal::invalid("Missing required parameter: 'model'.").at("model"));
    };
    let mut ask = Ask { model: model.to_owned(), parallel: true, n: 1, ..Ask::default() };
    ask.stream = flag(body, "stream")?.unwrap_or(false);
    tools(body, &mut ask)?;
    if let Some(instructions) = given(body, "instructions") {
        let Some(text) = instructions.as_str() else {
            return Err(Refusal::invalid("Invalid type for 'instructions': expected a string.").at("instructions"));
        };
        ask.prompt.message();
        ask.prompt.text(text);
    }
    input(body, &mut ask)?;
    ask.prompt.mark();
    if let Some(most) = given(body, "max_output_tokens") {
        let Some(most) = most.as_u64().filter(|most| *most >= 1) else {
            return Err(Refusal::invalid("Invalid 'max_output_tokens'.").at("max_output_tokens"));
        };
        // The real one takes no less than 16; the tests of this house cut shorter.
        ask.max_tokens = Some(most);
    }
    let reasoning = given(body, "reasoning").unwrap_or(&Value::Null);
    ask.thinking = match (text_of(reasoning, "effort"), given(reasoning, "summary")) {
        ("" | "none", _) => Thinking::Off,
        (_, Some(_)) => Thinking::Shown,
        (_, None) => Thinking::Hidden,
    };
    ask.seals = list_of(body, "include").iter().any(|name| name == "reasoning.encrypted_content");
    ask.format = format(body)?;
    for (member, most) in [("temperature", 2.0), ("top_p", 1.0)] {
        if let Some(value) = given(body, member)
            && !value.as_f64().is_some_and(|t| (0.0..=most).contains(&t))
        {
            return Err(Refusal::invalid(format!("Invalid '{member}': {value}")).at(member));
        }
    }
    ask.caches = ask.model.contains("cache");
    Ok(ask)
}

fn flag(body: &Value, member: &str) -> Result<Option<bool>, Refusal> {
    match given(body, member) {
        None => Ok(None),
        Some(Value::Bool(b)) => Ok(Some(*b)),
        Some(_) => Err(Refusal::invalid(format!("Invalid type for '{member}': expected a boolean.")).at(member)),
    }
}

fn format(body: &Value) -> Result<Option<Format>, Refusal> {
    let Some(format) = body.get("text").and_then(|text| given(text, "format")) else { return Ok(None) };
    match text_of(format, "type") {
        "text" => Ok(None),
        "json_object" => Ok(Some(Format::Object)),
        "json_schema" if !text_of(format, "name").is_empty() && format["schema"].is_object() => {
            Ok(Some(Format::Schema(format["schema"].clone())))
        }
        "json_schema" => {
            Err(Refusal::invalid("Missing required parameter: 'text.format.name'.").at("text.format.name"))
        }
        other => Err(Refusal::invalid(format!("Invalid value: '{other}'.")).at("text.format.type")),
    }
}

fn tools(body: &Value, ask: &mut Ask) -> Result<(), Refusal> {
    for (at, tool) in list_of(body, "tools").iter().enumerate() {
        let name = text_of(tool, "name");
        let schema = match text_of(tool, "type") {
            "function" if tool.get("function").is_some() => {
                let message = format!("Unknown parameter: 'tools[{at}].function'.");
                return Err(Refusal::invalid(message).at(format!("tools[{at}].function")));
            }
            "function" => given(tool, "parameters").cloned().unwrap_or_else(|| json!({"type": "object"})),
            "custom" => {
                json!({"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"], FREE_TEXT: true})
            }
            "" => return Err(Refusal::invalid("a tool must have a type").at(format!("tools[{at}].type"))),
            // What runs on the provider's side is not simulated.
            _ => continue,
        };
        if name.is_empty() || name.len() > 64 || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
        {
            let message = format!("Invalid 'tools[{at}].name': {name:?}");
            return Err(Refusal::invalid(message).at(format!("tools[{at}].name")));
        }
        let tool_of = Tool { name: name.to_owned(), schema };
        ask.prompt.tool(&tool_of);
        ask.prompt.text(text_of(tool, "description"));
        ask.tools.push(tool_of);
    }
    ask.parallel = flag(body, "parallel_tool_calls")?.unwrap_or(true);
    ask.choice = match given(body, "tool_choice") {
        None => Choice::Auto,
        Some(Value::String(word)) => match word.as_str() {
            "auto" => Choice::Auto,
            "none" => Choice::Never,
            "required" => Choice::Any,
            other => return Err(Refusal::invalid(format!("Invalid value: '{other}'.")).at("tool_choice")),
        },
        Some(object) => {
            let name = text_of(object, "name");
            if !ask.tools.iter().any(|t| t.name == name) {
                let message = format!("Tool choice '{name}' not found in 'tools' parameter.");
                return Err(Refusal::invalid(message).at("tool_choice"));
            }
            Choice::Named(vec![name.to_owned()])
        }
    };
    Ok(())
}

fn input(body: &Value, ask: &mut Ask) -> Result<(), Refusal> {
    if let Some(text) = body.get("input").and_then(Value::as_str) {
        ask.prompt.message();
        ask.prompt.text(text);
        ask.text = text.to_owned();
        return Ok(());
    }
    let items = list_of(body, "input");
    if items.is_empty() {
        return Err(Refusal::invalid("Missing required parameter: 'input'.").at("input"));
    }
    // Calls that still need an answer.
    let mut open: Vec<String> = Vec::new();
    let mut results: Vec<String> = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let path = format!("input[{at}]");
        let kind = item.get("type").and_then(Value::as_str).unwrap_or("message");
        match kind {
            "message" => {
                ask.prompt.message();
                results.clear();
                message(item, &path, ask)?;
            }
            "reasoning" => {
                // Nothing is kept here, so that reasoning can only come back sealed.
                let sealed = text_of(item, "encrypted_content");
                if !item["summary"].is_array() {
                    let message = format!("Missing required parameter: '{path}.summary'.");
                    return Err(Refusal::invalid(message).at(format!("{path}.summary")));
                }
                if !sign::is_sealed(sealed) {
                    let message =
                        format!("The encrypted content for item {} could not be verified.", text_of(item, "id"));
                    return Err(Refusal::invalid(message).at(format!("{path}.encrypted_content")));
                }
            }
            "function_call" | "custom_tool_call" => {
                results.clear();
                let member = if kind == "function_call" { "arguments" } else { "input" };
                let (id, name) = (text_of(item, "call_id"), text_of(item, "name"));
                if id.is_empty() || name.is_empty() || !item[member].is_string() {
                    return Err(Refusal::invalid(format!("Missing required parameter: '{path}.{member}'.")).at(path));
                }
                ask.prompt.text(name);
                ask.prompt.text(text_of(item, member));
                open.push(id.to_owned());
            }
            "function_call_output" | "custom_tool_call_output" => {
                let id = text_of(item, "call_id");
                let Some(place) = open.iter().position(|o| o == id) else {
                    let message = format!("No tool call found for function call output with call_id {id}.");
                    return Err(Refusal::invalid(message).at("input"));
                };
                open.remove(place);
                let (text, _) = content(&item["output"], &["input_text"], &format!("{path}.output"), ask)?;
                results.push(text);
            }
            "item_reference" => {
                return Err(Refusal::new(404, Why::NotFound, "Item with that id not found.").at(path));
            }
            _ => {}
        }
    }
    if let Some(id) = open.first() {
        return Err(Refusal::invalid(format!("No tool output found for function call {id}.")).at("input"));
    }
    ask.results = (!results.is_empty()).then_some(results);
    Ok(())
}

fn message(item: &Value, path: &str, ask: &mut Ask) -> Result<(), Refusal> {
    let role = text_of(item, "role");
    let texts: &[&str] = match role {
        "user" | "system" | "developer" => &["input_text"],
        "assistant" => &["output_text", "refusal"],
        other => return Err(Refusal::invalid(format!("Invalid value: '{other}'.")).at(format!("{path}.role"))),
    };
    let (text, seen) = content(&item["content"], texts, &format!("{path}.content"), ask)?;
    if role == "user" {
        ask.text = text;
        ask.seen = seen;
    }
    Ok(())
}

/// The text of a content, and what it shows.
fn content(content: &Value, texts: &[&str], path: &str, ask: &mut Ask) -> Result<(String, Vec<String>), Refusal> {
    let mut seen = Vec::new();
    if let Some(text) = content.as_str() {
        ask.prompt.text(text);
        return Ok((text.to_owned(), seen));
    }
    let Some(parts) = content.as_array() else {
        return Err(Refusal::invalid(format!("Invalid type for '{path}'.")).at(path));
    };
    let mut said = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        match text_of(part, "type") {
            kind if texts.contains(&kind) => {
                let text = if kind == "refusal" { text_of(part, "refusal") } else { text_of(part, "text") };
                ask.prompt.text(text);
                said.push(text);
            }
            "input_image" if !text_of(part, "image_url").is_empty() => {
                ask.prompt.media(text_of(part, "image_url"));
                seen.push(picture::seen_url(text_of(part, "image_url")));
            }
            "input_file" if !text_of(part, "file_data").is_empty() && !text_of(part, "filename").is_empty() => {
                ask.prompt.media(text_of(part, "file_data"));
                seen.push(picture::seen_url(text_of(part, "file_data")));
            }
            "input_audio" => {
                let audio = part.get("input_audio").unwrap_or(&Value::Null);
                ask.prompt.media(text_of(audio, "data"));
                seen.push(picture::seen(&format!("audio/{}", text_of(audio, "format")), text_of(audio, "data")));
            }
            kind => {
                let message = format!("Invalid value: '{kind}'. Supported values are: {}.", texts.join(", "));
                return Err(Refusal::invalid(message).at(format!("{path}[{at}].type")));
            }
        }
    }
    Ok((said.join("\n"), seen))
}
