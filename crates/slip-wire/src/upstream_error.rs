//! What an upstream's refusal means, whatever dialect it was refused in: status, headers and words to one [`Fault`].

use slip_ir::{Fault, FaultKind, Origin, Remedy};
use std::borrow::Cow;
use std::time::Duration;

/// How much of an upstream's error body is ever shown or kept.
pub const RAW_LIMIT: usize = 2048;

/// How much of a message is quoted to the caller. Providers answer schema errors with kilobytes of echo.
const SAYS_LIMIT: usize = 600;

/// A longer pause is a misreading (an epoch taken for a delay, a daily quota): believing it would bench an endpoint for good.
const RETRY_AFTER_LIMIT: f64 = 3600.0;

/// Decide what a refusal means.
///
/// `status` is what the upstream answered with; below 400 (an error inside a successful answer) it is read off `code` and
/// `message`. `message` and `code` are the upstream's own, `raw` the whole body.
pub fn classify(status: u16, headers: &http::HeaderMap, message: &str, code: Option<&str>, raw: &[u8]) -> Fault {
    let code = code.map(str::trim).filter(|c| !c.is_empty());
    let status = if status < 300 { told_status(code, message) } else { status };
    let (kind, remedy) = verdict(status, headers, &message.to_ascii_lowercase(), &lower(code));
    let mut fault = Fault::new(kind, Origin::Upstream, remedy, says(kind, status, message));
    fault.status = Some(status);
    fault.code = code.map(|c| clean_to(c.as_bytes(), 128));
    fault.raw =
        Some(if is_page(raw) { clean(page_title(raw).as_bytes()) } else { clean(raw) }).filter(|r| !r.is_empty());
    fault.retry_after = retry_after(headers);
    fault
}

fn lower(code: Option<&str>) -> String {
    code.unwrap_or_default().to_ascii_lowercase()
}

/// The table of reliability: what happened, and what may be done about it.
fn verdict(status: u16, headers: &http::HeaderMap, message: &str, code: &str) -> (FaultKind, Remedy) {
    let says = |words: &[&str]| words.iter().any(|w| message.contains(w));
    let coded = |words: &[&str]| words.iter().any(|w| code.contains(w));
    let again = match headers.get("x-should-retry").map(|v| v.as_bytes()) {
        Some(b"false") => Remedy::Elsewhere,
        _ => Remedy::Again,
    };
    if matches!(status, 400..=501) {
        if coded(&CONTEXT_CODES) || status != 429 && says(&CONTEXT_WORDS) {
            return (FaultKind::ContextTooLong, Remedy::OtherModel);
        }
        if coded(&MODERATION_CODES) || matches!(status, 400 | 403 | 422) && says(&MODERATION_WORDS) {
            return (FaultKind::Moderated, Remedy::OtherModel);
        }
        if coded(&QUOTA_CODES) || status != 500 && says(&QUOTA_WORDS) {
            return (FaultKind::UpstreamQuota, Remedy::Elsewhere);
        }
        if status == 400 && (coded(&["api_key_invalid", "invalid_api_key"]) || says(&["api key not valid"])) {
            return (FaultKind::UpstreamAuth, Remedy::Elsewhere);
        }
        let no_model = coded(&MODEL_CODES) || says(&MODEL_WORDS);
        if matches!(status, 400 | 403) && no_model || status == 404 && (no_model || says(&["model", "deployment"])) {
            return (FaultKind::NotFound, Remedy::Elsewhere);
        }
        if status == 403 && says(&["country", "region", "territory"]) {
            return (FaultKind::Forbidden, Remedy::Elsewhere);
        }
    }
    match status {
        401 | 403 => (FaultKind::UpstreamAuth, Remedy::Elsewhere),
        402 => (FaultKind::UpstreamQuota, Remedy::Elsewhere),
        408 | 504 | 522 | 524 => (FaultKind::UpstreamTimeout, again),
        // Wrong method, path or encoding is between us and the upstream; the caller cannot change it.
        404 | 405 | 406 | 410 | 415 | 501 => (FaultKind::Upstream, Remedy::Elsewhere),
        409 | 425 => (FaultKind::Upstream, again),
        413 => (FaultKind::TooLarge, Remedy::Elsewhere),
        422 => (FaultKind::Unprocessable, Remedy::Stop),
        429 => (FaultKind::RateLimited, Remedy::Elsewhere),
        451 => (FaultKind::Forbidden, Remedy::Elsewhere),
        // 498 is Groq's "flex tier capacity exceeded", 529 Anthropic's "overloaded".
        498 | 503 | 529 => (FaultKind::Overloaded, again),
        500..=599 if coded(&["overloaded"]) || says(&["overloaded", "over capacity"]) => (FaultKind::Overloaded, again),
        400..=499 => (FaultKind::BadRequest, Remedy::Stop),
        500..=599 => (FaultKind::Upstream, again),
        _ => (FaultKind::Upstream, Remedy::Elsewhere),
    }
}

const CONTEXT_CODES: [&str; 4] =
    ["context_length_exceeded", "too_many_prompt_tokens", "exceed_context_size", "string_above_max_length"];
