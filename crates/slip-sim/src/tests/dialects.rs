//! What holds for every dialect: a stream comes to the same as the plain reply, and the rules of the simulated model.

use super::client::{Ended, Got, send};
use super::start;
use crate::{Sim, SimConfig};
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

fn weather() -> (&'static str, Value) {
    let city = json!({"type": "string"});
    let unit = json!({"type": "string", "enum": ["celsius", "fahrenheit"]});
    let schema = json!({"type": "object", "properties": {"city": city, "unit": unit}, "required": ["city", "unit"]});
    ("get_weather", schema)
}

fn add() -> (&'static str, Value) {
    let n = json!({"type": "integer"});
    ("add", json!({"type": "object", "properties": {"a": n, "b": n}, "required": ["a", "b"]}))
}

/// Ask both ways, and compare; gives what was said.
async fn both(dialect: Dialect, talk: &Talk) -> Said {
    let sim = start(dialect).await;
    let plain = said(dialect, &ask(&sim, &Talk { stream: false, ..talk.clone() }).await, false);
    let streamed = said(dialect, &ask(&sim, &Talk { stream: true, ..talk.clone() }).await, true);
    let bare = |s: &Said| (s.text.clone(), s.reasoning.clone(), s.finish.clone(), s.usage, s.calls.len());
    assert_eq!(bare(&plain), bare(&streamed), "{dialect}");
    for (a, b) in plain.calls.iter().zip(&streamed.calls) {
        assert_eq!((&a.1, &a.2), (&b.1, &b.2), "{dialect}");
    }
    let entries =
        sim.journal().wait_until(std::time::Duration::from_secs(2), |e| e.iter().all(|e| e.finished.is_some())).await;
    for entry in entries {
        assert_eq!((entry.emitted, entry.billed_completion), (plain.usage.1, plain.usage.1), "{dialect}");
        assert_eq!(entry.billed_prompt, plain.usage.0, "{dialect}");
        assert_eq!(entry.model.as_deref(), Some(talk.model));
    }
    plain
}

#[tokio::test]
async fn an_echo_a_count_and_a_cut_are_the_same_in_every_dialect() {
    let prompt = |text: &str| 4 + crate::count_tokens(text);
    for dialect in Dialect::ALL {
        let echo = both(dialect, &talk("Grüß Gott 👋 everybody")).await;
        assert_eq!(echo.text, "echo: Grüß Gott 👋 everybody");
        assert_eq!(echo.usage, (prompt("Grüß Gott 👋 everybody"), 5, 0));
        let count = both(dialect, &talk("please count to 25")).await;
        assert!(count.text.starts_with("tok1 tok2 ") && count.text.ends_with(" tok25"), "{}", count.text);
        assert_eq!(count.usage.1, 25);
        let story = both(dialect, &Talk { model: "sim/story", ..talk("in 7 words") }).await;
        assert_eq!(story.text, "tok1 tok2 tok3 tok4 tok5 tok6 tok7");
        let cut = both(dialect, &Talk { max_tokens: Some(3), ..talk("count to 25") }).await;
        assert_eq!((cut.text.as_str(), cut.usage.1), ("tok1 tok2 tok3", 3));
        assert_eq!(cut.finish.to_lowercase(), if dialect == Dialect::OpenAiChat { "length" } else { "max_tokens" });
        let stopped = both(dialect, &Talk { stop: Some(" tok4"), ..talk("count to 25") }).await;
        assert_eq!((stopped.text.as_str(), stopped.usage.1), ("tok1 tok2 tok3", 3));
        assert_eq!(stopped.finish.to_lowercase(), if dialect == Dialect::Anthropic { "stop_sequence" } else { "stop" });
    }
}

#[tokio::test]
async fn tools_are_called_when_they_are_spoken_of_and_only_then() {
    let paris = json!({"city": "Paris", "unit": "celsius"});
    let london = json!({"city": "London", "unit": "celsius"});
    let rows: &[(&str, bool, Vec<(&str, Value)>)] = &[
        ("What is the weather in Paris?", false, vec![("get_weather", paris.clone())]),
        (
            "What is the weather twice, in Paris and London?",
            false,
            vec![("get_weather", paris), ("get_weather", london)],
        ),
        ("please add 2 to 40", false, vec![("add", json!({"a": 2, "b": 40}))]),
        (
            "add 1 and 5 and get weather in fahrenheit",
            false,
            vec![("get_weather", json!({"city": "x", "unit": "fahrenheit"})), ("add", json!({"a": 1, "b": 5}))],
        ),
        ("just talk", false, vec![]),
        ("just talk", true, vec![("get_weather", json!({"city": "x", "unit": "celsius"}))]),
    ];
    for dialect in Dialect::ALL {
        for (text, force, expected) in rows {
            let said = both(dialect, &Talk { tools: vec![weather(), add()], force: *force, ..talk(text) }).await;
            let calls: Vec<(&str, Value)> = said.calls.iter().map(|(_, n, a)| (n.as_str(), a.clone())).collect();
            assert_eq!(calls, *expected, "{dialect}: {text}");
            let finish = match (dialect, calls.is_empty()) {
                (Dialect::OpenAiChat, false) => "tool_calls",
                (Dialect::Anthropic, false) => "tool_use",
                (Dialect::Anthropic, true) => "end_turn",
                (Dialect::Gemini, _) => "STOP",
                (Dialect::OpenAiChat, true) => "stop",
            };
            assert_eq!(said.finish, finish);
        }
    }
}

