//! What the same usage would have cost at the prices of a configuration: from the tokens of each record, class by class. History is not
//! touched.

use crate::asking::{Gateway, print, printed};
use crate::cli::manage::Usage;
use crate::columns::{Side, csv, table};
use crate::exit::Ending;
use crate::export::records;
use crate::keys::{dollars, text};
use serde_json::{Value, json};
use slip_ir::{Nano, Price, Tier};
use slip_server::world::World;
use slip_store::Classes;
use std::collections::BTreeMap;
use std::path::Path;

/// What was asked of one model at one provider.
#[derive(Default)]
struct Sums {
    requests: u64,
    was: Nano,
    /// Of those whose price is known.
    would: Nano,
    /// What those were charged.
    was_of_known: Nano,
    unknown: u64,
}

pub async fn reprice(gateway: &Gateway, args: &Usage, file: &Path, period: (i64, i64)) -> Result<(), Ending> {
    let world = crate::config::quiet_world(Some(file))?;
    let mut sums: BTreeMap<(String, String), Sums> = BTreeMap::new();
    records(gateway, period, |record| {
        count(&world, &mut sums, record);
        Ok(())
    })
    .await?;
    let rows: Vec<Value> = sums.iter().map(|((model, provider), sums)| row(model, provider, sums)).collect();
    let mut out = std::io::stdout().lock();
    let names = ["model", "provider", "requests", "cost", "repriced", "unknown_price"];
    if args.json {
        return print(&json!(rows));
    }
    if args.csv {
        printed(csv(&mut out, &names.map(str::to_owned)))?;
        for row in &rows {
            printed(csv(&mut out, &names.map(|name| text(&row[name]))))?;
        }
        return Ok(());
    }
    let head = [
        ("model", Side::Left),
        ("provider", Side::Left),
        ("requests", Side::Right),
        ("cost", Side::Right),
        ("repriced", Side::Right),
    ];
    let told = |row: &Value| {
        let repriced = if row["repriced"].is_null() { "unknown".to_owned() } else { dollars(&row["repriced"]) };
        vec![text(&row["model"]), text(&row["provider"]), text(&row["requests"]), dollars(&row["cost"]), repriced]
    };
    printed(table(&mut out, &head, &rows.iter().map(told).collect::<Vec<_>>()))?;
    let (was, would) =
        sums.values().fold((Nano(0), Nano(0)), |(was, would), s| (was + s.was_of_known, would + s.would));
    anstream::println!("\ntogether, where both prices are known: {} then, {} at these prices", usd(was), usd(would));
    for ((model, provider), sums) in sums.iter().filter(|(_, sums)| sums.unknown > 0) {
        let who = if provider.is_empty() { String::new() } else { format!(" at {provider}") };
        anstream::eprintln!(
            "unknown price: {model}{who}, of {} requests ({} then)",
            sums.unknown,
            usd(Nano(sums.was.0 - sums.was_of_known.0))
        );
    }
    Ok(())
}

fn usd(amount: Nano) -> String {
    dollars(&amount.to_usd_string().parse::<f64>().map_or(Value::Null, |n| json!(n)))
}

fn row(model: &str, provider: &str, sums: &Sums) -> Value {
    let number = |amount: Nano| amount.to_usd_string().parse::<f64>().map_or(Value::Null, |n| json!(n));
    json!({
        "model": model,
        "provider": provider,
        "requests": sums.requests,
        "cost": number(sums.was),
        "repriced": if sums.unknown == sums.requests { Value::Null } else { number(sums.would) },
        "unknown_price": sums.unknown,
    })
}

fn count(world: &World, sums: &mut BTreeMap<(String, String), Sums>, record: &Value) {
    let own = &record["slipswitch"];
    // What was never answered was never charged, nor what another had been.
    if record["latency"].is_null() || !own["cache"].is_null() {
        return;
    }
    let (model, provider) = (text(&record["model"]), text(&own["provider"]));
    let was = Nano::usd(&record["total_cost"].to_string()).unwrap_or_default();
    let price = price(world, &model, &provider, record);
    let tier = record["service_tier"].as_str().and_then(Tier::parse);
    let usage = serde_json::from_value::<Classes>(own["tokens"].clone())
        .ok()
        .map(|classes| slip_ir::Usage { tier, ..classes.0 });
    let would = match (record["is_byok"] == true, price, usage) {
        (true, ..) => Some(Nano(0)),
        (false, Some(price), Some(usage)) => price.at(tier).map(|price| price.cost(&usage).total),
        _ => None,
    };
    let sums = sums.entry((model, provider)).or_default();
    sums.requests += 1;
    sums.was = sums.was + was;
    match would {
        Some(would) => {
            sums.would = sums.would + would;
            sums.was_of_known = sums.was_of_known + was;
        }
        None => sums.unknown += 1,
    }
}

/// What the endpoint that answered costs by this configuration; another of the same provider's, where it is not there under its tag.
fn price<'a>(world: &'a World, model: &str, provider: &str, record: &Value) -> Option<&'a Price> {
    let attempts = record["provider_responses"].as_array();
    let answered = attempts.and_then(|all| all.iter().rev().find(|attempt| attempt["cancelled"] != true));
    let tag = answered.map(|attempt| text(&attempt["endpoint_id"])).unwrap_or_default();
    let all = || world.field.endpoints().iter().filter(|e| *e.model.canonical == *model && *e.provider == *provider);
    let endpoint =
        all().find(|e| *e.tag == *tag).or_else(|| all().find(|e| e.tier == Tier::Standard && e.variant.is_none()))?;
    endpoint.price.as_deref()
}
