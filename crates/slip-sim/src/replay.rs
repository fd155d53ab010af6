//! An upstream that answers with recorded responses, byte for byte, cut into pieces as ordered.
//!
//! Which case is meant is said by the path (`/case/<id>/…`, so that a base URL chooses it) or by the header `x-replay-case`; the
//! body of the request is not compared. `/__replay/requests` tells what was received.

use crate::case::{self, Case};
use crate::http::{Answer, Framing, Incoming, Outgoing, Server, Step, listen};
use crate::journal::{Entry, Journal};
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How a stream's bytes are cut into chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Chunking {
    /// At the ends of events (SSE), frames (event stream) or lines (NDJSON).
    #[default]
    Event,
    /// Every byte alone: also inside a code point.
    Byte,
    /// Anywhere; the same seed and case give the same cuts.
    Random(u64),
    /// The whole body at once.
    One,
}

/// The longest piece that random chunking makes.
const MAX_RANDOM: usize = 48;

#[derive(Clone, Debug)]
pub struct ReplayConfig {
    pub chunking: Chunking,
    /// Between two pieces of a stream.
    pub delay: Duration,
    /// Close the connection after so many bytes of a stream.
    pub cut_after: Option<usize>,
    pub listen: SocketAddr,
}

impl Default for ReplayConfig {
    fn default() -> ReplayConfig {
        ReplayConfig {
            chunking: Chunking::Event,
            delay: Duration::ZERO,
            cut_after: None,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        }
    }
}

/// Running. Dropping it stops it.
pub struct Replay {
    server: Server,
    shelf: Arc<Shelf>,
    journal: Journal,
}

struct Shelf {
    cases: HashMap<String, Arc<Case>>,
    config: Mutex<ReplayConfig>,
    journal: Journal,
}

impl Replay {
    /// Serve every case of a corpus directory.
    pub async fn open(corpus: &Path, config: ReplayConfig) -> anyhow::Result<Replay> {
        Replay::start(case::load(corpus)?, config).await
    }

    pub async fn start(cases: Vec<Case>, config: ReplayConfig) -> anyhow::Result<Replay> {
        let journal = Journal::new();
        let cases = cases.into_iter().map(|c| (c.id.clone(), Arc::new(c))).collect();
        let listen_on = config.listen;
        let shelf = Arc::new(Shelf { cases, config: Mutex::new(config), journal: journal.clone() });
        let server = listen(listen_on, shelf.clone(), journal.clone()).await?;
        Ok(Replay { server, shelf, journal })
    }

    pub fn addr(&self) -> SocketAddr {
        self.server.addr
    }

    /// The origin; cases are chosen by header.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.server.addr)
    }

    /// A base that chooses the case; append the API's own prefix (`/v1`, `/v1beta`).
    pub fn case_url(&self, id: &str) -> String {
        format!("http://{}/case/{id}", self.server.addr)
    }

    pub fn case(&self, id: &str) -> Option<&Case> {
        self.shelf.cases.get(id).map(Arc::as_ref)
    }

    /// From the next request on.
    pub fn set_chunking(&self, chunking: Chunking) {
        self.shelf.config.lock().unwrap_or_else(PoisonError::into_inner).chunking = chunking;
    }

    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    pub fn stop(&self) {
        self.server.stop();
    }
}

impl Answer for Shelf {
    fn answer(&self, request: &Incoming) -> Outgoing {
        if request.path() == "/__replay/requests" {
            let told: Vec<Value> = self.journal.entries().iter().map(tell).collect();
            return Outgoing::json(200, &Value::Array(told));
        }
        let forced = request.path().strip_prefix("/case/").and_then(|rest| rest.split('/').next());
        let Some(id) = request.header("x-replay-case").or(forced) else {
            return miss("say which case: path /case/<id>/… or header x-replay-case");
        };
        let Some(case) = self.cases.get(id) else { return miss(&format!("no such case: {id}")) };
        let config = self.config.lock().unwrap_or_else(PoisonError::into_inner).clone();
        reply(case, &config)
    }
}

fn miss(message: &str) -> Outgoing {
    Outgoing::json(599, &json!({"error": {"message": message, "type": "replay_miss", "code": 599}}))
}

fn tell(entry: &Entry) -> Value {
    json!({
        "method": entry.method,
        "path": entry.path,
        "headers": entry.headers,
        "body": serde_json::from_slice(&entry.body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&entry.body))),
    })
}

fn reply(case: &Case, config: &ReplayConfig) -> Outgoing {
    let response = &case.response;
    let mut out = Outgoing::plain(response.status, "", response.body.clone());
    // How the body is framed is ours to say; the rest is theirs.
    let ours = ["content-length", "transfer-encoding", "connection", "content-encoding"];
    let theirs = response.headers.iter().filter(|(name, _)| !ours.contains(&name.as_str()));
    out.headers = theirs.map(|(name, value)| (name.clone(), value.clone())).collect();
    if !response.stream {
        return out;
    }
    out.framing = Framing::Chunked;
    out.coalesce = config.delay.is_zero();
    out.steps = vec![Step::Head];
    let limit = config.cut_after.unwrap_or(usize::MAX);
    let mut sent = 0;
    for piece in pieces(case, config.chunking) {
        let bytes = piece.slice(..piece.len().min(limit - sent));
        sent += bytes.len();
        if sent > bytes.len() && !config.delay.is_zero() {
            out.steps.push(Step::Wait(config.delay));
        }
        out.steps.push(Step::Send { bytes, tokens: 0 });
        if sent >= limit {
            break;
        }
    }
    out.steps.push(if config.cut_after.is_some() { Step::Cut } else { Step::End });
    out
}

/// The body of a stream in pieces; joined together they are the body.
pub fn pieces(case: &Case, chunking: Chunking) -> Vec<Bytes> {
    let body = &case.response.body;
    let mut out = Vec::new();
    let mut at = 0;
    let mut dice = match chunking {
        Chunking::Random(seed) => {
            fastrand::Rng::with_seed(case.id.bytes().fold(seed, |s, b| s.wrapping_mul(31).wrapping_add(b.into())))
        }
        _ => fastrand::Rng::with_seed(0),
    };
    while at < body.len() {
        let rest = body.get(at..).unwrap_or_default();
        let len = match chunking {
            Chunking::One => rest.len(),
            Chunking::Byte => 1,
            Chunking::Random(_) => dice.usize(1..=MAX_RANDOM),
            Chunking::Event => event_end(&case.response.framing, rest),
        };
        let end = at + len.clamp(1, rest.len());
        out.push(body.slice(at..end));
        at = end;
    }
    out
}

/// Where the first event ends.
pub(crate) fn event_end(framing: &str, bytes: &[u8]) -> usize {
    let all = bytes.len();
    match framing {
        "ndjson" => memchr::memchr(b'\n', bytes).map_or(all, |at| at + 1),
        // The first four bytes of a frame are its length.
        "eventstream" => bytes.first_chunk::<4>().map_or(all, |n| u32::from_be_bytes(*n) as usize),
        // A blank line, whatever the lines end with.
        _ => {
            let mut fresh = false;
            let mut at = 0;
            while let Some(byte) = bytes.get(at) {
                let end = match (byte, bytes.get(at + 1)) {
                    (b'\r', Some(b'\n')) => 2,
                    (b'\r' | b'\n', _) => 1,
                    _ => 0,
                };
                at += end.max(1);
                if end > 0 && fresh {
                    return at;
                }
                fresh = end > 0;
            }
            all
        }
    }
}
