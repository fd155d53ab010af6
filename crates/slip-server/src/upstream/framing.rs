//! HTTP/1.1 as providers answer it: the head of a response, and where its body ends. Pure: bytes in, bytes out.
//!
//! Written out here because a reply of hundreds of small chunks is what this house mostly carries: what is readable is taken apart
//! where it lies, however many chunks it holds, without a task or a queue in between.

use bytes::BytesMut;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, StatusCode, Version};

/// Header bombs end here.
pub const MAX_HEADERS: usize = 100;
/// A head longer than this is refused.
pub const MAX_HEAD: usize = 128 * 1024;
/// Interim answers (1xx) before the real one.
const MAX_INTERIM: u32 = 8;
/// Hex digits of a chunk's size: more cannot be a size.
const MAX_SIZE_DIGITS: u32 = 15;
/// Chunk extensions of one chunk, and all trailers, each: nobody needs them and nobody may hide behind them.
const MAX_EXTRA: u32 = 16 * 1024;

/// What cannot be HTTP. The text is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotHttp;

/// The head of an answer.
#[derive(Debug)]
pub struct Head {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Body,
    /// The connection may be used again once the body has ended.
    pub keep: bool,
}

/// Reads heads from the front of a buffer.
#[derive(Default)]
pub struct Heads {
    interim: u32,
    /// Before this there is no end of the head.
    searched: usize,
    /// Whole lines have come, and the first was looked at.
    lines: bool,
    looked: bool,
}

impl Heads {
    /// `Ok(None)` when more bytes are needed. What was read is taken from `buffer`; what follows the head stays.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Head>, NotHttp> {
        loop {
            // Parsing begins anew each time: so once for a first line that may be no HTTP, and once when the end is in sight.
            if !self.ends(buffer) {
                if self.looked || !self.lines {
                    return if buffer.len() > MAX_HEAD { Err(NotHttp) } else { Ok(None) };
                }
                self.looked = true;
            }
            let mut slots = [httparse::EMPTY_HEADER; MAX_HEADERS];
            let mut parsed = httparse::Response::new(&mut slots);
            let length = match parsed.parse(buffer) {
                Ok(httparse::Status::Complete(length)) => length,
                Ok(httparse::Status::Partial) if buffer.len() <= MAX_HEAD => return Ok(None),
                Ok(httparse::Status::Partial) | Err(_) => return Err(NotHttp),
            };
            let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(NotHttp)?;
            if status.is_informational() {
                // 101 would change the protocol, which nobody asked for.
                self.interim += 1;
                if status == StatusCode::SWITCHING_PROTOCOLS || self.interim > MAX_INTERIM {
                    return Err(NotHttp);
                }
                let _ = buffer.split_to(length);
                self.searched = 0;
                continue;
            }
            let version = if parsed.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
            let mut headers = HeaderMap::with_capacity(parsed.headers.len());
            for header in parsed.headers.iter() {
                let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| NotHttp)?;
                headers.append(name, HeaderValue::from_bytes(header.value).map_err(|_| NotHttp)?);
            }
            let (body, keep) = framing(status, version, &headers)?;
            let _ = buffer.split_to(length);
            return Ok(Some(Head { status, headers, body, keep }));
        }
    }
}

impl Heads {
    /// Whether an empty line is in sight. Looks at each byte once.
    fn ends(&mut self, buffer: &[u8]) -> bool {
        while let Some(at) = memchr::memchr(b'\n', buffer.get(self.searched..).unwrap_or_default()) {
            self.lines = true;
            match buffer.get(self.searched + at + 1..) {
                Some([b'\n', ..] | [b'\r', b'\n', ..]) => return true,
                // What follows decides, and has not come yet.
                Some([] | [b'\r']) => {
                    self.searched += at;
                    return false;
                }
                _ => self.searched += at + 1,
            }
        }
        self.searched = buffer.len();
        false
    }
}

