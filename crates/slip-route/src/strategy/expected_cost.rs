//! `expected-cost`, the default: what an answer here is likely to cost in money and waiting, failures and all; one is drawn by the
//! inverse fourth power of that, the others follow in its order. A conversation stays where its prompt is cached while that is cheaper.
//!
//! ```text
//! (price + SECOND · (wait + FAILURE · (1 − odds))) / odds + SECOND · BREAK · (1 − whole)
//! ```
//!
//! The price is of this very request with the endpoint's usual share of cached prompt tokens, `odds` how likely it is to answer
//! (asked with tools, to call them well), `whole` how likely an answer is to come to its end, the wait its time to first content and its usual time for so many tokens. The
//! time to first content is longer by how many more are under way there than were when it was measured, and than are elsewhere, and no
//! less than what others wait there now. Where nothing
//! was measured and nobody failed, it is a draw by the price alone: at 1 and 2 dollars the cheaper one sixteen times in seventeen.
//!
//! The constants were found with `cargo xtask sim`; `docs/routing.md` has what they come to, and what others would.
//!
//! ```toml
//! [models."house/fair"]
//! endpoints = ["lab/one", "sim/echo"]       # nothing more to write
//! ```

use super::{Seat, Strategy, arrange, drawn, places};
use crate::eligible::Candidate;
use crate::view::{View, Vital};
use fastrand::Rng;

/// What a second of waiting is worth, in nano-USD: 18 cents an hour.
pub const SECOND: f64 = 50_000.0;
/// What a failed attempt is worth beside its repetition, in seconds.
const FAILURE: f64 = 3.0;
/// What an answer is worth that breaks off, in seconds: nobody else can be tried any more, so it is the caller's failure.
const BREAK: f64 = 200.0;
/// So few requests under way say little. So many more than the mean of all double the wait for the first content, for who comes to the
/// fullest makes others wait besides; beside the mean, because what many are is a matter of the house: a hundred are nothing to
/// somebody who always has them.
const ROOM: f64 = 4.0;
/// Those who still wait have on average half their wait behind them.
const HALFWAY: f64 = 2.0;
/// Whose rest is over has at least these odds: it rested for its failures, and that it is asked again, by one request at a time, is
/// what shows whether they are over. Half the traffic it had would be a trial too many where there is little.
const TRIAL: f64 = 0.85;
/// Who failed and has not answered since is likely to fail again: that halves its odds.
const DOUBT: f64 = 0.5;
/// The greater, the more of the traffic goes to the best.
const EXPONENT: i32 = 4;
/// Even the hopeless are not infinitely dear.
const HOPE: f64 = 0.02;

pub struct ExpectedCost;

/// What the unmeasured are taken to be: as the usual one of those who were.
struct Usual {
    price: f64,
    first_ms: f64,
    speed: Option<f64>,
    /// The mean of what is under way at each.
    under_way: f64,
}

fn median(mut all: Vec<u32>) -> Option<f64> {
    let middle = all.len() / 2;
    (middle < all.len()).then(|| f64::from(*all.select_nth_unstable(middle).1))
}

impl Usual {
    fn of(line: &[Candidate]) -> Usual {
        let (mut firsts, mut speeds) = (Vec::with_capacity(line.len()), Vec::with_capacity(line.len()));
        let (mut dearest, mut under_way) = (0, 0u64);
        for c in line {
            firsts.extend(c.live.ttft_ms);
            speeds.extend(c.live.tokens_per_second);
            // An unknown price counts as the dearest known.
            dearest = dearest.max(c.price.map_or(0, |p| p.0));
            under_way += u64::from(c.live.in_flight);
        }
        Usual {
            price: dearest as f64,
            first_ms: median(firsts).unwrap_or(0.0),
            speed: median(speeds),
            under_way: under_way as f64 / line.len().max(1) as f64,
        }
    }
}

/// How many times as long as was measured the wait is now: by how many more are under way than when those came who were measured.
/// Where there is a queue, what was measured tells of one that is gone; the longer it is, the longer ago. By it alone everybody goes
/// where nobody was, until the first of them answers.
fn crowding(live: &Vital) -> f64 {
    live.ahead.map_or(1.0, |then| (ROOM + f64::from(live.in_flight)) / (ROOM + f64::from(then)))
}

