//! How another endpoint is asked to go on with a stream that broke off: as the beginning of its own turn where its model takes that,
//! in words where it does not; what a caller of each dialect hears of it, and what is counted.

use super::{ask, fail, with};
use crate::harness::{Gateway, provider};
use serde_json::{Value, json};
use slip_ir::Dialect;
use slip_sim::scripted::End;
use slip_sim::{Script, Scripted, Sim, SimConfig};
use std::time::Duration;

/// After `tok5` it breaks off.
async fn breaks() -> Sim {
    let config = SimConfig { dialect: Dialect::OpenAiChat, tokens_per_second: 200.0, ..SimConfig::default() };
    let sim = Sim::start(config).await.expect("a socket");
    fail(&sim, Some("cut:5"));
    sim
}

fn chunk(delta: Value, finish: Option<&str>) -> Value {
    let choices = json!([{ "index": 0, "delta": delta, "finish_reason": finish }]);
    json!({ "id": "c2", "object": "chat.completion.chunk", "model": "m", "choices": choices })
}

fn chat(pieces: &[&str]) -> Script {
    let mut events: Vec<Value> = pieces.iter().map(|text| chunk(json!({ "content": text }), None)).collect();
    events.push(chunk(json!({}), Some("stop")));
    Script::events(&events)
}

fn anthropic(text: &str) -> Script {
    let usage = json!({ "input_tokens": 30, "output_tokens": 1 });
    let message = json!({ "id": "msg", "type": "message", "role": "assistant", "model": "n", "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": usage });
    let events = [
        json!({ "type": "message_start", "message": message }),
        json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
        json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": text } }),
        json!({ "type": "content_block_stop", "index": 0 }),
        json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn", "stop_sequence": null },
            "usage": { "output_tokens": 2 } }),
        json!({ "type": "message_stop" }),
    ];
    let framed = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default());
    Script::stream(events.iter().map(framed))
}

/// `bad`, and `good` as this table says it.
fn house(bad: &Sim, good: &str) -> String {
    let timeouts = "[timeouts]\nfirst_content = \"600ms\"\nidle = \"400ms\"\n\n";
    timeouts.to_owned()
        + &provider("bad", Dialect::OpenAiChat, &bad.base_url(), &["lab/one"])
        + good
        + "[models.\"house/x\"]\nendpoints = [\"lab/one\"]\ncontinue_streams = true\n"
}

/// A provider of this name whose `lab/one` is this model.
fn named(name: &str, dialect: Option<Dialect>, at: &Scripted, upstream: &str) -> String {
    let dialect = dialect.map_or(String::new(), |dialect| format!("dialect = \"{}\"\n", dialect.name()));
    let at = at.base_url();
    format!(
        "[providers.{name}]\n{dialect}base_url = \"{at}\"\nkey = \"k-{name}-0123456789\"\nallow_private = true\n\
         models = [{{ id = \"lab/one\", upstream = \"{upstream}\", price = {{ input = \"2\", output = \"8\" }} }}]\n\n"
    )
}

fn order(name: &str) -> Value {
    json!({ "provider": { "order": ["bad", name] } })
}

#[tokio::test]
async fn it_goes_on_with_its_own_turn_where_its_model_takes_that() {
    let claude = Some(Dialect::Anthropic);
    let rows: [(&str, Option<Dialect>, &str, Script, &str); 4] = [
        ("clone", claude, "claude-sonnet-4-5", anthropic(" tok6"), "prefill"),
        ("clone", claude, "claude-opus-4-6", anthropic(" tok6"), "instruction"),
        ("vllm", None, "qwen", chat(&[" tok6"]), "prefill"),
        // It says again what it was given.
        ("mistral", None, "mistral-large", chat(&["tok1 tok2 tok3", " tok4 tok5 tok6"]), "prefill"),
    ];
    for (name, dialect, upstream, script, how) in rows {
        let (bad, good) = (breaks().await, Scripted::start().await.expect("a socket"));
        good.push(script);
        let gateway = Gateway::start(&house(&bad, &named(name, dialect, &good, upstream)));
        let got = gateway.chat(&with(ask("house/x", true), order(name))).await;
        assert_eq!(got.content(), "tok1 tok2 tok3 tok4 tok5 tok6", "{upstream}: {}", got.text());
        let sent = good.journal().last().expect("a request").json();
        let last = sent["messages"].as_array().and_then(|all| all.last()).cloned().expect("a turn");
        let role = if how == "prefill" { "assistant" } else { "user" };
        assert_eq!(last["role"], role, "{upstream}: {sent}");
        assert_eq!(last["prefix"] == true, name == "mistral", "{upstream}: {sent}");
        assert_eq!(sent["continue_final_message"] == true, name == "vllm", "{upstream}: {sent}");
        let record = gateway.record(&got).await;
        let (first, second) = (&record["provider_responses"][0], &record["provider_responses"][1]);
        assert_eq!((&first["torn"], &second["torn"]), (&json!(true), &json!(false)), "{upstream}: {record}");
        assert_eq!((&second["how"], &second["continues"]), (&json!(how), &json!(true)), "{upstream}: {record}");
        assert!(second["after_tokens"].as_u64().is_some_and(|n| (3..=8).contains(&n)), "{upstream}: {record}");
    }
}

