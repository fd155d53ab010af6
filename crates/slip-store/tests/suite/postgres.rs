//! The same of Postgres, and what only a database of several can do. Needs a server: SLIPSWITCH_TEST_PG has its address, as somebody
//! who may make schemas and end connections. `cargo xtask test` brings one along.

use super::proxy::Proxy;
use super::{NOW, Scratch, record, suite, survives_a_restart};
use slip_ir::{Nano, Usage};
use slip_store::{
    Between, CAPACITY, DatabaseUrl, Error, Generation, Grain, NewKey, Pepper, Place, SecretKey, Store, day_of,
};
use std::io::Write as _;
use std::time::Duration;
use tokio::time::Instant;
use tokio_postgres::NoTls;

const SERVER: &str = "SLIPSWITCH_TEST_PG";

/// A schema of this test's own, removed at the end, and a data directory.
pub struct Schema {
    server: String,
    name: String,
    pub scratch: Scratch,
}

impl Schema {
    /// `None`, and said so, without a server.
    pub async fn new(name: &str) -> Option<Schema> {
        let Some((_, server)) = std::env::vars().find(|(variable, _)| variable == SERVER) else {
            // Not by a macro: what those say is only shown when a test fails.
            let _ = writeln!(std::io::stderr(), "skipped, for {SERVER} names no Postgres: {name}");
            return None;
        };
        let scratch = Scratch::new(name);
        let schema = Schema { server, name: format!("{}_{}", name.replace('-', "_"), std::process::id()), scratch };
        schema.admin(&format!("DROP SCHEMA IF EXISTS {0} CASCADE; CREATE SCHEMA {0}", schema.name)).await;
        Some(schema)
    }

    /// Connections of this schema alone, so that they can be told from others.
    fn address(&self, server: &str) -> String {
        let joint = if server.contains('?') { '&' } else { '?' };
        format!("{server}{joint}options=-csearch_path%3D{0}&application_name={0}", self.name)
    }

    pub fn place(&self) -> Place {
        self.place_of(&self.server, &self.scratch)
    }

    fn place_of(&self, server: &str, scratch: &Scratch) -> Place {
        let url = DatabaseUrl::parse(&self.address(server)).expect("an address");
        Place::Postgres { url, dir: scratch.0.clone(), pepper: None }
    }

    /// A second gateway's: another directory, the same pepper.
    fn beside(&self, scratch: &Scratch, pepper: &Pepper) -> Place {
        let url = DatabaseUrl::parse(&self.address(&self.server)).expect("an address");
        Place::Postgres { url, dir: scratch.0.clone(), pepper: Some(pepper.clone()) }
    }

    /// The same with the pepper the first gateway made.
    pub fn place_beside(&self, scratch: &Scratch) -> Place {
        self.beside(scratch, &self.pepper())
    }

    pub fn open(&self) -> Result<Store, Error> {
        Store::open(self.place(), None)
    }

    fn pepper(&self) -> Pepper {
        Pepper::read(&std::fs::read(self.scratch.0.join("pepper")).expect("a pepper")).expect("32 bytes")
    }

    /// The server's host and port, to put something in between.
    fn host(&self) -> String {
        let rest = self.server.split_once("://").expect("a URL").1;
        let host = rest.split(['/', '?']).next().expect("a host");
        host.rsplit('@').next().expect("a host").to_owned()
    }

    pub async fn admin(&self, sql: &str) {
        self.number(sql).await;
    }

    /// The first number a statement tells.
    pub async fn number(&self, sql: &str) -> i64 {
        let (client, connection) = tokio_postgres::connect(&self.server, NoTls).await.expect("the server of the tests");
        let driver = tokio::spawn(connection);
        let sql = format!("SET search_path = {}; {sql}", self.name);
        let said = client.simple_query(&sql).await.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
        driver.abort();
        let rows = said.iter().filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
            _ => None,
        });
        rows.last().unwrap_or(0)
    }

    /// Cut every connection of this schema, from the server's side.
    async fn terminate(&self) -> i64 {
        let ended = format!(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = '{}'",
            self.name
        );
        self.number(&ended).await
    }

    async fn records_and_sums(&self) -> (i64, i64, i64) {
        (
            self.number("SELECT count(*) FROM generations").await,
            self.number("SELECT sum(requests) FROM usage WHERE grain = 'd'").await,
            self.number("SELECT sum(nano) FROM usage WHERE grain = 'h'").await,
        )
    }

    pub async fn end(self) {
        self.admin(&format!("DROP SCHEMA {} CASCADE", self.name)).await;
    }
}

