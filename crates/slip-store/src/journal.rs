//! The write-ahead journal: what is under way and what is not yet in the database, in files of the data directory.
//!
//! An entry is one `write` into the page cache: it survives the end of this process however that comes about (`kill -9`
//! included), and nobody waits for a disk. The database is fed from it: a file goes when everything in it has been committed.
//! What is found at start is told by [`replay`]: records that were complete are put away, requests that were under way are
//! closed with what is known of them.
//!
//! One file per shard of threads is written at a time; past [`SEGMENT`] bytes the next one begins. A file is held by whatever
//! needs it (a request that opened in it, a record that waits for the database) and removed when nothing does.

mod frame;
mod replay;
mod sync;

pub(crate) use replay::replay;
pub use sync::OnDisk;

use crate::generations::Generation;
use crate::place::{io, make_dir, private};
use crate::{Error, Full};
use frame::Draft;
use slip_ir::Nano;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use sync::{Sync, Syncer};

/// Bytes after which a new file is begun.
const SEGMENT: u64 = 4 * 1024 * 1024;
/// Threads share this many files, so that two rarely meet at one.
const SHARDS: usize = 8;

/// What is known of a request when it is about to be sent upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opening<'a> {
    pub id: &'a str,
    pub created_ms: i64,
    pub key_hash: Option<&'a str>,
    pub workspace: &'a str,
    pub member: Option<&'a str>,
    pub model: &'a str,
    pub provider_slug: &'a str,
    pub provider_name: &'a str,
    /// Tag of the endpoint.
    pub endpoint: &'a str,
    pub dialect_in: &'a str,
    pub byok: bool,
    /// Tokens of the prompt, estimated, and of the answer so far.
    pub prompt_tokens: u64,
    pub output_tokens: u64,
    /// What it costs if no more than this is ever known: the prompt, and the answer so far.
    pub cost: Nano,
    pub cost_known: bool,
}

/// Where entries are written.
pub(crate) struct Journal {
    shards: [Mutex<Option<Arc<Segment>>>; SHARDS],
    house: Arc<House>,
    next: AtomicU64,
    /// Tells its files from those of every other process.
    mine: u64,
    /// An entry could not be written, and none has been tried since to see whether it can.
    refused: AtomicBool,
    /// Where entries are to be on the disk before a request goes on.
    syncer: Option<Syncer>,
}

/// What all files have in common.
struct House {
    dir: PathBuf,
    /// Something in them never reached the database: they stay for the next start.
    keep: AtomicBool,
}

/// One file. Removed when the last of its holders lets go.
pub(crate) struct Segment {
    file: File,
    path: PathBuf,
    written: AtomicU64,
    /// Its name is on the disk as well.
    listed: AtomicBool,
    house: Arc<House>,
}

impl Drop for Segment {
    fn drop(&mut self) {
        if !self.house.keep.load(Ordering::Acquire) {
            // One that stays is read again at the next start, and nothing in it is counted twice.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Journal {
    /// Begin in this directory. What an earlier process left in it must have been replayed.
    pub fn begin(dir: &Path) -> Result<Journal, Error> {
        make_dir(dir)?;
        let house = Arc::new(House { dir: dir.to_owned(), keep: AtomicBool::new(false) });
        let mut mine = [0; 8];
        getrandom::fill(&mut mine).expect("the operating system gives random bytes");
        let (next, mine) = (AtomicU64::new(0), u64::from_le_bytes(mine));
        let journal =
            Journal { shards: Default::default(), house, next, mine, refused: AtomicBool::new(false), syncer: None };
        // A directory that cannot be written to is better known before the first request.
        drop(journal.segment(0)?);
        Ok(journal)
    }

    /// Entries outlive a loss of power too: see [`Journal::on_disk`].
    pub fn durable(self) -> Result<Journal, Error> {
        self.synced_by(Box::new(File::sync_data))
    }

    fn synced_by(self, sync: Sync) -> Result<Journal, Error> {
        let syncer = Syncer::start(self.house.dir.clone(), sync)?;
        Ok(Journal { syncer: Some(syncer), ..self })
    }

    /// Wait for what was written to this file, if that is wanted.
    pub fn on_disk(&self, segment: &Arc<Segment>) -> OnDisk {
        self.syncer.as_ref().map_or_else(OnDisk::default, |syncer| syncer.wait(segment))
    }

    /// A request is about to be sent upstream. The file must be held until its record is committed.
    pub fn open(&self, opening: &Opening<'_>) -> Result<Arc<Segment>, Full> {
        self.write(Draft::opened(opening).finish())
    }

    /// A request is over. `detail` is the record's JSON.
    pub fn close(&self, record: &Generation, detail: &str) -> Result<Arc<Segment>, Full> {
        self.write(Draft::closed(record, detail).finish())
    }

    /// Remove nothing any more.
    pub fn keep(&self) {
        self.house.keep.store(true, Ordering::Release);
    }

    /// Whether it cannot be written to. Where that was so, it is tried: somebody who is told so sends nothing that would.
    pub fn refuses(&self) -> bool {
        if !self.refused.load(Ordering::Relaxed) {
            return false;
        }
        let refused = self.put(Draft::tried().finish()).is_err();
        self.refused.store(refused, Ordering::Relaxed);
        refused
    }

    fn write(&self, entry: Vec<u8>) -> Result<Arc<Segment>, Full> {
        self.put(entry).inspect_err(|_| self.refused.store(true, Ordering::Relaxed))
    }

    /// One entry, in one call of the operating system: it is there whole or, when the disk is full, in part; then the rest of
    /// that file is not used, and reading finds its way past the part.
    fn put(&self, entry: Vec<u8>) -> Result<Arc<Segment>, Full> {
        if self.syncer.as_ref().is_some_and(Syncer::broke) {
            return Err(Full);
        }
        let shard = shard();
        let segment = self.segment(shard).map_err(|_| Full)?;
        if (&segment.file).write_all(&entry).is_err() {
            self.rotate(shard, &segment);
            return Err(Full);
        }
        let before = segment.written.fetch_add(entry.len() as u64, Ordering::Relaxed);
        if before + entry.len() as u64 > SEGMENT {
            self.rotate(shard, &segment);
        }
        Ok(segment)
    }

    fn segment(&self, shard: usize) -> Result<Arc<Segment>, Error> {
        let mut place = self.shard(shard);
        if let Some(segment) = &*place {
            return Ok(segment.clone());
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.house.dir.join(format!("{number:08}-{:016x}.{EXTENSION}", self.mine));
        let file = private().append(true).create_new(true).open(&path).map_err(io(&path))?;
        let segment = Arc::new(Segment {
            file,
            path,
            written: AtomicU64::new(0),
            listed: AtomicBool::new(false),
            house: self.house.clone(),
        });
        *place = Some(segment.clone());
        Ok(segment)
    }

    /// The next entry of this shard begins a new file, unless somebody saw to that already.
    fn rotate(&self, shard: usize, full: &Arc<Segment>) {
        let old = self.shard(shard).take_if(|segment| Arc::ptr_eq(segment, full));
        drop(old); // which may remove a file, so outside the lock
    }

    fn shard(&self, shard: usize) -> MutexGuard<'_, Option<Arc<Segment>>> {
        self.shards[shard % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What files of the journal are called.
const EXTENSION: &str = "journal";

/// The shard of this thread.
fn shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
    }
    MINE.with(|mine| *mine)
}

#[cfg(test)]
mod tests;
