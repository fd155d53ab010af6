//! Many requests over three endpoints of one model, one of which fails: nobody who could be answered goes without, and the failing
//! one is not asked again and again.

use super::{fail, sim};
use crate::harness::{Gateway, provider};
use serde_json::json;
use slip_ir::Dialect;
use std::sync::Arc;

/// Over every way to fail and both ways to ask: 20 times this many requests, ten thousand in all.
const REQUESTS: usize = 500;
/// Ways at once: some of them mostly wait.
const WAYS_AT_ONCE: usize = 3;
const AT_ONCE: usize = 16;

const WAYS: &[&str] = &[
    "status:500",
    "status:503",
    "status:429",
    "status:429:2",
    "stall:0",
    "error-first",
    "error-200",
    "reset:0",
    "cut:0",
    "close",
];

#[tokio::test]
async fn one_of_three_may_fail_in_any_way_before_its_first_content() {
    let rows = WAYS.iter().flat_map(|way| [(*way, false), (*way, true)]);
    let mut running = tokio::task::JoinSet::new();
    for (way, stream) in rows {
        if running.len() >= WAYS_AT_ONCE {
            running.join_next().await.expect("one is running").expect("nobody went without");
        }
        running.spawn(one_of_three(way, stream));
    }
    while let Some(ended) = running.join_next().await {
        ended.expect("nobody went without");
    }
}

async fn one_of_three(way: &'static str, stream: bool) {
    let what = format!("{way}, stream {stream}");
    let mut sims = Vec::new();
    for _ in 0..3 {
        sims.push(sim(Dialect::OpenAiChat, None).await);
    }
    let config: String = ["a", "b", "c"]
        .iter()
        .zip(&sims)
        .map(|(slug, sim)| provider(slug, Dialect::OpenAiChat, &sim.base_url(), &["lab/one"]))
        .collect();
    let timeouts = "[timeouts]\nfirst_content = \"500ms\"\nidle = \"500ms\"\ntotal = \"20s\"\n\n";
    let gateway = Arc::new(Gateway::start(&(timeouts.to_owned() + &config)));
    fail(&sims[1], Some(way));
    let mut left = REQUESTS;
    let mut at_once = tokio::task::JoinSet::new();
    let body = json!({
        "model": "lab/one",
        "stream": stream,
        "max_tokens": 3,
        "messages": [{ "role": "user", "content": "count to 3" }],
    });
    while left > 0 || !at_once.is_empty() {
        while left > 0 && at_once.len() < AT_ONCE {
            left -= 1;
            let (gateway, body) = (gateway.clone(), body.clone());
            at_once.spawn(async move { gateway.chat(&body).await });
        }
        let got = at_once.join_next().await.expect("one is left").expect("no panic");
        assert_eq!(got.status, 200, "{what}: {}", got.text());
        assert!(!got.text().contains("\"error\""), "{what}: {}", got.text());
    }
    let calls: u64 = sims.iter().map(|sim| sim.journal().total()).sum();
    let amplified = calls as f64 / REQUESTS as f64;
    assert!(amplified <= 1.2, "{what}: {calls} calls for {REQUESTS} requests");
}

#[tokio::test]
async fn turns_are_taken_evenly_by_many_at_once_and_over_a_reload() {
    let mut sims = Vec::new();
    for _ in 0..2 {
        sims.push(sim(Dialect::OpenAiChat, None).await);
    }
    let urls: Vec<String> = sims.iter().map(slip_sim::Sim::base_url).collect();
    let config = |extra: &str| {
        format!(
            "[providers.farm]\ndialect = \"openai-chat\"\nbase_urls = {urls:?}\nmodels = [\"farm/one\", \"farm/{extra}\"]\n\
             [models.\"house/turns\"]\nendpoints = [\"farm/one\"]\nload_balancer = \"round-robin\"\n"
        )
    };
    let gateway = Arc::new(Gateway::start(&config("first")));
    let body = json!({ "model": "house/turns", "messages": [{ "role": "user", "content": "hello" }] });
    for round in 0..3 {
        let mut at_once = tokio::task::JoinSet::new();
        for _ in 0..51 {
            let (gateway, body) = (gateway.clone(), body.clone());
            at_once.spawn(async move { gateway.chat(&body).await.status });
        }
        while let Some(status) = at_once.join_next().await {
            assert_eq!(status.expect("no panic"), 200);
        }
        let counts = [sims[0].journal().total(), sims[1].journal().total()];
        assert_eq!(counts[0] + counts[1], 51 * (round + 1));
        assert!(counts[0].abs_diff(counts[1]) <= 1, "round {round}: {counts:?}");
        let extra = format!("extra{round}");
        std::fs::write(&gateway.config, config(&extra)).expect("the file can be written");
        gateway.signal("HUP");
        while gateway.get(&format!("/api/v1/models/farm/{extra}/endpoints")).await.status != 200 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}
