//! `slipswitch serve`: find what there is, say so, and run until told to stop.

mod first_run;
mod reload;

use crate::cli;
use crate::database;
use crate::discover::{self, Found};
use crate::exit::{Code, Ending};
use crate::ground::Ground;
use crate::record::Recording;
use anstream::eprintln;
use first_run::Keys;
pub use first_run::{kept, kept_management};
use serde_json::json;
use slip_ir::Tier;
use slip_server::App;
use slip_server::clock;
use slip_server::config::Checked;
use slip_server::serve::Running;
use slip_server::vitals::{Vitals, keep};
use slip_store::{Masters, Place};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::signal::unix::{Signal, SignalKind, signal};

pub async fn serve(args: cli::Serve, recording: Option<Arc<Recording>>) -> Result<(), Ending> {
    let began = clock::now();
    let mut interrupts = Interrupts::listen()?;
    let hangup = listen(SignalKind::hangup())?;
    let seen = args.config.as_deref().and_then(reload::mark);
    let (conf, found) = configure(&args).await?;
    let from = args.config.as_ref().map_or_else(|| "none, defaults".to_owned(), |p| p.display().to_string());
    eprintln!(
        "Slipswitch {}  ({} {})  config: {from}   data: {}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH,
        conf.data_dir.display()
    );
    let data_dir = conf.data_dir.clone();
    let (listen, drain) = (conf.listen, conf.drain_timeout);
    let (place, masters) = (database::place(&conf, &crate::env)?, database::masters(&conf, &crate::env)?);
    if let Place::Postgres { url, .. } = &place {
        eprintln!("Database {url}");
    }
    let ground = Ground::prepare(conf).await?.recorded_by(recording);
    let vitals = Arc::new(Vitals::default());
    keep::load(&vitals, &data_dir);
    let world = ground.world(vitals.clone())?;
    report(&found, &world);
    let app = open(place, masters, vitals.clone(), world, &mut interrupts).await?;
    let keys = first_run::keys(&app, &data_dir, &crate::env).await?;
    let keeper = slip_server::leasing::begin(&app, app.world().limits.lease);
    let running = start(app.clone(), listen, args.workers)?;
    let (stop_leasing, stopped) = tokio::sync::oneshot::channel();
    let leasing = keeper.map(|keeper| tokio::spawn(slip_server::leasing::keep(app.clone(), keeper, stopped)));
    let api = format!("http://{}/api/v1", running.address);
    if args.json {
        let line = json!({
            "api": api,
            "key": keys.api.as_ref().map(|k| k.expose()),
            "management_key": keys.management.as_ref().map(|k| k.expose()),
            "data_dir": data_dir,
        });
        println!("{line}");
    } else {
        announce(&api, &keys, &data_dir);
    }
    if let Some(cut) = Some(app.store.cut_off()).filter(|cut| *cut > 0) {
        let them = if cut == 1 { "request was" } else { "requests were" };
        eprintln!("{cut} {them} under way when this gateway last ended: closed with what was known of them.");
    }
    let ms = clock::ms(clock::now().duration_since(began));
    eprintln!("Ready in {ms} ms.{}", exposure(running.address));
    keep::keep(vitals.clone(), data_dir.clone());
    let probing = tokio::spawn(slip_server::probing::watch(app.clone()));
    let refreshing = tokio::spawn(slip_server::refreshing::watch(app.clone()));
    let purging = tokio::spawn(slip_server::contents::purge(app.clone()));
    let tidying = tokio::spawn(slip_server::cache::Cache::tidy(app.clone()));
    let reloading = tokio::spawn(reload::watch(app.clone(), args, ground, seen, hangup));
    interrupts.next().await;
    eprintln!(
        "Stopping: no new requests; those in flight have {} to end. Again to stop at once.",
        slip_server::upstream::show(drain)
    );
    let mut draining = std::pin::pin!(running.drain(drain));
    let ended = tokio::select! {
        () = draining.as_mut() => Ok(()),
        () = interrupts.next() => {
            app.cut.store(true, Ordering::SeqCst);
            draining.await;
            Err(Ending::new(Code::Failure, "Stopped at once: what was still running was cut."))
        }
    };
    if let Some(leasing) = leasing {
        let _ = stop_leasing.send(());
        let _ = leasing.await;
    }
    reloading.abort();
    probing.abort();
    refreshing.abort();
    purging.abort();
    tidying.abort();
    if let Err(e) = keep::save(&vitals, &data_dir) {
        eprintln!("warning: how the endpoints were doing could not be kept: {e}");
    }
    ended
}

