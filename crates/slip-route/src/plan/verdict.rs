//! What failures mean together: which one the caller hears of, and how long to wait for another try.

use super::{MAX_PAUSE, PAUSE, Past};
use fastrand::Rng;
use slip_ir::{Fault, FaultKind, Origin, Remedy};
use std::time::Duration;

/// When everybody is rate limited and nobody said for how long.
const COME_BACK: Duration = Duration::from_secs(2);

/// How long to wait before the same endpoint is tried again; `None` is not at all.
pub(super) fn pause(fault: &Fault, dice: &mut Rng) -> Option<Duration> {
    if fault.remedy != Remedy::Again {
        return None;
    }
    match fault.retry_after {
        Some(after) if after <= MAX_PAUSE => Some(after),
        Some(_) => None,
        // A rate limit that does not say when it ends has not ended in a tenth of a second.
        None if fault.kind == FaultKind::RateLimited => None,
        None => Some(Duration::from_millis(dice.u64(0..=PAUSE.as_millis() as u64))),
    }
}

/// The most telling fault of all: what the caller can mend, else a rate limit that all share, else the last.
pub(super) fn last_word(past: &[Past]) -> Fault {
    let Some(last) = past.last() else {
        return Fault::house(FaultKind::Internal, "a plan ended before it began");
    };
    if let Some(own) = past.iter().rfind(|p| p.fault.origin == Origin::Caller) {
        return own.fault.clone();
    }
    if past.iter().all(|p| p.fault.kind == FaultKind::RateLimited) {
        let soonest = past.iter().filter_map(|p| p.fault.retry_after.map(|after| (after, p))).min_by_key(|(a, _)| *a);
        let (after, telling) = soonest.unwrap_or((COME_BACK, last));
        return Fault { retry_after: Some(after), ..telling.fault.clone() };
    }
    last.fault.clone()
}
