//! The tier in memory: entries in shards, each with a lock that is held for microseconds and a policy that decides what stays.
//!
//! Nothing is computed under a lock that grows with an entry: bodies are shared and their checksums are taken outside. Walks
//! through everything (listing, purging) go a few hundred places at a time.

mod shard;
#[cfg(test)]
mod tests;

use crate::Key;
use crate::entry::{Age, Entry, Header};
use crate::policy::{Load, Row};
use shard::Shard;
use slip_ir::Nano;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Locks. More than there are workers on any machine this is likely to run on, and few enough that each has room for many.
const SHARDS: usize = 16;
/// A shard has at least so much room, so that small caches have fewer.
const LEAST_SHARD: u64 = 4 * 1024 * 1024;
/// Places of one shard that a walk looks at before it lets go of the lock.
const STEP: usize = 256;
/// Whoever refreshes a stale entry has so long before another is asked to.
pub const REFRESH_MS: i64 = 30_000;

/// How large, and what is worth what.
#[derive(Clone, Copy)]
pub struct Limits {
    pub bytes: u64,
    /// A larger entry is not kept: it would push out too many. Never more than an eighth of a shard's room is.
    pub entry_bytes: u64,
    /// What a second of waiting is worth, beside the money a hit saves.
    pub per_second: Nano,
    /// What stays: a row of [`crate::policy::POLICIES`].
    pub policy: &'static Row,
}

/// What was found.
#[derive(Clone, Debug)]
pub enum Found {
    Fresh(Arc<Entry>),
    /// Past its time. The first to find it so refreshes it; the others take it meanwhile.
    Stale {
        entry: Arc<Entry>,
        refresh: bool,
    },
    Miss,
}

/// What came of putting something in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    Kept,
    /// What is here is worth more.
    NotWorthIt,
    TooLarge,
    /// It is past its time already.
    Late,
}

/// Counts since the start, but for what is here now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub entries: u64,
    pub bytes: u64,
    pub capacity: u64,
    pub hits: u64,
    pub stale_hits: u64,
    pub misses: u64,
    pub puts: u64,
    /// Not let in by the policy.
    pub refused: u64,
    pub evicted: u64,
    pub expired: u64,
    /// Found, and not what was put in.
    pub corrupt: u64,
    /// What hits did not cost.
    pub saved: Nano,
    pub saved_ms: u64,
}

#[derive(Default)]
struct Counts {
    hits: AtomicU64,
    stale_hits: AtomicU64,
    misses: AtomicU64,
    puts: AtomicU64,
    refused: AtomicU64,
    evicted: AtomicU64,
    expired: AtomicU64,
    corrupt: AtomicU64,
    saved: AtomicU64,
    saved_ms: AtomicU64,
}

fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

/// Which entries a purge or a list is about; what is not said is any.
///
/// ```
/// use slip_cache::Select;
///
/// // What one tenant asked of one author's models:
/// let select = Select { tenant: Some("key_1"), model_prefix: Some("openai/"), ..Select::default() };
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Select<'a> {
    pub tenant: Option<&'a str>,
    pub model: Option<&'a str>,
    pub model_prefix: Option<&'a str>,
    /// The first hexadecimal digits of the key, or all of them.
    pub key_prefix: Option<&'a str>,
    /// Kept before this.
    pub before_ms: Option<i64>,
}

impl Select<'_> {
    pub fn picks(&self, key: &Key, header: &Header) -> bool {
        self.tenant.is_none_or(|tenant| header.tenant == tenant)
            && self.model.is_none_or(|model| header.model == model)
            && self.model_prefix.is_none_or(|prefix| header.model.starts_with(prefix))
            && self.before_ms.is_none_or(|before| header.created_ms < before)
            && self.key_prefix.is_none_or(|prefix| key.to_string().starts_with(prefix))
    }
}

/// What was purged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    pub entries: u64,
    pub bytes: u64,
}

/// One page of a list: what is on it, and where the next begins.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    pub entries: Vec<Arc<Entry>>,
    pub next: Option<u64>,
}

