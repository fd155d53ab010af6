//! How urgent a request is, and who says so.

use super::clerk::Clerk;
use super::{ask, house, key};
use crate::harness::{KEY, with};
use bytes::Bytes;
use http::Method;
use serde_json::json;
use std::time::Duration;

const CHAT: &str = "/api/v1/chat/completions";

#[tokio::test]
async fn a_request_is_as_urgent_as_it_says_and_never_more_than_its_key() {
    let clerk = Clerk::start(Duration::ZERO).await;
    let gateway = house("", &clerk, "");
    let keys = [KEY.to_owned(), key(&gateway, "batch").await];
    let rows = [
        (0, "", json!({}), "interactive"),
        (0, "batch", json!({}), "batch"),
        (0, "", json!({ "provider": { "priority": "background" } }), "background"),
        (0, "batch", json!({ "provider": { "priority": "interactive" } }), "batch"),
        (0, "", json!({ "service_tier": "flex" }), "batch"),
        (0, "interactive", json!({ "service_tier": "flex" }), "interactive"),
        (1, "", json!({}), "batch"),
        (1, "interactive", json!({ "provider": { "priority": "interactive" } }), "batch"),
        (1, "background", json!({}), "background"),
    ];
    for (which, header, more, want) in rows {
        let bearer = format!("Bearer {}", keys[which]);
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend((!header.is_empty()).then_some(("x-slipswitch-priority", header)));
        let body = Bytes::from(with(ask("hello"), more.clone()).to_string());
        let got = gateway.send(Method::POST, CHAT, &headers, body.clone()).await;
        assert_eq!(got.status, 200, "{}", got.text());
        let record = gateway.record_of(&keys[which], &got).await;
        assert_eq!(record["slipswitch"]["priority"], want, "{header} {more}");
        assert_eq!(record["slipswitch"]["queued_ms"], 0);
        let told = gateway.send(Method::POST, "/api/v1/explain", &headers, body).await.json();
        assert_eq!(
            (&told["queue"]["class"], &told["queue"]["waits"]),
            (&json!(want), &json!(false)),
            "{header} {more}"
        );
    }
}

#[tokio::test]
async fn what_is_no_priority_is_told_what_it_may_be() {
    let clerk = Clerk::start(Duration::ZERO).await;
    let gateway = house("", &clerk, "");
    let bearer = format!("Bearer {KEY}");
    let headers = [("authorization", bearer.as_str()), ("x-slipswitch-priority", "urgent")];
    let got = gateway.send(Method::POST, CHAT, &headers, Bytes::from(ask("hello").to_string())).await;
    assert_eq!(got.status, 400);
    assert!(got.text().contains("expected one of interactive, batch, background"), "{}", got.text());
    for wrong in [json!("urgent"), json!(1), json!(["batch"])] {
        let got = gateway.chat(&with(ask("hello"), json!({ "provider": { "priority": wrong } }))).await;
        assert_eq!(got.status, 400, "{wrong}");
        assert!(got.text().contains("provider.priority"), "{}", got.text());
    }
    assert!(clerk.came().is_empty());
}
