//! One number for a run, so that policies can be ranked: what a request costs in money, waiting and disappointment.
//!
//! A score is dollars per 1,000 requests: `bills + SECOND × seconds from the call to the end of the answer + FAILURE × failures`.
//! The constants are judgements, made once and written here; no policy is told of them.

use crate::run::{End, Outcome};

/// Dollars that a second of waiting is worth: 18 cents an hour. At the prices of the fleets here an answer's time then weighs
/// about half as much as its tokens, so that neither the cheapest nor the fastest wins by itself.
pub const SECOND: f64 = 0.000_05;
/// Dollars that a request without an answer costs its caller: some twenty times what the answer would have.
pub const FAILURE: f64 = 0.01;

pub fn of(outcomes: &[Outcome]) -> f64 {
    let one = |o: &Outcome| {
        let bills = (o.cost.0 + o.wasted.0) as f64 / 1e9;
        let seconds = (o.ended_ms - o.arrived_ms) as f64 / 1e3;
        bills + SECOND * seconds + if o.end == End::Served { 0.0 } else { FAILURE }
    };
    outcomes.iter().map(one).sum::<f64>() / outcomes.len().max(1) as f64 * 1_000.0
}
