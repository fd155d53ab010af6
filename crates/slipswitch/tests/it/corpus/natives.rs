//! The smaller dialects, as surfaces and as providers: legacy completions, Ollama's two doors, Cohere. Each carries less than the
//! others, and what it cannot carry is not compared.

use super::ask::{Ask, Item, Role, Tool};
use super::read;
use super::said::{Call, Said, Usage, list, openai_finish, text};
use super::{Differences, to_base64};
use crate::harness::Got;
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Native {
    Text,
    Ollama,
    Generate,
    Cohere,
}

impl Native {
    pub const ALL: [Native; 4] = [Native::Text, Native::Ollama, Native::Generate, Native::Cohere];

    pub fn of(api: &str, path: &str) -> Option<Native> {
        match api {
            "completions" => Some(Native::Text),
            "ollama.chat" => Some(Native::Ollama),
            "ollama.generate" => Some(Native::Generate),
            // Version 1 is another dialect, and not spoken.
            "cohere.chat" if path.contains("/v2/") => Some(Native::Cohere),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Native::Text => "completions",
            Native::Ollama => "ollama",
            Native::Generate => "ollama-generate",
            Native::Cohere => "cohere",
        }
    }

    pub fn dialect(self) -> &'static str {
        if self == Native::Text { "openai-completions" } else { self.name() }
    }

    pub fn path(self) -> &'static str {
        match self {
            Native::Text => "/api/v1/completions",
            Native::Ollama => "/api/chat",
            Native::Generate => "/api/generate",
            Native::Cohere => "/v2/chat",
        }
    }

    /// A value per line, and no events.
    pub fn in_lines(self) -> bool {
        matches!(self, Native::Ollama | Native::Generate)
    }

    /// One prompt is all there is to say.
    pub fn is_prompt(self) -> bool {
        matches!(self, Native::Text | Native::Generate)
    }

    pub fn stream_type(self) -> &'static str {
        if self.in_lines() { "application/x-ndjson" } else { "text/event-stream" }
    }

    /// The JSON of a stream's messages.
    pub fn values(self, body: &[u8]) -> Vec<Value> {
        match self.in_lines() {
            true => body.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect(),
            false => read::values(body),
        }
    }

    pub fn read(self, parts: &[Value]) -> Said {
        match self {
            Native::Text => completed(parts),
            Native::Ollama | Native::Generate => ollama(parts),
            Native::Cohere => cohere(parts),
        }
    }

    pub fn ask_of(self, body: &Value) -> Ask {
        match self {
            Native::Text => prompted(body, &body["stop"], body["max_tokens"].as_u64(), &body["temperature"]),
            Native::Generate => {
                let options = &body["options"];
                prompted(body, &options["stop"], options["num_predict"].as_u64(), &options["temperature"])
            }
            Native::Ollama => from_ollama(body),
            Native::Cohere => from_cohere(body),
        }
    }

    pub fn body(self, ask: &Ask, model: &str, stream: bool) -> Value {
        let mut body = match self {
            Native::Text => json!({"prompt": last_words(ask)}),
            Native::Generate => {
                let pictures = ask.turns.iter().filter_map(|(_, item)| match item {
                    Item::Image(url) => url.strip_prefix("data:image/png;base64,"),
                    _ => None,
                });
                let pictures: Vec<&str> = pictures.collect();
                let mut body = json!({"prompt": last_words(ask)});
                if !pictures.is_empty() {
                    body["images"] = json!(pictures);
                }
                body
            }
            Native::Ollama => to_ollama(ask),
            Native::Cohere => to_cohere(ask),
        };
        body["model"] = model.into();
        body["stream"] = stream.into();
        let mut put = |to: &str, name: &str, value: Option<Value>| {
            let at = if to.is_empty() { &mut body } else { &mut body[to] };
            if let Some(value) = value {
                at[name] = value;
            }
        };
        let stops = Some(ask.stop.clone()).filter(|stops| !stops.is_empty()).map(Value::from);
        let cap = ask.max_tokens.map(Value::from);
        match self {
            Native::Ollama | Native::Generate => {
                put("options", "num_predict", cap);
                put("options", "stop", stops);
                put("options", "temperature", ask.temperature.clone());
            }
            Native::Text | Native::Cohere => {
                put("", "max_tokens", cap);
                put("", if self == Native::Text { "stop" } else { "stop_sequences" }, stops);
                put("", "temperature", ask.temperature.clone());
            }
        }
        body
    }

    pub fn refused(self, got: &Got, out: &mut Differences) {
        let heard = got.json();
        let told = match self {
            Native::Text => heard["error"]["code"] == got.status && text(&heard["error"]["message"]).is_some(),
            Native::Ollama | Native::Generate => text(&heard["error"]).is_some(),
            Native::Cohere => text(&heard["message"]).is_some(),
        };
        if !told {
            out.say("error.form", heard.to_string());
        }
    }

    /// What is compared of a choice: `(calls, citations)`. Seals and pictures have no place in any of these.
    pub fn carries(self) -> (bool, bool) {
        match self {
            Native::Text | Native::Generate => (false, false),
            Native::Ollama => (true, false),
            Native::Cohere => (true, true),
        }
    }

    /// A reply as it came: one value, or the messages of its stream.
    pub fn parts(self, got: &Got, stream: bool) -> Vec<Value> {
        if stream { self.values(&got.body) } else { vec![got.json()] }
    }

    /// The assistant's message as a plain client keeps it.
    pub fn turn(self, said: &Said) -> Value {
        let choice = said.choices.get(&0).cloned().unwrap_or_default();
        let args = |call: &Call| serde_json::from_str::<Value>(&call.args).unwrap_or_default();
        let calls: Vec<Value> = match self {
            Native::Ollama => {
                let call = |c: &Call| json!({"function": {"name": c.name, "arguments": args(c)}});
                choice.calls.iter().map(call).collect()
            }
            _ => {
                let function = |c: &Call| json!({"name": c.name, "arguments": c.args});
                let call = |c: &Call| json!({"id": c.id, "type": "function", "function": function(c)});
                choice.calls.iter().map(call).collect()
            }
        };
        let mut message = json!({"role": "assistant", "content": choice.text});
        if !choice.reasoning.is_empty() && self == Native::Ollama {
            message["thinking"] = choice.reasoning.into();
        }
        if !calls.is_empty() {
            message["tool_calls"] = calls.into();
        }
        message
    }

    /// The same conversation with this turn and what came of its calls.
    pub fn go_on(self, body: &mut Value, turn: &Value, calls: &[Call]) {
        let Some(messages) = body["messages"].as_array_mut() else { return };
        messages.push(turn.clone());
        messages.extend(calls.iter().map(|call| match self {
            Native::Ollama => json!({"role": "tool", "content": "fine", "tool_name": call.name}),
            _ => json!({"role": "tool", "tool_call_id": call.id, "content": "fine"}),
        }));
        if calls.is_empty() {
            messages.push(json!({"role": "user", "content": "go on"}));
        }
    }

    /// The form of a successful answer.
    pub fn check(self, stream: bool, verbatim: bool, got: &Got, out: &mut Differences) {
        let parts = if stream { self.values(&got.body) } else { vec![got.json()] };
        let body = got.text();
        let mut need = |check: &str, holds: bool| {
            if !holds {
                out.say(
                    &format!("form.{check}"),
                    body.chars().rev().take(300).collect::<Vec<_>>().iter().rev().collect::<String>(),
                );
            }
        };
        let last = parts.last().cloned().unwrap_or_default();
        let id = got.header("x-generation-id");
        match self {
            Native::Text => {
                need(
                    "identity",
                    parts
                        .iter()
                        .all(|p| p["id"] == id && p["object"] == "text_completion" && p["provider"].is_string()),
                );
                need("done", !stream || body.ends_with("data: [DONE]\n\n"));
                need("usage", last["usage"]["cost"].is_number() || last["error"].is_object());
                need(
                    "choices",
                    parts
                        .iter()
                        .all(|p| list(&p["choices"]).iter().all(|c| c["text"].is_string() && c["index"].is_u64())),
                );
            }
            Native::Ollama | Native::Generate => {
                need(
                    "lines",
                    !stream
                        || body
                            .lines()
                            .all(|line| line.starts_with('{') && serde_json::from_str::<Value>(line).is_ok()),
                );
                need("done", last["done"] == true || text(&last["error"]).is_some());
                let member = if self == Native::Ollama { "message" } else { "response" };
                let whole = |p: &Value| p["model"].is_string() && p["created_at"].is_string() && !p[member].is_null();
                need("members", parts.iter().all(|p| whole(p) || text(&p["error"]).is_some()));
            }
            Native::Cohere if !stream => {
                need(
                    "members",
                    last["id"].is_string() && last["message"].is_object() && last["finish_reason"].is_string(),
                );
            }
            Native::Cohere => {
                need(
                    "start",
                    parts.first().is_some_and(|p| p["type"] == "message-start" || p["delta"]["error"].is_string()),
                );
                need("end", last["type"] == "message-end" && last["delta"]["finish_reason"].is_string());
                let named = read::events(&got.body).iter().all(|e| {
                    let kind = serde_json::from_str::<Value>(&e.data).ok().map(|v| v["type"].clone());
                    kind.is_none_or(|kind| e.name.as_deref() == kind.as_str())
                });
                need("events", verbatim || named);
            }
        }
    }
}