#[tokio::test]
async fn whoever_refuses_to_be_asked_like_that_is_asked_in_words() {
    let (bad, good) = (breaks().await, Scripted::start().await.expect("a socket"));
    good.push(Script::json(
        400,
        &json!({ "type": "error", "error": { "type": "invalid_request_error",
        "message": "This model does not support assistant message prefill." } }),
    ));
    good.push(anthropic(" tok6"));
    let gateway = Gateway::start(&house(&bad, &named("clone", Some(Dialect::Anthropic), &good, "claude-sonnet-4-5")));
    let got = gateway.chat(&with(ask("house/x", true), order("clone"))).await;
    assert!(got.content().ends_with("tok5 tok6") && !got.text().contains("\"error\""), "{}", got.text());
    assert_eq!(good.journal().total(), 2);
    let record = gateway.record(&got).await;
    let calls = record["provider_responses"].as_array().expect("attempts").iter();
    let calls: Vec<(&Value, bool)> = calls.map(|call| (&call["how"], call["error"].is_string())).collect();
    assert_eq!(calls, [(&Value::Null, true), (&json!("prefill"), true), (&json!("instruction"), false)], "{record}");
}

#[tokio::test]
async fn callers_of_every_dialect_are_told_once_where_another_went_on() {
    let turns = json!([{ "role": "user", "content": "count to 20" }]);
    let parts = json!([{ "role": "user", "parts": [{ "text": "count to 20" }] }]);
    let converse = json!([{ "role": "user", "content": [{ "text": "count to 20" }] }]);
    let rows = [
        ("/api/v1/responses", json!({ "model": "house/x", "stream": true, "input": "count to 20" })),
        ("/v1beta/models/house%2Fx:streamGenerateContent?alt=sse", json!({ "contents": parts })),
        ("/v2/chat", json!({ "model": "house/x", "stream": true, "messages": turns })),
        ("/model/house%2Fx/converse-stream", json!({ "messages": converse })),
        ("/api/chat", json!({ "model": "house/x", "stream": true, "messages": turns })),
    ];
    for (path, body) in rows {
        let (bad, good) = (breaks().await, Scripted::start().await.expect("a socket"));
        good.push(chat(&[" tok6", " tok7"]));
        let good_table = provider("good", Dialect::OpenAiChat, &good.base_url(), &["lab/one"]);
        // Not every dialect has a place for an order.
        let gateway = Gateway::start(&(house(&bad, &good_table) + "load_balancer = \"priority\"\n"));
        let got = gateway.post(path, &body).await;
        let text = String::from_utf8_lossy(&got.body).into_owned();
        assert_eq!(got.status, 200, "{path}: {text}");
        assert_eq!((bad.journal().total(), good.journal().total()), (1, 1), "{path}: {text}");
        assert_eq!(text.matches("\"slipswitch\":{\"continued\":{").count(), 1, "{path}: {text}");
        assert!(text.contains(" tok7") && !text.contains("\"error\":{"), "{path}: {text}");
    }
}

/// A call of a tool in pieces.
fn call(pieces: &[&str]) -> Vec<Value> {
    let mut events = Vec::new();
    for (at, arguments) in pieces.iter().enumerate() {
        let mut call = json!({ "index": 0, "function": { "arguments": arguments } });
        if at == 0 {
            (call["id"], call["type"], call["function"]["name"]) = (json!("call_1"), json!("function"), json!("f"));
        }
        events.push(chunk(json!({ "tool_calls": [call] }), None));
    }
    events
}

