//! Waiting for one's turn: before the door of the house, and for an account at a provider once nobody else is left to ask.

use super::upload::Upload;
use super::{Trip, hold};
use crate::queue::account::{Lease, Need, Standing};
use crate::queue::door::{InFlight, Shut};
use crate::upstream::{Failed, Sent, show};
use crate::vitals::Flight;
use crate::world::World;
use crate::{App, clock};
use http::Request;
use serde_json::{Value, json};
use slip_ir::{Fault, FaultKind, Origin, Remedy, Want};
use slip_quota::Class;
use slip_route::explain::Told;
use slip_route::{Attempt, Endpoint, Explained, Rule, Step};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::time::timeout_at;

/// Accounts that are waited for at once.
const MOST_LINES: usize = 8;

/// The house is full: wait before the door, as one of this class.
pub async fn before_the_door(
    app: &Arc<App>,
    world: &World,
    class: Class,
    request: &mut Request<Upload>,
    arrived: Instant,
) -> Result<InFlight, Fault> {
    let told = |shut| match shut {
        Shut::Full => hold::full(),
        Shut::Late => hold::late(class),
        Shut::Closed => hold::draining(),
    };
    let deadline = moment(arrived + world.timeouts.total);
    let mut waiting = InFlight::wait(app, class, deadline).map_err(told)?;
    tokio::select! {
        turn = waiting.turn() => turn.map_err(told),
        () = request.body_mut().gone() => {
            let says = "the caller hung up while it waited to be let in";
            Err(Fault::caller(FaultKind::Gone, says))
        }
    }
}

impl World {
    /// Leave to make this attempt now, if its account gives it.
    ///
    /// Whoever waits until an instant asks those at once who cannot have room by then.
    pub(super) fn lease(
        &self,
        at: (&Endpoint, u32),
        class: Class,
        want: &Want,
        until: Option<Instant>,
    ) -> Option<Lease> {
        // Who is not there says so himself.
        let Ok(seat) = self.seat(at.1) else { return Some(Lease::default()) };
        let open = || self.opens(at.0, at.1, want.prompt_tokens, clock::unix_ms()).is_none();
        if seat.account.is_idle() && open() {
            return Some(Lease::default());
        }
        let latest = until.map_or(i64::MAX, |until| self.latest(class, until));
        seat.account.take(&self.need(at, class, want, latest))
    }

    /// Whoever cannot wait until there is room by the provider's own words does not go by them: they were said some time ago, and it
    /// may as well say no itself.
    fn need(&self, (endpoint, instance): (&Endpoint, u32), class: Class, want: &Want, latest_ms: i64) -> Need {
        let prompt = want.prompt_tokens;
        let opens = self.opens(endpoint, instance, prompt, clock::unix_ms());
        let in_time = opens.is_none_or(|at| i64::try_from(at).is_ok_and(|at| at <= latest_ms));
        let health = (in_time && !self.steady).then(|| self.health(endpoint, instance));
        Need { class, tokens: hold::tokens(want), prompt, health, latest_ms }
    }

    /// How long one of a class may wait that must be over by an instant; not at all where nobody may.
    fn latest(&self, class: Class, until: Instant) -> i64 {
        let (terms, now) = (&self.limits.queue, clock::unix_ms_signed());
        let longest = if terms.most[class as usize] == 0 { 0 } else { terms.longest_ms[class as usize] };
        now.saturating_add(longest).min(moment(until))
    }
}

impl Trip {
    /// What to do next, with leave to do it.
    pub(super) async fn step(&mut self) -> Result<Step, Fault> {
        loop {
            let now = clock::unix_ms();
            match self.plan.next(now, &self.world.at(now)) {
                Step::Try(attempt) => match self.leave(&attempt, Some(self.pace.last_call())) {
                    Some(lease) => {
                        self.lease = Some(lease);
                        return Ok(Step::Try(attempt));
                    }
                    None => self.plan.busy(&attempt),
                },
                // Boxed because it is rare: it must not be room that every request carries.
                Step::Full => return Box::pin(self.queue()).await,
                step => return Ok(step),
            }
        }
    }

    pub(super) fn leave(&self, attempt: &Attempt, until: Option<Instant>) -> Option<Lease> {
        let at = (&*attempt.endpoint, attempt.instance.id);
        self.world.lease(at, self.inbound.heads.class, &self.inbound.peek.want, until)
    }

    /// It was refused, and its provider said from when it is not, which is soon enough.
    pub(super) fn is_worth_waiting_for(&self, attempt: &Attempt) -> bool {
        let (prompt, now) = (self.inbound.peek.want.prompt_tokens, clock::unix_ms());
        let opens = self.world.opens(&attempt.endpoint, attempt.instance.id, prompt, now);
        let latest = || self.world.latest(self.inbound.heads.class, self.pace.last_call());
        opens.is_some_and(|at| i64::try_from(at).is_ok_and(|at| at <= latest()))
    }

