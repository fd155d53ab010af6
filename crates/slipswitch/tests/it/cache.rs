//! Answers that are given again, from outside: on every surface, whole and as streams; who gets them, who does not, and what of it is on
//! record.

mod again;
mod forgetting;
mod safety;
mod services;
mod shared;

use crate::corpus::ask::{Ask, Item, Role};
use crate::corpus::natives::Native;
use crate::corpus::said::Said;
use crate::corpus::{Surface, bedrock, responses};
use crate::harness::{Gateway, Got, KEY, MANAGEMENT, provider};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use slip_ir::Dialect;
use slip_sim::{Sim, SimConfig};
use std::time::Duration;

const ON: &str = "[cache]\nenabled = true\n\n";
const MODEL: &str = "lab/one";

async fn sim(dialect: Dialect) -> Sim {
    Sim::start(SimConfig { dialect, ..SimConfig::default() }).await.expect("a socket")
}

/// One provider of one model.
fn house(sim: &Sim, dialect: Dialect, cache: &str) -> Gateway {
    Gateway::start(&(cache.to_owned() + &provider("one", dialect, &sim.base_url(), &[MODEL, "lab/two"])))
}

fn says(text: &str) -> Ask {
    let mut ask = Ask::minimal();
    ask.turns = vec![(Role::User, Item::Text(text.to_owned()))];
    ask
}

/// The same question, as each surface spells it.
fn spelt(surface: Surface, ask: &Ask, stream: bool) -> Value {
    match surface {
        Surface::Chat => ask.to_chat(MODEL, stream),
        Surface::Messages => ask.to_messages(MODEL, stream),
        Surface::Gemini => ask.to_gemini(),
        Surface::Responses => responses::spell(ask, MODEL, stream),
        Surface::Native(native) => native.body(ask, MODEL, stream),
        Surface::Bedrock => bedrock::to(ask),
        Surface::Invoked(_) => unreachable!("no client speaks it"),
    }
}

async fn knock(gateway: &Gateway, surface: Surface, ask: &Ask, stream: bool) -> Got {
    let body = spelt(surface, ask, stream);
    let path = surface.path(MODEL, stream);
    let got = with_headers(gateway, KEY, &path, &body, &[]).await;
    assert_eq!(got.status, 200, "{}: {}", surface.name(), got.text());
    got
}

async fn with_headers(gateway: &Gateway, key: &str, path: &str, body: &Value, more: &[(&str, &str)]) -> Got {
    let bearer = format!("Bearer {key}");
    let headers = [&[("authorization", bearer.as_str()), ("content-type", "application/json")], more].concat();
    gateway.send(Method::POST, path, &headers, Bytes::from(body.to_string())).await
}

/// What a client read.
fn heard(surface: Surface, got: &Got, stream: bool) -> Said {
    let parts = if stream { surface.values(&got.body) } else { vec![got.json()] };
    surface.read(&parts)
}

/// It is the same, but for what it cost.
fn same(first: &Said, again: &Said, why: &str) {
    let bare = |said: &Said| {
        let mut said = said.clone();
        if let Some(usage) = &mut said.usage {
            usage.cost = None;
        }
        format!("{said:#?}")
    };
    assert_eq!(bare(first), bare(again), "{why}");
    let cost = again.usage.and_then(|usage| usage.cost);
    assert!(cost.is_none_or(|cost| cost == 0.0), "{why}: {cost:?}");
}

fn status(got: &Got) -> &str {
    got.header("x-openrouter-cache-status")
}

fn chat(text: &str, stream: bool) -> Value {
    json!({ "model": MODEL, "stream": stream, "messages": [{ "role": "user", "content": text }] })
}

/// Another key, made with these members.
async fn key(gateway: &Gateway, members: Value) -> (String, String) {
    let made =
        gateway.manage(Method::POST, "/api/v1/keys", crate::harness::with(json!({ "name": "k" }), members)).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    (made["key"].as_str().expect("a key").to_owned(), made["data"]["hash"].as_str().expect("a hash").to_owned())
}

async fn stats(gateway: &Gateway) -> Value {
    gateway.manage(Method::GET, "/api/v1/cache", Value::Null).await.json()["data"].clone()
}

async fn entries(gateway: &Gateway) -> Vec<Value> {
    let listed = gateway.manage(Method::GET, "/api/v1/cache/entries", Value::Null).await.json();
    listed["data"].as_array().expect("entries").clone()
}

async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// The surfaces on which it can be told what was said.
fn surfaces() -> Vec<Surface> {
    Surface::ALL.into_iter().chain(Native::ALL.map(Surface::Native)).collect()
}
