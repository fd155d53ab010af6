//! Why the store could not do what it was asked.

use std::fmt;
use std::path::PathBuf;

#[derive(Debug)]
pub enum Error {
    /// Another process has this data directory open.
    Locked { dir: PathBuf, pid: Option<u32> },
    /// The file was written by a later release.
    Newer { found: u32, known: u32 },
    /// The file was written by an earlier release, and this does not change it.
    Older { found: u32, known: u32 },
    /// There is a database where another was to be put.
    Occupied { database: PathBuf },
    /// The copy of a database is damaged.
    Damaged { why: String },
    /// The pepper file cannot be used, so no stored key could ever match again.
    Pepper { path: PathBuf, why: &'static str },
    /// The keys in a database that several gateways share were made with another pepper.
    OtherPepper { database: String },
    /// The master key cannot be used, and with it no stored provider key.
    Master { path: PathBuf, why: &'static str },
    /// The provider keys in a database that several gateways share were sealed with another master key.
    OtherMaster { database: String },
    /// The database server could not be reached when the store was to be opened.
    Away { waited: std::time::Duration, why: String },
    /// A file or directory could not be read, made or written.
    Io { path: PathBuf, source: std::io::Error },
    /// The database refused.
    Database(String),
    /// The library linked in is older than the first release without the write-ahead-log corruption.
    OldLibrary { found: String },
    /// A row holds something this release cannot read.
    BadRow { table: &'static str, why: String },
    /// The store has been closed.
    Closed,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Locked { dir, pid: Some(pid) } => {
                write!(f, "the data directory is in use by process {pid}; stop it or choose another: {}", dir.display())
            }
            Error::Locked { dir, pid: None } => {
                write!(f, "the data directory is in use by another process: {}", dir.display())
            }
            Error::Newer { found, known } => write!(
                f,
                "the database was written by a later release; upgrade, or use another data directory: schema {found}, this release knows {known}"
            ),
            Error::Older { found, known } => write!(
                f,
                "the database was written by an earlier release; run slipswitch migrate: schema {found}, this release knows {known}"
            ),
            Error::Occupied { database } => {
                write!(f, "there is a database already; --replace sets it aside: {}", database.display())
            }
            Error::Damaged { why } => write!(f, "not a whole database of slipswitch: {why}"),
            Error::Pepper { path, why } => write!(f, "{why}: {}", path.display()),
            Error::OtherPepper { database } => write!(
                f,
                "the keys in {database} were made with another pepper, and none would open anything here: give every gateway of a database the same one, by `pepper_file` or SLIPSWITCH_PEPPER; the gateway that made the keys has it in its data directory, as the file `pepper`"
            ),
            Error::Master { path, why } => write!(f, "{why}: {}", path.display()),
            Error::OtherMaster { database } => write!(
                f,
                "the provider keys in {database} were sealed with another master key: give every gateway of a database the same one, by `master_key_file` or SLIPSWITCH_MASTER_KEY; the gateway that sealed the first has it in its data directory, as the file `master-key`"
            ),
            Error::Away { waited, why } => {
                write!(f, "the database was not to be had within {} seconds: {why}", waited.as_secs())
            }
            Error::Io { path, source } => write!(f, "{}: {source}", path.display()),
            Error::Database(why) => write!(f, "database: {why}"),
            Error::OldLibrary { found } => {
                write!(f, "sqlite 3.51.3 or later is needed (older ones can corrupt): {found}")
            }
            Error::BadRow { table, why } => write!(f, "unreadable row in {table}: {why}"),
            Error::Closed => f.write_str("the store is closed"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
