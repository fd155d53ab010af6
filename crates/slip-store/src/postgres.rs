//! Postgres: what several gateways share. The only file, with those below it, that knows the library.
//!
//! Every piece of work is one transaction, most of them one round trip, and bears being done twice: see [`link`]. Records travel
//! as one array per column: see [`batch`].

mod batch;
mod leases;
mod link;
mod rows;
mod schema;
mod tls;
mod url;

pub use url::DatabaseUrl;

use crate::Error;
use crate::content::Content;
use crate::database::{Changes, Database, Result, Sheet, Trouble};
use crate::generations::{Generation, Page};
use crate::keys::{Key, Reset};
use crate::leases::{Kept, Round};
use crate::things::{Kind, Thing};
use crate::usage::{Between, Used, Whose};
use link::{Link, Server, alone};
use slip_ir::Nano;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

/// The running periods are at most a month: days older than this only count in all-time totals.
const RUNNING_DAYS: i64 = 31;

/// How long a start waits for a server that is not there, or not ready.
const START: Duration = Duration::from_secs(15);
const START_RETRY: Duration = Duration::from_millis(250);

/// One connection, and the name of the gateway whose records it puts away.
pub(crate) struct Postgres(Link, Arc<str>);

/// A parameter and its type: told along, the server need not be asked, and no statement has a name that a pooler might not know.
type Param<'a> = (&'a (dyn ToSql + Sync), Type);

macro_rules! query {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/queries/", $name, ".sql"))
    };
}
use query;

impl Postgres {
    /// The connection that writes, and the one that reads. Waits a little for the server, and brings the schema up to date.
    pub fn open(url: &DatabaseUrl) -> std::result::Result<(Postgres, Postgres), Error> {
        let (mut writer, reader) = Postgres::connect(url)?;
        schema::migrate(&mut writer.0, schema::MIGRATIONS)?;
        Ok((writer, reader))
    }

    /// The same, whatever the schema.
    pub fn connect(url: &DatabaseUrl) -> std::result::Result<(Postgres, Postgres), Error> {
        let server = Arc::new(Server::new(url)?);
        let mut writer = Link::new(server.clone());
        let until = Instant::now() + START;
        while let Err(refused) = writer.connect() {
            if !refused.passing {
                return Err(Error::Database(refused.why.0));
            }
            if Instant::now() >= until {
                return Err(Error::Away { waited: START, why: refused.why.0 });
            }
            std::thread::sleep(START_RETRY);
        }
        Ok((Postgres(writer, Arc::default()), Postgres(Link::new(server), Arc::default())))
    }

    /// Records that are put away from now on are this gateway's.
    pub fn of_gateway(mut self, name: &str) -> Postgres {
        self.1 = name.into();
        self
    }

    /// The schema that is there, and the one this release knows.
    pub fn schema(&mut self) -> std::result::Result<(u32, u32), Error> {
        Ok((schema::found(&mut self.0)?, schema::MIGRATIONS.len() as u32))
    }

    /// All rows of one statement.
    fn rows(&mut self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>> {
        self.0.run(async |client, bounds| alone(client, bounds, client.query_typed(sql, params)).await)
    }

    /// How many rows one statement changed.
    fn change(&mut self, sql: &str, params: &[Param<'_>]) -> Result<u64> {
        self.0.run(async |client, bounds| alone(client, bounds, client.execute_typed(sql, params)).await)
    }

    /// What a row should have been.
    fn unreadable<T>(&self, read: std::result::Result<T, String>) -> Result<T> {
        read.map_err(|why| Trouble(format!("{}: unreadable row: {why}", self.0.shown())))
    }
}

fn text<'a>(value: &'a (dyn ToSql + Sync)) -> Param<'a> {
    (value, Type::TEXT)
}

fn number<'a>(value: &'a (dyn ToSql + Sync)) -> Param<'a> {
    (value, Type::INT8)
}

fn flag<'a>(value: &'a (dyn ToSql + Sync)) -> Param<'a> {
    (value, Type::BOOL)
}

fn bytes<'a>(value: &'a (dyn ToSql + Sync)) -> Param<'a> {
    (value, Type::BYTEA)
}

