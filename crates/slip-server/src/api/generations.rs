//! `GET /generations`: the log of records, the newest first, page by page. With an API key it is that key's own.

use super::fields::bad;
use super::generation::data;
use super::{Query, ok, unavailable};
use crate::App;
use crate::body::Body;
use crate::flow::admit::Caller;
use http::Response;
use serde_json::{Value, json};
use slip_ir::{Fault, FaultKind};
use slip_store::Page;

/// Records on one page, if nothing is said; and at most.
const USUAL: u32 = 50;
const MOST: u32 = 500;

pub async fn generations(app: &App, caller: &Caller, query: &Query) -> Result<Response<Body>, Fault> {
    let most = match query.get("limit").map(str::parse::<u32>) {
        None => USUAL,
        Some(Ok(limit)) if (1..=MOST).contains(&limit) => limit,
        Some(_) => return Err(bad("limit", format!("`limit` must be a whole number from 1 to {MOST}"))),
    };
    let before = query.get("before").map(|text| {
        let place = text.parse::<i64>().ok().filter(|place| *place > 0);
        place.ok_or_else(|| bad("before", "`before` must be the `next` of another page"))
    });
    let asked = query.get("api_key_hash");
    let key_hash = match caller.key() {
        Some(_) if caller.is_management() => asked.map(str::to_owned),
        Some(own) if asked.is_none_or(|hash| *hash == *own.hash) => Some(own.hash.to_string()),
        _ => return Err(Fault::caller(FaultKind::Forbidden, "an API key can only see what it asked for itself")),
    };
    // The last moments too.
    app.store.flush().await.map_err(|e| unavailable(&e))?;
    let page = Page { before: before.transpose()?, key_hash, most };
    let rows = app.store.page(page).await.map_err(|e| unavailable(&e))?;
    let next = rows.last().filter(|_| rows.len() >= most as usize).map(|(place, _)| place.to_string());
    let told: Vec<Value> = rows.iter().map(|(_, row)| data(row)).collect();
    Ok(ok(&json!({ "data": told, "next": next })))
}
