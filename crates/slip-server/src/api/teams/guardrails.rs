//! `/guardrails`: what keys are held to. The one that holds for all of a workspace is there as soon as somebody writes to it.

use super::fields::Fields;
use super::members::RESETS;
use super::{Call, bad, created, deleted, missing};
use crate::api::{iso, ok, usd};
use crate::body::Body;
use crate::flow::screen;
use http::Response;
use serde_json::{Value, json};
use slip_ir::{Fault, FaultKind};
use slip_store::guardrails::{Action, Builtin, Filter};
use slip_store::things::Kind;
use slip_store::{Edit, Filed, Guardrail, Reset, Snapshot, random_id, workspaces};
use std::sync::Arc;

const KNOWN: &[&str] = &[
    "name",
    "description",
    "allowed_models",
    "ignored_models",
    "allowed_providers",
    "ignored_providers",
    "enforce_zdr",
    "enforce_zdr_anthropic",
    "enforce_zdr_openai",
    "enforce_zdr_google",
    "enforce_zdr_xai",
    "enforce_zdr_other",
    "enable_paid_model_training",
    "enable_free_model_training",
    "enable_free_model_publication",
    "content_filters",
    "content_filter_builtins",
    "limit_usd",
    "reset_interval",
    "include_byok_in_budgets",
];
const MAX_NAME: usize = 200;
const MAX_DESCRIPTION: usize = 1000;
const MAX_LABEL: usize = 100;
/// Of one pattern, and how many filters one guardrail may have.
const MAX_PATTERN: usize = 1000;
const MAX_FILTERS: usize = 50;
const MOST: usize = 10_000;
const SCOPES: &[&str] = &["all_messages", "user_only"];

/// Of one workspace: the default one unless another is named.
pub fn list(call: &Call<'_>) -> Result<Response<Body>, Fault> {
    let directory = call.app.store.directory().now();
    let named = call.query.get("workspace_id").unwrap_or(workspaces::DEFAULT_WORKSPACE_ID);
    let workspace = super::workspaces::find(&directory, named)?;
    let all: Vec<Arc<Guardrail>> =
        directory.guardrails().into_iter().filter(|g| g.workspace == workspace.filed.id).collect();
    call.page(&all, |guardrail| told(&directory, guardrail))
}

pub fn one(call: &Call<'_>) -> Result<Response<Body>, Fault> {
    let directory = call.app.store.directory().now();
    Ok(ok(&json!({ "data": told(&directory, find(&directory, call.name(0))?) })))
}

pub(super) fn find<'a>(directory: &'a Snapshot, id: &str) -> Result<&'a Arc<Guardrail>, Fault> {
    directory.guardrail(id).ok_or_else(|| missing("guardrail", id))
}

pub async fn make(call: &Call<'_>) -> Result<Response<Body>, Fault> {
    let fields = call.fields(&[KNOWN, &["workspace_id"]].concat())?;
    let mut guardrail = Guardrail { filed: Filed::new(random_id(), call.now_ms), ..Guardrail::default() };
    apply(&fields, &mut guardrail)?;
    fields.required("name", fields.has("name").then_some(()))?;
    let named = fields.text("workspace_id", MAX_NAME)?;
    let made = call.direct(move |directory| {
        if directory.guardrails().len() >= MOST {
            return Err(Fault::caller(FaultKind::BadRequest, format!("there are {MOST} guardrails already")));
        }
        if let Some(name) = named {
            let workspace = directory.workspace(&name);
            let workspace = workspace.ok_or_else(|| bad("workspace_id", "names no workspace"))?;
            guardrail.workspace = workspace.filed.id.clone();
        }
        let shown = told(directory, &guardrail);
        Ok((vec![Edit::Guardrail(guardrail)], shown))
    });
    Ok(created(&json!({ "data": made.await? })))
}

pub async fn change(call: &Call<'_>) -> Result<Response<Body>, Fault> {
    let fields = call.fields(KNOWN)?;
    let (id, now_ms) = (call.name(0).to_owned(), call.now_ms);
    let changed = call.direct(move |directory| {
        let mut guardrail = match directory.guardrail(&id) {
            Some(guardrail) => Guardrail::clone(guardrail),
            None => unwritten(directory, &id, now_ms)?,
        };
        if guardrail.is_default() && fields.has("name") {
            return Err(bad("name", "of a workspace's default guardrail is its workspace's and cannot be changed"));
        }
        apply(&fields, &mut guardrail)?;
        guardrail.filed.updated_ms = Some(now_ms);
        let shown = told(directory, &guardrail);
        Ok((vec![Edit::Guardrail(guardrail)], shown))
    });
    Ok(ok(&json!({ "data": changed.await? })))
}

