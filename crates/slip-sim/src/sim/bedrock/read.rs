//! Reading a Converse request, as strictly as Bedrock does: unions of one member, turns that alternate, results that answer their
//! calls, names of documents without frills, and reasoning that comes back unchanged.

use super::super::ask::{Ask, Choice, Format, Refusal, Thinking, Tool, given, list_of, text_of};
use super::super::{picture, sign};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::collections::HashSet;

const MEMBERS: &[&str] = &[
    "additionalModelRequestFields",
    "additionalModelResponseFieldPaths",
    "guardrailConfig",
    "inferenceConfig",
    "messages",
    "outputConfig",
    "performanceConfig",
    "projectIdentifier",
    "promptVariables",
    "requestMetadata",
    "serviceTier",
    "system",
    "toolConfig",
];
const IMAGES: &[&str] = &["png", "jpeg", "gif", "webp"];
const DOCUMENTS: &[&str] = &["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"];
const MAX_BREAKPOINTS: usize = 4;

/// What has been seen of the whole request.
#[derive(Default)]
struct Seen {
    documents: HashSet<String>,
    breakpoints: usize,
    tools: bool,
}

pub(super) fn ask(body: &Value, model: String, stream: bool) -> Result<Ask, Refusal> {
    unknown(body, MEMBERS, "")?;
    let mut ask = Ask { model, stream, parallel: true, n: 1, ..Ask::default() };
    let mut seen = Seen::default();
    let system = list_of(body, "system");
    if !system.is_empty() {
        ask.prompt.message();
    }
    for (at, block) in system.iter().enumerate() {
        match only(block, &format!("system.{at}"))? {
            ("text", text) => ask.prompt.text(not_blank(text, &format!("system.{at}"))?),
            ("cachePoint", point) => breakpoint(point, &mut ask, &mut seen)?,
            ("guardContent", _) => {}
            (other, _) => return Err(Refusal::invalid(format!("system.{at}: unknown member {other}"))),
        }
    }
    let config = given(body, "inferenceConfig").unwrap_or(&Value::Null);
    unknown(config, &["maxTokens", "temperature", "topP", "stopSequences"], "inferenceConfig.")?;
    ask.max_tokens = match given(config, "maxTokens") {
        None => None,
        Some(n) => Some(n.as_u64().filter(|n| *n > 0).ok_or_else(|| {
            Refusal::invalid("Value at 'inferenceConfig.maxTokens' failed to satisfy constraint: at least 1")
        })?),
    };
    for name in ["temperature", "topP"] {
        if given(config, name).is_some_and(|v| !v.as_f64().is_some_and(|v| (0.0..=1.0).contains(&v))) {
            return Err(Refusal::invalid(format!("Value at 'inferenceConfig.{name}' must be between 0 and 1")));
        }
    }
    ask.stops = list_of(config, "stopSequences").iter().filter_map(Value::as_str).map(str::to_owned).collect();
    tools(body, &mut ask, &mut seen)?;
    messages(body, &mut ask, &mut seen)?;
    ask.prompt.mark();
    if seen.breakpoints > MAX_BREAKPOINTS {
        return Err(Refusal::invalid("A maximum of 4 cache checkpoints may be provided."));
    }
    if seen.tools && given(body, "toolConfig").is_none() {
        let message = "The toolConfig field must be defined when using toolUse and toolResult content blocks.";
        return Err(Refusal::invalid(message));
    }
    thinking(body, config, &mut ask)?;
    ask.format = format(body)?;
    Ok(ask)
}

fn unknown(object: &Value, known: &[&str], path: &str) -> Result<(), Refusal> {
    let mut members = object.as_object().into_iter().flat_map(|o| o.keys());
    match members.find(|m| !known.contains(&m.as_str())) {
        Some(member) => Err(Refusal::invalid(format!("{path}{member}: extraneous key is not permitted"))),
        None => Ok(()),
    }
}

/// The member of a union.
fn only<'a>(value: &'a Value, path: &str) -> Result<(&'a str, &'a Value), Refusal> {
    let members: Vec<_> = value.as_object().into_iter().flatten().filter(|(_, v)| !v.is_null()).collect();
    match members.as_slice() {
        [(name, inner)] => Ok((name.as_str(), *inner)),
        some => {
            Err(Refusal::invalid(format!("{path}: exactly one member of the union must be set, not {}", some.len())))
        }
    }
}

