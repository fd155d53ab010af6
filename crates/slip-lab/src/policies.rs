//! Who is compared: the textbook, what others publish of theirs, and ours through the gateway's own code. One file each.
//!
//! To add one: a file in `policies/`, a row in [`POLICIES`].

use crate::policy::{Policy, notes};
use crate::site::Site;

pub mod cheapest;
pub mod fastest;
pub mod least_request;
pub mod litellm;
pub mod nginx;
pub mod openrouter;
pub mod ours;
pub mod peak_ewma;
pub mod random;
pub mod round_robin;

/// A policy by name.
#[derive(Clone, Copy)]
pub struct Entry {
    pub name: &'static str,
    /// One sentence for people.
    pub about: &'static str,
    /// Of slip-route.
    pub ours: bool,
    pub make: fn(&[Site], &'static str) -> Box<dyn Policy>,
}

const fn row(name: &'static str, about: &'static str, make: fn(&[Site], &'static str) -> Box<dyn Policy>) -> Entry {
    Entry { name, about, ours: false, make }
}

/// The textbook and the published. [`ours::entries`] has the rest.
pub const POLICIES: &[Entry] = &[
    row("random", "Anybody not tried yet.", |fleet, _| Box::new(random::Random::new(fleet))),
    row("round-robin", "Everybody in turn.", |fleet, _| Box::new(round_robin::RoundRobin::new(fleet))),
    row("least-request", "Fewest requests under way; ties by lot.", |fleet, _| {
        Box::new(least_request::LeastRequest::new(fleet))
    }),
    row(
        "p2c peak-EWMA",
        "The better of two drawn, by peak-sensitive latency times requests under way (Finagle, Linkerd); a failure counts as 5 s.",
        |fleet, _| Box::new(peak_ewma::PeakEwma(notes(fleet))),
    ),
    row("cheapest", "By expected price, the next on a failure.", |fleet, _| Box::new(cheapest::Cheapest::new(fleet))),
    row("fastest", "By average time to first content, the next on a failure; a failure counts as 5 s.", |fleet, _| {
        Box::new(fastest::Fastest::new(fleet))
    }),
    row(
        "OpenRouter's rule",
        "As documented until 2026: those without a failure in 30 s, drawn by 1/price²; the others by price.",
        |fleet, _| Box::new(openrouter::OpenRouter::new(fleet)),
    ),
    row(
        "LiteLLM's default",
        "Simple shuffle; a site rests 5 s after a 429, or when over half of at least 5 calls of the minute failed.",
        |fleet, _| Box::new(litellm::LiteLlm(notes(fleet))),
    ),
    row(
        "nginx",
        "Round robin, max_fails=1, fail_timeout=10s, the next upstream on any failure, 429 included.",
        |fleet, _| Box::new(nginx::Nginx::new(fleet)),
    ),
];

/// Everybody, the textbook first.
pub fn all() -> Vec<Entry> {
    POLICIES.iter().copied().chain(ours::entries()).collect()
}
