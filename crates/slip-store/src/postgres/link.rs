//! One connection that comes back: opened when it is needed, dropped when it is lost, and left alone for a while when it cannot be had.
//!
//! The library is asynchronous, and the store's threads are not: each connection has a small runtime of its own, driven while
//! somebody waits for an answer. Every wait is bounded, on this side as well as on the server's.

use super::tls::Tls;
use super::url::{DatabaseUrl, Target};
use crate::database::Trouble;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::time::{Instant, sleep};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error};

/// For one piece of work. Longer than [`BEGIN`] allows the server, which answers first as long as it answers at all.
const PATIENCE: Duration = Duration::from_secs(8);
/// Between two attempts to connect: doubled each time, up to the longest.
const FIRST_REST: Duration = Duration::from_millis(100);
const LONGEST_REST: Duration = Duration::from_secs(5);

/// Nothing of a session is relied upon, and nothing left behind in one: a pooler that hands out a connection per transaction may
/// stand between.
pub(super) const BEGIN: &str = "BEGIN; SET LOCAL statement_timeout = '5s'; SET LOCAL lock_timeout = '4s'";
const BEGIN_SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = '60s'; SET LOCAL idle_in_transaction_session_timeout = '60s'";

/// Where to connect, and how.
pub(super) struct Server {
    target: Target,
    tls: Tls,
}

impl Server {
    pub fn new(url: &DatabaseUrl) -> Result<Server, Trouble> {
        let target = url.target().map_err(Trouble)?;
        let tls = Tls::new(target.authority.as_deref()).map_err(Trouble)?;
        Ok(Server { target, tls })
    }

    pub fn shown(&self) -> &str {
        &self.target.shown
    }
}

/// Why no connection could be had.
pub(super) struct Refused {
    pub why: Trouble,
    /// It may be different in a moment: the server is not there, or not ready.
    pub passing: bool,
}

pub(super) struct Link {
    server: Arc<Server>,
    open: Option<Open>,
    /// Why the last attempt to connect failed, how long to leave it alone, and until when.
    resting: Option<(Trouble, Duration, Instant)>,
    /// Inside a transaction that lasts over several pieces of work.
    snapshot: bool,
}

/// An open connection. Its runtime carries the bytes.
struct Open {
    client: Client,
    runtime: Option<Runtime>,
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // This may be the thread of another runtime, where waiting is not allowed.
            runtime.shutdown_background();
        }
    }
}

impl Link {
    pub fn new(server: Arc<Server>) -> Link {
        Link { server, open: None, resting: None, snapshot: false }
    }

