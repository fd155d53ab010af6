//! The decision log: one line of JSON per routed request, of what was known when it was routed and what came of it, for whoever wants
//! to try other rules on yesterday's traffic. Nothing of what was said is in it.
//!
//! Off unless configured. A thread of its own writes; the request path hands over and never waits. What finds no room is dropped and
//! counted, in the metrics and in the log itself.

use crate::config::DecisionLog;
use crate::flow::read::Inbound;
use serde_json::{Value, json};
use slip_ir::{Raw, Tier, Want};
use slip_route::{Candidate, Endpoint, Plan, Refusal, Rule, Vital};
use slip_store::{Attempt, Generation};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};

/// The form of the lines.
const VERSION: u32 = 1;
/// Lines that wait to be written.
const QUEUE: usize = 4096;
/// Endpoints a line tells of: those of the plan, and those refused.
const MOST: usize = 64;
/// Of the caller's `provider` object, when it is no longer than this.
const MAX_RULES: usize = 2048;

/// A log that may be written to. Dropped, its thread ends when everything is written.
pub struct Decisions {
    conf: DecisionLog,
    queue: OnceLock<SyncSender<Box<Line>>>,
    dropped: Arc<AtomicU64>,
}

/// What one line tells.
struct Line {
    decision: Decision,
    row: Generation,
}

struct Decision {
    models: Vec<String>,
    rules: Option<Raw>,
    want: Want,
    ranked: Vec<(Arc<Endpoint>, Candidate)>,
    refused: Vec<(Arc<str>, Rule)>,
}

/// A decision whose outcome is not known yet.
pub struct Entry {
    log: Arc<Decisions>,
    decision: Decision,
}

impl Decisions {
    pub fn new(conf: DecisionLog) -> Decisions {
        Decisions { conf, queue: OnceLock::new(), dropped: Arc::default() }
    }

    pub fn conf(&self) -> &DecisionLog {
        &self.conf
    }

    /// Begin to write. Before that, lines are dropped.
    pub fn start(&self) {
        let (to, from) = sync_channel(QUEUE);
        let mut writer =
            Writer { conf: self.conf.clone(), file: None, size: 0, dropped: self.dropped.clone(), told: 0 };
        let thread = std::thread::Builder::new().name("decisions".to_owned()).spawn(move || writer.run(&from));
        match thread {
            Ok(_) => {
                let _ = self.queue.set(to);
            }
            Err(e) => tracing::error!("the decision log has no thread to write it: {e}"),
        }
    }

    /// Lines that found no room, or could not be written.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// What is known when a request has been routed.
    pub fn entry(self: &Arc<Self>, inbound: &Inbound, plan: &Plan, refusals: &[Refusal]) -> Box<Entry> {
        let peek = &inbound.peek;
        let names = peek.model.iter().chain(peek.models.iter().filter(|m| Some(*m) != peek.model.as_ref()));
        let ranked = plan.line().filter_map(|(candidate, endpoint)| Some((endpoint?.clone(), *candidate)));
        let decision = Decision {
            models: names.take(MOST).cloned().collect(),
            rules: peek.provider.clone().filter(|raw| raw.as_str().len() <= MAX_RULES),
            want: Want { sealed: Vec::new(), ..peek.want.clone() },
            ranked: ranked.take(MOST).collect(),
            refused: refusals.iter().take(MOST).map(|r| (r.endpoint.tag.clone(), r.rule.clone())).collect(),
        };
        Box::new(Entry { log: self.clone(), decision })
    }
}

