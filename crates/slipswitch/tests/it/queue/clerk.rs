//! An upstream that serves one after another as fast as it can, notes who came when, and counts how many it has at once.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub struct Clerk {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    listening: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    /// Who came, in the words of its request, and when.
    came: Vec<(String, Instant)>,
    inside: usize,
    most: usize,
    /// How long serving takes.
    busy: Duration,
    /// So many in a window of so long, told in headers and kept.
    window: Option<(usize, Duration)>,
    began: Option<Instant>,
    used: usize,
    refused: usize,
}

impl Clerk {
    pub async fn start(busy: Duration) -> Clerk {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Seen { busy, ..Seen::default() }));
        let all = seen.clone();
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let seen = all.clone();
                tokio::spawn(async move {
                    let serve = service_fn(|request| serve(request, seen.clone()));
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), serve).await;
                });
            }
        });
        Clerk { address, seen, listening }
    }

    /// It takes so many in a window, says what is left, and refuses more.
    pub fn counts(self, many: usize, window: Duration) -> Clerk {
        self.seen.lock().expect("not poisoned").window = Some((many, window));
        self
    }

    pub fn provider(&self, name: &str, limits: &str) -> String {
        format!(
            "[providers.{name}]\ndialect = \"openai-chat\"\nbase_url = \"http://{}/v1\"\nkey = \"upstream-key\"\n\
             models = [\"lab/one\"]\nprice = {{ input = \"1\", output = \"1\" }}\n{limits}\n",
            self.address
        )
    }

    /// Who came, in order.
    pub fn came(&self) -> Vec<String> {
        self.seen.lock().expect("not poisoned").came.iter().map(|(who, _)| who.clone()).collect()
    }

    pub fn times(&self) -> Vec<Instant> {
        self.seen.lock().expect("not poisoned").came.iter().map(|(_, at)| *at).collect()
    }

    /// The most that were there at once.
    pub fn most(&self) -> usize {
        self.seen.lock().expect("not poisoned").most
    }

    /// How many it had to refuse.
    pub fn refused(&self) -> usize {
        self.seen.lock().expect("not poisoned").refused
    }
}

impl Drop for Clerk {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Whoever hangs up has left.
struct Inside(Arc<Mutex<Seen>>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.lock().expect("not poisoned").inside -= 1;
    }
}

async fn serve(request: Request<Incoming>, seen: Arc<Mutex<Seen>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let said: Value = serde_json::from_slice(&body).unwrap_or_default();
    let who = said["messages"][0]["content"].as_str().unwrap_or("").split(' ').next().unwrap_or("").to_owned();
    let (busy, told, refused) = {
        let mut seen = seen.lock().expect("not poisoned");
        let now = Instant::now();
        seen.came.push((who, now));
        seen.inside += 1;
        seen.most = seen.most.max(seen.inside);
        let (mut told, mut refused) = (None, false);
        if let Some((many, window)) = seen.window {
            if seen.began.is_none_or(|began| now - began >= window) {
                (seen.began, seen.used) = (Some(now), 0);
            }
            refused = seen.used >= many;
            seen.used += usize::from(!refused);
            seen.refused += usize::from(refused);
            let reset = window - (now - seen.began.unwrap_or(now));
            told = Some((many - seen.used, reset.as_millis() + 1));
        }
        (if refused { Duration::ZERO } else { seen.busy }, told, refused)
    };
    let _inside = Inside(seen);
    tokio::time::sleep(busy).await;
    let answer = json!({
        "id": "x", "object": "chat.completion", "created": 1, "model": "one",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": "yes" }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4 },
    });
    let mut response = Response::builder().header("content-type", "application/json");
    if let Some((left, reset)) = told {
        response = response
            .header("x-ratelimit-remaining-requests", left.to_string())
            .header("x-ratelimit-reset-requests", format!("{reset}ms"));
    }
    if refused {
        response = response.status(429);
    }
    Ok(response.body(Full::new(Bytes::from(answer.to_string()))).expect("a response"))
}
