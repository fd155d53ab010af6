//! How many requests or tokens a minute: a token bucket that holds a minute's worth, kept as one number (GCRA).
//!
//! The number is the instant at which the bucket is full again. Taking moves it away by what was taken at the rate in force, and an
//! instant more than a window ahead is an empty bucket. It is counted in nanoseconds, of which a minute has a whole number for each
//! unit at every limit one would write down (500, 1,000, 3,000,000); at others each taking costs less than one nanosecond more, which
//! giving back gives back. Because debt is time, another limit needs no conversion: who had used half of the old one has used half of the new.
//!
//! ```
//! use slip_quota::Rate;
//!
//! let (tokens, now) = (Rate::per_minute(Some(6_000)), 1_795_305_600_000);
//! tokens.reserve(5_000, now).expect("a minute's worth is there at once"); // an estimate
//! let wait = tokens.reserve(2_000, now).expect_err("a thousand are left");
//! assert_eq!(wait.ms, Some(10_000)); // for another thousand
//! tokens.settle(5_000, 2_000, now); // it was 2,000 after all
//! assert_eq!((tokens.remaining(now), tokens.resets_in(now)), (Some(4_000), 20_000));
//! ```

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const NS_PER_MS: u64 = 1_000_000;
const MINUTE_MS: u32 = 60_000;
/// Stands for "no limit" in the atomic.
const UNLIMITED: u64 = u64::MAX;

/// A limit of units per window, and how much of it is used.
#[derive(Debug)]
pub struct Rate {
    /// When the bucket is full again, in Unix nanoseconds.
    full_at: AtomicU64,
    limit: AtomicU64,
    window_ns: u64,
}

/// Too much for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// In so many milliseconds there will be enough, if nobody else takes it; never, where it is more than a whole window's worth.
    pub ms: Option<u64>,
}

impl Rate {
    /// So many a minute, and at most a minute's worth at once. `None` is no limit.
    pub const fn per_minute(limit: Option<u64>) -> Rate {
        Rate::per(limit, MINUTE_MS)
    }

    /// So many in a window of milliseconds (at least one).
    pub const fn per(limit: Option<u64>, window_ms: u32) -> Rate {
        let window_ns = if window_ms == 0 { NS_PER_MS } else { window_ms as u64 * NS_PER_MS };
        let limit = match limit {
            Some(limit) => limit,
            None => UNLIMITED,
        };
        Rate { full_at: AtomicU64::new(0), limit: AtomicU64::new(limit), window_ns }
    }

    pub fn limit(&self) -> Option<u64> {
        Some(self.limit.load(Relaxed)).filter(|limit| *limit != UNLIMITED)
    }

    /// Put another limit in force. The share that is used stays what it was.
    pub fn set_limit(&self, limit: Option<u64>) {
        self.limit.store(limit.unwrap_or(UNLIMITED), Relaxed);
    }

    /// Take `n`, or nothing.
    pub fn reserve(&self, n: u64, now_ms: i64) -> Result<(), Wait> {
        let Some(limit) = self.limit() else { return Ok(()) };
        let (now, cost) = (ns(now_ms), self.cost(n, limit));
        let latest = now.saturating_add(self.window_ns);
        let taken = self.full_at.fetch_update(Relaxed, Relaxed, |full_at| {
            let after = full_at.max(now).checked_add(cost)?;
            (after <= latest).then_some(after)
        });
        taken.map(drop).map_err(|full_at| self.wait(full_at, now, n, limit))
    }

    /// What [`Rate::reserve`] would say now, taking nothing.
    pub fn would(&self, n: u64, now_ms: i64) -> Result<(), Wait> {
        let Some(limit) = self.limit() else { return Ok(()) };
        let (now, full_at) = (ns(now_ms), self.full_at.load(Relaxed));
        let after = full_at.max(now).checked_add(self.cost(n, limit));
        let fits = after.is_some_and(|after| after <= now.saturating_add(self.window_ns));
        if fits { Ok(()) } else { Err(self.wait(full_at, now, n, limit)) }
    }

    /// What was reserved came to this. What was used is charged even where there is too little: the next ones wait for it. Nothing
    /// used gives all of it back.
    pub fn settle(&self, reserved: u64, actual: u64, now_ms: i64) {
        let Some(limit) = self.limit() else { return };
        let (now, before, after) = (ns(now_ms), self.cost(reserved, limit), self.cost(actual, limit));
        let change = |full_at: u64| match after.checked_sub(before) {
            Some(more) => full_at.max(now).saturating_add(more),
            // A bucket that has become full has nothing to give back into: what is before now is now.
            None => full_at.saturating_sub(before - after),
        };
        // Always changes, so it cannot fail.
        let _ = self.full_at.fetch_update(Relaxed, Relaxed, |full_at| Some(change(full_at)));
    }

