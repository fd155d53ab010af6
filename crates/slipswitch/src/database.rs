//! `slipswitch backup`, `restore`, `migrate` and `verify-ledger`; and which database a configuration means.

use crate::cli;
use crate::exit::{Code, Ending};
use anstream::println;
use serde_json::json;
use slip_ir::Nano;
use slip_server::config::Checked;
use slip_store::upkeep::{self, Difference};
use slip_store::{Error, Grain, Masters, Pepper, Place};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const PEPPER: &str = "SLIPSWITCH_PEPPER";
const MASTER: &str = "SLIPSWITCH_MASTER_KEY";
/// Others that still open what they sealed.
const OLD_MASTERS: &str = "SLIPSWITCH_MASTER_KEY_OLD";
/// Differences told to people; JSON has them all.
const SHOWN: usize = 20;

/// Where the store is. `SLIPSWITCH_PEPPER` or `pepper_file` has the pepper that gateways of one database have in common.
pub fn place(conf: &Checked, env: &dyn Fn(&str) -> Option<String>) -> Result<Place, Ending> {
    let bad = |says: String| Ending::new(Code::BadConfig, format!("error: {says}"));
    let given = env(PEPPER).filter(|text| !text.is_empty());
    let dir = conf.data_dir.clone();
    let Some(url) = conf.database_url.clone() else {
        return match given {
            None => Ok(Place::Dir(dir)),
            Some(_) => Err(bad(format!(
                "{PEPPER} is for gateways that share a database, and there is no database_url: the pepper is in {}",
                dir.join("pepper").display()
            ))),
        };
    };
    let shape = "32 bytes or their 64 hex digits are expected (openssl rand -hex 32 makes some)";
    let pepper = match (given, &conf.pepper_file) {
        (Some(_), Some(_)) => return Err(bad(format!("{PEPPER} and pepper_file are both given: one is enough"))),
        (Some(text), None) => {
            Some(Pepper::read(text.as_bytes()).ok_or_else(|| bad(format!("{PEPPER} is not a pepper: {shape}")))?)
        }
        (None, Some(path)) => {
            let bytes =
                std::fs::read(path).map_err(|e| bad(format!("pepper_file cannot be read: {}: {e}", path.display())))?;
            let pepper = Pepper::read(&bytes);
            Some(pepper.ok_or_else(|| bad(format!("pepper_file is not a pepper: {}: {shape}", path.display())))?)
        }
        (None, None) => None,
    };
    Ok(Place::Postgres { url, dir, pepper })
}

/// The master keys of provider keys, where they are given: by the environment or a file. Else they are kept in the data directory.
pub fn masters(conf: &Checked, env: &dyn Fn(&str) -> Option<String>) -> Result<Option<Masters>, Ending> {
    let bad = |says: String| Ending::new(Code::BadConfig, format!("error: {says}"));
    let shape =
        "64 hex digits are expected (openssl rand -hex 32 makes some), and one space, comma or line end between two";
    let read = |bytes: &[u8], what: &str| {
        Masters::read(bytes).ok_or_else(|| bad(format!("{what} is not a master key: {shape}")))
    };
    let of_env = |name: &str| {
        let text = env(name).filter(|text| !text.trim().is_empty()).map(Zeroizing::new);
        text.map(|text| read(text.as_bytes(), name)).transpose()
    };
    let of_file = |path: &Path| {
        let bytes = std::fs::read(path).map(Zeroizing::new);
        let bytes = bytes.map_err(|e| bad(format!("master_key_file cannot be read: {}: {e}", path.display())))?;
        read(&bytes, &format!("what is in {}", path.display()))
    };
    let current = match (of_env(MASTER)?, &conf.master_key_file) {
        (Some(_), Some(_)) => return Err(bad(format!("{MASTER} and master_key_file are both given: one is enough"))),
        (Some(given), None) => Some(given),
        (None, Some(path)) => Some(of_file(path)?),
        (None, None) => None,
    };
    match (current, of_env(OLD_MASTERS)?) {
        (Some(current), Some(old)) => Ok(Some(current.with_old(old))),
        (None, Some(_)) => {
            Err(bad(format!("{OLD_MASTERS} is given, and no master key that takes their place: {MASTER}")))
        }
        (current, None) => Ok(current),
    }
}

/// Why a store cannot be opened, and what to do.
pub fn unusable(place: &Place, error: &Error) -> Ending {
    let says = match place {
        Place::Postgres { .. }
            if !matches!(
                error,
                Error::Locked { .. } | Error::Io { .. } | Error::Pepper { .. } | Error::Master { .. }
            ) =>
        {
            let hint = match error {
                Error::Away { .. } => "\nhint: start it, or correct database_url (DATABASE_URL)",
                _ => "",
            };
            format!("error: the database cannot be used: {error}{hint}")
        }
        Place::Dir(dir) | Place::Postgres { dir, .. } => {
            let mut why = if dir.exists() && !dir.is_dir() { "not a directory".to_owned() } else { error.to_string() };
            let place = dir.display().to_string();
            if !why.contains(&place) {
                why = format!("{why}: {place}");
            }
            format!("error: the data directory cannot be used: {why}\nhint: choose another with --data-dir")
        }
        Place::Memory => format!("error: {error}"),
    };
    Ending::new(Code::Unavailable, says)
}

fn meant(at: &cli::Where) -> Result<Place, Ending> {
    let mut conf = crate::config::load(at.config.as_deref())?;
    if let Some(dir) = &at.data_dir {
        conf.data_dir.clone_from(dir);
    }
    place(&conf, &crate::env)
}

fn failed(what: &str) -> impl Fn(Error) -> Ending {
    let what = what.to_owned();
    move |e| Ending::new(Code::Unavailable, format!("error: {what}: {e}"))
}

