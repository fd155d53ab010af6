//! Routing by what was measured: what is shown of it, what it remembers, and whom it then asks.

use crate::harness::{Gateway, Got, MANAGEMENT, provider};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use slip_ir::Dialect;
use slip_sim::{Fault, Script, Scripted, Sim, SimConfig};
use std::time::Duration;

async fn sim(ttft: u64) -> Sim {
    let ttft = Duration::from_millis(ttft);
    Sim::start(SimConfig { ttft, ..SimConfig::default() }).await.expect("a socket")
}

fn ask(over: &Value) -> Value {
    let mut body =
        json!({ "model": "lab/one", "max_tokens": 8, "messages": [{ "role": "user", "content": "count to 8" }] });
    if let (Some(members), Some(over)) = (body.as_object_mut(), over.as_object()) {
        members.extend(over.clone());
    }
    body
}

fn who(got: &Got) -> String {
    assert_eq!(got.status, 200, "{}", got.text());
    got.header("x-provider-name").to_owned()
}

async fn endpoint(gateway: &Gateway, tag: &str) -> Value {
    let listed = gateway.get("/api/v1/models/lab/one/endpoints").await.json();
    let all = listed["data"]["endpoints"].as_array().expect("endpoints").clone();
    all.into_iter().find(|e| e["tag"] == tag).expect("listed")
}

/// Two of the same model and price.
async fn two(first: u64, second: u64) -> (Sim, Sim, String) {
    let (one, two) = (sim(first).await, sim(second).await);
    let config = provider("a", Dialect::OpenAiChat, &one.base_url(), &["lab/one"])
        + &provider("b", Dialect::OpenAiChat, &two.base_url(), &["lab/one"]);
    (one, two, config)
}

