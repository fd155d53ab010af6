//! The half of caching answers that needs no I/O: which requests are the same, what stays, and what is kept.
//!
//! | Module | Answers |
//! |---|---|
//! | [`key`] | is this the request that was asked before? |
//! | [`store`] | what was the answer? In memory, bounded by bytes |
//! | [`policy`] | what stays when not everything can? |
//! | [`entry`], [`codec`] | what is an answer, in memory and as bytes elsewhere? |
//!
//! Pure: time is an argument, nothing is drawn by lot, nothing here waits but for a mutex that is held while a few numbers are
//! changed. Whether an answer may be kept at all (its status, whether it is complete, what its caller said) is the server's to
//! decide; tiers on disk or elsewhere are the server's too, and keep what [`codec`] writes.
//!
//! The way of a request:
//!
//! 1. [`Keyer::key`] makes its [`Key`], or says why it has none.
//! 2. [`Store::get`] finds the answer: [`Found::Fresh`] or [`Found::Stale`] is handed out.
//! 3. A complete answer becomes an [`Entry`] and is [`Store::put`].

pub mod codec;
pub mod entry;
pub mod key;
pub mod policy;
pub mod store;

pub use entry::{Age, Entry, Form, Header};
pub use key::{Key, Keyer, Refusal, Scope};
pub use policy::{Load, Policy};
pub use store::{Found, Limits, Listed, Purged, Put, Select, Stats, Store};
