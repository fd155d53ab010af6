//! One connection to a provider: a request goes out, a response head comes back, its body is read where it lies.

use super::framing::{Body, Head, Heads, NotHttp};
use super::tap::{Ear, Ending};
use bytes::{Buf, Bytes, BytesMut};
use http_body::Frame;
use slip_ir::{Fault, FaultKind, Remedy};
use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Bytes read at once. One buffer per thread serves all connections: an idle stream keeps none.
const SCRATCH: usize = 64 * 1024;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH]);
}

pub enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// How an exchange broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The peer ended the connection too early.
    Closed,
    /// The connection failed.
    Failed(ErrorKind),
    /// What came is not HTTP.
    NotHttp,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Broken::Closed => "the provider closed the connection before it finished answering",
            Broken::Failed(ErrorKind::TimedOut) => "the provider timed out",
            Broken::Failed(_) => "the connection to the provider broke",
            Broken::NotHttp => "the provider's answer is not HTTP",
        })
    }
}

impl std::error::Error for Broken {}

impl From<std::io::Error> for Broken {
    fn from(error: std::io::Error) -> Broken {
        match error.kind() {
            ErrorKind::UnexpectedEof => Broken::Closed,
            kind => Broken::Failed(kind),
        }
    }
}

impl From<NotHttp> for Broken {
    fn from(_: NotHttp) -> Broken {
        Broken::NotHttp
    }
}

impl Broken {
    pub fn fault(self) -> Fault {
        Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, self.to_string())
    }

    /// The peer went away, rather than saying something strange.
    pub fn is_gone(self) -> bool {
        matches!(
            self,
            Broken::Closed
                | Broken::Failed(ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset)
        )
    }
}

pub struct Connection {
    io: Io,
}

impl Connection {
    pub fn new(io: Io) -> Connection {
        Connection { io }
    }

    /// Nothing has come and nobody has closed it: it can carry another request.
    pub fn is_well(&mut self) -> bool {
        let mut byte = [0; 1];
        let mut buffer = ReadBuf::new(&mut byte);
        let mut cx = Context::from_waker(Waker::noop());
        self.poll_read(&mut cx, &mut buffer).is_pending()
    }

