//! A closed-loop load generator: so many connections, each sending its next request when the last one is answered.
//!
//! HTTP/1.1 over raw TCP with keep-alive. It parses no more than where a reply ends, so that it costs little beside what it
//! measures; the numbers still include its own work, alike for everything measured with it.

use anyhow::{Context as _, bail};
use bytes::{Buf as _, Bytes, BytesMut};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// A reply that takes longer is an error, and the run goes on.
const PATIENCE: Duration = Duration::from_secs(60);
/// Latencies kept per connection (8 bytes each); a longer run keeps counting but measures no more.
const MAX_SAMPLES: usize = 4 * 1024 * 1024;
const MAX_HEAD: usize = 64 * 1024;
/// An error is followed by a pause, so that a dead server is not asked a million times.
const AFTER_ERROR: Duration = Duration::from_millis(5);

#[derive(Clone, Debug)]
pub struct LoadPlan {
    pub addr: SocketAddr,
    pub path: String,
    /// Beside host, content-type and content-length, which are added.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    pub connections: usize,
    pub until: Until,
    /// A reply counts only if it is a stream (chunked) — or only if it is not.
    pub stream: bool,
}

#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// In all, over all connections.
    Requests(u64),
    Elapsed(Duration),
}

/// Times are in microseconds, of the requests that succeeded.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct LoadReport {
    pub requests: u64,
    pub errors: u64,
    /// What the first error was.
    pub error: Option<String>,
    pub p50: u64,
    pub p99: u64,
    pub max: u64,
    /// From the last byte of the request to the first of the body.
    pub first_p50: u64,
    pub first_p99: u64,
    pub body_bytes: u64,
    /// Data chunks of streams: how often the peer wrote, if everything between kept them apart.
    pub chunks: u64,
    pub elapsed: Duration,
}

impl LoadReport {
    pub fn per_second(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

#[derive(Default)]
struct Count {
    done: u64,
    errors: u64,
    error: Option<String>,
    samples: Vec<(u32, u32)>,
    body_bytes: u64,
    chunks: u64,
}

pub async fn run(plan: LoadPlan) -> anyhow::Result<LoadReport> {
    if plan.connections == 0 {
        bail!("a load needs at least one connection");
    }
    let request = request(&plan);
    let started = Instant::now();
    let taken = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..plan.connections {
        let (request, taken, addr, until, stream) =
            (request.clone(), taken.clone(), plan.addr, plan.until, plan.stream);
        workers.spawn(async move {
            let more = || match until {
                Until::Requests(n) => taken.fetch_add(1, Ordering::Relaxed) < n,
                Until::Elapsed(time) => started.elapsed() < time,
            };
            work(addr, &request, stream, more).await
        });
    }
    let mut report = LoadReport::default();
    let (mut whole, mut first) = (Vec::new(), Vec::new());
    while let Some(count) = workers.join_next().await {
        let count = count.context("a worker failed")?;
        report.requests += count.done;
        report.errors += count.errors;
        report.error = report.error.or(count.error);
        report.body_bytes += count.body_bytes;
        report.chunks += count.chunks;
        whole.extend(count.samples.iter().map(|s| s.1));
        first.extend(count.samples.iter().map(|s| s.0));
    }
    report.elapsed = started.elapsed();
    whole.sort_unstable();
    first.sort_unstable();
    (report.p50, report.p99) = (rank(&whole, 0.50), rank(&whole, 0.99));
    (report.first_p50, report.first_p99) = (rank(&first, 0.50), rank(&first, 0.99));
    report.max = whole.last().copied().map_or(0, u64::from);
    Ok(report)
}

/// Streams that were begun and are kept open; dropping this closes them.
pub struct Held {
    streams: Vec<TcpStream>,
}

impl Held {
    pub fn len(&self) -> usize {
        self.streams.len()
    }

    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }
}

/// Begin `plan.connections` streams, wait for the first piece of each, and read no further.
pub async fn hold(plan: &LoadPlan) -> anyhow::Result<Held> {
    let request = request(plan);
    let mut streams = Vec::with_capacity(plan.connections);
    for _ in 0..plan.connections {
        let mut stream = TcpStream::connect(plan.addr).await?;
        stream.write_all(&request).await?;
        let mut buf = BytesMut::new();
        let mut reply = Reply::default();
        while !reply.begun {
            timeout(PATIENCE, reply.more(&mut stream, &mut buf)).await.context("no first piece in a minute")??;
        }
        if reply.status != 200 {
            bail!("expected a stream, got status: {}", reply.status);
        }
        streams.push(stream);
    }
    Ok(Held { streams })
}

fn request(plan: &LoadPlan) -> Bytes {
    let mut head = format!(
        "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
        plan.path,
        plan.addr,
        plan.body.len()
    );
    for (name, value) in &plan.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    [head.as_bytes(), &plan.body].concat().into()
}

async fn work(addr: SocketAddr, request: &[u8], stream: bool, more: impl Fn() -> bool) -> Count {
    let mut count = Count::default();
    let mut line: Option<(TcpStream, BytesMut)> = None;
    while more() {
        let asked = async {
            let (mut socket, mut buf) = match line.take() {
                Some(line) => line,
                None => {
                    let socket = TcpStream::connect(addr).await?;
                    socket.set_nodelay(true)?;
                    (socket, BytesMut::with_capacity(32 * 1024))
                }
            };
            let begun = Instant::now();
            socket.write_all(request).await?;
            let mut reply = Reply::default();
            let mut first = None;
            while !reply.over {
                reply.more(&mut socket, &mut buf).await?;
                if reply.begun && first.is_none() {
                    first = Some(begun.elapsed());
                }
            }
            if reply.status != 200 {
                bail!("status: {}", reply.status);
            }
            if reply.chunked != stream {
                bail!("expected {}", if stream { "a stream" } else { "a plain reply" });
            }
            let whole = begun.elapsed();
            Ok((socket, buf, first.unwrap_or(whole), whole, reply))
        };
        match timeout(PATIENCE, asked).await {
            Ok(Ok((socket, buf, first, whole, reply))) => {
                line = (!reply.close).then_some((socket, buf));
                count.done += 1;
                count.body_bytes += reply.body;
                count.chunks += reply.chunks;
                if count.samples.len() < MAX_SAMPLES {
                    count.samples.push((micros(first), micros(whole)));
                }
            }
            failed => {
                count.errors += 1;
                let why = failed.map_or_else(
                    |_| "no answer in a minute".to_owned(),
                    |r| r.err().map_or_else(String::new, |e| e.to_string()),
                );
                count.error.get_or_insert(why);
                tokio::time::sleep(AFTER_ERROR).await;
            }
        }
    }
    count
}

/// How far a reply has come.
#[derive(Default)]
struct Reply {
    status: u16,
    chunked: bool,
    close: bool,
    /// The first byte of the body is here.
    begun: bool,
    over: bool,
    body: u64,
    chunks: u64,
    head_read: bool,
    /// Of the body, or of the chunk with its line end.
    left: usize,
}

impl Reply {
    async fn more(&mut self, socket: &mut TcpStream, buf: &mut BytesMut) -> anyhow::Result<()> {
        buf.reserve(16 * 1024);
        if socket.read_buf(buf).await? == 0 {
            bail!("the connection closed in the middle of a reply");
        }
        self.eat(buf)
    }

