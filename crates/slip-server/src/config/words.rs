//! The small words of a configuration: durations, sizes, URLs.

use std::time::Duration;

/// Longer than any wait that makes sense, and far from overflow.
const MAX_DURATION: Duration = Duration::from_secs(7 * 86_400);

/// `500ms`, `5s`, `1.5s`, `2m`, `1h`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("not a duration such as 500ms, 5s or 2m: {text:?}");
    let (number, unit) = split(text).ok_or_else(bad)?;
    let seconds = match unit {
        "ms" => number / 1_000.0,
        "s" => number,
        "m" => number * 60.0,
        "h" => number * 3_600.0,
        _ => return Err(bad()),
    };
    let duration = Duration::try_from_secs_f64(seconds).map_err(|_| bad())?;
    if duration > MAX_DURATION { Err(format!("longer than a week: {text:?}")) } else { Ok(duration) }
}

/// `32MiB`, `64kB`, `1000`.
pub fn size(text: &str) -> Result<u64, String> {
    let bad = || format!("not a size such as 32MiB, 64KiB or 1000B: {text:?}");
    let (number, unit) = split(text).ok_or_else(bad)?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "kib" => 1024.0,
        "mib" => 1_048_576.0,
        "gib" => 1_073_741_824.0,
        _ => return Err(bad()),
    };
    let bytes = (number * factor).round();
    // 2^53: beyond it a float no longer counts bytes.
    if (1.0..9_007_199_254_740_992.0).contains(&bytes) { Ok(bytes as u64) } else { Err(bad()) }
}

/// Plain digits, perhaps a point, then the unit.
fn split(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    Some((number.parse().ok()?, unit.trim_start()))
}

/// A base URL without its trailing slash.
pub fn base_url(text: &str) -> Result<String, String> {
    let uri: http::Uri = text.parse().map_err(|_| format!("not a URL: {text:?}"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(format!("a base URL begins with http:// or https://: {text:?}"));
    }
    let Some(authority) = uri.authority().filter(|a| !a.host().is_empty()) else {
        return Err(format!("a base URL names a host: {text:?}"));
    };
    if authority.as_str().contains('@') {
        return Err("a credential does not belong in a URL; use `key`".into());
    }
    if uri.query().is_some() || text.contains('#') {
        return Err(format!("a base URL has no query and no fragment: {text:?}"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_read_or_refused() {
        let rows: &[(&str, Option<u64>)] = &[
            ("50ms", Some(50)),
            ("1.5s", Some(1_500)),
            ("2 m", Some(120_000)),
            ("1h", Some(3_600_000)),
            ("0s", Some(0)),
            ("5", None),
            ("5x", None),
            ("-5s", None),
            ("s", None),
            ("", None),
            ("1.2.3s", None),
            ("8000h", None),
        ];
        for (text, want) in rows {
            assert_eq!(duration(text).ok().map(|d| d.as_millis() as u64), *want, "{text}");
        }
        let rows: &[(&str, Option<u64>)] = &[
            ("32MiB", Some(33_554_432)),
            ("64kB", Some(64_000)),
            ("1000", Some(1_000)),
            ("1.5 KiB", Some(1_536)),
            ("0", None),
            ("99999999GiB", None),
            ("12 apples", None),
        ];
        for (text, want) in rows {
            assert_eq!(size(text).ok(), *want, "{text}");
        }
    }

    #[test]
    fn base_urls_are_plain() {
        let rows: &[(&str, Result<&str, &str>)] = &[
            ("http://127.0.0.1:9000/v1/", Ok("http://127.0.0.1:9000/v1")),
            ("https://api.example.com", Ok("https://api.example.com")),
            ("https://[::1]:8443/x", Ok("https://[::1]:8443/x")),
            ("ftp://a/", Err("a base URL begins with http:// or https://: \"ftp://a/\"")),
            ("localhost:8080", Err("a base URL begins with http:// or https://: \"localhost:8080\"")),
            ("http://", Err("not a URL: \"http://\"")),
            ("https://u:p@a.b/", Err("a credential does not belong in a URL; use `key`")),
            ("https://a.b/v1?k=1", Err("a base URL has no query and no fragment: \"https://a.b/v1?k=1\"")),
            ("two words", Err("not a URL: \"two words\"")),
        ];
        for (text, want) in rows {
            assert_eq!(base_url(text), want.map(str::to_owned).map_err(str::to_owned), "{text}");
        }
    }
}
