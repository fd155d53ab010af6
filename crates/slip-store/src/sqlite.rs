//! SQLite: the only file that knows the library. Opens connections, migrates, and runs the statements of `queries/`.

use crate::Error;
use crate::content::Content;
use crate::database::{Changes, Database, Result, Sheet, Trouble};
use crate::generations::{Generation, Page};
use crate::keys::{Key, KeyKind, Reset};
use crate::place::Place;
use crate::things::{Kind, Thing};
use crate::usage::{Batch, Between, By, Sums, Used, Whose};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};
use slip_ir::Nano;
use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

type Rows<T> = std::result::Result<T, rusqlite::Error>;

/// Schema `n` is made by the first `n` of these. Append only.
const MIGRATIONS: &[&str] =
    &[include_str!("../migrations/sqlite/0001_start.sql"), include_str!("../migrations/sqlite/0002_usage.sql")];

/// 3.51.3 fixed a race between connections that reset the write-ahead log and could corrupt the file (sqlite.org/wal.html,
/// read 2026-11).
const OLDEST_LIBRARY: i32 = 3_051_003;

/// Only a backup or a shell could hold the file; both are brief.
const BUSY: Duration = Duration::from_secs(5);

/// The running periods are at most a month: days older than this only count in all-time totals.
const RUNNING_DAYS: i64 = 31;

/// One connection.
pub(crate) struct Sqlite(Connection);

impl From<rusqlite::Error> for Trouble {
    fn from(e: rusqlite::Error) -> Trouble {
        Trouble(e.to_string())
    }
}

impl From<rusqlite::Error> for Error {
    fn from(e: rusqlite::Error) -> Error {
        Error::Database(e.to_string())
    }
}

impl Sqlite {
    /// The connection that writes. Brings the schema up to date.
    pub fn writer(place: &Place, file: &Path) -> std::result::Result<Sqlite, Error> {
        if rusqlite::version_number() < OLDEST_LIBRARY {
            return Err(Error::OldLibrary { found: rusqlite::version().to_owned() });
        }
        let connection = match place {
            Place::Memory => Connection::open_in_memory()?,
            Place::Dir(_) | Place::Postgres { .. } => Connection::open(file)?,
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
        let mut database = Sqlite(connection);
        database.migrate(MIGRATIONS)?;
        Ok(database)
    }

    /// Wait for the disk at every commit: a power cut then loses none.
    pub fn durable(self) -> std::result::Result<Sqlite, Error> {
        self.0.execute_batch("PRAGMA synchronous = FULL")?;
        Ok(self)
    }

    /// A connection that reads while the other writes.
    pub fn reader(file: &Path) -> std::result::Result<Sqlite, Error> {
        let connection =
            Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY)?;
        Ok(Sqlite(connection))
    }

    /// A connection that writes, and leaves the schema as it is.
    pub fn writer_as_it_is(file: &Path) -> std::result::Result<Sqlite, Error> {
        let connection = Connection::open(file)?;
        connection.busy_timeout(BUSY)?;
        Ok(Sqlite(connection))
    }

    /// The schema that is there, and the one this release knows.
    pub fn schema(&self) -> std::result::Result<(u32, u32), Error> {
        let found = self.0.pragma_query_value(None, "user_version", |row| row.get(0))?;
        Ok((found, MIGRATIONS.len() as u32))
    }

    /// Write all of it, as it is at this moment, to an empty file.
    pub fn copy_to(&self, file: &Path) -> std::result::Result<(), Error> {
        let name =
            file.to_str().ok_or_else(|| Error::Database(format!("not a name SQLite takes: {}", file.display())))?;
        self.0.execute("VACUUM INTO $1", [name])?;
        Ok(())
    }

