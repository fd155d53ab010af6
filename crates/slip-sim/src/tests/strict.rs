//! The simulator is as strict as the originals: a translator's mistake is a 400 here, and what it sent round comes back whole.

use super::start;
use super::talk::{Talk, ask, exchange, said, talk};
use crate::Sim;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use slip_ir::Dialect;

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";
const RESPONSES: &str = "/v1/responses";

fn edit(body: &Value, edits: Value) -> Value {
    let mut out = body.clone();
    for (pointer, value) in edits.as_object().unwrap() {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = out.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer}"));
        match (name.parse::<usize>(), value) {
            (Ok(at), Value::Null) => drop(parent.as_array_mut().unwrap().remove(at)),
            (Ok(at), value) => parent.as_array_mut().unwrap()[at] = value.clone(),
            (_, Value::Null) => drop(parent.as_object_mut().unwrap().remove(name)),
            (_, value) => parent[name] = value.clone(),
        }
    }
    out
}

/// The body is accepted as it is, and refused with each row's edit, saying why.
async fn refuses(sim: &Sim, path: &str, good: &Value, rows: &[(Value, &str)]) {
    let got = exchange(sim, path, good).await;
    assert_eq!(got.status, 200, "{}", got.text());
    for (edits, why) in rows {
        let got = exchange(sim, path, &edit(good, edits.clone())).await;
        let text = got.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(got.status == 400 && text.contains(why), "{edits}: {} {text}", got.status);
    }
}

#[tokio::test]
async fn an_openai_conversation_with_tools_goes_round() {
    let sim = start(Dialect::OpenAiChat).await;
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let first = Talk { tools: vec![("get_weather", schema.clone())], ..talk("weather twice, in Paris and Rome") };
    let message = ask(&sim, &first).await.json()["choices"][0]["message"].clone();
    let ids: Vec<Value> = (0..2).map(|n| message["tool_calls"][n]["id"].clone()).collect();
    assert_ne!(ids[0], ids[1]);
    let good = json!({
        "model": "sim/echo",
        "messages": [
            {"role": "user", "content": first.text},
            message,
            {"role": "tool", "tool_call_id": ids[0], "content": "21 degrees"},
            {"role": "tool", "tool_call_id": ids[1], "content": [{"type": "text", "text": "25 degrees"}]},
        ],
        "tools": [{"type": "function", "function": {"name": "get_weather", "parameters": schema}}],
    });
    let reply = exchange(&sim, CHAT, &good).await.json();
    assert_eq!(reply["choices"][0]["message"]["content"], "tool said: 21 degrees; 25 degrees");
    refuses(
        &sim,
        CHAT,
        &good,
        &[
            (json!({"/messages/3": null}), "must be followed by tool messages for each"),
            (json!({"/messages/3/tool_call_id": "call_other"}), "must answer a tool call"),
            (json!({"/messages/1/tool_calls/0/function/arguments": {"city": "Paris"}}), "must be a string"),
            (json!({"/messages/0/role": "human"}), "invalid role"),
            (json!({"/messages/0/content": 3}), "string or a list of parts"),
            (
                json!({"/messages/0/content": [{"type": "input_text", "text": "x"}]}),
                "content part of type \"input_text\"",
            ),
            (json!({"/tools": []}), "too short"),
            (json!({"/tools/0/function/name": "get weather"}), "must match"),
            (json!({"/tool_choice": {"type": "function", "function": {"name": "other"}}}), "not in 'tools'"),
            (json!({"/stream_options": {"include_usage": true}}), "only allowed when 'stream'"),
            (json!({"/max_tokens": 0}), "'max_tokens' must be an integer"),
            (json!({"/temperature": 3}), "from 0 to 2"),
            (json!({"/top_logprobs": 3}), "only allowed when 'logprobs'"),
            (json!({"/messages": []}), "too short"),
            (json!({"/response_format": {"type": "json_schema", "json_schema": {"schema": {}}}}), "json_schema.name"),
            (json!({"/model": null}), "model"),
        ],
    )
    .await;
}

