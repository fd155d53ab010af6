//! Signing an app in (OAuth 2.0's authorization code with PKCE, as OpenRouter's apps do it): a page asks a person, what was allowed
//! waits under a code, and the app exchanges the code for a key of its own.
//!
//! There are no sessions here, so the person shows who they are with a key, on that page, each time. The app's key lies in the
//! workspace of theirs. Where theirs is an API key it is the parent of the app's: see [`slip_store::KeyDetail::parent`].

mod asked;
mod callback;
mod page;
mod pkce;
mod tries;

use super::fields::{Fields, bad};
use super::keys::secret_told;
use super::{Query, iso, now, ok, shown, unavailable};
use crate::App;
use crate::body::Body;
use crate::flow::admit::{Caller, identify};
use crate::flow::{bounds, read};
use asked::{Asked, KNOWN};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{CONTENT_TYPE, COOKIE, HOST, LOCATION, ORIGIN, RETRY_AFTER, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use page::Typed;
use serde_json::json;
use slip_ir::{Fault, FaultKind, Nano};
use slip_store::workspaces::public_id;
use slip_store::{Key, KeyDetail, KeyKind, NewKey, Reset, SecretKey};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq;

use tries::Guess;

pub use tries::Tries;

/// How long a page may lie before it is answered.
const PAGE_MS: i64 = 60 * 60 * 1000;
/// No form of ours is longer, nor any body here.
const LONGEST: u64 = 64 * 1024;
/// Tells one browser from another, and nothing about it.
const COOKIE_NAME: &str = "slipswitch-auth";
const AGAIN: &str = "Go back to the app and begin again.";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignIn {
    /// The page.
    Ask,
    /// Its form.
    Consent,
    /// A code, by a program that holds a key.
    Code,
    Exchange,
}

pub async fn answer(
    app: Arc<App>,
    what: SignIn,
    caller: Caller,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Body>, Fault> {
    let (parts, body) = request.into_parts();
    match what {
        SignIn::Ask => Ok(ask(&app, parts.uri.query().unwrap_or_default(), &parts.headers)),
        SignIn::Consent => {
            let form = read::bytes(&parts.headers, body, LONGEST).await;
            Ok(match form {
                Ok(form) => consent(&app, &parts.headers, &form, peer.ip()).await.unwrap_or_else(|no| *no),
                Err(fault) => told(&fault, AGAIN),
            })
        }
        SignIn::Code => {
            let fields = Fields::of(&read::bytes(&parts.headers, body, LONGEST).await?, &KNOWN)?;
            code(&app, &caller, &fields).await
        }
        SignIn::Exchange => {
            let bytes = read::bytes(&parts.headers, body, LONGEST).await?;
            let fields = Fields::of(&bytes, &["code", "code_verifier", "code_challenge_method"])?;
            exchange(&app, &fields, peer.ip()).await
        }
    }
}

/// A fault as a page tells it.
fn told(fault: &Fault, next: &str) -> Response<Body> {
    let status = StatusCode::from_u16(fault.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    page::trouble(status, &fault.says, next)
}

fn ask(app: &App, query: &str, headers: &HeaderMap) -> Response<Body> {
    let asked = match Asked::of_query(&Query::of(query)) {
        Ok(asked) => asked,
        Err(fault) => {
            return told(
                &fault,
                "The app's request is not complete. Whoever made it can mend that: docs/oauth.md says how.",
            );
        }
    };
    // The one it has, so that two pages of one browser do not outdate each other.
    let (browser, new) = browser(headers).map_or_else(|| (random(), true), |browser| (browser.to_owned(), false));
    let token = token(app, &browser, query, now());
    let mut response = page::consent(StatusCode::OK, &asked, query, &token, &Typed::default(), None);
    if new {
        let secure = headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https");
        let secure = if secure { "; Secure" } else { "" };
        let cookie = format!("{COOKIE_NAME}={browser}; Path=/auth; HttpOnly; SameSite=Strict{secure}");
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            response.headers_mut().insert(SET_COOKIE, cookie);
        }
    }
    response
}

/// The form of the page: who, and how much. Every `Err` is a page as well.
async fn consent(
    app: &App,
    headers: &HeaderMap,
    form: &[u8],
    peer: IpAddr,
) -> Result<Response<Body>, Box<Response<Body>>> {
    let form_like = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).is_some_and(|v| {
        v.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
    });
    let form = std::str::from_utf8(form).ok().filter(|_| form_like).map(Query::of);
    let Some(form) = form else {
        return Err(Box::new(page::trouble(StatusCode::BAD_REQUEST, "This is not the form of the page.", AGAIN)));
    };
    let brought = form.get("asked").unwrap_or_default();
    if !is_ours(app, headers, brought, form.get("page").unwrap_or_default()) {
        let says = "This was not sent from this gateway's own page, or the page lay there for more than an hour, or the browser keeps no cookies.";
        return Err(Box::new(page::trouble(StatusCode::FORBIDDEN, says, AGAIN)));
    }
    let asked = Asked::of_query(&Query::of(brought)).map_err(|fault| Box::new(told(&fault, AGAIN)))?;
    let typed = Typed {
        limit: Some(form.get("limit").unwrap_or_default().trim().to_owned()),
        reset: Some(form.get("reset").unwrap_or_default().to_owned()),
    };
    let once_more = |fault: &Fault| {
        let status = StatusCode::from_u16(fault.kind.status()).unwrap_or(StatusCode::BAD_REQUEST);
        let mut response =
            page::consent(status, &asked, brought, form.get("page").unwrap_or_default(), &typed, Some(&fault.says));
        if let Some(after) = fault.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        Box::new(response)
    };
    let limit = limit(form.get("limit").unwrap_or_default()).map_err(|fault| once_more(&fault))?;
    let allowed = Asked { limit, reset: form.get("reset").and_then(Reset::parse), ..asked.clone() };
    let key = who(app, form.get("secret").unwrap_or_default().trim(), peer).map_err(|fault| once_more(&fault))?;
    let code = keep(app, &key, &allowed).await.map_err(|fault| once_more(&fault))?;
    let Some(callback) = &asked.callback else { return Ok(page::shown(&code)) };
    let mut response = Response::new(Body::empty());
    // By GET, whatever this was: the form must not go along.
    *response.status_mut() = StatusCode::SEE_OTHER;
    if let Ok(location) = HeaderValue::try_from(callback.with("code", &code)) {
        response.headers_mut().insert(LOCATION, location);
    }
    page::private(response.headers_mut());
    Ok(response)
}

/// A page of this gateway, in this browser, brought this, and not long ago.
fn is_ours(app: &App, headers: &HeaderMap, brought: &str, sent: &str) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let ours = match text("sec-fetch-site") {
        Some(site) => site == "same-origin",
        // A browser that does not say so itself. What a proxy made of the host is not known, so this is only asked where it must be.
        None => {
            let host = text(HOST.as_str()).unwrap_or_default();
            text(ORIGIN.as_str()).is_none_or(|origin| origin.split_once("://").is_some_and(|(_, from)| from == host))
        }
    };
    if !ours {
        return false;
    }
    let Some((browser, began)) = browser(headers).zip(sent.split_once('.').and_then(|(began, _)| began.parse().ok()))
    else {
        return false;
    };
    let fresh = (0..PAGE_MS).contains(&now().saturating_sub(began));
    let right = token(app, browser, brought, began);
    fresh && bool::from(right.as_bytes().ct_eq(sent.as_bytes()))
}

