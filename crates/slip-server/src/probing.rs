//! Asks self-hosted servers now and then whether they are well, where the configuration says `probe`: one that does not answer
//! rests before a request finds out, and is back when it answers again.

use crate::App;
use crate::clock;
use crate::upstream::{self, Deadlines, Target};
use slip_providers::Provider;
use slip_route::health::Breaker;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How often it is looked who is due.
const LOOK: Duration = Duration::from_millis(500);
/// A server that is well says so at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is remembered of a server between two questions.
struct Known {
    due: Instant,
    well: bool,
    asking: bool,
}

/// For as long as the process lives.
pub async fn watch(app: Arc<App>) {
    let mut known: HashMap<String, Known> = HashMap::new();
    let mut asking = JoinSet::new();
    loop {
        let (world, now) = (app.world(), clock::now());
        let mut seen = Vec::new();
        for probed in world.probed() {
            let Some(url) = probed.target.url("") else { continue };
            let state = known.entry(url.clone()).or_insert(Known { due: now, well: true, asking: false });
            if !state.asking && state.due <= now {
                (state.asking, state.due) = (true, now + probed.every);
                let (url, every, host) = (url.clone(), probed.every, probed.host.clone());
                let (target, provider) = (probed.target.clone(), probed.provider.clone());
                asking.spawn(async move {
                    let well = tokio::time::timeout(PATIENCE, is_well(&target, &provider)).await;
                    (url, every, host, well.unwrap_or_else(|_| Err("no answer in time".to_owned())))
                });
            }
            seen.push(url);
        }
        // A reload may have taken some away.
        known.retain(|url, _| seen.contains(url));
        let look = tokio::time::sleep(LOOK);
        tokio::pin!(look);
        loop {
            tokio::select! {
                () = &mut look => break,
                Some(done) = asking.join_next() => {
                    if let Ok((url, every, host, said)) = done
                        && let Some(state) = known.get_mut(&url)
                    {
                        state.asking = false;
                        judge(&url, state, every, &host, said);
                    }
                }
            }
        }
    }
}

fn judge(url: &str, state: &mut Known, every: Duration, host: &Breaker, said: Result<(), String>) {
    let now = clock::unix_ms();
    match said {
        Ok(()) => {
            host.revive(now);
            if !state.well {
                tracing::warn!("{url} answers again");
            }
            state.well = true;
        }
        Err(why) => {
            // Until the next answer, and a little more.
            host.rest(now, every + PATIENCE + LOOK);
            if state.well {
                tracing::warn!("{url} is not well and rests: {why}");
            }
            state.well = false;
        }
    }
}

/// `/health` where there is one, else its list of models. Whoever answers is well, unless he says that he is not.
async fn is_well(target: &Target, provider: &Provider) -> Result<(), String> {
    let listed = || match (&provider.local, &provider.models_path) {
        (Some(local), _) => from_root(target, &local.probe),
        (None, Some(path)) => path.to_string(),
        (None, None) => "/models".to_owned(),
    };
    match status(target, &from_root(target, "/health")).await? {
        404 | 405 | 501 => match status(target, &listed()).await? {
            failing @ 500.. => Err(format!("its list of models is answered with {failing}")),
            _ => Ok(()),
        },
        failing @ 500.. => Err(format!("its health is answered with {failing}")),
        _ => Ok(()),
    }
}

/// A path from the root, as one beside the base.
fn from_root(target: &Target, path: &str) -> String {
    match target.prefix.matches('/').count() {
        0 => path.to_owned(),
        n => "../".repeat(n) + path.trim_start_matches('/'),
    }
}

async fn status(target: &Target, path: &str) -> Result<u16, String> {
    let deadlines = Deadlines { connect: PATIENCE, headers: PATIENCE, alone: true };
    let answer = upstream::get(target, path, deadlines).await.map_err(|failed| failed.fault.says.to_string())?;
    Ok(answer.status().as_u16())
}
