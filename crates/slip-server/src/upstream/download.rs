//! Pictures and files that a caller named by URL and the provider cannot fetch. The one place where a caller names a host: only
//! public addresses, checked on the address itself at every hop, nothing of ours sent along, and no word about what is there.

use super::connection::Connection;
use super::{AGENT, Origin, Reach, connect, spell};
use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, ACCEPT_ENCODING, CONNECTION, HOST, HeaderValue, LOCATION, USER_AGENT};
use http::{Request, Uri};
use http_body_util::BodyExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// At once, in this process.
static PLACES: Semaphore = Semaphore::const_new(16);
/// Everything together, hops and waiting for a place included.
const PATIENCE: Duration = Duration::from_secs(10);
pub const MAX_BYTES: usize = 20 * 1024 * 1024;
const MAX_URL: usize = 4096;
const HOPS: usize = 3;
/// Constant: whoever asks shall not learn what is where.
const UNREACHABLE: &str = "its host could not be reached";

/// The bytes behind a URL. `private` lets loopback and private addresses be dialled, and any port.
pub async fn download(url: &str, private: bool) -> Result<Bytes, String> {
    let fetched = timeout(PATIENCE, async {
        let _place = PLACES.acquire().await.map_err(|_| UNREACHABLE.to_owned())?;
        let mut url = parse(url)?;
        for _ in 0..=HOPS {
            match hop(&url, private).await? {
                Hop::Here(bytes) => return Ok(bytes),
                Hop::There(next) => url = next,
            }
        }
        Err(format!("it is redirected more than {HOPS} times"))
    });
    fetched.await.unwrap_or_else(|_| Err(format!("it did not arrive within {} s", PATIENCE.as_secs())))
}

enum Hop {
    Here(Bytes),
    There(Uri),
}

fn parse(url: &str) -> Result<Uri, String> {
    let uri: Uri =
        Some(url).filter(|url| url.len() <= MAX_URL).and_then(|url| url.trim().parse().ok()).ok_or("not a URL")?;
    match uri.scheme_str() {
        Some("http" | "https") => {}
        _ => return Err("only http and https are fetched".to_owned()),
    }
    if uri.authority().is_none_or(|authority| authority.as_str().contains('@')) {
        return Err("a URL with a user name in it is not fetched".to_owned());
    }
    Ok(uri)
}

fn origin(uri: &Uri, private: bool) -> Result<Origin, String> {
    let https = uri.scheme_str() == Some("https");
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    if host.is_empty() || host.ends_with('.') || !host.is_ascii() {
        return Err("not a host name".to_owned());
    }
    let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
    if port == 0 || !(private || matches!(port, 80 | 443)) {
        return Err("only ports 80 and 443 are fetched from".to_owned());
    }
    Ok(Origin::new(https, host, port, if private { Reach::Private } else { Reach::Global }))
}

async fn hop(uri: &Uri, private: bool) -> Result<Hop, String> {
    let origin = Arc::new(origin(uri, private)?);
    let unreachable = || UNREACHABLE.to_owned();
    let mut request = Request::new(Bytes::new());
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse().map_err(|_| "not a URL".to_owned())?;
    let headers = request.headers_mut();
    headers.insert(HOST, origin.host_header.clone().ok_or_else(unreachable)?);
    headers.insert(USER_AGENT, AGENT);
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    let (head, body) = spell(request);
    let connection: Connection = connect(&origin, PATIENCE).await.map_err(|_| unreachable())?;
    let (head, mut incoming) = connection.exchange(head, body).await.map_err(|_| unreachable())?;
    if head.status.is_redirection() {
        let next = head.headers.get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
        return Ok(Hop::There(parse(&absolute(uri, next))?));
    }
    if !head.status.is_success() {
        return Err(format!("its host answered {}", head.status.as_u16()));
    }
    let mut all = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        let Ok(data) = frame.map_err(|_| "it broke off".to_owned())?.into_data() else { continue };
        if all.len() + data.len() > MAX_BYTES {
            return Err(format!("it is larger than {} MiB", MAX_BYTES / (1024 * 1024)));
        }
        all.extend_from_slice(&data);
    }
    Ok(Hop::Here(all.freeze()))
}

/// Where a redirect leads: a whole URL, or a path on the same host.
fn absolute(from: &Uri, to: &str) -> String {
    match (from.scheme_str(), from.authority()) {
        (Some(scheme), _) if to.starts_with("//") => format!("{scheme}:{to}"),
        (Some(scheme), Some(authority)) if to.starts_with('/') => format!("{scheme}://{authority}{to}"),
        _ => to.to_owned(),
    }
}

/// What a picture really is. Only kinds that every model with eyes takes.
pub fn picture(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[test]
    fn only_plain_public_urls_are_taken() {
        let rows = [
            ("https://example.com/a.png", true),
            ("http://example.com:80/a.png?x=1#y", true),
            ("ftp://example.com/a", false),
            ("file:///etc/passwd", false),
            ("gopher://example.com", false),
            ("//example.com/a", false),
            ("https://user@example.com/a", false),
            ("https://user:pass@example.com/a", false),
            ("https://example.com:22/", false),
            ("https://example.com:6379/", false),
            ("https://example.com:0/", false),
            ("https://localhost./", false),
            ("https://exa mple.com/", false),
            ("", false),
        ];
        for (url, taken) in rows {
            assert_eq!(parse(url).and_then(|uri| origin(&uri, false)).is_ok(), taken, "{url}");
        }
    }

    #[test]
    fn a_redirect_leads_somewhere_whole() {
        let from: Uri = "https://a.example/x/y?z".parse().expect("a URL");
        for (to, want) in [
            ("/b", "https://a.example/b"),
            ("//c.example/b", "https://c.example/b"),
            ("http://d.example/", "http://d.example/"),
        ] {
            assert_eq!(absolute(&from, to), want);
        }
    }

    #[tokio::test]
    async fn nothing_inside_is_dialled_however_it_is_spelt() {
        let inside = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let port = inside.local_addr().expect("an address").port();
        let hosts = [
            "127.0.0.1",
            "localhost",
            "LOCALHOST",
            "127.1",
            "0x7f.1",
            "2130706433",
            "0177.0.0.1",
            "0.0.0.0",
            "[::1]",
            "[::ffff:7f00:1]",
            "[::ffff:127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "10.0.0.1",
            "169.254.169.254",
            "192.168.0.1",
            "100.64.0.1",
            "[fd00:ec2::254]",
            "[fe80::1]",
        ];
        for host in hosts {
            // The ports are let through here, so that it is the address that is refused.
            let origin = Arc::new(Origin::new(false, host.trim_matches(['[', ']']).into(), port, Reach::Global));
            let dialled = timeout(PATIENCE, connect(&origin, PATIENCE)).await.expect("at once");
            assert!(dialled.is_err(), "{host}");
            assert_eq!(download(&format!("http://{host}/"), false).await.err().as_deref(), Some(UNREACHABLE), "{host}");
        }
        let waiting = timeout(Duration::from_millis(50), inside.accept()).await;
        assert!(waiting.is_err(), "somebody came in");
    }
}
