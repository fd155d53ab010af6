//! What routing may know of the present: who is cooling down, who failed lately, who is fast. Filled by the caller.

use std::collections::HashMap;

/// Live facts about one endpoint through one instance (base URL and key). The default knows nothing, which is good health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vital {
    /// Not before this moment (milliseconds, the caller's clock), unless nobody else is left. 0 means no cooldown.
    pub cooldown_until_ms: u64,
    /// It failed in the last half minute or so.
    pub failing: bool,
    /// Usual time to first content.
    pub ttft_ms: Option<u32>,
    /// Usual output speed.
    pub tokens_per_second: Option<u32>,
}

/// Where live facts come from. `endpoint` is [`crate::Endpoint::key`], which survives a reload of the configuration.
pub trait Vitals {
    fn vital(&self, endpoint: u64, instance: u32) -> Vital;
}

/// A moment as routing sees it.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub vitals: &'a dyn Vitals,
    /// Counts up by one with every request; round robin takes turns by it.
    pub turn: u64,
}

/// Everybody is well and nobody was measured.
pub struct Calm;

impl Vitals for Calm {
    fn vital(&self, _: u64, _: u32) -> Vital {
        Vital::default()
    }
}

impl View<'static> {
    pub fn calm(turn: u64) -> View<'static> {
        View { vitals: &Calm, turn }
    }
}

/// A plain table of live facts. Whoever is not in it is well.
#[derive(Clone, Debug, Default)]
pub struct Board(pub HashMap<(u64, u32), Vital>);

impl Vitals for Board {
    fn vital(&self, endpoint: u64, instance: u32) -> Vital {
        self.0.get(&(endpoint, instance)).copied().unwrap_or_default()
    }
}
