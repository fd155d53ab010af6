//! The circuit breaker: who failed too often rests, then one request tries whether it is over, then traffic comes back by and by.
//!
//! Closed → open after [`STRIKES`] failures in a row → half open when the rest is over: one request at a time → closed after
//! [`WINS`] successes, each further failure doubles the rest. A rate limit is not an outage: it rests and comes back at once.
//! Nobody is ever shut out: who rests is tried last (see `crate::eligible`), so a pool in which all rest still answers.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// Failures in a row that open it.
pub const STRIKES: u32 = 3;
/// Successes that close it again.
pub const WINS: u32 = 2;
const REST_MS: u64 = 5_000;
const REST_MAX_MS: u64 = 30_000;
/// A rate limit without a stated end: doubling from the first to the second.
const LIMIT_MS: u64 = 2_000;
const LIMIT_MAX_MS: u64 = 60_000;
/// A model that is not there, a credential that was refused: nothing that passes soon.
pub const GONE_MS: u64 = 300_000;
/// Somebody who failed this lately is tried after the others.
const LATELY_MS: u64 = 30_000;
/// A probe that has said nothing for so long holds up the next one no more.
const PROBE_MS: u64 = 20_000;
/// The least rest after a probe that failed.
const PAUSE_MS: u64 = 1_000;
/// After it closed, traffic grows to its full share in this long.
const WARM_MS: u64 = 10_000;

#[derive(Default)]
pub struct Breaker {
    until_ms: AtomicU64,
    failed_ms: AtomicU64,
    /// Failures in a row.
    strikes: AtomicU32,
    /// Rests in a row.
    rests: AtomicU32,
    /// Rate limits in a row that did not say for how long.
    limits: AtomicU32,
    /// Successes since the last rest; counts only while half open.
    wins: AtomicU32,
    probe_ms: AtomicU64,
    /// The oldest of those that nobody has ended yet.
    oldest_ms: AtomicU64,
    closed_ms: AtomicU64,
}

/// The breaker at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// It rests until then; past or zero when it does not.
    pub until_ms: u64,
    pub failed_lately: bool,
    pub half_open: bool,
    /// Half open, and one request is trying it right now.
    pub probing: bool,
    /// The share of its usual traffic it should have, up to 1.
    pub warmth: f32,
}

impl Breaker {
    #[inline]
    pub fn verdict(&self, now_ms: u64) -> Verdict {
        let until_ms = self.until_ms.load(Ordering::Relaxed);
        let half_open = until_ms <= now_ms && self.is_tripped();
        let failed = self.failed_ms.load(Ordering::Relaxed);
        let probe = self.probe_ms.load(Ordering::Relaxed);
        let closed = self.closed_ms.load(Ordering::Relaxed);
        let warm = now_ms.saturating_sub(closed);
        Verdict {
            until_ms,
            failed_lately: failed > 0
                && now_ms.saturating_sub(failed) < LATELY_MS
                && self.strikes.load(Ordering::Relaxed) > 0,
            half_open,
            probing: half_open && probe > 0 && now_ms.saturating_sub(probe) < PROBE_MS,
            warmth: if closed == 0 || warm >= WARM_MS { 1.0 } else { (warm as f32 / WARM_MS as f32).max(0.1) },
        }
    }

    fn is_tripped(&self) -> bool {
        self.rests.load(Ordering::Relaxed) > 0
    }

