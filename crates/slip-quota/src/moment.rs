//! An instant by two clocks: the one people agree on, which may be set, and one that only ever goes on.

/// Now, by both clocks. A plain number stands for both, where nothing is leased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Unix milliseconds: which day it is.
    pub unix_ms: i64,
    /// Milliseconds since some instant of this process: how long something lasts.
    pub steady_ms: i64,
}

impl Moment {
    /// Before anything.
    pub const NEVER: Moment = Moment { unix_ms: i64::MIN, steady_ms: i64::MIN };

    pub const fn after(self, ms: i64) -> Moment {
        Moment { unix_ms: self.unix_ms.saturating_add(ms), steady_ms: self.steady_ms.saturating_add(ms) }
    }

    /// Both clocks say so. One that was put back does not make anything last longer, nor does one that stood still while the
    /// machine was asleep.
    pub const fn is_before(self, other: Moment) -> bool {
        self.unix_ms < other.unix_ms && self.steady_ms < other.steady_ms
    }
}

impl From<i64> for Moment {
    fn from(ms: i64) -> Moment {
        Moment { unix_ms: ms, steady_ms: ms }
    }
}
