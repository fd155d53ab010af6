//! The benchmark beside nginx: the gateway alone on core 0, everything else on core 1, loopback, no TLS.
//!
//! The headline is CPU per request of the gateway's whole process tree, the writing of the records included, because it survives a
//! noisy machine. nginx and slipswitch take turns, and only their ratio within one run means anything.

mod bodies;
mod figures;
mod peers;
mod rig;

use crate::sh::{self, root, run, step};
use anyhow::{Context, Result, bail, ensure};
use bodies::Bodies;
use figures::{Figures, Row};
use peers::{Gateway, Peer, Upstreams};
use rig::{Report, load};
use std::path::{Path, PathBuf};

/// Connections of each scenario and what goes over them.
pub struct Scenario {
    pub name: &'static str,
    pub about: &'static str,
    body: &'static str,
    connections: usize,
    /// Chunks of each reply; zero for one that is not a stream.
    pub chunks: u32,
    /// The multiple of nginx's figure it may cost.
    pub target: Option<f64>,
    /// Who speaks what to slipswitch; nginx cannot translate and is measured on the plain upstream.
    crossing: Crossing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Crossing {
    None,
    /// OpenAI in, Anthropic out.
    Out,
    /// Anthropic in, OpenAI out.
    In,
}

/// Content chunks and the three that end a canned stream arrive as so many writes.
const CHUNKS: u32 = 200;

const fn scenario(name: &'static str, about: &'static str, body: &'static str, connections: usize) -> Scenario {
    Scenario { name, about, body, connections, chunks: 0, target: None, crossing: Crossing::None }
}

const SCENARIOS: &[Scenario] = &[
    scenario("a1", "1 KB in, 1 KB out, 1 connection", "small", 1),
    Scenario { target: Some(2.5), ..scenario("a64", "1 KB in, 1 KB out, 64 connections", "small", 64) },
    Scenario { target: Some(2.0), ..scenario("b", "100 KB in (51 messages), 1 KB out, 16 connections", "large", 16) },
    Scenario { target: Some(2.0), chunks: CHUNKS, ..scenario("c", "streams of 200 chunks, 32 at once", "stream", 32) },
    Scenario {
        target: Some(4.0),
        crossing: Crossing::Out,
        ..scenario("f-a64", "a64, OpenAI in, Anthropic out", "small", 64)
    },
    Scenario {
        target: Some(5.0),
        crossing: Crossing::Out,
        ..scenario("f-b", "b, OpenAI in, Anthropic out", "large", 16)
    },
    Scenario {
        target: Some(3.0),
        chunks: CHUNKS,
        crossing: Crossing::Out,
        ..scenario("f-c", "c, OpenAI in, Anthropic out", "stream", 32)
    },
    Scenario {
        target: Some(4.0),
        crossing: Crossing::In,
        ..scenario("r-a64", "a64, Anthropic in, OpenAI out", "small", 64)
    },
    Scenario {
        target: Some(3.0),
        chunks: CHUNKS,
        crossing: Crossing::In,
        ..scenario("r-c", "c, Anthropic in, OpenAI out", "stream", 32)
    },
];

/// Streams that are held open for the figure of memory.
const IDLE_STREAMS: usize = 1000;

#[derive(clap::Args)]
pub struct Args {
    /// Turns of each scenario; the best counts, because noise only adds.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// Length of one turn in milliseconds.
    #[arg(long, default_value_t = 1500)]
    ms: u64,
    /// Only scenarios with these names (`mem` for the idle streams).
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Measure this binary instead of building one.
    #[arg(long, value_name = "FILE")]
    gateway: Option<PathBuf>,
    /// Append the table to docs/performance.md, under this remark.
    #[arg(long, value_name = "REMARK")]
    record: Option<String>,
}

impl Args {
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|n| n == name)
    }
}

