//! `GET /credits`: what may be spent and what has been. There is no purse here, only limits: with an API key they are the key's, with a
//! management key they are everybody's together.

use super::{now, ok, usd};
use crate::App;
use crate::body::Body;
use crate::flow::admit::Caller;
use http::Response;
use serde_json::json;
use slip_ir::{Fault, FaultKind, Nano};
use slip_store::{KeyKind, ScopeId};

/// Dollars told as credits where nothing is limited: clients subtract what was used, and must find something left.
const BOUNDLESS: Nano = Nano(1_000_000_000_000_000);

pub fn credits(app: &App, caller: &Caller) -> Result<Response<Body>, Fault> {
    let Some(key) = caller.key() else {
        return Err(Fault::caller(FaultKind::Unauthorised, "this path tells about a key: send one"));
    };
    let (used, limit) = if key.kind == KeyKind::Management {
        (app.store.usage(&ScopeId::Instance, now()).total, None)
    } else {
        let used = app.store.usage(&ScopeId::Key(key.hash.clone()), now());
        // What was used before the running period is paid for.
        (used.total, key.remaining(&used).map(|left| left + used.total))
    };
    let credits = limit.unwrap_or(BOUNDLESS + used);
    Ok(ok(&json!({ "data": {
        "total_credits": usd(credits),
        "total_usage": usd(used),
        "unlimited": limit.is_none(),
    } })))
}
