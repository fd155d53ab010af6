//! What is told in a reply's head: how it came about, and the names of what could not be carried, so that nobody has to ask for the
//! record to notice.

use super::cached::Told;
use super::hold::{Leeway, Limits};
use http::{HeaderMap, HeaderName, HeaderValue};
use slip_ir::Loss;
use std::borrow::Cow;
use std::time::Duration;

const ATTEMPTS: HeaderName = HeaderName::from_static("x-slipswitch-attempts");
const STRATEGY: HeaderName = HeaderName::from_static("x-slipswitch-strategy");
const TIMING: HeaderName = HeaderName::from_static("server-timing");

/// How a reply came about, as far as it is known when its head goes out.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// Upstream calls, the one that answered included.
    pub attempts: usize,
    pub strategy: Cow<'static, str>,
    /// Of the caller, where there are any.
    pub limits: Option<Limits>,
    /// Whether it is another's answer.
    pub cache: Option<Box<Told>>,
    /// What the gateway itself added.
    pub gateway_us: u64,
}

impl Head {
    pub fn put(self, headers: &mut HeaderMap) {
        headers.insert(ATTEMPTS, HeaderValue::from(self.attempts));
        let strategy = match self.strategy {
            Cow::Borrowed(name) => Ok(HeaderValue::from_static(name)),
            Cow::Owned(name) => HeaderValue::try_from(name),
        };
        if let Ok(strategy) = strategy {
            headers.insert(STRATEGY, strategy);
        }
        if let Some(limits) = self.limits {
            limits.put(headers);
        }
        if let Some(cache) = self.cache {
            cache.put(headers);
        }
        // Milliseconds, as browsers read it.
        let (whole, part) = (self.gateway_us / 1000, self.gateway_us % 1000);
        if let Ok(timing) = HeaderValue::try_from(format!("gateway;dur={whole}.{part:03}")) {
            headers.insert(TIMING, timing);
        }
    }
}

/// As OpenAI spells them: `x-ratelimit-remaining-requests: 59`, `x-ratelimit-reset-tokens: 6m0.5s`.
const RATES: [[HeaderName; 3]; 2] = [
    [
        HeaderName::from_static("x-ratelimit-limit-requests"),
        HeaderName::from_static("x-ratelimit-remaining-requests"),
        HeaderName::from_static("x-ratelimit-reset-requests"),
    ],
    [
        HeaderName::from_static("x-ratelimit-limit-tokens"),
        HeaderName::from_static("x-ratelimit-remaining-tokens"),
        HeaderName::from_static("x-ratelimit-reset-tokens"),
    ],
];

/// As Anthropic spells them, beside: `anthropic-ratelimit-requests-reset: 2026-11-29T12:00:30Z`.
const ANTHROPICS: [[HeaderName; 3]; 2] = [
    [
        HeaderName::from_static("anthropic-ratelimit-requests-limit"),
        HeaderName::from_static("anthropic-ratelimit-requests-remaining"),
        HeaderName::from_static("anthropic-ratelimit-requests-reset"),
    ],
    [
        HeaderName::from_static("anthropic-ratelimit-tokens-limit"),
        HeaderName::from_static("anthropic-ratelimit-tokens-remaining"),
        HeaderName::from_static("anthropic-ratelimit-tokens-reset"),
    ],
];

impl Limits {
    pub fn put(self, headers: &mut HeaderMap) {
        let mut put = |leeway: Leeway, [limit, remaining, reset]: [HeaderName; 3], resets: Option<String>| {
            headers.insert(limit, HeaderValue::from(leeway.limit));
            headers.insert(remaining, HeaderValue::from(leeway.remaining));
            if let Some(Ok(resets)) = resets.map(HeaderValue::try_from) {
                headers.insert(reset, resets);
            }
        };
        let leeways = [self.requests, self.tokens].into_iter();
        for (leeway, (names, anthropics)) in leeways.zip(RATES.into_iter().zip(ANTHROPICS)) {
            let Some(leeway) = leeway else { continue };
            put(leeway, names, Some(span(leeway.resets)));
            if self.as_anthropic {
                put(leeway, anthropics, moment(self.at_ms, leeway.resets));
            }
        }
    }
}

/// `1m0.500s`
fn span(time: Duration) -> String {
    let (minutes, ms) = (time.as_secs() / 60, time.as_millis() % 60_000);
    let minutes = if minutes > 0 { format!("{minutes}m") } else { String::new() };
    format!("{minutes}{}.{:03}s", ms / 1000, ms % 1000)
}

