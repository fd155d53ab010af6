//! Answers that are kept to be given again, and those that are on their way to several at once. One per process; whether a request
//! has any of it is for `flow/cached.rs` to say.

use crate::flow::share::Flights;
use crate::{App, clock};
use slip_cache::policy::POLICIES;
use slip_cache::{Key, Limits, Store};
use slip_ir::Nano;
use slip_store::Cached;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The longest an answer is kept: OpenRouter's number.
pub const LONGEST_TTL_S: u32 = 86_400;
/// What a second of waiting is worth, when it is decided what stays: a hundredth of a cent.
const SECOND: Nano = Nano(100_000);

/// How often it is looked whose time is up.
const TIDY: Duration = Duration::from_secs(60);

pub struct Cache {
    pub store: Store,
    pub flights: Arc<Flights>,
    hits: AtomicU64,
    joined: AtomicU64,
    misses: AtomicU64,
    /// Nano-dollars.
    saved: AtomicU64,
}

/// Counts since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    pub hits: u64,
    pub joined: u64,
    pub misses: u64,
    pub saved: Nano,
}

impl Cache {
    pub fn new(memory: u64, largest: u64) -> Cache {
        let limits = Limits { bytes: memory, entry_bytes: largest, per_second: SECOND, policy: &POLICIES[0] };
        Cache {
            store: Store::new(limits),
            flights: Arc::default(),
            hits: AtomicU64::new(0),
            joined: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            saved: AtomicU64::new(0),
        }
    }

    /// A request was answered with another's answer.
    pub fn gave(&self, cached: &Cached) {
        let counter = if cached.how == "joined" { &self.joined } else { &self.hits };
        counter.fetch_add(1, Ordering::Relaxed);
        let saved = cached.saved.map_or(0, |saved| u64::try_from(saved.0).unwrap_or(0));
        self.saved.fetch_add(saved, Ordering::Relaxed);
    }

    /// There was no answer, and somebody is asked.
    pub fn missed(&self) {
        self.misses.fetch_add(1, Ordering::Relaxed);
    }

    pub fn counted(&self) -> Counted {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let saved = Nano(i64::try_from(of(&self.saved)).unwrap_or(i64::MAX));
        Counted { hits: of(&self.hits), joined: of(&self.joined), misses: of(&self.misses), saved }
    }

    /// What is past its time, and asked for by nobody.
    pub async fn tidy(app: Arc<App>) {
        loop {
            tokio::time::sleep(TIDY).await;
            app.cache.store.expire(clock::unix_ms_signed());
        }
    }

    /// What is kept for the key of this hash alone.
    pub fn forget_all_of(&self, hash: &str) {
        self.store.purge(|_, header| header.tenant.strip_prefix("key:") == Some(hash));
    }

    /// What is kept under this digest, whatever its age.
    pub fn forget(&self, key: &Key) {
        self.store.remove(key);
    }
}
