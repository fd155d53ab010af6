//! The Responses surface: its requests, its replies and their form, read and written with plain JSON values.

use super::Differences;
use super::ask::{Ask, Item, Role, data_url, joined, put, tool};
use super::read;
use super::said::{Call, Choice, Said, Usage, list, text};
use crate::harness::Got;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A response: the one body, or the events of a stream.
pub fn read(parts: &[Value]) -> Said {
    let mut said = Said::default();
    let mut items: BTreeMap<u64, Value> = BTreeMap::new();
    let mut told: BTreeMap<(u64, &str, u64), String> = BTreeMap::new();
    let mut whole = Value::Null;
    for part in parts {
        let at = part["output_index"].as_u64().unwrap_or(0);
        let piece = part["delta"].as_str().unwrap_or_default();
        let number = part["content_index"].as_u64().or(part["summary_index"].as_u64()).unwrap_or(0);
        let mut push = |kind| told.entry((at, kind, number)).or_default().push_str(piece);
        match part["type"].as_str() {
            None if part["object"] == "response" => whole = part.clone(),
            Some("response.output_item.added") => {
                items.entry(at).or_insert_with(|| part["item"].clone());
            }
            Some("response.output_item.done") => {
                let mut item = part["item"].clone();
                item["(done)"] = true.into();
                items.insert(at, item);
            }
            Some("response.output_text.delta") => push("output_text"),
            Some("response.refusal.delta") => push("refusal"),
            Some("response.reasoning_text.delta") => push("reasoning_text"),
            Some("response.reasoning_summary_text.delta") => push("summary_text"),
            Some("response.function_call_arguments.delta") => push("arguments"),
            Some("response.custom_tool_call_input.delta") => push("input"),
            Some("response.completed" | "response.incomplete" | "response.failed") => {
                whole = part["response"].clone();
                // What follows is another response: some recordings hold several, of one conversation.
                break;
            }
            Some("error") => said.fault = Some(error(part)),
            _ => {}
        }
    }
    if whole["status"] == "failed" || whole["error"].is_object() {
        said.fault.get_or_insert(error(&whole));
    }
    if items.is_empty() {
        items = (0..).zip(list(&whole["output"]).iter().cloned()).collect();
        items.values_mut().for_each(|item| item["(done)"] = true.into());
    }
    said.usage = usage(&whole["usage"]);
    let choice = said.choice(0);
    for (at, item) in &items {
        match item["(done)"] == true {
            true => done(*at, item, &told, choice),
            false => begun(*at, item, &told, choice),
        }
    }
    let reason = text(&whole["incomplete_details"]["reason"]);
    choice.native = reason.or(text(&whole["status"])).map(str::to_owned);
    let finish = match (whole["status"].as_str(), reason) {
        (Some("incomplete"), Some("content_filter")) => Some("content_filter"),
        (Some("incomplete"), _) => Some("length"),
        (Some("failed"), _) => Some("error"),
        (None, _) if whole.is_null() => None,
        _ if choice.calls.is_empty() => Some("stop"),
        _ => Some("tool_calls"),
    };
    choice.finish = finish.map(str::to_owned);
    said
}

fn error(part: &Value) -> String {
    let words = [&part["error"]["message"], &part["message"]];
    words.iter().find_map(|words| words.as_str()).unwrap_or("it failed").to_owned()
}