#[tokio::test]
async fn an_anthropic_conversation_with_thoughts_and_tools_goes_round() {
    let sim = start(Dialect::Anthropic).await;
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let first =
        Talk { tools: vec![("get_weather", schema.clone())], think: true, ..talk("What is the weather in Paris?") };
    let content = ask(&sim, &first).await.json()["content"].clone();
    assert_eq!((&content[0]["type"], &content[1]["type"]), (&json!("thinking"), &json!("tool_use")));
    let id = content[1]["id"].clone();
    let good = json!({
        "model": "sim/echo",
        "max_tokens": 2000,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "tools": [{"name": "get_weather", "input_schema": schema}],
        "messages": [
            {"role": "user", "content": first.text},
            {"role": "assistant", "content": content},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": "21 degrees"}]},
        ],
    });
    let reply = exchange(&sim, MESSAGES, &good).await.json();
    assert_eq!(reply["content"][1]["text"], "tool said: 21 degrees");
    refuses(
        &sim,
        MESSAGES,
        &good,
        &[
            (json!({"/messages/1/content/0/thinking": "Let me think about nothing"}), "Invalid `signature`"),
            (json!({"/messages/1/content/0/signature": "AAAA"}), "Invalid `signature`"),
            (json!({"/messages/1/content/0": null}), "Expected `thinking`"),
            (json!({"/messages/2/content/0/tool_use_id": "toolu_other"}), "unexpected `tool_use_id`"),
            (json!({"/messages/2/content": "never mind"}), "without `tool_result`"),
            (json!({"/messages/2": null}), "without `tool_result`"),
            (json!({"/messages/1/content/1/id": "call.1"}), "should match pattern"),
            (json!({"/messages/1/content/1/input": "{}"}), "valid dictionary"),
            (json!({"/messages/0/content": ""}), "non-empty content"),
            (json!({"/messages/0/content": [{"type": "text", "text": ""}]}), "must be non-empty"),
            (json!({"/messages/0/role": "system"}), "'user' or 'assistant'"),
            (json!({"/messages/0": null}), "must use the \"user\" role"),
            (json!({"/max_tokens": null}), "max_tokens: Field required"),
            (json!({"/max_tokens": 1024}), "must be greater than"),
            (json!({"/thinking/budget_tokens": 100}), "1024"),
            (json!({"/tool_choice": {"type": "any"}}), "forces tool use"),
            (json!({"/temperature": 0.5}), "only be set to 1"),
            (json!({"/stop": ["x"]}), "stop: Extra inputs"),
            (json!({"/tools/0/parameters": {}}), "parameters: Extra inputs"),
            (json!({"/tools/0/input_schema/type": null}), "input_schema.type"),
            (json!({"/output_config": {"format": {"type": "json_schema", "schema": schema}}}), "additionalProperties"),
        ],
    )
    .await;
    let bare = super::client::send(sim.addr(), "POST", MESSAGES, &[], good.to_string().as_bytes()).await;
    assert!(bare.status == 400 && bare.text().contains("anthropic-version"));
}

#[tokio::test]
async fn sealed_thoughts_must_come_back_as_they_are() {
    let sim = start(Dialect::Anthropic).await;
    let content =
        ask(&sim, &Talk { model: "sim/redacted", think: true, ..talk("hello") }).await.json()["content"].clone();
    assert_eq!(content[0]["type"], "redacted_thinking");
    let turn = |role: &str, content: Value| json!({"role": role, "content": content});
    let messages = [turn("user", json!("hello")), turn("assistant", content), turn("user", json!("and now?"))];
    let good = json!({"model": "sim/redacted", "max_tokens": 50, "messages": messages});
    refuses(&sim, MESSAGES, &good, &[(json!({"/messages/1/content/0/data": "c2VhbGVk"}), "Invalid `data`")]).await;
}

