//! slip-server

pub mod config;
