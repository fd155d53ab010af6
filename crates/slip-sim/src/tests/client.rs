//! A client that notices everything: how the body was cut into chunks, and how it ended.

use serde_json::Value;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Silence for this long is taken for silence for ever.
const PATIENCE: Duration = Duration::from_millis(250);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// As the framing said.
    Properly,
    /// The connection closed before that.
    Early,
    Reset,
    Silent,
}

#[derive(Debug)]
pub struct Got {
    /// 0: no status line.
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
    pub chunks: Vec<Vec<u8>>,
    pub ended: Ended,
    pub first_byte: Duration,
    pub took: Duration,
}

impl Got {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().filter_map(|l| l.split_once(": ")).find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// The data of each event or line, `[DONE]` as a string.
    pub fn events(&self) -> Vec<Value> {
        let text = self.text().replace("\r\n", "\n");
        if self.header("content-type") == Some("application/x-ndjson") {
            return text.lines().map(|l| serde_json::from_str(l).unwrap_or(Value::String(l.to_owned()))).collect();
        }
        let data = text
            .split("\n\n")
            .filter_map(|event| event.lines().find_map(|l| l.strip_prefix("data: ")).map(str::to_owned));
        data.map(|d| serde_json::from_str(&d).unwrap_or(Value::String(d))).collect()
    }
}

pub async fn post(addr: SocketAddr, path: &str, body: &Value) -> Got {
    send(addr, "POST", path, &[], body.to_string().as_bytes()).await
}

pub async fn send(addr: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Got {
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: sim\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    let mut request = request.into_bytes();
    request.extend_from_slice(body);
    let mut stream = TcpStream::connect(addr).await.unwrap();
    // Not ready to read in time: a peer that resets at once may already have done so.
    let _ = stream.write_all(&request).await;
    read(&mut stream).await
}

pub async fn read(stream: &mut TcpStream) -> Got {
    let begun = Instant::now();
    let mut bytes = Vec::new();
    let mut first_byte = Duration::ZERO;
    let ended = loop {
        if let Some(got) = whole(&bytes) {
            return Got { first_byte, took: begun.elapsed(), ..got };
        }
        let mut buf = [0; 16 * 1024];
        match tokio::time::timeout(PATIENCE, stream.read(&mut buf)).await {
            Err(_) => break Ended::Silent,
            Ok(Ok(0)) => break Ended::Early,
            Ok(Ok(n)) => {
                if bytes.is_empty() {
                    first_byte = begun.elapsed();
                }
                bytes.extend_from_slice(&buf[..n]);
            }
            Ok(Err(e)) if e.kind() == ErrorKind::ConnectionReset => break Ended::Reset,
            Ok(Err(e)) => panic!("{e}"),
        }
    };
    let mut got = parse(&bytes);
    got.ended = ended;
    Got { first_byte, took: begun.elapsed(), ..got }
}

fn whole(bytes: &[u8]) -> Option<Got> {
    memchr::memmem::find(bytes, b"\r\n\r\n")?;
    Some(parse(bytes)).filter(|got| got.ended == Ended::Properly)
}

fn parse(bytes: &[u8]) -> Got {
    let mut got = Got {
        status: 0,
        head: String::new(),
        body: Vec::new(),
        chunks: Vec::new(),
        ended: Ended::Early,
        first_byte: Duration::ZERO,
        took: Duration::ZERO,
    };
    let Some(at) = memchr::memmem::find(bytes, b"\r\n\r\n") else { return got };
    got.head = String::from_utf8_lossy(&bytes[..at]).into_owned();
    got.status = got.head.strip_prefix("HTTP/1.1 ").and_then(|h| h.get(..3)).and_then(|s| s.parse().ok()).unwrap_or(0);
    let mut rest = &bytes[at + 4..];
    if let Some(length) = got.header("content-length").map(|l| l.parse::<usize>().unwrap()) {
        got.body = rest[..rest.len().min(length)].to_vec();
        if rest.len() >= length {
            got.ended = Ended::Properly;
        }
        return got;
    }
    if got.header("transfer-encoding") != Some("chunked") {
        return got;
    }
    while let Some(line) = memchr::memmem::find(rest, b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        let from = line + 2;
        if rest.len() < from + size + 2 {
            break;
        }
        if size == 0 {
            got.ended = Ended::Properly;
            break;
        }
        got.chunks.push(rest[from..from + size].to_vec());
        got.body.extend_from_slice(&rest[from..from + size]);
        rest = &rest[from + size + 2..];
    }
    got
}
