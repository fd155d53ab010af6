//! A caller of a running gateway: what the commands ask it.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use http_body_util::BodyExt;
use serde_json::Value;
use slip_server::upstream::{self, Deadlines, Target, parse_base};
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(2);

pub struct Client {
    target: Target,
}

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Result<Value, String> {
        serde_json::from_slice(&self.body).map_err(|e| format!("the answer is not JSON: {e}"))
    }

    /// The words of an error.
    pub fn says(&self) -> String {
        let told = self.json().ok().and_then(|v| Some(v["error"]["message"].as_str()?.to_owned()));
        told.unwrap_or_else(|| format!("status {}", self.status))
    }
}

fn words(what: impl Display) -> String {
    what.to_string()
}

impl Client {
    /// `root` is the address without `/api/v1`; with it is understood too.
    pub fn new(root: &str, key: &str) -> Result<Client, String> {
        let root = root.trim_end_matches('/');
        let root = root.strip_suffix("/api/v1").or(root.strip_suffix("/v1")).unwrap_or(root);
        let (origin, prefix) = parse_base(root, true)?;
        let mut value = HeaderValue::try_from(format!("Bearer {key}")).map_err(words)?;
        value.set_sensitive(true);
        let headers = [(header::AUTHORIZATION, value)].into();
        Ok(Client { target: Target { origin: Arc::new(origin), prefix: prefix.as_str().into(), headers, tap: None } })
    }

    pub async fn post(&self, path: &str, body: String, patience: Duration) -> Result<Answer, String> {
        let deadlines = Deadlines { connect: CONNECT, headers: patience, alone: true };
        let sent = upstream::open(&self.target, path, Bytes::from(body), "application/json", &[], deadlines);
        heard(sent.await).await
    }

    /// Any other request; an empty body is none.
    pub async fn send(&self, method: Method, path: &str, body: String, patience: Duration) -> Result<Answer, String> {
        let deadlines = Deadlines { connect: CONNECT, headers: patience, alone: true };
        let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        let headers = if body.is_empty() { &[][..] } else { &json[..] };
        heard(upstream::call(&self.target, method, path, Bytes::from(body), headers, deadlines).await).await
    }

    pub async fn get(&self, path: &str, patience: Duration) -> Result<Answer, String> {
        let deadlines = Deadlines { connect: CONNECT, headers: patience, alone: true };
        heard(upstream::get(&self.target, path, deadlines).await).await
    }
}

async fn heard(answered: Result<http::Response<upstream::Incoming>, upstream::Failed>) -> Result<Answer, String> {
    let (parts, body) = answered.map_err(|failed| words(failed.fault.says))?.into_parts();
    let body = body.collect().await.map_err(words)?.to_bytes();
    Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
}
