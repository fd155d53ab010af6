//! Losses are told in the head of the reply and in its record, and who wants none is served without, or told why nobody can.

use super::*;
use crate::harness::MANAGEMENT;
use http::Method;

const HEADER: &str = "x-slipswitch-losses";

#[tokio::test]
async fn what_is_lost_is_named_in_the_head_of_the_reply_and_in_the_record() {
    let (upstream, table) = scripted("one", Dialect::Anthropic, &["lab/one"]).await;
    upstream.always(answer(Dialect::Anthropic, "hi"));
    let gateway = Gateway::start(&table);
    let whole = gateway.chat(&ask("lab/one", json!({ "seed": 7, "logprobs": true }))).await;
    assert_eq!((whole.status, whole.header(HEADER)), (200, "seed, logprobs"), "{}", whole.text());
    let told = losses(&gateway, &whole).await;
    assert!(told.len() == 2 && told[0].starts_with("seed: "), "{told:?}");
    let nothing = gateway.chat(&ask("lab/one", json!({ "temperature": 0.5 }))).await;
    assert!(nothing.status == 200 && nothing.headers.get(HEADER).is_none(), "{:?}", nothing.headers);
    let stream = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n\
        event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
        event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n\
        event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n\
        event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":2}}\n\n\
        event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    upstream.push(Script::stream([stream]));
    let streamed = gateway.chat(&ask("lab/one", json!({ "seed": 7, "stream": true }))).await;
    assert_eq!((streamed.status, streamed.header(HEADER), streamed.content()), (200, "seed", "hi".to_owned()));
    assert!(streamed.header("access-control-expose-headers").contains("X-Slipswitch-Losses"));
}

/// Two providers of one model; each declares the parameters it supports.
fn two(first: &Scripted, second: &Scripted) -> String {
    let one = |name: &str, dialect: Dialect, base: &str| {
        format!(
            "[providers.{name}]\ndialect = \"{}\"\nbase_url = \"{base}\"\nkey = \"k\"\n\
             models = [{{ id = \"lab/one\", params = [\"seed\", \"top_k\", \"max_tokens\"] }}]\n\n",
            dialect.name()
        )
    };
    one("first", Dialect::Anthropic, &first.base_url()) + &one("second", Dialect::OpenAiChat, &second.base_url())
}

#[tokio::test]
async fn require_parameters_passes_over_whoever_would_lose_something() {
    let (first, second) = (Scripted::start().await.expect("a socket"), Scripted::start().await.expect("a socket"));
    first.always(answer(Dialect::Anthropic, "one"));
    second.always(answer(Dialect::OpenAiChat, "two"));
    let gateway = Gateway::start(&two(&first, &second));
    let order = json!(["first", "second"]);
    let strict = json!({ "order": order, "require_parameters": true });
    let got = gateway.chat(&ask("lab/one", json!({ "seed": 7, "provider": strict }))).await;
    assert_eq!((got.status, got.content().as_str()), (200, "two"), "{}", got.text());
    assert_eq!((first.journal().total(), second.journal().total()), (0, 1), "nothing was sent to the first");
    let record = gateway.record(&got).await;
    assert_eq!(record["slipswitch"]["endpoints_refused"], 1);
    // What is no wish for the answer does not count, and without the rule nothing does.
    for more in [
        json!({ "user": "u", "metadata": { "a": "b" }, "provider": strict }),
        json!({ "seed": 7, "provider": { "order": order } }),
    ] {
        assert_eq!(gateway.chat(&ask("lab/one", more)).await.content(), "one");
    }
}

#[tokio::test]
async fn when_everybody_would_lose_something_the_404_names_each_and_what() {
    let (first, second) = (Scripted::start().await.expect("a socket"), Scripted::start().await.expect("a socket"));
    let gateway = Gateway::start(&two(&first, &second).replace("openai-chat", "anthropic"));
    let strict = json!({ "require_parameters": true });
    for stream in [false, true] {
        let got = gateway.chat(&ask("lab/one", json!({ "seed": 7, "provider": strict, "stream": stream }))).await;
        let says = got.error()["message"].as_str().unwrap_or_default().to_owned();
        assert_eq!(got.status, 404, "{}", got.text());
        assert!(says.starts_with("No endpoints found that can handle the requested parameters"), "{says}");
        assert!(
            says.contains("first") && says.contains("second") && says.matches("would lose seed").count() == 2,
            "{says}"
        );
    }
    assert_eq!((first.journal().total(), second.journal().total()), (0, 0));
    let healthy = gateway
        .send(Method::GET, "/metrics", &[("authorization", &format!("Bearer {MANAGEMENT}"))], bytes::Bytes::new())
        .await;
    assert_eq!(healthy.status, 200);
}
