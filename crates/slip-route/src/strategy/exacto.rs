//! `exacto`: whoever calls tools best first. Also `provider.sort: "exacto"` and `:exacto`.
//!
//! What counts is the share of replies with tool calls of which one was of no use: of a tool that was not offered, or with arguments
//! that are no JSON or not what was asked for. Within a hundredth of each other the faster one goes first. Who was never seen
//! calling tools is believed to err once in two hundred times.
//!
//! ```toml
//! [models."house/agent"]
//! endpoints = ["lab/one", "sim/echo"]
//! load_balancer = "exacto"
//! ```

use super::Strategy;
use crate::eligible::Candidate;
use crate::view::View;
use fastrand::Rng;
use std::cmp::Reverse;

pub struct Exacto;

/// In hundredths of the replies that called tools.
fn erring(c: &Candidate) -> u32 {
    ((1.0 - c.live.call_odds.clamp(0.0, 1.0)) * 100.0) as u32
}

impl Strategy for Exacto {
    fn name(&self) -> &'static str {
        "exacto"
    }

    fn about(&self) -> &'static str {
        "Fewest unusable tool calls first; of those alike, most tokens per second."
    }

    fn rank(&self, line: &mut [Candidate], _: &View<'_>, _: &mut Rng) {
        line.sort_by_key(|c| (erring(c), Reverse(c.live.tokens_per_second), c.dearness()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{line, order, rank};

    #[test]
    fn who_errs_least_goes_first_and_of_those_alike_the_fastest() {
        let mut all = line(&[Some(1), Some(1), Some(1), Some(1), Some(2)]);
        for (candidate, (odds, speed)) in
            all.iter_mut().zip([(0.9, 200), (0.997, 40), (0.992, 90), (0.5, 300), (0.995, 0)])
        {
            candidate.live.call_odds = odds;
            candidate.live.tokens_per_second = Some(speed).filter(|speed| *speed > 0);
        }
        rank(&Exacto, &mut all, 0, 1);
        assert_eq!(order(&all), [2, 1, 4, 0, 3]);
    }
}
