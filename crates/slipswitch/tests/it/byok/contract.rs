//! `/byok` as OpenRouter has it.

use super::{Door, bring, config, tenant, told};
use crate::harness::Gateway;
use http::Method;
use serde_json::{Value, json};

const MEMBERS: [&str; 12] = [
    "id",
    "provider",
    "workspace_id",
    "name",
    "label",
    "disabled",
    "is_fallback",
    "allowed_models",
    "allowed_api_key_hashes",
    "allowed_user_ids",
    "sort_order",
    "created_at",
];

#[tokio::test]
async fn a_key_is_put_in_shown_changed_and_removed() {
    let door = Door::open().await;
    let gateway = Gateway::start(&config(&[("lab", &door)]));
    let new = json!({ "provider": "lab", "key": "sk-own-first-00000AbCd", "name": "Mine" });
    let made = told(&gateway, Method::POST, "/byok", new, 201).await["data"].clone();
    let mut have: Vec<&str> = made.as_object().expect("an object").keys().map(String::as_str).collect();
    let mut want = MEMBERS.to_vec();
    have.sort_unstable();
    want.sort_unstable();
    assert_eq!(have, want);
    assert_eq!(
        (&made["label"], &made["sort_order"], &made["disabled"]),
        (&json!("sk-...AbCd"), &json!(0), &json!(false))
    );
    let path = format!("/byok/{}", made["id"].as_str().expect("an id"));
    assert_eq!(told(&gateway, Method::GET, &path, Value::Null, 200).await["data"], made);
    let change =
        json!({ "name": null, "is_fallback": true, "key": "another-0123456789-WxYz", "allowed_models": ["lab/*"] });
    let changed = told(&gateway, Method::PATCH, &path, change, 200).await["data"].clone();
    let want = (&json!("ano...WxYz"), &json!(null), &json!(true), &json!(["lab/*"]), &made["created_at"]);
    let members = ["label", "name", "is_fallback", "allowed_models", "created_at"].map(|name| &changed[name]);
    assert_eq!(members, [want.0, want.1, want.2, want.3, want.4]);
    assert_eq!(told(&gateway, Method::DELETE, &path, Value::Null, 200).await, json!({ "deleted": true }));
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        let body = if method == Method::PATCH { json!({}) } else { Value::Null };
        told(&gateway, method, &path, body, 404).await;
    }
}

#[tokio::test]
async fn a_list_is_of_one_workspace_in_order_and_by_the_page() {
    let door = Door::open().await;
    let gateway = Gateway::start(&config(&[("lab", &door)]));
    let (_, hash, space) = tenant(&gateway, "theirs").await;
    for (provider, secret, more) in [
        ("openai", "sk-a-0000000000001111", json!({})),
        ("lab", "sk-b-0000000000002222", json!({ "sort_order": 7 })),
        ("lab", "sk-c-0000000000003333", json!({ "sort_order": 3 })),
        ("lab", "sk-d-0000000000004444", json!({})),
        ("lab", "sk-e-0000000000005555", json!({ "workspace_id": space })),
    ] {
        bring(&gateway, provider, secret, more).await;
    }
    let labels = async |query: &str| {
        let told = told(&gateway, Method::GET, &format!("/byok{query}"), Value::Null, 200).await;
        let all = told["data"].as_array().expect("a list").iter();
        let ends: Vec<String> = all.map(|key| key["label"].as_str().expect("a label")[6..].to_owned()).collect();
        (ends.join(" "), told["total_count"].as_u64().expect("a count"))
    };
    let theirs = format!("?workspace_id={space}");
    for (query, want) in [
        ("", ("3333 2222 4444 1111", 4)),
        ("?provider=lab", ("3333 2222 4444", 3)),
        ("?provider=lab&limit=1&offset=1", ("2222", 3)),
        ("?provider=groq", ("", 0)),
        (theirs.as_str(), ("5555", 1)),
    ] {
        let got = labels(query).await;
        assert_eq!((got.0.as_str(), got.1), want, "{query}");
    }
    // A workspace takes its keys along.
    told(&gateway, Method::DELETE, &format!("/keys/{hash}"), Value::Null, 200).await;
    told(&gateway, Method::DELETE, &format!("/workspaces/{space}"), Value::Null, 200).await;
    told(&gateway, Method::GET, &format!("/byok?workspace_id={space}"), Value::Null, 404).await;
    assert_eq!(labels("").await.1, 4);
}