    /// One more request for the same answer, if there is room for it.
    pub(super) fn again(&mut self) -> Result<(), Failed> {
        let room = self.flight.as_mut().is_none_or(Flight::again);
        if room { Ok(()) } else { Err(no_room()) }
    }

    /// Nobody has room: wait for whoever has some first.
    async fn queue(&mut self) -> Result<Step, Fault> {
        let (began, class) = (clock::now(), self.inbound.heads.class);
        let latest = self.world.latest(class, self.pace.last_call());
        let mut lines: Vec<(usize, Standing)> = Vec::new();
        let mut soonest: Option<Duration> = None;
        let sooner = |soonest: Option<Duration>, after: Duration| Some(soonest.map_or(after, |other| other.min(after)));
        for (which, (endpoint, instance)) in self.plan.full().enumerate().take(MOST_LINES) {
            let Ok(seat) = self.world.seat(instance.id) else { continue };
            let need = self.world.need((endpoint, instance.id), class, &self.inbound.peek.want, latest);
            match seat.account.stand(need) {
                Ok(standing) => lines.push((which, standing)),
                Err(after) => soonest = sooner(soonest, after),
            }
        }
        let Some(until) = lines.iter().map(|(_, standing)| standing.until()).max() else {
            let says = "every account that may serve this is used up, and nobody else may wait for it, or not so long";
            return Err(used_up(says.to_owned(), soonest));
        };
        let counted = lines.first().map(|(_, standing)| standing.counted());
        let turn = poll_fn(|cx| {
            let free = lines.iter_mut().find_map(|(which, standing)| match standing.poll_turn(cx) {
                Poll::Ready(lease) => Some((*which, lease)),
                Poll::Pending => None,
            });
            free.map_or(Poll::Pending, Poll::Ready)
        });
        let turn = timeout_at(until.into(), turn).await;
        drop(counted);
        let waited = clock::now().duration_since(began);
        self.book.waited(waited);
        match turn {
            Ok((which, lease)) => {
                self.lease = Some(lease);
                Ok(self.plan.admit(which))
            }
            Err(_) => {
                let soonest = lines.iter().map(|(_, standing)| standing.expired()).fold(soonest, sooner);
                let says = format!(
                    "every account that may serve this is used up, and it has waited {}, as long as {} requests may",
                    show(waited),
                    class.name()
                );
                Err(used_up(says, soonest))
            }
        }
    }
}

/// For an explanation: how urgent a request is, how long it may wait, and whether it would have to.
pub(super) fn told(world: &World, class: Class, told: &Explained, prompt: u64, now_ms: u64) -> Value {
    let terms = &world.limits.queue;
    let ranked = || told.each.iter().filter(|one| one.chance().is_some_and(|chance| chance.rank.is_some()));
    let spent = |one: &Told| one.chance().is_some_and(|chance| chance.demoted.contains(&Rule::Spent));
    let seats = |one: &Told| {
        let pool = one.endpoint.pool.iter();
        pool.filter_map(|instance| world.seat(instance.id).ok()).map(|seat| &seat.account).collect::<Vec<_>>()
    };
    let opens = ranked().filter(|one| spent(one)).flat_map(|one| one.endpoint.pool.iter().map(move |i| (one, i.id)));
    let opens = opens.filter_map(|(one, instance)| {
        let known = world.opens(&one.endpoint, instance, prompt, now_ms);
        let full = world.seat(instance).ok()?.account.full_until();
        known.max(full.filter(|at| *at > now_ms))
    });
    let opens_in = opens.min().map(|at| at.saturating_sub(now_ms));
    let longest = terms.longest_ms[class as usize];
    // Who cannot wait so long does not wait at all.
    let in_time = opens_in.is_none_or(|ms| i64::try_from(ms).is_ok_and(|ms| ms <= longest));
    let waits = in_time && ranked().next().is_some() && ranked().all(spent);
    json!({
        "class": class.name(),
        "longest_wait_ms": longest,
        "longest_line": terms.most[class as usize],
        "waits": waits,
        "opens_in_ms": opens_in,
        "waiting": ranked().flat_map(seats).map(|account| account.waiting()).max().unwrap_or(0),
    })
}

fn used_up(says: String, soonest: Option<Duration>) -> Fault {
    let mut fault = Fault::new(FaultKind::RateLimited, Origin::House, Remedy::Stop, says);
    fault.retry_after = soonest;
    fault
}

/// For an attempt that nobody waits to make.
pub(super) fn no_room() -> Failed {
    let says = "its account has no room for another request now";
    let fault = Fault::new(FaultKind::NoEndpoint, Origin::House, Remedy::Elsewhere, says);
    Failed { fault, sent: Sent::NotSent }
}

/// An instant as lines count it.
fn moment(at: Instant) -> i64 {
    let left = at.saturating_duration_since(clock::now());
    clock::unix_ms_signed().saturating_add(i64::try_from(left.as_millis()).unwrap_or(i64::MAX))
}