/// What a form carries to show whose page it was on.
fn token(app: &App, browser: &str, brought: &str, began: i64) -> String {
    format!("{began}.{}", app.store.seal(&["page", browser, brought, &began.to_string()]))
}

/// What this browser was told to call itself.
fn browser(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == COOKIE_NAME)?;
    (value.len() == 43 && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')).then_some(value)
}

/// 256 bits that nobody guesses.
fn random() -> String {
    let mut bits = [0; 32];
    getrandom::fill(&mut bits).expect("the operating system gives random bytes");
    URL_SAFE_NO_PAD.encode(bits)
}

/// As it was typed into the form.
fn limit(text: &str) -> Result<Option<Nano>, Fault> {
    let typed = text.trim().trim_start_matches('$').trim_start();
    if typed.is_empty() {
        return Ok(None);
    }
    let read = typed.parse::<serde_json::Number>().ok().and_then(|number| {
        let fields = Fields::of(json!({ "limit": number }).to_string().as_bytes(), &["limit"]).ok()?;
        fields.usd("limit").ok()?.value()
    });
    let says = || format!("the limit must be an amount in dollars such as 5 or 2.50, or empty: {}", shown(text));
    read.map(Some).ok_or_else(|| bad("limit", says()))
}

/// Whose key it is that was typed. Who guesses is slowed down.
fn who(app: &App, secret: &str, peer: IpAddr) -> Result<Arc<Key>, Fault> {
    may_try(app, Guess::Key, peer)?;
    let key = identify(app, secret, crate::clock::unix_ms()).inspect_err(|fault| {
        if fault.kind == FaultKind::Unauthorised {
            app.tries.was_wrong(Guess::Key, peer, now());
        }
    })?;
    bounds::of(app, &key).admits(peer)?;
    Ok(key)
}

