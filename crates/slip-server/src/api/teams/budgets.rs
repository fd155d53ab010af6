//! `/workspaces/{id}/budgets`: what a workspace may spend in a day, a week, a month and ever.

use super::workspaces::find;
use super::{Call, bad, deleted};
use crate::api::{iso, ok, shown, usd};
use crate::body::Body;
use http::Response;
use serde_json::{Value, json};
use slip_ir::{Fault, FaultKind};
use slip_store::{Budget, Edit, Interval, Workspace, random_id};

const KNOWN: &[&str] = &["limit_usd", "include_byok_in_budgets"];

pub fn list(call: &Call<'_>) -> Result<Response<Body>, Fault> {
    let directory = call.app.store.directory().now();
    let workspace = find(&directory, call.name(0))?;
    let data: Vec<Value> = workspace.budgets.iter().map(|(interval, b)| told(workspace, *interval, b)).collect();
    Ok(ok(&json!({ "data": data, "include_byok_in_budgets": workspace.include_byok })))
}

pub fn one(call: &Call<'_>) -> Result<Response<Body>, Fault> {
    let (directory, interval) = (call.app.store.directory().now(), interval(call)?);
    let workspace = find(&directory, call.name(0))?;
    let budget = workspace.budgets.get(&interval).ok_or_else(|| {
        let says = format!("Resource not found: the workspace has no {} budget", interval.name());
        Fault::caller(FaultKind::NotFound, says)
    })?;
    Ok(ok(&answer(workspace, interval, budget)))
}

pub async fn put(call: &Call<'_>) -> Result<Response<Body>, Fault> {
    let (interval, fields) = (interval(call)?, call.fields(KNOWN)?);
    let limit = fields.required("limit_usd", fields.usd("limit_usd")?)?;
    let byok = fields.flag("include_byok_in_budgets")?;
    let (name, now_ms) = (call.name(0).to_owned(), call.now_ms);
    let put = call.direct(move |directory| {
        let mut workspace = Workspace::clone(find(directory, &name)?);
        workspace.include_byok = byok.unwrap_or(workspace.include_byok);
        let made = || Budget::new(random_id(), limit, now_ms);
        workspace.budgets.entry(interval).and_modify(|budget| budget.change(limit, now_ms)).or_insert_with(made);
        growing(&workspace)?;
        workspace.filed.updated_ms = Some(now_ms);
        Ok((vec![Edit::Workspace(workspace.clone())], workspace))
    });
    let workspace = put.await?;
    let budget = workspace.budgets.get(&interval);
    Ok(ok(&budget.map_or(Value::Null, |budget| answer(&workspace, interval, budget))))
}

/// Whether or not there was one.
pub async fn remove(call: &Call<'_>) -> Result<Response<Body>, Fault> {
    let (interval, name, now_ms) = (interval(call)?, call.name(0).to_owned(), call.now_ms);
    let removed = call.direct(move |directory| {
        let mut workspace = Workspace::clone(find(directory, &name)?);
        if workspace.budgets.remove(&interval).is_none() {
            return Ok((Vec::new(), ()));
        }
        workspace.filed.updated_ms = Some(now_ms);
        Ok((vec![Edit::Workspace(workspace)], ()))
    });
    removed.await?;
    Ok(deleted())
}

fn interval(call: &Call<'_>) -> Result<Interval, Fault> {
    let name = call.name(1);
    Interval::parse(name).ok_or_else(|| {
        let all = Interval::ALL.map(Interval::name).join(", ");
        bad("interval", format!("must be one of {all}: {}", shown(name)))
    })
}

/// A budget that a shorter one could exceed would never be met.
fn growing(workspace: &Workspace) -> Result<(), Fault> {
    let all: Vec<_> = workspace.budgets.iter().collect();
    for pair in all.windows(2) {
        let [(short, less), (long, more)] = pair else { continue };
        if less.limit() >= more.limit() {
            let says = format!(
                "must grow with the interval (daily < weekly < monthly < lifetime): {} is ${}, {} is ${}",
                short.name(),
                less.limit(),
                long.name(),
                more.limit()
            );
            return Err(bad("limit_usd", says));
        }
    }
    Ok(())
}

fn answer(workspace: &Workspace, interval: Interval, budget: &Budget) -> Value {
    json!({ "data": told(workspace, interval, budget), "include_byok_in_budgets": workspace.include_byok })
}

fn told(workspace: &Workspace, interval: Interval, budget: &Budget) -> Value {
    json!({
        "id": budget.id,
        "workspace_id": workspace.public_id(),
        "limit_usd": usd(budget.limit()),
        "reset_interval": interval.reset().map(|reset| reset.name()),
        "created_at": iso(budget.created_ms),
        "updated_at": iso(budget.updated_ms),
    })
}
