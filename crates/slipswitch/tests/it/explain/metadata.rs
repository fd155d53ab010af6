//! `X-OpenRouter-Metadata: enabled`: OpenRouter's account of the routing, in the reply.

use super::sim;
use crate::harness::{Gateway, Got, KEY, provider};
use http::Method;
use serde_json::{Value, json};
use slip_ir::Dialect;
use slip_sim::{Sim, SimConfig};

fn body(path: &str, stream: bool, rules: Value) -> Value {
    let talk = json!([{ "role": "user", "content": "count to 3" }]);
    let (said, talk) = match path.rsplit('/').next() {
        Some("responses") => ("input", talk),
        Some("completions") if !path.contains("chat") => ("prompt", json!("count to 3")),
        _ => ("messages", talk),
    };
    json!({ "model": "lab/one", said: talk, "max_tokens": 50, "stream": stream, "provider": rules })
}

async fn asked(gateway: &Gateway, path: &str, body: &Value, header: Option<(&str, &str)>) -> Got {
    let bearer = format!("Bearer {KEY}");
    let mut headers = vec![("authorization", bearer.as_str())];
    headers.extend(header);
    let got = gateway.send(Method::POST, path, &headers, body.to_string().into()).await;
    assert_eq!(got.status, 200, "{path}: {}", got.text());
    got
}

/// Wherever it stands in a reply.
fn metadata(got: &Got) -> Option<Value> {
    if !got.header("content-type").starts_with("text/event-stream") {
        return got.json().get("openrouter_metadata").cloned();
    }
    // A Responses stream ends in the response it would have been.
    let inner = |e: &Value| e.get("response").unwrap_or(e).get("openrouter_metadata").cloned();
    let told: Vec<Value> = got.events().iter().filter_map(inner).collect();
    assert!(told.len() < 2, "once: {}", got.text());
    told.into_iter().next()
}

