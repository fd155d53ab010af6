//! One scope money is counted against: a key, a member, a workspace, the installation.
//!
//! ```
//! use slip_ir::Nano;
//! use slip_quota::{Account, Cap, Caps, Reset, hold};
//! use std::sync::Arc;
//!
//! let key = Arc::new(Account::new());
//! key.load(20_779, slip_quota::sums::Amount::own(Nano(90)), 3); // from the database: what was spent on 2026-11-22
//! key.set_caps(Caps::none().with(Some(Reset::Daily), Cap { limit: Nano(100), include_byok: false }));
//! let now = 20_779 * 86_400_000;
//! let denied = hold(&[key.clone()], Nano(11), Nano(11), false, now).expect_err("ten are left");
//! assert_eq!((denied.which, denied.by.left, denied.missing), (0, Nano(10), Nano(1)));
//! assert_eq!(denied.by.resets_at_ms, Some(20_780 * 86_400_000));
//! assert_eq!(hold(&[key], Nano(11), Nano(5), false, now).expect("as much as is left").amount(), Nano(10));
//! ```

mod cap;
mod few;
mod hold;
#[cfg(all(test, loom))]
mod interleavings;
#[cfg(all(test, not(loom)))]
mod laws;
#[cfg(all(test, not(loom)))]
mod tests;

pub use cap::{Cap, Caps, Lease, LeaseUse, Left};
pub use hold::{Denied, Held, hold};

use crate::period::{Reset, day_of};
use crate::sums::{Amount, Sums, Usage};
use crate::sync::{Arc, Mutex, MutexGuard};
use cap::{Limit, SLOTS, slot};
use slip_ir::Nano;
use std::fmt;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

/// What has been spent and what is held, changed under one lock.
pub struct Account {
    /// From birth, and never twice: the order in which several are locked. Outside what the model checker watches.
    id: u64,
    books: Mutex<Books>,
}

/// Of this many holds at once each may be of any amount and their sum is still exact.
type Wide = i128;

#[derive(Default)]
struct Books {
    sums: Sums,
    held: Wide,
    held_byok: Wide,
    limits: [Option<Limit>; SLOTS.len()],
}

/// A limit in force, and what counts against it.
struct Terms {
    limit: Nano,
    spent: Nano,
    held: Wide,
}

impl Terms {
    fn room(&self) -> Wide {
        Wide::from(self.limit.0) - Wide::from(self.spent.0) - self.held
    }
}

impl Account {
    /// Nothing spent, no caps.
    pub fn new() -> Account {
        static BORN: AtomicU64 = AtomicU64::new(0);
        Account { id: BORN.fetch_add(1, Ordering::Relaxed), books: Mutex::default() }
    }

    /// Put other caps in force. What is spent and held stays; under a cap that is lower than that nothing more is granted. A lease
    /// ends when its cap is taken away.
    pub fn set_caps(&self, caps: Caps) {
        let mut books = self.lock();
        for (limit, cap) in books.limits.iter_mut().zip(caps.0) {
            *limit = cap.map(|cap| Limit { cap, lease: limit.and_then(|l| l.lease) });
        }
    }

    pub fn caps(&self) -> Caps {
        Caps(self.lock().limits.map(|limit| limit.map(|l| l.cap)))
    }

    /// Count what was spent on an earlier day, from what outlives the process.
    pub fn load(&self, day: i64, spent: Amount, requests: u64) {
        self.lock().sums.add(day, spent, requests);
    }

    /// Count what was spent on days too old for any running period.
    pub fn load_past(&self, spent: Amount, requests: u64) {
        self.lock().sums.add_past(spent, requests);
    }

    /// What was spent. What is held is not in it.
    pub fn usage(&self, now_ms: i64) -> Usage {
        self.lock().sums.usage(day_of(now_ms))
    }

    /// What is held at this moment by requests that are under way.
    pub fn held(&self) -> Amount {
        let books = self.lock();
        Amount { own: nano(books.held), byok: nano(books.held_byok) }
    }

    /// What each cap leaves, in the order for ever, day, week, month.
    pub fn left(&self, now_ms: i64) -> impl Iterator<Item = Left> + use<> {
        self.lock().every_left(now_ms)
    }