async fn write(store: &Store, numbers: std::ops::Range<usize>) {
    for number in numbers {
        while store.ledger().reserve(None).map(|slot| slot.write(record(number))).is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

async fn until(what: &str, mut met: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if met().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("never: {what}");
}

#[tokio::test]
async fn the_suite_in_postgres() {
    let Some(schema) = Schema::new("suite").await else { return };
    suite(schema.open().expect("opens")).await;
    schema.end().await;
}

#[tokio::test]
async fn everything_survives_a_restart() {
    let Some(schema) = Schema::new("restart").await else { return };
    survives_a_restart(|| schema.open()).await;
    schema.end().await;
}

/// Three gateways on an empty database, at the same moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn several_may_start_at_once() {
    let Some(schema) = Schema::new("at-once").await else { return };
    let scratches = [Scratch::new("at-once-a"), Scratch::new("at-once-b"), Scratch::new("at-once-c")];
    let pepper = Pepper::read(&[7; 32]).expect("32 bytes");
    let opening = scratches.each_ref().map(|scratch| {
        let place = schema.beside(scratch, &pepper);
        tokio::task::spawn_blocking(move || Store::open(place, None))
    });
    for opening in opening {
        opening.await.expect("no panic").expect("opens").close().await.expect("closed");
    }
    assert_eq!(schema.number("SELECT count(*) FROM schema_version").await, 2, "each step once");
    schema.end().await;
}

#[tokio::test]
async fn a_newer_schema_and_another_pepper_are_refused() {
    let Some(schema) = Schema::new("refused").await else { return };
    schema.open().expect("opens").close().await.expect("closed");
    let other = Scratch::new("refused-other");
    let refused = Store::open(schema.place_of(&schema.server, &other), None).err().expect("refused").to_string();
    assert!(refused.contains("were made with another pepper") && refused.contains("pepper_file"), "{refused}");
    schema.admin("INSERT INTO schema_version (version) VALUES (99)").await;
    let refused = schema.open().err().expect("refused");
    assert!(matches!(refused, Error::Newer { found: 99, known: 2 }), "{refused}");
    schema.end().await;
}

/// The server is told to end the connection while batches are being written; some of its answers are lost after the deed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_lost_in_the_middle_loses_and_doubles_nothing() {
    const RECORDS: usize = 6_000;
    let Some(schema) = Schema::new("killed-backend").await else { return };
    let proxy = Proxy::to(schema.host());
    let through = schema.server.replace(&schema.host(), &format!("127.0.0.1:{}", proxy.port));
    let store = Store::open(schema.place_of(&through, &schema.scratch), None).expect("opens");
    let writing = tokio::spawn({
        let store = store.clone();
        async move { write(&store, 0..RECORDS).await }
    });
    let mut ended = 0;
    for _ in 0..5 {
        proxy.swallow_commits(1);
        tokio::time::sleep(Duration::from_millis(120)).await;
        ended += schema.terminate().await;
    }
    writing.await.expect("written");
    // At least one more, whatever the pace above.
    proxy.swallow_commits(1);
    write(&store, RECORDS..RECORDS + 1).await;
    store.flush().await.expect("flushed");
    assert!(proxy.swallowed() >= 1, "an answer to a commit was lost");
    assert!(ended >= 1, "a connection was ended by the server");
    let all = RECORDS as i64 + 1;
    assert_eq!(schema.records_and_sums().await, (all, all, all * 1_000));
    assert_eq!(store.trouble(), None);
    store.close().await.expect("closed");
    schema.end().await;
}

