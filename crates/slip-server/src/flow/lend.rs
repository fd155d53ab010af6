//! Money from limits that several gateways spend from: taken from what is lent to this one, and where that is too little, a moment's
//! wait for more. Only who finds too little waits, and never for longer than [`PATIENCE`].

use super::afford;
use crate::{App, clock};
use slip_ir::{Fault, FaultKind, Nano};
use slip_quota::{Denied, Left};
use slip_store::{Answer, Leases, ScopeId, Slot, Standing};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a request waits for more of a limit that is lent, in all.
const PATIENCE: Duration = Duration::from_secs(1);
/// What was heard of a limit lately may be gone by.
const LATELY_MS: i64 = 250;
/// Who is refused by that has it looked at again, but not each of many.
const AGAIN_MS: i64 = 50;

/// What all caps over a request leave, as far as it is known here; `None` where none is concerned. What is paid with the caller's own
/// key (`byok`) is the concern of those that count it.
pub fn left(standing: &Standing, byok: bool) -> Option<Nano> {
    let now = clock::moment();
    let every = standing.quota.accounts().iter().flat_map(|account| account.left(now));
    every.filter(|left| !byok || left.include_byok).map(|left| left.whole()).min()
}

/// Others spend from the same limits.
pub fn is_lent(app: &App) -> bool {
    app.store.leases().is_some()
}

/// See that something is known of each limit over a request: of one nobody has used lately nothing is lent to this gateway yet.
pub async fn ready(app: &App, standing: &Standing, amount: Nano, byok: bool, began: Instant) {
    let Some(leases) = app.store.leases() else { return };
    let now = clock::moment();
    let mut round = None;
    for (account, id) in standing.quota.accounts().iter().zip(&standing.ids) {
        let concerned = account.left(now).filter(|left| !byok || left.include_byok);
        for unknown in concerned.filter(Left::is_unknown) {
            round = Some(leases.ask(id, unknown.reset, amount, amount));
        }
    }
    if let Some(round) = round {
        // What comes of it is seen when the money is held.
        wait(app, leases, round, left_of(began)).await;
    }
}

/// Hold `full`, or, where nothing is lent, what there is if that is `least` or more. `None` where too little is lent: see [`hold`].
pub fn hold_at_once(app: &App, slot: &mut Slot, full: Nano, least: Nano, byok: bool) -> Option<Result<Nano, Fault>> {
    let lent = is_lent(app);
    let held = slot.hold(full, if lent { full } else { least }, byok, clock::moment());
    match held {
        Ok(held) => Some(Ok(held)),
        Err(_) if lent => None,
        Err(denied) => Some(Err(slot.standing().map_or_else(unsure, |standing| afford::too_little(&denied, standing)))),
    }
}

/// Hold `full`, or what there is if that is `least` or more, and the limit itself leaves no more. Says how much is held.
pub async fn hold(
    app: &App,
    slot: &mut Slot,
    full: Nano,
    least: Nano,
    byok: bool,
    began: Instant,
) -> Result<Nano, Fault> {
    let Some((standing, leases)) = slot.standing().cloned().zip(app.store.leases()) else { return Err(unsure()) };
    let since_ms = clock::moment().steady_ms - LATELY_MS;
    loop {
        let now = clock::moment();
        let Err(denied) = slot.hold(full, full, byok, now) else { return Ok(full) };
        let heard = denied.by.as_of_ms >= since_ms;
        let whole = denied.by.whole();
        if heard && whole < full {
            // The limit itself does not leave that much.
            match slot.hold(full, least, byok, now) {
                Ok(held) => return Ok(held),
                Err(denied) if is_reached(&denied, least) && denied.by.as_of_ms >= since_ms => {
                    if denied.by.as_of_ms < now.steady_ms - AGAIN_MS {
                        leases.ask(whose(&standing, &denied), denied.by.reset, least, least);
                    }
                    return Err(reached(&denied, &standing));
                }
                Err(_) => {}
            }
        }
        let amount = if heard { full.min(whole).max(least) } else { full };
        let round = leases.ask(whose(&standing, &denied), denied.by.reset, amount, least);
        let answer = wait(app, leases, round, left_of(began)).await;
        if answer == Answer::Told && left_of(began) > Duration::ZERO {
            continue;
        }
        // It has to do with what there is.
        return slot.hold(full, least, byok, clock::moment()).map_err(|denied| {
            // What is known while the lease is in force.
            if is_reached(&denied, least) { reached(&denied, &standing) } else { unsure() }
        });
    }
}

async fn wait(app: &App, leases: &Leases, round: u64, patience: Duration) -> Answer {
    // Writing fails: asking would.
    if app.store.trouble().is_some() { Answer::Away } else { leases.wait(round, patience).await }
}

fn left_of(began: Instant) -> Duration {
    PATIENCE.saturating_sub(clock::now().duration_since(began))
}

fn whose<'a>(standing: &'a Arc<Standing>, denied: &Denied) -> &'a ScopeId {
    standing.ids.get(denied.which).unwrap_or(&ScopeId::Instance)
}

/// The limit itself leaves too little, and not this gateway's part of it alone.
fn is_reached(denied: &Denied, least: Nano) -> bool {
    !denied.by.leased || denied.by.as_of_ms > i64::MIN && denied.by.whole() < least
}

/// The limit is reached. Told as everybody sees it.
pub fn reached(denied: &Denied, standing: &Standing) -> Fault {
    let by = &denied.by;
    if !by.leased {
        return afford::too_little(denied, standing);
    }
    let spent = Nano(by.cap.0.saturating_sub(by.whole().0));
    let whole = Left { limit: by.cap, spent, held: Nano(0), ..*by };
    afford::too_little(&Denied { by: whole, ..*denied }, standing)
}

/// Nobody can say at this moment whether the limit leaves enough.
pub fn unsure() -> Fault {
    let says = "what is left of this budget cannot be asked for at this moment; try again";
    let mut fault = Fault::house(FaultKind::Busy, says);
    fault.retry_after = Some(Duration::from_secs(1));
    fault
}

/// More of a stream's money is not to be had here: ask for it, without waiting. `Some` when it is known that there is none.
pub fn top_up(app: &App, standing: &Standing, denied: &Denied, amount: Nano) -> Option<Fault> {
    let Some(leases) = app.store.leases().filter(|_| denied.by.leased) else {
        return Some(afford::too_little(denied, standing));
    };
    let lately = denied.by.as_of_ms >= clock::moment().steady_ms - LATELY_MS;
    if lately && denied.by.whole() < amount {
        return Some(reached(denied, standing));
    }
    leases.ask(standing.ids.get(denied.which).unwrap_or(&ScopeId::Instance), denied.by.reset, amount, amount);
    None
}
