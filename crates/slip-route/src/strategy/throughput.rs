//! `throughput`: fastest writer first. Also `provider.sort: "throughput"` and `:nitro`. One request in eight tries somebody of whom
//! nothing is known, if there is one: see `explore`.
//!
//! ```toml
//! [models."house/fast"]
//! endpoints = ["lab/one", "sim/echo"]
//! load_balancer = "throughput"
//! ```

use super::{Strategy, explore::explore, sort_by};
use crate::eligible::Candidate;
use crate::view::View;
use fastrand::Rng;
use std::cmp::Reverse;

pub struct Throughput;

impl Strategy for Throughput {
    fn name(&self) -> &'static str {
        "throughput"
    }

    fn about(&self) -> &'static str {
        "Most tokens per second first; one request in eight tries one of those never measured."
    }

    fn rank(&self, line: &mut [Candidate], _: &View<'_>, dice: &mut Rng) {
        sort_by(line, |c| (Reverse(c.live.tokens_per_second), c.dearness()));
        explore(line, dice);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{line, order, rank};

    #[test]
    fn fastest_first_then_the_unmeasured_by_price() {
        let mut all = line(&[Some(3), Some(2), Some(1), Some(1)]);
        all[0].live.tokens_per_second = Some(40);
        all[3].live.tokens_per_second = Some(90);
        all.iter_mut().for_each(|c| c.live.output_tokens = Some(100));
        rank(&Throughput, &mut all, 0, 1);
        assert_eq!(order(&all), [3, 0, 2, 1]);
    }
}
