//! What can be said to a running gateway by whoever administers it: keys, usage, records.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Whom to ask, and as whom.
#[derive(Args)]
pub struct Asking {
    /// The running gateway; else SLIPSWITCH_URL, else http://127.0.0.1:8484.
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,

    /// A management key; else SLIPSWITCH_MANAGEMENT_KEY, else the one of the first start.
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
}

#[derive(Args)]
pub struct Cache {
    #[command(subcommand)]
    pub what: CacheWhat,
}

#[derive(Subcommand)]
pub enum CacheWhat {
    /// How many there are, how often they were given, and what that saved.
    Stats(CacheStats),
    /// What is kept, without what it says.
    List(CacheSome),
    /// Forget those that are named. At least one of --model, --of, --prefix, --all is needed.
    Purge(CacheSome),
}

#[derive(Args)]
pub struct CacheStats {
    #[command(flatten)]
    pub asking: Asking,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Which answers are meant: those that all of it is true of.
#[derive(Args)]
pub struct CacheSome {
    #[command(flatten)]
    pub asking: Asking,

    /// Of this model, or of all that begin so: openai/*
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,

    /// Of the key with this hash, or one that begins so.
    #[arg(long, value_name = "HASH")]
    pub of: Option<String>,

    /// Whose id begins so.
    #[arg(long, value_name = "HEX")]
    pub prefix: Option<String>,

    /// All there are.
    #[arg(long)]
    pub all: bool,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct Keys {
    #[command(subcommand)]
    pub what: KeysWhat,
}

#[derive(Subcommand)]
pub enum KeysWhat {
    /// Make a key. Its secret is shown now and never again.
    Create(Box<KeysCreate>),
    /// The keys of a workspace.
    List(KeysList),
    /// One key: its limits, and what it has used.
    Show(KeysOne),
    /// Change a key. What is not said stays; "none" takes a limit away.
    Edit(Box<KeysEdit>),
    /// Give a key another secret. The old one opens it for a while.
    Rotate(KeysRotate),
    /// Delete a key, and what was kept of its requests. What it used stays on record.
    Revoke(KeysOne),
}

/// What a key is made to stay within.
#[derive(Args)]
pub struct KeyLimits {
    /// Dollars it may spend.
    #[arg(long, value_name = "USD")]
    pub limit: Option<String>,

    /// When that begins anew: daily, weekly or monthly.
    #[arg(long, value_name = "WHEN")]
    pub reset: Option<String>,

    /// Models it may use, as patterns: openai/*,anthropic/claude-opus-5
    #[arg(long, value_name = "LIST")]
    pub models: Option<String>,

    /// Providers it may use.
    #[arg(long, value_name = "LIST")]
    pub providers: Option<String>,

    /// Addresses and networks it may be used from: 10.0.0.0/8,192.0.2.7
    #[arg(long, value_name = "LIST")]
    pub addresses: Option<String>,

    /// Requests a minute.
    #[arg(long, value_name = "N")]
    pub rpm: Option<String>,

    /// Tokens a minute.
    #[arg(long, value_name = "N")]
    pub tpm: Option<String>,

    /// Requests at once.
    #[arg(long, value_name = "N")]
    pub concurrent: Option<String>,

    /// interactive, batch or background.
    #[arg(long, value_name = "CLASS")]
    pub priority: Option<String>,

    /// Keep what is asked and answered for so many days. Off unless this is said.
    #[arg(long, value_name = "DAYS")]
    pub store_content: Option<String>,

    /// Answers are kept to be given again: on, off (unless a request asks for it), or never.
    #[arg(long, value_name = "WHEN")]
    pub cache: Option<String>,

    /// For how many seconds.
    #[arg(long, value_name = "SECONDS")]
    pub cache_ttl: Option<String>,

    /// Who shares them: key or workspace.
    #[arg(long, value_name = "SCOPE")]
    pub cache_scope: Option<String>,

    /// Until when it opens anything: 2027-12-31T23:59:59Z
    #[arg(long, value_name = "TIME")]
    pub expires: Option<String>,
}

#[derive(Args)]
pub struct KeysCreate {
    /// What it is for.
    pub name: String,

    #[command(flatten)]
    pub limits: KeyLimits,

    /// The workspace it belongs to.
    #[arg(long, value_name = "NAME")]
    pub workspace: Option<String>,