/// Open the store, which may wait for a database; who interrupts that need not wait.
async fn open(
    place: Place,
    masters: Option<Masters>,
    vitals: Arc<Vitals>,
    world: slip_server::world::World,
    interrupts: &mut Interrupts,
) -> Result<Arc<App>, Ending> {
    let broken = |why: String| Ending::new(Code::Failure, format!("error: the store could not be opened: {why}"));
    let (tell, told) = tokio::sync::oneshot::channel();
    let (opening, runtime) = (place.clone(), tokio::runtime::Handle::current());
    // Not one of the runtime's own threads: the end of the process would wait for those.
    let opener = std::thread::Builder::new().name("slip-start".into()).spawn(move || {
        let _inside = runtime.enter();
        // Nobody may want to know any more.
        let _ = tell.send(App::with(opening, masters, vitals, world));
    });
    opener.map_err(|e| broken(e.to_string()))?;
    tokio::select! {
        opened = told => match opened {
            Ok(opened) => opened.map_err(|e| database::unusable(&place, &e)),
            Err(e) => Err(broken(e.to_string())),
        },
        () = interrupts.next() => Err(Ending::new(Code::Failure, "Stopped while waiting for the database.")),
    }
}

/// Everything a start or a reload reads: the file, the environment, and the ports of this machine.
async fn configure(args: &cli::Serve) -> Result<(Checked, Vec<Found>), Ending> {
    let mut conf = crate::config::load(args.config.as_deref())?;
    if let Some(listen) = args.listen {
        conf.listen = listen;
    }
    if let Some(dir) = &args.data_dir {
        conf.data_dir.clone_from(dir);
    }
    let mut found = discover::keys(&mut conf, &crate::env);
    if conf.probe && !args.no_probe {
        found.extend(discover::local(&mut conf, &crate::env).await);
    }
    Ok((conf, found))
}

/// Start the workers, or say why the address cannot be had.
pub fn start(app: Arc<App>, listen: SocketAddr, workers: Option<usize>) -> Result<Running, Ending> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    slip_server::serve::start(app, listen, workers.unwrap_or(cores)).map_err(|e| {
        let hint = if e.kind() == std::io::ErrorKind::AddrInUse {
            "\nhint: another program listens there; choose another address with --listen (port 0 takes a free one)"
        } else {
            ""
        };
        Ending::new(Code::Unavailable, format!("error: cannot listen on {listen}: {e}{hint}"))
    })
}

/// SIGXFSZ. Once listened for, it never ends the process again.
#[cfg(target_os = "linux")]
const TOO_LARGE: i32 = 25;

/// Ctrl-C and SIGTERM, heard from the moment this is made: before anybody is told that we run, lest a script that stops us at once
/// should kill us instead.
pub struct Interrupts {
    int: Signal,
    term: Signal,
}

impl Interrupts {
    pub fn listen() -> Result<Interrupts, Ending> {
        // Where files may not grow (`ulimit -f`), a write that fails is dealt with; the signal beside it would end everything.
        #[cfg(target_os = "linux")]
        drop(listen(SignalKind::from_raw(TOO_LARGE))?);
        Ok(Interrupts { int: listen(SignalKind::interrupt())?, term: listen(SignalKind::terminate())? })
    }

    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.int.recv() => {}
            _ = self.term.recv() => {}
        }
    }
}

