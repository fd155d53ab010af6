//! The command line: what can be said, and nothing of how it is done.

pub mod manage;

use clap::{Args, Parser, Subcommand};
use slip_sim::cassette::{Speed, Strike};
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
    /// Run the gateway, and keep what passes between it and providers as cassettes for `replay`. Secrets are taken out first.
    Record(Box<Record>),
    /// Run the gateway as it was recorded, with cassettes in the place of providers: offline, free, the same each time.
    Replay(Replay),
    /// List models: all that are known, those that can be used now first.
    Models(Models),
    /// List providers, test those that are configured, or find out what an unknown server is.
    Providers(Providers),
    /// Why that provider? How a request would be routed, or how one was (`explain gen-…`). Nobody is asked, nothing is billed.
    Explain(Explain),
    /// Keys of a running gateway: create, list, show, edit, rotate, revoke.
    Keys(manage::Keys),
    /// Keys that workspaces have at providers: add, list, remove.
    Byok(manage::Byok),
    /// What was used, by model, provider, key, day or workspace; or what it would have cost at other prices.
    Usage(manage::Usage),
    /// Answers that are kept to be given again: how that is going, what is there, forgetting it.
    Cache(manage::Cache),
    /// The records of a period, as CSV or a JSON object per line.
    Export(manage::Export),
    /// Yesterday's requests under other rules: replay a decision log by another configuration. Nobody is asked, nothing is billed.
    Simulate(Simulate),
    /// Check, describe or show the configuration.
    Config(Config),
    /// Copy the database to a file, as it is now. The gateway may go on meanwhile.
    Backup(Backup),
    /// Put a copy of the database back. No gateway may run on it meanwhile.
    Restore(Restore),
    /// Bring the database up to date for this release. A gateway does so itself when it starts.
    Migrate(Migrate),
    /// Count every record again, and hold that against the sums that are kept. The gateway may go on meanwhile.
    VerifyLedger(VerifyLedger),
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
pub struct Record {
    /// Where cassettes are kept. What is there already stays.
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,

    /// Keep no cassette larger than this.
    #[arg(long, value_name = "SIZE", default_value = "8MiB")]
    pub max_cassette: String,

    /// Keep no more than this together.
    #[arg(long, value_name = "SIZE", default_value = "256MiB")]
    pub max_dir: String,

    /// Keep no more than so many.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub max_cassettes: u64,

    #[command(flatten)]
    pub serve: Serve,
}

#[derive(Args)]
pub struct Replay {
    /// A directory that `record` made.
    pub dir: PathBuf,

    /// Where to listen. Port 0 takes a free one and says which.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8484")]
    pub listen: SocketAddr,

    /// How fast answers come: max, or so many times as fast as they were (1, 10, 0.5).
    #[arg(long, value_name = "SPEED", default_value = "max")]
    pub speed: Speed,

    /// Let providers fail: [PROVIDER=]MODE[@RATE], as in openai=status:503@0.3, stall:10 or cut:5. May be given several times.
    #[arg(long, value_name = "FAULT")]
    pub fault: Vec<Strike>,

    /// Which of the requests a fault with a rate strikes.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// Use this API key instead of SLIPSWITCH_KEY, or of a random one (8 to 200 visible characters).
    #[arg(long, value_name = "VALUE")]
    pub key: Option<String>,

    /// Print one JSON line when ready; messages for people go to stderr.
    #[arg(long)]
    pub json: bool,

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
pub struct Providers {
    #[command(subcommand)]
    pub what: ProvidersWhat,
}

#[derive(Subcommand)]
pub enum ProvidersWhat {
    /// Every provider that is known, those that are configured first.
    List {
        /// Configuration file, TOML or YAML.
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make one short real call to each configured provider with each of its keys; say what is wrong and what to do.
    Test(ProvidersTest),
    /// Look at a server that speaks OpenAI's API or something like it: models, endpoints, abilities, and what to configure.
    Discover(ProvidersDiscover),
}

#[derive(Args)]
pub struct ProvidersTest {
    /// Only this provider.
    pub provider: Option<String>,