/// Where the text came in pieces it is the pieces that a client has shown: some recordings were shortened in one of the two.
fn done(at: u64, item: &Value, told: &BTreeMap<(u64, &str, u64), String>, choice: &mut Choice) {
    let of = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
    match item["type"].as_str() {
        Some("message") => {
            for (number, part) in (0..).zip(list(&item["content"])) {
                let pieces = told.get(&(at, "output_text", number)).map(String::as_str);
                choice.text.push_str(pieces.or(part["text"].as_str()).unwrap_or_default());
                choice.refusal.push_str(part["refusal"].as_str().unwrap_or_default());
                choice.logprobs.extend(list(&part["logprobs"]).iter().cloned());
                for annotation in list(&part["annotations"]) {
                    match text(&annotation["url"]) {
                        Some(url) => choice.cite(url),
                        None if annotation["type"] == "file" => choice.files += 1,
                        None => {
                            choice.places += 1;
                            choice.cited += 1;
                        }
                    }
                }
            }
        }
        Some("reasoning") => {
            for part in list(&item["summary"]).iter().chain(list(&item["content"])) {
                choice.reasoning.push_str(part["text"].as_str().unwrap_or_default());
            }
            choice.seal(&item["encrypted_content"]);
        }
        Some(kind @ ("function_call" | "custom_tool_call")) => {
            let args = of(if kind == "function_call" { "arguments" } else { "input" });
            choice.calls.push(Call { id: of("call_id"), name: of("name"), args, old: false });
        }
        Some("image_generation_call") => {
            let result = of("result");
            let inline = || format!("data:image/png;base64,{result}");
            choice.images.push(if result.starts_with("http") { result.clone() } else { inline() });
        }
        _ => {}
    }
}

/// An item that was cut off.
fn begun(at: u64, item: &Value, told: &BTreeMap<(u64, &str, u64), String>, choice: &mut Choice) {
    let mut call = None;
    if let Some(name) = text(&item["name"]) {
        let id = item["call_id"].as_str().unwrap_or_default().to_owned();
        call = Some(Call { id, name: name.to_owned(), ..Call::default() });
    }
    for ((_, kind, _), words) in told.iter().filter(|((index, ..), _)| *index == at) {
        match *kind {
            "output_text" => choice.text.push_str(words),
            "refusal" => choice.refusal.push_str(words),
            "reasoning_text" | "summary_text" => choice.reasoning.push_str(words),
            _ => {
                if let Some(call) = &mut call {
                    call.args.push_str(words);
                }
            }
        }
    }
    choice.calls.extend(call);
}

/// Everything is inside `input_tokens` and `output_tokens`.
fn usage(usage: &Value) -> Option<Usage> {
    let count = |v: &Value| v.as_u64().unwrap_or(0);
    Some(Usage {
        prompt: usage["input_tokens"].as_u64()?,
        completion: count(&usage["output_tokens"]),
        cached: count(&usage["input_tokens_details"]["cached_tokens"]),
        written: count(&usage["input_tokens_details"]["cache_write_tokens"]),
        reasoning: count(&usage["output_tokens_details"]["reasoning_tokens"]),
        cost: usage["cost"].as_f64(),
    })
}

pub fn ask(body: &Value) -> Ask {
    let mut ask = Ask::default();
    ask.say(Role::System, Item::Text(body["instructions"].as_str().unwrap_or_default().to_owned()));
    if let Some(words) = body["input"].as_str() {
        ask.say(Role::User, Item::Text(words.to_owned()));
    }
    for item in list(&body["input"]) {
        let of = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
        match item["type"].as_str().unwrap_or("message") {
            "message" => {
                let role = match item["role"].as_str() {
                    Some("system" | "developer") => Role::System,
                    Some("assistant") => Role::Assistant,
                    _ => Role::User,
                };
                match &item["content"] {
                    Value::String(words) => ask.say(role, Item::Text(words.clone())),
                    parts => list(parts).iter().filter_map(part).for_each(|item| ask.say(role, item)),
                }
            }
            "function_call" => {
                let text = item["arguments"].as_str().unwrap_or("{}");
                let args = serde_json::from_str(text).unwrap_or_else(|_| text.into());
                ask.turns.push((Role::Assistant, Item::Call { id: of("call_id"), name: of("name"), args }));
            }
            "custom_tool_call" => {
                let args = json!({ "input": item["input"] });
                ask.turns.push((Role::Assistant, Item::Call { id: of("call_id"), name: of("name"), args }));
            }
            "function_call_output" | "custom_tool_call_output" => {
                let id = of("call_id");
                let name = ask.name_of(&id);
                ask.turns.push((Role::User, Item::Result { id, name, text: joined(&item["output"]) }));
            }
            _ => {}
        }
    }
    let functions = list(&body["tools"]).iter().filter(|t| t["type"] == "function");
    ask.tools = functions.map(|t| tool(t, "parameters")).collect();
    ask.max_tokens = body["max_output_tokens"].as_u64();
    ask.stop = super::ask::strings(&body["stop"]);
    ask.temperature = body.get("temperature").filter(|t| !t.is_null()).cloned();
    ask.thinks = body["reasoning"]["effort"].as_str().is_some_and(|effort| effort != "none");
    let asked = list(&body["include"]).iter().any(|name| name == "message.output_text.logprobs");
    ask.logprobs = asked.then(|| body["top_logprobs"].as_u64().unwrap_or(0));
    ask
}

