//! `slipswitch keys`: making, listing, changing, rotating and revoking keys of a running gateway.

use crate::asking::{Gateway, escaped, print, printed, usage};
use crate::cli::manage::{KeyLimits, Keys, KeysCreate, KeysEdit, KeysList, KeysOne, KeysRotate, KeysWhat};
use crate::columns::{Side, table};
use crate::exit::{Code, Ending};
use http::Method;
use serde_json::{Map, Number, Value, json};
use std::io::Write;

/// Keys on a page of the list.
const PAGE: usize = 100;
/// No list is longer.
const MOST: usize = 100_000;

pub async fn keys(args: Keys) -> Result<(), Ending> {
    match args.what {
        KeysWhat::Create(args) => create(&args).await,
        KeysWhat::List(args) => list(&args).await,
        KeysWhat::Show(args) => show(&args).await,
        KeysWhat::Edit(args) => edit(&args).await,
        KeysWhat::Rotate(args) => rotate(&args).await,
        KeysWhat::Revoke(args) => revoke(&args).await,
    }
}

async fn create(args: &KeysCreate) -> Result<(), Ending> {
    let mut body = limits(&args.limits)?;
    body.insert("name".to_owned(), json!(args.name));
    for (name, said) in [("workspace_id", &args.workspace), ("creator_user_id", &args.member)] {
        if let Some(said) = said {
            body.insert(name.to_owned(), json!(said));
        }
    }
    if args.management {
        body.insert("is_management_key".to_owned(), json!(true));
    }
    let made = Gateway::of(&args.asking)?.send(Method::POST, "/api/v1/keys", &Value::Object(body)).await?;
    secret_told(&made, args.quiet, args.json)
}

async fn list(args: &KeysList) -> Result<(), Ending> {
    let all = all(&Gateway::of(&args.asking)?, args.workspace.as_deref(), args.all).await?;
    if args.json {
        return print(&json!(all));
    }
    let row = |key: &Value| {
        let mut state = if key["disabled"] == true { "disabled" } else { "" };
        if key["is_management_key"] == true {
            state = "management";
        }
        let hash: String = text(&key["hash"]).chars().take(12).collect();
        vec![
            text(&key["name"]),
            hash,
            text(&key["label"]),
            dollars(&key["usage"]),
            dollars(&key["limit"]),
            state.to_owned(),
        ]
    };
    let head = [
        ("name", Side::Left),
        ("hash", Side::Left),
        ("secret", Side::Left),
        ("used", Side::Right),
        ("limit", Side::Right),
        ("", Side::Left),
    ];
    printed(table(&mut std::io::stdout().lock(), &head, &all.iter().map(row).collect::<Vec<_>>()))
}

async fn show(args: &KeysOne) -> Result<(), Ending> {
    let gateway = Gateway::of(&args.asking)?;
    let key = gateway.get(&path(&gateway, &args.which).await?).await?["data"].take();
    told(&key, args.json)
}

async fn edit(args: &KeysEdit) -> Result<(), Ending> {
    let mut body = limits(&args.limits)?;
    if let Some(name) = &args.name {
        body.insert("name".to_owned(), json!(name));
    }
    if args.disable || args.enable {
        body.insert("disabled".to_owned(), json!(args.disable));
    }
    if body.is_empty() {
        return Err(usage("nothing to change\nhint: slipswitch keys edit --help"));
    }
    let gateway = Gateway::of(&args.asking)?;
    let path = path(&gateway, &args.which).await?;
    let key = gateway.send(Method::PATCH, &path, &Value::Object(body)).await?["data"].take();
    told(&key, args.json)
}

async fn rotate(args: &KeysRotate) -> Result<(), Ending> {
    let gateway = Gateway::of(&args.asking)?;
    let path = format!("{}/rotate", path(&gateway, &args.which).await?);
    let body = args.overlap.map_or_else(|| json!({}), |seconds| json!({ "overlap_seconds": seconds }));
    secret_told(&gateway.send(Method::POST, &path, &body).await?, args.quiet, args.json)
}

async fn revoke(args: &KeysOne) -> Result<(), Ending> {
    let gateway = Gateway::of(&args.asking)?;
    let gone = gateway.send(Method::DELETE, &path(&gateway, &args.which).await?, &Value::Null).await?;
    if args.json {
        return print(&gone);
    }
    printed(writeln!(std::io::stdout().lock(), "revoked {}", args.which))
}

/// Where a key is that somebody names by its hash, the beginning of it, or its name.
async fn path(gateway: &Gateway, which: &str) -> Result<String, Ending> {
    let at = |hash: &str| format!("/api/v1/keys/{}", escaped(hash));
    if which.len() == 64 && which.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(at(which));
    }
    let keys = all(gateway, None, true).await?;
    let named: Vec<&Value> = keys.iter().filter(|key| key["name"] == which).collect();
    let begins = |key: &&Value| which.len() >= 6 && text(&key["hash"]).starts_with(which);
    let found = if named.is_empty() { keys.iter().filter(begins).collect() } else { named };
    match found.as_slice() {
        [one] => Ok(at(&text(&one["hash"]))),
        [] => {
            let says = format!(
                "error: no key of the default workspace is called {which} or has a hash that begins so\nhint: slipswitch keys list --all (a key of another workspace is named by its whole hash)"
            );
            Err(Ending::new(Code::NotFound, says))
        }
        several => {
            let hashes: Vec<String> = several.iter().map(|key| text(&key["hash"])).collect();
            Err(usage(format!(
                "{} keys are called {which}: say which by its hash\n  {}",
                several.len(),
                hashes.join("\n  ")
            )))
        }
    }
}

