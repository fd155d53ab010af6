//! Single flight: who asks what is being answered already gets that answer. One leads, who asks; the others follow, with what has
//! come so far and then as it comes. No lock is held while anybody waits.

use super::cached::{Answer, Note};
use bytes::Bytes;
use slip_cache::Key;
use slip_ir::{Fault, FaultKind, Nano, Remedy};
use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Flights at once. Beyond that everybody asks for themselves.
const MOST: usize = 10_000;
/// What of a stream is held for those who come late. A longer one is not shared to its end.
const LONGEST: usize = 16 * 1024 * 1024;

/// What is being answered just now.
#[derive(Default)]
pub struct Flights(Mutex<HashMap<Key, Arc<Flight>>>);

#[derive(Default)]
struct Flight(Mutex<State>);

#[derive(Default)]
struct State {
    stage: Stage,
    /// What of a stream has come, in pieces none of which cuts an event in two.
    chunks: Vec<Bytes>,
    bytes: usize,
    followers: usize,
    /// The generation it is, once a stream has begun.
    source: String,
    /// Who waits, each by its number.
    wakers: HashMap<u64, Waker>,
    last: u64,
}

#[derive(Clone, Default)]
enum Stage {
    /// Nothing has come yet.
    #[default]
    Asked,
    /// A stream has begun.
    Flowing(Arc<Note>),
    Done(Arc<Answer>),
    /// It came to nothing; of a stream that had begun, why.
    Failed(String),
    /// Whoever asked is gone.
    Gone,
}

/// What a request is to do.
pub enum Seat {
    Lead(Lead),
    Follow(Follower),
    /// There are too many flights.
    Alone,
}

/// What came of waiting.
pub enum Begun {
    /// A stream has begun: read it with [`Follower::poll`].
    Flowing(Arc<Note>),
    Whole(Arc<Answer>),
    /// Ask for yourself.
    Failed,
    /// Nobody is asking any more; somebody else should.
    Gone,
}

fn open<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whatever panicked has left it whole: every change is one assignment.
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Flights {
    pub fn join(self: &Arc<Flights>, key: Key) -> Seat {
        let mut all = open(&self.0);
        if let Some(flight) = all.get(&key) {
            let mut state = open(&flight.0);
            state.followers += 1;
            state.last += 1;
            let number = state.last;
            drop(state);
            return Seat::Follow(Follower { flight: flight.clone(), number, read: 0 });
        }
        if all.len() >= MOST {
            return Seat::Alone;
        }
        let flight = Arc::<Flight>::default();
        all.insert(key, flight.clone());
        Seat::Lead(Lead { flights: self.clone(), key, flight, open: true })
    }

    pub fn len(&self) -> usize {
        open(&self.0).len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn end(&self, key: &Key, flight: &Arc<Flight>) {
        let mut all = open(&self.0);
        if all.get(key).is_some_and(|known| Arc::ptr_eq(known, flight)) {
            all.remove(key);
        }
    }
}

impl Flight {
    fn change(&self, change: impl FnOnce(&mut State)) {
        let wakers = {
            let mut state = open(&self.0);
            change(&mut state);
            std::mem::take(&mut state.wakers)
        };
        wakers.into_values().for_each(Waker::wake);
    }
}

/// Whoever asks. Dropped before the end, it is gone.
pub struct Lead {
    flights: Arc<Flights>,
    key: Key,
    flight: Arc<Flight>,
    open: bool,
}

impl Lead {
    /// A stream has begun.
    pub fn flows(&self, source: &str, note: Arc<Note>) {
        self.flight.change(|state| {
            state.source = source.to_owned();
            state.stage = Stage::Flowing(note);
        });
    }

    /// More of it.
    pub fn more(&mut self, piece: Bytes) {
        let mut over = false;
        self.flight.change(|state| {
            state.bytes += piece.len();
            over = state.bytes > LONGEST;
            if over {
                state.chunks = Vec::new();
            } else {
                state.chunks.push(piece);
            }
        });
        if over {
            self.close(Stage::Failed("is too long to be shared".to_owned()));
        }
    }

    pub fn done(mut self, answer: Arc<Answer>) {
        self.close(Stage::Done(answer));
    }

    pub fn failed(mut self, why: &str) {
        self.close(Stage::Failed(why.to_owned()));
    }

    pub fn followers(&self) -> usize {
        if self.open { open(&self.flight.0).followers } else { 0 }
    }

    pub fn watch(&self) -> Watch {
        Watch { flight: self.flight.clone(), left: Arc::default() }
    }

    fn close(&mut self, stage: Stage) {
        if std::mem::replace(&mut self.open, false) {
            // First out of the map, so that nobody joins what is over.
            self.flights.end(&self.key, &self.flight);
            self.flight.change(|state| state.stage = stage);
        }
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.close(Stage::Gone);
    }
}

/// Looks after a request that may go on without its caller.
#[derive(Clone)]
pub struct Watch {
    flight: Arc<Flight>,
    left: Arc<AtomicBool>,
}

impl Watch {
    /// The caller has left. True if others wait.
    pub fn leaves(&self) -> bool {
        self.left.store(true, Ordering::Relaxed);
        !self.is_deserted()
    }

    pub fn has_left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }

    /// And so have all the others.
    pub fn is_deserted(&self) -> bool {
        self.has_left() && open(&self.flight.0).followers == 0
    }
}

/// Somebody who waits for another's answer.
pub struct Follower {
    flight: Arc<Flight>,
    number: u64,
    /// Chunks that were read.
    read: usize,
}

