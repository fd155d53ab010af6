//! A wish for prompt caching reaches each provider in the way it understands.

use super::*;

#[tokio::test]
async fn one_word_at_the_top_becomes_a_breakpoint_where_one_is_needed() {
    let (upstream, table) = scripted("one", Dialect::Anthropic, &["lab/one"]).await;
    upstream.always(answer(Dialect::Anthropic, "fine"));
    let gateway = Gateway::start(&table);
    let got = gateway.chat(&ask("lab/one", json!({ "cache_control": { "type": "ephemeral", "ttl": "1h" } }))).await;
    assert_eq!((got.status, got.headers.get("x-slipswitch-losses")), (200, None), "{}", got.text());
    let sent = upstream.journal().last().expect("a request").json();
    assert_eq!(
        sent["messages"][0]["content"][0]["cache_control"],
        json!({ "type": "ephemeral", "ttl": "1h" }),
        "{sent}"
    );
    assert!(sent.get("cache_control").is_none());
    // In the provider's own dialect it goes as it was said.
    let mut own = ask("lab/one", json!({ "max_tokens": 9, "cache_control": { "type": "ephemeral" } }));
    own["messages"][0]["content"] = json!("hello");
    assert_eq!(gateway.post("/api/v1/messages", &own).await.status, 200);
    let sent = upstream.journal().last().expect("a request").json();
    assert_eq!(sent["cache_control"], json!({ "type": "ephemeral" }));
}

#[tokio::test]
async fn who_caches_unasked_is_not_told_and_is_no_loss_that_counts() {
    let (upstream, table) = scripted("one", Dialect::OpenAiChat, &["lab/one"]).await;
    upstream.always(answer(Dialect::OpenAiChat, "fine"));
    let gateway = Gateway::start(&table);
    let wish = json!({ "cache_control": { "type": "ephemeral" }, "prompt_cache_key": "tenant-7" });
    let got = gateway.chat(&ask("lab/one", wish)).await;
    assert_eq!((got.status, got.header("x-slipswitch-losses")), (200, "cache_control"), "{}", got.text());
    let sent = upstream.journal().last().expect("a request").json();
    assert_eq!(
        (sent["prompt_cache_key"].clone(), sent.to_string().contains("cache_control")),
        (json!("tenant-7"), false)
    );
}