/// In nano-USD.
fn score(c: &Candidate, usual: &Usual) -> f64 {
    let price = c.price.map_or(usual.price, |p| p.0 as f64);
    let queue = crowding(&c.live) * (1.0 + f64::from(c.live.in_flight) / (ROOM + usual.under_way));
    let first = c.live.ttft_ms.map_or(usual.first_ms, f64::from) * queue;
    let first = first.max(HALFWAY * f64::from(c.live.silent_ms)) / 1000.0;
    let speed = c.live.tokens_per_second.map(f64::from).or(usual.speed);
    let wait = first + speed.map_or(0.0, |speed| f64::from(c.expects) / speed.max(1.0));
    let doubt = if c.live.failing { DOUBT } else { 1.0 };
    let odds = (f64::from(c.live.odds * c.live.call_odds) * doubt).clamp(HOPE, 1.0);
    let odds = if c.live.half_open { odds.max(TRIAL) } else { odds };
    let breaks = 1.0 - f64::from(c.live.whole);
    (price + SECOND * (wait + FAILURE * (1.0 - odds))) / odds + SECOND * BREAK * breaks
}

/// Which of the places goes first.
fn first(line: &[Candidate], places: &[u32], dice: &mut Rng) -> usize {
    let each = || places.iter().filter_map(|at| line.get(*at as usize));
    let least = each().next().map_or(1.0, |c| c.score).max(1.0);
    if let Some(at) = each().position(|c| c.sticky && c.score <= least) {
        return at;
    }
    let weight = |c: &Candidate| (least / c.score.max(1.0)).powi(EXPONENT) * f64::from(c.live.warmth);
    let weights: Vec<f64> = each().map(weight).collect();
    drawn(weights.iter().copied(), dice)
}

/// What a score is made of, in nano-USD; together they are the score.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Parts {
    pub price: f64,
    pub waiting: f64,
    /// What failing sometimes adds: the loss itself, and paying and waiting again.
    pub failure: f64,
}

impl Parts {
    pub fn total(&self) -> f64 {
        self.price + self.waiting + self.failure
    }
}

/// The scores of equals in parts, whichever strategy ranks them.
pub fn parts(line: &[Candidate]) -> Vec<Parts> {
    let usual = Usual::of(line);
    let one = |c: &Candidate| {
        let price = c.price.map_or(usual.price, |p| p.0 as f64);
        // One that never fails costs its price and the waiting for it.
        let sound = Candidate { live: Vital { odds: 1.0, call_odds: 1.0, whole: 1.0, failing: false, ..c.live }, ..*c };
        let sound = score(&sound, &usual);
        Parts { price, waiting: sound - price, failure: score(c, &usual) - sound }
    };
    line.iter().map(one).collect()
}

