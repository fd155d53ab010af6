//! A stream that broke off in the middle of its words: somebody else is asked to go on. Once for a request, and only under a name
//! whose owner said so; whoever cannot be gone on with ends with an error inside the stream, as everywhere.

use super::errand::{Errand, Terms};
use super::hedge::harmless;
use super::lower::{Seals, Turn};
use super::pace::Pace;
use super::read::Inbound;
use super::strict::Strict;
use super::{Trip, carry, turn};
use crate::clock;
use crate::upstream::{Failed, Incoming, Sent};
use crate::vitals::Flight;
use crate::world::World;
use slip_ir::{Dialect, Fault, FaultKind, Origin, Remedy};
use slip_route::{Attempt, Endpoint, Plan, Step};
use slip_wire::lens::{Torn, Way};
use slip_wire::{Quirks, Stamp};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

pub type Resuming = Pin<Box<dyn Future<Output = Resumed> + Send>>;

/// What of a request is kept while its stream flows, so that somebody else could be asked.
pub struct Mender {
    pub world: Arc<World>,
    pub inbound: Box<Inbound>,
    pub plan: Plan,
    pub strict: Strict,
    /// Whose stream it is.
    pub attempt: Attempt,
    pub pace: Pace,
    pub id: String,
}

/// Who was asked to go on, and how that went.
pub struct Tried {
    pub endpoint: Arc<Endpoint>,
    pub instance: u32,
    pub began: Instant,
    pub ended: Instant,
    pub fault: Option<Fault>,
    /// How it was asked, and how many tokens were there.
    pub way: Way,
    pub after: u64,
}

pub struct Resumed {
    /// In vain.
    pub tried: Vec<Tried>,
    pub onward: Option<Onward>,
}

/// Somebody goes on.
pub struct Onward {
    pub body: Incoming,
    pub dialect: Dialect,
    pub quirks: Quirks,
    pub stamp: Arc<Stamp>,
    pub flight: Flight,
    pub tried: Tried,
    pub pace: Pace,
}

impl Trip {
    /// May another go on with the stream of this attempt? Of one choice, in words, without a form that has to be kept.
    pub(super) fn continues(&self, attempt: &Attempt) -> bool {
        let peek = &self.inbound.peek;
        let asked = self.plan.asked().get(attempt.place);
        let bare = matches!(self.inbound.dialect, Dialect::Completions | Dialect::OllamaGenerate);
        peek.stream
            && self.world.route(asked).is_some_and(|route| route.continues)
            && !bare
            && peek.want.n <= 1
            && !["logprobs", "top_logprobs"].iter().any(|name| peek.member(name).is_some())
            && harmless(&self.inbound)
    }
}

impl Mender {
    pub async fn resume(mut self: Box<Mender>, torn: Torn) -> Resumed {
        let mut tried = Vec::new();
        // To the plan it is an endpoint that failed; what was said is in good hands.
        let fault = Fault { remedy: Remedy::Elsewhere, ..torn.fault.clone() };
        self.plan.failed(&self.attempt, &fault, Sent::Rejected, clock::unix_ms());
        while clock::now() < self.pace.last_call() {
            let now = clock::unix_ms();
            // Nobody waits for the one that broke off to be well again.
            let Step::Try(attempt) = self.plan.next(now, &self.world.at(now)) else { break };
            if attempt.endpoint.key == self.attempt.endpoint.key && attempt.instance == self.attempt.instance {
                break;
            }
            if attempt.holder.is_own() != self.attempt.holder.is_own() {
                // One answer is paid for by one.
                let says = "what was begun with a key of the caller's own is not gone on with on the house's account, nor the other way";
                let fault = Fault::new(FaultKind::NoEndpoint, Origin::House, Remedy::Elsewhere, says);
                self.plan.failed(&attempt, &fault, Sent::NotSent, now);
                continue;
            }
            let mut began = clock::now();
            let mut way = self.way(&attempt, &torn);
            let mut asked = self.ask(&attempt, began, &torn, way).await;
            if way != Way::Asked
                && let Err(refused) = &asked
                && not_so(&refused.fault)
            {
                tried.push(told(&attempt, began, Some(refused.fault.clone()), way, &torn));
                (way, began) = (Way::Asked, clock::now());
                asked = self.ask(&attempt, began, &torn, way).await;
            }
            match asked {
                Ok(onward) => return Resumed { tried, onward: Some(onward) },
                Err(Failed { mut fault, sent }) => {
                    if fault.origin != Origin::Caller {
                        fault.provider.get_or_insert_with(|| attempt.endpoint.provider_name.to_string());
                    }
                    self.plan.failed(&attempt, &fault, sent, clock::unix_ms());
                    if fault.kind != FaultKind::NoEndpoint {
                        tried.push(told(&attempt, began, Some(fault), way, &torn));
                    }
                }
            }
        }
        Resumed { tried, onward: None }
    }

