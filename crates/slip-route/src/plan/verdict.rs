//! What failures mean together: which one the caller hears of, and how long to wait for another try.

use super::{MAX_PAUSE, PAUSE, Past};
use fastrand::Rng;
use slip_ir::{Fault, FaultKind, Origin, Remedy};
use std::time::Duration;

/// When everybody is rate limited and nobody said for how long.
const COME_BACK: Duration = Duration::from_secs(2);

/// An overloaded provider is given a moment: from this, up to twice as long.
const BREATH: Duration = Duration::from_secs(1);

/// How long to wait before the same endpoint is tried again; `None` is not at all. `alone`: there is nobody else, so that what
/// another could have mended is worth one more try here.
pub(super) fn pause(fault: &Fault, alone: bool, dice: &mut Rng) -> Option<Duration> {
    let passes = match fault.kind {
        FaultKind::RateLimited => fault.retry_after.is_some(),
        FaultKind::Overloaded => true,
        FaultKind::Upstream => fault.status.is_some_and(|status| status >= 500),
        _ => false,
    };
    if fault.remedy != Remedy::Again && !(alone && fault.remedy == Remedy::Elsewhere && passes) {
        return None;
    }
    match fault.retry_after {
        Some(after) if after <= MAX_PAUSE => Some(after),
        Some(_) => None,
        // A rate limit that does not say when it ends has not ended in a tenth of a second.
        None if fault.kind == FaultKind::RateLimited => None,
        None if fault.kind == FaultKind::Overloaded && fault.status == Some(529) => {
            Some(BREATH + Duration::from_millis(dice.u64(0..=BREATH.as_millis() as u64)))
        }
        None => Some(Duration::from_millis(dice.u64(0..=PAUSE.as_millis() as u64))),
    }
}

/// The most telling fault of all: what the caller can mend, else a rate limit that all share, else the last.
pub(super) fn last_word(past: &[Past]) -> Fault {
    // Who could not be asked at all has less to tell than who was.
    let tried = past.iter().rfind(|p| p.fault.kind != FaultKind::NoEndpoint);
    let Some(last) = tried.or(past.last()) else {
        return Fault::house(FaultKind::Internal, "a plan ended before it began");
    };
    if let Some(own) = past.iter().rfind(|p| p.fault.origin == Origin::Caller) {
        return own.fault.clone();
    }
    let limited = |p: &Past| matches!(p.fault.kind, FaultKind::RateLimited | FaultKind::NoEndpoint);
    if last.fault.kind == FaultKind::RateLimited && past.iter().all(limited) {
        let soonest = past.iter().filter_map(|p| p.fault.retry_after.map(|after| (after, p))).min_by_key(|(a, _)| *a);
        let (after, telling) = soonest.unwrap_or((COME_BACK, last));
        return Fault { retry_after: Some(after), ..telling.fault.clone() };
    }
    last.fault.clone()
}
