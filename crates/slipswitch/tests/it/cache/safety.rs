//! Who does not get another's answer.

use super::*;

#[tokio::test]
async fn it_is_off_until_somebody_says_otherwise() {
    let sim = sim(Dialect::OpenAiChat).await;
    let body = chat("x", false);
    let path = "/api/v1/chat/completions";
    // What the file says, what the key says, what the request says, and whether it is on.
    let rows = [
        ("", json!({}), None, false),
        ("", json!({}), Some("false"), false),
        ("", json!({}), Some("true"), true),
        ("allow = false\n", json!({}), Some("true"), false),
        ("allow = false\n", json!({ "cache": "on" }), None, true),
        ("allow = false\n", json!({ "cache": "off" }), Some("true"), true),
        ("", json!({ "cache": "off" }), None, false),
        ("enabled = true\n", json!({}), None, true),
        ("enabled = true\n", json!({}), Some("false"), false),
        ("enabled = true\n", json!({ "cache": "off" }), None, false),
        ("enabled = true\n", json!({ "cache": "never" }), Some("true"), false),
    ];
    for (file, members, says, on) in rows {
        let why = format!("{file} {members} {says:?}");
        let gateway = house(&sim, Dialect::OpenAiChat, &format!("[cache]\n{file}\n"));
        let (key, _) = key(&gateway, members).await;
        let head: Vec<(&str, &str)> = says.map(|says| ("x-openrouter-cache", says)).into_iter().collect();
        let before = sim.journal().total();
        let first = with_headers(&gateway, &key, path, &body, &head).await;
        let second = with_headers(&gateway, &key, path, &body, &head).await;
        let told = if on { ("MISS", "HIT") } else { ("", "") };
        assert_eq!((status(&first), status(&second)), told, "{why}");
        assert_eq!(sim.journal().total() - before, if on { 1 } else { 2 }, "{why}");
    }
}

#[tokio::test]
async fn no_answer_crosses_keys_unless_both_are_of_a_workspace_that_shares() {
    let sim = sim(Dialect::OpenAiChat).await;
    let gateway = house(&sim, Dialect::OpenAiChat, ON);
    let body = chat("a secret of ours", false);
    let (other, _) = key(&gateway, json!({})).await;
    assert_eq!(status(&gateway.chat(&body).await), "MISS");
    assert_eq!(status(&gateway.chat_as(&other, &body).await), "MISS");
    assert_eq!(status(&gateway.chat_as(&other, &body).await), "HIT");
    // One that shares does not find what one has for itself, nor the reverse.
    let shares = json!({ "cache_scope": "workspace" });
    let (one, two) = (key(&gateway, shares.clone()).await.0, key(&gateway, shares.clone()).await.0);
    assert_eq!(status(&gateway.chat_as(&one, &body).await), "MISS");
    assert_eq!(status(&gateway.chat_as(&two, &body).await), "HIT");
    // Under other rules the same words are another request.
    let narrow = crate::harness::with(shares.clone(), json!({ "allowed_models": ["lab/*"] }));
    assert_eq!(status(&gateway.chat_as(&key(&gateway, narrow).await.0, &body).await), "MISS");
    let made = gateway.manage(Method::POST, "/api/v1/workspaces", json!({ "name": "Else", "slug": "else" })).await;
    assert!(made.status < 300, "{}", made.text());
    let elsewhere = crate::harness::with(shares, json!({ "workspace_id": "else" }));
    assert_eq!(status(&gateway.chat_as(&key(&gateway, elsewhere).await.0, &body).await), "MISS");
}

#[tokio::test]
async fn of_whoever_wants_nothing_kept_nothing_is() {
    let sim = sim(Dialect::OpenAiChat).await;
    let config = provider("one", Dialect::OpenAiChat, &sim.base_url(), &[MODEL])
        .replace("price =", "policy = { trains = false, retains = false, zdr = true }\nprice =");
    let gateway = Gateway::start(&(ON.to_owned() + &config));
    for provider in [json!({ "zdr": true }), json!({ "data_collection": "deny" })] {
        let body = crate::harness::with(chat("hush", false), json!({ "provider": provider }));
        for _ in 0..2 {
            let got = gateway.chat(&body).await;
            assert_eq!((got.status, status(&got)), (200, ""), "{provider}: {}", got.text());
        }
    }
    let guardrail = json!({ "name": "quiet", "enforce_zdr": true });
    let made = gateway.manage(Method::POST, "/api/v1/guardrails", guardrail).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let id = made.json()["data"]["id"].as_str().expect("an id").to_owned();
    let (quiet, hash) = key(&gateway, json!({ "cache": "on" })).await;
    let path = format!("/api/v1/guardrails/{id}/assignments/keys");
    let put = gateway.manage(Method::POST, &path, json!({ "key_hashes": [hash] })).await;
    assert!(put.status < 300, "{}", put.text());
    for _ in 0..2 {
        let got = gateway.chat_as(&quiet, &chat("hush", false)).await;
        assert_eq!((got.status, status(&got)), (200, ""), "{}", got.text());
    }
    assert!(entries(&gateway).await.is_empty());
}

#[tokio::test]
async fn whoever_may_not_use_the_model_now_is_refused_and_not_served() {
    let sim = sim(Dialect::OpenAiChat).await;
    let gateway = house(&sim, Dialect::OpenAiChat, ON);
    let (secret, hash) = key(&gateway, json!({})).await;
    let body = chat("x", false);
    assert_eq!(status(&gateway.chat_as(&secret, &body).await), "MISS");
    assert_eq!(status(&gateway.chat_as(&secret, &body).await), "HIT");
    let path = format!("/api/v1/keys/{hash}");
    let edit = |members: Value| gateway.manage(Method::PATCH, &path, members);
    assert_eq!(edit(json!({ "allowed_models": ["lab/two"] })).await.status, 200);
    let refused = gateway.chat_as(&secret, &body).await;
    assert!(refused.status >= 400 && status(&refused).is_empty(), "{}", refused.text());
    // Its limits hold for what is given again, too.
    assert_eq!(edit(json!({ "allowed_models": [], "requests_per_minute": 1 })).await.status, 200);
    let got = gateway.chat_as(&secret, &body).await;
    assert!(matches!(got.status, 200 | 429), "{}", got.text());
    assert_eq!(gateway.chat_as(&secret, &body).await.status, 429);
}