#[tokio::test]
async fn what_is_wrong_is_said_without_repeating_a_secret() {
    let door = Door::open().await;
    let gateway = Gateway::start(&config(&[("lab", &door)]));
    let id = bring(&gateway, "lab", "sk-own-first-0000000", json!({})).await;
    let secret = "sk-canary-\u{7f}-0123456789";
    let long = "sk-canary".repeat(1000);
    let stranger = "f".repeat(64);
    let rows: Vec<(Value, &str)> = vec![
        (json!({ "key": "sk-canary-0123456789" }), "`provider` is required"),
        (json!({ "provider": "lab" }), "`key` is required"),
        (json!({ "provider": "lab", "key": "" }), "must not be empty"),
        (json!({ "provider": "lab", "key": ["sk-canary-0123456789"] }), "must be a string"),
        (json!({ "provider": "lab", "key": secret }), "characters that a header cannot carry"),
        (json!({ "provider": "lab", "key": long }), "at most 8192 characters"),
        (json!({ "provider": "no-such", "key": "sk-canary-0123456789" }), "names no provider: no-such"),
        (json!({ "provider": "ollama", "key": "sk-canary-0123456789" }), "is not configured here"),
        (json!({ "provider": "azure", "key": "sk-canary-0123456789" }), "has to be configured here first"),
        (json!({ "provider": "lab", "key": "sk-canary-0123456789", "workspace_id": "nowhere" }), "names no workspace"),
        (
            json!({ "provider": "lab", "key": "sk-canary-0123456789", "allowed_api_key_hashes": [] }),
            "must have an entry",
        ),
        (
            json!({ "provider": "lab", "key": "sk-canary-0123456789", "allowed_api_key_hashes": [stranger] }),
            "names no key",
        ),
        (
            json!({ "provider": "lab", "key": "sk-canary-0123456789", "base_url": "http://evil" }),
            "`base_url` is not known",
        ),
        (json!({ "provider": "lab", "key": "sk-canary-0123456789", "sort_order": -1 }), "must be a whole number"),
    ];
    for (body, says) in rows {
        let got = gateway.manage(Method::POST, "/api/v1/byok", body.clone()).await;
        let message = got.error()["message"].as_str().unwrap_or_default().to_owned();
        assert!(got.status == 400 && message.contains(says), "{body}: {} {message}", got.status);
        assert!(!message.contains("canary"), "{message}");
    }
    for (body, says) in [
        (json!({ "provider": "openai" }), "`provider` is not known"),
        (json!({ "workspace_id": "x" }), "`workspace_id` is not known"),
        (json!({ "key": null }), "must not be null"),
        (json!({ "disabled": "yes" }), "must be true or false"),
    ] {
        let got = gateway.manage(Method::PATCH, &format!("/api/v1/byok/{id}"), body.clone()).await;
        let message = got.error()["message"].as_str().unwrap_or_default().to_owned();
        assert!(got.status == 400 && message.contains(says), "{body}: {} {message}", got.status);
    }
    assert_eq!(told(&gateway, Method::GET, "/byok", Value::Null, 200).await["total_count"], 1, "nothing came of them");
}

#[tokio::test]
async fn the_command_line_reads_a_secret_from_standard_input() {
    use crate::harness::{MANAGEMENT, binary};
    use std::io::Write as _;
    use std::process::Stdio;
    let door = Door::open().await;
    let gateway = Gateway::start(&config(&[("lab", &door)]));
    let url = format!("http://{}", gateway.address);
    let run = |args: &[&str], secret: &str| {
        let mut command = binary();
        command
            .args([&["byok"], args].concat())
            .env("SLIPSWITCH_URL", &url)
            .env("SLIPSWITCH_MANAGEMENT_KEY", MANAGEMENT);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        child.stdin.take().expect("piped").write_all(secret.as_bytes()).expect("it reads");
        let done = child.wait_with_output().expect("it ends");
        (done.status.code(), String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned())
    };
    let (code, said) = run(&["add", "lab", "--name", "Mine", "--fallback"], "sk-own-first-00000AbCd\n");
    assert!(code == Some(0) && said.starts_with("lab sk-...AbCd: "), "{said}");
    let id = said.trim().rsplit(' ').next().expect("an id").to_owned();
    let (code, listed) = run(&["list", "--provider", "lab"], "");
    assert!(
        code == Some(0) && [&*id, "Mine", "fallback", "sk-...AbCd"].iter().all(|word| listed.contains(word)),
        "{listed}"
    );
    assert!(!(said + &listed).contains("first"));
    let (code, said) = run(&["add", "lab"], " \n");
    assert!(code == Some(64) || code == Some(2), "{code:?} {said}");
    let (code, _) = run(&["add", "no-such"], "sk-own-first-00000AbCd");
    assert_ne!(code, Some(0));
    assert_eq!(run(&["remove", &id], ""), (Some(0), format!("removed {id}\n")));
    assert_eq!(told(&gateway, Method::GET, "/byok", Value::Null, 200).await["total_count"], 0);
}
