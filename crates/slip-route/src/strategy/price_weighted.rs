//! `price-weighted`, the default: the well before the ailing; the first of them drawn by the inverse square of what this very
//! request would cost, the others behind it by price.
//!
//! At 1 and 3 dollars the cheaper one is drawn nine times in ten. This is OpenRouter's documented default
//! (its page on provider routing, read 2026-11).
//!
//! ```toml
//! [models."house/fair"]
//! endpoints = ["lab/one", "sim/echo"]       # nothing more to write
//! ```

use super::Strategy;
use crate::eligible::Candidate;
use crate::view::View;
use fastrand::Rng;

pub struct PriceWeighted;

impl Strategy for PriceWeighted {
    fn name(&self) -> &'static str {
        "price-weighted"
    }

    fn about(&self) -> &'static str {
        "Those that did not fail lately first; among them one drawn by 1/price², the others by price."
    }

    fn rank(&self, line: &mut [Candidate], _: &View<'_>, dice: &mut Rng) {
        line.sort_by_key(|c| (c.failing, c.dearness()));
        // Who failed is drawn only when nobody is well.
        let well = line.iter().take_while(|c| !c.failing).count();
        let Some(draw) = line.get_mut(..if well == 0 { line.len() } else { well }).filter(|d| d.len() > 1) else {
            return;
        };
        // Sorted, so the first price is the lowest and the last known one the dearest: what an unknown price counts as.
        let nano = |c: &Candidate| c.price.map(|p| p.0.max(1) as f64);
        let dearest = draw.iter().rev().find_map(nano).unwrap_or(1.0);
        let cheapest = draw.first().and_then(nano).unwrap_or(dearest);
        let weight = |c: &Candidate| (cheapest / nano(c).unwrap_or(dearest)).powi(2);
        let mut mark = dice.f64() * draw.iter().map(weight).sum::<f64>();
        let drawn = draw.iter().position(|c| {
            mark -= weight(c);
            mark < 0.0
        });
        if let Some(head) = draw.get_mut(..=drawn.unwrap_or(0)) {
            head.rotate_right(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{firsts, line, order, rank};

    #[test]
    fn a_third_of_the_price_is_nine_times_the_traffic() {
        let count = firsts(&PriceWeighted, &line(&[Some(3_000), Some(1_000)]), 10_000);
        assert!((850..1150).contains(&count[0]), "{count:?}");
    }

    #[test]
    fn an_unknown_price_counts_as_the_dearest_known() {
        let count = firsts(&PriceWeighted, &line(&[None, Some(1_000), Some(2_000)]), 9_000);
        assert!((1350..1650).contains(&count[0]) && (1350..1650).contains(&count[2]), "{count:?}");
        let count = firsts(&PriceWeighted, &line(&[None, None]), 1_000);
        assert!((400..600).contains(&count[0]), "{count:?}");
    }

    #[test]
    fn what_costs_nothing_is_taken_first() {
        let count = firsts(&PriceWeighted, &line(&[Some(200_000), Some(0)]), 1_000);
        assert_eq!(count, [0, 1_000]);
    }

    #[test]
    fn the_others_follow_by_price_and_those_that_failed_come_last() {
        let mut all = line(&[Some(1), Some(9_000), Some(8_000), Some(500), None]);
        all[0].failing = true;
        all[3].failing = true;
        for seed in 0..50 {
            let mut line = all.clone();
            rank(&PriceWeighted, &mut line, 0, seed);
            let got = order(&line);
            assert!(
                [[2, 1, 4, 0, 3], [1, 2, 4, 0, 3], [4, 2, 1, 0, 3]].contains(&[got[0], got[1], got[2], got[3], got[4]]),
                "{got:?}"
            );
        }
    }
}
