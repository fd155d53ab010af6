//! How often a second endpoint may be asked beside the first: a share of the requests, the same share of what they cost, and not at
//! all while many are slow. Hedging is for the odd slow answer; when all are slow it is the load that would keep them so.
//!
//! Three purses that requests pay into and hedges pay from. Pure, and a few relaxed atomics: no clock is needed, for idle time neither
//! earns nor costs anything.

use slip_ir::Nano;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

/// One request, in the purses' unit.
const ONE: i64 = 1_000_000;
/// What a request adds to the patience with slow ones: with more than one in twenty it runs out.
const SLOW_SHARE: i64 = ONE / 20;
/// Slow ones in a row that are borne with, at the beginning and at most: chance makes runs.
const SLOW_AT_FIRST: i64 = 3 * ONE;
const SLOW_AT_MOST: i64 = 10 * ONE;
/// Hedges that can be saved up: an hour without one is no licence for a storm.
const SAVED: i64 = 5 * ONE;
/// The same of money: so many hedges of the usual price, as the last request had it.
const SAVED_PRICES: i64 = 5;

/// Of one house name. See the head of this file.
#[derive(Debug)]
pub struct Governor {
    /// Hedges earned, in millionths. What costs more than there is may go below nothing, once.
    hedges: AtomicI64,
    /// Nano-USD earned.
    money: AtomicI64,
    /// Slow requests that are still borne with, in millionths.
    calm: AtomicI64,
}

impl Default for Governor {
    fn default() -> Governor {
        Governor { hedges: AtomicI64::new(0), money: AtomicI64::new(0), calm: AtomicI64::new(SLOW_AT_FIRST) }
    }
}

impl Governor {
    /// A request begins. `share` is in millionths; `price` is what it is expected to cost, where that is known.
    pub fn request(&self, share: u32, price: Option<Nano>) {
        let share = i64::from(share);
        add(&self.hedges, share, SAVED);
        add(&self.calm, SLOW_SHARE, SLOW_AT_MOST);
        if let Some(Nano(price)) = price.filter(|price| price.0 > 0) {
            add(&self.money, price.saturating_mul(share) / ONE, price.saturating_mul(SAVED_PRICES));
        }
    }

    /// A request has waited for its first content longer than it should. Whether there is still room to do something about it: not
    /// when too many are slow.
    pub fn late(&self) -> bool {
        let calm = self.calm.fetch_update(Relaxed, Relaxed, |left| Some((left - ONE).max(-ONE))).unwrap_or(0);
        calm >= ONE
    }

    /// May somebody else be asked beside, for this price?
    pub fn take(&self, price: Option<Nano>) -> bool {
        let price = price.map_or(0, |price| price.0.max(0));
        if price > 0 && self.money.load(Relaxed) < 0 {
            return false;
        }
        let taken = self.hedges.fetch_update(Relaxed, Relaxed, |left| (left >= 0).then_some(left - ONE));
        if taken.is_ok() {
            self.money.fetch_sub(price, Relaxed);
        }
        taken.is_ok()
    }
}

fn add(purse: &AtomicI64, amount: i64, most: i64) {
    let _ = purse.fetch_update(Relaxed, Relaxed, |held| {
        // What was saved at a higher price is not taken away.
        let most = most.max(held);
        Some(held.saturating_add(amount).min(most))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIFTIETH: u32 = 20_000;

    /// So many requests, every `nth` of them slow; how many were hedged.
    fn run(governor: &Governor, requests: u32, nth: u32, price: Option<Nano>, dear: Option<Nano>) -> u32 {
        let mut hedged = 0;
        for n in 1..=requests {
            governor.request(FIFTIETH, price);
            if n % nth == 0 && governor.late() && governor.take(dear) {
                hedged += 1;
            }
        }
        hedged
    }

    #[test]
    fn no_more_than_the_share_of_the_requests_is_hedged() {
        let cheap = Some(Nano(100));
        let hedged = run(&Governor::default(), 10_000, 25, cheap, cheap);
        assert!((195..=201).contains(&hedged), "{hedged} of 400 slow ones");
        let hedged = run(&Governor::default(), 10_000, 25, None, None);
        assert!((195..=201).contains(&hedged), "{hedged} where nobody knows a price");
        assert_eq!(run(&Governor::default(), 10_000, 100, cheap, cheap), 100, "every slow one, where they are fewer");
    }

    #[test]
    fn no_more_than_the_share_of_the_money_is_spent() {
        let hedged = run(&Governor::default(), 10_000, 25, Some(Nano(1_000)), Some(Nano(10_000)));
        assert!((19..=21).contains(&hedged), "ten times the price, a tenth of the hedges: {hedged}");
    }

    #[test]
    fn it_stops_by_itself_when_many_are_slow_and_begins_again_when_few_are() {
        let governor = Governor::default();
        let hedged = run(&governor, 1_000, 2, None, None);
        assert!(hedged <= 2, "half of them slow: {hedged}");
        assert!(!governor.late());
        assert!(run(&governor, 1_000, 50, None, None) >= 15);
    }

    #[test]
    fn what_was_saved_up_is_a_handful() {
        let governor = Governor::default();
        assert_eq!(run(&governor, 100_000, u32::MAX, None, None), 0);
        let burst = (0..100).filter(|_| governor.take(None)).count();
        assert_eq!(burst, 6);
    }
}
