//! The page and its form, as a browser meets them.

use super::*;
use crate::harness::MANAGEMENT;

async fn house() -> Gateway {
    Gateway::start(crate::teams::HOUSE)
}

#[tokio::test]
async fn somebody_allows_an_app_on_the_page_and_the_app_gets_a_key() {
    let gateway = house().await;
    let page = open(&gateway, &began()).await;
    let html = page.got.text();
    for words in [
        "app.example would like to use models",
        "<strong>The app</strong>",
        "value=\"2.5\"",
        "<option value=\"weekly\" selected>",
    ] {
        assert!(html.contains(words), "{words}: {html}");
    }
    let allowed = press(&gateway, &page, &[("limit", "1.25"), ("reset", "daily"), ("secret", KEY)], &[]).await;
    let location = allowed.header("location").to_owned();
    assert!(location.starts_with("https://app.example/back?state=7&code=auth_code_"), "{location}");
    assert_eq!((allowed.header("cache-control"), allowed.text().as_str()), ("no-store", ""));
    let body = json!({ "code": code_in(&allowed), "code_verifier": VERIFIER, "code_challenge_method": "S256" });
    let got = exchange(&gateway, &body).await;
    assert_eq!((got.status, got.header("cache-control")), (200, "no-store"), "{}", got.text());
    let told = got.json();
    assert_eq!(
        told.as_object().map(|o| o.keys().cloned().collect::<Vec<_>>()),
        Some(vec!["key".into(), "user_id".into()])
    );
    let key = told["key"].as_str().expect("a key");
    let own = of_itself(&gateway, key).await.json()["data"].clone();
    assert_eq!(json!([own["limit"], own["limit_reset"], own["is_management_key"]]), json!([1.25, "daily", false]));
    assert_eq!(gateway.chat_as(key, &ask()).await.status, 200);
    // What one code gives it gives once.
    let again = exchange(&gateway, &body).await;
    assert_eq!(again.status, 403, "{}", again.text());
    assert!(again.error()["message"].as_str().is_some_and(|says| says.contains("exchanged already")));
}

fn ask() -> Value {
    json!({ "model": "lab/one", "max_tokens": 20, "messages": [{ "role": "user", "content": "hello" }] })
}

