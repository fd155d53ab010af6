//! By average time to first content, whoever was never measured first; on a failure the next.

use crate::policy::{Failed, Moment, Policy, Step, or_stop, untried};
use crate::site::Site;
use fastrand::Rng;

/// Weight of the newest sample.
const ALPHA: f64 = 0.2;
/// What a failure counts as: without it a site that fails fast would stay where it was.
const FAILED_MS: f64 = 5_000.0;

pub struct Fastest(Vec<Option<f64>>);

impl Fastest {
    pub fn new(fleet: &[Site]) -> Fastest {
        Fastest(vec![None; fleet.len()])
    }

    fn observe(&mut self, site: usize, took_ms: f64) {
        if let Some(one) = self.0.get_mut(site) {
            *one = Some(one.map_or(took_ms, |old| old + ALPHA * (took_ms - old)));
        }
    }
}

impl Policy for Fastest {
    fn next(&mut self, moment: &Moment<'_>, _: &mut Rng) -> Step {
        let usual = |site: &usize| self.0.get(*site).copied().flatten().unwrap_or(0.0);
        or_stop(untried(self.0.len(), moment.past).into_iter().min_by(|a, b| usual(a).total_cmp(&usual(b))))
    }

    fn first(&mut self, _: u64, _: u32, site: usize, ttft_ms: u64) {
        self.observe(site, ttft_ms as f64);
    }

    fn failed(&mut self, now_ms: u64, failed: &Failed<'_>) {
        self.observe(failed.site, FAILED_MS.max(now_ms.saturating_sub(failed.began_ms) as f64));
    }
}
