//! What would cost most to ask again, for the room it takes, stays.
//!
//! An entry's rank is `asked × worth^temper ÷ bytes`, where `asked` is how often it was asked for, an ask counting half after a
//! half-life. The least rank leaves, and a newcomer comes in only over lesser ranks. GreedyDual-Size-Frequency (Cherkasova,
//! 1998) is of this shape, and so is the recency-frequency spectrum of LRFU (Lee and others, 2001); four things are different:
//!
//! * **Nothing is forgotten on leaving.** Counts of what left, or was never let in, are kept for several times as many entries
//!   as there is room for, so that what comes back comes back with its past.
//! * **A first ask counts little** ([`FIRST`]): most things that are asked for once are asked for once.
//! * **Money is tempered** ([`TEMPER`]). Prices of models lie two hundred times apart: ranked by money alone the cache fills with
//!   the answers of one model and hardly anything is found in it. The exponent trades requests found for money found.
//! * **The half-life is found, not set.** One request in [`SAMPLE`] also goes to caches of [`SAMPLE`]th the size that hold no
//!   bodies, one for each of [`HALF_LIVES`]; whichever did best lately is what the large one uses. Short half-lives behave like
//!   least recently used, long ones like least frequently used.
//!
//! Ages all run at one speed, so ranks are kept as logarithms to which the age is added when they are set: they stay in order
//! while they fade, and nothing has to go through them.
//!
//! ```
//! use slip_cache::policy::{Load, Policy, cost::Cost};
//!
//! let mut policy = Cost::new(1_000);
//! let (mut gone, cent) = (Vec::new(), 10_000_000);
//! policy.put(1, Load { bytes: 600, worth: cent }, &mut gone);
//! // Cheaper, and as large: not let in.
//! policy.miss(2);
//! policy.put(2, Load { bytes: 600, worth: cent / 1_000 }, &mut gone);
//! assert_eq!(gone, [2]);
//! // But if it is asked for again and again, it is.
//! for _ in 0..20 {
//!     policy.miss(2);
//! }
//! gone.clear();
//! policy.put(2, Load { bytes: 600, worth: cent / 1_000 }, &mut gone);
//! assert_eq!(gone, [1]);
//! ```

use super::list::ById;
use super::{Load, Policy};
use std::collections::BTreeSet;

/// To which power the worth is taken: 0 keeps whatever is asked for most, 1 whatever saves most.
pub const TEMPER: f64 = 0.3;
/// What a first ask counts, where every other counts one.
pub const FIRST: f64 = 0.2;
/// Half-lives that are tried, in requests for each entry there is room for.
pub const HALF_LIVES: [f64; 3] = [1.0, 4.0, 16.0];
/// One request in so many also goes to the small caches.
pub const SAMPLE: u64 = 8;
/// For each entry, of how many others the past is remembered; up to twice as many are for a while.
const PAST: usize = 4;
/// The past of so many at least.
const LEAST_PAST: usize = 256;
/// A half-life is at least that of so many entries.
const LEAST_ENTRIES: usize = 16;
/// The small caches are compared after so many requests for each of their entries, and so many at least.
const TRIAL: u64 = 2;
const LEAST_TRIAL: u64 = 256;
/// Another half-life must be better by this to be used.
const BETTER: f64 = 1.01;
/// Parts of a half-life in which ages of the past are kept.
const TICKS: f64 = 1024.0;

pub struct Cost {
    cache: Ranked,
    trials: [Ranked; HALF_LIVES.len()],
    /// What each trial has found lately, and how many requests there were since they were last compared.
    found: [f64; HALF_LIVES.len()],
    asked: u64,
    chosen: usize,
    temper: f64,
    /// Who left a small cache: of no interest.
    nobody: Vec<u64>,
}

impl Cost {
    pub fn new(capacity: u64) -> Cost {
        Cost::tempered(capacity, TEMPER)
    }

    /// With another exponent than [`TEMPER`].
    pub fn tempered(capacity: u64, temper: f64) -> Cost {
        let chosen = HALF_LIVES.len() / 2;
        let trial = |half_life| Ranked::new(capacity / SAMPLE, half_life);
        Cost {
            cache: Ranked::new(capacity, HALF_LIVES.get(chosen).copied().unwrap_or(4.0)),
            trials: HALF_LIVES.map(trial),
            found: [0.0; HALF_LIVES.len()],
            asked: 0,
            chosen,
            temper: temper.clamp(0.0, 1.0),
            nobody: Vec::new(),
        }
    }

    fn value(&self, load: Load) -> f64 {
        (load.worth.max(1) as f64).log2() * self.temper
    }

    /// Bits that no map and no shard takes its place from.
    fn sampled(id: u64) -> bool {
        id.wrapping_mul(0xd6e8_feb8_6659_fd93) >> 32 & (SAMPLE - 1) == 0
    }

