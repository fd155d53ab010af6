//! Scripted and replayed upstreams give what they were given.

use super::client::{Ended, Got, post, send};
use crate::http::Framing;
use crate::scripted::End;
use crate::{Case, Chunking, Replay, ReplayConfig, Script, Scripted, case};
use serde_json::{Value, json};
use std::time::Duration;

const STREAM: &str = ": hello\r\n\r\ndata: {\"text\":\"grüß\"}\r\n\r\nevent: x\ndata: 1\ndata: 2\n\ndata: [DONE]\n\n";

fn case(id: &str, stream: bool, framing: &str, body: &str) -> Case {
    let value = json!({
        "id": id, "provider": "p", "api": "chat.completions", "model": null, "features": ["stream"],
        "request": {"recorded": true, "method": "POST", "url": "https://example.com/v1/chat/completions?a=b", "headers": {}, "body": {"n": 1}},
        "response": {
            "status": if stream { 200 } else { 418 }, "stream": stream, "framing": framing, "fidelity": "verbatim",
            "headers": {"Content-Type": "text/event-stream", "x-request-id": "r1", "content-length": "3"},
            "body": body, "body_encoding": "utf8",
        },
    });
    Case::parse(value.to_string().as_bytes()).unwrap()
}

async fn replay(config: ReplayConfig) -> Replay {
    let cases = vec![
        case("a.s", true, "sse", STREAM),
        case("b.n", false, "json", "{\"odd\" :1}\n"),
        case("c.s", true, "ndjson", "{}\n{\"a\":1}\n"),
    ];
    Replay::start(cases, config).await.unwrap()
}

#[tokio::test]
async fn a_case_is_served_byte_for_byte_in_each_chunking() {
    let replay = replay(ReplayConfig::default()).await;
    for chunking in [Chunking::Event, Chunking::Byte, Chunking::Random(1), Chunking::Random(2), Chunking::One] {
        replay.set_chunking(chunking);
        let got = post(replay.addr(), "/case/a.s/v1/chat/completions", &json!({})).await;
        assert_eq!((got.status, got.text().as_str(), got.ended), (200, STREAM, Ended::Properly), "{chunking:?}");
        assert_eq!(got.header("x-request-id"), Some("r1"));
        assert_eq!(got.header("content-length"), None);
        let cuts: Vec<usize> = got.chunks.iter().map(Vec::len).collect();
        match chunking {
            Chunking::Event => assert_eq!(cuts, [11, 27, 26, 14]),
            Chunking::Byte => assert!(cuts.len() == STREAM.len() && cuts.iter().all(|n| *n == 1)),
            Chunking::One => assert_eq!(cuts, [STREAM.len()]),
            Chunking::Random(_) => {
                let again = post(replay.addr(), "/case/a.s/v1/chat/completions", &json!({})).await;
                assert!(cuts.len() > 1);
                assert_eq!(cuts, again.chunks.iter().map(Vec::len).collect::<Vec<_>>());
            }
        }
    }
    replay.set_chunking(Chunking::Event);
    let lines = post(replay.addr(), "/case/c.s/x", &json!({})).await;
    assert_eq!(lines.chunks, [b"{}\n".to_vec(), b"{\"a\":1}\n".to_vec()]);
}

#[tokio::test]
async fn the_header_chooses_too_and_what_came_is_recorded() {
    let replay = replay(ReplayConfig::default()).await;
    let got = send(
        replay.addr(),
        "POST",
        "/v1/x?y",
        &[("X-Replay-Case", "b.n"), ("authorization", "Bearer k")],
        b"{\"z\":1}",
    )
    .await;
    assert_eq!((got.status, got.text().as_str(), got.header("content-length")), (418, "{\"odd\" :1}\n", Some("11")));
    let told = send(replay.addr(), "GET", "/__replay/requests", &[], b"").await.json();
    assert_eq!((&told[0]["path"], &told[0]["body"]), (&json!("/v1/x?y"), &json!({"z": 1})));
    assert!(told[0]["headers"].as_array().unwrap().contains(&json!(["authorization", "Bearer k"])));
    for (path, why) in [("/v1/x", "say which case"), ("/case/nope/v1", "no such case: nope")] {
        let missed = post(replay.addr(), path, &json!({})).await;
        assert_eq!(missed.status, 599);
        assert!(missed.text().contains(why));
    }
}