/// Chunks of text completions, read as chat chunks are.
fn completed(parts: &[Value]) -> Said {
    let mut parts = parts.to_vec();
    for choice in parts.iter_mut().flat_map(|p| p["choices"].as_array_mut().into_iter().flatten()) {
        choice["delta"] = json!({"content": choice["text"], "reasoning": choice["reasoning"]});
        choice["logprobs"] = Value::Null;
    }
    read::chat(&parts)
}

fn ollama(parts: &[Value]) -> Said {
    let mut said = Said::default();
    for part in parts {
        if let Some(error) = text(&part["error"]) {
            said.fault = Some(error.to_owned());
            continue;
        }
        let message = if part["message"].is_object() { &part["message"] } else { part };
        let choice = said.choice(0);
        for name in ["content", "response"] {
            choice.text.push_str(message[name].as_str().unwrap_or_default());
        }
        choice.reasoning.push_str(message["thinking"].as_str().unwrap_or_default());
        for call in list(&message["tool_calls"]) {
            let of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let function = &call["function"];
            let args = function["arguments"].to_string();
            choice.calls.push(Call { id: of(&call["id"]), name: of(&function["name"]), args, old: false });
        }
        if part["done"] == true {
            let word = part["done_reason"].as_str().unwrap_or("stop");
            choice.finish = Some(openai_finish(word, !choice.calls.is_empty()).to_owned());
            choice.native = text(&part["done_reason"]).map(str::to_owned);
            let counts = [&part["prompt_eval_count"], &part["eval_count"]].map(Value::as_u64);
            if counts.iter().any(Option::is_some) {
                let [prompt, completion] = counts.map(Option::unwrap_or_default);
                said.usage = Some(Usage { prompt, completion, ..Usage::default() });
            }
        }
    }
    said
}

