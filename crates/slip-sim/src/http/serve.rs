//! Accepting connections and carrying out the steps of each reply, watching all the while whether the client is still there.

use super::read::{self, Read};
use super::{Framing, Incoming, Outgoing, Step};
use crate::journal::{Journal, Ticket};
use anyhow::Context as _;
use bytes::{Bytes, BytesMut};
use std::io::Write as _;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

/// More connections than this wait in the backlog: enough for any benchmark, few enough to keep descriptors for the rest.
const MAX_CONNECTIONS: usize = 16 * 1024;
/// What a client may send ahead while its last request is still being answered.
const MAX_AHEAD: usize = 1024 * 1024;
/// Pieces due at once are gathered up to this size where the reply allows it.
const GATHER: usize = 16 * 1024;
/// A reset overtakes what the peer has not read yet; this lets the peer read first, so that "reset after N bytes" means N bytes.
const BEFORE_RESET: Duration = Duration::from_millis(15);

pub(crate) trait Answer: Send + Sync + 'static {
    fn answer(&self, request: &Incoming) -> Outgoing;
}

/// A listening upstream. Dropping it closes the listener and every connection.
pub(crate) struct Server {
    pub addr: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Closes the listener and every connection.
    pub fn stop(&self) {
        self.accepting.abort();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

pub(crate) async fn listen(listen: SocketAddr, answer: Arc<dyn Answer>, journal: Journal) -> anyhow::Result<Server> {
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let addr = listener.local_addr()?;
    let accepting = tokio::spawn(accept(listener, answer, journal));
    Ok(Server { addr, accepting })
}

async fn accept(listener: TcpListener, answer: Arc<dyn Answer>, journal: Journal) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(place) = room.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (answer, journal) = (answer.clone(), journal.clone());
                connections.spawn(async move {
                    connection(stream, answer, journal).await;
                    drop(place);
                });
            }
            // Out of descriptors, most likely; the ones in use will be given back.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn connection(stream: TcpStream, answer: Arc<dyn Answer>, journal: Journal) {
    let _ = stream.set_nodelay(true);
    let mut wire = Connection { stream, ahead: BytesMut::new() };
    loop {
        let request = match read::request(&mut wire.stream, &mut wire.ahead).await {
            Read::Request(request) => request,
            Read::Gone => return,
            Read::Bad(status) => {
                let head = format!("HTTP/1.1 {status} Bad\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                let _ = wire.stream.write_all(head.as_bytes()).await;
                return;
            }
        };
        let close = request.close;
        let ticket = journal.open(&request);
        let reply = answer.answer(&request);
        drop(request);
        let whole = reply.note.whole;
        ticket.planned(&reply);
        let outcome = wire.carry_out(reply, &ticket).await;
        ticket.settle(outcome, whole);
        if close || outcome != Outcome::Done {
            return;
        }
    }
}

/// How a reply ended, from the server's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As HTTP wants it, and the connection can be used again.
    Done,
    /// We broke off, or the body ends with the connection.
    Closed,
    /// The client left first.
    Gone,
}

struct Connection {
    stream: TcpStream,
    /// Bytes read but not yet understood: requests sent ahead.
    ahead: BytesMut,
}

struct Gone;

