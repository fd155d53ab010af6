//! Every strategy of slip-route, through the code the gateway runs: `choose`, then the plan's own steps.

use super::Entry;
use crate::policy::{Failed, Moment, Policy, Step, want};
use crate::site::Site;
use fastrand::Rng;
use slip_ir::{Dialect, Op, Ops};
use slip_route::{
    Ask, Attempt, Calm, Catalog, Declared, Field, Instance, Plan, ProviderSeat, Rules, STRATEGIES, View, Vitals,
    choose, plan, strategy,
};
use std::collections::HashMap;
use std::sync::Arc;

const MODEL: &str = "lab/model";

/// A row for each strategy, the default first.
pub fn entries() -> impl Iterator<Item = Entry> {
    STRATEGIES.iter().map(|s| Entry {
        name: s.name(),
        about: s.about(),
        ours: true,
        make: |fleet, name| Box::new(Ours::new(fleet, name)),
    })
}

pub struct Ours {
    field: Arc<Field>,
    ask: Ask,
    places: HashMap<u64, usize>,
    plans: HashMap<u32, (Plan, Option<Attempt>)>,
    turn: u64,
}

impl Ours {
    pub fn new(fleet: &[Site], strategy: &str) -> Ours {
        let field = Arc::new(field(fleet));
        let endpoints = field.endpoints().iter().enumerate();
        let rules = Rules { balancer: strategy::find(strategy), ..Rules::default() };
        Ours {
            places: endpoints.map(|(at, e)| (e.key, at)).collect(),
            field,
            ask: Ask { models: vec![MODEL.to_owned()], rules, allow: None },
            plans: HashMap::new(),
            turn: 0,
        }
    }

    fn vitals(&self) -> &dyn Vitals {
        &Calm
    }
}

/// A provider a site, each with one key.
fn field(fleet: &[Site]) -> Field {
    let seat = |(at, site): (usize, &Site)| ProviderSeat {
        slug: site.name.to_owned(),
        name: site.name.to_owned(),
        dialect: Dialect::OpenAiChat,
        policy: Default::default(),
        ops: Ops::of(Op::ALL),
        instances: vec![Instance { id: at as u32, weight: 1 }],
        only_declared: true,
        models: vec![Declared { id: MODEL.to_owned(), price: Some(site.price()), ..Declared::default() }],
    };
    let seats = fleet.iter().enumerate().map(seat).collect();
    Field::build(&Catalog::default(), seats, Vec::new()).unwrap_or_default()
}

impl Policy for Ours {
    fn next(&mut self, moment: &Moment<'_>, dice: &mut Rng) -> Step {
        let (now, request) = (moment.now_ms, moment.request);
        if !self.plans.contains_key(&request) {
            self.turn += 1;
            let view = View { vitals: self.vitals(), turn: self.turn };
            let Ok(chosen) = choose(&self.field, &self.ask, &want(moment.call), &view, now, dice) else {
                return Step::Stop;
            };
            self.plans.insert(request, (chosen.plan, None));
        }
        let Some((plan, last)) = self.plans.get_mut(&request) else { return Step::Stop };
        match plan.next(now) {
            plan::Step::Try(attempt) => {
                let site = self.places.get(&attempt.endpoint.key).copied();
                *last = Some(attempt);
                site.map_or(Step::Stop, Step::Try)
            }
            plan::Step::Wait(pause) => Step::Wait(pause.as_millis() as u64),
            plan::Step::Stop(_) => Step::Stop,
        }
    }

    fn failed(&mut self, now_ms: u64, failed: &Failed<'_>) {
        if let Some((plan, Some(attempt))) = self.plans.get_mut(&failed.request) {
            plan.failed(attempt, failed.fault, failed.sent, now_ms);
        }
    }

    fn closed(&mut self, request: u32) {
        self.plans.remove(&request);
    }
}