fn may_try(app: &App, what: Guess, peer: IpAddr) -> Result<(), Fault> {
    app.tries.may(what, peer, now()).map_err(|seconds| {
        let says = format!("too many wrong tries from this address: try again in {seconds} s");
        let mut fault = Fault::caller(FaultKind::RateLimited, says);
        fault.retry_after = Some(Duration::from_secs(seconds));
        fault
    })
}

/// Keep what this key allows under a new code.
async fn keep(app: &App, key: &Key, asked: &Asked) -> Result<String, Fault> {
    let workspace = match &asked.workspace {
        None => key.workspace.clone(),
        Some(name) => {
            let directory = app.store.directory().now();
            let missing = || bad("workspace_id", format!("`workspace_id`: no workspace is called {}", shown(name)));
            directory.workspace(name).ok_or_else(missing)?.filed.id.clone()
        }
    };
    if key.detail.parent.is_some() {
        let says = "this key is an app's own: with it no other app can be signed in; use the key that signed it in";
        return Err(Fault::caller(FaultKind::Forbidden, says));
    }
    if key.kind == KeyKind::Api && workspace != key.workspace {
        let says = format!(
            "an API key signs apps in to its own workspace alone ({}): a management key may choose",
            public_id(&key.workspace)
        );
        return Err(Fault::caller(FaultKind::Forbidden, says));
    }
    let code = format!("auth_code_{}", random());
    match app.store.put_code(&code, asked.allowed(key, workspace), now()).await.map_err(|e| unavailable(&e))? {
        true => Ok(code),
        false => {
            let says = "too many apps have been allowed and have not fetched their keys yet: try again in ten minutes";
            let mut fault = Fault::caller(FaultKind::RateLimited, says);
            fault.retry_after = Some(Duration::from_secs(600));
            Err(fault)
        }
    }
}

async fn code(app: &App, caller: &Caller, fields: &Fields) -> Result<Response<Body>, Fault> {
    let asked = Asked::read(fields)?;
    let Some(callback) = &asked.callback else {
        return Err(bad("callback_url", "`callback_url` is needed: where the app is called back"));
    };
    let Some(key) = caller.key() else {
        return Err(Fault::caller(FaultKind::Unauthorised, "a code is made with a key: send one"));
    };
    let code = keep(app, key, &asked).await?;
    let mut response = ok(&json!({ "data": { "id": code, "app_id": callback.app_id(), "created_at": iso(now()) } }));
    page::private(response.headers_mut());
    Ok(response)
}

async fn exchange(app: &App, fields: &Fields, peer: IpAddr) -> Result<Response<Body>, Fault> {
    let code =
        fields.line("code")?.ok_or_else(|| bad("code", "`code` is needed: the one the browser came back with"))?;
    let said = fields.word("code_challenge_method", "S256, plain", pkce::method)?.value();
    let verifier = pkce::verifier(fields.line("code_verifier")?)?;
    may_try(app, Guess::Code, peer)?;
    let wrong = |says: &'static str| {
        app.tries.was_wrong(Guess::Code, peer, now());
        Fault::caller(FaultKind::Forbidden, says)
    };
    let taken = app.store.take_code(&code, now()).await.map_err(|e| unavailable(&e))?;
    let Some(allowed) = taken else {
        return Err(wrong(
            "this code is not known: it has been exchanged already, its ten minutes are over, or it was never given; begin again",
        ));
    };
    if !pkce::agrees(allowed.challenge.as_ref(), verifier.as_deref(), said.as_deref()) {
        return Err(wrong(
            "`code_verifier` is not what `code_challenge` was made of (by the method named when it began); the code is void: begin again",
        ));
    }
    let gone =
        || Fault::caller(FaultKind::Forbidden, "the key that allowed this is gone, disabled or expired; begin again");
    let by =
        app.store.keyring().by_hash(&allowed.by).filter(|by| !by.disabled && !by.expired(now())).ok_or_else(gone)?;
    let detail = KeyDetail {
        member: by.detail.member.clone(),
        priority: by.detail.priority.clone(),
        keep_content_days: by.detail.keep_content_days,
        parent: (by.kind == KeyKind::Api).then(|| by.hash.clone()),
        ..KeyDetail::default()
    };
    let new = NewKey {
        name: allowed.name,
        kind: KeyKind::Api,
        limit: allowed.limit,
        limit_reset: allowed.limit_reset,
        include_byok_in_limit: by.include_byok_in_limit,
        expires_ms: allowed.expires_ms,
        workspace: Some(allowed.workspace),
        detail,
    };
    let secret = SecretKey::mint();
    let key = app.store.create_key(&secret, new, now()).await.map_err(|e| unavailable(&e))?;
    Ok(secret_told(StatusCode::OK, &json!({ "key": secret.expose(), "user_id": key.detail.member })))
}
