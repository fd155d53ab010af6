//! Recording what passes to and from providers, and playing it with the providers gone.

use crate::harness::{Gateway, Got, KEY, binary, provider, scratch};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use slip_ir::Dialect;
use slip_sim::scripted::End;
use slip_sim::{Script, Scripted, Sim, SimConfig};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A replay that is up. Dropping it kills it.
struct Stage {
    address: SocketAddr,
    child: Child,
}

impl Stage {
    fn start(dir: &Path, args: &[&str]) -> Stage {
        let mut command = binary();
        command.arg("replay").arg(dir).args(["--json", "--listen", "127.0.0.1:0"]).args(args);
        command.env("SLIPSWITCH_KEY", KEY).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|e| {
            let mut errors = String::new();
            let _ = child.stderr.take().expect("piped").read_to_string(&mut errors);
            panic!("{e}: {line:?} {errors}")
        });
        assert_eq!(said["key"], KEY);
        let api = said["api"].as_str().expect("an address").trim_start_matches("http://").trim_end_matches("/api/v1");
        Stage { address: api.parse().expect("an address"), child }
    }

    async fn post(&self, path: &str, body: &Value) -> Got {
        let auth = format!("Bearer {KEY}");
        crate::harness::send(
            self.address,
            Method::POST,
            path,
            &[("authorization", &auth)],
            Bytes::from(body.to_string()),
        )
        .await
    }

    /// What it said to people, having been stopped.
    fn stop(mut self) -> String {
        let _ = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        let mut errors = String::new();
        let _ = self.child.stderr.take().expect("piped").read_to_string(&mut errors);
        errors
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A gateway that records, and where to.
fn recording(config: &str, args: &[&str]) -> (Gateway, PathBuf) {
    let to = scratch().join("cassettes");
    let gateway = Gateway::try_record(config, &to, args).unwrap_or_else(|said| panic!("it did not start: {said}"));
    (gateway, to)
}

/// Stop the gateway and wait for the last cassette. What it said.
fn close(mut gateway: Gateway) -> String {
    gateway.signal("INT");
    assert_eq!(gateway.wait(Duration::from_secs(20)), Some(0), "{}", gateway.said());
    std::thread::sleep(Duration::from_millis(50));
    gateway.said()
}

fn files(dir: &Path) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = std::fs::read_dir(dir)
        .expect("a directory")
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, String::from_utf8_lossy(&std::fs::read(&path).expect("a file")).into_owned())
        })
        .collect();
    all.sort();
    all
}

/// Without what is made anew for each reply.
fn lasting(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let (name, body) = line.split_at(if line.starts_with("data: ") { 6 } else { 0 });
        let Ok(mut value) = serde_json::from_str::<Value>(body) else {
            out.push_str(line);
            out.push('\n');
            continue;
        };
        forget(&mut value);
        out.push_str(&format!("{name}{value}\n"));
    }
    out
}

fn forget(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for name in ["id", "item_id", "created", "created_at", "completed_at", "responseId", "createTime"] {
                members.remove(name);
            }
            members.values_mut().for_each(forget);
        }
        Value::Array(items) => items.iter_mut().for_each(forget),
        _ => {}
    }
}

fn chat(model: &str, stream: bool, words: &str) -> Value {
    json!({ "model": model, "stream": stream, "messages": [{ "role": "user", "content": words }] })
}

async fn sim(name: &str, dialect: Dialect) -> Sim {
    Sim::start(SimConfig { name: name.into(), dialect, ..SimConfig::default() }).await.expect("starts")
}