    /// Send a request and read the head of its answer. Says also whether anything of the request was written.
    pub async fn exchange(mut self, head: Bytes, body: Bytes) -> Result<(Head, Incoming), (Broken, bool)> {
        let (mut head, mut body) = (head, body);
        let (mut heads, mut buffer) = (Heads::default(), BytesMut::new());
        let mut wrote = false;
        let answer = poll_fn(|cx| {
            // Both at once: a provider may answer, and end, before it has read everything.
            let mut sent = Ok(());
            while head.has_remaining() || body.has_remaining() {
                let slices = [IoSlice::new(&head), IoSlice::new(&body)];
                match self.poll_write(cx, &slices) {
                    Poll::Ready(Ok(n)) if n > 0 => {
                        wrote = true;
                        let of_head = n.min(head.len());
                        head.advance(of_head);
                        body.advance(n - of_head);
                    }
                    Poll::Ready(Ok(_)) => {
                        sent = Err(Broken::Closed);
                        break;
                    }
                    Poll::Ready(Err(e)) => {
                        sent = Err(e.into());
                        break;
                    }
                    Poll::Pending => break,
                }
            }
            if sent.is_ok() && !head.has_remaining() && !body.has_remaining() {
                // TLS keeps what it could not write yet.
                if let Poll::Ready(Err(e)) = self.poll_flush(cx) {
                    sent = Err(e.into());
                }
            }
            loop {
                match self.poll_fill(cx, &mut buffer) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(Broken::Closed)),
                    Poll::Ready(Ok(_)) => match heads.next(&mut buffer) {
                        Ok(Some(head)) => return Poll::Ready(Ok(head)),
                        Ok(None) => {}
                        Err(strange) => return Poll::Ready(Err(strange.into())),
                    },
                    Poll::Ready(Err(e)) => return Poll::Ready(Err(sent.err().unwrap_or(e.into()))),
                    Poll::Pending if sent.is_err() => return Poll::Ready(Err(sent.err().unwrap_or(Broken::Closed))),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await;
        match answer {
            Ok(mut answer) => {
                // An answer before the request's end leaves the rest of it in nobody's hands.
                answer.keep &= !head.has_remaining() && !body.has_remaining();
                let body = std::mem::replace(&mut answer.body, Body::Ended);
                let early = buffer.freeze();
                let incoming =
                    Incoming { connection: Some(self), body, early, reuse: answer.keep, home: None, ear: None };
                Ok((answer, incoming))
            }
            Err(broken) => Err((broken, wrote)),
        }
    }

    /// Append what is readable, at most [`SCRATCH`] bytes. Zero is the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>, into: &mut BytesMut) -> Poll<std::io::Result<usize>> {
        BUFFER.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(self.poll_read(cx, &mut buffer))?;
            into.extend_from_slice(buffer.filled());
            Poll::Ready(Ok(buffer.filled().len()))
        })
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        match &mut self.io {
            Io::Plain(io) => Pin::new(io).poll_read(cx, buffer),
            Io::Tls(io) => Pin::new(io).poll_read(cx, buffer),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<std::io::Result<usize>> {
        match &mut self.io {
            Io::Plain(io) => Pin::new(io).poll_write_vectored(cx, slices),
            Io::Tls(io) => Pin::new(io).poll_write_vectored(cx, slices),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match &mut self.io {
            Io::Plain(io) => Pin::new(io).poll_flush(cx),
            Io::Tls(io) => Pin::new(io).poll_flush(cx),
        }
    }
}

/// What takes a connection back that can be used again.
pub type Home = Box<dyn FnOnce(Connection) + Send>;

/// The body of an answer, and the connection it comes on. Dropping it before its end closes the connection; read to its end, the
/// connection goes home.
pub struct Incoming {
    connection: Option<Connection>,
    body: Body,
    /// What came along with the head.
    early: Bytes,
    /// Nothing has shown yet that the connection cannot carry another request.
    reuse: bool,
    home: Option<Home>,
    /// Who records what comes.
    ear: Option<Box<Ear>>,
}

impl Incoming {
    pub fn at_home(mut self, home: Home) -> Incoming {
        self.home = Some(home);
        self
    }

    pub fn heard_by(mut self, ear: Box<Ear>) -> Incoming {
        self.ear = Some(ear);
        self
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        let mut out = BytesMut::new();
        if !self.early.is_empty() {
            let early = std::mem::take(&mut self.early);
            let used = self.body.take(&early, &mut out)?;
            // Bytes behind the body belong to nobody.
            self.reuse &= used == early.len();
        }
        while out.is_empty() && self.body != Body::Ended {
            let Some(connection) = &mut self.connection else { break };
            let read = BUFFER.with_borrow_mut(|scratch| {
                let mut buffer = ReadBuf::new(scratch);
                match connection.poll_read(cx, &mut buffer) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(Err(e)) => Poll::Ready(Err(Broken::from(e))),
                    Poll::Ready(Ok(())) if buffer.filled().is_empty() => Poll::Ready(Ok(None)),
                    Poll::Ready(Ok(())) => {
                        let all = buffer.filled().len();
                        Poll::Ready(
                            self.body
                                .take(buffer.filled(), &mut out)
                                .map(|used| Some(used == all))
                                .map_err(Broken::from),
                        )
                    }
                }
            });
            match ready!(read) {
                Ok(Some(whole)) => self.reuse &= whole,
                Ok(None) if self.body == Body::UntilClose => self.body = Body::Ended,
                Ok(None) => return self.fail(Broken::Closed),
                Err(broken) => return self.fail(broken),
            }
        }
        if self.body == Body::Ended
            && let Some(connection) = self.connection.take()
            && self.reuse
            && let Some(home) = self.home.take()
        {
            home(connection);
        }
        Poll::Ready((!out.is_empty()).then(|| Ok(out.freeze())))
    }

    fn fail(&mut self, broken: Broken) -> Poll<Option<Result<Bytes, Broken>>> {
        self.connection = None;
        self.body = Body::Ended;
        Poll::Ready(Some(Err(broken)))
    }
}

impl http_body::Body for Incoming {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let data = ready!(self.poll_data(cx));
        let ended = self.body == Body::Ended;
        if let Some(ear) = &mut self.ear {
            match &data {
                Some(Ok(bytes)) => ear.piece(bytes),
                Some(Err(_)) => ear.end(Ending::Broken),
                None => ear.end(Ending::Whole),
            }
            // Whoever knows how much comes may not ask for the end.
            if ended && matches!(data, Some(Ok(_))) {
                ear.end(Ending::Whole);
            }
        }
        Poll::Ready(data.map(|data| data.map(Frame::data)))
    }
}
