//! What is simulated: a table of scenarios, each traffic, a fleet and what goes wrong.

use crate::policies::Entry;
use crate::run::run;
use crate::site::Site;
use crate::tally::{Runs, Tally};
use crate::traffic::{Kind, Library};
use fastrand::Rng;

pub mod fleets;
mod table;

pub use table::{ALONE, SCENARIOS};

pub struct Scenario {
    pub name: &'static str,
    /// One sentence for people.
    pub about: &'static str,
    pub traffic: Kind,
    pub per_second: f64,
    pub calls: usize,
    pub fleet: fn() -> Vec<Site>,
}

impl Scenario {
    /// One policy, one seed. The seed also says where in the trace the piece begins.
    pub fn once(&self, library: &Library, policy: &Entry, seed: u64) -> Tally {
        let fleet = (self.fleet)();
        let trace = library.of(self.traffic);
        let whole = self.calls >= trace.calls.len();
        let from = if whole { 0 } else { Rng::with_seed(seed).usize(0..trace.calls.len().max(1)) };
        let calls = trace.piece(from, self.calls.min(trace.calls.len()), self.per_second);
        let mut policy = (policy.make)(&fleet, policy.name);
        Tally::of(&fleet, &run(&calls, &fleet, policy.as_mut(), seed))
    }

    /// One policy, seeds from 1 on.
    pub fn runs(&self, library: &Library, policy: &Entry, seeds: u64) -> Runs {
        Runs((1..=seeds).map(|seed| self.once(library, policy, seed)).collect())
    }
}