#[tokio::test]
async fn what_was_recorded_is_replayed_byte_for_byte_with_the_providers_gone() {
    let open = sim("open", Dialect::OpenAiChat).await;
    let claude = sim("claude", Dialect::Anthropic).await;
    let gemini = sim("gem", Dialect::Gemini).await;
    let config = [
        provider("open", Dialect::OpenAiChat, &open.base_url(), &["lab/open"]),
        provider("claude", Dialect::Anthropic, &claude.base_url(), &["lab/claude"]),
        provider("gem", Dialect::Gemini, &gemini.base_url(), &["lab/gem"]),
        "[models.\"house/any\"]\nendpoints = [\"lab/open\"]\n".to_owned(),
    ]
    .concat();
    let (gateway, dir) = recording(&config, &[]);
    let mut asks = Vec::new();
    for model in ["lab/open", "lab/claude", "lab/gem", "house/any"] {
        for stream in [false, true] {
            asks.push(("/api/v1/chat/completions", chat(model, stream, &format!("hello {model}"))));
        }
    }
    asks.push((
        "/api/v1/messages",
        json!({ "model": "lab/claude", "max_tokens": 20, "stream": true,
        "messages": [{ "role": "user", "content": "count to 5" }] }),
    ));
    asks.push(("/api/v1/responses", json!({ "model": "lab/open", "input": "count to 4", "stream": true })));
    asks.push((
        "/v1beta/models/lab/gem:streamGenerateContent?alt=sse",
        json!({ "contents": [{ "role": "user", "parts": [{ "text": "hi" }] }] }),
    ));
    asks.push(("/api/v1/embeddings", json!({ "model": "lab/open", "input": "hello" })));
    asks.push(("/api/v1/chat/completions", chat("open/unheard-of", false, "hello")));
    let mut recorded = Vec::new();
    for (path, body) in &asks {
        let got = gateway.post(path, body).await;
        assert_eq!(got.status, 200, "{path} {}", got.text());
        recorded.push(lasting(&got.text()));
    }
    let said = close(gateway);
    assert!(said.contains(&format!("Recorded {} exchanges", asks.len())), "{said}");
    assert_eq!(files(&dir).len(), asks.len() + 1);
    drop((open, claude, gemini));
    for (args, times) in [(&[] as &[&str], 2), (&["--speed", "10"], 1)] {
        let stage = Stage::start(&dir, args);
        for _ in 0..times {
            for ((path, body), want) in asks.iter().zip(&recorded) {
                let got = stage.post(path, body).await;
                assert_eq!(got.status, 200, "{path} {}", got.text());
                assert_eq!(&lasting(&got.text()), want, "{path} {body}");
            }
        }
        let said = stage.stop();
        let played = asks.len() * times;
        assert!(said.contains(&format!("Played {played}, without a cassette 0.")) && !said.contains("Never"), "{said}");
    }
}

#[tokio::test]
async fn a_stream_comes_in_the_chunks_it_came_in_at_the_pace_it_had() {
    let upstream = Scripted::start().await.expect("starts");
    let events = [
        "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"b\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"c\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        "data: [DONE]\n\n",
    ];
    upstream.push(Script::stream(events).paced(Duration::from_millis(150)));
    let config = provider("lab", Dialect::OpenAiChat, &upstream.base_url(), &["lab/one"]);
    let (gateway, dir) = recording(&config, &[]);
    let ask = chat("lab/one", true, "hello");
    let mut live = gateway.open("/api/v1/chat/completions", &ask).await;
    let mut before = Vec::new();
    while let Some(piece) = live.next().await {
        before.push(lasting(&piece));
    }
    drop(live);
    close(gateway);
    let kept: Value = serde_json::from_str(&files(&dir)[1].1).expect("a cassette");
    let chunks = kept["reply"]["chunks"].as_array().expect("chunks");
    assert_eq!(chunks.iter().map(|c| c["text"].as_str().expect("text")).collect::<Vec<_>>(), events);
    assert!(chunks.windows(2).all(|w| w[1]["ms"].as_u64() >= w[0]["ms"].as_u64().map(|ms| ms + 100)), "{chunks:?}");
    drop(upstream);
    let stage = Stage::start(&dir, &["--speed", "1"]);
    let began = tokio::time::Instant::now();
    let got = stage.post("/api/v1/chat/completions", &ask).await;
    assert!(began.elapsed() >= Duration::from_millis(450), "{:?}", began.elapsed());
    assert_eq!(lasting(&got.text()), before.concat());
}

