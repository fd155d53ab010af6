//! Verb 8, relay: the stream from the first content to its end. Owns the upstream's body and the record of the request, so that
//! whichever way it ends (the end, an error, a hang-up) both are dealt with exactly once.

use super::again::Again;
use super::hold;
use super::judge::{Flow, Opening};
use super::resume::{Mender, Onward, Resumed, Resuming};
use super::settle::Book;
use super::shield::internal;
use super::told::Head;
use crate::clock;
use crate::config::Timeouts;
use crate::upstream::{Incoming, show};
use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use http_body::Body as _;
use slip_ir::{Dialect, Fault, FaultKind, Origin, Remedy};
use slip_store::OnDisk;
use slip_wire::{End, Lens, Phase};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::time::{Sleep, sleep_until};

/// OpenRouter's keep-alive, byte for byte. It is a comment: it never counts as progress.
pub const KEEPALIVE: &[u8] = b": OPENROUTER PROCESSING\n\n";
/// Whether callers of this dialect are told by comments that a quiet stream is still alive.
pub fn keeps_alive(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::OpenAiChat | Dialect::Responses | Dialect::Completions)
}

/// Chunks that are readable at once are joined up to this size into one write.
const JOIN: usize = 64 * 1024;
/// No more than 64 tokens of text, at four bytes each.
const SIP: usize = 256;
/// How often it is written down how far the answer has come.
const NOTE: Duration = Duration::from_secs(2);
/// After the upstream said how it ended, its last bytes are waited for no longer than this.
const TAIL: Duration = Duration::from_secs(2);

/// What is still running.
struct Run {
    lens: Box<Lens>,
    source: Source,
    book: Box<Book>,
}

impl Run {
    /// Pass on what came. Where money is held for an answer piece by piece, what came at once is taken in sips, so that it ends where
    /// its money does and not a whole burst later.
    fn push(&mut self, data: &[u8], out: &mut BytesMut) -> Result<(), Fault> {
        let most = if self.book.is_funded() { SIP } else { data.len().max(1) };
        for piece in data.chunks(most) {
            self.lens.push(piece, out);
            self.book.says(self.lens.said())?;
        }
        Ok(())
    }
}

/// Where what comes next comes from.
enum Source {
    Body(Incoming),
    /// It broke off, and somebody is looked for who goes on.
    Resuming(Resuming),
    /// Another request's answer.
    Again(Box<Again>),
}

pub struct Relay {
    out: BytesMut,
    /// `None` once the upstream is done with.
    run: Option<Run>,
    /// The record on its way to the disk.
    landing: OnDisk,
    /// Finds somebody to go on with it, once.
    mender: Option<Box<Mender>>,
    timeouts: Timeouts,
    over: Instant,
    keepalive: bool,
    /// When content, or anything else that is not a comment, last came.
    last: Instant,
    /// When it was last written down how far the answer has come.
    noted: Instant,
    /// When the caller last got a byte.
    spoke: Instant,
    timer: Pin<Box<Sleep>>,
    provider: Arc<str>,
    losses: Option<HeaderValue>,
    head: Head,
    media_type: Option<HeaderValue>,
    /// It failed where nothing can be said about it: the connection must break, or the caller would take what came for all.
    torn: bool,
    /// What came before that is on its way.
    flushed: bool,
    /// The caller has left, and others read along.
    left: bool,
}

impl Relay {
    pub fn new(opening: Opening, mut book: Box<Book>, timeouts: Timeouts, over: Instant, keepalive: bool) -> Relay {
        let Opening { out, flow, first, media_type } = opening;
        let provider = book.provider();
        let (losses, head) = (book.told(None), book.head());
        book.flows(media_type.as_ref());
        let mut landing = OnDisk::default();
        let run = match flow {
            Flow::Running { lens, body } => Some(Run { lens, source: Source::Body(body), book }),
            Flow::Again { lens, again } => Some(Run { lens, source: Source::Again(again), book }),
            Flow::Ended(tally) => {
                hear(&mut book, &out, out.len());
                book.settle(*tally, false);
                landing = book.landing();
                None
            }
        };
        let finished = run.as_ref().is_some_and(|run| run.lens.phase() == Phase::Finished);
        let look = if finished { TAIL } else { timeouts.keepalive.min(timeouts.idle) };
        let timer = Box::pin(sleep_until((first + look).min(over).into()));
        Relay {
            out,
            run,
            landing,
            mender: None,
            timeouts,
            over,
            keepalive,
            last: first,
            noted: first,
            spoke: first,
            timer,
            provider,
            losses,
            head,
            media_type,
            torn: false,
            flushed: false,
            left: false,
        }
    }

    /// Another may go on with it if it breaks off.
    pub fn resumable(mut self, mender: Box<Mender>) -> Relay {
        self.mender = self.run.as_ref().is_some_and(|run| run.lens.mends()).then_some(mender);
        self
    }

