//! `price-weighted`: the well before the ailing; the first of them drawn by the inverse square of what this very
//! request would cost, prompt caches counted, the others behind it by price. A conversation stays where its prompt is cached while
//! that is cheaper.
//!
//! At 1 and 3 dollars the cheaper one is drawn nine times in ten. This is OpenRouter's documented default
//! as it was published until 2026.
//!
//! ```toml
//! [models."house/fair"]
//! endpoints = ["lab/one", "sim/echo"]
//! load_balancer = "price-weighted"
//! ```

use super::{Strategy, drawn, to_front};
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
        line.sort_by_key(|c| (c.live.failing, c.dearness()));
        // Who failed is drawn only when nobody is well.
        let well = line.iter().take_while(|c| !c.live.failing).count();
        let Some(draw) = line.get_mut(..if well == 0 { line.len() } else { well }).filter(|d| d.len() > 1) else {
            return;
        };
        if let Some(at) = draw.iter().position(|c| c.sticky)
            && draw.first().is_some_and(|first| draw.get(at).is_some_and(|c| c.dearness() <= first.dearness()))
        {
            return to_front(draw, at);
        }
        // Sorted, so the first price is the lowest and the last known one the dearest: what an unknown price counts as.
        let nano = |c: &Candidate| c.price.map(|p| p.0.max(1) as f64);
        let dearest = draw.iter().rev().find_map(nano).unwrap_or(1.0);
        let cheapest = draw.first().and_then(nano).unwrap_or(dearest);
        let weight = |c: &Candidate| (cheapest / nano(c).unwrap_or(dearest)).powi(2);
        let at = drawn(draw.iter().map(weight), dice);
        to_front(draw, at);
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
        all[0].live.failing = true;
        all[3].live.failing = true;
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
