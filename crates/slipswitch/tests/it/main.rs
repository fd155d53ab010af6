//! The whole house, from outside: the real binary over real sockets, with simulated, scripted and replayed upstreams.

mod bad_input;
mod cli;
mod corpus;
mod faults;
mod harness;
mod house;
mod journey;
mod media;
mod reload;
mod wire;