impl Database for Postgres {
    fn put_records(&mut self, records: &[Sheet<'_>]) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let cleaned = batch::clean_records(records);
        let columns = batch::Columns::of(&cleaned, records)?;
        let gateway = self.1.clone();
        self.0.run(async |client, _| columns.put(client, &gateway).await)
    }

    fn generation(&mut self, id: &str) -> Result<Option<Generation>> {
        let row = self.rows(query!("generation_get"), &[text(&id)])?.pop();
        row.map(|row| self.unreadable(rows::generation(&row))).transpose()
    }

    fn page(&mut self, page: &Page) -> Result<Vec<(i64, Generation)>> {
        let (before, most) = (page.before.unwrap_or(i64::MAX), i64::from(page.most));
        let found = match &page.key_hash {
            None => self.rows(query!("generation_page"), &[number(&before), number(&most)])?,
            Some(key) => self.rows(query!("generation_page_of_key"), &[number(&before), text(key), number(&most)])?,
        };
        self.unreadable(found.iter().map(|row| Ok((rows::get(row, 9)?, rows::generation(row)?))).collect())
    }

    fn used(&mut self, between: &Between) -> Result<Vec<Used>> {
        let some = |text: &Option<String>| text.clone().unwrap_or_default();
        let (key, workspace) = (some(&between.key_hash), some(&between.workspace));
        let grain = between.grain.name();
        let asked = [text(&grain), number(&between.from), number(&between.to), text(&key), text(&workspace)];
        let found = self.rows(query!("usage_between"), &asked)?;
        self.unreadable(found.iter().map(rows::used).collect())
    }

    fn totals(&mut self) -> Result<Vec<Whose>> {
        let last = self.rows(query!("totals_last_day"), &[])?;
        let last: Option<i64> = self.unreadable(last.first().map_or(Ok(None), |row| rows::get(row, 0)))?;
        let Some(last) = last else { return Ok(Vec::new()) };
        let past = last - RUNNING_DAYS;
        let found = self.rows(query!("postgres/totals"), &[number(&past)])?;
        self.unreadable(found.iter().map(|row| rows::whose(row, past)).collect())
    }

    fn keys(&mut self) -> Result<Vec<Key>> {
        let found = self.rows(query!("key_all"), &[])?;
        self.unreadable(found.iter().map(rows::key).collect())
    }

    fn put_key(&mut self, key: &Key) -> Result<()> {
        let detail = serde_json::to_string(&key.detail).map_err(|e| Trouble(e.to_string()))?;
        let (limit, reset) = (key.limit.map(|Nano(n)| n), key.limit_reset.map(Reset::name));
        let (kind, mac) = (key.kind.name(), &key.mac[..]);
        let (hash, workspace, name) = (&*key.hash, &*key.workspace, batch::clean(&key.name));
        let row = [
            bytes(&mac),
            text(&hash),
            text(&key.label),
            text(&name),
            text(&kind),
            flag(&key.disabled),
            number(&limit),
            text(&reset),
            flag(&key.include_byok_in_limit),
            number(&key.expires_ms),
            number(&key.created_ms),
            number(&key.updated_ms),
            text(&workspace),
            text(&detail),
        ];
        self.change(query!("key_put"), &row)?;
        Ok(())
    }

    fn delete_key(&mut self, hash: &str) -> Result<bool> {
        Ok(self.change(query!("key_delete"), &[text(&hash)])? > 0)
    }

    fn things(&mut self, kind: Kind) -> Result<Vec<Thing>> {
        let found = self.rows(query!("thing_all"), &[text(&kind.name())])?;
        self.unreadable(found.iter().map(rows::thing).collect())
    }

    fn put_thing(&mut self, kind: Kind, thing: &Thing) -> Result<()> {
        let (kind, body) = (kind.name(), thing.body.to_string());
        let row = [text(&kind), text(&thing.id), number(&thing.created_ms), number(&thing.updated_ms), text(&body)];
        self.change(query!("thing_put"), &row)?;
        Ok(())
    }

    fn delete_thing(&mut self, kind: Kind, id: &str) -> Result<bool> {
        Ok(self.change(query!("thing_delete"), &[text(&kind.name()), text(&id)])? > 0)
    }

    fn setting(&mut self, name: &str) -> Result<Option<String>> {
        let row = self.rows(query!("setting_get"), &[text(&name)])?.pop();
        row.map(|row| self.unreadable(rows::get(&row, 0))).transpose()
    }

    fn put_setting(&mut self, name: &str, value: &str) -> Result<()> {
        self.change(query!("setting_put"), &[text(&name), text(&value)])?;
        Ok(())
    }

    fn claim_setting(&mut self, name: &str, value: &str) -> Result<Option<String>> {
        self.change(query!("setting_claim"), &[text(&name), text(&value)])?;
        self.setting(name)
    }

    fn put_content(&mut self, content: &Content) -> Result<()> {
        let row = [text(&content.generation), number(&content.until_ms), bytes(&content.body)];
        self.change(query!("content_put"), &row)?;
        Ok(())
    }

    fn content(&mut self, generation: &str, now_ms: i64) -> Result<Option<Vec<u8>>> {
        let row = self.rows(query!("content_get"), &[text(&generation), number(&now_ms)])?.pop();
        row.map(|row| self.unreadable(rows::get(&row, 0))).transpose()
    }

    fn forget_content(&mut self, key_hash: &str) -> Result<()> {
        self.change(query!("content_forget"), &[text(&key_hash)])?;
        Ok(())
    }

    fn purge_content(&mut self, now_ms: i64, most: i64) -> Result<usize> {
        Ok(self.change(query!("content_purge"), &[number(&now_ms), number(&most)])? as usize)
    }

    fn changes(&mut self) -> Result<Option<Changes>> {
        let found = self.rows(query!("postgres/changes"), &[])?;
        let read = found.first().map(|row| Ok(Changes { keys: rows::get(row, 0)?, things: rows::get(row, 1)? }));
        read.map(|read| self.unreadable(read)).transpose()
    }

    fn at_one_moment(&mut self, work: &mut dyn FnMut(&mut dyn Database) -> Result<()>) -> Result<()> {
        self.0.begin_snapshot()?;
        let done = work(self);
        self.0.end_snapshot();
        done
    }

    fn spent(&mut self, key_hash: &str) -> Result<Vec<Whose>> {
        let found = self.rows(query!("postgres/usage_of_key"), &[text(&key_hash)])?;
        self.unreadable(found.iter().map(|row| rows::whose(row, i64::MIN)).collect())
    }

    fn enrol(&mut self, gateway: &str, lasts_ms: i64, first: bool) -> Result<i64> {
        self.enrol_as(gateway, lasts_ms, first)
    }

    fn keep(&mut self, round: &Round) -> Result<Kept> {
        self.keep_round(round)
    }

    fn leave(&mut self, gateway: &str) -> Result<()> {
        self.leave_as(gateway)
    }

    /// The server does it by itself.
    fn tidy(&mut self) {}
}
