//! `slipswitch export`: the records of a period, the newest first, as CSV or a JSON object per line; page by page, so that none is too
//! many.

use crate::asking::{Gateway, printed};
use crate::cli::manage::{Export, Format};
use crate::columns::csv;
use crate::exit::Ending;
use crate::keys::text;
use crate::usage::period;
use crate::when;
use serde_json::Value;
use std::io::{BufWriter, Write};

/// Records asked for at once.
const PAGE: usize = 500;
/// Records stand in the order in which requests ended: one that ended so long after another may have begun before it.
const LONGEST_MS: i64 = 3_600_000;

/// Columns, and where in a record they are.
const COLUMNS: [(&str, &str); 27] = [
    ("id", "/id"),
    ("created_at", "/created_at"),
    ("api_key_hash", "/slipswitch/api_key_hash"),
    ("workspace_id", "/workspace_id"),
    ("external_user", "/external_user"),
    ("operation", "/slipswitch/operation"),
    ("model_requested", "/slipswitch/model_requested"),
    ("model", "/model"),
    ("provider", "/slipswitch/provider"),
    ("service_tier", "/service_tier"),
    ("status", "/slipswitch/status"),
    ("error", "/slipswitch/error/reason"),
    ("finish_reason", "/finish_reason"),
    ("streamed", "/streamed"),
    ("cancelled", "/cancelled"),
    ("latency_ms", "/latency"),
    ("total_ms", "/slipswitch/total_ms"),
    ("attempts", "/slipswitch/attempts"),
    ("tokens_prompt", "/tokens_prompt"),
    ("tokens_cached", "/native_tokens_cached"),
    ("tokens_completion", "/tokens_completion"),
    ("tokens_reasoning", "/native_tokens_reasoning"),
    ("cost_usd", "/total_cost"),
    ("cost_known", "/slipswitch/cost_known"),
    ("upstream_cost_usd", "/upstream_inference_cost"),
    ("cache_discount_usd", "/cache_discount"),
    ("price_version", "/slipswitch/price/version"),
];

pub async fn export(args: Export) -> Result<(), Ending> {
    let period = period(&args.period)?;
    let gateway = Gateway::of(&args.asking)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    if args.format == Format::Csv {
        printed(csv(&mut out, &COLUMNS.map(|(name, _)| name.to_owned())))?;
    }
    records(&gateway, period, |record| match args.format {
        Format::Json => writeln!(out, "{record}"),
        Format::Csv => csv(&mut out, &COLUMNS.map(|(_, at)| record.pointer(at).map_or_else(String::new, text))),
    })
    .await?;
    printed(out.flush())
}

/// Every record of the period, the newest first. One that cannot be written is the last.
pub async fn records(
    gateway: &Gateway,
    (since, until): (i64, i64),
    mut take: impl FnMut(&Value) -> std::io::Result<()>,
) -> Result<(), Ending> {
    let mut before = String::new();
    loop {
        let mut page = gateway.get(&format!("/api/v1/generations?limit={PAGE}{before}")).await?;
        let Value::Array(rows) = page["data"].take() else { return Ok(()) };
        let began = |row: &Value| row["created_at"].as_str().and_then(when::of).unwrap_or_default();
        for row in rows.iter().filter(|row| (since..until).contains(&began(row))) {
            if let Err(e) = take(row) {
                return printed(Err(e));
            }
        }
        let past = rows.iter().all(|row| began(row) < since - LONGEST_MS);
        match page["next"].as_str() {
            Some(next) if !past => before = format!("&before={next}"),
            _ => return Ok(()),
        }
    }
}
