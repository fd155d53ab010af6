//! What was used, told to people: the command line beside the API, analytics, the log of records, prices of records, kept content.

mod content;

use crate::harness::{Gateway, KEY, MANAGEMENT, Said, provider, run};
use http::Method;
use serde_json::{Value, json};
use slip_ir::Dialect;
use slip_sim::{Sim, SimConfig};

async fn lab() -> (Gateway, Sim) {
    let sim = Sim::start(SimConfig::default()).await.expect("a socket");
    let gateway = Gateway::start(&provider("lab", Dialect::OpenAiChat, &sim.base_url(), &["lab/one", "lab/two"]));
    (gateway, sim)
}

fn hello(model: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": "count to 3" }] })
}

/// A command that asks this gateway as its manager.
async fn ask(gateway: &Gateway, args: &[&str]) -> Said {
    let url = format!("http://{}", gateway.address);
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let done = tokio::task::spawn_blocking(move || {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        run(&args, &[("SLIPSWITCH_URL", &url), ("SLIPSWITCH_MANAGEMENT_KEY", MANAGEMENT)])
    });
    done.await.expect("it runs")
}

async fn told(gateway: &Gateway, args: &[&str]) -> String {
    let said = ask(gateway, args).await;
    assert_eq!(said.code, Some(0), "{args:?}: {}{}", said.out, said.err);
    said.out
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("not JSON ({e}): {text}"))
}

async fn query(gateway: &Gateway, body: Value) -> Value {
    let got = gateway.manage(Method::POST, "/api/v1/analytics/query", body).await;
    assert_eq!(got.status, 200, "{}", got.text());
    got.json()["data"].clone()
}

#[tokio::test]
async fn a_keys_life_on_the_command_line() {
    let (gateway, _sim) = lab().await;
    let secret = told(&gateway, &["keys", "create", "for ci", "--limit", "2.5", "--models", "lab/*", "--quiet"]).await;
    let secret = secret.strip_suffix('\n').expect("one line").to_owned();
    assert!(secret.starts_with("sk-slip-v1-") && !secret.contains('\n'), "the secret alone: {secret}");
    assert_eq!(gateway.chat_as(&secret, &hello("lab/one")).await.status, 200);

    let list = told(&gateway, &["keys", "list"]).await;
    assert!(list.lines().any(|line| line.starts_with("for ci") && line.contains("$2.50")), "{list}");
    assert!(!list.contains(&secret));
    let shown = parsed(&told(&gateway, &["keys", "show", "for ci", "--json"]).await);
    let hash = shown["hash"].as_str().expect("a hash").to_owned();
    assert_eq!(json!([shown["limit"], shown["allowed_models"]]), json!([2.5, ["lab/*"]]));
    let people = told(&gateway, &["keys", "show", &hash[..8]]).await;
    assert!(people.lines().any(|line| line == "limit                $2.50"), "{people}");

    let edited = told(&gateway, &["keys", "edit", &hash, "--limit", "none", "--rpm", "60", "--json"]).await;
    assert_eq!(json!([parsed(&edited)["limit"], parsed(&edited)["requests_per_minute"]]), json!([null, 60]));
    let newer = told(&gateway, &["keys", "rotate", "for ci", "--overlap", "0", "-q"]).await.trim_end().to_owned();
    assert_eq!(gateway.chat_as(&secret, &hello("lab/one")).await.status, 401);
    assert_eq!(gateway.chat_as(&newer, &hello("lab/one")).await.status, 200);
    told(&gateway, &["keys", "revoke", "for ci"]).await;
    assert_eq!(gateway.chat_as(&newer, &hello("lab/one")).await.status, 401);

    // What goes wrong is said, with the code that scripts know.
    let rows: [(&[&str], i32, &str); 6] = [
        (&["keys", "show", "nobody"], 3, "no key"),
        (&["keys", "show", &"0".repeat(64)], 3, "no key has this hash"),
        (&["keys", "edit", &hash], 2, "nothing to change"),
        (&["keys", "create", "x", "--limit", "much"], 2, "not a number: --limit much"),
        (&["keys", "create", "x", "--reset", "hourly"], 1, "daily, weekly, monthly"),
        (&["keys", "list", "--key", KEY], 1, "Only management keys"),
    ];
    for (args, code, says) in rows {
        let said = ask(&gateway, args).await;
        assert!(said.code == Some(code) && said.err.contains(says), "{args:?}: {:?} {}", said.code, said.err);
    }
    let alone = run(&["keys", "list", "--url", "http://127.0.0.1:1"], &[("SLIPSWITCH_MANAGEMENT_KEY", MANAGEMENT)]);
    assert!(alone.code == Some(69) && alone.err.contains("cannot be asked"), "{}", alone.err);
    let keyless = run(&["keys", "list"], &[]);
    assert!(keyless.code == Some(2) && keyless.err.contains("which management key"), "{}", keyless.err);
}

