//! Limits lie in one another: the tightest decides, whoever's it is.

use super::{FLAT, Lab, nano};
use http::Method;
use serde_json::{Value, json};

/// How many of so many requests with this key were answered.
async fn good(lab: &Lab, key: &super::Key, requests: usize) -> usize {
    let mut good = 0;
    for _ in 0..requests {
        good += usize::from(lab.chat(key, json!({})).await.status == 200);
    }
    good
}

#[tokio::test]
async fn key_member_and_workspace_are_all_asked() {
    let lab = Lab::at(FLAT).await;
    let manage = async |method: Method, path: &str, body: Value| {
        let got = lab.gateway.manage(method, path, body).await;
        assert!(got.status < 300, "{path}: {}", got.text());
        got.json()
    };
    let made = manage(Method::POST, "/api/v1/workspaces", json!({ "name": "Team", "slug": "team" })).await;
    let workspace = made["data"]["id"].as_str().expect("an id").to_owned();
    let budget = format!("/api/v1/workspaces/{workspace}/budgets/daily");
    manage(Method::PUT, &budget, json!({ "limit_usd": 0.0007 })).await;
    let (one, two) = (
        lab.key(json!({ "workspace_id": workspace, "limit": 0.0005 })).await,
        lab.key(json!({ "workspace_id": workspace })).await,
    );
    assert_eq!(good(&lab, &one, 7).await, 5, "the key's own limit");
    assert_eq!(good(&lab, &two, 7).await, 2, "what the workspace has left");
    let refused = lab.chat(&two, json!({})).await;
    assert!(
        refused.status == 402 && refused.text().contains("the daily limit of this workspace"),
        "{}",
        refused.text()
    );
    manage(Method::PUT, &budget, json!({ "limit_usd": 0.0009 })).await;
    assert_eq!(good(&lab, &two, 7).await, 2, "it was raised");
    manage(Method::DELETE, &budget, Value::Null).await;
    assert_eq!(good(&lab, &two, 3).await, 3, "it is gone");

    // A guardrail's limit is each key's own.
    let guardrail = manage(Method::POST, "/api/v1/guardrails", json!({ "name": "thrift", "limit_usd": 0.0002 })).await;
    let guardrail = guardrail["data"]["id"].as_str().expect("an id").to_owned();
    let (three, four) = (lab.key(json!({})).await, lab.key(json!({})).await);
    let assign = format!("/api/v1/guardrails/{guardrail}/assignments/keys");
    manage(Method::POST, &assign, json!({ "key_hashes": [three.hash, four.hash] })).await;
    assert_eq!((good(&lab, &three, 4).await, good(&lab, &four, 4).await), (2, 2));
    assert_eq!(nano(&lab.now(&three).await["usage"]), 200_000);
}
