//! Trying those of whom nothing is known, for strategies that go by what was measured: or else whoever was measured first would keep
//! all the traffic, and a new endpoint that is faster would never be found.
//!
//! One request in [`EVERY`] goes to one of them, drawn by lot, as if it were the best; the others follow in their order, so that a
//! disappointment costs one attempt. That is all it may cost:
//!
//! - only beside somebody who was measured: before, all are unknown alike;
//! - nobody who is known to cost more than [`DEAR`] times what the first would, is being tried already, failed lately or recovers;
//! - an answer ends it, whatever it was like, until it is too old to say anything (a quarter of an hour).
//!
//! Four unknown ones are found in some thirty requests.

use super::to_front;
use crate::eligible::Candidate;
use fastrand::Rng;

const EVERY: u32 = 8;
const DEAR: i64 = 4;

/// It has answered lately. A reply that came whole tells nothing of the first content, and a short one nothing of speed; nothing more is
/// to be learnt by asking for another.
fn known(c: &Candidate) -> bool {
    c.live.ttft_ms.is_some() || c.live.tokens_per_second.is_some() || c.live.output_tokens.is_some()
}

/// `line` is in the strategy's order.
pub(super) fn explore(line: &mut [Candidate], dice: &mut Rng) {
    let Some(first) = line.first().filter(|c| known(c)) else { return };
    let most = first.price.map_or(i64::MAX, |price| price.0.max(1).saturating_mul(DEAR));
    let may = |c: &Candidate| {
        let free = c.live.in_flight == 0 && !c.live.failing && !c.live.half_open;
        free && !known(c) && c.price.is_none_or(|price| price.0 <= most)
    };
    let unknown = line.iter().filter(|c| may(c)).count();
    if unknown == 0 || dice.u32(0..EVERY) != 0 {
        return;
    }
    let nth = dice.usize(0..unknown);
    if let Some((at, _)) = line.iter().enumerate().filter(|(_, c)| may(c)).nth(nth) {
        to_front(line, at);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Strategy, least_latency::LeastLatency, throughput::Throughput};
    use super::*;
    use crate::testing::{firsts, line, order, rank};
    use crate::view::View;

    const BOTH: [&dyn Strategy; 2] = [&LeastLatency, &Throughput];

    fn measure(c: &mut Candidate, ms: u32) {
        (c.live.ttft_ms, c.live.tokens_per_second, c.live.output_tokens) = (Some(ms), Some(100_000 / ms), Some(100));
    }

    #[test]
    fn a_new_endpoint_that_is_faster_is_found_within_tens_of_requests() {
        for strategy in BOTH {
            for seed in 0..50 {
                let mut dice = Rng::with_seed(seed);
                let mut all = line(&[Some(100), Some(100), Some(200), Some(300), Some(390)]);
                measure(&mut all[0], 900);
                let found = (1..=200).find(|_| {
                    let mut line = all.clone();
                    strategy.rank(&mut line, &View::calm(0), &mut dice);
                    let first = line[0].at as usize;
                    measure(&mut all[first], if first == 4 { 100 } else { 900 });
                    first == 4
                });
                assert!(found.is_some_and(|n| n <= 100), "{}: {found:?}", strategy.name());
                assert!(firsts(strategy, &all, 100)[4] > 70, "and then it has the traffic");
            }
        }
    }

    #[test]
    fn one_request_in_eight_explores_however_many_are_unknown() {
        for strategy in BOTH {
            for unknown in [1, 9] {
                let mut all = line(&vec![Some(100); unknown + 1]);
                measure(&mut all[0], 900);
                let count = firsts(strategy, &all, 8_000);
                assert!((880..1_120).contains(&(8_000 - count[0])), "{count:?}");
            }
        }
    }

    #[test]
    fn nobody_dear_ailing_busy_or_known_is_explored_and_nobody_where_all_are_unknown() {
        let nots: [fn(&mut Candidate); 6] = [
            |c| c.price = Some(slip_ir::Nano(401)),
            |c| c.live.failing = true,
            |c| c.live.half_open = true,
            |c| c.live.in_flight = 1,
            |c| c.live.output_tokens = Some(3),
            |c| c.live.ttft_ms = Some(5_000),
        ];
        for strategy in BOTH {
            for not in nots {
                let mut all = line(&[Some(100), Some(90)]);
                measure(&mut all[0], 900);
                not(&mut all[1]);
                assert_eq!(firsts(strategy, &all, 200), [200, 0]);
            }
            assert_eq!(firsts(strategy, &line(&[Some(100), Some(90)]), 200), [0, 200]);
        }
    }

    #[test]
    fn the_others_follow_in_their_order() {
        let mut all = line(&[Some(100), Some(100), Some(100), Some(90)]);
        (0..3).for_each(|at| measure(&mut all[at], 300 - at as u32 * 100));
        for seed in 0..40 {
            let mut line = all.clone();
            rank(&LeastLatency, &mut line, 0, seed);
            assert!([[2, 1, 0, 3], [3, 2, 1, 0]].contains(&[0, 1, 2, 3].map(|at| order(&line)[at])));
        }
    }
}
