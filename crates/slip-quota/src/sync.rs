//! The locks: the standard library's, or those of the model checker (`--cfg loom`), which tries every order they can be taken in.

#[cfg(loom)]
pub(crate) use loom::sync::{Arc, Mutex, MutexGuard};
#[cfg(not(loom))]
pub(crate) use std::sync::{Arc, Mutex, MutexGuard};
