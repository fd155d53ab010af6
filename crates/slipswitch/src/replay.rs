//! `slipswitch replay`: the gateway as it was recorded, its providers gone, and cassettes in their place.

use crate::cli;
use crate::exit::{Code, Ending};
use crate::ground::Ground;
use crate::serve::{Interrupts, start};
use anstream::eprintln;
use serde_json::json;
use slip_server::App;
use slip_server::config::{Checked, ProviderKind, Secret};
use slip_server::upstream::parse_base;
use slip_server::vitals::Vitals;
use slip_sim::cassette::{GATEWAY, MISS, Player, PlayerConfig, Shelf};
use slip_store::{KeyKind, NewKey, Place, SecretKey};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A replay owes nobody more than this.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How often it is looked whether something could not be answered.
const LOOK: Duration = Duration::from_millis(200);
/// Names of cassettes that are told at the end.
const TOLD: usize = 10;
/// What a provider is opened with.
const KEY: &str = "replayed";

pub async fn replay(args: cli::Replay) -> Result<(), Ending> {
    let mut interrupts = Interrupts::listen()?;
    let shelf = Shelf::open(&args.dir).map_err(|e| Ending::new(Code::NotFound, format!("error: {e:#}")))?;
    let mut conf = gateway(&args.dir)?;
    let known: Vec<&str> = conf.providers.iter().map(|p| p.slug.as_str()).collect();
    for strike in &args.fault {
        if let Some(one) = strike.provider.as_deref().filter(|one| !known.contains(one)) {
            let says = format!("error: --fault: no such provider was recorded, only {}: {one}", known.join(", "));
            return Err(Ending::new(Code::Usage, says));
        }
    }
    let config =
        PlayerConfig { speed: args.speed, strikes: args.fault.clone(), seed: args.seed, ..PlayerConfig::default() };
    let player = Player::start(shelf, config)
        .await
        .map_err(|e| Ending::new(Code::Unavailable, format!("error: the cassettes could not be served: {e}")))?;
    in_their_place(&mut conf, &player)?;
    let ground = Ground::prepare(conf).await?;
    let vitals = Arc::new(Vitals::default());
    let mut world = ground.world(vitals.clone())?;
    world.replays(MISS);
    let app =
        App::new(Place::Memory, vitals, world).map_err(|e| Ending::new(Code::Unavailable, format!("error: {e}")))?;
    let (key, management) = keys(&app, args.key.as_deref()).await?;
    let running = start(app, args.listen, args.workers)?;
    let api = format!("http://{}/api/v1", running.address);
    let count = player.shelf().len();
    if args.json {
        let line = json!({
            "api": api,
            "key": key.expose(),
            "management_key": management.expose(),
            "data_dir": null,
            "cassettes": count,
        });
        println!("{line}");
    } else {
        eprintln!("Replaying {count} cassettes of {}: no provider is asked, nothing is billed.", args.dir.display());
        for strike in &args.fault {
            eprintln!("  Fault       {strike}");
        }
        eprintln!("  API         {api}           also /v1, /v1/messages, /v1beta");
        eprintln!("  Key         {}", key.expose());
    }
    loop {
        tokio::select! {
            () = interrupts.next() => break,
            () = tokio::time::sleep(LOOK) => tell(&player),
        }
    }
    running.drain(LAST_WORDS).await;
    tell(&player);
    eprintln!("{}", summary(&player));
    Ok(())
}

/// The configuration that the directory says.
fn gateway(dir: &Path) -> Result<Checked, Ending> {
    let path = dir.join(GATEWAY);
    let text = std::fs::read_to_string(&path).map_err(|e| {
        let hint = "hint: `slipswitch record --to DIR` makes such a directory";
        Ending::new(Code::NotFound, format!("error: not a directory of cassettes: {}: {e}\n{hint}", path.display()))
    })?;
    crate::config::from_text(&path.display().to_string(), &text)
}

/// Every provider is found at the player, below its own name.
fn in_their_place(conf: &mut Checked, player: &Player) -> Result<(), Ending> {
    for p in &mut conf.providers {
        if matches!(p.kind, ProviderKind::Simulated(_)) {
            continue;
        }
        for base in &mut p.base_urls {
            let (_, path) = parse_base(base, true)
                .map_err(|e| Ending::new(Code::BadConfig, format!("error: providers.{}: {e}", p.slug)))?;
            *base = player.base_url(&p.slug, &path);
        }
        if p.base_urls.is_empty() {
            let says = format!("error: providers.{}: `base_url` is needed for a replay", p.slug);
            return Err(Ending::new(Code::BadConfig, says));
        }
        p.keys = vec![(Secret::new(KEY), 1)];
        (p.credential, p.headers) = (None, Vec::new());
    }
    Ok(())
}

/// The key that was asked for, or that of the environment, or one that nobody has had.
async fn keys(app: &App, given: Option<&str>) -> Result<(SecretKey, SecretKey), Ending> {
    let fixed = |name: &str, text: Option<String>| match text.filter(|t| !t.is_empty()) {
        None => Ok(SecretKey::mint()),
        Some(text) => SecretKey::fixed(&text).map_err(|e| Ending::new(Code::Usage, format!("error: {name}: {e}"))),
    };
    let key = match given {
        Some(given) => fixed("--key", Some(given.to_owned()))?,
        None => fixed("SLIPSWITCH_KEY", crate::env("SLIPSWITCH_KEY"))?,
    };
    let management = fixed("SLIPSWITCH_MANAGEMENT_KEY", crate::env("SLIPSWITCH_MANAGEMENT_KEY"))?;
    let now = i64::try_from(slip_server::clock::unix_ms()).unwrap_or(0);
    for (secret, name, kind) in [(&key, "replay", KeyKind::Api), (&management, "admin", KeyKind::Management)] {
        let new = NewKey { name: name.to_owned(), kind, ..NewKey::default() };
        app.store.create_key(secret, new, now).await.map_err(|e| Ending::new(Code::Failure, format!("error: {e}")))?;
    }
    Ok((key, management))
}

fn tell(player: &Player) {
    for miss in player.misses() {
        eprintln!("{}", miss.says);
    }
}

fn summary(player: &Player) -> String {
    let (played, missed) = player.counts();
    let unused = player.shelf().unused();
    let mut told = format!("Played {played}, without a cassette {missed}.");
    if !unused.is_empty() {
        let more = unused.len().saturating_sub(TOLD);
        let names: Vec<&str> = unused.iter().take(TOLD).copied().collect();
        told.push_str(&format!(" Never asked for: {}", names.join(", ")));
        told.push_str(&if more > 0 { format!(" and {more} more.") } else { ".".to_owned() });
    }
    told
}
