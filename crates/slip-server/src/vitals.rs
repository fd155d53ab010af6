//! The health of everything that is called, under names that outlive a configuration, and the attempts that are under way.
//!
//! Who is to blame rests, and no more than that: a refused credential is the key's, a host that cannot be reached takes every model
//! behind it along, everything else is the model's at that endpoint. What counts as a failure is `slip_route::health`'s to say.

use crate::clock;
use crate::queue::Counts;
use crate::queue::account::{Account, Lease};
use crate::upstream::Sent;
use http::HeaderMap;
use slip_ir::{Fault, FaultKind};
use slip_route::Health;
use slip_route::health::{Answered, Breaker, Frozen, Mark, Waiting};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

pub mod allowance;
pub mod keep;
pub mod own;

/// All instances of all configurations this process has had, by name, so that a reload forgets nothing. Bounded by configuration.
#[derive(Default)]
pub struct Vitals {
    known: Mutex<HashMap<String, Arc<Health>>>,
    breakers: Mutex<HashMap<String, Arc<Breaker>>>,
    accounts: Mutex<HashMap<String, Arc<Account>>>,
    /// What is counted of those who wait.
    pub lines: Counts,
    /// What an earlier process knew, until somebody asks for it.
    frozen: Mutex<BTreeMap<String, Frozen>>,
    /// Keys of workspaces' own. Bounded by itself.
    own: own::OwnVitals,
}

fn locked<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(|broken| broken.into_inner())
}

impl Vitals {
    pub fn of(&self, name: &str) -> Arc<Health> {
        let mut known = locked(&self.known);
        if let Some(health) = known.get(name) {
            return health.clone();
        }
        let health = Arc::new(Health::default());
        if let Some(frozen) = locked(&self.frozen).remove(name) {
            health.thaw(&frozen, clock::unix_ms());
        }
        known.insert(name.to_owned(), health.clone());
        health
    }

    /// Of a key or a host.
    pub fn breaker(&self, name: &str) -> Arc<Breaker> {
        locked(&self.breakers).entry(name.to_owned()).or_default().clone()
    }

    /// What an account at a provider may do, and who waits for it.
    pub fn account(&self, name: &str) -> Arc<Account> {
        let mut accounts = locked(&self.accounts);
        accounts.entry(name.to_owned()).or_insert_with(|| Arc::new(Account::new(self.lines.clone()))).clone()
    }

    /// Everything worth keeping over a restart.
    pub fn freeze(&self) -> BTreeMap<String, Frozen> {
        let now = clock::unix_ms();
        let mut all = locked(&self.frozen).clone();
        all.extend(locked(&self.known).iter().filter_map(|(name, h)| Some((name.clone(), h.freeze(now)?))));
        all
    }

    /// What an earlier process kept; taken up as endpoints are asked for.
    pub fn thaw(&self, all: BTreeMap<String, Frozen>) {
        *locked(&self.frozen) = all;
    }
}

/// What an attempt is charged to: the model at its endpoint, the credential, the host.
#[derive(Clone)]
pub struct Charge {
    pub health: Arc<Health>,
    pub key: Arc<Breaker>,
    pub host: Arc<Breaker>,
}

/// An attempt under way. Ends exactly once; dropped without a word it proves nothing.
pub struct Flight {
    charge: Charge,
    /// While somebody waits for its first content.
    silent: Option<Waiting>,
    /// Its first content came while somebody waited.
    heard: bool,
    over: bool,
    /// Where it stands among those that have begun.
    mark: Mark,
    /// Leave to make it, and its place among those of its account. The last to go: then the next one may come.
    lease: Option<Lease>,
}

impl Flight {
    /// `first`: of its request. `stream`: somebody waits for its first content.
    pub fn begin(charge: Charge, first: bool, stream: bool, prompt_tokens: u64) -> Flight {
        let now = clock::unix_ms();
        charge.health.begin(now, prompt_tokens);
        let mark = charge.health.mark();
        if first {
            charge.health.first_try(now);
        }
        let silent = stream.then(|| charge.health.waits(now));
        charge.key.probe(now);
        charge.host.probe(now);
        Flight { charge, silent, heard: false, over: false, mark, lease: None }
    }

    /// With leave of its account.
    pub fn by(mut self, mut lease: Lease) -> Flight {
        lease.begins();
        self.lease = Some(lease);
        self
    }

    /// May one more request be made for it?
    pub fn again(&mut self) -> bool {
        self.lease.as_mut().is_none_or(Lease::again)
    }

    /// The head of an answer: what it says of rate limits.
    pub fn heard(&mut self, headers: &HeaderMap) {
        if let Some(allowance) = allowance::read(headers, clock::unix_ms()) {
            self.charge.health.allowed_to(clock::unix_ms(), &allowance, self.mark);
        }
        if let Some(lease) = &mut self.lease {
            lease.heard();
        }
    }

    /// Its first content came.
    pub fn spoke(&mut self) {
        if let Some(waiting) = self.silent.take() {
            self.heard = true;
            self.charge.health.spoke(clock::unix_ms(), waiting);
        }
    }

    /// For what is found out later.
    pub fn health(&self) -> Arc<Health> {
        self.charge.health.clone()
    }

