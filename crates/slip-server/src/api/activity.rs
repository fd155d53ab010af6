//! `GET /activity`: what was used on the last thirty days, by day, model and provider, from the daily sums.

use super::fields::bad;
use super::{Query, now, ok, unavailable, usd};
use crate::App;
use crate::body::Body;
use http::Response;
use jiff::civil::Date;
use serde_json::{Value, json};
use slip_ir::Fault;
use slip_store::workspaces::public_id;
use slip_store::{Between, By, Grain, Sums, day_of};
use std::collections::{BTreeMap, HashMap};

/// OpenRouter's number.
const DAYS: i64 = 30;
const EPOCH: Date = jiff::civil::date(1970, 1, 1);

pub async fn activity(app: &App, query: &Query) -> Result<Response<Body>, Fault> {
    let today = day_of(now());
    let (from, to) = match query.get("date") {
        None => (today - DAYS, today + 1),
        Some(text) => {
            let date = text.parse::<Date>().ok().map(day);
            let date = date.filter(|date| (today - DAYS..=today).contains(date));
            let says = "`date` must be a day of the last 30, as in 2026-11-29";
            let date = date.ok_or_else(|| bad("date", says))?;
            (date, date + 1)
        }
    };
    let grouped = match query.get("group_by") {
        None => false,
        Some("workspace") => true,
        Some(_) => return Err(bad("group_by", "`group_by` can only be workspace")),
    };
    let own = |name: &str| query.get(name).map(str::to_owned);
    let directory = app.store.directory().now();
    let stored = |name: String| directory.workspace(&name).map_or(name, |workspace| workspace.filed.id.to_string());
    let workspace = own("workspace_id").map(stored);
    let between = Between { grain: Grain::Day, from, to, key_hash: own("api_key_hash"), workspace };
    // The last moments too.
    app.store.flush().await.map_err(|e| unavailable(&e))?;
    let used = app.store.used(between).await.map_err(|e| unavailable(&e))?;
    let member = query.get("user_id");
    let mut rows: BTreeMap<(i64, By), Sums> = BTreeMap::new();
    for used in used.into_iter().filter(|used| member.is_none_or(|member| &*used.by.member == member)) {
        let workspace = if grouped { used.by.workspace } else { "".into() };
        let by = By { workspace, model: used.by.model, provider: used.by.provider, ..By::default() };
        rows.entry((-used.at, by)).or_default().add(&used.sums);
    }
    let world = app.world();
    let named = world.field.endpoints().iter().map(|endpoint| (&endpoint.provider, &endpoint.provider_name));
    let names: HashMap<_, _> = named.collect();
    let data: Vec<Value> = rows
        .iter()
        .map(|((at, by), sums)| row(-at, by, names.get(&by.provider).unwrap_or(&&by.provider), sums, grouped))
        .collect();
    Ok(ok(&json!({ "data": data })))
}

fn row(at: i64, by: &By, provider: &str, sums: &Sums, grouped: bool) -> Value {
    let mut row = json!({
        "date": date(at),
        "model": &*by.model,
        "model_permaslug": &*by.model,
        "endpoint_id": format!("{}|{}", by.provider, by.model),
        "provider_name": provider,
        "usage": usd(sums.cost),
        "byok_usage_inference": usd(sums.byok),
        "requests": sums.requests,
        "byok_requests": 0,
        "prompt_tokens": sums.prompt,
        "completion_tokens": sums.completion,
        "reasoning_tokens": sums.reasoning,
    });
    if grouped {
        row["workspace_id"] = json!(public_id(&by.workspace));
    }
    row
}

/// `2026-11-29`
pub fn date(day: i64) -> String {
    EPOCH.checked_add(jiff::Span::new().days(day)).map_or_else(|_| String::new(), |date| date.to_string())
}

pub fn day(date: Date) -> i64 {
    (date - EPOCH).get_days().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_agree() {
        for (number, text) in [(0, "1970-01-01"), (20_786, "2026-11-29"), (19_782, "2024-02-29")] {
            assert_eq!(date(number), text);
            assert_eq!(text.parse().ok().map(day), Some(number));
        }
    }
}