fn part(part: &Value) -> Option<Item> {
    Some(match part["type"].as_str()? {
        "input_text" | "output_text" | "text" => Item::Text(part["text"].as_str()?.to_owned()),
        "input_image" => Item::Image(text(&part["image_url"])?.to_owned()),
        "input_audio" => Item::File {
            mime: format!("audio/{}", part["input_audio"]["format"].as_str()?),
            data: part["input_audio"]["data"].as_str()?.to_owned(),
        },
        "input_file" => {
            let (mime, data) = data_url(part["file_data"].as_str()?)?;
            Item::File { mime: mime.to_owned(), data: data.to_owned() }
        }
        _ => return None,
    })
}

pub fn spell(ask: &Ask, model: &str, stream: bool) -> Value {
    let mut input: Vec<Value> = Vec::new();
    for (role, item) in &ask.turns {
        let (name, kind) = match role {
            Role::System => ("system", "input_text"),
            Role::User => ("user", "input_text"),
            Role::Assistant => ("assistant", "output_text"),
        };
        let part = match item {
            Item::Text(words) => json!({"type": kind, "text": words}),
            Item::Image(url) => json!({"type": "input_image", "image_url": url, "detail": "auto"}),
            Item::File { mime, data } => match mime.strip_prefix("audio/") {
                Some(format) => json!({"type": "input_audio", "input_audio": {"data": data, "format": format}}),
                None => {
                    json!({"type": "input_file", "filename": "a.pdf", "file_data": format!("data:{mime};base64,{data}")})
                }
            },
            Item::Call { id, name, args } => {
                input
                    .push(json!({"type": "function_call", "call_id": id, "name": name, "arguments": args.to_string()}));
                continue;
            }
            Item::Result { id, text, .. } => {
                input.push(json!({"type": "function_call_output", "call_id": id, "output": text}));
                continue;
            }
        };
        match input.last_mut().filter(|last| last["role"] == name) {
            Some(last) => super::ask::push(last, "content", part),
            None => input.push(json!({"type": "message", "role": name, "content": [part]})),
        }
    }
    let mut body = json!({"model": model, "stream": stream, "input": input, "store": false});
    let functions: Vec<Value> = ask
        .tools
        .iter()
        .map(|t| json!({"type": "function", "name": t.name, "description": t.description, "parameters": t.schema, "strict": false}))
        .collect();
    put(&mut body, "tools", Some(functions).filter(|t| !t.is_empty()).map(Value::from));
    put(&mut body, "max_output_tokens", ask.max_tokens.map(Value::from));
    put(&mut body, "stop", Some(ask.stop.clone()).filter(|s| !s.is_empty()).map(Value::from));
    put(&mut body, "temperature", ask.temperature.clone());
    put(&mut body, "reasoning", ask.thinks.then(|| json!({"effort": "medium", "summary": "auto"})));
    if ask.thinks {
        put(&mut body, "include", Some(json!(["reasoning.encrypted_content"])));
    }
    if let Some(top) = ask.logprobs {
        put(&mut body, "include", Some(json!(["message.output_text.logprobs"])));
        put(&mut body, "top_logprobs", Some(top.into()));
    }
    body
}

