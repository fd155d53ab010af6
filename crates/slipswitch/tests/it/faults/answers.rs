//! Everything else that can come back from where a provider should be, or not come: what the caller sees of it while another
//! endpoint is there and while none is, how often was called, and what the statistics made of it. (`matrix` has what every dialect
//! can do.)

use super::{sim, with};
use crate::harness::{Gateway, Got, MANAGEMENT, provider};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use slip_ir::Dialect;
use slip_sim::scripted::End;
use slip_sim::{Script, Scripted};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;

const AT_ONCE: usize = 12;

/// What is at a provider's address.
enum At {
    /// Somebody who answers every request like this.
    Says(Box<Script>),
    /// Nobody: the connection is refused.
    Nobody,
    /// A wall: nothing comes back at all.
    Wall,
    /// A name that does not exist.
    Nowhere,
    /// Somebody who takes a connection and closes it, where TLS was to begin.
    Closes,
    /// Somebody who does not speak TLS, where it was to begin.
    Plain,
}

/// What comes of it while another endpoint is there.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Seen {
    Elsewhere,
    /// This one's "hello".
    Fine,
    Refused(u16),
    /// "hello", and then an error with this code.
    Broken(u64),
    Muddle,
}

use Seen::{Broken, Elsewhere, Fine, Refused};

/// What, as a stream or not; what is seen of it, streamed and not; the status when there is nobody else, and how often it is then
/// called; and what the statistics count.
type Row = (&'static str, fn(bool) -> At, Seen, Seen, u16, u64, &'static str);

fn says(script: Script) -> At {
    At::Says(Box::new(script))
}

fn chunk(text: &str) -> String {
    let choice = json!({ "index": 0, "delta": { "role": "assistant", "content": text }, "finish_reason": null });
    format!("data: {}\n\n", json!({ "id": "c1", "model": "m", "choices": [choice] }))
}

fn ending(usage: &Value) -> String {
    let choice = json!({ "index": 0, "delta": {}, "finish_reason": "stop" });
    format!("data: {}\n\ndata: [DONE]\n\n", json!({ "id": "c1", "model": "m", "choices": [choice], "usage": usage }))
}

fn whole(usage: &Value) -> Value {
    let message = json!({ "role": "assistant", "content": "hello" });
    let choice = json!({ "index": 0, "message": message, "finish_reason": "stop" });
    json!({ "id": "c1", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage })
}