fn cohere(parts: &[Value]) -> Said {
    let mut said = Said::default();
    let mut open = false;
    for part in parts {
        let whole = part["message"].is_object();
        let message = if whole { &part["message"] } else { &part["delta"]["message"] };
        let choice = said.choice(0);
        choice.reasoning.push_str(message["tool_plan"].as_str().unwrap_or_default());
        for content in list(&message["content"]).iter().chain(Some(&message["content"]).filter(|c| c.is_object())) {
            choice.text.push_str(content["text"].as_str().unwrap_or_default());
            choice.reasoning.push_str(content["thinking"].as_str().unwrap_or_default());
        }
        for call in list(&message["tool_calls"]).iter().chain(Some(&message["tool_calls"]).filter(|c| c.is_object())) {
            let of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            if whole || part["type"] == "tool-call-start" {
                choice.calls.push(Call { id: of(&call["id"]), name: of(&call["function"]["name"]), ..Call::default() });
                open = true;
            }
            if let Some(last) = choice.calls.last_mut().filter(|_| open) {
                last.args.push_str(call["function"]["arguments"].as_str().unwrap_or_default());
            }
        }
        for citation in list(&message["citations"]).iter().chain(Some(&message["citations"]).filter(|c| c.is_object()))
        {
            for source in list(&citation["sources"]) {
                let inner = if source["document"].is_object() { &source["document"] } else { &source["tool_output"] };
                let id = source["id"].as_str().unwrap_or_default();
                choice.cite(text(&inner["url"]).unwrap_or(&format!("#document-{id}")));
            }
        }
        let end = if whole { part } else { &part["delta"] };
        if let Some(word) = text(&end["finish_reason"]) {
            choice.native = Some(word.to_owned());
            choice.finish = Some(
                match word {
                    "MAX_TOKENS" => "length",
                    "TOOL_CALL" => "tool_calls",
                    "ERROR" | "TIMEOUT" => "error",
                    _ => "stop",
                }
                .to_owned(),
            );
        }
        if let Some(error) = text(&end["error"]) {
            said.fault = Some(error.to_owned());
        }
        let tokens = &end["usage"]["tokens"];
        if let Some(prompt) = tokens["input_tokens"].as_u64() {
            let count = |value: &Value| value.as_u64().unwrap_or(0);
            said.usage = Some(Usage {
                // Pictures are counted beside the text.
                prompt: prompt + count(&tokens["image_tokens"]),
                completion: count(&tokens["output_tokens"]),
                cached: count(&end["usage"]["cached_tokens"]),
                written: 0,
                reasoning: count(&tokens["reasoning_tokens"]),
                cost: end["usage"]["cost"].as_f64(),
            });
        }
    }
    said
}

