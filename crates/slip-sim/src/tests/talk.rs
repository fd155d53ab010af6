//! One conversation in each dialect's words, and the replies in terms all dialects have.

use super::client::{Ended, Got, send};
use crate::Sim;
use serde_json::{Value, json};
use slip_ir::Dialect;

/// One conversation, in each dialect's words.
#[derive(Clone, Default)]
pub struct Talk {
    pub text: &'static str,
    pub model: &'static str,
    pub tools: Vec<(&'static str, Value)>,
    pub force: bool,
    pub schema: Option<Value>,
    pub think: bool,
    pub max_tokens: Option<u64>,
    pub stop: Option<&'static str>,
    pub stream: bool,
}

pub fn talk(text: &'static str) -> Talk {
    Talk { text, model: "sim/echo", ..Talk::default() }
}

pub async fn ask(sim: &Sim, talk: &Talk) -> Got {
    let (path, body) = spell(sim.config().dialect, talk);
    exchange(sim, &path, &body).await
}

pub async fn exchange(sim: &Sim, path: &str, body: &Value) -> Got {
    let headers: &[(&str, &str)] = match sim.config().dialect {
        Dialect::Anthropic => &[("anthropic-version", "2023-06-01")],
        _ => &[],
    };
    send(sim.addr(), "POST", path, headers, body.to_string().as_bytes()).await
}

pub fn spell(dialect: Dialect, talk: &Talk) -> (String, Value) {
    let mut body = json!({});
    let put = |body: &mut Value, name: &str, value: Value| body[name] = value;
    match dialect {
        Dialect::OpenAiChat => {
            body = json!({"model": talk.model, "messages": [{"role": "user", "content": talk.text}], "stream": talk.stream});
            if talk.stream {
                put(&mut body, "stream_options", json!({"include_usage": true}));
            }
            if !talk.tools.is_empty() {
                let tool =
                    |(n, s): &(&str, Value)| json!({"type": "function", "function": {"name": n, "parameters": s}});
                put(&mut body, "tools", talk.tools.iter().map(tool).collect());
            }
            if talk.force {
                put(&mut body, "tool_choice", json!("required"));
            }
            if let Some(schema) = &talk.schema {
                let inner = json!({"name": "doc", "schema": schema});
                put(&mut body, "response_format", json!({"type": "json_schema", "json_schema": inner}));
            }
            if talk.think {
                put(&mut body, "reasoning_effort", json!("low"));
            }
            talk.max_tokens.into_iter().for_each(|n| put(&mut body, "max_tokens", json!(n)));
            talk.stop.into_iter().for_each(|s| put(&mut body, "stop", json!(s)));
            ("/v1/chat/completions".into(), body)
        }
        Dialect::Anthropic => {
            let messages = json!([{"role": "user", "content": talk.text}]);
            body = json!({"model": talk.model, "max_tokens": talk.max_tokens.unwrap_or(9000), "messages": messages, "stream": talk.stream});
            if !talk.tools.is_empty() {
                let tool = |(n, s): &(&str, Value)| json!({"name": n, "input_schema": s});
                put(&mut body, "tools", talk.tools.iter().map(tool).collect());
            }
            if talk.force {
                put(&mut body, "tool_choice", json!({"type": "any"}));
            }
            if let Some(schema) = &talk.schema {
                put(&mut body, "output_config", json!({"format": {"type": "json_schema", "schema": schema}}));
            }
            if talk.think {
                put(&mut body, "thinking", json!({"type": "enabled", "budget_tokens": 1024}));
            }
            talk.stop.into_iter().for_each(|s| put(&mut body, "stop_sequences", json!([s])));
            ("/v1/messages".into(), body)
        }
        Dialect::Gemini => {
            let mut config = json!({});
            if !talk.tools.is_empty() {
                let tool = |(n, s): &(&str, Value)| json!({"name": n, "parametersJsonSchema": s});
                let declared: Value = talk.tools.iter().map(tool).collect();
                put(&mut body, "tools", json!([{"functionDeclarations": declared}]));
            }
            if talk.force {
                put(&mut body, "toolConfig", json!({"functionCallingConfig": {"mode": "ANY"}}));
            }
            if let Some(schema) = &talk.schema {
                put(&mut config, "responseMimeType", json!("application/json"));
                put(&mut config, "responseJsonSchema", schema.clone());
            }
            if talk.think {
                put(&mut config, "thinkingConfig", json!({"includeThoughts": true}));
            }
            talk.max_tokens.into_iter().for_each(|n| put(&mut config, "maxOutputTokens", json!(n)));
            talk.stop.into_iter().for_each(|s| put(&mut config, "stopSequences", json!([s])));
            put(&mut body, "contents", json!([{"role": "user", "parts": [{"text": talk.text}]}]));
            put(&mut body, "generationConfig", config);
            let verb = if talk.stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
            (format!("/v1beta/models/{}:{verb}", talk.model), body)
        }
        Dialect::Bedrock => {
            let mut config = json!({});
            put(&mut body, "messages", json!([{"role": "user", "content": [{"text": talk.text}]}]));
            if !talk.tools.is_empty() {
                let tool = |(n, s): &(&str, Value)| json!({"toolSpec": {"name": n, "inputSchema": {"json": s}}});
                put(&mut body, "toolConfig", json!({"tools": talk.tools.iter().map(tool).collect::<Value>()}));
            }
            if talk.force {
                put(&mut body["toolConfig"], "toolChoice", json!({"any": {}}));
            }
            if let Some(schema) = &talk.schema {
                let inner = json!({"jsonSchema": {"name": "doc", "schema": schema.to_string()}});
                put(&mut body, "outputConfig", json!({"textFormat": {"type": "json_schema", "structure": inner}}));
            }
            if talk.think {
                let thinking = json!({"type": "enabled", "budget_tokens": 1024});
                put(&mut body, "additionalModelRequestFields", json!({ "thinking": thinking }));
            }
            talk.max_tokens.into_iter().for_each(|n| put(&mut config, "maxTokens", json!(n)));
            talk.stop.into_iter().for_each(|s| put(&mut config, "stopSequences", json!([s])));
            put(&mut body, "inferenceConfig", config);
            let method = if talk.stream { "converse-stream" } else { "converse" };
            (format!("/model/{}/{method}", talk.model.replace('/', "%2F")), body)
        }
        other => panic!("how is {other} spelt?"),
    }
}

/// A reply in terms all dialects have.
#[derive(Debug, Default, PartialEq)]
pub struct Said {
    pub text: String,
    pub reasoning: String,
    pub signature: String,
    /// Id, name, arguments.
    pub calls: Vec<(String, String, Value)>,
    pub finish: String,
    /// Prompt, completion, reasoning.
    pub usage: (u64, u64, u64),
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub fn said(dialect: Dialect, got: &Got, stream: bool) -> Said {
    assert_eq!((got.status, got.ended), (200, Ended::Properly), "{}", got.text());
    match (dialect, stream) {
        (Dialect::OpenAiChat, false) => openai(&[got.json()], "message"),
        (Dialect::OpenAiChat, true) => openai(&got.events(), "delta"),
        (Dialect::Anthropic, false) => anthropic(&got.json()),
        (Dialect::Anthropic, true) => anthropic(&anthropic_joined(&got.events())),
        (Dialect::Gemini, false) => gemini(&[got.json()]),
        (Dialect::Gemini, true) => gemini(&got.events()),
        (Dialect::Bedrock, false) => bedrock(&got.json()),
        (Dialect::Bedrock, true) => bedrock(&bedrock_joined(&messages(&got.body))),
        (other, _) => panic!("how is {other} read?"),
    }
}

fn openai(events: &[Value], member: &str) -> Said {
    let mut said = Said::default();
    let mut calls: Vec<(String, String, String)> = Vec::new();
    for event in events {
        if event["usage"].is_object() {
            let usage = &event["usage"];
            let reasoning = number(&usage["completion_tokens_details"]["reasoning_tokens"]);
            said.usage = (number(&usage["prompt_tokens"]), number(&usage["completion_tokens"]), reasoning);
        }
        let choice = &event["choices"][0];
        said.text += text(&choice[member]["content"]);
        said.reasoning += text(&choice[member]["reasoning_content"]);
        for (nth, call) in list(&choice[member]["tool_calls"]).iter().enumerate() {
            let index = call["index"].as_u64().map_or(nth, |i| i as usize);
            if calls.len() <= index {
                calls.resize(index + 1, Default::default());
            }
            calls[index].0 += text(&call["id"]);
            calls[index].1 += text(&call["function"]["name"]);
            calls[index].2 += text(&call["function"]["arguments"]);
        }
        said.finish += text(&choice["finish_reason"]);
    }
    said.calls = calls.into_iter().map(|(i, n, a)| (i, n, serde_json::from_str(&a).unwrap())).collect();
    said
}

/// The message that the events build up.
fn anthropic_joined(events: &[Value]) -> Value {
    let mut message = Value::Null;
    let mut json = String::new();
    for event in events {
        let at = number(&event["index"]) as usize;
        match text(&event["type"]) {
            "message_start" => message = event["message"].clone(),
            "content_block_start" => {
                assert_eq!(list(&message["content"]).len(), at);
                message["content"].as_array_mut().unwrap().push(event["content_block"].clone());
                json.clear();
            }
            "content_block_delta" => {
                let block = &mut message["content"][at];
                for (delta, member) in [("text", "text"), ("thinking", "thinking"), ("signature", "signature")] {
                    if let Some(more) = event["delta"][delta].as_str() {
                        block[member] = (text(&block[member]).to_owned() + more).into();
                    }
                }
                json += text(&event["delta"]["partial_json"]);
            }
            "content_block_stop" if message["content"][at]["type"] == "tool_use" => {
                let input = if json.is_empty() { "{}" } else { &json };
                message["content"][at]["input"] = serde_json::from_str(input).unwrap();
            }
            "message_delta" => {
                message["stop_reason"] = event["delta"]["stop_reason"].clone();
                message["usage"] = event["usage"].clone();
            }
            _ => {}
        }
    }
    assert_eq!(events.last().unwrap()["type"], "message_stop");
    message
}

fn anthropic(message: &Value) -> Said {
    let mut said = Said::default();
    for block in list(&message["content"]) {
        match text(&block["type"]) {
            "text" => said.text += text(&block["text"]),
            "thinking" => {
                said.reasoning += text(&block["thinking"]);
                said.signature += text(&block["signature"]);
            }
            "redacted_thinking" => said.signature += text(&block["data"]),
            "tool_use" => {
                said.calls.push((text(&block["id"]).into(), text(&block["name"]).into(), block["input"].clone()))
            }
            other => panic!("{other}"),
        }
    }
    said.finish = text(&message["stop_reason"]).to_owned();
    let usage = &message["usage"];
    let thought = number(&usage["output_tokens_details"]["thinking_tokens"]);
    said.usage = (number(&usage["input_tokens"]), number(&usage["output_tokens"]), thought);
    said
}

fn gemini(events: &[Value]) -> Said {
    let mut said = Said::default();
    for event in events {
        let candidate = &event["candidates"][0];
        for part in list(&candidate["content"]["parts"]) {
            let into = if part["thought"] == true { &mut said.reasoning } else { &mut said.text };
            *into += text(&part["text"]);
            said.signature += text(&part["thoughtSignature"]);
            if part["functionCall"].is_object() {
                let call = &part["functionCall"];
                said.calls.push((text(&call["id"]).into(), text(&call["name"]).into(), call["args"].clone()));
            }
        }
        said.finish += text(&candidate["finishReason"]);
        let usage = &event["usageMetadata"];
        let thought = number(&usage["thoughtsTokenCount"]);
        said.usage = (number(&usage["promptTokenCount"]), number(&usage["candidatesTokenCount"]) + thought, thought);
        assert_eq!(number(&usage["totalTokenCount"]), said.usage.0 + said.usage.1);
    }
    said
}

/// Type and payload of each of Amazon's messages, checksums checked.
pub fn messages(mut body: &[u8]) -> Vec<(String, Value)> {
    let number = |bytes: &[u8]| u32::from_be_bytes(*bytes.first_chunk().unwrap());
    let mut out = Vec::new();
    while !body.is_empty() {
        let (message, rest) = body.split_at(number(body) as usize);
        body = rest;
        let (head, check) = message.split_at(message.len() - 4);
        assert_eq!(number(&head[8..]), crate::sim::bedrock::crc32(&head[..8]));
        assert_eq!(number(check), crate::sim::bedrock::crc32(head));
        let (mut headers, payload) = head[12..].split_at(number(&head[4..]) as usize);
        let mut name = String::new();
        while let Some((length, rest)) = headers.split_first() {
            let (header, rest) = rest.split_at(usize::from(*length));
            assert_eq!(rest[0], 7, "headers are strings");
            let (value, rest) = rest[3..].split_at(usize::from(u16::from_be_bytes([rest[1], rest[2]])));
            headers = rest;
            if matches!(header, b":event-type" | b":exception-type") {
                name = String::from_utf8(value.to_vec()).unwrap();
            }
        }
        out.push((name, serde_json::from_slice(payload).unwrap()));
    }
    out
}

/// The reply that the events build up.
fn bedrock_joined(events: &[(String, Value)]) -> Value {
    let mut blocks: Vec<Value> = Vec::new();
    let mut reply = json!({});
    for (name, event) in events {
        let at = number(&event["contentBlockIndex"]) as usize;
        let add = |into: &mut Value, more: &str| *into = (text(into).to_owned() + more).into();
        match name.as_str() {
            "contentBlockStart" => blocks.push(event["start"].clone()),
            "contentBlockDelta" => {
                if blocks.len() == at {
                    blocks.push(json!({}));
                }
                let (block, delta) = (&mut blocks[at], &event["delta"]);
                if let Some(more) = delta["text"].as_str() {
                    add(&mut block["text"], more);
                }
                if let Some(more) = delta["toolUse"]["input"].as_str() {
                    add(&mut block["toolUse"]["input"], more);
                }
                for member in ["text", "signature"] {
                    if let Some(more) = delta["reasoningContent"][member].as_str() {
                        add(&mut block["reasoningContent"]["reasoningText"][member], more);
                    }
                }
                if let Some(blob) = delta["reasoningContent"]["redactedContent"].as_str() {
                    block["reasoningContent"]["redactedContent"] = blob.into();
                }
            }
            "contentBlockStop" if blocks[at]["toolUse"]["input"].is_string() => {
                let input = serde_json::from_str(text(&blocks[at]["toolUse"]["input"])).unwrap();
                blocks[at]["toolUse"]["input"] = input;
            }
            "messageStop" => reply["stopReason"] = event["stopReason"].clone(),
            "metadata" => reply["usage"] = event["usage"].clone(),
            _ => {}
        }
    }
    assert_eq!(events.last().unwrap().0, "metadata");
    reply["output"]["message"]["content"] = blocks.into();
    reply
}

fn bedrock(reply: &Value) -> Said {
    let mut said = Said::default();
    for block in list(&reply["output"]["message"]["content"]) {
        said.text += text(&block["text"]);
        let reasoning = &block["reasoningContent"];
        said.reasoning += text(&reasoning["reasoningText"]["text"]);
        said.signature += text(&reasoning["reasoningText"]["signature"]);
        said.signature += text(&reasoning["redactedContent"]);
        if let call @ Value::Object(_) = &block["toolUse"] {
            said.calls.push((text(&call["toolUseId"]).into(), text(&call["name"]).into(), call["input"].clone()));
        }
    }
    said.finish = text(&reply["stopReason"]).to_owned();
    let usage = &reply["usage"];
    said.usage = (number(&usage["inputTokens"]), number(&usage["outputTokens"]), 0);
    assert_eq!(number(&usage["totalTokens"]), said.usage.0 + said.usage.1);
    said
}
