//! How often somebody can be asked who limits without counting down: learnt from refusals, forgotten by and by.
//!
//! After a rate limit the pace is a little less than what went through before it, and rises slowly until the next; between them a
//! bucket of a few requests fills at that pace. Who counts down in headers is not paced: see `super::headroom`.

use super::average::Average;
use super::fade::fade;
use std::sync::atomic::{AtomicU64, Ordering};

/// What went through is counted over about this long.
const SEEN_MS: f64 = 10_000.0;
/// Less than this of a request is nothing.
const IDLE: f64 = 0.5;
/// The pace after a refusal, as a share of what went through.
const CUT: f64 = 0.8;
/// How much it rises in a second.
const RISE: f64 = 0.005;
/// How many seconds' worth may be asked for at once.
const BURST_S: f64 = 2.0;
/// Of fewer requests nothing is learnt: who is hardly asked would be asked no more.
const ENOUGH: f64 = 4.0;
/// By then it has risen twentyfold.
const FORGOTTEN_MS: u64 = 600_000;

/// Each with the moment it was written; two writers at once lose a request, which a pace can bear.
#[derive(Default)]
pub(super) struct Pace {
    /// Requests of late, fading, and since when there were any.
    seen: Average,
    since_ms: AtomicU64,
    /// Requests a second, when it was learnt.
    rate: Average,
    level: Average,
}

impl Pace {
    /// A request goes out.
    pub(super) fn spend(&self, now_ms: u64) {
        let seen = self.seen(now_ms);
        if seen < IDLE {
            self.since_ms.store(now_ms, Ordering::Relaxed);
        }
        self.seen.set(now_ms, Some(seen + 1.0));
        if let Some(level) = self.level(now_ms) {
            self.level.set(now_ms, Some(level - 1.0));
        }
    }

    /// One was refused for being one too many.
    pub(super) fn slow(&self, now_ms: u64) {
        // Of a spell shorter than the memory, only so much of it. A pace that is too quick is soon put right by the next refusal; one
        // that is too slow would stay so for minutes.
        let seen = self.seen(now_ms);
        if seen < ENOUGH {
            return;
        }
        let spell_ms = now_ms.saturating_sub(self.since_ms.load(Ordering::Relaxed)).max(1_000);
        let seconds = SEEN_MS / 1000.0 * (1.0 - fade(spell_ms, SEEN_MS));
        let passed = (seen - 1.0) / seconds;
        let rate = self.rate(now_ms).map_or(passed, |rate| rate.min(passed));
        self.rate.set(now_ms, Some(rate * CUT));
        self.level.set(now_ms, Some(0.0));
    }

    /// Another request now would be one too many.
    pub(super) fn is_spent(&self, now_ms: u64) -> bool {
        self.level(now_ms).is_some_and(|level| level < 1.0)
    }

    fn seen(&self, now_ms: u64) -> f64 {
        self.seen.at(now_ms).map_or(0.0, |(seen, age_ms)| seen * fade(age_ms, SEEN_MS))
    }

    fn rate(&self, now_ms: u64) -> Option<f64> {
        let (rate, age_ms) = self.rate.at(now_ms).filter(|(_, age_ms)| *age_ms < FORGOTTEN_MS)?;
        Some(rate * (1.0 + RISE).powf(age_ms as f64 / 1000.0))
    }

    fn level(&self, now_ms: u64) -> Option<f64> {
        let (level, age_ms) = self.level.at(now_ms)?;
        let rate = self.rate(now_ms)?;
        Some((level + rate * age_ms as f64 / 1000.0).min((rate * BURST_S).max(1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks ten times a second, but for when it is spent, somebody who takes two a second. Gives back what went out and was refused.
    fn minutes(pace: &Pace, from_ms: u64, minutes: u64) -> (u32, u32) {
        let (mut bucket, mut sent, mut refused) = (4.0f64, 0, 0);
        for now in (from_ms..from_ms + minutes * 60_000).step_by(100) {
            bucket = (bucket + 0.2).min(4.0);
            if pace.is_spent(now) {
                continue;
            }
            sent += 1;
            pace.spend(now);
            if bucket >= 1.0 {
                bucket -= 1.0;
            } else {
                refused += 1;
                pace.slow(now);
            }
        }
        (sent, refused)
    }

    #[test]
    fn most_of_what_is_allowed_goes_out_and_hardly_any_is_refused() {
        let pace = Pace::default();
        minutes(&pace, 1_000, 1);
        let (sent, refused) = minutes(&pace, 61_000, 10);
        assert!(sent > 850 && refused < sent / 25, "{sent} of 1200 went out, {refused} were refused");
    }

    #[test]
    fn who_never_refused_is_not_paced_and_a_pace_is_forgotten() {
        let pace = Pace::default();
        (0..1_000).for_each(|n| pace.spend(1_000 + n));
        assert!(!pace.is_spent(2_000));
        pace.slow(2_000);
        assert!(pace.is_spent(2_000));
        let idle = Pace::default();
        idle.spend(1_000);
        idle.slow(1_040);
        assert!(!idle.is_spent(1_040), "one request says nothing about how many are too many");
        (0..1_000).for_each(|n| pace.spend(2_000 + FORGOTTEN_MS + n));
        assert!(!pace.is_spent(3_000 + FORGOTTEN_MS));
    }
}
