//! Requests per minute, tokens per minute, requests at once.

use super::{FLAT, Lab};
use serde_json::json;
use slip_sim::SimConfig;
use std::time::Duration;

#[tokio::test]
async fn requests_per_minute_are_told_and_kept() {
    let lab = Lab::at(FLAT).await;
    let key = lab.key(json!({ "requests_per_minute": 3 })).await;
    for n in 0..3 {
        let got = lab.chat(&key, json!({})).await;
        assert_eq!(got.status, 200, "{n}");
        let told = ["limit", "remaining"].map(|what| got.header(&format!("x-ratelimit-{what}-requests")).to_owned());
        assert_eq!(told, ["3".to_owned(), (2 - n).to_string()]);
    }
    let refused = lab.chat(&key, json!({})).await;
    let says = refused.error()["message"].as_str().unwrap_or("").to_owned();
    assert!(refused.status == 429 && says.contains("3 requests per minute"), "{says}");
    assert_eq!(refused.header("x-ratelimit-remaining-requests"), "0");
    let after: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=60).contains(&after), "{after}");
    assert_eq!(lab.sim.journal().total(), 3);
    // Another key has its own.
    let other = lab.key(json!({ "requests_per_minute": 3 })).await;
    assert_eq!(lab.chat(&other, json!({})).await.status, 200);
}

/// All keys of a workspace have its requests between them, and each its own beside.
#[tokio::test]
async fn a_workspaces_requests_per_minute_are_its_keys_together() {
    let lab = Lab::at(FLAT).await;
    let manage = |method: http::Method, path: &str, body| {
        let path = format!("/api/v1/workspaces{path}");
        let gateway = &lab.gateway;
        async move { gateway.manage(method, &path, body).await }
    };
    let team = json!({ "name": "Team", "slug": "team", "requests_per_minute": 3, "max_concurrent": 9 });
    let made = manage(http::Method::POST, "", team).await;
    assert_eq!((made.status, &made.json()["data"]["requests_per_minute"]), (201, &json!(3)), "{}", made.text());
    let id = made.json()["data"]["id"].clone();
    let (one, two) = (
        lab.key(json!({ "workspace_id": id })).await,
        lab.key(json!({ "workspace_id": id, "requests_per_minute": 1 })).await,
    );
    let rows = [(&one, 200, "2"), (&two, 200, "0"), (&two, 429, "0"), (&one, 200, "0"), (&one, 429, "0")];
    for (n, (key, status, left)) in rows.into_iter().enumerate() {
        let got = lab.chat(key, json!({})).await;
        assert_eq!((got.status, got.header("x-ratelimit-remaining-requests")), (status, left), "{n}: {}", got.text());
        let whose = if n == 2 { "limit of this key" } else { "limit of this workspace" };
        assert!(status == 200 || got.text().contains(whose), "{n}: {}", got.text());
    }
    assert_eq!(lab.sim.journal().total(), 3);
    let lifted = manage(http::Method::PATCH, "/team", json!({ "requests_per_minute": null })).await;
    assert_eq!((lifted.status, lifted.json()["data"].get("requests_per_minute")), (200, None), "{}", lifted.text());
    assert_eq!(lab.chat(&one, json!({})).await.status, 200);
    let wrong = manage(http::Method::PATCH, "/team", json!({ "requests_per_minute": 0 })).await;
    assert!(wrong.status == 400 && wrong.text().contains("whole number from 1"), "{}", wrong.text());
}

