//! Faults upstream: before the first content another endpoint is tried, after it never, and the record tells the truth.

mod answers;
mod blame;
mod bomb;
mod callers;
mod certificates;
mod continuing;
mod crowd;
mod deadlines;
mod endings;
mod greed;
mod hedging;
mod matrix;
mod pools;
mod prefilling;
mod waiting;

use crate::harness::{Gateway, provider, with};
use serde_json::{Value, json};
use slip_ir::Dialect;
use slip_sim::{Fault, Sim, SimConfig};
use std::time::Duration;

const CHAT: &str = "/api/v1/chat/completions";

async fn sim(dialect: Dialect, fault: Option<&str>) -> Sim {
    let fault = fault.map(|mode| Fault::parse(mode).expect("a mode"));
    Sim::start(SimConfig { dialect, fault, ..SimConfig::default() }).await.expect("a socket")
}

/// An upstream that takes its time: 20 tokens a second.
async fn slow_sim(dialect: Dialect) -> Sim {
    Sim::start(SimConfig { dialect, tokens_per_second: 20.0, ..SimConfig::default() }).await.expect("a socket")
}

/// Two providers of the same models, the first one tried first.
fn pair(bad: &Sim, good: &Sim, models: &[&str]) -> String {
    let (one, two) = (bad.config().dialect, good.config().dialect);
    provider("bad", one, &bad.base_url(), models) + &provider("good", two, &good.base_url(), models)
}

fn ask(model: &str, stream: bool) -> Value {
    json!({
        "model": model,
        "stream": stream,
        "provider": { "order": ["bad", "good"] },
        "messages": [{ "role": "user", "content": "count to 20" }],
    })
}

fn fail(sim: &Sim, mode: Option<&str>) {
    sim.set_fault(mode.map(|mode| Fault::parse(mode).expect("a mode")));
}

#[tokio::test]
async fn a_rate_limit_rests_the_endpoint_as_long_as_it_asked() {
    for dialect in Dialect::ALL {
        let (bad, good) = (sim(dialect, Some("status:429:1")).await, sim(Dialect::OpenAiChat, None).await);
        let gateway = Gateway::start(&pair(&bad, &good, &["lab/one"]));
        for _ in 0..3 {
            assert_eq!(gateway.chat(&ask("lab/one", false)).await.status, 200);
        }
        assert_eq!((bad.journal().total(), good.journal().total()), (1, 3), "{dialect:?}: it is left alone");
        let endpoints = gateway.get("/api/v1/models/lab/one/endpoints").await.json()["data"]["endpoints"].clone();
        let status = |tag: &str| {
            let all = endpoints.as_array().expect("endpoints");
            all.iter().find(|e| e["tag"] == tag).map(|e| e["status"].clone())
        };
        assert_eq!((status("bad"), status("good")), (Some(json!(-2)), Some(json!(0))), "{dialect:?}");
        fail(&bad, None);
        tokio::time::sleep(Duration::from_millis(1100)).await;
        assert_eq!(
            gateway.chat(&ask("lab/one", false)).await.json()["provider"],
            "bad",
            "{dialect:?}: and then asked again"
        );
    }
}

#[tokio::test]
async fn our_own_credential_refused_is_never_the_callers_401() {
    for dialect in Dialect::ALL {
        let (bad, good) = (sim(dialect, Some("auth")).await, sim(Dialect::OpenAiChat, None).await);
        let gateway = Gateway::start(&pair(&bad, &good, &["lab/one", "lab/two"]));
        for _ in 0..2 {
            let got = gateway.chat(&ask("lab/one", false)).await;
            assert_eq!((got.status, &got.json()["provider"]), (200, &json!("good")), "{dialect:?}");
        }
        assert_eq!(bad.journal().total(), 1, "{dialect:?}: a refused credential is not shown again at once");
        let alone = gateway.chat(&with(ask("lab/two", false), json!({ "provider": { "only": ["bad"] } }))).await;
        assert_eq!(
            (alone.status, &alone.error()["metadata"]["reason"]),
            (502, &json!("upstream_auth_failed")),
            "{dialect:?}"
        );
        assert!(!alone.text().contains("upstream-key-bad"), "{}", alone.text());
    }
}

#[tokio::test]
async fn a_refusal_goes_to_the_next_model_of_a_list() {
    for dialect in Dialect::ALL {
        let (bad, good) = (sim(dialect, Some("status:400")).await, sim(Dialect::OpenAiChat, None).await);
        let config = provider("bad", dialect, &bad.base_url(), &["lab/small"])
            + &provider("good", Dialect::OpenAiChat, &good.base_url(), &["lab/large"]);
        let gateway = Gateway::start(&config);
        for stream in [false, true] {
            let listed = with(ask("lab/small", stream), json!({ "models": ["lab/small", "lab/large"] }));
            let got = gateway.chat(&listed).await;
            assert_eq!(got.status, 200, "{dialect:?}: {}", got.text());
            let first = if stream { got.events().remove(0) } else { got.json() };
            assert_eq!(first["model"], "lab/large", "{dialect:?}");
        }
    }
}

