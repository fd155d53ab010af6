//! A configuration that has been understood: what the rest of the house is built from.

pub use super::raw::{Account as AccountLimits, CacheScope, Policy};
use slip_ir::{Dialect, MediaKind, Op, Price};
use slip_quota::Caps;
use slip_quota::line::Terms;
use slip_store::DatabaseUrl;
use slip_wire::Envelope;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub const LOG_LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

pub fn dialects() -> [&'static str; Dialect::ALL.len()] {
    Dialect::ALL.map(Dialect::name)
}

pub fn envelopes() -> [&'static str; Envelope::ALL.len()] {
    Envelope::ALL.map(|envelope| envelope.name)
}

#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    pub listen: SocketAddr,
    pub data_dir: PathBuf,
    pub database_url: Option<DatabaseUrl>,
    pub pepper_file: Option<PathBuf>,
    /// `durability` is `disk`.
    pub durable: bool,
    pub master_key_file: Option<PathBuf>,
    pub probe: bool,
    /// One of [`LOG_LEVELS`].
    pub log: String,
    pub drain_timeout: Duration,
    pub timeouts: Timeouts,
    pub limits: Limits,
    pub fetch: Fetch,
    pub cache: CacheConf,
    pub decision_log: Option<DecisionLog>,
    /// In the order of their slugs.
    pub providers: Vec<ProviderConf>,
    /// In the order of their names.
    pub houses: Vec<HouseConf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Duration,
    pub first_content: Duration,
    pub idle: Duration,
    pub total: Duration,
    pub head_commit: Duration,
    pub keepalive: Duration,
}

impl Timeouts {
    /// With what is said for one place.
    pub fn with(self, patience: Patience) -> Timeouts {
        Timeouts {
            connect: patience.connect.unwrap_or(self.connect),
            first_content: patience.first_content.unwrap_or(self.first_content),
            idle: patience.idle.unwrap_or(self.idle),
            total: patience.total.unwrap_or(self.total),
            ..self
        }
    }
}

/// What of the timeouts is another time in one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Patience {
    pub connect: Option<Duration>,
    pub first_content: Option<Duration>,
    pub idle: Option<Duration>,
    pub total: Option<Duration>,
}

