//! What guardrails do to requests.

use super::{HOUSE, Own, ask, call, chat, hash, own, prepared, told};
use crate::harness::{Gateway, KEY, with};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use slip_store::{KeyDetail, NewKey};

const ANN: &str = "sk-that-is-of-ann";

/// A gateway where `ANN` is a key of the member `user_ann`.
async fn house() -> Gateway {
    let detail = KeyDetail { member: Some("user_ann".into()), ..KeyDetail::default() };
    let new = NewKey { detail, ..own(ANN).new };
    let gateway = Gateway::start_in(prepared(vec![Own { new, ..own(ANN) }]).await, HOUSE);
    told(&gateway, "POST", "/organization/members", json!({ "id": "user_ann", "email": "ann@x.io" }), 201).await;
    gateway
}

/// A guardrail that holds for a key (by its secret), for a member, or for the default workspace.
async fn hold(gateway: &Gateway, whom: &str, name: &str, guardrail: Value) -> String {
    if whom == "workspace" {
        let space = told(gateway, "GET", "/workspaces/default", Value::Null, 200).await;
        let id = space["data"]["default_guardrail_id"].as_str().expect("an id").to_owned();
        told(gateway, "PATCH", &format!("/guardrails/{id}"), guardrail, 200).await;
        return id;
    }
    let made = told(gateway, "POST", "/guardrails", with(guardrail, json!({ "name": name })), 201).await;
    let id = made["data"]["id"].as_str().expect("an id").to_owned();
    let (path, body) = match whom.strip_prefix("user_") {
        Some(_) => ("members", json!({ "member_user_ids": [whom] })),
        None => ("keys", json!({ "key_hashes": [hash(whom)] })),
    };
    told(gateway, "POST", &format!("/guardrails/{id}/assignments/{path}"), body, 200).await;
    id
}

/// The endpoints that may serve, by the gateway's own explanation, and the names of what rules the others out.
async fn explained(gateway: &Gateway, secret: &str, model: &str) -> (Vec<String>, Vec<String>, Value) {
    let bearer = format!("Bearer {secret}");
    let body = Bytes::from(ask(model, "hello").to_string());
    let got = gateway.send(Method::POST, "/api/v1/explain", &[("authorization", &bearer)], body).await;
    assert_eq!(got.status, 200, "{}", got.text());
    let told = got.json();
    let (mut may, mut not) = (Vec::new(), Vec::new());
    for one in told["endpoints"].as_array().expect("endpoints") {
        let tag = one["endpoint"].as_str().expect("a tag").to_owned();
        if one["verdict"] != "refused" {
            may.push(tag);
            continue;
        }
        for because in one["because"].as_array().expect("why") {
            assert_eq!(because["rule"], "guardrail", "{because}");
            not.push(format!("{tag}: {}", because["says"].as_str().expect("words")));
        }
    }
    not.sort_unstable_by_key(|one| one.split(':').next() == Some("dear"));
    (may, not, told)
}

#[tokio::test]
async fn a_guardrail_holds_for_whom_it_is_assigned_and_for_nobody_else() {
    let only = json!({ "allowed_providers": ["cheap"] });
    let rows = [("workspace", true, true), (ANN, true, false), ("user_ann", true, false), (KEY, false, true)];
    for (whom, ann, other) in rows {
        let gateway = house().await;
        hold(&gateway, whom, "only-cheap", only.clone()).await;
        for (secret, held) in [(ANN, ann), (KEY, other)] {
            let (may, ..) = explained(&gateway, secret, "lab/one").await;
            assert_eq!(may.len(), if held { 1 } else { 3 }, "{whom}: {secret} may use {may:?}");
            let got = chat(&gateway, secret, &ask("lab/three", "hello")).await;
            assert_eq!(got.status, if held { 404 } else { 200 }, "{whom}: {secret}: {}", got.text());
        }
    }
    // Kept in a workspace, it holds for nobody there.
    let gateway = house().await;
    told(&gateway, "POST", "/guardrails", with(only, json!({ "name": "idle", "workspace_id": "default" })), 201).await;
    assert_eq!(explained(&gateway, ANN, "lab/one").await.0.len(), 3);
}

