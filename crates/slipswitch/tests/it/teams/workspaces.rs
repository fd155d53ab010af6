//! Workspaces and their budgets.

use super::{HOUSE, call, has_exactly, hash, own, prepared, refused, told};
use crate::harness::Gateway;
use serde_json::{Value, json};
use slip_store::NewKey;

/// As the contract has them.
const MEMBERS: &[&str] = &[
    "created_at",
    "created_by",
    "default_guardrail_id",
    "default_image_model",
    "default_provider_sort",
    "default_text_model",
    "description",
    "id",
    "include_byok_in_budgets",
    "io_logging_api_key_ids",
    "io_logging_sampling_rate",
    "is_data_discount_logging_enabled",
    "is_observability_broadcast_enabled",
    "is_observability_io_logging_enabled",
    "name",
    "slug",
    "updated_at",
];

#[tokio::test]
async fn a_workspace_is_made_told_changed_and_removed() {
    let gateway = Gateway::start(HOUSE);
    let listed = told(&gateway, "GET", "/workspaces", Value::Null, 200).await;
    assert_eq!((&listed["total_count"], &listed["data"][0]["slug"]), (&json!(1), &json!("default")));
    let body = json!({ "name": "Production", "slug": "production", "default_text_model": "lab/one", "default_provider_sort": "price" });
    let made = told(&gateway, "POST", "/workspaces", body, 201).await["data"].clone();
    has_exactly(&made, MEMBERS);
    assert!(slip_store::is_id(made["id"].as_str().expect("an id")), "{made}");
    for (name, value) in [
        ("name", json!("Production")),
        ("default_text_model", json!("lab/one")),
        ("description", Value::Null),
        ("io_logging_sampling_rate", json!(1.0)),
        ("is_observability_io_logging_enabled", json!(false)),
        ("updated_at", Value::Null),
    ] {
        assert_eq!(made[name], value, "{name}");
    }
    let id = made["id"].as_str().expect("an id");
    for name in [id, "production"] {
        assert_eq!(told(&gateway, "GET", &format!("/workspaces/{name}"), Value::Null, 200).await["data"], made);
    }
    let change =
        json!({ "name": "Staging", "slug": "stage-2", "description": "for trying", "default_text_model": null });
    let changed = told(&gateway, "PATCH", "/workspaces/production", change, 200).await["data"].clone();
    assert_eq!(
        (&changed["name"], &changed["slug"], &changed["default_text_model"], &changed["default_provider_sort"]),
        (&json!("Staging"), &json!("stage-2"), &Value::Null, &json!("price")),
    );
    assert!(changed["updated_at"].as_str().is_some_and(|at| at.ends_with('Z')));
    assert_eq!(changed["created_at"], made["created_at"]);
    let gone = json!({ "deleted": true });
    let path = format!("/workspaces/{id}");
    assert_eq!(told(&gateway, "DELETE", &path, Value::Null, 200).await, gone);
    // By its id it may be removed again; a slug that names nothing is as likely mistyped.
    assert_eq!(told(&gateway, "DELETE", &path, Value::Null, 200).await, gone);
    refused(
        &gateway,
        &[
            ("DELETE", "/workspaces/stage-2", Value::Null, 404, "no such workspace: stage-2"),
            ("GET", &path, Value::Null, 404, "Resource not found"),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_a_workspace_cannot_be_is_said_by_its_member() {
    let gateway = Gateway::start(HOUSE);
    told(&gateway, "POST", "/workspaces", json!({ "name": "A", "slug": "a" }), 201).await;
    let with = |over: Value| crate::harness::with(json!({ "name": "B", "slug": "b" }), over);
    let post = |body: Value, words: &'static str| ("POST", "/workspaces", body, 400, words);
    refused(
        &gateway,
        &[
            post(json!({}), "`name` is required"),
            post(json!({ "name": "B" }), "`slug` is required"),
            post(json!([]), "must be an object"),
            post(with(json!({ "id": "x" })), "`id` is not known here: name, slug,"),
            post(with(json!({ "created_by": "me" })), "`created_by` is not known here"),
            post(with(json!({ "include_byok_in_budgets": true })), "`include_byok_in_budgets` is not known here"),
            post(with(json!({ "name": "" })), "`name` must not be empty"),
            post(with(json!({ "name": null })), "`name` must not be null"),
            post(with(json!({ "name": 7 })), "`name` must be a string, not 7"),
            post(with(json!({ "name": "x".repeat(101) })), "`name` must have at most 100 characters, not 101"),
            post(with(json!({ "slug": "Big" })), "`slug` must be lower-case letters"),
            post(with(json!({ "slug": "a--b" })), "`slug` must be lower-case letters"),
            post(with(json!({ "slug": "-a" })), "`slug` must be lower-case letters"),
            post(with(json!({ "slug": "a" })), "`slug` is taken by another workspace: a"),
            post(with(json!({ "slug": "default" })), "`slug` is taken"),
            post(with(json!({ "slug": "550e8400-e29b-41d4-a716-446655440000" })), "`slug` must not look like an id"),
            post(with(json!({ "description": "x".repeat(501) })), "`description` must have at most 500"),
            post(
                with(json!({ "default_provider_sort": "best" })),
                "must be one of price, throughput, latency, exacto, not \"best\"",
            ),
            post(with(json!({ "io_logging_sampling_rate": 0 })), "must be a number from 0.0001 to 1, not 0"),
            post(with(json!({ "io_logging_sampling_rate": 1.5 })), "`io_logging_sampling_rate`"),
            post(
                with(json!({ "io_logging_api_key_ids": ["x"] })),
                "`io_logging_api_key_ids[0]` must be a whole number",
            ),
            post(with(json!({ "is_observability_io_logging_enabled": "yes" })), "must be true or false, not \"yes\""),
            ("PATCH", "/workspaces/a", json!({ "slug": "default" }), 400, "`slug` is taken"),
            (
                "PATCH",
                "/workspaces/default",
                json!({ "slug": "other" }),
                400,
                "of the default workspace cannot be changed",
            ),
            ("PATCH", "/workspaces/nowhere", json!({}), 404, "no such workspace: nowhere"),
            ("DELETE", "/workspaces/default", Value::Null, 403, "the default workspace cannot be deleted"),
        ],
    )
    .await;
    let got = call(&gateway, "POST", "/workspaces", &json!({ "name": "x".repeat(1 << 20) })).await;
    assert_eq!((got.status, got.text().contains("larger than 1 MiB")), (413, true));
    let raw = gateway
        .send(http::Method::POST, "/api/v1/workspaces", &[("x-api-key", crate::harness::MANAGEMENT)], "{".into())
        .await;
    assert_eq!((raw.status, raw.text().contains("is not JSON")), (400, true));
    assert_eq!(told(&gateway, "GET", "/workspaces", Value::Null, 200).await["total_count"], 2, "nothing came of these");
}

#[tokio::test]
async fn lists_come_by_the_page() {
    let gateway = Gateway::start(HOUSE);
    for n in 0..60 {
        told(&gateway, "POST", "/workspaces", json!({ "name": format!("W{n}"), "slug": format!("w{n}") }), 201).await;
    }
    let pages = [
        ("", 50),
        ("?limit=100", 61),
        ("?offset=50", 11),
        ("?offset=60&limit=1", 1),
        ("?offset=61", 0),
        ("?limit=7&offset=7", 7),
    ];
    for (query, count) in pages {
        let page = told(&gateway, "GET", &format!("/workspaces{query}"), Value::Null, 200).await;
        assert_eq!((page["data"].as_array().map(Vec::len), &page["total_count"]), (Some(count), &json!(61)), "{query}");
    }
    let first = told(&gateway, "GET", "/workspaces?limit=2&offset=1", Value::Null, 200).await;
    let slugs: Vec<&str> =
        first["data"].as_array().expect("a page").iter().filter_map(|w| w["slug"].as_str()).collect();
    assert_eq!(slugs.len(), 2);
    assert!(!slugs.contains(&"default"), "the oldest comes first: {slugs:?}");
    let bad = |query: &str| format!("/workspaces{query}");
    let rows = ["?limit=0", "?limit=101", "?limit=x", "?offset=-1", "?offset=1.5"].map(bad);
    for path in &rows {
        refused(&gateway, &[("GET", path, Value::Null, 400, "must be a whole number")]).await;
    }
}

#[tokio::test]
async fn budgets_grow_with_their_interval() {
    let gateway = Gateway::start(HOUSE);
    told(&gateway, "POST", "/workspaces", json!({ "name": "A", "slug": "a" }), 201).await;
    let empty = told(&gateway, "GET", "/workspaces/a/budgets", Value::Null, 200).await;
    assert_eq!(empty, json!({ "data": [], "include_byok_in_budgets": false }));
    let put = told(&gateway, "PUT", "/workspaces/a/budgets/monthly", json!({ "limit_usd": 100 }), 200).await;
    has_exactly(&put, &["data", "include_byok_in_budgets"]);
    has_exactly(&put["data"], &["id", "workspace_id", "limit_usd", "reset_interval", "created_at", "updated_at"]);
    assert_eq!((&put["data"]["limit_usd"], &put["data"]["reset_interval"]), (&json!(100.0), &json!("monthly")));
    let body = json!({ "limit_usd": 12.5, "include_byok_in_budgets": true });
    told(&gateway, "PUT", "/workspaces/a/budgets/daily", body, 200).await;
    let life = told(&gateway, "PUT", "/workspaces/a/budgets/lifetime", json!({ "limit_usd": 1000 }), 200).await;
    assert_eq!((&life["data"]["reset_interval"], &life["include_byok_in_budgets"]), (&Value::Null, &json!(true)));
    let all = told(&gateway, "GET", "/workspaces/a/budgets", Value::Null, 200).await;
    let limits: Vec<f64> =
        all["data"].as_array().expect("all").iter().filter_map(|b| b["limit_usd"].as_f64()).collect();
    assert_eq!((limits, &all["include_byok_in_budgets"]), (vec![12.5, 100.0, 1000.0], &json!(true)));
    let put = |path: &'static str, body: Value, words: &'static str| ("PUT", path, body, 400, words);
    refused(
        &gateway,
        &[
            put("/workspaces/a/budgets/weekly", json!({ "limit_usd": 100 }), "weekly is $100, monthly is $100"),
            put("/workspaces/a/budgets/weekly", json!({ "limit_usd": 12.5 }), "daily is $12.5, weekly is $12.5"),
            put("/workspaces/a/budgets/daily", json!({ "limit_usd": 2000 }), "must grow with the interval"),
            put("/workspaces/a/budgets/weekly", json!({}), "`limit_usd` is required"),
            put("/workspaces/a/budgets/weekly", json!({ "limit_usd": 0 }), "greater than 0"),
            put("/workspaces/a/budgets/weekly", json!({ "limit_usd": -5 }), "greater than 0"),
            put("/workspaces/a/budgets/weekly", json!({ "limit_usd": "5" }), "greater than 0"),
            put("/workspaces/a/budgets/weekly", json!({ "limit_usd": null }), "must not be null"),
            put("/workspaces/a/budgets/weekly", json!({ "limit_usd": 20, "spent": 0 }), "`spent` is not known here"),
            put(
                "/workspaces/a/budgets/weekly",
                json!({ "limit_usd": 20, "include_byok_in_budgets": 1 }),
                "true or false",
            ),
            put(
                "/workspaces/a/budgets/yearly",
                json!({ "limit_usd": 20 }),
                "must be one of daily, weekly, monthly, lifetime",
            ),
            ("GET", "/workspaces/a/budgets/hourly", Value::Null, 400, "`interval`"),
            ("GET", "/workspaces/a/budgets/weekly", Value::Null, 404, "the workspace has no weekly budget"),
            ("GET", "/workspaces/b/budgets", Value::Null, 404, "no such workspace: b"),
            ("PUT", "/workspaces/b/budgets/daily", json!({ "limit_usd": 1 }), 404, "no such workspace: b"),
            ("DELETE", "/workspaces/b/budgets/daily", Value::Null, 404, "no such workspace: b"),
        ],
    )
    .await;
    told(&gateway, "PUT", "/workspaces/a/budgets/weekly", json!({ "limit_usd": 20 }), 200).await;
    let one = told(&gateway, "GET", "/workspaces/a/budgets/weekly", Value::Null, 200).await;
    let again = told(&gateway, "PUT", "/workspaces/a/budgets/weekly", json!({ "limit_usd": 30 }), 200).await;
    assert_eq!((&again["data"]["id"], &again["data"]["created_at"]), (&one["data"]["id"], &one["data"]["created_at"]));
    for _ in 0..2 {
        let gone = told(&gateway, "DELETE", "/workspaces/a/budgets/weekly", Value::Null, 200).await;
        assert_eq!(gone, json!({ "deleted": true }));
    }
    refused(&gateway, &[("GET", "/workspaces/a/budgets/weekly", Value::Null, 404, "no weekly budget")]).await;
    // Set, changed, and there for the default one as well.
    told(&gateway, "PUT", "/workspaces/default/budgets/daily", json!({ "limit_usd": 0.000_000_001 }), 200).await;
}

#[tokio::test]
async fn a_workspace_with_keys_stays_and_all_of_it_outlives_a_restart() {
    let dir = prepared(vec![]).await;
    let mut gateway = Gateway::start_in(dir.clone(), HOUSE);
    let made = told(&gateway, "POST", "/workspaces", json!({ "name": "A", "slug": "a" }), 201).await["data"].clone();
    let id = made["id"].as_str().expect("an id").to_owned();
    let guardrail = json!({ "name": "g", "workspace_id": id, "allowed_models": ["lab/*"] });
    let guardrail = told(&gateway, "POST", "/guardrails", guardrail, 201).await["data"].clone();
    told(&gateway, "PUT", "/workspaces/a/budgets/daily", json!({ "limit_usd": 1 }), 200).await;
    let budget = told(&gateway, "GET", "/workspaces/a/budgets/daily", Value::Null, 200).await;
    gateway.signal("TERM");
    assert_eq!(gateway.wait(std::time::Duration::from_secs(20)), Some(0));
    let secret = "sk-of-the-workspace";
    let new = NewKey { workspace: Some(id.as_str().into()), ..own(secret).new };
    super::keep(&dir.join("data"), vec![super::Own { new, ..own(secret) }]).await;
    let gateway = {
        // Its directory goes with the first one.
        let kept = crate::harness::scratch();
        let from = dir.join("data");
        std::fs::rename(from, kept.join("data")).expect("moved");
        drop(gateway);
        Gateway::start_in(kept, HOUSE)
    };
    assert_eq!(
        told(&gateway, "GET", "/workspaces/a", Value::Null, 200).await["data"]["created_at"],
        made["created_at"]
    );
    assert_eq!(told(&gateway, "GET", "/workspaces/a/budgets/daily", Value::Null, 200).await, budget);
    let path = format!("/guardrails/{}", guardrail["id"].as_str().expect("an id"));
    assert_eq!(told(&gateway, "GET", &path, Value::Null, 200).await["data"], guardrail);
    let body = json!({ "key_hashes": [hash(secret)] });
    let assigned = told(&gateway, "POST", &format!("{path}/assignments/keys"), body, 200).await;
    assert_eq!(assigned, json!({ "assigned_count": 1 }));
    refused(
        &gateway,
        &[("DELETE", "/workspaces/a", Value::Null, 400, "Workspaces with active API keys cannot be deleted")],
    )
    .await;
}
