//! `/workspaces`: made, told, changed and removed.

use super::fields::Fields;
use super::{Call, bad, created, deleted, missing};
use crate::api::{iso, ok};
use crate::body::Body;
use http::Response;
use serde_json::{Value, json};
use slip_ir::{Fault, FaultKind};
use slip_store::things::Kind;
use slip_store::workspaces::Rate;
use slip_store::{Assignment, Edit, Filed, Guardrail, Snapshot, Workspace, is_id, random_id};
use std::sync::Arc;

const KNOWN: &[&str] = &[
    "name",
    "slug",
    "description",
    "default_text_model",
    "default_image_model",
    "default_provider_sort",
    "is_observability_io_logging_enabled",
    "io_logging_sampling_rate",
    "io_logging_api_key_ids",
    "is_observability_broadcast_enabled",
    "is_data_discount_logging_enabled",
    // Ours.
    "requests_per_minute",
    "tokens_per_minute",
    "max_concurrent",
];
const SORTS: &[&str] = &["price", "throughput", "latency", "exacto"];
const MAX_NAME: usize = 100;
const MAX_SLUG: usize = 50;
const MAX_DESCRIPTION: usize = 500;
const MAX_MODEL: usize = 256;
/// A workspace is a team or a product.
const MOST: usize = 10_000;

pub fn list(call: &Call<'_>) -> Result<Response<Body>, Fault> {
    call.page(&call.app.store.directory().now().workspaces(), |workspace| told(workspace))
}

pub fn one(call: &Call<'_>) -> Result<Response<Body>, Fault> {
    let directory = call.app.store.directory().now();
    Ok(ok(&json!({ "data": told(find(&directory, call.name(0))?) })))
}

pub(super) fn find<'a>(directory: &'a Snapshot, name: &str) -> Result<&'a Arc<Workspace>, Fault> {
    directory.workspace(name).ok_or_else(|| missing("workspace", name))
}

pub async fn make(call: &Call<'_>) -> Result<Response<Body>, Fault> {
    let fields = call.fields(KNOWN)?;
    let mut workspace = Workspace { filed: Filed::new(random_id(), call.now_ms), ..Workspace::default() };
    apply(&fields, &mut workspace)?;
    fields.required("name", fields.has("name").then_some(()))?;
    fields.required("slug", fields.has("slug").then_some(()))?;
    let made = call.direct(move |directory| {
        if directory.workspaces().len() >= MOST {
            return Err(Fault::caller(FaultKind::BadRequest, format!("there are {MOST} workspaces already")));
        }
        free(directory, &workspace)?;
        Ok((vec![Edit::Workspace(workspace.clone())], workspace))
    });
    Ok(created(&json!({ "data": told(&made.await?) })))
}

pub async fn change(call: &Call<'_>) -> Result<Response<Body>, Fault> {
    let fields = call.fields(KNOWN)?;
    let (name, now_ms) = (call.name(0).to_owned(), call.now_ms);
    let changed = call.direct(move |directory| {
        let mut workspace = Workspace::clone(find(directory, &name)?);
        apply(&fields, &mut workspace)?;
        free(directory, &workspace)?;
        workspace.filed.updated_ms = Some(now_ms);
        Ok((vec![Edit::Workspace(workspace.clone())], workspace))
    });
    Ok(ok(&json!({ "data": told(&changed.await?) })))
}

/// With it go its budgets and its guardrails.
pub async fn remove(call: &Call<'_>) -> Result<Response<Body>, Fault> {
    let (name, keyring) = (call.name(0).to_owned(), call.app.store.keyring());
    let removed = call.direct(move |directory| {
        let workspace = match find(directory, &name) {
            Ok(workspace) => workspace,
            // It may be gone since the last time this was asked for; a slug is as likely mistyped.
            Err(_) if is_id(&name) => return Ok((Vec::new(), ())),
            Err(missing) => return Err(missing),
        };
        if workspace.is_default() {
            return Err(Fault::caller(FaultKind::Forbidden, "the default workspace cannot be deleted"));
        }
        let keys = keyring.all().iter().filter(|key| key.workspace == workspace.filed.id).count();
        if keys > 0 {
            let says = format!("Workspaces with active API keys cannot be deleted: remove its keys first ({keys})");
            return Err(Fault::caller(FaultKind::BadRequest, says));
        }
        let guardrails: Vec<Arc<Guardrail>> =
            directory.guardrails().into_iter().filter(|g| g.workspace == workspace.filed.id).collect();
        let falls = |assignment: &Arc<Assignment>| guardrails.iter().any(|g| g.filed.id == assignment.guardrail);
        let assignments = directory.assignments().into_iter().filter(falls);
        let edits = assignments.map(|assignment| Edit::Remove(Kind::Assignment, assignment.filed.id.clone()));
        let edits = edits.chain(guardrails.iter().map(|g| Edit::Remove(Kind::Guardrail, g.filed.id.clone())));
        let owned = directory.provider_keys().values().filter(|key| key.workspace == workspace.filed.id);
        let edits = edits.chain(owned.map(|key| Edit::Remove(Kind::ProviderKey, key.filed.id.clone())));
        let itself = Edit::Remove(Kind::Workspace, workspace.filed.id.clone());
        Ok((edits.chain([itself]).collect(), ()))
    });
    removed.await?;
    Ok(deleted())
}

