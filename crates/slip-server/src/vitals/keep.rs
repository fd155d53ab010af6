//! What is known of endpoints, kept in a file beside the database so that a restart is not a beginning: written every minute and at
//! the end, all at once or not at all.

use super::Vitals;
use slip_route::health::Frozen;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

const FILE: &str = "health.json";
const EVERY: Duration = Duration::from_secs(60);
/// A file larger than this is not ours.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Takes up what is kept in this directory. A file that cannot be read is no reason not to start: it is said, and replaced.
pub fn load(vitals: &Vitals, dir: &Path) {
    let path = dir.join(FILE);
    let read = || -> io::Result<BTreeMap<String, Frozen>> {
        if fs::metadata(&path)?.len() > MAX_BYTES {
            return Err(io::Error::other("it is too large"));
        }
        serde_json::from_slice(&fs::read(&path)?).map_err(io::Error::other)
    };
    match read() {
        Ok(all) => vitals.thaw(all),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => tracing::warn!("{} is not used: {e}", path.display()),
    }
}

/// Writes it, aside first, so that what is there is always whole.
pub fn save(vitals: &Vitals, dir: &Path) -> io::Result<()> {
    let path = dir.join(FILE);
    let aside = path.with_extension("json.new");
    fs::write(&aside, serde_json::to_vec(&vitals.freeze()).map_err(io::Error::other)?)?;
    fs::rename(&aside, &path)
}

/// Writes it every minute for as long as the process lives. Call inside a runtime.
pub fn keep(vitals: Arc<Vitals>, dir: PathBuf) {
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(EVERY).await;
            let (vitals, dir) = (vitals.clone(), dir.clone());
            let saved = tokio::task::spawn_blocking(move || save(&vitals, &dir)).await;
            if let Ok(Err(e)) = saved {
                tracing::warn!("the health of endpoints could not be kept: {e}");
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use slip_route::health::Answered;

    #[test]
    fn what_is_saved_is_loaded_and_what_is_broken_is_left() {
        let dir = std::env::temp_dir().join(format!("slipswitch-keep-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("a directory");
        let vitals = Vitals::default();
        let now = crate::clock::unix_ms();
        let reply = Answered { first_us: Some(70_000), total_us: 90_000, output: 1, ..Answered::default() };
        vitals.of("lab #0").answered(now, &reply);
        save(&vitals, &dir).expect("written");
        let again = Vitals::default();
        load(&again, &dir);
        assert_eq!(again.of("lab #0").vital(now).ttft_ms, Some(70));
        fs::write(dir.join(FILE), b"{").expect("written");
        load(&Vitals::default(), &dir);
        fs::remove_dir_all(&dir).expect("gone");
        load(&Vitals::default(), Path::new("/nowhere/at/all"));
    }
}
