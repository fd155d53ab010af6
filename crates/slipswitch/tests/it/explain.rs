//! Routing explains itself, and what it says is what happens.

mod log;
mod metadata;
mod past;
mod strict;

use crate::harness::{Gateway, KEY, provider, run, scratch};
use serde_json::{Value, json};
use slip_ir::Dialect;
use slip_sim::{Fault, Sim, SimConfig};
use std::collections::BTreeMap;
use std::time::Duration;

/// Four providers of one model: a cheap one, a dear one that is quick, one that fails half the time, one that rests.
struct Market {
    gateway: Gateway,
    _sims: Vec<Sim>,
}

async fn sim(ttft_ms: u64, fault: Option<(&str, f64)>) -> Sim {
    let fault = fault.map(|(mode, rate)| Fault { rate, ..Fault::parse(mode).expect("a mode") });
    let conf = SimConfig { ttft: Duration::from_millis(ttft_ms), fault, ..SimConfig::default() };
    Sim::start(conf).await.expect("a socket")
}

fn seller(name: &str, sim: &Sim, price: &str) -> String {
    provider(name, Dialect::OpenAiChat, &sim.base_url(), &["lab/one"])
        .replace("price = { input = \"2\", output = \"8\" }", price)
}

impl Market {
    async fn open() -> Market {
        let (thrift, swift) = (sim(12, None).await, sim(1, None).await);
        let (flaky, down) = (sim(1, Some(("status:500", 0.5))).await, sim(1, Some(("status:404", 1.0))).await);
        let conf = [
            seller("thrift", &thrift, "price = { input = \"1\", output = \"4\" }"),
            seller("swift", &swift, "price = { input = \"2\", output = \"8\" }"),
            seller("flaky", &flaky, "price = { input = \"1.5\", output = \"6\" }"),
            seller("down", &down, "price = { input = \"0.1\", output = \"0.4\" }"),
        ];
        let gateway = Gateway::start(&conf.concat());
        Market { gateway, _sims: vec![thrift, swift, flaky, down] }
    }

    async fn explained(&self, body: &Value) -> Value {
        let got = self.gateway.post("/api/v1/explain", body).await;
        assert_eq!(got.status, 200, "{}", got.text());
        got.json()
    }

    /// Who was asked first, of a request that was made.
    async fn first(&self, body: &Value) -> (String, Value) {
        let got = self.gateway.chat(body).await;
        let record = self.gateway.record(&got).await;
        (record["provider_responses"][0]["endpoint_id"].as_str().unwrap_or("nobody").to_owned(), record)
    }
}

fn ask(rules: Value) -> Value {
    json!({ "model": "lab/one", "stream": true, "provider": rules, "messages": [{ "role": "user", "content": "count to 3" }] })
}

fn firsts(told: &Value) -> BTreeMap<String, f64> {
    let one = |e: &Value| (e["endpoint"].as_str().unwrap_or("").to_owned(), e["first"].as_f64().unwrap_or(-1.0));
    told["endpoints"].as_array().expect("endpoints").iter().map(one).collect()
}

fn verdict<'a>(told: &'a Value, endpoint: &str) -> &'a str {
    let all = told["endpoints"].as_array().expect("endpoints");
    all.iter().find(|e| e["endpoint"] == endpoint).and_then(|e| e["verdict"].as_str()).unwrap_or("not there")
}

