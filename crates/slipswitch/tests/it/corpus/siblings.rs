//! Siblings of a recording: the same said in other ways that servers of its kind are free to choose. The oracle must find no
//! difference to what it finds of the recording itself.

use super::read::{Event, events};
use super::{Surface, bedrock};
use serde_json::{Value, json};
use slip_sim::Case;

/// A change of spelling: its name, and how it is made; `None` where it does not apply.
type Change = (&'static str, fn(&Case, Surface) -> Option<Vec<u8>>);

const CHANGES: [Change; 11] = [
    ("reversed", reversed),
    ("indented", indented),
    ("nulls", nulls),
    ("strangers", strangers),
    ("framed", framed),
    ("renamed", renamed),
    ("crowded", crowded),
    ("retold", retold),
    ("unnamed", unnamed),
    ("numbered", numbered),
    ("loose", loose),
];

pub fn of(case: &Case) -> Vec<Case> {
    let Some(surface) = Surface::of(case) else { return Vec::new() };
    let in_lines = surface.native().is_some_and(|native| native.in_lines());
    if case.response.status >= 400 || surface.house().is_some() || in_lines && case.response.stream {
        return Vec::new();
    }
    let sibling = |(name, change): &Change| {
        let body = change(case, surface)?;
        let mut case = case.clone();
        case.id = format!("{}~{name}", case.id);
        case.response.body = body.into();
        if *name == "retold" {
            case.response.stream = true;
            let framed = bedrock::is_framed(&case.response.body);
            let (framing, kind) = match framed {
                true => ("eventstream", "application/vnd.amazon.eventstream"),
                false => ("sse", "text/event-stream"),
            };
            case.response.framing = framing.to_owned();
            case.response.headers.insert("content-type".to_owned(), kind.to_owned());
        }
        // What was asked is the recording's own matter.
        case.request.recorded = false;
        Some(case)
    };
    CHANGES.iter().filter_map(sibling).collect()
}

/// Change every JSON document of a body.
fn each(case: &Case, change: impl Fn(&mut Value), write: impl Fn(&Value) -> String) -> Option<Vec<u8>> {
    let body = &case.response.body;
    if !case.response.stream {
        let mut value: Value = serde_json::from_slice(body).ok()?;
        change(&mut value);
        return Some(write(&value).into_bytes());
    }
    if bedrock::is_framed(body) {
        return Some(bedrock::each(body, change, write));
    }
    let rewrite = |mut event: Event| {
        if let Ok(mut value) = serde_json::from_str::<Value>(&event.data) {
            change(&mut value);
            event.data = write(&value);
        }
        event
    };
    Some(stream(events(body).into_iter().map(rewrite), "\n").into_bytes())
}

fn stream(events: impl Iterator<Item = Event>, end: &str) -> String {
    events.fold(String::new(), |mut text, event| {
        if let Some(name) = &event.name {
            text += &format!("event: {name}{end}");
        }
        for line in event.data.lines() {
            text += &format!("data: {line}{end}");
        }
        text + end
    })
}

/// Members in reverse alphabetical order: `type` before `text`. The other changes leave them in alphabetical order, which is how
/// the values are kept.
fn reversed(case: &Case, _: Surface) -> Option<Vec<u8>> {
    fn write(value: &Value, out: &mut String) {
        match value {
            Value::Object(members) => {
                out.push('{');
                for (n, (name, value)) in members.iter().rev().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    out.push_str(&Value::from(name.as_str()).to_string());
                    out.push(':');
                    write(value, out);
                }
                out.push('}');
            }
            Value::Array(items) => {
                out.push('[');
                for (n, value) in items.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    write(value, out);
                }
                out.push(']');
            }
            other => out.push_str(&other.to_string()),
        }
    }
    let spell = |value: &Value| {
        let mut out = String::new();
        write(value, &mut out);
        out
    };
    each(case, |_| {}, spell)
}

/// Indented, which in a stream means several `data:` lines to an event.
fn indented(case: &Case, _: Surface) -> Option<Vec<u8>> {
    each(case, |_| {}, |value| serde_json::to_string_pretty(value).unwrap_or_default())
}

