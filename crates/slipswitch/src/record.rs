//! `slipswitch record`: the gateway as `serve` runs it, and a thread that keeps what passes to and from providers as cassettes.
//!
//! Requests never wait for it: what passed is handed over by a bounded queue (`slip_server::upstream::tap`), and what does not fit,
//! or cannot be written, is counted and told.

mod gateway;

use crate::cli;
use crate::exit::{Code, Ending};
use anstream::eprintln;
use slip_server::config::{self, Checked};
use slip_server::upstream::tap::{Dropped, Ending as Ended, Exchange, Recorder};
use slip_server::world::World;
use slip_sim::cassette::{self, Cassette, End, Raw, Scrub};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the thread looks whether it is over.
const LOOK: Duration = Duration::from_millis(50);
/// At the end, what is still in the queue may take this long; a disk that hangs must not keep us.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Header names whose values are no secret. Everything else that is sent to a provider is taken for one.
const HARMLESS: [&str; 13] = [
    "host",
    "user-agent",
    "accept",
    "content-type",
    "content-length",
    "anthropic-version",
    "anthropic-beta",
    "x-amz-date",
    "x-amz-content-sha256",
    "x-amz-target",
    "extra-parameters",
    "http-referer",
    "x-title",
];

pub async fn record(args: cli::Record) -> Result<(), Ending> {
    let size = |name: &str, text: &str| {
        config::size(text).map_err(|e| Ending::new(Code::Usage, format!("error: {name}: {e}")))
    };
    let limits = Limits {
        cassette: size("--max-cassette", &args.max_cassette)?,
        dir: size("--max-dir", &args.max_dir)?,
        count: args.max_cassettes,
    };
    let recording = Arc::new(Recording::begin(&args.to, limits)?);
    eprintln!(
        "Recording to {}. Prompts and answers are kept; secrets are taken out as far as they are known.",
        args.to.display()
    );
    let ended = crate::serve::serve(args.serve, Some(recording.clone())).await;
    let told = tokio::task::spawn_blocking(move || recording.close()).await;
    eprintln!("{}", told.unwrap_or_default());
    ended
}

#[derive(Clone, Copy)]
struct Limits {
    cassette: u64,
    dir: u64,
    count: u64,
}

/// A recording under way.
pub struct Recording {
    dir: PathBuf,
    recorder: Arc<Recorder>,
    scrub: Arc<Mutex<Scrub>>,
    kept: Arc<AtomicU64>,
    closing: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Recording {
    fn begin(dir: &Path, limits: Limits) -> Result<Recording, Ending> {
        let unusable = |e: &dyn std::fmt::Display| {
            Ending::new(Code::Unavailable, format!("error: cannot record to {}: {e}", dir.display()))
        };
        std::fs::create_dir_all(dir).map_err(|e| unusable(&e))?;
        let shelf = Room::look(dir, limits).map_err(|e| unusable(&e))?;
        let largest = usize::try_from(limits.cassette).unwrap_or(usize::MAX);
        let (recorder, out) = Recorder::new(largest);
        let (scrub, kept, closing) =
            (Arc::<Mutex<Scrub>>::default(), Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let mut writer = Writer {
            dir: dir.to_owned(),
            recorder: recorder.clone(),
            scrub: scrub.clone(),
            kept: kept.clone(),
            closing: closing.clone(),
            room: shelf,
        };
        let thread = std::thread::Builder::new().name("slip-record".to_owned()).spawn(move || writer.run(&out));
        let thread = Mutex::new(Some(thread.map_err(|e| unusable(&e))?));
        Ok(Recording { dir: dir.to_owned(), recorder, scrub, kept, closing, thread })
    }

    /// Listen to a world, and write down what is needed to play it: the gateway without its secrets.
    pub fn adopt(&self, conf: &Checked, world: &mut World) -> Result<(), Ending> {
        world.record(&self.recorder);
        let scrub = gateway::secrets(conf, &crate::env);
        let text = gateway::describe(conf, world, &scrub);
        *self.scrub.lock().unwrap_or_else(PoisonError::into_inner) = scrub;
        let path = self.dir.join(cassette::GATEWAY);
        std::fs::write(&path, text)
            .map_err(|e| Ending::new(Code::Unavailable, format!("error: cannot write {}: {e}", path.display())))
    }

    /// Let the queue run empty. What was kept, and what was not and why.
    fn close(&self) -> String {
        self.closing.store(true, Ordering::SeqCst);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut patience = LAST_WORDS;
        while thread.as_ref().is_some_and(|t| !t.is_finished()) && !patience.is_zero() {
            std::thread::sleep(LOOK);
            patience = patience.saturating_sub(LOOK);
        }
        let kept = self.kept.load(Ordering::SeqCst);
        let mut told = format!("Recorded {kept} {} to {}.", noun(kept), self.dir.display());
        let dropped: Vec<String> = Dropped::ALL
            .iter()
            .map(|why| (self.recorder.dropped(*why), *why))
            .filter(|(n, _)| *n > 0)
            .map(|(n, why)| format!("{n} ({})", reason(why)))
            .collect();
        if !dropped.is_empty() {
            told.push_str(&format!(" Not kept: {}.", dropped.join(", ")));
        }
        told
    }
}

fn noun(n: u64) -> &'static str {
    if n == 1 { "exchange" } else { "exchanges" }
}

fn reason(why: Dropped) -> &'static str {
    match why {
        Dropped::Busy => "the disk was too slow",
        Dropped::TooLarge => "larger than --max-cassette",
        Dropped::Full => "the directory is at --max-dir or --max-cassettes",
        Dropped::Disk => "it could not be written",
        Dropped::Secret => "a secret in it could not be taken out",
    }
}

