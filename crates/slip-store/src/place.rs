//! Where the data lives: the directory, the lock that keeps a second process out, and the pepper.

use crate::Error;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Where a store keeps what it knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nothing touches the disk; everything ends with the process.
    Memory,
    /// A directory of its own, made (mode 0700) when absent.
    Dir(PathBuf),
}

pub(crate) const PEPPER_BYTES: usize = 32;
const LOCK: &str = "lock";
const PEPPER: &str = "pepper";
const DATABASE: &str = "slipswitch.db";
const JOURNAL: &str = "journal";

/// An opened data directory. The lock is held until this is dropped.
pub(crate) struct Dir {
    _lock: File,
    pub database: PathBuf,
    pub journal: PathBuf,
    pub pepper: [u8; PEPPER_BYTES],
    pub pepper_path: PathBuf,
}

impl Dir {
    pub fn open(dir: &Path) -> Result<Dir, Error> {
        make_dir(dir)?;
        let lock = lock(dir)?;
        let pepper_path = dir.join(PEPPER);
        let pepper = pepper(&pepper_path)?;
        let database = dir.join(DATABASE);
        // The database and its log take their mode from this file.
        private().append(true).create(true).open(&database).map_err(io(&database))?;
        Ok(Dir { _lock: lock, database, journal: dir.join(JOURNAL), pepper, pepper_path })
    }
}

pub(crate) fn random_pepper() -> [u8; PEPPER_BYTES] {
    let mut bytes = [0; PEPPER_BYTES];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
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

/// Read the pepper, or make it once. It is written aside and renamed, so that a crash never leaves half of one.
fn pepper(path: &Path) -> Result<[u8; PEPPER_BYTES], Error> {
    match File::open(path) {
        Ok(file) => read_pepper(file, path),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let bytes = random_pepper();
            let aside = path.with_extension("new");
            let mut file = private().write(true).create(true).truncate(true).open(&aside).map_err(io(&aside))?;
            file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(io(&aside))?;
            std::fs::rename(&aside, path).map_err(io(path))?;
            Ok(bytes)
        }
        Err(source) => Err(Error::Io { path: path.to_owned(), source }),
    }
}

fn read_pepper(file: File, path: &Path) -> Result<[u8; PEPPER_BYTES], Error> {
    let bad = |why| Error::Pepper { path: path.to_owned(), why };
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().map_err(io(path))?.permissions());
        if mode & 0o077 != 0 {
            return Err(bad("the pepper may be read by others; run chmod 600 on it"));
        }
    }
    let mut bytes = Vec::with_capacity(PEPPER_BYTES + 1);
    file.take(PEPPER_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(io(path))?;
    bytes.try_into().map_err(|_| bad("the pepper is not 32 bytes; restore it from a backup"))
}

pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::Io { path, source }
}