/// Servers that write every member of their types.
fn nulls(case: &Case, surface: Surface) -> Option<Vec<u8>> {
    let fill = |object: &mut Value, names: &[&str]| {
        if let Some(members) = object.as_object_mut() {
            for name in names {
                members.entry(*name).or_insert(Value::Null);
            }
        }
    };
    let change = |value: &mut Value| match surface {
        Surface::Native(_) | Surface::Invoked(_) => {}
        Surface::Chat => {
            fill(value, &["usage", "system_fingerprint", "service_tier", "error", "citations", "x_groq"]);
            for choice in value["choices"].as_array_mut().into_iter().flatten() {
                fill(choice, &["finish_reason", "logprobs", "stop_reason"]);
                for holder in ["delta", "message"] {
                    let Some(said) = choice.get_mut(holder) else { continue };
                    fill(
                        said,
                        &[
                            "content",
                            "refusal",
                            "role",
                            "tool_calls",
                            "function_call",
                            "audio",
                            "annotations",
                            "reasoning",
                            "reasoning_content",
                            "reasoning_details",
                            "images",
                        ],
                    );
                    for call in said["tool_calls"].as_array_mut().into_iter().flatten() {
                        fill(call, &["custom", "extra_content", "id", "type"]);
                    }
                }
            }
        }
        Surface::Messages => {
            if value["type"] == "message" {
                fill(value, &["stop_sequence", "stop_details", "container", "context_management"]);
            }
            for holder in ["usage", "message", "delta", "content_block"] {
                match value.get_mut(holder) {
                    Some(inner) if holder == "usage" => fill(
                        inner,
                        &[
                            "cache_creation",
                            "server_tool_use",
                            "service_tier",
                            "cache_read_input_tokens",
                            "cache_creation_input_tokens",
                            "input_tokens",
                            "output_tokens_details",
                        ],
                    ),
                    Some(inner) if holder == "content_block" && inner["type"] == "text" => fill(inner, &["citations"]),
                    Some(inner) if holder == "delta" && inner["stop_reason"].is_string() => {
                        fill(inner, &["stop_sequence", "stop_details", "container"])
                    }
                    _ => {}
                }
            }
        }
        Surface::Responses => {
            if value["object"] == "response" {
                fill(value, &["error", "incomplete_details", "usage", "service_tier", "completed_at"]);
            }
            for item in value["output"].as_array_mut().into_iter().flatten() {
                fill(item, &["encrypted_content", "status"]);
            }
            if let Some(item) = value.get_mut("item") {
                fill(item, &["encrypted_content", "status"]);
            }
        }
        Surface::Bedrock => {
            let kinds = &["text", "toolUse", "toolResult", "reasoningContent", "image", "citationsContent"];
            if value["output"].is_object() {
                fill(value, &["trace", "additionalModelResponseFields", "performanceConfig", "serviceTier"]);
                let blocks = value["output"]["message"]["content"].as_array_mut();
                blocks.into_iter().flatten().for_each(|block| fill(block, kinds));
            }
            for (holder, names) in [
                ("delta", &["text", "toolUse", "toolResult", "reasoningContent", "citation", "image"][..]),
                ("start", &["toolUse", "toolResult", "image"][..]),
                ("usage", &["cacheReadInputTokens", "cacheWriteInputTokens", "cacheDetails"][..]),
            ] {
                if let Some(inner) = value.get_mut(holder) {
                    fill(inner, names);
                }
            }
        }
        Surface::Gemini => {
            fill(value, &["promptFeedback"]);
            for candidate in value["candidates"].as_array_mut().into_iter().flatten() {
                fill(
                    candidate,
                    &[
                        "finishReason",
                        "finishMessage",
                        "groundingMetadata",
                        "citationMetadata",
                        "safetyRatings",
                        "logprobsResult",
                    ],
                );
                for part in candidate["content"]["parts"].as_array_mut().into_iter().flatten() {
                    fill(part, &["thought", "thoughtSignature", "videoMetadata"]);
                }
            }
            if let Some(usage) = value.get_mut("usageMetadata") {
                fill(
                    usage,
                    &[
                        "cachedContentTokenCount",
                        "thoughtsTokenCount",
                        "toolUsePromptTokenCount",
                        "promptTokensDetails",
                        "trafficType",
                    ],
                );
            }
        }
    };
    // `candidates: null` is made by looking for them.
    let tidy = |value: &Value| {
        let mut value = value.clone();
        if let Some(members) = value.as_object_mut() {
            members.retain(|name, value| !(value.is_null() && matches!(name.as_str(), "candidates" | "choices")));
        }
        value.to_string()
    };
    each(case, change, tidy)
}

