//! From a path to its route, in the spellings clients really use; or to what was meant.

use super::{ROUTES, Route};
use http::Method;

pub enum Found {
    Route(&'static Route, Vec<String>),
    /// The path is known, the method is not: the methods that are.
    Method(String),
    /// Nothing like it; the nearest path, if any is near.
    Nothing(Option<String>),
}

/// Find the route of a path. Captured segments come in order, percent-decoded.
pub fn find(method: &Method, path: &str) -> Found {
    // The hot one first.
    if method == Method::POST && (path == "/api/v1/chat/completions" || path == "/v1/chat/completions") {
        return Found::Route(&ROUTES[0], Vec::new());
    }
    let trimmed = path.trim_end_matches('/');
    let below = below_version(trimmed);
    let mut others: Vec<&str> = Vec::new();
    for route in ROUTES {
        let captured = match route.pattern.strip_prefix("//") {
            Some(rooted) => matches(rooted, trimmed.trim_start_matches('/')),
            None => below.and_then(|below| matches(&route.pattern[1..], below.trim_start_matches('/'))),
        };
        match captured {
            Some(_) if route.method != *method => others.push(route.method.as_str()),
            Some(captured) => return Found::Route(route, captured),
            None => {}
        }
    }
    others.dedup();
    if others.is_empty() { Found::Nothing(nearest(trimmed)) } else { Found::Method(others.join(", ")) }
}

/// What follows the version prefix, in the spellings clients really use: `/api/v1`, `/v1`, `/api`, and `/v1` said twice.
fn below_version(path: &str) -> Option<&str> {
    let mut rest = path.strip_prefix("/api").unwrap_or(path);
    let mut versioned = false;
    while let Some(shorter) = rest.strip_prefix("/v1")
        && (shorter.is_empty() || shorter.starts_with('/'))
    {
        rest = shorter;
        versioned = true;
    }
    versioned.then_some(rest)
}

fn matches(pattern: &str, path: &str) -> Option<Vec<String>> {
    let mut captured = Vec::new();
    let mut have = path.split('/');
    for want in pattern.split('/') {
        let got = have.next()?;
        if want.ends_with("...}") {
            // The rest: names of models hold slashes, and Google's own clients do not escape them.
            let rest: Option<Vec<String>> = std::iter::once(got).chain(have).map(decode).collect();
            captured.push(rest?.join("/"));
            return Some(captured);
        }
        if want.starts_with('{') {
            captured.push(decode(got)?);
        } else if want != got {
            return None;
        }
    }
    have.next().is_none().then_some(captured)
}

/// Percent-decode one segment; `None` for what is not UTF-8, holds a NUL or names a directory. A slash may come out of it: names of
/// models have one, and what is captured here is only ever looked up.
pub fn decode(segment: &str) -> Option<String> {
    let mut out = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(b) = bytes.next() {
        if b != b'%' {
            out.push(b);
            continue;
        }
        let hex = [bytes.next()?, bytes.next()?];
        let byte = u8::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok()?;
        if byte == 0 {
            return None;
        }
        out.push(byte);
    }
    String::from_utf8(out).ok().filter(|s| !s.is_empty() && s != ".." && s != ".")
}

fn nearest(path: &str) -> Option<String> {
    let tail = below_version(path).unwrap_or(path).trim_start_matches("/api");
    let told = |route: &Route| format!("{} {}", route.method, route.public());
    // The beginning of a path, as of somebody who thought that was all.
    let begun = tail.trim_matches('/');
    let goes_on = |route: &&Route| {
        let rest = route.pattern.trim_start_matches('/').strip_prefix(begun);
        rest.is_some_and(|rest| rest.starts_with('/') && !rest.contains('{'))
    };
    if let Some(route) = ROUTES.iter().find(goes_on).filter(|_| !begun.is_empty()) {
        return Some(told(route));
    }
    ROUTES
        .iter()
        .map(|route| {
            let pattern = route.pattern.trim_start_matches('/');
            (strsim::normalized_damerau_levenshtein(tail.trim_start_matches('/'), pattern), route)
        })
        .filter(|(score, _)| *score >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, route)| told(route))
}
