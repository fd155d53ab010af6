//! What a request needs leave for, of every scope it lies in: its key, its member, its workspace, the installation.
//!
//! ```
//! use slip_ir::Nano;
//! use slip_quota::{Kind, Quota, Scope};
//! use std::sync::Arc;
//!
//! let (key, instance) = (Arc::new(Scope::default()), Arc::new(Scope::default()));
//! key.requests.set_limit(Some(1));
//! let quota = Arc::new(Quota::new(vec![key, instance.clone()]));
//! let now = 1_795_305_600_000;
//!
//! let pass = quota.admit(now, 800).expect("the first of this minute");
//! let held = quota.hold(Nano(500), Nano(500), false, now).expect("no cap");
//! assert_eq!(instance.gate.inside(), 1);
//!
//! let refused = quota.admit(now, 800).expect_err("the second of this minute");
//! assert_eq!((refused.scope, refused.kind, refused.retry_after_ms), (0, Kind::Requests, Some(60_000)));
//!
//! pass.settle(640, now); // tokens; the place is given back
//! held.settle(Nano(400), Nano(0), now);
//! assert_eq!(instance.gate.inside(), 0);
//! ```

use crate::account::{Account, Denied, Held, hold};
use crate::gate::{Gate, Shut};
use crate::moment::Moment;
use crate::rate::{Rate, Wait};
use slip_ir::Nano;
use std::fmt;
use std::sync::Arc;

/// One scope: money, rates and places. Without limits until they are set; all may be changed at any time.
#[derive(Debug)]
pub struct Scope {
    pub account: Arc<Account>,
    /// Requests per minute.
    pub requests: Rate,
    /// Tokens per minute, prompt and answer together.
    pub tokens: Rate,
    /// Requests at once.
    pub gate: Arc<Gate>,
}

impl Default for Scope {
    fn default() -> Scope {
        Scope {
            account: Arc::default(),
            requests: Rate::per_minute(None),
            tokens: Rate::per_minute(None),
            gate: Arc::new(Gate::new(None)),
        }
    }
}

/// The scopes a caller's requests lie in, by custom the narrowest first. Made once for a key, shared by its requests.
#[derive(Debug)]
pub struct Quota {
    scopes: Box<[Arc<Scope>]>,
    accounts: Box<[Arc<Account>]>,
}

/// What was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Requests per minute.
    Requests,
    /// Tokens per minute.
    Tokens,
    /// Requests at once.
    Concurrency,
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Requests => "requests per minute",
            Kind::Tokens => "tokens per minute",
            Kind::Concurrency => "requests at once",
        }
    }
}

/// A scope that gives no leave now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Where it stands in the list of scopes.
    pub scope: usize,
    pub kind: Kind,
    pub limit: u64,
    pub remaining: u64,
    /// When there will be enough. `None` is never for a request of more tokens than a minute has, and not known for places.
    pub retry_after_ms: Option<u64>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the limit of {} {} is reached, {} remaining", self.limit, self.kind.name(), self.remaining)
    }
}

impl std::error::Error for Refused {}

/// Leave to go on, and a place in every scope, given back when this is dropped.
#[derive(Debug)]
#[must_use = "what is dropped has left"]
pub struct Pass {
    quota: Arc<Quota>,
    tokens: u64,
}

impl Quota {
    /// A scope that is named twice is asked twice; an account counts once.
    pub fn new(scopes: Vec<Arc<Scope>>) -> Quota {
        let accounts = scopes.iter().map(|scope| scope.account.clone()).collect();
        Quota { scopes: scopes.into(), accounts }
    }

    pub fn scopes(&self) -> &[Arc<Scope>] {
        &self.scopes
    }

    pub fn accounts(&self) -> &[Arc<Account>] {
        &self.accounts
    }

    /// Set money aside in every scope, or in none: [`hold`].
    pub fn hold(&self, want: Nano, least: Nano, byok: bool, now: impl Into<Moment>) -> Result<Held, Denied> {
        hold(&self.accounts, want, least, byok, now)
    }

