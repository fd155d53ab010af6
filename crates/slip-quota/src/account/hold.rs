//! Holding money before it is spent, from several accounts at once or from none.

use super::cap::Left;
use super::few::{Few, Locked};
use super::{Account, Wide, nano};
use crate::moment::Moment;
use crate::period::day_of;
use crate::sums::Amount;
use crate::sync::Arc;
use slip_ir::Nano;
use std::fmt;

/// Money set aside on every account of a request. Settling it says what was spent; dropping it gives all back.
///
/// While it is held it counts against every cap, also when a period ends meanwhile: which one it is spent in is known only then.
#[must_use = "what is dropped is given back"]
pub struct Held {
    accounts: Few,
    amount: i64,
    byok: bool,
}

/// A cap that leaves too little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denied {
    /// Where its account stood in the list.
    pub which: usize,
    /// The cap that leaves least.
    pub by: Left,
    /// What it leaves too little by. Where it is leased, this much more is worth asking for.
    pub missing: Nano,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Left { reset, limit, spent, held, .. } = &self.by;
        let (kind, period) = (if self.by.leased { "leased" } else { "spending" }, reset.map_or("total", |r| r.name()));
        write!(
            f,
            "the {period} {kind} limit of ${limit} is reached: ${spent} spent, ${held} held, ${} missing",
            self.missing
        )
    }
}

impl std::error::Error for Denied {}

/// Set `want` aside on all these accounts, or as much of it as every cap leaves, if that is `least` or more; else nothing on any.
/// Under each cap, spent and held never come to more than its limit by this. Nothing is taken before it is known that all grant
/// it, so nobody is ever denied for the sake of what is given back the next moment.
///
/// An account may be named twice and counts once. Below zero is zero; `least` above `want` is `want`. A hold of nothing is always
/// granted, also when more is spent than a cap allows: ask [`Account::tightest`] where that must not be. `byok` money is what the
/// caller's own provider key will be charged: only caps that include it are asked.
pub fn hold(
    accounts: &[Arc<Account>],
    want: Nano,
    least: Nano,
    byok: bool,
    now: impl Into<Moment>,
) -> Result<Held, Denied> {
    let accounts = Few::of(accounts);
    let granted = grant(&accounts, want, least, byok, now.into())?;
    Ok(Held { accounts, amount: granted.0, byok })
}

fn grant(accounts: &Few, want: Nano, least: Nano, byok: bool, now: Moment) -> Result<Nano, Denied> {
    let want = want.0.max(0);
    let least = least.0.clamp(0, want);
    let mut all = accounts.lock();
    let room = all.iter().filter_map(|books| books.room(byok, now)).min();
    let granted = room.map_or(want, |room| want.min(nano(room).0));
    if granted < least
        && let Some((by, which)) = tightest(accounts, &all, byok, now)
    {
        return Err(Denied { which, by, missing: Nano(least.saturating_sub(by.left.0)) });
    }
    for books in all.iter_mut() {
        *books.held_mut(byok) += Wide::from(granted);
    }
    Ok(Nano(granted))
}

/// The tightest cap of all, and whose it is, of equals the one first in the caller's list; without a cap nobody is denied.
#[cold]
fn tightest(accounts: &Few, all: &Locked<'_>, byok: bool, now: Moment) -> Option<(Left, usize)> {
    let every = all.iter().enumerate().flat_map(|(place, books)| {
        let which = accounts.stood(place);
        books.every_left(now).map(move |left| (left, which))
    });
    every.filter(|(left, _)| !byok || left.include_byok).min_by_key(|(left, which)| (left.rank(), *which))
}

impl Held {
    pub(super) fn regardless(accounts: &[Arc<Account>], amount: Nano, byok: bool) -> Held {
        let held = Held { accounts: Few::of(accounts), amount: amount.0.max(0), byok };
        for books in held.accounts.lock().iter_mut() {
            *books.held_mut(byok) += Wide::from(held.amount);
        }
        held
    }

    /// What is set aside.
    pub const fn amount(&self) -> Nano {
        Nano(self.amount)
    }

    /// Whether it is the caller's own provider key that will be charged.
    pub const fn byok(&self) -> bool {
        self.byok
    }

    /// Hold more, as [`hold`] does: `want`, or what every cap leaves if that is `least` or more. Says how much more it is.
    pub fn top_up(&mut self, want: Nano, least: Nano, now: impl Into<Moment>) -> Result<Nano, Denied> {
        // What one hold cannot count it does not ask for.
        let want = Nano(want.0.clamp(0, i64::MAX - self.amount));
        let more = grant(&self.accounts, want, least, self.byok, now.into())?;
        self.amount += more.0;
        Ok(more)
    }

    /// Hold no more than this.
    pub fn shrink(&mut self, to: Nano) {
        let to = to.0.clamp(0, self.amount);
        let less = Wide::from(self.amount - to);
        for books in self.accounts.lock().iter_mut() {
            *books.held_mut(self.byok) -= less;
        }
        self.amount = to;
    }

    /// Give back what is held and count what was spent, in one step and in the periods `created_ms` lies in. It may be more than
    /// was held: spent is spent.
    pub fn settle(mut self, own: Nano, byok: Nano, created_ms: i64) {
        let (day, amount) = (day_of(created_ms), Amount { own, byok });
        for books in self.accounts.lock().iter_mut() {
            *books.held_mut(self.byok) -= Wide::from(self.amount);
            books.spend(day, amount);
        }
        self.amount = 0;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.amount > 0 {
            self.shrink(Nano(0));
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let accounts: Vec<u64> = self.accounts.iter().map(|account| account.id).collect();
        f.debug_struct("Held")
            .field("amount", &self.amount)
            .field("byok", &self.byok)
            .field("accounts", &accounts)
            .finish()
    }
}
