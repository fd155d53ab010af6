//! Verb 3, choose: who may serve this, in which order, and why not the others. Pure; this file only gathers what it asks for.

use super::admit::Caller;
use super::read::{Inbound, bad_request};
use crate::world::World;
use crate::{App, clock, sticky};
use slip_ir::Fault;
use slip_route::{Ask, Plan, Refusal, Rules, View};
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
    /// `provider.require_parameters`.
    pub strict: bool,
    /// Under which the endpoint is remembered whose prompt cache it filled.
    pub conversation: Option<u64>,
}

pub fn choose(app: &App, inbound: &Inbound, caller: &Caller, world: &World) -> Result<Chosen, Fault> {
    let peek = &inbound.peek;
    let rules = match &peek.provider {
        Some(raw) => Rules::parse(raw).map_err(|bad| bad_request(Malformed::new(bad.at, bad.why)))?,
        None => Rules::default(),
    };
    let mut models = Vec::with_capacity(1 + peek.models.len());
    models.extend(peek.model.clone().filter(|m| !m.trim().is_empty()));
    models.extend(peek.models.iter().filter(|m| Some(*m) != peek.model.as_ref()).cloned());
    let strict = rules.require_parameters;
    let now = clock::unix_ms();
    let affinity = peek.conversation(&inbound.raw);
    let conversation = affinity.map(|number| sticky::key(number, caller.key().map_or("", |k| &k.hash), &models));
    let view = View {
        vitals: &world.at(now),
        turn: app.turn.fetch_add(1, Ordering::Relaxed),
        affinity,
        sticky: conversation.and_then(|key| app.conversations.find(key, now)),
    };
    let ask = Ask { models, rules, allow: None };
    let chosen = DICE.with_borrow_mut(|dice| slip_route::choose(&world.field, &ask, &peek.want, &view, now, dice));
    match chosen {
        Ok(chosen) => Ok(Chosen { plan: chosen.plan, refusals: chosen.refusals, strict, conversation }),
        Err(no) => Err(no.into()),
    }
}