#[tokio::test]
async fn a_schema_is_answered_with_a_document_that_fits_it() {
    let schema = json!({
        "type": "object",
        "properties": {"city": {"type": "string"}, "population": {"type": "integer"}, "capital": {"type": "boolean"}},
        "required": ["city", "population", "capital"],
        "additionalProperties": false,
    });
    for dialect in Dialect::ALL {
        let said = both(dialect, &Talk { schema: Some(schema.clone()), ..talk("tell me about Rome") }).await;
        let document: Value = serde_json::from_str(&said.text).unwrap();
        assert_eq!(document, json!({"city": "Rome", "population": 1, "capital": true}), "{dialect}");
    }
}

#[tokio::test]
async fn reasoning_comes_first_and_is_counted() {
    for dialect in Dialect::ALL {
        let said = both(dialect, &Talk { think: true, ..talk("hello there") }).await;
        assert_eq!(said.reasoning, "Let me think about: hello there", "{dialect}");
        assert_eq!((said.text.as_str(), said.usage.1, said.usage.2), ("echo: hello there", 9, 6));
        assert_eq!(said.signature.is_empty(), dialect == Dialect::OpenAiChat);
    }
}

#[tokio::test]
async fn the_same_request_and_seed_give_the_same_bytes() {
    for dialect in Dialect::ALL {
        let say = |seed| async move {
            let sim = Sim::start(SimConfig { dialect, seed, ..SimConfig::default() }).await.unwrap();
            ask(&sim, &Talk { stream: true, think: true, ..talk("hello") }).await.body
        };
        let (a, b, c) = (say(5).await, say(5).await, say(6).await);
        assert_eq!(a, b, "{dialect}");
        assert_ne!(a, c, "{dialect}");
    }
}

#[tokio::test]
async fn the_key_is_checked_where_the_dialect_carries_it() {
    for (dialect, header, status) in [
        (Dialect::OpenAiChat, ("authorization", "Bearer right"), 401),
        (Dialect::Anthropic, ("x-api-key", "right"), 401),
        (Dialect::Gemini, ("x-goog-api-key", "right"), 400),
    ] {
        let key = Some("right".to_owned());
        let sim = Sim::start(SimConfig { dialect, key, models: vec!["sim/echo".into()], ..SimConfig::default() })
            .await
            .unwrap();
        let path = if dialect == Dialect::Gemini { "/v1beta/models" } else { "/v1/models" };
        let good = send(sim.addr(), "GET", path, &[header], b"").await;
        assert_eq!(good.status, 200);
        assert!(good.text().contains("sim/echo"));
        let wrong = send(sim.addr(), "GET", path, &[(header.0, "Bearer wrong")], b"").await;
        assert_eq!(wrong.status, status, "{dialect}");
        let refused = ask(&sim, &talk("hello")).await;
        let error = refused.json();
        match dialect {
            Dialect::OpenAiChat => assert_eq!(error["error"]["code"], "invalid_api_key"),
            Dialect::Anthropic => assert_eq!(error["error"]["type"], "authentication_error"),
            Dialect::Gemini => assert_eq!(error["error"]["details"][0]["reason"], "API_KEY_INVALID"),
        }
        assert_eq!(sim.journal().last().unwrap().billed_prompt, 0);
    }
}

#[tokio::test]
async fn an_unknown_model_is_not_found_and_a_slug_alone_is_known() {
    for dialect in Dialect::ALL {
        let sim =
            Sim::start(SimConfig { dialect, models: vec!["sim/echo".into()], ..SimConfig::default() }).await.unwrap();
        for (model, status) in [("sim/echo", 200), ("echo", 200), ("other", 404), ("cho", 404)] {
            assert_eq!(ask(&sim, &Talk { model, ..talk("hello") }).await.status, status, "{dialect} {model}");
        }
    }
}
