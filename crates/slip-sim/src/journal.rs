//! What an upstream was asked, how much it answered, and whether the client stayed. Bounded: the oldest entries go first.

use crate::http::{Incoming, Outgoing};
use bytes::Bytes;
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Enough for any test; a benchmark only needs the count.
const MAX_ENTRIES: usize = 4096;
/// All bodies together: a benchmark with 100 KB bodies must not fill the memory.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// One request received. Credentials are kept as they came: this is a test double.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// Counts from 0 and is never reused.
    pub seq: u64,
    /// Since the upstream was started.
    pub at: Duration,
    pub method: String,
    /// Path and query.
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    /// The model asked for, once understood.
    pub model: Option<String>,
    /// The fault that was applied.
    pub fault: Option<String>,
    /// The status that was sent, once it was.
    pub status: Option<u16>,
    /// Tokens of the answer that were written to the socket.
    pub emitted: u64,
    /// What the provider would put on the bill: nothing for a refused request; the prompt and the whole answer for a plain reply;
    /// the prompt and what was generated up to the end or the cancel for a stream.
    pub billed_prompt: u64,
    pub billed_completion: u64,
    /// When the client left before the answer was complete, since the request was read.
    pub cancelled: Option<Duration>,
    /// When we were through with it, since the request was read.
    pub finished: Option<Duration>,
}

impl Entry {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// The body as JSON; null when it is not.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// Cheap to clone; all clones are the same journal.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Inner>,
}

struct Inner {
    started: Instant,
    book: Mutex<Book>,
    changed: Notify,
}

#[derive(Default)]
struct Book {
    entries: VecDeque<Entry>,
    total: u64,
    body_bytes: usize,
}

impl Default for Journal {
    fn default() -> Journal {
        Journal::new()
    }
}

impl Journal {
    pub fn new() -> Journal {
        let inner = Inner { started: Instant::now(), book: Mutex::default(), changed: Notify::new() };
        Journal { inner: Arc::new(inner) }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.inner.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entries still kept, oldest first.
    pub fn entries(&self) -> Vec<Entry> {
        self.book().entries.iter().cloned().collect()
    }

    pub fn last(&self) -> Option<Entry> {
        self.book().entries.back().cloned()
    }

    /// Requests received since the start, forgotten ones included.
    pub fn total(&self) -> u64 {
        self.book().total
    }

    /// Forget the entries; the count goes on.
    pub fn clear(&self) {
        let mut book = self.book();
        book.entries.clear();
        book.body_bytes = 0;
    }

    /// Wait until the entries satisfy `is`, for at most `patience`; gives the entries either way.
    pub async fn wait_until(&self, patience: Duration, is: impl Fn(&[Entry]) -> bool) -> Vec<Entry> {
        let deadline = Instant::now() + patience;
        loop {
            let changed = self.inner.changed.notified();
            let entries = self.entries();
            if is(&entries) || tokio::time::timeout_at(deadline, changed).await.is_err() {
                return self.entries();
            }
        }
    }

    pub(crate) fn open(&self, request: &Incoming) -> Ticket {
        let read = Instant::now();
        let mut book = self.book();
        let seq = book.total;
        book.total += 1;
        book.body_bytes += request.body.len();
        book.entries.push_back(Entry {
            seq,
            at: read.duration_since(self.inner.started),
            method: request.method.clone(),
            path: request.target.clone(),
            headers: request.headers.clone(),
            body: request.body.clone(),
            ..Entry::default()
        });
        while book.entries.len() > 1 && (book.entries.len() > MAX_ENTRIES || book.body_bytes > MAX_BODY_BYTES) {
            if let Some(old) = book.entries.pop_front() {
                book.body_bytes -= old.body.len();
            }
        }
        drop(book);
        self.inner.changed.notify_waiters();
        Ticket { journal: self.clone(), seq, read }
    }
}

/// The right to add to one entry.
pub(crate) struct Ticket {
    journal: Journal,
    seq: u64,
    read: Instant,
}

impl Ticket {
    fn change(&self, change: impl FnOnce(&mut Entry)) {
        let mut book = self.journal.book();
        let first = book.entries.front().map_or(0, |e| e.seq);
        let at = self.seq.checked_sub(first).and_then(|i| usize::try_from(i).ok());
        if let Some(entry) = at.and_then(|i| book.entries.get_mut(i)) {
            change(entry);
        }
    }

    pub fn planned(&self, reply: &Outgoing) {
        self.change(|entry| {
            entry.model.clone_from(&reply.note.model);
            entry.fault.clone_from(&reply.note.fault);
            entry.billed_prompt = reply.note.prompt_tokens;
        });
    }

    pub fn answered(&self, status: u16) {
        self.change(|entry| entry.status = Some(status));
    }

    pub fn emitted(&self, tokens: u64) {
        if tokens > 0 {
            self.change(|entry| entry.emitted += tokens);
            self.journal.inner.changed.notify_waiters();
        }
    }

    pub fn settle(&self, outcome: crate::http::Outcome, whole: Option<u64>) {
        let took = self.read.elapsed();
        self.change(|entry| {
            entry.billed_completion = whole.unwrap_or(entry.emitted);
            entry.finished = Some(took);
            if outcome == crate::http::Outcome::Gone {
                entry.cancelled = Some(took);
            }
        });
        self.journal.inner.changed.notify_waiters();
    }
}
