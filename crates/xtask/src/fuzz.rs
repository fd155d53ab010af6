//! The fuzz targets of `fuzz/`, on stable Rust: libFuzzer with the coverage instrumentation the compiler already has.

use crate::sh::{root, run_in};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// Coverage feedback without nightly: these passes are LLVM's and need no unstable flag.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
                     -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

/// How long each target is fed.
#[derive(Clone, Copy)]
pub enum Effort {
    /// This many inputs from a fixed seed, starting from the seeds in the repository alone: the same every time, so that a
    /// change is judged by what it changed and not by luck.
    Check { inputs: u32 },
    /// For so long, with new dice, starting from all that was learnt before.
    Hunt { seconds: u32 },
}

pub fn fuzz(effort: Effort, only: Option<&str>) -> Result<()> {
    let dir = root().join("fuzz");
    let target_dir = root().join("target/fuzz");
    let triple = host()?;
    // A target is named so that build scripts and macros, which run here, are not instrumented.
    let target_dir_text = target_dir.display().to_string();
    run_in(
        &dir,
        "cargo",
        &["build", "--release", "--bins", "--target", &triple, "--target-dir", &target_dir_text],
        &[("RUSTFLAGS", FLAGS)],
    )?;
    let targets: Vec<String> = names(&dir)?.into_iter().filter(|t| only.is_none_or(|o| o == t)).collect();
    if targets.is_empty() {
        bail!("no such fuzz target: {}", only.unwrap_or_default());
    }
    for target in &targets {
        let binary = target_dir.join(&triple).join("release").join(target);
        let corpus = target_dir.join("corpus").join(target);
        let finds = target_dir.join("finds").join(target);
        std::fs::create_dir_all(&corpus)?;
        std::fs::create_dir_all(&finds)?;
        let seeds = dir.join("seeds").join(target).display().to_string();
        let (folders, length) = match effort {
            Effort::Check { inputs } => {
                // What is learnt on the way goes into a folder that is new each time.
                let fresh = target_dir.join("check").join(target);
                let _ = std::fs::remove_dir_all(&fresh);
                std::fs::create_dir_all(&fresh)?;
                ([fresh.display().to_string(), seeds], [format!("-runs={inputs}"), "-seed=1".to_owned()])
            }
            Effort::Hunt { seconds } => {
                let endless = "-runs=-1".to_owned();
                ([corpus.display().to_string(), seeds], [format!("-max_total_time={seconds}"), endless])
            }
        };
        let [learnt, seeds] = folders;
        let [length, dice] = length;
        let args = [
            learnt,
            seeds,
            length,
            dice,
            "-timeout=5".to_owned(),
            "-rss_limit_mb=1024".to_owned(),
            "-print_final_stats=1".to_owned(),
            "-verbosity=0".to_owned(),
            format!("-artifact_prefix={}/", finds.display()),
        ];
        let out =
            Command::new(&binary).args(&args).current_dir(&dir).output().context("a fuzz target could not start")?;
        let told = String::from_utf8_lossy(&out.stderr);
        if !out.status.success() {
            println!("{told}");
            bail!("fuzz target {target} failed: what broke it is in {}", finds.display());
        }
        let runs = told.lines().find_map(|l| l.strip_prefix("stat::number_of_executed_units:")).unwrap_or(" ?");
        println!("{}: {} inputs, none broke it", target, runs.trim());
    }
    Ok(())
}

fn names(dir: &std::path::Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir.join("targets"))? {
        let path: PathBuf = entry?.path();
        if path.extension().is_some_and(|e| e == "rs")
            && let Some(stem) = path.file_stem().and_then(|s| s.to_str())
        {
            names.push(stem.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn host() -> Result<String> {
    let out = Command::new("rustc").arg("-vV").output().context("rustc could not be asked for its host")?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let line = text.lines().find_map(|l| l.strip_prefix("host: ")).context("rustc names no host")?;
    Ok(line.to_owned())
}
