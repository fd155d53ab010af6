//! What stays when not everything can: one trait, and the rules that implement it.
//!
//! | Policy | Keeps | Knows of |
//! |---|---|---|
//! | [`cost`] | what would cost most to ask again, for the room it takes | money, seconds, bytes, how often |
//! | [`lru`] | what was asked last | order |
//! | [`lfu`] | what was asked most | how often, for ever |
//! | [`sieve`] | what was asked again before the hand came by (Zhang and others, NSDI 2024) | order, one bit |
//! | [`s3_fifo`] | what was asked again soon, in three queues (Yang and others, SOSP 2023) | order, two bits, what left |
//! | [`w_tiny_lfu`] | whoever of newcomer and victim was asked more often (Einziger, Friedman and Manes, 2017) | a sketch of all that was asked |
//!
//! [`cost`] is what the gateway uses; the others are there to be compared with. All are bounded by bytes, decide by nothing but
//! what they are told (no clock, no dice), and never hold more than they may: see `laws`.

pub mod cost;
#[cfg(test)]
mod laws;
pub mod lfu;
mod list;
pub mod lru;
pub mod s3_fifo;
pub mod sieve;
mod sketch;
pub mod w_tiny_lfu;

pub(crate) use list::ById;

use slip_ir::Nano;

/// What is known of an entry when it is put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// What it occupies, its share of the tables included.
    pub bytes: u64,
    /// What a miss would cost, in nano-USD.
    pub worth: u64,
}

impl Load {
    /// The worth of an answer: what it cost, and what the waiting was worth to whoever waited.
    ///
    /// ```
    /// use slip_cache::Load;
    /// use slip_ir::Nano;
    ///
    /// // A cent and four seconds, at a tenth of a cent a second.
    /// let load = Load::new(2_000, Nano(10_000_000), 4_000, Nano(1_000_000));
    /// assert_eq!(load.worth, 14_000_000);
    /// ```
    pub fn new(bytes: u64, cost: Nano, waited_ms: u64, per_second: Nano) -> Load {
        let cost = u64::try_from(cost.0).unwrap_or(0);
        let second = u64::try_from(per_second.0).unwrap_or(0);
        let waiting = u128::from(waited_ms) * u128::from(second) / 1000;
        Load { bytes, worth: cost.saturating_add(u64::try_from(waiting).unwrap_or(u64::MAX)) }
    }
}

/// Decides what stays. Entries are known by a number that is as good as random.
pub trait Policy: Send {
    /// It was asked for, and is here.
    fn hit(&mut self, id: u64);

    /// It was asked for, and is not here.
    fn miss(&mut self, _id: u64) {}

    /// It may be put in; if it is here already, it has another load now. Whatever must leave for it is appended to `gone`,
    /// which may be the newcomer itself: then it is not let in.
    fn put(&mut self, id: u64, load: Load, gone: &mut Vec<u64>);

    /// It was taken out by somebody else.
    fn remove(&mut self, id: u64);

    /// The bytes of everything that is here.
    fn used(&self) -> u64;

    fn len(&self) -> usize;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A policy by name, and how to begin with one of so many bytes.
pub struct Row {
    pub name: &'static str,
    pub make: fn(capacity: u64) -> Box<dyn Policy>,
}

/// The default first.
pub static POLICIES: &[Row] = &[
    Row { name: "cost", make: |capacity| Box::new(cost::Cost::new(capacity)) },
    Row { name: "lru", make: |capacity| Box::new(lru::Lru::new(capacity)) },
    Row { name: "lfu", make: |capacity| Box::new(lfu::Lfu::new(capacity)) },
    Row { name: "sieve", make: |capacity| Box::new(sieve::Sieve::new(capacity)) },
    Row { name: "s3-fifo", make: |capacity| Box::new(s3_fifo::S3Fifo::new(capacity)) },
    Row { name: "w-tinylfu", make: |capacity| Box::new(w_tiny_lfu::WTinyLfu::new(capacity)) },
];

/// The policy of that name.
pub fn named(name: &str) -> Option<&'static Row> {
    POLICIES.iter().find(|row| row.name == name)
}
