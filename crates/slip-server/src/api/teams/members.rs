//! `/organization/members`: the people. Listing them is OpenRouter's; making, changing and removing them, and their limits, is ours.

use super::fields::Fields;
use super::{Call, bad, created, deleted, missing};
use crate::api::{ok, usd};
use crate::body::Body;
use http::Response;
use serde_json::{Value, json};
use slip_ir::{Fault, FaultKind};
use slip_store::things::Kind;
use slip_store::{Edit, Filed, Member, Reset, Role, Snapshot, Whose, Workspace};
use std::sync::Arc;

const KNOWN: &[&str] =
    &["email", "first_name", "last_name", "role", "limit_usd", "reset_interval", "include_byok_in_budgets"];
const KNOWN_NEW: &[&str] =
    &["id", "email", "first_name", "last_name", "role", "limit_usd", "reset_interval", "include_byok_in_budgets"];
const ROLES: &[&str] = &[Role::Admin.name(), Role::Member.name()];
pub(super) const RESETS: &[&str] = &[Reset::Daily.name(), Reset::Weekly.name(), Reset::Monthly.name()];
const MAX_EMAIL: usize = 254;
const MAX_NAME: usize = 100;
const MAX_ID: usize = 64;
const MOST: usize = 100_000;

pub fn list(call: &Call<'_>) -> Result<Response<Body>, Fault> {
    call.page(&call.app.store.directory().now().members(), |member| told(member))
}

pub fn one(call: &Call<'_>) -> Result<Response<Body>, Fault> {
    let directory = call.app.store.directory().now();
    Ok(ok(&json!({ "data": told(find(&directory, call.name(0))?) })))
}

fn find<'a>(directory: &'a Snapshot, id: &str) -> Result<&'a Arc<Member>, Fault> {
    directory.member(id).ok_or_else(|| missing("member", id))
}

pub async fn make(call: &Call<'_>) -> Result<Response<Body>, Fault> {
    let fields = call.fields(KNOWN_NEW)?;
    let id = match fields.text("id", MAX_ID)? {
        Some(id) if !id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')) => {
            return Err(bad("id", "must be of letters, digits, `_` and `-`"));
        }
        Some(id) => id,
        None => format!("user_{}", std::iter::repeat_with(fastrand::alphanumeric).take(24).collect::<String>()),
    };
    let mut member = Member { filed: Filed::new(id, call.now_ms), ..Member::default() };
    apply(&fields, &mut member)?;
    fields.required("email", fields.has("email").then_some(()))?;
    let made = call.direct(move |directory| {
        if directory.members().len() >= MOST {
            return Err(Fault::caller(FaultKind::BadRequest, format!("there are {MOST} members already")));
        }
        if directory.member(&member.filed.id).is_some() {
            return Err(bad("id", format!("is taken by another member: {}", member.filed.id)));
        }
        free(directory, &member)?;
        Ok((vec![Edit::Member(member.clone())], member))
    });
    Ok(created(&json!({ "data": told(&made.await?) })))
}

pub async fn change(call: &Call<'_>) -> Result<Response<Body>, Fault> {
    let fields = call.fields(KNOWN)?;
    let (id, now_ms) = (call.name(0).to_owned(), call.now_ms);
    let changed = call.direct(move |directory| {
        let mut member = Member::clone(find(directory, &id)?);
        apply(&fields, &mut member)?;
        free(directory, &member)?;
        member.filed.updated_ms = Some(now_ms);
        Ok((vec![Edit::Member(member.clone())], member))
    });
    Ok(ok(&json!({ "data": told(&changed.await?) })))
}

/// Whoever has keys stays: they would be nobody's, and unlimited.
pub async fn remove(call: &Call<'_>) -> Result<Response<Body>, Fault> {
    let (id, keyring) = (call.name(0).to_owned(), call.app.store.keyring());
    let removed = call.direct(move |directory| {
        let member = find(directory, &id)?;
        let keys = keyring.all();
        if let Some(key) = keys.iter().find(|key| key.detail.member.as_ref() == Some(&member.filed.id)) {
            let says = format!("Members with active API keys cannot be removed: {} is theirs", key.label);
            return Err(Fault::caller(FaultKind::BadRequest, says));
        }
        let mut edits = Vec::new();
        if let Some(assignment) = directory.assignment(&Whose::Member(member.filed.id.clone())) {
            edits.push(Edit::Remove(Kind::Assignment, assignment.filed.id.clone()));
        }
        for workspace in directory.workspaces() {
            let mut workspace = Workspace::clone(&workspace);
            if workspace.members.remove(&member.filed.id).is_some() {
                edits.push(Edit::Workspace(workspace));
            }
        }
        edits.push(Edit::Remove(Kind::Member, member.filed.id.clone()));
        Ok((edits, ()))
    });
    removed.await?;
    Ok(deleted())
}

/// No other has this address.
fn free(directory: &Snapshot, member: &Member) -> Result<(), Fault> {
    let same =
        |other: &Arc<Member>| other.filed.id != member.filed.id && other.email.eq_ignore_ascii_case(&member.email);
    match directory.members().iter().find(|other| same(other)) {
        Some(other) => Err(bad("email", format!("is another member's: {}", other.filed.id))),
        None => Ok(()),
    }
}

fn apply(fields: &Fields, member: &mut Member) -> Result<(), Fault> {
    if let Some(email) = fields.text("email", MAX_EMAIL)? {
        let (name, host) = email.rsplit_once('@').unwrap_or_default();
        let odd = |c: char| c.is_whitespace() || c.is_control();
        if name.is_empty() || host.is_empty() || email.chars().any(odd) {
            return Err(bad("email", "must be an e-mail address"));
        }
        member.email = email;
    }
    for (name, place) in [("first_name", &mut member.first_name), ("last_name", &mut member.last_name)] {
        if let Some(text) = fields.maybe_text(name, MAX_NAME)? {
            *place = text;
        }
    }
    match fields.maybe_word("role", ROLES)? {
        Some(Some(role)) => member.role = Role::parse(role).unwrap_or_default(),
        Some(None) => return Err(bad("role", "must not be null")),
        None => {}
    }
    if let Some(limit) = fields.maybe_usd("limit_usd")? {
        member.limit = limit;
    }
    if let Some(reset) = fields.maybe_word("reset_interval", RESETS)? {
        member.limit_reset = reset.and_then(Reset::parse);
    }
    if let Some(flag) = fields.flag("include_byok_in_budgets")? {
        member.include_byok = flag;
    }
    Ok(())
}

fn told(member: &Member) -> Value {
    json!({
        "id": &*member.filed.id,
        "email": member.email,
        "first_name": member.first_name,
        "last_name": member.last_name,
        "role": member.role.name(),
        "limit_usd": member.limit.map(usd),
        "reset_interval": member.limit_reset.map(Reset::name),
        "include_byok_in_budgets": member.include_byok,
    })
}
