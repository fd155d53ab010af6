//! With which key a request goes out: own ones first, then the house's, then those kept for the case that it fails.

use super::{Door, HOUSE, ask, bring, config, tenant, told, well};
use crate::harness::{Gateway, KEY, with};
use http::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn own_keys_are_tried_in_their_order_then_the_houses_then_the_fallbacks() {
    let door = Door::open().await;
    let gateway = Gateway::start(&config(&[("lab", &door)]));
    well(&gateway).await;
    assert_eq!(door.shown(), [HOUSE], "nobody has brought any");
    let spare = bring(&gateway, "lab", "sk-own-spare-0000000", json!({ "is_fallback": true, "name": "spare" })).await;
    let first = bring(&gateway, "lab", "sk-own-first-0000000", json!({})).await;
    let second = bring(&gateway, "lab", "sk-own-second-000000", json!({})).await;
    well(&gateway).await;
    assert_eq!(door.shown(), ["sk-own-first-0000000"]);
    // Each that is refused gives way to the next, and rests: it is not shown again at once.
    for (refused, want) in [
        ("sk-own-first-0000000", vec!["sk-own-first-0000000", "sk-own-second-000000"]),
        ("sk-own-second-000000", vec!["sk-own-second-000000", HOUSE]),
        (HOUSE, vec![HOUSE, "sk-own-spare-0000000"]),
    ] {
        door.refuses(refused, 401);
        well(&gateway).await;
        assert_eq!(door.shown(), want, "{refused} is refused");
        well(&gateway).await;
        assert_eq!(door.shown(), want[1..], "{refused} rests");
    }
    // A new secret under the same name is another key, and begins anew; the house's still rests.
    let path = format!("/byok/{second}");
    told(&gateway, Method::PATCH, &path, json!({ "key": "sk-own-third-0000000" }), 200).await;
    well(&gateway).await;
    assert_eq!(door.shown(), ["sk-own-third-0000000"]);
    // Switched off, moved in the order, removed: at once.
    told(&gateway, Method::PATCH, &path, json!({ "disabled": true }), 200).await;
    told(&gateway, Method::PATCH, &format!("/byok/{first}"), json!({ "key": "sk-own-fresh-0000000" }), 200).await;
    well(&gateway).await;
    assert_eq!(door.shown(), ["sk-own-fresh-0000000"]);
    told(&gateway, Method::PATCH, &path, json!({ "disabled": false, "sort_order": 0 }), 200).await;
    told(&gateway, Method::PATCH, &format!("/byok/{first}"), json!({ "sort_order": 5 }), 200).await;
    well(&gateway).await;
    assert_eq!(door.shown(), ["sk-own-third-0000000"]);
    for id in [&first, &second] {
        told(&gateway, Method::DELETE, &format!("/byok/{id}"), Value::Null, 200).await;
    }
    well(&gateway).await;
    assert_eq!(door.shown(), ["sk-own-spare-0000000"], "the house's rests");
    told(&gateway, Method::DELETE, &format!("/byok/{spare}"), Value::Null, 200).await;
}

#[tokio::test]
async fn a_bad_key_rests_alone_and_everybody_else_goes_on() {
    for status in [401, 403, 402, 429] {
        let door = Door::open().await;
        let gateway = Gateway::start(&config(&[("lab", &door)]));
        let (theirs, _, space) = tenant(&gateway, "apart").await;
        bring(&gateway, "lab", "sk-own-bad-00000000", json!({ "workspace_id": space })).await;
        door.refuses("sk-own-bad-00000000", status);
        for round in 0..2 {
            let got = gateway.chat_as(&theirs, &ask()).await;
            assert_eq!(got.status, 200, "{status}: {}", got.text());
            let want: &[&str] = if round == 0 { &["sk-own-bad-00000000", HOUSE] } else { &[HOUSE] };
            assert_eq!(door.shown(), want, "{status}: round {round}");
        }
        // Of the house's key nothing bad is known, and the other workspace hears nothing of it.
        well(&gateway).await;
        assert_eq!(door.shown(), [HOUSE]);
    }
}