#[tokio::test]
async fn usage_is_told_by_the_command_as_by_the_api_and_exported_whole() {
    let (gateway, _sim) = lab().await;
    let mut cost = 0.0;
    for model in ["lab/one", "lab/one", "lab/two"] {
        let got = gateway.chat(&hello(model)).await;
        cost += gateway.record(&got).await["total_cost"].as_f64().expect("a cost");
    }
    let rows = parsed(&told(&gateway, &["usage", "--by", "model", "--json"]).await);
    let models: Vec<_> =
        rows.as_array().expect("rows").iter().map(|r| (r["model"].as_str(), r["request_count"].as_i64())).collect();
    assert_eq!(models, [(Some("lab/one"), Some(2)), (Some("lab/two"), Some(1))]);
    let sum: f64 = rows.as_array().expect("rows").iter().filter_map(|r| r["credits_usage"].as_f64()).sum();
    assert!((sum - cost).abs() < 1e-12, "{sum} {cost}");
    for (by, names) in [("provider", "lab"), ("key", "first key"), ("workspace", "default"), ("day", "20")] {
        let csv = told(&gateway, &["usage", "--by", by, "--csv", "--since", "1d"]).await;
        let lines: Vec<&str> = csv.lines().collect();
        assert!(lines[0].starts_with(&format!("{by},request_count,")) && lines[1].starts_with(names), "{csv}");
    }
    let quietly = ask(&gateway, &["usage", "--since", "36h"]).await;
    assert_eq!((quietly.code, quietly.err.as_str()), (Some(0), ""));
    let table = told(&gateway, &["usage"]).await;
    assert!(table.lines().last().is_some_and(|line| line.starts_with("together") && line.contains(" 3 ")), "{table}");

    // Every record, in two spellings.
    let lines = told(&gateway, &["export", "--format", "json"]).await;
    let records: Vec<Value> = lines.lines().map(parsed).collect();
    assert_eq!(
        records.iter().map(|r| r["model"].as_str()).collect::<Vec<_>>(),
        [Some("lab/two"), Some("lab/one"), Some("lab/one")]
    );
    let csv = told(&gateway, &["export", "--since", "2d"]).await;
    assert!(csv.starts_with("id,created_at,api_key_hash,") && csv.lines().count() == 4, "{csv}");
    let none = told(&gateway, &["export", "--since", "2020-01-01", "--until", "2020-02-01"]).await;
    assert_eq!(none.lines().count(), 1, "{none}");

    // The same at other prices: twice as dear, and one model that nobody there knows.
    let file = gateway.dir.join("other.toml");
    let other = provider("lab", Dialect::OpenAiChat, "http://127.0.0.1:1", &["lab/one"])
        .replace("\"2\"", "\"4\"")
        .replace("\"8\"", "\"16\"");
    std::fs::write(&file, other).expect("written");
    let file = file.display().to_string();
    let said = ask(&gateway, &["usage", "--reprice", &file]).await;
    assert!(
        said.code == Some(0) && said.err.contains("unknown price: lab/two at lab, of 1 requests"),
        "{}{}",
        said.out,
        said.err
    );
    let rows = parsed(&told(&gateway, &["usage", "--reprice", &file, "--json"]).await);
    let (one, two) = (&rows[0], &rows[1]);
    let (was, would) = (one["cost"].as_f64().expect("a sum"), one["repriced"].as_f64().expect("a sum"));
    assert!((would - 2.0 * was).abs() < 2e-9, "{rows}");
    assert_eq!(json!([two["model"], two["repriced"], two["unknown_price"]]), json!(["lab/two", null, 1]));
    for (args, says) in [
        (vec!["usage", "--since", "soon"], "not a time: soon"),
        (vec!["usage", "--since", "1d", "--until", "2d"], "not before"),
    ] {
        let said = ask(&gateway, &args).await;
        assert!(said.code == Some(2) && said.err.contains(says), "{args:?}: {}", said.err);
    }
}

#[tokio::test]
async fn analytics_answers_what_its_meta_lists() {
    let (gateway, _sim) = lab().await;
    for model in ["lab/one", "lab/one", "lab/two"] {
        assert_eq!(gateway.chat(&hello(model)).await.status, 200);
    }
    let meta = gateway.manage(Method::GET, "/api/v1/analytics/meta", Value::Null).await.json()["data"].clone();
    let names = |what: &str| -> Vec<String> {
        let all = meta[what].as_array().expect("a list");
        all.iter().map(|one| one["name"].as_str().expect("a name").to_owned()).collect()
    };
    // Each metric by each dimension in each granularity.
    for dimension in names("dimensions") {
        for granularity in names("granularities") {
            let body = json!({ "metrics": names("metrics"), "dimensions": [dimension], "granularity": granularity });
            let data = query(&gateway, body).await;
            let row = &data["data"][0];
            for name in names("metrics").iter().chain([&dimension, &format!("date__{granularity}")]) {
                assert!(row.get(name).is_some(), "{dimension} by {granularity} lacks {name}: {row}");
            }
            assert_eq!(data["metadata"]["row_count"], data["data"].as_array().map_or(0, Vec::len));
        }
    }
    let body = json!({ "metrics": ["request_count", "error_rate"], "dimensions": ["model"], "limit": 1 });
    let data = query(&gateway, body).await;
    assert_eq!(data["data"], json!([{ "model": "lab/one", "request_count": 2, "error_rate": 0.0 }]));
    assert_eq!(data["metadata"]["truncated"], true);
    let only = json!([{ "field": "model", "operator": "neq", "value": "lab/one" }]);
    let data = query(&gateway, json!({ "metrics": ["request_count"], "filters": only })).await;
    assert_eq!(data["data"], json!([{ "request_count": 1 }]));
    let hash = json!([{ "field": "api_key_id", "operator": "eq", "value": "nobody" }]);
    let data = query(&gateway, json!({ "metrics": ["request_count"], "filters": hash })).await;
    assert_eq!((&data["data"], data["warnings"].as_array().map(Vec::len)), (&json!([{ "request_count": 0 }]), Some(1)));
    let bad = gateway.manage(Method::POST, "/api/v1/analytics/query", json!({ "metrics": ["p99_latency"] })).await;
    assert!(
        bad.status == 400
            && bad.error()["message"].as_str().is_some_and(|says| says.starts_with("no such metric: p99_latency"))
    );
    let forbidden = gateway.post("/api/v1/analytics/query", &json!({ "metrics": ["request_count"] })).await;
    assert_eq!(forbidden.status, 403);
}

