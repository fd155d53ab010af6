//! The journal knows who left, when, and what it cost.

use super::talk::{Talk, spell, talk};
use crate::{Fault, Sim, SimConfig};
use slip_ir::Dialect;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const SOON: Duration = Duration::from_secs(2);

async fn begin(sim: &Sim, talk: &Talk) -> TcpStream {
    let (path, body) = spell(sim.config().dialect, talk);
    let body = body.to_string();
    let head =
        format!("POST {path} HTTP/1.1\r\nhost: sim\r\nanthropic-version: 1\r\ncontent-length: {}\r\n\r\n", body.len());
    let mut stream = TcpStream::connect(sim.addr()).await.unwrap();
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_cancelled_stream_is_noticed_and_billed_up_to_there() {
    for dialect in Dialect::ALL {
        let sim = Sim::start(SimConfig { dialect, tokens_per_second: 100.0, ..SimConfig::default() }).await.unwrap();
        let mut stream = begin(&sim, &Talk { stream: true, ..talk("count to 500") }).await;
        sim.journal().wait_until(SOON, |e| e.iter().any(|e| e.emitted >= 5)).await;
        let _ = stream.read(&mut [0; 100]).await.unwrap();
        drop(stream);
        let entries = sim.journal().wait_until(SOON, |e| e.iter().any(|e| e.finished.is_some())).await;
        let cancelled = entries[0].cancelled.expect("the client left");
        assert!(cancelled >= Duration::from_millis(30) && cancelled < SOON, "{cancelled:?}");
        assert!((5..100).contains(&entries[0].emitted), "{}", entries[0].emitted);
        assert_eq!(entries[0].billed_completion, entries[0].emitted);
        assert_eq!(entries[0].billed_prompt, 4 + 3);
    }
}

#[tokio::test]
async fn a_plain_reply_nobody_waits_for_is_billed_whole() {
    let sim = Sim::start(SimConfig { ttft: Duration::from_secs(30), ..SimConfig::default() }).await.unwrap();
    let stream = begin(&sim, &talk("count to 50")).await;
    sim.journal().wait_until(SOON, |e| !e.is_empty()).await;
    drop(stream);
    let entries = sim.journal().wait_until(SOON, |e| e.iter().any(|e| e.cancelled.is_some())).await;
    assert_eq!((entries[0].status, entries[0].emitted, entries[0].billed_completion), (None, 0, 50));
}

#[tokio::test]
async fn a_client_that_leaves_a_silent_upstream_is_noticed() {
    for mode in ["never", "stall:2"] {
        let fault = Some(Fault::parse(mode).unwrap());
        let sim = Sim::start(SimConfig { fault, ..SimConfig::default() }).await.unwrap();
        let stream = begin(&sim, &Talk { stream: true, ..talk("count to 50") }).await;
        sim.journal().wait_until(SOON, |e| mode == "never" && !e.is_empty() || e.iter().any(|e| e.emitted == 2)).await;
        drop(stream);
        let entries = sim.journal().wait_until(SOON, |e| e.iter().any(|e| e.cancelled.is_some())).await;
        let billed = if mode == "never" { (0, 0) } else { (4 + 3, 2) };
        assert!(entries[0].cancelled.is_some(), "{mode}");
        assert_eq!((entries[0].billed_prompt, entries[0].billed_completion), billed, "{mode}");
    }
}

#[tokio::test]
async fn tokens_come_at_their_pace() {
    let ttft = Duration::from_millis(60);
    let sim = Sim::start(SimConfig { ttft, tokens_per_second: 200.0, ..SimConfig::default() }).await.unwrap();
    for stream in [true, false] {
        let got = super::talk::ask(&sim, &Talk { stream, ..talk("count to 21") }).await;
        let least = Duration::from_millis(155);
        assert!(got.took >= least && got.took < least * 8, "{:?}", got.took);
        assert_eq!(got.took - got.first_byte > ttft, stream);
    }
}

#[tokio::test]
async fn a_stopped_upstream_refuses_and_drops_its_connections() {
    let sim =
        Sim::start(SimConfig { fault: Some(Fault::parse("never").unwrap()), ..SimConfig::default() }).await.unwrap();
    let mut stream = begin(&sim, &talk("hi")).await;
    sim.journal().wait_until(SOON, |e| !e.is_empty()).await;
    sim.stop();
    assert!(!matches!(stream.read(&mut [0; 10]).await, Ok(n) if n > 0));
    assert!(TcpStream::connect(sim.addr()).await.is_err());
}

#[tokio::test]
async fn the_journal_forgets_the_oldest_but_counts_on() {
    let sim = super::start(Dialect::OpenAiChat).await;
    let plan = crate::LoadPlan {
        addr: sim.addr(),
        path: "/v1/chat/completions".into(),
        headers: Vec::new(),
        body: spell(Dialect::OpenAiChat, &talk("hi")).1.to_string().into(),
        connections: 8,
        until: crate::load::Until::Requests(4200),
        stream: false,
    };
    crate::load::run(plan).await.unwrap();
    let entries = sim.journal().entries();
    assert_eq!((sim.journal().total(), entries.len(), entries[0].seq), (4200, 4096, 104));
    assert!(sim.journal().last().unwrap().finished.is_some());
    sim.journal().clear();
    assert_eq!((sim.journal().total(), sim.journal().entries().len()), (4200, 0));
}
