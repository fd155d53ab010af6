//! Moments as RFC 3339, to the second: `2026-11-29T11:24:24Z`. Days by the proleptic Gregorian calendar.

/// Days of 400 years, after which the calendar repeats.
const ERA: u64 = 146_097;
/// From 0000-03-01, where the arithmetic begins, to 1970-01-01.
const EPOCH: u64 = 719_468;

pub(super) fn write(unix: u64) -> String {
    let (days, second) = (unix / 86_400 + EPOCH, unix % 86_400);
    let (era, day) = (days / ERA, days % ERA);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    // Months counted from March, so that the leap day comes last.
    let month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month + 2) / 5 + 1;
    let (month, late) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + late;
    format!("{year:04}-{month:02}-{date:02}T{:02}:{:02}:{:02}Z", second / 3_600, second / 60 % 60, second % 60)
}

/// Unix seconds of a moment since 1970, fractions left out.
pub(super) fn read(text: &str) -> Option<u64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
    let (year, month, date) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&date) || year < 1970 {
        return None;
    }
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_year = (153 * month + 2) / 5 + date - 1;
    let days = year / 400 * ERA + year % 400 * 365 + year % 400 / 4 - year % 400 / 100 + of_year - EPOCH;
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second;
    let east = match text.get(text.len().checked_sub(6)?..)?.split_at_checked(1) {
        Some(("+", zone)) => Some((true, zone)),
        Some(("-", zone)) => Some((false, zone)),
        _ => None,
    };
    let Some((east, zone)) = east else { return Some(seconds) };
    let away = zone.get(..2)?.parse::<u64>().ok()? * 3_600 + zone.get(3..)?.parse::<u64>().ok()? * 60;
    if east { seconds.checked_sub(away) } else { seconds.checked_add(away) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_and_read() {
        let rows = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_164_799, "2024-02-28T23:59:59Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_795_950_000, "2026-11-29T11:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ];
        for (unix, text) in rows {
            assert_eq!((write(unix).as_str(), read(text)), (text, Some(unix)), "{text}");
        }
    }

    #[test]
    fn fractions_zones_and_nonsense_are_told_apart() {
        let rows = [
            ("2024-05-24T21:01:59.481632Z", Some(1_716_584_519)),
            ("2024-05-24T23:01:59.481632+02:00", Some(1_716_584_519)),
            ("2024-05-24T14:01:59-07:00", Some(1_716_584_519)),
            ("2024-13-24T14:01:59Z", None),
            ("1960-01-01T00:00:00Z", None),
            ("yesterday", None),
            ("", None),
        ];
        for (text, want) in rows {
            assert_eq!(read(text), want, "{text}");
        }
    }
}
