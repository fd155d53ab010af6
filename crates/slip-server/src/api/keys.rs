//! `/keys`: making, reading, changing, rotating and deleting keys, as OpenRouter has them. What OpenRouter has no member for is ours:
//! `allowed_models`, `allowed_providers`, `allowed_addresses`, `requests_per_minute`, `tokens_per_minute`, `max_concurrent`,
//! `priority`, `store_content_days`, `cache`, `cache_ttl_seconds`, `cache_scope`, `is_management_key`, and rotating.

use super::fields::{Fields, bad};
use super::key::{joined, usage};
use super::{Query, iso, now, ok, shown, unavailable, usd};
use crate::App;
use crate::body::Body;
use crate::cache::LONGEST_TTL_S;
use crate::flow::admit::Caller;
use crate::flow::bounds::network;
use crate::flow::refuse;
use crate::routes::Keys;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};
use slip_ir::{Fault, FaultKind};
use slip_store::workspaces::public_id;
use slip_store::{DEFAULT_WORKSPACE, Key, KeyDetail, KeyKind, NewKey, Reset, ScopeId, SecretKey};
use std::sync::Arc;

/// Keys on one page of the list: OpenRouter's number.
const PAGE: usize = 100;
/// For how long a rotated key's old secret still opens it, if nothing is said; and at most.
const OVERLAP_S: u64 = 24 * 3600;
const LONGEST_OVERLAP_S: u64 = 30 * 24 * 3600;
pub(super) const RESETS: &str = "daily, weekly, monthly";
const CLASSES: &str = "interactive, batch, background";
const CACHES: &str = "on, off, never";
const SCOPES: &str = "key, workspace";

/// Members that may be said of a key at any time.
const EDITABLE: [&str; 15] = [
    "name",
    "limit",
    "limit_reset",
    "include_byok_in_limit",
    "allowed_models",
    "allowed_providers",
    "allowed_addresses",
    "requests_per_minute",
    "tokens_per_minute",
    "max_concurrent",
    "priority",
    "store_content_days",
    "cache",
    "cache_ttl_seconds",
    "cache_scope",
];

