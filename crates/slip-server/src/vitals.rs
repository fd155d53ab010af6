//! How each endpoint instance has been doing lately: the little that routing needs today, lock-free to read.

use crate::clock;
use slip_ir::{Fault, FaultKind};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Weight of the newest sample in the moving averages.
const ALPHA: f64 = 0.2;
/// After this many failures in a row an instance rests.
const STRIKES: u32 = 5;
const REST: Duration = Duration::from_secs(10);
const REST_MAX: Duration = Duration::from_secs(300);
/// A credential that was refused is not tried again for this long.
const CREDENTIAL_REST: Duration = Duration::from_secs(300);
/// A rate limit without a stated end.
const LIMIT_REST: Duration = Duration::from_secs(2);
const LIMIT_REST_MAX: Duration = Duration::from_secs(60);

/// One instance of one endpoint.
#[derive(Default)]
pub struct Vital {
    /// Unix milliseconds; zero for never.
    pub cooled_until: AtomicU64,
    pub failed_at: AtomicU64,
    strikes: AtomicU32,
    /// Time to first content, microseconds, moving average; zero for unknown.
    pub ttft_us: AtomicU64,
    /// Output tokens per second × 1000, moving average; zero for unknown.
    pub rate_milli: AtomicU64,
}

impl Vital {
    /// A reply went to the caller. `failed` when it broke off after its first content.
    pub fn answered(&self, began: Instant, first: Instant, ended: Instant, tokens: u64, failed: bool) {
        average(&self.ttft_us, first.duration_since(began).as_micros() as f64);
        let seconds = ended.duration_since(first).as_secs_f64();
        if tokens > 1 && seconds > 0.001 {
            average(&self.rate_milli, tokens as f64 / seconds * 1000.0);
        }
        if failed {
            self.struck();
        } else if self.strikes.load(Ordering::Relaxed) != 0 {
            self.strikes.store(0, Ordering::Relaxed);
        }
    }

    /// An attempt failed before its first content. Only what the provider is to blame for counts.
    pub fn failed(&self, fault: &Fault) {
        match fault.kind {
            FaultKind::RateLimited => {
                let rest = fault.retry_after.unwrap_or(LIMIT_REST).min(LIMIT_REST_MAX);
                self.cool(rest);
            }
            FaultKind::UpstreamAuth | FaultKind::UpstreamQuota => self.cool(CREDENTIAL_REST),
            FaultKind::Overloaded => {
                if let Some(rest) = fault.retry_after {
                    self.cool(rest.min(LIMIT_REST_MAX));
                }
                self.struck();
            }
            FaultKind::Upstream | FaultKind::UpstreamTimeout => self.struck(),
            _ => {}
        }
    }

    fn struck(&self) {
        self.failed_at.store(clock::unix_ms(), Ordering::Relaxed);
        let strikes = self.strikes.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if strikes >= STRIKES {
            let doubled = REST * 2u32.saturating_pow((strikes - STRIKES).min(5));
            self.cool(doubled.min(REST_MAX));
        }
    }

    fn cool(&self, rest: Duration) {
        self.cooled_until.fetch_max(clock::unix_ms() + clock::ms(rest), Ordering::Relaxed);
    }
}

fn average(cell: &AtomicU64, sample: f64) {
    let old = cell.load(Ordering::Relaxed);
    let new = if old == 0 { sample } else { old as f64 + ALPHA * (sample - old as f64) };
    // Two writers at once lose one sample, which an average can bear.
    cell.store((new as u64).max(1), Ordering::Relaxed);
}

/// All instances of all configurations this process has had, by name, so that a reload forgets nothing. Bounded by configuration.
#[derive(Default)]
pub struct Vitals {
    known: Mutex<HashMap<String, Arc<Vital>>>,
}

impl Vitals {
    pub fn of(&self, name: &str) -> Arc<Vital> {
        let mut known = self.known.lock().unwrap_or_else(|broken| broken.into_inner());
        known.entry(name.to_owned()).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slip_ir::Remedy;

    #[test]
    fn only_what_the_provider_is_to_blame_for_makes_it_rest() {
        let rests = |kind, times: u32, after: Option<u64>| {
            let vital = Vital::default();
            let mut fault = Fault::upstream(kind, Remedy::Elsewhere, "x");
            fault.retry_after = after.map(Duration::from_secs);
            (0..times).for_each(|_| vital.failed(&fault));
            vital.cooled_until.load(Ordering::Relaxed).saturating_sub(clock::unix_ms()).div_ceil(1000)
        };
        assert_eq!(rests(FaultKind::BadRequest, 9, None), 0);
        assert_eq!(rests(FaultKind::Upstream, 4, None), 0);
        assert_eq!(rests(FaultKind::Upstream, 5, None), 10);
        assert_eq!(rests(FaultKind::Upstream, 6, None), 20);
        assert_eq!(rests(FaultKind::RateLimited, 1, None), 2);
        assert_eq!(rests(FaultKind::RateLimited, 1, Some(7)), 7);
        assert_eq!(rests(FaultKind::RateLimited, 1, Some(100_000)), 60);
        assert_eq!(rests(FaultKind::UpstreamAuth, 1, None), 300);
    }
}