    /// Display name of the provider whose stream this is.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// The losses its head should tell.
    pub fn losses(&mut self) -> Option<HeaderValue> {
        self.losses.take()
    }

    /// How it came about, for its head.
    pub fn head(&self) -> Head {
        self.head.clone()
    }

    /// What it is announced as, where that does not follow from the dialect.
    pub fn media_type(&self) -> Option<&HeaderValue> {
        self.media_type.as_ref()
    }

    /// Nothing more comes, and not because it is complete.
    pub fn is_torn(&self) -> bool {
        self.torn
    }

    pub fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut moved = false;
        // A stream that always has more to read never comes to its timer.
        if self.run.is_some() && clock::now() >= self.over {
            self.finish(End::Fault(late("did not end within", self.timeouts.total)));
        }
        while let Some(run) = &mut self.run {
            let piece = match &mut run.source {
                Source::Body(_) if run.lens.is_torn() => {
                    self.finish(End::Eof);
                    continue;
                }
                Source::Body(body) => Pin::new(body).poll_frame(cx).map(|frame| {
                    // What is no data (trailers) says nothing.
                    frame.map(|frame| frame.map(|frame| frame.into_data().unwrap_or_default()).map_err(|e| e.fault()))
                }),
                Source::Again(again) => again.poll(cx),
                Source::Resuming(resuming) => match resuming.as_mut().poll(cx) {
                    Poll::Ready(resumed) => {
                        self.resumed(resumed);
                        continue;
                    }
                    Poll::Pending => Poll::Pending,
                },
            };
            match piece {
                Poll::Ready(Some(Ok(data))) if data.is_empty() => {}
                Poll::Ready(Some(Ok(data))) => {
                    moved |= run.lens.is_bare() || !only_comments(&data);
                    if let Err(fault) = run.push(&data, &mut self.out) {
                        self.mender = None;
                        self.finish(End::Fault(fault));
                        continue;
                    }
                    if run.lens.phase() == Phase::Broken {
                        self.finish(End::Eof);
                    } else if self.out.len() >= JOIN {
                        break;
                    }
                }
                Poll::Ready(Some(Err(fault))) => self.finish(End::Fault(fault)),
                Poll::Ready(None) => self.finish(End::Eof),
                Poll::Pending => {
                    if moved {
                        self.last = clock::now();
                        if self.last.duration_since(self.noted) >= NOTE {
                            self.noted = self.last;
                            run.book.reached(run.lens.said());
                        }
                        if run.lens.phase() == Phase::Finished {
                            self.timer.as_mut().reset((self.last + TAIL).min(self.over).into());
                        }
                    }
                    if run.book.app().cut.load(Ordering::Relaxed) {
                        self.finish(End::Fault(hold::cut()));
                        continue;
                    }
                    if self.out.is_empty() {
                        match self.poll_timer(cx) {
                            Poll::Ready(()) => continue,
                            Poll::Pending => return Poll::Pending,
                        }
                    }
                    break;
                }
            }
        }
        // What is settled is on the disk, where that is wanted, before the last of it leaves.
        if self.run.is_none() {
            ready!(Pin::new(&mut self.landing).poll(cx));
        }
        if self.out.is_empty() {
            if self.torn && !self.flushed {
                // A broken body is the end of the connection, and of whatever was not written to it: once round, and it is.
                self.flushed = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            return Poll::Ready(None);
        }
        self.spoke = if moved { self.last } else { clock::now() };
        if let Some(run) = &mut self.run {
            hear(&mut run.book, &self.out, self.out.len());
        }
        Poll::Ready(Some(self.out.split().freeze()))
    }

    /// It panicked: say so inside the stream.
    pub fn broke(&mut self) -> Bytes {
        self.out.clear();
        self.finish(End::Fault(internal()));
        self.out.split().freeze()
    }

