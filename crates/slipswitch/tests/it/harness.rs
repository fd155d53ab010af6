//! A gateway of one's own for a test: the binary with a configuration, on a free port, with a temporary data directory.

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use slip_ir::Dialect;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

pub const KEY: &str = "sk-test-key-0123456789";
pub const MANAGEMENT: &str = "sk-test-management-0123456789";

/// A body with some members more, or others.
pub fn with(mut body: Value, over: Value) -> Value {
    if let (Some(members), Value::Object(over)) = (body.as_object_mut(), over) {
        members.extend(over);
    }
    body
}

/// A running gateway. Dropping it kills it and removes its directory.
pub struct Gateway {
    pub address: SocketAddr,
    pub dir: PathBuf,
    pub config: PathBuf,
    child: Child,
    said: Arc<Mutex<String>>,
}

/// What came back.
pub struct Got {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Got {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("not JSON ({e}): {}", self.text()))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("")
    }

    /// The payloads of a chat or Gemini stream, `[DONE]` apart.
    pub fn events(&self) -> Vec<Value> {
        self.text()
            .lines()
            .filter_map(|l| l.strip_prefix("data:"))
            .map(str::trim)
            .filter(|l| *l != "[DONE]")
            .map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("not JSON ({e}): {l}")))
            .collect()
    }

    /// The usage of a reply, wherever it stands.
    pub fn usage(&self) -> Value {
        if self.header("content-type").starts_with("text/event-stream") {
            self.events().iter().rev().map(|e| e["usage"].clone()).find(|u| !u.is_null()).unwrap_or_default()
        } else {
            self.json()["usage"].clone()
        }
    }

    pub fn error(&self) -> Value {
        self.json()["error"].clone()
    }

    /// The text of the first choice, of a stream or of a whole reply.
    pub fn content(&self) -> String {
        if self.header("content-type").starts_with("text/event-stream") {
            let piece = |e: &Value| e["choices"][0]["delta"]["content"].as_str().unwrap_or("").to_owned();
            self.events().iter().map(piece).collect()
        } else {
            self.json()["choices"][0]["message"]["content"].as_str().unwrap_or("").to_owned()
        }
    }
}

impl Gateway {
    /// Start with this configuration (TOML), without probing local ports and without provider keys of the environment.
    pub fn start(config: &str) -> Gateway {
        Gateway::try_start(config, &[]).unwrap_or_else(|said| panic!("the gateway did not start: {said}"))
    }

    /// Start, or what it said instead.
    pub fn try_start(config: &str, env: &[(&str, &str)]) -> Result<Gateway, String> {
        Gateway::try_start_with(config, &[], env)
    }

    pub fn try_start_with(config: &str, args: &[&str], env: &[(&str, &str)]) -> Result<Gateway, String> {
        Gateway::try_run(config, "serve", args, env)
    }

    /// Start one that records what passes to and from its providers.
    pub fn try_record(config: &str, to: &std::path::Path, args: &[&str]) -> Result<Gateway, String> {
        let to = to.display().to_string();
        Gateway::try_run(config, "record", &[&["--to", to.as_str()], args].concat(), &[])
    }

    /// Start in a directory of [`scratch`], where `data` may hold what an earlier run left.
    pub fn start_in(dir: PathBuf, config: &str) -> Gateway {
        let started = Gateway::try_run_in(dir, config, "serve", &[], &[]);
        started.unwrap_or_else(|said| panic!("the gateway did not start: {said}"))
    }

    /// The same with an environment of its own.
    pub fn try_start_in(dir: PathBuf, config: &str, env: &[(&str, &str)]) -> Result<Gateway, String> {
        Gateway::try_run_in(dir, config, "serve", &[], env)
    }

    fn try_run(config: &str, how: &str, args: &[&str], env: &[(&str, &str)]) -> Result<Gateway, String> {
        Gateway::try_run_in(scratch(), config, how, args, env)
    }

