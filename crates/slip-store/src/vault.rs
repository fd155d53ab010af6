//! The vault: seals and opens the keys that workspaces have at providers. Its master key is given, or kept in the data directory beside the
//! database, where it is made when the first secret is sealed: whoever stores none has nothing more to back up.

mod envelope;
mod masters;

use crate::Error;
use crate::database::Database;
use crate::filed::Kept;
use crate::place::Dir;
use crate::provider_keys::ProviderKey;
use arc_swap::ArcSwapOption;
pub use envelope::{Row, Sealed, Unopened};
pub use masters::Masters;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Its file in a data directory.
pub(crate) const MASTER: &str = "master-key";
/// Name of the setting that says which master key seals the secrets of a database.
const MASTER_ID: &str = "master-key";

/// A handle. Cheap to clone.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    masters: ArcSwapOption<Masters>,
    /// Where a master key would be made.
    path: Option<PathBuf>,
    /// Who it is that several gateways share, for people.
    shared: Option<String>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({:?})", self.0.masters.load().as_deref())
    }
}

impl Vault {
    /// What is sealed with an older master key is sealed anew with the one that seals now.
    pub(crate) fn open(
        given: Option<Masters>,
        dir: Option<&Dir>,
        shared: Option<&str>,
        database: &mut dyn Database,
    ) -> Result<Vault, Error> {
        let path = dir.map(|dir| dir.database.with_file_name(MASTER));
        let masters = match (given, &path) {
            (Some(given), _) => Some(given),
            (None, Some(path)) => Masters::of_file(path)?,
            (None, None) => Some(Masters::random()),
        };
        let masters = ArcSwapOption::new(masters.map(Arc::new));
        let vault = Vault(Arc::new(Inner { masters, path, shared: shared.map(str::to_owned) }));
        vault.take_up(database)?;
        Ok(vault)
    }

    /// A master key that opens none of the secrets would let every request go to the house's account without a word.
    fn take_up(&self, database: &mut dyn Database) -> Result<(), Error> {
        let sealed: Vec<ProviderKey> =
            database.things(ProviderKey::KIND)?.into_iter().map(ProviderKey::read).collect::<Result<_, _>>()?;
        if sealed.is_empty() {
            return Ok(());
        }
        let masters = self.0.masters.load_full().ok_or_else(|| self.missing())?;
        if sealed.iter().all(|key| masters.find(&key.sealed.master).is_none()) {
            return Err(self.other());
        }
        for mut key in sealed {
            // What does not open stays as it is: it is told of when it would be used.
            if let Ok(Some(again)) = key.sealed.resealed(&masters, &key.row()) {
                key.sealed = again;
                database.put_thing(ProviderKey::KIND, &key.thing()?)?;
            }
        }
        database.put_setting(MASTER_ID, masters.id())?;
        Ok(())
    }

    /// Before anything is sealed: make a master key if there is none, and see that it is the database's.
    pub(crate) fn prepare(&self, database: &mut dyn Database) -> Result<(), Error> {
        let known = database.setting(MASTER_ID)?;
        let none = database.things(ProviderKey::KIND)?.is_empty();
        let masters = match (self.0.masters.load_full(), &self.0.path) {
            (Some(masters), _) => masters,
            (None, Some(path)) if none => {
                let masters = Arc::new(Masters::make(path)?);
                self.0.masters.store(Some(masters.clone()));
                masters
            }
            (None, _) => return Err(self.missing()),
        };
        match known {
            Some(id) if id == masters.id() => Ok(()),
            // Nobody needs the one before any more.
            Some(_) if none => Ok(database.put_setting(MASTER_ID, masters.id())?),
            Some(_) => Err(self.other()),
            // Somebody else may be the first at this moment.
            None => match database.claim_setting(MASTER_ID, masters.id())? {
                Some(id) if id == masters.id() => Ok(()),
                _ => Err(self.other()),
            },
        }
    }

    pub fn seal(&self, row: &Row<'_>, secret: &str) -> Result<Sealed, Error> {
        let masters = self.0.masters.load_full().ok_or_else(|| self.missing())?;
        Ok(Sealed::seal(&masters, row, secret))
    }

    /// The secret of a provider key. It must go into no message, and into no place that is not cleared.
    pub fn secret(&self, key: &ProviderKey) -> Result<Zeroizing<String>, Unopened> {
        let masters = self.0.masters.load_full().ok_or(Unopened::OtherMaster)?;
        key.sealed.open(&masters, &key.row())
    }

    fn missing(&self) -> Error {
        Error::Master {
            path: self.0.path.clone().unwrap_or_default(),
            why: "the master key is missing, and without it no provider key of the database can be used; restore it from a backup, or give it by `master_key_file` or SLIPSWITCH_MASTER_KEY",
        }
    }

    fn other(&self) -> Error {
        match &self.0.shared {
            Some(database) => Error::OtherMaster { database: database.clone() },
            None => Error::Master {
                path: self.0.path.clone().unwrap_or_default(),
                why: "the master key is not the one the provider keys of the database were sealed with; restore it from a backup, or name it beside the new one",
            },
        }
    }
}
