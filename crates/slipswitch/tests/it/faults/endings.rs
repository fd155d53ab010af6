//! The ends of streams: what comes after the finish, or does not.

use super::with;
use crate::harness::{Gateway, provider};
use serde_json::json;
use slip_ir::Dialect;
use slip_sim::scripted::End;
use slip_sim::{Script, Scripted};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const ANSWER: &str = "data: {\"id\":\"c1\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"hello\"},\"finish_reason\":null}]}\n\n\
     data: {\"id\":\"c1\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
     data: {\"id\":\"c1\",\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1,\"total_tokens\":4}}\n\n";

#[tokio::test]
#[allow(clippy::disallowed_methods, reason = "how long the caller waits is what is tested")]
async fn an_answer_that_came_whole_is_not_spoilt_by_what_follows() {
    let lab = Scripted::start().await.expect("a socket");
    let gateway = Gateway::start(&provider("lab", Dialect::OpenAiChat, &lab.base_url(), &["lab/one"]));
    for end in [End::Clean, End::Cut, End::Reset, End::Hang] {
        for pieces in [vec![ANSWER.to_owned()], ANSWER.split_inclusive("\n\n").map(str::to_owned).collect()] {
            let what = format!("{end:?} after {} pieces", pieces.len());
            lab.push(Script::stream(pieces).paced(Duration::from_millis(5)).ending(end));
            let body = json!({ "model": "lab/one", "stream": true, "messages": [{ "role": "user", "content": "hi" }] });
            let began = Instant::now();
            let got = gateway.chat(&with(body, json!({}))).await;
            assert_eq!((got.status, got.content().as_str()), (200, "hello"), "{what}: {}", got.text());
            assert!(
                got.text().ends_with("data: [DONE]\n\n") && !got.text().contains("\"error\""),
                "{what}: {}",
                got.text()
            );
            assert_eq!(got.usage()["completion_tokens"], 1, "{what}");
            assert!(began.elapsed() < Duration::from_secs(4), "{what}: the rest is not waited for long");
            assert_eq!(gateway.record(&got).await["provider_responses"].as_array().map(Vec::len), Some(1), "{what}");
        }
    }
    assert_eq!(lab.left(), 0);
}

/// An upstream that keeps connections and ends each at its second request, which it drops unread: what a server looks like that
/// closes idle connections just as we write.
fn closes_used_connections() -> (SocketAddr, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = listener.local_addr().expect("an address");
    let dials = Arc::new(AtomicU32::new(0));
    let count = dials.clone();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            count.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || {
                let mut buffer = [0; 64 * 1024];
                let _ = stream.read(&mut buffer);
                let body = r#"{"id":"c1","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length";
                let _ = stream.write_all(format!("{head}: {}\r\n\r\n{body}", body.len()).as_bytes());
                // The next request is waited for, so that it finds a connection that seems well.
                let _ = stream.peek(&mut buffer);
            });
        }
    });
    (address, dials)
}

#[tokio::test]
async fn a_connection_that_closes_as_it_is_used_again_is_not_a_failure_of_the_provider() {
    let (address, dials) = closes_used_connections();
    // One worker, so that the second request meets the first one's connection.
    let lab = provider("lab", Dialect::OpenAiChat, &format!("http://{address}/v1"), &["lab/one"]);
    let gateway = Gateway::try_start_with(&lab, &["--workers", "1"], &[]).expect("it starts");
    for turn in 1..=6 {
        let body = json!({ "model": "lab/one", "messages": [{ "role": "user", "content": "hi" }] });
        let got = gateway.chat(&body).await;
        assert_eq!((got.status, got.content().as_str()), (200, "hello"), "turn {turn}: {}", got.text());
    }
    assert_eq!(
        dials.load(Ordering::SeqCst),
        6,
        "each turn but the first found the used connection closing and dialled again"
    );
}
