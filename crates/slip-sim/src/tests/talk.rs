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
        Dialect::Completions => {
            body = json!({"model": talk.model, "prompt": talk.text, "stream": talk.stream});
            if talk.stream {
                put(&mut body, "stream_options", json!({"include_usage": true}));
            }
            if let Some(schema) = &talk.schema {
                let inner = json!({"name": "doc", "schema": schema});
                put(&mut body, "response_format", json!({"type": "json_schema", "json_schema": inner}));
            }
            talk.max_tokens.into_iter().for_each(|n| put(&mut body, "max_tokens", json!(n)));
            talk.stop.into_iter().for_each(|s| put(&mut body, "stop", json!(s)));
            ("/v1/completions".into(), body)
        }
        Dialect::Responses => {
            body = json!({"model": talk.model, "input": talk.text, "stream": talk.stream, "store": false});
            if !talk.tools.is_empty() {
                let tool = |(n, s): &(&str, Value)| json!({"type": "function", "name": n, "parameters": s});
                put(&mut body, "tools", talk.tools.iter().map(tool).collect());
            }
            if talk.force {
                put(&mut body, "tool_choice", json!("required"));
            }
            if let Some(schema) = &talk.schema {
                let format = json!({"type": "json_schema", "name": "doc", "schema": schema});
                put(&mut body, "text", json!({ "format": format }));
            }
            if talk.think {
                put(&mut body, "reasoning", json!({"effort": "low", "summary": "auto"}));
                put(&mut body, "include", json!(["reasoning.encrypted_content"]));
            }
            talk.max_tokens.into_iter().for_each(|n| put(&mut body, "max_output_tokens", json!(n)));
            ("/v1/responses".into(), body)
        }
        Dialect::Ollama | Dialect::OllamaGenerate => {
            body = json!({"model": talk.model, "stream": talk.stream});
            if dialect == Dialect::Ollama {
                put(&mut body, "messages", json!([{"role": "user", "content": talk.text}]));
            } else {
                put(&mut body, "prompt", json!(talk.text));
            }
            if !talk.tools.is_empty() {
                let tool =
                    |(n, s): &(&str, Value)| json!({"type": "function", "function": {"name": n, "parameters": s}});
                put(&mut body, "tools", talk.tools.iter().map(tool).collect());
            }
            if let Some(schema) = &talk.schema {
                put(&mut body, "format", schema.clone());
            }
            if talk.think {
                put(&mut body, "think", json!(true));
            }
            let mut options = json!({});
            talk.max_tokens.into_iter().for_each(|n| put(&mut options, "num_predict", json!(n)));
            talk.stop.into_iter().for_each(|s| put(&mut options, "stop", json!([s])));
            put(&mut body, "options", options);
            let door = if dialect == Dialect::Ollama { "chat" } else { "generate" };
            (format!("/api/{door}"), body)
        }
        Dialect::Cohere => {
            let messages = json!([{"role": "user", "content": talk.text}]);
            body = json!({"model": talk.model, "messages": messages, "stream": talk.stream});
            if !talk.tools.is_empty() {
                let tool =
                    |(n, s): &(&str, Value)| json!({"type": "function", "function": {"name": n, "parameters": s}});
                put(&mut body, "tools", talk.tools.iter().map(tool).collect());
            }
            if talk.force {
                put(&mut body, "tool_choice", json!("REQUIRED"));
            }
            if let Some(schema) = &talk.schema {
                put(&mut body, "response_format", json!({"type": "json_object", "json_schema": schema}));
            }
            if talk.think {
                put(&mut body, "thinking", json!({"type": "enabled"}));
            }
            talk.max_tokens.into_iter().for_each(|n| put(&mut body, "max_tokens", json!(n)));
            talk.stop.into_iter().for_each(|s| put(&mut body, "stop_sequences", json!([s])));
            ("/v2/chat".into(), body)
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
    }
}

/// Dialects that can call tools.
pub fn with_tools() -> impl Iterator<Item = Dialect> {
    Dialect::ALL.into_iter().filter(|d| !matches!(d, Dialect::Completions | Dialect::OllamaGenerate))
}

