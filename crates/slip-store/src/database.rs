//! What a database must do for the store. Two do it: [`crate::sqlite`] and [`crate::postgres`]; the statements of `queries/` are common to both.

use crate::Error;
use crate::content::Content;
use crate::generations::{Generation, Page};
use crate::keys::Key;
use crate::leases::{Kept, Round};
use crate::things::{Kind, Thing};
use crate::usage::{Between, Used, Whose};
use std::fmt;

/// Why the database refused, in its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble(pub String);

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Trouble {}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Error {
        Error::Database(trouble.0)
    }
}

pub type Result<T> = std::result::Result<T, Trouble>;

/// A record and its JSON, if that has been written already.
pub type Sheet<'a> = (&'a Generation, Option<&'a str>);

/// How often what is held in memory has been changed, by whomever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub keys: i64,
    pub things: i64,
}

fn alone() -> Trouble {
    Trouble("this database has one gateway, which needs no leases".to_owned())
}

/// One connection. Whatever changes several rows changes all of them or none.
pub trait Database: Send {
    /// Put records away, and sum what they used. One that is there already is neither put nor counted again.
    fn put_records(&mut self, records: &[Sheet<'_>]) -> Result<()>;
    fn generation(&mut self, id: &str) -> Result<Option<Generation>>;
    /// The newest first, each with its place in the order of arrival.
    fn page(&mut self, page: &Page) -> Result<Vec<(i64, Generation)>>;
    /// In the order of time.
    fn used(&mut self, between: &Between) -> Result<Vec<Used>>;
    /// Per day what each spent, everything before the running periods as one row.
    fn totals(&mut self) -> Result<Vec<Whose>>;

    fn keys(&mut self) -> Result<Vec<Key>>;
    fn put_key(&mut self, key: &Key) -> Result<()>;
    /// Whether there was one.
    fn delete_key(&mut self, hash: &str) -> Result<bool>;

    /// Oldest first.
    fn things(&mut self, kind: Kind) -> Result<Vec<Thing>>;
    fn put_thing(&mut self, kind: Kind, thing: &Thing) -> Result<()>;
    /// Whether there was one.
    fn delete_thing(&mut self, kind: Kind, id: &str) -> Result<bool>;

    fn setting(&mut self, name: &str) -> Result<Option<String>>;
    fn put_setting(&mut self, name: &str, value: &str) -> Result<()>;
    /// Put it unless it is there. The one that is.
    fn claim_setting(&mut self, name: &str, value: &str) -> Result<Option<String>>;

    fn put_content(&mut self, content: &Content) -> Result<()>;
    fn content(&mut self, generation: &str, now_ms: i64) -> Result<Option<Vec<u8>>>;
    /// Remove what was kept of a key's requests.
    fn forget_content(&mut self, key_hash: &str) -> Result<()>;
    /// How many went, `most` of them at once.
    fn purge_content(&mut self, now_ms: i64, most: i64) -> Result<usize>;

    /// `None` where nobody else can change anything.
    fn changes(&mut self) -> Result<Option<Changes>>;
    /// Everything `work` reads is as it was at one moment.
    fn at_one_moment(&mut self, work: &mut dyn FnMut(&mut dyn Database) -> Result<()>) -> Result<()>;

    /// Per day what a key spent, by whichever gateway.
    fn spent(&mut self, _key_hash: &str) -> Result<Vec<Whose>> {
        Err(alone())
    }
    /// Be one of several who spend from the same limits, for so long unless heard of again. `first`: it has nothing any more of what
    /// it had in an earlier life. Says its epoch.
    fn enrol(&mut self, _gateway: &str, _lasts_ms: i64, _first: bool) -> Result<i64> {
        Err(alone())
    }
    /// One round of its keeper.
    fn keep(&mut self, _round: &Round) -> Result<Kept> {
        Err(alone())
    }
    /// It spends no more, and all it spent has been put away.
    fn leave(&mut self, _gateway: &str) -> Result<()> {
        Err(alone())
    }

    /// Before the connection ends.
    fn tidy(&mut self);
}