impl Entry {
    /// What came of it.
    pub fn end(self, row: &Generation) {
        let line = Box::new(Line { decision: self.decision, row: row.clone() });
        let sent = match self.log.queue.get() {
            Some(queue) => queue.try_send(line),
            None => Err(TrySendError::Disconnected(line)),
        };
        if sent.is_err() {
            self.log.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Line {
    fn json(&self) -> Value {
        let (mut line, outcome) = (self.decision.json(&self.row), outcome(&self.row));
        if let (Value::Object(line), Value::Object(outcome)) = (&mut line, outcome) {
            line.extend(outcome);
        }
        line
    }
}

impl Decision {
    /// What was asked, and what was known.
    fn json(&self, row: &Generation) -> Value {
        let Decision { models, rules, want, ranked, refused } = self;
        let ranked: Vec<Value> = ranked.iter().map(|(endpoint, candidate)| known(endpoint, candidate)).collect();
        let refused = refused.iter().map(|(tag, rule)| json!({ "endpoint": &**tag, "rule": rule.name() }));
        json!({
            "v": VERSION,
            "at_ms": row.created_ms,
            "id": row.id,
            "models": models,
            "provider": rules.as_ref().map(Raw::value),
            "operation": want.op.name(),
            "stream": want.stream,
            "tools": want.tools,
            "json_object": want.json_object,
            "json_schema": want.json_schema,
            "reasoning": want.reasoning,
            "media": want.media.iter().map(|kind| kind.name()).collect::<Vec<_>>(),
            "parameters": want.params,
            "prompt_tokens": want.prompt_tokens,
            "max_tokens": want.max_tokens,
            "choices": want.n.max(1),
            "service_tier": want.tier.map(Tier::name),
            "strategy": row.strategy,
            "chosen_by": row.chosen_by,
            "endpoints": ranked,
            "refused": refused.collect::<Vec<_>>(),
        })
    }
}

/// What came of it.
fn outcome(row: &Generation) -> Value {
    let tokens = &row.tokens;
    json!({
        "attempts": row.attempts.iter().map(tried).collect::<Vec<_>>(),
        "status": row.status,
        "cancelled": row.cancelled,
        "error": row.error.as_ref().map(|error| error.kind),
        "finish": row.finish.map(|finish| finish.name()),
        "usage": {
            "prompt": tokens.prompt_total(),
            "cached": tokens.cache_read,
            "completion": tokens.completion_total(),
            "estimated": tokens.estimated,
        },
        "cost_nano": row.cost_known.then_some(row.cost.0),
        "ttft_ms": row.ttft_ms,
        "total_ms": row.total_ms,
        "overhead_us": row.overhead_us,
    })
}

/// An endpoint of the plan, with the facts it was ordered by.
fn known(endpoint: &Endpoint, candidate: &Candidate) -> Value {
    let Vital { odds, ttft_ms, tokens_per_second, output_tokens, cached_permille, in_flight, .. } = candidate.live;
    let mut told = json!({
        "endpoint": &*endpoint.tag,
        "provider": &*endpoint.provider,
        "model": &*endpoint.model.id,
        "price_nano": candidate.price.map(|price| price.0),
        "sticky": candidate.sticky,
        "cooled": candidate.cooled(),
        "score": (candidate.score > 0.0).then_some(candidate.score),
        "odds": odds,
        "ttft_ms": ttft_ms,
        "tokens_per_second": tokens_per_second,
        "output_tokens": output_tokens,
        "cached_permille": cached_permille,
        "in_flight": in_flight,
    });
    if candidate.holder.is_own() {
        told["credential"] = json!(candidate.holder.name());
    }
    told
}

fn tried(attempt: &Attempt) -> Value {
    json!({
        "endpoint": &*attempt.endpoint,
        "status": attempt.status,
        "ms": attempt.latency_ms,
        "fault": attempt.fault,
    })
}

/// The thread's own.
struct Writer {
    conf: DecisionLog,
    file: Option<BufWriter<File>>,
    size: u64,
    dropped: Arc<AtomicU64>,
    /// How many of the dropped the log has told of.
    told: u64,
}

impl Writer {
    fn run(&mut self, from: &Receiver<Box<Line>>) {
        while let Ok(first) = from.recv() {
            let mut next = Some(first);
            while let Some(line) = next {
                let missing = self.dropped.load(Ordering::Relaxed) - self.told;
                if missing > 0 {
                    self.told += missing;
                    self.put(&json!({ "v": VERSION, "dropped": missing }));
                }
                self.put(&line.json());
                next = from.try_recv().ok();
            }
            if let Some(file) = &mut self.file
                && file.flush().is_err()
            {
                self.file = None;
            }
        }
    }

    fn put(&mut self, line: &Value) {
        let mut text = line.to_string();
        text.push('\n');
        if let Err(e) = self.append(text.as_bytes()) {
            tracing::error!("the decision log cannot be written: {}: {e}", self.conf.path.display());
            self.file = None;
            // The log cannot tell of what it cannot write; the metrics do.
            self.dropped.fetch_add(1, Ordering::Relaxed);
            self.told += 1;
        }
    }

    fn append(&mut self, line: &[u8]) -> std::io::Result<()> {
        if self.file.is_some() && self.size + line.len() as u64 > self.conf.max_bytes {
            if let Some(mut full) = self.file.take() {
                full.flush()?;
            }
            rotate(&self.conf.path, self.conf.keep)?;
        }
        if self.file.is_none() {
            let file = open(&self.conf.path)?;
            self.size = file.metadata()?.len();
            self.file = Some(BufWriter::new(file));
        }
        if let Some(file) = &mut self.file {
            file.write_all(line)?;
            self.size += line.len() as u64;
        }
        Ok(())
    }
}

/// For its owner alone: it says who used what.
fn open(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// `path.1` is the youngest of the old ones.
fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn rotate(path: &Path, keep: u32) -> std::io::Result<()> {
    if keep == 0 {
        return std::fs::remove_file(path);
    }
    for number in (1..keep).rev() {
        let old = numbered(path, number);
        if old.exists() {
            std::fs::rename(old, numbered(path, number + 1))?;
        }
    }
    std::fs::rename(path, numbered(path, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("slipswitch-decisions-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    fn writer(path: PathBuf, max_bytes: u64, keep: u32) -> Writer {
        Writer { conf: DecisionLog { path, max_bytes, keep }, file: None, size: 0, dropped: Arc::default(), told: 0 }
    }

    #[test]
    fn a_full_file_makes_room_and_only_so_many_are_kept() {
        let dir = scratch("rotate");
        let path = dir.join("log");
        let mut writer = writer(path.clone(), 40, 2);
        for n in 0..8 {
            writer.append(format!("line {n} of the log\n").as_bytes()).unwrap();
        }
        drop(writer);
        let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(read(&path), "line 6 of the log\nline 7 of the log\n");
        assert_eq!(read(&numbered(&path, 1)), "line 4 of the log\nline 5 of the log\n");
        assert_eq!(read(&numbered(&path, 2)), "line 2 of the log\nline 3 of the log\n");
        assert!(!numbered(&path, 3).exists());
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_is_there_already_is_added_to() {
        let dir = scratch("append");
        let path = dir.join("log");
        for _ in 0..2 {
            writer(path.clone(), 1_000, 1).append(b"one\n").unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\none\n");
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_cannot_be_written_is_counted() {
        let mut writer = writer(PathBuf::from("/dev/null/log"), 1_000, 1);
        writer.put(&json!({}));
        assert_eq!((writer.dropped.load(Ordering::Relaxed), writer.told), (1, 1));
    }
}
