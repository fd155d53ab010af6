//! `GET /key`: what the caller's own key is and what it has spent.

use super::{iso, ok, usd};
use crate::App;
use crate::body::Body;
use crate::clock;
use crate::flow::admit::Caller;
use http::Response;
use serde_json::{Value, json};
use slip_ir::{Fault, FaultKind};
use slip_store::workspaces::public_id;
use slip_store::{KeyKind, KeyUsage, ScopeId};

/// What a key has used, in OpenRouter's eight members.
pub fn usage(usage: &KeyUsage) -> Value {
    json!({
        "usage": usd(usage.total),
        "usage_daily": usd(usage.daily),
        "usage_weekly": usd(usage.weekly),
        "usage_monthly": usd(usage.monthly),
        "byok_usage": usd(usage.byok_total),
        "byok_usage_daily": usd(usage.byok_daily),
        "byok_usage_weekly": usd(usage.byok_weekly),
        "byok_usage_monthly": usd(usage.byok_monthly),
    })
}

/// One object out of two.
pub fn joined(mut one: Value, other: Value) -> Value {
    if let (Value::Object(one), Value::Object(other)) = (&mut one, other) {
        one.extend(other);
    }
    one
}

pub fn key(app: &App, caller: &Caller) -> Result<Response<Body>, Fault> {
    let Some(key) = caller.key() else {
        return Err(Fault::caller(FaultKind::Unauthorised, "this path tells about a key: send one"));
    };
    let now = clock::unix_ms_signed();
    let used = app.store.usage(&ScopeId::Key(key.hash.clone()), now);
    let management = key.kind == KeyKind::Management;
    let mut data = json!({
        "label": key.label,
        "limit": key.limit.map_or(Value::Null, usd),
        "limit_remaining": key.remaining(&used).map_or(Value::Null, usd),
        "limit_reset": key.limit_reset.map(|r| r.name()),
        "include_byok_in_limit": key.include_byok_in_limit,
        "is_free_tier": false,
        "is_management_key": management,
        "is_provisioning_key": management,
        "creator_user_id": key.detail.member,
        "organization_id": null,
        "workspace_id": public_id(&key.workspace),
        "allowed_data_regions": ["global"],
        "budgets": [],
        "effective_budget": null,
        "free_model_daily_requests": { "limit": 0, "remaining": 0, "used": 0 },
        "rate_limit": {
            "requests": -1,
            "interval": "1h",
            "note": "This field is deprecated and safe to ignore.",
        },
    });
    data = joined(data, usage(&used));
    if let Some(at) = key.expires_ms {
        data["expires_at"] = json!(iso(at));
    }
    Ok(ok(&json!({ "data": data })))
}
