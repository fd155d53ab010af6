//! `GET /generation?id=`: the record of one request, readable before its last byte has left.

use super::key::joined;
use super::{Query, iso, ok, shown, usd};
use crate::App;
use crate::body::Body;
use crate::flow::admit::Caller;
use http::Response;
use serde_json::{Value, json};
use slip_ir::{Fault, FaultKind, Op, Tier};
use slip_store::{Classes, Generation, Ruled};
use std::sync::Arc;

pub async fn generation(app: &App, caller: &Caller, query: &Query) -> Result<Response<Body>, Fault> {
    Ok(ok(&json!({ "data": data(&*found(app, caller, query).await?) })))
}

/// The record that is asked for, if the caller may see it.
pub async fn found(app: &App, caller: &Caller, query: &Query) -> Result<Arc<Generation>, Fault> {
    let id = query.get("id").ok_or_else(|| {
        Fault::caller(FaultKind::BadRequest, "which generation? give its id: /api/v1/generation?id=gen-…").at("id")
    })?;
    let missing =
        || Fault::caller(FaultKind::NotFound, format!("no generation of this key has this id: {}", shown(id)));
    if !id.starts_with("gen-") || id.len() > 64 {
        return Err(missing());
    }
    let found = app.store.generation(id).await.map_err(|e| {
        tracing::error!("a generation could not be read: {e}");
        Fault::house(FaultKind::Busy, "the ledger cannot be read just now; try again")
    })?;
    let row = found.ok_or_else(missing)?;
    // Somebody else's is told exactly like one that does not exist.
    let own = caller.key().is_some_and(|k| row.key_hash.as_deref() == Some(&*k.hash));
    if !own && !caller.is_management() {
        return Err(missing());
    }
    Ok(row)
}

/// OpenRouter's fields, all of them, then our own.
pub fn data(row: &Generation) -> Value {
    let t = &row.tokens;
    let attempts: Vec<Value> = row
        .attempts
        .iter()
        .map(|a| {
            let mut told = json!({
                "provider_name": &*a.provider,
                "status": a.status,
                "latency": a.latency_ms,
                "id": a.upstream_id,
                "is_byok": a.own_key.is_some(),
                "own_key": a.own_key.as_deref(),
                "model_permaslug": &*row.model,
                "endpoint_id": &*a.endpoint,
                "upstream_model": &*a.model,
                "error": a.fault,
                "hedge": a.hedge,
                "cancelled": a.cancelled,
                "torn": a.torn,
                "continues": a.continues,
                "after_tokens": a.after_tokens,
                "how": a.how,
            });
            if let Some(tier) = a.tier.and_then(Tier::tag) {
                told["routed_service_tier"] = json!(tier);
            }
            told
        })
        .collect();
    let generating = row.ttft_ms.map(|first| row.total_ms.saturating_sub(first));
    let mut data = json!({
        "id": row.id,
        "upstream_id": row.upstream_id,
        "api_type": api_type(row.op),
        "created_at": iso(row.created_ms),
        "model": &*row.model,
        "provider_name": (!row.provider_name.is_empty()).then(|| row.provider_name.to_string()),
        "provider_responses": attempts,
        "router": null,
        "streamed": row.streamed,
        "cancelled": row.cancelled,
        "finish_reason": row.finish.map(|f| f.name()),
        "native_finish_reason": row.native_finish,
        "latency": row.ttft_ms,
        "generation_time": generating,
        "moderation_latency": null,
        "tokens_prompt": t.prompt_total(),
        "tokens_completion": t.completion_total(),
        "native_tokens_prompt": t.prompt_total(),
        "native_tokens_completion": t.completion_total(),
        "native_tokens_completion_images": t.image_out,
        "native_tokens_reasoning": t.reasoning,
        "native_tokens_cached": t.cache_read
    });
    let discount = row.charged.as_ref().and_then(|charged| charged.cache_discount(t));
    let more = json!({
        "num_media_prompt": null,
        "num_input_audio_prompt": null,
        "num_media_completion": null,
        "num_search_results": (t.web_searches > 0).then_some(t.web_searches),
        "num_fetches": null,
        "web_search_engine": null,
        "usage": usd(row.cost),
        "total_cost": usd(row.cost),
        "upstream_inference_cost": row.upstream_cost.map_or(Value::Null, usd),
        "cache_discount": discount.map_or(Value::Null, usd),
        "is_byok": row.byok,
        "origin": row.origin.clone().or_else(|| row.http_referer.clone()).unwrap_or_default(),
        "http_referer": row.http_referer,
        "user_agent": row.user_agent,
        "app_id": null,
        "external_user": row.external_user,
        "session_id": row.session_id,
        "preset_id": null,
        "workspace_id": (!row.workspace.is_empty()).then_some(&*row.workspace),
        "service_tier": row.service_tier.map(Tier::name),
        "data_region": "global",
        "response_cache_source_id": row.cache.as_ref().map(|cache| &cache.source),
        // One request makes one generation here, however many attempts it takes.
        "request_id": row.id.strip_prefix("gen-").map(|rest| format!("req-{rest}")),
    });
    if let (Value::Object(data), Value::Object(more)) = (&mut data, more) {
        data.extend(more);
    }
    data["slipswitch"] = own(row);
    data
}

