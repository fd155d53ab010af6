//! Reading a generateContent request. Google's JSON knows every member it takes, in camelCase or snake_case, and refuses others.

use super::super::ask::{Ask, Choice, Format, Refusal, Thinking, Tool};
use super::contents::{self, PART};
use super::object::Object;
use super::subset::{camel, check};
use serde_json::{Map, Value};

const BODY: &[&str] = &[
    "cachedContent",
    "contents",
    "generationConfig",
    "labels",
    "model",
    "safetySettings",
    "serviceTier",
    "store",
    "systemInstruction",
    "toolConfig",
    "tools",
];
const CONFIG: &[&str] = &[
    "audioTimestamp",
    "candidateCount",
    "enableEnhancedCivicAnswers",
    "frequencyPenalty",
    "imageConfig",
    "logprobs",
    "maxOutputTokens",
    "mediaResolution",
    "presencePenalty",
    "responseFormat",
    "responseJsonSchema",
    "responseLogprobs",
    "responseMimeType",
    "responseModalities",
    "responseSchema",
    "seed",
    "speechConfig",
    "stopSequences",
    "temperature",
    "thinkingConfig",
    "topK",
    "topP",
];
const FUNCTION: &[&str] =
    &["behavior", "description", "name", "parameters", "parametersJsonSchema", "response", "responseJsonSchema"];
const MAX_CANDIDATES: u64 = 8;
const MAX_STOPS: usize = 5;

pub(super) fn ask(body: &Value, model: String, stream: bool) -> Result<Ask, Refusal> {
    let mut ask = Ask { caches: model.contains("cache"), model, stream, parallel: true, n: 1, ..Ask::default() };
    let body = Object::of(Some(body), BODY, "")?;
    config(body.get("generationConfig"), &mut ask)?;
    tools(&body, &mut ask)?;
    if let Some(system) = body.get("systemInstruction") {
        let content = Object::of(Some(system), &["parts", "role"], "system_instruction")?;
        ask.prompt.message();
        for part in content.list("parts", "system_instruction.")? {
            ask.prompt.text(Object::of(Some(&part), PART, "system_instruction.parts")?.text("text"));
        }
    }
    contents::read(&body, &mut ask)?;
    ask.prompt.mark();
    Ok(ask)
}

fn config(value: Option<&Value>, ask: &mut Ask) -> Result<(), Refusal> {
    let config = Object::of(value, CONFIG, "generation_config")?;
    ask.max_tokens = config.number("maxOutputTokens")?;
    if ask.max_tokens == Some(0) {
        return Err(Refusal::invalid("max_output_tokens must be positive"));
    }
    if let Some(n) = config.number("candidateCount")? {
        if n == 0 || n > MAX_CANDIDATES {
            return Err(Refusal::invalid(format!("The candidate count must be from 1 to {MAX_CANDIDATES}: {n}")));
        }
        ask.n = n as u32;
    }
    let stops = config.list("stopSequences", "generation_config.")?;
    if stops.len() > MAX_STOPS {
        return Err(Refusal::invalid(format!("at most {MAX_STOPS} stop sequences are allowed: {}", stops.len())));
    }
    ask.stops = stops.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if let Some(t) = config.get("temperature")
        && !t.as_f64().is_some_and(|t| (0.0..=2.0).contains(&t))
    {
        return Err(Refusal::invalid(format!("temperature must be in the range [0.0, 2.0]: {t}")));
    }
    if config.get("responseLogprobs") == Some(&Value::Bool(true)) {
        ask.logprobs = Some(config.number("logprobs")?.unwrap_or(0));
    } else if config.get("logprobs").is_some() {
        return Err(Refusal::invalid("logprobs may only be set when response_logprobs is true"));
    }
    let json = config.text("responseMimeType") == "application/json";
    let (subset, full) = (config.get("responseSchema"), config.get("responseJsonSchema"));
    if (subset.is_some() || full.is_some()) && !json && config.text("responseMimeType") != "text/x.enum" {
        return Err(Refusal::invalid("a response schema needs the response mime type application/json"));
    }
    if let Some(schema) = subset {
        check(schema, "generation_config.response_schema", 0)?;
    }
    ask.format = match subset.or(full) {
        Some(schema) => Some(Format::Schema(schema.clone())),
        None => json.then_some(Format::Object),
    };
    ask.thinking = thinking(config.get("thinkingConfig"))?;
    Ok(())
}

