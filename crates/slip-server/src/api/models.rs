//! The catalogue as callers see it: models, who serves them, and the providers that are switched on.

use super::{Query, ok, shown};
use crate::body::Body;
use crate::world::World;
use http::{HeaderMap, Response};
use serde_json::{Map, Value, json};
use slip_ir::{Fault, FaultKind, Op, Pico, Price, Rates, Tier};
use slip_route::field::Listed;
use slip_route::health::Window;
use slip_route::{Allow, Endpoint, Metric, Model};
use std::sync::Arc;

const LIMIT: usize = 500;
const LIMIT_MAX: usize = 1000;

/// One list for four kinds of reader: OpenAI's, OpenRouter's, Anthropic's (`anthropic-version`) and Codex's (`client_version=`).
pub fn list(world: &World, query: &Query, headers: &HeaderMap) -> Result<Response<Body>, Fault> {
    paged(&filtered(world, query)?, query, headers)
}

/// Those that a key may use at somebody's.
pub fn of_key(
    world: &World,
    allow: Option<&Allow>,
    query: &Query,
    headers: &HeaderMap,
) -> Result<Response<Body>, Fault> {
    let mut models = filtered(world, query)?;
    models.retain(|listed| allow.is_none_or(|allow| listed.endpoints.iter().any(|e| allow.endpoint(e))));
    paged(&models, query, headers)
}

fn paged(models: &[Listed<'_>], query: &Query, headers: &HeaderMap) -> Result<Response<Body>, Fault> {
    let total = models.len();
    let paged = query.get("offset").is_some() || query.get("limit").is_some();
    let offset = count_of(query, "offset")?.unwrap_or(0);
    let limit = if paged { count_of(query, "limit")?.unwrap_or(LIMIT).clamp(1, LIMIT_MAX) } else { usize::MAX };
    let page: Vec<&Listed<'_>> = models.iter().skip(offset).take(limit).collect();
    let data: Vec<Value> = page.iter().map(|m| model(m)).collect();
    let next = (offset + page.len() < total && paged)
        .then(|| format!("/api/v1/models?offset={}&limit={}", offset + page.len(), limit));
    let mut body = json!({
        "object": "list",
        "total_count": total,
        "links": { "next": next },
        "first_id": page.first().map(|m| m.model.id.to_string()),
        "last_id": page.last().map(|m| m.model.id.to_string()),
        "has_more": next.is_some(),
    });
    if query.get("client_version").is_some() {
        body["models"] = page.iter().enumerate().map(|(at, m)| codex_card(m.model, at)).collect();
    }
    if headers.contains_key("anthropic-version") {
        // Anthropic's own shape: nothing but what its clients read.
        let data: Vec<Value> = page
            .iter()
            .map(|m| m.model)
            .map(|m| json!({ "type": "model", "id": &*m.id, "display_name": m.name, "created_at": created_at(m) }))
            .collect();
        let body = json!({ "data": data, "has_more": next.is_some(), "first_id": body["first_id"], "last_id": body["last_id"] });
        return Ok(ok(&body));
    }
    body["data"] = data.into();
    Ok(ok(&body))
}

/// Those that can be asked for a service, in the same form.
pub fn serving(world: &World, op: Op, query: &Query) -> Result<Response<Body>, Fault> {
    list(world, &query.with("output_modalities", op.output().unwrap_or("text")), &HeaderMap::new())
}

pub fn count(world: &World, query: &Query) -> Result<Response<Body>, Fault> {
    Ok(ok(&json!({ "data": { "count": filtered(world, query)?.len() } })))
}

pub fn one(world: &World, captured: &[String]) -> Result<Response<Body>, Fault> {
    let found = find(world, captured)?;
    Ok(ok(&json!({ "data": model(&found) })))
}

/// OpenAI's `models.retrieve`: the object itself.
pub fn retrieve(world: &World, captured: &[String]) -> Result<Response<Body>, Fault> {
    Ok(ok(&model(&find(world, captured)?)))
}

pub fn endpoints(world: &World, captured: &[String]) -> Result<Response<Body>, Fault> {
    let found = find(world, captured)?;
    let endpoints: Vec<Value> = found.endpoints.iter().map(|e| endpoint(world, found.model, e)).collect();
    let found = found.model;
    Ok(ok(&json!({
        "data": {
            "id": &*found.id,
            "name": found.name,
            "created": found.created,
            "description": description(found),
            "architecture": architecture(found),
            "endpoints": endpoints,
        }
    })))
}

pub fn zero_retention(world: &World) -> Result<Response<Body>, Fault> {
    let data: Vec<Value> = world
        .field
        .models()
        .flat_map(|m| m.endpoints.iter().map(move |e| (m.model, e)))
        .filter(|(_, e)| e.policy.zdr)
        .map(|(m, e)| endpoint(world, m, e))
        .collect();
    Ok(ok(&json!({ "data": data })))
}

pub fn providers(world: &World) -> Result<Response<Body>, Fault> {
    let data: Vec<Value> = world
        .providers
        .iter()
        .map(|p| {
            json!({
                "name": p.title,
                "slug": p.id,
                "privacy_policy_url": p.links.privacy,
                "terms_of_service_url": p.links.terms,
                "status_page_url": p.links.status,
                "headquarters": p.headquarters,
                "datacenters": (!p.datacenters.is_empty()).then(|| p.datacenters.to_vec()),
            })
        })
        .collect();
    Ok(ok(&json!({ "data": data })))
}

pub(super) fn find<'a>(world: &'a World, captured: &[String]) -> Result<Listed<'a>, Fault> {
    let name = captured.join("/");
    let base = name.split(':').next().unwrap_or(&name);
    world.field.model(base).filter(|l| !l.endpoints.is_empty()).ok_or_else(|| {
        let says = format!("no such model: {} (GET /api/v1/models lists them)", shown(&name));
        Fault::caller(FaultKind::NotFound, says)
    })
}

