//! Everything that is not a model call: the catalogue, a key's own data, generations, probes.

mod activity;
pub mod analytics;
mod cache;
mod content;
mod credits;
pub mod explain;
mod fields;
mod generation;
mod generations;
mod google;
mod images;
mod key;
pub mod keys;
pub mod live;
mod models;
pub mod ollama;
pub mod sign_in;
mod system;
pub mod teams;

use crate::App;
use crate::body::Body;
use crate::flow::admit::Caller;
use crate::flow::read::Call;
use crate::flow::{bounds, refuse};
use crate::routes::To;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};
use slip_ir::{Dialect, Fault, FaultKind, Nano, Op};
use slip_wire::ops::Shape;
use slip_wire::peek::Named;
use std::sync::Arc;

pub use system::{preflight, root};
pub use teams::guardrail_name;

/// Answer a route that calls no model.
pub async fn answer(
    app: &Arc<App>,
    to: To,
    caller: &Caller,
    captured: &[String],
    request: &Request<Incoming>,
) -> Result<Response<Body>, Fault> {
    let query = Query::of(request.uri().query().unwrap_or_default());
    let world = app.world();
    match to {
        To::Models if google::asks(request.uri().path(), request.headers()) => google::list(&world, &query),
        To::Retrieve if google::asks(request.uri().path(), request.headers()) => google::one(&world, captured),
        To::Models => models::list(&world, &query, request.headers()),
        To::ModelsUser => {
            let bounds = caller.key().map(|key| bounds::of(app, key));
            let allow = bounds.as_ref().and_then(|bounds| bounds.allow.as_deref());
            // Its workspace's own keys open more than the house's do.
            models::of_key(&app.world_of(caller.key()), allow, &query, request.headers())
        }
        To::ServiceModels(op) => models::serving(&world, op, &query),
        To::ImageModels => Ok(images::models(&world)),
        To::ImageEndpoints => images::endpoints(&world, captured),
        To::ModelsCount => models::count(&world, &query),
        To::Model => models::one(&world, captured),
        To::Retrieve => models::retrieve(&world, captured),
        To::Endpoints => models::endpoints(&world, captured),
        To::ZeroRetention => models::zero_retention(&world),
        To::Providers => models::providers(&world),
        To::Generation => generation::generation(app, caller, &query).await,
        To::Generations => generations::generations(app, caller, &query).await,
        To::GenerationContent => content::content(app, caller, &query).await,
        To::AnalyticsMeta => Ok(analytics::meta()),
        To::KeyInfo => {
            learn(app, caller).await;
            key::key(app, caller)
        }
        To::Credits => {
            learn(app, caller).await;
            credits::credits(app, caller)
        }
        To::Activity => activity::activity(app, &query).await,
        To::Cache(what) => cache::answer(app, what, &query),
        To::Health => Ok(system::health()),
        To::Ready => Ok(system::ready(app, &world)),
        To::Metrics => Ok(system::metrics(app)),
        To::Version => Ok(system::version()),
        To::OllamaTags => Ok(ollama::tags(&world)),
        To::OllamaRunning => Ok(ollama::running()),
        To::OllamaVersion => Ok(ollama::version()),
        To::Generate(_)
        | To::Serve(..)
        | To::OllamaShow
        | To::Explain
        | To::Keys(_)
        | To::Team(_)
        | To::SignIn(_)
        | To::AnalyticsQuery => Err(Fault::house(FaultKind::Internal, "internal error")),
    }
}

/// What other gateways spent of the caller's key.
async fn learn(app: &App, caller: &Caller) {
    if let Some(key) = caller.key() {
        app.store.learn(&key.hash).await;
    }
}

/// The pairs of a query string, decoded. Bounded by the length of the URL.
pub struct Query(Vec<(String, String)>);

impl Query {
    fn of(raw: &str) -> Query {
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((unescape(name)?, unescape(value)?))
        };
        Query(raw.split('&').filter(|p| !p.is_empty()).filter_map(pair).collect())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
    }

    /// The same with this said instead.
    fn with(&self, name: &str, value: &str) -> Query {
        let others = self.0.iter().filter(|(n, _)| n != name).cloned();
        Query(others.chain([(name.to_owned(), value.to_owned())]).collect())
    }

    pub fn number(&self, name: &str) -> Result<Option<f64>, Fault> {
        self.get(name)
            .map(|text| {
                text.parse::<f64>().ok().filter(|n| n.is_finite()).ok_or_else(|| {
                    Fault::caller(FaultKind::BadRequest, format!("`{name}` must be a number: {}", shown(text))).at(name)
                })
            })
            .transpose()
    }

    /// A comma-separated list, lower case.
    pub fn list(&self, name: &str) -> Vec<String> {
        self.get(name).map_or(Vec::new(), |text| {
            text.split(',').map(|w| w.trim().to_lowercase()).filter(|w| !w.is_empty()).collect()
        })
    }
}

fn unescape(text: &str) -> Option<String> {
    if text.is_empty() { Some(String::new()) } else { crate::routes::decode(&text.replace('+', " ")) }
}

/// What of a caller's text may be shown back: printable, and not much of it.
pub fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(120).collect()
}

/// Now, in Unix milliseconds as the store counts them.
fn now() -> i64 {
    crate::clock::unix_ms_signed()
}

/// The store could not do it.
fn unavailable(why: &slip_store::Error) -> Fault {
    tracing::error!("the store refused: {why}");
    Fault::house(FaultKind::Busy, "the database cannot be used just now; nothing was changed; try again")
}

