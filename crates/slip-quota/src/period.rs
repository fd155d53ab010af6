//! The periods money is counted in: days, weeks (from Monday) and months of UTC, and for ever.
//!
//! ```
//! use slip_quota::period::{Reset, day_of};
//!
//! let saturday = day_of(1_795_305_600_000) - 1; // 2026-11-21
//! assert_eq!(Reset::Weekly.period(saturday) + 1, Reset::Weekly.period(saturday + 2));
//! assert_eq!(Reset::Monthly.ends_ms(1_795_305_600_000), 1_796_083_200_000); // 2026-12-01T00:00Z
//! ```

/// Milliseconds of a day. Unix time knows no leap seconds.
pub const DAY_MS: i64 = 86_400_000;

/// Days from 0000-03-01 to 1970-01-01.
const SHIFT: i64 = 719_468;
/// Days in 400 years.
const CYCLE: i64 = 146_097;
/// Months in 400 years.
const CYCLE_MONTHS: i64 = 4_800;

/// The UTC day of a Unix time in milliseconds, counted from 1970-01-01.
pub const fn day_of(unix_ms: i64) -> i64 {
    unix_ms.div_euclid(DAY_MS)
}

/// Weeks begin on Monday; 1970-01-01 was a Thursday.
pub const fn week_of(day: i64) -> i64 {
    day.saturating_add(3).div_euclid(7)
}

/// Months counted from year 0 of the proleptic Gregorian calendar. Years are taken to begin in March, which puts the leap day last.
pub const fn month_of(day: i64) -> i64 {
    let shifted = day.saturating_add(SHIFT);
    let cycle = shifted.div_euclid(CYCLE);
    let in_cycle = shifted.rem_euclid(CYCLE);
    let year = (in_cycle - in_cycle / 1_460 + in_cycle / 36_524 - in_cycle / 146_096) / 365;
    let in_year = in_cycle - (365 * year + year / 4 - year / 100);
    let from_march = (5 * in_year + 2) / 153;
    (cycle * 400 + year) * 12 + from_march + 2
}

/// The first day of a month, as [`month_of`] counts them.
pub const fn month_begins(month: i64) -> i64 {
    let shifted = month.saturating_sub(2);
    let in_cycle = shifted.rem_euclid(CYCLE_MONTHS);
    let (year, from_march) = (in_cycle / 12, in_cycle % 12);
    let in_cycle = 365 * year + year / 4 - year / 100 + (153 * from_march + 2) / 5;
    shifted.div_euclid(CYCLE_MONTHS).saturating_mul(CYCLE).saturating_add(in_cycle - SHIFT)
}

/// When a spending limit starts anew. Days, weeks (from Monday) and months are UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reset {
    Daily,
    Weekly,
    Monthly,
}

impl Reset {
    pub const ALL: [Reset; 3] = [Reset::Daily, Reset::Weekly, Reset::Monthly];

    pub const fn name(self) -> &'static str {
        match self {
            Reset::Daily => "daily",
            Reset::Weekly => "weekly",
            Reset::Monthly => "monthly",
        }
    }

    pub fn parse(name: &str) -> Option<Reset> {
        Reset::ALL.into_iter().find(|r| r.name() == name)
    }

    /// The number of the period a day lies in. Later days have the same or a greater one.
    pub const fn period(self, day: i64) -> i64 {
        match self {
            Reset::Daily => day,
            Reset::Weekly => week_of(day),
            Reset::Monthly => month_of(day),
        }
    }

    /// The instant the period of `now_ms` is over and the next begins, in Unix milliseconds.
    pub const fn ends_ms(self, now_ms: i64) -> i64 {
        let day = day_of(now_ms);
        let next = match self {
            Reset::Daily => day + 1,
            Reset::Weekly => (week_of(day) + 1) * 7 - 3,
            Reset::Monthly => month_begins(month_of(day) + 1),
        };
        next.saturating_mul(DAY_MS)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Days since 1970 of some dates, from `date -u -d … +%s`.
    const SUN_2026_11_22: i64 = 20_779;
    const MON_2026_11_23: i64 = 20_780;
    const MON_2026_11_30: i64 = 20_787;
    const TUE_2026_12_01: i64 = 20_788;

    #[test]
    fn months_and_weeks_turn_on_the_right_day() {
        assert_eq!(day_of(1_795_305_600_000), SUN_2026_11_22);
        assert_eq!(day_of(1_795_305_600_000 - 1), SUN_2026_11_22 - 1);
        assert!(week_of(SUN_2026_11_22) < week_of(MON_2026_11_23));
        assert_eq!(week_of(MON_2026_11_30), week_of(TUE_2026_12_01));
        let rows = [
            (0, 1970 * 12),
            (-1, 1969 * 12 + 11),
            (58, 1970 * 12 + 1),
            (59, 1970 * 12 + 2),
            (MON_2026_11_30, 2026 * 12 + 10),
            (TUE_2026_12_01, 2026 * 12 + 11),
            (19_782, 2024 * 12 + 1), // 2024-02-29
            (19_783, 2024 * 12 + 2),
        ];
        for (day, month) in rows {
            assert_eq!(month_of(day), month, "day {day}");
        }
    }

    #[test]
    fn a_period_ends_where_the_next_begins() {
        let rows = [
            (Reset::Daily, SUN_2026_11_22, MON_2026_11_23),
            (Reset::Weekly, SUN_2026_11_22, MON_2026_11_23),
            (Reset::Weekly, MON_2026_11_23, MON_2026_11_30),
            (Reset::Monthly, SUN_2026_11_22, TUE_2026_12_01),
            (Reset::Monthly, 19_782, 19_783), // 2024-02-29 to March
        ];
        for (reset, day, next) in rows {
            assert_eq!(reset.ends_ms(day * DAY_MS), next * DAY_MS, "{reset:?} of day {day}");
            assert_eq!(reset.ends_ms((day + 1) * DAY_MS - 1), next * DAY_MS, "{reset:?} at the end of day {day}");
        }
    }

    proptest! {
        #[test]
        fn any_instant_lies_just_before_the_end_of_its_period(day in -1_000_000i64..1_000_000, ms in 0..DAY_MS) {
            let now = day * DAY_MS + ms;
            for reset in Reset::ALL {
                let end = reset.ends_ms(now);
                prop_assert!(end > now);
                prop_assert_eq!(reset.period(day_of(end - 1)), reset.period(day));
                prop_assert_eq!(reset.period(day_of(end)), reset.period(day) + 1);
            }
            prop_assert_eq!(month_of(month_begins(month_of(day))), month_of(day));
        }

        #[test]
        fn no_number_is_too_large(any in any::<i64>()) {
            for number in [any, i64::MIN, i64::MAX] {
                for reset in Reset::ALL {
                    reset.ends_ms(number);
                    reset.period(number);
                }
                month_begins(number);
            }
        }
    }
}
