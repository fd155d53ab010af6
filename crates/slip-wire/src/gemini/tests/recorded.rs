//! Recorded traffic. What each reply says is told a second time here, from plain JSON, by other code.

use super::{Gemini, Quirks, WIDE, folded, payloads, stamp, stream};
use crate::dialect::Wire;
use crate::recordings;
use serde_json::{Map, Value, json};
use slip_ir::{Block, FaultKind, Finish, Reply, unfold};

struct Case {
    id: String,
    model: String,
    request: Value,
    status: u16,
    streamed: bool,
    body: String,
}

fn cases() -> Vec<Case> {
    let ours = |case: &Value| {
        matches!(case["provider"].as_str(), Some("gemini" | "vertex"))
            && matches!(case["api"].as_str(), Some("generateContent" | "streamGenerateContent"))
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let Some(cases) = recordings::cases(ours) else { return Vec::new() };
    assert!(cases.len() > 30, "the corpus has {} cases of this dialect", cases.len());
    let case = |case: Value| Case {
        id: text(&case["id"]),
        model: text(&case["model"]),
        request: case["request"]["body"].clone(),
        status: case["response"]["status"].as_u64().expect("a status") as u16,
        streamed: case["response"]["framing"] == "sse",
        body: text(&case["response"]["body"]),
    };
    cases.into_iter().map(case).collect()
}

/// What a reply says, whatever produced it.
#[derive(Debug, Default, PartialEq)]
struct Said {
    text: String,
    thoughts: String,
    calls: Vec<(String, Value, String)>,
    signatures: Vec<String>,
    other: usize,
    finish: String,
    native: String,
    citations: usize,
    prompt: u64,
    cached: u64,
    completion: u64,
    reasoning: u64,
    id: String,
    model: String,
}

fn chunks(case: &Case) -> Vec<Value> {
    let parse = |text: &str| serde_json::from_str(text).expect("a recorded chunk is JSON");
    match case.streamed {
        true => payloads(&case.body).iter().map(|text| parse(text)).collect(),
        false => vec![parse(&case.body)],
    }
}

/// The oracle.
fn told(case: &Case) -> Said {
    let mut said = Said::default();
    for chunk in chunks(case) {
        let candidate = &chunk["candidates"][0];
        for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
            // Of a part this gateway only carries, the signature is inside.
            let plain = part.get("text").is_some() || part.get("functionCall").is_some();
            if let Some(signature) = part["thoughtSignature"].as_str().filter(|_| plain) {
                said.signatures.push(signature.to_owned());
            }
            if let Some(text) = part["text"].as_str() {
                let place = if part["thought"] == true { &mut said.thoughts } else { &mut said.text };
                place.push_str(text);
            } else if let Some(call) = part.get("functionCall") {
                let text = |name: &str| call[name].as_str().unwrap_or_default().to_owned();
                said.calls.push((text("name"), call["args"].clone(), text("id")));
            } else {
                said.other += 1;
            }
        }
        match &candidate["finishReason"] {
            Value::String(word) => said.native = word.clone(),
            Value::Number(_) => said.native = "STOP".to_owned(),
            _ => {}
        }
        let grounding = &candidate["groundingMetadata"];
        for support in grounding["groundingSupports"].as_array().into_iter().flatten() {
            said.citations += support["groundingChunkIndices"].as_array().map_or(0, Vec::len);
        }
        let usage = &chunk["usageMetadata"];
        let count = |name: &str| usage[name].as_u64().unwrap_or(0);
        said.prompt = count("promptTokenCount") + count("toolUsePromptTokenCount");
        said.cached = count("cachedContentTokenCount");
        said.reasoning = count("thoughtsTokenCount");
        said.completion = count("candidatesTokenCount") + said.reasoning;
        assert_eq!(said.prompt + said.completion, count("totalTokenCount"), "{}: the provider's own sum", case.id);
        said.id = chunk["responseId"].as_str().unwrap_or_default().to_owned();
        said.model = chunk["modelVersion"].as_str().unwrap_or_default().to_owned();
    }
    said.finish = match said.native.as_str() {
        _ if !said.calls.is_empty() => "tool_calls",
        "STOP" => "stop",
        "MAX_TOKENS" => "length",
        "SAFETY" | "MODEL_ARMOR" => "content_filter",
        other => panic!("{}: a finish reason the oracle does not know: {other}", case.id),
    }
    .to_owned();
    said
}

