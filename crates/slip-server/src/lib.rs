//! slip-server