const CONTEXT_WORDS: [&str; 9] = [
    "maximum context length",
    "context length",
    "context window",
    "context size",
    "prompt is too long",
    "input is too long",
    "too many tokens",
    "maximum number of tokens",
    "total length of all messages is too long",
];
const MODEL_CODES: [&str; 3] = ["model_not_found", "deploymentnotfound", "unknown_model"];
const MODEL_WORDS: [&str; 2] = ["is not a valid model id", "invalid model name"];
const MODERATION_CODES: [&str; 6] = [
    "content_filter",
    "content_policy_violation",
    "responsibleaipolicyviolation",
    "data_inspection_failed",
    "moderation_blocked",
    "guardrail_intervened",
];
const MODERATION_WORDS: [&str; 4] =
    ["content management policy", "content policy", "flagged by moderation", "requires moderation"];
const QUOTA_CODES: [&str; 4] =
    ["insufficient_quota", "insufficient_balance", "billing_hard_limit", "billing_not_active"];
const QUOTA_WORDS: [&str; 5] = [
    "insufficient balance",
    "insufficient credit",
    "insufficient quota",
    "credit balance is too low",
    "exceeded your current quota, please check your plan and billing",
];

/// The status of an error that says nothing about itself.
pub(crate) const UNTOLD: u16 = 502;

/// The status an error would have had, for errors that arrive inside a successful answer.
pub(crate) fn told_status(code: Option<&str>, message: &str) -> u16 {
    let code = lower(code);
    if let Ok(number @ 300..=599) = code.parse::<u16>() {
        return number;
    }
    let table: [(&str, u16); 14] = [
        ("insufficient_quota", 402),
        ("rate_limit", 429),
        ("resource_exhausted", 429),
        ("too_many_requests", 429),
        ("overloaded", 529),
        ("unavailable", 503),
        ("timeout", 504),
        ("deadline", 504),
        ("authentication", 401),
        ("permission", 403),
        ("not_found", 404),
        ("invalid", 400),
        ("context_length", 400),
        ("content_filter", 400),
    ];
    let message = message.to_ascii_lowercase();
    let told = table.iter().find(|(word, _)| code.contains(word)).map(|(_, status)| *status);
    told.or_else(|| CONTEXT_WORDS.iter().any(|w| message.contains(w)).then_some(400))
        .or_else(|| message.contains("rate limit").then_some(429))
        .or_else(|| message.contains("overloaded").then_some(529))
        .unwrap_or(UNTOLD)
}

/// What the caller reads. Their own mistakes are quoted; ours and the provider's get one plain sentence (the quotation is in
/// `raw`).
pub(crate) fn says(kind: FaultKind, status: u16, message: &str) -> Cow<'static, str> {
    let quoted = || Some(clean_to(message.as_bytes(), SAYS_LIMIT)).filter(|m| !m.is_empty());
    let plain = match kind {
        FaultKind::BadRequest
        | FaultKind::Unprocessable
        | FaultKind::ContextTooLong
        | FaultKind::Moderated
        | FaultKind::TooLarge
        | FaultKind::Forbidden => {
            return match quoted() {
                Some(message) => Cow::Owned(message),
                None => Cow::Owned(format!("the provider refused the request with status {status}")),
            };
        }
        FaultKind::UpstreamAuth => "the provider refused this gateway's credential",
        FaultKind::UpstreamQuota => "this gateway's account at the provider is out of quota",
        FaultKind::RateLimited => "the provider is limiting the rate of requests",
        FaultKind::Overloaded => "the provider is overloaded",
        FaultKind::UpstreamTimeout => "the provider took too long",
        FaultKind::NotFound => "the provider does not have this model",
        _ => return Cow::Owned(format!("the provider failed with status {status}")),
    };
    Cow::Borrowed(plain)
}

/// When the upstream asked to come back. The most precise of the headers in use wins; absurd values (negative, not a number,
/// more than an hour) are as good as none. Dates are read against the answer's own `Date`: there is no clock here.
pub fn retry_after(headers: &http::HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::trim);
    let now = text("date").and_then(http_date);
    let direct = text("retry-after-ms")
        .and_then(|ms| ms.parse::<f64>().ok())
        .and_then(|ms| sane(ms / 1000.0))
        .or_else(|| text("retry-after").and_then(|v| moment(v, now)));
    direct.or_else(|| {
        // A limit that still has something left did not cause the refusal.
        let spent = |limit: &str| {
            ["x-ratelimit-remaining", "anthropic-ratelimit"].iter().any(|family| {
                let name = match *family {
                    "x-ratelimit-remaining" => format!("x-ratelimit-remaining-{limit}"),
                    _ => format!("anthropic-ratelimit-{limit}-remaining"),
                };
                text(&name) == Some("0")
            })
        };
        let mut all = Vec::new();
        for limit in ["requests", "tokens", "input-tokens", "output-tokens"] {
            for name in [format!("x-ratelimit-reset-{limit}"), format!("anthropic-ratelimit-{limit}-reset")] {
                if let Some(pause) = text(&name).and_then(|v| moment(v, now)) {
                    all.push((spent(limit), pause));
                }
            }
        }
        let exhausted = all.iter().filter(|(spent, _)| *spent).map(|(_, pause)| *pause).max();
        exhausted
            .or_else(|| all.iter().map(|(_, pause)| *pause).min())
            .or_else(|| text("x-ratelimit-reset").and_then(|v| moment(v, now)))
            .or_else(|| text("ratelimit-reset").and_then(|v| moment(v, now)))
    })
}

