//! Who waits where there is no room, who is served first, and that nobody waits for ever: at the door of a full house, and before an
//! account that is used up.

mod accounts;
mod clerk;
mod door;
mod priority;

use crate::harness::{Gateway, Got};
use clerk::Clerk;
use http::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(15);

/// A gateway with one clerk behind it.
fn house(config: &str, clerk: &Clerk, limits: &str) -> Arc<Gateway> {
    Arc::new(Gateway::start(&format!("{config}\n{}", clerk.provider("desk", limits))))
}

fn ask(says: &str) -> Value {
    json!({ "model": "lab/one", "messages": [{ "role": "user", "content": says }] })
}

/// A key whose requests are of this class.
async fn key(gateway: &Gateway, priority: &str) -> String {
    let made = gateway.manage(Method::POST, "/api/v1/keys", json!({ "name": priority, "priority": priority })).await;
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()["key"].as_str().expect("a secret").to_owned()
}

/// Asks in a task of its own.
fn asks(gateway: &Arc<Gateway>, key: &str, says: &str) -> JoinHandle<Got> {
    let (gateway, key, body) = (gateway.clone(), key.to_owned(), ask(says));
    tokio::spawn(async move { gateway.chat_as(&key, &body).await })
}

/// What a metric says of a class.
async fn figure(gateway: &Gateway, name: &str, queue: &str, class: &str) -> f64 {
    let metrics = gateway.manage(Method::GET, "/metrics", Value::Null).await.text();
    let label = format!("slipswitch_{name}{{queue=\"{queue}\",class=\"{class}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&label)?.parse().ok()).unwrap_or(0.0)
}

/// Until so many of a class wait.
async fn waiting(gateway: &Gateway, queue: &str, class: &str, many: usize) {
    for _ in 0..500 {
        if figure(gateway, "queue_length", queue, class).await == many as f64 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let metrics = gateway.manage(Method::GET, "/metrics", Value::Null).await.text();
    let lines: Vec<&str> = metrics.lines().filter(|line| line.contains("_queue_")).collect();
    panic!("there were never {many} {class} waiting: {lines:#?}");
}

async fn all(tasks: Vec<JoinHandle<Got>>) -> Vec<Got> {
    let mut got = Vec::new();
    for task in tasks {
        got.push(tokio::time::timeout(PATIENCE, task).await.expect("nobody waits for ever").expect("no panic"));
    }
    got
}
