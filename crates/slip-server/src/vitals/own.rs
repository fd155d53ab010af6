//! The health of keys that workspaces bring: each by itself, so that a bad one rests and nothing of the house's does. Kept while somebody
//! may use them; nothing of it outlives the process.

use super::{Vitals, locked};
use crate::queue::account::Account;
use crate::world::own::FIRST;
use slip_route::Health;
use slip_route::health::Breaker;
use slip_store::ProviderKey;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// Before those that nobody uses any more are forgotten.
const MOST: usize = 10_000;

/// One key through one base URL.
pub struct Tended {
    /// The same for as long as it is known: conversations remember it.
    pub instance: u32,
    pub key: Arc<Breaker>,
    pub account: Arc<Account>,
    /// By endpoint: of the catalogue and the configuration, and 0 for all others together.
    known: Mutex<HashMap<u64, Arc<Health>>>,
}

impl Tended {
    pub fn health(&self, endpoint: u64) -> Arc<Health> {
        locked(&self.known).entry(endpoint).or_default().clone()
    }

    /// The same if there was ever an attempt.
    pub fn known(&self, endpoint: u64) -> Option<Arc<Health>> {
        locked(&self.known).get(&endpoint).cloned()
    }
}

/// Which key (and which secret under its name), through what.
type Name = (Arc<str>, i64, String);

#[derive(Default)]
pub(super) struct OwnVitals {
    known: Mutex<HashMap<Name, Arc<Tended>>>,
    numbers: AtomicU32,
}

impl Vitals {
    pub fn own(&self, key: &ProviderKey, base: &str) -> Arc<Tended> {
        let mut known = locked(&self.own.known);
        if known.len() >= MOST {
            known.retain(|_, tended| Arc::strong_count(tended) > 1);
        }
        let name = (key.filed.id.clone(), key.keyed_ms, base.to_owned());
        let number = || FIRST | self.own.numbers.fetch_add(1, Ordering::Relaxed);
        let account = || Arc::new(Account::new(self.lines.clone()));
        let new = || Tended { instance: number(), key: Arc::default(), account: account(), known: Mutex::default() };
        known.entry(name).or_insert_with(|| Arc::new(new())).clone()
    }
}
