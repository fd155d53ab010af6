//! Asking a server something, bounded in time and bytes: its answer, or in one sentence why there is none.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Method};
use http_body_util::{BodyExt, Limited};
use serde_json::Value;
use slip_server::clock;
use slip_server::upstream::{self, Deadlines, Target, parse_base};
use std::sync::Arc;
use std::time::Duration;

/// An answer larger than this is none that was asked for.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// A server, and how long we have for it.
#[derive(Clone)]
pub struct Server {
    target: Target,
    patience: Duration,
}

/// What came back.
pub struct Answer {
    pub status: u16,
    pub media_type: String,
    pub text: String,
    pub ms: u64,
}

impl Answer {
    /// Null when it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The data of a stream's events.
    pub fn events(&self) -> impl Iterator<Item = Value> + '_ {
        self.text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data:")?.trim()).ok())
    }

    /// What it says is wrong, wherever that stands.
    pub fn complaint(&self) -> String {
        let said = self.json();
        let places = [&said["error"]["message"], &said["error"], &said["message"], &said["detail"]];
        let text = places.iter().find_map(|place| place.as_str()).unwrap_or(&self.text);
        let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        line.chars().filter(|c| !c.is_control()).take(200).collect()
    }
}

impl Server {
    /// At this base URL; the key goes along in the two ways that are common.
    pub fn new(base: &str, key: Option<&str>, patience: Duration) -> Result<Server, String> {
        let (origin, prefix) = parse_base(base, true)?;
        let mut headers = Vec::new();
        if let Some(key) = key {
            for (name, text) in
                [(AUTHORIZATION, format!("Bearer {key}")), (HeaderName::from_static("x-api-key"), key.to_owned())]
            {
                let mut value = HeaderValue::try_from(text)
                    .map_err(|_| "the key holds characters a header cannot carry".to_owned())?;
                value.set_sensitive(true);
                headers.push((name, value));
            }
        }
        let target =
            Target { origin: Arc::new(origin), prefix: prefix.as_str().into(), headers: headers.into(), tap: None };
        Ok(Server { target, patience })
    }

    pub async fn get(&self, path: &str) -> Result<Answer, String> {
        self.ask(Method::GET, path, None, &[]).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer, String> {
        self.ask(Method::POST, path, Some(body), &[]).await
    }

    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(HeaderName, HeaderValue)],
    ) -> Result<Answer, String> {
        let began = clock::now();
        let mut all = headers.to_vec();
        let bytes = body.map_or_else(Bytes::new, |body| body.to_string().into());
        if body.is_some() {
            all.push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
        }
        let deadlines = Deadlines { connect: self.patience, headers: self.patience, alone: true };
        let sent = upstream::call(&self.target, method, path, bytes, &all, deadlines).await;
        let response = sent.map_err(|failed| failed.fault.says.to_string())?;
        let (parts, body) = response.into_parts();
        let body = tokio::time::timeout(self.patience, Limited::new(body, MAX_ANSWER).collect()).await;
        let body = match body {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(_)) => return Err("its answer broke off, or is too large".to_owned()),
            Err(_) => return Err(format!("its answer did not end within {}", upstream::show(self.patience))),
        };
        let kind = parts.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        Ok(Answer {
            status: parts.status.as_u16(),
            media_type: kind.to_owned(),
            text: String::from_utf8_lossy(&body).into_owned(),
            ms: clock::ms(clock::now().duration_since(began)),
        })
    }
}
