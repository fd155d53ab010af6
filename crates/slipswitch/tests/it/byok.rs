//! Keys that workspaces have at providers: which of them a request goes out with, what it then costs, and that no secret is ever seen.

mod contract;
mod door;
mod money;
mod order;
mod secrets;

use crate::harness::{Gateway, Got};
use door::Door;
use http::Method;
use serde_json::{Value, json};

/// The house's own key at every provider here.
const HOUSE: &str = "house-key-0123456789";

/// Providers of `lab/one`, the first the cheapest, each behind a door of its own.
fn config(doors: &[(&str, &Door)]) -> String {
    let one = |(at, (name, door)): (usize, &(&str, &Door))| {
        format!(
            "[providers.{name}]\ndialect = \"openai-chat\"\nbase_url = \"http://{}/v1\"\nkey = \"{HOUSE}\"\nallow_private = true\n\
             models = [\"lab/one\"]\nprice = {{ input = \"{}\", output = \"4\" }}\n",
            door.address,
            at + 1
        )
    };
    doors.iter().enumerate().map(one).collect()
}

fn ask() -> Value {
    json!({
        "model": "lab/one", "max_tokens": 40, "provider": { "sort": "price" },
        "messages": [{ "role": "user", "content": "hello" }],
    })
}

/// A call of the management API that is answered with this status.
async fn told(gateway: &Gateway, method: Method, path: &str, body: Value, status: u16) -> Value {
    let shown = body.to_string();
    let got = gateway.manage(method, &format!("/api/v1{path}"), body).await;
    assert_eq!(got.status, status, "{path} {shown}: {}", got.text());
    got.json()
}

/// Put a key in. Gives its id.
async fn bring(gateway: &Gateway, provider: &str, secret: &str, more: Value) -> String {
    let body = crate::harness::with(json!({ "provider": provider, "key": secret }), more);
    let made = told(gateway, Method::POST, "/byok", body, 201).await;
    made["data"]["id"].as_str().expect("an id").to_owned()
}

/// A key of this gateway, in a workspace of its own. Gives its secret, its hash and the workspace.
async fn tenant(gateway: &Gateway, slug: &str) -> (String, String, String) {
    let space = told(gateway, Method::POST, "/workspaces", json!({ "name": slug, "slug": slug }), 201).await;
    let space = space["data"]["id"].as_str().expect("an id").to_owned();
    let made = told(gateway, Method::POST, "/keys", json!({ "name": slug, "workspace_id": space }), 201).await;
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    (text(&made["key"]), text(&made["data"]["hash"]), space)
}

/// The answer to a chat that succeeds.
async fn well(gateway: &Gateway) -> Got {
    let got = gateway.chat(&ask()).await;
    assert_eq!(got.status, 200, "{}", got.text());
    got
}