/// The cache in memory. Share it; every method takes `&self`. Times are Unix milliseconds.
///
/// ```
/// use bytes::Bytes;
/// use slip_cache::policy::POLICIES;
/// use slip_cache::{Entry, Form, Found, Header, Keyer, Limits, Put, Scope, Store};
/// use slip_ir::{Dialect, Nano, Op};
///
/// let limits = Limits { bytes: 64 << 20, entry_bytes: 1 << 20, per_second: Nano(100_000), policy: &POLICIES[0] };
/// let store = Store::new(limits);
///
/// // Once per request, with a keyer per worker:
/// let scope = Scope { tenant: "key_1", policy: b"", model: "m/n", op: Op::Chat, dialect: Dialect::OpenAiChat };
/// let key = Keyer::default().key(&scope, br#"{"messages":[{"role":"user","content":"hi"}],"temperature":0}"#)?;
/// let now_ms = 1_795_000_000_000;
/// assert!(matches!(store.get(&key, now_ms), Found::Miss));
///
/// // When the answer is complete:
/// let header = Header {
///     tenant: "key_1".into(),
///     model: "m/n".into(),
///     generation: "gen-1-abc".into(),
///     dialect: Dialect::OpenAiChat,
///     form: Form::Whole,
///     status: 200,
///     created_ms: now_ms,
///     ttl_ms: 300_000,
///     stale_ms: 0,
///     cost: Nano(1_000_000),
///     took_ms: 900,
/// };
/// assert_eq!(store.put(Entry::new(key, header, Bytes::from_static(b"{}")), now_ms), Put::Kept);
///
/// match store.get(&key, now_ms + 1_000) {
///     Found::Fresh(entry) => assert_eq!(&entry.body()[..], b"{}"),
///     // Hand it out; and if `refresh`, ask anew and put that in.
///     Found::Stale { .. } | Found::Miss => unreachable!(),
/// }
/// assert_eq!(store.stats().saved, Nano(1_000_000));
/// # Ok::<(), slip_cache::Refusal>(())
/// ```
pub struct Store {
    shards: Vec<Mutex<Shard>>,
    counts: Counts,
    limits: Limits,
}

impl Store {
    pub fn new(limits: Limits) -> Store {
        let shards = usize::try_from(limits.bytes / LEAST_SHARD).unwrap_or(SHARDS).clamp(1, SHARDS);
        let room = limits.bytes / shards as u64;
        let entry_bytes = limits.entry_bytes.min(room / 8);
        let shard = || Mutex::new(Shard::new((limits.policy.make)(room)));
        Store {
            shards: (0..shards).map(|_| shard()).collect(),
            counts: Counts::default(),
            limits: Limits { entry_bytes, ..limits },
        }
    }

