//! A script does what it says, and a place is a place.

use super::*;
use std::sync::Arc;

fn site() -> Site {
    Site {
        name: "one",
        milli_dollars: [1_000, 2_000, 100],
        ttft_ms: 100.0,
        spread: 0.0,
        reads: 10_000.0,
        writes: 100.0,
        slots: 2,
        queue: 1,
        limit: None,
        cache: Some((100, 60_000)),
        script: Script::default(),
    }
}

fn call() -> Call {
    Call { at_ms: 0, prompt: 1_000, output: 100, blocks: Arc::new([1, 2]) }
}

fn with(what: Trouble) -> Running {
    Running::new(Site { script: Script::of(&[(10, 20, what)]), ..site() })
}

/// What a call at this moment comes to, in one word.
fn word(running: &mut Running, now_ms: u64) -> &'static str {
    match running.arrive(now_ms, 0, &call(), &mut Rng::with_seed(3)) {
        Arrival::Away { fault, sent, .. } => match (fault.status, sent) {
            (None, Sent::NotSent) => "refused",
            (Some(500), _) => "500",
            (Some(503), _) => "503",
            (Some(429), _) => "429",
            _ => "?",
        },
        Arrival::Waits => "waits",
        Arrival::Served(fate) => {
            running.leave();
            match fate {
                Fate::Hangs { .. } => "hangs",
                Fate::Fails { .. } => "200, then an error",
                Fate::Flows { broken: true, .. } => "cut",
                Fate::Flows { first_ms, .. } if first_ms > 600 => "slow",
                Fate::Flows { .. } => "well",
            }
        }
    }
}

#[test]
fn trouble_comes_when_the_script_says_and_goes() {
    let rows = [
        (Trouble::Refuses, "refused"),
        (Trouble::Errors(1.0), "500"),
        (Trouble::BrownOut { slow: 10.0, errors: 0.0 }, "slow"),
        (Trouble::BrownOut { slow: 1.0, errors: 1.0 }, "500"),
        (Trouble::Hangs(1.0), "hangs"),
        (Trouble::SaysError(1.0), "200, then an error"),
        (Trouble::Cuts(1.0), "cut"),
        (Trouble::WarmsUp { slow: 12.0 }, "slow"),
        (Trouble::Dearer(3.0), "well"),
    ];
    for (trouble, during) in rows {
        let mut running = with(trouble);
        let got = [9_999, 10_001, 20_000].map(|at| word(&mut running, at));
        assert_eq!(got, ["well", during, "well"], "{trouble:?}");
    }
}

#[test]
fn a_share_of_the_calls_is_hit_and_warming_up_ends_gently() {
    let mut running = with(Trouble::Errors(0.3));
    let mut dice = Rng::with_seed(5);
    let hit = (0..10_000).filter(|_| {
        let served = matches!(running.arrive(15_000, 0, &call(), &mut dice), Arrival::Served(_));
        if served {
            running.leave();
        }
        !served
    });
    assert!((2_800..3_200).contains(&hit.count()));
    let script = Script::of(&[(0, 10, Trouble::WarmsUp { slow: 5.0 })]);
    assert_eq!([0, 5_000, 10_000].map(|at| script.slowness(at)), [5.0, 3.0, 1.0]);
}

#[test]
fn places_are_taken_then_the_queue_then_there_is_none() {
    let mut running = Running::new(site());
    let mut dice = Rng::with_seed(1);
    let mut came = |n| match running.arrive(0, n, &call(), &mut dice) {
        Arrival::Served(_) => "served",
        Arrival::Waits => "waits",
        Arrival::Away { .. } => "away",
    };
    assert_eq!([0, 1, 2, 3].map(&mut came), ["served", "served", "waits", "away"]);
    assert_eq!(running.leave(), Some(2));
    assert_eq!((running.leave(), running.leave()), (None, None));
}

#[test]
fn a_known_prefix_is_cheaper_and_quicker_and_a_dearer_provider_bills_more() {
    let mut running = Running::new(Site { script: Script::of(&[(10, 20, Trouble::Dearer(2.0))]), ..site() });
    let mut dice = Rng::with_seed(2);
    let mut serve = |now| match running.serve(now, &call(), &mut dice) {
        Fate::Flows { first_ms, used, billed, .. } => (first_ms, used.cached, billed.0),
        other => panic!("{other:?}"),
    };
    assert_eq!(serve(0), (200, 0, 1_200_000));
    assert_eq!(serve(1), (100, 1_000, 300_000));
    assert_eq!(serve(15_000), (100, 1_000, 600_000));
}
