//! The pages a person sees. They need no script, load nothing from anywhere, and cannot be shown inside of another page.

use super::asked::Asked;
use crate::api::iso;
use crate::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};
use sha2::{Digest, Sha256};
use slip_store::Reset;
use std::fmt::Write as _;
use std::sync::LazyLock;

const STYLE: &str = include_str!("page.css");
/// The one style that is in force, by its digest.
static STYLED: LazyLock<String> = LazyLock::new(|| STANDARD.encode(Sha256::digest(STYLE.as_bytes())));

/// What was typed into the form before, but for the key.
#[derive(Default)]
pub struct Typed {
    pub limit: Option<String>,
    pub reset: Option<String>,
}

/// The page that asks. `brought` is what the app said, as it said it; `token` shows that this page asked.
pub fn consent(
    status: StatusCode,
    asked: &Asked,
    brought: &str,
    token: &str,
    typed: &Typed,
    wrong: Option<&str>,
) -> Response<Body> {
    let limit = typed.limit.clone().unwrap_or_else(|| asked.limit.map_or(String::new(), |limit| limit.to_usd_string()));
    let reset = typed.reset.as_deref().unwrap_or(asked.reset.map_or("", Reset::name));
    let (who, whence) = match &asked.callback {
        Some(callback) if callback.is_local => ("A program on this computer".to_owned(), callback.origin.as_str()),
        Some(callback) => (escape(callback.host()), callback.origin.as_str()),
        None => (
            "An app on another device".to_owned(),
            "It did not say who it is: go on only if you have just started it yourself.",
        ),
    };
    let mut html = format!(
        "<h1>{who} would like to use models through this gateway</h1>\n<p class=\"soft\">{}</p>\n",
        escape(whence)
    );
    if let Some(wrong) = wrong {
        let _ = writeln!(html, "<p class=\"bad\" role=\"alert\" id=\"wrong\">{}</p>", escape(wrong));
    }
    let _ = writeln!(
        html,
        "<h2>If you allow it</h2>\n<ul><li>It gets a key of its own, called <strong>{}</strong>{}.</li>\n\
         <li>It can ask models whatever yours may ask, and see what that key has used.</li>\n\
         <li>What it spends counts as spent by you.</li></ul>\n\
         <p class=\"soft\">It never sees your key, and can make or change none. Whoever runs this gateway can end its access at any time.</p>",
        escape(asked.name()),
        asked.expires_ms.map_or(String::new(), |at| format!(", until {}", escape(&iso(at)[..10]))),
    );
    if asked.callback.is_some() && asked.challenge.is_none() {
        html.push_str("<p class=\"soft\">This app asks without the usual protection of its code (PKCE): allow it only if you trust where it is.</p>\n");
    }
    let mut choices = String::new();
    for (value, words) in [("", "all time"), ("daily", "each day"), ("weekly", "each week"), ("monthly", "each month")]
    {
        let chosen = if value == reset { " selected" } else { "" };
        let _ = write!(choices, "<option value=\"{value}\"{chosen}>{words}</option>");
    }
    let invalid = if wrong.is_some() { " aria-describedby=\"wrong\"" } else { "" };
    let _ = writeln!(
        html,
        "<form method=\"post\" action=\"/auth\">\n\
         <input type=\"hidden\" name=\"asked\" value=\"{brought}\"><input type=\"hidden\" name=\"page\" value=\"{token}\">\n\
         <div class=\"pair\"><div><label for=\"limit\">It may spend (dollars)</label>\
         <input id=\"limit\" name=\"limit\" inputmode=\"decimal\" autocomplete=\"off\" placeholder=\"as much as you\" value=\"{limit}\"></div>\n\
         <div><label for=\"reset\">For</label><select id=\"reset\" name=\"reset\">{choices}</select></div></div>\n\
         <label for=\"secret\">Your key</label>\n\
         <input id=\"secret\" name=\"secret\" type=\"password\" required autocomplete=\"current-password\" spellcheck=\"false\"{invalid}>\n\
         <p class=\"soft\">An API key or a management key of this gateway. It says who you are, and goes no further than here.</p>\n\
         <div class=\"ends\"><button type=\"submit\">Allow</button>{cancel}</div>\n</form>",
        brought = escape(brought),
        token = escape(token),
        limit = escape(&limit),
        cancel = asked.callback.as_ref().map_or(String::new(), |callback| {
            format!("<a class=\"cancel\" href=\"{}\">Cancel</a>", escape(&callback.with("error", "access_denied")))
        }),
    );
    if let Some(callback) = &asked.callback {
        let _ = writeln!(html, "<p class=\"soft\">Either way you go back to {}.</p>", escape(callback.host()));
    }
    page(status, "Allow an app", &html, asked.callback.as_ref().map_or("", |callback| callback.policy()))
}

/// The code itself, for an app that no browser can be sent back to.
pub fn shown(code: &str) -> Response<Body> {
    let html = format!(
        "<h1>Allowed</h1>\n<p>Give this code to the app. It works once, within ten minutes.</p>\n<code>{}</code>\n\
         <p class=\"soft\">Give it to nobody else: whoever began this can exchange it for a key. You may close this page.</p>",
        escape(code)
    );
    page(StatusCode::OK, "Allowed", &html, "")
}

/// What went wrong, and what to do.
pub fn trouble(status: StatusCode, what: &str, next: &str) -> Response<Body> {
    let html = format!(
        "<h1>That did not work</h1>\n<p class=\"bad\" role=\"alert\">{}</p>\n<p class=\"soft\">{}</p>",
        escape(what),
        escape(next)
    );
    page(status, "That did not work", &html, "")
}

/// `leads` is where its form may lead beside here: browsers hold the redirect that follows to it too.
fn page(status: StatusCode, title: &str, html: &str, leads: &str) -> Response<Body> {
    let text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"robots\" content=\"noindex\">\n\
         <title>{title} – slipswitch</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{html}</main>\n</body>\n</html>\n"
    );
    let mut response = Response::new(Body::full(text));
    *response.status_mut() = status;
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; form-action 'self' {leads}; frame-ancestors 'none'; base-uri 'none'",
        *STYLED
    );
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    // An origin is letters, digits, dots, hyphens and a port.
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'")),
    );
    private(headers);
    response
}

/// Of every answer to a browser here, a redirect too.
pub fn private(headers: &mut http::HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // With none at all a browser would not say either where a form was sent from.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
}

/// As text, or in an attribute between double quotes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Marks that turn the direction of what follows would let a name say what it is not.
            '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_an_app_says_is_read_as_a_page() {
        assert_eq!(escape("<b a=\"1\" c='2'>&\n"), "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp; ");
        assert_eq!(escape("gnp.\u{202e}exe"), "gnp.\u{fffd}exe");
    }
}
