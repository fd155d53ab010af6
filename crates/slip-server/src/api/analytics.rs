//! `/analytics`: sums of what was used, by time and by whom, of what and where; from the hourly and daily sums, never from records.
//!
//! OpenRouter's names (its own page on the schema, read 2026-11), as far as what they name is counted here; the rest is refused by name.

mod asked;
mod words;

use super::{now, ok, unavailable};
use crate::App;
use crate::body::Body;
use crate::clock;
use asked::{Asked, Bucket};
use http::{Request, Response};
use hyper::body::Incoming;
use serde_json::{Map, Value, json};
use slip_ir::Fault;
use slip_store::{Sums, Used};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use words::{Dimension, GRANULARITIES, METRICS, Metric, OPERATORS};

pub fn meta() -> Response<Body> {
    let metric = |m: &Metric| json!({ "name": m.name, "display_label": m.label, "is_rate": m.is_rate(), "display_format": m.format() });
    let dimension = |d: &Dimension| json!({ "name": d.name(), "display_label": d.label() });
    let operator = |(name, kind): &(&str, &str)| json!({ "name": name, "value_type": kind });
    let granularity = |(name, label): &(&str, &str)| json!({ "name": name, "display_label": label });
    ok(&json!({ "data": {
        "metrics": METRICS.iter().map(metric).collect::<Vec<_>>(),
        "dimensions": Dimension::ALL.iter().map(dimension).collect::<Vec<_>>(),
        "operators": OPERATORS.iter().map(operator).collect::<Vec<_>>(),
        "granularities": GRANULARITIES.iter().map(granularity).collect::<Vec<_>>(),
    } }))
}

/// One row of the answer: when, of what, how much.
struct Row {
    at: Option<i64>,
    by: Vec<String>,
    sums: Sums,
}

pub async fn query(app: &App, request: Request<Incoming>) -> Result<Response<Body>, Fault> {
    let began = clock::now();
    let (parts, body) = request.into_parts();
    let asked = Asked::read(&parts.headers, body, now()).await?;
    // The last moments too.
    app.store.flush().await.map_err(|e| unavailable(&e))?;
    let used = app.store.used(asked.between.clone()).await.map_err(|e| unavailable(&e))?;
    let mut rows = summed(&asked, used);
    rows.sort_by(|a, b| asked.order(a, b));
    let truncated = cut(&mut rows, &asked);
    let data: Vec<Value> = rows.iter().map(|row| told(app, &asked, row)).collect();
    let mut answer = json!({
        "data": data,
        "metadata": {
            "query_time_ms": clock::ms(clock::now().duration_since(began)),
            "row_count": data.len(),
            "truncated": truncated,
        },
    });
    if !asked.warnings.is_empty() {
        answer["warnings"] = json!(asked.warnings);
    }
    Ok(ok(&json!({ "data": answer })))
}

fn summed(asked: &Asked, used: Vec<Used>) -> Vec<Row> {
    let mut rows: BTreeMap<(Option<i64>, Vec<String>), Sums> = BTreeMap::new();
    for used in used.into_iter().filter(|used| asked.filters.iter().all(|filter| filter.takes(&used.by))) {
        let at = asked.bucket.map(|bucket| bucket.begin(used.at.saturating_mul(asked.between.grain.ms())));
        let by = asked.dimensions.iter().map(|dimension| dimension.of(&used.by).to_owned()).collect();
        rows.entry((at, by)).or_default().add(&used.sums);
    }
    if rows.is_empty() && asked.bucket.is_none() && asked.dimensions.is_empty() {
        // A total of nothing is a total.
        rows.insert((None, Vec::new()), Sums::default());
    }
    rows.into_iter().map(|((at, by), sums)| Row { at, by, sums }).collect()
}

/// No more rows than are asked for, of each group and of all. Says whether there were more.
fn cut(rows: &mut Vec<Row>, asked: &Asked) -> bool {
    let all = rows.len();
    if let Some(most) = asked.group_limit.filter(|_| !asked.dimensions.is_empty()) {
        let mut seen: BTreeMap<Vec<String>, usize> = BTreeMap::new();
        rows.retain(|row| {
            let count = seen.entry(row.by.clone()).or_default();
            *count += 1;
            *count <= most
        });
    }
    rows.truncate(asked.limit);
    rows.len() < all
}

