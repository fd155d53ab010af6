//! `least-cost` (or `price`): cheapest first, by what this very request would cost. Also `provider.sort: "price"` and `:floor`.
//!
//! ```toml
//! [models."house/cheap"]
//! endpoints = ["lab/one", "sim/echo"]
//! load_balancer = "least-cost"
//! ```

use super::Strategy;
use crate::eligible::Candidate;
use crate::view::View;
use fastrand::Rng;

pub struct LeastCost;

impl Strategy for LeastCost {
    fn name(&self) -> &'static str {
        "least-cost"
    }

    fn about(&self) -> &'static str {
        "Cheapest first, by what this very request would cost; unknown prices last."
    }

    fn rank(&self, line: &mut [Candidate], _: &View<'_>, _: &mut Rng) {
        line.sort_by_key(Candidate::dearness);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{line, order, rank};

    #[test]
    fn cheapest_first_unknown_last_ties_as_listed() {
        let mut all = line(&[Some(30), None, Some(10), Some(30), Some(0)]);
        rank(&LeastCost, &mut all, 0, 1);
        assert_eq!(order(&all), [4, 2, 0, 3, 1]);
    }
}
