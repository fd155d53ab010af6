//! Whom a guardrail holds for: keys, and members with all their keys. Each has one; a new one takes the place of the old.

use super::guardrails::find;
use super::joined::stranger;
use super::{Call, bad};
use crate::api::{iso, ok, shown};
use crate::body::Body;
use http::Response;
use serde_json::{Value, json};
use slip_ir::Fault;
use slip_store::things::Kind;
use slip_store::{Assignment, Edit, Key, Keyring, Snapshot, Whose, random_id};
use std::collections::HashMap;
use std::sync::Arc;

/// Ids in one call.
const MOST: usize = 256;
/// There is one organisation.
const ORGANISATION: &str = "org_default";

/// Of one guardrail or of all.
pub fn keys(call: &Call<'_>, of: Option<&str>) -> Result<Response<Body>, Fault> {
    let all: HashMap<Arc<str>, Arc<Key>> =
        call.app.store.keyring().all().into_iter().map(|key| (key.hash.clone(), key)).collect();
    // A key that is gone is held to nothing.
    let known = |assignment: &Arc<Assignment>| match &assignment.whose {
        Whose::Key(hash) => all.get(hash).cloned(),
        Whose::Member(_) => None,
    };
    let rows: Vec<_> = assigned(call, of)?.into_iter().filter_map(|a| Some((known(&a)?, a))).collect();
    call.page(&rows, |(key, assignment)| {
        with(told(assignment), json!({ "key_hash": &*key.hash, "key_label": key.label, "key_name": key.name }))
    })
}

pub fn members(call: &Call<'_>, of: Option<&str>) -> Result<Response<Body>, Fault> {
    let member = |assignment: Arc<Assignment>| match &assignment.whose {
        Whose::Member(id) => Some((id.clone(), assignment.clone())),
        Whose::Key(_) => None,
    };
    let rows: Vec<_> = assigned(call, of)?.into_iter().filter_map(member).collect();
    call.page(&rows, |(id, assignment)| {
        with(told(assignment), json!({ "user_id": &**id, "organization_id": ORGANISATION }))
    })
}

fn assigned(call: &Call<'_>, of: Option<&str>) -> Result<Vec<Arc<Assignment>>, Fault> {
    let directory = call.app.store.directory().now();
    let Some(id) = of else { return Ok(directory.assignments()) };
    let guardrail = find(&directory, id)?;
    Ok(directory.assignments().into_iter().filter(|a| a.guardrail == guardrail.filed.id).collect())
}

fn told(assignment: &Assignment) -> Value {
    json!({
        "id": assignment.id,
        "guardrail_id": &*assignment.guardrail,
        "assigned_by": null,
        "created_at": iso(assignment.filed.created_ms),
    })
}

fn with(mut row: Value, more: Value) -> Value {
    if let (Some(row), Value::Object(more)) = (row.as_object_mut(), more) {
        row.extend(more);
    }
    row
}

pub async fn assign_keys(call: &Call<'_>) -> Result<Response<Body>, Fault> {
    let keyring = call.app.store.keyring();
    assign(call, "key_hashes", move |_, hash| key(&keyring, hash)).await
}

pub async fn assign_members(call: &Call<'_>) -> Result<Response<Body>, Fault> {
    assign(call, "member_user_ids", |directory, id| {
        let member = directory.member(id).ok_or_else(|| stranger("member_user_ids", id))?;
        Ok(Whose::Member(member.filed.id.clone()))
    })
    .await
}

fn key(keyring: &Keyring, hash: &str) -> Result<Whose, Fault> {
    let key = keyring.by_hash(hash);
    let key = key.ok_or_else(|| bad("key_hashes", format!("names nothing: no such key: {}", shown(hash))))?;
    Ok(Whose::Key(key.hash.clone()))
}

async fn assign(
    call: &Call<'_>,
    field: &'static str,
    whose: impl Fn(&Snapshot, &str) -> Result<Whose, Fault> + Send + 'static,
) -> Result<Response<Body>, Fault> {
    let ids = call.fields(&[field])?.ids(field, MOST)?;
    let (name, now_ms) = (call.name(0).to_owned(), call.now_ms);
    let assigned = call.direct(move |directory| {
        let guardrail = find(directory, &name)?.filed.id.clone();
        let each = ids.iter().map(|id| {
            let whose = whose(directory, id)?;
            Ok(Edit::Assignment(Assignment::new(random_id(), guardrail.clone(), whose, now_ms)))
        });
        let edits: Vec<Edit> = each.collect::<Result<_, Fault>>()?;
        let count = edits.len();
        Ok((edits, count))
    });
    Ok(ok(&json!({ "assigned_count": assigned.await? })))
}

pub async fn unassign_keys(call: &Call<'_>) -> Result<Response<Body>, Fault> {
    unassign(call, "key_hashes", |id| Whose::Key(id.into())).await
}

pub async fn unassign_members(call: &Call<'_>) -> Result<Response<Body>, Fault> {
    unassign(call, "member_user_ids", |id| Whose::Member(id.into())).await
}

/// Of those that it holds for; of others nothing is taken.
async fn unassign(call: &Call<'_>, field: &'static str, whose: fn(&str) -> Whose) -> Result<Response<Body>, Fault> {
    let ids = call.fields(&[field])?.ids(field, MOST)?;
    let name = call.name(0).to_owned();
    let removed = call.direct(move |directory| {
        let guardrail = &find(directory, &name)?.filed.id;
        let held = ids.iter().filter_map(|id| directory.assignment(&whose(id)));
        let held = held.filter(|assignment| assignment.guardrail == *guardrail);
        let edits: Vec<Edit> = held.map(|a| Edit::Remove(Kind::Assignment, a.filed.id.clone())).collect();
        let count = edits.len();
        Ok((edits, count))
    });
    Ok(ok(&json!({ "unassigned_count": removed.await? })))
}
