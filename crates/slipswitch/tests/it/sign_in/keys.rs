//! Codes and the keys made for them: what an app must show, and what its key may.

use super::*;
use crate::harness::MANAGEMENT;
use std::time::Duration;

fn ask(model: &str) -> Value {
    json!({ "model": model, "max_tokens": 20, "messages": [{ "role": "user", "content": "hello" }] })
}

/// A key with these members, and its hash.
async fn made(gateway: &Gateway, members: Value) -> (String, String) {
    let got = gateway.manage(Method::POST, "/api/v1/keys", with(json!({ "name": "k" }), members)).await;
    assert_eq!(got.status, 201, "{}", got.text());
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    (text(&got.json()["key"]), text(&got.json()["data"]["hash"]))
}

#[tokio::test]
async fn a_program_with_a_key_makes_codes_as_openrouter_has_them() {
    let gateway = Gateway::start(crate::teams::HOUSE);
    let made = code_by(&gateway, KEY, json!({ "limit": 100, "spawn_agent": "x", "expires_at": null })).await;
    assert_eq!((made.status, made.header("cache-control")), (200, "no-store"), "{}", made.text());
    let data = made.json()["data"].clone();
    let mut members: Vec<_> = data.as_object().expect("an object").keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["app_id", "created_at", "id"]);
    assert!(data["app_id"].is_u64() && data["id"].as_str().is_some_and(|id| id.starts_with("auth_code_")), "{data}");
    let rows = [
        (json!({ "callback_url": null }), 400, "`callback_url` is needed"),
        (json!({ "callback_url": "http://app.example/" }), 400, "must begin with https://"),
        (json!({ "callback_url": "https://a@app.example/" }), 400, "a user or a password"),
        (json!({ "callback_url": 5 }), 400, "`callback_url` must be a text"),
        (json!({ "code_challenge": "short" }), 400, "`code_challenge` must be"),
        (json!({ "code_challenge_method": "S512" }), 400, "one of S256, plain"),
        (json!({ "limit": "5" }), 400, "`limit` must be an amount"),
        (json!({ "usage_limit_type": "hourly" }), 400, "daily, weekly, monthly"),
        (json!({ "expires_at": "2020-01-01T00:00:00Z" }), 400, "in the past"),
        (json!({ "key_label": "x".repeat(101) }), 400, "at most 100"),
        (json!({ "key": "x" }), 400, "`key` is not known here"),
        (json!({ "workspace_id": "nowhere" }), 400, "no workspace is called nowhere"),
    ];
    for (over, status, says) in rows {
        let got = code_by(&gateway, KEY, over.clone()).await;
        let message = got.error()["message"].as_str().unwrap_or_default().to_owned();
        assert!(got.status == status && message.contains(says), "{over}: {} {message}", got.status);
    }
    assert_eq!(code_by(&gateway, "sk-of-nobody-0123456789", json!({})).await.status, 401);
}

#[tokio::test]
async fn a_code_is_worth_nothing_to_whoever_did_not_begin() {
    let gateway = Gateway::start(crate::teams::HOUSE);
    let other = "x".repeat(43);
    let rows = [
        (json!({}), json!({ "code_verifier": VERIFIER }), 200),
        (json!({}), json!({ "code_verifier": other }), 403),
        (json!({}), json!({}), 403),
        (json!({}), json!({ "code_verifier": CHALLENGE, "code_challenge_method": "plain" }), 403),
        (
            json!({ "code_challenge": VERIFIER, "code_challenge_method": "plain" }),
            json!({ "code_verifier": VERIFIER }),
            200,
        ),
        (
            json!({ "code_challenge_method": null }),
            json!({ "code_verifier": VERIFIER, "code_challenge_method": "S256" }),
            200,
        ),
        (json!({ "code_challenge": null, "code_challenge_method": null }), json!({}), 200),
        (json!({ "code_challenge": null, "code_challenge_method": null }), json!({ "code_verifier": VERIFIER }), 403),
    ];
    for (began, shown, want) in rows {
        let code = code_by(&gateway, KEY, began.clone()).await.json()["data"]["id"].clone();
        // What is no attempt does not spend the code.
        for (malformed, says) in [
            (json!({ "code_verifier": "short" }), "43 to 128"),
            (json!({ "code_challenge_method": "S512" }), "one of S256, plain"),
            (json!({ "verifier": "x" }), "`verifier` is not known here"),
        ] {
            let got = exchange(&gateway, &with(json!({ "code": code }), malformed)).await;
            assert!(got.status == 400 && got.text().contains(says), "{}", got.text());
        }
        let got = exchange(&gateway, &with(json!({ "code": code }), shown.clone())).await;
        assert_eq!(got.status, want, "{began} {shown}: {}", got.text());
        // Right or wrong, it was the only one.
        let again = exchange(&gateway, &json!({ "code": code, "code_verifier": VERIFIER })).await;
        assert_eq!(again.status, 403, "{began} {shown}: {}", again.text());
    }
    let got = exchange(&gateway, &json!({})).await;
    assert!(got.status == 400 && got.text().contains("`code` is needed"), "{}", got.text());
    assert_eq!(gateway.send(Method::GET, "/api/v1/auth/keys", &[], Bytes::new()).await.status, 405);
}