/// RFC 9112, 6.3. Anything that two readers could understand differently is not used again.
fn framing(status: StatusCode, version: Version, headers: &HeaderMap) -> Result<(Body, bool), NotHttp> {
    let says = |word: &str| {
        headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|v| v.to_str().ok())
            .any(|v| v.split(',').any(|token| token.trim().eq_ignore_ascii_case(word)))
    };
    let keep = if version == Version::HTTP_10 { says("keep-alive") } else { !says("close") };
    if status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED {
        return Ok((Body::Ended, keep));
    }
    let mut length = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        let text = value.to_str().map_err(|_| NotHttp)?.trim();
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NotHttp);
        }
        let this: u64 = text.parse().map_err(|_| NotHttp)?;
        if length.is_some_and(|other| other != this) {
            return Err(NotHttp);
        }
        length = Some(this);
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next(), length) {
        (None, _, Some(0)) => Ok((Body::Ended, keep)),
        (None, _, Some(left)) => Ok((Body::Length(left), keep)),
        (None, _, None) => Ok((Body::UntilClose, false)),
        (Some(coding), None, length) if coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") => {
            Ok((Body::Chunked(Chunks::default()), keep && length.is_none() && version == Version::HTTP_11))
        }
        _ => Err(NotHttp),
    }
}

/// Where in its body an answer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// This many bytes are to come.
    Length(u64),
    Chunked(Chunks),
    /// The end of the connection is the end of the body.
    UntilClose,
    Ended,
}