fn heard(reply: &Reply) -> Said {
    let mut said = Said::default();
    let choice = &reply.choices[0];
    for block in &choice.blocks {
        match block {
            Block::Text(text) => {
                said.text.push_str(&text.text);
                said.signatures.extend(text.signature.clone());
                said.citations += text.annotations.len();
            }
            Block::Thinking(thinking) => {
                said.thoughts.push_str(&thinking.text);
                said.signatures.extend(thinking.signature.clone());
            }
            Block::ToolCall(call) => {
                let args = serde_json::from_str(&call.arguments).expect("arguments are JSON");
                said.calls.push((call.name.clone(), args, call.id.clone()));
                said.signatures.extend(call.signature.clone());
            }
            _ => said.other += 1,
        }
    }
    said.finish = choice.finish.map(Finish::name).unwrap_or_default().to_owned();
    said.native = choice.native.clone().unwrap_or_default();
    let usage = reply.usage.clone().expect("the provider reported usage");
    said.prompt = usage.prompt_total();
    said.cached = usage.cache_read;
    said.completion = usage.completion_total();
    said.reasoning = usage.reasoning;
    said.id = reply.start.id.clone().unwrap_or_default();
    said.model = reply.start.model.clone().unwrap_or_default();
    said
}

fn decoded(case: &Case) -> Reply {
    match case.streamed {
        true => folded(&payloads(&case.body)),
        false => Gemini.decode_reply(case.body.as_bytes(), &Quirks::GEMINI).expect("a recorded reply"),
    }
}

#[test]
fn recorded_replies_say_what_the_provider_said() {
    let mut failed = Vec::new();
    for case in cases().iter().filter(|case| case.status < 400) {
        let (want, got) = (told(case), heard(&decoded(case)));
        if want != got {
            failed.push(format!("{}\n  told  {want:?}\n  heard {got:?}", case.id));
        }
    }
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}

/// Through this house and out again to a Gemini client, whole and streamed, nothing is different.
#[test]
fn recorded_replies_survive_being_told_again() {
    for case in cases().iter().filter(|case| case.status < 400) {
        let reply = decoded(case);
        let want = Said { id: stamp().id, model: stamp().model, ..heard(&reply) };
        let whole =
            Gemini.decode_reply(&Gemini.encode_reply(&reply, &stamp()), &Quirks::GEMINI).expect("our own reply");
        assert_eq!(heard(&whole), want, "{} whole", case.id);
        let mut events = Vec::new();
        unfold(&reply, &mut events);
        assert_eq!(heard(&folded(&payloads(&stream(&events, stamp())))), want, "{} streamed", case.id);
    }
}

/// Citations cover the words they were given for.
#[test]
fn recorded_citations_cover_their_segments() {
    let mut seen = 0;
    for case in cases().iter().filter(|case| case.status < 400) {
        let mut segments = Vec::new();
        for chunk in chunks(case) {
            let grounding = &chunk["candidates"][0]["groundingMetadata"];
            for support in grounding["groundingSupports"].as_array().into_iter().flatten() {
                let indices = support["groundingChunkIndices"].as_array().map_or(0, Vec::len);
                segments.extend(std::iter::repeat_n(support["segment"]["text"].clone(), indices));
            }
        }
        let reply = decoded(case);
        let text: Vec<char> = reply.choices[0].text().chars().collect();
        let annotations = reply.choices[0].blocks.iter().filter_map(|block| match block {
            Block::Text(text) => Some(&text.annotations),
            _ => None,
        });
        let covered: Vec<Value> = annotations
            .flatten()
            .map(|raw| {
                let citation = &raw.value()["url_citation"];
                let at = |name: &str| citation[name].as_u64().expect("an offset") as usize;
                text[at("start_index")..at("end_index")].iter().collect::<String>().into()
            })
            .collect();
        seen += covered.len();
        assert_eq!(covered, segments, "{}", case.id);
    }
    println!("{seen} citations");
}

#[test]
fn recorded_errors_are_understood() {
    let cases = cases();
    for case in cases.iter().filter(|case| case.status >= 400) {
        let fault = Gemini.decode_error(case.status, &http::HeaderMap::new(), case.body.as_bytes());
        match case.status {
            429 => {
                assert_eq!(fault.kind, FaultKind::RateLimited, "{}", case.id);
                let told = fault.retry_after.map(|pause| format!("\"{}s\"", pause.as_secs_f64()));
                assert!(told.is_some_and(|told| case.body.contains(&told)), "{}: {:?}", case.id, fault.retry_after);
            }
            400 => assert_eq!(fault.kind, FaultKind::UpstreamAuth, "{}", case.id),
            other => panic!("{}: a status this test does not know: {other}", case.id),
        }
    }
}

