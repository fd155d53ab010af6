//! The tables of docs/caching.md.

use super::streams::{self, KINDS};
use super::{Found, footprint, replay};
use crate::Library;
use slip_cache::policy::POLICIES;
use std::fmt::Write as _;

/// Room, as a share of everything that is asked for.
pub const ROOM: [f64; 3] = [0.001, 0.01, 0.1];
/// What the default must find of the money at the middle size, beside [`RIVAL`], and how far its hits may be behind the best.
pub const WORTH_GOAL: f64 = 1.10;
pub const HITS_GOAL: f64 = 0.97;
const RIVAL: &str = "w-tinylfu";

/// One stream: of every policy at every size what it found, the mean over the seeds.
pub struct Chapter {
    pub name: &'static str,
    pub about: String,
    /// By size, then by policy, in the order of [`ROOM`] and [`POLICIES`].
    pub found: [Vec<Found>; ROOM.len()],
}

/// What is to be replayed: a kind of generated stream by its place, or after the last the real one.
pub const CHAPTERS: usize = KINDS.len() + 1;

/// Replay one stream with every policy.
pub fn chapter(nth: usize, library: &Library, seeds: &[u64]) -> Chapter {
    let kind = KINDS.get(nth);
    // There is one real trace, so no other seed of it.
    let seeds = if kind.is_some() { seeds } else { seeds.get(..1).unwrap_or_default() };
    let mut found = ROOM.map(|_| vec![Found::default(); POLICIES.len()]);
    for seed in seeds {
        let asks = match kind {
            Some(kind) => kind.stream(&library.chat, *seed),
            None => streams::blocks(library),
        };
        let all = footprint(&asks) as f64;
        for (row, room) in found.iter_mut().zip(ROOM) {
            for (sum, policy) in row.iter_mut().zip(POLICIES) {
                let one = replay(&asks, &mut *(policy.make)((all * room) as u64));
                sum.hits += one.hits / seeds.len() as f64;
                sum.worth += one.worth / seeds.len() as f64;
            }
        }
    }
    let (name, about) = match kind {
        Some(kind) => (kind.name, kind.about.to_owned()),
        None if library.conversations.real => {
            ("blocks", "prefix blocks of Mooncake's conversations, all alike".to_owned())
        }
        None => ("blocks", "prefix blocks of made-up conversations, all alike".to_owned()),
    };
    Chapter { name, about, found }
}

impl Chapter {
    fn best(row: &[Found]) -> f64 {
        row.iter().map(|found| found.hits).fold(0.0, f64::max)
    }

    /// Does the default reach its goals here, and if not, by how much does it not?
    pub fn judged(&self) -> Vec<String> {
        let rival = POLICIES.iter().position(|row| row.name == RIVAL).unwrap_or(0);
        let mut missed = Vec::new();
        for (row, room) in self.found.iter().zip(ROOM) {
            let (Some(ours), Some(theirs)) = (row.first(), row.get(rival)) else { continue };
            let behind = ours.hits / Chapter::best(row);
            if behind < HITS_GOAL {
                missed.push(format!(
                    "{} at {} %: hits are {:.3} of the best policy's",
                    self.name,
                    room * 100.0,
                    behind
                ));
            }
            let worth = ours.worth / theirs.worth;
            // Where everything costs the same, money says nothing that hits do not.
            if room == ROOM[1] && self.name != "blocks" && worth < WORTH_GOAL {
                missed.push(format!(
                    "{} at {} %: finds {worth:.3} of the money {RIVAL} finds",
                    self.name,
                    room * 100.0
                ));
            }
        }
        missed
    }
}

/// The page's tables, and whether the goals were reached.
pub fn markdown(chapters: &[Chapter], seeds: &[u64], sizes: &str) -> String {
    let mut out = String::new();
    let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
    let _ = writeln!(out, "Sizes from {sizes}; seeds {}, their mean.\n", seeds.join(", "));
    let _ = writeln!(out, "| stream | |\n|---|---|");
    for chapter in chapters {
        let _ = writeln!(out, "| {} | {} |", chapter.name, chapter.about);
    }
    for (at, room) in ROOM.iter().enumerate() {
        let _ = writeln!(
            out,
            "\n**Room for {} % of everything**; each cell is the share of requests found / of money found.\n",
            room * 100.0
        );
        let names: Vec<&str> = POLICIES.iter().map(|row| row.name).collect();
        let _ =
            writeln!(out, "| stream | {} | `cost`: money beside {RIVAL} | hits beside the best |", names.join(" | "));
        let _ = writeln!(out, "|---|{}---|---|", "---|".repeat(names.len()));
        for chapter in chapters {
            let Some(row) = chapter.found.get(at) else { continue };
            let cells: Vec<String> = row.iter().map(|f| format!("{:.3} / {:.3}", f.hits, f.worth)).collect();
            let rival = POLICIES.iter().zip(row).find(|(policy, _)| policy.name == RIVAL).map_or(0.0, |(_, f)| f.worth);
            let ours = row.first().copied().unwrap_or_default();
            let (money, hits) = (ours.worth / rival, (ours.hits / Chapter::best(row) - 1.0) * 100.0);
            let _ = writeln!(out, "| {} | {} | × {money:.2} | {hits:+.1} % |", chapter.name, cells.join(" | "));
        }
    }
    let missed: Vec<String> = chapters.iter().flat_map(Chapter::judged).collect();
    let goals = format!(
        "`cost` finds at least {WORTH_GOAL:.2} times the money of {RIVAL} at {} %, and never less than {:.0} % of the requests the best policy finds",
        ROOM[1] * 100.0,
        HITS_GOAL * 100.0
    );
    let _ = match missed.is_empty() {
        true => writeln!(out, "\nGoals: {goals}: reached on every stream."),
        false => writeln!(out, "\nGoals: {goals}. **Not reached:** {}.", missed.join("; ")),
    };
    out
}
