//! W-TinyLFU: a small window of newcomers before a main space in two segments. Who falls out of the window gets in only if it was
//! asked for more often, lately, than who would have to leave; a sketch remembers that of everything, here or not. How large the
//! window is, is found by climbing: a step, and another in the same direction if it did good.

use super::list::Queues;
use super::sketch::Sketch;
use super::{Load, Policy};

const WINDOW: usize = 0;
const PROBATION: usize = 1;
const PROTECTED: usize = 2;
/// Of the main space, so much is for who was asked for again.
const PROTECTED_PERCENT: u64 = 80;
/// The climber's first step, as a share of the capacity, and how it shrinks.
const FIRST_STEP: f64 = 0.0625;
const STEP_DECAY: f64 = 0.98;
/// It begins anew when the hit ratio changes by this.
const RESTART: f64 = 0.05;
/// The window at the beginning, and at most.
const FIRST_WINDOW: f64 = 0.01;
const LARGEST_WINDOW: f64 = 0.8;

pub struct WTinyLfu {
    queues: Queues<(), 3>,
    sketch: Sketch,
    capacity: u64,
    climb: Climb,
}

/// Where the window's edge is, as a share of the capacity.
struct Climb {
    window: f64,
    step: f64,
    hits: u64,
    asked: u64,
    before: f64,
}

impl WTinyLfu {
    pub fn new(capacity: u64) -> WTinyLfu {
        let climb = Climb { window: FIRST_WINDOW, step: FIRST_STEP, hits: 0, asked: 0, before: 0.0 };
        WTinyLfu { queues: Queues::new(), sketch: Sketch::new(0), capacity, climb }
    }

    fn window(&self) -> u64 {
        (self.capacity as f64 * self.climb.window) as u64
    }

    fn asked(&mut self, id: u64, hit: bool) {
        self.sketch.add(id);
        let climb = &mut self.climb;
        climb.asked += 1;
        climb.hits += u64::from(hit);
        if climb.asked < 10 * (self.queues.len() as u64).max(100) {
            return;
        }
        let ratio = climb.hits as f64 / climb.asked as f64;
        let change = ratio - climb.before;
        let step = if change >= 0.0 { climb.step } else { -climb.step };
        climb.step = if change.abs() >= RESTART { FIRST_STEP.copysign(step) } else { step * STEP_DECAY };
        climb.window = (climb.window + step).clamp(FIRST_WINDOW, LARGEST_WINDOW);
        (climb.before, climb.asked, climb.hits) = (ratio, 0, 0);
    }

    /// Who of a segment leaves next, and what it weighs.
    fn next_to_leave(&self) -> Option<u64> {
        [PROBATION, PROTECTED, WINDOW].into_iter().find_map(|queue| self.queues.oldest(queue)).map(|node| node.id)
    }

    fn drop(&mut self, id: u64, gone: &mut Vec<u64>) {
        self.queues.remove(id);
        gone.push(id);
    }
}

impl Policy for WTinyLfu {
    fn hit(&mut self, id: u64) {
        self.asked(id, true);
        match self.queues.queue_of(id) {
            Some(WINDOW) => self.queues.renew(id, WINDOW),
            Some(_) => {
                self.queues.renew(id, PROTECTED);
                let most = (self.capacity - self.window()) * PROTECTED_PERCENT / 100;
                while self.queues.bytes(PROTECTED) > most {
                    let Some(oldest) = self.queues.oldest(PROTECTED).map(|node| node.id) else { break };
                    self.queues.renew(oldest, PROBATION);
                }
            }
            None => {}
        }
    }

    fn miss(&mut self, id: u64) {
        self.asked(id, false);
    }

    fn put(&mut self, id: u64, load: Load, gone: &mut Vec<u64>) {
        self.queues.remove(id);
        if load.bytes > self.capacity {
            return gone.push(id);
        }
        self.queues.push(WINDOW, id, load.bytes, ());
        self.sketch.grow(self.queues.len());
        // Who falls out of the window is a candidate for the main space.
        while self.queues.bytes(WINDOW) > self.window() {
            let Some(candidate) = self.queues.oldest(WINDOW).map(|node| node.id) else { break };
            self.queues.renew(candidate, PROBATION);
            let often = self.sketch.count(candidate);
            while self.queues.used() > self.capacity {
                let Some(victim) = self.next_to_leave() else { break };
                if victim == candidate || often <= self.sketch.count(victim) {
                    self.drop(candidate, gone);
                    break;
                }
                self.drop(victim, gone);
            }
        }
        while self.queues.used() > self.capacity {
            let Some(victim) = self.next_to_leave() else { break };
            self.drop(victim, gone);
        }
    }

    fn remove(&mut self, id: u64) {
        self.queues.remove(id);
    }

    fn used(&self) -> u64 {
        self.queues.used()
    }

    fn len(&self) -> usize {
        self.queues.len()
    }
}
