//! What of an endpoint's health is worth keeping over a restart: what is usual, and until when it rests.

use super::Health;
use serde::{Deserialize, Serialize};

/// See the head of this file. Members that a later version adds are absent in what an earlier one wrote.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Frozen {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    pub rests_until_ms: u64,
    pub ttft_ms: Option<f64>,
    pub tokens_per_second: Option<f64>,
    pub output_tokens: Option<f64>,
    pub cached_permille: Option<f64>,
}

impl Health {
    /// `None` when there is nothing to keep.
    pub fn freeze(&self, now_ms: u64) -> Option<Frozen> {
        let frozen = Frozen {
            at_ms: now_ms,
            rests_until_ms: Some(self.breaker.until_ms()).filter(|until| *until > now_ms).unwrap_or(0),
            ttft_ms: self.first.get(now_ms),
            tokens_per_second: self.rate.get(now_ms),
            output_tokens: self.output.get(now_ms),
            cached_permille: self.cached.get(now_ms),
        };
        let empty = Frozen { at_ms: now_ms, ..Frozen::default() };
        (frozen != empty).then_some(frozen)
    }

    /// Takes up what an earlier process knew. What it knows better by now stays.
    pub fn thaw(&self, frozen: &Frozen, now_ms: u64) {
        self.breaker.thaw(frozen.rests_until_ms.min(now_ms.saturating_add(super::breaker::GONE_MS)));
        for (average, value) in [
            (&self.first, frozen.ttft_ms),
            (&self.rate, frozen.tokens_per_second),
            (&self.output, frozen.output_tokens),
            (&self.cached, frozen.cached_permille),
        ] {
            if average.get(now_ms).is_none() {
                average.set(frozen.at_ms.min(now_ms), value.filter(|v| *v >= 0.0));
            }
        }
    }
}
