//! `/byok`: the keys that workspaces have at providers. A secret comes in and never goes out again; what is shown of it is a label.

use super::fields::Fields;
use super::{Call, bad, created, deleted, missing};
use crate::api::{iso, ok, shown, unavailable};
use crate::body::Body;
use http::Response;
use serde_json::{Value, json};
use slip_ir::{Fault, FaultKind};
use slip_store::things::Kind;
use slip_store::{Edit, Error, Filed, Keyring, ProviderKey, Snapshot, provider_keys, random_id, workspaces};
use std::sync::Arc;
use zeroize::Zeroizing;

const KNOWN: &[&str] = &[
    "key",
    "name",
    "disabled",
    "is_fallback",
    "allowed_models",
    "allowed_api_key_hashes",
    "allowed_user_ids",
    // Ours: OpenRouter's order is changed on its pages only.
    "sort_order",
];
const KNOWN_NEW: &[&str] = &["provider", "workspace_id"];
const MAX_NAME: usize = 255;
const MAX_PROVIDER: usize = 64;
/// Characters of a secret: a header has to carry it.
const MAX_SECRET: usize = 8 * 1024;
/// Entries of a list.
const MAX_LIST: usize = 100;
/// Of one workspace, and of all.
const MOST_HERE: usize = 1000;
const MOST: usize = 100_000;
const MAX_ORDER: i64 = 1_000_000;

/// Of one workspace, the default one unless another is named; by provider, and then in the order in which they are tried.
pub fn list(call: &Call<'_>) -> Result<Response<Body>, Fault> {
    let directory = call.app.store.directory().now();
    let named = call.query.get("workspace_id").unwrap_or(workspaces::DEFAULT_WORKSPACE_ID);
    let workspace = super::workspaces::find(&directory, named)?.filed.id.clone();
    let provider = call.query.get("provider").map(|named| called(call, named));
    let wanted = |key: &&Arc<ProviderKey>| {
        key.workspace == workspace && provider.as_ref().is_none_or(|slug| *key.provider == **slug)
    };
    let mut keys: Vec<_> = directory.provider_keys().values().filter(wanted).collect();
    keys.sort_by(|a, b| (&a.provider, a.rank()).cmp(&(&b.provider, b.rank())));
    call.page(&keys, |key| told(key))
}

/// The slug a provider is kept under, whether or not it may be called just now.
fn called(call: &Call<'_>, named: &str) -> String {
    call.app.world().takes_own_keys(named).unwrap_or_else(|_| named.to_lowercase())
}

pub fn one(call: &Call<'_>) -> Result<Response<Body>, Fault> {
    let directory = call.app.store.directory().now();
    Ok(ok(&json!({ "data": told(find(&directory, call.name(0))?) })))
}

fn find<'a>(directory: &'a Snapshot, id: &str) -> Result<&'a Arc<ProviderKey>, Fault> {
    directory.provider_key(id).ok_or_else(|| missing("provider key", id))
}

pub async fn make(call: &Call<'_>) -> Result<Response<Body>, Fault> {
    let fields = call.fields(&[KNOWN, KNOWN_NEW].concat())?;
    let mut key = ProviderKey { filed: Filed::new(random_id(), call.now_ms), ..ProviderKey::default() };
    let provider = fields.required("provider", fields.text("provider", MAX_PROVIDER)?)?;
    let world = call.app.world();
    let slug =
        world.takes_own_keys(&provider).map_err(|why| bad("provider", format!("{why}: {}", shown(&provider))))?;
    key.provider = slug.as_str().into();
    let secret = fields.required("key", secret(call, &slug, &fields)?)?;
    let order = put(&call.app.store.keyring(), &fields, &mut key)?;
    let named = fields.text("workspace_id", MAX_NAME)?;
    let vault = call.app.store.vault_to_seal().await.map_err(|e| unsealable(&e))?;
    let made = call.direct(move |directory| {
        if let Some(name) = named {
            let workspace = directory.workspace(&name);
            let workspace = workspace.ok_or_else(|| bad("workspace_id", "names no workspace"))?;
            key.workspace = workspace.filed.id.clone();
        }
        let all = directory.provider_keys();
        let here: Vec<_> = all.values().filter(|other| other.workspace == key.workspace).collect();
        if all.len() >= MOST || here.len() >= MOST_HERE {
            return Err(Fault::caller(FaultKind::BadRequest, format!("there are {} already", here.len())));
        }
        let last = here.iter().filter(|other| other.provider == key.provider).map(|other| other.order).max();
        key.order = order.unwrap_or_else(|| last.map_or(0, |last| last.saturating_add(1)));
        key.sealed = vault.seal(&key.row(), &secret).map_err(|e| unsealable(&e))?;
        (key.label, key.keyed_ms) = (provider_keys::label(&secret), key.filed.created_ms);
        let shown = told(&key);
        Ok((vec![Edit::ProviderKey(key)], shown))
    });
    Ok(created(&json!({ "data": made.await? })))
}

