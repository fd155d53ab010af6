//! What an earlier process left behind.

use super::EXTENSION;
use super::frame::{Entries, Entry};
use crate::Error;
use crate::generations::{Failure, Generation};
use crate::place::io;
use slip_ir::FaultKind;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The requests of a process that ended without putting them away.
#[derive(Default)]
pub struct Recovered {
    /// By when they were made. Some may be in the database already.
    pub records: Vec<Generation>,
    /// How many of them were under way: what they used is an estimate.
    pub cut_off: usize,
    /// To be removed once the records are committed.
    files: Vec<PathBuf>,
}

impl Recovered {
    /// Everything in them is committed.
    pub fn forget(self) -> Result<(), Error> {
        self.files.into_iter().try_for_each(|path| std::fs::remove_file(&path).map_err(io(&path)))
    }
}

/// Read the journal of a directory. One that is not there is empty.
pub fn replay(dir: &Path) -> Result<Recovered, Error> {
    let mut files = Vec::new();
    match std::fs::read_dir(dir) {
        Ok(entries) => {
            for entry in entries {
                let path = entry.map_err(io(dir))?.path();
                if path.extension().is_some_and(|e| e == EXTENSION) {
                    files.push(path);
                }
            }
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(source) => return Err(Error::Io { path: dir.to_owned(), source }),
    }
    // In the order they were begun, so that of two entries about an attempt the later one counts.
    files.sort();
    let (mut open, mut closed) = (HashMap::new(), HashMap::new());
    for path in &files {
        let bytes = std::fs::read(path).map_err(io(path))?;
        for entry in Entries(&bytes) {
            match entry {
                Entry::Opened(g) => {
                    open.entry(g.id.clone()).and_modify(|known| later(known, &g)).or_insert(g);
                }
                Entry::Closed(g) => {
                    closed.insert(g.id.clone(), g);
                }
            }
        }
    }
    open.retain(|id, _| !closed.contains_key(id));
    let cut_off = open.len();
    let mut records: Vec<Generation> = closed.into_values().chain(open.into_values().map(cut)).collect();
    records.sort_by(|a, b| (a.created_ms, &a.id).cmp(&(b.created_ms, &b.id)));
    Ok(Recovered { records, cut_off, files })
}

/// More is known of a request under way: how far its answer has come, or that another endpoint was tried.
fn later(known: &mut Generation, said: &Generation) {
    let same = known.attempts.last().map(|a| &a.endpoint) == said.attempts.last().map(|a| &a.endpoint);
    let mut attempts = std::mem::take(&mut known.attempts);
    if !same {
        attempts.extend(said.attempts.iter().cloned());
    }
    *known = Generation { attempts, ..said.clone() };
}

/// The record of a request that nobody saw the end of.
fn cut(g: Generation) -> Generation {
    let message =
        "the gateway ended before the answer was over; what it used is estimated from what had been seen by then";
    Generation {
        status: FaultKind::Internal.status(),
        cancelled: true,
        error: Some(Failure { kind: FaultKind::Internal.reason(), message: message.to_owned() }),
        ..g
    }
}