fn not_blank<'a>(text: &'a Value, path: &str) -> Result<&'a str, Refusal> {
    let text = text.as_str().filter(|text| !text.trim().is_empty());
    text.ok_or_else(|| Refusal::invalid(format!("The text field in the ContentBlock object at {path} is blank.")))
}

fn breakpoint(point: &Value, ask: &mut Ask, seen: &mut Seen) -> Result<(), Refusal> {
    if text_of(point, "type") != "default" {
        return Err(Refusal::invalid("cachePoint.type: must be default"));
    }
    seen.breakpoints += 1;
    ask.caches = true;
    ask.caches_1h |= text_of(point, "ttl") == "1h";
    Ok(())
}

fn tools(body: &Value, ask: &mut Ask, seen: &mut Seen) -> Result<(), Refusal> {
    let Some(config) = given(body, "toolConfig") else { return Ok(()) };
    unknown(config, &["tools", "toolChoice"], "toolConfig.")?;
    if list_of(config, "tools").is_empty() {
        return Err(Refusal::invalid("Value at 'toolConfig.tools' must have length at least 1"));
    }
    for (at, tool) in list_of(config, "tools").iter().enumerate() {
        match only(tool, &format!("toolConfig.tools.{at}"))? {
            ("toolSpec", spec) => {
                unknown(
                    spec,
                    &["name", "description", "inputSchema", "strict"],
                    &format!("toolConfig.tools.{at}.toolSpec."),
                )?;
                let name = text_of(spec, "name");
                let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
                if name.is_empty() || name.len() > 64 || !name.bytes().all(word) {
                    return Err(Refusal::invalid(format!("toolSpec.name must satisfy [a-zA-Z0-9_-]+: {name:?}")));
                }
                let schema = spec.get("inputSchema").and_then(|s| given(s, "json")).cloned().unwrap_or(Value::Null);
                if text_of(&schema, "type") != "object" {
                    return Err(Refusal::invalid(format!("toolSpec.inputSchema.json.type must be object: {name}")));
                }
                let tool = Tool { name: name.to_owned(), schema };
                ask.prompt.tool(&tool);
                ask.prompt.text(text_of(spec, "description"));
                ask.tools.push(tool);
            }
            ("cachePoint", point) => breakpoint(point, ask, seen)?,
            ("systemTool", _) => {}
            (other, _) => return Err(Refusal::invalid(format!("toolConfig.tools.{at}: unknown member {other}"))),
        }
    }
    if let Some(choice) = given(config, "toolChoice") {
        ask.choice = match only(choice, "toolConfig.toolChoice")? {
            ("auto", _) => Choice::Auto,
            ("any", _) => Choice::Any,
            ("tool", named) => Choice::Named(vec![text_of(named, "name").to_owned()]),
            (other, _) => return Err(Refusal::invalid(format!("toolConfig.toolChoice: unknown member {other}"))),
        };
    }
    let told = body.pointer("/additionalModelRequestFields/tool_choice/disable_parallel_tool_use");
    ask.parallel = told != Some(&Value::Bool(true));
    Ok(())
}

