//! The canned upstream and the load generator, against each other.

use super::client::{Ended, post};
use crate::load::{LoadPlan, Until, hold, run};
use crate::{Canned, CannedConfig, Sim, SimConfig};
use bytes::Bytes;
use serde_json::json;
use slip_ir::Dialect;
use std::net::SocketAddr;
use std::time::Duration;

fn plan(addr: SocketAddr, stream: bool) -> LoadPlan {
    let body = json!({"model": "canned", "messages": [{"role": "user", "content": "hi"}], "stream": stream});
    LoadPlan {
        addr,
        path: "/v1/chat/completions".into(),
        headers: vec![("authorization".into(), "Bearer x".into())],
        body: Bytes::from(body.to_string()),
        connections: 4,
        until: Until::Requests(40),
        stream,
    }
}

#[tokio::test]
async fn the_plain_reply_has_exactly_the_size_that_was_ordered() {
    let canned = Canned::start(CannedConfig::default()).await.unwrap();
    let got = post(canned.addr(), "/v1/chat/completions", &json!({})).await;
    assert_eq!((got.status, got.body.len(), got.ended), (200, 1024, Ended::Properly));
    assert_eq!(got.json()["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn a_stream_has_as_many_numbered_chunks_as_were_ordered() {
    let canned = Canned::start(CannedConfig { chunks: 7, ..CannedConfig::default() }).await.unwrap();
    let got = post(canned.addr(), "/v1/chat/completions", &json!({"stream": true})).await;
    let text: String = got.events().iter().filter_map(|e| e["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, "tok1 tok2 tok3 tok4 tok5 tok6 tok7");
    assert_eq!((got.chunks.len(), got.ended), (7 + 3, Ended::Properly));
}

#[tokio::test]
async fn anthropics_dialect_is_canned_too() {
    let config = CannedConfig { dialect: Dialect::Anthropic, chunks: 3, ..CannedConfig::default() };
    let canned = Canned::start(config).await.unwrap();
    let got = post(canned.addr(), "/v1/messages", &json!({})).await;
    assert_eq!((got.body.len(), got.json()["stop_reason"].as_str()), (1024, Some("end_turn")));
    let got = post(canned.addr(), "/v1/messages", &json!({"stream": true})).await;
    let text: String = got.events().iter().filter_map(|e| e["delta"]["text"].as_str()).collect();
    assert_eq!((text.as_str(), got.chunks.len()), (" tok1 tok2 tok3", 3 + 3));
    assert_eq!(got.events().last().unwrap()["type"], "message_stop");
}

#[tokio::test]
async fn the_load_counts_what_it_sent_and_got() {
    let canned = Canned::start(CannedConfig { chunks: 5, ..CannedConfig::default() }).await.unwrap();
    let plain = run(plan(canned.addr(), false)).await.unwrap();
    assert_eq!((plain.requests, plain.errors, plain.error.as_deref()), (40, 0, None));
    assert_eq!(plain.body_bytes, 40 * 1024);
    assert!(plain.p50 > 0 && plain.p50 <= plain.p99 && plain.p99 <= plain.max && plain.first_p50 <= plain.p50);
    let streamed = run(plan(canned.addr(), true)).await.unwrap();
    assert_eq!((streamed.requests, streamed.errors, streamed.chunks), (40, 0, 40 * 8));
    assert_eq!(canned.served(), 80);
    let timed = LoadPlan { until: Until::Elapsed(Duration::from_millis(50)), ..plan(canned.addr(), false) };
    let timed = run(timed).await.unwrap();
    assert!(timed.requests > 0 && timed.elapsed >= Duration::from_millis(50));
}

#[tokio::test]
async fn errors_are_counted_and_the_first_is_told() {
    let canned = Canned::start(CannedConfig::default()).await.unwrap();
    let wrong =
        LoadPlan { stream: true, body: Bytes::from("{}"), until: Until::Requests(4), ..plan(canned.addr(), true) };
    let report = run(wrong).await.unwrap();
    assert_eq!((report.requests, report.errors, report.error.as_deref()), (0, 4, Some("expected a stream")));
    let sim = Sim::start(SimConfig { key: Some("right".into()), ..SimConfig::default() }).await.unwrap();
    let report = run(LoadPlan { until: Until::Requests(4), ..plan(sim.addr(), false) }).await.unwrap();
    assert_eq!((report.errors, report.error.as_deref()), (4, Some("status: 401")));
}

#[tokio::test]
async fn idle_streams_stay_open_until_they_are_dropped() {
    let canned = Canned::start(CannedConfig { idle: true, ..CannedConfig::default() }).await.unwrap();
    let held = hold(&LoadPlan { connections: 50, ..plan(canned.addr(), true) }).await.unwrap();
    assert_eq!((held.len(), canned.served()), (50, 50));
}
