//! The simulation itself: calls arrive, a policy says where they go, sites answer or do not, and every call ends once.
//!
//! The rules are the gateway's: another site may be tried until the first content and never after it; three tries, a deadline for
//! the first content of each and one for all.

use crate::agenda::Agenda;
use crate::policy::{Ended, Failed, Moment, Policy, Step};
use crate::site::{Arrival, Fate, Headroom, Running, Site, Used};
use crate::traffic::Call;
use fastrand::Rng;
use slip_ir::{Fault, FaultKind, Nano, Remedy};
use slip_route::plan::Sent;

/// The same for every policy.
pub const TRIES: usize = 3;
/// Until the first content of one try, and of all.
pub const PATIENCE_MS: u64 = 30_000;
pub const TOTAL_MS: u64 = 60_000;

/// How long and how often a request is tried.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub tries: usize,
    /// Until the first content of one try, and of all.
    pub patience_ms: u64,
    pub total_ms: u64,
}

/// Of every policy that is compared.
pub const USUAL: Terms = Terms { tries: TRIES, patience_ms: PATIENCE_MS, total_ms: TOTAL_MS };

/// Whoever answers calls: a made-up site, or one that answers as it did in the past.
pub trait Server {
    /// A try comes in.
    fn arrive(&mut self, now_ms: u64, attempt: u32, request: u32, call: &Call, dice: &mut Rng) -> Arrival;
    /// What comes of a call that waited and has its place now.
    fn serve(&mut self, now_ms: u64, call: &Call, dice: &mut Rng) -> Fate;
    /// One that had its place is done: who has it next.
    fn leave(&mut self) -> Option<u32>;
    /// One that waits is given up.
    fn forget(&mut self, attempt: u32);
    /// What its headers tell of its limits.
    fn headroom(&mut self, now_ms: u64) -> Option<Headroom>;
}

impl Server for Running {
    fn arrive(&mut self, now_ms: u64, attempt: u32, _: u32, call: &Call, dice: &mut Rng) -> Arrival {
        Running::arrive(self, now_ms, attempt, call, dice)
    }

    fn serve(&mut self, now_ms: u64, call: &Call, dice: &mut Rng) -> Fate {
        Running::serve(self, now_ms, call, dice)
    }

    fn leave(&mut self) -> Option<u32> {
        Running::leave(self)
    }

    fn forget(&mut self, attempt: u32) {
        Running::forget(self, attempt);
    }

    fn headroom(&mut self, now_ms: u64) -> Option<Headroom> {
        Running::headroom(self, now_ms)
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Served,
    /// After its first content the answer broke off.
    Cut,
    /// No site was left to try, or none would have it.
    Failed,
    /// There was no content within [`TOTAL_MS`].
    TooLate,
}

/// One request, when it was over.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// By its place among the calls.
    pub request: u32,
    /// Who was tried last.
    pub site: Option<usize>,
    pub arrived_ms: u64,
    pub ended_ms: u64,
    /// From its arrival.
    pub first_ms: Option<u64>,
    pub end: End,
    pub tries: usize,
    /// The first try was the one that served it.
    pub at_once: bool,
    /// Of the answer, and of tries that came to nothing.
    pub cost: Nano,
    pub wasted: Nano,
    pub used: Used,
}

/// One upstream call.
#[derive(Clone, Copy, Debug)]
pub struct Try {
    pub request: u32,
    pub began_ms: u64,
    pub site: usize,
    /// The first of its request.
    pub first: bool,
    pub came: Came,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    Open,
    Good,
    Limited,
    Bad,
}

/// Everything that happened. `tries` are in the order they began.
#[derive(Clone, Debug, Default)]
pub struct Log {
    pub outcomes: Vec<Outcome>,
    pub tries: Vec<Try>,
}

enum Event {
    Arrives(u32),
    /// A request that was told to wait asks again.
    Asks(u32),
    /// News of a try.
    Fails(u32, Box<Fault>, Sent, Nano),
    Speaks(u32),
    Ends(u32),
    /// The caller's patience with a try is over.
    Impatient(u32),
}

#[derive(Default)]
struct Open {
    past: Vec<usize>,
    wasted: Nano,
    over: bool,
}

/// A try under way.
struct Attempt {
    request: u32,
    site: usize,
    began_ms: u64,
    first_ms: Option<u64>,
    holds: Holds,
    flow: Option<(Used, Nano, bool)>,
    /// What a try given up costs all the same.
    billed: Nano,
    over: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Nothing,
    Place,
    Queue,
}