#[tokio::test]
async fn what_was_measured_is_shown_and_kept_over_a_restart() {
    let (one, _two, config) = two(30, 0).await;
    let mut gateway = Gateway::start(&config);
    let fresh = endpoint(&gateway, "a").await;
    for member in ["uptime_last_5m", "uptime_last_30m", "uptime_last_1d", "latency_last_30m", "throughput_last_30m"] {
        assert_eq!(fresh[member], Value::Null, "{member}");
    }
    let only = |stream: bool| ask(&json!({ "stream": stream, "provider": { "only": ["a"] } }));
    for stream in [true, true, true, false] {
        assert_eq!(gateway.chat(&only(stream)).await.status, 200);
    }
    one.set_fault(Some(Fault::parse("status:500").expect("a mode")));
    assert_eq!(gateway.chat(&only(true)).await.status, 502);
    one.set_fault(None);
    let shown = endpoint(&gateway, "a").await;
    assert!(shown["latency_last_30m"]["p50"].as_f64().is_some_and(|ms| (25.0..2_000.0).contains(&ms)), "{shown}");
    assert!(shown["throughput_last_30m"]["p50"].as_f64().is_some_and(|rate| rate > 0.0), "{shown}");
    // Four answered; it failed twice, for who has nobody to turn to is asked again.
    assert_eq!(shown["uptime_last_5m"], json!(66.67), "{shown}");
    let bearer = format!("Bearer {MANAGEMENT}");
    let metrics = gateway.send(Method::GET, "/metrics", &[("authorization", &bearer)], Bytes::new()).await.text();
    for line in [
        r#"slipswitch_endpoint_attempts_total{provider="a",model="lab/one",tag="a",outcome="ok"} 4"#,
        r#"slipswitch_endpoint_attempts_total{provider="a",model="lab/one",tag="a",outcome="failed"} 2"#,
        r#"slipswitch_endpoint_inflight{provider="a",model="lab/one",tag="a"} 0"#,
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    assert!(metrics.contains("slipswitch_endpoint_ttft_seconds{") && metrics.ends_with("# EOF\n"));
    assert_eq!(metrics.matches("# EOF").count(), 1);
    assert!(!metrics.contains(r#"tag="b""#), "nobody asked it");
    gateway.signal("TERM");
    assert_eq!(gateway.wait(Duration::from_secs(20)), Some(0));
    let kept = std::fs::read_to_string(gateway.dir.join("data/health.json")).expect("kept");
    assert!(kept.contains("ttft_ms") && !kept.contains("upstream-key"), "{kept}");
}

#[tokio::test]
async fn the_slow_and_the_failing_are_asked_less() {
    let (_one, _two, config) = two(250, 0).await;
    let gateway = Gateway::start(&config);
    for _ in 0..8 {
        for tag in ["a", "b"] {
            gateway.chat(&ask(&json!({ "stream": true, "provider": { "only": [tag] } }))).await;
        }
    }
    // At the same price, a quarter of a second is worth 25 millionths of a dollar here, and an answer costs about 80.
    let preferred = ask(&json!({ "provider": { "preferred_max_latency": { "p90": 0.1 } } }));
    for _ in 0..20 {
        assert_eq!(who(&gateway.chat(&preferred).await), "b");
    }
    let quickest = ask(&json!({ "provider": { "sort": "latency" } }));
    assert_eq!(who(&gateway.chat(&quickest).await), "b");
}

#[tokio::test]
async fn a_conversation_stays_where_its_prompt_is_cached() {
    // Simulated Gemini caches the prompts of models that are called so.
    let caching = || async {
        Sim::start(SimConfig { dialect: Dialect::Gemini, ..SimConfig::default() }).await.expect("a socket")
    };
    let (one, two) = (caching().await, caching().await);
    let priced = |name: &str, sim: &Sim| {
        provider(name, Dialect::Gemini, &sim.base_url(), &["lab/cache"])
            .replace("output = \"8\"", "output = \"8\", cache_read = \"0.2\"")
    };
    let gateway = Gateway::start(&(priced("a", &one) + &priced("b", &two)));
    let long = "It was a dark and stormy night. ".repeat(400);
    let turn = |conversation: usize| {
        let mut messages = vec![json!({ "role": "system", "content": format!("{conversation} {long}") })];
        messages.push(json!({ "role": "user", "content": "and now?" }));
        ask(&json!({ "model": "lab/cache", "messages": messages }))
    };
    let mut seen = std::collections::BTreeSet::new();
    // Whoever was found to be quick first draws most of them, but not all.
    for conversation in 0..120 {
        if conversation >= 12 && seen.len() == 2 {
            break;
        }
        let first = who(&gateway.chat(&turn(conversation)).await);
        for _ in 0..3 {
            let got = gateway.chat(&turn(conversation)).await;
            assert_eq!(who(&got), first, "conversation {conversation}");
            assert!(got.usage()["prompt_tokens_details"]["cached_tokens"].as_u64() > Some(1_000), "{}", got.text());
        }
        seen.insert(first);
    }
    assert_eq!(seen.len(), 2, "new conversations go to both");
    // It leaves when its endpoint is ill, and when the caller says where to go.
    let first = who(&gateway.chat(&turn(0)).await);
    let other = if first == "a" { "b" } else { "a" };
    let mut named = turn(0);
    named["provider"] = json!({ "order": [other] });
    assert_eq!(who(&gateway.chat(&named).await), other);
}

#[tokio::test]
async fn every_load_balancer_answers_by_its_name_and_an_unknown_one_is_told_the_names() {
    let (_one, _two, config) = two(0, 0).await;
    let gateway = Gateway::start(&config);
    for strategy in slip_route::STRATEGIES {
        for _ in 0..3 {
            let got = gateway.chat(&ask(&json!({ "provider": { "load_balancer": strategy.name() } }))).await;
            assert_eq!(got.status, 200, "{}: {}", strategy.name(), got.text());
        }
    }
    let got = gateway.chat(&ask(&json!({ "provider": { "load_balancer": "least-requests" } }))).await;
    assert_eq!(got.status, 400);
    assert!(got.text().contains("did you mean least-request?"), "{}", got.text());
}

#[tokio::test]
async fn replicas_of_one_provider_are_spread_by_prefix_or_by_load() {
    let mut sims = Vec::new();
    for _ in 0..3 {
        sims.push(sim(0).await);
    }
    let urls: Vec<String> = sims.iter().map(Sim::base_url).collect();
    let config = |balancer: &str| {
        format!(
            "[providers.farm]\ndialect = \"openai-chat\"\nbase_urls = {urls:?}\nmodels = [\"farm/one\"]\n\
             [models.\"lab/one\"]\nendpoints = [\"farm/one\"]\nload_balancer = \"{balancer}\"\n"
        )
    };
    let counts = || -> Vec<u64> { sims.iter().map(|sim| sim.journal().total()).collect() };
    let gateway = Gateway::start(&config("prefix-affinity"));
    let said = |n: usize| ask(&json!({ "messages": [{ "role": "user", "content": format!("conversation {n}") }] }));
    for n in 0..24 {
        let before = counts();
        for _ in 0..3 {
            assert_eq!(gateway.chat(&said(n)).await.status, 200);
        }
        let went: Vec<u64> = counts().iter().zip(before).map(|(now, before)| now - before).collect();
        assert!(went.contains(&3), "one conversation, one replica: {went:?}");
    }
    assert!(counts().iter().all(|n| *n > 0), "and many are spread: {:?}", counts());
    for balancer in ["least-request", "power-of-two", "random", "weighted"] {
        let before = counts();
        let gateway = Gateway::start(&config(balancer));
        for n in 0..60 {
            assert_eq!(gateway.chat(&said(n)).await.status, 200);
        }
        let went: Vec<u64> = counts().iter().zip(before).map(|(now, before)| now - before).collect();
        assert!(went.iter().all(|n| (5..=40).contains(n)), "{balancer}: {went:?}");
    }
}

#[tokio::test]
async fn a_limit_that_is_used_up_is_seen_before_it_says_so() {
    let spent = Scripted::start().await.expect("a socket");
    let answer = json!({
        "id": "x", "object": "chat.completion", "created": 1, "model": "one",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": "hi" }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4 },
    });
    let said = [("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "30s")];
    spent.always(said.iter().fold(Script::json(200, &answer), |script, (name, value)| script.header(name, value)));
    let other = sim(0).await;
    let config = provider("a", Dialect::OpenAiChat, &spent.base_url(), &["lab/one"])
        + &provider("b", Dialect::OpenAiChat, &other.base_url(), &["lab/one"]);
    let gateway = Gateway::start(&config);
    let ordered = ask(&json!({ "provider": { "order": ["a", "b"] } }));
    assert_eq!(who(&gateway.chat(&ordered).await), "a");
    for _ in 0..3 {
        assert_eq!(who(&gateway.chat(&ordered).await), "b", "nothing is left there, and it has said so");
    }
    assert_eq!(endpoint(&gateway, "a").await["status"], -2);
    let alone = gateway.chat(&ask(&json!({ "provider": { "only": ["a"] } }))).await;
    assert_eq!(alone.status, 200, "nobody is shut out");
}

#[tokio::test]
async fn a_conversation_too_long_is_squeezed_where_the_caller_asked_for_it() {
    let sim = sim(0).await;
    let config = format!(
        "[providers.small]\ndialect = \"openai-chat\"\nbase_url = \"{}\"\nkey = \"upstream-key\"\n\
         models = [{{ id = \"lab/one\", context = 2000 }}]\n",
        sim.base_url()
    );
    let gateway = Gateway::start(&config);
    let mut messages = vec![json!({ "role": "system", "content": "be brief" })];
    for n in 0..40 {
        let role = if n % 2 == 0 { "user" } else { "assistant" };
        messages.push(json!({ "role": role, "content": format!("turn {n} {}", "word ".repeat(100)) }));
    }
    messages.push(json!({ "role": "user", "content": "and the last" }));
    let plain = ask(&json!({ "messages": messages }));
    let refused = gateway.chat(&plain).await;
    assert_eq!((refused.status, sim.journal().total()), (404, 0), "{}", refused.text());
    for asked in [json!({ "transforms": ["middle-out"] }), json!({ "plugins": [{ "id": "context-compression" }] })] {
        let mut body = plain.clone();
        body.as_object_mut().expect("an object").extend(asked.as_object().expect("an object").clone());
        let got = gateway.chat(&body).await;
        assert_eq!(got.status, 200, "{}", got.text());
        assert_eq!(got.header("x-slipswitch-losses"), "messages");
        let sent = sim.journal().last().expect("a call").json();
        let kept = sent["messages"].as_array().expect("messages").clone();
        assert!((4..20).contains(&kept.len()), "{}", kept.len());
        assert_eq!(
            (&kept[0]["content"], &kept[kept.len() - 1]["content"]),
            (&json!("be brief"), &json!("and the last"))
        );
        assert!(sent.get("transforms").is_none() && sent.get("plugins").is_none());
    }
}
