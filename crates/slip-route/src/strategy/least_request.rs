//! `least-request`: whoever has the fewest requests under way, for its weight. Good for self-hosted replicas of one speed.
//!
//! ```toml
//! [providers.farm]
//! dialect = "openai-chat"
//! base_urls = ["http://10.0.0.1:8000/v1", "http://10.0.0.2:8000/v1"]
//!
//! [models."house/farm"]
//! endpoints = ["farm/llama"]
//! load_balancer = "least-request"
//! ```

use super::{Seat, Strategy};
use crate::eligible::Candidate;
use crate::view::View;
use fastrand::Rng;

pub struct LeastRequest;

/// Requests under way when one more is, over the weight.
fn load(in_flight: u32, weight: u32) -> f64 {
    (f64::from(in_flight) + 1.0) / f64::from(weight.max(1))
}

impl Strategy for LeastRequest {
    fn name(&self) -> &'static str {
        "least-request"
    }

    fn about(&self) -> &'static str {
        "Fewest requests under way first, for the weight; equals in random order."
    }

    fn rank(&self, line: &mut [Candidate], _: &View<'_>, dice: &mut Rng) {
        dice.shuffle(line);
        line.sort_by(|a, b| load(a.live.in_flight, a.weight).total_cmp(&load(b.live.in_flight, b.weight)));
    }

    fn pick(&self, pool: &[Seat], _: Option<u64>, _: &View<'_>, dice: &mut Rng) -> usize {
        // From a random place round, so that equals take turns.
        let from = dice.usize(0..pool.len().max(1));
        let round = (0..pool.len()).map(|n| (from + n) % pool.len());
        let of = |at: &usize| pool.get(*at).map_or(f64::MAX, |s| load(s.live.in_flight, s.instance.weight));
        round.min_by(|a, b| of(a).total_cmp(&of(b))).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{firsts, line, order, rank, seats};

    #[test]
    fn the_idle_first_and_the_heavy_carry_more() {
        let mut all = line(&[Some(1), Some(2), Some(3)]);
        for (candidate, (busy, weight)) in all.iter_mut().zip([(2, 1), (0, 1), (4, 4)]) {
            candidate.live.in_flight = busy;
            candidate.weight = weight;
        }
        rank(&LeastRequest, &mut all, 0, 1);
        assert_eq!(order(&all), [1, 2, 0]);
        let count = firsts(&LeastRequest, &line(&[None, None]), 1_000);
        assert!((400..600).contains(&count[0]), "{count:?}");
    }

    #[test]
    fn the_idlest_replica_takes_it() {
        let pool = seats(&[(3, None), (1, None), (2, None)]);
        for seed in 0..20 {
            assert_eq!(LeastRequest.pick(&pool, None, &View::calm(0), &mut Rng::with_seed(seed)), 1);
        }
    }
}
