//! Bedrock's words for the oracle: frames, requests, replies and what strict clients refuse. Plain JSON and a frame reader of its
//! own: nothing is shared with the code it checks.

use super::Differences;
use super::ask::{Ask, Item, Role, Tool};
use super::said::{Said, Usage, list, text};
use crate::harness::Got;
use serde_json::{Value, json};
use slip_sim::Case;
use std::collections::BTreeMap;

// --- frames ---

/// Name and payload of each of Amazon's messages.
pub fn frames(mut body: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut out = Vec::new();
    let number = |bytes: &[u8]| bytes.first_chunk::<4>().map(|n| u32::from_be_bytes(*n) as usize);
    while let Some(total) = number(body).filter(|total| (16..=body.len()).contains(total)) {
        let (message, rest) = body.split_at(total);
        if number(&message[total - 4..]) != Some(crc32(&message[..total - 4]) as usize) {
            break;
        }
        body = rest;
        let headers = number(&message[4..]).unwrap_or_default();
        let (mut headers, payload) = message[12..total - 4].split_at(headers);
        let mut name = String::new();
        while let Some((length, rest)) = headers.split_first() {
            let (header, rest) = rest.split_at(usize::from(*length));
            let length = usize::from(u16::from_be_bytes([rest[1], rest[2]]));
            if header.ends_with(b"-type") && !header.starts_with(b":content") && !header.starts_with(b":message") {
                name = String::from_utf8_lossy(&rest[3..3 + length]).into_owned();
            }
            headers = &rest[3 + length..];
        }
        out.push((name, payload.to_vec()));
    }
    out
}

