//! Tiers of service: who asks for one is sent there, the upstream is told so, and what it says it served at is what is charged.

use crate::harness::{Gateway, Got, with};
use serde_json::{Value, json};
use slip_sim::{Script, Scripted};

/// What `openai/gpt-5.4` costs in the catalogue for a thousand tokens in and a hundred out, at each tier.
const STANDARD: f64 = 0.004;
const FLEX: f64 = 0.002;
const PRIORITY: f64 = 0.008;

const CHAT: &str = "/api/v1/chat/completions";
const RESPONSES: &str = "/api/v1/responses";
const MESSAGES: &str = "/api/v1/messages";

async fn house() -> (Gateway, Scripted) {
    let upstream = Scripted::start().await.expect("a socket");
    let config = format!("[providers.openai]\nbase_url = \"{}/v1\"\nkey = \"upstream-key\"\n", upstream.base_url());
    (Gateway::start(&config), upstream)
}

/// OpenAI's answer, served at this tier.
fn answer(responses: bool, stream: bool, served: &str) -> Script {
    let usage = json!({ "prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100 });
    let head = json!({ "id": "x", "created": 1, "model": "gpt-5.4", "service_tier": served });
    match (responses, stream) {
        (false, false) => {
            let choice =
                json!({ "index": 0, "message": { "role": "assistant", "content": "hi" }, "finish_reason": "stop" });
            Script::json(200, &with(head, json!({ "object": "chat.completion", "choices": [choice], "usage": usage })))
        }
        (false, true) => {
            let chunk = |delta: Value, finish: Value| {
                let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
                with(head.clone(), json!({ "object": "chat.completion.chunk", "choices": [choice] }))
            };
            let last = with(head.clone(), json!({ "object": "chat.completion.chunk", "choices": [], "usage": usage }));
            Script::events(&[
                chunk(json!({ "role": "assistant", "content": "hi" }), Value::Null),
                chunk(json!({}), json!("stop")),
                last,
            ])
        }
        (true, _) => {
            let usage = json!({ "input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100 });
            let item = json!({
                "type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                "content": [{ "type": "output_text", "text": "hi", "annotations": [] }],
            });
            let response = |status: &str, tier: &str, output: Value, usage: &Value| {
                json!({
                    "id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": "gpt-5.4",
                    "output": output, "usage": usage, "service_tier": tier,
                })
            };
            let whole = response("completed", served, json!([item]), &usage);
            if !stream {
                return Script::json(200, &whole);
            }
            let event =
                |name: &str, body: Value| format!("event: {name}\ndata: {}\n\n", with(json!({ "type": name }), body));
            // What was asked for is repeated at the beginning; what was done is said at the end.
            let begun = response("in_progress", "auto", json!([]), &Value::Null);
            Script::stream([
                event("response.created", json!({ "response": begun })),
                event(
                    "response.output_item.added",
                    json!({ "output_index": 0, "item": with(item.clone(), json!({ "content": [], "status": "in_progress" })) }),
                ),
                event(
                    "response.content_part.added",
                    json!({ "item_id": "msg_1", "output_index": 0, "content_index": 0, "part": { "type": "output_text", "text": "", "annotations": [] } }),
                ),
                event(
                    "response.output_text.delta",
                    json!({ "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": "hi" }),
                ),
                event(
                    "response.output_text.done",
                    json!({ "item_id": "msg_1", "output_index": 0, "content_index": 0, "text": "hi" }),
                ),
                event("response.output_item.done", json!({ "output_index": 0, "item": item })),
                event("response.completed", json!({ "response": whole })),
            ])
        }
    }
}

fn ask(path: &str, tier: Option<&str>, over: Value) -> Value {
    let talk = json!([{ "role": "user", "content": "hi" }]);
    let said = if path == RESPONSES { "input" } else { "messages" };
    let mut body = json!({ "model": "openai/gpt-5.4", said: talk, "max_tokens": 200 });
    if path == RESPONSES {
        body = json!({ "model": "openai/gpt-5.4", said: talk });
    }
    if let Some(tier) = tier {
        body["service_tier"] = json!(tier);
    }
    with(body, over)
}

/// What the reply itself says that it cost.
fn told(got: &Got) -> Option<f64> {
    let usage =
        |value: &Value| [&value["usage"], &value["response"]["usage"]].into_iter().find_map(|u| u["cost"].as_f64());
    if got.header("content-type").starts_with("text/event-stream") {
        return got.events().iter().rev().find_map(usage);
    }
    usage(&got.json())
}

/// Path, tier asked for, what else; what the upstream is told, at what it serves; whose record it is, and what it costs.
type Row = (&'static str, Option<&'static str>, Value, Option<&'static str>, &'static str, &'static str, f64);

#[tokio::test]
async fn what_is_charged_is_the_tier_that_served() {
    let (gateway, upstream) = house().await;
    let none = || json!({});
    let only = |tag: &str| json!({ "provider": { "only": [tag] } });
    let rows: Vec<Row> = vec![
        (CHAT, None, none(), None, "default", "openai", STANDARD),
        (CHAT, Some("flex"), none(), Some("flex"), "flex", "openai/flex", FLEX),
        // It had no room, and served as it serves everybody.
        (CHAT, Some("flex"), none(), Some("flex"), "default", "openai/flex", STANDARD),
        (CHAT, Some("priority"), none(), Some("priority"), "priority", "openai/priority", PRIORITY),
        (CHAT, Some("fast"), none(), Some("priority"), "default", "openai/priority", STANDARD),
        // Its project serves everything at another tier.
        (CHAT, None, none(), None, "flex", "openai", FLEX),
        (CHAT, Some("auto"), none(), Some("auto"), "priority", "openai", PRIORITY),
        (CHAT, Some("default"), none(), Some("default"), "default", "openai", STANDARD),
        (CHAT, None, only("openai/priority"), Some("priority"), "priority", "openai/priority", PRIORITY),
        (CHAT, None, only("openai/flex"), Some("flex"), "flex", "openai/flex", FLEX),
        (CHAT, None, json!({ "model": "openai/gpt-5.4:floor" }), Some("flex"), "flex", "openai/flex", FLEX),
        (RESPONSES, Some("flex"), none(), Some("flex"), "flex", "openai/flex", FLEX),
        (RESPONSES, Some("priority"), none(), Some("priority"), "default", "openai/priority", STANDARD),
        (MESSAGES, Some("flex"), none(), Some("flex"), "flex", "openai/flex", FLEX),
        (MESSAGES, None, only("openai/priority"), Some("priority"), "priority", "openai/priority", PRIORITY),
    ];
    for (path, tier, over, sent, served, tag, cost) in rows {
        for stream in [false, true] {
            let shown = format!("{path} {tier:?} {over} served {served}, stream {stream}");
            upstream.push(answer(path == RESPONSES, stream, served));
            let got = gateway.post(path, &ask(path, tier, with(over.clone(), json!({ "stream": stream })))).await;
            assert_eq!(got.status, 200, "{shown}: {}", got.text());
            let asked = upstream.journal().last().map(|e| e.json()).unwrap_or_default();
            assert_eq!(asked["service_tier"].as_str(), sent, "{shown}: {asked}");
            let record = gateway.record(&got).await;
            let attempt = &record["provider_responses"][0];
            assert_eq!(attempt["endpoint_id"], tag, "{shown}");
            assert_eq!(attempt["routed_service_tier"].as_str(), tag.strip_prefix("openai/"), "{shown}");
            assert_eq!(record["service_tier"], served, "{shown}");
            assert_eq!(record["total_cost"], cost, "{shown}: {record}");
            // What the upstream writes in the caller's own dialect goes out as it came.
            if path != RESPONSES {
                assert_eq!(told(&got), Some(cost), "{shown}: {}", got.text());
            }
        }
    }
    assert_eq!(upstream.left(), 0);
}

#[tokio::test]
async fn a_tier_whose_price_nobody_knows_is_not_charged_as_if_it_were_known() {
    let (gateway, upstream) = house().await;
    for stream in [false, true] {
        upstream.push(answer(false, stream, "scale"));
        let got = gateway.chat(&ask(CHAT, Some("scale"), json!({ "stream": stream }))).await;
        let record = gateway.record(&got).await;
        assert_eq!(
            (&record["slipswitch"]["cost_known"], got.usage()["cost_unknown"].as_bool()),
            (&json!(false), Some(true))
        );
    }
}

#[tokio::test]
async fn who_asked_for_priority_is_served_without_it_at_the_price_of_that_and_flex_is_flex_or_nothing() {
    let (gateway, upstream) = house().await;
    let full = || {
        Script::json(429, &json!({ "error": { "message": "Resource unavailable", "code": "resource_unavailable" } }))
    };
    upstream.push(full());
    upstream.push(answer(false, false, "default"));
    let got = gateway.chat(&ask(CHAT, Some("priority"), json!({}))).await;
    assert_eq!((got.status, got.json()["service_tier"].as_str()), (200, Some("default")), "{}", got.text());
    let sent: Vec<Value> = upstream.journal().entries().iter().map(|e| e.json()).collect();
    assert_eq!((&sent[0]["service_tier"], &sent[1]["service_tier"]), (&json!("priority"), &json!("default")));
    let record = gateway.record(&got).await;
    assert_eq!(record["total_cost"], STANDARD, "{record}");
    assert_eq!(record["provider_responses"][1]["endpoint_id"], "openai");
    upstream.always(full());
    let got = gateway.chat(&ask(CHAT, Some("flex"), json!({}))).await;
    assert_eq!(got.status, 429, "{}", got.text());
    let all = upstream.journal().entries();
    let after: Vec<Value> = all.iter().skip(2).map(|e| e.json()).collect();
    assert!(!after.is_empty() && after.iter().all(|b| b["service_tier"] == "flex"), "{after:?}");
}

#[tokio::test]
async fn every_tier_is_listed_with_its_tag_and_price() {
    let (gateway, _upstream) = house().await;
    let listed = gateway.get("/api/v1/models/openai/gpt-5.4/endpoints").await.json();
    let all: Vec<(Value, Value, Value)> = listed["data"]["endpoints"]
        .as_array()
        .expect("endpoints")
        .iter()
        .map(|e| (e["tag"].clone(), e["service_tier"].clone(), e["pricing"]["prompt"].clone()))
        .collect();
    let want = [
        ("openai", Value::Null, "0.0000025"),
        ("openai/flex", json!("flex"), "0.00000125"),
        ("openai/priority", json!("priority"), "0.000005"),
    ];
    assert_eq!(all, want.map(|(tag, tier, price)| (json!(tag), tier, json!(price))));
    let models = gateway.get("/api/v1/models").await.json();
    let model =
        models["data"].as_array().expect("models").iter().find(|m| m["id"] == "openai/gpt-5.4").expect("listed");
    assert_eq!(model["pricing"]["prompt"], "0.0000025", "what everybody pays who asks for nothing else");
}