/// Anthropic's libraries read their own names, in whole, in a stream and in a refusal.
#[tokio::test]
async fn anthropics_callers_are_told_in_anthropics_words_too() {
    let lab = Lab::at(FLAT).await;
    let key = lab.key(json!({ "requests_per_minute": 3, "tokens_per_minute": 100_000 })).await;
    let bearer = format!("Bearer {}", key.secret);
    let headers = [("authorization", bearer.as_str()), ("anthropic-version", "2023-06-01")];
    let chat =
        json!({ "model": "lab/one", "max_tokens": 20, "messages": [{ "role": "user", "content": "count to 3" }] });
    for (n, (stream, status)) in [(false, 200), (true, 200), (false, 200), (true, 429)].into_iter().enumerate() {
        let body = crate::harness::with(chat.clone(), json!({ "stream": stream })).to_string();
        let got = lab.gateway.send(http::Method::POST, "/api/v1/messages", &headers, body.into()).await;
        assert_eq!(got.status, status, "{}", got.text());
        let left = 2_usize.saturating_sub(n).to_string();
        let told =
            ["limit", "remaining"].map(|what| got.header(&format!("anthropic-ratelimit-requests-{what}")).to_owned());
        assert_eq!(
            (told, got.header("x-ratelimit-remaining-requests")),
            (["3".to_owned(), left.clone()], left.as_str())
        );
        assert_eq!(got.header("anthropic-ratelimit-tokens-limit"), "100000");
        for what in ["requests", "tokens"] {
            let resets = got.header(&format!("anthropic-ratelimit-{what}-reset"));
            let seconds = resets.parse::<jiff::Timestamp>().expect("a moment").as_second();
            let now = jiff::Timestamp::now().as_second();
            assert!(resets.len() == 20 && (now - 1..=now + 61).contains(&seconds), "{resets}");
        }
    }
    let other = lab.key(json!({ "requests_per_minute": 3 })).await;
    let got = lab.chat(&other, json!({})).await;
    assert!(!got.headers.keys().any(|name| name.as_str().starts_with("anthropic-")), "nobody else is");
}

#[tokio::test]
async fn the_whole_installation_has_a_budget_too() {
    let lab = Lab::with_config(FLAT, SimConfig::default(), "[limits]\ndaily_usd = \"0.0003\"\n").await;
    let (one, two) = (lab.key(json!({})).await, lab.key(json!({ "limit": 5 })).await);
    for (key, status) in [(&one, 200), (&two, 200), (&one, 200), (&two, 402), (&one, 402)] {
        assert_eq!(lab.chat(key, json!({})).await.status, status);
    }
    let says = lab.chat(&one, json!({})).await.text();
    assert!(says.contains("the daily limit of this installation"), "{says}");
    // It is raised while it runs.
    let config = std::fs::read_to_string(&lab.gateway.config).expect("the configuration");
    std::fs::write(&lab.gateway.config, config.replace("0.0003", "0.0004")).expect("written");
    lab.gateway.signal("HUP");
    lab.gateway.says("Reloaded in").await;
    assert_eq!((lab.chat(&one, json!({})).await.status, lab.chat(&one, json!({})).await.status), (200, 402));
}

#[tokio::test]
async fn tokens_per_minute_are_estimated_and_then_put_right() {
    let lab = Lab::at(FLAT).await;
    let key = lab.key(json!({ "tokens_per_minute": 600 })).await;
    let mut served = 0;
    while lab.chat(&key, json!({ "max_tokens": 200 })).await.status == 200 {
        served += 1;
        assert!(served < 200);
    }
    assert!(served > 3, "what was estimated too high is given back: {served}");
    let long = "word ".repeat(2000);
    let refused = lab.chat(&key, json!({ "messages": [{ "role": "user", "content": long }] })).await;
    assert_eq!(refused.status, 413, "{}", refused.text());
}

#[tokio::test]
async fn so_many_at_once_and_no_more() {
    let lab = Lab::with(FLAT, SimConfig { ttft: Duration::from_millis(300), ..SimConfig::default() }).await;
    let key = lab.key(json!({ "max_concurrent": 2 })).await;
    let ask = || lab.chat(&key, json!({}));
    let all = tokio::join!(ask(), ask(), ask(), ask());
    let mut statuses = [all.0.status, all.1.status, all.2.status, all.3.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 429, 429]);
    assert_eq!(ask().await.status, 200, "who has left makes room");
}
