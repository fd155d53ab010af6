//! A stream whose first content is long in coming: the head went out, keep-alives follow, and behind them the attempts go on.
//! Another endpoint may still be tried; only a failure of them all becomes an error inside the stream.

use super::Attempts;
use super::relay::{KEEPALIVE, KEEPALIVE_EVERY, Relay};
use super::settle::Book;
use crate::clock;
use bytes::{Bytes, BytesMut};
use slip_ir::{Dialect, Event, Fault};
use slip_wire::{Stamp, wire};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::time::{Sleep, sleep};

pub struct Waiting {
    state: State,
    dialect: Dialect,
    timer: Pin<Box<Sleep>>,
    greeted: bool,
    id: String,
}

enum State {
    Trying(Attempts),
    Flowing(Box<Relay>),
    Done,
}

impl Waiting {
    pub fn new(attempts: Attempts, dialect: Dialect, id: String) -> Waiting {
        Waiting { state: State::Trying(attempts), dialect, timer: Box::pin(sleep(KEEPALIVE_EVERY)), greeted: false, id }
    }

    pub fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if !self.greeted && self.dialect == Dialect::OpenAiChat {
            self.greeted = true;
            return Poll::Ready(Some(Bytes::from_static(KEEPALIVE)));
        }
        loop {
            match &mut self.state {
                State::Flowing(relay) => return relay.poll_bytes(cx),
                State::Done => return Poll::Ready(None),
                State::Trying(attempts) => match attempts.as_mut().poll(cx) {
                    Poll::Ready(Ok(relay)) => self.state = State::Flowing(Box::new(relay)),
                    Poll::Ready(Err((fault, book))) => {
                        let bytes = self.error(&fault, book);
                        self.state = State::Done;
                        return Poll::Ready(Some(bytes));
                    }
                    Poll::Pending => break,
                },
            }
        }
        if self.dialect == Dialect::OpenAiChat && self.timer.as_mut().poll(cx).is_ready() {
            self.timer.as_mut().reset((clock::now() + KEEPALIVE_EVERY).into());
            let _ = self.timer.as_mut().poll(cx);
            return Poll::Ready(Some(Bytes::from_static(KEEPALIVE)));
        }
        Poll::Pending
    }

    /// The status line said 200 long ago; the error is told inside the stream.
    fn error(&self, fault: &Fault, mut book: Box<Book>) -> Bytes {
        let stamp = Stamp {
            id: self.id.clone(),
            created: clock::unix_ms() / 1000,
            model: book.model().to_owned(),
            provider: fault.provider.clone().unwrap_or_default(),
            ..Stamp::default()
        };
        let mut out = BytesMut::new();
        let mut encoder = wire(self.dialect).encoder(Arc::new(stamp));
        encoder.event(&Event::Fault(fault.clone()), &mut out);
        encoder.eof(&mut out);
        book.refuse(fault);
        out.freeze()
    }
}
