//! `least-latency` (or `latency`): quickest to the first content first. Also `provider.sort: "latency"`. One request in eight tries
//! somebody of whom nothing is known, if there is one: see `explore`.
//!
//! ```toml
//! [models."house/quick"]
//! endpoints = ["lab/one", "sim/echo"]
//! load_balancer = "least-latency"
//! ```

use super::{Strategy, explore::explore, sort_by};
use crate::eligible::Candidate;
use crate::view::View;
use fastrand::Rng;

pub struct LeastLatency;

impl Strategy for LeastLatency {
    fn name(&self) -> &'static str {
        "least-latency"
    }

    fn about(&self) -> &'static str {
        "Shortest time to the first content first; one request in eight tries one of those never measured."
    }

    fn rank(&self, line: &mut [Candidate], _: &View<'_>, dice: &mut Rng) {
        sort_by(line, |c| (c.live.ttft_ms.unwrap_or(u32::MAX), c.dearness()));
        explore(line, dice);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{line, order, rank};

    #[test]
    fn quickest_first_then_the_unmeasured_by_price() {
        let mut all = line(&[Some(3), Some(2), Some(1), Some(1)]);
        all[0].live.ttft_ms = Some(400);
        all[3].live.ttft_ms = Some(90);
        all.iter_mut().for_each(|c| c.live.output_tokens = Some(100));
        rank(&LeastLatency, &mut all, 0, 1);
        assert_eq!(order(&all), [3, 0, 2, 1]);
    }
}
