//! `/workspaces/{id}/members`: who belongs to a workspace. To the default one everybody does.

use super::workspaces::find;
use super::{Call, bad};
use crate::api::{iso, ok, shown};
use crate::body::Body;
use http::Response;
use serde_json::{Value, json};
use slip_ir::{Fault, FaultKind};
use slip_store::{Edit, Joined, Member, Snapshot, Workspace, derived_id, random_id};
use std::sync::Arc;

const KNOWN: &[&str] = &["user_ids"];
/// Ids in one call.
const MOST: usize = 100;

pub fn list(call: &Call<'_>) -> Result<Response<Body>, Fault> {
    let directory = call.app.store.directory().now();
    let workspace = find(&directory, call.name(0))?;
    let all = all(&directory, workspace);
    call.page(&all, |(member, joined)| told(workspace, member, joined))
}

/// Those who joined first, first.
fn all(directory: &Snapshot, workspace: &Workspace) -> Vec<(Arc<Member>, Joined)> {
    let mut all: Vec<(Arc<Member>, Joined)> = if workspace.is_default() {
        let implied = |member: &Member| Joined {
            id: derived_id(&["membership", workspace.public_id(), &member.filed.id]),
            created_ms: member.filed.created_ms,
        };
        directory.members().into_iter().map(|member| (member.clone(), implied(&member))).collect()
    } else {
        let known = |(id, joined): (&Arc<str>, &Joined)| Some((directory.member(id)?.clone(), joined.clone()));
        workspace.members.iter().filter_map(known).collect()
    };
    all.sort_by_key(|(_, joined)| joined.created_ms);
    all
}

pub async fn join(call: &Call<'_>) -> Result<Response<Body>, Fault> {
    let ids = call.fields(KNOWN)?.ids("user_ids", MOST)?;
    let (name, now_ms) = (call.name(0).to_owned(), call.now_ms);
    let joined = call.direct(move |directory| {
        let mut workspace = Workspace::clone(find(directory, &name)?);
        let mut joined = Vec::with_capacity(ids.len());
        for id in &ids {
            let member = directory.member(id).ok_or_else(|| stranger("user_ids", id))?;
            if workspace.is_default() {
                continue;
            }
            let new = || Joined { id: random_id(), created_ms: now_ms };
            let entry = workspace.members.entry(member.filed.id.clone()).or_insert_with(new).clone();
            joined.push((member.clone(), entry));
        }
        let data: Vec<Value> = joined.iter().map(|(member, entry)| told(&workspace, member, entry)).collect();
        let edits = if data.is_empty() { Vec::new() } else { vec![Edit::Workspace(workspace)] };
        Ok((edits, data))
    });
    let data = joined.await?;
    Ok(ok(&json!({ "added_count": data.len(), "data": data })))
}

/// Whoever has keys in it stays.
pub async fn leave(call: &Call<'_>) -> Result<Response<Body>, Fault> {
    let ids = call.fields(KNOWN)?.ids("user_ids", MOST)?;
    let (name, keyring) = (call.name(0).to_owned(), call.app.store.keyring());
    let removed = call.direct(move |directory| {
        let mut workspace = Workspace::clone(find(directory, &name)?);
        if workspace.is_default() {
            let says =
                "Invalid request parameters: everybody belongs to the default workspace, and nobody can be removed";
            return Err(Fault::caller(FaultKind::BadRequest, says));
        }
        let keys = keyring.all();
        let mut count = 0;
        for id in &ids {
            let has = |key: &&Arc<slip_store::Key>| {
                key.workspace == workspace.filed.id && key.detail.member.as_deref() == Some(id.as_str())
            };
            let here = workspace.members.contains_key(id.as_str());
            if here && let Some(key) = keys.iter().find(has) {
                let says = format!("has an active API key in the workspace ({}): {}", key.label, shown(id));
                return Err(bad("user_ids", says));
            }
            count += usize::from(workspace.members.remove(id.as_str()).is_some());
        }
        let edits = if count == 0 { Vec::new() } else { vec![Edit::Workspace(workspace)] };
        Ok((edits, count))
    });
    Ok(ok(&json!({ "removed_count": removed.await? })))
}

pub(super) fn stranger(at: &str, id: &str) -> Fault {
    bad(at, format!("names nobody: no such member: {}", shown(id)))
}

fn told(workspace: &Workspace, member: &Member, joined: &Joined) -> Value {
    json!({
        "id": joined.id,
        "workspace_id": workspace.public_id(),
        "user_id": &*member.filed.id,
        "role": member.role.short(),
        "created_at": iso(joined.created_ms),
    })
}