    fn eat(&mut self, buf: &mut BytesMut) -> anyhow::Result<()> {
        if !self.head_read {
            let Some(at) = memchr::memmem::find(buf, b"\r\n\r\n") else {
                if buf.len() > MAX_HEAD {
                    bail!("the head of the reply is too large");
                }
                return Ok(());
            };
            let head = buf.split_to(at + 4);
            self.head(&head)?;
            self.over = !self.chunked && self.left == 0;
        }
        while !self.over && !buf.is_empty() {
            self.begun = true;
            if self.left > 0 {
                let n = self.left.min(buf.len());
                buf.advance(n);
                self.left -= n;
                self.over = !self.chunked && self.left == 0;
                continue;
            }
            let Some(at) = memchr::memmem::find(buf, b"\r\n") else { return Ok(()) };
            let line = buf.split_to(at + 2);
            let digits = std::str::from_utf8(line.get(..at).unwrap_or_default())?;
            let size = usize::from_str_radix(digits, 16).with_context(|| format!("not a chunk size: {digits:?}"))?;
            if size == 0 {
                // Trailers are not expected; the empty line is two bytes.
                self.chunked_end(buf)?;
                return Ok(());
            }
            self.body += size as u64;
            self.chunks += 1;
            self.left = size.saturating_add(2);
        }
        Ok(())
    }

    /// The last chunk's size is read; put it back if its line end has not come yet.
    fn chunked_end(&mut self, buf: &mut BytesMut) -> anyhow::Result<()> {
        if buf.len() < 2 {
            let mut again = BytesMut::from(&b"0\r\n"[..]);
            again.extend_from_slice(buf);
            *buf = again;
            return Ok(());
        }
        if buf.get(..2) != Some(b"\r\n") {
            bail!("trailers after a stream are not expected");
        }
        buf.advance(2);
        self.over = true;
        Ok(())
    }

    fn head(&mut self, head: &[u8]) -> anyhow::Result<()> {
        let text = String::from_utf8_lossy(head);
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|l| l.split(' ').nth(1)).and_then(|s| s.parse().ok());
        self.status = status.context("not an HTTP reply")?;
        let mut length = None;
        for (name, value) in lines.filter_map(|l| l.split_once(':')) {
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.parse::<usize>()?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                self.chunked = value.eq_ignore_ascii_case("chunked");
            } else if name.eq_ignore_ascii_case("connection") {
                self.close = value.eq_ignore_ascii_case("close");
            }
        }
        if !self.chunked {
            self.left = length.context("a reply without a length")?;
            self.body = self.left as u64;
        }
        self.head_read = true;
        Ok(())
    }
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

/// Nearest rank of a sorted list.
fn rank(sorted: &[u32], share: f64) -> u64 {
    let at = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(at.saturating_sub(1)).copied().map_or(0, u64::from)
}
