//! What was asked and answered, of keys that want it kept: put away by a thread of its own, which begins with the first piece. Its queue
//! is bounded in pieces and bytes; what finds no room is dropped and counted, and no request waits.

mod document;

use crate::App;
use crate::clock;
use bytes::Bytes;
pub use document::{Document, read};
use slip_ir::Dialect;
use slip_store::{Content, Failure, Store};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Pieces on their way to the disk, and their bytes together.
const QUEUE: usize = 1024;
const QUEUE_BYTES: usize = 64 * 1024 * 1024;
/// How often it is looked whose time is up, and how many pieces go at once.
const PURGE: Duration = Duration::from_secs(600);
const PURGED: i64 = 256;
/// Between two such steps others may write.
const BREATH: Duration = Duration::from_millis(20);
/// How long somebody who asks waits for what is on its way.
const PATIENCE: Duration = Duration::from_secs(2);

/// One request's.
pub struct Piece {
    pub id: String,
    pub key_hash: Arc<str>,
    pub until_ms: i64,
    pub dialect: Dialect,
    /// [`slip_ir::Op::name`].
    pub op: &'static str,
    pub request: Bytes,
    /// How long it was.
    pub request_bytes: usize,
    pub reply: Reply,
    pub status: u16,
    /// Display name of who answered or failed last.
    pub provider: Arc<str>,
    pub failure: Option<Failure>,
    /// Attempts that failed: who, with which status, and how.
    pub earlier: Vec<(Arc<str>, Option<u16>, &'static str)>,
}

/// What the caller got, in the caller's dialect.
pub enum Reply {
    None,
    Whole { bytes: Bytes, cut: bool },
    Stream { bytes: Bytes, cut: bool },
}

impl Piece {
    fn size(&self) -> usize {
        let reply = match &self.reply {
            Reply::None => 0,
            Reply::Whole { bytes, .. } | Reply::Stream { bytes, .. } => bytes.len(),
        };
        self.request.len() + reply
    }
}

enum Letter {
    Piece(Box<Piece>),
    /// Everything before it has been dealt with.
    Flush(oneshot::Sender<()>),
}

#[derive(Default)]
struct Counts {
    bytes: AtomicUsize,
    kept: AtomicU64,
    dropped: AtomicU64,
}

pub struct Contents {
    store: Store,
    /// Absent until there is something to keep.
    to_thread: OnceLock<Option<mpsc::Sender<Letter>>>,
    counts: Arc<Counts>,
}

impl Contents {
    pub fn new(store: Store) -> Contents {
        Contents { store, to_thread: OnceLock::new(), counts: Arc::default() }
    }

    /// Put it away, if there is room.
    pub fn put(&self, piece: Piece) {
        let (size, counts) = (piece.size(), &self.counts);
        let room = counts.bytes.fetch_add(size, Ordering::Relaxed).saturating_add(size) <= QUEUE_BYTES;
        let thread = self.to_thread.get_or_init(|| self.begin()).as_ref().filter(|_| room);
        if thread.is_none_or(|thread| thread.try_send(Letter::Piece(Box::new(piece))).is_err()) {
            counts.bytes.fetch_sub(size, Ordering::Relaxed);
            counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Wait a little for what is on its way.
    pub async fn flush(&self) {
        let Some(Some(thread)) = self.to_thread.get() else { return };
        let (done, over) = oneshot::channel();
        let _ = timeout(PATIENCE, async {
            if thread.send(Letter::Flush(done)).await.is_ok() {
                let _ = over.await;
            }
        })
        .await;
    }

    pub fn kept(&self) -> u64 {
        self.counts.kept.load(Ordering::Relaxed)
    }

    /// What found no room, or could not be written.
    pub fn dropped(&self) -> u64 {
        self.counts.dropped.load(Ordering::Relaxed)
    }

    fn begin(&self) -> Option<mpsc::Sender<Letter>> {
        let (to_thread, letters) = mpsc::channel(QUEUE);
        let (store, counts) = (self.store.clone(), self.counts.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let thread = runtime.and_then(|runtime| {
            let run = move || runtime.block_on(work(store, counts, letters));
            std::thread::Builder::new().name("slip-content".into()).spawn(run)
        });
        if let Err(e) = &thread {
            tracing::error!("what is asked and answered cannot be kept: {e}");
        }
        thread.ok().map(|_| to_thread)
    }
}

async fn work(store: Store, counts: Arc<Counts>, mut letters: mpsc::Receiver<Letter>) {
    while let Some(letter) = letters.recv().await {
        match letter {
            Letter::Piece(piece) => {
                let size = piece.size();
                let content =
                    Content { generation: piece.id.clone(), until_ms: piece.until_ms, body: document::write(&piece) };
                let counter = match store.put_content_of(&piece.key_hash, content).await {
                    Ok(()) => &counts.kept,
                    Err(e) => {
                        tracing::warn!("what was asked and answered could not be kept: {e}");
                        &counts.dropped
                    }
                };
                counter.fetch_add(1, Ordering::Relaxed);
                counts.bytes.fetch_sub(size, Ordering::Relaxed);
            }
            Letter::Flush(done) => {
                let _ = done.send(());
            }
        }
    }
}

/// Remove what is due, for as long as the process lives.
pub async fn purge(app: Arc<App>) {
    loop {
        loop {
            match app.store.purge_content(clock::unix_ms_signed(), PURGED).await {
                Ok(gone) if gone as i64 >= PURGED => tokio::time::sleep(BREATH).await,
                Ok(_) => break,
                Err(e) => {
                    tracing::warn!("kept content whose time is up could not be removed: {e}");
                    break;
                }
            }
        }
        tokio::time::sleep(PURGE).await;
    }
}
