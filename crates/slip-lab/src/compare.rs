//! Figures of many requests, before and after, and how sure their difference is: requests are drawn again and again, always the same
//! one on both sides.

/// How a request went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Served {
    /// In nano-USD; `None` when it failed or the price is not known.
    pub cost: Option<f64>,
    pub first_ms: f64,
    pub total_ms: f64,
    pub failed: bool,
    pub attempts: u32,
    /// Calls of a provider that were limited.
    pub limited: u32,
    /// Tokens of the prompt, and those that were read from a cache.
    pub prompt: u64,
    pub cached: u64,
}

impl Served {
    pub fn failed(ms: f64, attempts: u32) -> Served {
        let (limited, prompt, cached) = (0, 0, 0);
        Served { cost: None, first_ms: ms, total_ms: ms, failed: true, attempts, limited, prompt, cached }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    pub figure: &'static str,
    pub unit: &'static str,
    pub before: f64,
    pub after: f64,
    /// Of the difference: 95 in 100 resamplings lie between.
    pub low: f64,
    pub high: f64,
}

impl Difference {
    /// More than chance.
    pub fn is_certain(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// Resamplings.
const TIMES: usize = 400;
/// Values touched in all, so that a long log does not take for ever.
const MOST: usize = 40_000_000;

type Figure = (&'static str, &'static str, fn(&[Served]) -> f64);

const FIGURES: [Figure; 11] = [
    ("cost of an answer", "usd", |all| mean(all.iter().filter_map(|one| one.cost)) / 1e9),
    ("first content, p50", "ms", |all| percentile(answered(all, |one| one.first_ms), 0.5)),
    ("first content, p95", "ms", |all| percentile(answered(all, |one| one.first_ms), 0.95)),
    ("first content, p99", "ms", |all| percentile(answered(all, |one| one.first_ms), 0.99)),
    ("to the end, p50", "ms", |all| percentile(answered(all, |one| one.total_ms), 0.5)),
    ("to the end, p95", "ms", |all| percentile(answered(all, |one| one.total_ms), 0.95)),
    ("to the end, p99", "ms", |all| percentile(answered(all, |one| one.total_ms), 0.99)),
    ("requests that fail", "share", |all| mean(all.iter().map(|one| f64::from(u8::from(one.failed))))),
    ("requests that fall back", "share", |all| mean(all.iter().map(|one| f64::from(u8::from(one.attempts > 1))))),
    ("calls that are limited", "share", |all| share(all, |one| (u64::from(one.limited), u64::from(one.attempts)))),
    ("prompts read from a cache", "share", |all| share(all, |one| (one.cached, one.prompt))),
];

/// Of a sum that is the other.
fn share(all: &[Served], of: fn(&Served) -> (u64, u64)) -> f64 {
    let (part, whole) = all.iter().map(of).fold((0, 0), |(part, whole), (p, w)| (part + p, whole + w));
    if whole > 0 { part as f64 / whole as f64 } else { 0.0 }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

fn answered(all: &[Served], of: fn(&Served) -> f64) -> Vec<f64> {
    all.iter().filter(|one| !one.failed).map(of).collect()
}

/// The value below which this share of them lies; 0 where there are none.
pub fn percentile(mut values: Vec<f64>, share: f64) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let at = ((values.len() as f64 * share) as usize).min(values.len() - 1);
    *values.select_nth_unstable_by(at, f64::total_cmp).1
}

/// Request `n` of the one is request `n` of the other.
pub fn compare(before: &[Served], after: &[Served], seed: u64) -> Vec<Difference> {
    let size = before.len().min(after.len());
    let mut dice = fastrand::Rng::with_seed(seed);
    let times = (MOST / (size.max(1) * FIGURES.len())).clamp(50, TIMES);
    let mut drawn: Vec<Vec<f64>> = vec![Vec::with_capacity(times); FIGURES.len()];
    let (mut one, mut other) = (Vec::with_capacity(size), Vec::with_capacity(size));
    for _ in 0..times {
        one.clear();
        other.clear();
        for _ in 0..size {
            let at = dice.usize(..size.max(1));
            one.extend(before.get(at));
            other.extend(after.get(at));
        }
        for ((_, _, figure), drawn) in FIGURES.iter().zip(&mut drawn) {
            drawn.push(figure(&other) - figure(&one));
        }
    }
    let figures = FIGURES.iter().zip(drawn);
    let told = |(&(figure, unit, of), drawn): (&Figure, Vec<f64>)| Difference {
        figure,
        unit,
        before: of(before),
        after: of(after),
        low: percentile(drawn.clone(), 0.025),
        high: percentile(drawn, 0.975),
    };
    figures.map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(n: usize, ms: f64, cost: f64) -> Vec<Served> {
        let one = |at: usize| Served {
            cost: Some(cost + at as f64),
            first_ms: ms + (at % 10) as f64,
            total_ms: 2.0 * ms,
            failed: at.is_multiple_of(10),
            attempts: 1,
            limited: 0,
            prompt: 100,
            cached: 40,
        };
        (0..n).map(one).collect()
    }

    #[test]
    fn the_same_is_no_difference_and_half_is_one() {
        let (before, after) = (served(500, 100.0, 1e6), served(500, 50.0, 5e5));
        for d in compare(&before, &before, 1) {
            assert_eq!((d.before - d.after, d.low, d.high, d.is_certain()), (0.0, 0.0, 0.0, false), "{}", d.figure);
        }
        let all = compare(&before, &after, 1);
        let one = |figure: &str| all.iter().find(|d| d.figure == figure).unwrap();
        let cost = one("cost of an answer");
        assert!(cost.is_certain() && cost.high < 0.0 && (cost.after - cost.before + 5e-4).abs() < 1e-9, "{cost:?}");
        assert!(one("first content, p50").is_certain());
        assert!(!one("requests that fail").is_certain());
    }

    #[test]
    fn nothing_answered_is_nothing() {
        let all = compare(&[Served::failed(5.0, 1)], &[Served::failed(5.0, 2)], 1);
        assert!(all.iter().all(|d| d.before.is_finite() && d.after.is_finite()));
    }
}
