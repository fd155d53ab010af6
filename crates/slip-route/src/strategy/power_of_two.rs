//! `power-of-two` (or `p2c`): two are drawn, and the one that is likely to answer sooner is asked first. Nearly as even as asking the
//! idlest of all, without everybody running to the same one.
//!
//! How soon is the peak-EWMA of Finagle and Linkerd: the time to first content, up at once and down by and by, times one more than
//! the requests under way.
//!
//! ```toml
//! [models."house/farm"]
//! endpoints = ["farm/llama"]
//! load_balancer = "power-of-two"
//! ```

use super::{Seat, Strategy, drawn};
use crate::eligible::Candidate;
use crate::view::{View, Vital};
use fastrand::Rng;

pub struct PowerOfTwo;

/// How long the next request is likely to wait. Nobody knows of the unmeasured, so they are taken to be as quick as the quickest.
fn wait(live: &Vital, quickest: u32) -> f64 {
    f64::from(live.peak_ms.unwrap_or(quickest).max(1)) * (f64::from(live.in_flight) + 1.0)
}

fn quickest<'a>(all: impl Iterator<Item = &'a Vital>) -> u32 {
    all.filter_map(|live| live.peak_ms).min().unwrap_or(1)
}

/// Two different places of so many, drawn by weight, the likelier sooner first.
fn two(weights: &[f64], wait: impl Fn(usize) -> f64, dice: &mut Rng) -> usize {
    let one = drawn(weights.iter().copied(), dice);
    let but = weights.iter().enumerate().map(|(at, weight)| if at == one { 0.0 } else { *weight });
    let other = drawn(but, dice);
    if other != one && wait(other) < wait(one) { other } else { one }
}

impl Strategy for PowerOfTwo {
    fn name(&self) -> &'static str {
        "power-of-two"
    }

    fn about(&self) -> &'static str {
        "Of two drawn by weight the one likely to answer sooner, by recent time to first content and requests under way."
    }

    fn rank(&self, line: &mut [Candidate], _: &View<'_>, dice: &mut Rng) {
        if line.len() < 2 {
            return;
        }
        let quickest = quickest(line.iter().map(|c| &c.live));
        line.sort_by(|a, b| wait(&a.live, quickest).total_cmp(&wait(&b.live, quickest)));
        let weights: Vec<f64> = line.iter().map(|c| f64::from(c.weight)).collect();
        let first = two(&weights, |at| line.get(at).map_or(f64::MAX, |c| wait(&c.live, quickest)), dice);
        super::to_front(line, first);
    }

    fn pick(&self, pool: &[Seat], _: Option<u64>, _: &View<'_>, dice: &mut Rng) -> usize {
        let quickest = quickest(pool.iter().map(|seat| &seat.live));
        let weights: Vec<f64> = pool.iter().map(|seat| f64::from(seat.instance.weight.max(1))).collect();
        two(&weights, |at| pool.get(at).map_or(f64::MAX, |seat| wait(&seat.live, quickest)), dice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{firsts, line, seats};

    #[test]
    fn the_slowest_of_three_is_never_first_and_the_quickest_is_two_times_in_three() {
        let mut all = line(&[None, None, None]);
        for (candidate, peak) in all.iter_mut().zip([300, 100, 200]) {
            candidate.live.peak_ms = Some(peak);
        }
        let count = firsts(&PowerOfTwo, &all, 3_000);
        assert!(count[0] == 0 && (1_900..2_100).contains(&count[1]), "{count:?}");
    }

    #[test]
    fn a_quick_replica_with_a_queue_is_not_quick() {
        let pool = seats(&[(9, Some(100)), (0, Some(500))]);
        for seed in 0..20 {
            assert_eq!(PowerOfTwo.pick(&pool, None, &View::calm(0), &mut Rng::with_seed(seed)), 1);
        }
        assert_eq!(PowerOfTwo.pick(&seats(&[(0, None)]), None, &View::calm(0), &mut Rng::with_seed(1)), 0);
    }
}