pub async fn answer(
    app: Arc<App>,
    what: Keys,
    caller: Caller,
    captured: Vec<String>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Fault> {
    let (parts, body) = request.into_parts();
    let hash = captured.into_iter().next().unwrap_or_default();
    let one = || app.store.keyring().by_hash(&hash).ok_or_else(|| missing(&hash));
    let known = |extra: &[&'static str]| [&EDITABLE[..], extra].concat();
    let read = async |known: &[&str]| Fields::read(&parts.headers, body, known).await;
    match what {
        Keys::List => list(&app, &Query::of(parts.uri.query().unwrap_or_default())),
        Keys::One => {
            app.store.learn(&one()?.hash).await;
            Ok(ok(&json!({ "data": shown_key(&app, one()?.as_ref()) })))
        }
        Keys::Create => {
            let extra = ["expires_at", "workspace_id", "creator_user_id", "is_management_key"];
            create(&app, &read(&known(&extra)).await?).await
        }
        Keys::Edit => {
            let fields = read(&known(&["disabled", "expires_at"])).await?;
            edit(&app, one()?, &fields).await
        }
        Keys::Delete => {
            // Who saws off the branch it sits on could not sit down again.
            if caller.key().is_some_and(|own| *own.hash == *hash) {
                return Err(Fault::caller(
                    FaultKind::BadRequest,
                    "a key cannot delete itself: use another management key",
                ));
            }
            match app.store.delete_key(&hash).await.map_err(|e| unavailable(&e))? {
                true => {
                    app.cache.forget_all_of(&hash);
                    Ok(ok(&json!({ "deleted": true })))
                }
                false => Err(missing(&hash)),
            }
        }
        Keys::Rotate => {
            let fields = read(&["overlap_seconds"]).await?;
            rotate(&app, &one()?, &fields).await
        }
    }
}

fn missing(hash: &str) -> Fault {
    Fault::caller(FaultKind::NotFound, format!("no key has this hash: {}", shown(hash)))
}

fn list(app: &App, query: &Query) -> Result<Response<Body>, Fault> {
    let offset = match query.get("offset") {
        None => 0,
        Some(text) => text.parse().map_err(|_| bad("offset", "`offset` must be a whole number"))?,
    };
    let disabled = match query.get("include_disabled") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(bad("include_disabled", "`include_disabled` must be true or false")),
    };
    let named = query.get("workspace_id").unwrap_or(DEFAULT_WORKSPACE);
    let workspace = app.store.directory().now().workspace(named).map(|workspace| workspace.filed.id.clone());
    let all = app.store.keyring().all();
    let some = all.iter().filter(|key| (disabled || !key.disabled) && Some(&key.workspace) == workspace.as_ref());
    let page: Vec<Value> = some.skip(offset).take(PAGE).map(|key| shown_key(app, key)).collect();
    Ok(ok(&json!({ "data": page })))
}

async fn create(app: &App, fields: &Fields) -> Result<Response<Body>, Fault> {
    let name = fields.text("name")?.value().ok_or_else(|| bad("name", "`name` is needed: what is the key for?"))?;
    let expires_ms = fields.moment("expires_at")?.value();
    in_future(expires_ms)?;
    let directory = app.store.directory().now();
    let workspace = match fields.text("workspace_id")?.value() {
        None => DEFAULT_WORKSPACE.into(),
        Some(name) => {
            let found = directory.workspace(&name);
            let missing = || bad("workspace_id", format!("`workspace_id`: no workspace is called {}", shown(&name)));
            found.ok_or_else(missing)?.filed.id.clone()
        }
    };
    let member = fields.text("creator_user_id")?.value();
    if let Some(id) = member.as_deref().filter(|id| directory.member(id).is_none()) {
        return Err(bad("creator_user_id", format!("`creator_user_id`: no member has this id: {}", shown(id))));
    }
    let kind = if fields.flag("is_management_key")? == Some(true) { KeyKind::Management } else { KeyKind::Api };
    let before = KeyDetail { member: member.map(Into::into), ..KeyDetail::default() };
    let limit_reset = fields.word("limit_reset", RESETS, Reset::parse)?.value();
    let new = NewKey {
        name,
        kind,
        limit: fields.usd("limit")?.value(),
        limit_reset,
        include_byok_in_limit: fields.flag("include_byok_in_limit")?.unwrap_or_default(),
        expires_ms,
        workspace: Some(workspace),
        detail: detail(fields, before)?,
    };
    let secret = SecretKey::mint();
    let key = app.store.create_key(&secret, new, now()).await.map_err(|e| unavailable(&e))?;
    let told = json!({ "data": shown_key(app, &key), "key": secret.expose() });
    Ok(secret_told(StatusCode::CREATED, &told))
}

async fn edit(app: &App, key: Arc<Key>, fields: &Fields) -> Result<Response<Body>, Fault> {
    let mut edited = Key::clone(&key);
    if let Some(name) = fields.text("name")?.value() {
        edited.name = name;
    }
    edited.disabled = fields.flag("disabled")?.unwrap_or(edited.disabled);
    edited.limit = fields.usd("limit")?.or(edited.limit);
    edited.limit_reset = fields.word("limit_reset", RESETS, Reset::parse)?.or(edited.limit_reset);
    edited.include_byok_in_limit = fields.flag("include_byok_in_limit")?.unwrap_or(edited.include_byok_in_limit);
    edited.expires_ms = fields.moment("expires_at")?.or(edited.expires_ms);
    edited.detail = detail(fields, edited.detail)?;
    if fields.is_empty() {
        return Ok(ok(&json!({ "data": shown_key(app, &key) })));
    }
    let edited = app.store.update_key(edited, now()).await.map_err(|e| unavailable(&e))?;
    let edited = edited.ok_or_else(|| missing(&key.hash))?;
    Ok(ok(&json!({ "data": shown_key(app, &edited) })))
}

async fn rotate(app: &App, key: &Arc<Key>, fields: &Fields) -> Result<Response<Body>, Fault> {
    let overlap = match fields.count("overlap_seconds", LONGEST_OVERLAP_S) {
        Ok(said) => said.value().unwrap_or(OVERLAP_S),
        // None at all is fine too: the old secret may be known to somebody who should not know it.
        Err(fault) => fields.is_zero("overlap_seconds").then_some(0).ok_or(fault)?,
    };
    let now = now();
    let until = now.saturating_add(i64::try_from(overlap).unwrap_or(i64::MAX).saturating_mul(1000));
    let secret = SecretKey::mint();
    let rotated = app.store.rotate_key(&key.hash, &secret, until, now).await.map_err(|e| unavailable(&e))?;
    let rotated = rotated.ok_or_else(|| missing(&key.hash))?;
    let told = json!({ "data": shown_key(app, &rotated), "key": secret.expose() });
    Ok(secret_told(StatusCode::OK, &told))
}

fn detail(fields: &Fields, before: KeyDetail) -> Result<KeyDetail, Fault> {
    let patterns = |name: &str, before: Vec<String>| Ok::<_, Fault>(fields.texts(name)?.unwrap_or(before));
    let count = |name: &str, most: u64, before: Option<u64>| Ok::<_, Fault>(fields.count(name, most)?.or(before));
    let small = |count: Option<u64>| count.map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    let among = |words: &'static str| move |text: &str| words.split(", ").find(|word| *word == text).map(str::to_owned);
    let addresses = patterns("allowed_addresses", before.addresses)?;
    if let Some(odd) = addresses.iter().find(|text| network(text).is_none()) {
        let says = format!("`allowed_addresses`: neither an address nor a network such as 10.0.0.0/8: {}", shown(odd));
        return Err(bad("allowed_addresses", says));
    }
    Ok(KeyDetail {
        models: patterns("allowed_models", before.models)?,
        providers: patterns("allowed_providers", before.providers)?,
        addresses,
        requests_per_minute: small(count(
            "requests_per_minute",
            u32::MAX.into(),
            before.requests_per_minute.map(Into::into),
        )?),
        tokens_per_minute: count("tokens_per_minute", u64::MAX >> 16, before.tokens_per_minute)?,
        concurrent: small(count("max_concurrent", u32::MAX.into(), before.concurrent.map(Into::into))?),
        priority: fields.word("priority", CLASSES, among(CLASSES))?.or(before.priority),
        keep_content_days: count("store_content_days", 365, before.keep_content_days.map(Into::into))?
            .and_then(|days| u16::try_from(days).ok()),
        cache: fields.word("cache", CACHES, among(CACHES))?.or(before.cache),
        cache_ttl: small(count("cache_ttl_seconds", LONGEST_TTL_S.into(), before.cache_ttl.map(Into::into))?),
        cache_scope: fields.word("cache_scope", SCOPES, among(SCOPES))?.or(before.cache_scope),
        member: before.member,
        before: before.before,
        parent: before.parent,
    })
}

pub(super) fn in_future(expires_ms: Option<i64>) -> Result<(), Fault> {
    match expires_ms {
        Some(at) if at <= now() => Err(bad("expires_at", "`expires_at` is in the past")),
        _ => Ok(()),
    }
}

/// A reply with a secret in it, which nobody on its way shall keep.
pub(super) fn secret_told(status: StatusCode, told: &Value) -> Response<Body> {
    let mut response = refuse::json(status, told.to_string().into_bytes());
    response.headers_mut().insert(http::header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    response
}

pub fn shown_key(app: &App, key: &Key) -> Value {
    let used = app.store.usage(&ScopeId::Key(key.hash.clone()), now());
    let detail = &key.detail;
    let data = json!({
        "hash": &*key.hash,
        "name": key.name,
        "label": key.label,
        "disabled": key.disabled,
        "limit": key.limit.map_or(Value::Null, usd),
        "limit_remaining": key.remaining(&used).map_or(Value::Null, usd),
        "limit_held": usd(app.store.held(&ScopeId::Key(key.hash.clone()))),
        "limit_reset": key.limit_reset.map(Reset::name),
        "include_byok_in_limit": key.include_byok_in_limit,
        "created_at": iso(key.created_ms),
        "updated_at": key.updated_ms.map(iso),
        "expires_at": key.expires_ms.map(iso),
        "creator_user_id": detail.member,
        "workspace_id": public_id(&key.workspace),
        "is_management_key": key.kind == KeyKind::Management,
        "allowed_models": detail.models,
        "allowed_providers": detail.providers,
        "allowed_addresses": detail.addresses,
        "requests_per_minute": detail.requests_per_minute,
        "tokens_per_minute": detail.tokens_per_minute,
        "max_concurrent": detail.concurrent,
        "priority": detail.priority,
        "store_content_days": detail.keep_content_days,
        "parent_hash": detail.parent,
        "cache": detail.cache,
        "cache_ttl_seconds": detail.cache_ttl,
        "cache_scope": detail.cache_scope,
        "old_secret_until": detail.before.as_ref().filter(|old| old.until_ms > now()).map(|old| iso(old.until_ms)),
    });
    joined(data, usage(&used))
}
