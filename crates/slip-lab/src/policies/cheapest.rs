//! By expected price; on a failure the next.

use crate::policy::{Moment, Policy, Step, Tariff, or_stop, untried};
use crate::site::Site;
use fastrand::Rng;

pub struct Cheapest(Tariff);

impl Cheapest {
    pub fn new(fleet: &[Site]) -> Cheapest {
        Cheapest(Tariff::of(fleet))
    }
}

impl Policy for Cheapest {
    fn next(&mut self, moment: &Moment<'_>, _: &mut Rng) -> Step {
        let quotes = self.0.quotes(moment.call);
        or_stop(untried(self.0.len(), moment.past).into_iter().min_by_key(|site| quotes.get(*site).copied()))
    }
}
