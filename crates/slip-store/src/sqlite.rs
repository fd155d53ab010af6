//! SQLite: the only file that knows the library. Opens connections, migrates, and runs the statements of `queries/`.

use crate::Error;
use crate::generations::Generation;
use crate::keys::{Key, KeyKind, Reset};
use crate::place::Place;
use crate::spend::{Spent, Totals};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};
use slip_ir::Nano;
use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(crate) type DatabaseError = rusqlite::Error;
type Result<T> = std::result::Result<T, DatabaseError>;

/// Schema `n` is made by the first `n` of these. Append only.
const MIGRATIONS: &[&str] = &[include_str!("../migrations/0001_start.sql")];

/// 3.51.3 fixed a race between connections that reset the write-ahead log and could corrupt the file (sqlite.org/wal.html,
/// read 2026-11).
const OLDEST_LIBRARY: i32 = 3_051_003;

/// Only a backup or a shell could hold the file; both are brief.
const BUSY: Duration = Duration::from_secs(5);

/// The running periods are at most a month: days older than this only count in all-time totals.
const RUNNING_DAYS: i64 = 31;

/// One connection.
pub(crate) struct Database(Connection);

impl From<DatabaseError> for Error {
    fn from(e: DatabaseError) -> Error {
        Error::Database(e.to_string())
    }
}

impl Database {
    /// The connection that writes. Brings the schema up to date.
    pub fn writer(place: &Place, file: &Path) -> std::result::Result<Database, Error> {
        if rusqlite::version_number() < OLDEST_LIBRARY {
            return Err(Error::OldLibrary { found: rusqlite::version().to_owned() });
        }
        let connection = match place {
            Place::Memory => Connection::open_in_memory()?,
            Place::Dir(_) => Connection::open(file)?,
        };
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(32);
        // NORMAL in a write-ahead log: the end of this process loses nothing committed; a power cut may lose the last moments,
        // never the file.
        // Records are appended hundreds at a time: large pages mean fewer of them to split, sum and copy (a fifth of the cost).
        connection.execute_batch(
            "PRAGMA page_size = 16384; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 500;
             PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;",
        )?;
        let mut database = Database(connection);
        database.migrate(MIGRATIONS)?;
        Ok(database)
    }

    /// A connection that reads while the other writes.
    pub fn reader(file: &Path) -> std::result::Result<Database, Error> {
        let connection =
            Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY)?;
        Ok(Database(connection))
    }

    fn migrate(&mut self, migrations: &[&str]) -> std::result::Result<(), Error> {
        let found: u32 = self.0.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let known = migrations.len() as u32;
        if found > known {
            return Err(Error::Newer { found, known });
        }
        for (version, sql) in (1..=known).zip(migrations).skip(found as usize) {
            let step = self.0.transaction()?;
            step.execute_batch(sql)?;
            step.pragma_update(None, "user_version", version)?;
            step.commit()?;
        }
        Ok(())
    }

    pub fn in_transaction<T>(&self, work: impl FnOnce(&Database) -> Result<T>) -> Result<T> {
        // Rolled back when dropped, so an error on the way leaves nothing.
        let transaction = self.0.unchecked_transaction()?;
        let value = work(self)?;
        transaction.commit()?;
        Ok(value)
    }

    /// Before the connection ends: fold the log into the file, refresh what the planner knows.
    pub fn tidy(&self) {
        // Nothing is lost when this fails; the next start does the same work.
        let _ = self.0.execute_batch("PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE);");
    }

    /// False when it is there already. `detail` is its JSON, if that has been written.
    pub fn put_generation(&self, g: &Generation, detail: Option<&str>) -> Result<bool> {
        let detail = match detail {
            Some(detail) => Cow::Borrowed(detail),
            None => serde_json::to_string(g).map_err(|e| DatabaseError::ToSqlConversionFailure(e.into()))?.into(),
        };
        let rows = self.0.prepare_cached(include_str!("../queries/generation_put.sql"))?.execute(params![
            g.id,
            g.created_ms,
            g.key_hash.as_deref(),
            &*g.model,
            &*g.provider_slug,
            g.status,
            g.cost.0,
            detail
        ])?;
        Ok(rows == 1)
    }

    pub fn generation(&self, id: &str) -> Result<Option<Generation>> {
        self.0
            .prepare_cached(include_str!("../queries/generation_get.sql"))?
            .query_row([id], |row| {
                let detail: String = row.get(7)?;
                let mut g: Generation = serde_json::from_str(&detail).map_err(|e| unreadable(7, e))?;
                g.id = row.get(0)?;
                g.created_ms = row.get(1)?;
                g.key_hash = row.get(2)?;
                g.model = row.get(3)?;
                g.provider_slug = row.get(4)?;
                g.status = row.get(5)?;
                g.cost = Nano(row.get(6)?);
                Ok(g)
            })
            .optional()
    }

    pub fn add_spend(&self, key: &str, day: i64, spent: Spent) -> Result<()> {
        self.0.prepare_cached(include_str!("../queries/spend_add.sql"))?.execute(params![
            key,
            day,
            spent.nano.0,
            spent.byok.0,
            i64::try_from(spent.requests).unwrap_or(i64::MAX)
        ])?;
        Ok(())
    }

    /// Rebuild the running totals.
    pub fn load_totals(&self, totals: &Totals) -> Result<()> {
        let last: Option<i64> =
            self.0.query_row(include_str!("../queries/spend_last_day.sql"), [], |row| row.get(0))?;
        let Some(last) = last else { return Ok(()) };
        let past = last - RUNNING_DAYS;
        let mut statement = self.0.prepare(include_str!("../queries/spend_all.sql"))?;
        let mut rows = statement.query([past])?;
        while let Some(row) = rows.next()? {
            let (key, day): (Arc<str>, i64) = (row.get(0)?, row.get(1)?);
            let requests: i64 = row.get(4)?;
            let spent = Spent { nano: Nano(row.get(2)?), byok: Nano(row.get(3)?), requests: requests.unsigned_abs() };
            if day > past { totals.add(&key, day, spent) } else { totals.add_past(&key, spent) }
        }
        Ok(())
    }

    pub fn put_key(&self, key: &Key) -> Result<()> {
        self.0.prepare_cached(include_str!("../queries/key_put.sql"))?.execute(params![
            key.mac,
            &*key.hash,
            key.label,
            key.name,
            key.kind.name(),
            key.disabled,
            key.limit.map(|n| n.0),
            key.limit_reset.map(Reset::name),
            key.include_byok_in_limit,
            key.expires_ms,
            key.created_ms,
            key.updated_ms
        ])?;
        Ok(())
    }

    pub fn delete_key(&self, hash: &str) -> Result<bool> {
        self.0.execute(include_str!("../queries/key_delete.sql"), [hash]).map(|rows| rows > 0)
    }

    pub fn keys(&self) -> Result<Vec<Key>> {
        self.0.prepare(include_str!("../queries/key_all.sql"))?.query_map([], key)?.collect()
    }

    pub fn setting(&self, name: &str) -> Result<Option<String>> {
        self.0
            .prepare_cached(include_str!("../queries/setting_get.sql"))?
            .query_row([name], |row| row.get(0))
            .optional()
    }

    pub fn put_setting(&self, name: &str, value: &str) -> Result<()> {
        self.0.prepare_cached(include_str!("../queries/setting_put.sql"))?.execute([name, value])?;
        Ok(())
    }
}

