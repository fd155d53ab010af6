//! `X-OpenRouter-Metadata: enabled`: OpenRouter's account of the routing, in the reply.

use super::sim;
use crate::harness::{Gateway, Got, KEY, provider};
use http::Method;
use serde_json::{Value, json};
use slip_ir::Dialect;
use slip_sim::{Sim, SimConfig};

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
    let told: Vec<Value> = got.events().iter().filter_map(|e| e.get("openrouter_metadata").cloned()).collect();
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
    let talk = json!([{ "role": "user", "content": "count to 3" }]);
    for good in ["chat", "claude"] {
        for (path, stream, told) in [
            ("/api/v1/chat/completions", false, true),
            ("/api/v1/chat/completions", true, true),
            ("/api/v1/messages", false, true),
            ("/api/v1/messages", true, true),
            ("/api/v1/responses", false, true),
        ] {
            let said = if path.ends_with("responses") { "input" } else { "messages" };
            let body = json!({
                "model": "lab/one", said: talk, "max_tokens": 50, "stream": stream,
                "provider": { "order": ["down", good], "ignore": ["nobody"] },
            });
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