/// Members and events nobody has heard of.
fn strangers(case: &Case, surface: Surface) -> Option<Vec<u8>> {
    let stranger = || json!({"a": [1, {"text": "not this", "content": "nor this"}], "usage": {"prompt_tokens": 1}});
    let change = |value: &mut Value| {
        let Some(members) = value.as_object_mut() else { return };
        members.insert("x_stranger".into(), stranger());
        let choices = members.get_mut("choices").or(None);
        for choice in choices.and_then(Value::as_array_mut).into_iter().flatten() {
            choice["x_stranger"] = stranger();
        }
    };
    let body = each(case, change, Value::to_string)?;
    if !case.response.stream {
        return Some(body);
    }
    let text = String::from_utf8(body).ok()?;
    let extra = match surface {
        Surface::Messages => {
            "event: ping\ndata: {\"type\": \"ping\"}\n\nevent: x_stranger\ndata: {\"type\":\"x_stranger\",\"index\":0}\n\n"
        }
        _ => ": a comment\n\n",
    };
    // After the first event, and again before the last.
    let (first, rest) = text.split_once("\n\n")?;
    Some(format!("{first}\n\n{extra}{rest}").into_bytes())
}

/// Framing as the standard allows it: a byte order mark, CRLF, no space after the colon, ids and retry times, no blank line at the
/// end.
fn framed(case: &Case, surface: Surface) -> Option<Vec<u8>> {
    // A Gemini or Anthropic client gets the provider's own framing.
    if !case.response.stream || surface != Surface::Chat {
        return None;
    }
    let text = stream(events(&case.response.body).into_iter(), "\r\n").replace("data: ", "data:");
    let text = text.replace("\r\n\r\n", "\r\nid: 7\r\nretry: 100\r\n\r\n");
    Some(format!("\u{feff}{}", text.trim_end()).into_bytes())
}

/// The other name of the same thing.
fn renamed(case: &Case, surface: Surface) -> Option<Vec<u8>> {
    if surface != Surface::Chat {
        return None;
    }
    let swap = |holder: &mut Value| {
        let Some(members) = holder.as_object_mut() else { return };
        if members.contains_key("reasoning_details") {
            return;
        }
        let (short, long) = (members.remove("reasoning"), members.remove("reasoning_content"));
        if let Some(text) = long.filter(|t| t.is_string()) {
            members.insert("reasoning".into(), text);
        } else if let Some(text) = short {
            members.insert("reasoning_content".into(), text);
        }
    };
    let change = |value: &mut Value| {
        for choice in value["choices"].as_array_mut().into_iter().flatten() {
            for holder in ["delta", "message"] {
                if let Some(said) = choice.get_mut(holder) {
                    swap(said);
                }
            }
        }
        if let Some(members) = value.as_object_mut() {
            members.retain(|name, value| !(name == "choices" && value.is_null()));
        }
    };
    each(case, change, Value::to_string)
}

