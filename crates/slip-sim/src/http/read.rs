//! Reading one request: a head, then a body told by `content-length` or in chunks.

use super::Incoming;
use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A head larger than this is an accident; real ones are under 8 KiB.
pub(crate) const MAX_HEAD: usize = 64 * 1024;
/// The gateway stops at 40 MiB; base64 and JSON escapes may make that larger on the way.
pub(crate) const MAX_BODY: usize = 256 * 1024 * 1024;

pub(super) enum Read {
    Request(Incoming),
    /// The client closed between requests, or broke off in the middle of one.
    Gone,
    /// Not HTTP as we know it: answer with this status and close.
    Bad(u16),
}

pub(super) async fn request(stream: &mut TcpStream, buf: &mut BytesMut) -> Read {
    let head_end = loop {
        if let Some(at) = memchr::memmem::find(buf, b"\r\n\r\n") {
            break at + 4;
        }
        if buf.len() > MAX_HEAD {
            return Read::Bad(431);
        }
        if !more(stream, buf).await {
            return Read::Gone;
        }
    };
    let head = buf.split_to(head_end);
    let Some(mut incoming) = head_of(&head) else { return Read::Bad(400) };
    let chunked = incoming.header("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked"));
    let length = incoming.header("content-length").map(|v| v.trim().parse::<usize>());
    if incoming.header("expect").is_some_and(|v| v.eq_ignore_ascii_case("100-continue"))
        && stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_err()
    {
        return Read::Gone;
    }
    let body = match (chunked, length) {
        (true, None) => chunks(stream, buf).await,
        (false, None) => Ok(Bytes::new()),
        (false, Some(Ok(n))) if n <= MAX_BODY => exactly(stream, buf, n).await,
        (false, Some(Ok(_))) => return Read::Bad(413),
        // Both, or a length that is no number: the two ends of a proxy would disagree about where the request ends.
        _ => return Read::Bad(400),
    };
    match body {
        Ok(body) => {
            incoming.body = body;
            Read::Request(incoming)
        }
        Err(why) => why,
    }
}

async fn more(stream: &mut TcpStream, buf: &mut BytesMut) -> bool {
    buf.reserve(16 * 1024);
    matches!(stream.read_buf(buf).await, Ok(n) if n > 0)
}

async fn exactly(stream: &mut TcpStream, buf: &mut BytesMut, n: usize) -> Result<Bytes, Read> {
    while buf.len() < n {
        if !more(stream, buf).await {
            return Err(Read::Gone);
        }
    }
    Ok(buf.split_to(n).freeze())
}

async fn line(stream: &mut TcpStream, buf: &mut BytesMut) -> Result<String, Read> {
    loop {
        if let Some(at) = memchr::memmem::find(buf, b"\r\n") {
            let text = String::from_utf8_lossy(&buf.split_to(at)).into_owned();
            buf.advance(2);
            return Ok(text);
        }
        if buf.len() > MAX_HEAD {
            return Err(Read::Bad(400));
        }
        if !more(stream, buf).await {
            return Err(Read::Gone);
        }
    }
}

async fn chunks(stream: &mut TcpStream, buf: &mut BytesMut) -> Result<Bytes, Read> {
    let mut body = BytesMut::new();
    loop {
        let size = line(stream, buf).await?;
        let digits = size.split(';').next().unwrap_or_default().trim();
        let Ok(n) = usize::from_str_radix(digits, 16) else { return Err(Read::Bad(400)) };
        if n == 0 {
            while !line(stream, buf).await?.is_empty() {}
            return Ok(body.freeze());
        }
        if n > MAX_BODY || body.len() + n > MAX_BODY {
            return Err(Read::Bad(413));
        }
        body.extend_from_slice(&exactly(stream, buf, n).await?);
        if !line(stream, buf).await?.is_empty() {
            return Err(Read::Bad(400));
        }
    }
}

fn head_of(head: &[u8]) -> Option<Incoming> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target, version) = (first.next()?, first.next()?, first.next()?);
    if first.next().is_some() || method.is_empty() || !version.starts_with("HTTP/1.") {
        return None;
    }
    let mut headers = Vec::new();
    for line in lines.take_while(|l| !l.is_empty()) {
        let (name, value) = line.split_once(':')?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut incoming = Incoming {
        method: method.to_owned(),
        target: target.to_owned(),
        headers,
        body: Bytes::new(),
        close: version == "HTTP/1.0",
    };
    if incoming.header("connection").is_some_and(|v| v.eq_ignore_ascii_case("close")) {
        incoming.close = true;
    }
    Some(incoming)
}