/// No other has its slug.
fn free(directory: &Snapshot, workspace: &Workspace) -> Result<(), Fault> {
    let taken = |other: &Arc<Workspace>| other.filed.id != workspace.filed.id;
    match directory.workspace(&workspace.slug).filter(|other| taken(other)) {
        Some(_) => Err(bad("slug", format!("is taken by another workspace: {}", workspace.slug))),
        None => Ok(()),
    }
}

/// What was said, each member by itself.
fn apply(fields: &Fields, workspace: &mut Workspace) -> Result<(), Fault> {
    if let Some(name) = fields.text("name", MAX_NAME)? {
        workspace.name = name;
    }
    if let Some(slug) = fields.text("slug", MAX_SLUG)? {
        if !is_slug(&slug) {
            return Err(bad("slug", "must be lower-case letters and digits, in groups joined by single hyphens"));
        }
        if is_id(&slug) {
            return Err(bad("slug", "must not look like an id"));
        }
        if workspace.is_default() && slug != workspace.slug {
            return Err(bad("slug", "of the default workspace cannot be changed"));
        }
        workspace.slug = slug;
    }
    for (name, most, place) in [
        ("description", MAX_DESCRIPTION, &mut workspace.description),
        ("default_text_model", MAX_MODEL, &mut workspace.default_text_model),
        ("default_image_model", MAX_MODEL, &mut workspace.default_image_model),
    ] {
        if let Some(text) = fields.maybe_text(name, most)? {
            *place = text.filter(|text| !text.is_empty());
        }
    }
    if let Some(sort) = fields.maybe_word("default_provider_sort", SORTS)? {
        workspace.default_provider_sort = sort.map(str::to_owned);
    }
    for (name, place) in [
        ("is_observability_io_logging_enabled", &mut workspace.logs_io),
        ("is_observability_broadcast_enabled", &mut workspace.broadcasts),
        ("is_data_discount_logging_enabled", &mut workspace.discounts_data),
    ] {
        if let Some(flag) = fields.flag(name)? {
            *place = flag;
        }
    }
    if let Some(rate) = fields.share("io_logging_sampling_rate", 0.0001)? {
        workspace.io_sampling_rate = Rate(rate);
    }
    if let Some(keys) = fields.maybe_numbers("io_logging_api_key_ids")? {
        workspace.io_keys = keys;
    }
    let small = |count: Option<i64>| count.and_then(|count| u32::try_from(count).ok());
    if let Some(most) = fields.maybe_whole("requests_per_minute", 1..=u32::MAX.into())? {
        workspace.requests_per_minute = small(most);
    }
    if let Some(most) = fields.maybe_whole("tokens_per_minute", 1..=i64::MAX >> 16)? {
        workspace.tokens_per_minute = most.map(i64::unsigned_abs);
    }
    if let Some(most) = fields.maybe_whole("max_concurrent", 1..=u32::MAX.into())? {
        workspace.concurrent = small(most);
    }
    Ok(())
}

fn is_slug(text: &str) -> bool {
    let group = |g: &str| !g.is_empty() && g.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    text.split('-').all(group)
}

fn told(workspace: &Workspace) -> Value {
    let mut told = json!({
        "id": workspace.public_id(),
        "name": workspace.name,
        "slug": workspace.slug,
        "description": workspace.description,
        "default_text_model": workspace.default_text_model,
        "default_image_model": workspace.default_image_model,
        "default_provider_sort": workspace.default_provider_sort,
        "default_guardrail_id": workspace.default_guardrail_id(),
        "is_observability_io_logging_enabled": workspace.logs_io,
        "io_logging_sampling_rate": workspace.io_sampling_rate.0,
        "io_logging_api_key_ids": workspace.io_keys,
        "is_observability_broadcast_enabled": workspace.broadcasts,
        "is_data_discount_logging_enabled": workspace.discounts_data,
        "include_byok_in_budgets": workspace.include_byok,
        "created_at": iso(workspace.filed.created_ms),
        "created_by": null,
        "updated_at": workspace.filed.updated_ms.map(iso),
    });
    // Beyond OpenRouter's, where they say something: a client that knows its API exactly shall not stumble over them.
    for (name, most) in [
        ("requests_per_minute", workspace.requests_per_minute.map(u64::from)),
        ("tokens_per_minute", workspace.tokens_per_minute),
        ("max_concurrent", workspace.concurrent.map(u64::from)),
    ] {
        if let Some(most) = most {
            told[name] = most.into();
        }
    }
    told
}
