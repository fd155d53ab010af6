//! The rules of the house that a compiler does not hold: who may depend on whom, what is listed where, how long a file may be.

use serde_json::Value;
use slip_server::routes::{Auth, ROUTES};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file longer than this has more than one reason to be opened.
const MAX_LINES: usize = 700;
/// A map longer than this is not read.
const MAX_MAP: usize = 250;

/// The arrows of ARCHITECTURE.md: who may use which of our crates.
const ARROWS: &[(&str, &[&str])] = &[
    ("slip-ir", &[]),
    ("slip-wire", &["slip-ir"]),
    ("slip-providers", &["slip-ir", "slip-wire"]),
    ("slip-route", &["slip-ir"]),
    ("slip-quota", &["slip-ir"]),
    ("slip-cache", &["slip-ir", "slip-wire"]),
    ("slip-store", &["slip-ir", "slip-quota"]),
    (
        "slip-server",
        &["slip-ir", "slip-wire", "slip-providers", "slip-route", "slip-quota", "slip-cache", "slip-store"],
    ),
    ("slip-sim", &["slip-ir"]),
    ("slip-lab", &["slip-ir", "slip-route", "slip-cache"]),
    ("slipswitch", &["slip-ir", "slip-server", "slip-sim", "slip-lab", "slip-store", "slip-route", "slip-providers"]),
];

/// Crates without I/O, clock or chance of their own.
const PURE: &[&str] = &["slip-ir", "slip-wire", "slip-providers", "slip-route", "slip-quota", "slip-cache", "slip-lab"];
/// What would bring those in.
const IMPURE: &[&str] = &[
    "tokio",
    "hyper",
    "hyper-util",
    "rusqlite",
    "libsqlite3-sys",
    "rustls",
    "socket2",
    "mio",
    "reqwest",
    "rand",
    "getrandom",
    "chrono",
    "jiff",
    "time",
    "tracing-subscriber",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace is there")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Every file of the repository that is ours, by its path from the root.
fn files() -> Vec<String> {
    fn walk(dir: &Path, root: &Path, out: &mut Vec<String>) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if name.starts_with('.') || matches!(&*name, "target" | "node_modules" | "__pycache__") {
                continue;
            }
            match path.is_dir() {
                true => walk(&path, root, out),
                false => out.extend(path.strip_prefix(root).ok().map(|p| p.to_string_lossy().into_owned())),
            }
        }
    }
    let (root, mut out) = (root(), Vec::new());
    walk(&root, &root, &mut out);
    out.sort_unstable();
    out
}

/// What this compiler builds for. A fresh machine has fetched the packages of no other platform.
fn host() -> String {
    let done = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let told = String::from_utf8_lossy(&done.stdout);
    told.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host").to_owned()
}

/// Of each package, the names it depends on, and of those the ones a build of it needs (not its tests).
fn graph() -> BTreeMap<String, BTreeSet<String>> {
    let done = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--offline",
            "--locked",
            "--filter-platform",
            &host(),
            "--manifest-path",
        ])
        .arg(root().join("Cargo.toml"))
        .output()
        .expect("cargo runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let metadata: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let names: BTreeMap<String, String> =
        metadata["packages"].as_array().expect("packages").iter().map(|p| (text(&p["id"]), text(&p["name"]))).collect();
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in metadata["resolve"]["nodes"].as_array().expect("nodes") {
        let used =
            node["deps"].as_array().expect("deps").iter().filter(|dep| {
                dep["dep_kinds"].as_array().is_some_and(|kinds| kinds.iter().any(|k| k["kind"].is_null()))
            });
        let used = used.map(|dep| names[&text(&dep["pkg"])].clone());
        graph.entry(names[&text(&node["id"])].clone()).or_default().extend(used);
    }
    graph
}

#[test]
fn the_arrows_point_one_way() {
    let graph = graph();
    for (name, allowed) in ARROWS {
        for used in graph[*name].iter().filter(|n| n.starts_with("slip")) {
            assert!(allowed.contains(&used.as_str()), "{name} must not depend on {used}: see ARCHITECTURE.md");
        }
    }
    let known: Vec<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    for name in graph.keys().filter(|n| n.starts_with("slip")) {
        assert!(known.contains(&name.as_str()), "{name} has no place in the table of arrows");
    }
}

#[test]
fn pure_crates_reach_nothing_impure() {
    let graph = graph();
    for name in PURE {
        let mut reached: BTreeSet<&str> = BTreeSet::new();
        let mut next = vec![*name];
        while let Some(one) = next.pop() {
            next.extend(graph.get(one).into_iter().flatten().map(String::as_str).filter(|used| reached.insert(used)));
        }
        for impure in IMPURE {
            assert!(!reached.contains(impure), "{name} reaches {impure}, so it is no longer pure");
        }
    }
    assert!(
        !graph["slip-sim"].contains("hyper"),
        "a stand-in that shares the gateway's HTTP cannot catch its mistakes"
    );
}

