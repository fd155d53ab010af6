//! Sound and faults: before the first byte another is asked, after it the connection breaks, and the record tells.

use super::{HEAR, IMAGES, SPEECH, form, provider, say, send_form, sim};
use crate::harness::{Gateway, KEY};
use serde_json::json;
use slip_sim::{Sim, SimConfig};
use std::time::Duration;

async fn slow() -> Sim {
    Sim::start(SimConfig { tokens_per_second: 10.0, ..SimConfig::default() }).await.expect("a socket")
}

#[tokio::test]
async fn before_the_first_byte_another_is_asked() {
    let good = sim(None).await;
    let order = json!({ "order": ["bad", "good"] });
    let modes = [
        "status:500",
        "status:429",
        "quota",
        "auth",
        "close",
        "reset-headers",
        "empty",
        "blank",
        "html",
        "error-200",
        "error-first",
        "cut:0",
        "not-http",
        "redirect",
    ];
    let wav = {
        let gateway = Gateway::start(&provider("good", &good));
        gateway.post(SPEECH, &say(json!({ "response_format": "wav" }))).await.body
    };
    for mode in modes {
        let bad = sim(Some(mode)).await;
        let gateway = Gateway::start(&(provider("bad", &bad) + &provider("good", &good)));
        let got = gateway.post(SPEECH, &say(json!({ "provider": order, "response_format": "wav" }))).await;
        assert_eq!((got.status, got.header("x-provider-name"), got.body == wav), (200, "good", true), "{mode}");
        assert_eq!(bad.journal().total(), 1, "{mode}");
        if mode == "blank" {
            continue;
        }
        let bad = sim(Some(mode)).await;
        let gateway = Gateway::start(&(provider("bad", &bad) + &provider("good", &good)));
        let draw = json!({ "model": "lab/one", "prompt": "a cat", "size": "64x64", "provider": order });
        let got = gateway.post(IMAGES, &draw).await;
        assert_eq!((got.status, got.header("x-provider-name")), (200, "good"), "{mode}: {}", got.text());
        let bad = sim(Some(mode)).await;
        let gateway = Gateway::start(&(provider("bad", &bad) + &provider("good", &good)));
        let fields = [("model", "lab/one"), ("provider", "{\"order\":[\"bad\",\"good\"]}")];
        let got = send_form(&gateway, HEAR, form(&fields, &[("file", "talk.wav", &wav)])).await;
        assert_eq!((got.status, got.header("x-provider-name")), (200, "good"), "{mode}: {}", got.text());
        assert_eq!(bad.journal().total(), 1, "{mode}");
    }
}

#[tokio::test]
async fn speech_arrives_as_it_is_made() {
    let lab = slow().await;
    let gateway = Gateway::start(&provider("lab", &lab));
    let mut live = gateway.open(SPEECH, &say(json!({ "response_format": "wav" }))).await;
    assert_eq!(live.status, 200);
    assert!(live.next().await.is_some_and(|piece| piece.starts_with("RIFF")), "sound, and nothing before it");
    assert!(lab.journal().last().expect("it was asked").finished.is_none(), "the rest is still being made");
    let mut pieces = 1;
    while live.next().await.is_some() {
        pieces += 1;
    }
    assert!(pieces >= 3, "{pieces}");
}

#[tokio::test]
async fn who_hangs_up_is_settled_once_and_the_provider_stops() {
    let lab = slow().await;
    let gateway = Gateway::start(&provider("lab", &lab));
    let mut live = gateway.open(SPEECH, &say(json!({ "response_format": "wav", "input": "a".repeat(400) }))).await;
    let id = live.id();
    assert!(live.next().await.is_some());
    drop(live);
    let mut record = json!(null);
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let got = gateway.get(&format!("/api/v1/generation?id={id}")).await;
        if got.status == 200 && lab.journal().last().is_some_and(|e| e.cancelled.is_some()) {
            record = got.json()["data"].clone();
            break;
        }
    }
    assert_eq!((&record["cancelled"], &record["total_cost"]), (&json!(true), &json!(0.006)), "{record}");
    assert_eq!(record["slipswitch"]["status"], 499);
}

#[tokio::test]
async fn after_the_first_byte_a_failure_breaks_the_connection() {
    for mode in ["cut:1", "reset:5000", "short-body"] {
        let (bad, good) = (sim(Some(mode)).await, sim(None).await);
        let gateway = Gateway::start(&(provider("bad", &bad) + &provider("good", &good)));
        let body = say(json!({ "response_format": "wav", "provider": { "order": ["bad"] } })).to_string();
        let request = format!(
            "POST {SPEECH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let said = gateway.raw(request.as_bytes()).await;
        assert!(said.contains("200 OK") && said.contains("RIFF"), "{mode}: {:.300}", said);
        assert!(!said.ends_with("0\r\n\r\n"), "{mode}: it must not look complete");
        assert!(!said.contains("\"error\""), "{mode}: no words inside sound");
        assert_eq!(good.journal().total(), 0, "{mode}: it is too late for another");
        let id = said.lines().find_map(|l| l.strip_prefix("x-generation-id: ")).expect("an id").trim().to_owned();
        let record = gateway.record_left(&id).await;
        assert_eq!((&record["cancelled"], &record["finish_reason"]), (&json!(false), &json!("error")), "{mode}");
        assert!(record["slipswitch"]["error"]["reason"].is_string(), "{mode}: {record}");
    }
}
