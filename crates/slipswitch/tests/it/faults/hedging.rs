//! A second attempt beside a slow first: who answers, what is recorded and counted, and how seldom it happens.

use super::{CHAT, ask, fail, sim, with};
use crate::harness::{Gateway, provider};
use serde_json::{Value, json};
use slip_ir::Dialect;
use slip_sim::Sim;
use std::time::Duration;

/// `bad` and `good` under one name, hedged like this.
fn house(bad: &Sim, good: &Sim, hedge: &str) -> String {
    let (one, two) = (bad.config().dialect, good.config().dialect);
    provider("bad", one, &bad.base_url(), &["lab/one"])
        + &provider("good", two, &good.base_url(), &["lab/one"])
        + &format!("[models.\"house/x\"]\nendpoints = [\"lab/one\"]\nhedge = {hedge}\n")
}

fn calls(bad: &Sim, good: &Sim) -> (u64, u64) {
    (bad.journal().total(), good.journal().total())
}

async fn hung_up_on(sim: &Sim) -> bool {
    let patience = Duration::from_secs(5);
    sim.journal()
        .wait_until(patience, |all| all.iter().any(|e| e.cancelled.is_some()))
        .await
        .iter()
        .any(|e| e.cancelled.is_some())
}

/// Provider, whether it was the hedge, whether it was hung up on, and what was wrong with it.
fn tries(record: &Value) -> Vec<(String, bool, bool, Option<String>)> {
    let all = record["provider_responses"].as_array().expect("attempts");
    let one = |t: &Value| {
        let text = |v: &Value| v.as_str().map(str::to_owned);
        (text(&t["provider_name"]).unwrap_or_default(), t["hedge"] == true, t["cancelled"] == true, text(&t["error"]))
    };
    all.iter().map(one).collect()
}

