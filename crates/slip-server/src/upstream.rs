//! The only place that dials out: targets, TLS, the connection pool and its limits.
//!
//! One pool per worker thread, so there is no lock and no hop between the caller's side of a request and the provider's. HTTP/1.1
//! only: one connection carries one stream, which for replies that live for minutes is the behaviour we want (HTTP/2 would queue
//! streams beyond the peer's limit without telling anyone). Redirects are never followed. Proxies in the environment are ignored.

mod address;
mod fair;
mod tls;

use crate::clock;
use bytes::Bytes;
use fair::Fair;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use slip_ir::{Fault, FaultKind, Remedy};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub use address::Reach;

/// An idle connection older than this is not used again: common servers close theirs at 60 s, and a request written into a closing
/// connection is an ambiguous failure.
const IDLE: Duration = Duration::from_secs(15);
/// Idle connections kept per origin and worker.
const IDLE_PER_ORIGIN: usize = 128;
/// Header bombs end here.
const MAX_HEADERS: usize = 100;
/// hyper's read buffer may grow to this; longer head sections are refused.
const MAX_BUFFER: usize = 512 * 1024;

const AGENT: HeaderValue = HeaderValue::from_static(concat!("slipswitch/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

/// Where one (base URL, key) pair of a provider is reached. Built from configuration alone; nothing a caller sends can change it.
#[derive(Clone)]
pub struct Target {
    pub origin: Arc<Origin>,
    /// Path of the base URL, without a trailing slash.
    pub prefix: Arc<str>,
    /// Credential and fixed headers of the provider. Values are marked sensitive where they are secrets.
    pub headers: Arc<[(HeaderName, HeaderValue)]>,
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

/// A borrowed connection. Dropping it closes the connection; [`Lease::give_back`] returns it to the pool once the reply was read
/// to its end.
pub struct Lease {
    sender: Option<SendRequest<Full<Bytes>>>,
    origin: Arc<Origin>,
}

impl Lease {
    pub fn give_back(mut self) {
        let Some(sender) = self.sender.take() else { return };
        if sender.is_closed() {
            return;
        }
        POOL.with_borrow_mut(|pool| {
            let idle = pool.entry(self.origin.clone()).or_default();
            if idle.len() < IDLE_PER_ORIGIN {
                idle.push((clock::now(), sender));
            }
        });
    }
}

type Idle = Vec<(Instant, SendRequest<Full<Bytes>>)>;

thread_local! {
    static POOL: RefCell<HashMap<Arc<Origin>, Idle>> = RefCell::new(HashMap::new());
}

/// Send one request. `path` starts with a slash and is joined to the base URL's own path.
pub async fn open(
    target: &Target,
    path: &str,
    body: Bytes,
    stream: bool,
    extra: &[(HeaderName, HeaderValue)],
    deadlines: Deadlines,
) -> Result<(Response<Incoming>, Lease), Failed> {
    send(target, deadlines, || {
        let mut request = build(target, Method::POST, path, body.clone(), extra)?;
        request.headers_mut().insert(CONTENT_TYPE, JSON);
        request.headers_mut().insert(ACCEPT, if stream { EVENTS } else { JSON });
        Ok(request)
    })
    .await
}

/// A bodiless GET, for probes and model lists.
pub async fn get(target: &Target, path: &str, deadlines: Deadlines) -> Result<(Response<Incoming>, Lease), Failed> {
    send(target, deadlines, || {
        let mut request = build(target, Method::GET, path, Bytes::new(), &[])?;
        request.headers_mut().insert(ACCEPT, JSON);
        Ok(request)
    })
    .await
}

fn build(
    target: &Target,
    method: Method,
    path: &str,
    body: Bytes,
    extra: &[(HeaderName, HeaderValue)],
) -> Result<Request<Full<Bytes>>, Failed> {
    let internal = |what: &'static str| Failed::not_sent(Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, what));
    let uri = http::Uri::try_from(if target.prefix.is_empty() {
        path.to_owned()
    } else {
        let mut full = String::with_capacity(target.prefix.len() + path.len());
        full.push_str(&target.prefix);
        full.push_str(path);
        full
    })
    .map_err(|_| internal("the provider's path cannot be built from this model name"))?;
    let mut request = Request::new(Full::new(body));
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

async fn send(
    target: &Target,
    deadlines: Deadlines,
    make: impl Fn() -> Result<Request<Full<Bytes>>, Failed>,
) -> Result<(Response<Incoming>, Lease), Failed> {
    // A pooled connection may have been closed by its peer just now. A request of which nothing was written goes out on another
    // one; one that met the closing as it was written goes out on a fresh one, once, if nobody else could be asked.
    let mut request = make()?;
    let mut dial = false;
    loop {
        let pooled = if dial { None } else { idle(&target.origin).await };
        let (mut sender, fresh) = match pooled {
            Some(sender) => (sender, false),
            // Boxed because a TLS handshake is large and rare: it must not be room that every request carries.
            None => (Box::pin(connect(&target.origin, deadlines.connect)).await.map_err(Failed::not_sent)?, true),
        };
        let answer = match timeout(deadlines.headers, sender.try_send_request(request)).await {
            Ok(answer) => answer,
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
        };
        match answer {
            Ok(response) => {
                return Ok((response, Lease { sender: Some(sender), origin: target.origin.clone() }));
            }
            Err(mut refused) => {
                let unsent = refused.take_message();
                let error = refused.into_error();
                match unsent {
                    Some(again) if !fresh => request = again,
                    None if !fresh && deadlines.alone && closed(&error) => {
                        request = make()?;
                        dial = true;
                    }
                    unsent => {
                        let sent = if unsent.is_some() { Sent::NotSent } else { Sent::Ambiguous };
                        return Err(Failed { fault: broken(&error), sent });
                    }
                }
            }
        }
    }
}

/// The peer went away without a byte of an answer.
fn closed(error: &hyper::Error) -> bool {
    use std::error::Error as _;
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    let kind = error.source().and_then(|e| e.downcast_ref::<std::io::Error>()).map(std::io::Error::kind);
    error.is_incomplete_message() || matches!(kind, Some(BrokenPipe | ConnectionAborted | ConnectionReset))
}

/// The youngest usable idle connection.
async fn idle(origin: &Arc<Origin>) -> Option<SendRequest<Full<Bytes>>> {
    loop {
        let mut sender = POOL.with_borrow_mut(|pool| {
            let idle = pool.get_mut(origin)?;
            let (since, sender) = idle.pop()?;
            if clock::now().duration_since(since) > IDLE {
                idle.clear();
                return None;
            }
            Some(sender)
        })?;
        if sender.ready().await.is_ok() {
            return Some(sender);
        }
    }
}

async fn connect(origin: &Arc<Origin>, limit: Duration) -> Result<SendRequest<Full<Bytes>>, Fault> {
    let unreachable = |why: String| Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, why);
    let dial = async {
        let stream = address::dial(origin).await?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        if origin.https { handshake(tls::wrap(&origin.host, stream).await?).await } else { handshake(stream).await }
    };
    match timeout(limit, dial).await {
        Ok(Ok(sender)) => Ok(sender),
        Ok(Err(why)) => Err(unreachable(format!("the provider could not be reached: {why}"))),
        Err(_) => Err(Fault::upstream(
            FaultKind::UpstreamTimeout,
            Remedy::Elsewhere,
            format!("the provider could not be reached within {}", show(limit)),
        )),
    }
}

async fn handshake<T>(io: T) -> Result<SendRequest<Full<Bytes>>, String>
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_BUFFER)
        .handshake(TokioIo::new(Fair::new(io)))
        .await
        .map_err(|e| e.to_string())?;
    tokio::spawn(async move {
        // How it ended is seen by whoever was reading; an idle connection that closes is nobody's news.
        let _ = connection.await;
    });
    Ok(sender)
}

/// What a broken exchange means. The text is ours: an error's own words may name hosts.
pub fn broken(error: &hyper::Error) -> Fault {
    let says = if error.is_parse() || error.is_parse_too_large() {
        "the provider's answer is not HTTP"
    } else if error.is_timeout() {
        "the provider timed out"
    } else if error.is_incomplete_message() {
        "the provider closed the connection before it finished answering"
    } else {
        "the connection to the provider broke"
    };
    Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, says)
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
