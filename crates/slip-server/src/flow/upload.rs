//! A request's body, of which some may have been read already: while its sender waited, so that it was noticed if it left.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Nobody who waits takes more memory than this.
const AHEAD: usize = 16 * 1024;

pub struct Upload {
    ahead: VecDeque<Bytes>,
    rest: Incoming,
    read: usize,
    ended: bool,
}

impl From<Incoming> for Upload {
    fn from(rest: Incoming) -> Upload {
        Upload { ahead: VecDeque::new(), rest, read: 0, ended: false }
    }
}

impl Upload {
    /// Reads ahead. Ends only when the sender is gone: a connection of which nothing is read cannot be seen to close. Of a body that
    /// is larger than may be read ahead, that shows when it is its turn.
    pub async fn gone(&mut self) {
        while !self.ended && self.read < AHEAD {
            match self.rest.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.read += data.len();
                        self.ahead.push_back(data);
                    }
                }
                Some(Err(_)) => return,
                None => self.ended = true,
            }
        }
        std::future::pending::<()>().await;
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let upload = self.get_mut();
        match upload.ahead.pop_front() {
            Some(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
            None if upload.ended => Poll::Ready(None),
            None => Pin::new(&mut upload.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_empty() && (self.ended || self.rest.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.rest.size_hint()
    }
}
