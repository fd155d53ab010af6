//! Members, and who of them belongs to a workspace.

use super::{HOUSE, has_exactly, own, prepared, refused, told};
use crate::harness::{Gateway, with};
use serde_json::{Value, json};
use slip_store::{KeyDetail, NewKey};

#[tokio::test]
async fn members_are_made_told_changed_and_removed() {
    let gateway = Gateway::start(HOUSE);
    let empty = told(&gateway, "GET", "/organization/members", Value::Null, 200).await;
    assert_eq!(empty, json!({ "data": [], "total_count": 0 }));
    let ada = json!({ "email": "ada@example.com", "first_name": "Ada", "last_name": "L", "role": "org:admin" });
    let ada = told(&gateway, "POST", "/organization/members", ada, 201).await["data"].clone();
    has_exactly(
        &ada,
        &["id", "email", "first_name", "last_name", "role", "limit_usd", "reset_interval", "include_byok_in_budgets"],
    );
    assert!(ada["id"].as_str().is_some_and(|id| id.starts_with("user_") && id.len() == 29), "{ada}");
    let bob = json!({ "id": "user_bob", "email": "bob@example.com", "limit_usd": 50, "reset_interval": "monthly" });
    let bob = told(&gateway, "POST", "/organization/members", bob, 201).await["data"].clone();
    assert_eq!(
        (&bob["role"], &bob["limit_usd"], &bob["first_name"]),
        (&json!("org:member"), &json!(50.0), &Value::Null)
    );
    let listed = told(&gateway, "GET", "/organization/members?limit=1&offset=1", Value::Null, 200).await;
    assert_eq!((&listed["total_count"], listed["data"].as_array().map(Vec::len)), (&json!(2), Some(1)));
    assert_eq!(told(&gateway, "GET", "/organization/members/user_bob", Value::Null, 200).await["data"], bob);
    let change = json!({ "role": "org:admin", "limit_usd": null, "first_name": "Bob" });
    let changed = told(&gateway, "PATCH", "/organization/members/user_bob", change, 200).await["data"].clone();
    let want = json!({ "role": "org:admin", "limit_usd": null, "first_name": "Bob" });
    assert_eq!(changed, with(bob, want));
    let path = "/organization/members";
    let new = |over: Value| with(json!({ "email": "eve@example.com" }), over);
    let post = |body: Value, words: &'static str| ("POST", path, body, 400, words);
    refused(
        &gateway,
        &[
            post(json!({}), "`email` is required"),
            post(json!({ "email": "nobody" }), "must be an e-mail address"),
            post(json!({ "email": "a b@c" }), "must be an e-mail address"),
            post(json!({ "email": "ADA@example.com" }), "`email` is another member's"),
            post(new(json!({ "id": "user_bob" })), "`id` is taken"),
            post(new(json!({ "id": "a/b" })), "must be of letters, digits"),
            post(new(json!({ "role": "admin" })), "must be one of org:admin, org:member, not \"admin\""),
            post(new(json!({ "role": null })), "`role` must not be null"),
            post(new(json!({ "limit_usd": -1 })), "greater than 0"),
            post(new(json!({ "reset_interval": "yearly" })), "must be one of daily, weekly, monthly"),
            post(new(json!({ "is_owner": true })), "`is_owner` is not known here"),
            ("PATCH", "/organization/members/user_bob", json!({ "id": "user_eve" }), 400, "`id` is not known here"),
            ("PATCH", "/organization/members/user_bob", json!({ "email": "ada@example.com" }), 400, "another member's"),
            ("PATCH", "/organization/members/nobody", json!({}), 404, "no such member: nobody"),
            ("GET", "/organization/members/nobody", Value::Null, 404, "Resource not found"),
            ("DELETE", "/organization/members/nobody", Value::Null, 404, "no such member"),
            ("GET", "/organization/members?limit=1000", Value::Null, 400, "`limit`"),
        ],
    )
    .await;
    let gone = told(&gateway, "DELETE", "/organization/members/user_bob", Value::Null, 200).await;
    assert_eq!(gone, json!({ "deleted": true }));
}

