//! One question to an issuer of credentials: dialled by `upstream.rs` like everything else, small, and short.

use super::Trouble;
use crate::upstream::{self, Deadlines, Origin, Reach, Target, parse_base};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use http_body_util::{BodyExt, Limited};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

/// Tokens and credentials are a few kilobytes.
const MAX_ANSWER: usize = 256 * 1024;
const CONNECT: Duration = Duration::from_secs(5);
const HEADERS: Duration = Duration::from_secs(15);

pub struct Question {
    pub method: Method,
    pub url: String,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Bytes,
    /// The machine's own metadata service is meant, whatever the name of its host leads to.
    pub metadata: bool,
    pub connect: Duration,
    pub patience: Duration,
}

impl Question {
    pub fn get(url: String) -> Question {
        Question {
            method: Method::GET,
            url,
            headers: vec![(ACCEPT, HeaderValue::from_static("application/json"))],
            body: Bytes::new(),
            metadata: false,
            connect: CONNECT,
            patience: HEADERS,
        }
    }

    pub fn form(url: String, fields: &[(&str, &str)]) -> Question {
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        let body = form(fields).into();
        let mut question = Question { method: Method::POST, body, ..Question::get(url) };
        question.headers.push((CONTENT_TYPE, kind));
        question
    }

    pub fn header(mut self, name: &'static str, value: &'static str) -> Question {
        self.headers.push((HeaderName::from_static(name), HeaderValue::from_static(value)));
        self
    }

    pub fn of_metadata(mut self) -> Question {
        self.metadata = true;
        // It is on this machine, or not at all.
        (self.connect, self.patience) = (Duration::from_secs(1), Duration::from_secs(5));
        self
    }

    /// Any answer, whatever its status. The error is safe to show: it names no more than the host.
    pub async fn ask(self) -> Result<Answer, String> {
        let uri: Uri = self.url.parse().map_err(|_| "its URL is not one".to_owned())?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err("its URL is not one".to_owned());
        };
        let (mut origin, _) = parse_base(&format!("{scheme}://{authority}"), false)?;
        let literal = origin.host.parse().is_ok_and(upstream::is_metadata);
        if self.metadata || literal {
            origin = Origin::new(origin.https, origin.host, origin.port, Reach::Metadata);
        }
        if !origin.https && origin.reach == Reach::Global {
            return Err(format!("a credential is not asked for over plain http: {}", origin.host));
        }
        let host = origin.host.clone();
        let target = Target { origin: Arc::new(origin), prefix: "".into(), headers: [].into(), tap: None };
        let path = uri.path_and_query().map_or("/", |p| p.as_str());
        let deadlines = Deadlines { connect: self.connect, headers: self.patience, alone: true };
        let sent = upstream::call(&target, self.method, path, self.body, &self.headers, deadlines).await;
        let response = sent.map_err(|failed| format!("{host}: {}", failed.fault.says))?;
        let (parts, body) = response.into_parts();
        let body = tokio::time::timeout(self.patience, Limited::new(body, MAX_ANSWER).collect()).await;
        match body {
            Ok(Ok(body)) => Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body: body.to_bytes() }),
            Ok(Err(_)) => Err(format!("{host}: its answer broke off, or is too large")),
            Err(_) => Err(format!("{host}: its answer did not end in time")),
        }
    }
}

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// What every OAuth token endpoint answers.
#[derive(serde::Deserialize)]
pub struct Token {
    pub access_token: String,
    /// Seconds, as a number or as a text.
    #[serde(default)]
    expires_in: Option<serde_json::Value>,
}

/// A token that does not say how long it lasts is taken for as good as this.
const UNSAID: u64 = 300;

impl Token {
    pub fn seconds(&self) -> u64 {
        let said = self.expires_in.as_ref();
        said.and_then(|v| v.as_u64().or_else(|| v.as_str()?.trim().parse().ok())).unwrap_or(UNSAID)
    }
}

impl Answer {
    /// A token, or what the issuer said instead; `advice` is what to do then.
    pub fn token(&self, issuer: &str, advice: &str) -> Result<Token, Trouble> {
        if self.status == 200 {
            let token = serde_json::from_slice(&self.body);
            return token.map_err(|_| Trouble::new(format!("{issuer} answered something that is not a token")));
        }
        let code = self.code().map(|code| format!(" ({code})")).unwrap_or_default();
        Err(Trouble::new(format!("{issuer} answered {}{code}: {advice}", self.status)))
    }

    /// OAuth's word for what went wrong, and Microsoft's number. Nothing else of such an answer is repeated: it may quote what
    /// was sent.
    fn code(&self) -> Option<String> {
        #[derive(serde::Deserialize)]
        struct Refusal {
            error: Option<serde_json::Value>,
            #[serde(default)]
            error_codes: Vec<u32>,
        }
        let refusal: Refusal = serde_json::from_slice(&self.body).ok()?;
        let word = refusal.error.as_ref().and_then(|e| e.as_str().or_else(|| e["status"].as_str()))?;
        let plain = word.len() <= 64 && word.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
        let mut code = plain.then(|| word.to_owned())?;
        if let Some(number) = refusal.error_codes.first() {
            let _ = write!(code, ", AADSTS{number}");
        }
        Some(code)
    }
}

fn form(fields: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (name, value) in fields {
        let _ = write!(out, "{}{name}={}", if out.is_empty() { "" } else { "&" }, escaped(value));
    }
    out
}

/// Percent-encoded, as forms and queries want it.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}