    /// Nothing is readable. Ready when something was written or the stream was ended.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = clock::now();
            let finished = self.run.as_ref().is_some_and(|r| r.lens.phase() == Phase::Finished);
            let idle = self.last + if finished { TAIL } else { self.timeouts.idle };
            if finished && now >= idle {
                self.finish(End::Eof);
                return Poll::Ready(());
            }
            if now >= idle || now >= self.over {
                let (limit, what) = if now >= self.over {
                    (self.timeouts.total, "did not end within")
                } else {
                    (self.timeouts.idle, "stalled: nothing came for")
                };
                self.finish(End::Fault(late(what, limit)));
                return Poll::Ready(());
            }
            let speak = self.spoke + self.timeouts.keepalive;
            if self.keepalive && now >= speak {
                self.out.extend_from_slice(KEEPALIVE);
                self.spoke = now;
                self.timer.as_mut().reset((now + self.timeouts.keepalive).min(idle).min(self.over).into());
                return Poll::Ready(());
            }
            let next = if self.keepalive { idle.min(speak) } else { idle };
            self.timer.as_mut().reset(next.min(self.over).into());
        }
        Poll::Pending
    }

    /// Look for somebody who goes on where it broke off. False: nobody is looked for.
    fn resume(&mut self, how: &End) -> bool {
        let Some(mender) = self.mender.take() else { return false };
        let ours = matches!(how, End::Fault(fault) if fault.origin == Origin::House);
        let now = clock::now();
        let Some(run) = self.run.as_mut().filter(|_| !ours && now < self.over) else { return false };
        let Some(torn) = run.lens.torn(how, &mut self.out) else { return false };
        run.book.tore(&torn);
        self.last = now;
        run.source = Source::Resuming(Box::pin(mender.resume(torn)));
        true
    }

    /// The rest of it, read by nobody but those who follow, and no longer than there are any.
    fn hand_over(&mut self, run: Run) -> impl Future<Output = ()> + Send + use<> {
        let mut rest = Relay {
            out: std::mem::take(&mut self.out),
            run: Some(run),
            mender: self.mender.take(),
            timer: Box::pin(sleep_until(self.over.into())),
            provider: self.provider.clone(),
            losses: None,
            head: self.head.clone(),
            media_type: None,
            left: true,
            landing: std::mem::take(&mut self.landing),
            ..*self
        };
        async move {
            let followed = |rest: &Relay| rest.run.as_ref().is_some_and(|run| run.book.is_followed());
            while followed(&rest) && poll_fn(|cx| rest.poll_bytes(cx)).await.is_some() {}
        }
    }

    /// Somebody goes on, or nobody does.
    fn resumed(&mut self, resumed: Resumed) {
        let Some(run) = &mut self.run else { return };
        for tried in &resumed.tried {
            run.book.tried_to_go_on(tried);
        }
        let Some(Onward { body, dialect, quirks, stamp, flight, tried, pace }) = resumed.onward else {
            return self.finish(End::Eof);
        };
        run.lens.resume(dialect, stamp, &quirks, tried.way, &mut self.out);
        run.book.goes_on(&tried, flight);
        run.source = Source::Body(body);
        (self.timeouts, self.over, self.last) = (pace.timeouts, pace.over, clock::now());
        let look = self.last + self.timeouts.keepalive.min(self.timeouts.idle);
        self.timer.as_mut().reset(look.min(self.over).into());
    }

    /// The upstream is done with. The record is written before the last byte leaves, so that it can be asked for at once.
    fn finish(&mut self, how: End) {
        if self.resume(&how) {
            return;
        }
        let Some(Run { lens, source, mut book }) = self.run.take() else { return };
        let (bare, before) = (lens.is_bare(), self.out.len());
        let tally = lens.end(how, &mut self.out);
        self.torn = bare && tally.fault.is_some();
        // Who reads along is told of a failure in words of their own.
        let shared = if tally.fault.is_some() { before } else { self.out.len() };
        hear(&mut book, &self.out, shared);
        if let Source::Again(again) = &source {
            book.saves(again.cost());
        }
        book.settle(tally, self.left);
        self.landing = book.landing();
        drop(source);
    }
}

/// Take down what is about to leave, for a key that wants it kept; and so much of it as another may be told again.
fn hear(book: &mut Book, out: &[u8], shared: usize) {
    if let Some(kept) = book.kept() {
        kept.hears(out);
    }
    if let Some(storing) = book.storing() {
        storing.hears(out.get(..shared).unwrap_or(out));
    }
}

fn late(what: &str, limit: Duration) -> Fault {
    let says = format!("the provider's stream {what} {}", show(limit));
    Fault::upstream(FaultKind::UpstreamTimeout, Remedy::Stop, says)
}

/// Whether a piece of a stream says nothing but "still here". A stream of comments alone is a stalled one.
fn only_comments(chunk: &[u8]) -> bool {
    chunk.first() == Some(&b':') && chunk.split(|b| *b == b'\n').all(|line| matches!(line, [] | [b'\r'] | [b':', ..]))
}

impl Drop for Relay {
    /// The caller hung up: dropping the body cancels the upstream; what was metered is settled. While others read along, it goes on
    /// without the caller.
    fn drop(&mut self) {
        let Some(run) = self.run.take() else { return };
        let here = tokio::runtime::Handle::try_current();
        // Handed over once: what drops it again is the end of everything.
        let followed = run.book.is_followed() && !self.left && !std::thread::panicking();
        if let (true, Ok(here)) = (followed, here) {
            here.spawn(self.hand_over(run));
            return;
        }
        let Run { lens, mut book, .. } = run;
        book.lets_go();
        book.settle(lens.end(End::Gone, &mut BytesMut::new()), true);
    }
}