fn usual() -> Value {
    json!({ "prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4 })
}

/// A good answer that says it used this.
fn used(usage: &Value, stream: bool) -> Script {
    if stream { Script::stream([chunk("hello"), ending(usage)]) } else { Script::json(200, &whole(usage)) }
}

fn good(stream: bool) -> Script {
    used(&usual(), stream)
}

/// "hello", and then this; not streamed: this in place of an answer.
fn then(stream: bool, after: impl Into<Bytes>) -> Script {
    let pause = Duration::from_millis(30);
    if stream {
        Script::stream([Bytes::from(chunk("hello")), after.into()]).paced(pause)
    } else {
        Script::new(200, "application/json", after)
    }
}

fn event(data: &str) -> String {
    format!("data: {data}\n\n")
}

fn refusal(status: u16) -> Script {
    Script::json(status, &json!({ "error": { "message": "it is not to be", "type": "some_error" } }))
}

fn limited(headers: &[(&str, &str)]) -> At {
    says(headers.iter().fold(refusal(429), |script, (name, value)| script.header(name, value)))
}

fn redirect(status: u16) -> At {
    says(Script::new(status, "text/plain", "").header("location", "http://169.254.169.254/latest/meta-data"))
}

const NOT_UTF8: &[u8] = b"{\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\xff\xfe\"},\"message\":{\"role\":\"assistant\",\"content\":\"\xff\xfe\"},\"finish_reason\":\"stop\"}]}";

fn not_utf8(stream: bool) -> Script {
    let data = [b"data: ".as_slice(), NOT_UTF8, b"\n\n"].concat();
    if stream { Script::stream([data]) } else { Script::new(200, "application/json", NOT_UTF8) }
}

const ROWS: &[Row] = &[
    ("connect refused", |_| At::Nobody, Elsewhere, Elsewhere, 502, 0, "failed"),
    ("blackhole", |_| At::Wall, Elsewhere, Elsewhere, 504, 0, "timeout"),
    ("no such name", |_| At::Nowhere, Elsewhere, Elsewhere, 502, 0, "failed"),
    ("closed before TLS", |_| At::Closes, Elsewhere, Elsewhere, 502, 0, "failed"),
    ("not TLS", |_| At::Plain, Elsewhere, Elsewhere, 502, 0, "failed"),
    ("500", |_| says(refusal(500)), Elsewhere, Elsewhere, 502, 2, "failed"),
    ("502", |_| says(refusal(502)), Elsewhere, Elsewhere, 502, 2, "failed"),
    ("504", |_| says(refusal(504)), Elsewhere, Elsewhere, 504, 2, "timeout"),
    ("520", |_| says(refusal(520)), Elsewhere, Elsewhere, 502, 2, "failed"),
    ("521", |_| says(refusal(521)), Elsewhere, Elsewhere, 502, 2, "failed"),
    ("522", |_| says(refusal(522)), Elsewhere, Elsewhere, 504, 2, "timeout"),
    ("523", |_| says(refusal(523)), Elsewhere, Elsewhere, 502, 2, "failed"),
    ("524", |_| says(refusal(524)), Elsewhere, Elsewhere, 504, 2, "timeout"),
    ("525", |_| says(refusal(525)), Elsewhere, Elsewhere, 502, 2, "failed"),
    ("526", |_| says(refusal(526)), Elsewhere, Elsewhere, 502, 2, "failed"),
    ("527", |_| says(refusal(527)), Elsewhere, Elsewhere, 502, 2, "failed"),
    ("503", |_| says(refusal(503)), Elsewhere, Elsewhere, 503, 2, "overloaded"),
    ("503 for long", |_| says(refusal(503).header("retry-after", "60")), Elsewhere, Elsewhere, 503, 1, "overloaded"),
    ("529", |_| says(refusal(529)), Elsewhere, Elsewhere, 503, 2, "overloaded"),
    ("408", |_| says(refusal(408)), Elsewhere, Elsewhere, 504, 2, "timeout"),
    ("400", |_| says(refusal(400)), Refused(400), Refused(400), 400, 1, "caller"),
    ("401", |_| says(refusal(401)), Elsewhere, Elsewhere, 502, 1, "account"),
    ("402", |_| says(refusal(402)), Elsewhere, Elsewhere, 502, 1, "account"),
    ("403", |_| says(refusal(403)), Elsewhere, Elsewhere, 502, 1, "account"),
    // Another place may be allowed what this one is not.
    (
        "403 for its region",
        |_| says(Script::json(403, &json!({ "error": { "message": "Country, region, or territory not supported" } }))),
        Elsewhere,
        Elsewhere,
        403,
        1,
        "caller",
    ),
    (
        "moderation",
        |_| says(Script::json(400, &json!({ "error": { "message": "no", "code": "content_filter" } }))),
        Refused(403),
        Refused(403),
        403,
        1,
        "caller",
    ),
    (
        "429 of an empty account",
        |_| says(Script::json(429, &json!({ "error": { "message": "no", "code": "insufficient_quota" } }))),
        Elsewhere,
        Elsewhere,
        502,
        1,
        "account",
    ),
    (
        "404 of the model",
        |_| says(Script::json(404, &json!({ "error": { "message": "no", "code": "model_not_found" } }))),
        Elsewhere,
        Elsewhere,
        404,
        1,
        "no_model",
    ),
    // A path that is not there is between the gateway and the provider: the caller's model is not denied.
    ("404 of the path", |_| says(refusal(404)), Elsewhere, Elsewhere, 502, 1, "no_model"),
    // A conflict passes, and it is not the caller's: there is nothing in the request that could be in conflict.
    ("409", |_| says(refusal(409)), Elsewhere, Elsewhere, 502, 2, "failed"),
    ("425", |_| says(refusal(425)), Elsewhere, Elsewhere, 502, 2, "failed"),
    // Another endpoint may take more.
    ("413", |_| says(refusal(413)), Elsewhere, Elsewhere, 413, 1, "caller"),
    ("422", |_| says(refusal(422)), Refused(422), Refused(422), 422, 1, "caller"),
    ("301", |_| redirect(301), Elsewhere, Elsewhere, 502, 1, "failed"),
    ("302", |_| redirect(302), Elsewhere, Elsewhere, 502, 1, "failed"),
    ("303", |_| redirect(303), Elsewhere, Elsewhere, 502, 1, "failed"),
    ("308", |_| redirect(308), Elsewhere, Elsewhere, 502, 1, "failed"),
    ("429", |_| limited(&[]), Elsewhere, Elsewhere, 429, 1, "rate_limited"),
    ("429 for a moment", |_| limited(&[("retry-after-ms", "50")]), Elsewhere, Elsewhere, 429, 2, "rate_limited"),
    ("429 for long", |_| limited(&[("retry-after", "30")]), Elsewhere, Elsewhere, 429, 1, "rate_limited"),
    (
        "429 until a reset",
        |_| limited(&[("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "1m30s")]),
        Elsewhere,
        Elsewhere,
        429,
        1,
        "rate_limited",
    ),
    ("429 for less than nothing", |_| limited(&[("retry-after", "-5")]), Elsewhere, Elsewhere, 429, 1, "rate_limited"),
    ("429 for thirty years", |_| limited(&[("retry-after", "1e9")]), Elsewhere, Elsewhere, 429, 1, "rate_limited"),
    (
        "429 until NaN",
        |_| limited(&[("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "NaN")]),
        Elsewhere,
        Elsewhere,
        429,
        1,
        "rate_limited",
    ),
    ("reset mid-stream", |s| says(then(s, "data: {").ending(End::Reset)), Broken(502), Elsewhere, 502, 1, "failed"),
    ("malformed after content", |s| says(then(s, event("{\"id\":"))), Broken(502), Elsewhere, 502, 1, "failed"),
    (
        "bad UTF-8 after content",
        |s| if s { says(then(s, [b"data: ".as_slice(), NOT_UTF8, b"\n\n"].concat())) } else { says(not_utf8(s)) },
        Broken(502),
        Elsewhere,
        502,
        1,
        "failed",
    ),
    ("bad UTF-8", |s| says(not_utf8(s)), Elsewhere, Elsewhere, 502, 1, "failed"),
    (
        "a page",
        |_| says(Script::new(200, "text/html", "<!doctype html><title>bad gateway</title>")),
        Elsewhere,
        Elsewhere,
        502,
        1,
        "failed",
    ),
    ("plain words", |_| says(Script::new(200, "text/plain", "all is well")), Elsewhere, Elsewhere, 502, 1, "failed"),
    // A valid completion is an answer, whatever it is called and whether or not it streams.
    ("JSON for a stream", |_| says(good(false)), Fine, Fine, 200, 1, "ok"),
    (
        "an overloaded within 200",
        |_| says(Script::json(200, &json!({ "error": { "message": "overloaded", "code": 529 } }))),
        Elsewhere,
        Elsewhere,
        503,
        2,
        "overloaded",
    ),
    (
        "a limit after content",
        |s| says(then(s, if s { event("{\"error\":{\"message\":\"slow down\",\"code\":429}}") } else { "{".into() })),
        Broken(429),
        Elsewhere,
        502,
        1,
        "failed",
    ),
    (
        "bytes said to be gzip",
        |_| {
            let bomb: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xed\xc1\x01\r\0\0\0\xc2\xa0\xf7Om\x0e7\xa0\0\0\0\0\0\0\0";
            says(Script::new(200, "application/json", bomb).header("content-encoding", "gzip"))
        },
        Elsewhere,
        Elsewhere,
        502,
        1,
        "failed",
    ),
    (
        "a thousand headers",
        |s| says((0..1000).fold(good(s), |script, n| script.header(&format!("x-h{n}"), "v"))),
        Elsewhere,
        Elsewhere,
        502,
        1,
        "failed",
    ),
    (
        "a header of a megabyte",
        |s| says(good(s).header("x-long", &"v".repeat(1 << 20))),
        Elsewhere,
        Elsewhere,
        502,
        1,
        "failed",
    ),
    ("two lengths", |_| says(good(false).header("content-length", "7")), Elsewhere, Elsewhere, 502, 1, "failed"),
    // Chunked wins, as RFC 9112 has it, and the connection is not used again.
    (
        "a length beside chunks",
        |s| says(Script { framing: Some(slip_sim::http::Framing::Chunked), ..good(s) }.header("content-length", "7")),
        Fine,
        Fine,
        200,
        1,
        "ok",
    ),
    (
        "a body of 70 MiB",
        |s| {
            says(if s {
                then(s, vec![b'x'; 70 << 20])
            } else {
                Script::new(200, "application/json", vec![b' '; 70 << 20])
            })
        },
        Broken(502),
        Elsewhere,
        502,
        1,
        "failed",
    ),
    ("usage missing", |s| says(used(&Value::Null, s)), Fine, Fine, 200, 1, "ok"),
    (
        "usage of less than nothing",
        |s| says(used(&json!({ "prompt_tokens": -3, "completion_tokens": -1, "total_tokens": -4 }), s)),
        Fine,
        Fine,
        200,
        1,
        "ok",
    ),
    (
        "usage beyond belief",
        |s| says(used(&json!({ "prompt_tokens": 3, "completion_tokens": 1e18, "total_tokens": 1e18 }), s)),
        Fine,
        Fine,
        200,
        1,
        "ok",
    ),
    ("usage in words", |s| says(used(&json!({ "prompt_tokens": "many" }), s)), Fine, Fine, 200, 1, "ok"),
    (
        "no choices at all",
        |_| {
            says(Script::json(
                200,
                &json!({ "id": "c1", "object": "chat.completion", "model": "m", "choices": [], "usage": usual() }),
            ))
        },
        Elsewhere,
        Elsewhere,
        502,
        1,
        "failed",
    ),
];

/// Whoever is there, for as long as this is kept.
struct There {
    url: String,
    lab: Option<Scripted>,
    _taken: Option<TcpSocket>,
    _full: Option<(tokio::net::TcpListener, Vec<TcpStream>)>,
}

impl There {
    async fn new(at: At) -> There {
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let there = |url: String| There { url, lab: None, _taken: None, _full: None };
        match at {
            At::Says(script) => {
                let lab = Scripted::start().await.expect("a socket");
                lab.always(*script);
                There { lab: Some(lab), ..there(String::new()) }.listening()
            }
            At::Nobody => {
                // A port that is taken and not listened at: nobody else comes to be there meanwhile.
                let socket = TcpSocket::new_v4().expect("a socket");
                socket.bind(local).expect("a port");
                let address = socket.local_addr().expect("an address");
                There { _taken: Some(socket), ..there(format!("http://{address}/v1")) }
            }
            At::Wall => {
                // A queue of one that is full: the kernel lets further connections wait unanswered.
                let socket = TcpSocket::new_v4().expect("a socket");
                socket.bind(local).expect("a port");
                let listener = socket.listen(1).expect("it listens");
                let address = listener.local_addr().expect("an address");
                let mut queue = Vec::new();
                while let Ok(Ok(stream)) =
                    tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await
                {
                    queue.push(stream);
                    assert!(queue.len() < 64, "this queue is never full");
                }
                There { _full: Some((listener, queue)), ..there(format!("http://{address}/v1")) }
            }
            At::Nowhere => there("http://nobody.invalid/v1".to_owned()),
            At::Closes | At::Plain => {
                let listener = TcpListener::bind(local).expect("a socket");
                let address = listener.local_addr().expect("an address");
                let greets = matches!(at, At::Plain);
                std::thread::spawn(move || {
                    while let Ok((mut stream, _)) = listener.accept() {
                        if greets {
                            let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n");
                        }
                    }
                });
                there(format!("https://{address}/v1"))
            }
        }
    }

    fn listening(mut self) -> There {
        self.url = self.lab.as_ref().map(Scripted::base_url).unwrap_or_default();
        self
    }

    fn calls(&self) -> u64 {
        self.lab.as_ref().map_or(0, |lab| lab.journal().total())
    }
}

fn seen(got: &Got, stream: bool) -> Seen {
    if got.status != 200 {
        return if got.error()["code"] == got.status { Refused(got.status) } else { Seen::Muddle };
    }
    let (text, content) = (got.text(), got.content());
    if stream && let Some(code) = got.events().iter().find_map(|e| e["error"]["code"].as_u64()) {
        return if content == "hello" && !text.contains("\"stop\"") { Broken(code) } else { Seen::Muddle };
    }
    let whole = !stream || text.ends_with("data: [DONE]\n\n") && text.contains("\"finish_reason\":\"stop\"");
    match (whole, got.header("x-provider-name"), content.as_str()) {
        (true, "good", text) if text.starts_with("tok1 tok2") && text.ends_with("tok20") => Elsewhere,
        (true, _, "hello") => Fine,
        _ => Seen::Muddle,
    }
}

fn ask(model: &str, stream: bool, only: Value) -> Value {
    let messages = json!([{ "role": "user", "content": "count to 20" }]);
    with(json!({ "model": model, "stream": stream, "messages": messages }), json!({ "provider": only }))
}

/// What is wrong with how the record tells it.
fn misrecorded(record: &Value, want: Seen, name: &str) -> Option<String> {
    let tries: Vec<(&str, bool)> = record["provider_responses"]
        .as_array()?
        .iter()
        .map(|t| (t["provider_name"].as_str().unwrap_or(""), t["error"].is_null()))
        .collect();
    let (own, cost) = (&record["slipswitch"], record["total_cost"].as_f64()?);
    let tried = match want {
        Elsewhere => tries == [(name, false), ("good", true)] && own["status"] == 200,
        Fine => tries == [(name, true)] && own["status"] == 200 && own["error"].is_null(),
        Refused(status) => tries == [(name, false)] && own["status"] == status && cost == 0.0,
        Broken(_) => tries == [(name, true)] && own["error"]["reason"].is_string(),
        Seen::Muddle => false,
    };
    // A dozen tokens cost next to nothing, whatever the provider says of them.
    let sane = (0.0..0.01).contains(&cost);
    (!tried || !sane).then(|| record.to_string())
}

/// Uptime counts what the endpoint is to blame for, and nothing else.
fn uptime(class: &str) -> Value {
    match class {
        "ok" => json!(100.0),
        "failed" | "timeout" | "overloaded" => json!(0.0),
        _ => Value::Null,
    }
}

#[tokio::test]
async fn every_answer_and_every_silence_is_told_counted_and_gone_around() {
    let other = sim(Dialect::OpenAiChat, None).await;
    let mut rows = Vec::new();
    for row in ROWS {
        for stream in [true, false] {
            rows.push((row, stream, There::new((row.1)(stream)).await));
        }
    }
    let names: Vec<String> = (0..rows.len()).map(|n| format!("lab/m{n}")).collect();
    let every: Vec<&str> = names.iter().map(String::as_str).collect();
    let timeouts = "[timeouts]\nconnect = \"1s\"\nfirst_content = \"3s\"\nidle = \"3s\"\ntotal = \"12s\"\n\n";
    let mut config = timeouts.to_owned() + &provider("good", Dialect::OpenAiChat, &other.base_url(), &every);
    for (n, (_, _, there)) in rows.iter().enumerate() {
        config += &provider(&format!("bad{n}"), Dialect::OpenAiChat, &there.url, &[&names[n]]);
    }
    let (gateway, places) = (Arc::new(Gateway::start(&config)), Arc::new(Semaphore::new(AT_ONCE)));
    let mut all = tokio::task::JoinSet::new();
    for (n, (row, stream, there)) in rows.into_iter().enumerate() {
        let (gateway, places) = (gateway.clone(), places.clone());
        all.spawn(async move {
            let _place = places.acquire().await;
            let (model, name) = (format!("lab/m{n}"), format!("bad{n}"));
            let (what, _, streamed, plain, alone, calls, class) = *row;
            let want = if stream { streamed } else { plain };
            let mut wrong = Vec::new();
            let got = gateway.chat(&ask(&model, stream, json!({ "order": [name, "good"] }))).await;
            if seen(&got, stream) != want || there.lab.is_some() && there.calls() != 1 {
                let (seen, calls) = (seen(&got, stream), there.calls());
                wrong.push(format!("{seen:?} in {calls} calls, not {want:?}: {} {:.300}", got.status, got.text()));
            }
            if let Some(record) = misrecorded(&gateway.record(&got).await, want, &name) {
                wrong.push(format!("recorded as {record}"));
            }
            let mut counted = vec![(if matches!(want, Broken(_)) { "broken" } else { class }, 1)];
            // What broke in the middle is seen the same without others; what was fine, too.
            if !matches!(want, Broken(_)) && want != Fine {
                let before = there.calls();
                let got = gateway.chat(&ask(&model, stream, json!({ "only": [name] }))).await;
                let made = there.calls() - before;
                if got.status != alone || there.lab.is_some() && made != calls {
                    wrong.push(format!("alone: {} in {made} calls, not {alone} in {calls}: {:.300}", got.status, got.text()));
                }
                let after = got.header("retry-after").parse::<u64>().ok();
                if matches!(alone, 429 | 503) != after.is_some_and(|s| (1..=120).contains(&s)) {
                    wrong.push(format!("alone: to come back after {:?}", got.header("retry-after")));
                }
                if got.text().contains("169.254") || got.text().contains("doctype") || got.text().contains("upstream-key") {
                    wrong.push(format!("alone: it tells too much: {}", got.text()));
                }
                counted = vec![(class, 1 + if there.lab.is_some() { calls } else { 1 })];
            }
            let listed = gateway.get(&format!("/api/v1/models/{model}/endpoints")).await.json();
            let each = listed["data"]["endpoints"].as_array().cloned().unwrap_or_default();
            let shown = each.iter().find(|e| e["tag"] == *name).map_or(Value::Null, |e| e["uptime_last_5m"].clone());
            let up = if matches!(want, Broken(_)) { json!(0.0) } else { uptime(class) };
            if shown != up {
                wrong.push(format!("uptime {shown}, not {up}"));
            }
            let lines: Vec<String> = counted
                .iter()
                .map(|(class, times)| {
                    format!(
                        "slipswitch_endpoint_attempts_total{{provider=\"{name}\",model=\"{model}\",tag=\"{name}\",outcome=\"{class}\"}} {times}"
                    )
                })
                .collect();
            (format!("{what}, stream {stream}"), wrong, lines)
        });
    }
    let all = all.join_all().await;
    let bearer = format!("Bearer {MANAGEMENT}");
    let metrics = gateway.send(Method::GET, "/metrics", &[("authorization", &bearer)], Bytes::new()).await.text();
    let mut wrong = Vec::new();
    for (what, mut said, lines) in all {
        for line in lines {
            if !metrics.lines().any(|l| l == line) {
                let (who, _) = line.split_once(",outcome").unwrap_or((&line, ""));
                let counts: Vec<&str> = metrics.lines().filter(|l| l.starts_with(who) && !l.ends_with(" 0")).collect();
                said.push(format!("counted as {counts:?}, not {line}"));
            }
        }
        wrong.extend(said.into_iter().map(|said| format!("{what}: {said}")));
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    gateway.is_well("all of it").await;
}