    /// Whether it is one of ours, and every page of it can be read.
    pub fn check_whole(&self) -> std::result::Result<(), Error> {
        let damaged = |why: String| Error::Damaged { why };
        let said: String =
            self.0.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(|e| damaged(e.to_string()))?;
        if said != "ok" {
            return Err(damaged(said));
        }
        let ours = "SELECT count(*) FROM sqlite_schema WHERE name IN ('keys', 'generations', 'settings')";
        let tables: i64 = self.0.query_row(ours, [], |row| row.get(0)).map_err(|e| damaged(e.to_string()))?;
        if tables == 3 { Ok(()) } else { Err(damaged("its tables are missing".to_owned())) }
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

    fn in_transaction<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        // Rolled back when dropped, so an error on the way leaves nothing.
        let transaction = self.0.unchecked_transaction()?;
        let value = work(&self.0)?;
        transaction.commit()?;
        Ok(value)
    }
}

macro_rules! query {
    ($name:literal) => {
        include_str!(concat!("../queries/", $name, ".sql"))
    };
}

impl Database for Sqlite {
    fn put_records(&mut self, records: &[Sheet<'_>]) -> Result<()> {
        self.in_transaction(|db| {
            let mut batch = Batch::default();
            let mut put = db.prepare_cached(query!("generation_put"))?;
            for (g, detail) in records {
                let detail = match detail {
                    Some(detail) => Cow::Borrowed(*detail),
                    None => serde_json::to_string(g).map_err(|e| Trouble(e.to_string()))?.into(),
                };
                let (key, model, provider) = (g.key_hash.as_deref(), &*g.model, &*g.provider_slug);
                let row = params![g.id, g.created_ms, key, model, provider, g.status, g.cost.0, &*g.workspace, detail];
                if put.execute(row)? == 1 {
                    batch.add(g);
                }
            }
            let mut add = db.prepare_cached(query!("usage_add"))?;
            for (grain, at, by, s) in batch.rows() {
                add.execute(params![
                    grain.name(),
                    at,
                    &*by.key_hash,
                    &*by.workspace,
                    &*by.member,
                    &*by.model,
                    &*by.provider,
                    s.requests,
                    s.failed,
                    s.prompt,
                    s.cached,
                    s.completion,
                    s.reasoning,
                    s.cost.0,
                    s.byok.0,
                    s.waste.0,
                    s.ttft_ms,
                    s.ttft_count,
                    s.total_ms
                ])?;
            }
            Ok(())
        })
    }

    fn generation(&mut self, id: &str) -> Result<Option<Generation>> {
        Ok(self.0.prepare_cached(query!("generation_get"))?.query_row([id], generation).optional()?)
    }

    fn page(&mut self, page: &Page) -> Result<Vec<(i64, Generation)>> {
        let before = page.before.unwrap_or(i64::MAX);
        let placed = |row: &Row<'_>| Ok((row.get(9)?, generation(row)?));
        let rows: Rows<Vec<_>> = match &page.key_hash {
            None => {
                let mut all = self.0.prepare_cached(query!("generation_page"))?;
                all.query_map(params![before, page.most], placed)?.collect()
            }
            Some(key) => {
                let mut of_key = self.0.prepare_cached(query!("generation_page_of_key"))?;
                of_key.query_map(params![before, key, page.most], placed)?.collect()
            }
        };
        Ok(rows?)
    }

    fn used(&mut self, between: &Between) -> Result<Vec<Used>> {
        let some = |text: &Option<String>| text.clone().unwrap_or_default();
        let (key, workspace) = (some(&between.key_hash), some(&between.workspace));
        let mut sums = self.0.prepare_cached(query!("usage_between"))?;
        let asked = params![between.grain.name(), between.from, between.to, key, workspace];
        let rows: Rows<Vec<Used>> = sums.query_map(asked, used)?.collect();
        Ok(rows?)
    }

    fn totals(&mut self) -> Result<Vec<Whose>> {
        let last: Option<i64> = self.0.query_row(query!("totals_last_day"), [], |row| row.get(0))?;
        let Some(last) = last else { return Ok(Vec::new()) };
        let past = last - RUNNING_DAYS;
        let whose = |row: &Row<'_>| {
            let (day, requests): (i64, i64) = (row.get(3)?, row.get(6)?);
            Ok(Whose {
                key_hash: row.get(0)?,
                workspace: row.get(1)?,
                member: row.get(2)?,
                day,
                past: day <= past,
                cost: Nano(row.get(4)?),
                byok: Nano(row.get(5)?),
                requests: requests.unsigned_abs(),
            })
        };
        let rows: Rows<Vec<_>> = self.0.prepare(query!("totals"))?.query_map([past], whose)?.collect();
        Ok(rows?)
    }

