//! A first content that is long in coming: the head goes out, comments follow, and behind it the attempts go on.

use super::{CHAT, ask, pair, sim};
use crate::harness::Gateway;
use serde_json::{Value, json};
use slip_ir::Dialect;
use slip_sim::Sim;

const PACE: &str = "[timeouts]\nfirst_content = \"500ms\"\nhead_commit = \"100ms\"\nkeepalive = \"100ms\"\n\n";

fn gateway(bad: &Sim, good: &Sim) -> Gateway {
    Gateway::start(&(PACE.to_owned() + &pair(bad, good, &["lab/one"])))
}

#[tokio::test]
async fn behind_a_committed_head_another_endpoint_may_still_answer() {
    for (dialect, mode) in
        [(Dialect::OpenAiChat, "never"), (Dialect::Anthropic, "stall:0"), (Dialect::Gemini, "ttft:30s")]
    {
        let (bad, good) = (sim(dialect, Some(mode)).await, sim(Dialect::Anthropic, None).await);
        let gateway = gateway(&bad, &good);
        let mut stream = gateway.open(CHAT, &ask("lab/one", true)).await;
        assert_eq!(
            (stream.status, stream.headers.get("x-provider-name")),
            (200, None),
            "{mode}: nobody has answered yet"
        );
        let id = stream.id();
        let waited = stream.until("tok1").await;
        let before = waited.split("data:").next().unwrap_or_default();
        assert!(before.matches(": OPENROUTER PROCESSING\n\n").count() >= 3, "{mode}: {waited}");
        let text = waited + &stream.rest().await;
        assert!(text.contains("\"provider\":\"good\"") && text.ends_with("data: [DONE]\n\n"), "{mode}: {text}");
        assert!(!text.contains("\"provider\":\"bad\"") && !text.contains("\"error\""), "{mode}: {text}");
        assert_eq!((bad.journal().total(), good.journal().total()), (1, 1), "{mode}");
        let record = gateway.get(&format!("/api/v1/generation?id={id}")).await.json()["data"].clone();
        let tries: Vec<&Value> =
            record["provider_responses"].as_array().expect("attempts").iter().map(|t| &t["error"]).collect();
        assert_eq!(tries, [&json!("upstream_timeout"), &Value::Null], "{mode}");
    }
}

#[tokio::test]
async fn behind_a_committed_head_a_failure_of_all_is_an_error_in_the_stream() {
    let (bad, good) =
        (sim(Dialect::OpenAiChat, Some("never")).await, sim(Dialect::OpenAiChat, Some("slow-headers:30s")).await);
    let gateway = gateway(&bad, &good);
    let got = gateway.chat(&ask("lab/one", true)).await;
    assert_eq!(got.status, 200);
    let events = got.events();
    let [error] = events.as_slice() else { panic!("{}", got.text()) };
    assert_eq!(
        (&error["error"]["code"], &error["choices"][0]["finish_reason"]),
        (&json!(504), &json!("error")),
        "{error}"
    );
    assert!(got.text().ends_with("data: [DONE]\n\n"), "{}", got.text());
    let record = gateway.record(&got).await;
    assert_eq!((&record["slipswitch"]["status"], &record["total_cost"]), (&json!(504), &json!(0.0)), "{record}");

    let body = json!({ "model": "lab/one", "max_tokens": 20, "stream": true, "messages": [{ "role": "user", "content": "hi" }] });
    let text = gateway.post("/v1/messages", &body).await.text();
    assert!(text.starts_with("event: error\ndata: {\"type\":\"error\"") && !text.contains("OPENROUTER"), "{text}");
}

#[tokio::test]
async fn a_caller_who_leaves_while_waiting_cancels_the_attempt() {
    let (bad, good) = (sim(Dialect::OpenAiChat, Some("never")).await, sim(Dialect::OpenAiChat, None).await);
    let config =
        "[timeouts]\nhead_commit = \"100ms\"\nkeepalive = \"100ms\"\n\n".to_owned() + &pair(&bad, &good, &["lab/one"]);
    let gateway = Gateway::start(&config);
    let mut stream = gateway.open(CHAT, &ask("lab/one", true)).await;
    stream.until("PROCESSING\n\n: OPENROUTER").await;
    let id = stream.id();
    drop(stream);
    let patience = std::time::Duration::from_secs(5);
    let seen = bad.journal().wait_until(patience, |all| all.iter().any(|e| e.cancelled.is_some())).await;
    assert!(seen.iter().any(|e| e.cancelled.is_some()), "{seen:?}");
    assert_eq!(good.journal().total(), 0);
    let record = gateway.record_left(&id).await;
    assert_eq!((&record["cancelled"], &record["slipswitch"]["status"]), (&json!(true), &json!(499)), "{record}");
}
