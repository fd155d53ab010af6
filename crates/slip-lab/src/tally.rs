//! The figures of a run, and of several runs together.

use crate::compare::percentile;
use crate::run::{Came, End, Log};
use crate::site::Site;
use crate::{score, turning};

/// What is measured. Each is a number, so that runs can be averaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Percent of requests answered to the end.
    Success,
    /// Percent answered by the first try.
    FirstTry,
    /// Seconds to the first content of those that had any; of the others, until they were told.
    FirstP50,
    FirstP99,
    /// Dollars per 1,000 successes, everything billed included.
    Cost,
    /// Of those, billed for tries that came to nothing.
    Wasted,
    /// Upstream calls per request.
    Calls,
    /// Percent of upstream calls that were limited.
    Limited,
    /// Until a failing site was left: tries, seconds. Until a recovered one had its traffic back: seconds.
    LeftTries,
    LeftSeconds,
    BackSeconds,
    /// Percent of prompt tokens read from a provider's cache.
    Reuse,
    /// [`crate::score`], dollars per 1,000 requests.
    Score,
}

const FIGURES: usize = Figure::Score as usize + 1;

/// Figures by [`Figure`]; one that could not be measured is not a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tally([f64; FIGURES]);

impl Tally {
    pub fn get(&self, figure: Figure) -> f64 {
        self.0.get(figure as usize).copied().unwrap_or(f64::NAN)
    }

    pub fn of(fleet: &[Site], log: &Log) -> Tally {
        let all = log.outcomes.len().max(1) as f64;
        let percent = |count: usize, of: f64| count as f64 / of.max(1.0) * 100.0;
        let served = log.outcomes.iter().filter(|o| o.end == End::Served).count();
        let firsts: Vec<f64> =
            log.outcomes.iter().map(|o| o.first_ms.unwrap_or(o.ended_ms - o.arrived_ms) as f64 / 1e3).collect();
        let at = |share: f64| if firsts.is_empty() { f64::NAN } else { percentile(firsts.clone(), share) };
        let dollars = |sum: i64| sum as f64 / 1e9 / served.max(1) as f64 * 1e3;
        let wasted = log.outcomes.iter().map(|o| o.wasted.0).sum::<i64>();
        let cost = log.outcomes.iter().map(|o| o.cost.0).sum::<i64>();
        let calls = log.tries.len() as f64;
        let left = turning::left(fleet, &log.tries);
        let (cached, prompt) = log
            .outcomes
            .iter()
            .fold((0, 0), |(cached, prompt), o| (cached + o.used.cached, prompt + o.used.cached + o.used.fresh));
        let mut tally = Tally([f64::NAN; FIGURES]);
        for (figure, value) in [
            (Figure::Success, percent(served, all)),
            (Figure::FirstTry, percent(log.outcomes.iter().filter(|o| o.at_once).count(), all)),
            (Figure::FirstP50, at(0.5)),
            (Figure::FirstP99, at(0.99)),
            (Figure::Cost, dollars(cost + wasted)),
            (Figure::Wasted, dollars(wasted)),
            (Figure::Calls, calls / all),
            (Figure::Limited, percent(log.tries.iter().filter(|t| t.came == Came::Limited).count(), calls)),
            (Figure::LeftTries, mean(left.iter().map(|l| l.tries))),
            (Figure::LeftSeconds, mean(left.iter().map(|l| l.seconds))),
            (Figure::BackSeconds, mean(turning::back(fleet, &log.tries).into_iter())),
            (Figure::Reuse, cached as f64 / (prompt as f64).max(1.0) * 100.0),
            (Figure::Score, score::of(&log.outcomes)),
        ] {
            if let Some(place) = tally.0.get_mut(figure as usize) {
                *place = value;
            }
        }
        tally
    }
}

/// Of what is a number.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.filter(|v| !v.is_nan()).fold((0.0, 0u32), |(sum, count), v| (sum + v, count + 1));
    if count == 0 { f64::NAN } else { sum / f64::from(count) }
}

/// Runs of the same policy in the same scenario with different seeds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Runs(pub Vec<Tally>);

impl Runs {
    pub fn mean(&self, figure: Figure) -> f64 {
        mean(self.0.iter().map(|t| t.get(figure)))
    }

    /// Half the way from the least to the greatest.
    pub fn spread(&self, figure: Figure) -> f64 {
        let values = || self.0.iter().map(|t| t.get(figure)).filter(|v| !v.is_nan());
        (values().fold(f64::MIN, f64::max) - values().fold(f64::MAX, f64::min)).max(0.0) / 2.0
    }
}
