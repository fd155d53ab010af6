//! Reading a Messages request, as strictly as Anthropic does: what it does not know is refused, and so is reasoning that comes
//! back changed.

use super::super::ask::{Ask, Choice, Format, Refusal, Thinking, Tool, Why, given, list_of, text_of};
use super::turns;
use serde_json::{Value, json};

/// Members of the request; anything else is "not permitted" (documentation of 2026-11).
const MEMBERS: &[&str] = &[
    "cache_control",
    "container",
    "context_management",
    "inference_geo",
    "max_tokens",
    "mcp_servers",
    "messages",
    "metadata",
    "model",
    "output_config",
    "output_format",
    "service_tier",
    "speed",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
];
const TOOL_MEMBERS: &[&str] = &[
    "allowed_callers",
    "cache_control",
    "defer_loading",
    "description",
    "eager_input_streaming",
    "input_examples",
    "input_schema",
    "name",
    "strict",
    "type",
];
const MAX_BREAKPOINTS: usize = 4;
const MIN_THINKING: u64 = 1024;

/// `betas` is the header that switches on what is not there for everybody.
pub(super) fn ask(body: &Value, betas: &str) -> Result<Ask, Refusal> {
    let threads = betas.contains("message-threads-");
    let known: Vec<&str> = MEMBERS.iter().copied().chain(threads.then_some("thread")).collect();
    unknown(body, &known, "")?;
    if given(body, "thread").is_some_and(|t| text_of(t, "type") == "continue") {
        // It keeps nothing, as the real one does an hour later.
        return Err(Refusal::new(404, Why::NotFound, "thread: not found").at("thread"));
    }
    let model = body.get("model").and_then(Value::as_str).filter(|m| !m.is_empty());
    let model = model.ok_or_else(|| Refusal::invalid("model: Field required"))?;
    let max_tokens = body.get("max_tokens").ok_or_else(|| Refusal::invalid("max_tokens: Field required"))?;
    let max_tokens = max_tokens.as_u64().filter(|n| *n > 0);
    let max_tokens = max_tokens.ok_or_else(|| Refusal::invalid("max_tokens: must be an integer of at least 1"))?;
    let mut ask = Ask { model: model.to_owned(), max_tokens: Some(max_tokens), parallel: true, n: 1, ..Ask::default() };
    ask.stream = match given(body, "stream") {
        None => false,
        Some(Value::Bool(stream)) => *stream,
        Some(_) => return Err(Refusal::invalid("stream: Input should be a valid boolean")),
    };
    ask.stops = strings(body, "stop_sequences")?;
    caching(body, &mut ask)?;
    system(body, &mut ask)?;
    tools(body, &mut ask)?;
    turns::read(body, betas.contains("mid-conversation-"), &mut ask)?;
    ask.prompt.mark();
    thinking(body, &mut ask, max_tokens)?;
    ask.format = format(body)?;
    Ok(ask)
}

pub(super) fn unknown(object: &Value, known: &[&str], path: &str) -> Result<(), Refusal> {
    let mut members = object.as_object().into_iter().flat_map(|o| o.keys());
    match members.find(|m| !known.contains(&m.as_str())) {
        Some(member) => Err(Refusal::invalid(format!("{path}{member}: Extra inputs are not permitted"))),
        None => Ok(()),
    }
}

fn strings(body: &Value, member: &str) -> Result<Vec<String>, Refusal> {
    let wrong = || Refusal::invalid(format!("{member}: Input should be a list of strings that are not blank"));
    match given(body, member) {
        None => Ok(Vec::new()),
        Some(Value::Array(some)) => {
            let text = |v: &Value| v.as_str().filter(|s| !s.trim().is_empty()).map(str::to_owned).ok_or_else(wrong);
            some.iter().map(text).collect()
        }
        Some(_) => Err(wrong()),
    }
}

/// Finds the breakpoints wherever they are.
fn caching(body: &Value, ask: &mut Ask) -> Result<(), Refusal> {
    let mut found = 0;
    // Schemas and tool inputs are the caller's own and may use any name.
    let mut open: Vec<&Value> =
        ["system", "messages", "tools"].iter().filter_map(|m| body.get(*m)).chain([body]).collect();
    let mut top = true;
    while let Some(value) = open.pop() {
        if let Some(mark) = given(value, "cache_control") {
            found += 1;
            ask.caches = true;
            ask.caches_1h |= text_of(mark, "ttl") == "1h";
            if text_of(mark, "type") != "ephemeral" {
                return Err(Refusal::invalid("cache_control.type: Input should be 'ephemeral'"));
            }
        }
        if std::mem::take(&mut top) {
            continue;
        }
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(_) => open.extend(value.get("content")),
            _ => {}
        }
    }
    if found > MAX_BREAKPOINTS {
        let message = format!("A maximum of 4 blocks with cache_control may be provided. Found {found}.");
        return Err(Refusal::invalid(message));
    }
    Ok(())
}

fn system(body: &Value, ask: &mut Ask) -> Result<(), Refusal> {
    match given(body, "system") {
        None => return Ok(()),
        Some(Value::String(text)) => {
            ask.prompt.message();
            ask.prompt.text(text);
        }
        Some(Value::Array(blocks)) => {
            ask.prompt.message();
            for (at, block) in blocks.iter().enumerate() {
                if text_of(block, "type") != "text" {
                    return Err(Refusal::invalid(format!("system.{at}.type: Input should be 'text'")));
                }
                not_empty(block)?;
                ask.prompt.text(text_of(block, "text"));
            }
        }
        Some(_) => return Err(Refusal::invalid("system: Input should be a string or a list of text blocks")),
    }
    Ok(())
}

