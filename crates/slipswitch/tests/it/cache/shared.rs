//! The same request, asked while it is being answered.

use super::*;
use crate::harness::Live;
use slip_sim::{Fault, Script, Scripted};
use std::sync::Arc;

/// Takes a while to say it.
async fn slow(ttft_ms: u64, tokens_per_second: f64) -> Sim {
    let ttft = Duration::from_millis(ttft_ms);
    Sim::start(SimConfig { ttft, tokens_per_second, ..SimConfig::default() }).await.expect("a socket")
}

fn told(stream: &str) -> String {
    let events = stream.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    let piece = |data: &str| {
        let event: Value = serde_json::from_str(data).unwrap_or_else(|e| panic!("{e}: {data}"));
        event["choices"][0]["delta"]["content"].as_str().unwrap_or_default().to_owned()
    };
    events.map(piece).collect()
}

async fn open(gateway: &Gateway, text: &str) -> Live {
    gateway.open("/api/v1/chat/completions", &chat(text, true)).await
}

#[tokio::test]
async fn a_thousand_who_ask_the_same_at_once_are_one_call_and_all_hear_it_whole() {
    let sim = slow(400, 100.0).await;
    let gateway = Arc::new(house(&sim, Dialect::OpenAiChat, ON));
    let crowd: Vec<_> = (0..1000)
        .map(|n| {
            let gateway = gateway.clone();
            tokio::spawn(async move {
                // Some while nothing has come, some in the middle of it.
                pause(n % 10 * 60).await;
                gateway.chat(&chat("count to 50", true)).await
            })
        })
        .collect();
    let (mut texts, mut ids, mut missed) = (Vec::new(), Vec::new(), 0);
    for one in crowd {
        let got = one.await.expect("it ends");
        assert_eq!(got.status, 200, "{}", got.text());
        assert!(got.text().ends_with("data: [DONE]\n\n"), "{}", got.text());
        missed += u32::from(status(&got) == "MISS");
        texts.push(got.content());
        let events = got.events();
        assert!(events.iter().all(|event| event["id"] == got.header("x-generation-id")), "{}", got.text());
        ids.push(got.header("x-generation-id").to_owned());
    }
    ids.sort();
    ids.dedup();
    assert_eq!((sim.journal().total(), missed, ids.len()), (1, 1, 1000));
    assert!(texts[0].contains("50") && texts.iter().all(|text| *text == texts[0]), "{}", texts[0]);
    let told = stats(&gateway).await;
    let given = told["joined"].as_u64().unwrap_or(0) + told["hits"].as_u64().unwrap_or(0);
    assert_eq!((given, &told["in_flight"]), (999, &json!(0)), "{told}");
}

#[tokio::test]
async fn those_who_join_are_on_record_with_what_they_saved() {
    let sim = slow(300, 0.0).await;
    let gateway = house(&sim, Dialect::OpenAiChat, ON);
    for (one, two) in [(false, false), (true, true), (false, true), (true, false)] {
        let text = format!("count to 7 {one} {two}");
        let (one, two) = (chat(&text, one), chat(&text, two));
        let (first, second) = tokio::join!(gateway.chat(&one), async {
            pause(100).await;
            gateway.chat(&two).await
        });
        assert_eq!((status(&first), status(&second)), ("MISS", "HIT"), "{text}");
        assert_eq!(first.content(), second.content(), "{text}");
        let (paid, free) = (gateway.record(&first).await, gateway.record(&second).await);
        let own = &free["slipswitch"];
        assert_eq!((&free["total_cost"], &own["cache"]), (&json!(0.0), &json!("joined")), "{text}: {own}");
        assert_eq!((&own["cache_source"], &own["cache_saved"]), (&json!(paid["id"]), &paid["total_cost"]), "{text}");
        assert_eq!(free["tokens_completion"], paid["tokens_completion"], "{text}");
    }
    assert_eq!(sim.journal().total(), 4);
}

#[tokio::test]
async fn when_the_one_who_asked_hangs_up_the_others_hear_the_rest() {
    let sim = slow(0, 40.0).await;
    let gateway = house(&sim, Dialect::OpenAiChat, ON);
    let mut leader = open(&gateway, "count to 30").await;
    leader.until("3").await;
    let mut follower = open(&gateway, "count to 30").await;
    let begin = follower.until("3").await;
    let id = leader.id();
    drop(leader);
    let text = told(&(begin + &follower.rest().await));
    assert!(text.contains("30"), "{text}");
    assert_eq!(sim.journal().total(), 1);
    let record = gateway.record_left(&id).await;
    assert_eq!((&record["cancelled"], &record["finish_reason"]), (&json!(true), &json!("stop")), "{record}");
    assert!(record["total_cost"].as_f64().is_some_and(|cost| cost > 0.0), "{record}");
    assert_eq!(sim.journal().entries()[0].cancelled, None);
    // And it is kept.
    let again = gateway.chat(&chat("count to 30", true)).await;
    assert_eq!((status(&again), again.content()), ("HIT", text));
}

#[tokio::test]
async fn when_all_have_hung_up_the_provider_stops() {
    let sim = slow(0, 20.0).await;
    let gateway = house(&sim, Dialect::OpenAiChat, ON);
    let mut leader = open(&gateway, "count to 100").await;
    leader.until("2").await;
    let mut follower = open(&gateway, "count to 100").await;
    follower.until("2").await;
    drop(leader);
    pause(200).await;
    assert!(sim.journal().entries()[0].cancelled.is_none(), "somebody still reads");
    drop(follower);
    let seen = sim.journal().wait_until(Duration::from_secs(3), |all| all.iter().any(|e| e.cancelled.is_some())).await;
    assert!(seen[0].cancelled.is_some());
}

