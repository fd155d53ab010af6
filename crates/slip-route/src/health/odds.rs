//! How likely something is to go well: what went well and what did not, fading with time, beside a belief in the best.

use super::fade::fade;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is believed of somebody nobody has tried weighs as much as so many attempts.
const BELIEF: f64 = 5.0;

/// Faded counts of successes and failures (`f32` each) in one word, and when they were written in another. A reader between the two
/// writes fades a little wrongly, once. After `FADE_MS` a sample counts for a third of itself.
#[derive(Default)]
pub(super) struct Odds<const FADE_MS: u64 = 60_000> {
    counts: AtomicU64,
    at_ms: AtomicU64,
}

impl<const FADE_MS: u64> Odds<FADE_MS> {
    fn load(&self, now_ms: u64) -> (f64, f64) {
        let (good, bad) = self.counts();
        let left = if good + bad > 0.0 { self.left(now_ms) } else { 0.0 };
        (good * left, bad * left)
    }

    /// As they were when they were written.
    #[inline]
    fn counts(&self) -> (f64, f64) {
        let word = self.counts.load(Ordering::Relaxed);
        let half = |bits: u64| f64::from(f32::from_bits(bits as u32));
        (half(word >> 32), half(word))
    }

    /// What is left by now of what was counted then.
    #[inline]
    fn left(&self, now_ms: u64) -> f64 {
        fade(now_ms.saturating_sub(self.at_ms.load(Ordering::Relaxed)), FADE_MS as f64)
    }

    pub(super) fn add(&self, now_ms: u64, well: bool) {
        let (mut good, mut bad) = self.load(now_ms);
        if well {
            good += 1.0
        } else {
            bad += 1.0
        }
        let bits = |n: f64| u64::from((n as f32).to_bits());
        self.counts.store(bits(good) << 32 | bits(bad), Ordering::Relaxed);
        self.at_ms.store(now_ms, Ordering::Relaxed);
    }

    /// Between 0 and 1, neither included. `belief` is of somebody nobody has tried.
    #[inline]
    pub(super) fn get(&self, now_ms: u64, belief: f64) -> f32 {
        likely(self.load(now_ms), belief)
    }

    /// What went well and ill until now says nothing of what will.
    pub(super) fn forget(&self) {
        self.counts.store(0, Ordering::Relaxed);
    }

    /// Of two that are mostly written together, and then fade alike.
    #[inline]
    pub(super) fn both(&self, other: &Self, now_ms: u64, beliefs: [f64; 2]) -> [f32; 2] {
        if self.at_ms.load(Ordering::Relaxed) != other.at_ms.load(Ordering::Relaxed) {
            return [self.get(now_ms, beliefs[0]), other.get(now_ms, beliefs[1])];
        }
        let left = self.left(now_ms);
        let faded = |(good, bad): (f64, f64)| (good * left, bad * left);
        [likely(faded(self.counts()), beliefs[0]), likely(faded(other.counts()), beliefs[1])]
    }
}

#[inline]
fn likely((good, bad): (f64, f64), belief: f64) -> f32 {
    if good + bad == 0.0 { belief as f32 } else { ((good + BELIEF * belief) / (good + bad + BELIEF)) as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_lower_it_and_time_forgives_them() {
        let odds = <Odds>::default();
        let get = |now| odds.get(now, 0.995);
        assert!(get(0) > 0.99);
        (0..5).for_each(|_| odds.add(1_000, false));
        assert!((0.49..0.51).contains(&get(1_000)), "{}", get(1_000));
        assert!(get(301_000) > 0.98);
        (0..200).for_each(|_| odds.add(302_000, true));
        assert!(get(302_000) > 0.995);
    }
}
