//! Refusals of real providers, shortened, and what they mean.

use super::*;
use http::{HeaderMap, HeaderName, HeaderValue};

fn headers(rows: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in rows {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
        map.insert(name, HeaderValue::from_str(value).expect("a header value"));
    }
    map
}

#[test]
fn every_refusal_has_a_kind_and_a_remedy() {
    use FaultKind as K;
    use Remedy as R;
    let rows: &[(u16, &str, Option<&str>, K, R)] = &[
        (400, "bad", None, K::BadRequest, R::Stop),
        (422, "bad", None, K::Unprocessable, R::Stop),
        (418, "teapot", None, K::BadRequest, R::Stop),
        (400, "x", Some("context_length_exceeded"), K::ContextTooLong, R::OtherModel),
        (400, "This endpoint's maximum context length is 200000 tokens", Some("400"), K::ContextTooLong, R::OtherModel),
        (500, "the request exceeds the available context size", None, K::ContextTooLong, R::OtherModel),
        (400, "filtered", Some("content_filter"), K::Moderated, R::OtherModel),
        (400, "Your credit balance is too low", None, K::UpstreamQuota, R::Elsewhere),
        (400, "API key not valid. Please pass a valid API key.", None, K::UpstreamAuth, R::Elsewhere),
        (400, "x/y is not a valid model ID", None, K::NotFound, R::Elsewhere),
        (401, "no", Some("invalid_api_key"), K::UpstreamAuth, R::Elsewhere),
        (403, "Forbidden", Some("forbidden"), K::UpstreamAuth, R::Elsewhere),
        (403, "Country, region, or territory not supported", None, K::Forbidden, R::Elsewhere),
        (402, "pay", None, K::UpstreamQuota, R::Elsewhere),
        (404, "no such model", Some("model_not_found"), K::NotFound, R::Elsewhere),
        (
            404,
            "The API deployment for this resource does not exist",
            Some("DeploymentNotFound"),
            K::NotFound,
            R::Elsewhere,
        ),
        (404, "Not Found", None, K::Upstream, R::Elsewhere),
        (408, "", None, K::UpstreamTimeout, R::Again),
        (409, "", None, K::Upstream, R::Again),
        (413, "", None, K::TooLarge, R::Elsewhere),
        (429, "slow down", Some("rate_limit_exceeded"), K::RateLimited, R::Elsewhere),
        (429, "too many tokens per minute", None, K::RateLimited, R::Elsewhere),
        (429, "x", Some("insufficient_quota"), K::UpstreamQuota, R::Elsewhere),
        (500, "", None, K::Upstream, R::Again),
        (500, "The engine is currently overloaded", None, K::Overloaded, R::Again),
        (501, "", None, K::Upstream, R::Elsewhere),
        (502, "", None, K::Upstream, R::Again),
        (503, "", None, K::Overloaded, R::Again),
        (504, "", None, K::UpstreamTimeout, R::Again),
        (529, "", Some("overloaded_error"), K::Overloaded, R::Again),
        (302, "", None, K::Upstream, R::Elsewhere),
        // Inside a successful answer, where only the words tell.
        (200, "", Some("429"), K::RateLimited, R::Elsewhere),
        (200, "Token limit reached", Some("400"), K::BadRequest, R::Stop),
        (200, "", Some("overloaded_error"), K::Overloaded, R::Again),
        (200, "", Some("server_error"), K::Upstream, R::Again),
        (200, "", None, K::Upstream, R::Again),
    ];
    for (status, message, code, kind, remedy) in rows {
        let fault = classify(*status, &HeaderMap::new(), message, *code, b"{}");
        assert_eq!((fault.kind, fault.remedy), (*kind, *remedy), "{status} {message} {code:?}");
        assert!(!fault.says.is_empty() && fault.origin == Origin::Upstream);
    }
}

#[test]
fn an_upstream_that_says_do_not_retry_is_believed() {
    let fault = classify(500, &headers(&[("x-should-retry", "false")]), "", None, b"");
    assert_eq!(fault.remedy, Remedy::Elsewhere);
    assert_eq!(fault.raw, None);
}

#[test]
fn pauses_are_read_in_every_spelling_and_absurd_ones_ignored() {
    let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    type Row<'a> = (&'a [(&'a str, &'a str)], Option<f64>);
    let rows: &[Row<'_>] = &[
        (&[("retry-after", "2")], Some(2.0)),
        (&[("retry-after", "0.5")], Some(0.5)),
        (&[("retry-after", " 7 ")], Some(7.0)),
        (&[("retry-after", "-1")], None),
        (&[("retry-after", "NaN")], None),
        (&[("retry-after", "inf")], None),
        (&[("retry-after", "86400")], None),
        (&[("retry-after", "soon")], None),
        (&[("retry-after", "")], None),
        (&[date, ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")], Some(30.0)),
        (&[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")], None),
        (&[("retry-after-ms", "1500"), ("retry-after", "9")], Some(1.5)),
        (&[("retry-after-ms", "junk"), ("retry-after", "9")], Some(9.0)),
        (&[("x-ratelimit-reset-requests", "120ms"), ("x-ratelimit-reset-tokens", "6m0s")], Some(0.12)),
        (
            &[
                ("x-ratelimit-reset-requests", "1s"),
                ("x-ratelimit-remaining-tokens", "0"),
                ("x-ratelimit-reset-tokens", "1m2.5s"),
            ],
            Some(62.5),
        ),
        (&[date, ("x-ratelimit-reset", "784111787000")], None),
        (&[("date", "Sat, 21 Nov 2026 10:00:00 GMT"), ("x-ratelimit-reset", "1795255210000")], Some(10.0)),
        (
            &[
                ("date", "Sat, 21 Nov 2026 10:00:00 GMT"),
                ("anthropic-ratelimit-requests-reset", "2026-11-21T10:00:05Z"),
            ],
            Some(5.0),
        ),
        (&[], None),
    ];
    for (given, want) in rows {
        assert_eq!(retry_after(&headers(given)).map(|d| d.as_secs_f64()), *want, "{given:?}");
    }
}

#[test]
fn upstream_words_are_bounded_cleaned_and_masked() {
    let rows: &[(&str, &str)] = &[
        ("plain", "plain"),
        ("a\u{0}b\u{1b}[0m\nc", "ab[0m c"),
        ("Incorrect API key provided: sk-proj-abc***xyz. See", "Incorrect API key provided: sk-*** See"),
        ("/v1?key=AIzaSyA-1_2 used", "/v1?key=AIza*** used"),
        ("key: AIzaSyA-1_2 used", "key: AIza*** used"),
        ("{\"authorization\":\"Bearer abc.def\"}", "{\"authorization\":\"Bearer ***\"}"),
        ("task-force", "task-force"),
        ("é", "é"),
    ];
    for (given, want) in rows {
        assert_eq!(clean(given.as_bytes()), *want);
    }
    assert!(clean("é".repeat(5000).as_bytes()).len() <= RAW_LIMIT);
    let long = format!("{}sk-secretsecret", "a ".repeat(1020));
    assert!(!clean(long.as_bytes()).contains("secret"));
    assert_eq!(clean(&[0xff, b'a']), "\u{fffd}a");
}

#[test]
fn a_web_page_is_told_by_its_title_only() {
    let fault =
        classify(502, &HeaderMap::new(), "", None, b"<html><head><title>Bad gateway</title></head><body>secret");
    assert_eq!(fault.raw.as_deref(), Some("Bad gateway"));
    assert_eq!(fault.says, "the provider failed with status 502");
}
