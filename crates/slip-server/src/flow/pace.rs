//! How long things may take: what the house says for everybody, over it what is said of a provider, over that what is said of the
//! name that was asked for.

use crate::config::{Patience, Timeouts};
use crate::world::World;
use slip_route::{Attempt, Plan};
use std::time::{Duration, Instant};

#[derive(Clone, Copy)]
pub struct Pace {
    /// Of the attempt under way.
    pub timeouts: Timeouts,
    /// When that attempt must be over.
    pub over: Instant,
    arrived: Instant,
    /// Of the whole request.
    total: Duration,
}

impl Pace {
    /// Before anybody is asked.
    pub fn of_request(world: &World, plan: &Plan, arrived: Instant) -> Pace {
        let route = patience(world, plan, 0);
        let timeouts = world.timeouts.with(route);
        Pace { timeouts, over: arrived + timeouts.total, arrived, total: timeouts.total }
    }

    /// Of this attempt, of the same request.
    pub fn of_attempt(self, world: &World, plan: &Plan, attempt: &Attempt, began: Instant) -> Pace {
        let route = patience(world, plan, attempt.place);
        let there = world.seat(attempt.instance.id).map_or_else(|_| Patience::default(), |seat| seat.patience);
        let timeouts = world.timeouts.with(there).with(route);
        let total = route.total.unwrap_or(world.timeouts.total);
        let over = match (route.total, there.total) {
            // The provider's time begins when it is asked.
            (None, Some(there)) => began + there,
            _ => self.arrived + total,
        };
        Pace { timeouts, over, total, ..self }
    }

    /// After this no other attempt is begun.
    pub fn last_call(&self) -> Instant {
        self.arrived + self.total
    }

    pub fn total(&self) -> Duration {
        self.total
    }
}

fn patience(world: &World, plan: &Plan, place: usize) -> Patience {
    world.route(plan.asked().get(place)).map_or_else(Patience::default, |route| route.patience)
}