fn count_of(query: &Query, name: &str) -> Result<Option<usize>, Fault> {
    query
        .get(name)
        .map(|text| {
            text.parse::<usize>().map_err(|_| {
                let says = format!("`{name}` must be a whole number: {}", shown(text));
                Fault::caller(FaultKind::BadRequest, says).at(name)
            })
        })
        .transpose()
}

/// The filters of OpenRouter's `/models` that a catalogue of facts can answer; the others are ignored as it ignores unknown ones.
pub(super) fn filtered<'a>(world: &'a World, query: &Query) -> Result<Vec<Listed<'a>>, Fault> {
    let all_of = |name: &str| query.list(name);
    let params = all_of("supported_parameters");
    let inputs = all_of("input_modalities");
    let outputs = all_of("output_modalities");
    let authors = all_of("model_authors");
    let providers = all_of("providers");
    let search = query.get("q").map(str::to_lowercase);
    let context = query.number("context")?;
    let (min, max) = (query.number("min_price")?, query.number("max_price")?);
    let (min_out, max_out) = (query.number("min_output_price")?, query.number("max_output_price")?);
    let zdr = query.get("zdr").is_some_and(|v| v == "true");
    // Prices of this filter are USD per million tokens.
    let between = |have: Option<Pico>, min: Option<f64>, max: Option<f64>| match have {
        None => min.is_none() && max.is_none(),
        Some(Pico(p)) => {
            let per_million = p as f64 / 1e6;
            min.is_none_or(|m| per_million >= m) && max.is_none_or(|m| per_million <= m)
        }
    };
    let has = |have: &[String], want: &[String]| want.iter().all(|w| have.iter().any(|h| h == w));
    let mut models: Vec<Listed<'a>> = world
        .field
        .models()
        .filter(|l| !l.endpoints.is_empty())
        .filter(|l| {
            let (m, endpoints) = (l.model, l.endpoints);
            let cheapest = cheapest(l);
            let rates = cheapest.as_ref().map(|p| &p.rates);
            has(&m.params, &params)
                && has(&m.input, &inputs)
                && makes(m, &outputs)
                && (authors.is_empty() || authors.iter().any(|a| **a == *m.author))
                && (providers.is_empty() || endpoints.iter().any(|e| providers.iter().any(|p| **p == *e.provider)))
                && search.as_ref().is_none_or(|q| m.id.to_lowercase().contains(q) || m.name.to_lowercase().contains(q))
                && context.is_none_or(|least| m.context.is_some_and(|have| have as f64 >= least))
                && between(rates.map(|r| r.input), min, max)
                && between(rates.map(|r| r.output), min_out, max_out)
                && (!zdr || endpoints.iter().any(|e| e.policy.zdr))
        })
        .collect();
    let price = |l: &Listed<'_>| cheapest(l).map_or(u64::MAX, |p| p.rates.input.0 + p.rates.output.0);
    match query.get("sort") {
        Some("pricing-low-to-high") => models.sort_by_key(price),
        Some("pricing-high-to-low") => models.sort_by_key(|m| std::cmp::Reverse(price(m))),
        Some("context-high-to-low") => models.sort_by_key(|m| std::cmp::Reverse(m.model.context)),
        Some("newest") => models.sort_by_key(|m| std::cmp::Reverse(m.model.created)),
        _ => {}
    }
    Ok(models)
}

