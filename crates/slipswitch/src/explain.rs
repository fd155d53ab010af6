//! `slipswitch explain`: why that provider? Asked of a running gateway, or answered from a configuration without one; and of a past
//! request, from its record.

mod past;
mod table;

use crate::asking::{Gateway, Kind, PATIENCE, failed, printed};
use crate::cli;
use crate::exit::{Code, Ending};
use serde_json::{Map, Value, json};
use slip_server::flow::explain::offline;
use std::io::{Read, Write};

/// What else can be done where there is no gateway.
const OFFLINE: &str = ", or -c for an answer without a gateway";
/// A request larger than this is not read from a file.
const MAX_FILE: u64 = 64 * 1024 * 1024;

pub async fn explain(args: cli::Explain) -> Result<(), Ending> {
    let told = match &args.id {
        Some(id) => record(&args, id).await?,
        None => decision(&args).await?,
    };
    let mut out = std::io::stdout().lock();
    let written = match (args.json, &args.id) {
        (true, _) => writeln!(out, "{told}"),
        (false, None) => table::write(&mut out, &told),
        (false, Some(_)) => past::write(&mut out, &told),
    };
    printed(written)
}

async fn decision(args: &cli::Explain) -> Result<Value, Ending> {
    let body = request(args)?;
    if args.config.is_some() {
        let world = crate::config::quiet_world(args.config.as_deref())?;
        return offline(&world, body.to_string().into_bytes()).map_err(|fault| failed(&fault.says));
    }
    let gateway = gateway(args)?;
    let answer = gateway.client.post("/api/v1/explain", body.to_string(), PATIENCE).await;
    gateway.understood(answer, OFFLINE)
}

async fn record(args: &cli::Explain, id: &str) -> Result<Value, Ending> {
    if !id.starts_with("gen-") || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        let says = format!("error: not the id of a request: {id}\nhint: replies carry it in X-Generation-Id (gen-…)");
        return Err(Ending::new(Code::Usage, says));
    }
    let gateway = gateway(args)?;
    let answer = gateway.client.get(&format!("/api/v1/generation?id={id}"), PATIENCE).await;
    Ok(gateway.understood(answer, OFFLINE)?["data"].take())
}

fn gateway(args: &cli::Explain) -> Result<Gateway, Ending> {
    Gateway::find(args.url.as_deref(), args.key.as_deref(), Kind::Api)
}

/// The request that is asked about.
fn request(args: &cli::Explain) -> Result<Value, Ending> {
    let usage = |says: String| Ending::new(Code::Usage, format!("error: {says}"));
    let mut body = match &args.file {
        None => Map::new(),
        Some(path) => {
            let mut text = String::new();
            let read = if path.as_os_str() == "-" {
                std::io::stdin().lock().take(MAX_FILE).read_to_string(&mut text)
            } else {
                std::fs::File::open(path).and_then(|file| file.take(MAX_FILE).read_to_string(&mut text))
            };
            read.map_err(|e| failed(format!("{}: {e}", path.display())))?;
            match serde_json::from_str(&text) {
                Ok(Value::Object(body)) => body,
                Ok(_) => return Err(usage(format!("{}: not a JSON object", path.display()))),
                Err(e) => return Err(usage(format!("{}: {e}", path.display()))),
            }
        }
    };
    if let Some(model) = &args.model {
        body.insert("model".to_owned(), json!(model));
    }
    if !["model", "models"].iter().any(|name| body.contains_key(*name)) {
        return Err(usage("which model? --model, or a request with -f\nhint: slipswitch models".to_owned()));
    }
    let says = ["messages", "prompt", "input", "contents"].iter().any(|name| body.contains_key(*name));
    if args.prompt.is_some() || !says {
        let prompt = args.prompt.as_deref().unwrap_or("hello");
        body.insert("messages".to_owned(), json!([{ "role": "user", "content": prompt }]));
    }
    if let Some(text) = &args.provider {
        let provider: Value = serde_json::from_str(text).map_err(|e| usage(format!("--provider: {e}")))?;
        body.insert("provider".to_owned(), provider);
    }
    if let Some(sort) = &args.sort {
        let provider = body.entry("provider").or_insert_with(|| json!({}));
        match provider.as_object_mut() {
            Some(provider) => provider.insert("sort".to_owned(), json!(sort)),
            None => return Err(usage("--provider: not a JSON object".to_owned())),
        };
    }
    Ok(Value::Object(body))
}
