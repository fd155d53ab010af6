//! What is to happen, in order of time: a binary heap. Events of the same moment happen in the order they were entered, so that a
//! run is the same every time.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

#[derive(Debug)]
pub struct Agenda<E> {
    heap: BinaryHeap<Entry<E>>,
    entered: u64,
}

#[derive(Debug)]
struct Entry<E> {
    at_ms: u64,
    nth: u64,
    event: E,
}

impl<E> Default for Agenda<E> {
    fn default() -> Agenda<E> {
        Agenda { heap: BinaryHeap::new(), entered: 0 }
    }
}

impl<E> Agenda<E> {
    pub fn enter(&mut self, at_ms: u64, event: E) {
        self.heap.push(Entry { at_ms, nth: self.entered, event });
        self.entered += 1;
    }

    /// The next event and its moment.
    pub fn pop(&mut self) -> Option<(u64, E)> {
        self.heap.pop().map(|e| (e.at_ms, e.event))
    }
}

impl<E> Ord for Entry<E> {
    /// The greatest of a heap comes first, and first is the earliest.
    fn cmp(&self, other: &Entry<E>) -> Ordering {
        (other.at_ms, other.nth).cmp(&(self.at_ms, self.nth))
    }
}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Entry<E>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Entry<E>) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for Entry<E> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_of_equals_the_first_entered() {
        let mut agenda = Agenda::default();
        for (at, event) in [(5, 'c'), (1, 'a'), (5, 'd'), (3, 'b')] {
            agenda.enter(at, event);
        }
        let order: String = std::iter::from_fn(|| agenda.pop()).map(|(_, e)| e).collect();
        assert_eq!(order, "abcd");
    }
}