#[tokio::test]
async fn a_key_is_for_whom_and_what_its_owner_says() {
    let door = Door::open().await;
    let gateway = Gateway::start(&config(&[("lab", &door)]));
    let (theirs, hash, space) = tenant(&gateway, "theirs").await;
    let (others, other_hash, _) = tenant(&gateway, "others").await;
    let id = bring(&gateway, "lab", "sk-own-first-0000000", json!({ "workspace_id": space })).await;
    let shown = async |key: &str| {
        let got = gateway.chat_as(key, &ask()).await;
        assert_eq!(got.status, 200, "{}", got.text());
        door.shown().concat()
    };
    assert_eq!(shown(&theirs).await, "sk-own-first-0000000");
    assert_eq!((shown(&others).await.as_str(), shown(KEY).await.as_str()), (HOUSE, HOUSE), "other workspaces never");
    let rows: &[(Value, bool)] = &[
        (json!({ "allowed_api_key_hashes": [other_hash] }), false),
        (json!({ "allowed_api_key_hashes": [other_hash, hash] }), true),
        (json!({ "allowed_api_key_hashes": null, "allowed_models": ["lab/two", "other/*"] }), false),
        (json!({ "allowed_models": ["lab/*"] }), true),
        (json!({ "allowed_models": ["lab/one"] }), true),
        (json!({ "allowed_models": null, "allowed_user_ids": ["user_ann"] }), false),
        (json!({ "allowed_user_ids": null }), true),
        (json!({ "disabled": true }), false),
    ];
    for (change, may) in rows {
        told(&gateway, Method::PATCH, &format!("/byok/{id}"), change.clone(), 200).await;
        let want = if *may { "sk-own-first-0000000" } else { HOUSE };
        assert_eq!(shown(&theirs).await, want, "{change}");
    }
}

#[tokio::test]
async fn own_keys_come_before_the_callers_order_and_stay_within_what_may_serve() {
    let (cheap, dear) = (Door::open().await, Door::open().await);
    let gateway = Gateway::start(&config(&[("cheap", &cheap), ("dear", &dear)]));
    let both = || (cheap.shown().concat(), dear.shown().concat());
    bring(&gateway, "dear", "sk-own-first-0000000", json!({})).await;
    let own = "sk-own-first-0000000".to_owned();
    let rows = [
        (json!({ "sort": "price" }), (String::new(), own.clone())),
        (json!({ "order": ["cheap"] }), (String::new(), own.clone())),
        (json!({ "only": ["cheap"] }), (HOUSE.to_owned(), String::new())),
        (json!({ "ignore": ["dear"] }), (HOUSE.to_owned(), String::new())),
    ];
    for (provider, want) in rows {
        let got = gateway.chat(&with(ask(), json!({ "provider": provider }))).await;
        assert_eq!((got.status, both()), (200, want), "{provider}: {}", got.text());
    }
    // Refused there, it goes elsewhere: with the house's key at either.
    dear.refuses("sk-own-first-0000000", 401);
    well(&gateway).await;
    assert_eq!(both(), (HOUSE.to_owned(), own));
    // Whoever allows no fallbacks hears of it, by a label.
    for provider in [json!({ "allow_fallbacks": false }), json!({ "allow_fallbacks": false, "order": ["dear"] })] {
        let got = gateway.chat(&with(ask(), json!({ "provider": provider }))).await;
        let error = got.error();
        assert_eq!((got.status, &error["metadata"]["reason"]), (502, &json!("upstream_auth_failed")), "{error}");
        let says = "refused your workspace's own key sk-...0000";
        assert!(error["message"].as_str().is_some_and(|text| text.contains(says)), "{error}");
    }
}

#[tokio::test]
async fn a_provider_the_house_has_no_key_for_serves_whoever_has_one() {
    let door = Door::open().await;
    let gateway = Gateway::start(&config(&[("lab", &door)]));
    let (theirs, _, space) = tenant(&gateway, "theirs").await;
    let model = "anthropic/claude-opus-4.5";
    let body = json!({ "model": model, "messages": [{ "role": "user", "content": "hello" }] });
    let explained = async |key: &str| {
        let bearer = format!("Bearer {key}");
        let got =
            gateway.send(Method::POST, "/api/v1/explain", &[("authorization", &bearer)], body.to_string().into()).await;
        got.json()
    };
    let listed = async |key: &str| {
        let bearer = format!("Bearer {key}");
        let got =
            gateway.send(Method::GET, "/api/v1/models/user", &[("authorization", &bearer)], Default::default()).await;
        let served = |m: &Value| m["id"] == model;
        got.json()["data"].as_array().expect("models").iter().any(served)
    };
    assert_ne!(explained(&theirs).await["no_route"], Value::Null);
    let id = bring(&gateway, "anthropic", "sk-ant-own-000000000AbCd", json!({ "workspace_id": space })).await;
    let told = explained(&theirs).await;
    assert_eq!(told["no_route"], Value::Null, "{told}");
    let first = &told["endpoints"][0];
    assert_eq!((&first["endpoint"], &first["credential"]), (&json!("anthropic"), &json!("own")), "{first}");
    assert_eq!(first["own_keys"], json!([{ "id": id, "label": "sk-...AbCd", "name": null }]));
    assert!(listed(&theirs).await);
    assert_ne!(explained(KEY).await["no_route"], Value::Null, "nobody else's");
}
