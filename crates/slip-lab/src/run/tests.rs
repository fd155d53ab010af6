//! Laws of the simulation: the same seed is the same run, every call ends once, and queues behave as queues do.

use super::*;
use crate::dice;
use crate::policies;
use crate::scenario::{SCENARIOS, fleets};
use crate::site::{Script, Trouble};
use crate::tally::Tally;
use crate::traffic::Library;
use std::sync::Arc;

fn few(scenario: &crate::Scenario, library: &Library) -> Vec<Call> {
    library.of(scenario.traffic).piece(0, 600, scenario.per_second)
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_does_not() {
    let library = Library::new(None, None, None).unwrap();
    for entry in policies::all() {
        let scenario = &SCENARIOS[3];
        let (calls, fleet) = (few(scenario, &library), (scenario.fleet)());
        let once = |seed| {
            let mut policy = (entry.make)(&fleet, entry.name);
            format!("{:?}", Tally::of(&fleet, &run(&calls, &fleet, policy.as_mut(), seed)))
        };
        assert_eq!(once(1), once(1), "{}", entry.name);
        assert_ne!(once(1), once(2), "{}", entry.name);
    }
}

#[test]
fn every_call_ends_exactly_once_whatever_the_policy_and_the_trouble() {
    let library = Library::new(None, None, None).unwrap();
    for scenario in SCENARIOS {
        let (calls, mut fleet) = (few(scenario, &library), (scenario.fleet)());
        // All of it within these few calls.
        for site in &mut fleet {
            let rows = site.script.0.iter().map(|(_, _, what)| (10_000, 90_000, *what)).collect();
            site.script = Script(rows);
        }
        for entry in policies::all() {
            let mut policy = (entry.make)(&fleet, entry.name);
            let log = run(&calls, &fleet, policy.as_mut(), 7);
            let at = || format!("{}, {}", scenario.name, entry.name);
            assert_eq!(log.outcomes.len(), calls.len(), "{}", at());
            assert_eq!(log.outcomes.iter().map(|o| o.tries).sum::<usize>(), log.tries.len(), "{}", at());
            assert!(log.tries.iter().all(|t| t.came != Came::Open), "{}", at());
            let good = log.tries.iter().filter(|t| t.came == Came::Good).count();
            assert_eq!(good, log.outcomes.iter().filter(|o| o.end == End::Served).count(), "{}", at());
            assert!(log.outcomes.iter().all(|o| o.tries <= TRIES && o.cost.0 >= 0 && o.wasted.0 >= 0), "{}", at());
            let late = |o: &Outcome| o.first_ms.unwrap_or(o.ended_ms - o.arrived_ms) > TOTAL_MS;
            assert!(!log.outcomes.iter().any(late), "{}", at());
        }
    }
}

/// One place, arrivals and answers without memory: the mean time in the house is 1 / (mu - lambda).
#[test]
fn one_place_behaves_as_the_theory_of_queues_says() {
    let mut dice = Rng::with_seed(11);
    let site = Site {
        ttft_ms: 0.1,
        spread: 0.0,
        reads: 1e9,
        writes: 1_000.0,
        slots: 1,
        queue: 10_000,
        ..fleets::five().swap_remove(0)
    };
    // A token a millisecond at load 1 + 0.6: sizes are drawn so that the mean answer takes 100 ms.
    let (mut now, mut calls) = (0.0, Vec::new());
    for _ in 0..60_000 {
        now += dice::exponential(200.0, &mut dice);
        let output = dice::exponential(100.0 / 1.6, &mut dice).max(1.0) as u32;
        calls.push(Call { at_ms: now as u64, prompt: 1, output, blocks: Arc::new([]) });
    }
    let log = run(&calls, &[site], &mut policies::random::Random::new(&fleets::five()[..1]), 1);
    let mean = log.outcomes.iter().map(|o| o.ended_ms - o.arrived_ms).sum::<u64>() as f64 / calls.len() as f64;
    assert!((185.0..215.0).contains(&mean), "{mean} ms, where 200 is expected");
}

#[test]
fn a_call_that_hangs_is_given_up_billed_and_tried_elsewhere() {
    let mut fleet = fleets::five();
    fleet.truncate(2);
    fleet[0].script = Script::of(&[(0, 1_000, Trouble::Hangs(1.0))]);
    let calls = [Call { at_ms: 5_000, prompt: 1_000, output: 10, blocks: Arc::new([]) }];
    let log = run(&calls, &fleet, &mut policies::cheapest::Cheapest::new(&fleet), 1);
    let [outcome] = &log.outcomes[..] else { panic!("{log:?}") };
    assert_eq!((outcome.end, outcome.tries, outcome.at_once), (End::Served, 2, false));
    assert_eq!(outcome.wasted, Nano(150_000));
    assert!(outcome.first_ms.unwrap() > PATIENCE_MS);
    // Both hang: the second deadline is the last.
    fleet[1].script = fleet[0].script.clone();
    let log = run(&calls, &fleet, &mut policies::cheapest::Cheapest::new(&fleet), 1);
    assert_eq!((log.outcomes[0].end, log.outcomes[0].ended_ms), (End::TooLate, 65_000));
}