    /// The small caches saw a request each; now and then it is seen which is best.
    fn compare(&mut self) {
        self.asked += 1;
        let entries = self.trials.iter().map(|trial| trial.known.len()).max().unwrap_or(0) as u64;
        if self.asked < (TRIAL * entries).max(LEAST_TRIAL) {
            return;
        }
        self.asked = 0;
        let now = self.found.get(self.chosen).copied().unwrap_or(0.0);
        let tried = self.found.iter().zip(HALF_LIVES).enumerate();
        if let Some((best, (found, half_life))) = tried.max_by(|(_, (a, _)), (_, (b, _))| a.total_cmp(b))
            && *found > now * BETTER
        {
            self.chosen = best;
            self.cache.half_life = half_life;
        }
        self.found.iter_mut().for_each(|found| *found /= 2.0);
    }
}

impl Policy for Cost {
    fn hit(&mut self, id: u64) {
        self.cache.ask(id);
        if !Cost::sampled(id) {
            return;
        }
        let Some((bytes, value)) = self.cache.known.get(&id).map(|known| (known.bytes, known.value)) else { return };
        for (trial, found) in self.trials.iter_mut().zip(&mut self.found) {
            if trial.ask(id) {
                *found += value.exp2();
            } else {
                trial.put(id, bytes, value, &mut self.nobody);
            }
        }
        self.nobody.clear();
        self.compare();
    }

    fn miss(&mut self, id: u64) {
        self.cache.ask(id);
        // What it weighs is known when it is put in; the small caches hear of it then.
    }

    fn put(&mut self, id: u64, load: Load, gone: &mut Vec<u64>) {
        let value = self.value(load);
        self.cache.put(id, load.bytes, value, gone);
        if !Cost::sampled(id) {
            return;
        }
        for (trial, found) in self.trials.iter_mut().zip(&mut self.found) {
            if trial.ask(id) {
                *found += value.exp2();
            } else {
                trial.put(id, load.bytes, value, &mut self.nobody);
            }
        }
        self.nobody.clear();
        self.compare();
    }

    fn remove(&mut self, id: u64) {
        self.cache.remove(id);
    }

    fn used(&self) -> u64 {
        self.cache.used
    }

    fn len(&self) -> usize {
        self.cache.known.len()
    }
}

/// Entries by rank, for one half-life.
struct Ranked {
    order: BTreeSet<(i64, u64)>,
    known: ById<Known>,
    past: Past,
    used: u64,
    capacity: u64,
    half_life: f64,
    /// Half-lives since the beginning.
    age: f64,
}

#[derive(Clone, Copy)]
struct Known {
    rank: i64,
    bytes: u64,
    /// The logarithm of the tempered worth.
    value: f64,
    asked: Asked,
}

/// How often, as of a time.
#[derive(Clone, Copy)]
struct Asked {
    count: f32,
    at: u32,
}

impl Asked {
    /// One more.
    fn again(before: Option<Asked>, now: u32) -> Asked {
        let faded = before.map_or(0.0, |before| {
            let passed = f64::from(now.saturating_sub(before.at)) / TICKS;
            f64::from(before.count) * (-passed).exp2()
        });
        Asked { count: (faded + 1.0) as f32, at: now }
    }
}

impl Ranked {
    fn new(capacity: u64, half_life: f64) -> Ranked {
        let (order, known, past) = (BTreeSet::new(), ById::default(), Past::default());
        Ranked { order, known, past, used: 0, capacity, half_life, age: 0.0 }
    }

    fn now(&self) -> u32 {
        // Rounds off at the end of time, some billions of requests away; then nothing fades any more until a restart.
        (self.age * TICKS) as u32
    }

    /// It was asked for; is it here?
    fn ask(&mut self, id: u64) -> bool {
        self.age += 1.0 / (self.half_life * self.known.len().max(LEAST_ENTRIES) as f64);
        let now = self.now();
        let Some(mut known) = self.known.get(&id).copied() else {
            self.past.ask(id, now, self.known.len());
            return false;
        };
        self.order.remove(&(known.rank, id));
        known.asked = Asked::again(Some(known.asked), now);
        known.rank = self.rank(known.asked, known.value, known.bytes);
        self.order.insert((known.rank, id));
        self.known.insert(id, known);
        true
    }

    /// As a logarithm, in parts of 65,536, with the age on top.
    fn rank(&self, asked: Asked, value: f64, bytes: u64) -> i64 {
        let count = (f64::from(asked.count) - 1.0 + FIRST).max(FIRST);
        ((count.log2() + value - (bytes.max(1) as f64).log2() + self.age) * 65_536.0) as i64
    }

    fn put(&mut self, id: u64, bytes: u64, value: f64, gone: &mut Vec<u64>) {
        let before = self.known.get(&id).map(|known| known.asked).or_else(|| self.past.get(id));
        let asked = before.unwrap_or(Asked { count: 1.0, at: self.now() });
        self.remove(id);
        let rank = self.rank(asked, value, bytes);
        if bytes > self.capacity || !self.has_room(bytes, rank) {
            self.past.keep(id, asked);
            return gone.push(id);
        }
        while self.used + bytes > self.capacity {
            let Some((_, least)) = self.order.first().copied() else { break };
            self.remove(least);
            gone.push(least);
        }
        self.order.insert((rank, id));
        self.known.insert(id, Known { rank, bytes, value, asked });
        self.used += bytes;
    }