#[tokio::test]
async fn workspaces_have_members_and_those_with_keys_stay() {
    let secret = "sk-of-somebody-else";
    let detail = KeyDetail { member: Some("user_ann".into()), ..KeyDetail::default() };
    let new = NewKey { detail, ..own(secret).new };
    let gateway = Gateway::start_in(prepared(vec![super::Own { new, ..own(secret) }]).await, HOUSE);
    for id in ["user_ann", "user_bob", "user_cid"] {
        let body = json!({ "id": id, "email": format!("{id}@example.com"), "role": "org:admin" });
        told(&gateway, "POST", "/organization/members", body, 201).await;
    }
    let space = told(&gateway, "POST", "/workspaces", json!({ "name": "A", "slug": "a" }), 201).await["data"].clone();
    let body = json!({ "user_ids": ["user_ann", "user_bob", "user_bob"] });
    let added = told(&gateway, "POST", "/workspaces/a/members/add", body.clone(), 200).await;
    assert_eq!((&added["added_count"], added["data"].as_array().map(Vec::len)), (&json!(2), Some(2)));
    has_exactly(&added["data"][0], &["id", "workspace_id", "user_id", "role", "created_at"]);
    assert_eq!((&added["data"][0]["role"], &added["data"][0]["workspace_id"]), (&json!("admin"), &space["id"]));
    let again = told(&gateway, "POST", "/workspaces/a/members/add", body, 200).await;
    assert_eq!(again["data"], added["data"], "once is enough");
    let page = told(&gateway, "GET", "/workspaces/a/members?limit=1", Value::Null, 200).await;
    assert_eq!((&page["total_count"], page["data"].as_array().map(Vec::len)), (&json!(2), Some(1)));
    let all = told(&gateway, "GET", "/workspaces/default/members", Value::Null, 200).await;
    assert_eq!(all["total_count"], 3, "everybody belongs to the default one");
    let twice = told(&gateway, "GET", "/workspaces/default/members", Value::Null, 200).await;
    assert_eq!(all, twice, "under the same ids");
    let add = |body: Value, words: &'static str| ("POST", "/workspaces/a/members/add", body, 400, words);
    let remove = "/workspaces/a/members/remove";
    refused(
        &gateway,
        &[
            add(json!({}), "`user_ids` is required"),
            add(json!({ "user_ids": [] }), "must have 1 to 100 entries, not 0"),
            add(json!({ "user_ids": ["user_bob", "nobody"] }), "no such member: nobody"),
            add(json!({ "user_ids": "user_bob" }), "must be an array"),
            add(json!({ "user_ids": [1] }), "`user_ids[0]` must be a string, not 1"),
            add(
                json!({ "user_ids": (0..101).map(|n| n.to_string()).collect::<Vec<_>>() }),
                "must have 1 to 100 entries",
            ),
            add(json!({ "user_ids": ["user_bob"], "role": "admin" }), "`role` is not known here"),
            ("POST", "/workspaces/b/members/add", json!({ "user_ids": ["user_bob"] }), 404, "no such workspace"),
            ("GET", "/workspaces/b/members", Value::Null, 404, "no such workspace"),
            ("POST", "/workspaces/b/members/remove", json!({ "user_ids": ["user_bob"] }), 404, "no such workspace"),
            (
                "POST",
                "/workspaces/default/members/remove",
                json!({ "user_ids": ["user_bob"] }),
                400,
                "default workspace",
            ),
            ("POST", remove, json!({}), 400, "`user_ids` is required"),
            ("DELETE", "/organization/members/user_ann", Value::Null, 400, "Members with active API keys"),
        ],
    )
    .await;
    // Her key is in another workspace: from this one she may go.
    let gone = told(&gateway, "POST", remove, json!({ "user_ids": ["user_ann", "user_cid"] }), 200).await;
    assert_eq!(gone, json!({ "removed_count": 1 }), "who was not there is not counted");
    told(&gateway, "DELETE", "/organization/members/user_bob", Value::Null, 200).await;
    let left = told(&gateway, "GET", "/workspaces/a/members", Value::Null, 200).await;
    assert_eq!(left["total_count"], 0, "who is gone belongs nowhere");
}