#[tokio::test]
async fn the_log_of_records_goes_back_page_by_page_and_an_api_key_sees_its_own() {
    let (gateway, _sim) = lab().await;
    let made = gateway.manage(Method::POST, "/api/v1/keys", json!({ "name": "other" })).await.json();
    let (secret, hash) = (made["key"].as_str().expect("a secret"), made["data"]["hash"].as_str().expect("a hash"));
    for _ in 0..3 {
        assert_eq!(gateway.chat(&hello("lab/one")).await.status, 200);
    }
    let others = gateway.chat_as(secret, &hello("lab/two")).await;
    let log = async |query: &str| {
        gateway.manage(Method::GET, &format!("/api/v1/generations{query}"), Value::Null).await.json()
    };
    let (mut seen, mut next) = (Vec::new(), String::new());
    for _ in 0..4 {
        let page = log(&format!("?limit=1{next}")).await;
        seen.push(page["data"][0]["id"].as_str().expect("an id").to_owned());
        next = format!("&before={}", page["next"].as_str().expect("a full page has a next"));
    }
    assert_eq!(seen[0], others.header("x-generation-id"));
    assert_eq!(log(&format!("?limit=1{next}")).await, json!({ "data": [], "next": null }));
    seen.dedup();
    assert_eq!(seen.len(), 4);
    assert_eq!(log(&format!("?api_key_hash={hash}")).await["data"].as_array().map(Vec::len), Some(1));
    // The same as of one, and of one's own alone.
    let own = gateway.get("/api/v1/generations").await.json();
    assert_eq!(own["data"].as_array().map(Vec::len), Some(3));
    assert_eq!(own["data"][0], gateway.get(&format!("/api/v1/generation?id={}", seen[1])).await.json()["data"]);
    assert_eq!(gateway.get(&format!("/api/v1/generations?api_key_hash={hash}")).await.status, 403);
    for query in ["?limit=0", "?limit=501", "?limit=x", "?before=x", "?before=-1"] {
        assert_eq!(gateway.get(&format!("/api/v1/generations{query}")).await.status, 400, "{query}");
    }
}

#[tokio::test]
async fn a_record_says_at_which_prices_it_was_charged() {
    let sim = Sim::start(SimConfig::default()).await.expect("a socket");
    let conf = provider("lab", Dialect::OpenAiChat, &sim.base_url(), &["lab/one"])
        .replace("output = \"8\"", "output = \"8\", cache_read = \"0.5\"");
    let gateway = Gateway::start(&conf);
    let got = gateway.chat(&hello("lab/one")).await;
    let record = gateway.record(&got).await;
    let (own, price) = (&record["slipswitch"], &record["slipswitch"]["price"]);
    assert_eq!(
        json!([price["version"], price["input"], price["output"]]),
        json!(["configuration", 2_000_000, 8_000_000])
    );
    assert_eq!(record["workspace_id"], "default");
    assert_eq!(record["request_id"], got.header("x-generation-id").replace("gen-", "req-"));
    assert_eq!(json!([own["provider"], own["attempts"], own["hedges"]]), json!(["lab", 1, 0]));
    // The charge follows from what the record says.
    let tokens = own["tokens"].as_object().expect("classes");
    let pico: u64 = tokens
        .iter()
        .map(|(class, count)| {
            let unit = price[class].as_u64().unwrap_or_else(|| panic!("no price of {class}: {price}"));
            count.as_u64().expect("a count") * unit
        })
        .sum();
    let cost = record["total_cost"].as_f64().expect("a cost");
    assert!((cost - pico as f64 / 1e12).abs() < 1e-9, "{cost} {pico} {record}");
    let cached = tokens.get("cache_read").and_then(Value::as_f64).unwrap_or(0.0);
    let discount = record["cache_discount"].as_f64().unwrap_or(0.0);
    assert!((discount - cached * 1.5e-6).abs() < 1e-9, "{record}");
}