    /// Would so much be free if all lesser ranks left?
    fn has_room(&self, bytes: u64, rank: i64) -> bool {
        let mut room = self.capacity - self.used;
        let mut lesser = self.order.range(..(rank, 0));
        while room < bytes {
            let Some(known) = lesser.next().and_then(|(_, id)| self.known.get(id)) else { return false };
            room += known.bytes;
        }
        true
    }

    fn remove(&mut self, id: u64) {
        if let Some(known) = self.known.remove(&id) {
            self.order.remove(&(known.rank, id));
            self.used -= known.bytes;
            self.past.keep(id, known.asked);
        }
    }
}

/// How often things were asked for that are not here, in two generations: when the younger is full, the elder is forgotten.
#[derive(Default)]
struct Past {
    young: ById<Asked>,
    old: ById<Asked>,
}

impl Past {
    fn get(&self, id: u64) -> Option<Asked> {
        self.young.get(&id).or_else(|| self.old.get(&id)).copied()
    }

    /// What leaves was let in by an [`Past::ask`] that made room, so that this needs no bound of its own.
    fn keep(&mut self, id: u64, asked: Asked) {
        self.young.insert(id, asked);
    }

    fn ask(&mut self, id: u64, now: u32, entries: usize) {
        let asked = Asked::again(self.get(id), now);
        if self.young.len() >= PAST * entries + LEAST_PAST {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id, asked);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CENT: u64 = 10_000_000;

    fn ask(policy: &mut Cost, id: u64, load: Load, gone: &mut Vec<u64>) -> bool {
        if policy.cache.known.contains_key(&id) {
            policy.hit(id);
            return true;
        }
        policy.miss(id);
        policy.put(id, load, gone);
        false
    }

    #[test]
    fn of_two_as_often_asked_for_the_dearer_by_the_byte_stays() {
        for (one, other) in [
            (Load { bytes: 100, worth: CENT }, Load { bytes: 100, worth: 2 * CENT }),
            (Load { bytes: 120, worth: CENT }, Load { bytes: 100, worth: CENT }),
            // Money is tempered, room is not.
            (Load { bytes: 200, worth: 8 * CENT }, Load { bytes: 100, worth: CENT }),
        ] {
            let mut policy = Cost::new(250);
            let mut gone = Vec::new();
            ask(&mut policy, 1, one, &mut gone);
            ask(&mut policy, 2, other, &mut gone);
            ask(&mut policy, 3, Load { bytes: 90, worth: 10 * CENT }, &mut gone);
            assert!(!gone.contains(&2) && gone.contains(&1), "{gone:?}");
        }
    }

    #[test]
    fn what_was_once_asked_for_often_does_not_stay_for_ever() {
        let mut policy = Cost::new(1_000);
        let load = Load { bytes: 100, worth: CENT };
        let mut gone = Vec::new();
        (0..50).for_each(|_| _ = ask(&mut policy, 7, load, &mut gone));
        let mut dice = fastrand::Rng::with_seed(1);
        let others: Vec<u64> = (0..10).map(|_| dice.u64(..)).collect();
        for turn in 0.. {
            others.iter().for_each(|id| _ = ask(&mut policy, *id, load, &mut gone));
            if gone.contains(&7) {
                break;
            }
            assert!(turn < 200, "it is still there");
        }
    }

    #[test]
    fn the_half_life_follows_what_is_asked() {
        let load = Load { bytes: 100, worth: CENT };
        let chosen = |next: &mut dyn FnMut(&mut fastrand::Rng, u64) -> u64| {
            let mut policy = Cost::new(100_000);
            let (mut dice, mut gone) = (fastrand::Rng::with_seed(5), Vec::new());
            for turn in 0..200_000 {
                let id = fastrand::Rng::with_seed(next(&mut dice, turn)).u64(..);
                ask(&mut policy, id, load, &mut gone);
                gone.clear();
            }
            HALF_LIVES[policy.chosen]
        };
        // The same few thousand, some far more often than others.
        assert_eq!(chosen(&mut |dice, _| (40_000.0f64.powf(dice.f64())) as u64), 16.0);
        // Whatever was asked lately is asked again, and then never.
        assert_eq!(chosen(&mut |dice, turn| turn - dice.u64(..turn.clamp(1, 800))), 1.0);
    }

    #[test]
    fn the_past_is_bounded() {
        let mut policy = Cost::new(1_000);
        let mut gone = Vec::new();
        for id in 0..100_000u64 {
            ask(&mut policy, id << 20, Load { bytes: 100, worth: CENT }, &mut gone);
            gone.clear();
        }
        let most = 2 * (LEAST_PAST + (PAST + 1) * 10) + 20;
        for ranked in policy.trials.iter().chain([&policy.cache]) {
            let past = ranked.past.young.len() + ranked.past.old.len();
            assert!(past <= most, "{past} of the past");
        }
    }
}