fn lines(events: &[Value]) -> Vec<String> {
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

#[tokio::test]
async fn a_call_that_broke_off_is_made_anew_and_half_of_it_is_never_heard() {
    let tools = json!([{ "type": "function", "function": { "name": "f", "parameters": { "type": "object" } } }]);
    for said in [true, false] {
        let (one, two) = (Scripted::start().await.expect("a socket"), Scripted::start().await.expect("a socket"));
        let mut events = if said { vec![chunk(json!({ "content": "Let me look." }), None)] } else { Vec::new() };
        events.extend(call(&["{\"a\":", "1"]));
        one.push(Script::stream(lines(&events)).ending(End::Cut));
        let mut events = call(&["{\"a\":", "2}"]);
        events.push(chunk(json!({}), Some("tool_calls")));
        two.push(Script::stream(lines(&events)));
        let (bad, good) = (one.base_url(), two.base_url());
        let config = provider("bad", Dialect::OpenAiChat, &bad, &["lab/one"])
            + &provider("good", Dialect::OpenAiChat, &good, &["lab/one"])
            + "[models.\"house/x\"]\nendpoints = [\"lab/one\"]\ncontinue_streams = true\n";
        let gateway = Gateway::start(&config);
        let got = gateway.chat(&with(ask("house/x", true), json!({ "tools": tools }))).await;
        let heard: String = got
            .events()
            .iter()
            .filter_map(|event| event["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].as_str())
            .collect();
        assert_eq!(heard, "{\"a\":2}", "said {said}: {}", got.text());
        assert_eq!(got.text().matches("\"name\":\"f\"").count(), 1, "said {said}: {}", got.text());
        // Where nothing at all had been said it is an attempt like any other.
        let record = gateway.record(&got).await;
        assert_eq!(record["provider_responses"][1]["continues"], json!(said), "{record}");
    }
}

#[tokio::test]
async fn a_long_call_is_no_silence() {
    let (one, two) = (Scripted::start().await.expect("a socket"), Scripted::start().await.expect("a socket"));
    let mut events = call(&["{\"a\":\"", "x", "x", "x", "x", "x", "x", "\"}"]);
    events.push(chunk(json!({}), Some("tool_calls")));
    // Longer than a first content may take, all in all.
    one.push(Script::stream(lines(&events)).paced(Duration::from_millis(150)));
    let config = "[timeouts]\nfirst_content = \"600ms\"\nidle = \"400ms\"\n\n".to_owned()
        + &provider("bad", Dialect::OpenAiChat, &one.base_url(), &["lab/one"])
        + &provider("good", Dialect::OpenAiChat, &two.base_url(), &["lab/one"])
        + "[models.\"house/x\"]\nendpoints = [\"lab/one\"]\ncontinue_streams = true\n";
    let gateway = Gateway::start(&config);
    let got = gateway.chat(&ask("house/x", true)).await;
    assert!(got.text().contains("call_1") && two.journal().total() == 0, "{}", got.text());
}

#[tokio::test]
async fn what_came_of_it_is_counted() {
    let cut = Script::stream(lines(&[chunk(json!({ "content": " tok6" }), None)])).ending(End::Cut);
    let refused = Script::json(503, &json!({ "error": { "message": "no" } }));
    let rows: [(Script, &[(&str, &str)]); 3] = [
        (chat(&[" tok6"]), &[("good", "whole")]),
        (cut, &[("good", "broke")]),
        (refused, &[("good", "failed"), ("bad", "nobody")]),
    ];
    for (script, want) in rows {
        let (bad, good) = (breaks().await, Scripted::start().await.expect("a socket"));
        good.push(script);
        let good_table = provider("good", Dialect::OpenAiChat, &good.base_url(), &["lab/one"]);
        let gateway = Gateway::start(&house(&bad, &good_table));
        gateway.chat(&ask("house/x", true)).await;
        let mut metrics = String::new();
        for _ in 0..250 {
            metrics = gateway.send(http::Method::GET, "/metrics", &[], bytes::Bytes::new()).await.text();
            if metrics.contains("slipswitch_continuations_total{") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for (provider, outcome) in want {
            let line = format!("slipswitch_continuations_total{{provider=\"{provider}\",outcome=\"{outcome}\"}} 1");
            assert!(metrics.contains(&line), "{line}: {metrics}");
        }
        assert_eq!(metrics.matches("slipswitch_continuations_total{").count(), want.len(), "{metrics}");
    }
}