#[tokio::test]
async fn whoever_is_first_answers_and_the_other_is_hung_up_on_and_never_charged() {
    for dialect in [Dialect::OpenAiChat, Dialect::Anthropic, Dialect::Gemini] {
        for stream in [true, false] {
            let what = format!("{dialect:?}, stream {stream}");
            let (bad, good) = (sim(dialect, Some("ttft:20s")).await, sim(Dialect::OpenAiChat, None).await);
            let gateway = Gateway::start(&house(&bad, &good, "{ after = \"400ms\" }"));
            let got = gateway.chat(&ask("house/x", stream)).await;
            assert!(got.content().starts_with("tok1 ") && got.content().ends_with("tok20"), "{what}: {}", got.text());
            assert_eq!(calls(&bad, &good), (1, 1), "{what}");
            assert!(hung_up_on(&bad).await, "{what}");
            let record = gateway.record(&got).await;
            let want = [("bad".to_owned(), false, true, None), ("good".to_owned(), true, false, None)];
            assert_eq!(tries(&record), want, "{what}: {record}");
            assert_eq!(record["provider_name"], "good", "{what}");
            assert_eq!(record["total_cost"], got.usage()["cost"], "{what}: the caller pays for the answer");
            let usage = got.usage();
            let (prompt, completion) = (&usage["prompt_tokens"], &usage["completion_tokens"]);
            assert_eq!((&record["tokens_prompt"], &record["tokens_completion"]), (prompt, completion), "{what}");
            let waste = record["slipswitch"]["hedge_waste"].as_f64().expect("an estimate");
            assert!(waste > 0.0 && waste <= usage["cost"].as_f64().unwrap_or(0.0) * 1.5, "{what}: {waste} {usage}");
            assert!(
                record["slipswitch"]["overhead_us"].as_u64().is_some_and(|us| us < 300_000),
                "{what}: the wait was the provider's: {record}"
            );
            let mut metrics = String::new();
            for _ in 0..250 {
                metrics = gateway.send(http::Method::GET, "/metrics", &[], bytes::Bytes::new()).await.text();
                if metrics.contains("slipswitch_hedges_total") {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert!(metrics.contains("slipswitch_hedges_total{provider=\"good\",outcome=\"won\"} 1"), "{metrics}");
            assert!(metrics.contains("slipswitch_attempts_total{provider=\"bad\",fault=\"outrun\"} 1"), "{metrics}");
        }
    }
}

#[tokio::test]
async fn a_first_that_comes_after_all_wins_and_the_hedge_is_the_one_hung_up_on() {
    for stream in [true, false] {
        let (bad, good) =
            (sim(Dialect::OpenAiChat, Some("ttft:500ms")).await, sim(Dialect::Anthropic, Some("never")).await);
        let gateway = Gateway::start(&house(&bad, &good, "{ after = \"100ms\" }"));
        let got = gateway.chat(&ask("house/x", stream)).await;
        assert!(got.content().ends_with("tok20"), "{}", got.text());
        assert!(hung_up_on(&good).await);
        let record = gateway.record(&got).await;
        let want = [("good".to_owned(), true, true, None), ("bad".to_owned(), false, false, None)];
        assert_eq!((tries(&record).as_slice(), calls(&bad, &good)), (&want[..], (1, 1)), "stream {stream}: {record}");
    }
}

#[tokio::test]
async fn when_one_of_the_two_fails_the_other_goes_on() {
    let failed = |name: &str, hedge, reason: &str| (name.to_owned(), hedge, false, Some(reason.to_owned()));
    let rows = [
        ("slow-headers:20s", "status:503", None, (1, 1)),
        ("never", "status:400", None, (1, 1)),
        ("ttft:300ms", "status:500", Some("bad"), (1, 1)),
        ("ttft:300ms", "status:400", Some("bad"), (1, 1)),
        ("never", "close", None, (1, 1)),
    ];
    for (first, second, answers, want) in rows {
        let (bad, good) = (sim(Dialect::OpenAiChat, Some(first)).await, sim(Dialect::OpenAiChat, Some(second)).await);
        let config =
            "[timeouts]\nfirst_content = \"600ms\"\n\n".to_owned() + &house(&bad, &good, "{ after = \"100ms\" }");
        let gateway = Gateway::start(&config);
        let got = gateway.chat(&ask("house/x", true)).await;
        assert_eq!(calls(&bad, &good), want, "{first}, {second}");
        let record = gateway.record(&got).await;
        match answers {
            Some(name) => {
                assert_eq!(record["provider_name"], name, "{first}, {second}: {}", got.text());
                assert!(got.content().ends_with("tok20"), "{}", got.text());
            }
            None => {
                assert!(got.status >= 400, "{first}, {second}: {}", got.text());
                let tries = tries(&record);
                assert!(tries.len() == 2 && tries[0].1 && !tries[1].1, "{first}, {second}: {tries:?}");
                assert_eq!(tries[1], failed("bad", false, "upstream_timeout"));
            }
        }
        assert_eq!(record["slipswitch"]["hedge_waste"], Value::Null, "{first}, {second}: nobody was outrun");
    }
    // The first one falls while the second is on its way.
    let (bad, good) =
        (sim(Dialect::OpenAiChat, Some("never")).await, sim(Dialect::OpenAiChat, Some("ttft:500ms")).await);
    let config = "[timeouts]\nfirst_content = \"30s\"\n\n".to_owned()
        + &house(&bad, &good, "{ after = \"100ms\" }").replacen(
            "price",
            "timeouts = { first_content = \"300ms\" }\nprice",
            1,
        );
    let gateway = Gateway::start(&config);
    let got = gateway.chat(&ask("house/x", true)).await;
    let record = gateway.record(&got).await;
    let want = [failed("bad", false, "upstream_timeout"), ("good".to_owned(), true, false, None)];
    assert_eq!(tries(&record), want, "{}", got.text());
    assert!(got.content().ends_with("tok20"), "{}", got.text());
}

#[tokio::test]
async fn what_changes_the_world_is_never_asked_twice() {
    let hosted = json!({ "tools": [{ "type": "web_search_preview" }] });
    let rows: Vec<(&str, &str, Value)> = vec![
        ("stored", CHAT, json!({ "store": true })),
        ("hosted tools", CHAT, hosted),
        ("a plugin", CHAT, json!({ "plugins": [{ "id": "web" }] })),
        ("web search", CHAT, json!({ "web_search_options": {} })),
        ("another model", CHAT, json!({ "model": "lab/one" })),
        ("one endpoint", CHAT, json!({ "provider": { "only": ["bad"] } })),
        ("no fallbacks", CHAT, json!({ "provider": { "order": ["bad"], "allow_fallbacks": false } })),
    ];
    for (what, path, over) in rows {
        for stream in [true, false] {
            let (bad, good) =
                (sim(Dialect::OpenAiChat, Some("ttft:300ms")).await, sim(Dialect::OpenAiChat, None).await);
            let gateway = Gateway::start(&house(&bad, &good, "{ after = \"50ms\" }"));
            let got = gateway.post(path, &with(ask("house/x", stream), over.clone())).await;
            assert_eq!(good.journal().total(), 0, "{what}: {}", got.text());
        }
    }
    // Two names of one host are one host.
    let bad = sim(Dialect::OpenAiChat, Some("ttft:300ms")).await;
    let gateway = Gateway::start(&house(&bad, &bad, "{ after = \"50ms\" }"));
    assert_eq!(gateway.chat(&ask("house/x", true)).await.status, 200);
    assert_eq!(bad.journal().total(), 1);
    // And nobody who did not ask for it is hedged.
    let (bad, good) = (sim(Dialect::OpenAiChat, Some("ttft:300ms")).await, sim(Dialect::OpenAiChat, None).await);
    let gateway = Gateway::start(&house(&bad, &good, "false"));
    assert_eq!(gateway.chat(&ask("house/x", true)).await.status, 200);
    assert_eq!(calls(&bad, &good), (1, 0));
}

#[tokio::test]
async fn the_share_of_the_requests_is_kept_whatever_is_slow() {
    for (share, hedged) in [("0.05", 4), ("0.01", 2)] {
        let (bad, good) = (sim(Dialect::OpenAiChat, None).await, sim(Dialect::OpenAiChat, None).await);
        let gateway = Gateway::start(&house(&bad, &good, &format!("{{ after = \"500ms\", max_share = {share} }}")));
        for n in 1..=120 {
            fail(&bad, (n % 30 == 0).then_some("ttft:1200ms"));
            assert_eq!(gateway.chat(&ask("house/x", true)).await.status, 200);
        }
        assert_eq!(calls(&bad, &good), (120, hedged), "at most {share}");
    }
}

#[tokio::test]
async fn when_most_are_slow_it_stops_by_itself() {
    let (bad, good) = (sim(Dialect::OpenAiChat, Some("ttft:80ms")).await, sim(Dialect::OpenAiChat, None).await);
    let gateway = Gateway::start(&house(&bad, &good, "{ after = \"20ms\", max_share = 0.05 }"));
    for _ in 0..60 {
        assert_eq!(gateway.chat(&ask("house/x", true)).await.status, 200);
    }
    assert_eq!(calls(&bad, &good), (60, 1), "one was tried before it was known");
}

#[tokio::test]
async fn what_is_slow_is_measured_on_the_endpoint_itself() {
    let (bad, good) = (sim(Dialect::OpenAiChat, None).await, sim(Dialect::OpenAiChat, None).await);
    let gateway = Gateway::start(&house(&bad, &good, "{ max_share = 0.05 }"));
    fail(&bad, Some("ttft:300ms"));
    assert_eq!(gateway.chat(&ask("house/x", true)).await.status, 200);
    assert_eq!(good.journal().total(), 0, "nothing is known of it yet");
    fail(&bad, None);
    for _ in 0..60 {
        assert_eq!(gateway.chat(&ask("house/x", true)).await.status, 200);
    }
    fail(&bad, Some("ttft:20s"));
    let before = good.journal().total();
    let got = gateway.chat(&ask("house/x", true)).await;
    assert!(got.content().ends_with("tok20"), "{}", got.text());
    assert_eq!(good.journal().total(), before + 1);
}

#[tokio::test]
async fn a_caller_who_leaves_hangs_up_on_both() {
    let (bad, good) = (sim(Dialect::OpenAiChat, Some("never")).await, sim(Dialect::Anthropic, Some("never")).await);
    let gateway = Gateway::start(&house(&bad, &good, "{ after = \"50ms\" }"));
    let asked = tokio::time::timeout(Duration::from_millis(500), gateway.chat(&ask("house/x", true))).await;
    assert!(asked.is_err(), "neither answers");
    assert!(hung_up_on(&bad).await && hung_up_on(&good).await);
}

#[tokio::test]
async fn a_request_may_turn_it_off_or_on_within_what_the_name_gives_leave_to() {
    let (usual, on_request) = ("{ after = \"50ms\" }", "{ after = \"50ms\", unasked = false }");
    let stored = json!({ "store": true });
    let rows: [(&str, Option<bool>, Value, bool); 7] = [
        (usual, None, json!({}), true),
        (usual, Some(false), json!({}), false),
        (usual, Some(true), json!({}), true),
        (on_request, None, json!({}), false),
        (on_request, Some(true), json!({}), true),
        (on_request, Some(true), stored, false),
        ("false", Some(true), json!({}), false),
    ];
    for (hedge, wish, over, hedged) in rows {
        let what = format!("{hedge}, {wish:?}, {over}");
        let (bad, good) = (sim(Dialect::OpenAiChat, Some("ttft:400ms")).await, sim(Dialect::OpenAiChat, None).await);
        let gateway = Gateway::start(&house(&bad, &good, hedge));
        let mut body = with(ask("house/x", true), over);
        if let Some(wish) = wish {
            body["provider"]["hedge"] = json!(wish);
        }
        let told = gateway.post("/api/v1/explain", &body).await.json();
        let got = gateway.chat(&body).await;
        assert_eq!(got.status, 200, "{what}: {}", got.text());
        assert_eq!(calls(&bad, &good), (1, u64::from(hedged)), "{what}");
        let plan = &told["hedge"];
        if hedged {
            let want = json!({ "state": "on", "after_ms": 50, "max_share": 0.02, "first": "bad", "second": "good" });
            assert_eq!(plan, &want, "{what}");
        } else {
            assert!(plan["state"] == "off" && plan["why"].is_string(), "{what}: {told}");
        }
    }
    let gateway =
        Gateway::start(&house(&sim(Dialect::OpenAiChat, None).await, &sim(Dialect::OpenAiChat, None).await, usual));
    let wrong = gateway.chat(&with(ask("house/x", true), json!({ "provider": { "hedge": "p95" } }))).await;
    assert!(wrong.status == 400 && wrong.text().contains("provider.hedge"), "{}", wrong.text());
}
