//! Caching simulated: every policy on every stream, and the tables of docs/caching.md. The replay is `slip-lab`'s.

use crate::sim::{Page, library};
use anyhow::{Result, ensure};
use slip_lab::cache::report::{CHAPTERS, Chapter, chapter, markdown};
use std::sync::atomic::{AtomicUsize, Ordering};

const PAGE: Page = Page {
    path: "docs/caching.md",
    begin: "<!-- written by cargo xtask cache-sim --write: begin -->",
    end: "<!-- written by cargo xtask cache-sim --write: end -->",
};
/// The defaults were tuned on streams of other seeds, from [`TUNED_ON`] up.
const TUNED_ON: u64 = 1_000;

#[derive(clap::Args)]
pub struct Args {
    /// Streams generated of each kind.
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Write the tables into docs/caching.md instead of showing them.
    #[arg(long)]
    write: bool,
    /// A folder with azure_llm_2023_conv.csv.gz (sizes) and mooncake_conversation.jsonl.gz (prefix blocks); those that are not there
    /// are made up from a seed.
    #[arg(long, env = "SLIPSWITCH_TRACES")]
    traces: Option<std::path::PathBuf>,
}

pub fn sim(args: &Args) -> Result<()> {
    ensure!((1..TUNED_ON).contains(&args.seeds), "between 1 and {} seeds: the others were tuned on", TUNED_ON - 1);
    let library = library(args.traces.as_deref())?;
    let seeds: Vec<u64> = (1..=args.seeds).collect();
    let (next, hands) = (AtomicUsize::new(0), std::thread::available_parallelism().map_or(1, |n| n.get()));
    let work = || {
        let due = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|nth| *nth < CHAPTERS);
        std::iter::from_fn(|| due().map(|nth| (nth, chapter(nth, &library, &seeds)))).collect::<Vec<_>>()
    };
    let mut done: Vec<(usize, Chapter)> = std::thread::scope(|scope| {
        let hands: Vec<_> = (0..hands).map(|_| scope.spawn(work)).collect();
        hands.into_iter().flat_map(|hand| hand.join().unwrap_or_default()).collect()
    });
    done.sort_by_key(|(nth, _)| *nth);
    let chapters: Vec<Chapter> = done.into_iter().map(|(_, chapter)| chapter).collect();
    let sizes = match library.chat.real {
        true => "Azure's conversation trace of 2023",
        false => "a seeded process",
    };
    let tables = markdown(&chapters, &seeds, sizes);
    match args.write {
        true => PAGE.write(&tables),
        false => {
            println!("{tables}");
            Ok(())
        }
    }
}