fn messages(body: &Value, ask: &mut Ask, seen: &mut Seen) -> Result<(), Refusal> {
    let messages = list_of(body, "messages");
    if messages.is_empty() {
        return Err(Refusal::invalid("A conversation must have at least one message."));
    }
    let mut open: Vec<&str> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        unknown(message, &["role", "content"], &format!("messages.{at}."))?;
        let user = at % 2 == 0;
        if text_of(message, "role") != if user { "user" } else { "assistant" } {
            let message =
                "A conversation must start with a user message, and roles must alternate between user and assistant.";
            return Err(Refusal::invalid(message));
        }
        let content = list_of(message, "content");
        if content.is_empty() {
            return Err(Refusal::invalid(format!(
                "The content field in the Message object at messages.{at} is empty."
            )));
        }
        ask.prompt.message();
        let (mut texts, mut shown, mut results, mut calls) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut document = false;
        for (n, block) in content.iter().enumerate() {
            let path = format!("messages.{at}.content.{n}");
            let (kind, inner) = only(block, &path)?;
            match (kind, user) {
                ("text", _) => {
                    texts.push(not_blank(inner, &path)?);
                    ask.prompt.text(texts.last().copied().unwrap_or_default());
                }
                ("cachePoint", _) => breakpoint(inner, ask, seen)?,
                ("image" | "document" | "video", true) => {
                    document |= kind == "document";
                    shown.push(media(kind, inner, &path, ask, seen)?);
                }
                ("toolResult", true) => {
                    seen.tools = true;
                    let id = text_of(inner, "toolUseId");
                    let place = open.iter().position(|o| *o == id).ok_or_else(|| {
                        let message =
                            "The number of toolResult blocks exceeds the number of toolUse blocks of previous turn.";
                        Refusal::invalid(message)
                    })?;
                    open.remove(place);
                    results.push(result(inner, &path, ask, seen)?);
                }
                ("toolUse", false) if text_of(inner, "type") == "server_tool_use" => {}
                ("toolResult", false) => {}
                ("toolUse", false) => {
                    seen.tools = true;
                    if !inner.get("input").is_some_and(Value::is_object) {
                        return Err(Refusal::invalid(format!(
                            "The format of the value at {path}.toolUse.input is invalid."
                        )));
                    }
                    ask.prompt.text(text_of(inner, "name"));
                    ask.prompt.text(&inner["input"].to_string());
                    calls.push(text_of(inner, "toolUseId"));
                }
                ("reasoningContent", false) => reasoning(inner, &path)?,
                ("guardContent", true) => {}
                (other, _) => return Err(Refusal::invalid(format!("{path}: unexpected member {other}"))),
            }
        }
        if !open.is_empty() {
            return Err(Refusal::invalid(format!(
                "Expected toolResult blocks for the following Ids: {}",
                open.join(", ")
            )));
        }
        if document && texts.is_empty() {
            return Err(Refusal::invalid(format!("messages.{at}: a document must stand beside a text block.")));
        }
        if user {
            if results.is_empty() || !texts.is_empty() {
                ask.text = texts.join("\n");
                ask.seen = shown;
            }
            ask.results = (!results.is_empty()).then_some(results);
        } else {
            ask.results = None;
        }
        open = calls;
    }
    if open.is_empty() { Ok(()) } else { Err(Refusal::invalid("Expected toolResult blocks after the last message.")) }
}

fn media(kind: &str, inner: &Value, path: &str, ask: &mut Ask, seen: &mut Seen) -> Result<String, Refusal> {
    let format = text_of(inner, "format");
    let known: &[&str] = match kind {
        "image" => IMAGES,
        "document" => DOCUMENTS,
        _ => &["mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"],
    };
    if !known.contains(&format) {
        return Err(Refusal::invalid(format!("{path}.{kind}.format: not one that is supported: {format:?}")));
    }
    if kind == "document" {
        let name = text_of(inner, "name");
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '(' | ')' | '[' | ']');
        if name.is_empty() || name.len() > 200 || !name.chars().all(plain) || name.contains("  ") {
            let message = "The document file name can only contain alphanumeric characters, whitespace characters, hyphens, parentheses, and square brackets.";
            return Err(Refusal::invalid(message));
        }
        if !seen.documents.insert(name.to_lowercase()) {
            return Err(Refusal::invalid(format!("Messages cannot have duplicate document names: {name}")));
        }
    }
    match only(inner.get("source").unwrap_or(&Value::Null), &format!("{path}.{kind}.source"))? {
        ("bytes", data) => {
            let data = data.as_str().unwrap_or_default();
            if STANDARD.decode(data).map_or(true, |bytes| bytes.is_empty()) {
                return Err(Refusal::invalid(format!("{path}.{kind}.source.bytes: not base64, or empty")));
            }
            ask.prompt.media(data);
            let mime = if kind == "image" { format!("image/{format}") } else { format!("application/{format}") };
            Ok(picture::seen(&mime, data))
        }
        ("s3Location", place) => {
            ask.prompt.media(text_of(place, "uri"));
            Ok("something in a bucket".to_owned())
        }
        ("text" | "content", _) if kind == "document" => Ok("a file".to_owned()),
        (other, _) => Err(Refusal::invalid(format!("{path}.{kind}.source: unknown member {other}"))),
    }
}

