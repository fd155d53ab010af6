//! Listeners, connections and the drain: one current-thread runtime per core, each with its own listener on the same port.

use crate::App;
use crate::flow;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// A head that is not complete in this time is a slow-loris.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Request headers beyond this are refused with 431.
const MAX_HEADERS: usize = 100;
/// hyper's read buffer per connection: bounds the head; bodies are read in pieces.
const MAX_BUFFER: usize = 64 * 1024;
/// Pending connections the kernel may queue per listener.
const BACKLOG: i32 = 1024;
/// Pause after `EMFILE`, so that accepting does not spin while descriptors are short.
const NO_FILES_PAUSE: Duration = Duration::from_millis(100);
/// How often a drain looks whether it is over.
const LOOK: Duration = Duration::from_millis(20);
/// How long, once nothing is in flight any more, last bytes may take to leave.
const FLUSH: Duration = Duration::from_secs(1);

/// A running gateway.
pub struct Running {
    pub address: SocketAddr,
    pub app: Arc<App>,
    stop: watch::Sender<bool>,
    workers: Vec<std::thread::JoinHandle<()>>,
}

impl Running {
    /// Stop accepting, let what is in flight end (at most `limit`, or until [`App::cut`]), flush the ledger.
    pub async fn drain(self, limit: Duration) {
        self.app.draining.store(true, Ordering::SeqCst);
        self.app.door.close();
        let _ = self.stop.send(true);
        let deadline = crate::clock::now() + limit;
        let cut = || self.app.cut.load(Ordering::SeqCst);
        while self.app.in_flight.load(Ordering::SeqCst) > 0 && crate::clock::now() < deadline && !cut() {
            tokio::time::sleep(LOOK).await;
        }
        self.app.cut.store(true, Ordering::SeqCst);
        let workers = self.workers;
        let _ = tokio::task::spawn_blocking(move || {
            for worker in workers {
                let _ = worker.join();
            }
        })
        .await;
        self.app.contents.flush().await;
        if let Err(e) = self.app.store.flush().await {
            tracing::error!("the last records could not be written: {e}");
        }
    }
}

/// Bind and start. `address` with port 0 takes a free port, reported in [`Running::address`].
pub fn start(app: Arc<App>, address: SocketAddr, workers: usize) -> io::Result<Running> {
    let (stop, stopped) = watch::channel(false);
    if address.port() != 0 {
        // Sharing a port is meant for our own workers: somebody else's listener must be noticed.
        drop(std::net::TcpListener::bind(address)?);
    }
    let first = bind(address)?;
    let bound = first.local_addr()?;
    let mut listeners = vec![first];
    for _ in 1..workers.max(1) {
        listeners.push(bind(bound)?);
    }
    let mut threads = Vec::new();
    for (n, listener) in listeners.into_iter().enumerate() {
        let (app, stopped) = (app.clone(), stopped.clone());
        threads.push(std::thread::Builder::new().name(format!("slip-worker-{n}")).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => runtime.block_on(accept(app, listener, stopped)),
                Err(e) => tracing::error!("a worker could not start: {e}"),
            }
        })?);
    }
    Ok(Running { address: bound, app, stop, workers: threads })
}

fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

async fn accept(app: Arc<App>, listener: std::net::TcpListener, mut stopped: watch::Receiver<bool>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(e) => return tracing::error!("a listener could not be used: {e}"),
    };
    let mut connections = JoinSet::new();
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(e) => {
                    tracing::warn!("accept failed: {e}");
                    tokio::time::sleep(NO_FILES_PAUSE).await;
                    continue;
                }
            },
            Some(_) = connections.join_next() => continue,
            _ = stopped.changed() => break,
        };
        let _ = stream.set_nodelay(true);
        give_up_on_the_unread(&stream, app.world().timeouts.idle);
        connections.spawn(connection(app.clone(), stream, peer, stopped.clone()));
    }
    drop(listener);
    // This runtime must live until its replies have left.
    let mut quiet: Option<Instant> = None;
    while !connections.is_empty() && quiet.is_none_or(|since| crate::clock::now().duration_since(since) < FLUSH) {
        let _ = timeout(LOOK, connections.join_next()).await;
        if app.in_flight.load(Ordering::SeqCst) == 0 || app.cut.load(Ordering::SeqCst) {
            quiet.get_or_insert_with(crate::clock::now);
        }
    }
    crate::upstream::forget();
}

/// A caller that takes nothing of its reply any more, or that vanished without a word, would hold its request for ever: nothing is
/// asked of a body whose last piece cannot be written, not even the time. The kernel closes the connection instead.
fn give_up_on_the_unread(stream: &TcpStream, after: Duration) {
    #[cfg(target_os = "linux")]
    let _ = SockRef::from(stream).set_tcp_user_timeout(Some(after));
    #[cfg(not(target_os = "linux"))]
    let _ = (SockRef::from(stream), after);
}

/// One connection, to its end.
async fn connection(app: Arc<App>, stream: TcpStream, peer: SocketAddr, mut stopped: watch::Receiver<bool>) {
    let used = Arc::new(AtomicBool::new(false));
    let service = {
        let used = used.clone();
        service_fn(move |request| {
            used.store(true, Ordering::Relaxed);
            let app = app.clone();
            async move { Ok::<_, std::convert::Infallible>(flow::door(app, peer, request).await) }
        })
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_BUFFER)
        .half_close(false)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopped.changed() => {}
    }
    if !used.load(Ordering::Relaxed) {
        // Opened ahead of need; hyper would wait for its first request.
        return;
    }
    connection.as_mut().graceful_shutdown();
    // Looked at now and then, so that a quiet stream hears of the end of the drain.
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = look.tick() => {}
        }
    }
}
