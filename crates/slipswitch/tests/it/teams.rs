//! Workspaces, members and guardrails: the management API, who may call what, and what keys are then held to.

mod guardrails;
mod held;
mod members;
mod principals;
mod workspaces;

use crate::harness::{Gateway, Got, MANAGEMENT, scratch};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use slip_store::{KeyKind, NewKey, Place, SecretKey, Store};
use std::path::{Path, PathBuf};

/// Three providers of one model at three prices, one of them elsewhere too.
pub const HOUSE: &str = r#"
[providers.cheap]
kind = "simulated"
dialect = "openai-chat"
models = ["lab/one", "lab/two"]
price = { input = "1", output = "4" }

[providers.middle]
kind = "simulated"
dialect = "anthropic"
models = ["lab/one"]
price = { input = "2", output = "8" }

[providers.dear]
kind = "simulated"
dialect = "openai-chat"
models = ["lab/one", "lab/three"]
price = { input = "9", output = "36" }
"#;

const TIME: i64 = 1_700_000_000_000;

/// A call of the management API.
async fn call(gateway: &Gateway, method: &str, path: &str, body: &Value) -> Got {
    let bytes = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    let path = format!("/api/v1{path}");
    gateway.send(method, &path, &[("authorization", &format!("Bearer {MANAGEMENT}"))], bytes).await
}

/// A call that is answered with this status; gives the answer.
async fn told(gateway: &Gateway, method: &str, path: &str, body: Value, status: u16) -> Value {
    let got = call(gateway, method, path, &body).await;
    assert_eq!(got.status, status, "{method} {path} {body}: {}", got.text());
    got.json()
}

/// Calls that are refused: method, path, body, status, and words of the message.
async fn refused(gateway: &Gateway, rows: &[(&str, &str, Value, u16, &str)]) {
    for (method, path, body, status, words) in rows {
        let got = call(gateway, method, path, body).await;
        let error = got.error();
        assert_eq!((got.status, &error["code"]), (*status, &json!(status)), "{method} {path} {body}: {error}");
        let message = error["message"].as_str().unwrap_or_default();
        assert!(message.contains(words), "{method} {path} {body}: {words:?} is not in {message:?}");
    }
}

/// The members of an answer are these, no more and no fewer.
fn has_exactly(value: &Value, names: &[&str]) {
    let mut have: Vec<&str> = value.as_object().expect("an object").keys().map(String::as_str).collect();
    let mut want = names.to_vec();
    have.sort_unstable();
    want.sort_unstable();
    assert_eq!(have, want);
}

/// A key to be there when the gateway starts.
struct Own<'a> {
    secret: &'a str,
    new: NewKey,
    disabled: bool,
}

fn own(secret: &str) -> Own<'_> {
    Own { secret, new: NewKey { name: secret.to_owned(), ..NewKey::default() }, disabled: false }
}

/// A data directory with these keys in it.
async fn prepared(keys: Vec<Own<'_>>) -> PathBuf {
    let dir = scratch();
    keep(&dir.join("data"), keys).await;
    dir
}

async fn keep(data: &Path, keys: Vec<Own<'_>>) {
    let store = Store::open(Place::Dir(data.to_owned()), None).expect("a store");
    for Own { secret, new, disabled } in keys {
        let secret = SecretKey::parse(secret).expect("a key");
        let key = store.create_key(&secret, new, TIME).await.expect("kept");
        if disabled {
            let mut edited = slip_store::Key::clone(&key);
            edited.disabled = disabled;
            store.update_key(edited, TIME).await.expect("changed");
        }
    }
    store.close().await.expect("closed");
}

fn hash(secret: &str) -> String {
    SecretKey::parse(secret).expect("a key").hash()
}

fn management(secret: &str) -> Own<'_> {
    let one = own(secret);
    Own { new: NewKey { kind: KeyKind::Management, ..one.new.clone() }, ..one }
}

/// A chat with this key.
async fn chat(gateway: &Gateway, secret: &str, body: &Value) -> Got {
    let bearer = format!("Bearer {secret}");
    let headers = [("authorization", bearer.as_str())];
    gateway.send(Method::POST, "/api/v1/chat/completions", &headers, Bytes::from(body.to_string())).await
}

fn ask(model: &str, words: &str) -> Value {
    json!({ "model": model, "max_tokens": 40, "messages": [{ "role": "user", "content": words }] })
}
