//! Reading the messages of a Messages request: whose turn it is, calls and their results, and thoughts that must be unchanged.

use super::super::ask::{Ask, Refusal, list_of, text_of};
use super::super::{picture, sign};
use super::read::{not_empty, unknown, word};
use serde_json::Value;

/// A message, those of the same role that follow it taken together, each block with its path.
struct Turn<'a> {
    user: bool,
    blocks: Vec<(String, &'a Value)>,
    /// Plain strings.
    texts: Vec<&'a str>,
}

fn turns(body: &Value, asides: bool) -> Result<Vec<Turn<'_>>, Refusal> {
    let messages = list_of(body, "messages");
    if messages.is_empty() {
        return Err(Refusal::invalid("messages: at least one message is required"));
    }
    let mut turns: Vec<Turn<'_>> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        unknown(message, &["role", "content"], &format!("messages.{at}."))?;
        let user = match text_of(message, "role") {
            "user" => true,
            "assistant" => false,
            // Words of the system in the middle of a conversation, where they are switched on.
            "system" if asides && at > 0 => continue,
            other => {
                let message = format!("messages.{at}.role: Input should be 'user' or 'assistant': {other:?}");
                return Err(Refusal::invalid(message));
            }
        };
        if turns.last().is_none_or(|t| t.user != user) {
            turns.push(Turn { user, blocks: Vec::new(), texts: Vec::new() });
        }
        let Some(turn) = turns.last_mut() else { continue };
        match message.get("content") {
            Some(Value::String(text)) if text.trim().is_empty() => {
                return Err(Refusal::invalid(format!("messages.{at}: all messages must have non-empty content")));
            }
            Some(Value::String(text)) => turn.texts.push(text),
            Some(Value::Array(blocks)) if !blocks.is_empty() => {
                turn.blocks.extend(blocks.iter().enumerate().map(|(n, b)| (format!("messages.{at}.content.{n}"), b)));
            }
            _ => return Err(Refusal::invalid(format!("messages.{at}: all messages must have non-empty content"))),
        }
    }
    if turns.first().is_some_and(|t| !t.user) {
        return Err(Refusal::invalid("messages: first message must use the \"user\" role"));
    }
    Ok(turns)
}

