//! The decision log: a line per request, of what was known and what came of it, and nothing of what was said.

use super::{ask, seller, sim};
use crate::harness::{Gateway, run, scratch};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

const SECRET: &str = "the-words-of-a-caller";

async fn lines(path: &Path, count: usize) -> Vec<Value> {
    for _ in 0..250 {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if text.lines().count() >= count && text.ends_with('\n') {
            return text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never {count} lines: {}", std::fs::read_to_string(path).unwrap_or_default());
}

#[tokio::test]
async fn a_line_tells_what_was_known_and_what_came_of_it() {
    let (down, good) = (sim(1, Some(("status:503", 1.0))).await, sim(1, None).await);
    let dir = scratch();
    let path = dir.join("decisions.ndjson");
    let conf = seller("down", &down, "price = { input = \"1\", output = \"4\" }")
        + &seller("good", &good, "price = { input = \"2\", output = \"8\" }")
        + &seller("dear", &good, "price = { input = \"9\", output = \"9\" }")
        + &format!("[decision_log]\npath = {:?}\n", path.display().to_string());
    let gateway = Gateway::start(&conf);
    let mut body = ask(json!({ "order": ["down", "good"], "max_price": { "prompt": 5 } }));
    body["messages"][0]["content"] = json!(SECRET);
    body["user"] = json!("somebody@example.com");
    let got = gateway.chat(&body).await;
    assert_eq!(got.status, 200, "{}", got.text());
    let refused = gateway.chat(&ask(json!({ "only": ["down"] }))).await;
    assert!(refused.status >= 500, "{}", refused.status);
    let told = lines(&path, 2).await;
    let first = &told[0];
    assert_eq!(first["id"], got.header("x-generation-id"));
    assert_eq!(
        (&first["v"], &first["models"], &first["strategy"]),
        (&json!(1), &json!(["lab/one"]), &json!("least-cost"))
    );
    assert_eq!(first["provider"]["order"], json!(["down", "good"]));
    let names: Vec<&Value> = first["endpoints"].as_array().expect("endpoints").iter().map(|e| &e["endpoint"]).collect();
    assert_eq!(names, ["down", "good"]);
    assert!(first["endpoints"][0]["price_nano"].as_i64() < first["endpoints"][1]["price_nano"].as_i64());
    assert_eq!(first["refused"], json!([{ "endpoint": "dear", "rule": "max_price" }]));
    let attempts: Vec<(&Value, &Value)> =
        first["attempts"].as_array().expect("attempts").iter().map(|a| (&a["endpoint"], &a["status"])).collect();
    assert_eq!(attempts, [(&json!("down"), &json!(503)), (&json!("good"), &json!(200))]);
    let record = gateway.record(&got).await;
    assert_eq!(first["usage"]["completion"], record["tokens_completion"]);
    let cost = first["cost_nano"].as_f64().expect("a cost") / 1e9;
    assert!((cost - record["total_cost"].as_f64().expect("a cost")).abs() < 1e-12);
    assert_eq!((&told[1]["status"], &told[1]["attempts"][0]["status"]), (&json!(refused.status), &json!(503)));
    let text = std::fs::read_to_string(&path).expect("the log");
    for word in [SECRET, "somebody@example.com", "echo"] {
        assert!(!text.contains(word), "{word}: {text}");
    }
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).expect("the log").permissions());
    assert_eq!(mode & 0o777, 0o600);
    let _ = std::fs::remove_dir_all(dir);
}

#[tokio::test]
async fn a_log_that_cannot_be_written_costs_nobody_a_reply() {
    let good = sim(1, None).await;
    let conf = seller("good", &good, "price = { input = \"2\", output = \"8\" }")
        + "[decision_log]\npath = \"/dev/null/decisions.ndjson\"\n";
    let gateway = Gateway::start(&conf);
    assert_eq!(gateway.chat(&ask(json!({}))).await.status, 200);
    gateway.says("the decision log cannot be written").await;
    let metrics = gateway.get("/metrics").await;
    let key = ("authorization", format!("Bearer {}", crate::harness::MANAGEMENT));
    let metrics = match metrics.status {
        200 => metrics,
        _ => gateway.send(http::Method::GET, "/metrics", &[(key.0, &key.1)], bytes::Bytes::new()).await,
    };
    assert!(metrics.text().contains("slipswitch_decision_log_dropped 1"), "{}", metrics.text());
}

