//! Routing simulated: every policy in every scenario, and the tables of docs/routing.md. The simulation is `slip-lab`'s; here are the
//! traces, the processors and the page.

use crate::sh::root;
use anyhow::{Context, Result, ensure};
use slip_lab::report::{Chapter, Report};
use slip_lab::scenario::ALONE;
use slip_lab::tally::Figure;
use slip_lab::traffic::Kind;
use slip_lab::{Entry, Library, SCENARIOS, Scenario, policies};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

const PAGE: Page = Page {
    path: "docs/routing.md",
    begin: "<!-- written by cargo xtask sim --write: begin -->",
    end: "<!-- written by cargo xtask sim --write: end -->",
};

/// A page of which what stands between two lines is written by `--write`.
pub(crate) struct Page {
    pub path: &'static str,
    pub begin: &'static str,
    pub end: &'static str,
}

#[derive(clap::Args)]
pub struct Args {
    /// Only scenarios whose name contains one of these.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only policies whose name contains one of these.
    #[arg(long, value_delimiter = ',')]
    policy: Vec<String>,
    /// Runs of each, with different dice and another piece of the trace.
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Write the tables into docs/routing.md instead of showing them.
    #[arg(long)]
    write: bool,
    /// Just the summary and the targets.
    #[arg(long)]
    brief: bool,
    /// A folder with azure_llm_2023_conv.csv.gz, azure_llm_2023_code.csv.gz and mooncake_conversation.jsonl.gz; those that are not
    /// there are made up from a seed.
    #[arg(long, env = "SLIPSWITCH_TRACES")]
    traces: Option<std::path::PathBuf>,
}

pub fn sim(args: &Args) -> Result<()> {
    ensure!(
        !args.write || args.only.is_empty() && args.policy.is_empty(),
        "the page has everything: no --only, no --policy"
    );
    let library = library(args.traces.as_deref())?;
    let named = |name: &str, words: &[String]| words.is_empty() || words.iter().any(|w| name.contains(w.as_str()));
    let scenarios: Vec<&'static Scenario> = SCENARIOS.iter().filter(|s| named(s.name, &args.only)).collect();
    let entries: Vec<Entry> = policies::all().into_iter().filter(|e| named(e.name, &args.policy)).collect();
    let default = policies::ours::entries().next().context("there is a default")?;
    let mut report = Report {
        chapters: chapters(&library, &scenarios, &entries, args.seeds),
        alone: f64::NAN,
        default: default.name,
        seeds: args.seeds,
        traffic: traffic(&library),
    };
    if scenarios.iter().any(|s| s.traffic == Kind::Conversations) {
        let alone = policies::POLICIES.first().context("there is a policy")?;
        report.alone = ALONE.once(&library, alone, 1).get(Figure::Reuse);
    }
    match args.write {
        true => PAGE.write(&report.markdown(!args.brief)),
        false => {
            println!("{}", report.markdown(!args.brief));
            Ok(())
        }
    }
}

/// Runs share nothing, so each processor takes the next that is due.
fn chapters(library: &Library, scenarios: &[&'static Scenario], entries: &[Entry], seeds: u64) -> Vec<Chapter> {
    let jobs: Vec<(usize, Entry)> =
        (0..scenarios.len()).flat_map(|at| entries.iter().map(move |entry| (at, *entry))).collect();
    let (next, hands) = (AtomicUsize::new(0), std::thread::available_parallelism().map_or(1, |n| n.get()));
    let work = || {
        let due = || jobs.get(next.fetch_add(1, Ordering::Relaxed)).copied();
        let run = |(at, entry): (usize, Entry)| Some((at, entry, scenarios.get(at)?.runs(library, &entry, seeds)));
        std::iter::from_fn(due).filter_map(run).collect::<Vec<_>>()
    };
    let done: Vec<_> = std::thread::scope(|scope| {
        let hands: Vec<_> = (0..hands).map(|_| scope.spawn(work)).collect();
        hands.into_iter().flat_map(|hand| hand.join().unwrap_or_default()).collect()
    });
    let chapter = |(at, scenario): (usize, &&'static Scenario)| Chapter {
        scenario,
        rows: entries
            .iter()
            .filter_map(|entry| {
                let same = |(place, of, _): &&(usize, Entry, _)| {
                    *place == at && (of.name, of.ours) == (entry.name, entry.ours)
                };
                done.iter().find(same).map(|(_, entry, runs)| (*entry, runs.clone()))
            })
            .collect(),
    };
    scenarios.iter().enumerate().map(chapter).collect()
}

pub(crate) fn library(folder: Option<&Path>) -> Result<Library> {
    let read = |name: &str| -> Result<Option<String>> {
        let Some(path) = folder.map(|f| f.join(name)).filter(|p| p.exists()) else { return Ok(None) };
        let done = Command::new("gzip").arg("-dc").arg(&path).output().context("gzip could not be started")?;
        ensure!(done.status.success(), "gzip could not read {}", path.display());
        Ok(Some(String::from_utf8(done.stdout)?))
    };
    let (chat, code, conversations) = (
        read("azure_llm_2023_conv.csv.gz")?,
        read("azure_llm_2023_code.csv.gz")?,
        read("mooncake_conversation.jsonl.gz")?,
    );
    Library::new(chat.as_deref(), code.as_deref(), conversations.as_deref()).map_err(anyhow::Error::msg)
}

fn traffic(library: &Library) -> String {
    let of = |real: bool, name: &str| if real { format!("{name} (real)") } else { "a seeded process".to_owned() };
    format!(
        "chat from {}, code from {}, conversations from {}",
        of(library.chat.real, "Azure's conversation trace of 2023"),
        of(library.code.real, "Azure's code trace of 2023"),
        of(library.conversations.real, "Mooncake's conversation trace"),
    )
}

impl Page {
    pub(crate) fn write(&self, tables: &str) -> Result<()> {
        let Page { path, begin, end } = self;
        let file = root().join(path);
        let page = std::fs::read_to_string(&file).with_context(|| *path)?;
        let parts = page.split_once(begin).and_then(|(before, rest)| Some((before, rest.split_once(end)?.1)));
        let (before, after) = parts.with_context(|| format!("{path} has no lines {begin} and {end}"))?;
        std::fs::write(&file, format!("{before}{begin}\n\n{}\n\n{end}{after}", tables.trim()))?;
        println!("wrote {path}");
        Ok(())
    }
}
