//! Serves the cassettes of a directory: an upstream that says again what others said, at any speed, and fails where it is told to.
//!
//! The first segment of a path says which provider is meant: `/openai/v1/chat/completions`.

use super::scrub::Scrub;
use super::shelf::{Miss, Shelf};
use super::tape::{Raw, request};
use super::twist::twist;
use super::{Cassette, End, Request};
use crate::fault::{Fault, Mode};
use crate::http::{Answer, Framing, Incoming, Outgoing, Server, Step, listen};
use crate::journal::Journal;
use crate::sim::ask::{Refusal, Why};
use crate::sim::speak::speaker;
use anyhow::bail;
use slip_ir::Dialect;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What a miss is answered with. It is a status that no cassette has, and one whose words a gateway passes on to its caller.
pub const MISS: u16 = 451;
/// Misses whose words are kept for who asks at the end.
const MAX_MISSES: usize = 20;

/// How fast a recorded reply is said again.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Speed {
    /// Without any pause.
    #[default]
    Max,
    /// So many times as fast as it was.
    Times(f64),
}

impl FromStr for Speed {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Speed> {
        if text == "max" {
            return Ok(Speed::Max);
        }
        match text.trim_end_matches('x').parse::<f64>() {
            Ok(times) if (0.001..=1_000_000.0).contains(&times) => Ok(Speed::Times(times)),
            _ => bail!("a speed is max, or how many times as fast (1, 10, 0.5): {text:?}"),
        }
    }
}

impl Speed {
    fn at(self, ms: u64) -> Duration {
        match self {
            Speed::Max => Duration::ZERO,
            Speed::Times(times) => Duration::try_from_secs_f64(ms as f64 / 1000.0 / times).unwrap_or_default(),
        }
    }
}

/// A fault and whom it strikes: `[PROVIDER=]MODE[@RATE]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Strike {
    /// `None`: whoever is asked.
    pub provider: Option<String>,
    pub fault: Fault,
}

impl FromStr for Strike {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Strike> {
        let (provider, rest) = match text.split_once('=') {
            Some((provider, rest)) => (Some(provider.to_owned()), rest),
            None => (None, text),
        };
        let (mode, rate) = match rest.split_once('@') {
            None => (rest, 1.0),
            Some((mode, rate)) => match rate.parse::<f64>() {
                Ok(rate) if (0.0..=1.0).contains(&rate) => (mode, rate),
                _ => bail!("how often a fault strikes is a number from 0 to 1: {rate:?}"),
            },
        };
        Ok(Strike { provider, fault: Fault { mode: mode.parse()?, rate } })
    }
}

impl fmt::Display for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(provider) = &self.provider {
            write!(f, "{provider}=")?;
        }
        write!(f, "{}", self.fault.mode)?;
        if self.fault.rate < 1.0 {
            write!(f, "@{}", self.fault.rate)?;
        }
        Ok(())
    }
}

#[derive(Clone, Debug)]
pub struct PlayerConfig {
    pub speed: Speed,
    /// The first that is meant for a provider counts.
    pub strikes: Vec<Strike>,
    pub seed: u64,
    pub listen: SocketAddr,
}

impl Default for PlayerConfig {
    fn default() -> PlayerConfig {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        PlayerConfig { speed: Speed::Max, strikes: Vec::new(), seed: 1, listen }
    }
}

/// Running. Dropping it stops it.
pub struct Player {
    server: Server,
    desk: Arc<Desk>,
    journal: Journal,
}

struct Desk {
    shelf: Shelf,
    config: PlayerConfig,
    scrub: Scrub,
    dice: Mutex<fastrand::Rng>,
    played: AtomicU64,
    missed: AtomicU64,
    misses: Mutex<Vec<Miss>>,
}

impl Player {
    pub async fn start(shelf: Shelf, config: PlayerConfig) -> anyhow::Result<Player> {
        let journal = Journal::new();
        let listen_on = config.listen;
        let desk = Arc::new(Desk {
            shelf,
            dice: Mutex::new(fastrand::Rng::with_seed(config.seed)),
            config,
            scrub: Scrub::default(),
            played: AtomicU64::new(0),
            missed: AtomicU64::new(0),
            misses: Mutex::default(),
        });
        let server = listen(listen_on, desk.clone(), journal.clone()).await?;
        Ok(Player { server, desk, journal })
    }

    pub fn addr(&self) -> SocketAddr {
        self.server.addr
    }

    /// Where a provider is found that was recorded below this path.
    pub fn base_url(&self, provider: &str, path: &str) -> String {
        format!("http://{}/{provider}{path}", self.server.addr)
    }

    pub fn shelf(&self) -> &Shelf {
        &self.desk.shelf
    }

    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Requests answered from a cassette, and those without one.
    pub fn counts(&self) -> (u64, u64) {
        (self.desk.played.load(Ordering::Relaxed), self.desk.missed.load(Ordering::Relaxed))
    }