#[tokio::test]
async fn a_gemini_conversation_with_signed_calls_goes_round() {
    let sim = start(Dialect::Gemini).await;
    let path = "/v1beta/models/gemini-3-sim:generateContent";
    let schema = json!({"type": "OBJECT", "properties": {"n": {"type": "INTEGER"}}, "required": ["n"]});
    let good = json!({
        "contents": [{"role": "user", "parts": [{"text": "roll the dice and get weather with n 4"}]}],
        "tools": [{"functionDeclarations": [{"name": "dice", "parameters": schema}, {"name": "get_weather", "parameters": schema}]}],
        "system_instruction": {"parts": [{"text": "be brief"}]},
        "generationConfig": {"max_output_tokens": 100},
    });
    let content = exchange(&sim, path, &good).await.json()["candidates"][0]["content"].clone();
    let parts = content["parts"].as_array().unwrap();
    assert_eq!(parts.len(), 2);
    assert!(parts[0]["thoughtSignature"].is_string() && parts[1].get("thoughtSignature").is_none());
    let answer = |nth: usize, said: &str| {
        let call = &parts[nth]["functionCall"];
        json!({"functionResponse": {"name": call["name"], "id": call["id"], "response": {"result": said}}})
    };
    let mut second = good.clone();
    second["contents"]
        .as_array_mut()
        .unwrap()
        .extend([content.clone(), json!({"role": "user", "parts": [answer(0, "six"), answer(1, "rain")]})]);
    let reply = exchange(&sim, path, &second).await.json();
    assert_eq!(reply["candidates"][0]["content"]["parts"][0]["text"], "tool said: six; rain");
    // Numbers come back as doubles, which is no change.
    let doubled = edit(&second, json!({"/contents/1/parts/0/functionCall/args": {"n": 4.0}}));
    assert_eq!(exchange(&sim, path, &doubled).await.status, 200);
    refuses(
        &sim,
        path,
        &second,
        &[
            (json!({"/contents/1/parts/0/thoughtSignature": null}), "missing a thought_signature"),
            (json!({"/contents/1/parts/0/thoughtSignature": "AAAA"}), "signature is not valid"),
            (json!({"/contents/1/parts/0/functionCall/args": {"n": 5}}), "signature is not valid"),
            (json!({"/contents/2/parts/1": null}), "number of function response parts"),
            (json!({"/contents/2": null}), "must be followed by its function response"),
            (json!({"/contents/2/parts/0/functionResponse/name": "other"}), "answers no function call"),
            (json!({"/contents/2/parts/0/functionResponse/response": "six"}), "an object is expected"),
            (json!({"/contents/0/role": "assistant"}), "valid role"),
            (json!({"/contents/0/parts": []}), "must not be empty"),
            (json!({"/contents/0/parts": [{}]}), "required oneof field"),
            (json!({"/contents": []}), "contents is not specified"),
            (json!({"/messages": []}), "Unknown name \"messages\""),
            (json!({"/generationConfig/maxTokens": 4}), "Unknown name \"maxTokens\""),
            (json!({"/generationConfig/responseSchema": schema}), "response mime type"),
            (
                json!({"/tools/0/functionDeclarations/0/parameters/additionalProperties": false}),
                "Unknown name \"additionalProperties\"",
            ),
            (json!({"/tools/0/functionDeclarations/0/parameters/type": ["object", "null"]}), "not repeating"),
            (json!({"/tools/0/functionDeclarations/0/parameters/properties/n": {"enum": [1]}}), "TYPE_STRING"),
            (json!({"/tools/0/functionDeclarations/0/parameters/properties": {}}), "should be non-empty"),
            (json!({"/tools/0/functionDeclarations/0/name": "1st"}), "Invalid function name"),
            (
                json!({"/toolConfig": {"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["dice"]}}}),
                "ANY",
            ),
        ],
    )
    .await;
    // An older turn need not be signed, nor does a call the model is told not to mind.
    let unsigned = edit(&second, json!({"/contents/1/parts/0/thoughtSignature": "skip_thought_signature_validator"}));
    assert_eq!(exchange(&sim, path, &unsigned).await.status, 200);
    let older = "/v1beta/models/gemini-2-sim:generateContent";
    let unsigned = edit(&second, json!({"/contents/1/parts/0/thoughtSignature": null}));
    assert_eq!(exchange(&sim, older, &unsigned).await.status, 200);
}

#[tokio::test]
async fn a_responses_conversation_goes_round_and_what_openai_refuses_is_refused() {
    let sim = start(Dialect::Responses).await;
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let tools =
        json!([{"type": "function", "name": "get_weather", "parameters": schema}, {"type": "custom", "name": "patch"}]);
    let text = "get weather in Paris and patch";
    let first = json!({
        "model": "sim/echo", "input": text, "tools": tools, "reasoning": {"effort": "low"},
        "include": ["reasoning.encrypted_content"],
    });
    let output = exchange(&sim, RESPONSES, &first).await.json()["output"].as_array().cloned().unwrap();
    let kinds: Vec<&str> = output.iter().filter_map(|item| item["type"].as_str()).collect();
    assert_eq!(kinds, ["reasoning", "function_call", "custom_tool_call"]);
    let mut input = vec![json!({"role": "user", "content": text})];
    input.extend(output.iter().cloned());
    input.push(json!({"type": "function_call_output", "call_id": output[1]["call_id"], "output": "21 degrees"}));
    let patched = json!([{"type": "input_text", "text": "done"}]);
    input.push(json!({"type": "custom_tool_call_output", "call_id": output[2]["call_id"], "output": patched}));
    let good = json!({"model": "sim/echo", "input": input, "tools": tools, "store": false});
    let reply = exchange(&sim, RESPONSES, &good).await.json();
    assert_eq!(reply["output"][0]["content"][0]["text"], "tool said: 21 degrees; done");
    let rows = [
        (json!({"/top_k": 3}), "Unknown parameter: 'top_k'"),
        (json!({"/input/1/encrypted_content": "x"}), "could not be verified"),
        (json!({"/input/1/summary": null}), "input[1].summary"),
        (json!({"/input/4": null}), "No tool output found"),
        (json!({"/input/2": null}), "No tool call found"),
        (json!({"/input/2/arguments": {}}), "input[2].arguments"),
        (json!({"/input/0/content": [{"type": "text", "text": "x"}]}), "Supported values"),
        (json!({"/tools/0/function": {}}), "tools[0].function"),
        (json!({"/tool_choice": {"type": "function", "name": "other"}}), "not found in 'tools'"),
        (json!({"/text": {"format": {"type": "json_schema"}}}), "text.format.name"),
        (json!({"/temperature": 3}), "temperature"),
    ];
    refuses(&sim, RESPONSES, &good, &rows).await;
}

#[tokio::test]
async fn a_gemini_stream_without_sse_is_one_json_array() {
    let sim = start(Dialect::Gemini).await;
    let body = json!({"contents": [{"parts": [{"text": "count to 3"}]}]});
    let got = exchange(&sim, "/v1beta/models/sim%2Fecho:streamGenerateContent", &body).await;
    let texts: String = got
        .json()
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|c| c["candidates"][0]["content"]["parts"][0]["text"].as_str())
        .collect();
    assert_eq!(
        (texts.as_str(), got.header("content-type")),
        ("tok1 tok2 tok3", Some("application/json; charset=UTF-8"))
    );
    assert_eq!(sim.journal().last().unwrap().model.as_deref(), Some("sim/echo"));
}

#[tokio::test]
async fn an_image_is_seen_in_every_dialect() {
    let gif = STANDARD.encode(b"GIF89a\x03\0\x04\0");
    let url = format!("data:image/gif;base64,{gif}");
    let source = json!({"type": "base64", "media_type": "image/gif", "data": gif});
    let rows = [
        (
            Dialect::OpenAiChat,
            CHAT,
            json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "what is it"}, {"type": "image_url", "image_url": {"url": url}}]}]}),
        ),
        (
            Dialect::Anthropic,
            MESSAGES,
            json!({"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": [{"type": "image", "source": source}, {"type": "text", "text": "what is it"}]}]}),
        ),
        (
            Dialect::Gemini,
            "/v1beta/models/m:generateContent",
            json!({"contents": [{"parts": [{"text": "what is it"}, {"inlineData": {"mimeType": "image/gif", "data": gif}}]}]}),
        ),
    ];
    for (dialect, path, body) in rows {
        let sim = start(dialect).await;
        let said = said(dialect, &exchange(&sim, path, &body).await, false);
        assert_eq!((said.text.as_str(), said.usage.0), ("I see an image of 3x4", 4 + 3 + 85), "{dialect}");
    }
}