fn key(row: &Row<'_>) -> Result<Key> {
    let kind: String = row.get(4)?;
    let reset: Option<String> = row.get(7)?;
    Ok(Key {
        mac: row.get(0)?,
        hash: row.get(1)?,
        label: row.get(2)?,
        name: row.get(3)?,
        kind: KeyKind::parse(&kind).ok_or_else(|| unreadable(4, format!("unknown kind of key: {kind}")))?,
        disabled: row.get(5)?,
        limit: row.get::<_, Option<i64>>(6)?.map(Nano),
        limit_reset: match reset {
            None => None,
            Some(name) => {
                Some(Reset::parse(&name).ok_or_else(|| unreadable(7, format!("unknown limit reset: {name}")))?)
            }
        },
        include_byok_in_limit: row.get(8)?,
        expires_ms: row.get(9)?,
        created_ms: row.get(10)?,
        updated_ms: row.get(11)?,
    })
}

fn unreadable(column: usize, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> DatabaseError {
    DatabaseError::FromSqlConversionFailure(column, rusqlite::types::Type::Text, why.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_run_once_each_and_only_forward() {
        let mut db = Database(Connection::open_in_memory().expect("memory"));
        let steps = ["CREATE TABLE a (x);", "ALTER TABLE a ADD COLUMN y;"];
        db.migrate(&steps[..1]).expect("first");
        db.migrate(&steps).expect("second");
        db.migrate(&steps).expect("nothing left to do");
        db.0.execute("INSERT INTO a (x, y) VALUES (1, 2)", []).expect("both columns");
        let refused = db.migrate(&steps[..1]).expect_err("newer than known");
        assert!(matches!(refused, Error::Newer { found: 2, known: 1 }), "{refused}");
    }

    #[test]
    fn a_failed_migration_leaves_the_schema_as_it_was() {
        let mut db = Database(Connection::open_in_memory().expect("memory"));
        db.migrate(&["CREATE TABLE a (x);", "CREATE TABLE b (x); nonsense;"]).expect_err("nonsense");
        let found: u32 = db.0.pragma_query_value(None, "user_version", |row| row.get(0)).expect("version");
        assert_eq!(found, 1);
        db.0.execute("SELECT * FROM b", []).expect_err("the half step is undone");
    }

    #[test]
    fn a_transaction_that_fails_leaves_nothing() {
        let db = Database::writer(&Place::Memory, Path::new("")).expect("memory");
        db.in_transaction(|db| {
            db.put_setting("a", "1")?;
            Err::<(), _>(DatabaseError::InvalidQuery)
        })
        .expect_err("as told");
        assert_eq!(db.setting("a"), Ok(None));
    }
}
