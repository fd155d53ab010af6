//! The only place that dials out: targets, TLS, the connection pool and its limits.
//!
//! One pool per worker thread, so there is no lock and no hop between the caller's side of a request and the provider's. HTTP/1.1
//! only: one connection carries one stream, which for replies that live for minutes is the behaviour we want (HTTP/2 would queue
//! streams beyond the peer's limit without telling anyone). Redirects are never followed. Proxies in the environment are ignored.

mod address;
mod connection;
pub mod download;
mod framing;
pub mod tap;
mod tls;

use crate::clock;
use bytes::{BufMut, Bytes, BytesMut};
use connection::{Connection, Io};
use http::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Request, Response};
use slip_ir::{Fault, FaultKind, Remedy};
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub use address::{Reach, is_metadata};
pub use connection::{Broken, Incoming};

/// An idle connection older than this is not used again: common servers close theirs at 60 s, and a request written into a closing
/// connection is an ambiguous failure.
const IDLE: Duration = Duration::from_secs(15);
/// Idle connections kept per origin and worker.
const IDLE_PER_ORIGIN: usize = 128;

const AGENT: HeaderValue = HeaderValue::from_static(concat!("slipswitch/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Where one (base URL, key) pair of a provider is reached. Built from configuration alone; nothing a caller sends can change it.
#[derive(Clone)]
pub struct Target {
    pub origin: Arc<Origin>,
    /// Path of the base URL, without a trailing slash.
    pub prefix: Arc<str>,
    /// Credential and fixed headers of the provider. Values are marked sensitive where they are secrets.
    pub headers: Arc<[(HeaderName, HeaderValue)]>,
    /// What is asked and answered here is recorded.
    pub tap: Option<tap::Tap>,
}

impl Target {
    /// The whole URL of a path below the base, as it will be asked for.
    pub fn url(&self, path: &str) -> Option<String> {
        let scheme = if self.origin.https { "https" } else { "http" };
        let host = self.origin.host_header.as_ref()?.to_str().ok()?;
        Some([scheme, "://", host, &self.prefix, path].concat())
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    pub https: bool,
    pub host: String,
    pub port: u16,
    pub reach: Reach,
    /// Follows from the rest, and is asked for by every request.
    host_header: Option<HeaderValue>,
}

impl Origin {
    pub fn new(https: bool, host: String, port: u16, reach: Reach) -> Origin {
        let default = if https { 443 } else { 80 };
        let name = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let text = if port == default { name } else { format!("{name}:{port}") };
        Origin { https, host, port, reach, host_header: HeaderValue::try_from(text).ok() }
    }
}

/// Read a base URL from configuration.
pub fn parse_base(base: &str, allow_private: bool) -> Result<(Origin, String), String> {
    let uri: http::Uri = base.trim_end_matches('/').parse().map_err(|_| format!("not a URL: {base}"))?;
    let https = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(format!("a base URL starts with https:// or http://: {base}")),
    };
    let authority = uri.authority().ok_or_else(|| format!("no host in the URL: {base}"))?;
    if authority.as_str().contains('@') {
        return Err("a base URL must not hold a user name or password".to_owned());
    }
    if uri.query().is_some() {
        return Err(format!("a base URL must not have a query: {base}"));
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    if host.is_empty() || host.ends_with('.') {
        return Err(format!("not a host name: {base}"));
    }
    let port = match authority.port_u16() {
        Some(0) => return Err("port 0 cannot be dialled".to_owned()),
        Some(port) => port,
        None if https => 443,
        None => 80,
    };
    let reach = Reach::for_host(&host, allow_private);
    let prefix = uri.path().trim_end_matches('/').to_owned();
    Ok((Origin::new(https, host, port, reach), prefix))
}

/// How far a request got before it failed. Decides whether it may be sent again.
pub use slip_route::Sent;

/// Deadlines of one attempt.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    pub connect: Duration,
    /// From the request being written to the response head.
    pub headers: Duration,
    /// Nobody else could be asked: worth one more try where a used connection was closing.
    pub alone: bool,
}

pub struct Failed {
    pub fault: Fault,
    pub sent: Sent,
}

impl Failed {
    fn not_sent(fault: Fault) -> Failed {
        Failed { fault, sent: Sent::NotSent }
    }
}

type Idle = VecDeque<(Instant, Connection)>;

thread_local! {
    static POOL: RefCell<HashMap<Arc<Origin>, Idle>> = RefCell::new(HashMap::new());
}

/// Send one request. `path` starts with a slash and is joined to the base URL's own path; `accept` is the media type that is
/// understood.
pub async fn open(
    target: &Target,
    path: &str,
    body: Bytes,
    accept: &'static str,
    extra: &[(HeaderName, HeaderValue)],
    deadlines: Deadlines,
) -> Result<Response<Incoming>, Failed> {
    let mut request = build(target, Method::POST, path, body, extra)?;
    request.headers_mut().entry(CONTENT_TYPE).or_insert(JSON);
    request.headers_mut().entry(ACCEPT).or_insert(HeaderValue::from_static(accept));
    let Some(tap) = &target.tap else { return send(target, deadlines, request).await };
    let mut ear = tap.listen(&request);
    let response = send(target, deadlines, request).await?;
    ear.head(response.status().as_u16(), response.headers());
    Ok(response.map(|body| body.heard_by(ear)))
}

/// A bodiless GET, for probes and model lists.
pub async fn get(target: &Target, path: &str, deadlines: Deadlines) -> Result<Response<Incoming>, Failed> {
    let mut request = build(target, Method::GET, path, Bytes::new(), &[])?;
    request.headers_mut().insert(ACCEPT, JSON);
    send(target, deadlines, request).await
}

/// Any other request, for whoever gives out credentials.
pub async fn call(
    target: &Target,
    method: Method,
    path: &str,
    body: Bytes,
    headers: &[(HeaderName, HeaderValue)],
    deadlines: Deadlines,
) -> Result<Response<Incoming>, Failed> {
    send(target, deadlines, build(target, method, path, body, headers)?).await
}

fn build(
    target: &Target,
    method: Method,
    path: &str,
    body: Bytes,
    extra: &[(HeaderName, HeaderValue)],
) -> Result<Request<Bytes>, Failed> {
    let internal = |what: &'static str| Failed::not_sent(Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, what));
    let uri = http::Uri::try_from(joined(&target.prefix, path))
        .map_err(|_| internal("the provider's path cannot be built from this model name"))?;
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    let headers: &mut HeaderMap = request.headers_mut();
    headers.reserve(6 + target.headers.len() + extra.len());
    let host = target.origin.host_header.clone();
    headers.insert(HOST, host.ok_or_else(|| internal("the provider's host is not a host"))?);
    headers.insert(USER_AGENT, AGENT);
    for (name, value) in target.headers.iter().chain(extra) {
        headers.insert(name.clone(), value.clone());
    }
    Ok(request)
}

/// A path below the base URL's own, or beside it: each leading `../` leaves one segment of the base behind.
fn joined(mut prefix: &str, mut path: &str) -> String {
    let mut climbs = false;
    while let Some(rest) = path.strip_prefix("../") {
        prefix = prefix.rsplit_once('/').map_or("", |(above, _)| above);
        (path, climbs) = (rest, true);
    }
    [prefix, if climbs { "/" } else { "" }, path].concat()
}

async fn send(target: &Target, deadlines: Deadlines, request: Request<Bytes>) -> Result<Response<Incoming>, Failed> {
    let (head, body) = spell(request);
    // A pooled connection may have been closed by its peer just now. A request of which nothing was written goes out on another
    // one; one that met the closing as it was written goes out on a fresh one, once, if nobody else could be asked.
    let mut dial = false;
    loop {
        let pooled = if dial { None } else { idle(&target.origin) };
        let (connection, fresh) = match pooled {
            Some(connection) => (connection, false),
            // Boxed because a TLS handshake is large and rare: it must not be room that every request carries.
            None => (Box::pin(connect(&target.origin, deadlines.connect)).await.map_err(Failed::not_sent)?, true),
        };
        match timeout(deadlines.headers, connection.exchange(head.clone(), body.clone())).await {
            Ok(Ok((head, incoming))) => {
                let origin = target.origin.clone();
                let mut response =
                    Response::new(incoming.at_home(Box::new(move |connection| keep(&origin, connection))));
                *response.status_mut() = head.status;
                *response.headers_mut() = head.headers;
                return Ok(response);
            }
            Ok(Err((_, false))) if !fresh => {}
            Ok(Err((broken, true))) if !fresh && deadlines.alone && broken.is_gone() => dial = true,
            Ok(Err((broken, wrote))) => {
                return Err(Failed {
                    fault: broken.fault(),
                    sent: if wrote { Sent::Ambiguous } else { Sent::NotSent },
                });
            }
            Err(_) => {
                return Err(Failed {
                    fault: Fault::upstream(
                        FaultKind::UpstreamTimeout,
                        Remedy::Elsewhere,
                        format!("the provider sent no response head within {}", show(deadlines.headers)),
                    ),
                    sent: Sent::Ambiguous,
                });
            }
        }
    }
}

/// A request as it goes over the wire. Names and values cannot hold a line break: their types see to that.
fn spell(request: Request<Bytes>) -> (Bytes, Bytes) {
    let mut head = BytesMut::with_capacity(512);
    let put = |head: &mut BytesMut, parts: &[&[u8]]| parts.iter().for_each(|part| head.put_slice(part));
    let path = request.uri().path_and_query().map_or("/", |p| p.as_str());
    put(&mut head, &[request.method().as_str().as_bytes(), b" ", path.as_bytes(), b" HTTP/1.1\r\n"]);
    for (name, value) in request.headers() {
        put(&mut head, &[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
    }
    if request.method() != Method::GET {
        let length = itoa::Buffer::new().format(request.body().len()).to_owned();
        put(&mut head, &[b"content-length: ", length.as_bytes(), b"\r\n"]);
    }
    put(&mut head, &[b"\r\n"]);
    (head.freeze(), request.into_body())
}

/// The youngest usable idle connection.
fn idle(origin: &Arc<Origin>) -> Option<Connection> {
    POOL.with_borrow_mut(|pool| {
        let idle = pool.get_mut(origin)?;
        loop {
            let (since, mut connection) = idle.pop_back()?;
            if clock::now().duration_since(since) > IDLE {
                idle.clear();
                return None;
            }
            if connection.is_well() {
                return Some(connection);
            }
        }
    })
}

/// Keep a connection whose answer was read to its end. The oldest go first.
fn keep(origin: &Arc<Origin>, connection: Connection) {
    POOL.with_borrow_mut(|pool| {
        let now = clock::now();
        let idle = pool.entry(origin.clone()).or_default();
        while idle.front().is_some_and(|(since, _)| now.duration_since(*since) > IDLE) || idle.len() >= IDLE_PER_ORIGIN
        {
            idle.pop_front();
        }
        idle.push_back((now, connection));
    });
}

async fn connect(origin: &Arc<Origin>, limit: Duration) -> Result<Connection, Fault> {
    let unreachable = |why: String| Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, why);
    let dial = async {
        let stream = address::dial(origin).await?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        let io = match origin.https {
            true => Io::Tls(Box::new(tls::wrap(&origin.host, stream).await?)),
            false => Io::Plain(stream),
        };
        Ok::<_, String>(Connection::new(io))
    };
    match timeout(limit, dial).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(why)) => Err(unreachable(format!("the provider could not be reached: {why}"))),
        Err(_) => Err(Fault::upstream(
            FaultKind::UpstreamTimeout,
            Remedy::Elsewhere,
            format!("the provider could not be reached within {}", show(limit)),
        )),
    }
}

/// A duration as a person would write it.
pub fn show(duration: Duration) -> String {
    let ms = clock::ms(duration);
    if ms.is_multiple_of(1000) { format!("{} s", ms / 1000) } else { format!("{ms} ms") }
}

/// Close every idle connection of this thread (drain).
pub fn forget() {
    POOL.with_borrow_mut(HashMap::clear);
}

pub(crate) async fn tcp(address: std::net::SocketAddr) -> Result<TcpStream, String> {
    TcpStream::connect(address).await.map_err(|e| match e.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        std::io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
        kind => kind.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn a_path_stands_below_the_base_or_beside_it() {
        let rows = [
            ("", "/embeddings", "/embeddings"),
            ("/v1", "/embeddings", "/v1/embeddings"),
            ("/v1", "../api/embed", "/api/embed"),
            ("/proxy/v1", "../api/embed", "/proxy/api/embed"),
            ("/compatibility/v1", "../../v2/rerank", "/v2/rerank"),
            ("", "../api/embed", "/api/embed"),
        ];
        for (prefix, path, want) in rows {
            assert_eq!(joined(prefix, path), want, "{prefix} {path}");
        }
    }
}
