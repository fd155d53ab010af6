//! The one response body type: known bytes, a relayed stream, or a stream whose head went out before its content was known.

use crate::flow::relay::Relay;
use crate::flow::waiting::Waiting;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

pub enum Body {
    Full(Option<Bytes>),
    Relay(Box<Relay>),
    Waiting(Box<Waiting>),
}

impl Body {
    pub fn full(bytes: impl Into<Bytes>) -> Body {
        Body::Full(Some(bytes.into()))
    }

    pub fn empty() -> Body {
        Body::Full(None)
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = match &mut *self {
            Body::Full(bytes) => Poll::Ready(bytes.take().filter(|b| !b.is_empty())),
            Body::Relay(relay) => relay.poll_bytes(cx),
            Body::Waiting(waiting) => waiting.poll_bytes(cx),
        };
        next.map(|bytes| bytes.map(|b| Ok(Frame::data(b))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Body::Full(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Body::Relay(_) | Body::Waiting(_) => SizeHint::default(),
        }
    }
}
