//! `random`: a fair shuffle.
//!
//! ```toml
//! [models."house/any"]
//! endpoints = ["lab/one", "sim/echo"]
//! load_balancer = "random"
//! ```

use super::Strategy;
use crate::eligible::Candidate;
use crate::view::View;
use fastrand::Rng;

pub struct Random;

impl Strategy for Random {
    fn name(&self) -> &'static str {
        "random"
    }

    fn about(&self) -> &'static str {
        "In random order, all equally likely."
    }

    fn rank(&self, line: &mut [Candidate], _: &View<'_>, dice: &mut Rng) {
        dice.shuffle(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{firsts, line};

    #[test]
    fn everybody_is_first_about_as_often() {
        let count = firsts(&Random, &line(&[Some(1), Some(100), None]), 3000);
        assert!(count.iter().all(|n| (850..1150).contains(n)), "{count:?}");
    }
}
