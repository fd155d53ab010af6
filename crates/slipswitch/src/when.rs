//! Moments as people say them: `7d` ago, a day, or a moment in UTC.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Unix milliseconds.
pub fn moment(text: &str, now_ms: i64) -> Result<i64, String> {
    let ago = |digits: &str, unit_ms: i64| {
        let count = digits.parse::<i64>().ok().filter(|count| (0..=100_000).contains(count))?;
        Some(now_ms - count * unit_ms)
    };
    let units = [('d', 86_400_000), ('h', 3_600_000), ('m', 60_000)];
    let said = units.iter().find_map(|(unit, ms)| ago(text.strip_suffix(*unit)?, *ms));
    let day = || text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    let exact = || text.parse::<Timestamp>().ok();
    said.or_else(|| day().filter(|_| text.len() == 10).or_else(exact).map(Timestamp::as_millisecond))
        .ok_or_else(|| format!("not a time: {text} (7d, 36h, 2026-11-01 or 2026-11-01T12:00:00Z)"))
}

/// As the API takes it.
pub fn iso(unix_ms: i64) -> String {
    Timestamp::from_millisecond(unix_ms)
        .map_or_else(|_| String::new(), |t| t.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// When the gateway says that something was.
pub fn of(iso: &str) -> Option<i64> {
    iso.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_people_say_them() {
        // 2026-11-29T12:00:00Z
        let now = 1_795_953_600_000;
        let rows = [
            ("7d", Some("2026-11-22T12:00:00Z")),
            ("36h", Some("2026-11-28T00:00:00Z")),
            ("30m", Some("2026-11-29T11:30:00Z")),
            ("2026-11-01", Some("2026-11-01T00:00:00Z")),
            ("2026-11-01T12:00:00+02:00", Some("2026-11-01T10:00:00Z")),
            ("yesterday", None),
            ("-3d", None),
            ("2026-13-01", None),
        ];
        for (text, want) in rows {
            assert_eq!(moment(text, now).ok().map(iso).as_deref(), want, "{text}");
        }
    }
}