    fn put_key(&mut self, key: &Key) -> Result<()> {
        let detail = serde_json::to_string(&key.detail).map_err(|e| Trouble(e.to_string()))?;
        self.0.prepare_cached(query!("key_put"))?.execute(params![
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
            key.updated_ms,
            &*key.workspace,
            detail
        ])?;
        Ok(())
    }

    fn delete_key(&mut self, hash: &str) -> Result<bool> {
        Ok(self.0.execute(query!("key_delete"), [hash])? > 0)
    }

    fn keys(&mut self) -> Result<Vec<Key>> {
        let rows: Rows<Vec<_>> = self.0.prepare(query!("key_all"))?.query_map([], key)?.collect();
        Ok(rows?)
    }

    fn things(&mut self, kind: Kind) -> Result<Vec<Thing>> {
        let mut all = self.0.prepare_cached(query!("thing_all"))?;
        let rows: Rows<Vec<_>> = all.query_map([kind.name()], thing)?.collect();
        Ok(rows?)
    }

    fn put_thing(&mut self, kind: Kind, thing: &Thing) -> Result<()> {
        let body = thing.body.to_string();
        let row = params![kind.name(), thing.id, thing.created_ms, thing.updated_ms, body];
        self.0.prepare_cached(query!("thing_put"))?.execute(row)?;
        Ok(())
    }

    fn delete_thing(&mut self, kind: Kind, id: &str) -> Result<bool> {
        Ok(self.0.execute(query!("thing_delete"), [kind.name(), id])? > 0)
    }

    fn setting(&mut self, name: &str) -> Result<Option<String>> {
        let mut get = self.0.prepare_cached(query!("setting_get"))?;
        Ok(get.query_row([name], |row| row.get(0)).optional()?)
    }

    fn put_setting(&mut self, name: &str, value: &str) -> Result<()> {
        self.0.prepare_cached(query!("setting_put"))?.execute([name, value])?;
        Ok(())
    }

    fn claim_setting(&mut self, name: &str, value: &str) -> Result<Option<String>> {
        self.0.prepare_cached(query!("setting_claim"))?.execute([name, value])?;
        self.setting(name)
    }

    fn put_content(&mut self, content: &Content) -> Result<()> {
        let row = params![content.generation, content.until_ms, content.body];
        self.0.prepare_cached(query!("content_put"))?.execute(row)?;
        Ok(())
    }

    fn content(&mut self, generation: &str, now_ms: i64) -> Result<Option<Vec<u8>>> {
        let mut get = self.0.prepare_cached(query!("content_get"))?;
        Ok(get.query_row(params![generation, now_ms], |row| row.get(0)).optional()?)
    }

    fn forget_content(&mut self, key_hash: &str) -> Result<()> {
        self.0.prepare_cached(query!("content_forget"))?.execute([key_hash])?;
        Ok(())
    }

    fn purge_content(&mut self, now_ms: i64, most: i64) -> Result<usize> {
        Ok(self.0.prepare_cached(query!("content_purge"))?.execute([now_ms, most])?)
    }

    fn changes(&mut self) -> Result<Option<Changes>> {
        Ok(None)
    }

    fn at_one_moment(&mut self, work: &mut dyn FnMut(&mut dyn Database) -> Result<()>) -> Result<()> {
        self.0.execute_batch("BEGIN")?;
        let done = work(self);
        // It only read.
        self.0.execute_batch("ROLLBACK")?;
        done
    }

