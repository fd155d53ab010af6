//! How long those have been waiting who have not heard a word yet: a wait that shows while it lasts, and not when it is over. A
//! provider that takes calls and says nothing, or puts them in a long queue, gives no other sign for half a minute.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// How many wait, and the sum of the moments they began. A reader between the two writes is wrong once.
#[derive(Default)]
pub(super) struct Silence {
    count: AtomicU32,
    began_ms: AtomicU64,
}

impl Silence {
    pub(super) fn begin(&self, now_ms: u64) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.began_ms.fetch_add(now_ms, Ordering::Relaxed);
    }

    /// It spoke, or will not any more. `began_ms` is what [`Silence::begin`] was told.
    pub(super) fn end(&self, began_ms: u64) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.began_ms.fetch_sub(began_ms, Ordering::Relaxed);
    }

    /// How long they have waited, on average; nothing when nobody waits.
    #[inline]
    pub(super) fn mean_ms(&self, now_ms: u64) -> u32 {
        let count = u64::from(self.count.load(Ordering::Relaxed));
        let began = self.began_ms.load(Ordering::Relaxed).checked_div(count);
        began.map_or(0, |began| u32::try_from(now_ms.saturating_sub(began)).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_of_those_who_still_wait() {
        let silence = Silence::default();
        assert_eq!(silence.mean_ms(5_000), 0);
        silence.begin(1_000);
        silence.begin(3_000);
        assert_eq!(silence.mean_ms(5_000), 3_000);
        silence.end(1_000);
        assert_eq!(silence.mean_ms(5_000), 2_000);
        silence.end(3_000);
        assert_eq!(silence.mean_ms(9_000), 0);
    }
}