/// A body in one spelling: camelCase, without what is the same as nothing, neighbours of one role united.
fn normal(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut out = Map::new();
            for (key, value) in members {
                let key = match key.as_str() {
                    "parametersJsonSchema" | "parameters_json_schema" => "parameters".to_owned(),
                    "responseJsonSchema" => "responseSchema".to_owned(),
                    // Maps from the caller's names are not respelt; everything else is.
                    _ => super::super::tree::camel(key.as_str().into()).into_owned(),
                };
                let value = match key.as_str() {
                    "args" | "labels" => value.clone(),
                    "response" => answer(value),
                    "parameters" | "responseSchema" => schema(value),
                    "contents" => contents(value),
                    "systemInstruction" if value.is_object() => json!({ "parts": normal(&value["parts"]) }),
                    _ => normal(value),
                };
                let nothing = value.is_null()
                    || value == json!(false) && (key == "thought" || key == "includeThoughts")
                    || value == json!({}) && matches!(key.as_str(), "generationConfig" | "toolConfig");
                if !nothing {
                    out.insert(key, value);
                }
            }
            Value::Object(out)
        }
        Value::Array(items) => Value::Array(items.iter().map(normal).collect()),
        Value::Number(n) => n.as_f64().map_or(Value::Null, Value::from),
        _ => value.clone(),
    }
}

fn contents(value: &Value) -> Value {
    let mut out: Vec<Value> = Vec::new();
    for content in value.as_array().into_iter().flatten().map(normal) {
        match out.last_mut() {
            Some(last) if last["role"] == content["role"] => {
                let more = content["parts"].as_array().cloned().unwrap_or_default();
                last["parts"].as_array_mut().expect("parts").extend(more);
            }
            _ => out.push(content),
        }
    }
    Value::Array(out)
}

/// The names under which a plain result may stand are one name.
fn answer(value: &Value) -> Value {
    match value.as_object() {
        Some(members) if members.len() == 1 => {
            let (name, value) = members.iter().next().expect("one member");
            let plain = value.is_string() && matches!(name.as_str(), "output" | "content");
            if plain { json!({ "result": value }) } else { json!({ name: value }) }
        }
        _ => value.clone(),
    }
}

fn schema(value: &Value) -> Value {
    const TYPES: [&str; 8] = ["", "string", "number", "integer", "boolean", "array", "object", "null"];
    match value {
        Value::Object(members) => {
            let one = |(key, value): (&String, &Value)| {
                let value = match (key.as_str(), value) {
                    ("type", Value::String(name)) => name.to_ascii_lowercase().into(),
                    ("type", Value::Number(n)) => TYPES[n.as_u64().expect("an enum") as usize].into(),
                    _ => schema(value),
                };
                (key.clone(), value)
            };
            Value::Object(members.iter().map(one).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(schema).collect()),
        _ => value.clone(),
    }
}

#[test]
fn recorded_requests_survive_being_read_and_written() {
    let mut failed = Vec::new();
    for case in cases().iter().filter(|case| case.request.is_object()) {
        let body = case.request.to_string();
        let (mut request, losses) = Gemini.decode_request(body.as_bytes()).expect("a recorded request");
        assert_eq!(losses, [], "{}", case.id);
        request.model = case.model.clone();
        let (bytes, losses) = Gemini.encode_request(&request, &WIDE);
        let written: Value = serde_json::from_slice(&bytes).expect("our own JSON");
        let (want, got) = (normal(&case.request), normal(&written));
        if want != got || !losses.is_empty() {
            failed.push(format!("{} {losses:?}\n  was {want}\n  is  {got}", case.id));
        }
    }
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}

/// With the narrow schema every difference has a loss to its name.
#[test]
fn recorded_schemas_that_change_say_so() {
    for case in cases().iter().filter(|case| case.request.is_object()) {
        let (request, _) = Gemini.decode_request(case.request.to_string().as_bytes()).expect("a recorded request");
        let (bytes, losses) = Gemini.encode_request(&request, &Quirks::GEMINI);
        let text = String::from_utf8(bytes).expect("JSON is UTF-8");
        for word in ["additionalProperties", "prefixItems", "uniqueItems"] {
            let quoted = format!("\"{word}\":");
            assert!(!text.contains(&quoted), "{}: {word} was sent", case.id);
            if case.request.to_string().contains(&quoted) {
                assert!(losses.iter().any(|loss| loss.what.ends_with(word)), "{}: {word} is not listed", case.id);
            }
        }
    }
}
