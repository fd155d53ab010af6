//! Whoever would lose a parameter that must not be lost: told beforehand as it then happens.

use super::verdict;
use crate::harness::{Gateway, with};
use serde_json::{Value, json};
use slip_ir::Dialect;
use slip_sim::{Sim, SimConfig};

/// Members of a request, each lost by some dialect and carried by another.
const PARTS: [(&str, &str); 7] = [
    ("seed", "7"),
    ("top_k", "5"),
    ("logit_bias", "{\"50256\":-100}"),
    ("frequency_penalty", "0.5"),
    ("logprobs", "true"),
    ("response_format", "{\"type\":\"json_object\"}"),
    ("stop", "[\"###\"]"),
];

const DIALECTS: [Dialect; 5] =
    [Dialect::OpenAiChat, Dialect::Anthropic, Dialect::Gemini, Dialect::Cohere, Dialect::Bedrock];

/// A provider of each dialect, each said to support everything, so that only the telling shows what it would lose.
async fn market() -> (Gateway, Vec<Sim>) {
    let (mut config, mut sims) = (String::new(), Vec::new());
    let params: Vec<&str> = PARTS.iter().map(|(name, _)| *name).chain(["max_tokens", "structured_outputs"]).collect();
    for (n, dialect) in DIALECTS.into_iter().enumerate() {
        let sim = Sim::start(SimConfig { dialect, ..SimConfig::default() }).await.expect("a socket");
        config += &format!(
            "[providers.p{n}]\ndialect = \"{}\"\nbase_url = \"{}\"\nkey = \"k\"\nprice = {{ input = \"{n}\", output = \"{n}\" }}\n\
             models = [{{ id = \"lab/one\", params = {params:?} }}]\n\n",
            dialect.name(),
            sim.base_url(),
        );
        sims.push(sim);
    }
    (Gateway::start(&config), sims)
}

fn asked(subset: usize, rules: &Value) -> Value {
    let mut body = json!({
        "model": "lab/one", "max_tokens": 20, "messages": [{ "role": "user", "content": "count to 3, as JSON" }],
        "provider": with(rules.clone(), json!({ "require_parameters": true })),
    });
    for (at, (name, value)) in PARTS.iter().enumerate() {
        if subset >> at & 1 == 1 {
            body[*name] = serde_json::from_str(value).expect("JSON");
        }
    }
    body
}

fn unfit(told: &Value) -> Vec<(String, String)> {
    let all = told["endpoints"].as_array().expect("endpoints").iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut unfit: Vec<(String, String)> = all
        .flat_map(|e| e["because"].as_array().into_iter().flatten().map(move |why| (e, why)))
        .filter(|(_, why)| why["rule"] == "unfit")
        .map(|(e, why)| (text(&e["endpoint"]), text(&why["says"])))
        .collect();
    unfit.sort();
    unfit
}

#[tokio::test]
async fn what_translation_would_lose_is_told_as_it_happens() {
    let (gateway, _sims) = market().await;
    let rules = [
        json!({}),
        json!({ "sort": "price" }),
        json!({ "order": ["p4", "p2"] }),
        json!({ "order": ["p1", "p3"], "allow_fallbacks": false }),
        json!({ "load_balancer": "round-robin", "ignore": ["p0"] }),
    ];
    let (mut refused, mut nobody) = (0, 0);
    for subset in 0..1 << PARTS.len() {
        let rules = &rules[subset % rules.len()];
        let body = asked(subset, rules);
        let told = gateway.post("/api/v1/explain", &body).await.json();
        let got = gateway.chat(&body).await;
        let shown = format!("{body}\n{told}\n{}", got.text());
        let unfit = unfit(&told);
        refused += unfit.len();
        if !told["no_route"].is_null() {
            nobody += 1;
            assert_eq!(got.status, told["no_route"]["status"], "{shown}");
            let (says, heard) =
                (told["no_route"]["message"].as_str(), got.error()["message"].as_str().map(str::to_owned));
            let sentence =
                |text: Option<&str>| text.and_then(|t| t.split_once(". ")).map(|(first, _)| first.to_owned());
            assert_eq!(sentence(says), sentence(heard.as_deref()), "{shown}");
            continue;
        }
        assert_eq!(got.status, 200, "{shown}");
        let record = gateway.record(&got).await;
        for (at, attempt) in record["provider_responses"].as_array().expect("attempts").iter().enumerate() {
            let who = attempt["endpoint_id"].as_str().expect("a tag");
            assert!(!["refused", "never"].contains(&verdict(&told, who)), "{who}: {shown}");
            let chance = told["endpoints"].as_array().expect("them").iter().find(|e| e["endpoint"] == who);
            assert!(at > 0 || chance.is_some_and(|e| e["first"].as_f64() > Some(0.0)), "{who} was first: {shown}");
        }
        for ruled in record["slipswitch"]["ruled_out"].as_array().expect("rules") {
            let who = ruled["endpoint"].as_str().expect("a tag");
            assert_eq!(verdict(&told, who), "refused", "{ruled}: {shown}");
            if ruled["rule"] == "unfit" {
                // A record keeps the beginning of what was said.
                let says = ruled["says"].as_str().expect("words");
                assert!(unfit.iter().any(|(tag, why)| tag == who && why.starts_with(says)), "{ruled}: {shown}");
            }
        }
    }
    assert!(refused > 100 && nobody > 5, "{refused} unfit endpoints, {nobody} requests that nobody may serve");
}

#[tokio::test]
async fn what_a_picture_or_a_file_becomes_is_thought_through_without_fetching_it() {
    let (gateway, sims) = market().await;
    let mut body = asked(0, &json!({}));
    body["messages"][0]["content"] = json!([
        { "type": "text", "text": "what is this?" },
        { "type": "image_url", "image_url": { "url": "http://127.0.0.1:9/picture.png" } },
        { "type": "file", "file": { "filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA" } },
    ]);
    let told = gateway.post("/api/v1/explain", &body).await;
    assert_eq!(told.status, 200, "{}", told.text());
    assert!(sims.iter().all(|sim| sim.journal().total() == 0), "nobody is asked");
}