    /// The shard is named by bits that its map does not use.
    fn shard(&self, id: u64) -> MutexGuard<'_, Shard> {
        self.nth((id >> 48) as usize % self.shards.len())
    }

    fn nth(&self, nth: usize) -> MutexGuard<'_, Shard> {
        // Nothing under a lock can panic halfway: what a poisoned one guards is whole.
        self.shards[nth % self.shards.len()].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Look for the answer to a request, and count that it was asked for.
    pub fn get(&self, key: &Key, now_ms: i64) -> Found {
        let (found, refresh) = {
            let mut shard = self.shard(key.id());
            match shard.get(key, now_ms) {
                Some(found) => found,
                None => {
                    drop(shard);
                    add(&self.counts.misses, 1);
                    return Found::Miss;
                }
            }
        };
        let counts = &self.counts;
        let age = found.header.age(now_ms);
        if age == Age::Gone || !found.is_whole() {
            add(if age == Age::Gone { &counts.expired } else { &counts.corrupt }, 1);
            add(&counts.misses, 1);
            self.shard(key.id()).remove_if(key, &found);
            return Found::Miss;
        }
        add(&counts.saved, u64::try_from(found.header.cost.0).unwrap_or(0));
        add(&counts.saved_ms, found.header.took_ms);
        if age == Age::Fresh {
            add(&counts.hits, 1);
            return Found::Fresh(found);
        }
        add(&counts.stale_hits, 1);
        Found::Stale { entry: found, refresh }
    }

    /// Look without counting: for showing one entry to people.
    pub fn peek(&self, key: &Key, now_ms: i64) -> Option<Arc<Entry>> {
        let found = self.shard(key.id()).peek(key)?;
        (found.header.age(now_ms) != Age::Gone && found.is_whole()).then_some(found)
    }

    /// Keep an answer, instead of an older one.
    pub fn put(&self, entry: Entry, now_ms: i64) -> Put {
        let bytes = entry.bytes();
        if bytes > self.limits.entry_bytes {
            return Put::TooLarge;
        }
        if entry.header.age(now_ms) == Age::Gone {
            return Put::Late;
        }
        let load = Load::new(bytes, entry.header.cost, entry.header.took_ms, self.limits.per_second);
        let (kept, gone) = self.shard(entry.key.id()).put(Arc::new(entry), load);
        // What left is let go of here, and not under the lock.
        add(&self.counts.evicted, gone.len() as u64 - u64::from(!kept));
        add(if kept { &self.counts.puts } else { &self.counts.refused }, 1);
        if kept { Put::Kept } else { Put::NotWorthIt }
    }

    /// True if it was here.
    pub fn remove(&self, key: &Key) -> bool {
        let removed = self.shard(key.id()).remove(key);
        removed.is_some()
    }

    /// Take out whatever is picked. What is put in meanwhile may stay.
    pub fn purge(&self, mut pick: impl FnMut(&Key, &Header) -> bool) -> Purged {
        let mut purged = Purged::default();
        for nth in 0..self.shards.len() {
            let mut from = Some(0);
            while let Some(at) = from {
                let (gone, next) = self.nth(nth).purge(at, STEP, &mut pick);
                purged.entries += gone.len() as u64;
                purged.bytes += gone.iter().map(|entry| entry.bytes()).sum::<u64>();
                from = next;
            }
        }
        purged
    }

    /// Take out what is past its time. Call it now and then: what nobody asks for is otherwise there until it is pushed out.
    pub fn expire(&self, now_ms: i64) -> Purged {
        let purged = self.purge(|_, header| header.age(now_ms) == Age::Gone);
        add(&self.counts.expired, purged.entries);
        purged
    }

    /// Some of what is picked, from where the last page ended (0 to begin). In no order that means anything; what was there all the
    /// time is listed once.
    pub fn list(&self, from: u64, most: usize, mut pick: impl FnMut(&Key, &Header) -> bool) -> Listed {
        let (mut nth, mut at) = ((from >> 32) as usize, (from & u64::from(u32::MAX)) as usize);
        let mut entries = Vec::new();
        while nth < self.shards.len() {
            let left = most - entries.len();
            if left == 0 {
                return Listed { entries, next: Some((nth as u64) << 32 | at as u64) };
            }
            match self.nth(nth).list(at, STEP, left, &mut pick, &mut entries) {
                Some(next) => at = next,
                None => (nth, at) = (nth + 1, 0),
            }
        }
        Listed { entries, next: None }
    }

    pub fn stats(&self) -> Stats {
        let (mut entries, mut bytes) = (0, 0);
        for nth in 0..self.shards.len() {
            let shard = self.nth(nth);
            entries += shard.len() as u64;
            bytes += shard.used();
        }
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counts = &self.counts;
        Stats {
            entries,
            bytes,
            capacity: self.limits.bytes,
            hits: of(&counts.hits),
            stale_hits: of(&counts.stale_hits),
            misses: of(&counts.misses),
            puts: of(&counts.puts),
            refused: of(&counts.refused),
            evicted: of(&counts.evicted),
            expired: of(&counts.expired),
            corrupt: of(&counts.corrupt),
            saved: Nano(i64::try_from(of(&counts.saved)).unwrap_or(i64::MAX)),
            saved_ms: of(&counts.saved_ms),
        }
    }
}
