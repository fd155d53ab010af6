//! Power of two choices by peak EWMA, as Finagle and Linkerd have it: of two drawn the one whose latency (an average that jumps up at
//! once and comes down slowly) times one more than the requests under way is less.

use crate::policy::{Ended, Failed, Moment, Policy, Step, or_stop, untried};
use fastrand::Rng;

/// Finagle's default decay.
const TAU_MS: f64 = 10_000.0;
/// What a failure counts as, so that refusing quickly draws no traffic.
const FAILED_MS: f64 = 5_000.0;

#[derive(Clone, Default)]
pub(super) struct One {
    open: u32,
    ewma_ms: f64,
    at_ms: u64,
}

impl One {
    fn observe(&mut self, now_ms: u64, took_ms: f64) {
        self.ewma_ms = if took_ms > self.ewma_ms {
            took_ms
        } else {
            let keeps = (-(now_ms.saturating_sub(self.at_ms) as f64) / TAU_MS).exp();
            self.ewma_ms * keeps + took_ms * (1.0 - keeps)
        };
        self.at_ms = now_ms;
    }

    /// Without news the peak is forgotten.
    fn load(&self, now_ms: u64) -> f64 {
        let keeps = (-(now_ms.saturating_sub(self.at_ms) as f64) / TAU_MS).exp();
        (self.ewma_ms * keeps).max(1.0) * f64::from(self.open + 1)
    }
}

pub struct PeakEwma(pub(super) Vec<One>);

impl Policy for PeakEwma {
    fn next(&mut self, moment: &Moment<'_>, dice: &mut Rng) -> Step {
        let mut two = untried(self.0.len(), moment.past);
        dice.shuffle(&mut two);
        two.truncate(2);
        let load = |site: &usize| self.0.get(*site).map_or(0.0, |one| one.load(moment.now_ms));
        or_stop(two.into_iter().min_by(|a, b| load(a).total_cmp(&load(b))))
    }

    fn began(&mut self, _: u64, site: usize) {
        if let Some(one) = self.0.get_mut(site) {
            one.open += 1;
        }
    }

    fn first(&mut self, now_ms: u64, _: u32, site: usize, ttft_ms: u64) {
        if let Some(one) = self.0.get_mut(site) {
            one.observe(now_ms, ttft_ms as f64);
        }
    }

    fn ended(&mut self, _: u64, ended: &Ended) {
        if let Some(one) = self.0.get_mut(ended.site) {
            one.open -= 1;
        }
    }

    fn failed(&mut self, now_ms: u64, failed: &Failed<'_>) {
        if let Some(one) = self.0.get_mut(failed.site) {
            one.open -= 1;
            one.observe(now_ms, FAILED_MS.max(now_ms.saturating_sub(failed.began_ms) as f64));
        }
    }
}
