//! Tests over real sockets. Times are measured here, so the clock may be read.
#![allow(clippy::disallowed_methods)]

mod bench;
pub(crate) mod client;
mod dialects;
mod echo;
mod faults;
mod journal;
mod replay;
mod services;
mod strict;
mod talk;

use crate::{Fault, Sim, SimConfig};
use slip_ir::Dialect;

pub async fn start(dialect: Dialect) -> Sim {
    Sim::start(SimConfig { dialect, ..SimConfig::default() }).await.unwrap()
}

pub async fn failing(dialect: Dialect, mode: &str) -> Sim {
    let fault = Some(Fault::parse(mode).unwrap());
    Sim::start(SimConfig { dialect, fault, ..SimConfig::default() }).await.unwrap()
}
