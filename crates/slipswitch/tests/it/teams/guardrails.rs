//! Guardrails, and whom they are assigned to.

use super::{HOUSE, has_exactly, hash, refused, told};
use crate::harness::{Gateway, KEY, MANAGEMENT, with};
use serde_json::{Value, json};

/// As the contract has them.
const MEMBERS: &[&str] = &[
    "allowed_models",
    "allowed_providers",
    "content_filter_builtins",
    "content_filters",
    "created_at",
    "description",
    "enable_free_model_publication",
    "enable_free_model_training",
    "enable_paid_model_training",
    "enforce_zdr",
    "enforce_zdr_anthropic",
    "enforce_zdr_google",
    "enforce_zdr_openai",
    "enforce_zdr_other",
    "enforce_zdr_xai",
    "id",
    "ignored_models",
    "ignored_providers",
    "include_byok_in_budgets",
    "limit_usd",
    "name",
    "reset_interval",
    "updated_at",
    "workspace_id",
];

#[tokio::test]
async fn a_guardrail_is_made_told_changed_and_removed() {
    let gateway = Gateway::start(HOUSE);
    let default = told(&gateway, "GET", "/workspaces/default", Value::Null, 200).await["data"].clone();
    // The sample of the contract.
    let body = json!({
        "allowed_models": null, "allowed_providers": ["openai", "anthropic", "deepseek"],
        "description": "A guardrail for limiting API usage", "enforce_zdr_anthropic": true, "enforce_zdr_google": false,
        "enforce_zdr_openai": true, "enforce_zdr_other": false, "enforce_zdr_xai": false, "ignored_models": null,
        "ignored_providers": null, "limit_usd": 50, "name": "My New Guardrail", "reset_interval": "monthly",
    });
    let made = told(&gateway, "POST", "/guardrails", body.clone(), 201).await["data"].clone();
    has_exactly(&made, MEMBERS);
    for (name, value) in body.as_object().expect("an object") {
        let want = if name == "limit_usd" { &json!(50.0) } else { value };
        assert_eq!(&made[name], want, "{name}");
    }
    for (name, value) in [
        ("enforce_zdr", Value::Null),
        ("include_byok_in_budgets", json!(false)),
        ("updated_at", Value::Null),
        ("workspace_id", default["id"].clone()),
        ("content_filters", Value::Null),
    ] {
        assert_eq!(made[name], value, "{name}");
    }
    let path = format!("/guardrails/{}", made["id"].as_str().expect("an id"));
    assert_eq!(told(&gateway, "GET", &path, Value::Null, 200).await["data"], made);
    let filters = json!([{ "pattern": "secret", "action": "redact", "label": null }]);
    let change = json!({
        "name": "Other", "limit_usd": null, "enforce_zdr": true, "enforce_zdr_xai": false, "content_filters": filters,
        "content_filter_builtins": [
            { "slug": "email", "action": "block", "label": "mine" },
            { "slug": "regex-prompt-injection", "action": "flag", "scan_scope": "user_only" },
        ],
        "allowed_providers": ["cheap"], "enable_paid_model_training": false, "include_byok_in_budgets": true,
    });
    let changed = told(&gateway, "PATCH", &path, change, 200).await["data"].clone();
    assert!(changed["updated_at"].is_string());
    let want = json!({
        "name": "Other", "limit_usd": null, "enforce_zdr": true, "enforce_zdr_anthropic": true,
        "enforce_zdr_openai": true, "enforce_zdr_google": true, "enforce_zdr_xai": false, "enforce_zdr_other": true,
        "content_filters": filters, "allowed_providers": ["cheap"], "enable_paid_model_training": false,
        "content_filter_builtins": [
            { "slug": "email", "action": "block", "label": "[EMAIL]" },
            { "slug": "regex-prompt-injection", "action": "flag", "label": "[PROMPT_INJECTION]", "scan_scope": "user_only" },
        ],
        "include_byok_in_budgets": true, "updated_at": changed["updated_at"],
    });
    assert_eq!(changed, with(made.clone(), want), "what was not said stays");
    let listed = told(&gateway, "GET", "/guardrails", Value::Null, 200).await;
    assert_eq!((&listed["total_count"], &listed["data"][0]), (&json!(1), &changed));
    assert_eq!(told(&gateway, "DELETE", &path, Value::Null, 200).await, json!({ "deleted": true }));
    refused(
        &gateway,
        &[
            ("GET", &path, Value::Null, 404, "Resource not found"),
            ("PATCH", &path, json!({}), 404, "no such guardrail"),
            ("DELETE", &path, Value::Null, 404, "no such guardrail"),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_a_guardrail_cannot_say_is_told_by_its_member() {
    let gateway = Gateway::start(HOUSE);
    let post =
        |over: Value, words: &'static str| ("POST", "/guardrails", with(json!({ "name": "g" }), over), 400, words);
    let filter = |filter: Value, words| post(json!({ "content_filters": [filter] }), words);
    let builtin = |builtin: Value, words| post(json!({ "content_filter_builtins": [builtin] }), words);
    refused(
        &gateway,
        &[
            ("POST", "/guardrails", json!({}), 400, "`name` is required"),
            post(json!({ "name": "x".repeat(201) }), "at most 200 characters"),
            post(json!({ "description": "x".repeat(1001) }), "at most 1000 characters"),
            post(json!({ "id": "mine" }), "`id` is not known here"),
            post(json!({ "assigned_to": [] }), "`assigned_to` is not known here"),
            post(
                json!({ "allowed_models": [] }),
                "`allowed_models` must have an entry; null stands for no restriction",
            ),
            post(json!({ "allowed_models": "lab/one" }), "must be an array"),
            post(json!({ "ignored_models": [1] }), "`ignored_models[0]` must be a string"),
            post(json!({ "allowed_providers": [""] }), "`allowed_providers[0]` must have 1 to 256 visible"),
            post(json!({ "ignored_providers": vec!["x"; 257] }), "at most 256 entries"),
            post(json!({ "enforce_zdr": "yes" }), "`enforce_zdr` must be true or false"),
            post(json!({ "enable_free_model_training": 1 }), "must be true or false"),
            post(json!({ "limit_usd": 0 }), "greater than 0"),
            post(json!({ "reset_interval": "lifetime" }), "must be one of daily, weekly, monthly"),
            post(json!({ "include_byok_in_budgets": null }), "must not be null"),
            post(json!({ "workspace_id": "nowhere" }), "`workspace_id` names no workspace"),
            filter(json!("x"), "`content_filters[0]` must be an object"),
            filter(json!({ "action": "block" }), "`content_filters[0].pattern` is required"),
            filter(json!({ "pattern": "x" }), "`content_filters[0].action` is required"),
            filter(json!({ "pattern": "x", "action": "drop" }), "must be one of redact, block, flag, not \"drop\""),
            filter(
                json!({ "pattern": "(", "action": "block" }),
                "`content_filters[0].pattern` invalid_regex_pattern: unclosed group",
            ),
            filter(json!({ "pattern": "(?=x)", "action": "block" }), "invalid_regex_pattern"),
            filter(json!({ "pattern": r"(a)\1", "action": "block" }), "invalid_regex_pattern"),
            filter(json!({ "pattern": r"\w{1000}{10}", "action": "block" }), "too large"),
            filter(
                json!({ "pattern": "x", "action": "block", "flags": "i" }),
                "`content_filters[0].flags` is not known",
            ),
            filter(json!({ "pattern": "x", "action": "block", "label": "x".repeat(101) }), "at most 100 characters"),
            builtin(json!({ "slug": "passport", "action": "block" }), "must be one of email, phone"),
            builtin(json!({ "slug": "person-name", "action": "redact" }), "person-name is not implemented here"),
            builtin(json!({ "slug": "address", "action": "redact" }), "address is not implemented here"),
            builtin(json!({ "slug": "email", "action": "flag", "scan_scope": "some" }), "all_messages, user_only"),
            ("GET", "/guardrails?workspace_id=nowhere", Value::Null, 404, "no such workspace"),
            ("PATCH", "/guardrails/x", json!({ "workspace_id": "default" }), 400, "`workspace_id` is not known here"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_guardrail_is_assigned_to_keys_and_members_one_to_each() {
    let gateway = Gateway::start(HOUSE);
    let mut ids = Vec::new();
    for name in ["one", "two"] {
        let made = told(&gateway, "POST", "/guardrails", json!({ "name": name }), 201).await;
        ids.push(made["data"]["id"].as_str().expect("an id").to_owned());
    }
    let (one, two) = (&ids[0], &ids[1]);
    told(&gateway, "POST", "/organization/members", json!({ "id": "user_a", "email": "a@x.io" }), 201).await;
    let keys = json!({ "key_hashes": [hash(KEY), hash(MANAGEMENT), hash(KEY)] });
    let path = |id: &str, rest: &str| format!("/guardrails/{id}/assignments/{rest}");
    let assigned = told(&gateway, "POST", &path(one, "keys"), keys, 200).await;
    assert_eq!(assigned, json!({ "assigned_count": 2 }));
    let listed = told(&gateway, "GET", &path(one, "keys?limit=1"), Value::Null, 200).await;
    assert_eq!((&listed["total_count"], listed["data"].as_array().map(Vec::len)), (&json!(2), Some(1)));
    has_exactly(
        &listed["data"][0],
        &["id", "guardrail_id", "assigned_by", "created_at", "key_hash", "key_label", "key_name"],
    );
    // Another takes its place.
    told(&gateway, "POST", &path(two, "keys"), json!({ "key_hashes": [hash(KEY)] }), 200).await;
    for (id, hashes) in [(one, vec![hash(MANAGEMENT)]), (two, vec![hash(KEY)])] {
        let listed = told(&gateway, "GET", &path(id, "keys"), Value::Null, 200).await;
        let have: Vec<String> = listed["data"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|a| a["key_hash"].as_str().unwrap_or("").to_owned())
            .collect();
        assert_eq!(have, hashes);
    }
    let all = told(&gateway, "GET", "/guardrails/assignments/keys", Value::Null, 200).await;
    assert_eq!(all["total_count"], 2);
    let body = json!({ "member_user_ids": ["user_a"] });
    assert_eq!(told(&gateway, "POST", &path(one, "members"), body.clone(), 200).await, json!({ "assigned_count": 1 }));
    for from in [path(one, "members"), "/guardrails/assignments/members".to_owned()] {
        let listed = told(&gateway, "GET", &from, Value::Null, 200).await;
        let first = &listed["data"][0];
        has_exactly(first, &["id", "guardrail_id", "assigned_by", "created_at", "user_id", "organization_id"]);
        assert_eq!(
            (&listed["total_count"], &first["user_id"], &first["guardrail_id"]),
            (&json!(1), &json!("user_a"), &json!(one))
        );
    }
    // What another guardrail holds is not taken from it.
    let rows = [
        (path(one, "keys/remove"), json!({ "key_hashes": [hash(KEY), hash(MANAGEMENT)] }), 1),
        (path(one, "keys/remove"), json!({ "key_hashes": [hash(MANAGEMENT)] }), 0),
        (path(two, "members/remove"), body.clone(), 0),
        (path(one, "members/remove"), body.clone(), 1),
    ];
    for (path, body, count) in rows {
        assert_eq!(told(&gateway, "POST", &path, body, 200).await, json!({ "unassigned_count": count }), "{path}");
    }
    let nobody = "00000000-0000-4000-8000-000000000000";
    refused(
        &gateway,
        &[
            ("POST", &path(one, "keys"), json!({ "key_hashes": ["00"] }), 400, "no such key: 00"),
            ("POST", &path(one, "keys"), json!({ "key_hashes": [] }), 400, "must have 1 to 256 entries"),
            ("POST", &path(one, "keys"), json!({ "keys": [] }), 400, "`keys` is not known here: key_hashes are"),
            ("POST", &path(one, "keys/remove"), json!({}), 400, "`key_hashes` is required"),
            ("POST", &path(one, "members"), json!({ "member_user_ids": ["nobody"] }), 400, "no such member: nobody"),
            ("POST", &path(one, "members/remove"), json!({ "member_user_ids": [""] }), 400, "`member_user_ids[0]`"),
            ("GET", &path(nobody, "keys"), Value::Null, 404, "no such guardrail"),
            ("GET", &path(nobody, "members"), Value::Null, 404, "no such guardrail"),
            ("POST", &path(nobody, "keys"), json!({ "key_hashes": [hash(KEY)] }), 404, "no such guardrail"),
            ("POST", &path(nobody, "keys/remove"), json!({ "key_hashes": [hash(KEY)] }), 404, "no such guardrail"),
            ("POST", &path(nobody, "members"), body.clone(), 404, "no such guardrail"),
            ("POST", &path(nobody, "members/remove"), body, 404, "no such guardrail"),
            ("GET", "/guardrails/assignments/keys?offset=x", Value::Null, 400, "`offset`"),
        ],
    )
    .await;
    // With a guardrail go its assignments.
    told(&gateway, "DELETE", &format!("/guardrails/{two}"), Value::Null, 200).await;
    assert_eq!(told(&gateway, "GET", "/guardrails/assignments/keys", Value::Null, 200).await["total_count"], 0);
}

#[tokio::test]
async fn a_workspaces_default_guardrail_is_there_once_it_is_written_to() {
    let gateway = Gateway::start(HOUSE);
    let space =
        told(&gateway, "POST", "/workspaces", json!({ "name": "Lab", "slug": "lab" }), 201).await["data"].clone();
    let id = space["default_guardrail_id"].as_str().expect("an id").to_owned();
    let path = format!("/guardrails/{id}");
    refused(&gateway, &[("GET", &path, Value::Null, 404, "no such guardrail")]).await;
    let made = told(&gateway, "PATCH", &path, json!({ "allowed_models": ["lab/one"] }), 200).await["data"].clone();
    assert_eq!((&made["id"], &made["workspace_id"]), (&json!(id), &space["id"]));
    assert_eq!(made["name"], "Lab (workspace default)");
    told(&gateway, "PATCH", "/workspaces/lab", json!({ "name": "Shed" }), 200).await;
    assert_eq!(told(&gateway, "GET", &path, Value::Null, 200).await["data"]["name"], "Shed (workspace default)");
    refused(&gateway, &[("PATCH", &path, json!({ "name": "Mine" }), 400, "cannot be changed")]).await;
    let listed = told(&gateway, "GET", "/guardrails?workspace_id=lab", Value::Null, 200).await;
    assert_eq!((&listed["total_count"], &listed["data"][0]["id"]), (&json!(1), &json!(id)));
    assert_eq!(told(&gateway, "GET", "/guardrails", Value::Null, 200).await["total_count"], 0, "the default one's");
    told(&gateway, "DELETE", "/workspaces/lab", Value::Null, 200).await;
    refused(&gateway, &[("GET", &path, Value::Null, 404, "no such guardrail")]).await;
}
