//! What is left of a provider's rate limits, as its own answers say, counted down between them: who has none left is passed over
//! before it says 429.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

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
    begun: Begun,
}

/// What was begun so far, round and round.
#[derive(Default)]
struct Begun {
    requests: AtomicU32,
    tokens: AtomicU32,
}

/// A moment in what was begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    requests: u32,
    tokens: u32,
}

impl Headroom {
    pub(super) fn hear(&self, now_ms: u64, allowance: &Allowance) {
        self.requests.hear(now_ms, allowance.requests);
        self.tokens.hear(now_ms, allowance.tokens);
    }

    /// The same, said in answer to a request that began at `mark`: those that began after it may not be counted in what it says.
    pub(super) fn hear_of(&self, now_ms: u64, allowance: &Allowance, mark: Mark) {
        let now = self.mark();
        let less =
            |said: Option<Left>, since: u32| said.map(|s| Left { left: s.left.saturating_sub(since.into()), ..s });
        let requests = less(allowance.requests, now.requests.wrapping_sub(mark.requests));
        let tokens = less(allowance.tokens, now.tokens.wrapping_sub(mark.tokens));
        self.hear(now_ms, &Allowance { requests, tokens });
    }

    pub(super) fn mark(&self) -> Mark {
        let read = |of: &AtomicU32| of.load(Ordering::Relaxed);
        Mark { requests: read(&self.begun.requests), tokens: read(&self.begun.tokens) }
    }

    pub(super) fn spend(&self, now_ms: u64, tokens: u64) {
        self.begun.requests.fetch_add(1, Ordering::Relaxed);
        self.begun.tokens.fetch_add(u32::try_from(tokens).unwrap_or(u32::MAX), Ordering::Relaxed);
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
    fn what_was_said_of_an_early_request_does_not_count_the_later_ones() {
        let room = Headroom::default();
        room.spend(0, 10);
        let first = room.mark();
        room.spend(0, 10);
        room.spend(0, 10);
        let last = room.mark();
        let says = |left: u64| Allowance {
            requests: Some(Left { left, reset_ms: 1_000 }),
            tokens: Some(Left { left: 10 * left, reset_ms: 1_000 }),
        };
        room.hear_of(5, &says(4), first);
        assert_eq!(room.left(5), (Some(2), Some(20)));
        room.hear_of(6, &says(2), last);
        assert_eq!(room.left(6), (Some(2), Some(20)), "and of the last it is exact");
        room.hear_of(7, &says(1), first);
        assert_eq!(room.left(7), (Some(0), Some(0)));
    }

    #[test]
    fn a_reset_in_the_far_future_is_not_believed() {
        let room = Headroom::default();
        room.hear(0, &Allowance { requests: Some(Left { left: 0, reset_ms: FAR_MS + 1 }), tokens: None });
        assert_eq!(room.left(1), (None, None));
    }
}
