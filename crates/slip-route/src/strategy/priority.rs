//! `priority`: as listed.
//!
//! ```toml
//! [models."house/main"]
//! endpoints = ["lab/one", "sim/echo"]       # lab first; sim when lab cannot
//! load_balancer = "priority"
//! ```

use super::Strategy;
use crate::eligible::Candidate;
use crate::view::View;
use fastrand::Rng;

pub struct Priority;

impl Strategy for Priority {
    fn name(&self) -> &'static str {
        "priority"
    }

    fn about(&self) -> &'static str {
        "In the order in which they are listed."
    }

    fn rank(&self, line: &mut [Candidate], _: &View<'_>, _: &mut Rng) {
        line.sort_by_key(|c| (c.place, c.at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{line, order, rank};

    #[test]
    fn as_listed_whatever_it_costs() {
        let mut all = line(&[Some(9), None, Some(1)]);
        all.reverse();
        rank(&Priority, &mut all, 5, 1);
        assert_eq!(order(&all), [0, 1, 2]);
    }
}