/// Who lists models without saying more wants something to talk to: models of unknown abilities are shown, those that are known
/// to do other things only to whoever asks for them.
fn makes(model: &Model, outputs: &[String]) -> bool {
    let does =
        |word: &str| if model.output.is_empty() { word == "text" } else { model.output.iter().any(|o| o == word) };
    match outputs {
        [] => does("text"),
        some => some.iter().any(|word| word == "all") || some.iter().all(|word| does(word)),
    }
}

fn cheapest(listed: &Listed<'_>) -> Option<Arc<Price>> {
    let standard = listed.endpoints.iter().filter(|e| e.tier == Tier::Standard);
    standard.filter_map(|e| e.price.clone()).min_by_key(|p| p.rates.input.0 + p.rates.output.0)
}

/// What an endpoint of unknown abilities is tried with: routing refuses it nothing, so a list must not say that it can do nothing.
const USUAL: &[&str] = &[
    "temperature",
    "top_p",
    "max_tokens",
    "stop",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "tools",
    "tool_choice",
    "response_format",
    "structured_outputs",
];

fn said<'a>(model: &Model, params: &'a [String]) -> Vec<&'a str> {
    if params.is_empty() && makes(model, &[]) { USUAL.to_vec() } else { params.iter().map(String::as_str).collect() }
}

fn created_at(model: &Model) -> String {
    super::iso(i64::try_from(model.created).unwrap_or(0) * 1000)
}

pub(super) fn description(model: &Model) -> String {
    let mut says = format!("{} by {}.", model.name, model.author_name);
    if let Some(context) = model.context {
        says.push_str(&format!(" Context {context} tokens."));
    }
    if !model.source.is_empty() {
        says.push_str(&format!(" Facts from {}", model.source));
        says.push_str(&if model.checked.is_empty() { ".".to_owned() } else { format!(" ({}).", model.checked) });
    }
    says
}

fn architecture(model: &Model) -> Value {
    let join = |words: &[String]| if words.is_empty() { "text".to_owned() } else { words.join("+") };
    let list = |words: &[String]| if words.is_empty() { vec!["text".to_owned()] } else { words.to_vec() };
    json!({
        "modality": format!("{}->{}", join(&model.input), join(&model.output)),
        "input_modalities": list(&model.input),
        "output_modalities": list(&model.output),
        "tokenizer": model.tokenizer.as_deref().unwrap_or("Other"),
        "instruct_type": null,
    })
}

/// A superset that OpenAI, OpenRouter and Anthropic readers each find their own fields in.
fn model(listed: &Listed<'_>) -> Value {
    let model = listed.model;
    let top = listed.endpoints.first();
    let price = cheapest(listed);
    let mut value = json!({
        "id": &*model.id,
        "object": "model",
        "type": "model",
        "canonical_slug": &*model.canonical,
        "hugging_face_id": model.hugging_face,
        "name": model.name,
        "display_name": model.name,
        "created": model.created,
        "created_at": created_at(model),
        "owned_by": &*model.author,
        "description": description(model),
        "context_length": model.context,
        "architecture": architecture(model),
        "pricing": pricing(price.as_deref()),
        "top_provider": {
            "context_length": top.and_then(|e| e.context).or(model.context),
            "max_completion_tokens": top.and_then(|e| e.max_output).or(model.max_output),
            "is_moderated": false,
        },
        "per_request_limits": null,
        "supported_parameters": said(model, &model.params),
        "default_parameters": null,
        "supported_voices": null,
        "knowledge_cutoff": model.knowledge,
        "expiration_date": null,
        "links": { "details": format!("/api/v1/models/{}/endpoints", model.id) },
    });
    if let Some(thinks) = &model.reasoning {
        let mut reasoning = json!({ "mandatory": thinks.mandatory, "supports_max_tokens": thinks.budget });
        if !thinks.efforts.is_empty() {
            reasoning["supported_efforts"] = thinks.efforts.iter().map(|e| e.name()).collect();
        }
        value["reasoning"] = reasoning;
    }
    if price.is_none() {
        value["price_unknown"] = json!(true);
    }
    value
}

