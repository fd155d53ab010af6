//! Entries on the disk itself, for who wants them to outlive a loss of power. One thread syncs; everybody who wrote while it did is
//! served by its next sync, so that a busy disk has no more to do than a quiet one.

use super::Segment;
use crate::Error;
use std::fs::File;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, ready};
use std::thread;
use tokio::sync::oneshot;

/// Puts on the disk what was written to a file. Another one in tests.
pub type Sync = Box<dyn Fn(&File) -> io::Result<()> + Send>;

/// Who waits for what to be on the disk. There are no more of them than requests under way.
type Letter = (Arc<Segment>, oneshot::Sender<bool>);

pub struct Syncer {
    waiting: mpsc::Sender<Letter>,
    sight: Arc<Sight>,
}

#[derive(Default)]
struct Sight {
    syncs: AtomicU64,
    broke: AtomicBool,
}

/// Ready when an entry is on the disk (`true`), or when it is known that nobody can say so.
#[derive(Debug, Default)]
pub struct OnDisk(Option<oneshot::Receiver<bool>>);

impl OnDisk {
    /// Nobody need wait.
    pub fn is_there(&self) -> bool {
        self.0.is_none()
    }
}

impl Future for OnDisk {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        // Nobody asked for more than the page cache.
        let Some(told) = &mut self.0 else { return Poll::Ready(true) };
        let kept = ready!(Pin::new(told).poll(cx)).unwrap_or(false);
        self.0 = None;
        Poll::Ready(kept)
    }
}

impl Syncer {
    /// Of the files of this directory.
    pub fn start(dir: PathBuf, sync: Sync) -> Result<Syncer, Error> {
        let (waiting, letters) = mpsc::channel();
        let sight = Arc::new(Sight::default());
        let seen = sight.clone();
        let run = move || run(&letters, &dir, &sync, &seen);
        let started = thread::Builder::new().name("slip-sync".into()).spawn(run);
        started.map_err(|source| Error::Io { path: "slip-sync".into(), source })?;
        Ok(Syncer { waiting, sight })
    }

    /// Everything written to this file so far.
    pub fn wait(&self, segment: &Arc<Segment>) -> OnDisk {
        let (tell, told) = oneshot::channel();
        // A thread that is gone drops the letter, which says no.
        let _ = self.waiting.send((segment.clone(), tell));
        OnDisk(Some(told))
    }

    /// The disk did not keep what it was given. What it then says of anything written before is not to be believed, so it is not
    /// asked again: https://wiki.postgresql.org/wiki/Fsync_Errors
    pub fn broke(&self) -> bool {
        self.sight.broke.load(Ordering::Acquire)
    }

    #[cfg(test)]
    pub fn syncs(&self) -> u64 {
        self.sight.syncs.load(Ordering::Acquire)
    }
}

fn run(letters: &mpsc::Receiver<Letter>, dir: &PathBuf, sync: &Sync, sight: &Sight) {
    while let Ok(first) = letters.recv() {
        let waiting: Vec<Letter> = std::iter::once(first).chain(letters.try_iter()).collect();
        let mut done: Vec<(Arc<Segment>, bool)> = Vec::new();
        for (segment, tell) in waiting {
            let known = done.iter().find(|(other, _)| Arc::ptr_eq(other, &segment)).map(|(_, kept)| *kept);
            let kept = known.unwrap_or_else(|| {
                let kept = !sight.broke.load(Ordering::Acquire) && put(&segment, dir, sync).is_ok();
                sight.syncs.fetch_add(1, Ordering::AcqRel);
                if !kept {
                    sight.broke.store(true, Ordering::Release);
                }
                done.push((segment, kept));
                kept
            });
            // Whoever waited may have gone.
            let _ = tell.send(kept);
        }
    }
}

/// A file, and once that it is there.
fn put(segment: &Segment, dir: &PathBuf, sync: &Sync) -> io::Result<()> {
    sync(&segment.file)?;
    if !segment.listed.swap(true, Ordering::AcqRel) {
        sync(&File::open(dir)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Scratch, opening};
    use super::super::{Journal, replay};
    use super::*;
    use std::time::Duration;

    /// A disk on which a sync takes its time.
    fn slow() -> Sync {
        Box::new(|file| {
            thread::sleep(Duration::from_millis(5));
            file.sync_data()
        })
    }

    #[test]
    fn many_who_wait_are_served_by_few_syncs() {
        let scratch = Scratch::new("sync");
        let journal = Arc::new(Journal::begin(&scratch.0).expect("begin").synced_by(slow()).expect("a thread"));
        let writers: Vec<_> = (0..16)
            .map(|n| {
                let journal = journal.clone();
                thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
                    // Held, so that no file goes.
                    let mut held = Vec::new();
                    for m in 0..25 {
                        let segment = journal.open(&opening(&format!("g-{n}-{m}"))).expect("written");
                        assert!(runtime.block_on(journal.on_disk(&segment)));
                        held.push(segment);
                    }
                    held
                })
            })
            .collect();
        let held: Vec<_> = writers.into_iter().flat_map(|writer| writer.join().expect("no panic")).collect();
        let syncs = journal.syncer.as_ref().expect("there").syncs();
        assert!((25..400).contains(&syncs), "{syncs} for 400 entries in eight files");
        journal.keep();
        drop((held, journal));
        assert_eq!(replay(&scratch.0).expect("replay").records.len(), 400);
    }

    #[tokio::test]
    async fn a_disk_that_kept_something_not_is_never_believed_again() {
        let scratch = Scratch::new("broke");
        let (count, counted) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let tries = counted.clone();
        let failing = count.clone();
        let sync: Sync = Box::new(move |_| {
            tries.fetch_add(1, Ordering::SeqCst);
            match failing.load(Ordering::SeqCst) {
                0 => Ok(()),
                _ => Err(io::Error::from_raw_os_error(5)),
            }
        });
        let journal = Journal::begin(&scratch.0).expect("begin").synced_by(sync).expect("a thread");
        let segment = journal.open(&opening("a")).expect("written");
        assert!(journal.on_disk(&segment).await && !journal.refuses());
        assert_eq!(counted.load(Ordering::SeqCst), 2, "the file and, once, its directory");
        assert!(journal.on_disk(&segment).await);
        assert_eq!(counted.load(Ordering::SeqCst), 3);
        count.store(1, Ordering::SeqCst);
        assert!(!journal.on_disk(&segment).await);
        count.store(0, Ordering::SeqCst);
        assert!(!journal.on_disk(&segment).await, "it would say yes now, and be wrong");
        assert_eq!(counted.load(Ordering::SeqCst), 4);
        assert!(journal.open(&opening("b")).is_err() && journal.refuses() && journal.refuses());
    }

    #[tokio::test]
    async fn who_did_not_ask_for_it_waits_for_no_disk() {
        let scratch = Scratch::new("unasked");
        let journal = Journal::begin(&scratch.0).expect("begin");
        let segment = journal.open(&opening("a")).expect("written");
        assert!(journal.on_disk(&segment).await);
    }
}
