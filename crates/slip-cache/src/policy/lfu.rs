//! Least frequently used: whoever was asked for least often since it came leaves; of several, who waited longest. It forgets
//! nothing, which is its weakness: what was once loved stays.

use super::list::ById;
use super::{Load, Policy};
use std::collections::BTreeSet;

pub struct Lfu {
    /// How often, when last, who.
    order: BTreeSet<(u64, u64, u64)>,
    known: ById<Known>,
    used: u64,
    turn: u64,
    capacity: u64,
}

struct Known {
    often: u64,
    last: u64,
    bytes: u64,
}

impl Lfu {
    pub fn new(capacity: u64) -> Lfu {
        Lfu { order: BTreeSet::new(), known: ById::default(), used: 0, turn: 0, capacity }
    }
}

impl Policy for Lfu {
    fn hit(&mut self, id: u64) {
        let Some(known) = self.known.get_mut(&id) else { return };
        self.order.remove(&(known.often, known.last, id));
        self.turn += 1;
        (known.often, known.last) = (known.often + 1, self.turn);
        self.order.insert((known.often, known.last, id));
    }

    fn put(&mut self, id: u64, load: Load, gone: &mut Vec<u64>) {
        self.remove(id);
        if load.bytes > self.capacity {
            return gone.push(id);
        }
        while self.used + load.bytes > self.capacity {
            let Some((_, _, least)) = self.order.first().copied() else { break };
            self.remove(least);
            gone.push(least);
        }
        self.turn += 1;
        self.order.insert((1, self.turn, id));
        self.known.insert(id, Known { often: 1, last: self.turn, bytes: load.bytes });
        self.used += load.bytes;
    }

    fn remove(&mut self, id: u64) {
        if let Some(known) = self.known.remove(&id) {
            self.order.remove(&(known.often, known.last, id));
            self.used -= known.bytes;
        }
    }

    fn used(&self) -> u64 {
        self.used
    }

    fn len(&self) -> usize {
        self.known.len()
    }
}