#[tokio::test]
async fn when_the_one_who_asked_hangs_up_before_anything_came_the_call_goes_on_for_the_others() {
    for stream in [true, false] {
        let sim = slow(600, 0.0).await;
        let gateway = Arc::new(house(&sim, Dialect::OpenAiChat, ON));
        let ask = |gateway: Arc<Gateway>| async move { gateway.chat(&chat("count to 9", stream)).await };
        let leader = tokio::spawn(ask(gateway.clone()));
        pause(150).await;
        let crowd: Vec<_> = (0..10).map(|_| tokio::spawn(ask(gateway.clone()))).collect();
        pause(150).await;
        leader.abort();
        let mut source = String::new();
        for one in crowd {
            let got = one.await.expect("it ends");
            assert!(got.content().contains('9') && status(&got) == "HIT", "{}", got.text());
            source = got.header("x-openrouter-cache-source-id").to_owned();
        }
        assert_eq!(sim.journal().total(), 1, "{stream}");
        let record = gateway.record_left(&source).await;
        assert_eq!((&record["cancelled"], &record["slipswitch"]["status"]), (&json!(true), &json!(499)), "{record}");
        assert!(record["total_cost"].as_f64().is_some_and(|cost| cost > 0.0), "{record}");
        assert_eq!(status(&gateway.chat(&chat("count to 9", stream)).await), "HIT");
    }
}

#[tokio::test]
async fn when_nobody_waits_any_more_before_anything_came_the_provider_stops() {
    for stream in [true, false] {
        let sim = slow(10_000, 0.0).await;
        let gateway = Arc::new(house(&sim, Dialect::OpenAiChat, ON));
        let ask = |gateway: Arc<Gateway>| async move { gateway.chat(&chat("count to 9", stream)).await };
        let leader = tokio::spawn(ask(gateway.clone()));
        pause(150).await;
        let follower = tokio::spawn(ask(gateway.clone()));
        pause(150).await;
        leader.abort();
        pause(150).await;
        assert!(sim.journal().entries()[0].cancelled.is_none(), "somebody still waits");
        follower.abort();
        let patience = Duration::from_secs(4);
        let seen = sim.journal().wait_until(patience, |all| all.iter().any(|e| e.cancelled.is_some())).await;
        assert!(seen[0].cancelled.is_some(), "{stream}");
        assert_eq!(stats(&gateway).await["in_flight"], 0, "{stream}");
    }
}

#[tokio::test]
async fn when_it_fails_each_goes_its_own_way() {
    let (bad, good) = (slow(0, 0.0).await, slow(0, 0.0).await);
    bad.set_fault(Some(Fault::parse("status:500").expect("a mode")));
    let config = provider("bad", Dialect::OpenAiChat, &bad.base_url(), &[MODEL])
        + &provider("good", Dialect::OpenAiChat, &good.base_url(), &[MODEL]);
    let gateway = Gateway::start(&(ON.to_owned() + &config));
    // Nobody else may answer: each is told so, and hears it from the provider itself.
    let only = json!({ "provider": { "only": ["bad"] } });
    for stream in [false, true] {
        let body = crate::harness::with(chat("x", stream), only.clone());
        let (a, b, c) = tokio::join!(gateway.chat(&body), gateway.chat(&body), gateway.chat(&body));
        for got in [a, b, c] {
            assert!(got.status >= 500 && status(&got) != "HIT", "{}: {}", got.status, got.text());
        }
    }
    // Where another may, whoever follows waits for that one and hears it.
    let body = crate::harness::with(chat("y", true), json!({ "provider": { "order": ["bad", "good"] } }));
    let (a, b) = tokio::join!(gateway.chat(&body), gateway.chat(&body));
    assert_eq!((a.status, b.status, a.content() == b.content()), (200, 200, true));
}

#[tokio::test]
async fn what_breaks_off_in_the_middle_breaks_off_for_all_in_their_own_words() {
    let upstream = Scripted::start().await.expect("a socket");
    let config = provider("one", Dialect::OpenAiChat, &upstream.base_url(), &[MODEL]);
    let gateway = Gateway::start(&(ON.to_owned() + &config));
    let chunk =
        |text: &str| format!("data: {}\n\n", json!({ "choices": [{ "index": 0, "delta": { "content": text } }] }));
    let pieces = ["one ", "two ", "three "].map(|text| Bytes::from(chunk(text)));
    upstream.always(Script::stream(pieces).paced(Duration::from_millis(150)).ending(slip_sim::scripted::End::Cut));
    let body = chat("x", true);
    let (a, b) = tokio::join!(gateway.chat(&body), async {
        pause(200).await;
        gateway.chat(&body).await
    });
    assert_eq!((status(&a), status(&b)), ("MISS", "HIT"), "{} {}", a.text(), b.text());
    for got in [&a, &b] {
        assert_eq!(got.content(), "one two three ", "{}", got.text());
        assert!(got.text().contains("\"error\""), "{}", got.text());
    }
    assert_eq!(gateway.record(&b).await["finish_reason"], "error");
    assert!(entries(&gateway).await.is_empty());
}
