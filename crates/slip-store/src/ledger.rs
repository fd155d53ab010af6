//! The way records leave the request path: room is reserved before the upstream is called, and writing can then neither block
//! nor fail. A record can be read from the moment it is written.

use crate::generations::Generation;
use crate::journal::{Journal, OnDisk, Opening, Segment};
use crate::scopes::{Scopes, Standing};
use crate::writer::{Letter, Sheet};
use slip_ir::Nano;
use slip_quota::{Denied, Held, Moment};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// Requests under way and records not yet written, together. When the disk cannot keep up, new requests are turned away here
/// rather than their records lost.
pub const CAPACITY: usize = 8192;

/// Records kept in memory after they are on disk, in each shard.
const KEPT: usize = 8;
/// Each shard is locked for one map operation at a time.
const SHARDS: usize = 16;

/// Bytes of most records' JSON.
const USUAL: usize = 768;

/// No room for another record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the ledger has no room for another record")
    }
}

impl std::error::Error for Full {}

/// Where records are handed in. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    pub(crate) to_writer: mpsc::Sender<Letter>,
    pub(crate) hot: Arc<Hot>,
    /// Absent in memory.
    pub(crate) journal: Option<Arc<Journal>>,
}

/// What is known of records without asking the database.
#[derive(Default)]
pub(crate) struct Hot {
    pub recent: Recent,
    pub scopes: Scopes,
}

impl Ledger {
    /// Room for one record, held until it is written or the slot is dropped. The money of a key that is known is counted where it
    /// stands.
    pub fn reserve(&self, standing: Option<Arc<Standing>>) -> Result<Slot, Full> {
        let permit = self.to_writer.clone().try_reserve_owned().map_err(|_| Full)?;
        Ok(Slot { permit, hot: self.hot.clone(), journal: self.journal.clone(), opened: None, standing, held: None })
    }

    /// A record written lately.
    pub fn recent(&self, id: &str) -> Option<Arc<Generation>> {
        self.hot.recent.get(id)
    }

    /// Slots held and records waiting to be written.
    pub fn backlog(&self) -> usize {
        self.to_writer.max_capacity().saturating_sub(self.to_writer.capacity())
    }
}

/// Room for one record.
pub struct Slot {
    permit: mpsc::OwnedPermit<Letter>,
    hot: Arc<Hot>,
    journal: Option<Arc<Journal>>,
    /// The file of the journal that says this request is under way.
    opened: Option<Arc<Segment>>,
    standing: Option<Arc<Standing>>,
    held: Option<Held>,
}

impl Slot {
    /// Where the caller's key stands.
    pub fn standing(&self) -> Option<&Arc<Standing>> {
        self.standing.as_ref()
    }

    /// Set money aside in every scope the request lies in, or in none: `want`, or what there is if that is `least` or more. What was
    /// held before is given back first. Says how much is held.
    pub fn hold(&mut self, want: Nano, least: Nano, byok: bool, now: impl Into<Moment>) -> Result<Nano, Denied> {
        self.held = None;
        let Some(standing) = &self.standing else { return Ok(want) };
        let held = standing.quota.hold(want, least, byok, now)?;
        let amount = held.amount();
        self.held = Some(held);
        Ok(amount)
    }

    /// Hold more. Says how much more.
    pub fn top_up(&mut self, want: Nano, least: Nano, now: impl Into<Moment>) -> Result<Nano, Denied> {
        self.held.as_mut().map_or(Ok(want), |held| held.top_up(want, least, now))
    }

    /// Say that the request is about to be sent upstream, or how far its answer has come: what is known of it should this process
    /// end before the record is written. To be called before the first byte is sent; again whenever more is known.
    pub fn open(&mut self, opening: &Opening<'_>) -> Result<(), Full> {
        if let Some(journal) = &self.journal {
            self.opened = Some(journal.open(opening)?);
        }
        Ok(())
    }

    /// Wait for the last of these, where it is to be on the disk before anything is sent.
    pub fn on_disk(&self) -> OnDisk {
        let opened = self.journal.as_ref().zip(self.opened.as_ref());
        opened.map_or_else(OnDisk::default, |(journal, opened)| journal.on_disk(opened))
    }

    /// Hand the record in. When this returns it can be read, is counted in what its key has spent, and outlives this process. What it
    /// gives is to be waited for where it shall outlive a loss of power.
    pub fn write(self, record: Generation) -> OnDisk {
        let (mut detail, mut closed) = (None, None);
        if let Some(journal) = &self.journal
            && let Ok(text) = written(&record)
        {
            // A disk that has no room for it has none for the database either: the record waits in memory as it would for that.
            closed = journal.close(&record, &text).ok();
            detail = Some(text);
        }
        let record = Arc::new(record);
        let standing = self.standing.or_else(|| {
            let key = record.key_hash.as_ref()?;
            Some(self.hot.scopes.of(key, &record.workspace, record.member.as_ref()))
        });
        if let Some(standing) = standing {
            // A hold of nothing is always granted.
            let held = self.held.or_else(|| standing.quota.hold(Nano(0), Nano(0), record.byok, record.created_ms).ok());
            if let Some(held) = held {
                held.settle(record.cost, record.own_key_cost(), record.created_ms);
            }
        }
        let written = self.journal.as_ref().zip(closed.as_ref());
        let on_disk = written.map_or_else(OnDisk::default, |(journal, closed)| journal.on_disk(closed));
        self.hot.recent.put(record.clone());
        self.permit.send(Letter::Record(Sheet { record, detail, _held: [self.opened, closed] }));
        on_disk
    }
}

/// Its JSON, in room that most fit in: a text that grows as it is written is moved several times.
fn written(record: &Generation) -> serde_json::Result<String> {
    let mut text = Vec::with_capacity(USUAL);
    serde_json::to_writer(&mut text, record)?;
    String::from_utf8(text).map_err(serde::ser::Error::custom)
}

/// The last records. Each shard is a queue, oldest first: putting is what every request does, so it is kept to a push; finding
/// is rare and may walk.
#[derive(Default)]
pub(crate) struct Recent([Mutex<VecDeque<Arc<Generation>>>; SHARDS]);

impl Recent {
    pub fn put(&self, record: Arc<Generation>) {
        let mut shard = self.shard(&record.id);
        shard.push_back(record);
        let evicted = if shard.len() > CAPACITY / SHARDS { shard.pop_front() } else { None };
        drop(shard);
        drop(evicted); // freed outside the lock
    }

    /// Let go of what is on disk. Done by the writer, who has just had all of it in hand: whoever is handed a request would have to
    /// fetch it from far away only to free it.
    pub fn trim(&self) {
        let mut evicted = Vec::new();
        for shard in &self.0 {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            // A record nobody else holds has left the writer.
            while shard.len() > KEPT && shard.front().is_some_and(|oldest| Arc::strong_count(oldest) == 1) {
                evicted.extend(shard.pop_front());
            }
        }
    }

    pub fn get(&self, id: &str) -> Option<Arc<Generation>> {
        self.shard(id).iter().rev().find(|record| record.id == id).cloned()
    }

    fn shard(&self, id: &str) -> MutexGuard<'_, VecDeque<Arc<Generation>>> {
        let last = id.bytes().last().unwrap_or_default();
        self.0[usize::from(last) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