struct World<'a, S> {
    calls: &'a [Call],
    sites: Vec<S>,
    terms: Terms,
    policy: &'a mut dyn Policy,
    /// Apart, so that the fate of calls does not hang on how often a policy rolls.
    dice: [Rng; 2],
    agenda: Agenda<Event>,
    open: Vec<Open>,
    attempts: Vec<Attempt>,
    log: Log,
}

/// Runs all calls to their ends.
pub fn run(calls: &[Call], fleet: &[Site], policy: &mut dyn Policy, seed: u64) -> Log {
    run_on(calls, fleet.iter().cloned().map(Running::new).collect(), policy, USUAL, seed)
}

/// The same with other servers and on other terms.
pub fn run_on<S: Server>(calls: &[Call], sites: Vec<S>, policy: &mut dyn Policy, terms: Terms, seed: u64) -> Log {
    let mut world = World {
        calls,
        sites,
        terms,
        policy,
        dice: [Rng::with_seed(seed), Rng::with_seed(seed ^ 0x5eed)],
        agenda: Agenda::default(),
        open: calls.iter().map(|_| Open::default()).collect(),
        attempts: Vec::with_capacity(calls.len()),
        log: Log::default(),
    };
    for (nth, call) in calls.iter().enumerate() {
        world.agenda.enter(call.at_ms, Event::Arrives(nth as u32));
    }
    while let Some((now, event)) = world.agenda.pop() {
        world.happens(now, event);
    }
    world.log
}

