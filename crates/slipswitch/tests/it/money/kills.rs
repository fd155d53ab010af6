//! `kill -9` at any moment: every request the provider served has a row, none is counted twice, nothing stays held, and no limit is
//! passed by more than what was under way.

use super::{Key, ask, nano};
use crate::harness::{KEY, MANAGEMENT, provider, scratch};
use http::Method;
use serde_json::{Value, json};
use slip_ir::Dialect;
use slip_sim::{Sim, SimConfig};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::task::JoinSet;

/// Rounds, if nobody says otherwise (`SLIPSWITCH_KILLS`).
const ROUNDS: usize = 50;
/// Requests under way when it is killed.
const AT_ONCE: usize = 24;
/// What one costs: ten of a hundred-thousandth for the request, one for each token of its answer.
const PRICE: &str = "price = { input = \"0\", output = \"10\", request = \"0.0001\" }";

/// A gateway that is started again on the same directory.
struct Victim {
    dir: PathBuf,
    child: Option<Child>,
    address: SocketAddr,
    said: String,
}

impl Victim {
    fn start(&mut self) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_slipswitch"))
            .args(["serve", "--json", "--no-probe", "--listen", "127.0.0.1:0", "-c"])
            .arg(self.dir.join("gateway.toml"))
            .arg("--data-dir")
            .arg(self.dir.join("data"))
            .env("SLIPSWITCH_KEY", KEY)
            .env("SLIPSWITCH_MANAGEMENT_KEY", MANAGEMENT)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|_| {
            let mut said = String::new();
            let _ = child.stderr.take().map(|mut stderr| stderr.read_to_string(&mut said));
            panic!("it did not start: {said}")
        });
        let api = ready["api"].as_str().expect("an address");
        self.address = api.trim_start_matches("http://").trim_end_matches("/api/v1").parse().expect("an address");
        self.child = Some(child);
    }

    /// SIGKILL: nothing of it runs any more.
    fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("killed");
        child.wait().expect("gone");
        let mut said = String::new();
        let _ = child.stderr.take().map(|mut stderr| stderr.read_to_string(&mut said));
        self.said = said;
        assert!(!self.said.contains("panicked"), "{}", self.said);
    }

    async fn manage(&self, method: Method, path: &str, body: Value) -> Value {
        let bearer = format!("Bearer {MANAGEMENT}");
        let body = if body.is_null() { Default::default() } else { body.to_string().into() };
        let got = crate::harness::send(self.address, method, path, &[("authorization", &bearer)], body).await;
        assert!(got.status < 300, "{path}: {}", got.text());
        got.json()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A request whose caller may never hear of it again. Tells what it was answered with, if it was.
async fn call(address: SocketAddr, secret: String, n: usize) -> Option<(u16, String)> {
    let body = ask(
        json!({ "stream": !n.is_multiple_of(3), "messages": [{ "role": "user", "content": format!("count to {}", 3 + n % 90) }] }),
    );
    let stream = tokio::net::TcpStream::connect(address).await.ok()?;
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.ok()?;
    let driver = tokio::spawn(connection);
    let request = http::Request::post("/api/v1/chat/completions")
        .header("host", "x")
        .header("authorization", format!("Bearer {secret}"))
        .body(http_body_util::Full::new(bytes::Bytes::from(body.to_string())))
        .ok()?;
    let response = sender.send_request(request).await.ok()?;
    let id = response.headers().get("x-generation-id").and_then(|id| id.to_str().ok()).unwrap_or("").to_owned();
    let status = response.status().as_u16();
    let whole = http_body_util::BodyExt::collect(response.into_body()).await.is_ok();
    driver.abort();
    whole.then_some((status, id))
}

#[tokio::test]
async fn whatever_moment_it_is_killed_at_nothing_is_lost_and_nothing_counted_twice() {
    let rounds = std::env::vars().find(|(name, _)| name == "SLIPSWITCH_KILLS").and_then(|(_, n)| n.parse().ok());
    let rounds = rounds.unwrap_or(ROUNDS);
    let conf = SimConfig { tokens_per_second: 400.0, ttft: Duration::from_millis(4), ..SimConfig::default() };
    let sim = Sim::start(conf).await.expect("a socket");
    let dir = scratch();
    let lab = provider("lab", Dialect::OpenAiChat, &sim.base_url(), &["lab/one"]);
    let config = lab.replace("price = { input = \"2\", output = \"8\" }", PRICE);
    std::fs::write(dir.join("gateway.toml"), config).expect("a file");
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut victim = Victim { dir, child: None, address, said: String::new() };
    victim.start();
    let limit = rounds as f64 * 0.006;
    let made = victim.manage(Method::POST, "/api/v1/keys", json!({ "name": "k", "limit": limit })).await;
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let key = Key { hash: text(&made["data"]["hash"]), secret: text(&made["key"]) };

    let mut dice = fastrand::Rng::with_seed(9);
    let (mut heard, mut refused) = (BTreeSet::new(), 0u64);
    for round in 0..rounds {
        let mut calls = JoinSet::new();
        for n in 0..AT_ONCE {
            calls.spawn(call(victim.address, key.secret.clone(), round * AT_ONCE + n));
        }
        tokio::time::sleep(Duration::from_millis(dice.u64(1..450))).await;
        victim.kill();
        while let Some(answer) = calls.join_next().await {
            match answer.expect("no panic") {
                Some((200, id)) => assert!(heard.insert(id), "an id was given twice"),
                Some((402, _)) => refused += 1,
                Some((status, _)) => assert_eq!(status, 503),
                None => {}
            }
        }
        victim.start();
    }

    // Whoever was answered has a record, and it says so.
    for id in heard.iter().rev().take(200) {
        let row = victim.manage(Method::GET, &format!("/api/v1/generation?id={id}"), Value::Null).await;
        assert_eq!(row["data"]["slipswitch"]["status"], 200, "{id}: {row}");
    }
    let path = format!("/api/v1/activity?api_key_hash={}", key.hash);
    let day = victim.manage(Method::GET, &path, Value::Null).await;
    let rows = day["data"].as_array().expect("rows");
    let count = |name: &str| rows.iter().map(|row| row[name].as_u64().unwrap_or(0)).sum::<u64>();
    let spent: i64 = rows.iter().map(|row| nano(&row["usage"])).sum();
    // Refused for lack of money they have a row too, and cost nothing. A request may have been killed between its note and its
    // first byte: then the provider never saw it.
    let (served, requests) = (sim.journal().total(), count("requests"));
    assert!(requests >= served, "{served} were served, {requests} have a row");
    assert!(requests <= (rounds * AT_ONCE) as u64, "{requests} rows: some are counted twice ({refused} refused)");
    let now = victim.manage(Method::GET, &format!("/api/v1/keys/{}", key.hash), Value::Null).await["data"].clone();
    assert_eq!(nano(&now["usage"]), spent, "the key's sum and the rows'");
    assert_eq!(nano(&now["limit_held"]), 0);
    // What was under way when it was killed is charged by what had been seen, which is never more than was held.
    let most = (limit * 1e9) as i64 + AT_ONCE as i64 * 64 * 10_000;
    assert!(spent <= most, "{spent} of {most}");
    assert!(heard.len() > rounds && spent > 0, "{} were answered", heard.len());
    println!("{rounds} kills: {served} served, {requests} rows, {} answered whole, {refused} refused", heard.len());
}
