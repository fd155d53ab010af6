//! `weighted`: drawn by the weights of the keys.
//!
//! ```toml
//! [providers.lab]
//! keys = [{ key = "${LAB_A}", weight = 3 }, { key = "${LAB_B}" }]   # 4 in all, against 1 of a provider with one key
//!
//! [models."house/shared"]
//! endpoints = ["lab/one", "sim/echo"]
//! load_balancer = "weighted"
//! ```

use super::Strategy;
use crate::eligible::Candidate;
use crate::view::View;
use fastrand::Rng;

pub struct Weighted;

impl Strategy for Weighted {
    fn name(&self) -> &'static str {
        "weighted"
    }

    fn about(&self) -> &'static str {
        "In random order, drawn by the weights of the keys."
    }

    fn rank(&self, line: &mut [Candidate], _: &View<'_>, dice: &mut Rng) {
        let mut left: u64 = line.iter().map(|c| u64::from(c.weight)).sum();
        for at in 0..line.len() {
            let Some(rest) = line.get_mut(at..).filter(|r| r.len() > 1 && left > 0) else { return };
            let mut mark = dice.u64(0..left);
            let drawn = rest.iter().position(|c| {
                let hit = mark < u64::from(c.weight);
                mark = mark.saturating_sub(u64::from(c.weight));
                hit
            });
            let drawn = drawn.unwrap_or(0);
            left -= rest.get(drawn).map_or(0, |c| u64::from(c.weight));
            rest.swap(0, drawn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{firsts, line};

    #[test]
    fn the_first_is_drawn_by_weight() {
        let mut all = line(&[Some(1), Some(1), Some(1)]);
        all[1].weight = 3;
        all[2].weight = 0;
        let count = firsts(&Weighted, &all, 4000);
        assert!((900..1100).contains(&count[0]) && (2900..3100).contains(&count[1]), "{count:?}");
        assert_eq!(count[2], 0, "no instance, no weight");
    }
}
