//! What became of a request, for people: who was tried, who was not and why, and what it came to.

use super::table::{dollars, each, text};
use serde_json::Value;
use std::io::{Result, Write};

pub fn write(out: &mut impl Write, row: &Value) -> Result<()> {
    let own = &row["slipswitch"];
    writeln!(out, "{}   {}", text(&row["id"]), text(&row["created_at"]))?;
    let model = row["model"].as_str().filter(|m| !m.is_empty()).unwrap_or("nobody");
    writeln!(out, "asked       {}, answered by {model}", text(&own["model_requested"]))?;
    if let Some(strategy) = own["strategy"].as_str() {
        writeln!(out, "order       by {strategy} (chosen by: {})", text(&own["chosen_by"]))?;
    }
    writeln!(out, "spoken      {} to {}, {}", text(&own["dialect_in"]), text(&own["dialect_out"]), text(&own["lens"]))?;
    writeln!(out, "\n  #   {:<28} {:>6} {:>9}  how it went", "endpoint", "status", "took")?;
    for (n, attempt) in each(&row["provider_responses"]).iter().enumerate() {
        let status = attempt["status"].as_u64().map_or_else(|| "-".to_owned(), |status| status.to_string());
        let took = format!("{} ms", attempt["latency"]);
        let how = attempt["error"].as_str().unwrap_or("answered");
        writeln!(out, "  {:<3} {:<28} {status:>6} {took:>9}  {how}", n + 1, text(&attempt["endpoint_id"]))?;
    }
    if each(&row["provider_responses"]).is_empty() {
        writeln!(out, "      nobody was asked")?;
    }
    for (title, list) in [("refused", &own["ruled_out"]), ("came last", &own["tried_last"])] {
        if !each(list).is_empty() {
            writeln!(out, "\n  {title}")?;
        }
        for one in each(list) {
            writeln!(out, "      {:<28} {}: {}", text(&one["endpoint"]), text(&one["rule"]), text(&one["says"]))?;
        }
    }
    let (all, listed) = (own["endpoints_refused"].as_u64().unwrap_or(0), each(&own["ruled_out"]).len() as u64);
    if all > listed {
        writeln!(out, "      and {} more", all - listed)?;
    }
    writeln!(out)?;
    if let Some(message) = own["error"]["message"].as_str() {
        writeln!(out, "failed      {}: {message}", text(&own["error"]["reason"]))?;
    }
    for loss in each(&own["losses"]) {
        writeln!(out, "lost        {}", text(loss))?;
    }
    let ms = |value: &Value| value.as_u64().map_or_else(|| "?".to_owned(), |ms| format!("{ms} ms"));
    writeln!(
        out,
        "took        {} to the first content, {} in all; {} of it the gateway's own",
        ms(&row["latency"]),
        ms(&own["total_ms"]),
        own["overhead_us"].as_u64().map_or_else(|| "?".to_owned(), |us| format!("{:.3} ms", us as f64 / 1000.0))
    )?;
    let known = if own["cost_known"] == true { dollars(&row["total_cost"]) } else { "an unknown price".to_owned() };
    writeln!(out, "cost        {known}, {} tokens in, {} out", row["tokens_prompt"], row["tokens_completion"])
}