#[tokio::test]
async fn guardrails_stack_and_the_explanation_names_each() {
    let gateway = house().await;
    hold(&gateway, "workspace", "", json!({ "ignored_providers": ["dear"] })).await;
    let member = hold(&gateway, "user_ann", "ann's", json!({ "allowed_providers": ["cheap", "dear"] })).await;
    let (may, not, told_) = explained(&gateway, ANN, "lab/one").await;
    assert_eq!(may, ["cheap"]);
    assert_eq!(
        not,
        [
            "middle: the guardrail \"ann's\" forbids it: its provider is not among those allowed",
            "dear: the guardrail \"Default (workspace default)\" forbids it: its provider is ignored",
        ]
    );
    assert_eq!(told_["key"]["may_use"]["guardrails"], json!(["Default (workspace default)", "ann's"]));
    let got = chat(&gateway, ANN, &ask("lab/one", "hello")).await;
    assert_eq!((got.status, got.header("x-provider-name")), (200, "cheap"), "{}", got.text());
    let record = &call(&gateway, "GET", &format!("/generation?id={}", got.header("x-generation-id")), &Value::Null)
        .await
        .json()["data"];
    assert_eq!(record["slipswitch"]["ruled_out"].as_array().map(Vec::len), Some(2), "{record}");
    assert_eq!(record["slipswitch"]["ruled_out"][0]["rule"], "guardrail");
    // A third leaves nobody.
    hold(&gateway, ANN, "key's", json!({ "ignored_models": ["lab/*"] })).await;
    let got = chat(&gateway, ANN, &ask("lab/one", "hello")).await;
    let message = got.error()["message"].as_str().expect("words").to_owned();
    assert_eq!(got.status, 404, "{message}");
    assert!(
        message.starts_with("No endpoints available matching your guardrail restrictions and data policy"),
        "{message}"
    );
    assert!(message.contains("the guardrail \"key's\" forbids it: its model is ignored"), "{message}");
    // Other keys go on as before, and what is lifted is lifted at once.
    assert_eq!(explained(&gateway, KEY, "lab/one").await.0, ["cheap", "middle"]);
    told(&gateway, "DELETE", &format!("/guardrails/{member}"), Value::Null, 200).await;
    told(&gateway, "POST", "/guardrails", json!({ "name": "none" }), 201).await;
    let body = json!({ "key_hashes": [hash(ANN)] });
    let none = told(&gateway, "GET", "/guardrails?limit=100", Value::Null, 200).await;
    let none = none["data"].as_array().expect("all").iter().find(|g| g["name"] == "none").expect("made")["id"].clone();
    let path = format!("/guardrails/{}/assignments/keys", none.as_str().expect("an id"));
    told(&gateway, "POST", &path, body, 200).await;
    assert_eq!(explained(&gateway, ANN, "lab/one").await.0, ["cheap", "middle"]);
}

#[tokio::test]
async fn models_and_data_policies_are_held_to() {
    type Row<'a> = (Value, &'a str, u16, &'a str);
    let rows: &[Row<'_>] = &[
        (json!({ "allowed_models": ["lab/one"] }), "lab/one", 200, ""),
        (json!({ "allowed_models": ["LAB/*"] }), "lab/two", 200, ""),
        (json!({ "allowed_models": ["lab/one"] }), "lab/two", 404, "its model is not among those allowed"),
        (json!({ "allowed_models": ["lab/one"] }), "lab/two:floor", 404, "its model is not among those allowed"),
        (json!({ "ignored_models": ["lab/two"] }), "lab/one", 200, ""),
        (json!({ "ignored_models": ["lab/two"] }), "lab/two", 404, "its model is ignored"),
        // No simulated provider promises anything about data.
        (json!({ "enforce_zdr_other": true }), "lab/one", 404, "no zero data retention"),
        (json!({ "enforce_zdr": true }), "lab/one", 404, "no zero data retention"),
        (json!({ "enforce_zdr_anthropic": true }), "lab/one", 200, ""),
        (json!({ "enable_paid_model_training": false }), "lab/one", 404, "it may train on what it is sent"),
        (json!({ "enable_paid_model_training": true }), "lab/one", 200, ""),
        (json!({ "enable_free_model_training": false, "enable_free_model_publication": false }), "lab/one", 200, ""),
    ];
    let gateway = house().await;
    let id = hold(&gateway, ANN, "g", json!({})).await;
    let clear = json!({ "allowed_models": null, "ignored_models": null, "enforce_zdr": null, "enable_paid_model_training": null,
        "enable_free_model_training": null, "enable_free_model_publication": null });
    for (guardrail, model, status, words) in rows {
        told(&gateway, "PATCH", &format!("/guardrails/{id}"), with(clear.clone(), guardrail.clone()), 200).await;
        let got = chat(&gateway, ANN, &ask(model, "hello")).await;
        assert_eq!(got.status, *status, "{guardrail} {model}: {}", got.text());
        assert!(got.text().contains(words), "{guardrail} {model}: {}", got.text());
        assert_eq!(chat(&gateway, KEY, &ask(model, "hello")).await.status, 200, "{guardrail} {model}: for others");
    }
}