#[tokio::test]
async fn the_page_can_neither_be_framed_nor_scripted_nor_kept() {
    let gateway = house().await;
    let page = open(&gateway, &began()).await;
    let policy = page.got.header("content-security-policy");
    for words in [
        "default-src 'none'",
        "style-src 'sha256-",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self' https://app.example;",
    ] {
        assert!(policy.contains(words), "{words}: {policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains("script"), "{policy}");
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("cache-control", "no-store"),
        ("content-type", "text/html; charset=utf-8"),
        ("access-control-allow-origin", ""),
    ] {
        assert_eq!(page.got.header(name), value, "{name}");
    }
    let cookie = page.got.header("set-cookie");
    assert!(cookie.ends_with("; Path=/auth; HttpOnly; SameSite=Strict"), "{cookie}");
    let html = page.got.text();
    assert!(!html.contains("<script") && !html.contains("http-equiv") && !html.contains(" on"), "no script: {html}");
    // Behind TLS the cookie stays there.
    let headers = [("x-forwarded-proto", "https")];
    let got = gateway.send(Method::GET, &format!("/auth?{}", began()), &headers, Bytes::new()).await;
    assert!(got.header("set-cookie").ends_with("; Secure"));
}

#[tokio::test]
async fn nothing_an_app_says_becomes_part_of_the_page() {
    let gateway = house().await;
    let nasty = "\"><script>alert(1)</script><img src=x onerror='alert(2)'>";
    let query =
        encoded(&[("callback_url", "https://app.example/%3Cscript%3E?x='y'"), ("key_label", nasty), ("x", nasty)]);
    let page = open(&gateway, &query).await;
    let html = page.got.text();
    assert!(!html.contains("<script") && !html.contains("<img") && !html.contains("='y'"), "{html}");
    assert!(html.contains("&quot;&gt;&lt;script&gt;"), "{html}");
    for bad in [
        "javascript:alert(1)",
        nasty,
        "https://app.example/\"onclick=x",
        "http://evil.example/",
        "https://a@evil.example/",
    ] {
        let path = format!("/auth?{}", encoded(&[("callback_url", bad), ("code_challenge", CHALLENGE)]));
        let got = gateway.send(Method::GET, &path, &[], Bytes::new()).await;
        let html = got.text();
        assert_eq!((got.status, html.contains(bad), got.header("location")), (400, false, ""), "{html}");
        assert!(html.contains("`callback_url` must"), "what is wrong is said: {html}");
    }
    // What is typed is not either.
    let limit = "1\"><script>alert(1)</script>";
    let got = press(&gateway, &page, &[("secret", KEY), ("limit", limit)], &[]).await;
    assert_eq!((got.status, got.text().contains("<script")), (400, false), "{}", got.text());
}

#[tokio::test]
async fn a_form_that_is_not_the_pages_own_is_refused() {
    let gateway = house().await;
    let page = open(&gateway, &began()).await;
    let other = open(&gateway, &began()).await;
    let elsewhere = encoded(&[("callback_url", "https://evil.example/"), ("code_challenge", CHALLENGE)]);
    let (began_ms, sealed) = page.token.split_once('.').expect("a moment and a seal");
    let older = format!("{}.{sealed}", began_ms.parse::<i64>().expect("a moment") - 1);
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [(&'a str, &'a str)], u16);
    let rows: &[Row<'_>] = &[
        ("as it should be", &[], &[], 303),
        ("an old browser", &[], &[("origin", ""), ("sec-fetch-site", "")], 303),
        ("no cookie", &[], &[("cookie", "")], 403),
        ("another browser's cookie", &[], &[("cookie", &other.cookie)], 403),
        ("no token", &[("page", "")], &[], 403),
        ("another page's token", &[("page", &other.token)], &[], 403),
        ("another moment", &[("page", &older)], &[], 403),
        ("another callback", &[("asked", &elsewhere)], &[], 403),
        ("from another site", &[], &[("sec-fetch-site", "cross-site")], 403),
        ("from a sister site", &[], &[("sec-fetch-site", "same-site")], 403),
        ("from another origin", &[], &[("origin", "https://evil.example"), ("sec-fetch-site", "")], 403),
        ("from nowhere", &[], &[("origin", "null"), ("sec-fetch-site", "")], 403),
        ("through a proxy with a host of its own", &[], &[("origin", "https://gateway.example")], 303),
        ("not a form", &[], &[("content-type", "application/json")], 400),
        ("as text", &[], &[("content-type", "text/plain")], 400),
    ];
    for (what, fields, headers, want) in rows {
        let fields = [&[("secret", KEY)], *fields].concat();
        let got = press(&gateway, &page, &fields, headers).await;
        assert_eq!(got.status, *want, "{what}: {}", got.text());
        assert!(*want == 303 || got.header("location").is_empty() && got.text().contains("begin again"), "{what}");
    }
    let large = Bytes::from("x".repeat(70_000));
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(gateway.send(Method::POST, "/auth", &headers, large).await.status, 413);
}