/// The directory of a database that is a file.
fn file(place: &Place, instead: &str) -> Result<PathBuf, Ending> {
    match place {
        Place::Dir(dir) => Ok(dir.clone()),
        Place::Postgres { url, .. } => {
            let says = format!("error: the database is Postgres ({url}), which has tools of its own: {instead}");
            Err(Ending::new(Code::Usage, says))
        }
        Place::Memory => Err(Ending::new(Code::Usage, "error: there is no database")),
    }
}

pub fn backup(args: &cli::Backup) -> Result<(), Ending> {
    let dir = file(&meant(&args.at)?, "use pg_dump, and keep the pepper (docs/databases.md)")?;
    upkeep::backup(&dir, &args.file).map_err(failed("the database cannot be copied"))?;
    let pepper = dir.join("pepper");
    let size = std::fs::metadata(&args.file).map_or(0, |meta| meta.len());
    println!("{}: {size} bytes, readable by you only.", args.file.display());
    if args.with_pepper {
        let beside = upkeep::pepper_beside(&args.file);
        upkeep::backup_pepper(&dir, &beside).map_err(failed("the pepper cannot be copied"))?;
        println!("{}: the pepper. Keep the two apart: with both, a guess at a key can be confirmed.", beside.display());
    } else {
        println!(
            "The pepper is not in it, and without it no key of the copy opens anything: keep {} as well.",
            pepper.display()
        );
    }
    let master = dir.join("master-key");
    if master.exists() {
        println!(
            "Nor is the master key, and without it no provider key of the copy can be used: keep {} too, apart from the copy.",
            master.display()
        );
    }
    Ok(())
}

pub fn restore(args: &cli::Restore) -> Result<(), Ending> {
    let dir = file(&meant(&args.at)?, "use pg_restore, and give it the pepper (docs/databases.md)")?;
    let aside = upkeep::restore(&args.file, &dir, args.pepper.as_deref(), args.replace)
        .map_err(failed("the copy cannot be put back"))?;
    println!("{}: restored from {}.", dir.display(), args.file.display());
    if let Some(aside) = aside {
        println!("What was there before is now {}.", aside.display());
    }
    Ok(())
}

pub fn migrate(args: &cli::Migrate) -> Result<(), Ending> {
    let place = meant(&args.at)?;
    let look = if args.check { upkeep::schema } else { upkeep::migrate };
    let schema = look(&place).map_err(|e| unusable(&place, &e))?;
    let (found, known) = (schema.found, schema.known);
    let due = found < known;
    if args.json {
        println!(
            "{}",
            json!({ "schema": if args.check { found } else { found.max(known) }, "was": found, "known": known })
        );
    } else if found > known {
        println!("Schema {found}, from a later release: this one knows {known}.");
    } else if !due {
        println!("Schema {found}: up to date.");
    } else if args.check {
        println!("Schema {found}; this release needs {known}: run slipswitch migrate, or start the gateway.");
    } else {
        println!("Schema {known}, from {found}.");
    }
    if found == known || due && !args.check {
        return Ok(());
    }
    Err(Ending::new(Code::Failure, if due { "The database is not up to date." } else { "The database is too new." }))
}

pub fn verify(args: &cli::VerifyLedger) -> Result<(), Ending> {
    let place = meant(&args.at)?;
    let verified = upkeep::verify(&place).map_err(|e| unusable(&place, &e))?;
    let differences = &verified.differences;
    if args.json {
        let all: Vec<_> = differences.iter().map(told).collect();
        println!("{}", json!({ "records": verified.records, "sums": verified.sums, "differences": all }));
    } else {
        for d in differences.iter().take(SHOWN) {
            println!("{}", line(d));
        }
        if differences.len() > SHOWN {
            println!("… and {} more (--json has all)", differences.len() - SHOWN);
        }
        println!("{} records, {} sums, {} differences.", verified.records, verified.sums, differences.len());
    }
    match differences.len() {
        0 => Ok(()),
        n => Err(Ending::new(Code::Failure, format!("{n} sums are not what their records come to."))),
    }
}

fn told(d: &Difference) -> serde_json::Value {
    let sums = |s: &slip_store::Sums| {
        json!({
            "requests": s.requests, "failed": s.failed, "prompt": s.prompt, "cached": s.cached, "completion": s.completion,
            "reasoning": s.reasoning, "cost_nano": s.cost.0, "byok_nano": s.byok.0, "waste_nano": s.waste.0,
            "ttft_ms": s.ttft_ms, "ttft_count": s.ttft_count, "total_ms": s.total_ms,
        })
    };
    json!({
        "grain": if d.grain == Grain::Day { "day" } else { "hour" },
        "from_unix_ms": d.at.saturating_mul(d.grain.ms()),
        "key": d.by.key_hash, "workspace": d.by.workspace, "member": d.by.member, "model": d.by.model,
        "provider": d.by.provider,
        "records": sums(&d.counted),
        "kept": sums(&d.kept),
    })
}

fn line(d: &Difference) -> String {
    let when = jiff::Timestamp::from_millisecond(d.at.saturating_mul(d.grain.ms())).map(|at| at.to_string());
    let dollars = |Nano(n): Nano| format!("${}.{:09}", n / 1_000_000_000, n.rem_euclid(1_000_000_000));
    let key = d.by.key_hash.get(..12).unwrap_or(&d.by.key_hash);
    format!(
        "{} {}  key {key}  {}  {}: records {} requests {}, kept {} requests {}",
        if d.grain == Grain::Day { "day " } else { "hour" },
        when.unwrap_or_else(|_| d.at.to_string()),
        d.by.model,
        d.by.provider,
        d.counted.requests,
        dollars(d.counted.cost),
        d.kept.requests,
        dollars(d.kept.cost)
    )
}