fn told(app: &App, asked: &Asked, row: &Row) -> Value {
    let mut told = Map::new();
    if let (Some(bucket), Some(at)) = (asked.bucket, row.at) {
        told.insert(format!("date__{}", bucket.name()), json!(super::iso(at)));
    }
    for (dimension, value) in asked.dimensions.iter().zip(&row.by) {
        if *dimension == Dimension::Key {
            // Told by name, for people; what it can be asked for by is the hash.
            let key = app.store.keyring().by_hash(value);
            told.insert("api_key_hash".to_owned(), json!(value));
            let name = key.map_or_else(|| value.clone(), |key| key.name.clone());
            told.insert(dimension.name().to_owned(), json!(name));
        } else {
            told.insert(dimension.name().to_owned(), json!(value));
        }
    }
    for metric in &asked.metrics {
        told.insert(metric.name.to_owned(), metric.told(&row.sums));
    }
    Value::Object(told)
}

impl Asked {
    fn order(&self, a: &Row, b: &Row) -> Ordering {
        use asked::Field;
        let ordered = match &self.order_by {
            Field::Date => a.at.cmp(&b.at),
            Field::Dimension(n) => a.by.get(*n).cmp(&b.by.get(*n)),
            Field::Metric(metric) => metric.size(&a.sums).total_cmp(&metric.size(&b.sums)),
        };
        let ordered = if self.descending { ordered.reverse() } else { ordered };
        // What is alike stays in an order that does not change: the newest first, then by name.
        ordered.then_with(|| b.at.cmp(&a.at)).then_with(|| a.by.cmp(&b.by))
    }
}

