//! What each key has spent: running totals in memory, fed as records are written and rebuilt from the daily rows at start.

use crate::generations::Generation;
use crate::usage::Whose;
use slip_ir::Nano;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const DAY_MS: i64 = 86_400_000;

/// What a key has spent, all time and in the running UTC day, week (from Monday) and month. The `byok` figures are what was
/// paid to providers directly, outside the balance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyUsage {
    pub total: Nano,
    pub daily: Nano,
    pub weekly: Nano,
    pub monthly: Nano,
    pub byok_total: Nano,
    pub byok_daily: Nano,
    pub byok_weekly: Nano,
    pub byok_monthly: Nano,
    pub requests: u64,
}

/// The UTC day of a Unix time in milliseconds, counted from 1970-01-01.
pub const fn day_of(unix_ms: i64) -> i64 {
    unix_ms.div_euclid(DAY_MS)
}

/// Weeks begin on Monday; 1970-01-01 was a Thursday.
const fn week_of(day: i64) -> i64 {
    (day + 3).div_euclid(7)
}

/// Months counted from year 0 of the proleptic Gregorian calendar. Years are taken to begin in March, which puts the leap day last.
const fn month_of(day: i64) -> i64 {
    const CYCLE: i64 = 146_097; // days in 400 years
    let shifted = day + 719_468; // from 0000-03-01
    let cycle = shifted.div_euclid(CYCLE);
    let in_cycle = shifted.rem_euclid(CYCLE);
    let year = (in_cycle - in_cycle / 1_460 + in_cycle / 36_524 - in_cycle / 146_096) / 365;
    let in_year = in_cycle - (365 * year + year / 4 - year / 100);
    let from_march = (5 * in_year + 2) / 153;
    (cycle * 400 + year) * 12 + from_march + 2
}

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
}

/// The sum of one period; a later period starts it anew, and what belongs to an earlier one no longer counts.
#[derive(Clone, Copy, Default)]
struct Bucket {
    period: i64,
    spent: Spent,
}

impl Bucket {
    fn add(&mut self, period: i64, more: Spent) {
        if period > self.period {
            *self = Bucket { period, spent: Spent::default() };
        }
        if period == self.period {
            self.spent.add(more);
        }
    }

    fn now(&self, period: i64) -> Spent {
        if self.period == period { self.spent } else { Spent::default() }
    }
}

#[derive(Clone, Copy, Default)]
struct Running {
    total: Spent,
    day: Bucket,
    week: Bucket,
    month: Bucket,
}

/// The running totals of every key.
#[derive(Default)]
pub(crate) struct Totals(Mutex<HashMap<Arc<str>, Running>>);

impl Totals {
    pub fn add(&self, key: &Arc<str>, day: i64, spent: Spent) {
        let mut keys = self.lock();
        match keys.get_mut(key) {
            Some(running) => running.add(day, spent),
            None => keys.entry(key.clone()).or_default().add(day, spent),
        }
    }

    /// A sum of days too old for any running period.
    pub fn add_past(&self, key: &str, spent: Spent) {
        self.lock().entry(key.into()).or_default().total.add(spent);
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
        let Some(running) = self.lock().get(key).copied() else { return KeyUsage::default() };
        let (day, week, month) =
            (running.day.now(today), running.week.now(week_of(today)), running.month.now(month_of(today)));
        KeyUsage {
            total: running.total.nano,
            daily: day.nano,
            weekly: week.nano,
            monthly: month.nano,
            byok_total: running.total.byok,
            byok_daily: day.byok,
            byok_weekly: week.byok,
            byok_monthly: month.byok,
            requests: running.total.requests,
        }
    }

    /// Sums are changed in one step, so a panic elsewhere leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn add(&mut self, day: i64, spent: Spent) {
        self.total.add(spent);
        self.day.add(day, spent);
        self.week.add(week_of(day), spent);
        self.month.add(month_of(day), spent);
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
    fn months_and_weeks_turn_on_the_right_day() {
        assert_eq!(day_of(1_795_305_600_000), SUN_2026_11_22);
        assert_eq!(day_of(1_795_305_600_000 - 1), SUN_2026_11_22 - 1);
        assert!(week_of(SUN_2026_11_22) < week_of(MON_2026_11_23));
        assert_eq!(week_of(MON_2026_11_30), week_of(TUE_2026_12_01));
        let rows = [
            (0, 1970 * 12),
            (-1, 1969 * 12 + 11),
            (58, 1970 * 12 + 1),
            (59, 1970 * 12 + 2),
            (MON_2026_11_30, 2026 * 12 + 10),
            (TUE_2026_12_01, 2026 * 12 + 11),
            (19_782, 2024 * 12 + 1), // 2024-02-29
            (19_783, 2024 * 12 + 2),
        ];
        for (day, month) in rows {
            assert_eq!(month_of(day), month, "day {day}");
        }
    }

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