pub fn ok(value: &Value) -> Response<Body> {
    refuse::json(StatusCode::OK, value.to_string().into_bytes())
}

/// Dollars as a JSON number. A double holds every amount below nine million dollars to the nano.
pub fn usd(amount: Nano) -> Value {
    amount.to_usd_string().parse::<f64>().map_or(Value::Null, |n| json!(n))
}

/// `2026-11-21T10:00:00.000Z`
pub fn iso(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms)
        .map_or_else(|_| String::new(), |t| t.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

/// `gen-<unix seconds>-<20 letters and digits>`
pub fn generation_id() -> String {
    /// In the order in which they sort.
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let now = crate::clock::unix_ms();
    let ms = (now % 1000) as usize;
    let mut id = String::with_capacity(36);
    id.push_str("gen-");
    id.push_str(itoa::Buffer::new().format(now / 1000));
    id.push('-');
    // The first two tell the millisecond, so that ids sort by time: records then go to the end of the index, not all over it.
    id.extend([ms / 62, ms % 62].map(|n| DIGITS.get(n).map_or('0', |b| char::from(*b))));
    id.extend(std::iter::repeat_with(fastrand::alphanumeric).take(18));
    id
}

/// What is called by a route of a model: a chat or a service, with what the path says that others say in the body
/// (`gemini-2.5-pro:streamGenerateContent`, `sim/echo/converse-stream` → model and whether to stream).
pub fn call(to: To, captured: &[String]) -> Option<Result<Call, Fault>> {
    let of = |dialect, service| Some(Ok(Call { dialect, service, named: None, invoked: false }));
    match to {
        To::Generate(Dialect::Gemini) => Some(gemini(captured)),
        To::Generate(Dialect::Bedrock) => Some(bedrock(captured)),
        To::Generate(dialect) => of(dialect, None),
        To::Serve(op, shape, dialect) => of(dialect, Some((op, shape))),
        _ => None,
    }
}

fn bedrock(captured: &[String]) -> Result<Call, Fault> {
    let text = captured.join("/");
    let call = |model: &str, stream, service| {
        let named = Some(Named { model: model.to_owned(), stream });
        Ok(Call { dialect: Dialect::Bedrock, service, named, invoked: false })
    };
    let invoke = |model: &str, stream| call(model, stream, None).map(|call| Call { invoked: true, ..call });
    match text.rsplit_once('/') {
        Some((model, "invoke")) => invoke(model, false),
        Some((model, "invoke-with-response-stream")) => invoke(model, true),
        Some((model, "converse")) => call(model, false, None),
        Some((model, "converse-stream")) => call(model, true, None),
        Some((model, "count-tokens")) => call(model, false, Some((Op::CountTokens, Shape::Bedrock))),
        _ => Err(Fault::caller(
            FaultKind::NotFound,
            format!(
                "no such method: {} (`{{model}}/converse`, `/converse-stream`, `/invoke`, `/invoke-with-response-stream` and `/count-tokens` are answered)",
                shown(&text)
            ),
        )),
    }
}

fn gemini(captured: &[String]) -> Result<Call, Fault> {
    let text = captured.join("/");
    let call = |model: &str, stream, service| {
        let named = Some(Named { model: model.to_owned(), stream });
        Ok(Call { dialect: Dialect::Gemini, service, named, invoked: false })
    };
    let embed = Some((Op::Embeddings, Shape::Gemini));
    match text.rsplit_once(':') {
        Some((model, "generateContent")) => call(model, false, None),
        Some((model, "streamGenerateContent")) => call(model, true, None),
        Some((model, "embedContent" | "batchEmbedContents")) => call(model, false, embed),
        Some((model, "countTokens")) => call(model, false, Some((Op::CountTokens, Shape::Gemini))),
        _ => Err(Fault::caller(
            FaultKind::NotFound,
            format!(
                "no such method: {} (generateContent, streamGenerateContent, countTokens, embedContent and batchEmbedContents are answered)",
                shown(&text)
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_id_has_openrouters_shape() {
        let id = generation_id();
        let parts: Vec<&str> = id.split('-').collect();
        assert_eq!(parts.len(), 3);
        assert_eq!(parts[0], "gen");
        assert!(parts[1].parse::<u64>().is_ok_and(|s| s > 1_700_000_000));
        assert!(parts[2].len() == 20 && parts[2].bytes().all(|b| b.is_ascii_alphanumeric()));
    }

    #[test]
    fn dollars_are_exact_json_numbers() {
        assert_eq!(usd(Nano(214_000)).to_string(), "0.000214");
        assert_eq!(usd(Nano(1)).to_string(), "1e-9");
        assert_eq!(usd(Nano(0)).to_string(), "0.0");
        assert_eq!(usd(Nano(8_999_999_999_999_999)).to_string(), "8999999.999999998", "the edge of a double");
    }

    #[test]
    fn queries_are_decoded_and_bad_numbers_named() {
        let query = Query::of("q=a%2Fb+c&limit=5&bad=x&empty=&=");
        assert_eq!(query.get("q"), Some("a/b c"));
        assert_eq!(query.get("empty"), None);
        assert_eq!(query.number("limit"), Ok(Some(5.0)));
        assert_eq!(query.number("bad").map_err(|f| f.says.to_string()), Err("`bad` must be a number: x".to_owned()));
    }
}
