//! The right to retry: a fifth of the first attempts, and three a second beside, so that retries never become the load that keeps
//! an endpoint down. What was not used within ten seconds is lost.

use std::sync::atomic::{AtomicU64, Ordering};

/// Thousandths of a retry that one first attempt earns.
const EARNED: u64 = 200;
/// Thousandths of a retry that a millisecond earns: three a second.
const FLOOR: u64 = 3;
const MEMORY_MS: u64 = 10_000;
/// The most that can be saved up, in thousandths: what the floor earns in ten seconds, and what 1,000 first attempts do.
const MOST: u64 = FLOOR * MEMORY_MS + EARNED * 1_000;

/// Thousandths of a retry and when they were counted, in one word.
#[derive(Default)]
pub(super) struct Budget(AtomicU64);

/// 40 bits of milliseconds (34 years) above 24 of thousandths.
const AMOUNT: u64 = (1 << 24) - 1;

impl Budget {
    fn settle(word: u64, now_ms: u64) -> u64 {
        let (at, amount) = (word >> 24, word & AMOUNT);
        let now = now_ms & (u64::MAX >> 24);
        if word == 0 {
            return FLOOR * MEMORY_MS;
        }
        let passed = now.saturating_sub(at).min(MEMORY_MS);
        // The floor fills up; what was earned above it fades.
        let floor = FLOOR * MEMORY_MS;
        let above = amount.saturating_sub(floor) * (MEMORY_MS - passed) / MEMORY_MS;
        (amount.min(floor) + FLOOR * passed).min(floor) + above
    }

    fn change(&self, now_ms: u64, change: impl Fn(u64) -> Option<u64>) -> bool {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
                let amount = change(Budget::settle(word, now_ms))?.min(MOST).min(AMOUNT);
                let at = (now_ms & (u64::MAX >> 24)).max(word >> 24);
                Some(at << 24 | amount)
            })
            .is_ok()
    }

    pub(super) fn deposit(&self, now_ms: u64) {
        self.change(now_ms, |amount| Some(amount + EARNED));
    }

    pub(super) fn withdraw(&self, now_ms: u64) -> bool {
        self.change(now_ms, |amount| amount.checked_sub(1_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_of_the_traffic_and_a_few() {
        let budget = Budget::default();
        let start = 1_700_000_000_000;
        let spent = (0..100).filter(|_| budget.withdraw(start)).count();
        assert_eq!(spent, 30, "ten seconds of the floor");
        (0..100).for_each(|_| budget.deposit(start));
        assert_eq!((0..100).filter(|_| budget.withdraw(start)).count(), 20);
        assert_eq!((0..100).filter(|_| budget.withdraw(start + 1_000)).count(), 3);
    }

    #[test]
    fn what_is_not_used_is_lost() {
        let budget = Budget::default();
        (0..1_000).for_each(|_| budget.deposit(1_000));
        assert_eq!((0..1_000).filter(|_| budget.withdraw(11_000)).count(), 30);
    }
}