    /// What could be taken now; `None` without a limit.
    pub fn remaining(&self, now_ms: i64) -> Option<u64> {
        let limit = self.limit()?;
        let free = self.window_ns.saturating_sub(self.debt(now_ms));
        let units = u128::from(free) * u128::from(limit) / u128::from(self.window_ns);
        Some(u64::try_from(units).unwrap_or(u64::MAX))
    }

    /// In how many milliseconds nothing is used any more.
    pub fn resets_in(&self, now_ms: i64) -> u64 {
        self.debt(now_ms).div_ceil(NS_PER_MS)
    }

    fn debt(&self, now_ms: i64) -> u64 {
        match self.limit() {
            Some(_) => self.full_at.load(Relaxed).saturating_sub(ns(now_ms)),
            None => 0,
        }
    }

    /// How long the bucket takes to make up for `n`, rounded up; for ever at a limit of none at all.
    fn cost(&self, n: u64, limit: u64) -> u64 {
        match (n, limit) {
            (0, _) => 0,
            (_, 0) => u64::MAX,
            _ => narrow((u128::from(n) * u128::from(self.window_ns)).div_ceil(u128::from(limit))),
        }
    }

    fn wait(&self, full_at: u64, now: u64, n: u64, limit: u64) -> Wait {
        let over =
            full_at.max(now).saturating_add(self.cost(n, limit)).saturating_sub(now.saturating_add(self.window_ns));
        Wait { ms: (n <= limit).then(|| over.div_ceil(NS_PER_MS)) }
    }
}

/// Enough nanoseconds for the year 2554; from then on, and before 1970, time stands still.
fn ns(unix_ms: i64) -> u64 {
    u64::try_from(unix_ms).unwrap_or(0).saturating_mul(NS_PER_MS)
}

