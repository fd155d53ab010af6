//! The one place that reads a clock. Everything else takes `now` as an argument.

use slip_quota::Moment;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Unix time in milliseconds.
#[allow(clippy::disallowed_methods, reason = "this is the clock")]
pub fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}

/// Monotonic time.
#[allow(clippy::disallowed_methods, reason = "this is the clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// Now, by both clocks.
pub fn moment() -> Moment {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    let began = *BEGAN.get_or_init(now);
    Moment { unix_ms: unix_ms_signed(), steady_ms: i64::try_from(ms(now().duration_since(began))).unwrap_or(i64::MAX) }
}

/// Milliseconds of a duration, saturating.
pub fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The same as the ledger counts it.
pub fn unix_ms_signed() -> i64 {
    i64::try_from(unix_ms()).unwrap_or(i64::MAX)
}