/// Everything that comes after the last content comes with it: finish and usage in one chunk, no `[DONE]`.
fn crowded(case: &Case, surface: Surface) -> Option<Vec<u8>> {
    if !case.response.stream || surface != Surface::Chat {
        return None;
    }
    let mut chunks: Vec<Value> =
        events(&case.response.body).iter().filter_map(|e| serde_json::from_str(&e.data).ok()).collect();
    let is_single = |c: &Value| {
        c["choices"].as_array().is_none_or(|choices| choices.iter().all(|c| c["index"].as_u64().unwrap_or(0) == 0))
    };
    if chunks.iter().any(|c| !c["error"].is_null()) || !chunks.iter().all(is_single) {
        return None;
    }
    let usage = chunks.iter().rev().map(|c| &c["usage"]).find(|u| u.is_object()).cloned();
    let finish = chunks.iter().map(|c| &c["choices"][0]["finish_reason"]).find(|f| f.is_string()).cloned()?;
    let says = |c: &Value| {
        let delta = &c["choices"][0]["delta"];
        let mut members = delta.as_object().into_iter().flatten();
        members.any(|(name, value)| name != "role" && !value.is_null() && value != "" && value != &json!([]))
    };
    let last = chunks.iter().rposition(says)?;
    chunks.truncate(last + 1);
    for chunk in &mut chunks {
        if let Some(members) = chunk.as_object_mut() {
            members.remove("usage");
        }
        if let Some(choice) = chunk["choices"].get_mut(0) {
            choice["finish_reason"] = Value::Null;
        }
    }
    let end = chunks.last_mut()?;
    end["choices"][0]["finish_reason"] = finish;
    if let Some(usage) = usage {
        end["usage"] = usage;
    }
    Some(chunks.iter().map(|c| format!("data: {c}\n\n")).collect::<String>().into_bytes())
}

/// The whole reply as a stream.
fn retold(case: &Case, surface: Surface) -> Option<Vec<u8>> {
    if case.response.stream {
        return None;
    }
    let reply: Value = serde_json::from_slice(&case.response.body).ok()?;
    if surface == Surface::Bedrock {
        return bedrock::stream(&reply);
    }
    let told = super::retold::stream(surface, &reply)?.into_bytes();
    if Surface::is_wrapped(case) {
        return Some(events(&told).iter().flat_map(|event| bedrock::chunk(&event.data)).collect());
    }
    Some(told)
}

/// Messages whose events have no name but the `type` inside.
fn unnamed(case: &Case, surface: Surface) -> Option<Vec<u8>> {
    if surface != Surface::Messages || !case.response.stream || Surface::is_wrapped(case) {
        return None;
    }
    let bare = |event: Event| Event { name: None, ..event };
    Some(stream(events(&case.response.body).into_iter().map(bare), "\n").into_bytes())
}

/// Google's enums as numbers.
fn numbered(case: &Case, surface: Surface) -> Option<Vec<u8>> {
    const REASONS: [(&str, u64); 6] =
        [("STOP", 1), ("MAX_TOKENS", 2), ("SAFETY", 3), ("RECITATION", 4), ("BLOCKLIST", 6), ("PROHIBITED_CONTENT", 7)];
    if surface != Surface::Gemini {
        return None;
    }
    let change = |value: &mut Value| {
        for candidate in value["candidates"].as_array_mut().into_iter().flatten() {
            let reason = REASONS.iter().find(|(name, _)| candidate["finishReason"] == *name);
            if let Some((_, number)) = reason {
                candidate["finishReason"] = (*number).into();
            }
        }
    };
    let tidy = |value: &Value| {
        let mut value = value.clone();
        if let Some(members) = value.as_object_mut() {
            members.retain(|name, value| !(value.is_null() && name == "candidates"));
        }
        value.to_string()
    };
    each(case, change, tidy)
}

/// Calls as careless servers write them: arguments as an object, no `type`, no `index`.
fn loose(case: &Case, surface: Surface) -> Option<Vec<u8>> {
    if surface != Surface::Chat || case.response.stream || !case.has("tool-call") {
        return None;
    }
    let change = |value: &mut Value| {
        for choice in value["choices"].as_array_mut().into_iter().flatten() {
            for call in choice["message"]["tool_calls"].as_array_mut().into_iter().flatten() {
                let args = call["function"]["arguments"].as_str().and_then(|text| serde_json::from_str(text).ok());
                if let Some(args @ Value::Object(_)) = args {
                    call["function"]["arguments"] = args;
                }
                if let Some(members) = call.as_object_mut() {
                    members.retain(|name, _| name != "type" && name != "index");
                }
            }
        }
    };
    each(case, change, Value::to_string)
}
