//! The simplest answers, in the dialect most providers speak.

use super::client::{Ended, post, send};
use super::start;
use serde_json::{Value, json};
use slip_ir::Dialect;

const PATH: &str = "/v1/chat/completions";

fn request(text: &str, more: Value) -> Value {
    let mut body = json!({"model": "sim/echo", "messages": [{"role": "user", "content": text}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn an_echo_is_counted_exactly() {
    let sim = start(Dialect::OpenAiChat).await;
    let got = post(sim.addr(), PATH, &request("hello there", json!({}))).await;
    let reply = got.json();
    assert_eq!((got.status, got.ended), (200, Ended::Properly));
    assert_eq!(reply["choices"][0]["message"]["content"], "echo: hello there");
    assert_eq!(reply["choices"][0]["finish_reason"], "stop");
    assert_eq!(reply["usage"]["prompt_tokens"], 4 + 2);
    assert_eq!(reply["usage"]["completion_tokens"], 3);
    assert_eq!(reply["usage"]["total_tokens"], 9);
    let entry = sim.journal().last().unwrap();
    assert_eq!((entry.method.as_str(), entry.path.as_str(), entry.status), ("POST", PATH, Some(200)));
    assert_eq!((entry.emitted, entry.billed_prompt, entry.billed_completion), (3, 6, 3));
    assert_eq!(entry.json()["model"], "sim/echo");
}

#[tokio::test]
async fn usage_is_streamed_only_when_asked_for_and_on_a_chunk_without_choices() {
    let sim = start(Dialect::OpenAiChat).await;
    let plain = post(sim.addr(), PATH, &request("hello", json!({"stream": true}))).await.events();
    assert!(plain.iter().all(|e| e.get("usage").is_none()));
    assert_eq!(plain.last(), Some(&json!("[DONE]")));

    let asked = json!({"stream": true, "stream_options": {"include_usage": true}});
    let events = post(sim.addr(), PATH, &request("hello", asked)).await.events();
    assert_eq!(events.len(), plain.len() + 1);
    let (last, before) = events[..events.len() - 1].split_last().unwrap();
    assert!(before.iter().all(|e| e["usage"].is_null() && e.get("usage").is_some()));
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["total_tokens"], 5 + 2);
}

#[tokio::test]
async fn one_connection_serves_many_requests_chunked_ones_too() {
    use tokio::io::AsyncWriteExt as _;
    let sim = start(Dialect::OpenAiChat).await;
    let mut stream = tokio::net::TcpStream::connect(sim.addr()).await.unwrap();
    let body = request("one", json!({})).to_string();
    let (a, b) = body.split_at(10);
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: sim\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunked = format!("{head}{:x}\r\n{a}\r\n{:X};x=y\r\n{b}\r\n0\r\n\r\n", a.len(), b.len());
    for _ in 0..3 {
        stream.write_all(chunked.as_bytes()).await.unwrap();
        let got = super::client::read(&mut stream).await;
        assert_eq!(got.json()["choices"][0]["message"]["content"], "echo: one");
    }
    assert_eq!(sim.journal().total(), 3);
    assert_eq!(sim.journal().last().unwrap().body, body);
}

#[tokio::test]
async fn what_is_not_an_endpoint_is_not_found() {
    let sim = start(Dialect::OpenAiChat).await;
    let got = send(sim.addr(), "GET", "/v1/nothing", &[], b"").await;
    assert_eq!(got.status, 404);
    assert!(got.json()["error"]["message"].as_str().unwrap().contains("GET /v1/nothing"));
}