#[tokio::test]
async fn a_log_is_replayed_under_other_rules() {
    let (slow, quick) = (sim(60, None).await, sim(1, None).await);
    let dir = scratch();
    let path = dir.join("decisions.ndjson");
    let two = |slow_price: &str, quick_price: &str| {
        let price = |input: &str| format!("price = {{ input = \"{input}\", output = \"{input}\" }}");
        seller("slow", &slow, &price(slow_price)) + &seller("quick", &quick, &price(quick_price))
    };
    let gateway =
        Gateway::start(&(two("1", "4") + &format!("[decision_log]\npath = {:?}\n", path.display().to_string())));
    for n in 0..30 {
        let rules = if n % 2 == 0 { json!({ "order": ["slow"] }) } else { json!({ "order": ["quick"] }) };
        let mut body = ask(rules);
        body["provider"]["allow_fallbacks"] = json!(true);
        assert_eq!(gateway.chat(&body).await.status, 200);
    }
    lines(&path, 30).await;
    // What the callers wished for still holds: only a price that halves makes a difference here.
    let (other, same) = (dir.join("other.toml"), dir.join("same.toml"));
    std::fs::write(&other, two("1", "2")).expect("a file");
    std::fs::write(&same, two("1", "4")).expect("a file");
    let with = |conf: &Path, more: &[&str]| {
        let (log, conf) = (path.display().to_string(), conf.display().to_string());
        run(&[&["simulate", "--log", &log, "--config", &conf, "--json"], more].concat(), &[])
    };
    let simulated = |conf: &Path| {
        let said = with(conf, &[]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        serde_json::from_str::<Value>(&said.out).expect("JSON")
    };
    let figure = |told: &Value, name: &str| -> Value {
        told["figures"].as_array().expect("figures").iter().find(|f| f["figure"] == name).expect("it").clone()
    };
    let told = simulated(&same);
    assert_eq!(told["requests"], 30);
    assert_eq!(told["never_tried_in_the_log"], json!([]));
    let cost = figure(&told, "cost of an answer");
    assert!(cost["difference"].as_f64().expect("a difference").abs() < 1e-9, "{cost}");
    assert_eq!(figure(&told, "requests that fail")["difference"], 0.0);
    assert_eq!(told, simulated(&same), "the same seed, the same figures");
    let cost = figure(&simulated(&other), "cost of an answer");
    assert!(cost["high"].as_f64().is_some_and(|high| high < 0.0), "{cost}");
    for figure_name in ["first content, p50", "to the end, p99", "requests that fall back", "calls that are limited"] {
        let one = figure(&told, figure_name);
        let apart = one["difference"].as_f64().map(f64::abs);
        assert!(apart.is_some_and(|apart| apart < 20.0), "the same rules, the same answers: {one}");
    }
    // What did not happen yesterday might happen tomorrow.
    let troubled = |more: &[&str]| {
        let said = with(&same, more);
        assert_eq!(said.code, Some(0), "{}", said.err);
        serde_json::from_str::<Value>(&said.out).expect("JSON")
    };
    let away = troubled(&["--outage", "slow=0..1h"]);
    assert_eq!(figure(&away, "requests that fail")["after"], 0.0, "{away}");
    assert!(figure(&away, "requests that fall back")["after"].as_f64().is_some_and(|share| share > 0.0), "{away}");
    assert!(figure(&away, "cost of an answer")["low"].as_f64().is_some_and(|low| low > 0.0), "{away}");
    let limited = troubled(&["--limit", "quick=1"]);
    assert!(figure(&limited, "calls that are limited")["after"].as_f64().is_some_and(|share| share > 0.0), "{limited}");
    let cost = figure(&limited, "cost of an answer");
    assert!(cost["high"].as_f64().is_some_and(|high| high < 0.0), "whoever is limited is left alone: {cost}");
    assert_eq!(limited["limits_added"], json!(["quick=1"]));
    for wrong in [["--outage", "nobody=0..1h"], ["--outage", "slow=1h"], ["--limit", "slow=often"]] {
        assert!(with(&same, &wrong).code.is_some_and(|code| code > 0), "{wrong:?}");
    }
    let said = run(&["simulate", "--log", "/nonexistent", "--config", &same.display().to_string()], &[]);
    assert_eq!(said.code, Some(3), "{}", said.err);
    let _ = std::fs::remove_dir_all(dir);
}
