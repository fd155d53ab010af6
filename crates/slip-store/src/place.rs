//! Where the data lives: the directory, and the lock that keeps a second process out of it.

use crate::pepper::{Pepper, pepper};
use crate::{DatabaseUrl, Error};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Where a store keeps what it knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nothing touches the disk; everything ends with the process.
    Memory,
    /// A directory of its own, made (mode 0700) when absent.
    Dir(PathBuf),
    /// A database that several gateways may share. The journal, the lock and, unless one is given, the pepper are in a directory.
    Postgres { url: DatabaseUrl, dir: PathBuf, pepper: Option<Pepper> },
}

const LOCK: &str = "lock";
pub(crate) const PEPPER: &str = "pepper";
pub(crate) const DATABASE: &str = "slipswitch.db";
const JOURNAL: &str = "journal";
/// By which a gateway is known to those it shares a database with.
const GATEWAY: &str = "gateway";

/// An opened data directory. The lock is held until this is dropped.
pub(crate) struct Dir {
    _lock: File,
    pub database: PathBuf,
    pub journal: PathBuf,
    pub pepper: Pepper,
    pub pepper_path: PathBuf,
    gateway: PathBuf,
}

impl Dir {
    /// With a database of its own.
    pub fn open(dir: &Path) -> Result<Dir, Error> {
        let dir = Dir::without_database(dir, None)?;
        // The database and its log take their mode from this file.
        private().append(true).create(true).open(&dir.database).map_err(io(&dir.database))?;
        Ok(dir)
    }

    /// Beside a database elsewhere.
    pub fn without_database(dir: &Path, given: Option<Pepper>) -> Result<Dir, Error> {
        let lock = hold(dir)?;
        let pepper_path = dir.join(PEPPER);
        let pepper = given.map_or_else(|| pepper(&pepper_path), Ok)?;
        Ok(Dir {
            _lock: lock,
            database: dir.join(DATABASE),
            journal: dir.join(JOURNAL),
            pepper,
            pepper_path,
            gateway: dir.join(GATEWAY),
        })
    }
}

impl Dir {
    /// The name of the gateway that lives here. Made by chance the first time.
    pub fn gateway(&self) -> Result<String, Error> {
        let path = &self.gateway;
        match std::fs::read_to_string(path) {
            Ok(name) if !name.trim().is_empty() => return Ok(name.trim().to_owned()),
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::Io { path: path.clone(), source });
            }
            _ => {}
        }
        let mut chance = [0; 16];
        getrandom::fill(&mut chance)
            .map_err(|e| Error::Io { path: path.clone(), source: std::io::Error::other(e.to_string()) })?;
        let name = crate::keys::hex(&chance);
        let mut file = private().write(true).create(true).truncate(true).open(path).map_err(io(path))?;
        file.write_all(name.as_bytes()).and_then(|()| file.sync_all()).map_err(io(path))?;
        Ok(name)
    }
}

/// Keep everybody else out of a directory.
pub(crate) fn hold(dir: &Path) -> Result<File, Error> {
    make_dir(dir)?;
    lock(dir)
}

pub(crate) fn make_dir(dir: &Path) -> Result<(), Error> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(io(dir))
}

/// Files only their owner may read.
pub(crate) fn private() -> OpenOptions {
    #[allow(unused_mut)]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join(LOCK);
    let mut file = private().read(true).write(true).create(true).truncate(false).open(&path).map_err(io(&path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Twenty digits hold any process id; a longer file is not ours.
            let _ = (&file).take(20).read_to_string(&mut holder);
            return Err(Error::Locked { dir: dir.to_owned(), pid: holder.trim().parse().ok() });
        }
        Err(TryLockError::Error(source)) => return Err(Error::Io { path, source }),
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .and_then(|()| file.sync_all())
        .map_err(io(&path))?;
    Ok(file)
}

pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::Io { path, source }
}
