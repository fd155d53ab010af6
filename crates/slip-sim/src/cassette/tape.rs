//! From what went over the wire to a cassette: what is kept of it, and in which form.

use super::scrub::{Scrub, apply};
use super::{Cassette, Chunk, Data, End, FORMAT, LAST, Reply, Request, meaning};
use bytes::Bytes;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Of a request's headers these say what it means; everything else is about who asks.
const ASKED: [&str; 4] = ["accept", "anthropic-beta", "anthropic-version", "content-type"];
/// Of a reply's headers these are read by somebody. Ids of requests, cookies and organisations are not kept.
const TOLD: [&str; 8] = [
    "cache-control",
    "content-encoding",
    "content-type",
    "retry-after",
    "retry-after-ms",
    "x-amzn-errortype",
    "x-should-retry",
    "openai-processing-ms",
];
/// And those that begin like this.
const TOLD_ALSO: [&str; 2] = ["x-ratelimit-", "anthropic-ratelimit-"];
/// What is read as it comes.
const STREAMS: [&str; 5] = [
    "text/event-stream",
    "application/x-ndjson",
    "application/ndjson",
    "application/stream+json",
    "application/vnd.amazon.eventstream",
];

/// An exchange as it was.
#[derive(Clone, Debug)]
pub struct Raw<'a> {
    pub provider: &'a str,
    pub method: &'a str,
    pub path: &'a str,
    /// Names in lower case.
    pub asked: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
    pub status: u16,
    pub told: &'a [(&'a str, &'a str)],
    pub head_ms: u64,
    /// With the time of each since the request.
    pub pieces: &'a [(u64, Bytes)],
    pub end: End,
}

/// Why an exchange is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// There is a secret in bytes that would no longer be what they are without it.
    Secret,
}

/// The cassette of an exchange, its first take.
pub fn tape(raw: &Raw<'_>, scrub: &Scrub) -> Result<Cassette, Unfit> {
    let request = request(raw, scrub)?;
    Ok(Cassette {
        cassette: FORMAT,
        address: meaning::address(raw.provider, &request),
        take: 1,
        provider: raw.provider.to_owned(),
        request,
        reply: reply(raw, scrub)?,
    })
}

/// A request as a cassette would have it; the side that plays asks by this as well.
pub fn request(raw: &Raw<'_>, scrub: &Scrub) -> Result<Request, Unfit> {
    let kind = find(raw.asked, "content-type");
    Ok(Request {
        method: raw.method.to_owned(),
        path: scrub.text(raw.path).into_owned(),
        headers: headers(raw.asked, |name| ASKED.contains(&name), scrub),
        body: body(kind, raw.body, scrub)?,
    })
}

fn body(kind: &str, bytes: &[u8], scrub: &Scrub) -> Result<Data, Unfit> {
    if let Some(boundary) = kind.split("boundary=").nth(1) {
        // A form's boundary is made up for each request.
        let boundary = boundary.split(';').next().unwrap_or_default().trim_matches('"');
        return data(&replaced(bytes, boundary.as_bytes(), b"boundary"), scrub);
    }
    let clean = apply(bytes, 0, &scrub.marks(bytes));
    let Ok(value) = serde_json::from_slice::<Value>(&clean) else { return data(bytes, scrub) };
    // Once more, because what was written in escapes before is plain now.
    let text = value.to_string();
    Ok(match scrub.text(&text) {
        Cow::Borrowed(_) => Data::Json(meaning::lasting(value)),
        Cow::Owned(clean) => match serde_json::from_str(&clean) {
            Ok(value) => Data::Json(meaning::lasting(value)),
            Err(_) => Data::Text(clean),
        },
    })
}

fn data(bytes: &[u8], scrub: &Scrub) -> Result<Data, Unfit> {
    let marks = scrub.marks(bytes);
    if marks.is_empty() {
        return Ok(Data::of(bytes));
    }
    if std::str::from_utf8(bytes).is_err() {
        return Err(Unfit::Secret);
    }
    Ok(Data::of(&apply(bytes, 0, &marks)))
}

fn reply(raw: &Raw<'_>, scrub: &Scrub) -> Result<Reply, Unfit> {
    let kind = find(raw.told, "content-type");
    let all: Vec<u8> = raw.pieces.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
    let marks = scrub.marks(&all);
    let plain = std::str::from_utf8(&all).is_ok();
    if !marks.is_empty() && !plain {
        return Err(Unfit::Secret);
    }
    let stream = STREAMS.iter().any(|s| kind.starts_with(s)) || !plain && raw.pieces.len() > 1;
    let (mut body, mut chunks, mut from) = (None, Vec::new(), 0);
    if stream {
        for (ms, piece) in raw.pieces {
            let kept = apply(piece, from, &marks);
            from += piece.len();
            // All of it was the rest of a secret.
            if !kept.is_empty() {
                chunks.push(Chunk { ms: *ms, data: Data::of(&kept) });
            }
        }
    }
    if chunks.is_empty() {
        body = Some(Data::of(&apply(&all, 0, &marks)));
    }
    Ok(Reply {
        status: raw.status,
        headers: headers(raw.told, |name| TOLD.contains(&name) || TOLD_ALSO.iter().any(|s| name.starts_with(s)), scrub),
        ms: raw.head_ms,
        body,
        chunks,
        end: if raw.end == End::Left && is_over(&all) { End::Whole } else { raw.end },
    })
}

/// A stream that said that it was over, whether or not anybody waited for the end of its body.
fn is_over(all: &[u8]) -> bool {
    let tail = all.get(all.len().saturating_sub(4096)..).unwrap_or_default();
    LAST.iter().any(|word| memchr::memmem::find(tail, word.as_bytes()).is_some())
}

fn find<'a>(headers: &[(&'a str, &'a str)], name: &str) -> &'a str {
    headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
}

fn headers(all: &[(&str, &str)], kept: impl Fn(&str) -> bool, scrub: &Scrub) -> BTreeMap<String, String> {
    let lower = all.iter().map(|(name, value)| (name.to_ascii_lowercase(), *value));
    let kept = lower.filter(|(name, _)| kept(name));
    kept.map(|(name, value)| {
        let value = match value.split_once("boundary=") {
            Some((kind, _)) => format!("{kind}boundary=boundary"),
            None => scrub.text(value).into_owned(),
        };
        (name, value)
    })
    .collect()
}

fn replaced(bytes: &[u8], what: &[u8], by: &[u8]) -> Vec<u8> {
    if what.is_empty() {
        return bytes.to_vec();
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    for found in memchr::memmem::find_iter(bytes, what) {
        out.extend_from_slice(&bytes[at..found]);
        out.extend_from_slice(by);
        at = found + what.len();
    }
    out.extend_from_slice(&bytes[at..]);
    out
}