fn words(value: &Value) -> String {
    match value {
        Value::String(words) => words.clone(),
        parts => list(parts).iter().filter_map(|part| part["text"].as_str()).collect(),
    }
}

fn stops(value: &Value) -> Vec<String> {
    match value {
        Value::String(one) => vec![one.clone()],
        many => list(many).iter().filter_map(Value::as_str).map(str::to_owned).collect(),
    }
}

fn prompted(body: &Value, stop: &Value, max_tokens: Option<u64>, temperature: &Value) -> Ask {
    let said = words(&body["prompt"]);
    let mut turns = if said.is_empty() { Vec::new() } else { vec![(Role::User, Item::Text(said))] };
    let pictures = list(&body["images"]).iter().filter_map(Value::as_str);
    turns.extend(pictures.map(|data| (Role::User, Item::Image(format!("data:image/png;base64,{data}")))));
    let temperature = Some(temperature).filter(|t| !t.is_null()).cloned();
    Ask { turns, max_tokens, stop: stops(stop), temperature, ..Ask::default() }
}

/// The last thing a user said: a prompt holds no more.
fn last_words(ask: &Ask) -> String {
    let last = ask.turns.iter().rev().find_map(|turn| match turn {
        (Role::User, Item::Text(words)) => Some(words.clone()),
        _ => None,
    });
    last.unwrap_or_else(|| "hello out there".to_owned())
}

fn say(turns: &mut Vec<(Role, Item)>, role: Role, said: String) {
    match turns.last_mut() {
        Some((last, Item::Text(before))) if *last == role => before.push_str(&said),
        _ if said.is_empty() => {}
        _ => turns.push((role, Item::Text(said))),
    }
}

fn name_of(turns: &[(Role, Item)], wanted: &str) -> String {
    let found = turns.iter().rev().find_map(|(_, item)| match item {
        Item::Call { id, name, .. } if id == wanted => Some(name.clone()),
        _ => None,
    });
    found.unwrap_or_default()
}

fn role_of(message: &Value) -> Role {
    match message["role"].as_str() {
        Some("system" | "developer") => Role::System,
        Some("assistant") => Role::Assistant,
        _ => Role::User,
    }
}

fn tools_of(body: &Value) -> Vec<Tool> {
    let tool = |tool: &Value| {
        let function = &tool["function"];
        let of = |name: &str| function[name].as_str().unwrap_or_default().to_owned();
        let schema = Some(&function["parameters"]).filter(|schema| schema.is_object()).cloned();
        let schema = schema.unwrap_or_else(|| json!({"type": "object", "properties": {}}));
        Tool { name: of("name"), description: of("description"), schema }
    };
    list(&body["tools"]).iter().map(tool).collect()
}

fn from_ollama(body: &Value) -> Ask {
    let mut turns = Vec::new();
    for message in list(&body["messages"]) {
        let role = role_of(message);
        let of = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
        if message["role"] == "tool" {
            let id = of("tool_call_id");
            let name = text(&message["tool_name"]).map_or_else(|| name_of(&turns, &id), str::to_owned);
            turns.push((Role::User, Item::Result { id, name, text: of("content") }));
            continue;
        }
        say(&mut turns, role, of("content"));
        for image in list(&message["images"]) {
            turns.push((role, Item::Image(format!("data:image/png;base64,{}", image.as_str().unwrap_or_default()))));
        }
        for call in list(&message["tool_calls"]) {
            let of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let function = &call["function"];
            let args = function["arguments"].clone();
            turns.push((role, Item::Call { id: of(&call["id"]), name: of(&function["name"]), args }));
        }
    }
    let options = &body["options"];
    Ask {
        turns,
        tools: tools_of(body),
        max_tokens: options["num_predict"].as_u64(),
        stop: stops(&options["stop"]),
        temperature: Some(&options["temperature"]).filter(|t| !t.is_null()).cloned(),
        thinks: !matches!(body["think"], Value::Null | Value::Bool(false)),
        ..Ask::default()
    }
}

fn functions(ask: &Ask) -> Vec<Value> {
    let function = |t: &Tool| json!({"type": "function", "function": {"name": t.name, "description": t.description, "parameters": t.schema}});
    ask.tools.iter().map(function).collect()
}