/// The default guardrail of the workspace it belongs to, if it is one's.
fn unwritten(directory: &Snapshot, id: &str, now_ms: i64) -> Result<Guardrail, Fault> {
    let workspaces = directory.workspaces();
    let whose = workspaces.iter().find(|workspace| workspace.default_guardrail_id() == id);
    let workspace = whose.ok_or_else(|| missing("guardrail", id))?.filed.id.clone();
    Ok(Guardrail { filed: Filed::new(id, now_ms), workspace, ..Guardrail::default() })
}

pub async fn remove(call: &Call<'_>) -> Result<Response<Body>, Fault> {
    let id = call.name(0).to_owned();
    let removed = call.direct(move |directory| {
        let guardrail = find(directory, &id)?.filed.id.clone();
        let assignments = directory.assignments().into_iter().filter(|a| a.guardrail == guardrail);
        let edits = assignments.map(|assignment| Edit::Remove(Kind::Assignment, assignment.filed.id.clone()));
        Ok((edits.chain([Edit::Remove(Kind::Guardrail, guardrail.clone())]).collect(), ()))
    });
    removed.await?;
    Ok(deleted())
}

fn apply(fields: &Fields, guardrail: &mut Guardrail) -> Result<(), Fault> {
    if let Some(name) = fields.text("name", MAX_NAME)? {
        guardrail.name = name;
    }
    if let Some(text) = fields.maybe_text("description", MAX_DESCRIPTION)? {
        guardrail.description = text;
    }
    for (name, place) in [
        ("allowed_models", &mut guardrail.allowed_models),
        ("ignored_models", &mut guardrail.ignored_models),
        ("allowed_providers", &mut guardrail.allowed_providers),
        ("ignored_providers", &mut guardrail.ignored_providers),
    ] {
        if let Some(names) = fields.maybe_names(name)? {
            *place = names;
        }
    }
    let all = fields.maybe_flag("enforce_zdr")?;
    let zdr = &mut guardrail.zdr;
    let mut each = false;
    for (name, place) in [
        ("enforce_zdr_anthropic", &mut zdr.anthropic),
        ("enforce_zdr_openai", &mut zdr.openai),
        ("enforce_zdr_google", &mut zdr.google),
        ("enforce_zdr_xai", &mut zdr.xai),
        ("enforce_zdr_other", &mut zdr.other),
    ] {
        let said = fields.maybe_flag(name)?;
        each |= said.is_some();
        // What is said of all holds where nothing finer is said.
        *place = said.or(all).unwrap_or(*place);
    }
    match all {
        Some(all) => zdr.all = all,
        None if each => zdr.all = None,
        None => {}
    }
    for (name, place) in [
        ("enable_paid_model_training", &mut guardrail.paid_training),
        ("enable_free_model_training", &mut guardrail.free_training),
        ("enable_free_model_publication", &mut guardrail.free_publication),
    ] {
        if let Some(flag) = fields.maybe_flag(name)? {
            *place = flag;
        }
    }
    if let Some(filters) = fields.maybe_list("content_filters", filter)? {
        guardrail.filters = few("content_filters", filters)?;
    }
    if let Some(builtins) = fields.maybe_list("content_filter_builtins", builtin)? {
        guardrail.builtins = few("content_filter_builtins", builtins)?;
    }
    if let Some(limit) = fields.maybe_usd("limit_usd")? {
        guardrail.limit = limit;
    }
    if let Some(reset) = fields.maybe_word("reset_interval", RESETS)? {
        guardrail.limit_reset = reset.and_then(Reset::parse);
    }
    if let Some(flag) = fields.flag("include_byok_in_budgets")? {
        guardrail.include_byok = flag;
    }
    Ok(())
}

fn few<T>(name: &str, list: Option<Vec<T>>) -> Result<Option<Vec<T>>, Fault> {
    match list {
        Some(list) if list.len() > MAX_FILTERS => {
            Err(bad(name, format!("must have at most {MAX_FILTERS} entries, not {}", list.len())))
        }
        list => Ok(list),
    }
}

