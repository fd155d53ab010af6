//! The catalogue as Gemini's clients read it: pages of models named `models/…`.

use super::{Query, models, ok, shown};
use crate::body::Body;
use crate::world::World;
use http::{HeaderMap, Response};
use serde_json::{Value, json};
use slip_ir::{Fault, FaultKind};
use slip_route::field::Listed;

/// Google's own default and most (reference of `models.list`, 2026-11).
const PAGE: usize = 50;
const PAGE_MAX: usize = 1000;
/// What can be asked of each.
const METHODS: [&str; 2] = ["generateContent", "streamGenerateContent"];

/// Whether it is one of Gemini's clients that asks. The newer ones share `/v1` with everybody and are known by their key's header.
pub fn asks(path: &str, headers: &HeaderMap) -> bool {
    path.starts_with("/v1beta/") || headers.contains_key("x-goog-api-key")
}

pub fn list(world: &World, query: &Query) -> Result<Response<Body>, Fault> {
    let all = models::filtered(world, query)?;
    let start: usize = match query.get("pageToken") {
        None => 0,
        Some(token) => token.parse().map_err(|_| {
            let says = format!("`pageToken` must be one that a page gave: {}", shown(token));
            Fault::caller(FaultKind::BadRequest, says).at("pageToken")
        })?,
    };
    let size = query.number("pageSize")?.map_or(PAGE, |n| (n as usize).clamp(1, PAGE_MAX));
    let page: Vec<Value> = all.iter().skip(start).take(size).map(card).collect();
    let next = start.saturating_add(page.len());
    let mut body = json!({ "models": page });
    if next < all.len() {
        body["nextPageToken"] = next.to_string().into();
    }
    Ok(ok(&body))
}

pub fn one(world: &World, captured: &[String]) -> Result<Response<Body>, Fault> {
    Ok(ok(&card(&models::find(world, captured)?)))
}

fn card(listed: &Listed<'_>) -> Value {
    let model = listed.model;
    let mut card = json!({
        "name": format!("models/{}", model.id),
        "version": &*model.canonical,
        "displayName": model.name,
        "description": models::description(model),
        "supportedGenerationMethods": METHODS,
    });
    let limits = [("inputTokenLimit", model.context), ("outputTokenLimit", model.max_output)];
    for (name, limit) in limits.into_iter().filter_map(|(name, limit)| Some((name, limit?))) {
        card[name] = limit.into();
    }
    if model.reasoning.is_some() {
        card["thinking"] = true.into();
    }
    card
}