#[tokio::test]
async fn the_account_is_in_the_reply_of_whoever_asks_for_it() {
    let down = sim(1, Some(("status:503", 1.0))).await;
    let good: Vec<Sim> = {
        let mut all = Vec::new();
        for dialect in [Dialect::OpenAiChat, Dialect::Anthropic] {
            all.push(Sim::start(SimConfig { dialect, ..SimConfig::default() }).await.expect("a socket"));
        }
        all
    };
    let conf = provider("down", Dialect::OpenAiChat, &down.base_url(), &["lab/one"])
        + &provider("chat", Dialect::OpenAiChat, &good[0].base_url(), &["lab/one"])
        + &provider("claude", Dialect::Anthropic, &good[1].base_url(), &["lab/one"]);
    let gateway = Gateway::start(&conf);
    for good in ["chat", "claude"] {
        for (path, stream, told) in [
            ("/api/v1/chat/completions", false, true),
            ("/api/v1/chat/completions", true, true),
            ("/api/v1/messages", false, true),
            ("/api/v1/messages", true, true),
            ("/api/v1/responses", false, true),
            ("/api/v1/responses", true, true),
            ("/api/v1/completions", false, true),
            ("/api/v1/completions", true, true),
        ] {
            let body = body(path, stream, json!({ "order": ["down", good], "ignore": ["nobody"] }));
            let quiet = asked(&gateway, path, &body, None).await;
            assert_eq!(metadata(&quiet), None, "{path} {stream}");
            let off = asked(&gateway, path, &body, Some(("x-openrouter-metadata", "disabled"))).await;
            assert_eq!(metadata(&off), None, "{path} {stream}");
            for name in ["x-openrouter-metadata", "X-OpenRouter-Experimental-Metadata"] {
                let got = asked(&gateway, path, &body, Some((name, "Enabled"))).await;
                let Some(account) = metadata(&got) else { panic!("{path} {stream} {good}: {told}: {}", got.text()) };
                assert_eq!(account["requested"], "lab/one", "{account}");
                assert_eq!(account["strategy"], "direct", "{account}");
                assert_eq!((&account["region"], &account["is_byok"]), (&Value::Null, &json!(false)));
                assert_eq!(account["endpoints"]["total"], 3, "{account}");
                let available = account["endpoints"]["available"].as_array().expect("endpoints");
                let selected: Vec<&Value> = available.iter().filter(|e| e["selected"] == true).collect();
                assert_eq!(selected.len(), 1, "{account}");
                assert_eq!(selected[0]["provider"], got.header("x-provider-name"), "{account}");
                let attempts = account["attempts"].as_array().expect("attempts");
                assert_eq!(account["attempt"], attempts.len(), "{account}");
                assert_eq!(attempts.last().map(|a| &a["status"]), Some(&json!(200)), "{account}");
                assert_eq!(got.header("x-slipswitch-attempts"), attempts.len().to_string(), "{account}");
                if stream && path.ends_with("messages") {
                    assert!(
                        got.text().trim_end().ends_with('}') && got.text().contains("event: message_stop"),
                        "{}",
                        got.text()
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn what_an_upstream_of_the_same_dialect_ends_with_is_told_with_the_account() {
    for (dialect, path, last) in [
        (Dialect::Responses, "/api/v1/responses", "response.completed"),
        (Dialect::Anthropic, "/api/v1/messages", "message_stop"),
        (Dialect::Completions, "/api/v1/completions", ""),
    ] {
        let sim = Sim::start(SimConfig { dialect, ..SimConfig::default() }).await.expect("a socket");
        let gateway = Gateway::start(&provider("own", dialect, &sim.base_url(), &["lab/one"]));
        let body = body(path, true, json!({}));
        let (quiet, got) = (
            asked(&gateway, path, &body, None).await,
            asked(&gateway, path, &body, Some(("x-openrouter-metadata", "enabled"))).await,
        );
        assert_eq!(metadata(&quiet), None, "{path}");
        let account = metadata(&got).unwrap_or_else(|| panic!("{path}: {}", got.text()));
        assert_eq!(account["endpoints"]["available"][0]["selected"], true, "{path}: {account}");
        // Nothing else is different.
        assert_eq!(got.events().len(), quiet.events().len(), "{path}: {}", got.text());
        assert!(last.is_empty() || got.text().contains(&format!("event: {last}\n")), "{path}: {}", got.text());
        let kinds = |got: &Got| got.events().iter().map(|e| e["type"].clone()).collect::<Vec<_>>();
        assert_eq!(kinds(&got), kinds(&quiet), "{path}");
    }
}

#[tokio::test]
async fn an_error_is_told_with_the_account_of_how_it_came_about() {
    let (down, never) = (sim(1, Some(("status:503", 1.0))).await, sim(1, Some(("status:400", 1.0))).await);
    let conf = provider("down", Dialect::OpenAiChat, &down.base_url(), &["lab/one"])
        + &provider("never", Dialect::OpenAiChat, &never.base_url(), &["lab/one"]);
    let gateway = Gateway::start(&conf);
    let paths = ["/api/v1/chat/completions", "/api/v1/messages", "/api/v1/responses", "/api/v1/completions"];
    for path in paths {
        for stream in [false, true] {
            // What the rules leave, who was asked with what status, and how many endpoints there are in all.
            for (rules, statuses) in
                [(json!({ "order": ["never", "down"] }), json!([400])), (json!({ "only": ["nobody"] }), json!([]))]
            {
                let body = body(path, stream, rules);
                for on in [false, true] {
                    let bearer = format!("Bearer {KEY}");
                    let mut headers = vec![("authorization", bearer.as_str())];
                    headers.extend(on.then_some(("x-openrouter-metadata", "enabled")));
                    let got = gateway.send(Method::POST, path, &headers, body.to_string().into()).await;
                    assert!(got.status >= 400, "{path}: {}", got.text());
                    let told = got.json();
                    assert!(told["error"].is_object(), "{told}");
                    let account = &told["openrouter_metadata"];
                    if !on {
                        assert!(account.is_null(), "{path}: {told}");
                        continue;
                    }
                    assert_eq!(account["requested"], "lab/one", "{path} {stream}: {told}");
                    assert_eq!(account["endpoints"]["total"], 2, "{path} {stream}: {told}");
                    let all = account["attempts"].as_array().expect("attempts").iter();
                    let tried: Vec<Value> = all.map(|a| a["status"].clone()).collect();
                    assert_eq!(json!(tried), statuses, "{path} {stream}: {told}");
                    assert_eq!(account["attempt"], tried.len(), "{path} {stream}: {told}");
                }
            }
        }
    }
}

#[tokio::test]
async fn an_error_in_the_middle_is_told_with_the_account_too() {
    let cut = sim(1, Some(("cut:5", 1.0))).await;
    let gateway = Gateway::start(&provider("cut", Dialect::OpenAiChat, &cut.base_url(), &["lab/one"]));
    for path in ["/api/v1/chat/completions", "/api/v1/messages", "/api/v1/responses", "/api/v1/completions"] {
        let mut body = body(path, true, json!({}));
        let text = body.to_string().replace("count to 3", "count to 20");
        body = serde_json::from_str(&text).expect("JSON");
        let got = asked(&gateway, path, &body, Some(("x-openrouter-metadata", "enabled"))).await;
        assert!(got.text().contains("\"error\""), "{path}: {}", got.text());
        let account = metadata(&got).unwrap_or_else(|| panic!("{path}: {}", got.text()));
        assert_eq!(account["requested"], "lab/one", "{path}: {account}");
    }
}