#[tokio::test]
async fn a_prompt_too_long_goes_to_another_model_only_where_one_was_listed() {
    for dialect in Dialect::ALL {
        let (bad, good) = (sim(dialect, Some("context")).await, sim(Dialect::OpenAiChat, None).await);
        let config = pair(&bad, &good, &["lab/small"])
            + &provider("large", Dialect::OpenAiChat, &good.base_url(), &["lab/large"]);
        let gateway = Gateway::start(&config);
        for stream in [false, true] {
            let got = gateway.chat(&ask("lab/small", stream)).await;
            assert_eq!(
                (got.status, &got.error()["metadata"]["reason"]),
                (400, &json!("context_length_exceeded")),
                "{dialect:?}"
            );
            assert_eq!(good.journal().total(), u64::from(stream), "{dialect:?}: the same model elsewhere is no longer");
            let listed = with(ask("lab/small", stream), json!({ "models": ["lab/small", "lab/large"] }));
            let got = gateway.chat(&listed).await;
            assert_eq!(got.status, 200, "{}", got.text());
            let first = if stream { got.events().remove(0) } else { got.json() };
            assert_eq!(first["model"], "lab/large", "{dialect:?}");
        }
    }
}

#[tokio::test]
async fn an_upstream_that_never_answers_is_a_504() {
    let never = sim(Dialect::OpenAiChat, Some("never")).await;
    let timeouts = "[timeouts]\nfirst_content = \"300ms\"\ntotal = \"900ms\"\n\n".to_owned();
    let gateway =
        Gateway::start(&(timeouts + &provider("never", Dialect::OpenAiChat, &never.base_url(), &["lab/never"])));
    for (stream, within) in [(true, "300 ms"), (false, "900 ms")] {
        let got = gateway.chat(&with(ask("lab/never", stream), json!({ "provider": {} }))).await;
        let error = got.error();
        assert_eq!((got.status, &error["metadata"]["reason"]), (504, &json!("upstream_timeout")), "{}", got.text());
        assert!(error["message"].as_str().is_some_and(|m| m.ends_with(&format!("within {within}"))), "{error}");
        gateway.is_well("waiting in vain").await;
    }
}

#[tokio::test]
async fn without_fallbacks_nobody_else_is_tried() {
    let (bad, good) = (sim(Dialect::OpenAiChat, Some("status:500")).await, sim(Dialect::OpenAiChat, None).await);
    let gateway = Gateway::start(&pair(&bad, &good, &["lab/one", "lab/two"]));
    let strict = json!({ "provider": { "order": ["bad"], "allow_fallbacks": false } });
    let got = gateway.chat(&with(ask("lab/one", false), strict)).await;
    assert_eq!((got.status, good.journal().total()), (502, 0), "{}", got.text());
    // The endpoint of a strategy's choice stays the only one too.
    let cheapest = json!({ "provider": { "sort": "price", "allow_fallbacks": false } });
    gateway.chat(&with(ask("lab/two", false), cheapest)).await;
    assert!(
        good.journal().total() == 0 || bad.journal().entries().iter().all(|e| e.model.as_deref() != Some("lab/two"))
    );
}

#[tokio::test]
async fn a_caller_who_hangs_up_cancels_the_provider_and_is_recorded() {
    for dialect in Dialect::ALL {
        let slow = slow_sim(dialect).await;
        let gateway = Gateway::start(&provider("slow", dialect, &slow.base_url(), &["lab/slow"]));
        let body = with(ask("lab/slow", true), json!({ "provider": {} }));
        let mut stream = gateway.open(CHAT, &body).await;
        stream.until("tok3").await;
        let id = stream.id();
        drop(stream);
        let patience = Duration::from_secs(5);
        let seen = slow.journal().wait_until(patience, |all| all.iter().any(|e| e.cancelled.is_some())).await;
        let entry = seen.last().expect("a request");
        assert!(entry.cancelled.is_some() && entry.emitted < 15, "{dialect:?}: {entry:?}");
        let record = gateway.record_left(&id).await;
        assert_eq!((&record["cancelled"], &record["slipswitch"]["status"]), (&json!(true), &json!(499)), "{dialect:?}");
        assert_eq!(record["slipswitch"]["usage_estimated"], true, "{dialect:?}: {record}");
        let tokens = record["tokens_completion"].as_u64().expect("a count");
        assert!((1..15).contains(&tokens), "{dialect:?}: what was seen is charged: {record}");
        assert!(record["total_cost"].as_f64().is_some_and(|c| c > 0.0), "{dialect:?}: {record}");
    }
}