#[tokio::test]
async fn choices_are_told_apart_and_speak_in_turns() {
    let sim = start(Dialect::OpenAiChat).await;
    let body = json!({"model": "m", "n": 3, "messages": [{"role": "user", "content": "hi"}]});
    let whole = exchange(&sim, CHAT, &body).await.json();
    let texts: Vec<&str> =
        whole["choices"].as_array().unwrap().iter().filter_map(|c| c["message"]["content"].as_str()).collect();
    assert_eq!(texts, ["echo: hi", "echo 2: hi", "echo 3: hi"]);
    assert_eq!(whole["usage"]["completion_tokens"], 2 + 3 + 3);
    let events = exchange(&sim, CHAT, &edit(&body, json!({"/stream": true}))).await.events();
    let order: Vec<u64> = events.iter().filter_map(|e| e["choices"][0]["index"].as_u64()).collect();
    assert_eq!(order[..6], [0, 1, 2, 0, 1, 2]);
}

#[tokio::test]
async fn log_probabilities_are_the_same_streamed_and_whole() {
    let sim = start(Dialect::OpenAiChat).await;
    let body = json!({"model": "m", "logprobs": true, "top_logprobs": 2, "messages": [{"role": "user", "content": "hi there"}]});
    let whole = exchange(&sim, CHAT, &body).await.json()["choices"][0]["logprobs"]["content"].clone();
    assert_eq!(whole.as_array().unwrap().len(), 3);
    assert_eq!((&whole[1]["token"], &whole[1]["top_logprobs"][1]["token"]), (&json!(" hi"), &json!(" hi~1")));
    let events = exchange(&sim, CHAT, &edit(&body, json!({"/stream": true}))).await.events();
    let streamed: Vec<Value> =
        events.iter().filter_map(|e| e["choices"][0]["logprobs"]["content"].as_array()).flatten().cloned().collect();
    assert_eq!(json!(streamed), whole);
}

