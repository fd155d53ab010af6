//! SIEVE: a queue in the order of arrival, through which a hand goes from the old to the new. Whoever was asked for since the
//! hand last came by is let stay, once; the first that was not leaves, and the hand stays there.

use super::list::Queues;
use super::{Load, Policy};

pub struct Sieve {
    queue: Queues<bool, 1>,
    /// Where the hand looks next; the oldest if nowhere.
    hand: Option<u64>,
    capacity: u64,
}

impl Sieve {
    pub fn new(capacity: u64) -> Sieve {
        Sieve { queue: Queues::new(), hand: None, capacity }
    }

    fn evict(&mut self) -> Option<u64> {
        loop {
            let here = self.hand.or_else(|| self.queue.oldest(0).map(|node| node.id))?;
            self.hand = self.queue.newer(here).map(|node| node.id);
            match self.queue.get_mut(here) {
                Some(asked) if *asked => *asked = false,
                _ => {
                    self.queue.remove(here);
                    return Some(here);
                }
            }
        }
    }
}

impl Policy for Sieve {
    fn hit(&mut self, id: u64) {
        if let Some(asked) = self.queue.get_mut(id) {
            *asked = true;
        }
    }

    fn put(&mut self, id: u64, load: Load, gone: &mut Vec<u64>) {
        self.remove(id);
        if load.bytes > self.capacity {
            return gone.push(id);
        }
        while self.queue.used() + load.bytes > self.capacity {
            let Some(victim) = self.evict() else { break };
            gone.push(victim);
        }
        self.queue.push(0, id, load.bytes, false);
    }

    fn remove(&mut self, id: u64) {
        if self.hand == Some(id) {
            self.hand = self.queue.newer(id).map(|node| node.id);
        }
        self.queue.remove(id);
    }

    fn used(&self) -> u64 {
        self.queue.used()
    }

    fn len(&self) -> usize {
        self.queue.len()
    }
}
