//! `least-latency` (or `latency`): quickest to the first content first. Also `provider.sort: "latency"`.
//!
//! ```toml
//! [models."house/quick"]
//! endpoints = ["lab/one", "sim/echo"]
//! load_balancer = "least-latency"
//! ```

use super::Strategy;
use crate::eligible::Candidate;
use crate::view::View;
use fastrand::Rng;

pub struct LeastLatency;

impl Strategy for LeastLatency {
    fn name(&self) -> &'static str {
        "least-latency"
    }

    fn about(&self) -> &'static str {
        "Shortest time to the first content first; those never measured follow, cheapest first."
    }

    fn rank(&self, line: &mut [Candidate], _: &View<'_>, _: &mut Rng) {
        line.sort_by_key(|c| (c.live.ttft_ms.unwrap_or(u32::MAX), c.dearness()));
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
        rank(&LeastLatency, &mut all, 0, 1);
        assert_eq!(order(&all), [3, 0, 2, 1]);
    }
}