    /// Fold the log into the file, refresh what the planner knows.
    fn tidy(&mut self) {
        // Nothing is lost when this fails; the next start does the same work.
        let _ = self.0.execute_batch("PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE);");
    }
}

fn generation(row: &Row<'_>) -> Rows<Generation> {
    let detail: String = row.get(8)?;
    let g: Generation = serde_json::from_str(&detail).map_err(|e| unreadable(8, e))?;
    Ok(Generation {
        id: row.get(0)?,
        created_ms: row.get(1)?,
        key_hash: row.get(2)?,
        model: row.get(3)?,
        provider_slug: row.get(4)?,
        status: row.get(5)?,
        cost: Nano(row.get(6)?),
        workspace: row.get::<_, Option<Arc<str>>>(7)?.unwrap_or_default(),
        ..g
    })
}

fn used(row: &Row<'_>) -> Rows<Used> {
    Ok(Used {
        at: row.get(0)?,
        by: By {
            key_hash: row.get(1)?,
            workspace: row.get(2)?,
            member: row.get(3)?,
            model: row.get(4)?,
            provider: row.get(5)?,
        },
        sums: Sums {
            requests: row.get(6)?,
            failed: row.get(7)?,
            prompt: row.get(8)?,
            cached: row.get(9)?,
            completion: row.get(10)?,
            reasoning: row.get(11)?,
            cost: Nano(row.get(12)?),
            byok: Nano(row.get(13)?),
            waste: Nano(row.get(14)?),
            ttft_ms: row.get(15)?,
            ttft_count: row.get(16)?,
            total_ms: row.get(17)?,
        },
    })
}

fn thing(row: &Row<'_>) -> Rows<Thing> {
    let body: String = row.get(3)?;
    let body = serde_json::from_str(&body).map_err(|e| unreadable(3, e))?;
    Ok(Thing { id: row.get(0)?, created_ms: row.get(1)?, updated_ms: row.get(2)?, body })
}

fn key(row: &Row<'_>) -> Rows<Key> {
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
        workspace: row.get(12)?,
        detail: serde_json::from_str(&row.get::<_, String>(13)?).map_err(|e| unreadable(13, e))?,
    })
}

