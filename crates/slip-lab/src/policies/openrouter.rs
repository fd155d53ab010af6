//! OpenRouter's rule as its page on provider routing had it until 2026: those without a significant outage in the last 30 seconds
//! first, one of them drawn by the inverse square of its price, the rest as fallbacks.

use crate::dice;
use crate::policy::{Failed, Moment, Policy, Step, Tariff, or_stop, untried};
use crate::site::Site;
use fastrand::Rng;
use slip_ir::FaultKind;

const OUTAGE_MS: u64 = 30_000;

pub struct OpenRouter {
    tariff: Tariff,
    failed_at: Vec<Option<u64>>,
}

impl OpenRouter {
    pub fn new(fleet: &[Site]) -> OpenRouter {
        OpenRouter { tariff: Tariff::of(fleet), failed_at: vec![None; fleet.len()] }
    }
}

impl Policy for OpenRouter {
    fn next(&mut self, moment: &Moment<'_>, dice: &mut Rng) -> Step {
        let quotes = self.tariff.quotes(moment.call);
        let quote = |site: usize| quotes.get(site).copied().unwrap_or(i64::MAX).max(1);
        let ill =
            |site: usize| self.failed_at.get(site).copied().flatten().is_some_and(|at| moment.now_ms < at + OUTAGE_MS);
        let mut left = untried(quotes.len(), moment.past);
        left.sort_by_key(|site| (ill(*site), quote(*site)));
        let well: Vec<usize> = left.iter().copied().filter(|site| !ill(*site)).collect();
        if !moment.past.is_empty() || well.is_empty() {
            return or_stop(left.first().copied());
        }
        let weights: Vec<f64> = well.iter().map(|site| (quote(*site) as f64).powi(-2)).collect();
        or_stop(dice::weighted(&weights, dice).and_then(|at| well.get(at).copied()))
    }

    fn failed(&mut self, now_ms: u64, failed: &Failed<'_>) {
        // A limit is no outage.
        if failed.fault.kind != FaultKind::RateLimited
            && let Some(at) = self.failed_at.get_mut(failed.site)
        {
            *at = Some(now_ms);
        }
    }
}
