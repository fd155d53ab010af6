//! The lightest upstream there is, for benchmarks: raw TCP, one fixed answer, nothing parsed that need not be.
//!
//! Knows one reply of exactly [`CannedConfig::body_bytes`] bytes, and for a body with `"stream":true` a stream of numbered
//! chunks. The path is not looked at. Requests must tell their length by `content-length`.

use anyhow::Context as _;
use bytes::{Buf as _, Bytes, BytesMut};
use slip_ir::Dialect;
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
    /// OpenAI chat or Anthropic; others are answered in OpenAI's.
    pub dialect: Dialect,
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
            dialect: Dialect::OpenAiChat,
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
    let script = match config.dialect {
        Dialect::Anthropic => anthropic(config.chunks.max(1)),
        _ => openai(config.chunks.max(1)),
    };
    let filling = config.body_bytes.saturating_sub(script.reply.0.len() + script.reply.1.len());
    let body = [script.reply.0, &"canned ".chars().cycle().take(filling).collect::<String>(), script.reply.1].concat();
    let mut plain = String::new();
    let _ = write!(
        plain,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let tail = script.tail.iter().map(|event| framed(event)).collect::<String>() + "0\r\n\r\n";
    Cans {
        plain: plain.into(),
        stream_head: Bytes::from_static(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
        ),
        chunks: script.chunks.iter().map(|event| framed(event).into()).collect(),
        tail: tail.into(),
        delay: config.delay,
        idle: config.idle,
        served,
    }
}

/// What a dialect says: a reply around its text, and the events of a stream.
struct Script {
    reply: (&'static str, &'static str),
    chunks: Vec<String>,
    /// One write together.
    tail: Vec<String>,
}

fn openai(chunks: usize) -> Script {
    const START: &str = concat!(
        r#"data: {"id":"chatcmpl-canned","object":"chat.completion.chunk","created":1767225600,"model":"canned","#,
        r#""system_fingerprint":"fp_canned","#
    );
    let chunk = |delta: &str, finish: &str| {
        format!(r#"{START}"choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]}}"#) + "\n\n"
    };
    let delta = |n: usize| match n {
        1 => r#"{"role":"assistant","content":"tok1"}"#.to_owned(),
        n => format!(r#"{{"content":" tok{n}"}}"#),
    };
    let usage = r#""choices":[],"usage":{"prompt_tokens":10,"completion_tokens":200,"total_tokens":210}}"#;
    Script {
        reply: (
            concat!(
                r#"{"id":"chatcmpl-canned","object":"chat.completion","created":1767225600,"model":"canned","#,
                r#""choices":[{"index":0,"message":{"role":"assistant","content":""#
            ),
            concat!(
                r#"","refusal":null},"logprobs":null,"finish_reason":"stop"}],"#,
                r#""usage":{"prompt_tokens":10,"completion_tokens":100,"total_tokens":110},"#,
                r#""system_fingerprint":"fp_canned"}"#
            ),
        ),
        chunks: (1..=chunks).map(|n| chunk(&delta(n), "null")).collect(),
        tail: vec![chunk("{}", "\"stop\""), format!("{START}{usage}\n\n"), "data: [DONE]\n\n".to_owned()],
    }
}

fn anthropic(chunks: usize) -> Script {
    let event = |name: &str, rest: &str| format!("event: {name}\ndata: {{\"type\":\"{name}\"{rest}}}\n\n");
    let start = concat!(
        r#","message":{"id":"msg_canned","type":"message","role":"assistant","model":"canned","content":[],"#,
        r#""stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":10,"output_tokens":1}}"#
    );
    let delta = |n: usize| {
        let text = format!(r#","index":0,"delta":{{"type":"text_delta","text":" tok{n}"}}"#);
        event("content_block_delta", &text)
    };
    let block = r#","index":0,"content_block":{"type":"text","text":""}"#;
    let stop = r#","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":200}"#;
    let opening = event("message_start", start) + &event("content_block_start", block) + &delta(1);
    Script {
        reply: (
            concat!(
                r#"{"id":"msg_canned","type":"message","role":"assistant","model":"canned","#,
                r#""content":[{"type":"text","text":""#
            ),
            concat!(
                r#""}],"stop_reason":"end_turn","stop_sequence":null,"#,
                r#""usage":{"input_tokens":10,"output_tokens":100}}"#
            ),
        ),
        chunks: std::iter::once(opening).chain((2..=chunks).map(delta)).collect(),
        tail: vec![
            event("content_block_stop", r#","index":0"#),
            event("message_delta", stop),
            event("message_stop", ""),
        ],
    }
}

fn framed(event: &str) -> String {
    format!("{:x}\r\n{event}\r\n", event.len())
}
