//! The command line: what can be said, and nothing of how it is done.

use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Parser)]
#[command(
    name = "slipswitch",
    version,
    about = "One endpoint and one key in front of every AI model.",
    after_help = "Try: slipswitch demo        everything simulated: no key, no network\n     slipswitch serve       your providers' keys are found in the environment"
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,

    /// Say more: -v for information, -vv for debugging.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
}

#[derive(Subcommand)]
pub enum Command {
    /// Simulated providers, a tour of real requests, and a running gateway. Nothing is billed, nothing is kept.
    Demo(Demo),
    /// Run the gateway. No configuration is needed: provider keys in the environment switch providers on.
    Serve(Serve),
    /// List models: all that are known, those that can be used now first.
    Models(Models),
    /// Check, describe or show the configuration.
    Config(Config),
    /// Read a PDF from standard input and write the text of its pages as JSON. The gateway runs this for itself.
    #[command(hide = true)]
    ReadPdf,
}

#[derive(Args)]
pub struct Demo {
    /// Where to listen. Port 0 takes a free one and says which.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8484")]
    pub listen: SocketAddr,

    /// Print one JSON document when ready, instead of the tour.
    #[arg(long)]
    pub json: bool,

    /// Skip the tour of requests.
    #[arg(long)]
    pub no_tour: bool,

    /// Use this API key instead of a random one (8 to 200 visible characters).
    #[arg(long, value_name = "VALUE")]
    pub key: Option<String>,
}

#[derive(Args)]
pub struct Serve {
    /// Configuration file, TOML or YAML.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Where to listen, over what the configuration says. Port 0 takes a free one and says which.
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,

    /// Where keys and records are kept, over what the configuration says.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// Print one JSON line when ready; messages for people go to stderr.
    #[arg(long)]
    pub json: bool,

    /// Do not look for local servers (Ollama, LM Studio, vLLM, llama.cpp) on loopback.
    #[arg(long)]
    pub no_probe: bool,

    /// Worker threads; one per core when not given.
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
}

#[derive(Args)]
pub struct Models {
    /// Show only models whose id or name contains this.
    pub filter: Option<String>,

    /// Ask this provider for its own list, instead of the catalogue.
    #[arg(long, value_name = "PROVIDER")]
    pub from: Option<String>,

    /// Configuration file, TOML or YAML.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct Config {
    #[command(subcommand)]
    pub what: ConfigWhat,
}

#[derive(Subcommand)]
pub enum ConfigWhat {
    /// Check a file and say everything that is wrong with it.
    Check { file: PathBuf },
    /// Print the JSON Schema of the configuration, for editors.
    Schema,
    /// Print the configuration in force.
    Show {
        /// Configuration file, TOML or YAML.
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Defaults and environment included, and where each value comes from.
        #[arg(long)]
        effective: bool,
    },
}
