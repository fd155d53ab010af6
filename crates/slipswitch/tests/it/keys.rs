//! Keys are made, read, changed, rotated and deleted over HTTP, as OpenRouter's clients do it.

use crate::harness::{Gateway, KEY, provider};
use http::Method;
use serde_json::{Value, json};
use slip_ir::Dialect;
use slip_sim::{Sim, SimConfig};

async fn lab() -> (Gateway, Sim) {
    let sim = Sim::start(SimConfig::default()).await.expect("a socket");
    let gateway = Gateway::start(&provider("lab", Dialect::OpenAiChat, &sim.base_url(), &["lab/one"]));
    (gateway, sim)
}

fn hello() -> Value {
    json!({ "model": "lab/one", "messages": [{ "role": "user", "content": "count to 3" }] })
}

fn path(key: &Value) -> String {
    format!("/api/v1/keys/{}", key["hash"].as_str().expect("a hash"))
}

#[tokio::test]
async fn a_keys_whole_life() {
    let (gateway, _sim) = lab().await;
    let made = gateway
        .manage(
            Method::POST,
            "/api/v1/keys",
            json!({
                "name": "for the team",
                "limit": 12.5,
                "limit_reset": "monthly",
                "include_byok_in_limit": true,
                "expires_at": "2099-12-31T23:59:59Z",
                "allowed_models": ["lab/*"],
                "requests_per_minute": 600,
                "priority": "batch",
            }),
        )
        .await;
    assert_eq!((made.status, made.header("cache-control")), (201, "no-store"), "{}", made.text());
    let (key, secret) = (made.json()["data"].clone(), made.json()["key"].as_str().expect("a secret").to_owned());
    let told = json!([key["name"], key["limit"], key["limit_remaining"], key["limit_reset"]]);
    assert_eq!(told, json!(["for the team", 12.5, 12.5, "monthly"]));
    assert_eq!(json!([key["disabled"], key["usage"], key["updated_at"]]), json!([false, 0.0, null]));
    assert!(secret.starts_with("sk-slip-v1-") && key["label"].as_str().is_some_and(|label| label.contains("...")));

    // It works, and what it used is counted.
    assert_eq!(gateway.chat_as(&secret, &hello()).await.status, 200);
    let one = gateway.manage(Method::GET, &path(&key), Value::Null).await.json()["data"].clone();
    let (used, left) = (one["usage"].as_f64().expect("a sum"), one["limit_remaining"].as_f64().expect("a sum"));
    assert!(used > 0.0 && (used + left - 12.5).abs() < 1e-9, "{one}");
    assert_eq!((&one["usage_daily"], &one["usage_monthly"]), (&one["usage"], &one["usage"]));

    // It is changed in part: what is not said stays, what is null goes.
    let edited = gateway.manage(Method::PATCH, &path(&key), json!({ "limit": null, "name": "renamed" })).await;
    assert_eq!(edited.status, 200, "{}", edited.text());
    let edited = edited.json()["data"].clone();
    let told = json!([edited["name"], edited["limit"], edited["limit_reset"], edited["allowed_models"]]);
    assert_eq!(told, json!(["renamed", null, "monthly", ["lab/*"]]));

    // Another secret under the same name; the old one for a while.
    let rotated =
        gateway.manage(Method::POST, &format!("{}/rotate", path(&key)), json!({ "overlap_seconds": 2 })).await;
    assert_eq!(rotated.status, 200, "{}", rotated.text());
    let newer = rotated.json()["key"].as_str().expect("a secret").to_owned();
    assert_eq!(rotated.json()["data"]["hash"], key["hash"]);
    assert!(rotated.json()["data"]["old_secret_until"].is_string());
    for secret in [&secret, &newer] {
        assert_eq!(gateway.chat_as(secret, &hello()).await.status, 200);
    }
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    assert_eq!(gateway.chat_as(&secret, &hello()).await.status, 401);
    assert_eq!(gateway.chat_as(&newer, &hello()).await.status, 200);

    // Disabled, it opens nothing and is listed on request only.
    let listed = async |query: &str| -> Vec<String> {
        let got = gateway.manage(Method::GET, &format!("/api/v1/keys{query}"), Value::Null).await.json();
        got["data"].as_array().expect("a list").iter().map(|k| k["hash"].as_str().unwrap_or("").to_owned()).collect()
    };
    let hash = key["hash"].as_str().expect("a hash").to_owned();
    assert!(listed("").await.contains(&hash));
    assert_eq!(gateway.manage(Method::PATCH, &path(&key), json!({ "disabled": true })).await.status, 200);
    assert_eq!(gateway.chat_as(&newer, &hello()).await.status, 401);
    assert!(!listed("").await.contains(&hash) && listed("?include_disabled=true").await.contains(&hash));
    assert!(listed("?workspace_id=other&include_disabled=true").await.is_empty());
    assert!(listed("?offset=100").await.is_empty());

    // Deleted, it is gone; what it used is on record.
    assert_eq!(gateway.manage(Method::DELETE, &path(&key), Value::Null).await.json(), json!({ "deleted": true }));
    assert_eq!(gateway.manage(Method::DELETE, &path(&key), Value::Null).await.status, 404);
    let day = gateway.manage(Method::GET, &format!("/api/v1/activity?api_key_hash={hash}"), Value::Null).await.json();
    let row = &day["data"][0];
    assert_eq!(json!([row["model"], row["requests"], row["provider_name"]]), json!(["lab/one", 4, "lab"]), "{day}");
    assert!(row["usage"].as_f64().is_some_and(|usage| usage > 0.0));
}