/// The database goes away under way: records wait, keys open, changes are refused in bounded time, and nothing is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_away_records_wait_and_keys_open() {
    let Some(schema) = Schema::new("away").await else { return };
    let proxy = Proxy::to(schema.host());
    let through = schema.server.replace(&schema.host(), &format!("127.0.0.1:{}", proxy.port));
    let store = Store::open(schema.place_of(&through, &schema.scratch), None).expect("opens");
    let secret = SecretKey::mint();
    let key = store.create_key(&secret, NewKey::default(), NOW).await.expect("created");
    assert!(!store.is_doubtful());

    proxy.cut();
    write(&store, 0..700).await;
    until("trouble", async || store.trouble().is_some()).await;
    store.refresh().await.expect_err("away");
    assert!(store.is_doubtful());
    assert_eq!(store.keyring().find(secret.expose(), NOW), Some(key));
    assert!(store.generation(&record(3).id).await.expect("read").is_some(), "from memory");
    let began = Instant::now();
    let late = SecretKey::mint();
    let refused = store.create_key(&late, NewKey::default(), NOW).await.expect_err("away").to_string();
    assert!(!refused.contains("password") && refused.contains("postgres://"), "{refused}");
    assert!(began.elapsed() < Duration::from_secs(10), "bounded");

    // Until there is no room: then new requests are turned away, and no record is lost.
    let ledger = store.ledger();
    let mut number = 700;
    while let Ok(slot) = ledger.reserve(None) {
        slot.write(record(number));
        number += 1;
    }
    assert!(number >= CAPACITY, "{number}");

    proxy.mend();
    store.flush().await.expect("flushed");
    until("well again", async || store.refresh().await.is_ok() && store.trouble().is_none()).await;
    assert!(!store.is_doubtful());
    assert_eq!(schema.records_and_sums().await.0, number as i64);
    assert_eq!(schema.records_and_sums().await.1, number as i64);
    assert_eq!(schema.number("SELECT count(*) FROM keys").await, 1, "what was refused is not made later");
    store.close().await.expect("closed");
    schema.end().await;
}

/// A gateway that must stop while its database is away leaves its records to the next start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_not_be_written_before_the_end_is_written_at_the_next_start() {
    let Some(schema) = Schema::new("left-over").await else { return };
    let proxy = Proxy::to(schema.host());
    let through = schema.server.replace(&schema.host(), &format!("127.0.0.1:{}", proxy.port));
    let store = Store::open(schema.place_of(&through, &schema.scratch), None).expect("opens");
    write(&store, 0..10).await;
    store.flush().await.expect("flushed");
    proxy.cut();
    write(&store, 10..20).await;
    store.close().await.expect_err("the last records are not in the database");
    let store = schema.open().expect("opens again");
    assert_eq!(schema.records_and_sums().await, (20, 20, 20_000));
    store.close().await.expect("closed");
    schema.end().await;
}

#[tokio::test]
async fn a_start_without_the_database_ends_in_bounded_time_and_shows_no_secret() {
    let scratch = Scratch::new("nowhere");
    // Taken and given back: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let url = format!("postgres://me:s3cret@127.0.0.1:{port}/slip");
    let url = DatabaseUrl::parse(&url).expect("an address");
    let place = Place::Postgres { url, dir: scratch.0.clone(), pepper: None };
    let began = Instant::now();
    let refused = Store::open(place, None).err().expect("refused");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    assert!(matches!(refused, Error::Away { .. }), "{refused}");
    let said = format!("{refused} {refused:?}");
    assert!(said.contains(&format!("postgres://me@127.0.0.1:{port}/slip")) && !said.contains("s3cret"), "{said}");
}

