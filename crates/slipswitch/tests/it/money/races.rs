//! Many at once against a limit that is enough for some: exactly those.

use super::{FLAT, Lab, nano};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// So many requests at once, and how many of each status came of it. The first of those that were refused.
async fn rush(lab: &Lab, key: &super::Key, requests: usize, body: Value) -> (usize, usize, Value) {
    let (mut good, mut broke, mut first) = (0, 0, Value::Null);
    let mut all = JoinSet::new();
    for _ in 0..requests {
        let (address, secret, body) = (lab.gateway.address, key.secret.clone(), super::ask(body.clone()));
        all.spawn(async move {
            let bearer = format!("Bearer {secret}");
            let headers = [("authorization", bearer.as_str())];
            let path = "/api/v1/chat/completions";
            crate::harness::send(address, http::Method::POST, path, &headers, body.to_string().into()).await
        });
    }
    while let Some(got) = all.join_next().await {
        let got = got.expect("an answer");
        match got.status {
            200 => good += 1,
            402 => {
                broke += 1;
                first = got.json();
            }
            other => panic!("{other}: {}", got.text()),
        }
    }
    (good, broke, first)
}

#[tokio::test]
async fn a_cent_pays_for_exactly_a_hundred_requests_of_a_hundredth() {
    let lab = Lab::at(FLAT).await;
    for stream in [false, true] {
        let key = lab.key(json!({ "limit": 0.01, "limit_reset": "daily" })).await;
        let before = lab.sim.journal().total();
        let (good, broke, told) = rush(&lab, &key, 1000, json!({ "stream": stream })).await;
        assert_eq!((good, broke), (100, 900), "stream: {stream}");
        assert_eq!(lab.sim.journal().total() - before, 100, "nobody was asked for those who were refused");
        let says = told["error"]["message"].as_str().unwrap_or("");
        assert!(says.contains("the daily limit of this key") && says.contains("it starts anew at 20"), "{told}");
        let now = lab.now(&key).await;
        assert_eq!((nano(&now["usage"]), nano(&now["limit_held"]), nano(&now["limit_remaining"])), (10_000_000, 0, 0));
        // More is allowed, and more is had; less, and nothing is.
        let path = format!("/api/v1/keys/{}", key.hash);
        let raised = lab.gateway.manage(http::Method::PATCH, &path, json!({ "limit": 0.0102 })).await;
        assert_eq!(raised.status, 200);
        assert_eq!(rush(&lab, &key, 5, json!({ "stream": stream })).await.0, 2);
        lab.gateway.manage(http::Method::PATCH, &path, json!({ "limit": 0.001 })).await;
        assert_eq!(rush(&lab, &key, 5, json!({ "stream": stream })).await.0, 0);
        lab.gateway.manage(http::Method::PATCH, &path, json!({ "limit": null })).await;
        assert_eq!(rush(&lab, &key, 5, json!({ "stream": stream })).await.0, 5);
    }
}

#[tokio::test]
async fn what_is_held_and_not_used_is_had_by_others() {
    // Ten times as much is held as is used.
    let lab = Lab::at("price = { input = \"0\", output = \"10\", request = \"0.0001\" }").await;
    let key = lab.key(json!({ "limit": 0.02 })).await;
    let (good, broke, _) = rush(&lab, &key, 300, json!({ "max_tokens": 100 })).await;
    let used = lab.used(&key).await;
    assert!(used <= 20_000_000 && good + broke == 300, "{good} {broke} {used}");
    assert_eq!(nano(&lab.now(&key).await["limit_held"]), 0);
    // Those who come after find what the others left.
    let mut more = 0;
    while lab.chat(&key, json!({ "max_tokens": 100 })).await.status == 200 {
        more += 1;
    }
    assert!(lab.used(&key).await <= 20_000_000 && good + more > 50, "{good} {more}");
}
