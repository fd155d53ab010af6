//! The account of a walk: what failed, what was expected to, what was lost, and how many of each.

use super::Outcome;
use super::expected::Expected;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;

/// The recordings themselves, whose count is the one that is asked for.
pub const RECORDED: &str = "recorded";

/// Print what failed and what was lost; how many failed against expectation.
pub(super) fn report(what: &str, outcomes: &BTreeMap<String, Outcome>, expected: &[Expected]) -> usize {
    let mut text = String::from("\n");
    let (mut passed, mut failed) = (0, 0);
    let mut met: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut losses: BTreeMap<String, usize> = BTreeMap::new();
    for (id, outcome) in outcomes {
        outcome.losses.iter().for_each(|loss| *losses.entry(unnumbered(loss)).or_default() += 1);
        let mut checks: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (check, what) in &outcome.failed {
            checks.entry(check).or_default().push(what);
        }
        let mut bad = false;
        for (check, whats) in checks {
            if let Some(known) = expected.iter().find(|e| e.id == *id && e.check == check) {
                met.insert((&known.id, &known.check));
                let _ = writeln!(text, "expected: {id} {check}: {}", known.reason);
                continue;
            }
            bad = true;
            let _ = writeln!(text, "FAILED {id} {check} ({} times): {:.600}", whats.len(), whats[0]);
        }
        if bad { failed += 1 } else { passed += 1 }
    }
    for stale in
        expected.iter().filter(|e| outcomes.contains_key(&e.id) && !met.contains(&(e.id.as_str(), e.check.as_str())))
    {
        let _ = writeln!(text, "FAILED {} {}: was expected to fail and passed; strike it out", stale.id, stale.check);
        failed += 1;
    }
    let legs: usize = outcomes.values().map(|o| o.legs).sum();
    let _ = writeln!(text, "{what}: lost in {legs} exchanges:");
    for (loss, times) in losses {
        let _ = writeln!(text, "  {times:4} × {loss}");
    }
    let _ = match what {
        // Alone on its line, for whoever counts.
        RECORDED => writeln!(text, "{passed} passed, {failed} failed"),
        _ => writeln!(text, "{what}: {passed} right, {failed} wrong"),
    };
    // Past the test runner, which keeps what a passing test prints to itself.
    let _ = std::io::stdout().write_all(text.as_bytes());
    failed
}

/// `messages[3].name` and `messages[5].name` are one kind of loss.
pub fn unnumbered(loss: &str) -> String {
    let mut out = String::new();
    let mut rest = loss;
    while let Some((before, after)) = rest.split_once('[') {
        out.push_str(before);
        out.push('[');
        rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    out + rest
}
