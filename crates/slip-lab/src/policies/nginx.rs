//! nginx with passive health as it is out of the box (`max_fails=1 fail_timeout=10s`), told to pass every kind of failure on to the
//! next upstream (`proxy_next_upstream error timeout http_500 http_503 http_429 non_idempotent`).

use crate::policy::{Failed, Moment, Policy, Step, or_stop, untried};
use crate::site::Site;
use fastrand::Rng;

const FAIL_TIMEOUT_MS: u64 = 10_000;

pub struct Nginx {
    down_until: Vec<u64>,
    turn: usize,
}

impl Nginx {
    pub fn new(fleet: &[Site]) -> Nginx {
        Nginx { down_until: vec![0; fleet.len()], turn: 0 }
    }
}

impl Policy for Nginx {
    fn next(&mut self, moment: &Moment<'_>, _: &mut Rng) -> Step {
        let sites = self.down_until.len();
        let up = |site: &usize| self.down_until.get(*site).is_some_and(|until| *until <= moment.now_ms);
        let left = untried(sites, moment.past);
        // When none is up, nginx forgets what it held against them.
        let none = !left.iter().any(up);
        let next = left.into_iter().filter(|site| none || up(site)).min_by_key(|s| (s + sites - self.turn) % sites);
        if let Some(site) = next {
            self.turn = (site + 1) % sites;
        }
        or_stop(next)
    }

    fn failed(&mut self, now_ms: u64, failed: &Failed<'_>) {
        if let Some(until) = self.down_until.get_mut(failed.site) {
            *until = now_ms + FAIL_TIMEOUT_MS;
        }
    }
}
