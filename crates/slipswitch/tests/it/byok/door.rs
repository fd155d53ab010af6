//! A provider that looks at keys: to some it answers, to others it does not.

use serde_json::json;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What it says to whom; it answers everybody else.
type Rules = Arc<Mutex<Vec<(String, u16)>>>;

/// The keys it was shown, in order.
type Seen = Arc<Mutex<Vec<String>>>;

pub struct Door {
    pub address: SocketAddr,
    rules: Rules,
    seen: Seen,
    listening: tokio::task::JoinHandle<()>,
}

impl Door {
    pub async fn open() -> Door {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let address = listener.local_addr().expect("an address");
        let (rules, seen) = (Rules::default(), Seen::default());
        let (by, to) = (rules.clone(), seen.clone());
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, by.clone(), to.clone()));
            }
        });
        Door { address, rules, seen, listening }
    }

    /// From now on.
    pub fn refuses(&self, key: &str, status: u16) {
        self.rules.lock().expect("not poisoned").insert(0, (key.to_owned(), status));
    }

    /// Since this was asked last.
    pub fn shown(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().expect("not poisoned"))
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// One request on each connection.
async fn serve(mut stream: TcpStream, rules: Rules, seen: Seen) {
    let mut read = Vec::new();
    let mut piece = [0; 16 * 1024];
    let (head, length) = loop {
        match stream.read(&mut piece).await {
            Ok(n) if n > 0 => read.extend_from_slice(&piece[..n]),
            _ => return,
        }
        let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&read[..end]).into_owned();
        let length = header(&head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        if read.len() >= end + 4 + length {
            break (head, length);
        }
    };
    let body = String::from_utf8_lossy(&read[read.len() - length..]).into_owned();
    let key = header(&head, "authorization").unwrap_or_default().trim_start_matches("Bearer ").to_owned();
    let rules = rules.lock().expect("not poisoned").clone();
    let status = rules.iter().find(|(whose, _)| *whose == key).map_or(200, |(_, status)| *status);
    seen.lock().expect("not poisoned").push(key.clone());
    let (kind, said) = match (status, body.contains("\"stream\":true")) {
        (200, true) => ("text/event-stream", stream_of()),
        (200, false) => ("application/json", reply()),
        // Some repeat what they were shown.
        (status, _) => {
            ("application/json", json!({ "error": { "message": format!("no: {key}"), "code": status } }).to_string())
        }
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        said.len()
    );
    let _ = stream.write_all((head + &said).as_bytes()).await;
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

fn reply() -> String {
    json!({
        "id": "up-1", "object": "chat.completion", "created": 1, "model": "one",
        "choices": [{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": "hello there" } }],
        "usage": { "prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500 },
    })
    .to_string()
}

fn stream_of() -> String {
    let chunk = |delta, finish, usage| {
        json!({
            "id": "up-1", "object": "chat.completion.chunk", "created": 1, "model": "one", "usage": usage,
            "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }],
        })
    };
    let usage = json!({ "prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500 });
    let events = [
        chunk(json!({ "role": "assistant", "content": "hello there" }), json!(null), json!(null)),
        chunk(json!({}), json!("stop"), usage),
    ];
    events.iter().map(|event| format!("data: {event}\n\n")).chain(["data: [DONE]\n\n".to_owned()]).collect()
}