/// USD per token as decimal strings. Unknown is `-1`, OpenRouter's own word for "not known beforehand", never zero.
fn pricing(price: Option<&Price>) -> Value {
    let Some(price) = price else {
        return json!({ "prompt": "-1", "completion": "-1" });
    };
    let mut map = rates(&price.rates);
    for (name, pico) in [("request", price.request), ("web_search", price.web_search)] {
        map.insert(name.to_owned(), json!(pico.to_unit_string()));
    }
    // What is not counted in tokens. The contract knows a price for each picture made; the other names are ours.
    let counted = [
        ("image_output", price.image),
        ("second", price.second),
        ("character", price.character),
        ("search", price.search),
    ];
    for (name, pico) in counted.into_iter().filter(|(_, pico)| pico.0 > 0) {
        map.insert(name.to_owned(), json!(pico.to_unit_string()));
    }
    if !price.tiers.is_empty() {
        let overrides = price.tiers.iter().map(|(above, tier)| {
            let mut entry = rates(tier);
            entry.insert("min_prompt_tokens".to_owned(), json!(above + 1));
            Value::Object(entry)
        });
        map.insert("overrides".to_owned(), overrides.collect());
    }
    Value::Object(map)
}

fn rates(r: &Rates) -> Map<String, Value> {
    let named = [
        ("prompt", Some(r.input)),
        ("completion", Some(r.output)),
        ("input_cache_read", r.cache_read),
        ("input_cache_write", r.cache_write),
        ("input_cache_write_1h", r.cache_write_1h),
        ("internal_reasoning", r.reasoning),
        ("audio", r.audio_in),
        ("image_token", r.image_in),
        ("audio_output", r.audio_out),
        ("image_output", r.image_out),
    ];
    named.into_iter().filter_map(|(name, pico)| Some((name.to_owned(), json!(pico?.to_unit_string())))).collect()
}

fn endpoint(world: &World, model: &Model, e: &Endpoint) -> Value {
    let params = said(model, e.params.as_deref().unwrap_or(&model.params));
    let tools = params.contains(&"tool_choice") || params.contains(&"tools");
    let live = super::live::Live::of(world, e, crate::clock::unix_ms());
    json!({
        "name": format!("{} | {}", e.provider_name, model.id),
        "model_id": &*model.canonical,
        "model_name": model.name,
        // The published contract wants a number; zero is "nobody said".
        "context_length": e.context.or(model.context).unwrap_or(0),
        "pricing": pricing(e.price.as_deref()),
        "provider_name": &*e.provider_name,
        "tag": &*e.tag,
        "quantization": e.quantization.as_deref().unwrap_or("unknown"),
        "max_completion_tokens": e.max_output.or(model.max_output),
        "max_prompt_tokens": null,
        "supported_parameters": params,
        "supports_tool_choice": { "auto": tools, "function": tools, "none": tools, "required": tools },
        "supports_diarization": false,
        "native_tools": {},
        "service_tier": e.tier.tag(),
        "status": live.status(),
        "uptime_last_5m": live.uptime(Window::FiveMinutes),
        "uptime_last_30m": live.uptime(Window::HalfHour),
        "uptime_last_1d": live.uptime(Window::Day),
        "latency_last_30m": live.percentiles(Metric::FirstContent),
        "throughput_last_30m": live.percentiles(Metric::Throughput),
        "supports_implicit_caching": e.implicit_caching,
    })
}

fn codex_card(model: &Model, at: usize) -> Value {
    let efforts: Vec<Value> = model
        .reasoning
        .iter()
        .flat_map(|r| &r.efforts)
        .map(|e| json!({ "effort": e.name(), "description": format!("{} reasoning", e.name()) }))
        .collect();
    let images = model.input.iter().any(|i| i == "image");
    json!({
        "slug": &*model.id,
        "display_name": model.name,
        "description": description(model),
        "default_reasoning_level": if efforts.is_empty() { Value::Null } else { json!("medium") },
        "supported_reasoning_levels": efforts,
        "shell_type": "shell_command",
        "visibility": "list",
        "supported_in_api": true,
        "priority": at,
        "base_instructions": "",
        "supports_reasoning_summaries": false,
        "support_verbosity": false,
        "truncation_policy": { "mode": "tokens", "limit": 10_000 },
        "supports_parallel_tool_calls": model.params.iter().any(|p| p == "parallel_tool_calls"),
        "context_window": model.context,
        "experimental_supported_tools": [],
        "input_modalities": if images { json!(["text", "image"]) } else { json!(["text"]) },
    })
}