#[tokio::test]
async fn a_caller_who_leaves_before_the_answer_cancels_it_too() {
    for stream in [false, true] {
        let never = sim(Dialect::OpenAiChat, Some("never")).await;
        let gateway = Gateway::start(&provider("never", Dialect::OpenAiChat, &never.base_url(), &["lab/never"]));
        let body = with(ask("lab/never", stream), json!({ "provider": {} }));
        let asked = tokio::time::timeout(Duration::from_millis(300), gateway.chat(&body)).await;
        assert!(asked.is_err(), "it never answers");
        let seen =
            never.journal().wait_until(Duration::from_secs(1), |all| all.iter().any(|e| e.cancelled.is_some())).await;
        assert!(seen.last().is_some_and(|e| e.cancelled.is_some()), "stream {stream}: {seen:?}");
        let line = "slipswitch_requests_total{provider=\"never\",model=\"lab/never\",status=\"499\"} 1";
        let mut metrics = String::new();
        // The record is counted in the ledger's thread, on its own time: on a busy machine a good while later.
        for _ in 0..250 {
            metrics = gateway.send(http::Method::GET, "/metrics", &[], bytes::Bytes::new()).await.text();
            if metrics.contains(line) && metrics.contains("slipswitch_inflight 0") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(metrics.contains(line) && metrics.contains("slipswitch_inflight 0"), "{metrics}");
    }
}

#[tokio::test]
async fn what_breaks_in_the_middle_is_told_in_the_callers_own_dialect() {
    let bad = sim(Dialect::OpenAiChat, Some("cut:5")).await;
    let gateway = Gateway::start(&provider("bad", Dialect::OpenAiChat, &bad.base_url(), &["lab/one"]));
    let messages = json!({ "model": "lab/one", "max_tokens": 50, "stream": true, "messages": [{ "role": "user", "content": "count to 20" }] });
    let got = gateway.post("/v1/messages", &messages).await;
    let text = got.text();
    let last = text.trim_end().rsplit("\n\n").next().unwrap_or_default();
    assert!(last.starts_with("event: error\ndata: {\"type\":\"error\""), "{text}");
    assert!(text.contains("tok5") && !text.contains("message_stop"), "{text}");
    let contents = json!({ "contents": [{ "role": "user", "parts": [{ "text": "count to 20" }] }] });
    let got = gateway.post("/v1beta/models/lab%2Fone:streamGenerateContent?alt=sse", &contents).await;
    let last = got.events().pop().unwrap_or_else(|| panic!("{} {}", got.status, got.text()));
    assert_eq!(
        (&last["error"]["code"], &last["error"]["status"]),
        (&json!(502), &json!("UNAVAILABLE")),
        "{}",
        got.text()
    );
}

#[tokio::test]
async fn usage_that_nobody_reported_is_estimated_and_said_to_be() {
    for dialect in Dialect::ALL {
        let quiet = sim(dialect, Some("no-usage")).await;
        let gateway = Gateway::start(&provider("quiet", dialect, &quiet.base_url(), &["lab/one"]));
        for stream in [false, true] {
            let got = gateway.chat(&with(ask("lab/one", stream), json!({ "provider": {} }))).await;
            let (usage, record) = (got.usage(), gateway.record(&got).await);
            assert!(
                usage["completion_tokens"].as_u64().is_some_and(|n| n >= 10),
                "{dialect:?} {stream}: {}",
                got.text()
            );
            assert!(usage["cost"].as_f64().is_some_and(|c| c > 0.0), "{dialect:?} {stream}: {usage}");
            assert_eq!(record["slipswitch"]["usage_estimated"], true, "{dialect:?} {stream}");
            assert_eq!(record["total_cost"], usage["cost"], "{dialect:?} {stream}");
        }
    }
}

#[tokio::test]
async fn more_requests_than_the_house_takes_at_once_are_told_to_come_back() {
    let slow = slow_sim(Dialect::OpenAiChat).await;
    let config = "[limits]\nmax_concurrent = 2\n\n[queue.interactive]\nlength = 0\n\n".to_owned()
        + &provider("slow", Dialect::OpenAiChat, &slow.base_url(), &["lab/slow"]);
    let gateway = Gateway::start(&config);
    let body = with(ask("lab/slow", true), json!({ "provider": {} }));
    let mut first = gateway.open(CHAT, &body).await;
    let mut second = gateway.open(CHAT, &body).await;
    first.until("tok1").await;
    second.until("tok1").await;
    let third = gateway.chat(&body).await;
    assert_eq!((third.status, third.header("retry-after")), (503, "1"), "{}", third.text());
    assert_eq!(third.error()["metadata"]["reason"], "server_busy");
    gateway.is_well("a full house").await;
    drop(first);
    second.rest().await;
    let mut status = 503;
    for _ in 0..50 {
        status = gateway.chat(&with(body.clone(), json!({ "max_tokens": 1 }))).await.status;
        if status == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(status, 200, "a place given back is a place free");
}
