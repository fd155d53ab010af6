//! Telling what another request was told: the same words in the same dialect, through the lens every reply takes, under this
//! request's own name and for nothing.

use super::cached::{self, Answer, Caching, Note, Told, Way};
use super::judge::{self, Flow, Opening, Whole};
use super::relay::Relay;
use super::settle::Book;
use super::share::{Follower, Watch};
use super::{Trip, lower};
use crate::clock;
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Response};
use slip_cache::Form;
use slip_ir::{Fault, Nano, Price, Tier};
use slip_store::Cached;
use slip_wire::frame::Framing;
use slip_wire::ops::{self, Manner};
use slip_wire::{Lens, Quirks, Stamp, Tally, lens, wire};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Sleep, sleep, timeout};

/// A stream that is told again, in the place of an upstream's body.
pub struct Again {
    from: From,
    /// `None`: bytes that are no messages.
    framing: Option<Framing>,
    /// What it was called, and what it is called now.
    ids: (String, String),
}

enum From {
    Kept {
        pieces: VecDeque<Bytes>,
        pace: Duration,
        timer: Option<Pin<Box<Sleep>>>,
    },
    /// Somebody else's, as it comes.
    Live(Follower),
}

impl Again {
    /// The next piece, whole events.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        let piece = match &mut self.from {
            From::Live(follower) => std::task::ready!(follower.poll(cx)),
            From::Kept { pieces, pace, timer } => {
                if let Some(pause) = timer {
                    std::task::ready!(pause.as_mut().poll(cx));
                }
                *timer = (!pace.is_zero()).then(|| Box::pin(sleep(*pace)));
                pieces.pop_front().map(Ok)
            }
        };
        let retold = |piece: Bytes| match self.framing {
            Some(framing) => lens::retold_events(framing, &piece, &self.ids.0, &self.ids.1).into(),
            None => piece,
        };
        Poll::Ready(piece.map(|piece| piece.map(retold)))
    }

    /// What it cost whoever paid for it, where that was not known when it began.
    pub fn cost(&self) -> Option<Nano> {
        match &self.from {
            From::Live(follower) => follower.cost(),
            From::Kept { .. } => None,
        }
    }
}

/// How often it is looked whether anybody still waits.
const LOOK: Duration = Duration::from_secs(1);

/// A request that goes on without its caller, for as long as others wait for its answer.
struct Going<T> {
    task: JoinHandle<Option<T>>,
    watch: Watch,
    done: bool,
}

impl<T: Send + 'static> Going<T> {
    fn begin(work: impl Future<Output = T> + Send + 'static, watch: Watch) -> Going<T> {
        let looks = watch.clone();
        let mut work = Box::pin(work);
        let task = tokio::spawn(async move {
            loop {
                match timeout(LOOK, work.as_mut()).await {
                    Ok(done) => return Some(done),
                    Err(_) if looks.is_deserted() => return None,
                    Err(_) => {}
                }
            }
        });
        Going { task, watch, done: false }
    }
}

