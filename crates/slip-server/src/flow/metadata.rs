//! `X-OpenRouter-Metadata: enabled`: how the reply was routed, told in the reply itself in OpenRouter's words.

use super::read::Inbound;
use http::HeaderMap;
use serde_json::json;
use slip_ir::FaultKind;
use slip_route::resolve::Reach;
use slip_route::{Attempt, Endpoint, Plan};
use std::sync::Arc;

/// The second is its old name.
const HEADERS: [&str; 2] = ["x-openrouter-metadata", "x-openrouter-experimental-metadata"];
/// Endpoints that are told by name.
const MOST: usize = 64;

pub fn wanted(headers: &HeaderMap) -> bool {
    let says = |name| headers.get(name).and_then(|value| value.to_str().ok());
    HEADERS.into_iter().find_map(says).is_some_and(|value| value.trim().eq_ignore_ascii_case("enabled"))
}

/// As it will be if this attempt answers. `refused` counts the endpoints that were ruled out.
pub fn told(inbound: &Inbound, plan: &Plan, refused: u32, attempt: &Attempt) -> Arc<str> {
    account(inbound, plan, refused, Some(attempt))
}

/// Nobody answered.
pub fn failed(inbound: &Inbound, plan: &Plan, refused: u32) -> Arc<str> {
    account(inbound, plan, refused, None)
}

/// Nobody could be asked.
pub fn nowhere(inbound: &Inbound, refused: usize) -> Arc<str> {
    json!({
        "requested": requested(inbound),
        "strategy": "direct",
        "region": null,
        "summary": "available=0, selected=none",
        "attempt": 0,
        "is_byok": false,
        "endpoints": { "total": refused, "available": [] },
        "attempts": [],
    })
    .to_string()
    .into()
}

fn requested(inbound: &Inbound) -> &str {
    let peek = &inbound.peek;
    peek.model.as_deref().or(peek.models.first().map(String::as_str)).unwrap_or_default()
}

fn account(inbound: &Inbound, plan: &Plan, refused: u32, answers: Option<&Attempt>) -> Arc<str> {
    let selected = answers.map(|attempt| &attempt.endpoint);
    let is_it = |e: &Endpoint| selected.is_some_and(|selected| selected.key == e.key);
    let available: Vec<_> = plan
        .line()
        .filter_map(|(_, endpoint)| endpoint)
        .take(MOST)
        .map(|e| json!({ "provider": &*e.provider_name, "model": &*e.model.id, "selected": is_it(e) }))
        .collect();
    let past = plan.past().iter().filter(|past| past.fault.kind != FaultKind::NoEndpoint).map(|past| {
        let status = past.fault.status.unwrap_or(past.fault.kind.status());
        json!({ "provider": &*past.endpoint.provider_name, "model": &*past.endpoint.model.id, "status": status })
    });
    let this = selected.map(|e| json!({ "provider": &*e.provider_name, "model": &*e.model.id, "status": 200 }));
    let attempts: Vec<_> = past.chain(this).collect();
    let name = selected.map_or("none", |e| &e.provider_name);
    json!({
        "requested": requested(inbound),
        "strategy": strategy(plan, answers),
        "region": null,
        "summary": format!("available={}, selected={name}", plan.line().len()),
        "attempt": answers.map_or(attempts.len(), |attempt| attempt.number as usize),
        "is_byok": answers.is_some_and(|attempt| attempt.holder.is_own()),
        "endpoints": { "total": plan.line().len() + refused as usize, "available": available },
        "attempts": attempts,
    })
    .to_string()
    .into()
}

/// OpenRouter's word for how the name led to the model. Which strategy ordered the endpoints is in `X-Slipswitch-Strategy`.
fn strategy(plan: &Plan, answers: Option<&Attempt>) -> &'static str {
    match plan.asked() {
        [_, _, ..] => "fallback",
        [one] if one.asked.starts_with('~') => "latest",
        [one] if matches!(one.reach, Reach::House(_)) => "alias",
        [one] if one.wish.free => "free",
        [one]
            if answers.is_some_and(|a| !one.asked.to_lowercase().starts_with(&*a.endpoint.model.id.to_lowercase())) =>
        {
            "alias"
        }
        _ => "direct",
    }
}