#[tokio::test]
async fn reasoning_is_spelt_as_it_was_asked_for() {
    let sim = start(Dialect::OpenAiChat).await;
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    for (member, value, expected) in [
        ("reasoning_effort", json!("high"), Some("reasoning_content")),
        ("thinking", json!({"type": "enabled"}), Some("reasoning_content")),
        ("enable_thinking", json!(true), Some("reasoning_content")),
        ("reasoning", json!({"effort": "low"}), Some("reasoning")),
        ("reasoning", json!({"enabled": false}), None),
        ("reasoning_effort", json!("none"), None),
        ("thinking", json!({"type": "disabled"}), None),
    ] {
        let message = exchange(&sim, CHAT, &edit(&body, json!({format!("/{member}"): value}))).await.json()["choices"]
            [0]["message"]
            .clone();
        let found = ["reasoning", "reasoning_content"].into_iter().find(|m| message.get(*m).is_some());
        assert_eq!(found, expected, "{member}");
    }
}

#[tokio::test]
async fn a_long_prefix_sent_before_is_read_from_the_cache() {
    let long = "word ".repeat(100);
    let body = json!({"model": "sim/cache", "messages": [{"role": "system", "content": long}, {"role": "user", "content": "one"}]});
    let sim = start(Dialect::OpenAiChat).await;
    let cached = |reply: Value| reply["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap();
    assert_eq!(cached(exchange(&sim, CHAT, &body).await.json()), 0);
    let other = edit(&body, json!({"/messages/1/content": "two"}));
    assert_eq!(cached(exchange(&sim, CHAT, &other).await.json()), 105 / 16 * 16);

    let sim = start(Dialect::Anthropic).await;
    let mark = json!({"type": "ephemeral", "ttl": "1h"});
    let system = json!([{"type": "text", "text": long, "cache_control": mark}]);
    let body =
        json!({"model": "m", "max_tokens": 9, "system": system, "messages": [{"role": "user", "content": "one"}]});
    let counts = |reply: Value| {
        let usage = reply["usage"].clone();
        let of = |member: &str| usage[member].as_u64().unwrap();
        let hour = usage["cache_creation"]["ephemeral_1h_input_tokens"].as_u64().unwrap();
        assert_eq!(hour, of("cache_creation_input_tokens"));
        (of("input_tokens"), of("cache_creation_input_tokens"), of("cache_read_input_tokens"))
    };
    assert_eq!(counts(exchange(&sim, MESSAGES, &body).await.json()), (14, 96, 0));
    let other = edit(&body, json!({"/messages/0/content": "two"}));
    assert_eq!(counts(exchange(&sim, MESSAGES, &other).await.json()), (14, 0, 96));
}