    /// An attempt begins: while half open it is the probe.
    pub fn probe(&self, now_ms: u64) {
        if self.is_tripped() && self.until_ms.load(Ordering::Relaxed) <= now_ms {
            self.probe_ms.store(now_ms.max(1), Ordering::Relaxed);
            let _ = self.oldest_ms.compare_exchange(0, now_ms.max(1), Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// It is as it should be: what it said last, and what it says from now on.
    pub fn succeeded(&self, now_ms: u64) {
        self.passed(now_ms, now_ms);
        self.ended_well(now_ms);
    }

    /// The first content of an attempt that began then. True when it was on trial, and has passed.
    pub fn passed(&self, now_ms: u64, began_ms: u64) -> bool {
        // An answer that was on its way before the rest was over says nothing about what comes after it.
        if self.is_tripped() && self.until_ms.load(Ordering::Relaxed) <= began_ms {
            self.probe_ms.store(0, Ordering::Relaxed);
            self.oldest_ms.store(0, Ordering::Relaxed);
            if self.wins.fetch_add(1, Ordering::Relaxed) + 1 >= WINS {
                self.rests.store(0, Ordering::Relaxed);
                self.wins.store(0, Ordering::Relaxed);
                self.strikes.store(0, Ordering::Relaxed);
                self.closed_ms.store(now_ms, Ordering::Relaxed);
                return true;
            }
        }
        false
    }

    /// An attempt that began then came to a good end.
    pub fn ended_well(&self, began_ms: u64) {
        // Nor does one that was on its way before the last failure.
        if self.strikes.load(Ordering::Relaxed) != 0 && self.failed_ms.load(Ordering::Relaxed) <= began_ms {
            self.strikes.store(0, Ordering::Relaxed);
        }
        if self.limits.load(Ordering::Relaxed) != 0 {
            self.limits.store(0, Ordering::Relaxed);
        }
    }

    pub fn failed(&self, now_ms: u64) {
        self.failed_ms.store(now_ms.max(1), Ordering::Relaxed);
        let strikes = self.strikes.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let resting = self.until_ms.load(Ordering::Relaxed) > now_ms;
        // Those that were on their way when it began to rest are part of the same trouble.
        if !resting && (strikes >= STRIKES || self.is_tripped()) {
            let rests = self.rests.fetch_add(1, Ordering::Relaxed);
            self.wins.store(0, Ordering::Relaxed);
            // While a probe hung hardly anybody else was sent there: that was rest already. It is the oldest that fails first.
            let newest = self.probe_ms.load(Ordering::Relaxed);
            let since = match self.oldest_ms.swap(newest, Ordering::Relaxed) {
                0 => now_ms,
                oldest => {
                    if oldest == newest {
                        self.probe_ms.store(0, Ordering::Relaxed);
                        self.oldest_ms.store(0, Ordering::Relaxed);
                    }
                    oldest
                }
            };
            let rest = REST_MS.saturating_mul(1 << rests.min(10)).min(REST_MAX_MS);
            let until = since.saturating_add(rest).max(now_ms.saturating_add(PAUSE_MS));
            self.until_ms.fetch_max(until, Ordering::Relaxed);
        }
    }

    /// It asked to be left alone, for so long or for who knows how long.
    pub fn limited(&self, now_ms: u64, after: Option<Duration>) {
        self.unproven();
        let rest = match after {
            Some(after) => u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
            None => LIMIT_MS << self.limits.fetch_add(1, Ordering::Relaxed).min(5),
        };
        self.until_ms.fetch_max(now_ms.saturating_add(rest.min(LIMIT_MAX_MS)), Ordering::Relaxed);
    }

    /// Rests without having failed.
    pub fn rest(&self, now_ms: u64, after: Duration) {
        let rest = u64::try_from(after.as_millis()).unwrap_or(u64::MAX).min(LIMIT_MAX_MS);
        self.until_ms.fetch_max(now_ms.saturating_add(rest), Ordering::Relaxed);
    }

    /// What will not pass by itself.
    pub fn gone(&self, now_ms: u64) {
        self.unproven();
        self.until_ms.fetch_max(now_ms.saturating_add(GONE_MS), Ordering::Relaxed);
    }

    /// Seen alive by a probe of its own: the rest is over, though not yet forgotten.
    pub fn revive(&self, now_ms: u64) {
        if self.until_ms.swap(0, Ordering::Relaxed) > now_ms {
            self.closed_ms.store(now_ms, Ordering::Relaxed);
        }
    }

    /// An attempt ended that proves nothing: somebody else may try.
    pub fn unproven(&self) {
        if self.probe_ms.load(Ordering::Relaxed) != 0 {
            self.probe_ms.store(0, Ordering::Relaxed);
            self.oldest_ms.store(0, Ordering::Relaxed);
        }
    }

    pub(super) fn until_ms(&self) -> u64 {
        self.until_ms.load(Ordering::Relaxed)
    }

    /// As it was before a restart. Whether it had failed or was limited is found out again.
    pub(super) fn thaw(&self, until_ms: u64) {
        self.until_ms.fetch_max(until_ms, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(at: u64) -> Breaker {
        let breaker = Breaker::default();
        (0..STRIKES).for_each(|_| breaker.failed(at));
        breaker
    }

    #[test]
    fn it_opens_half_opens_and_closes() {
        let breaker = Breaker::default();
        breaker.failed(1_000);
        breaker.failed(1_000);
        assert_eq!(breaker.verdict(1_000).until_ms, 0);
        assert!(breaker.verdict(1_000).failed_lately);
        breaker.failed(1_000);
        assert_eq!(breaker.verdict(1_000).until_ms, 6_000);
        assert!(!breaker.verdict(5_999).half_open && breaker.verdict(6_000).half_open);
        assert!(!breaker.verdict(6_000).probing);
        breaker.probe(6_000);
        assert!(breaker.verdict(6_000).probing);
        breaker.succeeded(6_100);
        assert!(breaker.verdict(6_100).half_open && !breaker.verdict(6_100).probing);
        breaker.probe(6_200);
        breaker.succeeded(6_300);
        let closed = breaker.verdict(6_300);
        assert!(!closed.half_open && !closed.failed_lately && closed.warmth < 0.2, "{closed:?}");
        assert_eq!(breaker.verdict(16_300).warmth, 1.0);
    }

    #[test]
    fn every_failed_probe_doubles_the_rest_to_half_a_minute() {
        let breaker = open(0);
        let mut now = 5_000;
        for rest in [10_000, 20_000, 30_000, 30_000] {
            assert!(breaker.verdict(now).half_open);
            breaker.probe(now);
            breaker.failed(now);
            assert_eq!(breaker.verdict(now).until_ms, now + rest);
            now += rest;
        }
    }

    #[test]
    fn those_on_their_way_when_it_opened_change_nothing() {
        let breaker = open(1_000);
        breaker.failed(1_100);
        assert_eq!(breaker.verdict(1_100).until_ms, 6_000);
        breaker.succeeded(1_200);
        assert!(breaker.verdict(6_000).half_open);
    }

    #[test]
    fn an_answer_that_began_before_a_failure_does_not_make_up_for_it() {
        let breaker = Breaker::default();
        breaker.failed(1_000);
        breaker.failed(2_000);
        breaker.ended_well(1_500);
        breaker.failed(3_000);
        assert_eq!(breaker.verdict(3_000).until_ms, 8_000);
        let breaker = Breaker::default();
        breaker.failed(1_000);
        breaker.failed(2_000);
        breaker.ended_well(2_500);
        breaker.failed(3_000);
        assert_eq!(breaker.verdict(3_000).until_ms, 0);
    }

    #[test]
    fn who_is_on_trial_has_passed_when_it_speaks_twice() {
        let breaker = open(0);
        breaker.passed(5_500, 4_000);
        assert!(breaker.verdict(5_500).half_open, "that one was asked before the rest was over");
        for now in [5_600, 5_700] {
            breaker.probe(now);
            breaker.passed(now, now);
            assert!(!breaker.verdict(now).probing);
        }
        assert!(!breaker.verdict(5_700).half_open && !breaker.verdict(5_700).failed_lately);
    }

    #[test]
    fn a_rate_limit_rests_as_long_as_it_says_and_longer_each_time_it_does_not() {
        let breaker = Breaker::default();
        breaker.limited(0, Some(Duration::from_secs(7)));
        assert_eq!(breaker.verdict(0).until_ms, 7_000);
        assert!(!breaker.verdict(7_000).half_open && !breaker.verdict(0).failed_lately);
        breaker.limited(10_000, Some(Duration::from_secs(100_000)));
        assert_eq!(breaker.verdict(10_000).until_ms, 70_000);
        let breaker = Breaker::default();
        for (now, until) in [(0, 2_000), (2_000, 6_000), (6_000, 14_000)] {
            breaker.limited(now, None);
            assert_eq!(breaker.verdict(now).until_ms, until);
        }
        breaker.succeeded(14_000);
        breaker.limited(14_000, None);
        assert_eq!(breaker.verdict(14_000).until_ms, 16_000);
    }

    #[test]
    fn a_probe_that_hangs_holds_up_the_next_for_a_while_and_was_rest_already() {
        let breaker = open(0);
        (0..3).for_each(|n| breaker.failed(5_000 + n * 60_000));
        assert_eq!(breaker.verdict(125_000).until_ms, 155_000);
        // Two that hang for half a minute each, the second while the first still does.
        breaker.probe(160_000);
        assert!(breaker.verdict(179_999).probing && !breaker.verdict(180_000).probing);
        breaker.probe(180_000);
        breaker.failed(190_000);
        assert_eq!(breaker.verdict(190_000).until_ms, 190_000 + PAUSE_MS, "it rested from when it began");
        assert!(breaker.verdict(199_999).probing && !breaker.verdict(200_000).probing);
        breaker.failed(210_000);
        assert_eq!(breaker.verdict(210_000).until_ms, 210_000 + PAUSE_MS);
        assert!(!breaker.verdict(211_000).probing, "nobody is trying it any more");
    }

    #[test]
    fn a_probe_nobody_ended_is_forgotten() {
        let breaker = open(0);
        breaker.probe(5_000);
        assert!(breaker.verdict(5_000 + PROBE_MS - 1).probing && !breaker.verdict(5_000 + PROBE_MS).probing);
        breaker.unproven();
        assert!(!breaker.verdict(6_000).probing);
    }
}
