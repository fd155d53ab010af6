//! Signing an app in: the page a person sees, the code, the key the app gets, and what of it can be misused. With `docs/oauth.md`, whose
//! walk-through is walked here.

mod keys;
mod page;

use crate::harness::{Gateway, Got, KEY, scratch, with};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

/// RFC 7636, appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const CALLBACK: &str = "https://app.example/back?state=7";

/// As a URL or a form has it.
fn encoded(pairs: &[(&str, &str)]) -> String {
    let escaped = |text: &str| -> String {
        text.bytes()
            .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
            .collect()
    };
    pairs.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect::<Vec<_>>().join("&")
}

/// A page as a browser has it: its form, and the cookie that came with it.
struct Page {
    got: Got,
    asked: String,
    token: String,
    cookie: String,
}

/// What a field of the form holds.
fn value_of(html: &str, name: &str) -> String {
    let start = html.find(&format!("name=\"{name}\"")).unwrap_or_else(|| panic!("no field {name} in {html}"));
    let rest = &html[start..];
    let value = rest.split_once("value=\"").expect("a value").1.split('"').next().expect("its end");
    ["&amp;&", "&lt;<", "&gt;>", "&quot;\"", "&#39;'"]
        .iter()
        .rev()
        .fold(value.to_owned(), |text, pair| text.replace(&pair[..pair.len() - 1], &pair[pair.len() - 1..]))
}

async fn open(gateway: &Gateway, query: &str) -> Page {
    let got = gateway.send(Method::GET, &format!("/auth?{query}"), &[], Bytes::new()).await;
    assert_eq!(got.status, 200, "{}", got.text());
    let cookie = got.header("set-cookie").split(';').next().unwrap_or_default().to_owned();
    let html = got.text();
    Page { asked: value_of(&html, "asked"), token: value_of(&html, "page"), cookie, got }
}

fn began() -> String {
    encoded(&[
        ("callback_url", CALLBACK),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("key_label", "The app"),
        ("limit", "2.5"),
        ("usage_limit_type", "weekly"),
    ])
}

/// Press the button, with what the browser adds.
async fn press(gateway: &Gateway, page: &Page, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Got {
    let origin = format!("http://{}", gateway.address);
    let mut all = vec![
        ("content-type", "application/x-www-form-urlencoded"),
        ("cookie", page.cookie.as_str()),
        ("origin", origin.as_str()),
        ("sec-fetch-site", "same-origin"),
    ];
    all.retain(|(name, _)| !headers.iter().any(|(other, _)| other == name));
    all.extend(headers.iter().filter(|(_, value)| !value.is_empty()));
    let mut form =
        vec![("asked", page.asked.as_str()), ("page", page.token.as_str()), ("limit", "2.5"), ("reset", "weekly")];
    form.retain(|(name, _)| !fields.iter().any(|(other, _)| other == name));
    form.extend(fields);
    gateway.send(Method::POST, "/auth", &all, Bytes::from(encoded(&form))).await
}

/// The code in the address a browser is sent to.
fn code_in(got: &Got) -> String {
    assert_eq!(got.status, 303, "{}", got.text());
    got.header("location").split_once("code=").expect("a code").1.to_owned()
}

pub async fn exchange(gateway: &Gateway, body: &Value) -> Got {
    gateway.send(Method::POST, "/api/v1/auth/keys", &[], Bytes::from(body.to_string())).await
}

/// A code by a program, with this key.
pub async fn code_by(gateway: &Gateway, key: &str, over: Value) -> Got {
    let body =
        with(json!({ "callback_url": CALLBACK, "code_challenge": CHALLENGE, "code_challenge_method": "S256" }), over);
    let headers = [("authorization", format!("Bearer {key}"))];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    gateway.send(Method::POST, "/api/v1/auth/keys/code", &headers, Bytes::from(body.to_string())).await
}

/// A key that an app got with this one's leave.
pub async fn signed_in(gateway: &Gateway, key: &str, over: Value) -> String {
    let made = code_by(gateway, key, over).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let got = exchange(gateway, &json!({ "code": made.json()["data"]["id"], "code_verifier": VERIFIER })).await;
    assert_eq!((got.status, got.header("cache-control")), (200, "no-store"), "{}", got.text());
    got.json()["key"].as_str().expect("a key").to_owned()
}

/// What a key tells about itself.
pub async fn of_itself(gateway: &Gateway, key: &str) -> Got {
    gateway.send(Method::GET, "/api/v1/key", &[("authorization", &format!("Bearer {key}"))], Bytes::new()).await
}

/// The commands of the documentation are those a reader would type.
#[tokio::test]
async fn the_walk_through_of_the_documentation_works_as_it_is_written() {
    let gateway = Gateway::start(crate::teams::HOUSE);
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/oauth.md")).expect("docs/oauth.md");
    let blocks = text.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("sh\n"));
    let script: String = blocks.collect::<Vec<_>>().join("\n");
    assert!(script.contains("/api/v1/auth/keys/code") && script.contains("openssl"), "{script}");
    let dir = scratch();
    let done = tokio::process::Command::new("bash")
        .current_dir(&dir)
        .args(["-euo", "pipefail", "-c", &script])
        .env("GATEWAY", format!("http://{}", gateway.address))
        .env("MY_KEY", KEY)
        .output()
        .await
        .expect("bash");
    std::fs::remove_dir_all(dir).expect("removed");
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{out}{err}");
    let told: Value =
        out.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_else(|| panic!("{out}"));
    assert_eq!(json!([told["data"]["limit"], told["data"]["limit_reset"]]), json!([5.0, "monthly"]), "{out}");
}
