//! Changes while it runs: another configuration under traffic, a bad one, and the end.

use crate::harness::{Gateway, provider};
use bytes::Bytes;
use serde_json::{Value, json};
use slip_ir::Dialect;
use slip_sim::{Fault, Sim, SimConfig};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

const CHAT: &str = "/api/v1/chat/completions";

fn ask(model: &str, stream: bool) -> Value {
    json!({ "model": model, "stream": stream, "messages": [{ "role": "user", "content": "count to 20" }] })
}

async fn sim(tokens_per_second: f64) -> Sim {
    Sim::start(SimConfig { tokens_per_second, ..SimConfig::default() }).await.expect("a socket")
}

fn house(sim: &Sim, models: &[&str]) -> String {
    provider("lab", Dialect::OpenAiChat, &sim.base_url(), models)
}

#[tokio::test]
async fn another_configuration_comes_into_force_without_failing_a_request() {
    let sim = sim(200.0).await;
    let gateway = Arc::new(Gateway::start(&house(&sim, &["made/one"])));
    let (done, stop) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let traffic: Vec<_> = (0..4)
        .map(|n| {
            let (gateway, done, stop) = (gateway.clone(), done.clone(), stop.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let got = gateway.chat(&ask("made/one", n % 2 == 0)).await;
                    assert_eq!((got.status, got.content().ends_with("tok20")), (200, true), "{}", got.text());
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    // By the file.
    std::fs::write(&gateway.config, house(&sim, &["made/one", "made/two"])).expect("the file can be written");
    gateway.says("Reloaded in ").await;
    assert_eq!(gateway.chat(&ask("made/two", false)).await.status, 200);
    // By the signal, several times in a row.
    for n in 3..8 {
        let models: Vec<String> =
            (1..n).map(|m| if m == 1 { "made/one".to_owned() } else { format!("made/m{m}") }).collect();
        let models: Vec<&str> = models.iter().map(String::as_str).collect();
        std::fs::write(&gateway.config, house(&sim, &models)).expect("the file can be written");
        gateway.signal("HUP");
        let mut status = 0;
        for _ in 0..100 {
            status = gateway.chat(&ask(&format!("made/m{}", n - 1), false)).await.status;
            if status == 200 {
                break;
            }
        }
        assert_eq!(status, 200, "{}", gateway.said());
    }
    assert_eq!(gateway.chat(&ask("made/two", false)).await.status, 400, "what is gone is gone");
    stop.store(true, Ordering::Relaxed);
    for one in traffic {
        one.await.expect("no request failed");
    }
    assert!(done.load(Ordering::Relaxed) > 4);
}

#[tokio::test]
async fn a_stream_ends_under_the_configuration_it_began_with() {
    let (old, new) = (sim(20.0).await, sim(0.0).await);
    let gateway = Gateway::start(&house(&old, &["lab/one"]));
    let mut stream = gateway.open(CHAT, &ask("lab/one", true)).await;
    stream.until("tok2").await;
    std::fs::write(&gateway.config, house(&new, &["lab/one"])).expect("the file can be written");
    gateway.signal("HUP");
    gateway.says("Reloaded in ").await;
    assert_eq!(gateway.chat(&ask("lab/one", false)).await.status, 200);
    assert_eq!((old.journal().total(), new.journal().total()), (1, 1));
    let rest = stream.rest().await;
    assert!(rest.contains("tok20") && rest.ends_with("data: [DONE]\n\n"), "{rest}");
}

#[tokio::test]
async fn a_reload_forgets_no_illness() {
    let sim = sim(0.0).await;
    sim.set_fault(Some(Fault::parse("status:429:30").expect("a mode")));
    let gateway = Gateway::start(&house(&sim, &["lab/one"]));
    assert_eq!(gateway.chat(&ask("lab/one", false)).await.status, 429);
    gateway.signal("HUP");
    gateway.says("Reloaded in ").await;
    let listed = gateway.get("/api/v1/models/lab/one/endpoints").await.json();
    assert_eq!(listed["data"]["endpoints"][0]["status"], -2, "{listed}");
}

#[tokio::test]
async fn a_bad_configuration_changes_nothing_and_is_told_with_its_place() {
    let sim = sim(0.0).await;
    let good = house(&sim, &["lab/one"]);
    let gateway = Gateway::start(&good);
    let name = gateway.config.display().to_string();
    for (bad, place) in [
        (format!("{good}[timeouts]\nidel = \"5s\"\n"), "9:1  timeouts.idel: unknown field"),
        (format!("{good}[timeouts\n"), "8:10  "),
    ] {
        std::fs::write(&gateway.config, bad).expect("the file can be written");
        gateway.signal("HUP");
        gateway.says(&format!("error: {name}:{place}")).await;
        gateway.says("The configuration was not changed: the one before stays in force.").await;
        assert_eq!(gateway.chat(&ask("lab/one", false)).await.status, 200, "{place}");
    }
    std::fs::write(&gateway.config, house(&sim, &["lab/one", "lab/two"])).expect("the file can be written");
    gateway.says("Reloaded in ").await;
    assert_eq!(gateway.chat(&ask("lab/two", false)).await.status, 200, "a mended one is taken");
}

#[tokio::test]
async fn the_end_lets_streams_finish_and_takes_nobody_new() {
    let sim = sim(20.0).await;
    let mut gateway = Gateway::start(&house(&sim, &["lab/one"]));
    let mut stream = gateway.open(CHAT, &ask("lab/one", true)).await;
    stream.until("tok2").await;
    gateway.signal("TERM");
    gateway.says("Stopping: no new requests").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(tokio::net::TcpStream::connect(gateway.address).await.is_err(), "nobody listens any more");
    let rest = stream.rest().await;
    assert!(rest.contains("tok20") && rest.ends_with("data: [DONE]\n\n"), "{rest}");
    assert_eq!(gateway.wait(Duration::from_secs(3)), Some(0), "{}", gateway.said());
}

#[tokio::test]
#[allow(clippy::disallowed_methods, reason = "how long it takes is what is tested")]
async fn idle_connections_do_not_hold_the_end() {
    let sim = sim(0.0).await;
    let mut gateway = Gateway::start(&house(&sim, &["lab/one"]));
    // One that never said anything, one that said half, one that was served and is kept.
    let _silent = tokio::net::TcpStream::connect(gateway.address).await.expect("it listens");
    let mut half = tokio::net::TcpStream::connect(gateway.address).await.expect("it listens");
    tokio::io::AsyncWriteExt::write_all(&mut half, b"GET /healthz HTTP/1.1\r\nhost:").await.expect("written");
    let mut kept = gateway.open(CHAT, &ask("lab/one", true)).await;
    kept.until("data: [DONE]\n\n").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let began = Instant::now();
    gateway.signal("TERM");
    assert_eq!(gateway.wait(Duration::from_secs(5)), Some(0), "{}", gateway.said());
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_drain_that_takes_too_long_tells_the_streams_that_are_left() {
    let sim = sim(0.0).await;
    sim.set_fault(Some(Fault::parse("stall:3").expect("a mode")));
    let mut gateway = Gateway::start(&("drain_timeout = \"300ms\"\n\n".to_owned() + &house(&sim, &["lab/one"])));
    let mut stream = gateway.open(CHAT, &ask("lab/one", true)).await;
    stream.until("tok3").await;
    gateway.signal("TERM");
    let rest = stream.rest().await;
    assert!(
        rest.contains("\"code\":503") && rest.contains("shutting down") && rest.ends_with("data: [DONE]\n\n"),
        "{rest}"
    );
    assert_eq!(gateway.wait(Duration::from_secs(5)), Some(0), "{}", gateway.said());
    let seen = sim.journal().wait_until(Duration::from_secs(1), |all| all.iter().any(|e| e.cancelled.is_some())).await;
    assert!(seen.iter().any(|e| e.cancelled.is_some()), "the provider was told too");
}

#[tokio::test]
async fn a_second_signal_does_not_wait() {
    for stream in [true, false] {
        let sim = sim(0.0).await;
        sim.set_fault(Some(Fault::parse("never").expect("a mode")));
        let mut gateway = Gateway::start(&house(&sim, &["lab/one"]));
        let asked = {
            let (address, body) = (gateway.address, ask("lab/one", stream));
            tokio::spawn(async move {
                crate::harness::send(
                    address,
                    http::Method::POST,
                    CHAT,
                    &[("authorization", &bearer())],
                    Bytes::from(body.to_string()),
                )
                .await
            })
        };
        sim.journal().wait_until(Duration::from_secs(5), |all| !all.is_empty()).await;
        gateway.signal("TERM");
        gateway.says("Stopping: ").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        gateway.signal("TERM");
        assert_eq!(gateway.wait(Duration::from_secs(5)), Some(1), "{}", gateway.said());
        assert!(gateway.said().contains("Stopped at once"), "{}", gateway.said());
        let got = asked.await.expect("an answer");
        assert_eq!((got.status, got.header("retry-after").is_empty()), (503, false), "{}", got.text());
    }
}

fn bearer() -> String {
    format!("Bearer {}", crate::harness::KEY)
}
