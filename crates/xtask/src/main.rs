//! Chores of the repository: `cargo xtask test | lint | loom | bench | clients | conformance | fuzz | postgres | sim | cache-sim`. Each installs what it needs, below `target/` or
//! from Debian's packages.

mod bench;
mod cache_sim;
mod clients;
mod fuzz;
mod postgres;
mod sh;
mod sim;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use sh::{root, run, step};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of the repository")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything: lint, Rust tests, fuzzing for a few seconds, the clients. What CI runs.
    Test,
    /// Formatting, clippy as errors, and licences and advisories where `cargo deny` is installed.
    Lint,
    /// Every order in which threads can take the locks that guard money.
    Loom,
    /// The real client libraries against a running gateway.
    Clients {
        /// Run only those whose name contains this.
        filter: Option<String>,
    },
    /// Walk the matrix of surfaces, dialects and features, and write docs/conformance.md from what was seen.
    Conformance,
    /// Hunt with each fuzz target for a while, going on from what earlier hunts learnt.
    Fuzz {
        #[arg(long, default_value_t = 5)]
        seconds: u32,
        target: Option<String>,
    },
    /// Run a command beside a Postgres of its own, whose address it finds in SLIPSWITCH_TEST_PG: `-- cargo test -p slip-store`.
    Postgres {
        #[arg(trailing_var_arg = true, required = true)]
        command: Vec<String>,
    },
    /// The benchmark of docs/performance.md, beside nginx in the same run.
    Bench(bench::Args),
    /// Simulate routing: our strategies beside others, in a table of scenarios.
    Sim(sim::Args),
    /// Replay streams of requests against what a cache may keep: our policy beside others.
    CacheSim(cache_sim::Args),
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Test => test(),
        Command::Lint => lint(),
        Command::Loom => loom(),
        Command::Clients { filter } => clients::clients(filter.as_deref()),
        Command::Conformance => conformance(),
        Command::Fuzz { seconds, target } => fuzz::fuzz(fuzz::Effort::Hunt { seconds }, target.as_deref()),
        Command::Postgres { command } => beside_postgres(&command.iter().map(String::as_str).collect::<Vec<_>>()),
        Command::Bench(args) => bench::bench(&args),
        Command::Sim(args) => sim::sim(&args),
        Command::CacheSim(args) => cache_sim::sim(&args),
    }
}

fn test() -> Result<()> {
    lint()?;
    step("Rust tests");
    beside_postgres(&["cargo", "test", "--workspace", "--locked"])?;
    step("every order of the locks");
    loom()?;
    step("fuzzing, a few seconds each");
    fuzz::fuzz(fuzz::Effort::Check { inputs: 30_000 }, None)?;
    step("real clients");
    clients::clients(None)
}

/// Built with other flags, so apart: what is built without them stays.
fn loom() -> Result<()> {
    let target = root().join("target/loom").display().to_string();
    let args = ["test", "--package", "slip-quota", "--lib", "--release", "--locked", "--target-dir", &target, "loom_"];
    sh::run_in(&root(), "cargo", &args, &[("RUSTFLAGS", "--cfg loom")])
}

/// Run something that finds a database in its environment.
fn beside_postgres(command: &[&str]) -> Result<()> {
    let server = postgres::Server::start()?;
    let (program, args) = command.split_first().context("a command is needed")?;
    sh::run_in(&root(), program, args, &[(postgres::VARIABLE, &server.url)])
}

/// The test that compares the page writes it where it is told to.
fn conformance() -> Result<()> {
    let args = ["test", "--package", "slipswitch", "--test", "it", "--locked", "conformance::"];
    sh::run_in(&root(), "cargo", &args, &[("SLIPSWITCH_CONFORMANCE", "write")])
}

fn lint() -> Result<()> {
    step("formatting");
    run("cargo", &["fmt", "--all", "--check"])?;
    step("clippy");
    run("cargo", &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])?;
    if sh::has("cargo-deny") {
        step("licences and advisories");
        run(
            "cargo",
            &[
                "deny",
                "--manifest-path",
                &root().join("Cargo.toml").display().to_string(),
                "check",
                "bans",
                "licenses",
                "sources",
            ],
        )?;
    } else {
        println!("skipped: cargo-deny is not installed (cargo install --locked cargo-deny)");
    }
    Ok(())
}
