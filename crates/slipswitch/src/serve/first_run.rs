//! The first two keys of an installation: made once, shown once.

use crate::exit::{Code, Ending};
use slip_server::{App, clock};
use slip_store::{KeyKind, NewKey, SecretKey};
use std::io::Write;
use std::path::{Path, PathBuf};

pub struct Keys {
    /// The secrets, where they are known: just made, given by the environment, or still in the file of the first start.
    pub api: Option<SecretKey>,
    pub management: Option<SecretKey>,
    /// The file they were written to, at the first start.
    pub written: Option<PathBuf>,
    /// Given by the environment.
    pub fixed: bool,
}

const FILE: &str = "first-keys";
/// The names the two go by.
const API: &str = "first key";
const ADMIN: &str = "admin";

/// `SLIPSWITCH_KEY` and `SLIPSWITCH_MANAGEMENT_KEY` fix the two keys for unattended installations; what is not fixed is minted at
/// the first start and written to a file only its owner can read.
pub async fn keys(app: &App, dir: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Keys, Ending> {
    let fixed = |name: &str| match env(name).filter(|v| !v.is_empty()) {
        None => Ok(None),
        Some(text) => {
            SecretKey::fixed(&text).map(Some).map_err(|e| Ending::new(Code::BadConfig, format!("error: {name}: {e}")))
        }
    };
    let (api, management) = (fixed("SLIPSWITCH_KEY")?, fixed("SLIPSWITCH_MANAGEMENT_KEY")?);
    if api.is_some() && api == management {
        let says =
            "error: SLIPSWITCH_KEY and SLIPSWITCH_MANAGEMENT_KEY are the same: one runs models, the other administers";
        return Err(Ending::new(Code::BadConfig, says));
    }
    let (api_given, management_given) = (api.is_some(), management.is_some());
    for (given, name, kind) in [(&api, API, KeyKind::Api), (&management, ADMIN, KeyKind::Management)] {
        if let Some(given) = given {
            replace(app, given, name, kind).await?;
        }
    }
    let known = app.store.keyring().all();
    let has = |kind| known.iter().any(|k| k.kind == kind);
    let path = dir.join(FILE);
    let (old_api, old_management) = read(&path);
    let listed = (old_api.is_some(), old_management.is_some());
    let mut minted = false;
    let mut settle = |given: Option<SecretKey>, old: Option<SecretKey>, have: bool| match (given, have) {
        (Some(given), _) => Some(given),
        (None, true) => old,
        (None, false) => {
            minted = true;
            Some(SecretKey::mint())
        }
    };
    let api = settle(api, old_api, has(KeyKind::Api));
    let management = settle(management, old_management, has(KeyKind::Management));
    let now = i64::try_from(clock::unix_ms()).unwrap_or(0);
    for (secret, name, kind) in [(&api, API, KeyKind::Api), (&management, ADMIN, KeyKind::Management)] {
        if let Some(secret) = secret {
            let new = NewKey { name: name.to_owned(), kind, ..NewKey::default() };
            app.store
                .create_key(secret, new, now)
                .await
                .map_err(|e| Ending::new(Code::Unavailable, format!("error: the first keys cannot be kept: {e}")))?;
        }
    }
    // What the operator keeps somewhere already is not written down a second time; what no longer opens anything must not stay.
    let to_write = (api.as_ref().filter(|_| !api_given), management.as_ref().filter(|_| !management_given));
    let stale = (api_given && listed.0) || (management_given && listed.1);
    if minted || stale {
        write(&path, to_write.0, to_write.1)?;
    }
    let written = minted.then_some(path);
    Ok(Keys { api, management, written, fixed: api_given })
}

/// A key given by the environment takes the place of the one before: whoever changes it means the old one to end.
async fn replace(app: &App, given: &SecretKey, name: &str, kind: KeyKind) -> Result<(), Ending> {
    let hash = given.hash();
    for key in app.store.keyring().all() {
        if key.name == name && key.kind == kind && *key.hash != *hash {
            app.store
                .delete_key(&key.hash)
                .await
                .map_err(|e| Ending::new(Code::Unavailable, format!("error: the old key cannot be taken away: {e}")))?;
        }
    }
    Ok(())
}

fn write(path: &Path, api: Option<&SecretKey>, management: Option<&SecretKey>) -> Result<PathBuf, Ending> {
    use std::os::unix::fs::OpenOptionsExt;
    let failed = |e: std::io::Error| {
        Ending::new(Code::Unavailable, format!("error: the first keys cannot be written to {}: {e}", path.display()))
    };
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).map_err(failed)?;
    for (name, key) in [("key", api), ("management_key", management)] {
        if let Some(key) = key {
            writeln!(file, "{name}={}", key.expose()).map_err(failed)?;
        }
    }
    Ok(path.to_owned())
}

/// The API key of the first start, for commands on the same machine.
pub fn kept(dir: &Path) -> Option<SecretKey> {
    read(&dir.join(FILE)).0
}

/// The management key of the first start, for the same.
pub fn kept_management(dir: &Path) -> Option<SecretKey> {
    read(&dir.join(FILE)).1
}

fn read(path: &Path) -> (Option<SecretKey>, Option<SecretKey>) {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let find = |name: &str| {
        let line = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix('='))?;
        SecretKey::fixed(line.trim()).ok()
    };
    (find("key"), find("management_key"))
}