/// OpenRouter's word for what was asked.
fn api_type(op: &str) -> Option<&'static str> {
    let op = Op::ALL.into_iter().find(|known| known.name() == op).unwrap_or_default();
    match op {
        Op::Chat => Some("completions"),
        Op::Embeddings => Some("embeddings"),
        Op::Rerank => Some("rerank"),
        Op::Image => Some("image"),
        Op::Speech => Some("tts"),
        Op::Transcription | Op::Translation => Some("stt"),
        Op::Moderation | Op::CountTokens => None,
    }
}

/// What OpenRouter has no field for.
fn own(row: &Generation) -> Value {
    let t = &row.tokens;
    let mut price = json!(row.charged);
    if price.is_object() && price["version"].is_null() {
        price["version"] = json!("configuration");
    }
    let more = json!({
        "api_key_hash": row.key_hash.as_deref(),
        "provider": (!row.provider_slug.is_empty()).then_some(&*row.provider_slug),
        "price": price,
        "tokens": Classes(t.clone()),
        "attempts": row.attempts.len(),
        "own_key": row.attempts.last().and_then(|last| last.own_key.as_deref()),
        "hedges": row.attempts.iter().filter(|attempt| attempt.hedge).count(),
    });
    let own = json!({
        "status": row.status,
        "app_title": row.app_title,
        "model_requested": row.model_requested,
        "operation": if row.op.is_empty() { Op::Chat.name() } else { row.op },
        "cost_known": row.cost_known,
        "usage_estimated": t.estimated,
        "cache_write_tokens": t.cache_write + t.cache_write_1h,
        "total_ms": row.total_ms,
        "overhead_us": row.overhead_us,
        "priority": if row.priority.is_empty() { "interactive" } else { row.priority },
        "queued_ms": row.queued_ms,
        "hedge_waste": row.hedge_waste.map_or(Value::Null, usd),
        "dialect_in": row.dialect_in,
        "dialect_out": row.dialect_out,
        "lens": row.lens,
        "losses": row.losses,
        "strategy": (!row.strategy.is_empty()).then_some(&*row.strategy),
        "chosen_by": (!row.chosen_by.is_empty()).then_some(&*row.chosen_by),
        "endpoints_refused": row.refusals,
        "ruled_out": ruled(&row.ruled_out),
        "tried_last": ruled(&row.tried_last),
        "noted": row.noted,
        "cache": row.cache.as_ref().map(|cache| cache.how),
        "cache_source": row.cache.as_ref().map(|cache| &cache.source),
        "cache_saved": row.cache.as_ref().and_then(|cache| cache.saved).map_or(Value::Null, usd),
        "error": row.error.as_ref().map(|e| json!({ "reason": e.kind, "message": e.message })),
    });
    joined(own, more)
}

fn ruled(all: &[Ruled]) -> Vec<Value> {
    all.iter().map(|one| json!({ "endpoint": &*one.endpoint, "rule": &*one.rule, "says": one.says })).collect()
}
