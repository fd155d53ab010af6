//! The database: shared by several gateways, away for a while, locked; and the commands around it. What needs Postgres looks for one in
//! SLIPSWITCH_TEST_PG, which `cargo xtask test` brings along.

#[path = "../../../slip-store/tests/suite/proxy.rs"]
pub mod proxy;

mod disk;

use crate::harness::{Gateway, KEY, binary, provider, run, scratch};
use crate::sign_in::{VERIFIER, code_by, exchange};
use bytes::Bytes;
use http::Method;
use proxy::Proxy;
use serde_json::{Value, json};
use slip_ir::Dialect;
use slip_sim::{Sim, SimConfig};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::Instant;

const SERVER: &str = "SLIPSWITCH_TEST_PG";
pub const PEPPER: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
/// Stands in addresses of databases, and must be seen nowhere.
const PASSWORD: &str = "pg-s3cret-0123456789";

fn ask() -> Value {
    json!({ "model": "made/one", "messages": [{ "role": "user", "content": "count to 3" }] })
}

async fn sim() -> Sim {
    Sim::start(SimConfig { tokens_per_second: 1000.0, ..SimConfig::default() }).await.expect("a socket")
}

fn house(sim: &Sim) -> String {
    provider("lab", Dialect::OpenAiChat, &sim.base_url(), &["made/one"])
}

/// A schema of this test's own.
pub struct Schema {
    server: String,
    name: String,
}

impl Schema {
    pub async fn new(name: &str) -> Option<Schema> {
        let Some((_, server)) = std::env::vars().find(|(variable, _)| variable == SERVER) else {
            // Not by a macro: what those say is only shown when a test fails.
            let _ = writeln!(std::io::stderr(), "skipped, for {SERVER} names no Postgres: {name}");
            return None;
        };
        // A server that trusts everybody takes any password.
        let server = server.replacen('@', &format!(":{PASSWORD}@"), 1);
        let schema = Schema { server, name: format!("it_{name}_{}", std::process::id()) };
        schema.number(&format!("DROP SCHEMA IF EXISTS {0} CASCADE; CREATE SCHEMA {0}", schema.name)).await;
        Some(schema)
    }

    pub fn url(&self) -> String {
        let joint = if self.server.contains('?') { '&' } else { '?' };
        format!("{}{joint}options=-csearch_path%3D{}", self.server, self.name)
    }

    pub fn host(&self) -> String {
        let rest = self.server.split_once('@').expect("a user").1;
        rest.split(['/', '?']).next().expect("a host").to_owned()
    }

    pub fn url_through(&self, proxy: &Proxy) -> String {
        self.url().replace(&self.host(), &format!("127.0.0.1:{}", proxy.port))
    }

    pub async fn number(&self, sql: &str) -> i64 {
        let connected = tokio_postgres::connect(&self.server, tokio_postgres::NoTls).await;
        let (client, connection) = connected.expect("the server of the tests");
        let driver = tokio::spawn(connection);
        let said = client.simple_query(&format!("SET search_path = {}; {sql}", self.name)).await;
        driver.abort();
        let said = said.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
        let rows = said.iter().filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
            _ => None,
        });
        rows.last().unwrap_or(0)
    }

    pub async fn end(self) {
        self.number(&format!("DROP SCHEMA {} CASCADE", self.name)).await;
    }
}

pub fn start(config: &str, url: &str) -> Gateway {
    let env = [("SLIPSWITCH_DATABASE_URL", url), ("SLIPSWITCH_PEPPER", PEPPER)];
    Gateway::try_start(config, &env).unwrap_or_else(|said| panic!("the gateway did not start: {said}"))
}

