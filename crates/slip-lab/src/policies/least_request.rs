//! Fewest requests under way.

use crate::policy::{Ended, Failed, Moment, Policy, Step, or_stop, untried};
use crate::site::Site;
use fastrand::Rng;

pub struct LeastRequest {
    open: Vec<i64>,
}

impl LeastRequest {
    pub fn new(fleet: &[Site]) -> LeastRequest {
        LeastRequest { open: vec![0; fleet.len()] }
    }

    fn add(&mut self, site: usize, by: i64) {
        if let Some(open) = self.open.get_mut(site) {
            *open += by;
        }
    }
}

impl Policy for LeastRequest {
    fn next(&mut self, moment: &Moment<'_>, dice: &mut Rng) -> Step {
        let mut left = untried(self.open.len(), moment.past);
        dice.shuffle(&mut left);
        or_stop(left.into_iter().min_by_key(|site| self.open.get(*site).copied()))
    }

    fn began(&mut self, _: u64, site: usize) {
        self.add(site, 1);
    }

    fn ended(&mut self, _: u64, ended: &Ended) {
        self.add(ended.site, -1);
    }

    fn failed(&mut self, _: u64, failed: &Failed<'_>) {
        self.add(failed.site, -1);
    }
}