    /// Take one request, an estimate of tokens and a place in every scope, or nothing in any. All are asked before anything is
    /// taken; only what another takes in between is given back.
    pub fn admit(self: &Arc<Quota>, now_ms: i64, tokens: u64) -> Result<Pass, Refused> {
        match self.longest(now_ms, tokens) {
            Some(refused) => Err(refused),
            None => self.take(now_ms, tokens),
        }
    }

    fn take(self: &Arc<Quota>, now_ms: i64, tokens: u64) -> Result<Pass, Refused> {
        for (at, scope) in self.scopes.iter().enumerate() {
            if let Err(refused) = scope.take(at, tokens, now_ms) {
                self.scopes[..at].iter().for_each(|taken| taken.give_back(tokens, now_ms));
                return Err(refused);
            }
        }
        Ok(Pass { quota: self.clone(), tokens })
    }

    /// Who would refuse. Of several the one that takes longest, so that whoever waits as long as he is told is not refused by
    /// another; a place is free at any time.
    fn longest(&self, now_ms: i64, tokens: u64) -> Option<Refused> {
        let every = self.scopes.iter().enumerate().flat_map(|(at, scope)| scope.would(at, tokens, now_ms));
        every.flatten().reduce(|longest, other| if other.patience() > longest.patience() { other } else { longest })
    }
}

impl Refused {
    fn patience(&self) -> u64 {
        match self.kind {
            Kind::Concurrency => 0,
            _ => self.retry_after_ms.unwrap_or(u64::MAX),
        }
    }
}

impl Scope {
    fn take(&self, at: usize, tokens: u64, now_ms: i64) -> Result<(), Refused> {
        self.gate.come().map_err(|shut| shut.refused(at))?;
        self.requests.reserve(1, now_ms).map_err(|wait| {
            self.gate.go();
            self.refused(at, Kind::Requests, wait, now_ms)
        })?;
        self.tokens.reserve(tokens, now_ms).map_err(|wait| {
            self.gate.go();
            self.requests.settle(1, 0, now_ms);
            self.refused(at, Kind::Tokens, wait, now_ms)
        })
    }

    fn would(&self, at: usize, tokens: u64, now_ms: i64) -> [Option<Refused>; 3] {
        let refused = |kind| move |wait| self.refused(at, kind, wait, now_ms);
        [
            self.requests.would(1, now_ms).err().map(refused(Kind::Requests)),
            self.tokens.would(tokens, now_ms).err().map(refused(Kind::Tokens)),
            self.gate.would().err().map(|shut| shut.refused(at)),
        ]
    }

    fn give_back(&self, tokens: u64, now_ms: i64) {
        self.gate.go();
        self.requests.settle(1, 0, now_ms);
        self.tokens.settle(tokens, 0, now_ms);
    }

    fn refused(&self, scope: usize, kind: Kind, wait: Wait, now_ms: i64) -> Refused {
        let rate = if kind == Kind::Tokens { &self.tokens } else { &self.requests };
        let (limit, remaining) = (rate.limit().unwrap_or(u64::MAX), rate.remaining(now_ms).unwrap_or(u64::MAX));
        Refused { scope, kind, limit, remaining, retry_after_ms: wait.ms }
    }
}

impl Shut {
    fn refused(self, scope: usize) -> Refused {
        let remaining = self.limit.saturating_sub(self.inside);
        Refused { scope, kind: Kind::Concurrency, limit: self.limit, remaining, retry_after_ms: None }
    }
}

