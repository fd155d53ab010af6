//! `X-OpenRouter-Metadata: enabled`: how the reply was routed, told in the reply itself in OpenRouter's words.

use super::read::Inbound;
use http::HeaderMap;
use serde_json::json;
use slip_ir::FaultKind;
use slip_route::resolve::Reach;
use slip_route::{Attempt, Plan};
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
    let selected = &attempt.endpoint;
    let available: Vec<_> = plan
        .line()
        .filter_map(|(_, endpoint)| endpoint)
        .take(MOST)
        .map(|e| json!({ "provider": &*e.provider_name, "model": &*e.model.id, "selected": e.key == selected.key }))
        .collect();
    let past = plan.past().iter().filter(|past| past.fault.kind != FaultKind::NoEndpoint).map(|past| {
        let status = past.fault.status.unwrap_or(past.fault.kind.status());
        json!({ "provider": &*past.endpoint.provider_name, "model": &*past.endpoint.model.id, "status": status })
    });
    let this = json!({ "provider": &*selected.provider_name, "model": &*selected.model.id, "status": 200 });
    let requested = inbound.peek.model.as_deref().or(inbound.peek.models.first().map(String::as_str));
    json!({
        "requested": requested.unwrap_or_default(),
        "strategy": strategy(plan, attempt),
        "region": null,
        "summary": format!("available={}, selected={}", plan.line().len(), selected.provider_name),
        "attempt": attempt.number,
        "is_byok": false,
        "endpoints": { "total": plan.line().len() + refused as usize, "available": available },
        "attempts": past.chain([this]).collect::<Vec<_>>(),
    })
    .to_string()
    .into()
}

/// OpenRouter's word for how the name led to the model. Which strategy ordered the endpoints is in `X-Slipswitch-Strategy`.
fn strategy(plan: &Plan, attempt: &Attempt) -> &'static str {
    match plan.asked() {
        [_, _, ..] => "fallback",
        [one] if one.asked.starts_with('~') => "latest",
        [one] if matches!(one.reach, Reach::House(_)) => "alias",
        [one] if one.wish.free => "free",
        [one] if !one.asked.to_lowercase().starts_with(&*attempt.endpoint.model.id.to_lowercase()) => "alias",
        _ => "direct",
    }
}
