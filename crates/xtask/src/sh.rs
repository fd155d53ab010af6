//! Running other programs, loudly and from the repository's root.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

pub fn step(name: &str) {
    println!("\n== {name}");
}

pub fn run(program: &str, args: &[&str]) -> Result<()> {
    run_in(&root(), program, args, &[])
}

pub fn run_in(dir: &Path, program: &str, args: &[&str], env: &[(&str, &str)]) -> Result<()> {
    println!("$ {program} {}", args.join(" "));
    let status = Command::new(program)
        .args(args)
        .envs(env.iter().copied())
        .current_dir(dir)
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("{program} could not be started"))?;
    if !status.success() {
        bail!("{program} {} failed: {status}", args.join(" "));
    }
    Ok(())
}

pub fn has(program: &str) -> bool {
    Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

/// Install the Debian package of a program that is missing, or say what is.
pub fn debian(program: &str, package: &str) -> Result<()> {
    if has(program) {
        return Ok(());
    }
    println!("{program} is missing: installing Debian's {package}");
    apt(&[package])
}

/// Install Debian packages.
pub fn apt(packages: &[&str]) -> Result<()> {
    let sudo: &[&str] = if has("sudo") && !is_root() { &["sudo"] } else { &[] };
    let get = |args: &[&str]| {
        let all: Vec<&str> = [sudo, &["apt-get"], args].concat();
        run(all[0], &all[1..])
    };
    let install = [&["install", "-y", "-qq", "--no-install-recommends"], packages].concat();
    let named = packages.join(", ");
    get(&["update", "-qq"])
        .and_then(|()| get(&install))
        .with_context(|| format!("could not be installed, install by hand: {named}"))
}

pub fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.trim_ascii() == b"0")
}