impl Body {
    /// Take the body's bytes out of `bytes` into `out`; says how many of `bytes` were used. Fewer than all only when it ended.
    pub fn take(&mut self, bytes: &[u8], out: &mut BytesMut) -> Result<usize, NotHttp> {
        match self {
            Body::Ended => Ok(0),
            Body::UntilClose => {
                out.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            Body::Length(left) => {
                let now = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                out.extend_from_slice(bytes.get(..now).unwrap_or_default());
                *left -= now as u64;
                if *left == 0 {
                    *self = Body::Ended;
                }
                Ok(now)
            }
            Body::Chunked(chunks) => {
                let used = chunks.take(bytes, out)?;
                if chunks.at == At::End {
                    *self = Body::Ended;
                }
                Ok(used)
            }
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunks {
    at: At,
    left: u64,
    digits: u32,
    extra: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Size,
    /// After the size: white space or an extension, up to the line's end.
    Rest,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the start of a trailer line, or of the empty line that ends all.
    Trailer,
    InTrailer,
    TrailerLf,
    EndLf,
    End,
}

impl Chunks {
    fn take(&mut self, bytes: &[u8], out: &mut BytesMut) -> Result<usize, NotHttp> {
        let mut rest = bytes;
        while let Some(&byte) = rest.first() {
            if self.at == At::Data {
                let now = rest.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                let (data, after) = rest.split_at(now);
                out.extend_from_slice(data);
                rest = after;
                self.left -= now as u64;
                if self.left == 0 {
                    self.at = At::DataCr;
                }
                continue;
            }
            if self.at == At::End {
                break;
            }
            rest = rest.get(1..).unwrap_or_default();
            self.step(byte)?;
        }
        Ok(bytes.len() - rest.len())
    }

    fn step(&mut self, byte: u8) -> Result<(), NotHttp> {
        self.at = match (self.at, byte) {
            (At::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if self.digits < MAX_SIZE_DIGITS => {
                self.left = self.left * 16 + u64::from((byte as char).to_digit(16).ok_or(NotHttp)?);
                self.digits += 1;
                At::Size
            }
            (At::Size, b'\r') if self.digits > 0 => At::SizeLf,
            (At::Size, b';' | b' ' | b'\t') if self.digits > 0 => At::Rest,
            (At::Rest, b'\r') => At::SizeLf,
            (At::Rest | At::InTrailer, b'\n') => return Err(NotHttp),
            (At::Rest, _) => self.extra(At::Rest)?,
            (At::SizeLf, b'\n') => {
                self.digits = 0;
                if self.left == 0 { At::Trailer } else { At::Data }
            }
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => {
                self.extra = 0;
                At::Size
            }
            (At::Trailer, b'\r') => At::EndLf,
            (At::Trailer, b'\n') => return Err(NotHttp),
            (At::Trailer, _) => self.extra(At::InTrailer)?,
            (At::InTrailer, b'\r') => At::TrailerLf,
            (At::TrailerLf, b'\n') => At::Trailer,
            (At::InTrailer, _) => self.extra(At::InTrailer)?,
            (At::EndLf, b'\n') => At::End,
            _ => return Err(NotHttp),
        };
        Ok(())
    }

    fn extra(&mut self, at: At) -> Result<At, NotHttp> {
        self.extra += 1;
        if self.extra > MAX_EXTRA { Err(NotHttp) } else { Ok(at) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole answer in one piece and byte by byte: body, whether it ended, whether the connection may go on.
    fn read(text: &str) -> Result<(String, bool, bool), NotHttp> {
        let mut seen = Vec::new();
        for size in [1, 7, text.len().max(1)] {
            let (mut buffer, mut heads, mut head) = (BytesMut::new(), Heads::default(), None);
            let mut out = BytesMut::new();
            for piece in text.as_bytes().chunks(size) {
                buffer.extend_from_slice(piece);
                if head.is_none() {
                    head = heads.next(&mut buffer)?;
                }
                if let Some(head) = &mut head {
                    let used = head.body.take(&buffer, &mut out)?;
                    let _ = buffer.split_to(used);
                }
            }
            let head = head.ok_or(NotHttp)?;
            let text = String::from_utf8_lossy(&out).into_owned();
            seen.push((text, head.body == Body::Ended, head.keep));
        }
        assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:?}");
        seen.pop().ok_or(NotHttp)
    }

    #[test]
    fn a_body_ends_where_its_head_says() {
        let ok = |body: &str, ended, keep| Ok((body.to_owned(), ended, keep));
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let rows = [
            ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello".to_owned(), ok("hello", true, true)),
            ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel".to_owned(), ok("hel", false, true)),
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned(), ok("", true, true)),
            ("HTTP/1.1 204 No\r\n\r\n".to_owned(), ok("", true, true)),
            ("HTTP/1.1 200 OK\r\n\r\nto the end".to_owned(), ok("to the end", false, false)),
            ("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx".to_owned(), ok("x", true, false)),
            ("HTTP/1.1 200 OK\r\nconnection: Close\r\ncontent-length: 1\r\n\r\nx".to_owned(), ok("x", true, false)),
            ("HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx".to_owned(), ok("x", true, true)),
            (format!("{chunked}5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\n"), ok("hello world", true, true)),
            (format!("{chunked}00A\r\n0123456789\r\n0\r\nx: y\r\nz: 1\r\n\r\n"), ok("0123456789", true, true)),
            (format!("{chunked}5\r\nhel"), ok("hel", false, true)),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 9\r\n\r\n1\r\nx\r\n0\r\n\r\n"
                    .to_owned(),
                ok("x", true, false),
            ),
            (format!("{chunked}x\r\n"), Err(NotHttp)),
            (format!("{chunked}\r\n"), Err(NotHttp)),
            (format!("{chunked}-1\r\n"), Err(NotHttp)),
            (format!("{chunked}ffffffffffffffff\r\n"), Err(NotHttp)),
            (format!("{chunked}1\r\nxx"), Err(NotHttp)),
            (format!("{chunked}1\nx"), Err(NotHttp)),
            (format!("{chunked}1;{}\r\n", "e".repeat(20_000)), Err(NotHttp)),
            ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n".to_owned(), Err(NotHttp)),
            ("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n".to_owned(), Err(NotHttp)),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n".to_owned(), Err(NotHttp)),
            ("HTTP/1.1 101 Other\r\n\r\n".to_owned(), Err(NotHttp)),
            ("hello, this is no HTTP at all\r\n\r\n".to_owned(), Err(NotHttp)),
            ("HTTP/1.1 100 Go on\r\n\r\n".repeat(9), Err(NotHttp)),
            (format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(101)), Err(NotHttp)),
            (format!("HTTP/1.1 200 OK\r\na: {}", "b".repeat(MAX_HEAD)), Err(NotHttp)),
        ];
        for (text, want) in rows {
            assert_eq!(read(&text), want, "{}", text.get(..120).unwrap_or(&text));
        }
    }
}
