//! Recorded traffic for tests, read from the directory named by `SLIPSWITCH_CORPUS`.

use serde_json::Value;
use std::path::Path;

/// The cases that are wanted, by their ids' order; none where there are no recordings.
#[allow(clippy::disallowed_methods, reason = "recordings are found by the environment, in tests only")]
pub(crate) fn cases(wanted: impl Fn(&Value) -> bool) -> Option<Vec<Value>> {
    let Ok(root) = std::env::var("SLIPSWITCH_CORPUS") else {
        println!("skipped: SLIPSWITCH_CORPUS is not set");
        return None;
    };
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(Path::new(&root).join("cases")).expect("a directory of cases") {
        let text = std::fs::read(entry.expect("an entry").path()).expect("a readable case");
        let case: Value = serde_json::from_slice(&text).expect("a case is JSON");
        if wanted(&case) {
            cases.push(case);
        }
    }
    cases.sort_by(|a, b| a["id"].as_str().cmp(&b["id"].as_str()));
    assert!(!cases.is_empty(), "no such cases in {root}");
    Some(cases)
}
