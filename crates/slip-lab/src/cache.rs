//! Caches replayed: what a policy of `slip-cache` finds again of a stream of requests, in requests and in money.

pub mod report;
pub mod streams;

use slip_cache::policy::{Load, Policy};
use std::collections::{HashMap, HashSet};

/// Something is asked for: here is which, and what it would weigh and cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    pub id: u64,
    pub load: Load,
}

/// What a replay came to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Found {
    /// Of the requests, the share that was there.
    pub hits: f64,
    /// Of what everything would have cost, the share that was not paid.
    pub worth: f64,
}

/// The bytes of everything that is asked for, each thing once.
pub fn footprint(asks: &[Ask]) -> u64 {
    let all: HashMap<u64, u64> = asks.iter().map(|ask| (ask.id, ask.load.bytes)).collect();
    all.values().sum()
}

/// Play a stream against a policy that begins empty.
pub fn replay(asks: &[Ask], policy: &mut dyn Policy) -> Found {
    let (mut here, mut gone) = (HashSet::new(), Vec::new());
    let (mut hits, mut worth, mut all) = (0u64, 0u128, 0u128);
    for Ask { id, load } in asks {
        all += u128::from(load.worth);
        if here.contains(id) {
            hits += 1;
            worth += u128::from(load.worth);
            policy.hit(*id);
            continue;
        }
        policy.miss(*id);
        here.insert(*id);
        policy.put(*id, *load, &mut gone);
        gone.drain(..).for_each(|id| _ = here.remove(&id));
    }
    let share = |part: f64, of: f64| if of > 0.0 { part / of } else { 0.0 };
    Found { hits: share(hits as f64, asks.len() as f64), worth: share(worth as f64, all as f64) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slip_cache::policy::POLICIES;

    #[test]
    fn what_is_there_is_found_and_what_has_no_room_is_not() {
        let ask = |id: u64, worth| Ask { id: id << 40 | id, load: Load { bytes: 100, worth } };
        let asks = [ask(1, 5), ask(1, 5), ask(2, 90), ask(2, 90), ask(1, 5)];
        assert_eq!(footprint(&asks), 200);
        for row in POLICIES {
            let all = replay(&asks, &mut *(row.make)(1_000_000));
            assert_eq!((all.hits, all.worth), (0.6, 100.0 / 195.0), "{}", row.name);
            assert_eq!(replay(&asks, &mut *(row.make)(50)), Found::default(), "{}", row.name);
        }
    }
}