#[tokio::test]
async fn who_is_wrong_may_correct_it_but_not_guess_for_ever() {
    let gateway = house().await;
    let page = open(&gateway, &began()).await;
    let wrong = press(&gateway, &page, &[("secret", "sk-wrong-key-0123456789")], &[]).await;
    let html = wrong.text();
    assert_eq!(wrong.status, 401, "{html}");
    assert!(
        html.contains("invalid API key") && html.contains("role=\"alert\"") && !html.contains("sk-wrong-key"),
        "{html}"
    );
    for (limit, says) in
        [("much", "an amount in dollars"), ("-1", "an amount in dollars"), ("1e300", "an amount in dollars")]
    {
        let got = press(&gateway, &page, &[("secret", KEY), ("limit", limit)], &[]).await;
        assert!(got.status == 400 && got.text().contains(says), "{limit}: {}", got.text());
    }
    for limit in ["", "$3", " 0.10 "] {
        let got = press(&gateway, &page, &[("secret", KEY), ("limit", limit)], &[]).await;
        assert_eq!(got.status, 303, "{limit}: {}", got.text());
    }
    let mut last = 401;
    for _ in 0..20 {
        last = press(&gateway, &page, &[("secret", "sk-wrong-key-0123456789")], &[]).await.status;
    }
    let got = press(&gateway, &page, &[("secret", KEY)], &[]).await;
    assert_eq!((last, got.status), (429, 429), "now a right key must wait too: {}", got.text());
    assert!(got.header("retry-after").parse::<u64>().is_ok_and(|s| (1..=60).contains(&s)));
    // Nor may codes be guessed, apart from that.
    let code = code_by(&gateway, KEY, json!({})).await.json()["data"]["id"].clone();
    for n in 0..20 {
        let got = exchange(&gateway, &json!({ "code": format!("auth_code_{n}") })).await;
        assert_eq!(got.status, 403, "{}", got.text());
    }
    let got = exchange(&gateway, &json!({ "code": code, "code_verifier": VERIFIER })).await;
    assert_eq!(got.status, 429, "{}", got.text());
    assert_eq!(gateway.chat_as(KEY, &ask()).await.status, 200, "whoever calls models is not held up");
}

#[tokio::test]
async fn an_app_without_a_browser_is_given_the_code_by_hand() {
    let gateway = house().await;
    let query =
        encoded(&[("code_challenge", CHALLENGE), ("code_challenge_method", "S256"), ("key_label", "A television")]);
    let page = open(&gateway, &query).await;
    assert!(page.got.text().contains("An app on another device") && !page.got.text().contains("Cancel"));
    let got = press(&gateway, &page, &[("secret", MANAGEMENT)], &[]).await;
    let html = got.text();
    assert_eq!((got.status, got.header("cache-control")), (200, "no-store"), "{html}");
    let code = html.split_once("<code>").and_then(|(_, rest)| rest.split_once("</code>")).expect("a code").0;
    let got = exchange(&gateway, &json!({ "code": code, "code_verifier": VERIFIER })).await;
    assert_eq!(got.status, 200, "{}", got.text());
    // Without a challenge the code would be anybody's.
    let got = gateway.send(Method::GET, "/auth?key_label=x", &[], Bytes::new()).await;
    assert!(got.status == 400 && got.text().contains("`callback_url` is needed"), "{}", got.text());
}

/// A gateway that was started anew knows the pages and codes of the one before.
#[tokio::test]
async fn pages_and_codes_outlive_a_restart() {
    let dir = scratch();
    let mut gateway = Gateway::start_in(dir.clone(), crate::teams::HOUSE);
    let page = open(&gateway, &began()).await;
    let code = code_in(&press(&gateway, &page, &[("secret", KEY)], &[]).await);
    let kept = dir.with_extension("kept");
    gateway.signal("TERM");
    assert_eq!(gateway.wait(std::time::Duration::from_secs(20)), Some(0), "{}", gateway.said());
    std::fs::rename(&dir, &kept).expect("moved");
    drop(gateway);
    let gateway = Gateway::start_in(kept, crate::teams::HOUSE);
    assert_eq!(press(&gateway, &page, &[("secret", KEY)], &[]).await.status, 303);
    let got = exchange(&gateway, &json!({ "code": code, "code_verifier": VERIFIER })).await;
    assert_eq!(got.status, 200, "{}", got.text());
}
