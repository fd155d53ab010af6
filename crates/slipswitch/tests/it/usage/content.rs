//! What is asked and answered is kept for keys that want it, for nobody else, and only as long as the key is there.

use super::{hello, lab, told};
use crate::harness::{Gateway, Got, send, with};
use http::Method;
use serde_json::{Value, json};
use std::path::Path;

/// Words that nothing else here says.
const MARK: &str = "heliotropic-marzipan-7731";

async fn keeper(gateway: &Gateway) -> (String, String) {
    let made =
        gateway.manage(Method::POST, "/api/v1/keys", json!({ "name": "keeper", "store_content_days": 3 })).await.json();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    (text(&made["key"]), text(&made["data"]["hash"]))
}

fn says(words: &str) -> Value {
    with(hello("lab/one"), json!({ "messages": [{ "role": "user", "content": words }] }))
}

async fn content(gateway: &Gateway, id: &str, key: &str) -> Got {
    let path = format!("/api/v1/generation/content?id={id}");
    send(gateway.address, Method::GET, &path, &[("authorization", &format!("Bearer {key}"))], Default::default()).await
}

/// Whether these bytes are anywhere below a directory.
fn on_disk(dir: &Path, words: &str) -> bool {
    std::fs::read_dir(dir).into_iter().flatten().flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return on_disk(&path, words);
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        bytes.windows(words.len()).any(|window| window == words.as_bytes())
    })
}

#[tokio::test]
async fn what_a_key_keeps_is_told_to_it_and_gone_with_it() {
    let (gateway, _sim) = lab().await;
    let (secret, hash) = keeper(&gateway).await;
    let whole = gateway.chat_as(&secret, &says("why is it so?")).await;
    let streamed = gateway.chat_as(&secret, &with(says("and now?"), json!({ "stream": true }))).await;
    for (got, asked) in [(&whole, "why is it so?"), (&streamed, "and now?")] {
        assert_eq!(got.status, 200, "{}", got.text());
        let kept = content(&gateway, got.header("x-generation-id"), &secret).await;
        assert_eq!((kept.status, kept.header("cache-control")), (200, "no-store"), "{}", kept.text());
        let data = kept.json()["data"].clone();
        assert_eq!(data["input"]["messages"], json!([{ "role": "user", "content": asked }]));
        assert_eq!(data["output"]["completion"], json!(got.content()), "{data}");
        assert_eq!((&data["error"], &data["slipswitch"]["request_cut"]), (&Value::Null, &json!(false)));
    }
    // As Anthropic's clients ask, told as OpenRouter tells it.
    let body = json!({ "model": "lab/one", "max_tokens": 50, "system": "be brief", "messages": [{ "role": "user", "content": "hm?" }] });
    let headers = [("x-api-key", secret.as_str()), ("anthropic-version", "2023-06-01")];
    let got = send(gateway.address, Method::POST, "/v1/messages", &headers, body.to_string().into()).await;
    let kept = content(&gateway, got.header("x-generation-id"), &secret).await.json()["data"].clone();
    assert_eq!(
        (&kept["input"]["messages"][0]["role"], &kept["slipswitch"]["dialect"]),
        (&json!("system"), &json!("anthropic"))
    );
    assert_eq!(kept["output"]["completion"], got.json()["content"][0]["text"]);
    // A request that fails is kept with why.
    let failed = gateway
        .chat_as(
            &secret,
            &with(says("?"), json!({ "max_tokens": 5, "messages": [{ "role": "user", "content": "?" }] })),
        )
        .await;
    assert_eq!(failed.status, 200);

    // A manager may read it, another key not even that it exists; what is deleted is gone.
    let id = whole.header("x-generation-id");
    assert_eq!(content(&gateway, id, crate::harness::MANAGEMENT).await.status, 200);
    assert_eq!(content(&gateway, id, crate::harness::KEY).await.status, 404);
    assert_eq!(gateway.manage(Method::DELETE, &format!("/api/v1/keys/{hash}"), Value::Null).await.status, 200);
    let gone = content(&gateway, id, crate::harness::MANAGEMENT).await;
    assert!(
        gone.status == 404 && gone.error()["message"].as_str().is_some_and(|says| says.contains("store_content_days")),
        "{}",
        gone.text()
    );
    let metrics = gateway.manage(Method::GET, "/metrics", Value::Null).await.text();
    assert!(
        metrics.contains("slipswitch_content_kept 4") && metrics.contains("slipswitch_content_dropped 0"),
        "{metrics}"
    );
}

#[tokio::test]
async fn of_other_keys_nothing_said_reaches_the_disk_and_of_providers_no_secret_ever() {
    let (gateway, _sim) = lab().await;
    let (secret, _) = keeper(&gateway).await;
    let got = gateway.chat(&says(MARK)).await;
    let streamed = gateway.chat(&with(says(MARK), json!({ "stream": true }))).await;
    for got in [&got, &streamed] {
        assert_eq!(content(&gateway, got.header("x-generation-id"), crate::harness::KEY).await.status, 404);
    }
    let metrics = gateway.manage(Method::GET, "/metrics", Value::Null).await.text();
    assert!(metrics.contains("slipswitch_content_kept 0"), "{metrics}");
    let kept = gateway.chat_as(&secret, &says("hello")).await;
    let kept = content(&gateway, kept.header("x-generation-id"), &secret).await;
    assert!(kept.status == 200 && !kept.text().contains("upstream-key-lab"), "{}", kept.text());
    // What is on disk is what was handed in by now.
    told(&gateway, &["export"]).await;
    let data = gateway.dir.join("data");
    assert!(data.join("slipswitch.db").exists());
    for words in [MARK, "upstream-key-lab", secret.as_str()] {
        assert!(!on_disk(&data, words), "{words} is on the disk");
    }
}

#[tokio::test]
async fn a_long_request_is_kept_in_part_and_says_so() {
    let (gateway, _sim) = lab().await;
    let (secret, _) = keeper(&gateway).await;
    let long = says(&"tell me more, ".repeat(100_000));
    let got = gateway.chat_as(&secret, &long).await;
    assert_eq!(got.status, 200, "{}", got.text());
    let kept = content(&gateway, got.header("x-generation-id"), &secret).await.json()["data"].clone();
    let own = &kept["slipswitch"];
    assert_eq!((&own["request_cut"], &own["request_bytes"]), (&json!(true), &json!(long.to_string().len())));
    assert_eq!(own["request_text"].as_str().map(str::len), Some(1024 * 1024));
}