pub async fn change(call: &Call<'_>) -> Result<Response<Body>, Fault> {
    let fields = call.fields(KNOWN)?;
    let (id, now_ms) = (call.name(0).to_owned(), call.now_ms);
    let slug = find(&call.app.store.directory().now(), &id)?.provider.clone();
    let secret = secret(call, &slug, &fields)?;
    let keyring = call.app.store.keyring();
    let vault = match &secret {
        Some(_) => Some(call.app.store.vault_to_seal().await.map_err(|e| unsealable(&e))?),
        None => None,
    };
    let changed = call.direct(move |directory| {
        let mut key = ProviderKey::clone(find(directory, &id)?);
        key.order = put(&keyring, &fields, &mut key)?.unwrap_or(key.order);
        if let (Some(secret), Some(vault)) = (&secret, &vault) {
            key.sealed = vault.seal(&key.row(), secret).map_err(|e| unsealable(&e))?;
            // Never the same twice: how the one before was doing says nothing of this one.
            (key.label, key.keyed_ms) = (provider_keys::label(secret), now_ms.max(key.keyed_ms + 1));
        }
        key.filed.updated_ms = Some(now_ms);
        let shown = told(&key);
        Ok((vec![Edit::ProviderKey(key)], shown))
    });
    Ok(ok(&json!({ "data": changed.await? })))
}

/// Secret and all.
pub async fn remove(call: &Call<'_>) -> Result<Response<Body>, Fault> {
    let id = call.name(0).to_owned();
    let removed = call.direct(move |directory| {
        let key = find(directory, &id)?;
        Ok((vec![Edit::Remove(Kind::ProviderKey, key.filed.id.clone())], ()))
    });
    removed.await?;
    Ok(deleted())
}

/// Where the master key is, is the operator's business; that it is wrong is not the caller's fault.
fn unsealable(why: &Error) -> Fault {
    if !matches!(why, Error::Master { .. } | Error::OtherMaster { .. }) {
        return unavailable(why);
    }
    tracing::error!("a provider key could not be sealed: {why}");
    let says = "this gateway's master key cannot seal it, and nothing was stored: its operator's log says why";
    Fault::house(FaultKind::Busy, says)
}

/// What is wrong with it is said without repeating any of it.
fn secret(call: &Call<'_>, slug: &str, fields: &Fields) -> Result<Option<Zeroizing<String>>, Fault> {
    let Some(secret) = fields.secret("key", MAX_SECRET)? else { return Ok(None) };
    call.app.world().own_key_fits(slug, &secret).map_err(|why| bad("key", why))?;
    Ok(Some(secret))
}

/// What was said, each member by itself; the place in the order, if it was said.
fn put(keyring: &Keyring, fields: &Fields, key: &mut ProviderKey) -> Result<Option<i64>, Fault> {
    if let Some(name) = fields.maybe_text("name", MAX_NAME)? {
        key.name = name;
    }
    for (name, place) in [("disabled", &mut key.disabled), ("is_fallback", &mut key.fallback)] {
        if let Some(flag) = fields.flag(name)? {
            *place = flag;
        }
    }
    for (name, place) in [
        ("allowed_models", &mut key.models),
        ("allowed_api_key_hashes", &mut key.keys),
        ("allowed_user_ids", &mut key.members),
    ] {
        let Some(list) = fields.maybe_names(name)? else { continue };
        if list.as_ref().is_some_and(|list| list.len() > MAX_LIST) {
            return Err(bad(name, format!("must have at most {MAX_LIST} entries")));
        }
        *place = list;
    }
    if fields.has("allowed_api_key_hashes")
        && let Some(stranger) = key.keys.iter().flatten().find(|hash| keyring.by_hash(hash).is_none())
    {
        return Err(bad("allowed_api_key_hashes", format!("names no key of this gateway: {}", shown(stranger))));
    }
    fields.whole("sort_order", 0..=MAX_ORDER)
}

fn told(key: &ProviderKey) -> Value {
    json!({
        "id": &*key.filed.id,
        "provider": &*key.provider,
        "workspace_id": workspaces::public_id(&key.workspace),
        "name": key.name,
        "label": key.label,
        "disabled": key.disabled,
        "is_fallback": key.fallback,
        "allowed_models": key.models,
        "allowed_api_key_hashes": key.keys,
        "allowed_user_ids": key.members,
        "sort_order": key.order,
        "created_at": iso(key.filed.created_ms),
    })
}