#[tokio::test]
async fn chances_are_what_happens() {
    let market = Market::open().await;
    let mut surprises = Vec::new();
    for rules in [
        json!({}),
        json!({ "sort": "price" }),
        json!({ "sort": "latency" }),
        json!({ "load_balancer": "price-weighted" }),
        json!({ "load_balancer": "round-robin", "ignore": ["down"] }),
        json!({ "load_balancer": "random", "max_price": { "prompt": 1.5 } }),
        json!({ "order": ["swift", "flaky"] }),
        json!({ "only": ["flaky", "thrift"], "allow_fallbacks": false }),
    ] {
        let (mut expected, mut counted) = (BTreeMap::<String, f64>::new(), BTreeMap::<String, f64>::new());
        let mut spread = 0.0;
        let body = ask(rules.clone());
        for _ in 0..60 {
            // What is known of the providers changes with every request, and with it the chances: they are asked for each time.
            let told = market.explained(&body).await;
            let chances = firsts(&told);
            let (first, record) = market.first(&body).await;
            let chance = chances.get(&first).copied().unwrap_or(-1.0);
            let certain = chances.iter().find(|(_, chance)| **chance >= 1.0).map(|(endpoint, _)| endpoint);
            if chance <= 0.0 || certain.is_some_and(|endpoint| *endpoint != first) {
                surprises.push(format!("{rules}: {first} was asked first: {told}"));
            }
            for (endpoint, chance) in &chances {
                *expected.entry(endpoint.clone()).or_default() += chance;
            }
            for attempt in record["provider_responses"].as_array().into_iter().flatten() {
                let who = attempt["endpoint_id"].as_str().unwrap_or("");
                assert!(!["refused", "never"].contains(&verdict(&told, who)), "{rules}: {who} was asked: {told}");
            }
            assert_eq!(record["slipswitch"]["strategy"], told["strategy"]["name"], "{rules}");
            assert_eq!(record["slipswitch"]["chosen_by"], told["strategy"]["chosen_by"], "{rules}");
            let refused = told["endpoints"].as_array().expect("endpoints").iter().filter(|e| e["verdict"] == "refused");
            assert_eq!(record["slipswitch"]["endpoints_refused"], refused.count(), "{rules}");
            spread += chances.values().map(|p| p * (1.0 - p)).fold(0.0, f64::max);
            *counted.entry(first).or_default() += 1.0;
        }
        for (endpoint, expected) in &expected {
            let is = counted.get(endpoint).copied().unwrap_or(0.0);
            // Five deviations, and one for good measure.
            assert!(
                (is - expected).abs() <= 5.0 * spread.sqrt() + 1.0,
                "{rules}: {endpoint}: {expected:.1} told, {is} seen"
            );
        }
    }
    // A rest may end between the question and the request.
    assert!(surprises.len() < 3, "{surprises:#?}");
}

#[tokio::test]
async fn explaining_changes_nothing() {
    let market = Market::open().await;
    let body = ask(json!({ "load_balancer": "round-robin", "only": ["thrift", "swift"] }));
    let mut seen = Vec::new();
    for _ in 0..4 {
        let told = market.explained(&body).await;
        let again = market.explained(&body).await;
        assert_eq!(
            (firsts(&told), &told["order"]),
            (firsts(&again), &again["order"]),
            "the same state, the same words"
        );
        seen.push(market.first(&body).await.0);
    }
    assert!(seen[0] != seen[1] && seen[0] == seen[2] && seen[1] == seen[3], "{seen:?}");
}

#[tokio::test]
async fn everything_that_speaks_for_and_against_is_told() {
    let market = Market::open().await;
    market.first(&ask(json!({ "only": ["down"] }))).await;
    market.first(&ask(json!({ "only": ["swift"] }))).await;
    let mut body = ask(json!({ "max_price": { "prompt": 1.2 }, "zdr": true, "ignore": ["swift"] }));
    body["max_tokens"] = json!(100);
    let told = market.explained(&body).await;
    let rules = |endpoint: &str| -> Vec<String> {
        let one =
            told["endpoints"].as_array().expect("endpoints").iter().find(|e| e["endpoint"] == endpoint).expect("it");
        let names = one["because"].as_array().expect("rules").iter();
        names.map(|rule| rule["rule"].as_str().unwrap_or("").to_owned()).collect()
    };
    assert_eq!(rules("swift"), ["ignore", "zdr", "max_price"]);
    assert_eq!(rules("thrift"), ["zdr"]);
    assert_eq!(told["no_route"]["status"], 404, "{told}");
    assert_eq!((&told["hedge"]["state"], &told["cache"]), (&json!("off"), &json!("off")));

    body["provider"] = json!({});
    let told = market.explained(&body).await;
    assert_eq!(verdict(&told, "down"), "last");
    let down = told["endpoints"].as_array().expect("endpoints").last().expect("one");
    assert_eq!((&down["endpoint"], &down["because"][0]["rule"]), (&json!("down"), &json!("cooldown")), "{told}");
    assert!(down["live"]["cooldown_ms"].as_u64().is_some_and(|left| left > 0), "{down}");
    assert_eq!((down["first"].as_f64(), down["rank"].as_u64()), (Some(0.0), Some(4)));
    let swift = told["endpoints"].as_array().expect("endpoints").iter().find(|e| e["endpoint"] == "swift").expect("it");
    assert!(swift["live"]["ttft_ms"].as_u64().is_some(), "{swift}");
    let parts: f64 =
        ["price", "waiting", "failure"].iter().map(|part| swift["score"][part].as_f64().expect("a part")).sum();
    assert!((parts - swift["score"]["expected_cost"].as_f64().expect("a sum")).abs() < 1e-8, "{swift}");
    assert_eq!(told["wants"]["max_tokens"], 100);
    assert_eq!(told["order"].as_array().map(Vec::len), Some(4));
    assert!(told["key"]["hash"].as_str().is_some_and(|hash| hash.len() == 12), "{told}");
    assert!(!told.to_string().contains(KEY));
    assert!(told["expects"]["cost_usd"].as_f64().is_some_and(|cost| cost > 0.0), "{told}");
}