fn result(inner: &Value, path: &str, ask: &mut Ask, seen: &mut Seen) -> Result<String, Refusal> {
    unknown(inner, &["toolUseId", "content", "status", "type"], &format!("{path}.toolResult."))?;
    let status = text_of(inner, "status");
    if !matches!(status, "" | "success" | "error") {
        return Err(Refusal::invalid(format!("{path}.toolResult.status: must be success or error: {status}")));
    }
    let mut out = Vec::new();
    for (n, part) in list_of(inner, "content").iter().enumerate() {
        let path = format!("{path}.toolResult.content.{n}");
        match only(part, &path)? {
            ("text", text) => {
                let text = not_blank(text, &path)?;
                ask.prompt.text(text);
                out.push(text.to_owned());
            }
            ("json", value) => out.push(value.to_string()),
            (kind @ ("image" | "document" | "video"), inner) => out.push(media(kind, inner, &path, ask, seen)?),
            (other, _) => return Err(Refusal::invalid(format!("{path}: unexpected member {other}"))),
        }
    }
    Ok(out.join("\n"))
}

fn reasoning(inner: &Value, path: &str) -> Result<(), Refusal> {
    match only(inner, path)? {
        ("reasoningText", text) if sign::verify(text_of(text, "signature"), text_of(text, "text")) => Ok(()),
        ("reasoningText", _) => Err(Refusal::invalid(format!("{path}: Invalid `signature` in `thinking` block"))),
        ("redactedContent", blob) => {
            let text = STANDARD.decode(blob.as_str().unwrap_or_default()).ok().and_then(|b| String::from_utf8(b).ok());
            match text.is_some_and(|text| sign::is_sealed(&text)) {
                true => Ok(()),
                false => Err(Refusal::invalid(format!("{path}: Invalid `data` in `redacted_thinking` block"))),
            }
        }
        (other, _) => Err(Refusal::invalid(format!("{path}.reasoningContent: unknown member {other}"))),
    }
}

/// Claude's own rules, which hold behind Converse as well.
fn thinking(body: &Value, config: &Value, ask: &mut Ask) -> Result<(), Refusal> {
    let Some(thinking) = body.pointer("/additionalModelRequestFields/thinking").filter(|t| !t.is_null()) else {
        return Ok(());
    };
    match text_of(thinking, "type") {
        "disabled" => return Ok(()),
        "adaptive" => {}
        "enabled" => {
            let budget = thinking.get("budget_tokens").and_then(Value::as_u64).unwrap_or(0);
            if budget < 1024 {
                return Err(Refusal::invalid(
                    "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
                ));
            }
            if ask.max_tokens.is_some_and(|most| budget >= most) {
                return Err(Refusal::invalid("`max_tokens` must be greater than `thinking.budget_tokens`"));
            }
        }
        other => {
            return Err(Refusal::invalid(format!(
                "thinking.type: Input should be enabled, disabled or adaptive: {other:?}"
            )));
        }
    }
    if given(config, "temperature").is_some_and(|t| t.as_f64() != Some(1.0)) {
        return Err(Refusal::invalid("`temperature` may only be set to 1 when thinking is enabled"));
    }
    if matches!(ask.choice, Choice::Any | Choice::Named(_)) {
        return Err(Refusal::invalid("Thinking may not be enabled when tool_choice forces tool use."));
    }
    ask.thinking = if text_of(thinking, "display") == "omitted" { Thinking::Hidden } else { Thinking::Shown };
    Ok(())
}

fn format(body: &Value) -> Result<Option<Format>, Refusal> {
    let Some(format) = body.pointer("/outputConfig/textFormat") else { return Ok(None) };
    let text = format.pointer("/structure/jsonSchema/schema").and_then(Value::as_str);
    let schema = text.and_then(|text| serde_json::from_str::<Value>(text).ok()).filter(Value::is_object);
    match schema {
        Some(schema) if text_of(format, "type") == "json_schema" => Ok(Some(Format::Schema(schema))),
        _ => Err(Refusal::invalid("outputConfig.textFormat: must be a json_schema with a schema in a string")),
    }
}
