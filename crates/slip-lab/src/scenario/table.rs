//! The table. A row is a day in the life of a gateway; what it is to show stands in `about`.

use super::{Scenario, fleets};
use crate::site::Trouble;
use crate::traffic::Kind;

/// A load at which nobody is short of room, and one that is hard on those with limits: requests a second.
const EASY: f64 = 3.3;
const HARD: f64 = 8.7;

const BASE: Scenario =
    Scenario { name: "", about: "", traffic: Kind::Chat, per_second: EASY, calls: 4_000, fleet: fleets::five };

pub const SCENARIOS: &[Scenario] = &[
    Scenario { name: "calm", about: "Five providers from cheap and slow to dear and fast; nothing happens.", ..BASE },
    Scenario {
        name: "calm, busy",
        about: "The same at 8.7 requests a second.",
        per_second: HARD,
        calls: 8_000,
        ..BASE
    },
    Scenario {
        name: "mixed",
        about: "An outage, a brown-out, a spell of errors and two providers with limits, one after another.",
        fleet: fleets::mixed,
        ..BASE
    },
    Scenario {
        name: "mixed, busy",
        about: "The same at 8.7 requests a second, near the limits.",
        per_second: HARD,
        calls: 8_000,
        fleet: fleets::mixed,
        ..BASE
    },
    Scenario {
        name: "limits",
        about: "Everybody limits requests and tokens a minute; one says nothing, one says when to come back, three count down.",
        per_second: HARD,
        calls: 8_000,
        fleet: fleets::limited,
        ..BASE
    },
    Scenario {
        name: "outage",
        about: "The cheapest refuses connections for five minutes.",
        fleet: || fleets::troubled(&[(0, &[(300, 600, Trouble::Refuses)])]),
        ..BASE
    },
    Scenario {
        name: "hanging",
        about: "The cheapest takes calls and never answers them, for five minutes.",
        fleet: || fleets::troubled(&[(0, &[(300, 600, Trouble::Hangs(1.0))])]),
        ..BASE
    },
    Scenario {
        name: "broken",
        about: "One answers 200 and then an error, later another breaks off a third of its answers.",
        fleet: || {
            fleets::troubled(&[(0, &[(200, 500, Trouble::SaysError(0.9))]), (1, &[(600, 900, Trouble::Cuts(0.3))])])
        },
        ..BASE
    },
    Scenario {
        name: "brown-out",
        about: "The two cheapest in turn are six times as slow, with errors among the answers.",
        fleet: || {
            fleets::troubled(&[
                (0, &[(200, 500, Trouble::BrownOut { slow: 6.0, errors: 0.1 })]),
                (1, &[(600, 900, Trouble::BrownOut { slow: 6.0, errors: 0.3 })]),
            ])
        },
        ..BASE
    },
    Scenario {
        name: "flapping",
        about: "The cheapest fails for fifteen seconds of every forty, with status 500.",
        fleet: || {
            let rows: Vec<_> = (4..24).map(|n| (n * 40, n * 40 + 15, Trouble::Errors(1.0))).collect();
            fleets::troubled(&[(0, &rows)])
        },
        ..BASE
    },
    Scenario {
        name: "slow recovery",
        about: "After an outage of two minutes the cheapest is ten times as slow at first, and as ever after three more.",
        fleet: || {
            let rows = [(300, 420, Trouble::Errors(1.0)), (420, 600, Trouble::WarmsUp { slow: 10.0 })];
            fleets::troubled(&[(0, &rows)])
        },
        ..BASE
    },
    Scenario {
        name: "dearer",
        about: "For ten minutes the cheapest bills four times its list price.",
        fleet: || fleets::troubled(&[(0, &[(300, 900, Trouble::Dearer(4.0))])]),
        ..BASE
    },
    Scenario {
        name: "bargain",
        about: "One costs a third of the others and has three places behind a long queue.",
        fleet: fleets::bargain,
        ..BASE
    },
    Scenario {
        name: "replicas",
        about: "Three machines of one's own, completing code; one of them four times as slow for ten minutes.",
        traffic: Kind::Code,
        per_second: 6.0,
        calls: 7_000,
        fleet: fleets::replicas,
    },
    Scenario {
        name: "prefixes",
        about: "Conversations that share their beginnings, over four providers that each remember them.",
        traffic: Kind::Conversations,
        per_second: 3.4,
        calls: 12_031,
        fleet: fleets::remembering,
    },
    Scenario {
        name: "quiet",
        about: "A request every five seconds; the cheapest is away for ten minutes.",
        per_second: 0.2,
        calls: 720,
        fleet: || fleets::troubled(&[(0, &[(1_200, 1_800, Trouble::Refuses)])]),
        ..BASE
    },
];

/// What there is to reuse: all of the same traffic at one provider.
pub const ALONE: Scenario = Scenario {
    name: "prefixes, alone",
    about: "The same at one provider.",
    traffic: Kind::Conversations,
    per_second: 3.4,
    calls: 12_031,
    fleet: fleets::remembering_alone,
};