pub(super) fn read(body: &Value, asides: bool, ask: &mut Ask) -> Result<(), Refusal> {
    let turns = turns(body, asides)?;
    let mut open: Vec<&str> = Vec::new();
    let mut every: Vec<&str> = Vec::new();
    let mut last_opens_with_thought = true;
    for turn in &turns {
        ask.prompt.message();
        let mut texts = turn.texts.clone();
        texts.iter().for_each(|t| ask.prompt.text(t));
        let mut seen = Vec::new();
        let mut results = Vec::new();
        let mut calls = Vec::new();
        for (path, block) in &turn.blocks {
            let kind = text_of(block, "type");
            if !open.is_empty() && kind != "tool_result" {
                break;
            }
            match (kind, turn.user) {
                ("text", _) => {
                    not_empty(block)?;
                    ask.prompt.text(text_of(block, "text"));
                    texts.push(text_of(block, "text"));
                }
                ("image" | "document", true) => seen.push(source(block, path, ask)?),
                ("tool_result", true) => {
                    let id = text_of(block, "tool_use_id");
                    let Some(place) = open.iter().position(|o| *o == id) else {
                        let message = format!("{path}: unexpected `tool_use_id` found in `tool_result` blocks: {id}");
                        return Err(Refusal::invalid(message));
                    };
                    open.remove(place);
                    results.push(result(block, path, ask)?);
                }
                ("tool_use", false) => {
                    let id = text_of(block, "id");
                    if id.is_empty() || !word(id, 256) {
                        let message = format!("{path}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'");
                        return Err(Refusal::invalid(message));
                    }
                    if every.contains(&id) {
                        return Err(Refusal::invalid(format!("{path}: `tool_use` ids must be unique: {id}")));
                    }
                    if !block.get("input").is_some_and(Value::is_object) {
                        return Err(Refusal::invalid(format!(
                            "{path}.tool_use.input: Input should be a valid dictionary"
                        )));
                    }
                    ask.prompt.text(text_of(block, "name"));
                    ask.prompt.text(&block["input"].to_string());
                    every.push(id);
                    calls.push(id);
                }
                ("thinking", false) => {
                    if !sign::verify(text_of(block, "signature"), text_of(block, "thinking")) {
                        return Err(Refusal::invalid(format!("{path}: Invalid `signature` in `thinking` block")));
                    }
                }
                ("redacted_thinking", false) => {
                    if !sign::is_sealed(text_of(block, "data")) {
                        return Err(Refusal::invalid(format!("{path}: Invalid `data` in `redacted_thinking` block")));
                    }
                }
                // Blocks of the provider's own tools come back as they were.
                (other, _) if other.contains("server_tool_use") || other.ends_with("_tool_result") => {}
                ("search_result" | "container_upload", true) => {}
                (other, _) => {
                    return Err(Refusal::invalid(format!(
                        "{path}.type: Input tag '{other}' is not one that is expected here"
                    )));
                }
            }
        }
        if !open.is_empty() {
            let message = format!(
                "`tool_use` ids were found without `tool_result` blocks immediately after: {}",
                open.join(", ")
            );
            return Err(Refusal::invalid(message));
        }
        if turn.user {
            if results.is_empty() || !texts.is_empty() {
                ask.text = texts.join("\n");
                ask.seen = seen;
            }
            ask.results = (!results.is_empty()).then_some(results);
        } else {
            let first = turn.blocks.first().map(|(_, b)| text_of(b, "type")).unwrap_or_default();
            last_opens_with_thought = matches!(first, "thinking" | "redacted_thinking");
            ask.results = None;
        }
        open = calls;
    }
    if !open.is_empty() {
        let message =
            format!("`tool_use` ids were found without `tool_result` blocks immediately after: {}", open.join(", "));
        return Err(Refusal::invalid(message));
    }
    let thinks = body.get("thinking").map(|t| text_of(t, "type")) == Some("enabled");
    if thinks && ask.results.is_some() && !last_opens_with_thought {
        let message = "Expected `thinking` or `redacted_thinking`, but found `tool_use`: when thinking is enabled, the \
                       assistant message before tool results must start with a thinking block";
        return Err(Refusal::invalid(message));
    }
    Ok(())
}

fn source(block: &Value, path: &str, ask: &mut Ask) -> Result<String, Refusal> {
    let source = block.get("source").unwrap_or(&Value::Null);
    match text_of(source, "type") {
        "base64" => {
            let (mime, data) = (text_of(source, "media_type"), text_of(source, "data"));
            if text_of(block, "type") == "image"
                && !["image/jpeg", "image/png", "image/gif", "image/webp"].contains(&mime)
            {
                let message = format!("{path}.image.source.base64.media_type: not one that is supported: {mime:?}");
                return Err(Refusal::invalid(message));
            }
            ask.prompt.media(data);
            Ok(picture::seen(mime, data))
        }
        "url" => {
            let url = text_of(source, "url");
            if !url.starts_with("https://") && !url.starts_with("http://") {
                return Err(Refusal::invalid(format!("{path}.source.url: only http and https are supported")));
            }
            ask.prompt.media(url);
            Ok(picture::seen_url(url))
        }
        "text" => {
            ask.prompt.text(text_of(source, "data"));
            Ok(format!("a file of {} bytes", text_of(source, "data").len()))
        }
        "file" | "content" => Ok("a file".to_owned()),
        other => Err(Refusal::invalid(format!("{path}.source.type: not one that is expected: {other:?}"))),
    }
}

fn result(block: &Value, path: &str, ask: &mut Ask) -> Result<String, Refusal> {
    match block.get("content") {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => {
            ask.prompt.text(text);
            Ok(text.clone())
        }
        Some(Value::Array(parts)) => {
            let mut out = Vec::new();
            for part in parts {
                match text_of(part, "type") {
                    "text" => {
                        ask.prompt.text(text_of(part, "text"));
                        out.push(text_of(part, "text").to_owned());
                    }
                    "image" | "document" => out.push(source(part, path, ask)?),
                    "search_result" | "tool_reference" => {}
                    other => {
                        return Err(Refusal::invalid(format!(
                            "{path}.content.type: not one that is expected: {other:?}"
                        )));
                    }
                }
            }
            Ok(out.join("\n"))
        }
        Some(_) => Err(Refusal::invalid(format!("{path}.content: Input should be a string or a list"))),
    }
}