fn narrow(wide: u128) -> u64 {
    u64::try_from(wide).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_795_305_600_000;

    #[test]
    fn a_minutes_worth_at_once_and_then_one_at_a_time() {
        let rate = Rate::per_minute(Some(3));
        for left in [2, 1, 0] {
            assert_eq!(rate.reserve(1, NOW), Ok(()));
            assert_eq!(rate.remaining(NOW), Some(left));
        }
        let rows = [(0, Err(Some(20_000))), (19_999, Err(Some(1))), (20_000, Ok(())), (20_000, Err(Some(20_000)))];
        for (later, want) in rows {
            let would = rate.would(1, NOW + later);
            assert_eq!(rate.reserve(1, NOW + later), would);
            assert_eq!(would.map_err(|w| w.ms), want, "{later} ms later");
        }
        assert_eq!(rate.resets_in(NOW + 20_000), 60_000);
        assert_eq!(rate.reserve(4, NOW).map_err(|w| w.ms), Err(None), "more than there ever is");
        assert_eq!(rate.reserve(0, NOW + 20_000), Ok(()));
    }

    #[test]
    fn no_limit_and_none_at_all() {
        let rate = Rate::per_minute(None);
        assert_eq!((rate.reserve(u64::MAX, NOW), rate.remaining(NOW), rate.resets_in(NOW)), (Ok(()), None, 0));
        rate.settle(0, u64::MAX, NOW);
        rate.set_limit(Some(0));
        assert_eq!((rate.reserve(1, NOW), rate.remaining(NOW)), (Err(Wait { ms: None }), Some(0)));
        rate.set_limit(Some(1));
        assert_eq!(rate.reserve(1, NOW), Ok(()), "what was taken without a limit is not held against anybody");
    }

    #[test]
    fn another_limit_keeps_the_share_that_is_used() {
        let rate = Rate::per_minute(Some(100));
        assert_eq!(rate.reserve(75, NOW), Ok(()));
        for (limit, remaining) in [(10, 2), (1_000, 250), (100, 25)] {
            rate.set_limit(Some(limit));
            assert_eq!((rate.remaining(NOW), rate.limit()), (Some(remaining), Some(limit)));
            assert_eq!(rate.resets_in(NOW), 45_000, "at {limit}");
        }
    }

    #[test]
    fn from_many_threads_exactly_the_limit_is_taken() {
        let rate = Rate::per_minute(Some(1_000));
        let taken: usize = std::thread::scope(|scope| {
            let take = || (0..1_000).filter(|_| rate.reserve(1, NOW).is_ok()).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|t| t.join().expect("no panic")).sum()
        });
        assert_eq!((taken, rate.remaining(NOW)), (1_000, Some(0)));
    }

    /// A bucket in exact fractions: `level` counts 1/window of a unit, in `i128`.
    struct Bucket {
        level: i128,
        at: i64,
    }

    impl Bucket {
        fn flow(&mut self, limit: u64, window: i128, now: i64) {
            let gained = i128::from(now - self.at) * i128::from(NS_PER_MS) * i128::from(limit);
            self.level = (self.level + gained).min(i128::from(limit) * window);
            self.at = now;
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Reserve(u64),
        Settle(usize, u64),
        Pass(i64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => prop_oneof![0..5u64, 0..3_000u64].prop_map(Step::Reserve),
            2 => (0..8usize, 0..3_000u64).prop_map(|(which, actual)| Step::Settle(which, actual)),
            3 => prop_oneof![0..50i64, 0..90_000i64].prop_map(Step::Pass),
        ]
    }

    proptest! {
        /// Where the limit divides the window the two agree to the last unit; elsewhere to a nanosecond for each taking.
        #[test]
        fn it_is_an_exact_token_bucket(
            limit in prop_oneof![Just(60u64), Just(500), Just(1_000), Just(12_000), 1..20_000u64],
            window in prop_oneof![Just(60_000u32), Just(1_000)],
            steps in proptest::collection::vec(step(), 1..120),
        ) {
            let rate = Rate::per(Some(limit), window);
            let window = i128::from(window) * i128::from(NS_PER_MS);
            let full = i128::from(limit) * window;
            let mut bucket = Bucket { level: full, at: NOW };
            let (mut now, mut roundings, mut open, mut settled) = (NOW, 0i128, vec![], false);
            for step in steps {
                bucket.flow(limit, window, now);
                match step {
                    Step::Pass(ms) => now += ms,
                    Step::Settle(which, actual) => {
                        if open.is_empty() {
                            continue;
                        }
                        let reserved: u64 = open.remove(which % open.len());
                        settled = true;
                        rate.settle(reserved, actual, now);
                        let delta = i128::from(actual) - i128::from(reserved);
                        bucket.level = (bucket.level - delta * window).min(full);
                        roundings += 1;
                    }
                    Step::Reserve(n) => {
                        let after = bucket.level - i128::from(n) * window;
                        let got = rate.reserve(n, now);
                        // A nanosecond is `limit` of the bucket's fractions.
                        let slack = if window % i128::from(limit) == 0 { 0 } else { (roundings + 1) * i128::from(limit) };
                        match got {
                            Ok(()) => {
                                // What is given back after the bucket was full may be a nanosecond too much; nothing else.
                                let over = if settled { slack } else { 0 };
                                prop_assert!(after >= -over, "granted {} too many", -after);
                                open.push(n);
                                bucket.level = after;
                                roundings += 1;
                            }
                            Err(_) => prop_assert!(after < slack, "refused although {} would be left", after),
                        }
                        if let Err(Wait { ms }) = got {
                            prop_assert_eq!(ms.is_none(), n > limit);
                            if let Some(ms) = ms.map(|ms| ms as i64) {
                                prop_assert!(rate.would(n, now + ms).is_ok() && rate.would(n, now + ms - 1).is_err());
                            }
                        }
                    }
                }
                bucket.flow(limit, window, now);
                let remaining = rate.remaining(now).unwrap_or(u64::MAX);
                let slack = if window % i128::from(limit) == 0 { 0 } else { roundings * i128::from(limit) };
                prop_assert!(i128::from(remaining) <= ((bucket.level + slack) / window).max(0));
                prop_assert!(rate.would(remaining, now).is_ok() || bucket.level < 0 || remaining == 0);
                prop_assert!(rate.would(remaining + 1, now).is_err());
                let resets = rate.resets_in(now) as i64;
                prop_assert_eq!(rate.remaining(now + resets), Some(limit));
            }
        }

        #[test]
        fn no_number_is_too_large(n in any::<u64>(), actual in any::<u64>(), limit in any::<u64>(), now in any::<i64>(), window in any::<u32>()) {
            let rate = Rate::per(Some(limit), window);
            for now in [now, NOW, i64::MAX, i64::MIN] {
                for actual in [actual, 0, u64::MAX] {
                    let would = rate.would(n, now);
                    prop_assert_eq!(rate.reserve(n, now), would);
                    rate.settle(n, actual, now);
                    rate.resets_in(now);
                    rate.remaining(now);
                }
            }
        }
    }
}
