//! Verb 3, choose: who may serve this, in which order, and why not the others. Pure; this file only gathers what it asks for.

use super::admit::Caller;
use super::bounds;
use super::read::{Inbound, bad_request};
use crate::world::World;
use crate::{App, clock, fnv, sticky};
use slip_ir::Fault;
use slip_quota::Class;
use slip_route::{Ask, NoRoute, Plan, Refusal, Rules, View};
use slip_wire::Malformed;
use std::cell::RefCell;
use std::sync::atomic::Ordering;

thread_local! {
    static DICE: RefCell<fastrand::Rng> = RefCell::new(fastrand::Rng::new());
}

/// The plan, and who was ruled out.
pub struct Chosen {
    pub plan: Plan,
    pub refusals: Vec<Refusal>,
    /// Who comes after others, and why.
    pub demoted: Vec<Refusal>,
    /// `provider.require_parameters`.
    pub strict: bool,
    /// `provider.priority`.
    pub priority: Option<Class>,
    /// `provider.hedge`.
    pub hedge: Option<bool>,
    /// Under which the endpoint is remembered whose prompt cache it filled.
    pub conversation: Option<u64>,
}

/// There is nobody who may.
pub struct Nobody {
    pub fault: Fault,
    /// How many endpoints were ruled out.
    pub ruled_out: usize,
}

/// What routing is asked, as the request says it.
pub struct Asking {
    pub ask: Ask,
    /// The conversation, the same for all who carry it on.
    pub affinity: Option<u64>,
}

pub fn asking(inbound: &Inbound) -> Result<Asking, Fault> {
    let peek = &inbound.peek;
    let rules = match &peek.provider {
        Some(raw) => Rules::parse(raw).map_err(|bad| bad_request(Malformed::new(bad.at, bad.why)))?,
        None => Rules::default(),
    };
    let mut models = Vec::with_capacity(1 + peek.models.len());
    models.extend(peek.model.clone().filter(|m| !m.trim().is_empty()));
    models.extend(peek.models.iter().filter(|m| Some(*m) != peek.model.as_ref()).cloned());
    Ok(Asking { ask: Ask { models, rules, ..Ask::default() }, affinity: peek.conversation(&inbound.raw) })
}

impl Asking {
    /// With what the caller's key is held to, the keys its workspace has at providers, and what that is used to where the request says
    /// nothing.
    pub fn within(mut self, app: &App, caller: &Caller, world: &World, inbound: &Inbound) -> Asking {
        if let Some(key) = caller.key() {
            let bounds = bounds::of(app, key);
            self.ask.allow.clone_from(&bounds.allow);
            self.ask.rules.habit = bounds.sort;
            self.ask.own = world.own_of(key);
            if self.ask.models.is_empty() {
                self.ask.models.extend(bounds.model(inbound.peek.want.op).cloned());
            }
        }
        self
    }

    /// Under which it is remembered where this caller's conversation was.
    pub fn conversation(&self, caller: &Caller) -> Option<u64> {
        let tenant = caller.key().map_or("", |k| &k.hash);
        self.affinity.map(|number| sticky::key(number, tenant, &self.ask.models))
    }
}

pub fn choose(app: &App, inbound: &Inbound, caller: &Caller, world: &World) -> Result<Chosen, Nobody> {
    let asking = asking(inbound).map_err(|fault| Nobody { fault, ruled_out: 0 })?.within(app, caller, world, inbound);
    let now = clock::unix_ms();
    let conversation = asking.conversation(caller);
    let view = View {
        vitals: &world.at(now),
        turn: app.turn.fetch_add(1, Ordering::Relaxed),
        affinity: asking.affinity,
        sticky: conversation.filter(|_| !world.steady).and_then(|key| app.conversations.find(key, now)),
    };
    let (ask, want) = (&asking.ask, &inbound.peek.want);
    let (strict, hedge) = (ask.rules.require_parameters, ask.rules.hedge);
    let priority = ask.rules.priority.and_then(Class::parse);
    let mut steady = world.steady.then(|| fastrand::Rng::with_seed(fnv::on(fnv::START, &inbound.raw)));
    let chosen = DICE.with_borrow_mut(|dice| {
        let dice = steady.as_mut().unwrap_or(dice);
        slip_route::choose(&world.field, ask, want, &view, now, dice)
    });
    match chosen {
        Ok(slip_route::Chosen { plan, refusals, demoted, .. }) => {
            Ok(Chosen { plan, refusals, demoted, strict, hedge, priority, conversation })
        }
        Err(no) => {
            let ruled_out = if let NoRoute::NoEndpoint { refusals, .. } = &no { refusals.len() } else { 0 };
            Err(Nobody { fault: no.into(), ruled_out })
        }
    }
}
