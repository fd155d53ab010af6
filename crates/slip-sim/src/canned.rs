//! The lightest upstream there is, for benchmarks: raw TCP, one fixed answer, nothing parsed that need not be.
//!
//! Knows one reply of exactly [`CannedConfig::body_bytes`] bytes, and for a body with `"stream":true` a stream of numbered
//! chunks. The path is not looked at. Requests must tell their length by `content-length`.

use anyhow::Context as _;
use bytes::{Buf as _, Bytes, BytesMut};
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// More than any head a gateway sends; past it the peer is not one.
const MAX_HEAD: usize = 64 * 1024;

#[derive(Clone, Debug)]
pub struct CannedConfig {
    pub listen: SocketAddr,
    /// Size of the plain reply's body; at least that of an empty completion (about 300 bytes).
    pub body_bytes: usize,
    /// Content chunks of a stream, each a write of its own.
    pub chunks: usize,
    /// Between two chunks of a stream; zero: none.
    pub delay: Duration,
    /// After the first chunk, keep the stream open and silent until the client leaves.
    pub idle: bool,
}

impl Default for CannedConfig {
    fn default() -> CannedConfig {
        CannedConfig {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            body_bytes: 1024,
            chunks: 200,
            delay: Duration::ZERO,
            idle: false,
        }
    }
}

/// Running. Dropping it stops it.
pub struct Canned {
    addr: SocketAddr,
    served: Arc<AtomicU64>,
    accepting: JoinHandle<()>,
}

struct Cans {
    plain: Bytes,
    stream_head: Bytes,
    chunks: Vec<Bytes>,
    tail: Bytes,
    delay: Duration,
    idle: bool,
    served: Arc<AtomicU64>,
}

impl Canned {
    pub async fn start(config: CannedConfig) -> anyhow::Result<Canned> {
        let listen = config.listen;
        let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
        let addr = listener.local_addr()?;
        let served = Arc::new(AtomicU64::new(0));
        let cans = Arc::new(cans(&config, served.clone()));
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                while connections.try_join_next().is_some() {}
                match listener.accept().await {
                    Ok((stream, _)) => {
                        connections.spawn(serve(stream, cans.clone()));
                    }
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        });
        Ok(Canned { addr, served, accepting })
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// Requests answered so far, streams counted when they begin.
    pub fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    pub fn stop(&self) {
        self.accepting.abort();
    }
}

impl Drop for Canned {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(mut stream: TcpStream, cans: Arc<Cans>) {
    let _ = stream.set_nodelay(true);
    let mut buf = BytesMut::with_capacity(8 * 1024);
    loop {
        let head = loop {
            if let Some(at) = memchr::memmem::find(&buf, b"\r\n\r\n") {
                break at + 4;
            }
            if buf.len() > MAX_HEAD || !matches!(stream.read_buf(&mut buf).await, Ok(n) if n > 0) {
                return;
            }
        };
        let Some(length) = content_length(buf.get(..head).unwrap_or_default()) else {
            let _ = stream.write_all(b"HTTP/1.1 411 Length Required\r\ncontent-length: 0\r\n\r\n").await;
            return;
        };
        while buf.len() < head + length {
            buf.reserve(head + length - buf.len());
            if !matches!(stream.read_buf(&mut buf).await, Ok(n) if n > 0) {
                return;
            }
        }
        let body = buf.get(head..head + length).unwrap_or_default();
        let streamed =
            [&b"\"stream\":true"[..], b"\"stream\": true"].iter().any(|s| memchr::memmem::find(body, s).is_some());
        buf.advance(head + length);
        cans.served.fetch_add(1, Ordering::Relaxed);
        let sent = if streamed { pour(&mut stream, &cans).await } else { stream.write_all(&cans.plain).await };
        if sent.is_err() {
            return;
        }
    }
}

async fn pour(stream: &mut TcpStream, cans: &Cans) -> std::io::Result<()> {
    stream.write_all(&cans.stream_head).await?;
    for (nth, chunk) in cans.chunks.iter().enumerate() {
        if nth > 0 && cans.idle {
            // Whatever comes is the client leaving.
            let _ = stream.read_u8().await;
            return Err(std::io::ErrorKind::BrokenPipe.into());
        }
        if nth > 0 && !cans.delay.is_zero() {
            tokio::time::sleep(cans.delay).await;
        }
        stream.write_all(chunk).await?;
    }
    stream.write_all(&cans.tail).await
}

/// `None` for a request we cannot delimit.
fn content_length(head: &[u8]) -> Option<usize> {
    let mut length = 0;
    for line in head.split(|b| *b == b'\n') {
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let (name, value) = line.split_at(colon);
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return None;
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            length = std::str::from_utf8(value.get(1..)?).ok()?.trim().parse().ok()?;
        }
    }
    Some(length)
}

fn cans(config: &CannedConfig, served: Arc<AtomicU64>) -> Cans {
    let around = |text: &str| {
        format!(
            concat!(
                r#"{{"id":"chatcmpl-canned","object":"chat.completion","created":1767225600,"model":"canned","#,
                r#""choices":[{{"index":0,"message":{{"role":"assistant","content":"{}","refusal":null}},"logprobs":null,"#,
                r#""finish_reason":"stop"}}],"usage":{{"prompt_tokens":10,"completion_tokens":100,"total_tokens":110}},"#,
                r#""system_fingerprint":"fp_canned"}}"#
            ),
            text
        )
    };
    let filling = config.body_bytes.saturating_sub(around("").len());
    let body = around(&"canned ".chars().cycle().take(filling).collect::<String>());
    let mut plain = String::new();
    let _ = write!(
        plain,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let chunk = |delta: &str, finish: &str| {
        let event = format!(
            concat!(
                r#"data: {{"id":"chatcmpl-canned","object":"chat.completion.chunk","created":1767225600,"model":"canned","#,
                r#""system_fingerprint":"fp_canned","choices":[{{"index":0,"delta":{},"finish_reason":{}}}]}}"#,
                "\n\n"
            ),
            delta, finish
        );
        framed(&event)
    };
    let usage = concat!(
        r#"data: {"id":"chatcmpl-canned","object":"chat.completion.chunk","created":1767225600,"model":"canned","#,
        r#""choices":[],"usage":{"prompt_tokens":10,"completion_tokens":200,"total_tokens":210}}"#,
        "\n\n"
    );
    let tail = [chunk("{}", "\"stop\""), framed(usage), framed("data: [DONE]\n\n"), "0\r\n\r\n".to_owned()].concat();
    let opening = r#"{"role":"assistant","content":"tok1"}"#.to_owned();
    let deltas = (1..=config.chunks.max(1))
        .map(|n| if n == 1 { opening.clone() } else { format!(r#"{{"content":" tok{n}"}}"#) });
    Cans {
        plain: plain.into(),
        stream_head: Bytes::from_static(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
        ),
        chunks: deltas.map(|d| chunk(&d, "null").into()).collect(),
        tail: tail.into(),
        delay: config.delay,
        idle: config.idle,
        served,
    }
}

fn framed(event: &str) -> String {
    format!("{:x}\r\n{event}\r\n", event.len())
}
