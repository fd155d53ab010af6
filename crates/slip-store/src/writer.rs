//! The ledger writer: one thread that owns the writing connection and puts records away in batches.

use crate::database::Database;
use crate::generations::Generation;
use crate::journal::{Journal, Segment};
use crate::ledger::Hot;
use crate::place::Dir;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::park_timeout;
use std::time::Duration;
use tokio::sync::mpsc;

/// Rows per transaction: more gains nothing, and a longer one would keep a change of a key waiting.
const BATCH: usize = 512;
/// How long the first record of a batch waits for company. One commit then serves many records, and a busy gateway wakes this
/// thread twenty times a second rather than once per request.
const LINGER: Duration = Duration::from_millis(50);
/// Between two attempts at a batch the disk refused.
const RETRY: Duration = Duration::from_millis(250);
/// Attempts at the last batches once the store is closing.
const LAST_TRIES: u32 = 8;

pub(crate) type Job = Box<dyn FnOnce(&mut dyn Database) + Send>;

/// What the writer is sent.
pub(crate) enum Letter {
    Record(Sheet),
    /// Runs after every record sent before it is committed.
    Job(Job),
    /// Put away what has been sent, then end.
    Close,
}

/// A record on its way to the database.
pub(crate) struct Sheet {
    pub record: Arc<Generation>,
    /// Its JSON, if that has been written already.
    pub detail: Option<String>,
    /// The files of the journal that must stay until it is committed.
    pub _held: [Option<Arc<Segment>>; 2],
}

/// What others may see of the writer.
#[derive(Default)]
pub(crate) struct Sight {
    /// Why the last attempt to write failed, until one succeeds.
    pub trouble: Mutex<Option<String>>,
    pub closing: AtomicBool,
}

impl Sight {
    fn say(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

pub(crate) struct Writer {
    pub letters: mpsc::Receiver<Letter>,
    pub database: Box<dyn Database>,
    pub observer: Option<crate::Observer>,
    pub sight: Arc<Sight>,
    pub journal: Option<Arc<Journal>>,
    pub hot: Arc<Hot>,
    /// Held until the last record is on disk, so that nobody opens the directory before.
    pub dir: Option<Dir>,
}

impl Writer {
    pub fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut open = true;
        while open {
            let Some(first) = self.letters.blocking_recv() else { break };
            if matches!(first, Letter::Record(_)) {
                // Somebody who waits for a job unparks this thread.
                park_timeout(LINGER);
            }
            let mut next = Some(first);
            while let Some(letter) = next {
                match letter {
                    Letter::Record(sheet) => {
                        if let Some(observer) = &mut self.observer {
                            observer(&sheet.record);
                        }
                        batch.push(sheet);
                    }
                    Letter::Job(job) => {
                        self.put_away(&mut batch);
                        job(&mut *self.database);
                    }
                    Letter::Close => {
                        self.letters.close();
                        open = false;
                    }
                }
                if batch.len() >= BATCH {
                    self.put_away(&mut batch);
                }
                next = self.letters.try_recv().ok();
            }
            self.put_away(&mut batch);
        }
        self.database.tidy();
        drop(self.database);
        drop(self.journal);
        drop(self.dir);
    }

    /// Commit a batch, however long the disk refuses it: meanwhile the ledger fills, and new requests are turned away.
    fn put_away(&mut self, batch: &mut Vec<Sheet>) {
        if batch.is_empty() {
            return;
        }
        let sheets: Vec<_> = batch.iter().map(|sheet| (&*sheet.record, sheet.detail.as_deref())).collect();
        let mut tries = 0;
        while let Err(why) = self.database.put_records(&sheets) {
            self.sight.say(Some(why.to_string()));
            tries += 1;
            if tries >= LAST_TRIES && self.sight.closing.load(Ordering::Acquire) {
                // The journal has them for the next start.
                if let Some(journal) = &self.journal {
                    journal.keep();
                }
                break;
            }
            std::thread::sleep(RETRY);
        }
        if tries < LAST_TRIES {
            self.sight.say(None);
        }
        batch.clear();
        self.hot.recent.trim();
    }
}