pub(super) fn not_empty(block: &Value) -> Result<(), Refusal> {
    match block.get("text").and_then(Value::as_str) {
        Some("") | None => Err(Refusal::invalid("messages: text content blocks must be non-empty")),
        Some(text) if text.trim().is_empty() => {
            Err(Refusal::invalid("messages: text content blocks must contain non-whitespace text"))
        }
        Some(_) => Ok(()),
    }
}

fn tools(body: &Value, ask: &mut Ask) -> Result<(), Refusal> {
    for (at, tool) in list_of(body, "tools").iter().enumerate() {
        let kind = text_of(tool, "type");
        if !kind.is_empty() && kind != "custom" {
            // A tool of the provider's own: never called here.
            continue;
        }
        unknown(tool, TOOL_MEMBERS, &format!("tools.{at}.custom."))?;
        let name = text_of(tool, "name");
        if name.is_empty() || !word(name, 128) {
            let message = format!("tools.{at}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'");
            return Err(Refusal::invalid(message));
        }
        let schema = given(tool, "input_schema").cloned().unwrap_or(Value::Null);
        if text_of(&schema, "type") != "object" {
            return Err(Refusal::invalid(format!("tools.{at}.custom.input_schema.type: Input should be 'object'")));
        }
        if ["oneOf", "allOf", "anyOf"].iter().any(|m| schema.get(*m).is_some()) {
            let message =
                format!("tools.{at}.custom.input_schema: does not support oneOf, allOf, or anyOf at the top level");
            return Err(Refusal::invalid(message));
        }
        let tool_of = Tool { name: name.to_owned(), schema };
        ask.prompt.tool(&tool_of);
        ask.prompt.text(text_of(tool, "description"));
        ask.tools.push(tool_of);
    }
    let Some(choice) = given(body, "tool_choice") else { return Ok(()) };
    if list_of(body, "tools").is_empty() {
        return Err(Refusal::invalid("tool_choice: may only be specified while providing tools"));
    }
    ask.parallel = choice.get("disable_parallel_tool_use") != Some(&json!(true));
    ask.choice = match text_of(choice, "type") {
        "auto" => Choice::Auto,
        "none" => Choice::Never,
        "any" => Choice::Any,
        "tool" => {
            let name = text_of(choice, "name");
            if !ask.tools.iter().any(|t| t.name == name) {
                return Err(Refusal::invalid(format!("tool_choice: tool '{name}' not found in provided tools")));
            }
            Choice::Named(vec![name.to_owned()])
        }
        other => {
            return Err(Refusal::invalid(format!(
                "tool_choice.type: Input should be auto, any, tool or none: {other:?}"
            )));
        }
    };
    Ok(())
}

pub(super) fn word(text: &str, most: usize) -> bool {
    text.len() <= most && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

fn thinking(body: &Value, ask: &mut Ask, max_tokens: u64) -> Result<(), Refusal> {
    let temperature = given(body, "temperature");
    if let Some(t) = temperature
        && !t.as_f64().is_some_and(|t| (0.0..=1.0).contains(&t))
    {
        return Err(Refusal::invalid("temperature: range: 0..1"));
    }
    let Some(thinking) = given(body, "thinking") else { return Ok(()) };
    match text_of(thinking, "type") {
        "disabled" => return Ok(()),
        "adaptive" => {}
        "enabled" => {
            let budget = thinking.get("budget_tokens").and_then(Value::as_u64).unwrap_or(0);
            if budget < MIN_THINKING {
                return Err(Refusal::invalid(
                    "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
                ));
            }
            if budget >= max_tokens {
                return Err(Refusal::invalid("`max_tokens` must be greater than `thinking.budget_tokens`"));
            }
        }
        other => {
            return Err(Refusal::invalid(format!(
                "thinking.type: Input should be enabled, disabled or adaptive: {other:?}"
            )));
        }
    }
    if temperature.is_some_and(|t| t.as_f64() != Some(1.0)) {
        return Err(Refusal::invalid("`temperature` may only be set to 1 when thinking is enabled"));
    }
    if given(body, "top_k").is_some() {
        return Err(Refusal::invalid("`top_k` must be unset when thinking is enabled"));
    }
    if matches!(ask.choice, Choice::Any | Choice::Named(_)) {
        return Err(Refusal::invalid("Thinking may not be enabled when tool_choice forces tool use."));
    }
    ask.thinking = if text_of(thinking, "display") == "omitted" { Thinking::Hidden } else { Thinking::Shown };
    Ok(())
}

fn format(body: &Value) -> Result<Option<Format>, Refusal> {
    let inner = given(body, "output_config").and_then(|c| given(c, "format"));
    let Some(format) = inner.or_else(|| given(body, "output_format")) else { return Ok(None) };
    let schema = given(format, "schema").cloned().unwrap_or(Value::Null);
    if text_of(format, "type") != "json_schema" || !schema.is_object() {
        return Err(Refusal::invalid("output_config.format: Input should be a json_schema with a schema"));
    }
    let mut open = vec![&schema];
    while let Some(value) = open.pop() {
        let object = text_of(value, "type") == "object";
        if object && value.get("additionalProperties") != Some(&json!(false)) {
            let message = "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false";
            return Err(Refusal::invalid(message));
        }
        for nested in ["properties", "$defs", "definitions"] {
            open.extend(value.get(nested).and_then(Value::as_object).into_iter().flat_map(|o| o.values()));
        }
        for union in ["anyOf", "allOf", "oneOf"] {
            open.extend(list_of(value, union));
        }
        open.extend(value.get("items"));
    }
    Ok(Some(Format::Schema(schema)))
}
