//! `/cache`: how the answers that are given again are doing, what is kept, and how it is forgotten. What an answer says is not told.

use super::fields::bad;
use super::{Query, iso, now, ok, usd};
use crate::App;
use crate::body::Body;
use crate::routes::Cache;
use http::Response;
use serde_json::{Value, json};
use slip_cache::{Entry, Form, Header, Key, Select};
use slip_ir::Fault;

/// Entries on one page, if nothing is said; and at most.
const USUAL: usize = 50;
const MOST: usize = 500;

pub fn answer(app: &App, what: Cache, query: &Query) -> Result<Response<Body>, Fault> {
    match what {
        Cache::Stats => Ok(stats(app)),
        Cache::List => list(app, query),
        Cache::Purge => purge(app, query),
    }
}

fn stats(app: &App) -> Response<Body> {
    let (stats, counted) = (app.cache.store.stats(), app.cache.counted());
    ok(&json!({ "data": {
        "entries": stats.entries,
        "bytes": stats.bytes,
        "capacity": stats.capacity,
        "hits": counted.hits,
        "joined": counted.joined,
        "misses": counted.misses,
        "saved": usd(counted.saved),
        "stored": stats.puts,
        "not_worth_it": stats.refused,
        "evicted": stats.evicted,
        "expired": stats.expired,
        "corrupt": stats.corrupt,
        "in_flight": app.cache.flights.len(),
    } }))
}

/// Which entries are meant. A key is named by its hash, or the beginning of it.
struct Meant<'a> {
    select: Select<'a>,
    key: Option<&'a str>,
}

impl<'a> Meant<'a> {
    fn of(query: &'a Query) -> Meant<'a> {
        let model = query.get("model");
        let pattern = model.and_then(|model| model.strip_suffix('*'));
        let select = Select {
            model: model.filter(|_| pattern.is_none()),
            model_prefix: pattern,
            key_prefix: query.get("prefix"),
            ..Select::default()
        };
        Meant { select, key: query.get("api_key_hash") }
    }

    fn is_all(&self) -> bool {
        let Select { model, model_prefix, key_prefix, .. } = self.select;
        [model, model_prefix, key_prefix, self.key].iter().all(Option::is_none)
    }

    fn takes(&self, key: &Key, header: &Header) -> bool {
        let of_key = |hash: &str| header.tenant.strip_prefix("key:").is_some_and(|owner| owner.starts_with(hash));
        self.key.is_none_or(of_key) && self.select.picks(key, header)
    }
}

fn list(app: &App, query: &Query) -> Result<Response<Body>, Fault> {
    let number = |name: &str, usual: u64| match query.get(name).map(str::parse::<u64>) {
        None => Ok(usual),
        Some(Ok(number)) => Ok(number),
        Some(Err(_)) => Err(bad(name, format!("`{name}` must be a whole number"))),
    };
    let most = usize::try_from(number("limit", USUAL as u64)?).unwrap_or(usize::MAX);
    if !(1..=MOST).contains(&most) {
        return Err(bad("limit", format!("`limit` must be a whole number from 1 to {MOST}")));
    }
    let (meant, now) = (Meant::of(query), now());
    let listed = app.cache.store.list(number("from", 0)?, most, |key, header| meant.takes(key, header));
    let told: Vec<Value> = listed.entries.iter().map(|entry| shown(entry, now)).collect();
    Ok(ok(&json!({ "data": told, "next": listed.next.map(|next| next.to_string()) })))
}

fn shown(entry: &Entry, now: i64) -> Value {
    let header = &entry.header;
    let (scope, owner) = header.tenant.split_once(':').unwrap_or(("", &header.tenant));
    json!({
        "id": entry.key.to_string(),
        "scope": scope,
        "owner": owner,
        "model": header.model,
        "source_id": header.generation,
        "dialect": header.dialect.name(),
        "form": match header.form {
            Form::Whole => "whole",
            Form::Events => "stream",
            Form::Raw => "bytes",
        },
        "bytes": entry.bytes(),
        "created_at": iso(header.created_ms),
        "age_seconds": header.age_ms(now) / 1000,
        "ttl_seconds": header.left_ms(now).div_ceil(1000),
        "cost": usd(header.cost),
    })
}

fn purge(app: &App, query: &Query) -> Result<Response<Body>, Fault> {
    let meant = Meant::of(query);
    if meant.is_all() && query.get("all") != Some("true") {
        return Err(bad("all", "which? name a `model`, an `api_key_hash` or a `prefix`, or say `all=true`"));
    }
    let purged = app.cache.store.purge(|key, header| meant.takes(key, header));
    Ok(ok(&json!({ "data": { "entries": purged.entries, "bytes": purged.bytes } })))
}