    /// Whose it is.
    #[arg(long, value_name = "ID")]
    pub member: Option<String>,

    /// A key that administers, and runs no models.
    #[arg(long)]
    pub management: bool,

    /// Print the secret alone.
    #[arg(short, long, conflicts_with = "json")]
    pub quiet: bool,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub asking: Asking,
}

#[derive(Args)]
pub struct KeysList {
    /// The workspace.
    #[arg(long, value_name = "NAME")]
    pub workspace: Option<String>,

    /// Those that are disabled too.
    #[arg(long)]
    pub all: bool,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub asking: Asking,
}

#[derive(Args)]
pub struct KeysOne {
    /// Its hash, the beginning of it, or its name.
    #[arg(value_name = "KEY")]
    pub which: String,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub asking: Asking,
}

#[derive(Args)]
pub struct KeysEdit {
    /// Its hash, the beginning of it, or its name.
    #[arg(value_name = "KEY")]
    pub which: String,

    /// Call it something else.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    #[command(flatten)]
    pub limits: KeyLimits,

    /// It opens nothing until it is enabled.
    #[arg(long, conflicts_with = "enable")]
    pub disable: bool,

    #[arg(long)]
    pub enable: bool,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub asking: Asking,
}

#[derive(Args)]
pub struct KeysRotate {
    /// Its hash, the beginning of it, or its name.
    #[arg(value_name = "KEY")]
    pub which: String,

    /// Seconds for which the old secret still opens it: 0 ends it now, a day if nothing is said.
    #[arg(long, value_name = "SECONDS")]
    pub overlap: Option<u64>,

    /// Print the secret alone.
    #[arg(short, long, conflicts_with = "json")]
    pub quiet: bool,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub asking: Asking,
}

/// From when to when.
#[derive(Args)]
pub struct Period {
    /// From when: 7d, 36h, 2026-11-01 or 2026-11-01T12:00:00Z.
    #[arg(long, value_name = "TIME", default_value = "7d")]
    pub since: String,

    /// Until when; now, if nothing is said.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Grouping {
    Model,
    Provider,
    Key,
    Day,
    Workspace,
}

#[derive(Args)]
pub struct Usage {
    /// What to add up by.
    #[arg(long, value_enum, default_value = "model", conflicts_with = "reprice")]
    pub by: Grouping,

    #[command(flatten)]
    pub period: Period,

    /// What the same would have cost at the prices of this configuration. Nothing is changed.
    #[arg(long, value_name = "FILE")]
    pub reprice: Option<PathBuf>,

    /// Print CSV.
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub asking: Asking,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Csv,
    /// A record per line.
    Json,
}

#[derive(Args)]
pub struct Export {
    #[command(flatten)]
    pub period: Period,

    /// Comma-separated with a head, or a JSON object per line.
    #[arg(long, value_enum, default_value = "csv")]
    pub format: Format,

    #[command(flatten)]
    pub asking: Asking,
}

#[derive(Args)]
pub struct Byok {
    #[command(subcommand)]
    pub what: ByokWhat,
}

#[derive(Subcommand)]
pub enum ByokWhat {
    /// Put in a key, which is read from standard input. It is stored sealed and never shown.
    Add(ByokAdd),
    /// The keys of a workspace, in the order in which they are tried.
    List(ByokList),
    /// Remove a key, secret and all.
    Remove(ByokOne),
}

#[derive(Args)]
pub struct ByokAdd {
    /// The provider it opens.
    pub provider: String,

    /// What it is for.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// The workspace it belongs to; else the default one.
    #[arg(long, value_name = "NAME")]
    pub workspace: Option<String>,

    /// Only where the house's own key came to nothing.
    #[arg(long)]
    pub fallback: bool,

    /// Print what is known of it as JSON.
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub asking: Asking,
}

#[derive(Args)]
pub struct ByokList {
    /// Of this workspace; else of the default one.
    #[arg(long, value_name = "NAME")]
    pub workspace: Option<String>,

    /// Of this provider.
    #[arg(long, value_name = "NAME")]
    pub provider: Option<String>,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub asking: Asking,
}

#[derive(Args)]
pub struct ByokOne {
    /// Its id.
    pub id: String,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub asking: Asking,
}