#[tokio::test]
async fn the_same_request_is_answered_in_the_order_of_its_recording_and_the_last_answer_stays() {
    let upstream = Scripted::start().await.expect("starts");
    let say = |words: &str| json!({ "choices": [{ "index": 0, "message": { "role": "assistant", "content": words }, "finish_reason": "stop" }] });
    upstream.push(
        Script::json(400, &json!({ "error": { "message": "not like this" } }))
            .header("x-ratelimit-limit-requests", "9"),
    );
    upstream.push(Script::json(200, &say("one")));
    upstream.push(Script::json(200, &say("two")));
    let config = provider("lab", Dialect::OpenAiChat, &upstream.base_url(), &["lab/one"]);
    let (gateway, dir) = recording(&config, &[]);
    let ask = chat("lab/one", false, "again");
    assert_eq!(gateway.chat(&ask).await.status, 400);
    assert_eq!(gateway.chat(&ask).await.content(), "one");
    assert_eq!(gateway.chat(&ask).await.content(), "two");
    close(gateway);
    drop(upstream);
    let stage = Stage::start(&dir, &[]);
    let path = "/api/v1/chat/completions";
    let first = stage.post(path, &ask).await;
    assert_eq!((first.status, first.error()["message"].as_str()), (400, Some("not like this")), "{}", first.text());
    for want in ["one", "two", "two"] {
        assert_eq!(stage.post(path, &ask).await.content(), want);
    }
}

#[tokio::test]
async fn a_request_without_a_cassette_is_told_the_nearest_and_what_is_different() {
    let open = sim("open", Dialect::OpenAiChat).await;
    let claude = sim("claude", Dialect::Anthropic).await;
    let config = provider("open", Dialect::OpenAiChat, &open.base_url(), &["lab/open"])
        + &provider("claude", Dialect::Anthropic, &claude.base_url(), &["lab/claude"]);
    let (gateway, dir) = recording(&config, &[]);
    for model in ["lab/open", "lab/claude"] {
        assert_eq!(gateway.chat(&chat(model, false, "hello")).await.status, 200);
    }
    close(gateway);
    let stage = Stage::start(&dir, &[]);
    // More often than it takes for a provider to be taken for broken.
    for _ in 0..8 {
        for (model, name) in [("lab/open", "open-"), ("lab/claude", "claude-")] {
            let got = stage.post("/api/v1/chat/completions", &chat(model, false, "hullo")).await;
            let says = got.error()["message"].as_str().unwrap_or_default().to_owned();
            assert_eq!(got.status, 404, "{}", got.text());
            assert!(says.contains("no cassette") && says.contains(&format!("nearest is {name}")), "{says}");
            assert!(says.contains("\"hullo\" here, \"hello\" in the cassette"), "{says}");
        }
    }
    assert_eq!(stage.post("/api/v1/chat/completions", &chat("lab/open", false, "hello")).await.status, 200);
    let said = stage.stop();
    assert!(
        said.contains("no cassette for this request (open: POST") && said.contains("Never asked for: claude-"),
        "{said}"
    );
}

#[tokio::test]
async fn faults_lie_on_top_of_what_was_recorded() {
    let open = sim("open", Dialect::OpenAiChat).await;
    let backup = sim("backup", Dialect::OpenAiChat).await;
    let config = [
        provider("open", Dialect::OpenAiChat, &open.base_url(), &["lab/one"]),
        provider("backup", Dialect::OpenAiChat, &backup.base_url(), &["lab/two"]),
        "[models.\"house/any\"]\nendpoints = [\"lab/one\", \"lab/two\"]\nload_balancer = \"priority\"\n".to_owned(),
    ]
    .concat();
    let (gateway, dir) = recording(&config, &[]);
    let (whole, stream) = (chat("lab/one", false, "count to 9"), chat("lab/one", true, "count to 9"));
    for ask in [&whole, &stream, &chat("lab/two", false, "count to 9")] {
        assert_eq!(gateway.chat(ask).await.status, 200);
    }
    close(gateway);
    let path = "/api/v1/chat/completions";
    let rows = [
        ("open=status:503", 503, ""),
        ("auth", 502, ""),
        ("close", 502, ""),
        ("bad-json", 502, ""),
        ("slow-headers:30ms", 200, "tok9"),
        ("backup=status:503", 200, "tok9"),
        ("no-usage", 200, "tok9"),
    ];
    for (fault, status, words) in rows {
        let stage = Stage::start(&dir, &["--fault", fault]);
        let got = stage.post(path, &whole).await;
        assert_eq!(got.status, status, "{fault}: {}", got.text());
        assert!(got.text().contains(words), "{fault}: {}", got.text());
    }
    // After the first content the failure is inside the stream.
    let stage = Stage::start(&dir, &["--fault", "cut:4"]);
    let got = stage.post(path, &stream).await;
    assert_eq!(got.status, 200);
    assert!(got.content().contains("tok3") && !got.content().contains("tok6"), "{}", got.text());
    assert!(got.text().contains("\"error\""), "{}", got.text());
    let bad = binary().arg("replay").arg(&dir).args(["--fault", "nobody=close"]).output().expect("runs");
    assert_eq!(bad.status.code(), Some(2));
}

