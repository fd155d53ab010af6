//! Several keys, several instances, several models behind one name; connections that died while nobody used them.

use super::{ask, fail, sim, with};
use crate::harness::{Gateway, provider};
use serde_json::json;
use slip_ir::Dialect;
use slip_sim::{Sim, SimConfig};
use std::collections::BTreeMap;

fn only(model: &str) -> serde_json::Value {
    with(ask(model, false), json!({ "provider": {} }))
}

#[tokio::test]
async fn keys_are_used_by_their_weights_and_another_is_tried_when_one_is_refused() {
    let sim = sim(Dialect::OpenAiChat, None).await;
    let config = format!(
        "[providers.lab]\ndialect = \"openai-chat\"\nbase_url = \"{}\"\nmodels = [\"lab/one\"]\n\
         keys = [{{ key = \"key-heavy-0123\", weight = 9 }}, {{ key = \"key-light-0123\", weight = 1 }}]\n",
        sim.base_url()
    );
    let gateway = Gateway::start(&config);
    for _ in 0..100 {
        assert_eq!(gateway.chat(&only("lab/one")).await.status, 200);
    }
    let mut used: BTreeMap<String, u32> = BTreeMap::new();
    for entry in sim.journal().entries() {
        *used.entry(entry.header("authorization").unwrap_or("").to_owned()).or_default() += 1;
    }
    let (heavy, light) = (used["Bearer key-heavy-0123"], used.get("Bearer key-light-0123").copied().unwrap_or(0));
    // Nine in ten of a hundred: outside of this once in ten million runs.
    assert!(heavy + light == 100 && (1..=28).contains(&light), "{used:?}");
    for mode in ["auth", "quota", "status:429"] {
        let gateway = Gateway::start(&config);
        sim.journal().clear();
        fail(&sim, Some(mode));
        assert_ne!(gateway.chat(&only("lab/one")).await.status, 200);
        let mut keys: Vec<String> =
            sim.journal().entries().iter().map(|e| e.header("authorization").unwrap_or("").to_owned()).collect();
        keys.sort_unstable();
        assert_eq!(
            keys,
            ["Bearer key-heavy-0123", "Bearer key-light-0123"],
            "{mode}: another key may have what this one lacks"
        );
    }
}

#[tokio::test]
async fn instances_take_turns_and_one_that_is_gone_is_gone_around() {
    let mut sims = Vec::new();
    for _ in 0..3 {
        sims.push(sim(Dialect::OpenAiChat, None).await);
    }
    let urls: Vec<String> = sims.iter().map(Sim::base_url).collect();
    let config = format!(
        "[providers.lab]\ndialect = \"openai-chat\"\nbase_urls = {urls:?}\nmodels = [\"lab/one\"]\n\
         [models.\"house/turns\"]\nendpoints = [\"lab/one\"]\nload_balancer = \"round-robin\"\n"
    );
    let gateway = Gateway::start(&config);
    for _ in 0..31 {
        assert_eq!(gateway.chat(&only("house/turns")).await.status, 200);
    }
    let counts: Vec<u64> = sims.iter().map(|s| s.journal().total()).collect();
    assert!(counts.iter().max() <= counts.iter().min().map(|n| n + 1).as_ref(), "{counts:?}");
    assert_eq!(counts.iter().sum::<u64>(), 31);
    sims[1].stop();
    for n in 0..12 {
        let got = gateway.chat(&only("house/turns")).await;
        assert_eq!(got.status, 200, "request {n}: {}", got.text());
    }
}

#[tokio::test]
async fn a_house_name_stands_for_its_models_in_turn_and_falls_back_among_them() {
    let (one, two) = (sim(Dialect::OpenAiChat, None).await, sim(Dialect::Anthropic, None).await);
    let config = provider("one", Dialect::OpenAiChat, &one.base_url(), &["lab/one"])
        + &provider("two", Dialect::Anthropic, &two.base_url(), &["lab/two"])
        + "[models.\"house/fast\"]\nendpoints = [\"lab/one\", \"lab/two\"]\nload_balancer = \"round-robin\"\n";
    let gateway = Gateway::start(&config);
    for _ in 0..10 {
        let got = gateway.chat(&only("house/fast")).await;
        assert_eq!(got.status, 200, "{}", got.text());
    }
    assert_eq!((one.journal().total(), two.journal().total()), (5, 5));
    fail(&one, Some("status:503"));
    for _ in 0..4 {
        let got = gateway.chat(&only("house/fast")).await;
        assert_eq!((got.status, &got.json()["model"]), (200, &json!("lab/two")), "{}", got.text());
    }
    fail(&one, Some("context"));
    fail(&two, None);
    let got = gateway.chat(&only("house/fast")).await;
    assert_eq!(
        (got.status, &got.json()["model"]),
        (200, &json!("lab/two")),
        "a house lists several models: {}",
        got.text()
    );
}

#[tokio::test]
async fn a_connection_that_died_while_idle_costs_nobody_a_failure() {
    let first = sim(Dialect::OpenAiChat, None).await;
    let address = first.addr();
    let gateway = Gateway::try_start_with(
        &provider("lab", Dialect::OpenAiChat, &first.base_url(), &["lab/one"]),
        &["--workers", "1"],
        &[],
    )
    .expect("it starts");
    assert_eq!(gateway.chat(&only("lab/one")).await.status, 200);
    first.stop();
    drop(first);
    let refused = gateway.chat(&only("lab/one")).await;
    assert_eq!(
        (refused.status, &refused.error()["metadata"]["reason"]),
        (502, &json!("upstream_failed")),
        "{}",
        refused.text()
    );
    let mut second = Err("not tried".to_owned());
    for _ in 0..100 {
        second = Sim::start(SimConfig { listen: address, ..SimConfig::default() }).await.map_err(|e| e.to_string());
        if second.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let second = second.expect("the address is free again");
    for _ in 0..3 {
        let got = gateway.chat(&only("lab/one")).await;
        assert_eq!(got.status, 200, "{}", got.text());
        assert_eq!(gateway.record(&got).await["provider_responses"].as_array().map(Vec::len), Some(1));
    }
    assert_eq!(second.journal().total(), 3);
}
