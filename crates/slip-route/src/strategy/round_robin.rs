//! `round-robin`: everybody in turn, as often as the weights of their keys say.
//!
//! ```toml
//! [models."house/fast"]
//! endpoints = ["lab/one", "sim/echo"]
//! load_balancer = "round-robin"
//! ```

use super::{Seat, Strategy, turns};
use crate::eligible::Candidate;
use crate::view::View;
use fastrand::Rng;

pub struct RoundRobin;

impl Strategy for RoundRobin {
    fn name(&self) -> &'static str {
        "round-robin"
    }

    fn about(&self) -> &'static str {
        "Everybody in turn, and their keys too, as often as the keys' weights say."
    }

    fn rank(&self, line: &mut [Candidate], view: &View<'_>, _: &mut Rng) {
        let Some((first, nth)) = turns::whose(line.iter().map(|c| c.weight), view.turn) else { return };
        for candidate in line.iter_mut() {
            candidate.lap = Some(view.turn);
        }
        if let Some(candidate) = line.get_mut(first) {
            candidate.lap = Some(nth);
        }
        line.rotate_left(first);
    }

    fn pick(&self, pool: &[Seat], lap: Option<u64>, view: &View<'_>, _: &mut Rng) -> usize {
        let weights = pool.iter().map(|seat| seat.instance.weight.max(1));
        turns::whose(weights, lap.unwrap_or(view.turn)).map_or(0, |(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{line, order, rank};

    #[test]
    fn the_turn_decides_who_is_first_and_the_others_follow_round() {
        let all = line(&[Some(1), Some(2), Some(3)]);
        for (turn, want) in [(0, [0, 1, 2]), (1, [1, 2, 0]), (2, [2, 0, 1]), (3, [0, 1, 2]), (4, [1, 2, 0])] {
            let mut line = all.clone();
            rank(&RoundRobin, &mut line, turn, 1);
            assert_eq!(order(&line), want);
            assert_eq!(line[0].lap, Some(turn / 3));
        }
    }

    #[test]
    fn a_heavier_endpoint_comes_round_more_often() {
        let mut all = line(&[Some(1), Some(2)]);
        all[0].weight = 3;
        let mut count = [0; 2];
        for turn in 0..8 {
            let mut line = all.clone();
            rank(&RoundRobin, &mut line, turn, 1);
            count[line[0].at as usize] += 1;
        }
        assert_eq!(count, [6, 2]);
    }
}