impl<T> Future for Going<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match std::task::ready!(Pin::new(&mut self.task).poll(cx)) {
            Ok(Some(done)) => {
                self.done = true;
                Poll::Ready(done)
            }
            Err(e) if e.is_panic() => {
                self.done = true;
                // Whoever waits for it here knows what to say of that.
                std::panic::resume_unwind(e.into_panic())
            }
            // Everything ends.
            Ok(None) | Err(_) => {
                self.done = true;
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Going<T> {
    fn drop(&mut self) {
        if !self.done && !self.watch.leaves() {
            self.task.abort();
        }
    }
}

/// Events by themselves, or all of them together where nothing is to come between.
fn pieces(body: &Bytes, framing: Option<Framing>, pace: Duration) -> VecDeque<Bytes> {
    let end: &[u8] = match framing {
        _ if pace.is_zero() => return VecDeque::from([body.clone()]),
        Some(Framing::Sse) => b"\n\n",
        Some(Framing::Lines) => b"\n",
        _ => return VecDeque::from([body.clone()]),
    };
    let (mut pieces, mut from) = (VecDeque::new(), 0);
    for at in memchr::memmem::find_iter(body, end) {
        pieces.push_back(body.slice(from..at + end.len()));
        from = at + end.len();
    }
    if from < body.len() {
        pieces.push_back(body.slice(from..));
    }
    pieces
}

/// Nothing, at every tier of service.
fn free() -> Arc<Price> {
    static FREE: OnceLock<Arc<Price>> = OnceLock::new();
    let at = |service| Arc::new(Price { service, ..Price::default() });
    let all =
        || Arc::new(Price { elsewhere: [Tier::Flex, Tier::Priority, Tier::Other].map(at).into(), ..Price::default() });
    FREE.get_or_init(all).clone()
}

impl Book {
    /// It is answered with another's answer.
    fn again(&mut self, note: &Note, cached: Cached, told: Told, stamp: Arc<Stamp>) {
        self.gets(note, cached, told);
        self.commit(stamp, "cached", note.losses(), clock::now(), None);
    }
}

impl Trip {
    pub(super) async fn whole_again(mut self: Box<Self>, caching: Box<Caching>) -> Response<crate::body::Body> {
        match caching.way(&self.plan, self.pace.over).await {
            Way::Kept { answer, joined } => match self.retell(&answer) {
                Ok((whole, stamp)) => {
                    self.takes(&answer, joined, stamp.clone());
                    self.tells(whole, &stamp.provider)
                }
                Err(fault) => {
                    tracing::warn!("an answer that was kept could not be told again: {}", fault.says);
                    self.whole().await
                }
            },
            Way::Own(storing) => {
                let watch = storing.watch();
                self.book.keeps(storing);
                match watch {
                    None => self.whole().await,
                    Some(watch) => Going::begin(self.whole(), watch).await,
                }
            }
            // Nobody who asks for a whole is told to follow.
            Way::Follow { .. } => self.whole().await,
        }
    }

    pub(super) async fn streamed_again(
        mut self: Box<Self>,
        caching: Box<Caching>,
    ) -> Result<Relay, (Fault, Box<Book>)> {
        match caching.way(&self.plan, self.pace.over).await {
            Way::Kept { answer, joined } => match self.retell_stream(&answer) {
                Ok((opening, stamp)) => {
                    self.takes(&answer, joined, stamp);
                    Ok(self.opens(opening))
                }
                Err(fault) => {
                    tracing::warn!("an answer that was kept could not be told again: {}", fault.says);
                    self.streamed().await
                }
            },
            Way::Follow { follower, note } => Ok(self.follows(follower, &note)),
            Way::Own(storing) => {
                let watch = storing.watch();
                self.book.keeps(storing);
                match watch {
                    None => self.streamed().await,
                    Some(watch) => Going::begin(self.streamed(), watch).await,
                }
            }
        }
    }

    fn takes(&mut self, answer: &Answer, joined: bool, stamp: Arc<Stamp>) {
        let how = if joined { "joined" } else { "hit" };
        let cached = Cached { how, source: answer.source.clone(), saved: Some(answer.cost) };
        self.book.again(&answer.note, cached, answer.told(), stamp);
    }

    fn stamp(&self, note: &Note) -> Arc<Stamp> {
        Arc::new(Stamp {
            id: self.book.id().to_owned(),
            created: clock::unix_ms() / 1000,
            model: note.model.clone(),
            provider: note.provider.clone(),
            price: Some(free()),
            hide_reasoning: self.inbound.peek.hide_reasoning,
            prompt_estimate: self.inbound.peek.want.prompt_tokens,
            echo: lower::echo(&self.inbound),
            ..Stamp::default()
        })
    }

    fn framing(&self) -> Option<Framing> {
        match self.inbound.inquiry.as_ref().map(|inquiry| inquiry.manner()) {
            None => Some(wire(self.inbound.dialect).framing()),
            Some(Manner::Events) => Some(Framing::Sse),
            Some(_) => None,
        }
    }

    fn service(&self, note: &Note) -> Box<Tally> {
        Box::new(Tally { usage: Some(note.usage()), ..Tally::default() })
    }

    fn retell(&self, answer: &Answer) -> Result<(Whole, Arc<Stamp>), Fault> {
        let (note, stamp, dialect) = (&answer.note, self.stamp(&answer.note), self.inbound.dialect);
        let whole = |bytes: Vec<u8>, tally| Whole {
            bytes: bytes.into(),
            media_type: cached::media_type(note),
            tally,
            said: Vec::new(),
        };
        if self.inbound.inquiry.is_some() {
            let bytes = lens::retold(&answer.body, &answer.source, &stamp.id);
            return Ok((whole(bytes, self.service(note)), stamp));
        }
        let quirks = Quirks::of(dialect);
        let (bytes, tally) = match answer.form {
            Form::Events => {
                let framing = wire(dialect).framing();
                let events = lens::retold_events(framing, &answer.body, &answer.source, &stamp.id);
                lens::reply_from_stream(dialect, &events, &stamp, quirks)?
            }
            Form::Whole | Form::Raw => {
                let body = lens::retold(&answer.body, &answer.source, &stamp.id);
                lens::reply(dialect, dialect, &body, &stamp, quirks)?
            }
        };
        Ok((whole(bytes, Box::new(tally)), stamp))
    }

    fn retell_stream(&self, answer: &Answer) -> Result<(Opening, Arc<Stamp>), Fault> {
        let (note, stamp, dialect) = (&answer.note, self.stamp(&answer.note), self.inbound.dialect);
        if answer.form == Form::Whole && self.inbound.inquiry.is_none() {
            let body = lens::retold(&answer.body, &answer.source, &stamp.id);
            let mut out = judge::greeting(dialect);
            let tally = lens::stream_from_reply(dialect, dialect, &body, &stamp, Quirks::of(dialect), &mut out)?;
            return Ok((opening(out, Flow::Ended(Box::new(tally)), None), stamp));
        }
        let framing = self.framing();
        let pace = self.world.cache.pace;
        let from = From::Kept { pieces: pieces(&answer.body, framing, pace), pace, timer: None };
        let ids = (answer.source.clone(), stamp.id.clone());
        Ok((self.flowing(Again { from, framing, ids }, note, &stamp), stamp))
    }

    /// As it comes, from who asked first.
    fn follows(mut self: Box<Self>, follower: Follower, note: &Note) -> Relay {
        let stamp = self.stamp(note);
        let source = follower.source();
        let again =
            Again { from: From::Live(follower), framing: self.framing(), ids: (source.clone(), stamp.id.clone()) };
        let opening = self.flowing(again, note, &stamp);
        let left_s = self.world.cache.ttl.as_secs();
        let told = Told::Hit { age_s: 0, left_s, source: source.clone() };
        self.book.again(note, Cached { how: "joined", source, saved: None }, told, stamp);
        self.opens(opening)
    }

    fn flowing(&self, again: Again, note: &Note, stamp: &Arc<Stamp>) -> Opening {
        let dialect = self.inbound.dialect;
        let (lens, media_type, out) = match &self.inbound.inquiry {
            None => (Lens::new(dialect, dialect, stamp.clone(), Quirks::of(dialect)), None, judge::greeting(dialect)),
            Some(_) => {
                let flow = ops::Flow::bytes(note.usage(), stamp.clone());
                (Lens::service(flow), Some(cached::media_type(note)), BytesMut::new())
            }
        };
        opening(out, Flow::Again { lens: Box::new(lens), again: Box::new(again) }, media_type)
    }
}

fn opening(out: BytesMut, flow: Flow, media_type: Option<HeaderValue>) -> Opening {
    Opening { out, flow, first: clock::now(), media_type }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slip_ir::Dialect;

    #[test]
    fn a_stream_is_cut_where_its_events_end_and_only_for_a_pause() {
        let told = |text: &'static str, framing, pace| {
            let pieces = pieces(&Bytes::from_static(text.as_bytes()), framing, Duration::from_millis(pace));
            pieces.iter().map(|piece| String::from_utf8_lossy(piece).into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(told("data: 1\n\ndata: 2\n\n", Some(Framing::Sse), 5), ["data: 1\n\n", "data: 2\n\n"]);
        assert_eq!(told("data: 1\n\ndata: 2", Some(Framing::Sse), 5), ["data: 1\n\n", "data: 2"]);
        assert_eq!(told("data: 1\n\ndata: 2\n\n", Some(Framing::Sse), 0), ["data: 1\n\ndata: 2\n\n"]);
        assert_eq!(told("{}\n{}\n", Some(Framing::Lines), 5), ["{}\n", "{}\n"]);
        assert_eq!(told("ab", None, 5), ["ab"]);
    }

    #[test]
    fn what_is_free_is_free_at_every_tier() {
        for tier in [None, Some(Tier::Standard), Some(Tier::Flex), Some(Tier::Priority), Some(Tier::Other)] {
            assert!(free().at(tier).is_some_and(Price::is_free), "{tier:?}");
        }
        assert_eq!(Dialect::ALL.map(|dialect| wire(dialect).framing().media_type().is_empty()), [false; 9]);
    }
}