#[tokio::test]
async fn a_stream_can_be_cut_at_any_byte() {
    let replay = replay(ReplayConfig { cut_after: Some(30), ..ReplayConfig::default() }).await;
    let got = post(replay.addr(), "/case/a.s/v1", &json!({})).await;
    assert_eq!((got.body.as_slice(), got.ended), (&STREAM.as_bytes()[..30], Ended::Early));
}

#[test]
fn a_case_knows_its_path_and_a_broken_one_is_refused_by_name() {
    assert_eq!(case("a", true, "sse", "").path(), "/v1/chat/completions?a=b");
    let error = Case::parse(b"{\"id\": \"odd\", \"provider\": 1}").expect_err("no provider");
    assert_eq!(format!("{error:#}"), "not a case: odd: body is not a string");
}

#[tokio::test]
async fn scripts_are_given_in_order_as_they_are_written() {
    let scripted = Scripted::start().await.unwrap();
    let ask = || async { post(scripted.addr(), "/any", &json!({"q": 1})).await };
    scripted.push(Script::json(201, &json!({"a": 1})).header("x-a", "b"));
    scripted.push(Script::events(&[json!({"n": 1}), json!({"n": 2})]));
    scripted.push(Script::stream(["da", "ta: 1\n\n"]).ending(End::Cut));
    scripted.push(Script::stream(["x"]).ending(End::Reset));
    scripted.push(Script::stream(["x"]).ending(End::Hang));
    scripted.push(Script::new(200, "text/plain", "abc").framed(Framing::Length(10)).ending(End::Cut));
    scripted.push(Script::stream(["a", "b"]).slow(Duration::from_millis(20)).paced(Duration::from_millis(20)));
    let seen = |g: &Got| (g.status, g.text(), g.ended);
    let first = ask().await;
    assert_eq!((seen(&first), first.header("x-a")), ((201, "{\"a\":1}".into(), Ended::Properly), Some("b")));
    assert_eq!(ask().await.events(), [json!({"n": 1}), json!({"n": 2}), Value::String("[DONE]".into())]);
    let cut = ask().await;
    assert_eq!((seen(&cut), cut.chunks.len()), ((200, "data: 1\n\n".into(), Ended::Early), 2));
    assert_eq!(seen(&ask().await), (200, "x".into(), Ended::Reset));
    assert_eq!(seen(&ask().await), (200, "x".into(), Ended::Silent));
    assert_eq!(seen(&ask().await), (200, "abc".into(), Ended::Early));
    let paced = ask().await;
    assert!(paced.text() == "ab" && paced.took >= Duration::from_millis(55), "{:?}", paced.took);
    assert_eq!(seen(&ask().await).0, 599);
    scripted.always(Script::json(200, &json!("again")));
    assert_eq!(ask().await.text(), "\"again\"");
    assert_eq!(ask().await.text(), "\"again\"");
    assert_eq!((scripted.left(), scripted.journal().total()), (0, 10));
    assert_eq!(scripted.journal().last().unwrap().json(), json!({"q": 1}));
}

/// The environment names the corpus; it is not part of the repository.
#[allow(clippy::disallowed_methods)]
#[tokio::test]
async fn every_recorded_case_is_served_as_it_was_recorded() {
    let Ok(corpus) = std::env::var("SLIPSWITCH_CORPUS") else {
        println!("skipped: SLIPSWITCH_CORPUS is not set");
        return;
    };
    let cases = case::load(std::path::Path::new(&corpus)).unwrap();
    assert!(!cases.is_empty());
    let replay = Replay::start(cases.clone(), ReplayConfig::default()).await.unwrap();
    for case in &cases {
        let got = send(replay.addr(), "POST", &format!("/case/{}/x", case.id), &[], b"{}").await;
        assert_eq!((got.status, got.ended), (case.response.status, Ended::Properly), "{}", case.id);
        assert!(got.body == case.response.body, "{}", case.id);
        assert_eq!(got.header("content-type"), case.response.headers.get("content-type").map(String::as_str));
    }
}
