//! What outlives a request: keys, one record per generation, what each key spent, and small settings of the installation.
//!
//! SQLite, in one file of the data directory (or in memory), or Postgres, which several gateways may share. One dedicated thread, the ledger writer, owns the only connection
//! that writes; it batches, and no request ever waits for it. What the request path reads ([`Keyring`], recent records, spend)
//! is in memory. Nothing of the database library shows in this crate's public face: SQL is in `queries/` and `migrations/`.
//!
//! Start reading at [`store`], then [`ledger`].

pub mod charged;
pub mod codes;
pub mod content;
mod database;
pub mod directory;
pub mod error;
mod filed;
pub mod generations;
pub mod guardrails;
mod journal;
pub mod keyring;
pub mod keys;
pub mod leases;
pub mod ledger;
pub mod members;
mod pepper;
mod place;
mod postgres;
pub mod provider_keys;
pub mod scopes;
mod spans;
mod sqlite;
pub mod store;
pub mod things;
pub mod upkeep;
pub mod usage;
pub mod vault;
pub mod workspaces;
mod writer;

pub use charged::Charged;
pub use codes::{AuthCode, Challenge};
pub use content::Content;
pub use directory::{Directory, Edit, Snapshot};
pub use error::Error;
pub use filed::{Filed, derived_id, is_id, random_id};
pub use generations::{Attempt, Cached, Classes, Failure, Generation, Page, Ruled};
pub use guardrails::{Assignment, Guardrail, Whose};
pub use journal::{OnDisk, Opening};
pub use keyring::Keyring;
pub use keys::{BadKey, DEFAULT_WORKSPACE, Key, KeyDetail, KeyKind, NewKey, Reset, SecretKey};
pub use leases::{Answer, Keeper, Leases};
pub use ledger::{CAPACITY, Full, Ledger, Slot};
pub use members::{Member, Role};
pub use pepper::Pepper;
pub use place::Place;
pub use postgres::DatabaseUrl;
pub use provider_keys::ProviderKey;
pub use scopes::{ScopeId, Standing};
pub use slip_quota::day_of;
pub use slip_quota::sums::Usage as KeyUsage;
pub use store::{Changed, Observer, Store};
pub use things::{Kind, Thing};
pub use usage::{Between, By, Grain, Sums, Used};
pub use vault::{Masters, Vault};
pub use workspaces::{Budget, Interval, Joined, Workspace};