impl<S: Server> World<'_, S> {
    fn happens(&mut self, now: u64, event: Event) {
        match event {
            Event::Arrives(request) | Event::Asks(request) => self.asks(now, request),
            Event::Fails(attempt, fault, sent, billed) => self.fails(now, attempt, &fault, sent, billed),
            Event::Speaks(attempt) => self.speaks(now, attempt),
            Event::Ends(attempt) => self.ends(now, attempt),
            Event::Impatient(attempt) => {
                let quiet = self.attempts.get(attempt as usize).filter(|a| !a.over && a.first_ms.is_none());
                if let Some(billed) = quiet.map(|a| a.billed) {
                    let says = "the provider sent no content in time";
                    let fault = Fault::upstream(FaultKind::UpstreamTimeout, Remedy::Elsewhere, says);
                    self.fails(now, attempt, &fault, Sent::Ambiguous, billed);
                }
            }
        }
    }

    /// A request wants a site.
    fn asks(&mut self, now: u64, request: u32) {
        let at = request as usize;
        let (Some(call), Some(open)) = (self.calls.get(at), self.open.get(at)) else { return };
        if open.over {
            return;
        }
        if now >= call.at_ms + self.terms.total_ms {
            return self.close(now, request, End::TooLate, None);
        }
        if open.past.len() >= self.terms.tries {
            return self.close(now, request, End::Failed, None);
        }
        let moment = Moment { now_ms: now, request, call, past: &open.past };
        match self.policy.next(&moment, &mut self.dice[0]) {
            Step::Try(site) => self.begin(now, request, site),
            Step::Wait(pause) => self.agenda.enter(now + pause.max(1), Event::Asks(request)),
            Step::Stop => self.close(now, request, End::Failed, None),
        }
    }

    fn begin(&mut self, now: u64, request: u32, site: usize) {
        let at = request as usize;
        let (Some(call), Some(running)) = (self.calls.get(at), self.sites.get_mut(site)) else { return };
        let number = self.attempts.len() as u32;
        let Some(open) = self.open.get_mut(at) else { return };
        self.log.tries.push(Try { request, began_ms: now, site, first: open.past.is_empty(), came: Came::Open });
        open.past.push(site);
        self.policy.began(now, site);
        let mut attempt = Attempt {
            request,
            site,
            began_ms: now,
            first_ms: None,
            holds: Holds::Nothing,
            flow: None,
            billed: Nano(0),
            over: false,
        };
        let arrival = running.arrive(now, number, request, call, &mut self.dice[1]);
        let late = (now + self.terms.patience_ms).min(call.at_ms + self.terms.total_ms);
        self.agenda.enter(late, Event::Impatient(number));
        match arrival {
            Arrival::Away { after_ms, fault, sent } => {
                self.attempts.push(attempt);
                self.agenda.enter(now + after_ms, Event::Fails(number, Box::new(fault), sent, Nano(0)));
            }
            Arrival::Waits => {
                attempt.holds = Holds::Queue;
                self.attempts.push(attempt);
            }
            Arrival::Served(fate) => {
                self.attempts.push(attempt);
                self.served(now, number, fate);
            }
        }
    }

    /// A try has its place, and its fate.
    fn served(&mut self, now: u64, number: u32, fate: Fate) {
        let Some(attempt) = self.attempts.get_mut(number as usize) else { return };
        attempt.holds = Holds::Place;
        match fate {
            Fate::Hangs { billed } => attempt.billed = billed,
            Fate::Fails { after_ms, fault, sent, billed } => {
                self.agenda.enter(now + after_ms, Event::Fails(number, Box::new(fault), sent, billed));
            }
            Fate::Flows { first_ms, whole_ms, broken, used, billed, read } => {
                attempt.flow = Some((used, billed, broken));
                // Given up before its first content, it had read its prompt.
                attempt.billed = read;
                self.agenda.enter(now + first_ms, Event::Speaks(number));
                self.agenda.enter(now + whole_ms.max(first_ms), Event::Ends(number));
            }
        }
    }

    fn fails(&mut self, now: u64, number: u32, fault: &Fault, sent: Sent, billed: Nano) {
        let Some(attempt) = self.attempts.get(number as usize).filter(|a| !a.over) else { return };
        let (request, site, began_ms) = (attempt.request, attempt.site, attempt.began_ms);
        self.free(now, number);
        let limited = fault.kind == FaultKind::RateLimited;
        self.mark(number, if limited { Came::Limited } else { Came::Bad });
        if let Some(open) = self.open.get_mut(request as usize) {
            open.wasted = open.wasted + billed;
        }
        // Whoever refused the connection sent no headers.
        if fault.status.is_some() {
            self.headers(now, site);
        }
        self.policy.failed(now, &Failed { request, site, began_ms, fault, sent });
        self.asks(now, request);
    }

    fn speaks(&mut self, now: u64, number: u32) {
        let Some(attempt) = self.attempts.get_mut(number as usize).filter(|a| !a.over) else { return };
        attempt.first_ms = Some(now);
        let (request, site, took) = (attempt.request, attempt.site, now - attempt.began_ms);
        self.headers(now, site);
        self.policy.first(now, request, site, took);
    }

    fn ends(&mut self, now: u64, number: u32) {
        let Some(attempt) = self.attempts.get(number as usize).filter(|a| !a.over) else { return };
        let (Some((used, cost, broken)), Some(first_ms)) = (attempt.flow, attempt.first_ms) else { return };
        let (request, site, began_ms) = (attempt.request, attempt.site, attempt.began_ms);
        self.free(now, number);
        self.mark(number, if broken { Came::Bad } else { Came::Good });
        self.policy.ended(now, &Ended { request, site, began_ms, first_ms, used, cost, broken });
        let end = if broken { End::Cut } else { End::Served };
        self.close(now, request, end, Some((first_ms, used, cost)));
    }

    fn headers(&mut self, now: u64, site: usize) {
        if let Some(headroom) = self.sites.get_mut(site).and_then(|s| s.headroom(now)) {
            self.policy.headers(now, site, &headroom);
        }
    }

    fn mark(&mut self, number: u32, came: Came) {
        if let Some(one) = self.log.tries.get_mut(number as usize) {
            one.came = came;
        }
    }

    /// A try is over: what it held is given back, and the next who waits there has its turn.
    fn free(&mut self, now: u64, number: u32) {
        let Some(attempt) = self.attempts.get_mut(number as usize) else { return };
        attempt.over = true;
        let (held, site) = (std::mem::replace(&mut attempt.holds, Holds::Nothing), attempt.site);
        let Some(running) = self.sites.get_mut(site) else { return };
        match held {
            Holds::Nothing => {}
            Holds::Queue => running.forget(number),
            Holds::Place => {
                let Some(next) = running.leave() else { return };
                let call = self.attempts.get(next as usize).and_then(|a| self.calls.get(a.request as usize));
                let Some(fate) = call.map(|call| running.serve(now, call, &mut self.dice[1])) else { return };
                self.served(now, next, fate);
            }
        }
    }

    fn close(&mut self, now: u64, request: u32, end: End, answer: Option<(u64, Used, Nano)>) {
        let at = request as usize;
        let (Some(open), Some(call)) = (self.open.get_mut(at), self.calls.get(at)) else { return };
        open.over = true;
        let (first_ms, used, cost) = answer.map_or((None, Used::default(), Nano(0)), |(f, u, c)| (Some(f), u, c));
        let served = end == End::Served;
        self.log.outcomes.push(Outcome {
            request,
            site: open.past.last().copied(),
            arrived_ms: call.at_ms,
            ended_ms: now,
            first_ms: first_ms.map(|f| f - call.at_ms),
            end,
            tries: open.past.len(),
            at_once: served && open.past.len() == 1,
            cost: if served { cost } else { Nano(0) },
            wasted: if served { open.wasted } else { open.wasted + cost },
            used,
        });
        self.policy.closed(request);
    }
}

#[cfg(test)]
mod tests;