fn thinking(value: Option<&Value>) -> Result<Thinking, Refusal> {
    let known = ["includeThoughts", "thinkingBudget", "thinkingLevel"];
    let config = Object::of(value, &known, "generation_config.thinking_config")?;
    let (budget, level) = (config.get("thinkingBudget"), config.get("thinkingLevel"));
    if budget.is_some() && level.is_some() {
        return Err(Refusal::invalid("You can only set one of thinking budget and thinking level."));
    }
    if let Some(word) = level {
        let levels = ["minimal", "low", "medium", "high", "thinking_level_unspecified"];
        if !word.as_str().is_some_and(|w| levels.contains(&w.to_lowercase().as_str())) {
            let message = format!("Invalid value at 'generation_config.thinking_config.thinking_level': {word}");
            return Err(Refusal::invalid(message));
        }
    }
    let off = budget.is_some_and(|b| b.as_i64() == Some(0));
    let shown = config.get("includeThoughts") == Some(&Value::Bool(true));
    Ok(match (off, shown) {
        (true, _) => Thinking::Off,
        (false, true) => Thinking::Shown,
        (false, false) if budget.is_some() || level.is_some() => Thinking::Hidden,
        (false, false) => Thinking::Off,
    })
}

fn tools(body: &Object, ask: &mut Ask) -> Result<(), Refusal> {
    for (at, tool) in body.list("tools", "")?.iter().enumerate() {
        let Some(tool) = tool.as_object() else {
            return Err(Refusal::invalid(format!("Invalid value at 'tools[{at}]'")));
        };
        let declared = tool.iter().find(|(name, _)| camel(name) == "functionDeclarations").map(|(_, value)| value);
        for (nth, function) in declared.and_then(Value::as_array).into_iter().flatten().enumerate() {
            let path = format!("tools[{at}].function_declarations[{nth}]");
            let function = Object::of(Some(function), FUNCTION, &path)?;
            let name = function.text("name");
            let opens = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            let goes_on = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':'));
            if !opens || !goes_on || name.len() > 64 {
                let message = format!(
                    "Invalid function name at '{path}': must start with a letter or an underscore, at most 64 characters: {name:?}"
                );
                return Err(Refusal::invalid(message));
            }
            if let Some(schema) = function.get("parameters") {
                check(schema, &format!("{path}.parameters"), 0)?;
            }
            let schema = function.get("parameters").or(function.get("parametersJsonSchema")).cloned();
            let tool = Tool { name: name.to_owned(), schema: schema.unwrap_or_else(|| Value::Object(Map::new())) };
            ask.prompt.tool(&tool);
            ask.prompt.text(function.text("description"));
            ask.tools.push(tool);
        }
    }
    let config = Object::of(body.get("toolConfig"), &["functionCallingConfig", "retrievalConfig"], "tool_config")?;
    let known = ["mode", "allowedFunctionNames", "streamFunctionCallArguments"];
    let calling = Object::of(config.get("functionCallingConfig"), &known, "tool_config.function_calling_config")?;
    let names = calling.list("allowedFunctionNames", "tool_config.function_calling_config.")?;
    let names: Vec<String> = names.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if let Some(name) = names.iter().find(|n| !ask.tools.iter().any(|t| t.name == **n)) {
        return Err(Refusal::invalid(format!("allowed_function_names names a function that is not declared: {name}")));
    }
    ask.choice = match calling.text("mode").to_uppercase().as_str() {
        "" | "AUTO" | "VALIDATED" | "MODE_UNSPECIFIED" => Choice::Auto,
        "NONE" => Choice::Never,
        "ANY" => Choice::Named(names.clone()),
        other => {
            return Err(Refusal::invalid(format!(
                "Invalid value at 'tool_config.function_calling_config.mode': {other}"
            )));
        }
    };
    if !names.is_empty() && !matches!(calling.text("mode").to_uppercase().as_str(), "ANY" | "VALIDATED") {
        return Err(Refusal::invalid("allowed_function_names should only be set when the mode is ANY or VALIDATED"));
    }
    Ok(())
}
