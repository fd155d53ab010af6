//! `slipswitch cache`: answers that a running gateway keeps to give them again.

use crate::asking::{Gateway, escaped, print, printed, usage as wrong};
use crate::cli::manage::{Cache, CacheSome, CacheStats, CacheWhat};
use crate::columns::{Side, table};
use crate::exit::Ending;
use crate::keys::{dollars, text};
use http::Method;
use serde_json::{Value, json};
use std::io::Write;

/// No list is longer.
const MOST: usize = 100_000;

pub async fn cache(args: Cache) -> Result<(), Ending> {
    match args.what {
        CacheWhat::Stats(args) => stats(&args).await,
        CacheWhat::List(args) => list(&args).await,
        CacheWhat::Purge(args) => purge(&args).await,
    }
}

/// What is meant, as the end of an address.
fn query(some: &CacheSome) -> String {
    let said = [("model", &some.model), ("api_key_hash", &some.of), ("prefix", &some.prefix)];
    let pairs = said.iter().filter_map(|(name, value)| Some(format!("{name}={}", escaped(value.as_deref()?))));
    let all = some.all.then(|| "all=true".to_owned());
    pairs.chain(all).collect::<Vec<_>>().join("&")
}

async fn stats(args: &CacheStats) -> Result<(), Ending> {
    let told = Gateway::of(&args.asking)?.get("/api/v1/cache").await?["data"].take();
    if args.json {
        return print(&told);
    }
    let rows = [
        ("answers kept", text(&told["entries"])),
        ("bytes", format!("{} of {}", text(&told["bytes"]), text(&told["capacity"]))),
        ("given again", text(&told["hits"])),
        ("shared while on their way", text(&told["joined"])),
        ("asked for anew", text(&told["misses"])),
        ("saved", dollars(&told["saved"])),
        ("pushed out", text(&told["evicted"])),
    ];
    let mut out = std::io::stdout().lock();
    rows.iter().try_for_each(|(name, value)| printed(writeln!(out, "{name:<26} {value}")))
}

async fn list(args: &CacheSome) -> Result<(), Ending> {
    let gateway = Gateway::of(&args.asking)?;
    let (mut all, mut from) = (Vec::new(), "0".to_owned());
    while all.len() < MOST {
        let path = format!("/api/v1/cache/entries?limit=500&from={from}&{}", query(args));
        let mut page = gateway.get(&path).await?;
        let Value::Array(entries) = page["data"].take() else {
            return Err(wrong("the gateway answered without entries"));
        };
        all.extend(entries);
        match page["next"].as_str() {
            Some(next) => from = next.to_owned(),
            None => break,
        }
    }
    if args.json {
        return print(&json!(all));
    }
    let head = [
        ("id", Side::Left),
        ("model", Side::Left),
        ("of", Side::Left),
        ("form", Side::Left),
        ("bytes", Side::Right),
        ("age", Side::Right),
        ("left", Side::Right),
        ("cost", Side::Right),
    ];
    let row = |entry: &Value| {
        let short = |value: &Value| text(value).chars().take(12).collect::<String>();
        vec![
            short(&entry["id"]),
            text(&entry["model"]),
            format!("{} {}", text(&entry["scope"]), short(&entry["owner"])),
            text(&entry["form"]),
            text(&entry["bytes"]),
            format!("{} s", text(&entry["age_seconds"])),
            format!("{} s", text(&entry["ttl_seconds"])),
            dollars(&entry["cost"]),
        ]
    };
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    printed(table(&mut std::io::stdout().lock(), &head, &rows))
}

async fn purge(args: &CacheSome) -> Result<(), Ending> {
    let query = query(args);
    if query.is_empty() {
        return Err(wrong("which? say --model, --of, --prefix or --all"));
    }
    let gateway = Gateway::of(&args.asking)?;
    let told =
        gateway.send(Method::DELETE, &format!("/api/v1/cache/entries?{query}"), &Value::Null).await?["data"].take();
    if args.json {
        return print(&told);
    }
    printed(writeln!(
        std::io::stdout().lock(),
        "forgot {} answers ({} bytes)",
        text(&told["entries"]),
        text(&told["bytes"])
    ))
}
