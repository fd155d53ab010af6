//! Peers that give or take without end: a request among many must not be able to hold the others, nor itself, for ever.

use super::{CHAT, ask, with};
use crate::harness::{Gateway, KEY, MANAGEMENT, provider};
use bytes::Bytes;
use http::Method;
use serde_json::json;
use slip_ir::Dialect;
use slip_server::clock;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// An upstream that reads a request, says `first` and then `again` for as long as anybody listens. On threads of its own, so that it
/// is as fast as it can be.
fn endless(first: &'static str, again: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            std::thread::spawn(move || {
                let _ = stream.read(&mut [0; 64 * 1024]);
                let _ = stream.write_all(first.as_bytes());
                let more = again.repeat(64 * 1024 / again.len());
                while stream.write_all(more.as_bytes()).is_ok() {}
            });
        }
    });
    address
}

/// An upstream that answers every request with this JSON.
fn scripted(reply: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            read_request(&mut stream);
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length:";
            let _ = write!(stream, "{head} {}\r\n\r\n{reply}", reply.len());
        }
    });
    address
}

/// To its last byte: closing a socket with unread bytes would reset the connection.
fn read_request(stream: &mut TcpStream) {
    let mut read = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    while !read.ends_with(b"}") {
        match stream.read(&mut piece) {
            Ok(n) if n > 0 => read.extend_from_slice(&piece[..n]),
            _ => return,
        }
    }
}

fn config(upstream: SocketAddr, timeouts: &str) -> String {
    let base = format!("http://{upstream}/v1");
    format!("{}\n[timeouts]\n{timeouts}\n", provider("bad", Dialect::OpenAiChat, &base, &["lab/one"]))
}

#[tokio::test]
async fn interim_heads_without_end_hold_neither_the_request_nor_its_neighbours() {
    let upstream = endless("", "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n");
    let args = ["--workers", "1"];
    let gateway = Gateway::try_start_with(&config(upstream, "first_content = \"2s\"\ntotal = \"4s\""), &args, &[])
        .unwrap_or_else(|said| panic!("{said}"));
    let began = clock::now();
    let question = ask("lab/one", true);
    let (greedy, ()) = tokio::join!(gateway.post(CHAT, &question), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        for _ in 0..3 {
            let asked = clock::now();
            gateway.is_well("an upstream of interim heads").await;
            assert!(asked.elapsed() < Duration::from_secs(2), "a neighbour waited {:?}", asked.elapsed());
        }
    });
    assert_eq!(greedy.status, 502, "{}", greedy.text());
    assert!(began.elapsed() < Duration::from_secs(10), "it took {:?}", began.elapsed());
}

const ENDLESS: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
const CONTENT: &str =
    "data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"on and on and on\"}}]}\n\n";

#[tokio::test]
async fn an_answer_without_end_ends_when_its_time_is_up() {
    let upstream = endless(ENDLESS, CONTENT);
    let gateway = Gateway::start(&config(upstream, "total = \"1s\""));
    let began = clock::now();
    let mut stream = gateway.open(CHAT, &ask("lab/one", true)).await;
    let (id, mut last) = (stream.id(), String::new());
    while let Some(piece) = stream.next().await {
        // As fast as it comes, so that the gateway always has more to read.
        last = piece;
        assert!(began.elapsed() < Duration::from_secs(15), "it goes on");
    }
    assert!(last.contains("\"finish_reason\":\"error\"") && last.contains("did not end within 1 s"), "{last:.500}");
    let record = gateway.record_left(&id).await;
    assert_eq!(record["slipswitch"]["error"]["reason"], "upstream_timeout", "{record}");
    assert!(record["tokens_completion"].as_u64().is_some_and(|n| n > 10), "what was said is charged: {record}");
    gateway.is_well("an answer without end").await;
}

#[tokio::test]
async fn a_provider_that_does_not_hear_that_nobody_listens_any_more_holds_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            std::thread::spawn(move || {
                read_request(&mut stream);
                let _ = stream.write_all(ENDLESS.as_bytes());
                for _ in 0..1000 {
                    let _ = stream.write_all(CONTENT.as_bytes());
                    std::thread::sleep(Duration::from_millis(5));
                }
            });
        }
    });
    let gateway = Gateway::start(&config(address, ""));
    let mut stream = gateway.open(CHAT, &ask("lab/one", true)).await;
    stream.until("on and on").await;
    let id = stream.id();
    drop(stream);
    let record = gateway.record_left(&id).await;
    assert_eq!((&record["cancelled"], &record["slipswitch"]["status"]), (&json!(true), &json!(499)), "{record}");
    let metrics = gateway.send(Method::GET, "/metrics", &[], Bytes::new()).await.text();
    assert!(metrics.contains("slipswitch_inflight 0"), "{metrics}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_caller_that_stops_reading_is_given_up() {
    let upstream = endless(ENDLESS, CONTENT);
    let gateway = Gateway::start(&config(upstream, "idle = \"1s\""));
    let mut caller = TcpStream::connect(gateway.address).expect("the gateway listens");
    let body = ask("lab/one", true).to_string();
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    caller.write_all(head.as_bytes()).expect("a request can be written");
    caller.read_exact(&mut [0; 1]).expect("it begins to answer");
    // And now nothing is read any more.
    let began = clock::now();
    loop {
        let bearer = format!("Bearer {MANAGEMENT}");
        let got = gateway.send(Method::GET, "/metrics", &[("authorization", &bearer)], Bytes::new()).await;
        if got.text().contains("slipswitch_inflight 0") {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(15), "still in flight");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_record_keeps_little_of_what_others_write() {
    let reply = format!(
        r#"{{"id":"{}","choices":[{{"index":0,"message":{{"role":"assistant","content":"hi"}},"finish_reason":"stop"}}]}}"#,
        "i".repeat(100_000)
    );
    let upstream = scripted(reply);
    let gateway = Gateway::start(&config(upstream, ""));
    let long = "é".repeat(100_000);
    let body = with(ask("lab/one", false), json!({ "user": long, "session_id": long }));
    let got = gateway.chat(&body).await;
    assert_eq!(got.status, 200, "{}", got.text());
    let record = gateway.record(&got).await;
    for (name, most) in [("external_user", 256), ("session_id", 256), ("upstream_id", 256)] {
        let kept = record[name].as_str().map_or(0, |text| text.chars().count());
        assert_eq!(kept, most, "{name}");
    }
}