fn listen(kind: SignalKind) -> Result<Signal, Ending> {
    signal(kind).map_err(|e| Ending::new(Code::Failure, format!("error: signals cannot be listened for: {e}")))
}

fn report(found: &[Found], world: &slip_server::world::World) {
    let mut serving: BTreeMap<String, usize> = BTreeMap::new();
    for endpoint in world.field.endpoints().iter().filter(|e| e.tier == Tier::Standard) {
        *serving.entry(endpoint.provider.to_string()).or_default() += 1;
    }
    let mut label = "Found  ";
    for one in found {
        match one {
            Found::Key { variable, slug } => {
                let models = serving.get(slug).copied().unwrap_or(0);
                eprintln!(
                    "{label} {variable:<20} {slug:<16} {models:>3} models   (environment; never written to disk)"
                );
            }
            Found::Local { address, slug, models, ms } => {
                eprintln!("{label} {address:<20} {slug:<16} {models:>3} models   (probed, {ms} ms)");
            }
            Found::Absent { .. } | Found::Unused { .. } => continue,
        }
        label = "       ";
    }
    for one in found {
        if let Found::Unused { variable, slug, hint } = one {
            eprintln!("Not used {variable} ({slug}): {hint}");
        }
    }
    let absent: Vec<String> = found
        .iter()
        .filter_map(|f| match f {
            Found::Absent { address, slug } => Some(format!("{address} {slug}")),
            _ => None,
        })
        .collect();
    if !absent.is_empty() {
        eprintln!("Skipped {}: not listening", absent.join(", "));
    }
    let configured: Vec<&str> = world.providers.iter().map(|p| &*p.id).collect();
    if configured.is_empty() {
        eprintln!("No provider yet: set a key (OPENAI_API_KEY, ANTHROPIC_API_KEY, …) or declare one in a file (-c).");
        eprintln!("To look around without any key: slipswitch demo");
    } else {
        let endpoints = world.field.endpoints().len();
        let noun = if endpoints == 1 { "endpoint" } else { "endpoints" };
        eprintln!("Providers {} ({endpoints} {noun})", configured.join(", "));
    }
}

fn announce(api: &str, keys: &Keys, data_dir: &std::path::Path) {
    eprintln!();
    eprintln!("  API         {api}           also /v1, /v1/messages, /v1beta");
    if let Some(path) = &keys.written {
        use std::io::IsTerminal;
        if std::io::stderr().is_terminal() {
            if let Some(key) = &keys.api {
                eprintln!("  Key         {}  (shown once)", key.expose());
            }
            if let Some(key) = &keys.management {
                eprintln!("  Admin key   {}  (shown once)", key.expose());
            }
        }
        eprintln!("  Kept in     {}  (readable by you only; delete it once you have the keys)", path.display());
    } else if keys.fixed {
        eprintln!("  Key         from the environment (SLIPSWITCH_KEY)");
    } else {
        eprintln!("  Key         as before ({})", data_dir.display());
    }
    eprintln!();
}

fn exposure(address: SocketAddr) -> String {
    if address.ip().is_loopback() {
        let port = address.port();
        format!(" Listening on loopback only; --listen 0.0.0.0:{port} exposes it. Auth is on either way.")
    } else {
        format!(
            " WARNING: listening on {address} without TLS: keys and prompts cross the network in the clear. Put TLS in front."
        )
    }
}

/// Where the data goes when nobody says: the XDG data directory.
pub fn default_data_dir(env: &dyn Fn(&str) -> Option<String>) -> PathBuf {
    let base = env("XDG_DATA_HOME")
        .filter(|v| v.starts_with('/'))
        .map(PathBuf::from)
        .or_else(|| env("HOME").filter(|v| !v.is_empty()).map(|home| PathBuf::from(home).join(".local/share")));
    base.map_or_else(|| PathBuf::from("./data"), |base| base.join("slipswitch"))
}
