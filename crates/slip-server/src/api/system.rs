//! Probes, metrics, the version, and what a browser asks before it calls.

use super::ok;
use crate::App;
use crate::body::Body;
use crate::flow::refuse;
use crate::world::World;
use http::header::{ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_MAX_AGE, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;
use std::sync::atomic::Ordering;

const HEADERS: HeaderValue = HeaderValue::from_static(
    "Authorization, Content-Type, HTTP-Referer, X-Title, X-OpenRouter-Title, X-OpenRouter-Categories, \
     X-OpenRouter-Metadata, X-OpenRouter-Cache, X-OpenRouter-Cache-TTL, X-OpenRouter-Cache-Clear, X-Session-Id, \
     X-Slipswitch-Priority, x-api-key, x-goog-api-key, anthropic-version, anthropic-beta, anthropic-dangerous-direct-browser-access, \
     x-anthropic-beta, x-stainless-arch, x-stainless-lang, x-stainless-os, x-stainless-package-version, \
     x-stainless-retry-count, x-stainless-runtime, x-stainless-runtime-version, x-stainless-timeout, \
     x-stainless-helper-method, x-stainless-async",
);

/// CORS preflight. Credentials here are headers a page must hold itself, so any origin may ask.
pub fn preflight() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    refuse::common(headers);
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, OPTIONS"));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    response
}

pub fn root() -> Response<Body> {
    ok(&json!({
        "name": "slipswitch",
        "version": env!("CARGO_PKG_VERSION"),
        "api": "/api/v1",
        "try": ["GET /api/v1/models", "POST /api/v1/chat/completions", "GET /healthz"],
    }))
}

pub fn version() -> Response<Body> {
    ok(&json!({ "name": "slipswitch", "version": env!("CARGO_PKG_VERSION") }))
}

pub fn health() -> Response<Body> {
    ok(&json!({ "status": "ok" }))
}

/// Able to serve with what it has: not draining, the ledger takes records, at least one endpoint.
pub fn ready(app: &App, world: &World) -> Response<Body> {
    let draining = app.draining.load(Ordering::Relaxed);
    let endpoints = world.field.endpoints().len();
    let trouble = app.store.trouble();
    // Gateways of one database must not all be taken out of service because it is away: records wait here meanwhile.
    let room = app.ledger.backlog() < slip_store::CAPACITY / 5 * 4;
    let full = app.store.journal_refuses();
    let takes = !full && (trouble.is_none() || app.store.is_shared() && room);
    let ready = !draining && endpoints > 0 && takes;
    let body = json!({
        "status": if ready { "ready" } else { "not ready" },
        "draining": draining,
        "endpoints": endpoints,
        "ledger": match trouble {
            _ if full => "the journal cannot be written (is the disk full?); new requests are turned away".to_owned(),
            None => "ok".to_owned(),
            // Anybody may ask, and the reason names hosts; it is in the log.
            Some(_) if app.store.is_shared() => "the database cannot be written to; records wait".to_owned(),
            Some(why) => why,
        },
    });
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    refuse::json(status, body.to_string().into_bytes())
}

pub fn metrics(app: &App) -> Response<Body> {
    let mut response = Response::new(Body::full(app.telemetry.encode(app)));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    response
}
