//! The one response body type: known bytes, a relayed stream, or a stream whose head went out before its content was known.

use crate::flow::relay::Relay;
use crate::flow::shield::unharmed;
use crate::flow::waiting::Waiting;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use slip_store::OnDisk;
use slip_wire::envelope::asked::Wrapped;
use std::fmt;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};

pub enum Body {
    Full(Option<Bytes>),
    /// The same once the record is where it must be.
    Landing(Box<(OnDisk, Bytes)>),
    Relay(Box<Relay>),
    Waiting(Box<Waiting>),
    /// One of these for a caller of InvokeModel.
    Wrapped(Box<(Body, Wrapped)>),
}

impl Body {
    pub fn full(bytes: impl Into<Bytes>) -> Body {
        Body::Full(Some(bytes.into()))
    }

    /// These bytes, once what is told of them is on the disk.
    pub fn after(landing: OnDisk, bytes: Bytes) -> Body {
        if landing.is_there() { Body::Full(Some(bytes)) } else { Body::Landing(Box::new((landing, bytes))) }
    }

    pub fn empty() -> Body {
        Body::Full(None)
    }
}

/// A stream that could not even be ended with an error: its connection is closed.
#[derive(Debug)]
pub struct Torn;

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the stream broke inside this gateway")
    }
}

impl std::error::Error for Torn {}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Torn;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Torn>>> {
        let next = unharmed(|| match &mut *self {
            Body::Full(bytes) => Poll::Ready(bytes.take().filter(|b| !b.is_empty()).map(Ok)),
            Body::Landing(landing) => Pin::new(&mut landing.0)
                .poll(cx)
                .map(|_| Some(std::mem::take(&mut landing.1)).filter(|b| !b.is_empty()).map(Ok)),
            Body::Relay(relay) => match relay.poll_bytes(cx) {
                Poll::Ready(None) if relay.is_torn() => Poll::Ready(Some(Err(Torn))),
                next => next.map(|bytes| bytes.map(Ok)),
            },
            Body::Waiting(waiting) => waiting.poll_bytes(cx).map(|bytes| bytes.map(Ok)),
            Body::Wrapped(inner) => wrapped(inner, cx),
        });
        match next {
            Some(next) => next.map(|bytes| bytes.map(|b| b.map(Frame::data))),
            None => {
                // Whatever the panic broke is used once more, to end the stream, and then never again.
                let mut broken = std::mem::replace(&mut *self, Body::Full(None));
                let last = unharmed(move || match &mut broken {
                    Body::Full(_) | Body::Landing(_) => Bytes::new(),
                    Body::Relay(relay) => relay.broke(),
                    Body::Waiting(waiting) => waiting.broke(),
                    // What is inside has told its own breaking already.
                    Body::Wrapped(_) => Bytes::new(),
                });
                Poll::Ready(Some(last.map(Frame::data).ok_or(Torn)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::Full(None) => true,
            Body::Landing(landing) => landing.1.is_empty(),
            _ => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Body::Landing(landing) => SizeHint::with_exact(landing.1.len() as u64),
            Body::Relay(_) | Body::Waiting(_) | Body::Wrapped(_) => SizeHint::default(),
        }
    }
}

/// The next bytes that are whole messages. What is read of the stream inside may be none yet.
fn wrapped((inner, wrap): &mut (Body, Wrapped), cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Torn>>> {
    use http_body::Body as _;
    loop {
        let Some(frame) = std::task::ready!(Pin::new(&mut *inner).poll_frame(cx)) else { return Poll::Ready(None) };
        let bytes = frame?.into_data().unwrap_or_default();
        let out = wrap.push(&bytes).map_err(|_| Torn)?;
        if !out.is_empty() {
            return Poll::Ready(Some(Ok(out.freeze())));
        }
    }
}