/// The items of a reply, as a client keeps them.
pub fn items(got: &Got, stream: bool) -> Vec<Value> {
    if !stream {
        return list(&got.json()["output"]).to_vec();
    }
    let ends = |event: &Value| event["type"] == "response.completed" || event["type"] == "response.incomplete";
    let events = read::values(&got.body).into_iter().take_while(|event| !ends(event));
    let done = events.filter(|event| event["type"] == "response.output_item.done");
    let mut items: Vec<(u64, Value)> =
        done.map(|e| (e["output_index"].as_u64().unwrap_or(0), e["item"].clone())).collect();
    items.sort_by_key(|(index, _)| *index);
    items.into_iter().map(|(_, item)| item).collect()
}

/// What was sealed must come back sealed alike, and before what it belongs to.
pub fn sealed(response: &slip_sim::case::CaseResponse, sent: &Value, out: &mut Differences) {
    let own = Got { status: 200, headers: http::HeaderMap::new(), body: response.body.clone() };
    let line = |items: &[Value]| -> Vec<String> {
        let kept = items.iter().filter_map(|item| match item["type"].as_str() {
            Some("reasoning") => text(&item["encrypted_content"]).map(|seal| format!("seal {seal:.80}")),
            Some("function_call") => Some(format!("call {}", item["name"])),
            _ => None,
        });
        kept.collect()
    };
    let (want, got) = (line(&items(&own, response.stream)), line(list(&sent["input"])));
    if want != got {
        out.say("history.seals", format!("{want:?} became {got:?}"));
    }
}

fn need(out: &mut Differences, check: &str, holds: bool, seen: &Value) {
    if !holds {
        out.say(&format!("form.{check}"), seen.to_string().chars().take(400).collect::<String>());
    }
}

/// What the strictest client insists on in a response.
const REQUIRED: [&str; 18] = [
    "completed_at",
    "created_at",
    "error",
    "frequency_penalty",
    "id",
    "incomplete_details",
    "instructions",
    "metadata",
    "model",
    "object",
    "output",
    "parallel_tool_calls",
    "presence_penalty",
    "status",
    "temperature",
    "tool_choice",
    "tools",
    "top_p",
];

pub fn form(body: &Value, id: &str, out: &mut Differences) {
    for name in REQUIRED {
        need(out, name, body.get(name).is_some(), body);
    }
    need(out, "id", body["id"] == id && id.starts_with("gen-"), &body["id"]);
    need(out, "object", body["object"] == "response" && body["created_at"].is_u64(), body);
    need(out, "model", text(&body["model"]).is_some_and(|m| m.starts_with("replay/")), &body["model"]);
    need(out, "store", body["store"] == false && body["previous_response_id"].is_null(), body);
    for item in list(&body["output"]) {
        need(out, "item", is_item(item), item);
    }
    let ids: Vec<&str> = list(&body["output"]).iter().filter_map(|item| text(&item["id"])).collect();
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    need(out, "item.ids", ids.len() == unique.len(), &json!(ids));
    if body["status"] != "in_progress" {
        let usage = &body["usage"];
        let sum = usage["input_tokens"].as_u64().zip(usage["output_tokens"].as_u64()).map(|(i, o)| i + o);
        need(out, "usage.total", sum.is_some() && sum == usage["total_tokens"].as_u64(), usage);
        need(out, "usage.cached", usage["input_tokens_details"]["cached_tokens"].is_u64(), usage);
        need(out, "usage.reasoning", usage["output_tokens_details"]["reasoning_tokens"].is_u64(), usage);
        need(out, "usage.cost", usage["cost"].is_number() && usage["is_byok"].is_boolean(), usage);
        let cost = &usage["cost_details"];
        let split =
            cost["upstream_inference_input_cost"].is_number() && cost["upstream_inference_output_cost"].is_number();
        need(out, "usage.cost_details", split, usage);
    }
}

