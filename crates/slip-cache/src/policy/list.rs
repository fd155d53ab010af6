//! Queues of entries whose members can be found by number and moved in constant time.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Numbers that are as good as random are their own hash.
#[derive(Default)]
pub(crate) struct Itself(u64);

impl Hasher for Itself {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.0 = self.0.rotate_left(8) ^ u64::from(*b));
    }

    fn write_u64(&mut self, n: u64) {
        // The map takes its buckets from the lowest bits; the shard was chosen by others.
        self.0 = n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }
}

pub(crate) type ById<T> = HashMap<u64, T, BuildHasherDefault<Itself>>;

const NONE: u32 = u32::MAX;

/// An entry, and what its policy remembers of it.
pub(crate) struct Node<T> {
    pub id: u64,
    pub bytes: u64,
    pub data: T,
    queue: u8,
    older: u32,
    newer: u32,
}

#[derive(Clone, Copy)]
struct Ends {
    oldest: u32,
    newest: u32,
    bytes: u64,
    len: usize,
}

/// `N` queues over one store of entries; each entry is in exactly one.
pub(crate) struct Queues<T, const N: usize> {
    nodes: Vec<Option<Node<T>>>,
    free: Vec<u32>,
    places: ById<u32>,
    ends: [Ends; N],
}

impl<T, const N: usize> Queues<T, N> {
    pub fn new() -> Self {
        let empty = Ends { oldest: NONE, newest: NONE, bytes: 0, len: 0 };
        Queues { nodes: Vec::new(), free: Vec::new(), places: ById::default(), ends: [empty; N] }
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn used(&self) -> u64 {
        self.ends.iter().map(|ends| ends.bytes).sum()
    }

    pub fn bytes(&self, queue: usize) -> u64 {
        self.ends.get(queue).map_or(0, |ends| ends.bytes)
    }

    pub fn count(&self, queue: usize) -> usize {
        self.ends.get(queue).map_or(0, |ends| ends.len)
    }

    pub fn queue_of(&self, id: u64) -> Option<usize> {
        self.get(id).map(|node| usize::from(node.queue))
    }

    fn at(&self, place: u32) -> Option<&Node<T>> {
        self.nodes.get(place as usize)?.as_ref()
    }

    fn at_mut(&mut self, place: u32) -> Option<&mut Node<T>> {
        self.nodes.get_mut(place as usize)?.as_mut()
    }

    pub fn get(&self, id: u64) -> Option<&Node<T>> {
        self.places.get(&id).and_then(|place| self.at(*place))
    }

    pub fn get_mut(&mut self, id: u64) -> Option<&mut T> {
        let place = *self.places.get(&id)?;
        self.at_mut(place).map(|node| &mut node.data)
    }

    pub fn oldest(&self, queue: usize) -> Option<&Node<T>> {
        self.ends.get(queue).and_then(|ends| self.at(ends.oldest))
    }

    /// Who came to its queue right after this one.
    pub fn newer(&self, id: u64) -> Option<&Node<T>> {
        self.get(id).and_then(|node| self.at(node.newer))
    }

    /// As the newest of a queue. It must not be here.
    pub fn push(&mut self, queue: usize, id: u64, bytes: u64, data: T) {
        let node = Node { id, bytes, data, queue: queue as u8, older: NONE, newer: NONE };
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                self.nodes.push(None);
                (self.nodes.len() - 1) as u32
            }
        };
        if let Some(room) = self.nodes.get_mut(place as usize) {
            *room = Some(node);
        }
        self.places.insert(id, place);
        self.link(place, queue);
    }

    pub fn remove(&mut self, id: u64) -> Option<Node<T>> {
        let place = self.places.remove(&id)?;
        self.unlink(place);
        self.free.push(place);
        self.nodes.get_mut(place as usize)?.take()
    }

    /// To the newest end of a queue, which may be another.
    pub fn renew(&mut self, id: u64, queue: usize) {
        if let Some(place) = self.places.get(&id).copied() {
            self.unlink(place);
            self.link(place, queue);
        }
    }

    fn unlink(&mut self, place: u32) {
        let Some(node) = self.at(place) else { return };
        let (queue, older, newer, bytes) = (usize::from(node.queue), node.older, node.newer, node.bytes);
        if let Some(node) = self.at_mut(older) {
            node.newer = newer;
        }
        if let Some(node) = self.at_mut(newer) {
            node.older = older;
        }
        if let Some(ends) = self.ends.get_mut(queue) {
            ends.bytes -= bytes;
            ends.len -= 1;
            if ends.oldest == place {
                ends.oldest = newer;
            }
            if ends.newest == place {
                ends.newest = older;
            }
        }
    }

    fn link(&mut self, place: u32, queue: usize) {
        let Some(newest) = self.ends.get(queue).map(|ends| ends.newest) else { return };
        let Some(node) = self.at_mut(place) else { return };
        (node.queue, node.older, node.newer) = (queue as u8, newest, NONE);
        let bytes = node.bytes;
        if let Some(node) = self.at_mut(newest) {
            node.newer = place;
        }
        if let Some(ends) = self.ends.get_mut(queue) {
            ends.newest = place;
            ends.bytes += bytes;
            ends.len += 1;
            if ends.oldest == NONE {
                ends.oldest = place;
            }
        }
    }
}
