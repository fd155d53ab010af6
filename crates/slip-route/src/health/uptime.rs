//! Successes and failures by the minute for half an hour and by the hour for a day.

use std::sync::atomic::{AtomicU32, Ordering};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    FiveMinutes,
    HalfHour,
    Day,
}

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

#[derive(Default)]
struct Slot {
    /// Which minute or hour, plus one.
    which: AtomicU32,
    well: AtomicU32,
    ill: AtomicU32,
}

struct Ring<const N: usize>([Slot; N]);

impl<const N: usize> Default for Ring<N> {
    fn default() -> Self {
        Ring([const { Slot { which: AtomicU32::new(0), well: AtomicU32::new(0), ill: AtomicU32::new(0) } }; N])
    }
}

impl<const N: usize> Ring<N> {
    fn add(&self, which: u32, well: bool) {
        let Some(slot) = self.0.get(which as usize % N) else { return };
        let had = slot.which.load(Ordering::Relaxed);
        if had != which && slot.which.compare_exchange(had, which, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            slot.well.store(0, Ordering::Relaxed);
            slot.ill.store(0, Ordering::Relaxed);
        }
        if well { &slot.well } else { &slot.ill }.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self, which: u32, back: u32) -> (u64, u64) {
        self.0.iter().filter(|slot| which.wrapping_sub(slot.which.load(Ordering::Relaxed)) < back).fold(
            (0, 0),
            |sum, slot| {
                let count = |of: &AtomicU32| u64::from(of.load(Ordering::Relaxed));
                (sum.0 + count(&slot.well), sum.1 + count(&slot.ill))
            },
        )
    }
}

#[derive(Default)]
pub struct Uptime {
    minutes: Ring<30>,
    hours: Ring<24>,
}

const fn nth(now_ms: u64, of_ms: u64) -> u32 {
    (now_ms / of_ms) as u32 + 1
}

impl Uptime {
    pub(super) fn add(&self, now_ms: u64, well: bool) {
        self.minutes.add(nth(now_ms, MINUTE_MS), well);
        self.hours.add(nth(now_ms, HOUR_MS), well);
    }

    /// Successes, failures.
    pub(super) fn read(&self, window: Window, now_ms: u64) -> (u64, u64) {
        match window {
            Window::FiveMinutes => self.minutes.read(nth(now_ms, MINUTE_MS), 5),
            Window::HalfHour => self.minutes.read(nth(now_ms, MINUTE_MS), 30),
            Window::Day => self.hours.read(nth(now_ms, HOUR_MS), 24),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_window_counts_its_own_time() {
        let uptime = Uptime::default();
        let start = 100 * HOUR_MS;
        uptime.add(start, true);
        uptime.add(start, false);
        uptime.add(start + 10 * MINUTE_MS, true);
        let at = |minutes: u64, window| uptime.read(window, start + minutes * MINUTE_MS);
        assert_eq!(at(0, Window::FiveMinutes), (1, 1));
        assert_eq!(at(10, Window::FiveMinutes), (1, 0));
        assert_eq!(at(10, Window::HalfHour), (2, 1));
        assert_eq!(at(31, Window::HalfHour), (1, 0));
        assert_eq!(at(23 * 60, Window::Day), (2, 1));
        assert_eq!(at(25 * 60, Window::Day), (0, 0));
    }
}
