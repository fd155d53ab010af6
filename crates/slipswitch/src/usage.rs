//! `slipswitch usage`: what was used, by model, provider, key, day or workspace; and what it would have cost at other prices.

mod reprice;

use crate::asking::{Gateway, print, printed, usage as wrong};
use crate::cli::manage::{Grouping, Period, Usage};
use crate::columns::{Side, csv, table};
use crate::exit::Ending;
use crate::keys::{dollars, text};
use crate::when;
use http::Method;
use serde_json::{Value, json};
use slip_server::clock;

/// From when to when, in Unix milliseconds.
pub fn period(said: &Period) -> Result<(i64, i64), Ending> {
    let now = clock::unix_ms_signed();
    let since = when::moment(&said.since, now).map_err(wrong)?;
    let until = said.until.as_deref().map_or(Ok(now), |text| when::moment(text, now)).map_err(wrong)?;
    if since >= until {
        return Err(wrong("--since is not before --until"));
    }
    Ok((since, until))
}

/// Sums are kept by the hour. Whoever says "7d", or nothing of an end, does not mean the minute; of what is said exactly, the gateway
/// tells that it was widened.
fn whole_hours(said: &Period, (since, until): (i64, i64)) -> (i64, i64) {
    const HOUR_MS: i64 = 3_600_000;
    let roughly = said.since.ends_with(['d', 'h', 'm']);
    let begin = if roughly { since - since.rem_euclid(HOUR_MS) } else { since };
    let end = if said.until.is_none() { until - until.rem_euclid(HOUR_MS) + HOUR_MS } else { until };
    (begin, end)
}

impl Grouping {
    /// What the gateway calls it.
    const fn dimension(self) -> &'static str {
        match self {
            Grouping::Model => "model",
            Grouping::Provider => "provider",
            Grouping::Key => "api_key_id",
            Grouping::Workspace => "workspace",
            Grouping::Day => "date__day",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Grouping::Model => "model",
            Grouping::Provider => "provider",
            Grouping::Key => "key",
            Grouping::Workspace => "workspace",
            Grouping::Day => "day",
        }
    }
}

const METRICS: [&str; 7] = [
    "request_count",
    "failed_count",
    "tokens_prompt",
    "cached_tokens",
    "tokens_completion",
    "credits_usage",
    "byok_usage",
];

pub async fn usage(args: Usage) -> Result<(), Ending> {
    let period = period(&args.period)?;
    let gateway = Gateway::of(&args.asking)?;
    if let Some(file) = &args.reprice {
        return reprice::reprice(&gateway, &args, file, period).await;
    }
    let (begin, end) = whole_hours(&args.period, period);
    let mut body = json!({
        "metrics": METRICS,
        "time_range": { "start": when::iso(begin), "end": when::iso(end) },
        "limit": 10_000,
        "order_by": { "field": "credits_usage", "direction": "desc" },
    });
    if args.by == Grouping::Day {
        body["granularity"] = json!("day");
        body["order_by"] = json!({ "field": "date", "direction": "asc" });
    } else {
        body["dimensions"] = json!([args.by.dimension()]);
    }
    let mut answer = gateway.send(Method::POST, "/api/v1/analytics/query", &body).await?["data"].take();
    if answer["metadata"]["truncated"] == true {
        anstream::eprintln!("warning: there are more rows than are told (10,000): shorten the period");
    }
    for warning in answer["warnings"].as_array().into_iter().flatten() {
        anstream::eprintln!("note: {}", text(warning));
    }
    let Value::Array(rows) = answer["data"].take() else { return Err(wrong("the gateway answered without rows")) };
    if args.json {
        return print(&json!(rows));
    }
    let named = |row: &Value| match text(&row[args.by.dimension()]) {
        name if name.is_empty() => "(none)".to_owned(),
        name if args.by == Grouping::Day => name.chars().take(10).collect(),
        name => name,
    };
    let mut out = std::io::stdout().lock();
    if args.csv {
        let head: Vec<String> = std::iter::once(args.by.name()).chain(METRICS).map(str::to_owned).collect();
        printed(csv(&mut out, &head))?;
        for row in &rows {
            let cells: Vec<String> =
                std::iter::once(named(row)).chain(METRICS.iter().map(|metric| text(&row[*metric]))).collect();
            printed(csv(&mut out, &cells))?;
        }
        return Ok(());
    }
    let head = [
        (args.by.name(), Side::Left),
        ("requests", Side::Right),
        ("failed", Side::Right),
        ("tokens in", Side::Right),
        ("cached", Side::Right),
        ("tokens out", Side::Right),
        ("cost", Side::Right),
    ];
    let told = |row: &Value| {
        let counts = METRICS[..5].iter().map(|metric| text(&row[*metric]));
        std::iter::once(named(row)).chain(counts).chain([dollars(&row["credits_usage"])]).collect()
    };
    let mut lines: Vec<Vec<String>> = rows.iter().map(told).collect();
    if rows.len() > 1 {
        let sum = |metric: &str| rows.iter().filter_map(|row| row[metric].as_i64()).sum::<i64>().to_string();
        let cost: f64 = rows.iter().filter_map(|row| row["credits_usage"].as_f64()).sum();
        let counts = METRICS[..5].iter().map(|metric| sum(metric));
        lines.push(std::iter::once("together".to_owned()).chain(counts).chain([dollars(&json!(cost))]).collect());
    }
    printed(table(&mut out, &head, &lines))?;
    if rows.is_empty() {
        anstream::eprintln!("nothing was used");
    }
    Ok(())
}
