//! Caps: how much may be spent for ever, or in a day, a week, a month; and leases, a process's share of one.

use super::{Wide, nano};
use crate::moment::Moment;
use crate::period::Reset;
use crate::sums::Amount;
use slip_ir::Nano;
use std::cmp::Reverse;

/// A limit of one period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cap {
    /// Reached exactly, never passed by a hold. Below zero it is zero.
    pub limit: Nano,
    /// Whether what the caller's own provider keys were charged counts too.
    pub include_byok: bool,
}

/// The caps of an account, at most one for each kind of period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps(pub(super) [Option<Cap>; SLOTS.len()]);

/// Where the cap of each kind of period lies.
pub(super) const SLOTS: [Option<Reset>; 4] = [None, Some(Reset::Daily), Some(Reset::Weekly), Some(Reset::Monthly)];

pub(super) const fn slot(reset: Option<Reset>) -> usize {
    match reset {
        None => 0,
        Some(Reset::Daily) => 1,
        Some(Reset::Weekly) => 2,
        Some(Reset::Monthly) => 3,
    }
}

impl Caps {
    pub const fn none() -> Caps {
        Caps([None; SLOTS.len()])
    }

    /// With a cap on each period of a kind; without a reset, on all that is ever spent (a prepaid balance).
    pub fn with(mut self, reset: Option<Reset>, cap: Cap) -> Caps {
        self.0[slot(reset)] = Some(cap);
        self
    }

    pub const fn of(&self, reset: Option<Reset>) -> Option<Cap> {
        self.0[slot(reset)]
    }
}

/// What one of several processes was granted of a cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Grows with each new lease. An older one than that in force is refused.
    pub epoch: u64,
    /// What may be spent in this epoch.
    pub granted: Nano,
    /// From this instant on, by either clock, nothing more is granted under it.
    pub until: Moment,
    /// What the cap left beside it when that was last heard of: unspent, and lent to nobody or to others.
    pub beyond: Nano,
    /// When that was, by the steady clock.
    pub as_of_ms: i64,
}

impl Lease {
    /// Of which nothing is known but what was granted and for how long.
    pub fn new(epoch: u64, granted: Nano, until: impl Into<Moment>) -> Lease {
        Lease { epoch, granted, until: until.into(), beyond: Nano(0), as_of_ms: i64::MIN }
    }

    /// Nothing, and nothing known.
    pub(super) const fn none(epoch: u64) -> Lease {
        Lease { epoch, granted: Nano(0), until: Moment::NEVER, beyond: Nano(0), as_of_ms: i64::MIN }
    }

    pub(super) const fn is_in_force(&self, now: Moment) -> bool {
        now.is_before(self.until)
    }
}

/// What was used of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseUse {
    pub lease: Lease,
    /// Settled since the epoch began, whichever day it belongs to.
    pub spent: Nano,
    /// Held by requests under way, also those from before.
    pub held: Nano,
    /// What is neither, and may be given back.
    pub unused: Nano,
}

/// A cap, and the lease that stands in for its limit with what was spent since its epoch began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub cap: Cap,
    pub lease: Option<(Lease, Amount)>,
}

impl Limit {
    pub fn renew(&mut self, lease: Lease) -> bool {
        let spent = match self.lease {
            Some((old, _)) if old.epoch > lease.epoch => return false,
            Some((old, spent)) if old.epoch == lease.epoch => spent,
            _ => Amount::default(),
        };
        self.lease = Some((lease, spent));
        true
    }

    /// Another cap in its place. Of a lease what is not used is no longer to be had when the terms change: it was granted under the
    /// old ones.
    pub fn under(self, cap: Cap, held: Wide) -> Limit {
        let lease = self.lease.map(|(lease, spent)| {
            let used = Wide::from(spent.counted(cap.include_byok).0) + held;
            let kept = if cap == self.cap { lease.granted } else { lease.granted.min(nano(used)) };
            let as_of_ms = if cap == self.cap { lease.as_of_ms } else { i64::MIN };
            (Lease { granted: kept, as_of_ms, ..lease }, spent)
        });
        Limit { cap, lease }
    }
}

/// What one cap leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Whose cap: `None` is the one on all that is ever spent.
    pub reset: Option<Reset>,
    /// The cap's limit, or what was leased of it; zero when the lease is over.
    pub limit: Nano,
    /// What counts against it, spent in the running period or since the lease began.
    pub spent: Nano,
    /// What counts against it, held by requests under way.
    pub held: Nano,
    /// What remains, never below zero.
    pub left: Nano,
    /// When the period ends, in Unix milliseconds.
    pub resets_at_ms: Option<i64>,
    /// More may be had by asking whoever keeps the whole.
    pub leased: bool,
    /// The cap's own limit, whatever was leased of it.
    pub cap: Nano,
    /// What a cap left beside its lease, when that was last heard of.
    pub beyond: Nano,
    /// When that was, by the steady clock; never, while no lease is in force.
    pub as_of_ms: i64,
    pub include_byok: bool,
}

impl Left {
    /// What the whole cap leaves, as far as that is known here.
    pub fn whole(&self) -> Nano {
        self.left + self.beyond
    }

    /// Nobody has said yet what it leaves.
    pub const fn is_unknown(&self) -> bool {
        self.leased && self.as_of_ms == i64::MIN
    }

    /// What to name in a refusal comes first: the cap that leaves least. Of equals it is one that more of a lease would not help,
    /// and of those the one that resets last: nobody is told to ask or to wait for what will not help.
    pub(super) fn rank(&self) -> impl Ord + use<> {
        (self.left, self.leased, Reverse(self.resets_at_ms.unwrap_or(i64::MAX)))
    }
}
