//! A stream whose first content is long in coming: the head went out, keep-alives follow, and behind them the attempts go on.
//! Another endpoint may still be tried; only a failure of them all becomes an error inside the stream.

use super::Attempts;
use super::hold;
use super::relay::{KEEPALIVE, Relay, keeps_alive};
use super::shield::internal;
use crate::{App, clock};
use bytes::{Bytes, BytesMut};
use slip_ir::{Dialect, Event, Fault};
use slip_wire::{Stamp, wire};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

pub struct Waiting {
    state: State,
    dialect: Dialect,
    timer: Pin<Box<Sleep>>,
    greeted: bool,
    id: String,
    every: Duration,
    app: Arc<App>,
}

enum State {
    Trying(Attempts),
    Flowing(Box<Relay>),
    Done,
}

impl Waiting {
    pub fn new(app: Arc<App>, attempts: Attempts, dialect: Dialect, id: String, every: Duration) -> Waiting {
        let timer = Box::pin(sleep(every));
        Waiting { state: State::Trying(attempts), dialect, timer, greeted: false, id, every, app }
    }

    pub fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if !self.greeted && keeps_alive(self.dialect) {
            self.greeted = true;
            return Poll::Ready(Some(Bytes::from_static(KEEPALIVE)));
        }
        loop {
            match &mut self.state {
                State::Flowing(relay) => return relay.poll_bytes(cx),
                State::Done => return Poll::Ready(None),
                State::Trying(attempts) => match attempts.as_mut().poll(cx) {
                    Poll::Ready(Ok(relay)) => self.state = State::Flowing(Box::new(relay)),
                    Poll::Ready(Err((fault, mut book))) => {
                        let bytes = self.error(&fault, book.model(), book.account());
                        book.refuse(&fault);
                        self.state = State::Done;
                        return Poll::Ready(Some(bytes));
                    }
                    Poll::Pending if self.app.cut.load(Ordering::Relaxed) => {
                        let bytes = self.error(&hold::cut(), "", None);
                        self.state = State::Done;
                        return Poll::Ready(Some(bytes));
                    }
                    Poll::Pending => break,
                },
            }
        }
        if keeps_alive(self.dialect) && self.timer.as_mut().poll(cx).is_ready() {
            self.timer.as_mut().reset((clock::now() + self.every).into());
            let _ = self.timer.as_mut().poll(cx);
            return Poll::Ready(Some(Bytes::from_static(KEEPALIVE)));
        }
        Poll::Pending
    }

    /// It panicked: say so inside the stream.
    pub fn broke(&mut self) -> Bytes {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Flowing(mut relay) => relay.broke(),
            State::Trying(_) | State::Done => self.error(&internal(), "", None),
        }
    }

    /// The status line said 200 long ago; the error is told inside the stream.
    fn error(&self, fault: &Fault, model: &str, metadata: Option<Arc<str>>) -> Bytes {
        let stamp = Stamp {
            id: self.id.clone(),
            created: clock::unix_ms() / 1000,
            model: model.to_owned(),
            provider: fault.provider.clone().unwrap_or_default(),
            metadata,
            ..Stamp::default()
        };
        let mut out = BytesMut::new();
        let mut encoder = wire(self.dialect).encoder(Arc::new(stamp));
        encoder.event(&Event::Fault(fault.clone()), &mut out);
        encoder.eof(&mut out);
        out.freeze()
    }
}
