//! The client libraries in their pinned releases, below `target/clients`. What is there and unchanged is not installed again.

use super::place;
use crate::sh::{debian, root, run_in, step};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The interpreter of a virtual environment with everything its list names: `venv` has `requirements.txt`, `venv-litellm` has
/// `requirements-litellm.txt`.
pub fn venv(name: &str) -> Result<PathBuf> {
    let list = format!("requirements{}.txt", name.strip_prefix("venv").unwrap_or_default());
    let list = root().join("tests/clients/python").join(list);
    let home = place().join(name);
    let python = home.join("bin/python");
    let wanted = read(&list)?;
    if python.exists() && is_stamped(&home, &wanted) {
        return Ok(python);
    }
    step(&format!("installing {}", list.display()));
    debian("python3", "python3")?;
    if home.exists() {
        fs::remove_dir_all(&home)?;
    }
    fs::create_dir_all(place())?;
    let make = || run_in(&place(), "python3", &["-m", "venv", name], &[]);
    if make().is_err() {
        // Debian keeps the module that makes them apart from the interpreter.
        let _ = fs::remove_dir_all(&home);
        crate::sh::apt(&["python3-venv"])?;
        make()?;
    }
    let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    let list = list.display().to_string();
    let args: Vec<&str> = quiet.into_iter().chain([list.as_str()]).collect();
    run_in(&home, &python.display().to_string(), &args, &[])?;
    stamp(&home, &wanted)?;
    Ok(python)
}

/// The directory with the scripts and their packages. Scripts are copied there, because Node.js looks for packages beside them.
pub fn node() -> Result<PathBuf> {
    let from = root().join("tests/clients/node");
    let home = place().join("node");
    fs::create_dir_all(&home)?;
    for entry in fs::read_dir(&from).with_context(|| format!("cannot be read: {}", from.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), home.join(entry.file_name()))?;
        }
    }
    let wanted = read(&from.join("package-lock.json"))?;
    if !is_stamped(&home, &wanted) {
        step("installing tests/clients/node/package-lock.json");
        debian("node", "nodejs")?;
        debian("npm", "npm")?;
        run_in(&home, "npm", &["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], &[])?;
        stamp(&home, &wanted)?;
    }
    Ok(home)
}

const STAMP: &str = "installed";

/// Written last: what was broken off is installed again.
fn stamp(home: &Path, wanted: &str) -> Result<()> {
    fs::write(home.join(STAMP), wanted).with_context(|| format!("cannot be written: {}", home.join(STAMP).display()))
}

fn is_stamped(home: &Path, wanted: &str) -> bool {
    fs::read_to_string(home.join(STAMP)).is_ok_and(|have| have == wanted)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot be read: {}", path.display()))
}