pub fn frame(name: &str, payload: &str) -> Vec<u8> {
    let exception = name.ends_with("Exception");
    let kind = if exception { "exception" } else { "event" };
    let mut headers = Vec::new();
    for (header, value) in [
        (if exception { ":exception-type" } else { ":event-type" }, name),
        (":content-type", "application/json"),
        (":message-type", kind),
    ] {
        headers.push(header.len() as u8);
        headers.extend(header.bytes());
        headers.push(7);
        headers.extend((value.len() as u16).to_be_bytes());
        headers.extend(value.bytes());
    }
    let mut out = Vec::new();
    out.extend(((16 + headers.len() + payload.len()) as u32).to_be_bytes());
    out.extend((headers.len() as u32).to_be_bytes());
    out.extend(crc32(&out).to_be_bytes());
    out.extend(headers);
    out.extend(payload.bytes());
    out.extend(crc32(&out).to_be_bytes());
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0u32, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

/// Whether a body is of such frames: no text begins with the length of a frame.
pub fn is_framed(body: &[u8]) -> bool {
    body.first() == Some(&0)
}

/// Each event as an object of one member, its name; what is inside a `chunk` as it is.
pub fn values(body: &[u8]) -> Vec<Value> {
    let value = |(name, payload): (String, Vec<u8>)| {
        let payload: Value = serde_json::from_slice(&payload).ok()?;
        if name != "chunk" {
            return Some(json!({ name: payload }));
        }
        serde_json::from_slice(&super::base64(payload["bytes"].as_str()?)?).ok()
    };
    frames(body).into_iter().filter_map(value).collect()
}

/// Change the JSON of every message.
pub fn each(body: &[u8], change: impl Fn(&mut Value), write: impl Fn(&Value) -> String) -> Vec<u8> {
    let rewrite = |(name, payload): (String, Vec<u8>)| {
        let Ok(mut value) = serde_json::from_slice::<Value>(&payload) else { return Vec::new() };
        let inner =
            value["bytes"].as_str().and_then(super::base64).and_then(|b| serde_json::from_slice::<Value>(&b).ok());
        match inner.filter(|_| name == "chunk") {
            Some(mut inner) => {
                change(&mut inner);
                chunk(&write(&inner))
            }
            None => {
                change(&mut value);
                frame(&name, &write(&value))
            }
        }
    };
    frames(body).into_iter().flat_map(rewrite).collect()
}

/// One event of Anthropic's inside one of Amazon's.
pub fn chunk(event: &str) -> Vec<u8> {
    frame("chunk", &json!({"bytes": super::to_base64(event), "p": "abcdef"}).to_string())
}

// --- replies ---

/// A whole reply, or the events of a stream, gathered into one.
fn gathered(parts: &[Value]) -> Value {
    if let [whole] = parts
        && whole["output"].is_object()
    {
        return whole.clone();
    }
    let mut blocks: BTreeMap<u64, Value> = BTreeMap::new();
    let mut reply = json!({});
    let add = |into: &mut Value, more: &Value| {
        if let Some(more) = more.as_str() {
            *into = (into.as_str().unwrap_or_default().to_owned() + more).into();
        }
    };
    for part in parts {
        let Some((name, event)) = part.as_object().and_then(|o| o.iter().next()) else { continue };
        let block = event["contentBlockIndex"].as_u64().map(|index| blocks.entry(index).or_insert_with(|| json!({})));
        match (name.as_str(), block) {
            ("contentBlockStart", Some(block)) => *block = event["start"].clone(),
            ("contentBlockDelta", Some(block)) => {
                let delta = &event["delta"];
                if delta["text"].is_string() {
                    add(&mut block["text"], &delta["text"]);
                }
                if delta["toolUse"].is_object() {
                    add(&mut block["toolUse"]["input"], &delta["toolUse"]["input"]);
                }
                if delta["toolResult"].is_array() {
                    block["toolResult"]["content"] = delta["toolResult"].clone();
                }
                for member in ["text", "signature"] {
                    if delta["reasoningContent"][member].is_string() {
                        add(
                            &mut block["reasoningContent"]["reasoningText"][member],
                            &delta["reasoningContent"][member],
                        );
                    }
                }
                if delta["reasoningContent"]["redactedContent"].is_string() {
                    block["reasoningContent"] = delta["reasoningContent"].clone();
                }
                if delta["image"].is_object() {
                    block["image"]["source"] = delta["image"]["source"].clone();
                }
                if delta["citation"].is_object() {
                    let mut all = list(&block["citations"]).to_vec();
                    all.push(delta["citation"].clone());
                    block["citations"] = all.into();
                }
            }
            ("messageStop", _) => {
                reply["stopReason"] = event["stopReason"].clone();
            }
            ("metadata", _) => reply["usage"] = event["usage"].clone(),
            (name, _) if name.ends_with("Exception") => reply["fault"] = event["message"].clone(),
            _ => {}
        }
    }
    let whole = |mut block: Value| {
        if let Some(input) = block["toolUse"]["input"].as_str() {
            block["toolUse"]["input"] = serde_json::from_str(input).unwrap_or_else(|_| json!({}));
        } else if block["toolUse"].is_object() {
            block["toolUse"]["input"] = json!({});
        }
        if let Some(members) = block.as_object_mut() {
            members.retain(|_, value| !value.is_null());
        }
        if block["citations"].is_array() {
            return json!({"citationsContent": {"content": [{"text": block["text"]}], "citations": block["citations"]}});
        }
        if let Some(members) = block.as_object_mut() {
            members.retain(|_, value| !value.is_null());
        }
        block
    };
    reply["output"]["message"]["content"] = blocks.into_values().map(whole).collect();
    reply
}

pub fn read(parts: &[Value]) -> Said {
    let reply = gathered(parts);
    let mut said = Said { usage: usage(&reply["usage"]), ..Said::default() };
    said.fault = text(&reply["fault"]).map(str::to_owned);
    let choice = said.choice(0);
    for block in list(&reply["output"]["message"]["content"]) {
        choice.text.push_str(block["text"].as_str().unwrap_or_default());
        let cited = &block["citationsContent"];
        list(&cited["content"]).iter().for_each(|part| choice.text.push_str(part["text"].as_str().unwrap_or_default()));
        for citation in list(&cited["citations"]) {
            match text(&citation["location"]["web"]["url"]).or_else(|| text(&citation["source"])) {
                Some(url) => choice.cite(url),
                None => {
                    choice.places += 1;
                    choice.cited += 1;
                }
            }
        }
        let reasoning = &block["reasoningContent"];
        choice.reasoning.push_str(reasoning["reasoningText"]["text"].as_str().unwrap_or_default());
        choice.seal(&reasoning["reasoningText"]["signature"]);
        choice.seal(&reasoning["redactedContent"]);
        let call = &block["toolUse"];
        if call.is_object() && call["type"] != "server_tool_use" {
            let of = |name: &str| call[name].as_str().unwrap_or_default().to_owned();
            let (id, name, args) = (of("toolUseId"), of("name"), call["input"].to_string());
            choice.calls.push(super::said::Call { id, name, args, old: false });
        }
        if let Some(bytes) = text(&block["image"]["source"]["bytes"]) {
            let format = block["image"]["format"].as_str().unwrap_or_default();
            choice.images.push(format!("data:image/{format};base64,{bytes}"));
        }
    }
    choice.native = text(&reply["stopReason"]).map(str::to_owned);
    choice.finish = reply["stopReason"].as_str().map(|word| {
        let word = match word {
            "max_tokens" | "model_context_window_exceeded" => "length",
            "tool_use" => "tool_calls",
            "guardrail_intervened" | "content_filtered" => "content_filter",
            "malformed_model_output" | "malformed_tool_use" => "error",
            _ => "stop",
        };
        word.to_owned()
    });
    said
}

/// What was read from or written to the cache is beside `inputTokens`; reasoning is not told apart.
fn usage(usage: &Value) -> Option<Usage> {
    let count = |name: &str| usage[name].as_u64().unwrap_or(0);
    usage["inputTokens"].as_u64().or(usage["outputTokens"].as_u64())?;
    let (cached, written) = (count("cacheReadInputTokens"), count("cacheWriteInputTokens"));
    Some(Usage {
        prompt: count("inputTokens") + cached + written,
        completion: count("outputTokens"),
        cached,
        written,
        reasoning: 0,
        cost: usage["cost"].as_f64(),
    })
}

/// The assistant's message as a client keeps it.
pub fn turn(got: &Got, stream: bool) -> Value {
    let parts = if stream { values(&got.body) } else { vec![got.json()] };
    json!({"role": "assistant", "content": gathered(&parts)["output"]["message"]["content"]})
}

/// The same reply as a stream.
pub fn stream(reply: &Value) -> Option<Vec<u8>> {
    let mut out = frame("messageStart", r#"{"role":"assistant","p":"abc"}"#);
    let mut send = |name: &str, event: Value| out.extend(frame(name, &event.to_string()));
    for (index, block) in list(&reply["output"]["message"]["content"]).iter().enumerate() {
        let mut delta =
            |delta: Value| send("contentBlockDelta", json!({"contentBlockIndex": index, "delta": delta, "p": "ab"}));
        let chars = |value: &Value| {
            let chars: Vec<char> = value.as_str().unwrap_or_default().chars().collect();
            chars.chunks(7).map(|piece| piece.iter().collect::<String>()).collect::<Vec<_>>()
        };
        chars(&block["text"]).into_iter().for_each(|piece| delta(json!({ "text": piece })));
        for part in list(&block["citationsContent"]["content"]) {
            chars(&part["text"]).into_iter().for_each(|piece| delta(json!({ "text": piece })));
        }
        list(&block["citationsContent"]["citations"]).iter().for_each(|c| delta(json!({ "citation": c })));
        let reasoning = &block["reasoningContent"];
        if reasoning["redactedContent"].is_string() {
            delta(json!({ "reasoningContent": reasoning }));
        }
        let thought = &reasoning["reasoningText"];
        chars(&thought["text"]).into_iter().for_each(|piece| delta(json!({"reasoningContent": {"text": piece}})));
        if thought["signature"].is_string() {
            delta(json!({"reasoningContent": {"signature": thought["signature"]}}));
        }
        for kind in ["toolUse", "toolResult"] {
            let Some(members) = block[kind].as_object() else { continue };
            let mut start = members.clone();
            let (input, content) = (start.remove("input"), start.remove("content"));
            send("contentBlockStart", json!({"contentBlockIndex": index, "start": {kind: start}}));
            let mut delta =
                |delta: Value| send("contentBlockDelta", json!({"contentBlockIndex": index, "delta": delta}));
            for piece in input.iter().flat_map(|input| chars(&Value::from(input.to_string()))) {
                delta(json!({"toolUse": {"input": piece}}));
            }
            content.into_iter().for_each(|content| delta(json!({ "toolResult": content })));
        }
        send("contentBlockStop", json!({ "contentBlockIndex": index }));
    }
    send("messageStop", json!({"stopReason": reply["stopReason"]}));
    send("metadata", json!({"usage": reply["usage"], "metrics": {"latencyMs": 7}}));
    Some(out)
}

// --- requests ---

pub fn from(body: &Value) -> Ask {
    let mut ask = Ask::default();
    for block in list(&body["system"]) {
        ask.say(Role::System, Item::Text(block["text"].as_str().unwrap_or_default().to_owned()));
    }
    for message in list(&body["messages"]) {
        let role = if message["role"] == "assistant" { Role::Assistant } else { Role::User };
        for block in list(&message["content"]) {
            let of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let cited =
                list(&block["citationsContent"]["content"]).iter().map(|part| of(&part["text"])).collect::<String>();
            for words in [of(&block["text"]), of(&block["guardContent"]["text"]["text"]), cited] {
                ask.say(role, Item::Text(words));
            }
            let (image, document, audio) = (&block["image"], &block["document"], &block["audio"]);
            if let Some(data) = text(&image["source"]["bytes"]) {
                ask.say(role, Item::Image(format!("data:image/{};base64,{data}", of(&image["format"]))));
            }
            if let Some(data) = text(&document["source"]["bytes"]) {
                ask.say(role, Item::File { mime: mime(&of(&document["format"])).to_owned(), data: data.to_owned() });
            }
            if let Some(data) = text(&audio["source"]["bytes"]) {
                ask.say(role, Item::File { mime: format!("audio/{}", of(&audio["format"])), data: data.to_owned() });
            }
            let call = &block["toolUse"];
            if call.is_object() && call["type"] != "server_tool_use" {
                let (id, name) = (of(&call["toolUseId"]), of(&call["name"]));
                ask.turns.push((role, Item::Call { id, name, args: call["input"].clone() }));
            }
            let result = &block["toolResult"];
            if result.is_object() && role == Role::User {
                let id = of(&result["toolUseId"]);
                let name = ask.name_of(&id);
                let part = |part: &Value| match &part["json"] {
                    Value::Null => of(&part["text"]),
                    json => json.to_string(),
                };
                let text = list(&result["content"]).iter().map(part).collect();
                ask.turns.push((role, Item::Result { id, name, text }));
            }
        }
    }
    for tool in list(&body["toolConfig"]["tools"]).iter().map(|tool| &tool["toolSpec"]).filter(|spec| spec.is_object())
    {
        let of = |name: &str| tool[name].as_str().unwrap_or_default().to_owned();
        let schema = tool["inputSchema"]["json"].clone();
        ask.tools.push(Tool { name: of("name"), description: of("description"), schema });
    }
    let config = &body["inferenceConfig"];
    ask.max_tokens = config["maxTokens"].as_u64();
    ask.stop = list(&config["stopSequences"]).iter().filter_map(Value::as_str).map(str::to_owned).collect();
    ask.temperature = config.get("temperature").filter(|t| !t.is_null()).cloned();
    let thinking = &body["additionalModelRequestFields"]["thinking"]["type"];
    ask.thinks = matches!(thinking.as_str(), Some("enabled" | "adaptive"));
    ask
}

const DOCUMENTS: [(&str, &str); 5] = [
    ("pdf", "application/pdf"),
    ("csv", "text/csv"),
    ("html", "text/html"),
    ("md", "text/markdown"),
    ("txt", "text/plain"),
];

fn mime(format: &str) -> &'static str {
    DOCUMENTS.iter().find(|(name, _)| *name == format).map_or("text/plain", |(_, mime)| mime)
}

pub fn to(ask: &Ask) -> Value {
    let mut system = Vec::new();
    let mut messages: Vec<Value> = Vec::new();
    for (number, (role, item)) in ask.turns.iter().enumerate() {
        let bytes = |data: &str| json!({ "bytes": data });
        let block = match item {
            Item::Text(words) => json!({ "text": words }),
            Item::Image(url) => match url.strip_prefix("data:image/").and_then(|rest| rest.split_once(";base64,")) {
                Some((format, data)) => {
                    json!({"image": {"format": format.replace("jpg", "jpeg"), "source": bytes(data)}})
                }
                // There is no way to send an address.
                None => continue,
            },
            Item::File { data, .. } if data.contains(":/") => continue,
            Item::File { mime, data } => {
                match (mime.strip_prefix("audio/"), DOCUMENTS.iter().find(|(_, known)| known == mime)) {
                    (Some(format), _) => json!({"audio": {"format": format, "source": bytes(data)}}),
                    (None, Some((format, _))) => {
                        json!({"document": {"format": format, "name": format!("a-{number}"), "source": bytes(data)}})
                    }
                    (None, None) => continue,
                }
            }
            Item::Call { id, name, args } => json!({"toolUse": {"toolUseId": id, "name": name, "input": args}}),
            Item::Result { id, text, .. } => json!({"toolResult": {"toolUseId": id, "content": [{"text": text}]}}),
        };
        let name = match role {
            Role::System => {
                system.push(block);
                continue;
            }
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        match messages.last_mut().filter(|last| last["role"] == name) {
            Some(last) => last["content"].as_array_mut().expect("it was made a list").push(block),
            None => messages.push(json!({"role": name, "content": [block]})),
        }
    }
    let mut body = json!({ "messages": messages });
    if !system.is_empty() {
        body["system"] = system.into();
    }
    if !ask.tools.is_empty() {
        let tool = |t: &Tool| {
            let mut spec = json!({"name": t.name, "inputSchema": {"json": t.schema}});
            if !t.description.is_empty() {
                spec["description"] = t.description.clone().into();
            }
            json!({ "toolSpec": spec })
        };
        body["toolConfig"] = json!({"tools": ask.tools.iter().map(tool).collect::<Vec<_>>()});
    }
    let mut config = json!({});
    if let Some(most) = ask.max_tokens {
        config["maxTokens"] = most.into();
    }
    if !ask.stop.is_empty() {
        config["stopSequences"] = ask.stop.clone().into();
    }
    if let Some(temperature) = &ask.temperature {
        config["temperature"] = temperature.clone();
    }
    body["inferenceConfig"] = config;
    if ask.thinks {
        body["additionalModelRequestFields"] = json!({"thinking": {"type": "enabled", "budget_tokens": 1024}});
    }
    body
}

/// The results of these calls.
pub fn result(id: &str) -> Value {
    json!({"toolResult": {"toolUseId": id, "content": [{"text": "fine"}], "status": "success"}})
}

/// Reasoning, byte for byte and in its order, before everything else.
pub fn seals(response: &slip_sim::case::CaseResponse, sent: &Value, out: &mut Differences) {
    let sealed = |content: &Value| -> Vec<Value> {
        // Reasoning that nobody signed is not sent back.
        let is_sealed = |r: &&Value| r["redactedContent"].is_string() || r["reasoningText"]["signature"].is_string();
        list(content).iter().map(|block| &block["reasoningContent"]).filter(is_sealed).cloned().collect()
    };
    let own = Got { status: 200, headers: http::HeaderMap::new(), body: response.body.clone() };
    let want = sealed(&turn(&own, response.stream)["content"]);
    let message = list(&sent["messages"]).iter().find(|m| m["role"] == "assistant").cloned().unwrap_or_default();
    let got = sealed(&message["content"]);
    if want != got {
        let show = |v: &[Value]| v.iter().map(|v| format!("{:.120}", v.to_string())).collect::<Vec<_>>();
        out.say("history.seals", format!("{:?} became {:?}", show(&want), show(&got)));
    }
}

// --- form ---

/// What boto3 and the other SDKs need of a reply.
pub fn form(stream: bool, got: &Got, out: &mut Differences) {
    let mut need = |check: &str, holds: bool, seen: &Value| {
        if !holds {
            out.say(&format!("form.{check}"), seen.to_string().chars().take(400).collect::<String>());
        }
    };
    let whole_usage =
        |usage: &Value| ["inputTokens", "outputTokens", "totalTokens"].iter().all(|name| usage[*name].is_u64());
    let one_member = |block: &Value| block.as_object().is_some_and(|members| members.len() == 1);
    if !stream {
        let body = got.json();
        let message = &body["output"]["message"];
        need("message", message["role"] == "assistant" && message["content"].is_array(), &body);
        need("blocks", list(&message["content"]).iter().all(one_member), message);
        need("stopReason", body["stopReason"].is_string(), &body);
        need("usage", whole_usage(&body["usage"]), &body["usage"]);
        need("metrics", body["metrics"]["latencyMs"].is_u64(), &body);
        return;
    }
    let events = frames(&got.body);
    let total: usize = events.iter().map(|(name, payload)| frame(name, &String::from_utf8_lossy(payload)).len()).sum();
    need("frames", total > 0, &Value::from(got.body.len()));
    let (mut open, mut next, mut stopped) = (None, 0, false);
    for (at, (name, payload)) in events.iter().enumerate() {
        let event: Value = serde_json::from_slice(payload).unwrap_or_default();
        let index = event["contentBlockIndex"].as_u64();
        match name.as_str() {
            "messageStart" => need("messageStart", at == 0 && event["role"] == "assistant", &event),
            "contentBlockStart" => {
                need("blocks", open.is_none() && index == Some(next) && one_member(&event["start"]), &event);
                open = index;
            }
            "contentBlockDelta" => {
                let fits = open == index || open.is_none() && index == Some(next);
                need("blocks", fits && one_member(&event["delta"]), &event);
                open = index;
            }
            "contentBlockStop" => {
                need("blocks", index.is_some() && (open == index || open.is_none() && index == Some(next)), &event);
                open = None;
                next += 1;
            }
            "messageStop" => {
                need("messageStop", open.is_none() && !stopped && event["stopReason"].is_string(), &event);
                stopped = true;
            }
            "metadata" => {
                let last = stopped && at + 1 == events.len();
                need(
                    "metadata",
                    last && whole_usage(&event["usage"]) && event["metrics"]["latencyMs"].is_u64(),
                    &event,
                );
            }
            name => need("exception", name.ends_with("Exception") && text(&event["message"]).is_some(), &event),
        }
    }
    let last = events.last().map(|(name, _)| name.as_str()).unwrap_or_default();
    need("ending", last == "metadata" || last.ends_with("Exception"), &Value::from(last));
}

// --- made ---

/// Streams no recording shows: an exception after the first words, a cut inside a message, no counts, a damaged checksum, and
/// Anthropic's events inside Amazon's messages.
pub fn made() -> Vec<Case> {
    let answer = |id: &str, api: &str, status: u16, headers: Value, body: &[u8]| {
        let (stream, framing) = if status == 200 { (true, "eventstream") } else { (false, "json") };
        let body = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, body);
        let value = json!({
            "id": format!("made.bedrock.{id}"), "provider": "made", "api": api, "model": "us.anthropic.claude-x-v1:0", "features": [],
            "request": { "recorded": false, "host_recorded": false, "method": "POST", "url": "https://provider.example/model/us.anthropic.claude-x-v1%3A0/x", "headers": {}, "body": null },
            "response": { "status": status, "headers": headers, "stream": stream, "framing": framing, "fidelity": "verbatim", "body": body, "body_encoding": "base64" },
        });
        Case::parse(value.to_string().as_bytes()).expect("it is written as the recordings are")
    };
    let case = |id: &str, api: &str, body: &[u8]| {
        answer(id, api, 200, json!({"content-type": "application/vnd.amazon.eventstream"}), body)
    };
    let failed = |id: &str, api: &str| {
        let headers = json!({"content-type": "application/json", "x-amzn-errortype": "ModelErrorException:http://internal.amazon.com/"});
        answer(id, api, 424, headers, br#"{"message":"the model failed","originalStatusCode":500}"#)
    };
    let words = [
        frame("messageStart", r#"{"role":"assistant","p":"abcd"}"#),
        frame("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"héllo — ☃"},"p":"ab"}"#),
    ]
    .concat();
    let more = frame("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":" it is never said"}}"#);
    let end =
        [frame("contentBlockStop", r#"{"contentBlockIndex":0}"#), frame("messageStop", r#"{"stopReason":"end_turn"}"#)]
            .concat();
    let counts =
        frame("metadata", r#"{"usage":{"inputTokens":7,"outputTokens":3,"totalTokens":10},"metrics":{"latencyMs":1}}"#);
    let throttled = frame("throttlingException", r#"{"message":"Too many requests"}"#);
    let mut damaged = [words.clone(), more.clone()].concat();
    if let Some(last) = damaged.last_mut() {
        *last ^= 1;
    }
    let inside = [
        json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 7, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "well"}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "EuYBCkQ="}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "toolu_bdrk_1", "name": "f", "input": {}}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{\"city\":"}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": " \"Ulm\"}"}}),
        json!({"type": "content_block_stop", "index": 1}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null}, "usage": {"output_tokens": 30}}),
        json!({"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 7, "outputTokenCount": 30}}),
    ];
    let chunks = |events: &[Value]| events.iter().flat_map(|event| chunk(&event.to_string())).collect::<Vec<u8>>();
    let busy = frame("serviceUnavailableException", r#"{"message":"try again"}"#);
    vec![
        failed("model-failed", "converse"),
        failed("invoke-model-failed", "invoke"),
        case("whole", "converse-stream", &[words.clone(), end.clone(), counts].concat()),
        case("uncounted", "converse-stream", &[words.clone(), end].concat()),
        case("throttled-first", "converse-stream", &throttled),
        case("throttled-mid-stream", "converse-stream", &[words.clone(), throttled].concat()),
        case("cut-inside-a-message", "converse-stream", &[words.clone(), more[..more.len() - 10].to_vec()].concat()),
        case("damaged", "converse-stream", &damaged),
        case("invoke-stream", "invoke-stream", &chunks(&inside)),
        case("invoke-stream-busy", "invoke-stream", &[chunks(&inside[..3]), busy].concat()),
        case("invoke-stream-cut", "invoke-stream", &chunks(&inside[..8])),
    ]
}