impl Pass {
    /// What was taken of the tokens per minute.
    pub const fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Leave, having used so many tokens. Whoever is dropped without saying so has used what was estimated.
    pub fn settle(self, tokens: u64, now_ms: i64) {
        self.quota.scopes.iter().for_each(|scope| scope.tokens.settle(self.tokens, tokens, now_ms));
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.quota.scopes.iter().for_each(|scope| scope.gate.go());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_305_600_000;

    /// Requests, tokens, places of one scope.
    fn scope(requests: Option<u64>, tokens: Option<u64>, places: Option<u64>) -> Arc<Scope> {
        let scope = Scope::default();
        scope.requests.set_limit(requests);
        scope.tokens.set_limit(tokens);
        scope.gate.set_limit(places);
        Arc::new(scope)
    }

    /// What each scope has left of each.
    fn left(quota: &Quota) -> Vec<(Option<u64>, Option<u64>, u64)> {
        let of = |s: &Arc<Scope>| (s.requests.remaining(NOW), s.tokens.remaining(NOW), s.gate.inside());
        quota.scopes().iter().map(of).collect()
    }

    #[test]
    fn who_is_refused_by_one_scope_has_taken_nothing_from_another() {
        use Kind::*;
        let wide = || scope(Some(100), Some(10_000), Some(10));
        let rows = [
            (scope(Some(0), None, None), Requests, 0, 0, None),
            (scope(Some(1), None, None), Requests, 1, 0, Some(60_000)),
            (scope(Some(7), Some(1_500), None), Tokens, 1_500, 500, Some(20_000)),
            (scope(Some(7), Some(999), None), Tokens, 999, 999, None),
            (scope(None, None, Some(1)), Concurrency, 1, 0, None),
        ];
        for (narrow, kind, limit, remaining, retry_after_ms) in rows {
            let quota = Arc::new(Quota::new(vec![wide(), narrow, wide()]));
            let first = quota.admit(NOW, 1_000);
            let before = left(&quota);
            let want = Refused { scope: 1, kind, limit, remaining, retry_after_ms };
            // As it is told in advance, and as it would be by one who came a moment too late.
            for refused in [quota.admit(NOW, 1_000), quota.take(NOW, 1_000)] {
                assert_eq!(refused.err(), Some(want));
                assert_eq!(left(&quota), before, "{kind:?}");
            }
            drop(first);
            assert!(left(&quota).iter().all(|(_, _, inside)| *inside == 0), "{kind:?}");
        }
    }

    #[test]
    fn the_longest_wait_is_told() {
        let quota = Arc::new(Quota::new(vec![scope(Some(6), None, Some(1)), scope(None, Some(1_000), None)]));
        let _first = quota.admit(NOW, 1_000).expect("nothing is used");
        let refused = quota.admit(NOW, 500).expect_err("all is used");
        assert_eq!((refused.scope, refused.kind, refused.retry_after_ms), (1, Kind::Tokens, Some(30_000)));
        let refused = quota.admit(NOW + 30_000, 500).expect_err("the first is still inside");
        assert_eq!((refused.scope, refused.kind), (0, Kind::Concurrency));
    }

    #[test]
    fn what_was_really_used_is_charged() {
        let quota = Arc::new(Quota::new(vec![scope(None, Some(1_000), None), scope(Some(10), Some(2_000), None)]));
        for (estimate, actual, remaining) in [(500, 100, 900), (900, 900, 0)] {
            let pass = quota.admit(NOW, estimate).expect("enough");
            assert_eq!(pass.tokens(), estimate);
            pass.settle(actual, NOW);
            assert_eq!(quota.scopes()[0].tokens.remaining(NOW), Some(remaining));
        }
        quota.admit(NOW + 60_000, 10).expect("a minute later").settle(1_100, NOW + 60_000);
        let wait = quota.admit(NOW + 60_000, 10).expect_err("a hundred too many");
        assert_eq!((wait.remaining, wait.retry_after_ms), (0, Some(6_600)));
        drop(quota.admit(NOW + 120_000, 10).expect("two minutes later"));
        assert_eq!(quota.scopes()[1].requests.remaining(NOW + 120_000), Some(9));
    }

    #[test]
    fn many_threads_take_exactly_what_there_is_and_leave_nothing_behind() {
        let quota =
            Arc::new(Quota::new(vec![scope(Some(2_000), None, Some(2)), scope(Some(1_000), Some(6_000_000), None)]));
        let taken: usize = std::thread::scope(|scope| {
            let take = || (0..1_000).filter(|_| quota.admit(NOW, 100).map(|p| p.settle(0, NOW)).is_ok()).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|t| t.join().expect("no panic")).sum()
        });
        assert!(taken <= 1_000);
        let gone = taken as u64;
        assert_eq!(left(&quota), [(Some(2_000 - gone), None, 0), (Some(1_000 - gone), Some(6_000_000), 0)]);
    }
}