pub fn bench(args: &Args) -> Result<()> {
    for (program, package) in [("nginx", "nginx"), ("sqlite3", "sqlite3"), ("taskset", "util-linux")] {
        sh::debian(program, package)?;
    }
    let built = root().join("target/dist");
    let gateway = match &args.gateway {
        Some(file) => file.clone(),
        None => {
            step("building what would be handed out");
            run("cargo", &["build", "--profile", "dist", "-p", "slipswitch", "--locked"])?;
            built.join("slipswitch")
        }
    };
    run("cargo", &["build", "--release", "-p", "slip-sim", "--bin", "slip-bench", "--locked"])?;
    let ends = root().join("target/release/slip-bench");
    let dir = root().join("target/bench");
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot be made: {}", dir.display()))?;
    let bodies = Bodies::write(&dir)?;
    let upstreams = Upstreams::start(&ends)?;

    let mut figures = Figures { size: std::fs::metadata(&gateway)?.len(), ..Figures::default() };
    if args.wants("mem") {
        step("memory of idle streams");
        figures.memory = memory(&gateway, &ends, &dir, &upstreams, &bodies)?;
    }
    let peers = [
        Peer::direct(&upstreams),
        Peer::nginx(&dir.join("nginx"), &upstreams)?,
        Peer::slipswitch(&gateway, &dir.join("slipswitch"), &upstreams)?,
    ];
    let mut asked = 0;
    for scenario in SCENARIOS.iter().filter(|s| args.wants(s.name)) {
        step(&format!("{}: {}", scenario.name, scenario.about));
        let row = turns(scenario, args, &ends, &peers, &bodies, &mut asked)?;
        println!("{}", row.line());
        figures.rows.push(row);
    }
    let [_, _, slipswitch] = peers;
    let rows = slipswitch.stop_and_count()?;
    ensure!(rows == asked, "void: {asked} requests were answered and {rows} records are in the database");
    println!("\n{rows} requests, {rows} records in the database");
    let table = figures.table();
    println!("\n{table}");
    if let Some(remark) = &args.record {
        figures::record(&root().join("docs/performance.md"), remark, args.gateway.is_none(), args.repeats, &table)?;
    }
    Ok(())
}

/// All turns of one scenario. Everybody asks once before anything counts.
fn turns(
    scenario: &Scenario,
    args: &Args,
    ends: &Path,
    peers: &[Peer; 3],
    bodies: &Bodies,
    asked: &mut u64,
) -> Result<Row> {
    let mut row = Row::new(scenario);
    for turn in 0..=args.repeats {
        for (peer, gateway) in peers.iter().zip([Gateway::Direct, Gateway::Nginx, Gateway::Slipswitch]) {
            if gateway == Gateway::Direct && scenario.connections > 1 {
                continue;
            }
            let crossing = if gateway == Gateway::Slipswitch { scenario.crossing } else { Crossing::None };
            let body = match crossing {
                Crossing::None => bodies.plain(scenario.body),
                Crossing::Out => bodies.translated(scenario.body),
                Crossing::In => bodies.messages(scenario.body),
            };
            let before = peer.cpu_ns()?;
            let ms = if turn == 0 { 300 } else { args.ms };
            let mut target = peer.target(body, scenario.connections, scenario.chunks > 0);
            if crossing == Crossing::In {
                target.path = "/v1/messages";
            }
            let report: Report = load(ends, &target, ms)?;
            peer.wait_until_quiet()?;
            let spent = peer.cpu_ns()?.saturating_sub(before);
            if report.errors > 0 || report.requests == 0 {
                bail!("void: {} of {} requests failed: {}", report.errors, report.requests, report.error);
            }
            if gateway == Gateway::Slipswitch {
                *asked += report.requests;
            }
            if turn > 0 {
                row.add(gateway, spent as f64 / 1e3 / report.requests as f64, &report);
            }
        }
    }
    Ok(row)
}

/// Fresh processes, a few requests to warm them, then streams that fall silent.
fn memory(
    gateway: &Path,
    ends: &Path,
    dir: &Path,
    upstreams: &Upstreams,
    bodies: &Bodies,
) -> Result<Vec<figures::Memory>> {
    let mut found = Vec::new();
    let nginx = Peer::nginx(&dir.join("nginx-idle"), upstreams)?;
    let slipswitch = Peer::slipswitch(gateway, &dir.join("slipswitch-idle"), upstreams)?;
    for (name, peer) in [("nginx", nginx), ("slipswitch", slipswitch)] {
        let fresh = peer.rss_kb()?;
        let warm: Report = load(ends, &peer.target(bodies.plain("small"), 1, false), 300)?;
        ensure!(warm.errors == 0, "void: {}", warm.error);
        peer.wait_until_quiet()?;
        let before = peer.rss_kb()?;
        let held = rig::hold(ends, &peer.silent(bodies, IDLE_STREAMS))?;
        peer.wait_until_quiet()?;
        let holding = peer.rss_kb()?;
        drop(held);
        if name == "slipswitch" {
            let want = warm.requests + IDLE_STREAMS as u64;
            peer.wait_until_quiet()?;
            let rows = peer.stop_and_count()?;
            ensure!(rows == want, "void: {want} requests were begun and {rows} records are in the database");
        }
        found.push(figures::Memory { name, fresh, before, holding, streams: IDLE_STREAMS as u64 });
    }
    Ok(found)
}
