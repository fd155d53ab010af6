//! S3-FIFO: newcomers go into a small queue; who is asked for again there moves to the main one, the others leave and only their
//! number is remembered. Who comes back while it is remembered goes to the main queue at once.

use super::list::Queues;
use super::{Load, Policy};

const SMALL: usize = 0;
const MAIN: usize = 1;
/// Of the capacity, a tenth is for newcomers.
const SMALL_SHARE: u64 = 10;
/// How often is counted so far.
const MOST: u8 = 3;

pub struct S3Fifo {
    queues: Queues<u8, 2>,
    /// Who left the small queue, with the bytes it had: as many as the main queue holds.
    ghosts: Queues<(), 1>,
    capacity: u64,
}

impl S3Fifo {
    pub fn new(capacity: u64) -> S3Fifo {
        S3Fifo { queues: Queues::new(), ghosts: Queues::new(), capacity }
    }

    fn evict(&mut self, gone: &mut Vec<u64>) -> bool {
        if self.queues.bytes(SMALL) > self.capacity / SMALL_SHARE || self.queues.count(MAIN) == 0 {
            self.evict_small(gone)
        } else {
            self.evict_main(gone)
        }
    }

    fn evict_small(&mut self, gone: &mut Vec<u64>) -> bool {
        while let Some(node) = self.queues.oldest(SMALL) {
            let (id, bytes, often) = (node.id, node.bytes, node.data);
            if often > 1 {
                self.queues.renew(id, MAIN);
                if let Some(often) = self.queues.get_mut(id) {
                    *often = 0;
                }
                continue;
            }
            self.queues.remove(id);
            gone.push(id);
            self.remember(id, bytes);
            return true;
        }
        self.evict_main(gone)
    }

    fn evict_main(&mut self, gone: &mut Vec<u64>) -> bool {
        while let Some(id) = self.queues.oldest(MAIN).map(|node| node.id) {
            match self.queues.get_mut(id) {
                Some(often) if *often > 0 => {
                    *often -= 1;
                    self.queues.renew(id, MAIN);
                }
                _ => {
                    self.queues.remove(id);
                    gone.push(id);
                    return true;
                }
            }
        }
        false
    }

    fn remember(&mut self, id: u64, bytes: u64) {
        self.ghosts.remove(id);
        self.ghosts.push(0, id, bytes, ());
        let most = self.capacity - self.capacity / SMALL_SHARE;
        while self.ghosts.used() > most {
            let Some(oldest) = self.ghosts.oldest(0).map(|node| node.id) else { break };
            self.ghosts.remove(oldest);
        }
    }
}

impl Policy for S3Fifo {
    fn hit(&mut self, id: u64) {
        if let Some(often) = self.queues.get_mut(id) {
            *often = (*often + 1).min(MOST);
        }
    }

    fn put(&mut self, id: u64, load: Load, gone: &mut Vec<u64>) {
        self.queues.remove(id);
        if load.bytes > self.capacity {
            return gone.push(id);
        }
        while self.queues.used() + load.bytes > self.capacity {
            if !self.evict(gone) {
                break;
            }
        }
        let queue = if self.ghosts.remove(id).is_some() { MAIN } else { SMALL };
        self.queues.push(queue, id, load.bytes, 0);
    }

    fn remove(&mut self, id: u64) {
        self.queues.remove(id);
        self.ghosts.remove(id);
    }

    fn used(&self) -> u64 {
        self.queues.used()
    }

    fn len(&self) -> usize {
        self.queues.len()
    }
}
