//! What a request with a caller's own key costs: here nothing, there what the provider asks.

use super::{Door, HOUSE, ask, bring, config, told, well};
use crate::harness::{Gateway, with};
use http::Method;
use serde_json::{Value, json};

/// 1000 tokens at a dollar a million, 500 at four.
const COST: f64 = 0.003;

#[tokio::test]
async fn the_caller_is_charged_nothing_and_told_what_the_provider_asks() {
    let door = Door::open().await;
    let gateway = Gateway::start(&config(&[("lab", &door)]));
    let id = bring(&gateway, "lab", "sk-own-first-0000000", json!({})).await;
    for stream in [false, true] {
        let got = gateway.chat(&with(ask(), json!({ "stream": stream }))).await;
        let usage = got.usage();
        assert_eq!((&usage["is_byok"], &usage["cost"]), (&json!(true), &json!(0)), "{usage}");
        assert_eq!(usage["cost_details"]["upstream_inference_cost"], json!(COST), "{usage}");
        let record = gateway.record(&got).await;
        assert_eq!((&record["is_byok"], record["total_cost"].as_f64()), (&json!(true), Some(0.0)));
        assert_eq!(record["upstream_inference_cost"], json!(COST));
        assert_eq!(
            (&record["provider_responses"][0]["is_byok"], &record["slipswitch"]["own_key"]),
            (&json!(true), &json!(id))
        );
    }
    let key = gateway.get("/api/v1/key").await.json()["data"].clone();
    assert_eq!((key["usage"].as_f64(), key["byok_usage"].as_f64()), (Some(0.0), Some(2.0 * COST)), "{key}");
    // With the house's it is as ever, and what was tried before is told apart from what answered.
    door.refuses("sk-own-first-0000000", 401);
    let got = well(&gateway).await;
    assert_eq!((&got.usage()["is_byok"], &got.usage()["cost"]), (&json!(false), &json!(COST)));
    let record = gateway.record(&got).await;
    let tried: Vec<&Value> =
        record["provider_responses"].as_array().expect("attempts").iter().map(|a| &a["is_byok"]).collect();
    assert_eq!((tried, &record["is_byok"]), (vec![&json!(true), &json!(false)], &json!(false)));
    assert_eq!(record["slipswitch"]["own_key"], Value::Null);
}

#[tokio::test]
async fn the_account_of_the_routing_says_whose_key_it_was() {
    let door = Door::open().await;
    let gateway = Gateway::start(&config(&[("lab", &door)]));
    let bearer = format!("Bearer {}", crate::harness::KEY);
    let headers = [("authorization", bearer.as_str()), ("x-openrouter-metadata", "enabled")];
    let path = "/api/v1/chat/completions";
    for own in [false, true] {
        if own {
            bring(&gateway, "lab", "sk-own-first-0000000", json!({})).await;
        }
        let got = gateway.send(Method::POST, path, &headers, ask().to_string().into()).await;
        assert_eq!(got.json()["openrouter_metadata"]["is_byok"], json!(own), "{}", got.text());
    }
}

#[tokio::test]
async fn a_limit_counts_what_own_keys_pay_only_where_it_says_so() {
    let door = Door::open().await;
    let gateway = Gateway::start(&config(&[("lab", &door)]));
    bring(&gateway, "lab", "sk-own-first-0000000", json!({})).await;
    // What one request costs.
    for (include, second, shown) in [(false, 200, "sk-own-first-0000000"), (true, 402, "")] {
        let new = json!({ "name": "x", "limit": 0.003, "include_byok_in_limit": include });
        let made = told(&gateway, Method::POST, "/keys", new, 201).await;
        let (secret, hash) = (made["key"].as_str().expect("a key"), made["data"]["hash"].as_str().expect("a hash"));
        assert_eq!(gateway.chat_as(secret, &ask()).await.status, 200, "{include}");
        door.shown();
        let got = gateway.chat_as(secret, &ask()).await;
        assert_eq!((got.status, door.shown().concat().as_str()), (second, shown), "{include}: {}", got.text());
        let key = told(&gateway, Method::GET, &format!("/keys/{hash}"), Value::Null, 200).await;
        let spent = if include { COST } else { 2.0 * COST };
        assert_eq!((key["data"]["usage"].as_f64(), key["data"]["byok_usage"].as_f64()), (Some(0.0), Some(spent)));
    }
    // Whoever has spent all of the house's money may go on with their own, and only with that.
    let made = told(&gateway, Method::POST, "/keys", json!({ "name": "x", "limit": 0.0 }), 201).await;
    let secret = made["key"].as_str().expect("a key");
    assert_eq!(gateway.chat_as(secret, &ask()).await.status, 200);
    door.refuses("sk-own-first-0000000", 401);
    door.shown();
    let got = gateway.chat_as(secret, &ask()).await;
    assert!(got.status >= 400 && !door.shown().contains(&HOUSE.to_owned()), "{} {}", got.status, got.text());
}
