//! Reading the contents of a generateContent request: calls and their responses, and signatures that must be unchanged.

use super::super::ask::{Ask, Refusal};
use super::super::{picture, sign};
use super::object::Object;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Map, Value};

pub(super) const PART: &[&str] = &[
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
/// Strings the API takes in place of a signature, for calls that it did not make itself.
const NO_SIGNATURE: &[&str] = &["skip_thought_signature_validator", "context_engineering_is_the_way_to_go"];

/// As it stands, or as bytes are spelt: libraries whose member is bytes encode it.
fn is_placeholder(signature: &str) -> bool {
    let standard: String = signature.trim_end_matches('=').chars().map(sign::standard_letter).collect();
    let bytes = STANDARD_NO_PAD.decode(standard).unwrap_or_default();
    NO_SIGNATURE.iter().any(|word| *word == signature || word.as_bytes() == bytes)
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

pub(super) fn read(body: &Object, ask: &mut Ask) -> Result<(), Refusal> {
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
        let free = signature.is_empty() || is_placeholder(signature);
        if !free && !sign::verify_bytes(signature, &signed(call.text("name"), args)) {
            return Err(forged());
        }
        ask.prompt.text(call.text("name"));
        ask.prompt.text(&args.to_string());
        out.calls.push((call.text("name").to_owned(), call.text("id").to_owned()));
        return Ok(());
    }
    if !signature.is_empty() && !is_placeholder(signature) && !sign::verify_bytes(signature, "") {
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
