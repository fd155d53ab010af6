//! What the commands that ask a running gateway have in common: where it is, with which key, and what is said when it cannot be asked.

use crate::client::{Answer, Client};
use crate::exit::{Code, Ending};
use crate::serve::{default_data_dir, kept, kept_management};
use serde_json::Value;
use std::fmt::Display;
use std::io::Write;
use std::time::Duration;

const URL: &str = "http://127.0.0.1:8484";
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A gateway that can be asked.
pub struct Gateway {
    pub client: Client,
    url: String,
    kind: Kind,
}

/// Which key it takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Api,
    Management,
}

impl Kind {
    /// The variables that may hold it, the first of which is told.
    fn variables(self) -> &'static [&'static str] {
        match self {
            Kind::Api => &["SLIPSWITCH_API_KEY", "SLIPSWITCH_KEY"],
            Kind::Management => &["SLIPSWITCH_MANAGEMENT_KEY"],
        }
    }
}

pub fn failed(what: impl Display) -> Ending {
    Ending::new(Code::Failure, format!("error: {what}"))
}

pub fn usage(what: impl Display) -> Ending {
    Ending::new(Code::Usage, format!("error: {what}"))
}

/// Whoever reads our output may stop at any time.
pub fn printed(written: std::io::Result<()>) -> Result<(), Ending> {
    match written {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(failed(e)),
        _ => Ok(()),
    }
}

/// One value, on standard output.
pub fn print(value: &Value) -> Result<(), Ending> {
    printed(writeln!(std::io::stdout().lock(), "{value}"))
}

impl Gateway {
    /// What was said on the command line goes before the environment, and that before the key of the first start.
    pub fn find(url: Option<&str>, key: Option<&str>, kind: Kind) -> Result<Gateway, Ending> {
        let said = |name: &str| crate::env(name).filter(|value| !value.is_empty());
        let url = url.map(str::to_owned).or_else(|| said("SLIPSWITCH_URL")).unwrap_or_else(|| URL.to_owned());
        let dir = || default_data_dir(&crate::env);
        let here = || match kind {
            Kind::Api => kept(&dir()),
            Kind::Management => kept_management(&dir()),
        };
        let given = key.map(str::to_owned).or_else(|| kind.variables().iter().find_map(|name| said(name)));
        let Some(key) = given.or_else(|| here().map(|key| key.expose().to_owned())) else {
            let which = if kind == Kind::Management { "which management key" } else { "which key" };
            return Err(usage(format!("{which}? --key or {}", kind.variables()[0])));
        };
        let client = Client::new(&url, &key).map_err(failed)?;
        Ok(Gateway { client, url, kind })
    }

    pub fn of(asking: &crate::cli::manage::Asking) -> Result<Gateway, Ending> {
        Gateway::find(asking.url.as_deref(), asking.key.as_deref(), Kind::Management)
    }

    /// What it answered, or why that is no answer; `hint` is what else could be done where there is no gateway.
    pub fn understood(&self, answer: Result<Answer, String>, hint: &str) -> Result<Value, Ending> {
        let answer = answer.map_err(|says| {
            let says = format!(
                "error: the gateway at {} cannot be asked: {says}\nhint: slipswitch serve, or --url{hint}",
                self.url
            );
            Ending::new(Code::Unavailable, says)
        })?;
        match answer.status {
            200 | 201 => answer.json().map_err(failed),
            401 | 403 => {
                let hint = format!("--key or {}", self.kind.variables()[0]);
                Err(Ending::new(Code::Failure, format!("error: {}\nhint: {hint}", answer.says())))
            }
            404 => Err(Ending::new(Code::NotFound, format!("error: {}", answer.says()))),
            _ => Err(failed(answer.says())),
        }
    }

    pub async fn get(&self, path: &str) -> Result<Value, Ending> {
        self.understood(self.client.get(path, PATIENCE).await, "")
    }

    pub async fn send(&self, method: http::Method, path: &str, body: &Value) -> Result<Value, Ending> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.understood(self.client.send(method, path, body, PATIENCE).await, "")
    }
}

/// One value of a query.
pub fn escaped(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
