//! `slipswitch byok`: putting in, listing and removing the keys that workspaces have at providers. A secret is read from standard input,
//! where neither the shell's history nor the list of processes has it.

use crate::asking::{Gateway, escaped, failed, print, printed, usage};
use crate::cli::manage::{Byok, ByokAdd, ByokList, ByokOne, ByokWhat};
use crate::columns::{Side, table};
use crate::exit::Ending;
use crate::keys::text;
use http::Method;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use zeroize::Zeroizing;

/// No secret is longer.
const MAX_SECRET: u64 = 16 * 1024;
/// Keys on a page of the list, and in all.
const PAGE: usize = 100;
const MOST: usize = 100_000;

pub async fn byok(args: Byok) -> Result<(), Ending> {
    match args.what {
        ByokWhat::Add(args) => add(&args).await,
        ByokWhat::List(args) => list(&args).await,
        ByokWhat::Remove(args) => remove(&args).await,
    }
}

async fn add(args: &ByokAdd) -> Result<(), Ending> {
    let gateway = Gateway::of(&args.asking)?;
    let mut secret = Zeroizing::new(String::with_capacity(MAX_SECRET as usize));
    let read = std::io::stdin().lock().take(MAX_SECRET).read_to_string(&mut secret);
    read.map_err(|e| failed(format!("the key cannot be read from standard input: {e}")))?;
    let secret = secret.trim();
    if secret.is_empty() {
        let says = "no key on standard input\nhint: slipswitch byok add openai < key-file";
        return Err(usage(says));
    }
    let mut body = json!({ "provider": args.provider, "key": secret, "is_fallback": args.fallback });
    for (name, said) in [("name", &args.name), ("workspace_id", &args.workspace)] {
        if let Some(said) = said {
            body[name] = json!(said);
        }
    }
    let made = gateway.send(Method::POST, "/api/v1/byok", &body).await?["data"].take();
    if args.json {
        return print(&made);
    }
    let (provider, label, id) = (text(&made["provider"]), text(&made["label"]), text(&made["id"]));
    printed(writeln!(std::io::stdout().lock(), "{provider} {label}: {id}"))
}

async fn list(args: &ByokList) -> Result<(), Ending> {
    let gateway = Gateway::of(&args.asking)?;
    let mut all: Vec<Value> = Vec::new();
    while all.len() < MOST {
        let mut path = format!("/api/v1/byok?limit={PAGE}&offset={}", all.len());
        for (name, said) in [("workspace_id", &args.workspace), ("provider", &args.provider)] {
            if let Some(said) = said {
                path += &format!("&{name}={}", escaped(said));
            }
        }
        let page = gateway.get(&path).await?["data"].take();
        let page = page.as_array().cloned().unwrap_or_default();
        let last = page.len() < PAGE;
        all.extend(page);
        if last {
            break;
        }
    }
    if args.json {
        return print(&json!(all));
    }
    let row = |key: &Value| {
        let state = match (key["disabled"] == true, key["is_fallback"] == true) {
            (true, _) => "disabled",
            (_, true) => "fallback",
            _ => "",
        };
        let [provider, label, name, id] = ["provider", "label", "name", "id"].map(|member| text(&key[member]));
        vec![provider, text(&key["sort_order"]), label, name, id, state.to_owned()]
    };
    let head = [
        ("provider", Side::Left),
        ("order", Side::Right),
        ("secret", Side::Left),
        ("name", Side::Left),
        ("id", Side::Left),
        ("", Side::Left),
    ];
    printed(table(&mut std::io::stdout().lock(), &head, &all.iter().map(row).collect::<Vec<_>>()))
}

async fn remove(args: &ByokOne) -> Result<(), Ending> {
    let path = format!("/api/v1/byok/{}", escaped(&args.id));
    let gone = Gateway::of(&args.asking)?.send(Method::DELETE, &path, &Value::Null).await?;
    if args.json {
        return print(&gone);
    }
    printed(writeln!(std::io::stdout().lock(), "removed {}", args.id))
}
