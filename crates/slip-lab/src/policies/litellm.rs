//! LiteLLM's default: simple shuffle over the sites that do not rest, the same for a retry, which may meet the same site again. A
//! site rests 5 s after a 429, or when more than half of at least five calls in the minute of the clock failed (its
//! documentation and constants, read 2026-11). When all rest, the caller is told so.

use crate::policy::{Ended, Failed, Moment, Policy, Step, or_stop};
use fastrand::Rng;
use slip_ir::FaultKind;

const REST_MS: u64 = 5_000;
const SHARE: f64 = 0.5;
const AT_LEAST: u32 = 5;

#[derive(Clone, Default)]
pub(super) struct One {
    rests_until: u64,
    minute: u64,
    served: u32,
    failed: u32,
}

impl One {
    fn at(&mut self, now_ms: u64) -> &mut One {
        let minute = now_ms / 60_000;
        if self.minute != minute {
            *self = One { minute, rests_until: self.rests_until, ..One::default() };
        }
        self
    }
}

pub struct LiteLlm(pub(super) Vec<One>);

impl Policy for LiteLlm {
    fn next(&mut self, moment: &Moment<'_>, dice: &mut Rng) -> Step {
        let awake = |(_, one): &(usize, &One)| one.rests_until <= moment.now_ms;
        let awake: Vec<usize> = self.0.iter().enumerate().filter(awake).map(|(site, _)| site).collect();
        or_stop(dice.choice(awake))
    }

    fn ended(&mut self, now_ms: u64, ended: &Ended) {
        if let Some(one) = self.0.get_mut(ended.site) {
            one.at(now_ms).served += 1;
        }
    }

    fn failed(&mut self, now_ms: u64, failed: &Failed<'_>) {
        let alone = self.0.len() == 1;
        let Some(one) = self.0.get_mut(failed.site).map(|one| one.at(now_ms)) else { return };
        one.failed += 1;
        let all = one.failed + one.served;
        let many = all >= AT_LEAST && f64::from(one.failed) > SHARE * f64::from(all);
        if !alone && (failed.fault.kind == FaultKind::RateLimited || many) {
            let after = failed.fault.retry_after.map_or(REST_MS, |d| d.as_millis() as u64);
            one.rests_until = now_ms + after;
        }
    }
}
