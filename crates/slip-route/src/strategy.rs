//! In which order to try those who may serve. A strategy only orders; who is in the list was decided before.
//!
//! To add one: a file in `strategy/`, a row in [`STRATEGIES`].

use crate::eligible::Candidate;
use crate::view::View;
use fastrand::Rng;
use std::fmt;

pub mod latency;
pub mod price;
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
}

impl fmt::Debug for dyn Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Every strategy; the first is the default.
pub static STRATEGIES: &[&dyn Strategy] = &[
    &price_weighted::PriceWeighted,
    &price::Price,
    &throughput::Throughput,
    &latency::Latency,
    &round_robin::RoundRobin,
    &weighted::Weighted,
    &random::Random,
    &priority::Priority,
];

pub static DEFAULT: &dyn Strategy = &price_weighted::PriceWeighted;

/// By name; `round_robin` and `round-robin` are one.
pub fn find(name: &str) -> Option<&'static dyn Strategy> {
    let name = name.trim().to_ascii_lowercase().replace('_', "-");
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
        assert!(find("cheapest").is_none());
        assert!(unknown("round-robbin").contains("did you mean round-robin?"), "{}", unknown("round-robbin"));
    }
}