#[tokio::test]
async fn a_keys_own_lists_narrow_as_well() {
    let secret = "sk-with-lists-of-its-own";
    let detail = KeyDetail {
        models: vec!["lab/one".into()],
        providers: vec!["cheap".into(), "dear".into()],
        ..KeyDetail::default()
    };
    let keys = vec![Own { new: NewKey { detail, ..own(secret).new }, ..own(secret) }];
    let gateway = Gateway::start_in(prepared(keys).await, HOUSE);
    hold(&gateway, secret, "not-dear", json!({ "ignored_providers": ["dear"] })).await;
    let bearer = format!("Bearer {secret}");
    let body = Bytes::from(ask("lab/one", "x").to_string());
    let told = gateway.send(Method::POST, "/api/v1/explain", &[("authorization", &bearer)], body).await.json();
    assert_eq!(told["order"], json!(["cheap"]));
    assert_eq!(
        told["key"]["may_use"],
        json!({ "models": ["lab/one"], "providers": ["cheap", "dear"], "guardrails": ["not-dear"] })
    );
    let got = chat(&gateway, secret, &ask("lab/three", "x")).await;
    assert_eq!((got.status, got.text().contains("this key may not use the model")), (403, true), "{}", got.text());
    let listed =
        gateway.send(Method::GET, "/api/v1/models/user", &[("authorization", &bearer)], Bytes::new()).await.json();
    let ids: Vec<&str> = listed["data"].as_array().expect("models").iter().filter_map(|m| m["id"].as_str()).collect();
    assert_eq!(ids, ["lab/one"], "and no other is shown");
}

#[tokio::test]
async fn what_must_not_leave_is_blocked_taken_out_or_noted() {
    let gateway = house().await;
    let filters = json!({
        "content_filters": [
            { "pattern": "(?i)project apollo", "action": "redact", "label": "PROJECT" },
            { "pattern": "launch code", "action": "block" },
            { "pattern": "\\bweather\\b", "action": "flag", "label": "small talk" },
        ],
        "content_filter_builtins": [{ "slug": "email", "action": "redact" }],
    });
    hold(&gateway, ANN, "words", filters).await;
    for stream in [false, true] {
        // The simulated provider answers with what it heard.
        let body = with(ask("lab/one", "Project Apollo by ada@example.com"), json!({ "stream": stream }));
        let got = chat(&gateway, ANN, &body).await;
        assert_eq!(got.status, 200, "{}", got.text());
        let heard = got.content();
        assert!(heard.contains("[PROJECT] by [EMAIL]") && !heard.contains("ada@"), "{heard}");
        let others = chat(&gateway, KEY, &body).await.content();
        assert!(others.contains("ada@example.com"), "others say what they like: {others}");
    }
    let got = chat(&gateway, ANN, &ask("lab/one", "the launch code is 1234")).await;
    assert_eq!(
        (got.status, got.error()["message"].as_str()),
        (403, Some("the guardrail \"words\" blocks this request: it holds [REDACTED]"))
    );
    let got = chat(&gateway, ANN, &ask("lab/one", "nice weather")).await;
    assert_eq!(got.status, 200);
    let path = format!("/generation?id={}", got.header("x-generation-id"));
    let record = call(&gateway, "GET", &path, &Value::Null).await.json();
    assert_eq!(record["data"]["slipswitch"]["noted"], json!(["words: [small talk]"]));
    // In every dialect, told in its own words.
    let bearer = format!("Bearer {ANN}");
    for (path, body, part) in [
        (
            "/v1/messages",
            json!({ "model": "lab/one", "max_tokens": 9, "system": "launch code", "messages": [{ "role": "user", "content": "x" }] }),
            "\"type\":\"error\"",
        ),
        ("/v1/responses", json!({ "model": "lab/one", "input": "launch code" }), "launch"),
        (
            "/v1beta/models/lab/one:generateContent",
            json!({ "contents": [{ "parts": [{ "text": "launch code" }] }] }),
            "PERMISSION_DENIED",
        ),
        ("/v1/embeddings", json!({ "model": "lab/one", "input": ["launch code"] }), "words"),
    ] {
        let got = gateway.send(Method::POST, path, &[("authorization", &bearer)], Bytes::from(body.to_string())).await;
        assert_eq!(got.status, 403, "{path}: {}", got.text());
        assert!(got.text().contains(part) || part == "launch", "{path}: {}", got.text());
        assert!(!got.text().contains("launch code"), "what was found is not repeated: {}", got.text());
    }
}