#[tokio::test]
async fn of_many_who_exchange_one_code_at_once_one_gets_a_key() {
    let gateway = Gateway::start(crate::teams::HOUSE);
    let body =
        json!({ "code": code_by(&gateway, KEY, json!({})).await.json()["data"]["id"], "code_verifier": VERIFIER });
    let all: Vec<_> = (0..12).map(|_| exchange(&gateway, &body)).collect();
    let mut got = Vec::new();
    let mut set: std::collections::VecDeque<_> = all.into_iter().map(Box::pin).collect();
    while let (Some(a), Some(b), Some(c)) = (set.pop_front(), set.pop_front(), set.pop_front()) {
        let (a, b, c) = tokio::join!(a, b, c);
        got.extend([a.status, b.status, c.status]);
    }
    assert_eq!((got.iter().filter(|status| **status == 200).count(), got.len()), (1, 12), "{got:?}");
}

#[tokio::test]
async fn too_many_codes_that_nobody_fetches_are_refused_for_that_key_alone() {
    let gateway = Gateway::start(crate::teams::HOUSE);
    let (other, _) = made(&gateway, json!({})).await;
    for _ in 0..20 {
        assert_eq!(code_by(&gateway, KEY, json!({})).await.status, 200);
    }
    let got = code_by(&gateway, KEY, json!({})).await;
    assert_eq!((got.status, got.header("retry-after")), (429, "600"), "{}", got.text());
    assert_eq!(code_by(&gateway, &other, json!({})).await.status, 200);
}

/// What the one who allowed it may not, the app may not; what the app spends, they spend.
#[tokio::test]
async fn an_apps_key_may_what_its_parent_may_and_no_more() {
    let gateway = Gateway::start(crate::teams::HOUSE);
    let (parent, hash) = made(&gateway, json!({ "allowed_models": ["lab/one", "lab/two"], "limit": 1 })).await;
    let child = signed_in(&gateway, &parent, json!({ "limit": 50 })).await;
    let status = async |model: &str| gateway.chat_as(&child, &ask(model)).await.status;
    assert_eq!((status("lab/one").await, status("lab/three").await), (200, 403), "its models are its parent's");
    let spent = async |key: &str| of_itself(&gateway, key).await.json()["data"]["usage"].as_f64().unwrap_or_default();
    assert!(spent(&child).await > 0.0);
    assert_eq!(spent(&child).await, spent(&parent).await, "what it spent its parent has spent");
    let path = format!("/api/v1/keys/{hash}");
    let edit = async |members: Value| {
        let got = gateway.manage(Method::PATCH, &path, members).await;
        assert_eq!(got.status, 200, "{}", got.text());
    };
    // Later changes hold for it at once.
    edit(json!({ "allowed_models": ["lab/two"] })).await;
    assert_eq!((status("lab/one").await, status("lab/two").await), (403, 200));
    edit(json!({ "allowed_models": null, "allowed_addresses": ["10.0.0.0/8"] })).await;
    assert_eq!(status("lab/one").await, 403);
    edit(json!({ "allowed_addresses": null, "limit": 0.000001 })).await;
    assert_eq!(status("lab/one").await, 402, "its own limit is fifty dollars, its parent's is reached");
    edit(json!({ "limit": null, "requests_per_minute": 1 })).await;
    let both = [status("lab/one").await, gateway.chat_as(&parent, &ask("lab/one")).await.status];
    assert!(both.contains(&429), "they share what there is a minute: {both:?}");
    edit(json!({ "requests_per_minute": null })).await;
    // Nothing it has opens more.
    let got = code_by(&gateway, &child, json!({})).await;
    assert!(got.status == 403 && got.text().contains("an app's own"), "{}", got.text());
    let as_child = [("authorization", format!("Bearer {child}"))];
    let as_child = as_child.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(gateway.send(Method::GET, "/api/v1/keys", &as_child, Bytes::new()).await.status, 403);
    // It goes where its parent goes.
    edit(json!({ "disabled": true })).await;
    let got = gateway.chat_as(&child, &ask("lab/one")).await;
    assert!(got.status == 401 && got.text().contains("signed in with"), "{}", got.text());
    edit(json!({ "disabled": false })).await;
    assert_eq!(status("lab/one").await, 200);
    assert_eq!(gateway.manage(Method::DELETE, &path, Value::Null).await.status, 200);
    assert_eq!(status("lab/one").await, 401);
}