    fn try_run_in(
        dir: PathBuf,
        config: &str,
        how: &str,
        args: &[&str],
        env: &[(&str, &str)],
    ) -> Result<Gateway, String> {
        let file = dir.join("gateway.toml");
        std::fs::write(&file, config).expect("a temporary file can be written");
        let mut command = binary();
        command
            .args([how, "--json", "--no-probe", "--listen", "127.0.0.1:0", "-c"])
            .arg(&file)
            .arg("--data-dir")
            .arg(dir.join("data"))
            .args(args)
            .env("SLIPSWITCH_KEY", KEY)
            .env("SLIPSWITCH_MANAGEMENT_KEY", MANAGEMENT)
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let said = Arc::new(Mutex::new(String::new()));
        let (stderr, heard) = (child.stderr.take().expect("piped"), said.clone());
        let listening = std::thread::spawn(move || {
            let mut reader = BufReader::new(stderr);
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|n| n > 0) {
                heard.lock().expect("not poisoned").push_str(&line);
                line.clear();
            }
        });
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let ready = stdout.read_line(&mut line).ok().filter(|n| *n > 0).and_then(|_| {
            let value: Value = serde_json::from_str(&line).ok()?;
            let api = value["api"].as_str()?.strip_prefix("http://")?.strip_suffix("/api/v1")?.to_owned();
            api.parse::<SocketAddr>().ok()
        });
        std::thread::spawn(move || {
            let _ = stdout.read_to_string(&mut String::new());
        });
        match ready {
            Some(address) => Ok(Gateway { address, dir, config: file, child, said }),
            None => {
                let _ = child.wait();
                let _ = listening.join();
                let _ = std::fs::remove_dir_all(&dir);
                let text = said.lock().expect("not poisoned").clone();
                Err(text)
            }
        }
    }

    /// What it wrote to stderr so far.
    pub fn said(&self) -> String {
        self.said.lock().expect("not poisoned").clone()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status();
        assert!(status.is_ok_and(|s| s.success()), "kill -{name}");
    }

    /// Its exit code, within `patience`.
    pub fn wait(&mut self, patience: Duration) -> Option<i32> {
        let mut left = patience.as_millis() / 20;
        while left > 0 {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
            left -= 1;
        }
        None
    }

    pub async fn get(&self, path: &str) -> Got {
        self.send(Method::GET, path, &[("authorization", &format!("Bearer {KEY}"))], Bytes::new()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Got {
        self.post_raw(path, body.to_string()).await
    }

    pub async fn post_raw(&self, path: &str, body: impl Into<Bytes>) -> Got {
        self.send(Method::POST, path, &[("authorization", &format!("Bearer {KEY}"))], body.into()).await
    }

    /// Begin a request and read its reply by the piece. Dropping it hangs up.
    pub async fn open(&self, path: &str, body: &Value) -> Live {
        let stream = tokio::net::TcpStream::connect(self.address).await.expect("the gateway listens");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
        let driver = tokio::spawn(connection);
        let request = Request::post(path)
            .header("host", self.address.to_string())
            .header("authorization", format!("Bearer {KEY}"))
            .body(Full::new(Bytes::from(body.to_string())))
            .expect("a request");
        let response = timeout(PATIENCE, sender.send_request(request)).await.expect("a head in time").expect("a head");
        let (parts, body) = response.into_parts();
        Live { status: parts.status.as_u16(), headers: parts.headers, body, driver, _sender: sender }
    }

    /// Write these bytes and read until the connection closes, or nothing comes for a while.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = tokio::net::TcpStream::connect(self.address).await.expect("the gateway listens");
        // It may close before it has read everything.
        let _ = stream.write_all(bytes).await;
        let mut said = Vec::new();
        let mut piece = vec![0; 64 * 1024];
        while let Ok(Ok(n)) = timeout(Duration::from_millis(400), stream.read(&mut piece)).await {
            if n == 0 {
                break;
            }
            said.extend_from_slice(&piece[..n]);
        }
        String::from_utf8_lossy(&said).into_owned()
    }

    /// It still answers.
    pub async fn is_well(&self, after: &str) {
        let got = self.send(Method::GET, "/healthz", &[], Bytes::new()).await;
        assert_eq!((got.status, got.text().as_str()), (200, r#"{"status":"ok"}"#), "after {after}");
    }

    /// Wait until it has written this to stderr.
    pub async fn says(&self, words: &str) -> String {
        for _ in 0..250 {
            let said = self.said();
            if said.contains(words) {
                return said;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it never said {words:?}, but: {}", self.said());
    }

    pub async fn chat(&self, body: &Value) -> Got {
        self.post("/api/v1/chat/completions", body).await
    }

    /// The record of a reply.
    pub async fn record(&self, got: &Got) -> Value {
        let id = got.header("x-generation-id").to_owned();
        let answer = self.get(&format!("/api/v1/generation?id={id}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["data"].clone()
    }

    /// The record of a request whose caller has left: nobody is promised that it is there at once.
    pub async fn record_left(&self, id: &str) -> Value {
        for _ in 0..250 {
            let answer = self.get(&format!("/api/v1/generation?id={id}")).await;
            if answer.status == 200 {
                return answer.json()["data"].clone();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{id} was never settled");
    }

    /// With the management key.
    pub async fn manage(&self, method: Method, path: &str, body: Value) -> Got {
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        self.send(method, path, &[("authorization", &format!("Bearer {MANAGEMENT}"))], body).await
    }

    /// A chat with another key.
    pub async fn chat_as(&self, key: &str, body: &Value) -> Got {
        let headers = [("authorization", format!("Bearer {key}"))];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        self.send(Method::POST, "/api/v1/chat/completions", &headers, Bytes::from(body.to_string())).await
    }

    /// One request on a connection of its own.
    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Bytes) -> Got {
        send(self.address, method, path, headers, body).await
    }
}

/// One request on a connection of its own.
pub async fn send(address: SocketAddr, method: Method, path: &str, headers: &[(&str, &str)], body: Bytes) -> Got {
    let stream = tokio::net::TcpStream::connect(address).await.expect("the gateway listens");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
    let driver = tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", address.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body)).expect("a request");
    let response = tokio::time::timeout(Duration::from_secs(30), sender.send_request(request))
        .await
        .expect("an answer in time")
        .expect("an answer");
    let (parts, body) = response.into_parts();
    let body = tokio::time::timeout(Duration::from_secs(60), body.collect())
        .await
        .expect("a body in time")
        .expect("a whole body")
        .to_bytes();
    driver.abort();
    Got { status: parts.status.as_u16(), headers: parts.headers, body }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
        let said = self.said();
        assert!(std::thread::panicking() || !said.contains("panicked"), "{said}");
    }
}

/// A reply on its way.
pub struct Live {
    pub status: u16,
    pub headers: HeaderMap,
    body: Incoming,
    driver: tokio::task::JoinHandle<Result<(), hyper::Error>>,
    _sender: hyper::client::conn::http1::SendRequest<Full<Bytes>>,
}

impl Live {
    pub fn id(&self) -> String {
        self.headers.get("x-generation-id").and_then(|v| v.to_str().ok()).unwrap_or("").to_owned()
    }

    /// The next piece; `None` at the end, however it ended.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            let frame = timeout(PATIENCE, self.body.frame()).await.expect("a piece in time")?.ok()?;
            if let Ok(data) = frame.into_data() {
                return Some(String::from_utf8_lossy(&data).into_owned());
            }
        }
    }

    /// Read until these words were in it. Gives what was read; the stream ending first is an error.
    pub async fn until(&mut self, words: &str) -> String {
        let mut read = String::new();
        while !read.contains(words) {
            match self.next().await {
                Some(piece) => read.push_str(&piece),
                None => panic!("it ended without {words:?}: {read}"),
            }
        }
        read
    }

    pub async fn rest(mut self) -> String {
        let mut read = String::new();
        while let Some(piece) = self.next().await {
            read.push_str(&piece);
        }
        read
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// What a command that ends by itself said.
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Run the binary to its end.
pub fn run(args: &[&str], env: &[(&str, &str)]) -> Said {
    let mut command = binary();
    command.args(args).envs(env.iter().copied()).stdin(Stdio::null());
    let done = command.output().expect("the binary starts");
    Said {
        code: done.status.code(),
        out: String::from_utf8_lossy(&done.stdout).into_owned(),
        err: String::from_utf8_lossy(&done.stderr).into_owned(),
    }
}

/// A provider at this address, as the configuration says it.
pub fn provider(name: &str, dialect: Dialect, base_url: &str, models: &[&str]) -> String {
    let dialect = dialect.name();
    format!(
        "[providers.{name}]\ndialect = \"{dialect}\"\nbase_url = \"{base_url}\"\nkey = \"upstream-key-{name}\"\n\
         models = {models:?}\nprice = {{ input = \"2\", output = \"8\" }}\n\n"
    )
}

/// The binary, without the keys and settings of whoever runs the tests.
pub fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipswitch"));
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/nonexistent").env("RUST_BACKTRACE", "0");
    command
}

/// A directory of this test's own.
pub fn scratch() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("gateway-{}-{n}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a temporary directory can be made");
    dir
}
