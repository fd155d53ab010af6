//! slip-sim
