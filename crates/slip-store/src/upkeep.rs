//! What an operator does to a database: bring it up to date, check its sums, take a copy, put a copy back. Blocks, and is not to be
//! called where waiting is not allowed.

use crate::Error;
use crate::database::{Database, Result as Told};
use crate::generations::Page;
use crate::keyring::Keyring;
use crate::keys::DEFAULT_WORKSPACE;
use crate::pepper::{Pepper, pepper};
use crate::place::{self, Dir, Place, io, private};
use crate::postgres::Postgres;
use crate::sqlite::Sqlite;
use crate::store::{PEPPER_PROOF, proof};
use crate::usage::{Batch, Between, By, Grain, Sums};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The schema of a database and the one this release knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schema {
    pub found: u32,
    pub known: u32,
}

/// Records read at once.
const PAGE: u32 = 1000;

/// Look, and change nothing.
pub fn schema(place: &Place) -> Result<Schema, Error> {
    let (found, known) = match place {
        Place::Memory => Sqlite::writer(place, Path::new(""))?.schema()?,
        Place::Dir(dir) => Sqlite::reader(&there(dir)?)?.schema()?,
        Place::Postgres { url, .. } => Postgres::connect(url)?.0.schema()?,
    };
    Ok(Schema { found, known })
}

/// Bring the schema up to date. What it was before.
pub fn migrate(place: &Place) -> Result<Schema, Error> {
    let before = schema(place)?;
    match place {
        Place::Memory => {}
        Place::Dir(path) => {
            // No gateway may run meanwhile: it would have done this itself, or is older.
            let dir = Dir::open(path)?;
            Sqlite::writer(place, &dir.database)?;
        }
        Place::Postgres { url, .. } => {
            Postgres::open(url)?;
        }
    }
    Ok(before)
}

/// A sum that is not what its records come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub grain: Grain,
    pub at: i64,
    pub by: By,
    /// From the records.
    pub counted: Sums,
    /// As it is kept.
    pub kept: Sums,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    pub records: u64,
    pub sums: u64,
    pub differences: Vec<Difference>,
}

/// Count every record again and hold it against the sums, both as they are at one moment: a gateway may go on meanwhile.
pub fn verify(place: &Place) -> Result<Verified, Error> {
    let Schema { found, known } = schema(place)?;
    if found != known {
        return Err(if found > known { Error::Newer { found, known } } else { Error::Older { found, known } });
    }
    let mut database: Box<dyn Database> = match place {
        Place::Memory => Box::new(Sqlite::writer(place, Path::new(""))?),
        Place::Dir(dir) => Box::new(Sqlite::reader(&there(dir)?)?),
        Place::Postgres { url, .. } => Box::new(Postgres::connect(url)?.0),
    };
    let mut verified = Verified::default();
    database.at_one_moment(&mut |db| {
        verified = count(db)?;
        Ok(())
    })?;
    Ok(verified)
}

fn count(db: &mut dyn Database) -> Told<Verified> {
    let mut counted = Batch::default();
    let mut page = Page { most: PAGE, ..Page::default() };
    let mut records = 0;
    loop {
        let found = db.page(&page)?;
        let Some((last, _)) = found.last() else { break };
        page.before = Some(*last);
        records += found.len() as u64;
        found.iter().for_each(|(_, g)| counted.add(g));
    }
    // Both sides of every sum.
    let mut all: BTreeMap<(Grain, i64, By), [Sums; 2]> = BTreeMap::new();
    for (grain, at, by, sums) in counted.rows() {
        all.entry((grain, at, housed(by.clone()))).or_default()[0].add(&sums);
    }
    for grain in Grain::ALL {
        for used in db.used(&Between { grain, from: i64::MIN, to: i64::MAX, key_hash: None, workspace: None })? {
            all.entry((grain, used.at, housed(used.by))).or_default()[1].add(&used.sums);
        }
    }
    let sums = all.len() as u64;
    let differ = |((grain, at, by), [counted, kept]): ((Grain, i64, By), [Sums; 2])| {
        (counted != kept).then_some(Difference { grain, at, by, counted, kept })
    };
    Ok(Verified { records, sums, differences: all.into_iter().filter_map(differ).collect() })
}

/// Records of the first releases have no workspace, and are summed in the one everybody is in who was put into none.
fn housed(by: By) -> By {
    if by.workspace.is_empty() { By { workspace: DEFAULT_WORKSPACE.into(), ..by } } else { by }
}