/// The second by which so much time has passed.
fn moment(from_ms: i64, time: Duration) -> Option<String> {
    let ms = from_ms.checked_add(i64::try_from(time.as_millis()).ok()?)?;
    let seconds = ms / 1000 + i64::from(ms % 1000 > 0);
    jiff::Timestamp::from_second(seconds).ok().map(|at| at.to_string())
}

pub const LOSSES: HeaderName = HeaderName::from_static("x-slipswitch-losses");
/// Proxies give all headers of a reply a few KiB between them.
const MOST: usize = 1024;
const CUT: &str = "...";

/// The header's value; `None` when nothing was lost. A wish that was met in another way says in which (`response_format: by prompt`).
pub fn header<'a>(losses: impl Iterator<Item = &'a Loss>) -> Option<HeaderValue> {
    let mut text = String::new();
    let mut told: Vec<String> = Vec::new();
    for loss in losses {
        let name = safe(loss);
        if told.contains(&name) {
            continue;
        }
        let comma = if text.is_empty() { "" } else { ", " };
        if text.len() + comma.len() + name.len() > MOST - CUT.len() - 2 {
            text.push_str(comma);
            text.push_str(CUT);
            break;
        }
        text.push_str(comma);
        text.push_str(&name);
        told.push(name);
    }
    if text.is_empty() { None } else { HeaderValue::try_from(text).ok() }
}

/// A name as a header can carry it. It may hold what a caller wrote: no comma, nothing beyond visible ASCII.
fn safe(loss: &Loss) -> String {
    const LONGEST: usize = 120;
    let met = loss.why.starts_with("by ");
    let parts = [&*loss.what, if met { ": " } else { "" }, if met { &loss.why } else { "" }];
    let visible = |c: char| if c == ',' || !(c == ' ' || c.is_ascii_graphic()) { '_' } else { c };
    parts.iter().flat_map(|part| part.chars()).map(visible).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_tells_how_it_came_about() {
        let mut headers = HeaderMap::new();
        let leeway = Leeway { limit: 60, remaining: 59, resets: Duration::from_millis(61_005) };
        let limits = Limits { requests: Some(leeway), at_ms: 1_795_953_600_100, ..Limits::default() };
        let mut other = HeaderMap::new();
        Limits { as_anthropic: true, tokens: Some(leeway), ..limits }.put(&mut other);
        assert_eq!(other["anthropic-ratelimit-requests-limit"], "60");
        assert_eq!(other["anthropic-ratelimit-tokens-remaining"], "59");
        assert_eq!(other["anthropic-ratelimit-tokens-reset"], "2026-11-29T12:01:02Z");
        assert_eq!(other["x-ratelimit-limit-tokens"], "60");
        let limits = Some(limits);
        Head { attempts: 2, strategy: "random".into(), limits, cache: None, gateway_us: 1_042 }.put(&mut headers);
        assert_eq!(headers["x-slipswitch-attempts"], "2");
        assert_eq!(headers["x-slipswitch-strategy"], "random");
        assert_eq!(headers["x-ratelimit-limit-requests"], "60");
        assert_eq!(headers["x-ratelimit-remaining-requests"], "59");
        assert_eq!(headers["x-ratelimit-reset-requests"], "1m1.005s");
        assert!(!headers.contains_key("x-ratelimit-limit-tokens"));
        assert!(!headers.keys().any(|name| name.as_str().starts_with("anthropic")));
        assert_eq!(headers["server-timing"], "gateway;dur=1.042");
    }

    fn told(losses: &[(&str, &str)]) -> Option<String> {
        let losses: Vec<Loss> =
            losses.iter().map(|(what, why)| Loss::new((*what).to_owned(), (*why).to_owned())).collect();
        header(losses.iter()).map(|value| value.to_str().expect("visible ASCII").to_owned())
    }

    #[test]
    fn names_are_told_once_and_safely_and_within_a_kibibyte() {
        assert_eq!(told(&[]), None);
        assert_eq!(told(&[("top_k", "x"), ("seed", "y"), ("top_k", "z")]).as_deref(), Some("top_k, seed"));
        assert_eq!(told(&[("response_format", "by prompt")]).as_deref(), Some("response_format: by prompt"));
        assert_eq!(told(&[("a,b\r\nSet-Cookie: ü", "x")]).as_deref(), Some("a_b__Set-Cookie: _"));
        let names: Vec<String> = (0..200).map(|n| format!("messages[{n}].image_url.detail")).collect();
        let rows: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
        let long = told(&rows).expect("some");
        assert!(long.len() <= MOST && long.len() > MOST - 40 && long.ends_with(", ..."), "{long}");
        assert!(told(&[(&"x".repeat(5000), "y")]).expect("some").len() <= MOST);
    }
}
