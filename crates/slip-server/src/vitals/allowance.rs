//! What a provider's answer says of its rate limits, in the spellings there are.
//!
//! | Who | Requests | Tokens | Reset |
//! |---|---|---|---|
//! | OpenAI, Groq, Cerebras, Fireworks, Mistral, xAI and kin | `x-ratelimit-remaining-requests` | `-tokens` | `1s`, `6m0s`, `20ms`, or seconds |
//! | Anthropic | `anthropic-ratelimit-requests-remaining` | `-tokens-`, `-input-tokens-` | RFC 3339 |
//! | the IETF draft, and gateways | `ratelimit-remaining`, `x-ratelimit-remaining` | – | seconds, or Unix time |
//!
//! (OpenAI's, Groq's and Anthropic's pages on rate limits, read 2026-11.) A limit without a reset is not used: nobody knows how long
//! it holds.

use http::HeaderMap;
use slip_route::health::{Allowance, Left};

/// `None` when nothing is said.
pub fn read(headers: &HeaderMap, now_ms: u64) -> Option<Allowance> {
    if !headers.keys().any(|name| name.as_str().contains("ratelimit-")) {
        return None;
    }
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let pair = |(remaining, reset): (&str, &str)| {
        let left = text(remaining)?.parse::<f64>().ok().filter(|left| left.is_finite() && *left >= 0.0)?;
        Some(Left { left: left as u64, reset_ms: reset_ms(text(reset)?, now_ms)? })
    };
    let first = |rows: &[(&str, &str)]| rows.iter().copied().find_map(pair);
    let allowance = Allowance {
        requests: first(&[
            ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
            ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
            ("ratelimit-remaining", "ratelimit-reset"),
            ("x-ratelimit-remaining", "x-ratelimit-reset"),
        ]),
        tokens: first(&[
            ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
            ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"),
            ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
        ]),
    };
    (allowance != Allowance::default()).then_some(allowance)
}

/// Milliseconds from now: a duration in Go's spelling, seconds, Unix time in seconds or milliseconds, or a date.
fn reset_ms(text: &str, now_ms: u64) -> Option<u64> {
    if let Ok(number) = text.parse::<f64>() {
        if !number.is_finite() || number < 0.0 {
            return None;
        }
        // Nobody waits for thirty years: a number that large is a moment.
        return Some(match number {
            n if n >= 1e12 => (n as u64).saturating_sub(now_ms),
            n if n >= 1e9 => ((n * 1000.0) as u64).saturating_sub(now_ms),
            n => (n * 1000.0) as u64,
        });
    }
    duration_ms(text).or_else(|| {
        let at = text.parse::<jiff::Timestamp>().ok()?.as_millisecond();
        Some(u64::try_from(at).unwrap_or(0).saturating_sub(now_ms))
    })
}

/// `1h2m3.5s`, `20ms`.
fn duration_ms(text: &str) -> Option<u64> {
    let (mut rest, mut total) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).filter(|at| *at > 0)?;
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at(letters);
        let ms = match unit {
            "ms" => 1.0,
            "s" => 1_000.0,
            "m" => 60_000.0,
            "h" => 3_600_000.0,
            "d" => 86_400_000.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * ms;
        rest = next;
    }
    (total.is_finite() && !text.is_empty()).then_some(total as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(rows: &[(&'static str, &str)]) -> Option<Allowance> {
        let headers = rows.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
        read(&headers, 1_700_000_000_000)
    }

    fn left(left: u64, reset_ms: u64) -> Option<Left> {
        Some(Left { left, reset_ms })
    }

    #[test]
    fn every_spelling_is_understood() {
        let openai = said(&[
            ("x-ratelimit-remaining-requests", "59"),
            ("x-ratelimit-reset-requests", "1s"),
            ("x-ratelimit-remaining-tokens", "149984"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ]);
        assert_eq!(openai, Some(Allowance { requests: left(59, 1_000), tokens: left(149_984, 360_000) }));
        let anthropic = said(&[
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("anthropic-ratelimit-requests-reset", "2023-11-14T22:13:30Z"),
        ]);
        assert_eq!(anthropic, Some(Allowance { requests: left(0, 10_000), tokens: None }));
        assert_eq!(
            said(&[("x-ratelimit-remaining", "3"), ("x-ratelimit-reset", "1700000005000")]).unwrap().requests,
            left(3, 5_000)
        );
        assert_eq!(
            said(&[("x-ratelimit-remaining", "3"), ("x-ratelimit-reset", "1700000005")]).unwrap().requests,
            left(3, 5_000)
        );
        assert_eq!(said(&[("ratelimit-remaining", "3"), ("ratelimit-reset", "7.5")]).unwrap().requests, left(3, 7_500));
    }

    #[test]
    fn nonsense_is_not_believed() {
        assert_eq!(said(&[]), None);
        assert_eq!(said(&[("x-ratelimit-remaining-requests", "5")]), None, "nobody knows for how long");
        for (remaining, reset) in [("-1", "1s"), ("NaN", "1s"), ("5", "soon"), ("5", "-3"), ("5", ""), ("5", "1x")] {
            let got = said(&[("x-ratelimit-remaining-requests", remaining), ("x-ratelimit-reset-requests", reset)]);
            assert_eq!(got, None, "{remaining} {reset}");
        }
    }

    #[test]
    fn durations_are_gos() {
        for (text, ms) in [("20ms", 20), ("2m59.56s", 179_560), ("1h0m1s", 3_601_000), ("0s", 0), ("1d", 86_400_000)] {
            assert_eq!(duration_ms(text), Some(ms), "{text}");
        }
    }
}