impl Connection {
    async fn carry_out(&mut self, reply: Outgoing, ticket: &Ticket) -> Outcome {
        let mut due = Instant::now();
        let mut held = Vec::new();
        let mut held_tokens = 0;
        let (framing, coalesce) = (reply.framing, reply.coalesce);
        let head = head(&reply);
        for step in reply.steps {
            let gathers = matches!(step, Step::Head | Step::Send { .. } | Step::End) && coalesce && held.len() < GATHER;
            if !gathers && !held.is_empty() {
                if self.write(&held).await.is_err() {
                    return Outcome::Gone;
                }
                ticket.emitted(std::mem::take(&mut held_tokens));
                held.clear();
            }
            match step {
                Step::Head => {
                    held.extend_from_slice(&head);
                    ticket.answered(reply.status);
                }
                Step::Send { bytes, tokens } => {
                    frame(framing, &bytes, &mut held);
                    held_tokens += tokens;
                }
                Step::End if framing == Framing::Chunked => held.extend_from_slice(b"0\r\n\r\n"),
                Step::End => {}
                Step::Raw(bytes) => held.extend_from_slice(&bytes),
                Step::Wait(time) => {
                    // Deadlines, not pauses: a timer's granularity must not slow the pace down.
                    due += time;
                    if due > Instant::now() && self.watch(tokio::time::sleep_until(due)).await.is_err() {
                        return Outcome::Gone;
                    }
                }
                Step::Hang => {
                    let _ = self.watch(std::future::pending::<()>()).await;
                    return Outcome::Gone;
                }
                Step::Cut => return Outcome::Closed,
                Step::Reset => {
                    let _ = self.watch(tokio::time::sleep(BEFORE_RESET)).await;
                    let _ = self.stream.set_zero_linger();
                    return Outcome::Closed;
                }
            }
            if !coalesce && !held.is_empty() {
                if self.write(&held).await.is_err() {
                    return Outcome::Gone;
                }
                ticket.emitted(std::mem::take(&mut held_tokens));
                held.clear();
            }
        }
        if !held.is_empty() {
            if self.write(&held).await.is_err() {
                return Outcome::Gone;
            }
            ticket.emitted(held_tokens);
        }
        if framing == Framing::UntilClose { Outcome::Closed } else { Outcome::Done }
    }

    /// Write, but notice when the client leaves while we are blocked on it.
    async fn write(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        let (mut reader, mut writer) = self.stream.split();
        let mut writing = pin!(writer.write_all(bytes));
        loop {
            if self.ahead.len() >= MAX_AHEAD {
                return writing.await.map_err(|_| Gone);
            }
            tokio::select! {
                biased;
                done = &mut writing => return done.map_err(|_| Gone),
                read = reader.read_buf(&mut self.ahead) => if !matches!(read, Ok(n) if n > 0) { return Err(Gone) },
            }
        }
    }

    /// Wait for something, but notice when the client leaves. A client that only closes its sending half counts as gone: those
    /// that matter here do not.
    async fn watch<T>(&mut self, what: impl Future<Output = T>) -> Result<T, Gone> {
        let mut what = pin!(what);
        loop {
            if self.ahead.len() >= MAX_AHEAD {
                return Ok(what.await);
            }
            tokio::select! {
                biased;
                done = &mut what => return Ok(done),
                read = self.stream.read_buf(&mut self.ahead) => if !matches!(read, Ok(n) if n > 0) { return Err(Gone) },
            }
        }
    }
}

fn head(reply: &Outgoing) -> Bytes {
    let mut out = Vec::with_capacity(512);
    let _ = write!(out, "HTTP/1.1 {} {}\r\n", reply.status, phrase(reply.status));
    for (name, value) in &reply.headers {
        let _ = write!(out, "{name}: {value}\r\n");
    }
    let _ = match reply.framing {
        Framing::Length(n) => write!(out, "content-length: {n}\r\n\r\n"),
        Framing::Chunked => write!(out, "transfer-encoding: chunked\r\n\r\n"),
        Framing::UntilClose => write!(out, "connection: close\r\n\r\n"),
    };
    out.into()
}

fn frame(framing: Framing, bytes: &[u8], out: &mut Vec<u8>) {
    match framing {
        // An empty chunk would be the end of the body.
        Framing::Chunked if bytes.is_empty() => {}
        Framing::Chunked => {
            let _ = write!(out, "{:x}\r\n", bytes.len());
            out.extend_from_slice(bytes);
            out.extend_from_slice(b"\r\n");
        }
        Framing::Length(_) | Framing::UntilClose => out.extend_from_slice(bytes),
    }
}

fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        302 => "Found",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        413 => "Payload Too Large",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        529 => "Overloaded",
        _ => "Status",
    }
}