#[tokio::test]
async fn every_dialect_is_explained_and_what_cannot_be_read_is_refused() {
    let market = Market::open().await;
    let rows = [
        ("openai-chat", json!({ "messages": [{ "role": "user", "content": "hi" }] })),
        ("anthropic", json!({ "max_tokens": 5, "messages": [{ "role": "user", "content": "hi" }] })),
        ("messages", json!({ "max_tokens": 5, "messages": [{ "role": "user", "content": "hi" }] })),
        ("responses", json!({ "input": "hi" })),
        ("completions", json!({ "prompt": "hi" })),
        ("gemini", json!({ "contents": [{ "role": "user", "parts": [{ "text": "hi" }] }] })),
        ("bedrock", json!({ "messages": [{ "role": "user", "content": [{ "text": "hi" }] }] })),
        ("cohere", json!({ "messages": [{ "role": "user", "content": "hi" }] })),
        ("ollama", json!({ "messages": [{ "role": "user", "content": "hi" }] })),
        ("ollama-generate", json!({ "prompt": "hi" })),
    ];
    for (surface, mut body) in rows {
        body["surface"] = json!(surface);
        body["model"] = json!("lab/one");
        let told = market.explained(&body).await;
        assert_eq!(told["endpoints"].as_array().map(Vec::len), Some(4), "{surface}: {told}");
        assert!(told["no_route"].is_null(), "{surface}: {told}");
    }
    let unknown =
        market.explained(&json!({ "model": "lab/two", "messages": [{ "role": "user", "content": "hi" }] })).await;
    assert_eq!(unknown["no_route"]["status"], 400, "{unknown}");
    assert!(unknown["no_route"]["message"].as_str().is_some_and(|says| says.contains("lab/two")), "{unknown}");
    for bad in [r#"{"model":"lab/one","surface":"morse","messages":[]}"#, "", "[]", "{\"model\":", r#"{"surface":7}"#] {
        let got = market.gateway.post_raw("/api/v1/explain", bad).await;
        assert_eq!(got.status, 400, "{bad}: {}", got.text());
    }
    let rules = market.gateway.post("/api/v1/explain", &ask(json!({ "order": 5 }))).await;
    assert_eq!(rules.status, 400, "{}", rules.text());
    market.gateway.is_well("explanations").await;
}

#[tokio::test]
async fn the_command_tells_people_and_machines() {
    let market = Market::open().await;
    let url = format!("http://{}", market.gateway.address);
    let args =
        ["explain", "--url", &url, "--model", "lab/one", "--sort", "price", "--provider", r#"{"ignore":["down"]}"#];
    let said = run(&args, &[("SLIPSWITCH_API_KEY", KEY)]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{}", said.out);
    let lines: Vec<&str> = said.out.lines().collect();
    assert!(lines.iter().any(|l| l.contains("by least-cost (chosen by: request)")), "{}", said.out);
    assert!(lines.iter().any(|l| l.trim_start().starts_with("1   thrift") && l.contains("100 %")), "{}", said.out);
    assert!(lines.iter().any(|l| l.contains("down") && l.contains("ignore: in provider.ignore")), "{}", said.out);

    let said = run(&[&args[..], &["--json"]].concat(), &[("SLIPSWITCH_API_KEY", KEY)]);
    let told: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(told["order"][0], "thrift");

    let file = scratch().join("request.json");
    std::fs::write(&file, ask(json!({ "order": ["swift"] })).to_string()).expect("a file");
    let conf = market.gateway.config.display().to_string();
    let said = run(&["explain", "-c", &conf, "-f", &file.display().to_string()], &[]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("by least-cost (chosen by: order)"), "{}", said.out);
    assert!(said.out.contains("nobody was measured yet"), "{}", said.out);

    let refused = [
        (vec!["explain", "--url", &url, "--model", "lab/one"], 2, "which key?"),
        (vec!["explain", "--url", "http://127.0.0.1:9", "--key", KEY, "--model", "x"], 69, "cannot be asked"),
        (vec!["explain", "--url", &url, "--key", "sk-wrong-0123456789", "--model", "x"], 1, "invalid API key"),
        (vec!["explain", "--url", &url, "--key", KEY], 2, "which model?"),
        (vec!["explain", "--url", &url, "--key", KEY, "gen-1-none"], 3, "no generation"),
        (vec!["explain", "--url", &url, "--key", KEY, "no-id"], 2, "not the id"),
    ];
    for (args, code, words) in refused {
        let said = run(&args, &[]);
        assert_eq!(said.code, Some(code), "{args:?}: {}", said.err);
        assert!(said.err.contains(words), "{args:?}: {}", said.err);
    }
}
