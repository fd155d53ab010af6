//! Bedrock's InvokeModel from its callers' side: programs that ask in a maker's words reach any model, and hear it in those words.

use crate::corpus::base64;
use crate::corpus::bedrock::frames;
use crate::harness::{Gateway, Got, KEY};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

const CONFIG: &str = "[providers.lab]\nkind = \"simulated\"\ndialect = \"openai-chat\"\nmodels = [\"sim/echo\"]\nprice = { input = \"2\", output = \"8\" }\n";
const METRICS: &str = "amazon-bedrock-invocationMetrics";

async fn invoke(gateway: &Gateway, key: &str, model: &str, stream: bool, body: &Value) -> Got {
    let verb = if stream { "invoke-with-response-stream" } else { "invoke" };
    let path = format!("/model/{}/{verb}", model.replace('/', "%2F"));
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    gateway.send(Method::POST, &path, &headers, Bytes::from(body.to_string())).await
}

fn chunks(got: &Got) -> Vec<Value> {
    let inner = |(name, payload): (String, Vec<u8>)| {
        assert_eq!(name, "chunk", "{}", String::from_utf8_lossy(&payload));
        let outer: Value = serde_json::from_slice(&payload).expect("JSON");
        let inner = base64(outer["bytes"].as_str().expect("bytes")).expect("base64");
        serde_json::from_slice(&inner).expect("JSON inside")
    };
    frames(&got.body).into_iter().map(inner).collect()
}

#[tokio::test]
async fn each_maker_s_words_reach_any_model_and_come_back() {
    let gateway = Gateway::start(CONFIG);
    let parts = json!([{ "role": "user", "content": [{ "text": "hello out there" }] }]);
    let turns = json!([{ "role": "user", "content": "hello out there" }]);
    // A request, where the words are in a reply, and where in a piece of one.
    let rows = [
        (
            json!({ "anthropic_version": "bedrock-2023-05-31", "max_tokens": 50, "messages": turns }),
            "/content/0/text",
            "/delta/text",
        ),
        (json!({ "messages": turns, "max_tokens": 50 }), "/choices/0/message/content", "/choices/0/delta/content"),
        (
            json!({ "schemaVersion": "messages-v1", "messages": parts, "inferenceConfig": { "maxTokens": 50, "topK": 5 } }),
            "/output/message/content/0/text",
            "/contentBlockDelta/delta/text",
        ),
        (
            json!({ "inputText": "hello out there", "textGenerationConfig": { "maxTokenCount": 50 } }),
            "/results/0/outputText",
            "/outputText",
        ),
        (json!({ "prompt": "hello out there", "max_gen_len": 50 }), "/generation", "/generation"),
    ];
    for (body, whole, piece) in rows {
        let got = invoke(&gateway, KEY, "sim/echo", false, &body).await;
        assert_eq!(got.status, 200, "{}", got.text());
        let said = got.json().pointer(whole).and_then(Value::as_str).unwrap_or_default().to_owned();
        assert!(said.contains("hello out there"), "{}", got.text());
        assert!(
            got.header("x-amzn-bedrock-input-token-count").parse::<u64>().is_ok_and(|n| n > 0),
            "{:?}",
            got.headers
        );
        let record = gateway.record(&got).await;
        assert_eq!(record["tokens_completion"].to_string(), got.header("x-amzn-bedrock-output-token-count"));

        let got = invoke(&gateway, KEY, "sim/echo", true, &body).await;
        assert_eq!((got.status, got.header("content-type")), (200, "application/vnd.amazon.eventstream"));
        let chunks = chunks(&got);
        let pieces = chunks.iter().filter_map(|chunk| chunk.pointer(piece)?.as_str());
        assert_eq!(pieces.collect::<String>(), said, "{body}");
        let last = chunks.last().expect("a chunk");
        let counted = last[METRICS]["outputTokenCount"].as_u64().or(last["usage"]["completion_tokens"].as_u64());
        assert!(counted.is_some_and(|n| n > 0), "{last}");
    }
}

#[tokio::test]
async fn whatever_is_inside_is_refused_in_bedrock_s_words() {
    let gateway = Gateway::start(CONFIG);
    let claude =
        json!({ "anthropic_version": "x", "max_tokens": 5, "messages": [{ "role": "user", "content": "hi" }] });
    let rows = [
        (KEY, "sim/echo", json!({ "prompt": "hi", "maxTokens": 5 }), 400),
        (KEY, "sim/echo", json!({ "anthropic_version": "x", "messages": 5 }), 400),
        (KEY, "nobody/has-this", claude.clone(), 400),
        ("sk-not-a-key-0000000000", "sim/echo", claude, 401),
    ];
    for (key, model, body, status) in rows {
        for stream in [false, true] {
            let got = invoke(&gateway, key, model, stream, &body).await;
            assert_eq!(got.status, status, "{}", got.text());
            assert!(got.json()["message"].is_string(), "{}", got.text());
            assert!(got.header("x-amzn-errortype").ends_with("Exception"), "{:?}", got.headers);
        }
    }
}