/// Copy the database of a directory to a new file, as it is at one moment: a gateway may go on meanwhile. The pepper is not in it.
pub fn backup(dir: &Path, to: &Path) -> Result<(), Error> {
    let reader = Sqlite::reader(&there(dir)?)?;
    copy(&reader, to)
}

/// Copy the pepper of a directory to a new file.
pub fn backup_pepper(dir: &Path, to: &Path) -> Result<(), Error> {
    let from = dir.join(place::PEPPER);
    std::fs::metadata(&from).map_err(io(&from))?;
    write_pepper(&pepper(&from)?, to)
}

/// Put a copy into a directory no gateway runs in. What was there is set aside, under the name that is told.
pub fn restore(from: &Path, dir: &Path, given: Option<&Path>, replace: bool) -> Result<Option<PathBuf>, Error> {
    std::fs::metadata(from).map_err(io(from))?;
    let mut copied = Sqlite::reader(from)?;
    copied.check_whole()?;
    let (found, known) = copied.schema()?;
    if found > known {
        return Err(Error::Newer { found, known });
    }
    let _lock = place::hold(dir)?;
    let own = dir.join(place::PEPPER);
    let pepper_path = match given {
        Some(given) => given.to_owned(),
        None if own.exists() => own.clone(),
        None => pepper_beside(from),
    };
    let pepper = match std::fs::metadata(&pepper_path) {
        Ok(_) => pepper(&pepper_path)?,
        Err(_) => {
            let why =
                "the pepper is missing, and without it no key of the copy opens anything; name its file with --pepper";
            return Err(Error::Pepper { path: pepper_path, why });
        }
    };
    if copied.setting(PEPPER_PROOF)?.is_some_and(|found| found != proof(&Keyring::new(&pepper.0))) {
        let why = "the pepper is not the one the keys of the copy were made with; name the right one with --pepper";
        return Err(Error::Pepper { path: pepper_path, why });
    }
    let database = dir.join(place::DATABASE);
    let occupied = std::fs::metadata(&database).is_ok_and(|meta| meta.len() > 0);
    if occupied && !replace {
        return Err(Error::Occupied { database });
    }
    let fresh = beside(&database, ".restoring");
    remove(&fresh)?;
    copy(&copied, &fresh)?;
    let aside = if occupied { Some(set_aside(&database)?) } else { None };
    // Of another database: it must not be read into this one.
    for suffix in ["-wal", "-shm"] {
        remove(&beside(&database, suffix))?;
    }
    std::fs::rename(&fresh, &database).map_err(io(&database))?;
    if own != pepper_path {
        remove(&own)?;
        write_pepper(&pepper, &own)?;
    }
    Ok(aside)
}

/// Where [`backup_pepper`] puts the pepper beside a copy, and [`restore`] looks for it.
pub fn pepper_beside(copy: &Path) -> PathBuf {
    beside(copy, ".pepper")
}

fn copy(from: &Sqlite, to: &Path) -> Result<(), Error> {
    // Made here, so that only its owner may ever read it.
    private().write(true).create_new(true).open(to).map_err(io(to))?;
    let copied = from.copy_to(to).and_then(|()| {
        let file = std::fs::File::open(to).map_err(io(to))?;
        file.sync_all().map_err(io(to))
    });
    if copied.is_err() {
        let _ = std::fs::remove_file(to);
    }
    copied
}

/// Move a database out of the way, with what its log still holds.
fn set_aside(database: &Path) -> Result<PathBuf, Error> {
    let mut old = Sqlite::writer_as_it_is(database)?;
    old.tidy();
    drop(old);
    let aside = (1..).map(|n| beside(database, &format!(".before-{n}"))).find(|path| !path.exists());
    let aside = aside.unwrap_or_else(|| beside(database, ".before"));
    std::fs::rename(database, &aside).map_err(io(database))?;
    let log = beside(database, "-wal");
    if log.exists() {
        std::fs::rename(&log, beside(&aside, "-wal")).map_err(io(&log))?;
    }
    Ok(aside)
}

fn write_pepper(pepper: &Pepper, to: &Path) -> Result<(), Error> {
    use std::io::Write as _;
    let mut file = private().write(true).create_new(true).open(to).map_err(io(to))?;
    file.write_all(&pepper.0).and_then(|()| file.sync_all()).map_err(io(to))
}

fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::Io { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// The same name with more at its end.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The database of a directory, which must be there: looking at it makes none.
fn there(dir: &Path) -> Result<PathBuf, Error> {
    let database = dir.join(place::DATABASE);
    std::fs::metadata(&database).map_err(io(&database))?;
    Ok(database)
}
