//! In which order to try those who may serve. A strategy only orders; who is in the list was decided before.
//!
//! To add one: a file in `strategy/`, a row in [`STRATEGIES`].

use crate::eligible::Candidate;
use crate::field::Instance;
use crate::view::{View, Vital};
use fastrand::Rng;
use std::fmt;

pub mod exacto;
pub mod expected_cost;
mod explore;
pub mod least_cost;
pub mod least_latency;
pub mod least_request;
pub mod power_of_two;
pub mod prefix_affinity;
pub mod price_weighted;
pub mod priority;
pub mod random;
pub mod round_robin;
pub mod throughput;
pub(crate) mod turns;
pub mod weighted;

pub trait Strategy: Sync {
    /// The word in configuration files and requests.
    fn name(&self) -> &'static str;
    /// One sentence for people.
    fn about(&self) -> &'static str;
    /// Orders a group of equals: all of them healthy, or all cooling down, of one model unless the caller mixes models.
    fn rank(&self, line: &mut [Candidate], view: &View<'_>, dice: &mut Rng);
    /// Which instance (base URL and key) of an endpoint takes the request; `pool` is never empty. By default one is drawn by the
    /// weights. `lap` counts the turns this endpoint had.
    fn pick(&self, pool: &[Seat], lap: Option<u64>, view: &View<'_>, dice: &mut Rng) -> usize {
        let _ = (lap, view);
        drawn(pool.iter().map(|seat| f64::from(seat.instance.weight.max(1))), dice)
    }
}

impl fmt::Debug for dyn Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Every strategy; the first is the default.
pub static STRATEGIES: &[&dyn Strategy] = &[
    &expected_cost::ExpectedCost,
    &price_weighted::PriceWeighted,
    &least_cost::LeastCost,
    &throughput::Throughput,
    &exacto::Exacto,
    &least_latency::LeastLatency,
    &least_request::LeastRequest,
    &power_of_two::PowerOfTwo,
    &prefix_affinity::PrefixAffinity,
    &round_robin::RoundRobin,
    &weighted::Weighted,
    &random::Random,
    &priority::Priority,
];

pub static DEFAULT: &dyn Strategy = &expected_cost::ExpectedCost;

/// Other words for the same.
const SYNONYMS: [(&str, &str); 6] = [
    ("price", "least-cost"),
    ("latency", "least-latency"),
    ("p2c", "power-of-two"),
    ("least-connections", "least-request"),
    ("shuffle", "random"),
    ("failover", "priority"),
];

/// One instance of an endpoint that may take the request, and how it is.
#[derive(Clone, Copy, Debug)]
pub struct Seat {
    pub instance: Instance,
    pub live: Vital,
}

/// An index drawn by weights, none of which is negative; the first when all are nothing.
pub(crate) fn drawn(weights: impl Iterator<Item = f64> + Clone, dice: &mut Rng) -> usize {
    let mut mark = dice.f64() * weights.clone().sum::<f64>();
    let hit = weights.into_iter().position(|weight| {
        mark -= weight;
        mark < 0.0
    });
    hit.unwrap_or(0)
}

/// Sorts by a number, the smallest first and equals as they are. The numbers are sorted and the candidates moved once: they are large.
pub(crate) fn sort_by<K: Ord>(line: &mut [Candidate], key: impl FnMut(&Candidate) -> K) {
    line.sort_by_cached_key(key);
}

/// The places of a line by a number of at least zero, the smallest first; of equals those that are not `last`, and else as they are.
pub(crate) fn places(numbers: impl Iterator<Item = (f64, bool)>) -> Vec<u32> {
    const LAST: u64 = 1 << 31;
    // The bits of a number rise as it does; below them stands the place. Such keys sort in no time.
    let bits = |number: f64| u64::from((number.max(0.0) as f32).to_bits()) << 32;
    let key = |(at, (number, last))| bits(number) | if last { LAST } else { 0 } | (at as u64 & (LAST - 1));
    let mut keys: Vec<u64> = numbers.enumerate().map(key).collect();
    keys.sort_unstable();
    keys.into_iter().map(|key| (key & (LAST - 1)) as u32).collect()
}

/// Puts them in that order, each moved once; the places are used up.
pub(crate) fn arrange(line: &mut [Candidate], places: &mut [u32]) {
    for start in 0..line.len() {
        // Round each ring of places: what belongs here, then what belongs where that was.
        let (mut hole, Some(aside)) = (start, line.get(start).copied()) else { return };
        while let Some(from) = places.get_mut(hole).map(|place| std::mem::replace(place, hole as u32) as usize) {
            if from == start || from == hole {
                break;
            }
            if from >= line.len() {
                return;
            }
            // In one move, not by way of a third place.
            line.copy_within(from..=from, hole);
            hole = from;
        }
        if hole != start
            && let Some(to) = line.get_mut(hole)
        {
            *to = aside;
        }
    }
}

/// A number of at least zero, in an order that sorts as it does.
pub(crate) fn rising(number: f64) -> u64 {
    number.max(0.0).to_bits()
}

/// Brings one to the front and leaves the others in their order.
pub(crate) fn to_front(line: &mut [Candidate], at: usize) {
    if let Some(head) = line.get_mut(..=at) {
        head.rotate_right(1);
    }
}

/// By name; `round_robin` and `round-robin` are one.
pub fn find(name: &str) -> Option<&'static dyn Strategy> {
    let name = name.trim().to_ascii_lowercase().replace('_', "-");
    let name = SYNONYMS.iter().find(|(other, _)| *other == name).map_or(name.as_str(), |(_, name)| name);
    STRATEGIES.iter().copied().find(|s| s.name() == name)
}

/// What to tell somebody who named a strategy that is not there.
pub fn unknown(name: &str) -> String {
    let all: Vec<&str> = STRATEGIES.iter().map(|s| s.name()).collect();
    let name: String = name.chars().take(40).collect();
    let near = all.iter().max_by(|a, b| strsim::jaro_winkler(a, &name).total_cmp(&strsim::jaro_winkler(b, &name)));
    let hint = match near {
        Some(near) if strsim::jaro_winkler(near, &name) > 0.8 => format!(" (did you mean {near}?)"),
        _ => String::new(),
    };
    format!("not one of {}{hint}: {name}", all.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found_in_either_spelling() {
        for (at, strategy) in STRATEGIES.iter().enumerate() {
            assert_eq!(STRATEGIES.iter().position(|s| s.name() == strategy.name()), Some(at));
            assert_eq!(find(strategy.name()).map(|s| s.name()), Some(strategy.name()));
            assert_eq!(find(&strategy.name().replace('-', "_")).map(|s| s.name()), Some(strategy.name()));
            assert!(strategy.about().ends_with('.'), "{}", strategy.name());
        }
        assert_eq!(STRATEGIES[0].name(), DEFAULT.name());
        for (other, name) in SYNONYMS {
            assert_eq!(find(other).map(|s| s.name()), Some(name));
        }
        assert!(find("cheapest").is_none());
        assert!(unknown("round-robbin").contains("did you mean round-robin?"), "{}", unknown("round-robbin"));
    }
}
