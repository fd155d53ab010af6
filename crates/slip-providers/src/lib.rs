//! slip-providers