/// When another endpoint is asked beside the first, and how often at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hedge {
    pub after: After,
    /// Millionths of the requests, and of what they cost.
    pub share: u32,
    /// Also for requests that do not ask for it.
    pub unasked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum After {
    /// This share of the endpoint's own answers was faster.
    Percentile(f64),
    Fixed(Duration),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub body: u64,
    pub max_concurrent: u32,
    /// For how long what is lent of a limit to one of several gateways is its own.
    pub lease: Duration,
    /// What all keys together may spend.
    pub caps: Caps,
    /// Of every line there is.
    pub queue: Terms,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fetch {
    pub allow_private: bool,
}

/// Whose answers are kept, for how long, and among whom they are shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheConf {
    pub enabled: bool,
    /// A request may ask for it where it is off.
    pub allow: bool,
    pub ttl: Duration,
    pub scope: CacheScope,
    pub tool_calls: bool,
    pub single_flight: bool,
    /// Between two events of a stream that is told again.
    pub pace: Duration,
    pub memory: u64,
    pub largest: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionLog {
    pub path: PathBuf,
    pub max_bytes: u64,
    /// Old files beside it.
    pub keep: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ProviderConf {
    pub slug: String,
    pub title: Option<String>,
    pub kind: ProviderKind,
    /// Always there for a declared provider; for a built-in one only where the file departs from it.
    pub dialect: Option<Dialect>,
    /// How a cloud wraps that dialect, where one does.
    pub envelope: Option<&'static Envelope>,
    /// With their weights. Empty: none is given, or none is wanted.
    pub keys: Vec<(Secret, u32)>,
    /// Without trailing slash. Empty for a built-in provider that stays where it is.
    pub base_urls: Vec<String>,
    pub headers: Vec<(String, Secret)>,
    pub allow_private: bool,
    /// What fills the blanks of its addresses, by name.
    pub blanks: BTreeMap<String, String>,
    /// Where its credentials come from when they are more than a key.
    pub credential: Option<Credential>,
    /// It serves only the models named here, whatever the catalogue knows: a customer's own deployments.
    pub only_declared: bool,
    /// How often it is asked whether it is well.
    pub probe: Option<Duration>,
    /// What the file says of its terms.
    pub policy: Policy,
    pub patience: Patience,
    /// Of each of its accounts.
    pub account: AccountLimits,
    pub models: Vec<ModelConf>,
}

impl ProviderConf {
    /// A built-in provider as its own file has it, without a key.
    pub fn builtin(slug: &str) -> ProviderConf {
        ProviderConf {
            slug: slug.to_owned(),
            title: None,
            kind: ProviderKind::Builtin,
            dialect: None,
            envelope: None,
            keys: Vec::new(),
            base_urls: Vec::new(),
            headers: Vec::new(),
            allow_private: false,
            blanks: BTreeMap::new(),
            credential: None,
            only_declared: false,
            probe: None,
            policy: Policy::default(),
            patience: Patience::default(),
            account: AccountLimits::default(),
            models: Vec::new(),
        }
    }
}

/// Where credentials come from that are fetched, renewed, or used to sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    Aws(Aws),
    Entra(Entra),
    Google(Google),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aws {
    pub region: String,
    pub service: String,
    pub keys: AwsKeys,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AwsKeys {
    Fixed {
        id: String,
        secret: Secret,
        session: Option<Secret>,
    },
    /// The usual places, in the usual order; of the shared files this profile, or the usual one.
    Chain {
        profile: Option<String>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entra {
    /// Base URL of who gives out tokens.
    pub authority: String,
    pub scope: String,
    pub who: EntraWho,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntraWho {
    Application {
        tenant: String,
        id: String,
        proof: Proof,
    },
    /// The machine's identity, or this one of several.
    Machine {
        id: Option<String>,
    },
}

/// How an application proves that it is itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    Secret(Secret),
    /// A token of another issuer, which somebody else keeps fresh in this file: a Kubernetes workload has one.
    File(PathBuf),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Google {
    /// A file somebody named: it must be there.
    pub file: Option<PathBuf>,
    /// Where gcloud leaves a person's own: taken if it is there.
    pub own: Option<PathBuf>,
    /// `host` or `host:port` of the machine's metadata service, asked last.
    pub metadata: String,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ProviderKind {
    Builtin,
    Declared,
    Simulated(SimConf),
}

/// A simulated provider. Its models are those of its [`ProviderConf`].
#[derive(Clone, Debug, PartialEq)]
pub struct SimConf {
    pub dialect: Dialect,
    pub ttft: Option<Duration>,
    pub tokens_per_second: Option<f64>,
    /// Mode, and share of the requests it strikes.
    pub fault: Option<(String, f64)>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ModelConf {
    /// As callers name it.
    pub id: String,
    /// As the server names it.
    pub upstream: String,
    pub name: Option<String>,
    pub context: Option<u64>,
    pub max_output: Option<u64>,
    /// Besides text. `None` when the file does not say.
    pub input: Option<Vec<MediaKind>>,
    pub output: Option<Vec<MediaKind>>,
    /// What it does instead of talking.
    pub services: Vec<Op>,
    pub params: Option<Vec<String>>,
    pub quantization: Option<String>,
    /// `None` is unknown, which is not free.
    pub price: Option<Price>,
}

impl ModelConf {
    /// Of which nothing else is known.
    pub fn named(id: impl Into<String>, upstream: impl Into<String>) -> ModelConf {
        ModelConf {
            id: id.into(),
            upstream: upstream.into(),
            name: None,
            context: None,
            max_output: None,
            services: Vec::new(),
            input: None,
            output: None,
            params: None,
            quantization: None,
            price: None,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct HouseConf {
    pub name: String,
    pub endpoints: Vec<String>,
    pub load_balancer: Option<String>,
    pub patience: Patience,
    pub hedge: Option<Hedge>,
    /// A stream that breaks off is gone on with elsewhere.
    pub continues: bool,
}

/// Text that must not be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask(&self.0))
    }
}

/// Enough of a secret to tell it from another: `sk-…1234`. Short ones show nothing.
pub fn mask(secret: &str) -> String {
    let chars: Vec<char> = secret.chars().collect();
    if chars.len() < 16 {
        return "…".into();
    }
    let (head, tail) = (&chars[..3], &chars[chars.len() - 4..]);
    head.iter().chain(&['…']).chain(tail).collect()
}
