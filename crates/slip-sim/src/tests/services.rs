//! Vectors, rankings, verdicts and counts.

use super::client::{post, send};
use super::{failing, start};
use serde_json::{Value, json};
use slip_ir::Dialect;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|x| x.as_f64().expect("a number")).collect()
}

fn near(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[tokio::test]
async fn similar_texts_have_near_vectors_and_the_same_text_the_same() {
    let sim = start(Dialect::OpenAiChat).await;
    let texts =
        ["the cat sat on the mat", "a cat sat on a mat", "quarterly revenue forecast", "the cat sat on the mat"];
    let got = post(sim.addr(), "/v1/embeddings", &json!({ "model": "m", "input": texts, "dimensions": 256 })).await;
    let told = got.json();
    let of = |at: usize| numbers(&told["data"][at]["embedding"]);
    assert_eq!((of(0).len(), of(0)), (256, of(3)));
    assert!(
        near(&of(0), &of(1)) > 0.5 && near(&of(0), &of(2)) < 0.1,
        "{} {}",
        near(&of(0), &of(1)),
        near(&of(0), &of(2))
    );
    assert_eq!(told["usage"]["prompt_tokens"], 6 + 6 + 3 + 6);
}

#[tokio::test]
async fn every_spelling_gives_the_same_vectors() {
    let sim = start(Dialect::OpenAiChat).await;
    let rows = [
        ("/v1/embeddings", json!({ "model": "m", "input": "hello world" }), "/data/0/embedding"),
        (
            "/v2/embed",
            json!({ "model": "m", "texts": ["hello world"], "input_type": "search_query" }),
            "/embeddings/float/0",
        ),
        (
            "/v1beta/models/m:embedContent",
            json!({ "content": { "parts": [{ "text": "hello world" }] } }),
            "/embedding/values",
        ),
        (
            "/v1beta/models/m:batchEmbedContents",
            json!({ "requests": [{ "content": { "parts": [{ "text": "hello world" }] } }] }),
            "/embeddings/0/values",
        ),
        ("/api/embed", json!({ "model": "m", "input": ["hello world"] }), "/embeddings/0"),
    ];
    let mut first = Value::Null;
    for (path, body, at) in rows {
        let told = post(sim.addr(), path, &body).await.json();
        let vector = told.pointer(at).unwrap_or_else(|| panic!("{path}: {told}")).clone();
        if first.is_null() {
            first = vector.clone();
        }
        assert_eq!(vector, first, "{path}");
    }
}

#[tokio::test]
async fn rankings_verdicts_and_counts_follow_simple_rules() {
    let sim = start(Dialect::OpenAiChat).await;
    let documents = ["a stone", "the red fox", "a fox"];
    let ask = json!({ "model": "m", "query": "red fox", "documents": documents, "top_n": 2 });
    for path in ["/v1/rerank", "/v2/rerank"] {
        let told = post(sim.addr(), path, &ask).await.json();
        let order: Vec<_> = told["results"].as_array().expect("results").iter().map(|r| r["index"].clone()).collect();
        assert_eq!(order, [1, 2], "{path}");
    }
    let voyage = json!({ "model": "m", "query": "red fox", "documents": documents, "top_k": 1 });
    assert_eq!(post(sim.addr(), "/v1/rerank", &voyage).await.json()["data"][0]["index"], 1);
    let bad =
        post(sim.addr(), "/v1/moderations", &json!({ "model": "m", "input": ["I hate it", "hello"] })).await.json();
    assert_eq!((&bad["results"][0]["flagged"], &bad["results"][1]["flagged"]), (&json!(true), &json!(false)));
    let mistral =
        post(sim.addr(), "/v1/moderations", &json!({ "model": "mistral-moderation", "input": "I hate it" })).await;
    assert_eq!(mistral.json()["results"][0]["categories"]["hate_and_discrimination"], true);
    let turns = json!([{ "role": "user", "content": "one two three" }]);
    let count = post(sim.addr(), "/v1/messages/count_tokens", &json!({ "model": "m", "messages": turns })).await;
    assert_eq!(count.json(), json!({ "input_tokens": 7 }));
    let refused = json!({ "model": "m", "messages": turns, "max_tokens": 5 });
    assert_eq!(post(sim.addr(), "/v1/messages/count_tokens", &refused).await.status, 400);
}

#[tokio::test]
async fn services_fail_in_the_ways_a_chat_does_and_in_their_own_words() {
    let rows = [("/v1/embeddings", "/error/message"), ("/v2/embed", "/message"), ("/api/embed", "/error")];
    for (path, words) in rows {
        let sim = failing(Dialect::OpenAiChat, "status:503").await;
        let ask = json!({ "model": "m", "input": "x", "texts": ["x"], "input_type": "search_query" });
        let got = post(sim.addr(), path, &ask).await;
        assert_eq!(got.status, 503, "{path}");
        assert!(got.json().pointer(words).is_some_and(Value::is_string), "{path}: {}", got.text());
    }
    let sim = failing(Dialect::OpenAiChat, "no-usage").await;
    let told = post(sim.addr(), "/v1/embeddings", &json!({ "model": "m", "input": "x" })).await.json();
    assert!(told["data"][0]["embedding"].is_array() && told["usage"].is_null(), "{told}");
    let sim = start(Dialect::OpenAiChat).await;
    for body in ["", "[]", "{}", r#"{"model":"m"}"#, r#"{"model":"m","input":[]}"#, r#"{"model":"m","input":7}"#] {
        assert_eq!(send(sim.addr(), "POST", "/v1/embeddings", &[], body.as_bytes()).await.status, 400, "{body}");
    }
}
