//! `slipswitch providers`: who is known and configured, whether they answer, and what an unknown server is.

mod ask;
mod listing;
mod look;
mod snippet;
mod test;

use crate::cli;
use crate::discover;
use crate::exit::{Code, Ending};
use serde_json::json;
use slip_providers::{ALL, Auth};
use slip_server::config::{Checked, ProviderConf, ProviderKind};
use std::io::Write;

pub async fn providers(args: cli::Providers) -> Result<(), Ending> {
    match args.what {
        cli::ProvidersWhat::List { config, json } => list(config.as_deref(), json),
        cli::ProvidersWhat::Test(args) => test::test(args).await,
        cli::ProvidersWhat::Discover(args) => look::discover(args).await,
    }
}

/// The configuration, with what the environment has and what listens on this machine.
async fn configured(config: Option<&std::path::Path>, no_probe: bool) -> Result<Checked, Ending> {
    let mut conf = crate::config::load(config)?;
    discover::keys(&mut conf, &crate::env);
    if conf.probe && !no_probe {
        discover::local(&mut conf, &crate::env).await;
    }
    Ok(conf)
}

fn list(config: Option<&std::path::Path>, as_json: bool) -> Result<(), Ending> {
    let mut conf = crate::config::load(config)?;
    let written: Vec<String> = conf.providers.iter().map(|p| p.slug.clone()).collect();
    discover::keys(&mut conf, &crate::env);
    let mut rows: Vec<Row> = conf.providers.iter().map(|p| row(p, written.contains(&p.slug))).collect();
    let known = ALL.iter().filter(|p| !conf.providers.iter().any(|c| c.slug == p.id));
    rows.extend(known.map(|p| Row {
        slug: p.id.to_string(),
        title: p.title.to_string(),
        dialect: p.dialect.name(),
        configured: None,
        wants: match (p.key_env.first(), &p.local) {
            (_, Some(local)) => format!("a server on port {}", local.port),
            (Some(name), _) => name.to_string(),
            (None, _) if p.auth == Auth::None => "nothing".to_owned(),
            (None, _) => format!("[providers.{}]", p.id),
        },
        docs: p.docs.to_string(),
    }));
    rows.sort_by(|a, b| (a.configured.is_none(), &a.slug).cmp(&(b.configured.is_none(), &b.slug)));
    let mut out = std::io::stdout().lock();
    let written = if as_json { write_json(&mut out, &rows) } else { write_table(&mut out, &rows) };
    match written {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Ending::new(Code::Failure, format!("error: {e}"))),
        _ => Ok(()),
    }
}

struct Row {
    slug: String,
    title: String,
    dialect: &'static str,
    /// How, where it is.
    configured: Option<String>,
    /// What would switch it on.
    wants: String,
    docs: String,
}

fn row(p: &ProviderConf, written: bool) -> Row {
    let known = slip_providers::by_id(&p.slug).filter(|_| p.kind == ProviderKind::Builtin);
    let keys = match p.keys.len() {
        _ if p.credential.is_some() => "credentials that are fetched".to_owned(),
        0 => "no key".to_owned(),
        1 => "a key".to_owned(),
        n => format!("{n} keys"),
    };
    let from = if written { "the file" } else { "the environment" };
    let title = p.title.clone().or_else(|| known.map(|k| k.title.to_string()));
    let dialect = match &p.kind {
        ProviderKind::Simulated(sim) => Some(sim.dialect),
        _ => p.dialect.or(known.map(|k| k.dialect)),
    };
    Row {
        title: title.unwrap_or_else(|| p.slug.clone()),
        slug: p.slug.clone(),
        dialect: dialect.unwrap_or(slip_ir::Dialect::OpenAiChat).name(),
        configured: Some(format!("{from}: {keys}")),
        wants: String::new(),
        docs: known.map(|k| k.docs.to_string()).unwrap_or_default(),
    }
}

fn write_json(out: &mut impl Write, rows: &[Row]) -> std::io::Result<()> {
    let told = rows.iter().map(|r| {
        json!({
            "slug": r.slug,
            "name": r.title,
            "dialect": r.dialect,
            "configured": r.configured.is_some(),
            "how": r.configured,
            "wants": r.configured.is_none().then_some(&r.wants),
            "docs": r.docs,
        })
    });
    writeln!(out, "{}", told.collect::<serde_json::Value>())
}

fn write_table(out: &mut impl Write, rows: &[Row]) -> std::io::Result<()> {
    writeln!(out, "{:<18} {:<22} {:<16} configured (or what would switch it on)", "provider", "name", "dialect")?;
    for r in rows {
        let how = r.configured.clone().unwrap_or_else(|| format!("-  ({})", r.wants));
        writeln!(out, "{:<18} {:<22} {:<16} {how}", r.slug, r.title, r.dialect)?;
    }
    Ok(())
}
