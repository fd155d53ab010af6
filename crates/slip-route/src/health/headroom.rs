//! What is left of a provider's rate limits, as its own answers say, counted down between them: who has none left is passed over
//! before it says 429.

use std::sync::atomic::{AtomicU64, Ordering};

/// What one answer said: how much is left, and until when that holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    pub requests: Option<Left>,
    pub tokens: Option<Left>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    pub left: u64,
    /// From now, in milliseconds.
    pub reset_ms: u64,
}

/// A reset further away than this is not believed.
const FAR_MS: u64 = 3_600_000;

#[derive(Default)]
struct Line {
    /// Plus one; zero is unknown.
    left: AtomicU64,
    until_ms: AtomicU64,
}

impl Line {
    fn hear(&self, now_ms: u64, said: Option<Left>) {
        let Some(said) = said.filter(|s| s.reset_ms <= FAR_MS) else { return };
        self.until_ms.store(now_ms.saturating_add(said.reset_ms), Ordering::Relaxed);
        self.left.store(said.left.saturating_add(1), Ordering::Relaxed);
    }

    fn spend(&self, now_ms: u64, amount: u64) {
        if self.until_ms.load(Ordering::Relaxed) > now_ms {
            let less = |left: u64| (left > 0).then(|| left.saturating_sub(amount).max(1));
            let _ = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }

    /// From when there may be room for `n`; `None` is now.
    fn opens(&self, now_ms: u64, n: u64) -> Option<u64> {
        let short = self.left(now_ms).is_some_and(|left| u64::from(left) < n);
        short.then(|| self.until_ms.load(Ordering::Relaxed))
    }

    #[inline]
    fn left(&self, now_ms: u64) -> Option<u32> {
        if self.until_ms.load(Ordering::Relaxed) <= now_ms {
            return None;
        }
        let left = self.left.load(Ordering::Relaxed).checked_sub(1)?;
        Some(u32::try_from(left).unwrap_or(u32::MAX))
    }
}

#[derive(Default)]
pub(super) struct Headroom {
    requests: Line,
    tokens: Line,
}

impl Headroom {
    pub(super) fn hear(&self, now_ms: u64, allowance: &Allowance) {
        self.requests.hear(now_ms, allowance.requests);
        self.tokens.hear(now_ms, allowance.tokens);
    }

    pub(super) fn spend(&self, now_ms: u64, tokens: u64) {
        self.requests.spend(now_ms, 1);
        self.tokens.spend(now_ms, tokens);
    }

    /// From when there may be room for a request with so many tokens; `None` is now.
    pub(super) fn opens(&self, now_ms: u64, tokens: u64) -> Option<u64> {
        self.requests.opens(now_ms, 1).max(self.tokens.opens(now_ms, tokens))
    }

    /// Requests and tokens; `None` where it is not known.
    #[inline]
    pub(super) fn left(&self, now_ms: u64) -> (Option<u32>, Option<u32>) {
        (self.requests.left(now_ms), self.tokens.left(now_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_down_to_zero_and_forgets_at_the_reset() {
        let room = Headroom::default();
        assert_eq!(room.left(0), (None, None));
        let said = Allowance {
            requests: Some(Left { left: 2, reset_ms: 1_000 }),
            tokens: Some(Left { left: 500, reset_ms: 60_000 }),
        };
        room.hear(100, &said);
        room.spend(200, 400);
        assert_eq!(room.left(200), (Some(1), Some(100)));
        room.spend(200, 400);
        room.spend(200, 400);
        assert_eq!(room.left(200), (Some(0), Some(0)));
        assert_eq!((room.opens(200, 0), room.opens(200, 1), room.opens(1_100, 0)), (Some(1_100), Some(60_100), None));
        assert_eq!(room.left(1_100), (None, Some(0)));
    }

    #[test]
    fn a_reset_in_the_far_future_is_not_believed() {
        let room = Headroom::default();
        room.hear(0, &Allowance { requests: Some(Left { left: 0, reset_ms: FAR_MS + 1 }), tokens: None });
        assert_eq!(room.left(1), (None, None));
    }
}