#[tokio::test]
async fn no_secret_reaches_the_disk_wherever_it_was() {
    let canary = |n: u32| format!("sk-canary{n:02}abcdefgh0123456789");
    let upstream = Scripted::start().await.expect("starts");
    let said = json!({
        "id": "chatcmpl-1", "organization": "org-Canary07abcdef0123",
        "choices": [{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": format!("your key is {}", canary(8)) } }],
    });
    upstream.push(
        Script::json(200, &said)
            .header("set-cookie", "session=canary09abcdef; Path=/")
            .header("openai-organization", "canary10-organization")
            .header("x-ratelimit-note", &canary(11))
            .header("x-request-id", "req_canary12"),
    );
    let halves =
        format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{}\"}}}}]}}\n\ndata: [DONE]\n\n", canary(13));
    let (one, two) = halves.split_at(50);
    upstream.push(Script::stream([one.to_owned(), two.to_owned()]).paced(Duration::from_millis(30)));
    upstream.push(Script::json(
        401,
        &json!({ "error": { "message": "Incorrect API key provided: upstream-key-lab. org org-Canary14abcdef0123" } }),
    ));
    let config = provider("lab", Dialect::OpenAiChat, &upstream.base_url(), &["lab/one"])
        + "[providers.lab.headers]\nx-team = \"canary01-team-secret\"\n";
    let (gateway, dir) = recording(&config, &[]);
    let auth = format!("Bearer {KEY}");
    let headers = [
        ("authorization", auth.as_str()),
        ("cookie", "c=canary02"),
        ("x-title", "canary03 title"),
        ("http-referer", "https://canary04.test"),
    ];
    let asks = [
        json!({ "model": "lab/one", "user": "canary05-user", "metadata": { "a": "canary06" }, "messages": [
            { "role": "system", "content": format!("key {} and {KEY} and canary01-team-secret", canary(15)) },
            { "role": "user", "content": "curl https://me:canary16pw@x.test/?api_key=canary17 -H 'Authorization: Bearer canary18abcdefgh12'" },
            { "role": "assistant", "tool_calls": [{ "id": "c1", "type": "function", "function": { "name": "f", "arguments": "{\"password\": \"canary19\"}" } }] },
            { "role": "tool", "tool_call_id": "c1", "content": "AWS_SECRET_ACCESS_KEY=canary20/abcdefgh\nupstream-key-lab" },
        ] }),
        chat("lab/one", true, "stream"),
        chat("lab/one", false, "refused"),
    ];
    for (ask, status) in asks.iter().zip([200, 200, 502]) {
        let body = Bytes::from(ask.to_string());
        let got = gateway.send(Method::POST, "/api/v1/chat/completions", &headers, body).await;
        assert_eq!(got.status, status, "{}", got.text());
    }
    let told = close(gateway);
    assert!(told.contains("Recorded 3 exchanges"), "{told}");
    for (name, text) in files(&dir) {
        for secret in ["anary", "upstream-key-lab", KEY, crate::harness::MANAGEMENT] {
            assert!(!text.contains(secret), "{secret} in {name}: {text}");
        }
    }
    // And yet it plays.
    let stage = Stage::start(&dir, &[]);
    let got = stage.post("/api/v1/chat/completions", &asks[1]).await;
    assert_eq!(got.content(), "[scrubbed]", "{}", got.text());
}

#[tokio::test]
async fn limits_and_a_failing_disk_are_told_of_and_disturb_no_request() {
    let open = sim("open", Dialect::OpenAiChat).await;
    let config = provider("open", Dialect::OpenAiChat, &open.base_url(), &["lab/open"]);
    let rows: [(&[&str], &str, &str); 3] = [
        (&["--max-cassettes", "2"], "Recorded 2 exchanges", "3 (the directory is at --max-dir or --max-cassettes)"),
        (&["--max-dir", "3KiB"], "Recorded ", "(the directory is at --max-dir or --max-cassettes)"),
        (&["--max-cassette", "200B"], "Recorded 0 exchanges", "5 (larger than --max-cassette)"),
    ];
    for (args, kept, not) in rows {
        let (gateway, dir) = recording(&config, args);
        for n in 0..5 {
            assert_eq!(gateway.chat(&chat("lab/open", n % 2 == 0, &format!("hello {n}"))).await.status, 200);
        }
        let said = close(gateway);
        assert!(said.contains(kept) && said.contains(not), "{args:?}: {said}");
        let bytes: usize =
            files(&dir).iter().filter(|(name, _)| name != "gateway.json").map(|(_, text)| text.len()).sum();
        assert!(args[0] != "--max-dir" || bytes <= 3 * 1024, "{bytes}");
    }
    let (gateway, dir) = recording(&config, &[]);
    std::fs::remove_dir_all(&dir).expect("removed");
    std::fs::write(&dir, "in the way").expect("written");
    for n in 0..3 {
        assert_eq!(gateway.chat(&chat("lab/open", true, &format!("hello {n}"))).await.status, 200);
    }
    gateway.says("an exchange was not recorded: it could not be written").await;
    let said = close(gateway);
    assert!(said.contains("Recorded 0 exchanges") && said.contains("3 (it could not be written)"), "{said}");
}

#[tokio::test]
async fn what_the_provider_broke_off_is_broken_off_again() {
    let upstream = Scripted::start().await.expect("starts");
    let event = "data: {\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\n";
    upstream.push(Script::stream([event]).ending(End::Cut));
    let config = provider("lab", Dialect::OpenAiChat, &upstream.base_url(), &["lab/one"]);
    let (gateway, dir) = recording(&config, &[]);
    let ask = chat("lab/one", true, "hello");
    let before = gateway.chat(&ask).await;
    assert!(before.text().contains("\"error\""), "{}", before.text());
    close(gateway);
    drop(upstream);
    let got = Stage::start(&dir, &[]).post("/api/v1/chat/completions", &ask).await;
    assert_eq!(lasting(&got.text()), lasting(&before.text()));
    let nowhere = binary().args(["replay", "/nonexistent"]).output().expect("runs");
    assert_eq!(nowhere.status.code(), Some(3));
}

#[tokio::test]
async fn whoever_was_recorded_is_found_and_the_same_one_each_time() {
    let (one, two) = (sim("one", Dialect::OpenAiChat).await, sim("two", Dialect::Anthropic).await);
    let config = [
        provider("one", Dialect::OpenAiChat, &one.base_url(), &["lab/one"]),
        provider("two", Dialect::Anthropic, &two.base_url(), &["lab/two"]),
        "[models.\"house/any\"]\nendpoints = [\"lab/one\", \"lab/two\"]\nload_balancer = \"random\"\n".to_owned(),
    ]
    .concat();
    let (gateway, dir) = recording(&config, &[]);
    let asks: Vec<Value> = (0..24).map(|n| chat("house/any", n % 2 == 0, &format!("question {n}"))).collect();
    for ask in &asks {
        assert_eq!(gateway.chat(ask).await.status, 200);
    }
    close(gateway);
    drop((one, two));
    let (mut before, path) = (Vec::new(), "/api/v1/chat/completions");
    for round in 0..3 {
        // Another process, and another order: nothing may hang on what was asked before.
        let stage = Stage::start(&dir, &[]);
        let mut order: Vec<usize> = (0..asks.len()).collect();
        if round == 1 {
            order.reverse();
        }
        let mut now = vec![String::new(); asks.len()];
        for at in order {
            let got = stage.post(path, &asks[at]).await;
            assert_eq!(got.status, 200, "{}", got.text());
            now[at] = lasting(&got.text());
        }
        if round == 0 {
            before = now;
        } else {
            assert_eq!(now, before);
        }
    }
}
