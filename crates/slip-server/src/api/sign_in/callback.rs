//! Where a browser is sent when somebody has decided: an https address, or a program on the same computer. It is read once, and only
//! what was read is shown, compared and sent; never the text as it came.

use std::net::{Ipv4Addr, Ipv6Addr};

const LONGEST: usize = 2048;
/// Beside letters and digits (RFC 3986, the fragment's mark apart).
const MARKS: &[u8] = b"-._~:/?[]@!$&'()*+,;=%";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// `https://app.example`, `http://localhost:3000`
    pub origin: String,
    /// From the slash on.
    rest: String,
    pub is_local: bool,
}

impl Callback {
    /// Read it, or say what it should have been.
    pub fn read(text: &str) -> Result<Callback, String> {
        let no = |why: &str| Err(format!("`callback_url` {why}"));
        if text.len() > LONGEST {
            return no("must be at most 2048 characters");
        }
        if text.contains('#') {
            return no("must not have a fragment (`#…`): what stands there never reaches a server");
        }
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || MARKS.contains(&b)) {
            return no("must be of the characters a URL may have; others are written as %XX");
        }
        let lower = text.to_ascii_lowercase();
        let Some((scheme, start)) = [("https", 8), ("http", 7)]
            .into_iter()
            .find(|(scheme, _)| lower.strip_prefix(scheme).is_some_and(|rest| rest.starts_with("://")))
        else {
            return no("must begin with https://, or with http:// for a program on the same computer");
        };
        let end = text[start..].find(['/', '?']).map_or(text.len(), |at| start + at);
        let (authority, rest) = (&lower[start..end], &text[end..]);
        if authority.contains('@') {
            return no("must not have a user or a password before its host");
        }
        let Some((host, port)) = split(authority) else {
            return no("must have a host, and a port of 1 to 65535 if it has one");
        };
        let is_local = is_local(host);
        if scheme == "http" && !is_local {
            return no("must begin with https://; http:// is for localhost, 127.0.0.1 and [::1] alone");
        }
        let query = rest.split_once('?').map_or("", |(_, query)| query);
        if query.split('&').any(|pair| matches!(pair.split('=').next(), Some("code" | "error"))) {
            return no("must not say `code` or `error` itself: one of them is added");
        }
        let port = port.map_or(String::new(), |port| format!(":{port}"));
        let slash = if rest.starts_with('/') { "" } else { "/" };
        Ok(Callback { origin: format!("{scheme}://{host}{port}"), rest: format!("{slash}{rest}"), is_local })
    }

    /// The address with one thing more said in its query.
    pub fn with(&self, name: &str, value: &str) -> String {
        let joint = match self.rest.split_once('?') {
            None => "?",
            Some((_, "")) => "",
            Some(_) => "&",
        };
        format!("{}{}{joint}{name}={value}", self.origin, self.rest)
    }

    /// `app.example`, `localhost:3000`
    pub fn host(&self) -> &str {
        self.origin.split_once("://").map_or("", |(_, host)| host)
    }

    /// The same for a policy of what a page's form may lead to, which has no word for addresses in brackets.
    pub fn policy(&self) -> &str {
        if self.origin.contains('[') { "http:" } else { &self.origin }
    }

    /// A number for the app, the same for ever.
    pub fn app_id(&self) -> u32 {
        slip_store::derived_id(&["app", &self.origin])
            .split('-')
            .next()
            .and_then(|word| u32::from_str_radix(word, 16).ok())
            .map_or(1, |number| (number >> 1).max(1))
    }
}

fn split(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (address, port) = bracketed.split_once(']')?;
            address.parse::<Ipv6Addr>().ok()?;
            (&authority[..address.len() + 2], port.strip_prefix(':').or(port.is_empty().then_some("")))
        }
        None => authority
            .split_once(':')
            .map_or((authority, Some("")), |(host, port)| (host, Some(port).filter(|port| !port.is_empty()))),
    };
    let port = match port? {
        "" => None,
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.parse().ok().filter(|port| *port > 0)?),
        _ => return None,
    };
    let named = |label: &str| {
        let fit = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        fit && !label.is_empty() && label.len() <= 63
    };
    let fit = host.starts_with('[') || host.len() <= 253 && host.split('.').all(named);
    fit.then_some((host, port))
}

/// By the names and addresses that are this computer to every browser.
fn is_local(host: &str) -> bool {
    host == "localhost"
        || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
        || host.trim_matches(['[', ']']).parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_sent_to_https_or_to_their_own_computer() {
        let rows = [
            ("https://app.example/back", Some("https://app.example/back?code=c")),
            ("https://app.example", Some("https://app.example/?code=c")),
            ("https://app.example?state=1", Some("https://app.example/?state=1&code=c")),
            ("https://app.example/?", Some("https://app.example/?code=c")),
            ("HTTPS://App.Example:8443/Back?S=%20x", Some("https://app.example:8443/Back?S=%20x&code=c")),
            ("https://app.example/a@b:c", Some("https://app.example/a@b:c?code=c")),
            ("http://localhost:3000/cb", Some("http://localhost:3000/cb?code=c")),
            ("http://127.0.0.1:1/", Some("http://127.0.0.1:1/?code=c")),
            ("http://[::1]:8080/x", Some("http://[::1]:8080/x?code=c")),
            ("http://app.example/back", None),
            ("http://localhost.evil.example/", None),
            ("http://127.0.0.1.evil.example/", None),
            ("http://evil.example?@localhost/", None),
            ("http://2130706433/", None),
            ("http://0.0.0.0/", None),
            ("http://[::ffff:127.0.0.1]/", None),
            ("https://user@app.example/", None),
            ("https://app.example@evil.example/", None),
            ("https://app.example\\@evil.example/", None),
            ("https://app.example/#x", None),
            ("https://app.example/<script>", None),
            ("https://app.example/\"x", None),
            ("https://app.example/\r\nSet-Cookie: a=b", None),
            ("https://app.example/ü", None),
            ("https://", None),
            ("https:///path", None),
            ("https:app.example", None),
            ("https://app..example/", None),
            ("https://app.example;script-src/", None),
            ("https://app.example:/", None),
            ("https://app.example:0/", None),
            ("https://app.example:99999/", None),
            ("https://app.example:+1/", None),
            ("https://[::1/", None),
            ("https://app.example/?code=mine", None),
            ("https://app.example/?a=b&error=mine", None),
            ("javascript:alert(1)//https://", None),
            ("data:text/html,x", None),
            ("//app.example/", None),
            ("/back", None),
            ("myapp://back", None),
            ("", None),
        ];
        for (text, want) in rows {
            let read = Callback::read(text).map(|callback| callback.with("code", "c"));
            assert_eq!(read.as_deref().ok(), want, "{text}: {read:?}");
        }
        assert!(Callback::read(&format!("https://a.example/{}", "x".repeat(2048))).is_err());
    }

    #[test]
    fn an_app_has_one_number_wherever_it_calls_back_to() {
        let id = |text: &str| Callback::read(text).expect("fit").app_id();
        assert_eq!(id("https://app.example/a"), id("https://APP.example/b?c"));
        assert_ne!(id("https://app.example/"), id("https://other.example/"));
    }
}
