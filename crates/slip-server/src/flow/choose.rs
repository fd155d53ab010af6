//! Verb 3, choose: who may serve this, in which order, and why not the others. Pure; this file only gathers what it asks for.

use super::read::{Inbound, bad_request};
use crate::world::World;
use crate::{App, clock};
use slip_ir::Fault;
use slip_route::{Ask, Plan, Rules, View};
use slip_wire::Malformed;
use std::cell::RefCell;
use std::sync::atomic::Ordering;

thread_local! {
    static DICE: RefCell<fastrand::Rng> = RefCell::new(fastrand::Rng::new());
}

/// The plan, and how many endpoints were ruled out.
pub fn choose(app: &App, inbound: &Inbound, world: &World) -> Result<(Plan, usize), Fault> {
    let peek = &inbound.peek;
    let rules = match &peek.provider {
        Some(raw) => Rules::parse(raw).map_err(|bad| bad_request(Malformed::new(bad.at, bad.why)))?,
        None => Rules::default(),
    };
    let mut models = Vec::with_capacity(1 + peek.models.len());
    models.extend(peek.model.clone().filter(|m| !m.trim().is_empty()));
    models.extend(peek.models.iter().filter(|m| Some(*m) != peek.model.as_ref()).cloned());
    let ask = Ask { models, rules, allow: None };
    let view = View { vitals: world, turn: app.turn.fetch_add(1, Ordering::Relaxed) };
    let chosen =
        DICE.with_borrow_mut(|dice| slip_route::choose(&world.field, &ask, &peek.want, &view, clock::unix_ms(), dice));
    match chosen {
        Ok(chosen) => Ok((chosen.plan, chosen.refusals.len())),
        Err(no) => Err(no.into()),
    }
}