    /// Configuration file, TOML or YAML.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Ask this model instead of the cheapest.
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,

    /// Seconds to wait for each answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub timeout: u64,

    /// Do not look for local servers on loopback.
    #[arg(long)]
    pub no_probe: bool,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct ProvidersDiscover {
    /// Where it is: http://127.0.0.1:8000, with or without /v1.
    pub url: String,

    /// Its API key. Better in a variable: see --key-env.
    #[arg(long, value_name = "VALUE", conflicts_with = "key_env")]
    pub key: Option<String>,

    /// The environment variable that has its API key.
    #[arg(long, value_name = "NAME")]
    pub key_env: Option<String>,

    /// Ask this model instead of the first it lists.
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,

    /// What to call it.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// Seconds to wait for each answer: a model may have to be loaded first.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub timeout: u64,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct Explain {
    /// The id of a past request, as replies carry it (`gen-…`).
    #[arg(conflicts_with_all = ["model", "file", "prompt", "provider", "sort", "config"])]
    pub id: Option<String>,

    /// The model, as a request names it.
    #[arg(short, long, value_name = "NAME")]
    pub model: Option<String>,

    /// What is said to it.
    #[arg(short, long, value_name = "TEXT")]
    pub prompt: Option<String>,

    /// OpenRouter's `provider` object: {"order": ["groq"], "max_price": {"prompt": 1}}
    #[arg(long, value_name = "JSON")]
    pub provider: Option<String>,

    /// price, throughput or latency.
    #[arg(long, value_name = "WHAT")]
    pub sort: Option<String>,

    /// A whole request as JSON; - reads standard input. What is said beside it replaces what it says.
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Without a gateway: by this configuration alone, everybody well and nobody measured.
    #[arg(short, long, value_name = "CONFIG", conflicts_with_all = ["url", "key"])]
    pub config: Option<PathBuf>,

    /// The running gateway; else SLIPSWITCH_URL, else http://127.0.0.1:8484.
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,

    /// Your API key; else SLIPSWITCH_API_KEY or SLIPSWITCH_KEY, else the one of the first start.
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct Simulate {
    /// The decision log (`[decision_log]` of a gateway).
    #[arg(short, long, value_name = "FILE")]
    pub log: PathBuf,

    /// The configuration to try.
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,

    /// Let a provider or endpoint be away from one time of the log to another (`lab=5m..10m`). May be given several times.
    #[arg(long, value_name = "NAME=FROM..TO")]
    pub outage: Vec<String>,

    /// Let a provider or endpoint take so many requests a minute (`lab=60`). May be given several times.
    #[arg(long, value_name = "NAME=N")]
    pub limit: Vec<String>,

    /// Of the dice: the same seed, the same figures.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Which database is meant.
#[derive(Args)]
pub struct Where {
    /// Configuration file, TOML or YAML.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Where keys and records are kept, over what the configuration says.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

#[derive(Args)]
pub struct Backup {
    /// A file that is not there yet.
    pub file: PathBuf,

    /// Copy the pepper too, to the same name with `.pepper` at its end. With both, a guess at a key can be confirmed: keep them apart.
    #[arg(long)]
    pub with_pepper: bool,

    #[command(flatten)]
    pub at: Where,
}

#[derive(Args)]
pub struct Restore {
    /// A file that `backup` made.
    pub file: PathBuf,

    /// The pepper of the copy. Else the one of the data directory, or the file's name with `.pepper` at its end.
    #[arg(long, value_name = "FILE")]
    pub pepper: Option<PathBuf>,

    /// Set aside the database that is there.
    #[arg(long)]
    pub replace: bool,

    #[command(flatten)]
    pub at: Where,
}

#[derive(Args)]
pub struct Migrate {
    /// Change nothing: say what would be done, and end with 1 if there is something.
    #[arg(long)]
    pub check: bool,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub at: Where,
}

#[derive(Args)]
pub struct VerifyLedger {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub at: Where,
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