/// Whether something comes true within two seconds, which is what is promised of changes made elsewhere.
pub async fn soon(what: &str, mut met: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !met().await {
        assert!(began.elapsed() < Duration::from_secs(2), "not within two seconds: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_gateway_on_postgres_keeps_what_it_recorded_over_a_restart() {
    let Some(schema) = Schema::new("keeps").await else { return };
    let sim = sim().await;
    let mut gateway = start(&house(&sim), &schema.url());
    let got = gateway.chat(&ask()).await;
    assert_eq!(got.status, 200, "{}", got.text());
    let record = gateway.record(&got).await;
    assert!(gateway.said().contains("Database postgres://slipswitch@"), "{}", gateway.said());
    gateway.signal("TERM");
    assert_eq!(gateway.wait(Duration::from_secs(20)), Some(0), "{}", gateway.said());
    assert!(!gateway.said().contains(PASSWORD), "{}", gateway.said());
    drop(gateway);

    let gateway = start(&house(&sim), &schema.url());
    let mut again = gateway.record(&got).await;
    // Told from memory the first time, from the database the second.
    again["id"] = record["id"].clone();
    assert_eq!(again, record);
    let usage = gateway.get("/api/v1/key").await.json()["data"]["usage"].clone();
    assert!(usage.as_f64().is_some_and(|dollars| dollars > 0.0), "what the key spent is known: {usage}");
    let said = run(&["verify-ledger", "--json"], &[("DATABASE_URL", &schema.url())]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{}", said.out);
    let verified: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!((&verified["records"], &verified["differences"]), (&json!(1), &json!([])));
    let said = run(&["migrate", "--check"], &[("DATABASE_URL", &schema.url())]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "Schema 2: up to date.\n"), "{}", said.err);
    let said = run(&["backup", "/nonexistent/file"], &[("DATABASE_URL", &schema.url())]);
    assert!(said.code == Some(2) && said.err.contains("pg_dump") && !said.err.contains(PASSWORD), "{}", said.err);
    drop(gateway);
    schema.end().await;
}

/// Nobody is told that a key is wrong because a database is away, nobody's record is lost, and nobody waits for it.
#[tokio::test]
async fn while_postgres_is_away_requests_go_on_and_nothing_is_lost() {
    let Some(schema) = Schema::new("away").await else { return };
    let (sim, proxy) = (sim().await, Proxy::to(schema.host()));
    let gateway = Arc::new(start(&house(&sim), &schema.url_through(&proxy)));
    let (stop, slowest) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let traffic: Vec<_> = (0..4)
        .map(|_| {
            let (gateway, stop, slowest) = (gateway.clone(), stop.clone(), slowest.clone());
            tokio::spawn(async move {
                let mut ids = BTreeSet::new();
                while !stop.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    let got = gateway.chat(&ask()).await;
                    assert_eq!(got.status, 200, "{}", got.text());
                    slowest.fetch_max(began.elapsed().as_millis() as u32, Ordering::Relaxed);
                    ids.insert(got.header("x-generation-id").to_owned());
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                ids
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    // An answer to a commit gets lost on the way, and then everything.
    proxy.swallow_commits(1);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(proxy.swallowed() > 0);
    proxy.cut();
    tokio::time::sleep(Duration::from_secs(4)).await;
    let ready = gateway.send(Method::GET, "/readyz", &[], Bytes::new()).await;
    assert_eq!(ready.status, 200, "it can serve with what it has: {}", ready.text());
    assert_eq!(
        ready.json()["ledger"],
        "the database cannot be written to; records wait",
        "and no more is anybody's business"
    );
    // Somebody else may have made this key: it is not for this gateway to say that it is wrong.
    let unknown = [("authorization", "Bearer sk-some-other-key-0123456789")];
    let got = gateway.send(Method::POST, "/api/v1/chat/completions", &unknown, ask().to_string().into()).await;
    assert_eq!(got.status, 503, "{}", got.text());
    proxy.mend();
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.store(true, Ordering::Relaxed);
    let mut ids = BTreeSet::new();
    for traffic in traffic {
        ids.extend(traffic.await.expect("no request failed"));
    }
    assert!(ids.len() > 100, "{}", ids.len());
    let began = Instant::now();
    let count = "SELECT count(*) FROM generations";
    while schema.number(count).await < ids.len() as i64 {
        assert!(began.elapsed() < Duration::from_secs(10), "drained: {} of {}", schema.number(count).await, ids.len());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(schema.number(count).await, ids.len() as i64);
    assert_eq!(schema.number("SELECT sum(requests) FROM usage WHERE grain = 'd'").await, ids.len() as i64);
    let got = gateway.send(Method::POST, "/api/v1/chat/completions", &unknown, ask().to_string().into()).await;
    assert_eq!(got.status, 401, "now it is known: {}", got.text());
    assert!(slowest.load(Ordering::Relaxed) < 2_000, "nobody waited for it: {slowest:?} ms");
    assert!(!gateway.said().contains(PASSWORD), "{}", gateway.said());
    drop(gateway);
    schema.end().await;
}

#[tokio::test]
async fn what_one_gateway_changes_another_knows_within_two_seconds() {
    let Some(schema) = Schema::new("two").await else { return };
    let sim = sim().await;
    let one = start(&house(&sim), &schema.url());
    let with = |key: &'static str| [("authorization", key)];
    let status = async |gateway: &Gateway, key: &'static str| {
        gateway.send(Method::GET, "/api/v1/key", &with(key), Bytes::new()).await.status
    };
    let (old, new) = ("Bearer sk-test-key-0123456789", "Bearer sk-another-key-0123456789");
    assert_eq!(&old[7..], KEY);
    assert_eq!((status(&one, old).await, status(&one, new).await), (200, 401));
    // It is given another first key, which takes the old one's place.
    let env =
        [("SLIPSWITCH_DATABASE_URL", &*schema.url()), ("SLIPSWITCH_PEPPER", PEPPER), ("SLIPSWITCH_KEY", &new[7..])];
    let two = Gateway::try_start(&house(&sim), &env).expect("starts beside the other");
    assert_eq!((status(&two, old).await, status(&two, new).await), (401, 200));
    soon("the new key opens", async || status(&one, new).await == 200).await;
    soon("the old one does not", async || status(&one, old).await == 401).await;

    // One that was forgotten when the pepper was handed out.
    let refused = Gateway::try_start(&house(&sim), &[("DATABASE_URL", &schema.url())]).err().expect("refused");
    assert!(refused.contains("made with another pepper") && refused.contains("SLIPSWITCH_PEPPER"), "{refused}");
    assert!(!refused.contains(PASSWORD), "{refused}");
    drop((one, two));
    schema.end().await;
}

#[test]
fn a_start_without_the_database_ends_and_says_what_to_do() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let url = format!("postgres://me:{PASSWORD}@127.0.0.1:{port}/slip");
    let began = Instant::now();
    let dir = scratch();
    let data = dir.join("data").display().to_string();
    let args = ["serve", "--no-probe", "--listen", "127.0.0.1:0", "--data-dir", &data];
    let said = run(&args, &[("DATABASE_URL", &url)]);
    assert_eq!(said.code, Some(69), "{}", said.err);
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    assert!(said.err.contains("was not to be had within 15 seconds"), "{}", said.err);
    assert!(said.err.contains("hint:") && !said.err.contains(PASSWORD), "{}", said.err);
    std::fs::remove_dir_all(dir).expect("removed");
}

#[test]
fn a_pepper_that_cannot_be_used_is_refused_and_not_shown() {
    let (url, dir) = (("DATABASE_URL", "postgres://me@127.0.0.1:1/slip"), scratch());
    let file = dir.join("pepper-file");
    std::fs::write(&file, "pepper-but-too-short").expect("written");
    let named = [("SLIPSWITCH__PEPPER_FILE", &*at(&file)), url];
    let rows: [(&[(&str, &str)], &str); 4] = [
        (&[("SLIPSWITCH_PEPPER", PEPPER)], "there is no database_url"),
        (&[("SLIPSWITCH_PEPPER", &PEPPER[1..]), url], "SLIPSWITCH_PEPPER is not a pepper"),
        (&named, "pepper_file is not a pepper"),
        (&[named[0], url, ("SLIPSWITCH_PEPPER", PEPPER)], "both given"),
    ];
    for (env, want) in rows {
        let said = run(&["migrate", "--check", "--data-dir", &at(&dir)], env);
        assert_eq!(said.code, Some(78), "{}", said.err);
        let shown = said.err.contains(&PEPPER[1..]) || said.err.contains("too-short");
        assert!(said.err.contains(want) && !shown, "{}", said.err);
    }
    std::fs::remove_dir_all(dir).expect("removed");
}

/// Who stops it meanwhile need not wait.
#[test]
fn waiting_for_the_database_can_be_interrupted() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let dir = scratch();
    let mut child = binary()
        .args(["serve", "--no-probe", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(dir.join("data"))
        .env("DATABASE_URL", format!("postgres://me@127.0.0.1:{port}/slip"))
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("starts");
    std::thread::sleep(Duration::from_millis(1500));
    let began = Instant::now();
    assert!(std::process::Command::new("kill").arg(child.id().to_string()).status().is_ok_and(|s| s.success()));
    assert_eq!(child.wait().expect("ends").code(), Some(1));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    std::fs::remove_dir_all(dir).expect("removed");
}

/// Wherever a balancer sends the browser and the app.
#[tokio::test]
async fn an_app_is_allowed_at_one_gateway_and_gets_its_key_at_another_once() {
    let Some(schema) = Schema::new("codes").await else { return };
    let sim = sim().await;
    let (one, two) = (start(&house(&sim), &schema.url()), start(&house(&sim), &schema.url()));
    let made = code_by(&one, KEY, json!({ "limit": 2 })).await;
    let body = json!({ "code": made.json()["data"]["id"], "code_verifier": VERIFIER });
    let (here, there) = tokio::join!(exchange(&one, &body), exchange(&two, &body));
    let mut statuses = [here.status, there.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 403], "{} {}", here.text(), there.text());
    let got = if here.status == 200 { here } else { there };
    let key = got.json()["key"].as_str().expect("a key").to_owned();
    for gateway in [&one, &two] {
        soon("the app's key is known", async || gateway.chat_as(&key, &ask()).await.status == 200).await;
    }
    drop((one, two));
    schema.end().await;
}

/// Another program holds the file for longer than anybody should.
#[tokio::test]
async fn while_the_file_is_locked_requests_go_on_and_nothing_is_lost() {
    let sim = sim().await;
    let gateway = Gateway::start(&house(&sim));
    assert_eq!(gateway.chat(&ask()).await.status, 200);
    let file = gateway.dir.join("data/slipswitch.db");
    let meddler = rusqlite::Connection::open(&file).expect("a second connection");
    meddler.execute_batch("BEGIN EXCLUSIVE").expect("held");
    let began = Instant::now();
    let mut asked = 1;
    let mut troubled = false;
    while began.elapsed() < Duration::from_secs(12) && !troubled {
        let got = gateway.chat(&ask()).await;
        assert_eq!(got.status, 200, "{}", got.text());
        asked += 1;
        let ready = gateway.send(Method::GET, "/readyz", &[], Bytes::new()).await;
        troubled = ready.status == 503 && ready.text().contains("locked");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(troubled, "it says so");
    meddler.execute_batch("COMMIT").expect("let go");
    let began = Instant::now();
    let count =
        || meddler.query_row("SELECT count(*) FROM generations", [], |row| row.get::<_, i64>(0)).expect("counted");
    while count() < asked {
        assert!(began.elapsed() < Duration::from_secs(10), "{} of {asked}", count());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(count(), asked);
    let ready = gateway.send(Method::GET, "/readyz", &[], Bytes::new()).await;
    assert_eq!(ready.status, 200, "{}", ready.text());
}

fn at(dir: &Path) -> String {
    dir.display().to_string()
}

#[tokio::test]
async fn a_backup_of_a_running_gateway_is_restored_elsewhere_and_opens_the_same_keys() {
    let sim = sim().await;
    let gateway = Gateway::start(&house(&sim));
    let got = gateway.chat(&ask()).await;
    gateway.record(&got).await;
    // Written some fifty milliseconds later.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let data = at(&gateway.dir.join("data"));
    let dir = scratch();
    let (copy, elsewhere): (PathBuf, PathBuf) = (dir.join("copy.db"), dir.join("elsewhere"));
    let said = run(&["backup", &at(&copy), "--data-dir", &data], &[]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("The pepper is not in it"), "{}", said.out);
    let said = run(&["backup", &at(&copy), "--data-dir", &data], &[]);
    assert_eq!(said.code, Some(69), "never over a file: {}", said.err);

    let restore = |more: &[&str]| run(&[&["restore", &at(&copy), "--data-dir", &at(&elsewhere)], more].concat(), &[]);
    let said = restore(&[]);
    assert!(said.code == Some(69) && said.err.contains("the pepper is missing"), "{}", said.err);
    let pepper = format!("{data}/pepper");
    let said = restore(&["--pepper", &pepper]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let said = restore(&[]);
    assert!(said.code == Some(69) && said.err.contains("--replace"), "{}", said.err);
    let said = restore(&["--replace"]);
    assert!(said.code == Some(0) && said.out.contains("before-1"), "{}{}", said.out, said.err);

    let restored = Restored::start(&house(&sim), &elsewhere);
    let id = got.header("x-generation-id");
    let answer = restored.get(&format!("/api/v1/generation?id={id}")).await;
    assert_eq!(answer, 200, "the record and the key are there");
    let said = run(&["restore", &at(&copy), "--data-dir", &at(&elsewhere), "--replace"], &[]);
    assert!(said.code == Some(69) && said.err.contains("in use by process"), "{}", said.err);
    let said = run(&["verify-ledger", "--data-dir", &at(&elsewhere)], &[]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "1 records, 2 sums, 0 differences.\n"), "{}", said.err);
    let said = run(&["migrate", "--check", "--json", "--data-dir", &at(&elsewhere)], &[]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let told: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(told["schema"], told["known"]);

    // Somebody has been at the sums.
    let meddler = rusqlite::Connection::open(elsewhere.join("slipswitch.db")).expect("opens");
    meddler.execute("UPDATE usage SET nano = nano + 1 WHERE grain = 'd'", []).expect("meddled");
    let said = run(&["verify-ledger", "--data-dir", &at(&elsewhere)], &[]);
    assert!(said.code == Some(1) && said.out.starts_with("day "), "{}{}", said.out, said.err);
    assert!(said.out.ends_with("1 records, 2 sums, 1 differences.\n"), "{}", said.out);
    drop(restored);
    std::fs::remove_dir_all(dir).expect("removed");
}

/// A gateway on a directory that is there already.
struct Restored {
    child: std::process::Child,
    address: std::net::SocketAddr,
}

impl Restored {
    fn start(config: &str, data: &Path) -> Restored {
        use std::io::BufRead;
        let file = data.with_extension("toml");
        std::fs::write(&file, config).expect("written");
        let mut child = binary()
            .args(["serve", "--json", "--no-probe", "--listen", "127.0.0.1:0", "-c"])
            .args([&file, Path::new("--data-dir"), data])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("piped");
        std::io::BufReader::new(out).read_line(&mut line).expect("a line");
        let said: Value = serde_json::from_str(&line).expect("JSON");
        let api = said["api"].as_str().and_then(|api| api.strip_prefix("http://")?.strip_suffix("/api/v1"));
        let address = api.and_then(|address| address.parse().ok()).expect("an address");
        Restored { child, address }
    }

    async fn get(&self, path: &str) -> u16 {
        let headers = [("authorization", &*format!("Bearer {KEY}"))];
        crate::harness::send(self.address, Method::GET, path, &headers, Bytes::new()).await.status
    }
}

impl Drop for Restored {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
