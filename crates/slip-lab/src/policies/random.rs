//! Anybody not tried yet.

use crate::policy::{Moment, Policy, Step, or_stop, untried};
use crate::site::Site;
use fastrand::Rng;

pub struct Random(usize);

impl Random {
    pub fn new(fleet: &[Site]) -> Random {
        Random(fleet.len())
    }
}

impl Policy for Random {
    fn next(&mut self, moment: &Moment<'_>, dice: &mut Rng) -> Step {
        or_stop(dice.choice(untried(self.0, moment.past)))
    }
}