#[tokio::test]
async fn what_is_wrong_is_named_and_nothing_is_changed() {
    let (gateway, _sim) = lab().await;
    let made = gateway.manage(Method::POST, "/api/v1/keys", json!({ "name": "k", "limit": 1 })).await.json();
    let key = made["data"].clone();
    let rows = [
        (
            Method::POST,
            "/api/v1/keys".to_owned(),
            json!({ "name": "a", "workspace_id": "nowhere" }),
            400,
            "no workspace is called",
        ),
        (
            Method::POST,
            "/api/v1/keys".into(),
            json!({ "name": "a", "creator_user_id": "nobody" }),
            400,
            "no member has this id",
        ),
        (
            Method::POST,
            "/api/v1/keys".into(),
            json!({ "name": "a", "allowed_addresses": ["10.0.0/8"] }),
            400,
            "neither an address",
        ),
        (Method::POST, "/api/v1/keys".to_owned(), json!({}), 400, "`name` is needed"),
        (Method::POST, "/api/v1/keys".into(), json!({ "name": "" }), 400, "`name` must be a text"),
        (Method::POST, "/api/v1/keys".into(), json!({ "name": "a", "limits": 1 }), 400, "did you mean `limit`?"),
        (Method::POST, "/api/v1/keys".into(), json!({ "name": "a", "mac": "x" }), 400, "`mac` is not known here"),
        (Method::POST, "/api/v1/keys".into(), json!({ "name": "a", "limit": -1 }), 400, "`limit` must be an amount"),
        (
            Method::POST,
            "/api/v1/keys".into(),
            json!({ "name": "a", "limit_reset": "hourly" }),
            400,
            "daily, weekly, monthly",
        ),
        (
            Method::POST,
            "/api/v1/keys".into(),
            json!({ "name": "a", "expires_at": "2020-01-01T00:00:00Z" }),
            400,
            "in the past",
        ),
        (
            Method::POST,
            "/api/v1/keys".into(),
            json!({ "name": "a", "expires_at": "2099-01-01T00:00:00+01:00" }),
            400,
            "UTC",
        ),
        (Method::POST, "/api/v1/keys".into(), json!([1]), 400, "one JSON object"),
        (Method::PATCH, path(&key), json!({ "limit": 2, "hash": "x" }), 400, "`hash` is not known here"),
        (Method::PATCH, path(&key), json!({ "limit": 2, "name": 5 }), 400, "`name` must be a text"),
        (Method::PATCH, "/api/v1/keys/nobody".into(), json!({}), 404, "no key has this hash: nobody"),
        (Method::GET, "/api/v1/keys/nobody".into(), Value::Null, 404, "no key has this hash"),
        (Method::GET, "/api/v1/keys?offset=x".into(), Value::Null, 400, "`offset`"),
        (Method::POST, format!("{}/rotate", path(&key)), json!({ "overlap_seconds": -1 }), 400, "`overlap_seconds`"),
        (Method::PUT, "/api/v1/keys".into(), json!({}), 405, "GET, POST"),
        (Method::GET, "/api/v1/activity?date=yesterday".into(), Value::Null, 400, "`date`"),
        (Method::GET, "/api/v1/activity?date=2020-01-01".into(), Value::Null, 400, "the last 30"),
    ];
    for (method, path, body, status, says) in rows {
        let got = gateway.manage(method.clone(), &path, body.clone()).await;
        let told = got.error()["message"].as_str().unwrap_or("").to_owned();
        assert!(got.status == status && told.contains(says), "{method} {path} {body}: {} {told}", got.status);
    }
    let same = gateway.manage(Method::GET, &path(&key), Value::Null).await.json()["data"].clone();
    assert_eq!(same, key);
    // A management key cannot delete itself, and an API key may do none of this.
    let own = gateway.manage(Method::GET, "/api/v1/keys", Value::Null).await.json();
    let own = own["data"].as_array().expect("keys").iter().find(|k| k["is_management_key"] == true).cloned();
    let refused = gateway.manage(Method::DELETE, &path(&own.expect("the management key")), Value::Null).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    for (method, path) in
        [(Method::GET, "/api/v1/keys"), (Method::POST, "/api/v1/keys"), (Method::GET, "/api/v1/activity")]
    {
        let got = gateway.send(method.clone(), path, &[("authorization", &format!("Bearer {KEY}"))], "{}".into()).await;
        assert_eq!(got.status, 403, "{method} {path}");
        assert_eq!(gateway.send(method, path, &[], "{}".into()).await.status, 401);
    }
}

#[tokio::test]
async fn credits_are_limits_here() {
    let (gateway, _sim) = lab().await;
    let made = gateway.manage(Method::POST, "/api/v1/keys", json!({ "name": "k", "limit": 1 })).await.json();
    let secret = made["key"].as_str().expect("a secret").to_owned();
    assert_eq!(gateway.chat_as(&secret, &hello()).await.status, 200);
    let as_key = [("authorization", format!("Bearer {secret}"))];
    let as_key = as_key.each_ref().map(|(name, value)| (*name, value.as_str()));
    let own = gateway.send(Method::GET, "/api/v1/credits", &as_key, Default::default()).await.json()["data"].clone();
    assert_eq!((own["total_credits"].as_f64(), &own["unlimited"]), (Some(1.0), &json!(false)), "{own}");
    assert!(own["total_usage"].as_f64().is_some_and(|used| used > 0.0 && used < 1.0), "{own}");
    let all = gateway.manage(Method::GET, "/api/v1/credits", Value::Null).await.json()["data"].clone();
    assert_eq!((&all["total_usage"], &all["unlimited"]), (&own["total_usage"], &json!(true)));
}
