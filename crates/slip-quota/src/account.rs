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

use crate::moment::Moment;
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
    /// Others spend under the same caps: what is not leased is not to be spent.
    shared: bool,
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
        self.lock().set_caps(caps);
    }

    /// From now on others spend under the same caps: of each no more is to be had here than is leased, which is nothing yet.
    pub fn share(&self) {
        let mut books = self.lock();
        books.shared = true;
        let caps = Caps(books.limits.map(|limit| limit.map(|l| l.cap)));
        books.set_caps(caps);
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
    pub fn left<M: Into<Moment>>(&self, now: M) -> impl Iterator<Item = Left> + use<M> {
        self.lock().every_left(now.into())
    }

    /// The cap that leaves least to a request paid from the balance.
    pub fn tightest(&self, now: impl Into<Moment>) -> Option<Left> {
        self.left(now).min_by_key(Left::rank)
    }

    /// From now on a cap's limit is what this process was granted of it. What is spent counts against the lease from the moment
    /// its epoch is first heard of; the same epoch again changes only how much and until when. `false` when there is no such cap,
    /// or the lease is older than the one in force.
    pub fn set_lease(&self, reset: Option<Reset>, lease: Lease) -> bool {
        self.lock().limits[slot(reset)].as_mut().is_some_and(|limit| limit.renew(lease))
    }

    /// What was heard of a lease: as [`Account::set_lease`], but only while it is of the epoch in force and of this cap. What came
    /// meanwhile has ended the one or the other, and then nothing changes.
    pub fn renew_lease(&self, reset: Option<Reset>, cap: Cap, lease: Lease) -> bool {
        let mut books = self.lock();
        let limit = books.limits[slot(reset)].as_mut();
        let same = |limit: &&mut Limit| limit.cap == cap && limit.lease.is_some_and(|(l, _)| l.epoch == lease.epoch);
        limit.filter(same).is_some_and(|limit| limit.renew(lease))
    }

    /// A lease lasts longer; nothing else changes.
    pub fn extend_lease(&self, reset: Option<Reset>, epoch: u64, until: Moment) -> bool {
        let mut books = self.lock();
        let lease = books.limits[slot(reset)].as_mut().and_then(|limit| limit.lease.as_mut());
        let Some((lease, _)) = lease.filter(|(lease, _)| lease.epoch == epoch) else { return false };
        lease.until = until;
        true
    }

    /// Give back what is not used of a lease, but for so much. It is not to be had here from this moment on. Says how much of the
    /// lease is left.
    pub fn give_back(&self, reset: Option<Reset>, keep: Nano) -> Option<Nano> {
        let mut books = self.lock();
        let limit = books.limits[slot(reset)]?;
        let held = books.counted_hold(limit.cap);
        let (mut lease, spent) = limit.lease?;
        let used = Wide::from(spent.counted(limit.cap.include_byok).0) + held;
        lease.granted = lease.granted.min(nano(used + Wide::from(keep.0.max(0))));
        books.limits[slot(reset)] = Some(Limit { lease: Some((lease, spent)), ..limit });
        Some(lease.granted)
    }

    /// Begin a lease anew, with nothing in it, if nothing is held under it.
    pub fn retire_lease(&self, reset: Option<Reset>, epoch: u64) -> bool {
        let mut books = self.lock();
        let Some(limit) = books.limits[slot(reset)] else { return false };
        if books.counted_hold(limit.cap) > 0 {
            return false;
        }
        books.limits[slot(reset)] = Some(Limit { lease: Some((Lease::none(epoch), Amount::default())), ..limit });
        true
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
    fn set_caps(&mut self, caps: Caps) {
        for (at, cap) in caps.0.into_iter().enumerate() {
            self.limits[at] = cap.map(|cap| match self.limits[at] {
                Some(limit) if limit.lease.is_some() || !self.shared => limit.under(cap, self.counted_hold(cap)),
                _ => Limit { cap, lease: self.shared.then(|| (Lease::none(0), Amount::default())) },
            });
        }
    }

    /// What is held that a cap counts.
    fn counted_hold(&self, cap: Cap) -> Wide {
        self.held + if cap.include_byok { self.held_byok } else { 0 }
    }

    /// What may still be held; nothing when no cap concerns such money.
    fn room(&self, byok: bool, now: Moment) -> Option<Wide> {
        let caps = self.limits.iter().enumerate().filter_map(|(at, limit)| Some((at, limit.as_ref()?)));
        let concerned = caps.filter(|(_, limit)| !byok || limit.cap.include_byok);
        concerned.map(|(at, limit)| self.terms(at, limit, now).room()).min()
    }

    /// What a cap comes to.
    fn terms(&self, at: usize, limit: &Limit, now: Moment) -> Terms {
        let (upper, spent) = match limit.lease {
            Some((lease, spent)) if lease.is_in_force(now) => (lease.granted, spent),
            Some((_, spent)) => (Nano(0), spent),
            None => (limit.cap.limit, self.sums.within(SLOTS[at], day_of(now.unix_ms))),
        };
        Terms { limit: upper, spent: spent.counted(limit.cap.include_byok), held: self.counted_hold(limit.cap) }
    }

    fn every_left(&self, now: Moment) -> impl Iterator<Item = Left> + use<> {
        let left: [Option<Left>; SLOTS.len()] = std::array::from_fn(|at| self.left(at, now));
        left.into_iter().flatten()
    }

    fn left(&self, at: usize, now: Moment) -> Option<Left> {
        let limit = self.limits[at].as_ref()?;
        let terms = self.terms(at, limit, now);
        let lease = limit.lease.map(|(lease, _)| lease).filter(|lease| lease.is_in_force(now));
        Some(Left {
            reset: SLOTS[at],
            limit: terms.limit,
            spent: terms.spent,
            held: nano(terms.held),
            left: nano(terms.room()),
            resets_at_ms: SLOTS[at].map(|reset| reset.ends_ms(now.unix_ms)),
            leased: limit.lease.is_some(),
            cap: limit.cap.limit,
            beyond: lease.map_or(Nano(0), |lease| lease.beyond),
            as_of_ms: lease.map_or(i64::MIN, |lease| lease.as_of_ms),
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