fn is_item(item: &Value) -> bool {
    let identified = text(&item["id"]).is_some();
    match item["type"].as_str() {
        Some("message") => {
            let whole = |part: &Value| match part["type"].as_str() {
                Some("output_text") => part["text"].is_string() && part["annotations"].is_array(),
                Some("refusal") => part["refusal"].is_string(),
                _ => false,
            };
            identified && item["role"] == "assistant" && list(&item["content"]).iter().all(whole)
        }
        Some("reasoning") => identified && item["summary"].is_array(),
        Some("function_call") => {
            identified
                && text(&item["call_id"]).is_some()
                && text(&item["name"]).is_some()
                && item["arguments"].is_string()
        }
        Some("custom_tool_call") => identified && text(&item["call_id"]).is_some() && item["input"].is_string(),
        Some("image_generation_call") => identified && text(&item["result"]).is_some(),
        other => other.is_some(),
    }
}

pub fn stream_form(got: &Got, out: &mut Differences) {
    let body = got.text();
    let odd = body.lines().find(|l| !(l.is_empty() || l.starts_with("data: ") || *l == ": OPENROUTER PROCESSING"));
    need(out, "lines", odd.is_none(), &odd.map_or(Value::Null, Value::from));
    need(out, "done", body.ends_with("data: [DONE]\n\n"), &Value::Null);
    let events = read::values(&got.body);
    let id = got.header("x-generation-id");
    let mut texts: BTreeMap<(u64, String, u64), String> = BTreeMap::new();
    let mut open: BTreeMap<u64, String> = BTreeMap::new();
    let mut closed: BTreeMap<u64, Value> = BTreeMap::new();
    for (at, event) in events.iter().enumerate() {
        need(out, "sequence_number", event["sequence_number"] == at, event);
        let kind = event["type"].as_str().unwrap_or_default();
        match at {
            0 => need(out, "created", kind == "response.created", event),
            1 => need(out, "in_progress", kind == "response.in_progress", event),
            _ => {}
        }
        let index = event["output_index"].as_u64().unwrap_or(u64::MAX);
        let number = event["content_index"].as_u64().or(event["summary_index"].as_u64()).unwrap_or(0);
        match kind {
            "response.created" | "response.in_progress" => {
                form(&event["response"], id, out);
                need(out, "early.usage", event["response"].get("usage").is_none(), event);
            }
            "response.output_item.added" => {
                need(out, "item.added", index == (open.len() + closed.len()) as u64, event);
                open.insert(index, event["item"]["id"].as_str().unwrap_or_default().to_owned());
            }
            "response.output_item.done" => {
                let known = open.remove(&index);
                need(
                    out,
                    "item.done",
                    known.as_deref() == Some(event["item"]["id"].as_str().unwrap_or_default()),
                    event,
                );
                closed.insert(index, event["item"].clone());
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                need(out, "last", at + 1 == events.len() && open.is_empty(), event);
                if kind != "response.failed" {
                    form(&event["response"], id, out);
                    let output: Vec<Value> = closed.values().cloned().collect();
                    need(out, "output", event["response"]["output"] == Value::from(output), event);
                }
            }
            "error" => need(out, "error", event["error"]["message"].is_string() && event["code"].is_string(), event),
            _ => {
                let named = open.get(&index).is_some_and(|id| event["item_id"] == id.as_str());
                need(out, "item_id", named, event);
                let part = kind.trim_start_matches("response.");
                if let Some(part) = part.strip_suffix(".delta") {
                    let piece = event["delta"].as_str().unwrap_or_default();
                    texts.entry((index, part.to_owned(), number)).or_default().push_str(piece);
                }
                if let Some(part) = part.strip_suffix(".done") {
                    let whole = ["text", "refusal", "arguments", "input"].iter().find_map(|name| event[*name].as_str());
                    let told = texts.get(&(index, part.to_owned(), number)).map(String::as_str);
                    let bare = told.is_none() && matches!(whole, Some("" | "{}"));
                    need(out, "deltas", whole.is_none() || whole == told || bare, event);
                }
            }
        }
    }
    let ended = events.last().and_then(|e| e["type"].as_str());
    let ends = ["response.completed", "response.incomplete", "response.failed"];
    need(out, "ending", ended.is_some_and(|kind| ends.contains(&kind)), &Value::from(ended));
}