/// Dialects that can show reasoning.
pub fn with_thoughts() -> impl Iterator<Item = Dialect> {
    Dialect::ALL.into_iter().filter(|d| *d != Dialect::Completions)
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
        (Dialect::Responses, false) => responses(&got.json()),
        (Dialect::Responses, true) => responses(&responses_joined(&got.events())),
        (Dialect::Completions, false) => completed(&[got.json()]),
        (Dialect::Completions, true) => completed(&got.events()),
        (Dialect::Ollama | Dialect::OllamaGenerate, false) => ollama(&[got.json()]),
        (Dialect::Ollama | Dialect::OllamaGenerate, true) => ollama(&got.events()),
        (Dialect::Cohere, false) => cohere(&[got.json()]),
        (Dialect::Cohere, true) => cohere(&got.events()),
        (Dialect::Bedrock, false) => bedrock(&got.json()),
        (Dialect::Bedrock, true) => bedrock(&bedrock_joined(&messages(&got.body))),
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

fn ollama(lines: &[Value]) -> Said {
    let mut said = Said::default();
    for line in lines {
        let part = if line["message"].is_object() { &line["message"] } else { line };
        said.text += text(&part["content"]);
        said.text += text(&part["response"]);
        said.reasoning += text(&part["thinking"]);
        for call in list(&part["tool_calls"]) {
            let function = &call["function"];
            said.calls.push((text(&call["id"]).into(), text(&function["name"]).into(), function["arguments"].clone()));
        }
        said.finish += text(&line["done_reason"]);
    }
    let last = lines.last().expect("a line");
    assert_eq!(last["done"], true);
    // It does not tell thoughts from words.
    let thought = crate::count_tokens(&said.reasoning);
    said.usage = (number(&last["prompt_eval_count"]), number(&last["eval_count"]), thought);
    said
}

/// A whole reply, or the events of a stream.
fn cohere(parts: &[Value]) -> Said {
    let mut said = Said::default();
    let mut calls: Vec<(String, String, String)> = Vec::new();
    for part in parts {
        let message = if part["message"].is_object() { &part["message"] } else { &part["delta"]["message"] };
        for content in list(&message["content"]).iter().chain([&message["content"]]) {
            said.text += text(&content["text"]);
            said.reasoning += text(&content["thinking"]);
        }
        let begins = part["type"] != "tool-call-delta";
        for call in list(&message["tool_calls"]).iter().chain(Some(&message["tool_calls"]).filter(|c| c.is_object())) {
            if begins {
                calls.push((text(&call["id"]).into(), text(&call["function"]["name"]).into(), String::new()));
            }
            let last = calls.last_mut().expect("a call that began");
            last.2 += text(&call["function"]["arguments"]);
        }
        let end = if part["message"].is_object() { part } else { &part["delta"] };
        said.finish += text(&end["finish_reason"]);
        if end["usage"].is_object() {
            let tokens = &end["usage"]["tokens"];
            let counts = [&tokens["input_tokens"], &tokens["output_tokens"], &tokens["reasoning_tokens"]].map(number);
            said.usage = counts.into();
        }
    }
    said.calls = calls.into_iter().map(|(i, n, a)| (i, n, serde_json::from_str(&a).unwrap())).collect();
    said
}

fn completed(events: &[Value]) -> Said {
    let mut said = openai(events, "message");
    said.text = events.iter().map(|event| text(&event["choices"][0]["text"])).collect();
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

/// The response that the events build up; the last of them must repeat it.
fn responses_joined(events: &[Value]) -> Value {
    let mut output: Vec<Value> = Vec::new();
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
        let at = number_of(event, "output_index");
        let delta = text(&event["delta"]);
        match text(&event["type"]) {
            "response.output_item.added" => output.push(event["item"].clone()),
            "response.output_text.delta" | "response.reasoning_summary_text.delta" => {
                let member = if delta.is_empty() || event["summary_index"].is_null() { "content" } else { "summary" };
                let so_far = text(&output[at][member][0]["text"]).to_owned();
                output[at][member] = json!([{ "text": so_far + delta }]);
            }
            "response.function_call_arguments.delta" => {
                output[at]["arguments"] = (text(&output[at]["arguments"]).to_owned() + delta).into();
            }
            "response.output_item.done" => {
                let item = &event["item"];
                for member in ["content", "summary"] {
                    assert_eq!(text(&output[at][member][0]["text"]), text(&item[member][0]["text"]));
                }
                assert_eq!(output[at]["arguments"], item["arguments"]);
                output[at] = item.clone();
            }
            _ => {}
        }
    }
    let last = &events.last().expect("a last event")["response"];
    assert_eq!(last["output"], Value::from(output));
    last.clone()
}

fn number_of(event: &Value, member: &str) -> usize {
    number(&event[member]) as usize
}

fn responses(response: &Value) -> Said {
    let mut said = Said::default();
    for item in list(&response["output"]) {
        match text(&item["type"]) {
            "message" => said.text += text(&item["content"][0]["text"]),
            "reasoning" => {
                said.reasoning += text(&item["summary"][0]["text"]);
                said.signature += text(&item["encrypted_content"]);
            }
            "function_call" => said.calls.push((
                text(&item["call_id"]).into(),
                text(&item["name"]).into(),
                serde_json::from_str(text(&item["arguments"])).unwrap(),
            )),
            other => panic!("{other}"),
        }
    }
    let reason = text(&response["incomplete_details"]["reason"]);
    said.finish = if reason.is_empty() { text(&response["status"]) } else { reason }.to_owned();
    let usage = &response["usage"];
    let thought = number(&usage["output_tokens_details"]["reasoning_tokens"]);
    said.usage = (number(&usage["input_tokens"]), number(&usage["output_tokens"]), thought);
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
