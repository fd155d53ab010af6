//! What an app asks for: the same whether a browser brings it in a URL or a program in a body.

use super::callback::Callback;
use super::pkce;
use crate::api::Query;
use crate::api::fields::{Fields, bad};
use crate::api::keys::{RESETS, in_future};
use serde_json::{Map, Value};
use slip_ir::{Fault, Nano};
use slip_store::{AuthCode, Challenge, Key, Reset};

/// Characters of a key's name that an app chooses: OpenRouter's number.
const LABEL: usize = 100;

/// What is read. `spawn_…` are OpenRouter's own, and mean nothing here.
pub const KNOWN: [&str; 10] = [
    "callback_url",
    "code_challenge",
    "code_challenge_method",
    "key_label",
    "limit",
    "usage_limit_type",
    "expires_at",
    "workspace_id",
    "spawn_agent",
    "spawn_cloud",
];

#[derive(Clone, Debug)]
pub struct Asked {
    /// `None`: the code is shown, for somebody to type it where there is no browser.
    pub callback: Option<Callback>,
    pub challenge: Option<Challenge>,
    pub label: Option<String>,
    pub limit: Option<Nano>,
    pub reset: Option<Reset>,
    pub expires_ms: Option<i64>,
    pub workspace: Option<String>,
}

impl Asked {
    /// As a URL says it. What is not known may be an app's own, and is passed over.
    pub fn of_query(query: &Query) -> Result<Asked, Fault> {
        let mut object = Map::new();
        for name in KNOWN {
            let Some(text) = query.get(name) else { continue };
            let value = match name {
                "limit" => text.parse().map(Value::Number).unwrap_or_else(|_| text.into()),
                _ => text.into(),
            };
            object.insert(name.to_owned(), value);
        }
        let asked = Asked::read(&Fields::of(Value::Object(object).to_string().as_bytes(), &KNOWN)?)?;
        if asked.callback.is_none() && asked.challenge.is_none() {
            let says = "`callback_url` is needed: where to send the browser with the code (or `code_challenge` alone, and the code is shown)";
            return Err(bad("callback_url", says));
        }
        Ok(asked)
    }

    pub fn read(fields: &Fields) -> Result<Asked, Fault> {
        let callback = match fields.line("callback_url")? {
            Some(text) => Some(Callback::read(&text).map_err(|says| bad("callback_url", says))?),
            None => None,
        };
        let method = fields.word("code_challenge_method", "S256, plain", pkce::method)?.value();
        let challenge = pkce::challenge(fields.line("code_challenge")?, method)?;
        let label = fields.text("key_label")?.value();
        if label.as_ref().is_some_and(|label| label.chars().count() > LABEL) {
            return Err(bad("key_label", format!("`key_label` must be at most {LABEL} characters")));
        }
        let expires_ms = fields.moment("expires_at")?.value();
        in_future(expires_ms)?;
        Ok(Asked {
            callback,
            challenge,
            label,
            limit: fields.usd("limit")?.value(),
            reset: fields.word("usage_limit_type", RESETS, Reset::parse)?.value(),
            expires_ms,
            workspace: fields.text("workspace_id")?.value(),
        })
    }

    /// What the app's key is called.
    pub fn name(&self) -> &str {
        match (&self.label, &self.callback) {
            (Some(label), _) => label,
            (None, Some(callback)) => callback.host(),
            (None, None) => "an app",
        }
    }

    /// What is kept until the code is exchanged.
    pub fn allowed(&self, by: &Key, workspace: std::sync::Arc<str>) -> AuthCode {
        AuthCode {
            by: by.hash.clone(),
            name: self.name().to_owned(),
            limit: self.limit,
            limit_reset: self.reset.filter(|_| self.limit.is_some()),
            expires_ms: self.expires_ms,
            workspace,
            challenge: self.challenge.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_url_says_is_read_and_what_is_wrong_is_named() {
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        let rows = [
            (
                "callback_url=https%3A%2F%2Fa.example%2F&limit=2.5&usage_limit_type=monthly&utm=x".to_owned(),
                Ok("a.example"),
            ),
            (format!("code_challenge={challenge}&code_challenge_method=S256&key_label=My+tool"), Ok("My tool")),
            (format!("code_challenge={challenge}"), Ok("an app")),
            (String::new(), Err("callback_url")),
            ("callback_url=ftp://a".into(), Err("callback_url")),
            ("callback_url=https://a.example&limit=much".into(), Err("limit")),
            ("callback_url=https://a.example&limit=-1".into(), Err("limit")),
            ("callback_url=https://a.example&usage_limit_type=yearly".into(), Err("usage_limit_type")),
            ("callback_url=https://a.example&code_challenge=abc".into(), Err("code_challenge")),
            ("callback_url=https://a.example&code_challenge_method=S256".into(), Err("code_challenge")),
            ("callback_url=https://a.example&code_challenge_method=md5".into(), Err("code_challenge_method")),
            ("callback_url=https://a.example&expires_at=2020-01-01T00:00:00Z".into(), Err("expires_at")),
            ("callback_url=https://a.example&expires_at=soon".into(), Err("expires_at")),
            (format!("callback_url=https://a.example&key_label={}", "x".repeat(101)), Err("key_label")),
            ("callback_url=https://a.example&key_label=a%0Ab".into(), Err("key_label")),
        ];
        for (query, want) in rows {
            let asked = Asked::of_query(&Query::of(&query));
            let got = asked.as_ref().map(Asked::name).map_err(|fault| fault.param.as_deref().unwrap_or(""));
            assert_eq!(got, want, "{query}");
        }
    }
}