    /// The cap that leaves least to a request paid from the balance.
    pub fn tightest(&self, now_ms: i64) -> Option<Left> {
        self.left(now_ms).min_by_key(Left::rank)
    }

    /// From now on a cap's limit is what this process was granted of it. What is spent counts against the lease from the moment
    /// its epoch is first heard of; the same epoch again changes only how much and until when. `false` when there is no such cap,
    /// or the lease is older than the one in force.
    pub fn set_lease(&self, reset: Option<Reset>, lease: Lease) -> bool {
        self.lock().limits[slot(reset)].as_mut().is_some_and(|limit| limit.renew(lease))
    }

    /// What was used of a cap's lease, for whoever keeps the whole.
    pub fn lease_use(&self, reset: Option<Reset>) -> Option<LeaseUse> {
        let books = self.lock();
        let limit = books.limits[slot(reset)]?;
        let (lease, spent) = limit.lease?;
        let spent = spent.counted(limit.cap.include_byok);
        let terms = Terms { limit: lease.granted, spent, held: books.counted_hold(limit.cap) };
        Some(LeaseUse { lease, spent, held: nano(terms.held), unused: nano(terms.room()) })
    }

    /// Take up again what a process that ended held, whatever the caps say now: it was granted then.
    pub fn rehold(accounts: &[Arc<Account>], amount: Nano, byok: bool) -> Held {
        Held::regardless(accounts, amount, byok)
    }

    /// Whatever is done under the lock is done in one step, so a panic elsewhere leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Account {
    fn default() -> Account {
        Account::new()
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let books = self.lock();
        let (total, held) = (books.sums.total(), nano(books.held));
        f.debug_struct("Account").field("id", &self.id).field("spent", &total.own).field("held", &held).finish()
    }
}

impl Books {
    /// What is held that a cap counts.
    fn counted_hold(&self, cap: Cap) -> Wide {
        self.held + if cap.include_byok { self.held_byok } else { 0 }
    }

    /// What may still be held; nothing when no cap concerns such money.
    fn room(&self, byok: bool, now_ms: i64) -> Option<Wide> {
        let caps = self.limits.iter().enumerate().filter_map(|(at, limit)| Some((at, limit.as_ref()?)));
        let concerned = caps.filter(|(_, limit)| !byok || limit.cap.include_byok);
        concerned.map(|(at, limit)| self.terms(at, limit, now_ms).room()).min()
    }

    /// What a cap comes to.
    fn terms(&self, at: usize, limit: &Limit, now_ms: i64) -> Terms {
        let (upper, spent) = match limit.lease {
            Some((lease, spent)) => (lease.in_force(now_ms), spent),
            None => (limit.cap.limit, self.sums.within(SLOTS[at], day_of(now_ms))),
        };
        Terms { limit: upper, spent: spent.counted(limit.cap.include_byok), held: self.counted_hold(limit.cap) }
    }

    fn every_left(&self, now_ms: i64) -> impl Iterator<Item = Left> + use<> {
        let left: [Option<Left>; SLOTS.len()] = std::array::from_fn(|at| self.left(at, now_ms));
        left.into_iter().flatten()
    }

    fn left(&self, at: usize, now_ms: i64) -> Option<Left> {
        let limit = self.limits[at].as_ref()?;
        let terms = self.terms(at, limit, now_ms);
        Some(Left {
            reset: SLOTS[at],
            limit: terms.limit,
            spent: terms.spent,
            held: nano(terms.held),
            left: nano(terms.room()),
            resets_at_ms: SLOTS[at].map(|reset| reset.ends_ms(now_ms)),
            leased: limit.lease.is_some(),
            include_byok: limit.cap.include_byok,
        })
    }

    fn held_mut(&mut self, byok: bool) -> &mut Wide {
        if byok { &mut self.held_byok } else { &mut self.held }
    }

    fn spend(&mut self, day: i64, amount: Amount) {
        self.sums.add(day, amount, 1);
        for (_, spent) in self.limits.iter_mut().flatten().filter_map(|limit| limit.lease.as_mut()) {
            spent.add(amount);
        }
    }
}

/// As much of it as an amount can say, and never a debt.
fn nano(wide: Wide) -> Nano {
    Nano(i64::try_from(wide.max(0)).unwrap_or(i64::MAX))
}