#[tokio::test]
async fn a_workspace_has_habits() {
    let gateway = house().await;
    let change = json!({ "default_text_model": "lab/three", "default_provider_sort": "price" });
    told(&gateway, "PATCH", "/workspaces/default", change, 200).await;
    let mut body = ask("", "hello");
    body.as_object_mut().expect("an object").remove("model");
    let got = chat(&gateway, ANN, &body).await;
    assert_eq!((got.status, got.header("x-provider-name")), (200, "dear"), "{}", got.text());
    let (.., told_) = explained(&gateway, ANN, "lab/one").await;
    assert_eq!(
        (&told_["strategy"]["name"], &told_["strategy"]["chosen_by"]),
        (&json!("least-cost"), &json!("workspace"))
    );
    let body = with(ask("lab/one", "x"), json!({ "provider": { "sort": "latency" } }));
    let got = chat(&gateway, ANN, &body).await;
    assert_eq!(got.header("x-slipswitch-strategy"), "least-latency", "the request's own wish is stronger");
}

#[tokio::test]
async fn a_long_text_is_looked_through_like_a_short_one() {
    let gateway = house().await;
    let builtins = json!({ "content_filter_builtins": [{ "slug": "email", "action": "block" }] });
    hold(&gateway, ANN, "no-mail", builtins).await;
    let long = "word ".repeat(40_000);
    for (words, status) in [(format!("{long} ada@example.com"), 403), (long, 200)] {
        let got = chat(&gateway, ANN, &ask("lab/one", &words)).await;
        assert_eq!(got.status, status, "{}", got.text());
    }
}

#[tokio::test]
async fn a_key_with_networks_is_used_from_there() {
    let rows = [("127.0.0.0/8", 200), ("127.0.0.1", 200), ("::1", 403), ("10.0.0.0/8", 403), ("127.0.0.0/99", 403)];
    let secret = |at: usize| format!("sk-with-a-network-{at}");
    let secrets: Vec<String> = (0..rows.len()).map(secret).collect();
    let mut keys = Vec::new();
    for (secret, (network, _)) in secrets.iter().zip(rows) {
        let detail = KeyDetail { addresses: vec![network.to_owned()], ..KeyDetail::default() };
        keys.push(Own { new: NewKey { detail, ..own(secret).new }, ..own(secret) });
    }
    let gateway = Gateway::start_in(prepared(keys).await, HOUSE);
    for (secret, (network, status)) in secrets.iter().zip(rows) {
        let got = chat(&gateway, secret, &ask("lab/one", "hello")).await;
        assert_eq!(got.status, status, "{network}: {}", got.text());
        // What anybody can write does not help.
        let bearer = format!("Bearer {secret}");
        let headers = [("authorization", bearer.as_str()), ("x-forwarded-for", "10.0.0.1"), ("x-real-ip", "::1")];
        let got = gateway.send(Method::GET, "/api/v1/key", &headers, Bytes::new()).await;
        assert_eq!(got.status, status, "{network}");
    }
}