/// Calls of one turn stand in one message, and so do words and a picture.
fn together(messages: Vec<Value>) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::new();
    for message in messages {
        let before = out.last_mut().and_then(|last| last["tool_calls"].as_array_mut());
        if let (Some(before), Some(more)) = (before, message["tool_calls"].as_array()) {
            before.extend(more.iter().cloned());
            continue;
        }
        let parts = message["content"].as_array().cloned();
        if let (Some(last), Some(parts)) = (out.last_mut().filter(|last| last["role"] == message["role"]), parts) {
            let words = last["content"].as_str().map(|words| json!({"type": "text", "text": words}));
            last["content"] = words.into_iter().chain(parts).collect();
            continue;
        }
        // Ollama's pictures stand beside the words they belong to.
        match out.last_mut().filter(|last| last["role"] == message["role"] && last["images"].is_null()) {
            Some(last) if message["images"].is_array() => last["images"] = message["images"].clone(),
            _ => out.push(message),
        }
    }
    out
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

fn to_ollama(ask: &Ask) -> Value {
    let mut messages = Vec::new();
    for (role, item) in &ask.turns {
        let name = role_name(*role);
        messages.push(match item {
            Item::Text(words) => json!({"role": name, "content": words}),
            Item::Image(url) => match url.strip_prefix("data:image/png;base64,") {
                Some(data) => json!({"role": name, "content": "", "images": [data]}),
                None => continue,
            },
            Item::File { .. } => continue,
            Item::Call { id, name: called, args } => {
                json!({"role": name, "content": "", "tool_calls": [{"id": id, "function": {"name": called, "arguments": args}}]})
            }
            Item::Result { id, name, text } => {
                json!({"role": "tool", "content": text, "tool_name": name, "tool_call_id": id})
            }
        });
    }
    if messages.is_empty() {
        messages.push(json!({"role": "user", "content": "hello out there"}));
    }
    let mut body = json!({"messages": together(messages)});
    if !ask.tools.is_empty() {
        body["tools"] = functions(ask).into();
    }
    body
}

fn from_cohere(body: &Value) -> Ask {
    let mut turns = Vec::new();
    for message in list(&body["messages"]) {
        let role = role_of(message);
        if message["role"] == "tool" {
            let id = message["tool_call_id"].as_str().unwrap_or_default().to_owned();
            let name = name_of(&turns, &id);
            turns.push((Role::User, Item::Result { id, name, text: words(&message["content"]) }));
            continue;
        }
        say(&mut turns, role, words(&message["content"]));
        for part in list(&message["content"]) {
            if let Some(url) = text(&part["image_url"]["url"]).or(text(&part["image_url"])) {
                turns.push((role, Item::Image(url.to_owned())));
            }
        }
        for call in list(&message["tool_calls"]) {
            let of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let function = &call["function"];
            let args = serde_json::from_str(function["arguments"].as_str().unwrap_or("{}")).unwrap_or_default();
            turns.push((role, Item::Call { id: of(&call["id"]), name: of(&function["name"]), args }));
        }
    }
    for document in list(&body["documents"]) {
        let data = to_base64(document["data"]["text"].as_str().unwrap_or_default());
        turns.push((Role::User, Item::File { mime: "text/plain".into(), data }));
    }
    Ask {
        turns,
        tools: tools_of(body),
        max_tokens: body["max_tokens"].as_u64(),
        stop: stops(&body["stop_sequences"]),
        temperature: Some(&body["temperature"]).filter(|t| !t.is_null()).cloned(),
        thinks: body["thinking"]["type"] == "enabled",
        ..Ask::default()
    }
}

fn to_cohere(ask: &Ask) -> Value {
    let mut messages = Vec::new();
    for (role, item) in &ask.turns {
        let name = role_name(*role);
        messages.push(match item {
            Item::Text(words) => json!({"role": name, "content": words}),
            Item::Image(url) => json!({"role": name, "content": [{"type": "image_url", "image_url": {"url": url}}]}),
            Item::File { .. } => continue,
            Item::Call { id, name: called, args } => {
                let function = json!({"name": called, "arguments": args.to_string()});
                json!({"role": name, "tool_calls": [{"id": id, "type": "function", "function": function}]})
            }
            Item::Result { id, text, .. } => json!({"role": "tool", "tool_call_id": id, "content": text}),
        });
    }
    if messages.is_empty() {
        messages.push(json!({"role": "user", "content": "hello out there"}));
    }
    let mut body = json!({"messages": together(messages)});
    if !ask.tools.is_empty() {
        body["tools"] = functions(ask).into();
    }
    body
}
