//! A changed file or SIGHUP puts another configuration in force, whole or not at all. A bad one changes nothing and says why.

use crate::cli;
use crate::ground::Ground;
use anstream::eprintln;
use slip_server::config::Checked;
use slip_server::{App, clock};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::signal::unix::Signal;

/// How often the file is looked at. Looking at the file itself, rather than at events, also sees editors that write beside and
/// rename, and mounted configuration that swaps a link.
const LOOK: Duration = Duration::from_secs(1);

pub async fn watch(app: Arc<App>, args: cli::Serve, mut ground: Ground, mut seen: Option<Mark>, mut hangup: Signal) {
    loop {
        let asked = tokio::select! {
            _ = hangup.recv() => true,
            () = tokio::time::sleep(LOOK) => false,
        };
        let now = args.config.as_deref().and_then(mark);
        if !asked && (now == seen || now.is_none()) {
            continue;
        }
        seen = now;
        let began = clock::now();
        match again(&app, &args, &ground).await {
            Ok(next) => {
                let took = clock::ms(clock::now().duration_since(began));
                let endpoints = app.world().field.endpoints().len();
                eprintln!("Reloaded in {took} ms: {} providers, {endpoints} endpoints.", next.conf().providers.len());
                // The old simulated providers go only after their last requests.
                let old = std::mem::replace(&mut ground, next);
                tokio::spawn(async move {
                    tokio::time::sleep(old.conf().drain_timeout).await;
                    drop(old);
                });
            }
            Err(ending) => {
                eprintln!("{}\nThe configuration was not changed: the one before stays in force.", ending.says)
            }
        }
    }
}

async fn again(app: &Arc<App>, args: &cli::Serve, old: &Ground) -> Result<Ground, crate::exit::Ending> {
    let (conf, _) = super::configure(args).await?;
    let fixed = |conf: &Checked| {
        let files = (conf.pepper_file.clone(), conf.master_key_file.clone());
        (conf.listen, conf.data_dir.clone(), conf.database_url.clone(), files, conf.durable)
    };
    if fixed(&conf) != fixed(old.conf()) {
        eprintln!(
            "note: `listen`, `data_dir`, `database_url`, `pepper_file`, `master_key_file` and `durability` take effect at the next start"
        );
    }
    let ground = Ground::prepare(conf).await?.recorded_by(old.recording());
    let world = ground.world(app.vitals.clone())?;
    app.replace(world);
    Ok(ground)
}

/// When a file was written, and its length.
type Mark = (SystemTime, u64);

/// To be taken before the file is read, lest a change in between go unseen.
pub fn mark(path: &Path) -> Option<Mark> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}
