//! Least recently used: whoever was asked for longest ago leaves.

use super::list::Queues;
use super::{Load, Policy};

pub struct Lru {
    queue: Queues<(), 1>,
    capacity: u64,
}

impl Lru {
    pub fn new(capacity: u64) -> Lru {
        Lru { queue: Queues::new(), capacity }
    }
}

impl Policy for Lru {
    fn hit(&mut self, id: u64) {
        self.queue.renew(id, 0);
    }

    fn put(&mut self, id: u64, load: Load, gone: &mut Vec<u64>) {
        self.queue.remove(id);
        if load.bytes > self.capacity {
            return gone.push(id);
        }
        while self.queue.used() + load.bytes > self.capacity {
            let Some(oldest) = self.queue.oldest(0).map(|node| node.id) else { break };
            self.queue.remove(oldest);
            gone.push(oldest);
        }
        self.queue.push(0, id, load.bytes, ());
    }

    fn remove(&mut self, id: u64) {
        self.queue.remove(id);
    }

    fn used(&self) -> u64 {
        self.queue.used()
    }

    fn len(&self) -> usize {
        self.queue.len()
    }
}