#[tokio::test]
async fn an_apps_key_lies_where_its_parent_does_and_outlives_no_restart_without_it() {
    let dir = scratch();
    let mut gateway = Gateway::start_in(dir.clone(), crate::teams::HOUSE);
    let space = gateway.manage(Method::POST, "/api/v1/workspaces", json!({ "name": "A", "slug": "a" })).await.json();
    let id = space["data"]["id"].as_str().expect("an id").to_owned();
    let (parent, hash) = made(&gateway, json!({ "workspace_id": id })).await;
    let child = signed_in(&gateway, &parent, json!({ "workspace_id": "a" })).await;
    assert_eq!(of_itself(&gateway, &child).await.json()["data"]["workspace_id"], json!(id));
    for (key, workspace, want) in [(&*parent, "default", 403), (KEY, "a", 403), (MANAGEMENT, "a", 200)] {
        let got = code_by(&gateway, key, json!({ "workspace_id": workspace })).await;
        assert_eq!(got.status, want, "{workspace}: {}", got.text());
    }
    let listed = gateway.manage(Method::GET, "/api/v1/keys?workspace_id=a", Value::Null).await.json();
    let app =
        listed["data"].as_array().expect("keys").iter().find(|key| key["parent_hash"] == hash).expect("listed").clone();
    assert_eq!(json!([app["name"], app["limit"]]), json!(["app.example", null]));
    // By who manages it is a key like those they make, and stands alone.
    let managed = signed_in(&gateway, MANAGEMENT, json!({ "key_label": "by hand", "limit": 3 })).await;
    assert_eq!(of_itself(&gateway, &managed).await.json()["data"]["limit"], 3.0);
    assert_eq!(gateway.chat_as(&managed, &ask("lab/one")).await.status, 200);

    assert_eq!(gateway.chat_as(&child, &ask("lab/one")).await.status, 200);
    let spent = of_itself(&gateway, &parent).await.json()["data"]["usage"].clone();
    gateway.signal("TERM");
    assert_eq!(gateway.wait(Duration::from_secs(20)), Some(0));
    let kept = dir.with_extension("kept");
    std::fs::rename(&dir, &kept).expect("moved");
    drop(gateway);
    let gateway = Gateway::start_in(kept, crate::teams::HOUSE);
    let again = of_itself(&gateway, &parent).await.json()["data"]["usage"].clone();
    assert!(spent.as_f64().is_some_and(|spent| spent > 0.0), "{spent}");
    assert_eq!(again, spent, "what an app spent is its parent's after a restart too");
}

#[tokio::test]
async fn a_code_of_a_key_that_is_gone_gives_none() {
    let gateway = Gateway::start(crate::teams::HOUSE);
    let (parent, hash) = made(&gateway, json!({})).await;
    let code = code_by(&gateway, &parent, json!({})).await.json()["data"]["id"].clone();
    assert_eq!(gateway.manage(Method::DELETE, &format!("/api/v1/keys/{hash}"), Value::Null).await.status, 200);
    let got = exchange(&gateway, &json!({ "code": code, "code_verifier": VERIFIER })).await;
    assert!(got.status == 403 && got.text().contains("gone, disabled or expired"), "{}", got.text());
}