impl Strategy for ExpectedCost {
    fn name(&self) -> &'static str {
        "expected-cost"
    }

    fn about(&self) -> &'static str {
        "One drawn by the inverse fourth power of what an answer is likely to cost in money and waiting; the others by the same."
    }

    fn rank(&self, line: &mut [Candidate], _: &View<'_>, dice: &mut Rng) {
        if line.len() < 2 {
            return;
        }
        let usual = Usual::of(line);
        line.iter_mut().for_each(|c| c.score = score(c, &usual));
        let mut places = places(line.iter().map(|c| (c.score, c.price.is_none())));
        let first = first(line, &places, dice);
        if let Some(head) = places.get_mut(..=first) {
            head.rotate_right(1);
        }
        arrange(line, &mut places);
    }

    /// Of two drawn by weight, the one with less under way.
    fn pick(&self, pool: &[Seat], _: Option<u64>, _: &View<'_>, dice: &mut Rng) -> usize {
        let weights = |but: Option<usize>| {
            let weight = |seat: &Seat| f64::from(seat.instance.weight.max(1)) * f64::from(seat.live.warmth);
            pool.iter().enumerate().map(move |(at, seat)| if Some(at) == but { 0.0 } else { weight(seat) })
        };
        let one = drawn(weights(None), dice);
        let other = drawn(weights(Some(one)), dice);
        let load = |at: usize| {
            pool.get(at).map_or(f64::MAX, |s| f64::from(s.live.in_flight) / f64::from(s.instance.weight.max(1)))
        };
        if load(other) < load(one) { other } else { one }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{firsts, line, order, rank};

    #[test]
    fn half_the_price_is_sixteen_times_the_traffic() {
        let count = firsts(&ExpectedCost, &line(&[Some(2_000_000), Some(1_000_000)]), 10_000);
        assert!((500..680).contains(&count[0]), "{count:?}");
    }

    #[test]
    fn an_unknown_price_counts_as_the_dearest_known_and_nothing_is_taken_first() {
        let count = firsts(&ExpectedCost, &line(&[None, Some(1_000), Some(2_000)]), 9_000);
        assert!((420..590).contains(&count[0]) && (420..590).contains(&count[2]), "{count:?}");
        let count = firsts(&ExpectedCost, &line(&[None, None]), 1_000);
        assert!((400..600).contains(&count[0]), "{count:?}");
        let count = firsts(&ExpectedCost, &line(&[Some(200_000), Some(0)]), 1_000);
        assert_eq!(count, [0, 1_000]);
    }

    #[test]
    fn waiting_and_failing_cost_too() {
        let mut all = line(&[Some(100_000), Some(100_000), Some(100_000)]);
        for (candidate, ttft) in all.iter_mut().zip([9_000, 300, 300]) {
            candidate.live.ttft_ms = Some(ttft);
        }
        all[2].live.odds = 0.5;
        let count = firsts(&ExpectedCost, &all, 1_000);
        assert!(count[0] < 50 && count[1] > 850 && count[2] < 150, "{count:?}");
        rank(&ExpectedCost, &mut all, 0, 9);
        assert_eq!(order(&all), [1, 2, 0]);
    }

    #[test]
    fn silence_broken_answers_and_a_failure_just_now_send_it_elsewhere() {
        let ails: [fn(&mut crate::view::Vital); 4] = [
            |v| v.silent_ms = 10_000,
            |v| v.whole = 0.9,
            |v| v.failing = true,
            |v| (v.in_flight, v.ttft_ms) = (40, Some(2_000)),
        ];
        for ail in ails {
            let mut all = line(&[Some(100_000), Some(100_000)]);
            all.iter_mut().for_each(|c| c.live.ttft_ms = Some(500));
            ail(&mut all[0].live);
            let count = firsts(&ExpectedCost, &all, 1_000);
            assert!(count[0] < 250, "{count:?}");
        }
    }

    #[test]
    fn a_burst_does_not_run_to_whoever_was_idle_before_any_of_it_has_answered() {
        // Two are full and have grown slow; the third was slow without a queue, and nobody has asked it for a while.
        let rows = [(9_000, 90, 60.0), (9_000, 90, 60.0), (3_000, 0, 1.0)];
        let takes = |known: bool| {
            let mut all = line(&[Some(0), Some(0), Some(0)]);
            for (candidate, (first, under_way, then)) in all.iter_mut().zip(rows) {
                let live = &mut candidate.live;
                (live.ttft_ms, live.in_flight, live.ahead) = (Some(first), under_way, known.then_some(then));
            }
            let mut dice = Rng::with_seed(7);
            for _ in 0..200 {
                ExpectedCost.rank(&mut all, &View::calm(0), &mut dice);
                all[0].live.in_flight += 1;
            }
            all.iter().find(|c| c.at == 2).map_or(0, |c| c.live.in_flight)
        };
        let (knowing, not_knowing) = (takes(true), takes(false));
        assert!((20..80).contains(&knowing) && not_knowing > 150, "{knowing} and {not_knowing} of 200");
    }

    #[test]
    fn who_recovers_gets_a_tenth_of_the_traffic_first() {
        let mut all = line(&[Some(100_000), Some(100_000)]);
        all[0].live.warmth = 0.1;
        let count = firsts(&ExpectedCost, &all, 10_000);
        assert!((800..1_020).contains(&count[0]), "{count:?}");
    }

    #[test]
    fn whose_rest_is_over_is_tried_though_it_failed_time_and_again() {
        let mut all = line(&[Some(100_000), Some(100_000)]);
        (all[0].live.odds, all[0].live.failing) = (0.4, true);
        assert!(firsts(&ExpectedCost, &all, 1_000)[0] < 10);
        all[0].live.half_open = true;
        assert!((150..350).contains(&firsts(&ExpectedCost, &all, 1_000)[0]));
    }

    #[test]
    fn a_conversation_stays_until_leaving_is_worth_more_than_its_cache() {
        let mut all = line(&[Some(80_000), Some(100_000)]);
        all[0].sticky = true;
        assert_eq!(firsts(&ExpectedCost, &all, 100), [100, 0]);
        all[1].price = Some(slip_ir::Nano(40_000));
        assert!(firsts(&ExpectedCost, &all, 100)[1] > 50);
    }
}