fn unreadable(column: usize, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, why.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::Grain;

    #[test]
    fn migrations_run_once_each_and_only_forward() {
        let mut db = Sqlite(Connection::open_in_memory().expect("memory"));
        let steps = ["CREATE TABLE a (x);", "ALTER TABLE a ADD COLUMN y;"];
        db.migrate(&steps[..1]).expect("first");
        db.migrate(&steps).expect("second");
        db.migrate(&steps).expect("nothing left to do");
        db.0.execute("INSERT INTO a (x, y) VALUES (1, 2)", []).expect("both columns");
        let refused = db.migrate(&steps[..1]).expect_err("newer than known");
        assert!(matches!(refused, Error::Newer { found: 2, known: 1 }), "{refused}");
    }

    /// What schema 1 knew of a key and of what was used is known to schema 2.
    #[test]
    fn the_first_schema_is_carried_over() {
        let mut db = Sqlite(Connection::open_in_memory().expect("memory"));
        db.migrate(&MIGRATIONS[..1]).expect("schema 1");
        db.0.execute_batch(
            r#"INSERT INTO keys VALUES (zeroblob(32), 'k', 'sk', 'name', 'api', 0, 5, 'daily', 0, NULL, 1, NULL);
            INSERT INTO generations (id, created_ms, key_hash, model, provider, status, cost_nano, detail) VALUES
            ('gen-1', 86400000, 'k', 'm', 'p', 200, 7, '{"tokens":{"input":3,"cache_read":2,"output":4,"reasoning":1},"ttft_ms":5,"total_ms":9}'),
            ('gen-2', 90000001, 'k', 'm', 'p', 502, 0, '{"byok":true,"upstream_cost":11,"total_ms":1}');
            INSERT INTO spend VALUES ('k', 1, 7, 11, 2);"#,
        )
        .expect("rows of schema 1");
        db.migrate(MIGRATIONS).expect("schema 2");
        let key = db.keys().expect("keys").remove(0);
        assert_eq!((&*key.workspace, key.limit, key.detail), ("default", Some(Nano(5)), Default::default()));
        let day = Between { grain: Grain::Day, from: 1, to: 2, key_hash: None, workspace: None };
        let used = db.used(&day).expect("used");
        let sums = Sums {
            requests: 2,
            failed: 1,
            prompt: 5,
            cached: 2,
            completion: 5,
            reasoning: 1,
            cost: Nano(7),
            byok: Nano(11),
            waste: Nano(0),
            ttft_ms: 5,
            ttft_count: 1,
            total_ms: 10,
        };
        assert_eq!(used.iter().map(|used| used.sums).collect::<Vec<_>>(), [sums]);
        let hours = db.used(&Between { grain: Grain::Hour, from: 24, to: 26, ..day }).expect("used");
        assert_eq!(hours.iter().map(|used| (used.at, used.sums.requests)).collect::<Vec<_>>(), [(24, 1), (25, 1)]);
        let whose = db.totals().expect("totals").remove(0);
        assert_eq!(
            (&*whose.key_hash, whose.day, whose.cost, whose.byok, whose.requests),
            ("k", 1, Nano(7), Nano(11), 2)
        );
    }

    #[test]
    fn a_failed_migration_leaves_the_schema_as_it_was() {
        let mut db = Sqlite(Connection::open_in_memory().expect("memory"));
        db.migrate(&["CREATE TABLE a (x);", "CREATE TABLE b (x); nonsense;"]).expect_err("nonsense");
        let found: u32 = db.0.pragma_query_value(None, "user_version", |row| row.get(0)).expect("version");
        assert_eq!(found, 1);
        db.0.execute("SELECT * FROM b", []).expect_err("the half step is undone");
    }

    #[test]
    fn a_transaction_that_fails_leaves_nothing() {
        let mut db = Sqlite::writer(&Place::Memory, Path::new("")).expect("memory");
        db.in_transaction(|db| {
            db.execute(query!("setting_put"), ["a", "1"])?;
            Err::<(), _>(Trouble("no".into()))
        })
        .expect_err("as told");
        assert_eq!(db.setting("a"), Ok(None));
    }

    /// A disk without room, a file that may not be written: nothing of a batch is there, and once there is room all of it is, once.
    #[test]
    fn a_batch_the_disk_refuses_is_refused_whole_and_can_be_put_again() {
        let mut db = Sqlite::writer(&Place::Memory, Path::new("")).expect("memory");
        let records: Vec<Generation> = (0..500)
            .map(|n| Generation { id: format!("gen-{n}"), model_requested: "m".repeat(500), ..Generation::default() })
            .collect();
        let sheets: Vec<Sheet<'_>> = records.iter().map(|record| (record, None)).collect();
        let counts = |db: &Sqlite| {
            let count = |sql: &str| db.0.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("counted");
            (
                count("SELECT count(*) FROM generations"),
                count("SELECT coalesce(sum(requests), 0) FROM usage WHERE grain = 'd'"),
            )
        };
        let pages: i64 = db.0.pragma_query_value(None, "page_count", |row| row.get(0)).expect("pages");
        let refusals = [
            (format!("PRAGMA max_page_count = {}", pages + 4), "PRAGMA max_page_count = 1073741823", "full"),
            ("PRAGMA query_only = ON".to_owned(), "PRAGMA query_only = OFF", "readonly"),
        ];
        for (refuse, allow, why) in refusals {
            db.0.query_row(&refuse, [], |_| Ok(())).optional().expect("set");
            let refused = db.put_records(&sheets).expect_err(why);
            assert!(refused.0.contains(why), "{refused}");
            assert_eq!(counts(&db), (0, 0), "{why}");
            db.0.query_row(allow, [], |_| Ok(())).optional().expect("set");
        }
        for _ in 0..2 {
            db.put_records(&sheets).expect("room again");
            assert_eq!(counts(&db), (500, 500));
        }
    }
}
