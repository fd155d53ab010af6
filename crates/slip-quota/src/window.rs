//! How many in any minute, wherever it begins: what nobody who counts by the minute can object to, however he counts.
//!
//! A bucket that fills up ([`Rate`](crate::Rate)) is the fairer rule for callers: who was silent may use what a minute has at once, and
//! what flows in meanwhile besides. But so up to twice the limit fits into one minute, which a provider that counts by the clock
//! refuses. Here what was taken counts for a whole minute, in steps of half a second, and the step it fell into counts whole.
//!
//! ```
//! use slip_quota::Window;
//!
//! let (mut requests, now) = (Window::new(Some(60)), 1_795_305_600_000);
//! for _ in 0..60 {
//!     assert_eq!(requests.opens(1, 1_000, now), None); // at once
//!     requests.take(1, now);
//! }
//! assert_eq!(requests.opens(1, 1_000, now), Some(now + 60_500));
//! ```

const STEP_MS: i64 = 500;
/// A minute, and the step that is under way.
const STEPS: usize = 121;

/// A limit of units per minute, and when those were taken that count.
#[derive(Debug)]
pub struct Window {
    limit: Option<u64>,
    steps: Box<[u64; STEPS]>,
    /// The number of the last step, since 1970.
    last: i64,
    sum: u64,
}

/// When something was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken(i64);

impl Window {
    /// `None` is no limit; what is taken is counted all the same.
    pub fn new(limit: Option<u64>) -> Window {
        Window { limit, steps: Box::new([0; STEPS]), last: 0, sum: 0 }
    }

    pub fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// Another limit from now on; what was taken stays taken.
    pub fn set_limit(&mut self, limit: Option<u64>) {
        self.limit = limit;
    }

    /// When there is room for `n` more within so many thousandths of the limit; `None` is now. More than there ever is has room when
    /// nothing else is taken.
    pub fn opens(&mut self, n: u64, permille: u64, now_ms: i64) -> Option<i64> {
        let limit = self.share(permille)?;
        self.pass(now_ms);
        let room = limit.saturating_sub(n.min(limit));
        let mut sum = self.sum;
        if sum <= room {
            return None;
        }
        for step in self.last - (STEPS as i64 - 1)..=self.last {
            sum -= self.steps[place(step)];
            if sum <= room {
                return Some((step + STEPS as i64) * STEP_MS);
            }
        }
        None
    }

    /// What is left of so many thousandths of the limit; `None` without one.
    pub fn left(&mut self, permille: u64, now_ms: i64) -> Option<u64> {
        let limit = self.share(permille)?;
        self.pass(now_ms);
        Some(limit.saturating_sub(self.sum))
    }

    /// Take, whether or not there is room.
    pub fn take(&mut self, n: u64, now_ms: i64) -> Taken {
        self.pass(now_ms);
        self.add(self.last, n);
        Taken(self.last)
    }

    /// What was taken came to this. Nothing gives all of it back.
    pub fn settle(&mut self, taken: Taken, before: u64, after: u64, now_ms: i64) {
        self.pass(now_ms);
        if taken.0 <= self.last - STEPS as i64 {
            // It counts no more, whatever it was.
            return;
        }
        if after >= before {
            self.add(taken.0, after - before);
        } else {
            let step = &mut self.steps[place(taken.0)];
            let back = (before - after).min(*step);
            *step -= back;
            self.sum -= back;
        }
    }

    fn share(&self, permille: u64) -> Option<u64> {
        let share = u128::from(self.limit?) * u128::from(permille) / 1_000;
        // However little a class may take, it is not nothing.
        Some(u64::try_from(share).unwrap_or(u64::MAX).max(1))
    }

    fn add(&mut self, step: i64, n: u64) {
        let n = n.min(u64::MAX - self.sum);
        self.steps[place(step)] += n;
        self.sum += n;
    }

    /// A clock that is put back stands still here.
    fn pass(&mut self, now_ms: i64) {
        let now = now_ms.div_euclid(STEP_MS);
        if now - self.last >= STEPS as i64 {
            self.steps.fill(0);
            (self.sum, self.last) = (0, now);
        }
        while self.last < now {
            self.last += 1;
            self.sum -= std::mem::take(&mut self.steps[place(self.last)]);
        }
    }
}

fn place(step: i64) -> usize {
    step.rem_euclid(STEPS as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_795_305_600_000;

    #[test]
    fn a_share_leaves_the_rest_to_others_and_is_never_nothing() {
        let mut window = Window::new(Some(10));
        for _ in 0..6 {
            window.take(1, NOW);
        }
        assert_eq!([1_000, 800, 600].map(|share| window.left(share, NOW)), [Some(4), Some(2), Some(0)]);
        assert_eq!([1_000, 800, 600].map(|share| window.opens(1, share, NOW).is_none()), [true, true, false]);
        let mut narrow = Window::new(Some(1));
        assert_eq!(narrow.opens(1, 600, NOW), None);
    }

    #[test]
    fn more_than_there_ever_is_has_room_when_nothing_else_is_taken() {
        let mut window = Window::new(Some(100));
        window.take(1, NOW);
        assert_eq!(window.opens(5_000, 1_000, NOW), Some(NOW + 60_500));
        assert_eq!(window.opens(5_000, 1_000, NOW + 60_500), None);
    }

    #[test]
    fn what_is_given_back_is_there_again_and_what_was_used_besides_is_gone() {
        let mut window = Window::new(Some(100));
        let taken = window.take(80, NOW);
        assert_eq!(window.left(1_000, NOW), Some(20));
        window.settle(taken, 80, 10, NOW + 3_000);
        assert_eq!(window.left(1_000, NOW + 3_000), Some(90));
        window.settle(taken, 10, 130, NOW + 4_000);
        assert_eq!((window.left(1_000, NOW + 4_000), window.opens(1, 1_000, NOW)), (Some(0), Some(NOW + 60_500)));
        window.settle(taken, 130, 500, NOW + 70_000);
        assert_eq!(window.left(1_000, NOW + 70_000), Some(100), "a minute later nobody asks");
    }

    #[test]
    fn without_a_limit_there_is_always_room_and_a_limit_counts_what_was_before() {
        let mut window = Window::new(None);
        window.take(1_000, NOW);
        assert_eq!((window.opens(u64::MAX, 1_000, NOW), window.left(1_000, NOW)), (None, None));
        window.set_limit(Some(1_001));
        assert_eq!(window.left(1_000, NOW), Some(1));
    }

    proptest! {
        #[test]
        fn in_no_minute_are_more_than_the_limit(limit in 1u64..20, pauses in prop::collection::vec(0i64..9_000, 1..200)) {
            let (mut window, mut now, mut taken) = (Window::new(Some(limit)), NOW, Vec::<i64>::new());
            for pause in pauses {
                now += pause;
                match window.opens(1, 1_000, now) {
                    None => {
                        window.take(1, now);
                        taken.push(now);
                    }
                    // It is told when, and then it is so.
                    Some(at) => {
                        prop_assert!(at > now && window.opens(1, 1_000, now).is_some());
                        if at - now < 5_000 {
                            now = at;
                            prop_assert_eq!(window.opens(1, 1_000, now), None);
                        }
                    }
                }
                let minute = taken.iter().filter(|at| now - **at < 60_000).count() as u64;
                prop_assert!(minute <= limit);
            }
        }
    }
}