impl Follower {
    /// Until it is known what comes: a stream, or all of it at once.
    pub async fn begins(&mut self) -> Begun {
        poll_fn(|cx| self.poll_stage(cx, true)).await
    }

    /// Until all of it is there.
    pub async fn whole(&mut self) -> Begun {
        poll_fn(|cx| self.poll_stage(cx, false)).await
    }

    fn poll_stage(&self, cx: &Context<'_>, flowing: bool) -> Poll<Begun> {
        let mut state = open(&self.flight.0);
        let begun = match &state.stage {
            Stage::Flowing(note) if flowing => Begun::Flowing(note.clone()),
            Stage::Done(answer) => Begun::Whole(answer.clone()),
            Stage::Failed(_) => Begun::Failed,
            Stage::Gone => Begun::Gone,
            Stage::Asked | Stage::Flowing(_) => {
                state.wakers.insert(self.number, cx.waker().clone());
                return Poll::Pending;
            }
        };
        Poll::Ready(begun)
    }

    /// The next piece of a stream.
    pub fn poll(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        let mut state = open(&self.flight.0);
        if let Some(piece) = state.chunks.get(self.read) {
            self.read += 1;
            return Poll::Ready(Some(Ok(piece.clone())));
        }
        let broke = |why: &str| {
            let says = format!("the answer that this request shared with another {why}");
            Poll::Ready(Some(Err(Fault::upstream(FaultKind::Upstream, Remedy::Stop, says))))
        };
        match &state.stage {
            Stage::Done(_) => Poll::Ready(None),
            Stage::Failed(why) => broke(why),
            Stage::Gone => broke("was given up"),
            Stage::Asked | Stage::Flowing(_) => {
                state.wakers.insert(self.number, cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// The generation it is.
    pub fn source(&self) -> String {
        open(&self.flight.0).source.clone()
    }

    /// What it cost whoever paid for it, once that is known.
    pub fn cost(&self) -> Option<Nano> {
        match &open(&self.flight.0).stage {
            Stage::Done(answer) => Some(answer.cost),
            _ => None,
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut state = open(&self.flight.0);
        state.followers = state.followers.saturating_sub(1);
        state.wakers.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat(flights: &Arc<Flights>) -> Seat {
        flights.join(Key::new([1; 32]))
    }

    fn lead(flights: &Arc<Flights>) -> Lead {
        match seat(flights) {
            Seat::Lead(lead) => lead,
            _ => panic!("somebody leads already"),
        }
    }

    fn follow(flights: &Arc<Flights>) -> Follower {
        match seat(flights) {
            Seat::Follow(follower) => follower,
            _ => panic!("nobody leads"),
        }
    }

    fn read(follower: &mut Follower) -> (String, bool) {
        let cx = Context::from_waker(Waker::noop());
        let mut text = String::new();
        loop {
            match follower.poll(&cx) {
                Poll::Ready(Some(Ok(piece))) => text.push_str(&String::from_utf8_lossy(&piece)),
                Poll::Ready(Some(Err(fault))) => return (format!("{text}!{}", fault.says), true),
                Poll::Ready(None) => return (text, true),
                Poll::Pending => return (text, false),
            }
        }
    }

    #[test]
    fn whoever_comes_late_gets_what_came_and_then_what_comes() {
        let flights = Arc::new(Flights::default());
        let mut leads = lead(&flights);
        let mut early = follow(&flights);
        leads.flows("gen-1", Arc::default());
        leads.more(Bytes::from_static(b"a"));
        assert_eq!(read(&mut early), ("a".to_owned(), false));
        leads.more(Bytes::from_static(b"b"));
        let mut late = follow(&flights);
        assert_eq!(leads.followers(), 2);
        assert_eq!(read(&mut late), ("ab".to_owned(), false));
        leads.more(Bytes::from_static(b"c"));
        leads.done(Arc::default());
        assert_eq!((read(&mut late), read(&mut early)), (("c".to_owned(), true), ("bc".to_owned(), true)));
        assert!(flights.is_empty());
        lead(&flights);
    }

    #[test]
    fn what_fails_or_is_given_up_is_told_to_all_and_makes_room_for_another() {
        let flights = Arc::new(Flights::default());
        let (leads, mut waits) = (lead(&flights), follow(&flights));
        leads.failed("broke off");
        assert!(matches!(waits.poll_stage(&Context::from_waker(Waker::noop()), true), Poll::Ready(Begun::Failed)));
        assert_eq!(read(&mut waits), ("!the answer that this request shared with another broke off".to_owned(), true));
        let (leads, waits) = (lead(&flights), follow(&flights));
        drop(leads);
        assert!(matches!(waits.poll_stage(&Context::from_waker(Waker::noop()), false), Poll::Ready(Begun::Gone)));
        let (mut leads, mut waits) = (lead(&flights), follow(&flights));
        leads.flows("gen-1", Arc::default());
        leads.more(Bytes::from(vec![b'x'; LONGEST + 1]));
        assert_eq!(read(&mut waits).0, "!the answer that this request shared with another is too long to be shared");
        assert_eq!(leads.followers(), 0);
    }

    #[test]
    fn who_leaves_is_not_waited_for() {
        let flights = Arc::new(Flights::default());
        let (leads, one, other) = (lead(&flights), follow(&flights), follow(&flights));
        drop(one);
        assert_eq!(leads.followers(), 1);
        drop(other);
        assert_eq!(leads.followers(), 0);
    }
}
