//! A conversation whose seals a provider refuses is sent once more without them, and the record says so.

use super::*;

const SIGNED: &str = "EuYBCkQSIGNED==";

fn refusal(dialect: Dialect, text: &str) -> Script {
    Script::json(
        400,
        &match dialect {
            Dialect::Anthropic => {
                json!({ "type": "error", "error": { "type": "invalid_request_error", "message": text } })
            }
            Dialect::Gemini => json!({ "error": { "code": 400, "message": text, "status": "INVALID_ARGUMENT" } }),
            _ => {
                json!({ "error": { "message": text, "type": "invalid_request_error", "code": "invalid_encrypted_content" } })
            }
        },
    )
}

/// A chat conversation whose earlier answer is sealed by this family.
fn sealed(format: &str, stream: bool) -> Value {
    json!({
        "model": "lab/one",
        "stream": stream,
        "messages": [
            { "role": "user", "content": "hello" },
            { "role": "assistant", "content": "hi", "reasoning_details": [
                { "type": "reasoning.text", "text": "a greeting", "signature": SIGNED, "format": format, "index": 0 },
            ] },
            { "role": "user", "content": "again" },
        ],
    })
}

#[tokio::test]
async fn a_refused_seal_is_taken_off_and_the_same_endpoint_asked_once_more() {
    let rows = [
        (Dialect::Anthropic, "anthropic-claude-v1", "messages.1.content.0: Invalid `signature` in `thinking` block"),
        (Dialect::Gemini, "google-gemini-v1", "Unable to submit request because Thought signature is not valid.."),
    ];
    for (dialect, format, text) in rows {
        let (upstream, table) = scripted("one", dialect, &["lab/one"]).await;
        let gateway = Gateway::start(&table);
        upstream.push(refusal(dialect, text));
        upstream.push(answer(dialect, "fine"));
        let got = gateway.chat(&sealed(format, false)).await;
        assert_eq!((got.status, got.content().as_str()), (200, "fine"), "{dialect}: {}", got.text());
        let sent: Vec<String> = upstream.journal().entries().iter().map(|e| e.json().to_string()).collect();
        assert_eq!(sent.iter().map(|body| body.contains(SIGNED)).collect::<Vec<_>>(), [true, false], "{dialect}");
        assert!(got.header("x-slipswitch-losses").contains("reasoning.signature"), "{dialect}");
        assert!(losses(&gateway, &got).await.iter().any(|loss| loss.starts_with("reasoning.signature: ")), "{dialect}");
        let tried = gateway.record(&got).await["provider_responses"].clone();
        assert_eq!((tried[0]["status"].clone(), tried[1]["status"].clone()), (json!(400), json!(200)), "{dialect}");
    }
}

#[tokio::test]
async fn a_request_in_the_providers_own_dialect_is_helped_in_the_same_way() {
    let (upstream, table) = scripted("one", Dialect::Anthropic, &["lab/one"]).await;
    let gateway = Gateway::start(&table);
    let text = "messages.1.content.0: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified.";
    upstream.push(refusal(Dialect::Anthropic, text));
    upstream.push(answer(Dialect::Anthropic, "fine"));
    let body = json!({
        "model": "lab/one", "max_tokens": 100,
        "messages": [
            { "role": "user", "content": "hello" },
            { "role": "assistant", "content": [
                { "type": "thinking", "thinking": "a greeting", "signature": SIGNED },
                { "type": "redacted_thinking", "data": SIGNED },
                { "type": "text", "text": "hi" },
            ] },
            { "role": "user", "content": "again" },
        ],
    });
    let got = gateway.post("/api/v1/messages", &body).await;
    assert_eq!((got.status, got.json()["content"][0]["text"].clone()), (200, json!("fine")), "{}", got.text());
    assert_eq!(got.header("x-slipswitch-losses").split(", ").next(), Some("reasoning.signature"));
    assert_eq!(upstream.journal().total(), 2);
}

#[tokio::test]
async fn it_is_tried_once_only_and_no_other_refusal_is_taken_for_one() {
    let (upstream, table) = scripted("one", Dialect::Anthropic, &["lab/one"]).await;
    let gateway = Gateway::start(&table);
    for stream in [false, true] {
        upstream.journal().clear();
        let before = upstream.journal().total();
        upstream.always(refusal(Dialect::Anthropic, "messages.1.content.0: Invalid `signature` in `thinking` block"));
        let got = gateway.chat(&sealed("anthropic-claude-v1", stream)).await;
        assert_eq!((got.status, upstream.journal().total() - before), (400, 2), "{}", got.text());
        upstream.always(refusal(Dialect::Anthropic, "messages: at least one message is required"));
        let got = gateway.chat(&sealed("anthropic-claude-v1", stream)).await;
        assert_eq!((got.status, upstream.journal().total() - before), (400, 3), "{}", got.text());
    }
}