/// How full the directory is.
struct Room {
    limits: Limits,
    count: u64,
    bytes: u64,
    /// Takes by the name before them.
    takes: HashMap<String, u32>,
}

impl Room {
    fn look(dir: &Path, limits: Limits) -> std::io::Result<Room> {
        let mut room = Room { limits, count: 0, bytes: 0, takes: HashMap::new() };
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some((stem, take)) = name.strip_suffix(".json").and_then(|stem| stem.rsplit_once('.')) else {
                continue;
            };
            let Ok(take) = take.parse::<u32>() else { continue };
            room.count += 1;
            room.bytes += entry.metadata()?.len();
            let last = room.takes.entry(stem.to_owned()).or_default();
            *last = take.max(*last);
        }
        Ok(room)
    }

    fn fits(&self, bytes: u64) -> Result<(), Dropped> {
        if bytes > self.limits.cassette {
            return Err(Dropped::TooLarge);
        }
        let full = self.count >= self.limits.count || self.bytes.saturating_add(bytes) > self.limits.dir;
        if full { Err(Dropped::Full) } else { Ok(()) }
    }
}

struct Writer {
    dir: PathBuf,
    recorder: Arc<Recorder>,
    scrub: Arc<Mutex<Scrub>>,
    kept: Arc<AtomicU64>,
    closing: Arc<AtomicBool>,
    room: Room,
}

impl Writer {
    fn run(&mut self, out: &Receiver<Exchange>) {
        loop {
            match out.recv_timeout(LOOK) {
                Ok(exchange) => match self.keep(&exchange) {
                    Ok(true) => drop(self.kept.fetch_add(1, Ordering::SeqCst)),
                    Ok(false) => {}
                    Err((why, more)) => {
                        if self.recorder.drops(why) == 0 {
                            let more = more.map(|more| format!(": {more}")).unwrap_or_default();
                            eprintln!("warning: an exchange was not recorded: {}{more}", reason(why));
                        }
                    }
                },
                Err(RecvTimeoutError::Timeout) if !self.closing.load(Ordering::SeqCst) => {}
                Err(_) => return,
            }
        }
    }

    /// False for what is no use to anybody.
    fn keep(&mut self, exchange: &Exchange) -> Result<bool, (Dropped, Option<String>)> {
        let asked = words(&exchange.asked);
        let told = words(&exchange.told);
        let own = asked.iter().filter(|(name, _)| !HARMLESS.contains(name)).map(|(_, value)| *value);
        let scrub = self.scrub.lock().unwrap_or_else(PoisonError::into_inner).clone().secrets(own);
        let raw = Raw {
            provider: &exchange.provider,
            method: &exchange.method,
            path: &exchange.path,
            asked: &asked,
            body: &exchange.body,
            status: exchange.status,
            told: &told,
            head_ms: exchange.head_ms,
            pieces: &exchange.pieces,
            end: match exchange.end {
                Ended::Whole => End::Whole,
                Ended::Broken => End::Broken,
                Ended::Left => End::Left,
            },
        };
        let mut made = cassette::tape(&raw, &scrub).map_err(|_| (Dropped::Secret, None))?;
        if made.reply.end == End::Left && !made.reply.is_stream() {
            return Ok(false);
        }
        let stem = stem(&made);
        made.take = self.room.takes.get(&stem).copied().unwrap_or(0).saturating_add(1);
        let text = made.write();
        self.room.fits(text.len() as u64).map_err(|why| (why, None))?;
        self.write(&made.name(), &text).map_err(|e| (Dropped::Disk, Some(e.to_string())))?;
        self.room.takes.insert(stem, made.take);
        self.room.count += 1;
        self.room.bytes += text.len() as u64;
        Ok(true)
    }

    /// Whole or not at all.
    fn write(&self, name: &str, text: &[u8]) -> std::io::Result<()> {
        let (path, early) = (self.dir.join(name), self.dir.join(format!(".{name}.part")));
        let written = std::fs::write(&early, text).and_then(|()| std::fs::rename(&early, &path));
        if written.is_err() {
            let _ = std::fs::remove_file(&early);
        }
        written
    }
}

/// The name without its take.
fn stem(cassette: &Cassette) -> String {
    let name = cassette.name();
    name.strip_suffix(".json").and_then(|n| n.rsplit_once('.')).map_or(name.clone(), |(stem, _)| stem.to_owned())
}

/// Headers that are text.
fn words(headers: &http::HeaderMap) -> Vec<(&str, &str)> {
    headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect()
}