impl Bucket {
    /// When the bucket begins in which this moment lies, in Unix milliseconds.
    fn begin(self, unix_ms: i64) -> i64 {
        const DAY_MS: i64 = 86_400_000;
        let day = unix_ms.div_euclid(DAY_MS);
        match self {
            Bucket::Hour => unix_ms - unix_ms.rem_euclid(3_600_000),
            Bucket::Day => day * DAY_MS,
            // 1970-01-01 was a Thursday; weeks begin on Mondays.
            Bucket::Week => (day - (day + 3).rem_euclid(7)) * DAY_MS,
            Bucket::Month => {
                let date = super::activity::date(day);
                let first = date.get(..8).and_then(|month| format!("{month}01").parse().ok()).map(super::activity::day);
                first.unwrap_or(day) * DAY_MS
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slip_store::By;

    fn asked(body: Value) -> Result<Asked, String> {
        // 2026-11-29T12:34:56Z
        Asked::of(body.to_string().as_bytes(), 1_795_955_696_000).map_err(|fault| fault.says.to_string())
    }

    #[test]
    fn buckets_begin_where_people_expect() {
        // 2026-11-29T12:34:56Z, a Sunday.
        let at = 1_795_955_696_000;
        let rows = [
            (Bucket::Hour, "2026-11-29T12:00:00.000Z"),
            (Bucket::Day, "2026-11-29T00:00:00.000Z"),
            (Bucket::Week, "2026-11-23T00:00:00.000Z"),
            (Bucket::Month, "2026-11-01T00:00:00.000Z"),
        ];
        for (bucket, want) in rows {
            assert_eq!(super::super::iso(bucket.begin(at)), want);
        }
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        let metric = ["request_count"];
        let rows = [
            (json!({}), "`metrics` is needed"),
            (json!({ "metrics": [] }), "`metrics` is needed"),
            (json!({ "metrics": ["requests"] }), "no such metric: requests; did you mean `request_count`?"),
            (json!({ "metrics": ["p99_latency"] }), "no such metric: p99_latency"),
            (json!({ "metrics": metric, "dimensions": ["country"] }), "no such dimension: country"),
            (json!({ "metrics": metric, "dimensions": ["model", "user", "provider"] }), "at most 2"),
            (json!({ "metrics": metric, "granularity": "minute" }), "no such granularity: minute"),
            (json!({ "metrics": metric, "classifier_filters": {} }), "`classifier_filters` is not known here"),
            (
                json!({ "metrics": metric, "filters": [{ "field": "model", "operator": "like", "value": "x" }] }),
                "no such operator: like",
            ),
            (
                json!({ "metrics": metric, "filters": [{ "field": "model", "operator": "in", "value": "x" }] }),
                "takes a list",
            ),
            (
                json!({ "metrics": metric, "filters": [{ "field": "model", "operator": "eq", "value": ["x"] }] }),
                "takes one value",
            ),
            (
                json!({ "metrics": metric, "filters": [{ "field": "status", "operator": "eq", "value": 5 }] }),
                "no such dimension: status",
            ),
            (
                json!({ "metrics": metric, "order_by": { "field": "total_usage", "direction": "asc" } }),
                "`order_by.field`",
            ),
            (json!({ "metrics": metric, "order_by": { "field": "request_count", "direction": "up" } }), "asc or desc"),
            (json!({ "metrics": metric, "order_by": { "field": "date", "direction": "asc" } }), "`order_by.field`"),
            (json!({ "metrics": metric, "limit": 10_001 }), "`limit` must be a whole number from 1 to 10000"),
            (
                json!({ "metrics": metric, "time_range": { "start": "2026-11-02T00:00:00Z", "end": "2026-11-01T00:00:00Z" } }),
                "begins after it ends",
            ),
            (
                json!({ "metrics": metric, "time_range": { "start": "yesterday", "end": "2026-11-01T00:00:00Z" } }),
                "a moment in UTC",
            ),
            (
                json!({ "metrics": metric, "time_range": { "start": "2024-01-01T00:00:00Z", "end": "2026-11-01T00:00:00Z" } }),
                "at most 366 days",
            ),
            (
                json!({ "metrics": metric, "granularity": "hour", "time_range": { "start": "2026-09-01T00:00:00Z", "end": "2026-11-01T00:00:00Z" } }),
                "at most 31 days",
            ),
        ];
        for (body, says) in rows {
            let told = asked(body.clone()).err().unwrap_or_default();
            assert!(told.contains(says), "{body}: {told}");
        }
        assert!(
            asked(
                json!({ "metrics": metric, "order_by": { "field": "date", "direction": "asc" }, "granularity": "day" })
            )
            .is_ok()
        );
    }

    #[test]
    fn filters_take_what_they_say() {
        let by = By { model: "a/b".into(), provider: "lab".into(), ..By::default() };
        let rows = [
            (json!({ "field": "model", "operator": "eq", "value": "a/b" }), true),
            (json!({ "field": "model", "operator": "neq", "value": "a/b" }), false),
            (json!({ "field": "provider", "operator": "in", "value": ["x", "lab"] }), true),
            (json!({ "field": "provider", "operator": "not_in", "value": ["x", "lab"] }), false),
            (json!({ "field": "provider", "operator": "gte", "value": "lab" }), true),
            (json!({ "field": "provider", "operator": "lt", "value": "lab" }), false),
            (json!({ "field": "user", "operator": "not_in", "value": ["u"] }), false),
            (json!({ "field": "user", "operator": "not_in", "value": ["u"], "include_unset": true }), true),
            (json!({ "field": "user", "operator": "in", "value": ["u"], "include_unset": true }), true),
        ];
        for (filter, want) in rows {
            let asked = asked(json!({ "metrics": ["request_count"], "filters": [filter] })).expect("fine");
            assert_eq!(asked.filters[0].takes(&by), want, "{filter}");
        }
    }

    #[test]
    fn rows_are_summed_ordered_and_cut() {
        let used = |at: i64, model: &str, requests: i64| Used {
            at,
            by: By { model: model.into(), ..By::default() },
            sums: Sums { requests, prompt: 100 * requests, cached: 50 * requests, ..Sums::default() },
        };
        let all = || vec![used(20_786, "a", 1), used(20_786, "b", 5), used(20_785, "a", 2), used(20_785, "b", 3)];
        let rows = |body: Value| {
            let asked = asked(body).expect("fine");
            let mut rows = summed(&asked, all());
            rows.sort_by(|a, b| asked.order(a, b));
            let truncated = cut(&mut rows, &asked);
            let told: Vec<_> = rows.iter().map(|row| (row.by.join("|"), row.sums.requests)).collect();
            (told, truncated)
        };
        let named = |rows: &[(&str, i64)]| rows.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect::<Vec<_>>();
        let metrics = ["request_count"];
        assert_eq!(rows(json!({ "metrics": metrics })), (named(&[("", 11)]), false));
        assert_eq!(rows(json!({ "metrics": metrics, "dimensions": ["model"] })), (named(&[("b", 8), ("a", 3)]), false));
        let asc = json!({ "field": "request_count", "direction": "asc" });
        let body = json!({ "metrics": metrics, "dimensions": ["model"], "order_by": asc, "limit": 1 });
        assert_eq!(rows(body), (named(&[("a", 3)]), true));
        let range = json!({ "start": "2026-11-28T00:00:00Z", "end": "2026-11-30T00:00:00Z" });
        let body = json!({ "metrics": metrics, "granularity": "day", "time_range": range });
        assert_eq!(rows(body.clone()), (named(&[("", 6), ("", 5)]), false), "the newest first");
        let mut grouped = body;
        (grouped["dimensions"], grouped["group_limit"]) = (json!(["model"]), json!(1));
        assert_eq!(rows(grouped), (named(&[("a", 1), ("b", 5)]), true));
    }
}
