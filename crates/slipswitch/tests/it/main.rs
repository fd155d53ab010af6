//! The whole house, from outside: the real binary over real sockets, with simulated, scripted and replayed upstreams.

mod bad_input;
mod cassettes;
mod cli;
mod clouds;
mod conformance;
mod corpus;
mod exacto;
mod explain;
mod faults;
mod fidelity;
mod harness;
mod house;
mod invoke;
mod journey;
mod keys;
mod media;
mod money;
mod providers;
mod reload;
mod responses;
mod routing;
mod services;
mod tiers;
mod usage;
mod wire;
