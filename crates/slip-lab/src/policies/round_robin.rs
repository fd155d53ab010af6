//! Everybody in turn; on a failure whoever's turn comes next.

use crate::policy::{Moment, Policy, Step, or_stop, untried};
use crate::site::Site;
use fastrand::Rng;

pub struct RoundRobin {
    sites: usize,
    turn: usize,
}

impl RoundRobin {
    pub fn new(fleet: &[Site]) -> RoundRobin {
        RoundRobin { sites: fleet.len(), turn: 0 }
    }
}

impl Policy for RoundRobin {
    fn next(&mut self, moment: &Moment<'_>, _: &mut Rng) -> Step {
        let from = self.turn;
        let left = untried(self.sites, moment.past);
        let next = left.into_iter().min_by_key(|site| (site + self.sites - from) % self.sites);
        if let Some(site) = next {
            self.turn = (site + 1) % self.sites;
        }
        or_stop(next)
    }
}