    /// Connect now.
    pub fn connect(&mut self) -> Result<(), Refused> {
        let broken = |why: String| Refused { why: Trouble(why), passing: false };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| broken(format!("a runtime could not be started: {e}")))?;
        let Server { target, tls } = &*self.server;
        // A host may have several addresses, each with a time limit of its own.
        let connected = runtime.block_on(within(PATIENCE, target.config.connect(tls.clone())));
        match connected {
            Some(Ok((client, connection))) => {
                runtime.spawn(async move {
                    // Whoever waits for an answer is told.
                    let _ = connection.await;
                });
                self.open = Some(Open { client, runtime: Some(runtime) });
                self.resting = None;
                Ok(())
            }
            Some(Err(e)) => {
                let passing = is_gone(&e) && !is_about_trust(&e);
                Err(Refused { why: self.told(&e), passing })
            }
            None => {
                runtime.shutdown_background();
                Err(Refused { why: Trouble(format!("{}: does not answer", self.server.shown())), passing: true })
            }
        }
    }

    /// Do a piece of work: everything it says to the server in one transaction ([`alone`]), or, if the connection was lost since it
    /// was last used, once more. The work must bear being done twice: an answer may get lost after the deed.
    pub fn run<T>(&mut self, work: impl AsyncFn(&Client, Bounds) -> Result<T, Error>) -> Result<T, Trouble> {
        let kept = self.open.is_some();
        match self.once(&work) {
            Err(Lost { gone: true, .. }) if kept && !self.snapshot => self.once(&work).map_err(|lost| lost.why),
            done => done.map_err(|lost| lost.why),
        }
    }

    fn once<T>(&mut self, work: &impl AsyncFn(&Client, Bounds) -> Result<T, Error>) -> Result<T, Lost> {
        self.wake()?;
        let lost = |why: Trouble, gone| Err(Lost { why, gone });
        let bounds = if self.snapshot { Bounds::Given } else { Bounds::Own };
        let Some(Open { client, runtime: Some(runtime) }) = &self.open else {
            return lost(Trouble("no connection".to_owned()), true);
        };
        let patience = if self.snapshot { PATIENCE * 8 } else { PATIENCE };
        match runtime.block_on(within(patience, work(client, bounds))) {
            Some(Ok(value)) => Ok(value),
            Some(Err(e)) => {
                let gone = is_gone(&e);
                if gone {
                    self.open = None;
                }
                lost(self.told(&e), gone)
            }
            None => {
                self.open = None;
                lost(Trouble(format!("{}: does not answer", self.server.shown())), false)
            }
        }
    }

    /// A connection, unless the last attempt failed a moment ago.
    fn wake(&mut self) -> Result<(), Lost> {
        if self.open.is_some() {
            return Ok(());
        }
        if self.snapshot {
            return Err(Lost { why: Trouble("the connection was lost".to_owned()), gone: true });
        }
        let rest = match &self.resting {
            None => FIRST_REST,
            Some((why, _, until)) if Instant::now() < *until => return Err(Lost { why: why.clone(), gone: false }),
            Some((_, rest, _)) => (*rest * 2).min(LONGEST_REST),
        };
        self.connect().map_err(|refused| {
            self.resting = Some((refused.why.clone(), rest, Instant::now() + spread(rest)));
            Lost { why: refused.why, gone: false }
        })
    }

    /// Let all work until [`Link::end_snapshot`] see the database as it is now.
    pub fn begin_snapshot(&mut self) -> Result<(), Trouble> {
        self.run(async |client, _| client.batch_execute(BEGIN_SNAPSHOT).await)?;
        self.snapshot = true;
        Ok(())
    }

    pub fn end_snapshot(&mut self) {
        // It only read.
        let _ = self.run(async |client, _| client.batch_execute("ROLLBACK").await);
        self.snapshot = false;
    }

    pub fn shown(&self) -> &str {
        self.server.shown()
    }

    /// What the server or the library said, and where. Neither quotes a password or a row.
    fn told(&self, e: &Error) -> Trouble {
        let mut text = format!("{}: ", self.server.shown());
        match e.as_db_error() {
            Some(db) => text.push_str(&format!("{} ({})", db.message(), db.code().code())),
            None => {
                text.push_str(&e.to_string());
                let mut cause = std::error::Error::source(e);
                while let Some(why) = cause {
                    text.push_str(&format!(": {why}"));
                    cause = why.source();
                }
            }
        }
        if is_about_trust(e) {
            text.push_str(
                " (sslrootcert=FILE in the address names the authority to trust; sslmode=disable does without TLS)",
            );
        }
        Trouble(text)
    }
}

struct Lost {
    why: Trouble,
    /// The connection was no good any more.
    gone: bool,
}

/// Whether work begins and ends its transaction itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bounds {
    Own,
    Given,
}

/// One statement in a transaction of its own, and in one round trip: what begins and ends it is sent along.
pub(super) async fn alone<T>(
    client: &Client,
    bounds: Bounds,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    if bounds == Bounds::Given {
        return work.await;
    }
    // Sent in this order; after an error the server makes a rollback of the commit.
    let (begun, done, ended) = tokio::join!(biased; client.batch_execute(BEGIN), work, client.batch_execute("COMMIT"));
    begun?;
    let value = done?;
    ended?;
    Ok(value)
}

/// Between three quarters of it and all of it, so that many gateways do not come back at the same instant.
fn spread(rest: Duration) -> Duration {
    let mut dice = [0];
    // Without chance it is merely less even.
    let _ = getrandom::fill(&mut dice);
    rest - rest / 4 * u32::from(dice[0]) / 255
}

/// `None` when it takes longer.
async fn within<T>(patience: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = sleep(patience) => None,
    }
}

/// Whether a new connection may do better: this one is broken, its server is going away, or is not the one that takes writes any more.
fn is_gone(e: &Error) -> bool {
    let Some(db) = e.as_db_error() else { return true };
    let code = db.code();
    let named = [
        &SqlState::ADMIN_SHUTDOWN,
        &SqlState::CRASH_SHUTDOWN,
        &SqlState::CANNOT_CONNECT_NOW,
        &SqlState::READ_ONLY_SQL_TRANSACTION,
        &SqlState::TOO_MANY_CONNECTIONS,
    ];
    named.contains(&code) || code.code().starts_with("08")
}

/// Whether what failed is TLS. Trying again does not help.
fn is_about_trust(e: &Error) -> bool {
    let mut cause = std::error::Error::source(e);
    while let Some(why) = cause {
        if why.downcast_ref::<rustls::Error>().is_some() {
            return true;
        }
        // The cause of an I/O error is what it wraps, and not among its sources.
        let wrapped = why.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if wrapped.is_some_and(|inner| inner.downcast_ref::<rustls::Error>().is_some()) {
            return true;
        }
        cause = why.source();
    }
    false
}