    pub fn failed(mut self, fault: &Fault, sent: Sent) {
        let now = clock::unix_ms();
        self.over = true;
        self.hush();
        self.charge.health.failed(now, fault);
        match (&mut self.lease, sent) {
            (Some(lease), Sent::NotSent) => lease.unsent(),
            // It said no: whatever that cost, it was no tokens.
            (Some(lease), Sent::Rejected) => lease.settle(0),
            _ => {}
        }
        match (fault.kind, sent) {
            (FaultKind::UpstreamAuth | FaultKind::UpstreamQuota, _) => self.charge.key.gone(now),
            (FaultKind::Upstream | FaultKind::UpstreamTimeout, Sent::NotSent) => self.charge.host.failed(now),
            _ => {
                // It answered, whatever it said.
                self.charge.host.succeeded(now);
                self.charge.key.unproven();
            }
        }
    }

    pub fn answered(mut self, reply: &Answered) {
        let now = clock::unix_ms();
        self.over = true;
        self.spoke();
        self.charge.health.answered(now, &Answered { heard: self.heard, ..*reply });
        if let Some(lease) = &mut self.lease {
            lease.settle(reply.prompt.saturating_add(reply.output));
        }
        self.charge.host.succeeded(now);
        self.charge.key.succeeded(now);
    }

    /// There will be no content.
    fn hush(&mut self) {
        if let Some(waiting) = self.silent.take() {
            self.charge.health.unheard(waiting);
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.hush();
        if !self.over {
            self.charge.health.left();
            self.charge.key.unproven();
            self.charge.host.unproven();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slip_ir::Remedy;

    fn charge(vitals: &Vitals, model: &str) -> Charge {
        Charge { health: vitals.of(model), key: vitals.breaker("key"), host: vitals.breaker("host") }
    }

    fn fails(vitals: &Vitals, model: &str, kind: FaultKind, sent: Sent, times: u32) -> [bool; 3] {
        for _ in 0..times {
            let flight = Flight::begin(charge(vitals, model), true, true, 1);
            flight.failed(&Fault::upstream(kind, Remedy::Elsewhere, "x"), sent);
        }
        let now = clock::unix_ms();
        let charge = charge(vitals, model);
        [
            charge.health.vital(now).cooldown_until_ms,
            charge.key.verdict(now).until_ms,
            charge.host.verdict(now).until_ms,
        ]
        .map(|until| until > now)
    }

    #[test]
    fn the_smallest_guilty_unit_rests() {
        let rows = [
            (FaultKind::Upstream, Sent::Rejected, 3, [true, false, false]),
            (FaultKind::UpstreamTimeout, Sent::Ambiguous, 3, [true, false, false]),
            (FaultKind::Upstream, Sent::NotSent, 3, [true, false, true]),
            (FaultKind::UpstreamAuth, Sent::Rejected, 1, [false, true, false]),
            (FaultKind::UpstreamQuota, Sent::Rejected, 1, [false, true, false]),
            (FaultKind::RateLimited, Sent::Rejected, 1, [true, false, false]),
            (FaultKind::NotFound, Sent::Rejected, 1, [true, false, false]),
            (FaultKind::BadRequest, Sent::Rejected, 9, [false, false, false]),
            (FaultKind::ContextTooLong, Sent::Rejected, 9, [false, false, false]),
        ];
        for (kind, sent, times, want) in rows {
            assert_eq!(fails(&Vitals::default(), "m", kind, sent, times), want, "{kind:?} {sent:?}");
        }
    }

    #[test]
    fn a_flight_nobody_ended_is_over_all_the_same() {
        let vitals = Vitals::default();
        drop(Flight::begin(charge(&vitals, "m"), true, true, 1));
        assert_eq!(vitals.of("m").vital(clock::unix_ms()).in_flight, 0);
    }

    #[test]
    fn nobody_is_waited_for_when_all_have_spoken_failed_or_left() {
        let vitals = Vitals::default();
        let begin = || Flight::begin(charge(&vitals, "m"), true, true, 1);
        let (mut spoke, ended, failed, left) = (begin(), begin(), begin(), begin());
        let _whole = Flight::begin(charge(&vitals, "m"), true, false, 1);
        spoke.spoke();
        ended.answered(&Answered::default());
        failed.failed(&Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, "x"), Sent::Rejected);
        drop(left);
        assert_eq!(vitals.of("m").vital(clock::unix_ms() + 60_000).silent_ms, 0);
        spoke.answered(&Answered::default());
        let last = begin();
        assert!(vitals.of("m").vital(clock::unix_ms() + 60_000).silent_ms >= 60_000);
        drop(last);
    }

    #[test]
    fn what_was_kept_waits_until_it_is_asked_for() {
        let vitals = Vitals::default();
        let frozen = Frozen { at_ms: clock::unix_ms(), ttft_ms: Some(120.0), ..Frozen::default() };
        vitals.thaw(BTreeMap::from([("a".to_owned(), frozen.clone()), ("b".to_owned(), frozen)]));
        assert_eq!(vitals.of("a").vital(clock::unix_ms()).ttft_ms, Some(120));
        let kept = vitals.freeze();
        assert_eq!(kept.keys().collect::<Vec<_>>(), ["a", "b"]);
    }
}
