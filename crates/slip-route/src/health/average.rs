//! A moving average that forgets by time: the newest sample weighs the more the longer there was none.

use super::fade::fade;
use std::sync::atomic::{AtomicU64, Ordering};

/// After this long half of what was known is forgotten, and two thirds after half as long again.
const MEMORY_MS: f64 = 30_000.0;
/// The least a sample weighs, so that a busy endpoint's average still moves.
const LEAST: f64 = 0.05;
/// What was measured longer ago than this says nothing about now.
const STALE_MS: u64 = 15 * 60_000;
/// A peak sinks to what is usual in about this long.
const PEAK_MS: f64 = 10_000.0;

/// A value and when it was written, in one word so that both are always of one moment.
#[derive(Default)]
pub(super) struct Average(AtomicU64);

/// Times are kept in tens of milliseconds in 32 bits: they go round after 497 days.
const TICK_MS: u64 = 10;

const fn tick(now_ms: u64) -> u32 {
    (now_ms / TICK_MS) as u32
}

impl Average {
    #[inline]
    fn load(&self) -> Option<(f64, u32)> {
        let word = self.0.load(Ordering::Relaxed);
        (word != 0).then(|| (f64::from(f32::from_bits((word >> 32) as u32)), word as u32))
    }

    fn store(&self, value: f64, at: u32) {
        let bits = (value as f32).to_bits();
        self.0.store(u64::from(bits) << 32 | u64::from(at), Ordering::Relaxed);
    }

    /// Milliseconds since it was written; a clock that was set back counts as none.
    fn age(at: u32, now_ms: u64) -> u64 {
        let ticks = tick(now_ms).wrapping_sub(at);
        if ticks > u32::MAX / 2 { 0 } else { u64::from(ticks) * TICK_MS }
    }

    pub(super) fn add(&self, now_ms: u64, sample: f64) {
        let value = match self.load() {
            Some((old, at)) => {
                let weight = (1.0 - fade(Average::age(at, now_ms), MEMORY_MS)).max(LEAST);
                old + weight * (sample - old)
            }
            None => sample,
        };
        self.store(value, tick(now_ms));
    }

    /// Takes a higher sample at once, a lower one by and by.
    pub(super) fn rise(&self, now_ms: u64, sample: f64) {
        let value = match self.load() {
            Some((old, at)) if sample < old => {
                let keep = fade(Average::age(at, now_ms), PEAK_MS).min(1.0 - LEAST);
                sample + (old - sample) * keep
            }
            _ => sample,
        };
        self.store(value, tick(now_ms));
    }

    /// What was written last, and how long ago.
    pub(super) fn at(&self, now_ms: u64) -> Option<(f64, u64)> {
        self.load().map(|(value, at)| (value, Average::age(at, now_ms)))
    }

    /// `None` when nothing was measured, or too long ago.
    #[inline]
    pub(super) fn get(&self, now_ms: u64) -> Option<f64> {
        let (value, at) = self.load()?;
        (Average::age(at, now_ms) < STALE_MS).then_some(value)
    }

    /// A peak as it has sunk by now towards what is usual.
    #[inline]
    pub(super) fn sunk(&self, now_ms: u64, usual: Option<f64>) -> Option<f64> {
        let (value, at) = self.load()?;
        let age = Average::age(at, now_ms);
        let floor = usual.unwrap_or(value).min(value);
        (age < STALE_MS).then(|| if value > floor { floor + (value - floor) * fade(age, PEAK_MS) } else { floor })
    }

    pub(super) fn set(&self, now_ms: u64, value: Option<f64>) {
        if let Some(value) = value.filter(|v| v.is_finite()) {
            self.store(value, tick(now_ms));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rare_sample_weighs_more_than_one_of_many() {
        let (busy, rare) = (Average::default(), Average::default());
        for average in [&busy, &rare] {
            average.add(1_000, 100.0);
        }
        busy.add(1_010, 200.0);
        rare.add(91_000, 200.0);
        assert!((104.0..106.0).contains(&busy.get(1_010).unwrap()));
        assert!((190.0..200.0).contains(&rare.get(91_000).unwrap()));
        assert_eq!(rare.get(91_000 + STALE_MS), None);
        assert_eq!(Average::default().get(5), None);
    }

    #[test]
    fn a_peak_jumps_up_and_sinks() {
        let peak = Average::default();
        peak.rise(0, 100.0);
        peak.rise(0, 900.0);
        assert_eq!(peak.sunk(0, Some(100.0)), Some(900.0));
        assert!((390.0..400.0).contains(&peak.sunk(10_000, Some(100.0)).unwrap()));
        peak.rise(10_000, 100.0);
        assert!(peak.sunk(10_000, None).unwrap() < 400.0);
    }

    #[test]
    fn a_clock_set_back_does_no_harm() {
        let average = Average::default();
        average.add(1_000_000, 50.0);
        average.add(1_000, 50.0);
        assert_eq!(average.get(2_000), Some(50.0));
    }
}