fn sane(seconds: f64) -> Option<Duration> {
    (0.0..=RETRY_AFTER_LIMIT).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

/// A pause in any spelling seen: `2`, `0.5`, `120ms`, `1m30.5s`, an epoch in seconds or milliseconds, an HTTP or RFC 3339 date.
fn moment(text: &str, now: Option<f64>) -> Option<Duration> {
    if let Ok(number) = text.parse::<f64>() {
        return match number {
            n if n >= 1e12 => sane(n / 1000.0 - now?),
            n if n >= 1e9 => sane(n - now?),
            n => sane(n),
        };
    }
    if let Some(seconds) = spelled(text) {
        return sane(seconds);
    }
    let then = http_date(text).or_else(|| rfc3339(text))?;
    sane(then - now?)
}

/// `1h2m3.5s`, `120ms`.
fn spelled(text: &str) -> Option<f64> {
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let scale = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * scale;
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` to Unix seconds.
fn http_date(text: &str) -> Option<f64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split_once(", ")?.1.split_ascii_whitespace();
    let day = words.next()?.parse().ok()?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|m| *m == name)? as i64 + 1;
    let year = words.next()?.parse().ok()?;
    let time = words.next()?;
    (words.next() == Some("GMT")).then_some(())?;
    Some(days(year, month, day)? as f64 * 86_400.0 + clock(time)?)
}

/// `2026-11-21T10:00:00Z`, the form Anthropic's reset headers use.
fn rfc3339(text: &str) -> Option<f64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut parts = date.splitn(3, '-').map(|p| p.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    Some(days(year, month, day)? as f64 * 86_400.0 + clock(time)?)
}

fn clock(text: &str) -> Option<f64> {
    let mut parts = text.splitn(3, ':').map(|p| p.parse::<f64>().ok());
    Some(parts.next()?? * 3600.0 + parts.next()?? * 60.0 + parts.next()??)
}

/// Days since 1970-01-01 in the Gregorian calendar (Hinnant's days_from_civil).
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year / 400;
    let of_era = year % 400;
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// Upstream text made fit to show: at most [`RAW_LIMIT`] bytes, without control characters, with everything that looks like a
/// credential masked.
pub fn clean(text: &[u8]) -> String {
    clean_to(text, RAW_LIMIT)
}

pub(crate) fn clean_to(text: &[u8], limit: usize) -> String {
    // Masking first and cutting afterwards, so that no credential can hide behind the cut; twice the limit bounds the work.
    let text = String::from_utf8_lossy(&text[..text.len().min(limit * 2)]);
    let plain: String = text
        .chars()
        .map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c })
        .filter(|c| !c.is_control())
        .collect();
    let mut masked = mask(plain.trim());
    if masked.len() > limit {
        let mut end = limit;
        while !masked.is_char_boundary(end) {
            end -= 1;
        }
        masked.truncate(end);
    }
    masked
}

/// Prefixes that only credentials have.
const KEY_PREFIXES: [&str; 11] =
    ["sk-", "pk-", "rk-", "sk_", "AIza", "ya29.", "gsk_", "xai-", "AKIA", "hf_", "eyJhbGciOi"];

fn mask(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '*' | '+' | '/' | '=' | '~');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut bearer = false;
    while let Some(first) = rest.chars().next() {
        if !is_word(first) {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        match key_at(word) {
            _ if bearer => out.push_str("***"),
            Some(end) => {
                out.push_str(&word[..end]);
                out.push_str("***");
            }
            None => out.push_str(word),
        }
        bearer = word.eq_ignore_ascii_case("bearer");
        rest = tail;
    }
    out
}

/// Where the secret part of a word begins: after the first key prefix that does not stand inside a longer word (`task-force`).
fn key_at(word: &str) -> Option<usize> {
    let starts = |at: &usize| at.checked_sub(1).is_none_or(|b| !word.as_bytes()[b].is_ascii_alphanumeric());
    let hits = KEY_PREFIXES.iter().flat_map(|p| word.match_indices(p).map(|(at, p)| (at, at + p.len())));
    hits.filter(|(at, _)| starts(at)).min().map(|(_, end)| end)
}

/// A web page, from a proxy or a firewall in between.
fn is_page(raw: &[u8]) -> bool {
    raw.trim_ascii_start().first() == Some(&b'<')
}

fn page_title(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(&raw[..raw.len().min(RAW_LIMIT * 4)]).into_owned();
    let lower = text.to_ascii_lowercase();
    let title = lower.find("<title>").and_then(|from| {
        let from = from + "<title>".len();
        let to = lower[from..].find("</title>")? + from;
        text.get(from..to).map(str::to_owned)
    });
    title.unwrap_or_default()
}

#[cfg(test)]
mod tests;