    /// How this one is best asked.
    fn way(&self, attempt: &Attempt, torn: &Torn) -> Way {
        let Ok(seat) = self.world.seat(attempt.instance.id) else { return Way::Asked };
        let model = &attempt.endpoint.upstream;
        let spoken = seat.provider.spoken_for(self.inbound.dialect, model, self.inbound.infills());
        Way::of(spoken.quirks, model, &torn.said, self.inbound.peek.want.reasoning)
    }

    async fn ask(&mut self, attempt: &Attempt, began: Instant, torn: &Torn, way: Way) -> Result<Onward, Failed> {
        let world = self.world.clone();
        let endpoint = &attempt.endpoint;
        let charge = world.charge(endpoint, attempt.instance.id)?;
        if !charge.health.may_retry(clock::unix_ms()) {
            let says = "so many of its requests were retries lately that no more are sent";
            let fault = Fault::new(FaultKind::NoEndpoint, Origin::House, Remedy::Elsewhere, says);
            return Err(Failed { fault, sent: Sent::NotSent });
        }
        // Nobody waits in the middle of a word.
        let (class, want) = (self.inbound.heads.class, &self.inbound.peek.want);
        let lease = world.lease((endpoint, attempt.instance.id), class, want, None).ok_or_else(turn::no_room)?;
        let seat = world.seat(attempt.instance.id)?;
        let spoken = seat.provider.spoken_for(self.inbound.dialect, &endpoint.upstream, self.inbound.infills());
        let needs = carry::needs(&self.inbound, endpoint, spoken.dialect, spoken.quirks);
        if needs.any() {
            carry::prepare(&mut self.inbound, needs, world.fetch.allow_private).await?;
        }
        let pace = self.pace.of_attempt(&world, &self.plan, attempt, began);
        let turn = Turn { seals: Seals::Kept, needs, wrong: None, torn: Some((torn, way)) };
        let terms = Terms { pace, began, alone: false, last: true, mends: false };
        let mut errand = Errand::lower(&world, &mut self.inbound, &mut self.strict, &self.id, attempt, turn, terms)?;
        let mut flight = Flight::begin(charge, false, false, self.inbound.peek.want.prompt_tokens).by(lease);
        let body = match errand.rerun(&mut flight).await {
            Ok(body) => body,
            Err(failed) => {
                flight.failed(&failed.fault, failed.sent);
                return Err(failed);
            }
        };
        let spoken = errand.spoken();
        let (dialect, quirks, stamp) = (spoken.dialect, spoken.quirks.clone(), errand.stamp);
        Ok(Onward { body, dialect, quirks, stamp, flight, tried: told(attempt, began, None, way, torn), pace })
    }
}

/// Whoever refuses to be asked like this may yet do as it is told in words.
fn not_so(fault: &Fault) -> bool {
    matches!(fault.status, Some(400 | 422))
}

fn told(attempt: &Attempt, began: Instant, fault: Option<Fault>, way: Way, torn: &Torn) -> Tried {
    let (endpoint, instance) = (attempt.endpoint.clone(), attempt.instance.id);
    Tried { endpoint, instance, began, ended: clock::now(), fault, way, after: torn.usage.completion_total() }
}
