//! What a journal must keep, through damage and sudden ends.

use super::*;
use crate::Attempt;
use std::path::PathBuf;

pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Scratch {
        let dir = std::env::temp_dir().join(format!("slip-journal-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        Scratch(dir)
    }

    fn files(&self) -> usize {
        std::fs::read_dir(&self.0).map_or(0, Iterator::count)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn opening(id: &str) -> Opening<'_> {
    Opening {
        id,
        created_ms: 7,
        key_hash: Some("key"),
        workspace: "default",
        member: Some("user-1"),
        model: "house/one",
        provider_slug: "lab",
        provider_name: "The Lab",
        endpoint: "lab/fp8",
        dialect_in: "openai-chat",
        byok: false,
        prompt_tokens: 12,
        output_tokens: 0,
        cost: Nano(1_200),
        cost_known: true,
    }
}

fn record(id: &str) -> Generation {
    Generation {
        id: id.into(),
        created_ms: 8,
        key_hash: Some("key".into()),
        model: "house/one".into(),
        provider_slug: "lab".into(),
        status: 200,
        cost: Nano(5_000),
        cost_known: true,
        dialect_in: "openai-chat",
        dialect_out: "openai-chat",
        attempts: vec![Attempt { endpoint: "lab".into(), ..Attempt::default() }],
        ..Generation::default()
    }
}

fn detail(record: &Generation) -> String {
    serde_json::to_string(record).expect("json")
}

/// As if the process had been killed: nothing is tidied up.
fn killed(journal: Journal, held: Vec<Arc<Segment>>) {
    journal.keep();
    drop((held, journal));
}

#[test]
fn what_was_under_way_is_closed_and_what_was_over_is_kept() {
    let scratch = Scratch::new("kill");
    let journal = Journal::begin(&scratch.0).expect("begin");
    let mut held = vec![journal.open(&opening("a")).expect("a"), journal.open(&opening("b")).expect("b")];
    let other = Opening { endpoint: "other", output_tokens: 3, cost: Nano(1_500), ..opening("b") };
    held.push(journal.open(&other).expect("b elsewhere"));
    let done = record("a");
    held.push(journal.close(&done, &detail(&done)).expect("a is over"));
    killed(journal, held);

    let found = replay(&scratch.0).expect("replay");
    assert_eq!((found.records.len(), found.cut_off), (2, 1));
    let b = &found.records[0];
    assert_eq!((b.id.as_str(), b.status, b.cost, b.cost_known), ("b", 500, Nano(1_500), true));
    assert_eq!((b.tokens.input, b.tokens.output, b.tokens.estimated), (12, 3, true));
    let tried: Vec<&str> = b.attempts.iter().map(|a| &*a.endpoint).collect();
    assert_eq!(tried, ["lab/fp8", "other"]);
    assert_eq!(found.records[1], done);
    found.forget().expect("removed");
    assert_eq!(scratch.files(), 0);
}

#[test]
fn a_callers_own_provider_key_is_not_charged_for_what_was_cut_off() {
    let scratch = Scratch::new("byok");
    let journal = Journal::begin(&scratch.0).expect("begin");
    let held = vec![journal.open(&Opening { byok: true, ..opening("a") }).expect("a")];
    killed(journal, held);
    let found = replay(&scratch.0).expect("replay");
    assert_eq!((found.records[0].cost, found.records[0].upstream_cost), (Nano(0), Some(Nano(1_200))));
}

#[test]
fn a_file_goes_when_nobody_needs_it_and_not_before() {
    let scratch = Scratch::new("files");
    let journal = Journal::begin(&scratch.0).expect("begin");
    let held = journal.open(&opening("a")).expect("a");
    let before = scratch.files();
    let filler = "x".repeat(600_000);
    while scratch.files() == before {
        journal.close(&record("f"), &filler).expect("filler");
    }
    drop(held);
    assert_eq!(scratch.files(), before, "the full one went with its last holder");
    drop(journal);
    assert_eq!(scratch.files(), 0, "and nothing is left of a journal that ended well");
}

#[test]
fn damage_costs_no_more_than_the_entries_it_hit() {
    let scratch = Scratch::new("damage");
    let journal = Journal::begin(&scratch.0).expect("begin");
    let held = (0..20).map(|n| journal.open(&opening(&format!("g{n:02}"))).expect("open")).collect();
    killed(journal, held);
    let files = std::fs::read_dir(&scratch.0).expect("dir").map(|e| e.expect("entry").path());
    let path = files.max_by_key(|path| path.metadata().expect("metadata").len()).expect("a file");
    let whole = std::fs::read(&path).expect("read");
    let entry = whole.len() / 20;
    // Cut at the end, anywhere.
    for cut in [1, 7, entry - 1, entry, entry + 1] {
        std::fs::write(&path, &whole[..whole.len() - cut]).expect("write");
        let found = replay(&scratch.0).expect("replay").records.len();
        assert_eq!(found, 20 - cut.div_ceil(entry), "{cut} bytes short");
    }
    // A part of an entry in the middle, as a full disk leaves it, and each byte of one entry turned over.
    let torn = [&whole[..entry * 3], &whole[..entry / 2], &whole[entry * 3..]].concat();
    std::fs::write(&path, torn).expect("write");
    assert_eq!(replay(&scratch.0).expect("replay").records.len(), 20);
    for at in entry..2 * entry {
        let mut bad = whole.clone();
        bad[at] ^= 0x55;
        std::fs::write(&path, bad).expect("write");
        assert_eq!(replay(&scratch.0).expect("replay").records.len(), 19, "byte {at}");
    }
    std::fs::write(&path, b"").expect("write");
    assert_eq!(replay(&scratch.0).expect("replay").records.len(), 0);
}
