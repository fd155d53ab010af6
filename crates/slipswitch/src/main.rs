//! The binary: reads the command line and the environment, once, and hands over.

mod asking;
mod byok;
mod cache;
mod cli;
mod client;
mod columns;
mod config;
mod database;
mod demo;
mod discover;
mod exit;
mod explain;
mod export;
mod ground;
mod keys;
mod listing;
mod models;
mod providers;
mod record;
mod replay;
mod serve;
mod simulate;
mod usage;
mod when;

use clap::Parser;
use cli::{Cli, Command};
use exit::{Code, Ending};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Command::ReadPdf = cli.command {
        return slip_server::files::pdf::child();
    }
    log(cli.verbose);
    hush_panics();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("error: the runtime could not start: {e}");
            return Code::Failure.into();
        }
    };
    let ended = match cli.command {
        Command::Demo(args) => runtime.block_on(demo::demo(args)),
        Command::Serve(args) => runtime.block_on(serve::serve(args, None)),
        Command::Record(args) => runtime.block_on(record::record(*args)),
        Command::Replay(args) => runtime.block_on(replay::replay(args)),
        Command::Providers(args) => runtime.block_on(providers::providers(args)),
        Command::Models(args) => match &args.from {
            Some(provider) => runtime.block_on(listing::models(&args, provider)),
            None => models::models(&args),
        },
        Command::Config(args) => config::config(&args),
        Command::Backup(args) => database::backup(&args),
        Command::Restore(args) => database::restore(&args),
        Command::Migrate(args) => database::migrate(&args),
        Command::VerifyLedger(args) => database::verify(&args),
        Command::Simulate(args) => simulate::simulate(&args),
        Command::Explain(args) => runtime.block_on(explain::explain(args)),
        Command::Keys(args) => runtime.block_on(keys::keys(args)),
        Command::Byok(args) => runtime.block_on(byok::byok(args)),
        Command::Usage(args) => runtime.block_on(usage::usage(args)),
        Command::Cache(args) => runtime.block_on(cache::cache(args)),
        Command::Export(args) => runtime.block_on(export::export(args)),
        Command::ReadPdf => Ok(()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(Ending { code, says }) => {
            anstream::eprintln!("{says}");
            if code == Code::BadConfig {
                anstream::eprintln!("exit {}", code as u8);
            }
            code.into()
        }
    }
}

/// A panic's message may hold what a peer sent; where it happened is enough to find it.
fn hush_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        anstream::eprintln!("error: a request panicked at {place}; please report this");
    }));
}

/// The environment, as an argument for everybody else.
pub fn env(name: &str) -> Option<String> {
    #[allow(clippy::disallowed_methods, reason = "the environment is read here and nowhere else")]
    std::env::var(name).ok()
}

/// Warnings always, more on request. The libraries that carry bytes stay at `info` whatever is asked, because at `debug` they print
/// headers, and headers hold keys.
fn log(verbose: u8) {
    use tracing_subscriber::filter::{EnvFilter, LevelFilter};
    use tracing_subscriber::prelude::*;
    let level = match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let wanted = env("SLIPSWITCH_LOG").unwrap_or_else(|| level.to_owned());
    let filter = EnvFilter::try_new(&wanted).unwrap_or_else(|_| EnvFilter::new(level));
    let quiet = tracing_subscriber::filter::Targets::new()
        .with_default(LevelFilter::TRACE)
        .with_target("hyper", LevelFilter::INFO)
        .with_target("hyper_util", LevelFilter::INFO)
        .with_target("rustls", LevelFilter::INFO)
        .with_target("tokio_rustls", LevelFilter::INFO)
        .with_target("rustls_platform_verifier", LevelFilter::INFO)
        // At `trace` these print what they sign, session token included.
        .with_target("aws_", LevelFilter::INFO);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false).with_filter(quiet);
    let _ = tracing_subscriber::registry().with(filter).with(layer).try_init();
}
