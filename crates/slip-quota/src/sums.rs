//! What was spent: all time, and in the running day, week and month.
//!
//! ```
//! use slip_ir::Nano;
//! use slip_quota::sums::{Amount, Sums};
//!
//! let mut sums = Sums::default();
//! sums.add(20_787, Amount { own: Nano(5), byok: Nano(0) }, 1); // Monday, 30 November 2026
//! sums.add(20_788, Amount { own: Nano(7), byok: Nano(0) }, 1); // Tuesday, 1 December
//! let usage = sums.usage(20_788);
//! assert_eq!((usage.total, usage.daily, usage.weekly, usage.monthly), (Nano(12), Nano(7), Nano(12), Nano(7)));
//! ```

use crate::period::Reset;
use slip_ir::Nano;

/// Money from the caller's own balance, and what its own provider keys (BYOK) were charged beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    pub own: Nano,
    pub byok: Nano,
}

impl Amount {
    pub const fn own(nano: Nano) -> Amount {
        Amount { own: nano, byok: Nano(0) }
    }

    /// What of it a cap counts.
    pub fn counted(self, include_byok: bool) -> Nano {
        if include_byok { self.own + self.byok } else { self.own }
    }

    /// Both grow and stay at the largest number there is; a debt is no amount.
    pub(crate) fn add(&mut self, more: Amount) {
        self.own = self.own + Nano(more.own.0.max(0));
        self.byok = self.byok + Nano(more.byok.0.max(0));
    }
}

/// What was spent, all time and in the running UTC day, week (from Monday) and month. The `byok` figures are what was paid to
/// providers directly, outside the balance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
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

/// The running totals. The running periods are those of the latest day anything was spent on: a clock that was put back does not
/// bring back what was spent.
#[derive(Clone, Copy, Debug)]
pub struct Sums {
    total: Amount,
    requests: u64,
    latest: i64,
    /// Of its day, week and month.
    running: [Amount; 3],
}

impl Default for Sums {
    fn default() -> Sums {
        Sums { total: Amount::default(), requests: 0, latest: i64::MIN, running: [Amount::default(); 3] }
    }
}

impl Sums {
    /// Count what was spent on a day. What belongs to a period that is over does not change the running one.
    pub fn add(&mut self, day: i64, amount: Amount, requests: u64) {
        self.add_past(amount, requests);
        for reset in Reset::ALL {
            let sum = &mut self.running[reset as usize];
            if after(reset, day, self.latest) {
                *sum = Amount::default();
            }
            if !after(reset, self.latest, day) {
                sum.add(amount);
            }
        }
        self.latest = self.latest.max(day);
    }

    /// Count what was spent on days too old for any running period.
    pub fn add_past(&mut self, amount: Amount, requests: u64) {
        self.total.add(amount);
        self.requests = self.requests.saturating_add(requests);
    }

    /// What was ever spent.
    pub const fn total(&self) -> Amount {
        self.total
    }

    /// What was spent in the period of a day; without a reset, ever.
    pub fn within(&self, reset: Option<Reset>, day: i64) -> Amount {
        match reset {
            None => self.total,
            Some(reset) if after(reset, day, self.latest) => Amount::default(),
            Some(reset) => self.running[reset as usize],
        }
    }

    pub fn usage(&self, today: i64) -> Usage {
        let [day, week, month] = Reset::ALL.map(|reset| self.within(Some(reset), today));
        Usage {
            total: self.total.own,
            daily: day.own,
            weekly: week.own,
            monthly: month.own,
            byok_total: self.total.byok,
            byok_daily: day.byok,
            byok_weekly: week.byok,
            byok_monthly: month.byok,
            requests: self.requests,
        }
    }
}

/// Whether a day lies in a later period than another. Mostly they are the same day, and nothing is worked out.
fn after(reset: Reset, day: i64, other: i64) -> bool {
    day > other && reset.period(day) > reset.period(other)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_running_period_is_the_latest_seen() {
        let mut sums = Sums::default();
        for day in [-1, 20_787, 20_788, 20_787] {
            sums.add(day, Amount { own: Nano(1), byok: Nano(10) }, 1);
        }
        let rows = [(20_788, 1, 3, 1), (20_787, 1, 3, 1), (20_789, 0, 3, 1), (20_850, 0, 0, 0)];
        for (today, daily, weekly, monthly) in rows {
            let usage = sums.usage(today);
            assert_eq!((usage.daily.0, usage.weekly.0, usage.monthly.0), (daily, weekly, monthly), "day {today}");
            assert_eq!((usage.byok_daily.0, usage.total.0, usage.requests), (daily * 10, 4, 4), "day {today}");
        }
    }

    #[test]
    fn sums_stop_at_the_largest_number_and_take_no_debts() {
        let mut sums = Sums::default();
        sums.add(0, Amount { own: Nano(i64::MAX), byok: Nano(-5) }, u64::MAX);
        sums.add(0, Amount { own: Nano(i64::MAX), byok: Nano(i64::MIN) }, 1);
        assert_eq!(sums.total(), Amount { own: Nano(i64::MAX), byok: Nano(0) });
        assert_eq!(sums.within(Some(Reset::Monthly), 0).counted(true), Nano(i64::MAX));
        assert_eq!(sums.usage(0).requests, u64::MAX);
    }
}
