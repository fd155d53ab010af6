//! Percentiles of the last five minutes and of the last half hour: two rings of histograms with eight buckets to an octave, so that a
//! figure read from them is right to about one part in sixteen at worst.

use super::{Percentiles, Span};
use std::sync::atomic::{AtomicU32, Ordering};

/// Values of so many bits: two hours in milliseconds.
const BITS: usize = 23;
const BUCKETS: usize = (BITS - 2) * 8;
/// Those read whole, and the one being written.
const SLOTS: usize = 6;
const MINUTE_MS: u64 = 60_000;

struct Slot {
    /// Which stretch of time since 1970 it counts, plus one; zero is none.
    which: AtomicU32,
    counts: [AtomicU32; BUCKETS],
}

impl Default for Slot {
    fn default() -> Slot {
        Slot { which: AtomicU32::new(0), counts: [const { AtomicU32::new(0) }; BUCKETS] }
    }
}

/// By the minute for five minutes, by five minutes for half an hour.
#[derive(Default)]
pub(super) struct Sketch {
    short: [Slot; SLOTS],
    long: [Slot; SLOTS],
}

/// How often each bucket was hit.
pub(super) struct Sums([u64; BUCKETS]);

const fn nth(now_ms: u64, slot_ms: u64) -> u32 {
    (now_ms / slot_ms) as u32 + 1
}

impl Span {
    const fn slot_ms(self) -> u64 {
        match self {
            Span::FiveMinutes => MINUTE_MS,
            Span::HalfHour => 5 * MINUTE_MS,
        }
    }
}

/// Values under 8 have a bucket each, then eight to each doubling.
fn bucket(value: f64) -> usize {
    let whole = value.clamp(0.0, f64::from((1u32 << BITS) - 1)) as u32;
    if whole < 8 {
        return whole as usize;
    }
    let octave = 31 - whole.leading_zeros();
    (((octave - 2) << 3) + ((whole >> (octave - 3)) & 7)) as usize
}

/// The least value of a bucket, and how many it takes in.
fn range(bucket: usize) -> (f64, f64) {
    if bucket < 8 {
        return (bucket as f64, 1.0);
    }
    let (octave, step) = ((bucket >> 3) + 2, bucket & 7);
    let width = f64::from(1u32 << (octave - 3));
    ((8 + step) as f64 * width, width)
}

impl Sketch {
    const fn ring(&self, span: Span) -> &[Slot; SLOTS] {
        match span {
            Span::FiveMinutes => &self.short,
            Span::HalfHour => &self.long,
        }
    }

    pub(super) fn add(&self, now_ms: u64, value: f64) {
        for span in [Span::FiveMinutes, Span::HalfHour] {
            let nth = nth(now_ms, span.slot_ms());
            let Some(slot) = self.ring(span).get(nth as usize % SLOTS) else { return };
            let had = slot.which.load(Ordering::Relaxed);
            if had != nth && slot.which.compare_exchange(had, nth, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                slot.counts.iter().for_each(|count| count.store(0, Ordering::Relaxed));
            }
            if let Some(count) = slot.counts.get(bucket(value)) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Adds what it counted in that time.
    pub(super) fn pour(&self, span: Span, now_ms: u64, into: &mut Sums) {
        let nth = nth(now_ms, span.slot_ms());
        for slot in self.ring(span) {
            if nth.wrapping_sub(slot.which.load(Ordering::Relaxed)) < SLOTS as u32 {
                for (sum, count) in into.0.iter_mut().zip(&slot.counts) {
                    *sum += u64::from(count.load(Ordering::Relaxed));
                }
            }
        }
    }
}

impl Default for Sums {
    fn default() -> Sums {
        Sums([0; BUCKETS])
    }
}

impl Sums {
    /// `None` when nothing was counted.
    pub(super) fn read(&self) -> Option<Percentiles> {
        let count: u64 = self.0.iter().sum();
        if count == 0 {
            return None;
        }
        let at = |share: f64| {
            let rank = share * count as f64;
            let mut below = 0.0;
            for (bucket, n) in self.0.iter().enumerate().filter(|(_, n)| **n > 0) {
                let n = *n as f64;
                if below + n >= rank {
                    let (least, width) = range(bucket);
                    // A whole number stands for itself where buckets are that fine.
                    let inside = if width > 1.0 { width * ((rank - below) / n).clamp(0.0, 1.0) } else { 0.0 };
                    return least + inside;
                }
                below += n;
            }
            0.0
        };
        Some(Percentiles {
            count,
            p1: at(0.01),
            p10: at(0.1),
            p25: at(0.25),
            p50: at(0.5),
            p75: at(0.75),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket() {
        for value in (0..5_000u32).chain([65_535, 1 << 20, (1 << 23) - 1]) {
            let (least, width) = range(bucket(f64::from(value)));
            assert!(least <= f64::from(value) && f64::from(value) < least + width, "{value} in {least} + {width}");
            assert!(width <= (least / 8.0).max(1.0));
        }
        assert_eq!(bucket(f64::MAX), BUCKETS - 1);
        assert_eq!((bucket(-5.0), bucket(f64::NAN)), (0, 0));
    }

    fn read(sketch: &Sketch, span: Span, now_ms: u64) -> Option<Percentiles> {
        let mut sums = Sums::default();
        sketch.pour(span, now_ms, &mut sums);
        sums.read()
    }

    #[test]
    fn percentiles_are_near_the_truth() {
        let sketch = Sketch::default();
        (1..=1000).for_each(|n| sketch.add(600_000, f64::from(n)));
        let read = read(&sketch, Span::FiveMinutes, 600_000).unwrap();
        for (got, want) in
            [(read.p10, 100.0), (read.p50, 500.0), (read.p75, 750.0), (read.p90, 900.0), (read.p99, 990.0)]
        {
            assert!((got / want - 1.0f64).abs() < 0.065, "{got} for {want}");
        }
        assert_eq!(read.count, 1000);
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let sketch = Sketch::default();
        let count = |span, minutes: u64| read(&sketch, span, minutes * MINUTE_MS).map_or(0, |p| p.count);
        sketch.add(0, 100.0);
        sketch.add(5 * MINUTE_MS, 7.0);
        assert_eq!([5, 6, 11].map(|minutes| count(Span::FiveMinutes, minutes)), [2, 1, 0]);
        assert_eq!([5, 29, 30, 34, 35].map(|minutes| count(Span::HalfHour, minutes)), [2, 2, 1, 1, 0]);
        assert_eq!(read(&sketch, Span::FiveMinutes, 6 * MINUTE_MS).unwrap().p99, 7.0);
        sketch.add(6 * MINUTE_MS, 9.0);
        assert_eq!(count(Span::FiveMinutes, 11), 1);
    }
}