/// What waiting does not help is told at once.
#[tokio::test]
async fn a_database_that_is_not_there_is_told_at_once() {
    let Some(schema) = Schema::new("no-such").await else { return };
    let (head, tail) = schema.server.rsplit_once('/').expect("a database");
    let query = tail.split_once('?').map(|(_, query)| format!("?{query}")).unwrap_or_default();
    let url = DatabaseUrl::parse(&format!("{head}/no_such_database{query}")).expect("an address");
    let began = Instant::now();
    let place = Place::Postgres { url, dir: schema.scratch.0.clone(), pepper: None };
    let refused = Store::open(place, None).err().expect("refused").to_string();
    assert!(refused.contains("no_such_database") && refused.contains("3D000"), "{refused}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    schema.end().await;
}

#[tokio::test]
async fn what_one_gateway_changes_another_sees() {
    let Some(schema) = Schema::new("two").await else { return };
    let one = schema.open().expect("opens");
    let scratch = Scratch::new("two-b");
    let two = Store::open(schema.beside(&scratch, &schema.pepper()), None).expect("opens beside it");
    assert!(one.is_shared() && two.is_shared());

    let secret = SecretKey::mint();
    let key = one.create_key(&secret, NewKey { name: "new".into(), ..NewKey::default() }, NOW).await.expect("created");
    assert_eq!(two.keyring().find(secret.expose(), NOW), None);
    assert!(two.refresh().await.expect("looked").keys);
    assert_eq!(two.keyring().find(secret.expose(), NOW), Some(key.clone()));
    assert!(!two.refresh().await.expect("looked").keys, "nothing new");

    let mut edited = slip_store::Key::clone(&key);
    edited.disabled = true;
    two.update_key(edited, NOW).await.expect("updated");
    assert!(one.refresh().await.expect("looked").keys);
    assert!(one.keyring().find(secret.expose(), NOW).is_some_and(|key| key.disabled));
    one.delete_key(&key.hash).await.expect("deleted");
    two.refresh().await.expect("looked");
    assert_eq!(two.keyring().find(secret.expose(), NOW), None);

    let thing = slip_store::Thing { id: "a".into(), created_ms: NOW, updated_ms: None, body: serde_json::json!({}) };
    one.put_thing(slip_store::Kind::Workspace, thing).await.expect("put");
    let changed = two.refresh().await.expect("looked");
    assert!(changed.things && !changed.keys);
    for store in [one, two] {
        store.close().await.expect("closed");
    }
    schema.end().await;
}

/// Two gateways add to the same sums all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_gateways_that_write_at_once_lose_nothing() {
    const EACH: usize = 4_000;
    let Some(schema) = Schema::new("crowd").await else { return };
    let one = schema.open().expect("opens");
    let scratch = Scratch::new("crowd-b");
    let two = Store::open(schema.beside(&scratch, &schema.pepper()), None).expect("opens beside it");
    let writing = [(one.clone(), 0), (two.clone(), EACH)].map(|(store, from)| {
        tokio::spawn(async move {
            write(&store, from..from + EACH).await;
            store.flush().await.expect("flushed");
            store.trouble()
        })
    });
    for writing in writing {
        assert_eq!(writing.await.expect("no panic"), None);
    }
    let all = 2 * EACH as i64;
    assert_eq!(schema.records_and_sums().await, (all, all, all * 1_000));
    for store in [one, two] {
        store.close().await.expect("closed");
    }
    schema.end().await;
}

/// What callers and providers may say must not keep a batch from being written.
#[tokio::test]
async fn no_record_is_too_strange_to_be_written() {
    let Some(schema) = Schema::new("strange").await else { return };
    let store = schema.open().expect("opens");
    let tokens = Usage { input: u64::MAX, output: u64::MAX / 2, ..Usage::default() };
    let strange = |n: usize, model: &str| Generation {
        model: model.into(),
        model_requested: "no\0thing '; --".into(),
        tokens: tokens.clone(),
        cost: Nano(i64::MAX / 2),
        ..record(n)
    };
    for (n, model) in [(0, "a\0b"), (1, "a\u{fffd}b"), (2, "'; DROP TABLE keys; --"), (3, "a\0b")] {
        store.ledger().reserve(None).expect("room").write(strange(n, model));
        store.flush().await.expect("flushed");
    }
    write(&store, 4..5).await;
    store.flush().await.expect("flushed");
    assert_eq!((store.trouble(), schema.records_and_sums().await.0), (None, 5));
    let day = Between { grain: Grain::Day, from: day_of(NOW), to: day_of(NOW) + 1, key_hash: None, workspace: None };
    let used = store.used(day).await.expect("read");
    assert!(used.iter().any(|used| used.sums.prompt == i64::MAX && used.sums.requests == 3), "{used:?}");
    store.close().await.expect("closed");
    schema.open().expect("opens again").close().await.expect("closed");
    schema.end().await;
}
