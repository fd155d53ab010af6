//! How soon traffic turns away from a site that fails, and back to one that has recovered.

use crate::run::{Came, Try};
use crate::site::Site;

/// A site is left when for so long, and so many requests, nobody's first try goes there.
const QUIET_MS: u64 = 4_900;
const QUIET: usize = 10;
/// What it had before is its share of this long.
const BEFORE_MS: u64 = 60_000;
/// A site that had less than this share is not missed.
const LEAST: f64 = 0.04;
/// A pause between two outages shorter than this is too short to return in.
const PAUSE_MS: u64 = 60_000;

/// Of one outage.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Left {
    /// Tries sent into it, and for how long, before it was left.
    pub tries: f64,
    pub seconds: f64,
}

/// Every outage of the fleet that anybody walked into.
pub fn left(fleet: &[Site], tries: &[Try]) -> Vec<Left> {
    let each = |(at, site): (usize, &Site)| {
        let spells = site.script.outages();
        spells.into_iter().filter_map(|spell| leaving(at, spell, tries)).collect::<Vec<_>>()
    };
    fleet.iter().enumerate().flat_map(each).collect()
}

fn leaving(site: usize, (from, to): (u64, u64), tries: &[Try]) -> Option<Left> {
    let start = tries.partition_point(|t| t.began_ms < from);
    let (mut sent, mut first, mut last, mut elsewhere) = (0u32, None, from, 0);
    for one in tries.get(start..)?.iter().take_while(|t| t.began_ms < to) {
        let quiet = first.is_some() && elsewhere >= QUIET && one.began_ms >= last + QUIET_MS;
        if quiet {
            break;
        }
        if one.site == site {
            sent += 1;
            last = one.began_ms;
            first.get_or_insert(last);
            elsewhere = 0;
        } else if one.first {
            elsewhere += 1;
        }
    }
    first.map(|first| Left { tries: f64::from(sent), seconds: (last - first) as f64 / 1e3 })
}

/// Seconds from the end of each outage until the site has half the share it had before; until the end of the record if it never has.
pub fn back(fleet: &[Site], tries: &[Try]) -> Vec<f64> {
    let end = tries.last().map_or(0, |t| t.began_ms);
    let mut all = Vec::new();
    for (at, site) in fleet.iter().enumerate() {
        let spells = site.script.outages();
        for (nth, spell) in spells.iter().enumerate() {
            let until = spells.get(nth + 1).map_or(end, |next| next.0);
            // What was served before the first outage is what it is worth; later ones may not have recovered yet.
            let before = spells.first().map_or(0, |first| first.0);
            if until >= spell.1 + PAUSE_MS {
                all.extend(returning(at, before, spell.1, until, tries));
            }
        }
    }
    all
}

fn returning(site: usize, before: u64, from: u64, until: u64, tries: &[Try]) -> Option<f64> {
    let firsts = |from: u64, to: u64| tries.iter().filter(move |t| t.first && (from..to).contains(&t.began_ms));
    let of_site = |t: &&Try| t.site == site;
    let usual: Vec<&Try> = firsts(before.saturating_sub(BEFORE_MS), before).collect();
    let share = usual.iter().filter(|t| t.site == site).count() as f64 / usual.len().max(1) as f64;
    if share < LEAST {
        return None;
    }
    let window = ((4.0 / share).ceil() as usize).max(QUIET);
    let after: Vec<&Try> = firsts(from, until).collect();
    let good = |t: &&&Try| of_site(t) && t.came == Came::Good;
    let enough = (window as f64 * share / 2.0).ceil() as usize;
    let found = after.windows(window).find(|w| w.iter().filter(good).count() >= enough);
    let back = found.and_then(|w| w.iter().find(good)).map_or(until, |t| t.began_ms);
    Some((back - from) as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::{Script, Trouble};

    /// A try a second, at site 0 when `at` says so.
    fn tries(at: impl Fn(u64) -> bool) -> Vec<Try> {
        let one = |s: u64| Try {
            request: s as u32,
            began_ms: s * 1000,
            site: usize::from(!at(s)),
            first: true,
            came: if (100..200).contains(&s) && at(s) { Came::Bad } else { Came::Good },
        };
        (0..400).map(one).collect()
    }

    fn fleet() -> Vec<Site> {
        let site = crate::scenario::fleets::five().swap_remove(0);
        vec![Site { script: Script::of(&[(100, 200, Trouble::Refuses)]), ..site }]
    }

    #[test]
    fn leaving_is_counted_until_nobody_goes_there_and_coming_back_until_half_of_them_do() {
        // Every second request; in the outage three more and a probe after 30 s; back at once, or after 50 s.
        let usual = |s: u64| s.is_multiple_of(2);
        for (returns, seconds) in [(200, 0.0), (250, 50.0)] {
            let all = tries(|s| match s {
                100..=105 => usual(s),
                135 => true,
                106..200 => false,
                _ => usual(s) && (s < 100 || s >= returns),
            });
            assert_eq!(left(&fleet(), &all), [Left { tries: 3.0, seconds: 4.0 }]);
            assert_eq!(back(&fleet(), &all), [seconds]);
        }
        let never = tries(|s| usual(s) && s < 106);
        assert_eq!(back(&fleet(), &never), [199.0]);
        let unmoved = tries(usual);
        assert_eq!(left(&fleet(), &unmoved), [Left { tries: 50.0, seconds: 98.0 }]);
        assert!(left(&fleet(), &tries(|_| false)).is_empty() && back(&fleet(), &tries(|_| false)).is_empty());
    }
}