    /// What there was no cassette for: those not told of yet, each once.
    pub fn misses(&self) -> Vec<Miss> {
        std::mem::take(&mut *self.desk.misses.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Answer for Desk {
    fn answer(&self, incoming: &Incoming) -> Outgoing {
        let rest = incoming.target.strip_prefix('/').unwrap_or(&incoming.target);
        let (provider, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let dialect = spoken(path);
        let asked: Vec<(&str, &str)> = incoming.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let raw = Raw {
            provider,
            method: &incoming.method,
            path,
            asked: &asked,
            body: &incoming.body,
            status: 0,
            told: &[],
            head_ms: 0,
            pieces: &[],
            end: End::Whole,
        };
        let found = match request(&raw, &self.scrub) {
            Ok(request) => self.shelf.find(provider, &request).map_err(|miss| (miss, model(&request, path))),
            Err(_) => Err((Miss { says: "no cassette: this request could not have been kept".into() }, String::new())),
        };
        match found {
            Ok(cassette) => {
                self.played.fetch_add(1, Ordering::Relaxed);
                match self.strikes(provider) {
                    None => play(cassette, self.config.speed),
                    Some(mode) => twist(cassette, self.config.speed, incoming, dialect, &mode),
                }
            }
            Err((miss, model)) => {
                self.missed.fetch_add(1, Ordering::Relaxed);
                let says = format!("{} (the model: {model})", miss.says);
                let mut misses = self.misses.lock().unwrap_or_else(PoisonError::into_inner);
                if misses.len() < MAX_MISSES && !misses.contains(&miss) {
                    misses.push(miss);
                }
                drop(misses);
                let told = speaker(dialect).refusal(&Refusal::new(MISS, Why::NotFound, says), 0);
                Outgoing::json(MISS, &told.body)
            }
        }
    }
}

impl Desk {
    fn strikes(&self, provider: &str) -> Option<Mode> {
        let mine = |strike: &&Strike| strike.provider.as_deref().is_none_or(|one| one == provider);
        let fault = &self.config.strikes.iter().find(mine)?.fault;
        let hit = fault.rate >= 1.0 || self.dice.lock().unwrap_or_else(PoisonError::into_inner).f64() < fault.rate;
        hit.then(|| fault.mode.clone())
    }
}

fn model(request: &Request, path: &str) -> String {
    let body = match &request.body {
        super::Data::Json(value) => value["model"].as_str(),
        _ => None,
    };
    body.unwrap_or_else(|| path.rsplit('/').next().unwrap_or(path)).to_owned()
}

/// The words of the dialect that is spoken at this path.
pub(super) fn spoken(path: &str) -> Dialect {
    let path = path.split('?').next().unwrap_or(path);
    let rows = [
        ("/chat/completions", Dialect::OpenAiChat),
        ("/messages", Dialect::Anthropic),
        ("/responses", Dialect::Responses),
        ("/completions", Dialect::Completions),
        ("/api/chat", Dialect::Ollama),
        ("/api/generate", Dialect::OllamaGenerate),
        ("/api/embed", Dialect::Ollama),
        ("/v2/chat", Dialect::Cohere),
        ("/converse", Dialect::Bedrock),
        ("/converse-stream", Dialect::Bedrock),
        (":generateContent", Dialect::Gemini),
        (":streamGenerateContent", Dialect::Gemini),
    ];
    rows.iter().find(|(end, _)| path.ends_with(end)).map_or(Dialect::OpenAiChat, |(_, dialect)| *dialect)
}

/// As it was.
fn play(cassette: &Cassette, speed: Speed) -> Outgoing {
    let reply = &cassette.reply;
    let mut out = Outgoing::plain(reply.status, "", "");
    out.headers = headers(cassette);
    out.steps = vec![Step::Wait(speed.at(reply.ms)), Step::Head];
    out.coalesce = false;
    match &reply.body {
        Some(data) => {
            let bytes = data.bytes().unwrap_or_default();
            // A body that broke off was promised longer than it came.
            let more = if reply.end == End::Whole { 0 } else { 1 };
            out.framing = Framing::Length(bytes.len() as u64 + more);
            out.steps.push(Step::Send { bytes, tokens: 0 });
            out.coalesce = true;
        }
        None => {
            out.framing = Framing::Chunked;
            let mut before = reply.ms;
            for chunk in &reply.chunks {
                out.steps.push(Step::Wait(speed.at(chunk.ms.saturating_sub(before))));
                out.steps.push(Step::Send { bytes: chunk.data.bytes().unwrap_or_default(), tokens: 0 });
                before = before.max(chunk.ms);
            }
        }
    }
    out.steps.retain(|step| *step != Step::Wait(Duration::ZERO));
    out.steps.push(if reply.end == End::Whole { Step::End } else { Step::Cut });
    out
}

/// How the body is framed is ours to say.
pub(super) fn headers(cassette: &Cassette) -> Vec<(String, String)> {
    let ours = ["content-length", "transfer-encoding", "connection"];
    let clean = |text: &str| text.chars().all(|c| !c.is_control());
    let theirs = cassette
        .reply
        .headers
        .iter()
        .filter(|(name, value)| !ours.contains(&name.to_ascii_lowercase().as_str()) && clean(name) && clean(value));
    theirs.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// When the first content may come, at this speed.
pub(super) fn first(cassette: &Cassette, speed: Speed) -> Duration {
    speed.at(cassette.reply.chunks.first().map_or(cassette.reply.ms, |chunk| chunk.ms))
}
