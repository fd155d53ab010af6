//! Failures that are known, each with its reason. One that no longer fails must be struck out.

use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    expected: Vec<Expected>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    pub id: String,
    pub check: String,
    pub reason: String,
}

pub fn load() -> Vec<Expected> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/corpus_expected.toml");
    let text = std::fs::read_to_string(&path).expect("the file is beside the test");
    let file: File = toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let bare = file.expected.iter().find(|e| e.reason.trim().is_empty());
    assert!(bare.is_none(), "an expected failure needs its reason: {}", bare.map_or("", |e| &e.id));
    file.expected
}
