//! Calendar dates of the catalogue as unix seconds, without a date library.

/// `YYYY-MM-DD` at midnight UTC, or `YYYY-MM` (a release whose day nobody wrote down) as its first day; `None` when it is no such
/// date or before 1970.
pub(super) fn unix(date: &str) -> Option<u64> {
    if date.len() == 7 {
        return unix(&format!("{date}-01"));
    }
    let bytes = date.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let number = |range: std::ops::Range<usize>| {
        date.get(range).filter(|t| t.bytes().all(|b| b.is_ascii_digit())).and_then(|t| t.parse::<u64>().ok())
    };
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let leap = |y: u64| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
    let february = if leap(year) { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *months.get(usize::try_from(month.checked_sub(1)?).ok()?)?;
    if year < 1970 || day == 0 || day > length {
        return None;
    }
    let years: u64 = (1970..year).map(|y| if leap(y) { 366 } else { 365 }).sum();
    let before: u64 = months.iter().take(month as usize - 1).sum();
    Some((years + before + day - 1) * 86_400)
}

#[cfg(test)]
mod tests {
    use super::unix;

    #[test]
    fn dates_are_midnight_utc_or_nothing() {
        let rows: &[(&str, Option<u64>)] = &[
            ("1970-01-01", Some(0)),
            ("2000-03-01", Some(951_868_800)),
            ("2024-02-29", Some(1_709_164_800)),
            ("2025-08-07", Some(1_754_524_800)),
            ("1970-02", Some(2_678_400)),
            ("2026-13", None),
            ("2023-02-29", None),
            ("2024-13-01", None),
            ("2024-00-10", None),
            ("2024-1-01", None),
            ("2024-01-+1", None),
            ("1969-12-31", None),
            ("", None),
        ];
        for (text, want) in rows {
            assert_eq!(unix(text), *want, "{text}");
        }
    }
}
