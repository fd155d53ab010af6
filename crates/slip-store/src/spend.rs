//! What each key has spent: running totals in memory, fed as records are written and rebuilt from the daily rows at start.

use crate::generations::Generation;
use crate::usage::Whose;
use slip_ir::Nano;
pub use slip_quota::day_of;
pub use slip_quota::sums::Usage as KeyUsage;
use slip_quota::sums::{Amount, Sums};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What one record adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    pub nano: Nano,
    pub byok: Nano,
    pub requests: u64,
}

impl Spent {
    pub fn of(record: &Generation) -> Spent {
        let byok = if record.byok { record.upstream_cost.unwrap_or_default() } else { Nano(0) };
        Spent { nano: record.cost, byok, requests: 1 }
    }

    pub fn add(&mut self, more: Spent) {
        self.nano = self.nano + more.nano;
        self.byok = self.byok + more.byok;
        self.requests = self.requests.saturating_add(more.requests);
    }

    const fn amount(self) -> Amount {
        Amount { own: self.nano, byok: self.byok }
    }
}

/// The running totals of every key.
#[derive(Default)]
pub(crate) struct Totals(Mutex<HashMap<Arc<str>, Sums>>);

impl Totals {
    pub fn add(&self, key: &Arc<str>, day: i64, spent: Spent) {
        let mut keys = self.lock();
        match keys.get_mut(key) {
            Some(sums) => sums.add(day, spent.amount(), spent.requests),
            None => keys.entry(key.clone()).or_default().add(day, spent.amount(), spent.requests),
        }
    }

    /// A sum of days too old for any running period.
    pub fn add_past(&self, key: &str, spent: Spent) {
        self.lock().entry(key.into()).or_default().add_past(spent.amount(), spent.requests);
    }

    /// What the database says was spent.
    pub fn load(&self, whose: &Whose) {
        let spent = Spent { nano: whose.cost, byok: whose.byok, requests: whose.requests };
        if whose.past {
            self.add_past(&whose.key_hash, spent);
        } else {
            self.add(&whose.key_hash, whose.day, spent);
        }
    }

    pub fn of(&self, key: &str, today: i64) -> KeyUsage {
        self.lock().get(key).map(|sums| sums.usage(today)).unwrap_or_default()
    }

    /// Sums are changed in one step, so a panic elsewhere leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Sums>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Days since 1970 of some dates, from `date -u -d … +%s`.
    const SUN_2026_11_22: i64 = 20_779;
    const MON_2026_11_23: i64 = 20_780;
    const MON_2026_11_30: i64 = 20_787;
    const TUE_2026_12_01: i64 = 20_788;

    #[test]
    fn each_period_starts_anew_and_the_total_does_not() {
        let totals = Totals::default();
        let key: Arc<str> = "k".into();
        for day in [SUN_2026_11_22, MON_2026_11_23, MON_2026_11_30, TUE_2026_12_01, MON_2026_11_30] {
            totals.add(&key, day, Spent { nano: Nano(1), byok: Nano(10), requests: 1 });
        }
        totals.add_past("k", Spent { nano: Nano(100), byok: Nano(0), requests: 5 });
        let usage = totals.of("k", TUE_2026_12_01);
        assert_eq!((usage.total, usage.requests), (Nano(105), 10));
        assert_eq!((usage.daily, usage.weekly, usage.monthly), (Nano(1), Nano(3), Nano(1)));
        assert_eq!((usage.byok_total, usage.byok_weekly), (Nano(50), Nano(30)));
        let later = totals.of("k", TUE_2026_12_01 + 40);
        assert_eq!((later.total, later.daily, later.weekly, later.monthly), (Nano(105), Nano(0), Nano(0), Nano(0)));
        assert_eq!(totals.of("other", 0), KeyUsage::default());
    }
}