async fn all(gateway: &Gateway, workspace: Option<&str>, disabled: bool) -> Result<Vec<Value>, Ending> {
    let mut all: Vec<Value> = Vec::new();
    while all.len() < MOST {
        let workspace = workspace.map_or_else(String::new, |name| format!("&workspace_id={}", escaped(name)));
        let path = format!("/api/v1/keys?offset={}&include_disabled={disabled}{workspace}", all.len());
        let mut page = gateway.get(&path).await?;
        let Value::Array(keys) = page["data"].take() else { break };
        let last = keys.len() < PAGE;
        all.extend(keys);
        if last {
            break;
        }
    }
    Ok(all)
}

/// The members of a body that say what was said.
fn limits(said: &KeyLimits) -> Result<Map<String, Value>, Ending> {
    let mut body = Map::new();
    let number = |name: &str, text: &str| {
        // As it was written: a double need not be exact.
        let number =
            serde_json::from_str::<Number>(text).map_err(|_| usage(format!("not a number: --{name} {text}")))?;
        Ok::<_, Ending>(Value::Number(number))
    };
    let words = |text: &str| text.split(',').map(str::trim).filter(|w| !w.is_empty()).map(|w| json!(w)).collect();
    let rows = [
        ("limit", "limit", &said.limit),
        ("rpm", "requests_per_minute", &said.rpm),
        ("tpm", "tokens_per_minute", &said.tpm),
        ("concurrent", "max_concurrent", &said.concurrent),
        ("store-content", "store_content_days", &said.store_content),
        ("cache", "cache", &said.cache),
        ("cache-ttl", "cache_ttl_seconds", &said.cache_ttl),
        ("cache-scope", "cache_scope", &said.cache_scope),
        ("models", "allowed_models", &said.models),
        ("providers", "allowed_providers", &said.providers),
        ("addresses", "allowed_addresses", &said.addresses),
        ("reset", "limit_reset", &said.reset),
        ("priority", "priority", &said.priority),
        ("expires", "expires_at", &said.expires),
    ];
    for (option, name, text) in rows {
        let Some(text) = text else { continue };
        let value = match option {
            _ if text == "none" => Value::Null,
            "models" | "providers" | "addresses" => Value::Array(words(text)),
            "reset" | "priority" | "expires" | "cache" | "cache-scope" => json!(text),
            _ => number(option, text)?,
        };
        body.insert(name.to_owned(), value);
    }
    Ok(body)
}

/// A new secret, which nobody will be told again.
fn secret_told(made: &Value, quiet: bool, json: bool) -> Result<(), Ending> {
    if json {
        return print(made);
    }
    let secret = text(&made["key"]);
    let mut out = std::io::stdout().lock();
    if quiet {
        return printed(writeln!(out, "{secret}"));
    }
    printed(writeln!(out, "{secret}"))?;
    let data = &made["data"];
    anstream::eprintln!("the secret of {} ({}): shown once, keep it now", text(&data["name"]), text(&data["hash"]));
    if let Some(until) = data["old_secret_until"].as_str() {
        anstream::eprintln!("the old one opens it until {until}");
    }
    Ok(())
}

/// One key, for people: what is set of it.
fn told(key: &Value, json: bool) -> Result<(), Ending> {
    if json {
        return print(key);
    }
    let mut out = std::io::stdout().lock();
    let money = ["limit", "limit_remaining", "usage", "usage_daily", "usage_weekly", "usage_monthly", "byok_usage"];
    let rows = [
        "name",
        "hash",
        "label",
        "workspace_id",
        "creator_user_id",
        "disabled",
        "is_management_key",
        "limit",
        "limit_remaining",
        "limit_reset",
        "usage",
        "usage_daily",
        "usage_weekly",
        "usage_monthly",
        "byok_usage",
        "allowed_models",
        "allowed_providers",
        "allowed_addresses",
        "requests_per_minute",
        "tokens_per_minute",
        "max_concurrent",
        "priority",
        "store_content_days",
        "cache",
        "cache_ttl_seconds",
        "cache_scope",
        "created_at",
        "updated_at",
        "expires_at",
        "old_secret_until",
    ];
    for name in rows {
        let value = &key[name];
        let told = match value {
            Value::Null | Value::Bool(false) => continue,
            Value::Array(list) if list.is_empty() => continue,
            Value::Array(list) => list.iter().map(text).collect::<Vec<_>>().join(", "),
            value if money.contains(&name) => dollars(value),
            value => text(value),
        };
        printed(writeln!(out, "{:<20} {told}", name.replace('_', " ")))?;
    }
    Ok(())
}

/// A value as people read it.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// `$0.0042`; nothing where there is none.
pub fn dollars(value: &Value) -> String {
    value.as_f64().map_or_else(String::new, |usd| {
        let told = format!("{usd:.6}");
        let short = told.trim_end_matches('0');
        let places = short.len() - short.find('.').map_or(short.len(), |at| at + 1);
        format!("${usd:.*}", places.max(2))
    })
}
