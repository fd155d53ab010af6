//! slip-store
