//! Reading a generateContent request. Google's JSON knows every member it takes, in camelCase or snake_case, and refuses others.

use super::super::ask::{Ask, Choice, Format, Refusal, Thinking, Tool};
use super::super::{picture, sign};
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
const PART: &[&str] = &[
    "codeExecutionResult",
    "executableCode",
    "fileData",
    "functionCall",
    "functionResponse",
    "inlineData",
    "mediaResolution",
    "partMetadata",
    "text",
    "thought",
    "thoughtSignature",
    "videoMetadata",
];
const FUNCTION: &[&str] =
    &["behavior", "description", "name", "parameters", "parametersJsonSchema", "response", "responseJsonSchema"];
/// Strings the API takes in place of a signature, for calls that it did not make itself.
const NO_SIGNATURE: &[&str] = &["skip_thought_signature_validator", "context_engineering_is_the_way_to_go"];
const MAX_CANDIDATES: u64 = 8;
const MAX_STOPS: usize = 5;

/// An object with its member names in camelCase and nulls left out.
struct Object(Map<String, Value>);

impl Object {
    fn of(value: Option<&Value>, known: &[&str], at: &str) -> Result<Object, Refusal> {
        let mut out = Map::new();
        match value {
            None | Some(Value::Null) => {}
            Some(Value::Object(members)) => {
                for (name, value) in members {
                    if !known.contains(&camel(name).as_str()) {
                        let at = if at.is_empty() { String::new() } else { format!(" at '{at}'") };
                        let message =
                            format!("Invalid JSON payload received. Unknown name \"{name}\"{at}: Cannot find field.");
                        return Err(Refusal::invalid(message));
                    }
                    if !value.is_null() {
                        out.insert(camel(name), value.clone());
                    }
                }
            }
            Some(other) => return Err(Refusal::invalid(format!("Invalid value at '{at}': {}", kind(other)))),
        }
        Ok(Object(out))
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    fn text(&self, name: &str) -> &str {
        self.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn list(&self, name: &str, at: &str) -> Result<Vec<Value>, Refusal> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => Ok(items.clone()),
            // One object where a list is expected is a list of one.
            Some(one @ Value::Object(_)) => Ok(vec![one.clone()]),
            Some(other) => Err(Refusal::invalid(format!("Invalid value at '{at}{name}': {}", kind(other)))),
        }
    }

    fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let whole =
            value.as_u64().or_else(|| value.as_f64().filter(|f| f.fract() == 0.0 && *f >= 0.0).map(|f| f as u64));
        match whole {
            Some(n) => Ok(Some(n)),
            None => Err(Refusal::invalid(format!("Invalid value at 'generation_config.{name}' (TYPE_INT32), {value}"))),
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

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
    contents(&body, &mut ask)?;
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

/// What one content carries, beside its text.
#[derive(Default)]
struct Parts {
    texts: Vec<String>,
    seen: Vec<String>,
    /// Name and id.
    calls: Vec<(String, String)>,
    results: Vec<(String, String, String)>,
    /// The first call of the content has no signature.
    unsigned: bool,
}

fn contents(body: &Object, ask: &mut Ask) -> Result<(), Refusal> {
    let contents = body.list("contents", "")?;
    if contents.is_empty() {
        return Err(Refusal::invalid("* GenerateContentRequest.contents: contents is not specified"));
    }
    let mut open: Vec<(String, String)> = Vec::new();
    // Contents of the current turn (after the last words of the user) whose first call is not signed.
    let mut unsigned: Option<usize> = None;
    for (at, content) in contents.iter().enumerate() {
        let content = Object::of(Some(content), &["parts", "role"], &format!("contents[{at}]"))?;
        let user = match content.text("role") {
            "" | "user" | "function" => true,
            "model" => false,
            other => return Err(Refusal::invalid(format!("Please use a valid role: user, model. Got: {other:?}"))),
        };
        let parts = content.list("parts", "contents.")?;
        if parts.is_empty() {
            return Err(Refusal::invalid(format!(
                "* GenerateContentRequest.contents[{at}].parts: contents.parts must not be empty."
            )));
        }
        ask.prompt.message();
        let mut found = Parts::default();
        for (nth, value) in parts.iter().enumerate() {
            part(value, &format!("contents[{at}].parts[{nth}]"), user, ask, &mut found)?;
        }
        if !open.is_empty() || !found.results.is_empty() {
            answered(&open, &found.results)?;
        }
        let results = found.results.into_iter().map(|(_, _, result)| result).collect::<Vec<_>>();
        if user && results.is_empty() {
            unsigned = None;
            (ask.text, ask.seen, ask.results) = (found.texts.join("\n"), found.seen, None);
        } else {
            ask.results = (!results.is_empty()).then_some(results);
        }
        if found.unsigned && unsigned.is_none() {
            unsigned = Some(at);
        }
        open = found.calls;
    }
    if !open.is_empty() {
        return Err(Refusal::invalid("a function call must be followed by its function response"));
    }
    match unsigned {
        Some(at) if ask.model.contains("gemini-3") => Err(Refusal::invalid(format!(
            "Function call is missing a thought_signature in functionCall parts: contents[{at}]"
        ))),
        _ => Ok(()),
    }
}

fn answered(calls: &[(String, String)], results: &[(String, String, String)]) -> Result<(), Refusal> {
    if calls.len() != results.len() {
        let message = "Please ensure that the number of function response parts is equal to the number of function call \
                       parts of the function call turn.";
        return Err(Refusal::invalid(message));
    }
    let mut left: Vec<&(String, String)> = calls.iter().collect();
    for (name, id, _) in results {
        let fits = |(n, i): &&(String, String)| n == name && (id.is_empty() || i.is_empty() || i == id);
        let Some(place) = left.iter().position(fits) else {
            return Err(Refusal::invalid(format!("a function response answers no function call: {name} {id}")));
        };
        left.remove(place);
    }
    Ok(())
}

fn part(value: &Value, at: &str, user: bool, ask: &mut Ask, out: &mut Parts) -> Result<(), Refusal> {
    let part = Object::of(Some(value), PART, at)?;
    let signature = part.text("thoughtSignature");
    let forged = || Refusal::invalid(format!("Thought signature is not valid: {at}"));
    if let Some(call) = part.get("functionCall") {
        let call = Object::of(Some(call), &["args", "id", "name"], &format!("{at}.function_call"))?;
        let empty = Value::Object(Map::new());
        let args = call.get("args").unwrap_or(&empty);
        if !args.is_object() || user || call.text("name").is_empty() {
            return Err(Refusal::invalid(format!(
                "Invalid value at '{at}.function_call': a name and an object, from the model"
            )));
        }
        if out.calls.is_empty() && signature.is_empty() {
            out.unsigned = true;
        }
        let free = signature.is_empty() || NO_SIGNATURE.contains(&signature);
        if !free && !sign::verify(signature, &signed(call.text("name"), args)) {
            return Err(forged());
        }
        ask.prompt.text(call.text("name"));
        ask.prompt.text(&args.to_string());
        out.calls.push((call.text("name").to_owned(), call.text("id").to_owned()));
        return Ok(());
    }
    if !signature.is_empty() && !NO_SIGNATURE.contains(&signature) && !sign::verify(signature, "") {
        return Err(forged());
    }
    if let Some(response) = part.get("functionResponse") {
        let known = ["id", "name", "parts", "response", "scheduling", "willContinue"];
        let response = Object::of(Some(response), &known, &format!("{at}.function_response"))?;
        let Some(result) = response.get("response").and_then(Value::as_object) else {
            return Err(Refusal::invalid(format!(
                "Invalid value at '{at}.function_response.response': an object is expected"
            )));
        };
        let result = result_text(result);
        ask.prompt.text(&result);
        out.results.push((response.text("name").to_owned(), response.text("id").to_owned(), result));
    } else if let Some(inline) = part.get("inlineData") {
        let data = Object::of(Some(inline), &["data", "displayName", "mimeType"], &format!("{at}.inline_data"))?;
        if data.text("mimeType").is_empty() {
            return Err(Refusal::invalid(format!("Unable to determine the MIME type: {at}.inline_data")));
        }
        ask.prompt.media(data.text("data"));
        out.seen.push(picture::seen(data.text("mimeType"), data.text("data")));
    } else if let Some(file) = part.get("fileData") {
        let file = Object::of(Some(file), &["displayName", "fileUri", "mimeType"], &format!("{at}.file_data"))?;
        ask.prompt.media(file.text("fileUri"));
        out.seen.push(picture::seen_url(file.text("fileUri")));
    } else if let Some(text) = part.get("text").and_then(Value::as_str) {
        if part.get("thought") != Some(&Value::Bool(true)) {
            ask.prompt.text(text);
            out.texts.push(text.to_owned());
        }
    } else if part.get("executableCode").is_none() && part.get("codeExecutionResult").is_none() {
        let message =
            format!("* GenerateContentRequest.{at}.data: required oneof field 'data' must have one initialized field");
        return Err(Refusal::invalid(message));
    }
    Ok(())
}

/// The API wants an object; a lone `result`, `output` or `content` in it is what the tool said.
fn result_text(result: &Map<String, Value>) -> String {
    let lone = match result.iter().next() {
        Some((name, value)) if result.len() == 1 && ["result", "output", "content"].contains(&name.as_str()) => {
            Some(value)
        }
        _ => None,
    };
    match lone {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => Value::Object(result.clone()).to_string(),
    }
}

/// What the signature of a call is for: its name and arguments, however their members are ordered and their numbers written.
pub(super) fn signed(name: &str, args: &Value) -> String {
    let mut out = name.to_owned();
    canonical(args, &mut out);
    out
}

fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort();
            out.push('{');
            for name in names {
                out.push_str(name);
                out.push(':');
                members.get(name).into_iter().for_each(|v| canonical(v, out));
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        // All numbers are doubles to Google.
        Value::Number(number) => out.push_str(&number.as_f64().map_or_else(|| number.to_string(), |f| f.to_string())),
        other => out.push_str(&other.to_string()),
    }
}
