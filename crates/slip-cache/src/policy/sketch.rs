//! How often something was asked for lately, here or not: a count-min sketch that forgets by halves.

/// The odd numbers that spread one number over the rows.
const SPREAD: [u64; ROWS] =
    [0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f, 0x1656_67b1_9e37_79f9, 0xd6e8_feb8_6659_fd93];
const ROWS: usize = 4;
/// Counts go to here; four bits would do, bytes are simpler.
pub(crate) const MOST: u8 = 15;
/// After so many asked for, for each counter of a row, everything is halved.
const SAMPLE: u64 = 10;
/// Counters of a row at least; at most, a megabyte in all.
const LEAST: usize = 256;
const LARGEST: usize = 1 << 18;

pub(crate) struct Sketch {
    counts: Vec<[u8; ROWS]>,
    asked: u64,
}

impl Sketch {
    /// For about so many entries.
    pub fn new(entries: usize) -> Sketch {
        let width = entries.clamp(LEAST, LARGEST).next_power_of_two();
        Sketch { counts: vec![[0; ROWS]; width], asked: 0 }
    }

    /// Wide enough for so many entries; what was counted is kept, over-counted where it was.
    pub fn grow(&mut self, entries: usize) {
        let width = entries.clamp(LEAST, LARGEST).next_power_of_two();
        while self.counts.len() < width {
            let before = self.counts.len();
            self.counts.extend_from_within(..before);
        }
    }

    fn place(&self, id: u64, row: usize) -> usize {
        let spread = SPREAD.get(row).copied().unwrap_or(1);
        let mixed = (id ^ id >> 31).wrapping_mul(spread);
        // The upper bits are the mixed ones; the width is a power of two, so that a wider sketch keeps the lower of them.
        (mixed >> 40) as usize & (self.counts.len() - 1)
    }

    pub fn count(&self, id: u64) -> u8 {
        let of = |row: usize| self.counts.get(self.place(id, row)).and_then(|counts| counts.get(row)).copied();
        (0..ROWS).filter_map(of).min().unwrap_or(0)
    }

    /// It was asked for. True when everything was halved over it.
    pub fn add(&mut self, id: u64) -> bool {
        let least = self.count(id);
        if least < MOST {
            for row in 0..ROWS {
                let place = self.place(id, row);
                if let Some(count) = self.counts.get_mut(place).and_then(|counts| counts.get_mut(row))
                    && *count == least
                {
                    *count += 1;
                }
            }
        }
        self.asked += 1;
        if self.asked < SAMPLE * self.counts.len() as u64 {
            return false;
        }
        self.counts.iter_mut().flatten().for_each(|count| *count /= 2);
        self.asked /= 2;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frequent_are_known_and_the_past_fades() {
        let mut dice = fastrand::Rng::with_seed(1);
        let mut sketch = Sketch::new(1000);
        let often: Vec<u64> = (0..50).map(|_| dice.u64(..)).collect();
        for _ in 0..10 {
            often.iter().for_each(|id| _ = sketch.add(*id));
            (0..60).for_each(|_| _ = sketch.add(dice.u64(..)));
        }
        assert!(often.iter().all(|id| sketch.count(*id) >= 10));
        let strangers = (0..1000).filter(|_| sketch.count(dice.u64(..)) > 2).count();
        assert!(strangers < 20, "{strangers} strangers are taken for friends");
        sketch.grow(10_000);
        assert!(often.iter().all(|id| sketch.count(*id) >= 10), "growing forgets nothing");
        let mut halved = 0;
        while halved < 2 {
            halved += u32::from(sketch.add(dice.u64(..)));
        }
        assert!(often.iter().all(|id| sketch.count(*id) <= 8));
    }
}
