//! `slipswitch demo`: simulated providers, a tour of real requests through the gateway, and a gateway that stays up.

mod tour;

use crate::cli;
use crate::exit::{Code, Ending};
use crate::ground::Ground;
use crate::serve::{Interrupts, start};
use anstream::println;
use serde_json::json;
use slip_ir::money::Price;
use slip_server::App;
use slip_server::config::{Checked, ProviderKind};
use slip_server::vitals::Vitals;
use slip_store::{KeyKind, NewKey, Place, SecretKey};
use std::sync::Arc;
use std::time::Duration;

/// A demo owes nobody more than this.
const LAST_WORDS: Duration = Duration::from_secs(2);
const CONFIG: &str = include_str!("demo.toml");

pub async fn demo(args: cli::Demo) -> Result<(), Ending> {
    let mut interrupts = Interrupts::listen()?;
    let key = match &args.key {
        Some(fixed) => SecretKey::fixed(fixed).map_err(|e| Ending::new(Code::Usage, format!("error: --key: {e}")))?,
        None => SecretKey::mint(),
    };
    let management = SecretKey::mint();
    let conf = crate::config::from_text("demo.toml", CONFIG)?;
    let ground = Ground::prepare(conf).await?;
    let vitals = Arc::new(Vitals::default());
    let world = ground.world(vitals.clone())?;
    let app =
        App::new(Place::Memory, vitals, world).map_err(|e| Ending::new(Code::Unavailable, format!("error: {e}")))?;
    let now = i64::try_from(slip_server::clock::unix_ms()).unwrap_or(0);
    for (secret, name, kind) in [(&key, "demo", KeyKind::Api), (&management, "demo management", KeyKind::Management)] {
        let new = NewKey { name: name.to_owned(), kind, ..NewKey::default() };
        app.store.create_key(secret, new, now).await.map_err(|e| Ending::new(Code::Failure, format!("error: {e}")))?;
    }
    let running = start(app, args.listen, None)?;
    let root = format!("http://{}", running.address);
    let api = format!("{root}/api/v1");
    if args.json {
        let line = json!({
            "api": api,
            "key": key.expose(),
            "management_key": management.expose(),
            "data_dir": null,
            "providers": providers(&ground),
        });
        std::println!("{line}");
    } else {
        banner(&api, key.expose(), management.expose(), &ground);
        if !args.no_tour {
            tokio::select! {
                toured = tour::tour(&root, key.expose(), &ground) => toured?,
                () = interrupts.next() => {
                    running.drain(LAST_WORDS).await;
                    return Ok(());
                }
            }
        }
        try_it(&api, key.expose());
    }
    interrupts.next().await;
    running.drain(LAST_WORDS).await;
    Ok(())
}

fn providers(ground: &Ground) -> serde_json::Value {
    let one = |p: &slip_server::config::ProviderConf| {
        let (ttft, speed, fault) = manner(p);
        json!({
            "slug": p.slug,
            "name": p.title,
            "dialect": p.dialect.map(|d| d.name()),
            "models": p.models.iter().map(|m| m.id.as_str()).collect::<Vec<_>>(),
            "ttft_ms": u64::try_from(ttft.as_millis()).unwrap_or(u64::MAX),
            "tokens_per_second": speed,
            "fault": fault,
        })
    };
    ground.conf().providers.iter().map(one).collect()
}

fn manner(p: &slip_server::config::ProviderConf) -> (Duration, f64, Option<String>) {
    match &p.kind {
        ProviderKind::Simulated(sim) => (
            sim.ttft.unwrap_or_default(),
            sim.tokens_per_second.unwrap_or_default(),
            sim.fault.as_ref().map(|(mode, rate)| format!("{mode} in {:.0} %", rate * 100.0)),
        ),
        _ => (Duration::ZERO, 0.0, None),
    }
}

fn banner(api: &str, key: &str, management: &str, ground: &Ground) {
    println!(
        "Slipswitch {} demo: simulated providers, no network, nothing is billed, data in memory\n",
        env!("CARGO_PKG_VERSION")
    );
    println!("  API         {api}            (OpenAI, OpenRouter; also /v1, /v1/messages, /v1beta)");
    println!("  Key         {key}          (demo only, dies with the process)");
    println!("  Admin key   {management}          (keys, budgets, usage: slipswitch keys --help)\n");
    table(ground.conf());
}

fn table(conf: &Checked) {
    for (n, p) in conf.providers.iter().enumerate() {
        let (ttft, speed, fault) = manner(p);
        let price = p.models.iter().find_map(|m| m.price.as_ref()).map_or_else(String::new, per_million);
        println!(
            "  {}{:<8} {:<12} {:<12} ttft {:>3} ms  {:>3} tok/s  {:<22} {}",
            if n == 0 { "Providers   " } else { "            " },
            p.slug,
            p.models.first().map_or("", |m| m.id.as_str()),
            p.dialect.map_or("openai-chat", |d| d.name()),
            ttft.as_millis(),
            speed,
            price,
            fault.map_or_else(|| "up".to_owned(), |f| format!("fails: {f}")),
        );
    }
    println!();
}

fn per_million(price: &Price) -> String {
    format!("${}/${} per M", price.rates.input.to_million_string(), price.rates.output.to_million_string())
}

fn try_it(api: &str, key: &str) {
    println!("Try it yourself:");
    println!("  export SLIPSWITCH_KEY={key}");
    println!("  curl -N {api}/chat/completions -H \"Authorization: Bearer $SLIPSWITCH_KEY\" \\");
    println!(
        "    -d '{{\"model\":\"demo/echo\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"hello\"}}]}}'"
    );
    println!("  curl {api}/models");
    println!("Real providers: set OPENAI_API_KEY (or any of 30 names) and run `slipswitch serve`.   Ctrl-C stops.");
}
