//! slip-route