fn filter(at: &str, value: &Value) -> Result<Filter, Fault> {
    let fields = Fields::of_entry(at, value, &["pattern", "action", "label"])?;
    let within = |fault: Fault| inside(at, fault);
    let pattern = fields.text("pattern", MAX_PATTERN).and_then(|p| fields.required("pattern", p)).map_err(within)?;
    screen::pattern(&pattern).map_err(|why| bad(&format!("{at}.pattern"), format!("invalid_regex_pattern: {why}")))?;
    let label = fields.maybe_text("label", MAX_LABEL).map_err(within)?.flatten();
    Ok(Filter { pattern, action: action(&fields).map_err(within)?, label })
}

fn builtin(at: &str, value: &Value) -> Result<Builtin, Fault> {
    let fields = Fields::of_entry(at, value, &["slug", "action", "label", "scan_scope"])?;
    let within = |fault: Fault| inside(at, fault);
    let slug = fields.maybe_word("slug", screen::BUILTINS).map_err(within)?.flatten();
    let slug = fields.required("slug", slug).map_err(within)?;
    if screen::UNKNOWABLE.contains(&slug) {
        let says = format!("{slug} is not implemented here: no pattern finds it reliably");
        return Err(bad(&format!("{at}.slug"), says));
    }
    let scope = fields.maybe_word("scan_scope", SCOPES).map_err(within)?.flatten();
    let action = action(&fields).map_err(within)?;
    Ok(Builtin { slug: slug.to_owned(), action, user_only: scope.map(|scope| scope == "user_only") })
}

fn action(fields: &Fields) -> Result<Action, Fault> {
    let all = Action::ALL.map(Action::name);
    let said = fields.required("action", fields.maybe_word("action", &all)?.flatten())?;
    fields.required("action", Action::ALL.into_iter().find(|action| action.name() == said))
}

/// What is wrong with a member of an entry, told with where that stands.
fn inside(at: &str, fault: Fault) -> Fault {
    let Some(param) = &fault.param else { return fault };
    let place = format!("{at}.{param}");
    let says = fault.says.replacen(&format!("`{param}`"), &format!("`{place}`"), 1);
    Fault::caller(FaultKind::BadRequest, says).at(place)
}

/// The name of a default guardrail is its workspace's.
pub fn name(directory: &Snapshot, guardrail: &Guardrail) -> String {
    let workspace = directory.workspace(&guardrail.workspace).filter(|_| guardrail.is_default());
    workspace.map_or_else(|| guardrail.name.clone(), |workspace| format!("{} (workspace default)", workspace.name))
}

fn told(directory: &Snapshot, guardrail: &Guardrail) -> Value {
    let zdr = guardrail.zdr;
    let filters = guardrail.filters.as_ref().map(|filters| {
        let one = |f: &Filter| json!({ "pattern": f.pattern, "action": f.action.name(), "label": f.label });
        filters.iter().map(one).collect::<Vec<_>>()
    });
    let builtins = guardrail.builtins.as_ref().map(|builtins| builtins.iter().map(told_builtin).collect::<Vec<_>>());
    json!({
        "id": &*guardrail.filed.id,
        "name": name(directory, guardrail),
        "description": guardrail.description,
        "workspace_id": workspaces::public_id(&guardrail.workspace),
        "allowed_models": guardrail.allowed_models,
        "ignored_models": guardrail.ignored_models,
        "allowed_providers": guardrail.allowed_providers,
        "ignored_providers": guardrail.ignored_providers,
        "enforce_zdr": zdr.all,
        "enforce_zdr_anthropic": zdr.anthropic,
        "enforce_zdr_openai": zdr.openai,
        "enforce_zdr_google": zdr.google,
        "enforce_zdr_xai": zdr.xai,
        "enforce_zdr_other": zdr.other,
        "enable_paid_model_training": guardrail.paid_training,
        "enable_free_model_training": guardrail.free_training,
        "enable_free_model_publication": guardrail.free_publication,
        "content_filters": filters,
        "content_filter_builtins": builtins,
        "limit_usd": guardrail.limit.map(usd),
        "reset_interval": guardrail.limit_reset.map(Reset::name),
        "include_byok_in_budgets": guardrail.include_byok,
        "created_at": iso(guardrail.filed.created_ms),
        "updated_at": guardrail.filed.updated_ms.map(iso),
    })
}

fn told_builtin(builtin: &Builtin) -> Value {
    let mut told = json!({
        "slug": builtin.slug,
        "action": builtin.action.name(),
        "label": screen::placeholder(&builtin.slug),
    });
    if let Some(user_only) = builtin.user_only {
        told["scan_scope"] = json!(if user_only { "user_only" } else { "all_messages" });
    }
    told
}