#[test]
fn every_provider_has_its_file_and_every_file_is_listed() {
    let ids: BTreeSet<String> = slip_providers::ALL.iter().map(|p| p.id.replace('-', "_")).collect();
    let stems: BTreeSet<String> = files()
        .iter()
        .filter_map(|f| f.strip_prefix("crates/slip-providers/src/")?.strip_suffix(".rs"))
        .filter(|stem| !stem.contains('/') && !matches!(*stem, "lib" | "prelude" | "provider" | "tests"))
        .map(str::to_owned)
        .collect();
    assert_eq!(ids, stems);
}

#[test]
fn every_route_is_documented_with_who_may_call_it() {
    let table = read("docs/api.md");
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    for route in ROUTES {
        let (path, method) = (format!("`{}`", route.public()), route.method.as_str());
        let row = rows.iter().find(|row| row[0] == path && row.get(1) == Some(&method));
        let row = row.unwrap_or_else(|| panic!("docs/api.md does not list {method} {path}"));
        let who = match route.auth {
            Auth::Public => "anybody",
            Auth::Catalogue => "anybody; a key that is sent must be good",
            Auth::Key => "an API key",
            Auth::AnyKey => "an API key or a management key",
            Auth::Management => "a management key",
            Auth::LocalOrManagement => "this machine, or a management key",
        };
        assert_eq!((row.get(2), row.get(3)), (Some(&who), Some(&route.about)), "{method} {path}");
    }
    assert_eq!(rows.len(), ROUTES.len(), "docs/api.md lists a path that is not answered");
}

#[test]
fn no_source_file_is_too_long_and_each_says_what_it_is() {
    for path in files().iter().filter(|f| f.ends_with(".rs") && f.starts_with("crates/")) {
        let text = read(path);
        let lines = text.lines().count();
        assert!(lines <= MAX_LINES, "{path} has {lines} lines: split it by what one opens it for");
        assert!(text.starts_with("//! ") || text.starts_with("#!["), "{path} does not begin by saying what it is");
    }
}

#[test]
fn the_map_is_short_and_every_path_on_it_exists() {
    let map = read("ARCHITECTURE.md");
    let lines = map.lines().count();
    assert!(lines <= MAX_MAP, "ARCHITECTURE.md has {lines} lines");
    let files = files();
    let exists = |path: &str| {
        let within = |file: &String| match path.strip_suffix('/') {
            Some(dir) => format!("/{file}").contains(&format!("/{dir}/")),
            None => format!("/{file}").ends_with(&format!("/{path}")),
        };
        files.iter().any(within)
    };
    let quoted = map.split('`').skip(1).step_by(2);
    let is_path = |word: &&str| {
        !word.starts_with('/')
            && !word.contains([' ', '{', '<', ':'])
            && (word.ends_with('/') || [".rs", ".md", ".toml"].iter().any(|end| word.ends_with(end)))
    };
    for path in quoted.filter(is_path) {
        assert!(exists(path), "ARCHITECTURE.md names a path that is not there: {path}");
    }
    // The code map names our crates and folders at the start of a line.
    for crate_name in ARROWS.iter().map(|(name, _)| *name).chain(["xtask"]) {
        assert!(
            map.lines().any(|l| l.trim_start().starts_with(&format!("{crate_name} "))),
            "{crate_name} is not on the map"
        );
        assert!(exists(&format!("crates/{crate_name}/")), "{crate_name} is on the map only");
    }
}

/// Where the clock and the environment may be read, beside tests and benches.
const READS: &[&str] = &[
    "crates/slip-server/src/clock.rs",
    "crates/slip-wire/src/recordings.rs",
    "crates/slipswitch/src/config.rs",
    "crates/slipswitch/src/main.rs",
    "crates/xtask/src/clients/script.rs",
];

#[test]
fn the_clock_and_the_environment_are_read_where_they_are_said_to_be() {
    let rules = read("clippy.toml");
    for method in ["std::time::Instant::now", "std::time::SystemTime::now", "std::env::var"] {
        assert!(rules.contains(&format!("\"{method}\"")), "clippy.toml no longer forbids {method}");
    }
    assert!(read("Cargo.toml").contains("disallowed_methods = \"deny\""));
    let tests = |path: &str| path.contains("/tests/") || path.contains("/benches/");
    for path in files().iter().filter(|f| f.ends_with(".rs") && f.starts_with("crates/") && !tests(f)) {
        let allows = read(path).contains("allow(clippy::disallowed_methods");
        assert!(!allows || READS.contains(&path.as_str()), "{path} reads the clock or the environment");
    }
}

#[test]
fn every_invariant_names_a_test_that_exists() {
    let map = read("ARCHITECTURE.md");
    let section =
        map.split("## Invariants, by name").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("a section");
    let sources: String = files().iter().filter(|f| f.ends_with(".rs")).map(|f| read(f)).collect();
    let is_test = |word: &&str| {
        word.matches('_').count() > 1 && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    for invariant in section.split("\n- **").skip(1) {
        let name = invariant.split("**").next().unwrap_or_default();
        let tests: Vec<&str> = invariant.split('`').skip(1).step_by(2).filter(is_test).collect();
        assert!(!tests.is_empty(), "{name} names no test");
        for test in tests {
            assert!(sources.contains(&format!("fn {test}(")), "{name} names a test that is not there: {test}");
        }
    }
}

#[test]
fn changes_are_written_down() {
    assert!(read("CHANGELOG.md").lines().any(|l| l == "## Unreleased"));
}
