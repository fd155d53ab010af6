//! The fleets: providers of one model, made up, with prices, speeds and limits as one finds them side by side in a catalogue.

use crate::site::trouble::Row;
use crate::site::{Limit, Script, Site, Tells, Trouble};

/// Five providers from slow and cheap to fast and dear, all with room to spare.
pub fn five() -> Vec<Site> {
    let site = |name, milli_dollars, ttft_ms, spread, writes, slots| Site {
        name,
        milli_dollars,
        ttft_ms,
        spread,
        reads: 4_000.0,
        writes,
        slots,
        queue: 64,
        limit: None,
        cache: None,
        script: Script::default(),
    };
    vec![
        site("thrift", [150, 600, 75], 900.0, 0.6, 35.0, 96),
        site("plain", [200, 700, 100], 600.0, 0.5, 55.0, 96),
        site("steady", [250, 850, 125], 450.0, 0.4, 65.0, 96),
        site("brisk", [300, 1_000, 150], 350.0, 0.4, 90.0, 96),
        Site { reads: 20_000.0, ..site("swift", [450, 1_500, 225], 180.0, 0.3, 250.0, 48) },
    ]
}

/// Five, with trouble at some of them: place, rows in seconds.
pub fn troubled(scripts: &[(usize, &[Row])]) -> Vec<Site> {
    let mut fleet = five();
    for (at, rows) in scripts {
        if let Some(site) = fleet.get_mut(*at) {
            site.script = Script::of(rows);
        }
    }
    fleet
}

/// The outage, the brown-out and the limits of the measurements this design began with, all in one day.
pub fn mixed() -> Vec<Site> {
    let mut fleet = troubled(&[
        (0, &[(200, 320, Trouble::Refuses)]),
        (1, &[(400, 560, Trouble::BrownOut { slow: 6.0, errors: 0.15 })]),
        (3, &[(600, 660, Trouble::Errors(0.9))]),
    ]);
    limit(&mut fleet, 0, 150.0, 240_000.0, Tells::RetryAfter);
    limit(&mut fleet, 2, 120.0, 180_000.0, Tells::Headers);
    fleet
}

/// Everybody limits, each as it pleases; together they bear half as much again as is asked for.
pub fn limited() -> Vec<Site> {
    let mut fleet = five();
    limit(&mut fleet, 0, 70.0, 100_000.0, Tells::Nothing);
    limit(&mut fleet, 1, 240.0, 340_000.0, Tells::RetryAfter);
    limit(&mut fleet, 2, 90.0, 140_000.0, Tells::Headers);
    limit(&mut fleet, 3, 240.0, 340_000.0, Tells::Headers);
    limit(&mut fleet, 4, 150.0, 210_000.0, Tells::Headers);
    fleet
}

fn limit(fleet: &mut [Site], at: usize, requests: f64, tokens: f64, tells: Tells) {
    if let Some(site) = fleet.get_mut(at) {
        site.limit = Some(Limit { requests, tokens, tells });
    }
}

/// A bargain with three places and a queue that takes everybody in, beside two that have room.
pub fn bargain() -> Vec<Site> {
    let mut fleet = five();
    fleet.drain(3..);
    if let Some(site) = fleet.first_mut() {
        *site = Site {
            name: "bargain",
            milli_dollars: [60, 200, 30],
            ttft_ms: 500.0,
            writes: 60.0,
            slots: 3,
            queue: 200,
            ..site.clone()
        };
    }
    fleet
}

/// Three machines of one's own, alike and free of charge, of which the second is four times as slow for ten minutes.
pub fn replicas() -> Vec<Site> {
    let mut fleet: Vec<Site> = five().into_iter().take(3).collect();
    for (site, name) in fleet.iter_mut().zip(["replica-a", "replica-b", "replica-c"]) {
        *site = Site {
            name,
            milli_dollars: [0, 0, 0],
            ttft_ms: 250.0,
            spread: 0.3,
            reads: 6_000.0,
            writes: 50.0,
            slots: 16,
            queue: 400,
            ..site.clone()
        };
    }
    if let Some(site) = fleet.get_mut(1) {
        site.script = Script::of(&[(200, 800, Trouble::BrownOut { slow: 4.0, errors: 0.0 })]);
    }
    fleet
}

/// Four alike that remember prompts, each as well as one alone would; none has room for everybody.
pub fn remembering() -> Vec<Site> {
    let mut fleet: Vec<Site> = five().into_iter().take(4).collect();
    for (nth, site) in fleet.iter_mut().enumerate() {
        *site = Site {
            milli_dollars: [250 + 5 * nth as u64, 800, 25],
            ttft_ms: 400.0,
            spread: 0.4,
            reads: 8_000.0,
            writes: 70.0,
            slots: 12,
            queue: 100,
            cache: Some((60_000, 600_000)),
            ..site.clone()
        };
    }
    fleet
}

/// The first of them, large enough to bear all: what there is to reuse.
pub fn remembering_alone() -> Vec<Site> {
    let alone = |site| Site { slots: 2_000, ..site };
    remembering().into_iter().take(1).map(alone).collect()
}
