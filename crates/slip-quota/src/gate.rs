//! How many at once: a counter, and a place that is given back when it is dropped.
//!
//! ```
//! use slip_quota::Gate;
//! use std::sync::Arc;
//!
//! let gate = Arc::new(Gate::new(Some(1)));
//! let inside = gate.enter().expect("nobody is inside");
//! assert_eq!(gate.enter().expect_err("one is").inside, 1);
//! drop(inside);
//! assert!(gate.enter().is_ok());
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Stands for "no limit" in the atomic.
const UNLIMITED: u64 = u64::MAX;

/// So many may be inside at once.
#[derive(Debug)]
pub struct Gate {
    inside: AtomicU64,
    limit: AtomicU64,
}

/// Nobody else may enter now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shut {
    pub limit: u64,
    pub inside: u64,
}

/// A place behind a gate.
#[derive(Debug)]
#[must_use = "what is dropped has left"]
pub struct Inside(Arc<Gate>);

impl Gate {
    /// `None` is no limit; they are counted all the same.
    pub const fn new(limit: Option<u64>) -> Gate {
        let limit = match limit {
            Some(limit) => limit,
            None => UNLIMITED,
        };
        Gate { inside: AtomicU64::new(0), limit: AtomicU64::new(limit) }
    }

    pub fn limit(&self) -> Option<u64> {
        Some(self.limit.load(Relaxed)).filter(|limit| *limit != UNLIMITED)
    }

    /// Put another limit in force. Nobody is sent away; while more are inside than it allows, nobody enters.
    pub fn set_limit(&self, limit: Option<u64>) {
        self.limit.store(limit.unwrap_or(UNLIMITED), Relaxed);
    }

    pub fn inside(&self) -> u64 {
        self.inside.load(Relaxed)
    }

    pub fn enter(self: &Arc<Gate>) -> Result<Inside, Shut> {
        self.come().map(|()| Inside(self.clone()))
    }

    /// Whether one could enter now.
    pub(crate) fn would(&self) -> Result<(), Shut> {
        let (limit, inside) = (self.limit.load(Relaxed), self.inside());
        if inside < limit { Ok(()) } else { Err(Shut { limit, inside }) }
    }

    /// Enter without a guard; whoever calls it owes a [`Gate::go`].
    pub(crate) fn come(&self) -> Result<(), Shut> {
        let limit = self.limit.load(Relaxed);
        let entered = self.inside.fetch_update(Relaxed, Relaxed, |inside| (inside < limit).then_some(inside + 1));
        entered.map(drop).map_err(|inside| Shut { limit, inside })
    }

    pub(crate) fn go(&self) {
        self.inside.fetch_sub(1, Relaxed);
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.go();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_may_change_while_some_are_inside() {
        let gate = Arc::new(Gate::new(None));
        let mut inside: Vec<_> = (0..3).map(|_| gate.enter().expect("no limit")).collect();
        gate.set_limit(Some(2));
        assert_eq!(gate.enter().err(), Some(Shut { limit: 2, inside: 3 }));
        inside.pop();
        assert_eq!(gate.enter().err(), Some(Shut { limit: 2, inside: 2 }));
        inside.pop();
        inside.push(gate.enter().expect("one is left"));
        gate.set_limit(Some(0));
        drop(inside);
        assert_eq!((gate.inside(), gate.enter().err()), (0, Some(Shut { limit: 0, inside: 0 })));
    }

    #[test]
    fn from_many_threads_never_more_than_the_limit_are_inside() {
        let gate = Arc::new(Gate::new(Some(3)));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..5_000 {
                        let inside = gate.enter();
                        assert!(gate.inside() <= 3);
                        drop(inside);
                    }
                });
            }
        });
        assert_eq!(gate.inside(), 0);
    }
}
