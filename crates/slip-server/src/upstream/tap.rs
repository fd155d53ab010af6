//! A tap on what passes between us and a provider: off unless somebody records. Off the request's way when on: what passed is
//! handed over whole, when it has ended, to a bounded queue that is never waited for.

use crate::clock;
use bytes::Bytes;
use http::{HeaderMap, Request};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

/// Exchanges that wait for whoever keeps them.
const QUEUE: usize = 256;
/// Bytes of all exchanges that are under way or wait.
const MAX_HELD: usize = 256 * 1024 * 1024;
/// What a piece costs beside its bytes.
const PER_PIECE: usize = 64;

/// One request and what came of it.
pub struct Exchange {
    pub provider: Arc<str>,
    pub method: String,
    /// Path and query, as they were asked for.
    pub path: String,
    /// Credentials among them.
    pub asked: HeaderMap,
    pub body: Bytes,
    pub status: u16,
    pub told: HeaderMap,
    /// Milliseconds from the request until the head came.
    pub head_ms: u64,
    /// And until each piece of the body.
    pub pieces: Vec<(u64, Bytes)>,
    pub end: Ending,
    held: Held,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Whole,
    /// The provider broke it off.
    Broken,
    /// Nobody wanted to hear the rest.
    Left,
}

/// Why an exchange was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// Whoever keeps them is behind, or too much is under way.
    Busy,
    TooLarge,
    /// There is no room for more.
    Full,
    /// It could not be written.
    Disk,
    /// There is a secret in it that cannot be taken out.
    Secret,
}

impl Dropped {
    pub const ALL: [Dropped; 5] = [Dropped::Busy, Dropped::TooLarge, Dropped::Full, Dropped::Disk, Dropped::Secret];
}

/// Where exchanges go. One per process that records.
pub struct Recorder {
    queue: SyncSender<Exchange>,
    held: Arc<AtomicUsize>,
    max_exchange: usize,
    dropped: [AtomicU64; Dropped::ALL.len()],
}

impl Recorder {
    /// The recorder, and the end at which exchanges come out. None is larger than this.
    pub fn new(max_exchange: usize) -> (Arc<Recorder>, Receiver<Exchange>) {
        let (queue, out) = sync_channel(QUEUE);
        let recorder = Recorder { queue, held: Arc::default(), max_exchange, dropped: Default::default() };
        (Arc::new(recorder), out)
    }

    /// Count one that is not kept. Says how many there were before it.
    pub fn drops(&self, why: Dropped) -> u64 {
        self.dropped.get(why as usize).map_or(0, |count| count.fetch_add(1, Ordering::Relaxed))
    }

    pub fn dropped(&self, why: Dropped) -> u64 {
        self.dropped.get(why as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }
}

/// The part of the bytes under way that an exchange accounts for. Dropping it gives them back.
struct Held {
    all: Arc<AtomicUsize>,
    mine: usize,
}

impl Held {
    /// Whether there is room for so many more.
    fn more(&mut self, bytes: usize) -> bool {
        self.mine += bytes;
        self.all.fetch_add(bytes, Ordering::Relaxed) + bytes <= MAX_HELD
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.fetch_sub(self.mine, Ordering::Relaxed);
    }
}

/// What a target carries whose traffic is recorded.
#[derive(Clone)]
pub struct Tap {
    provider: Arc<str>,
    recorder: Arc<Recorder>,
}

impl Tap {
    pub fn new(provider: &str, recorder: Arc<Recorder>) -> Tap {
        Tap { provider: provider.into(), recorder }
    }

    /// Begin to listen: this request goes out now.
    pub fn listen(&self, request: &Request<Bytes>) -> Box<Ear> {
        let mut held = Held { all: self.recorder.held.clone(), mine: 0 };
        let fits = request.body().len() <= self.recorder.max_exchange;
        let lost = match (fits, held.more(request.body().len())) {
            (true, true) => None,
            (false, _) => Some(Dropped::TooLarge),
            (true, false) => Some(Dropped::Busy),
        };
        let exchange = Exchange {
            provider: self.provider.clone(),
            method: request.method().to_string(),
            path: request.uri().path_and_query().map_or("/", |p| p.as_str()).to_owned(),
            asked: request.headers().clone(),
            body: request.body().clone(),
            status: 0,
            told: HeaderMap::new(),
            head_ms: 0,
            pieces: Vec::new(),
            end: Ending::Left,
            held,
        };
        let exchange = match lost {
            None => Some(exchange),
            Some(why) => {
                self.recorder.drops(why);
                None
            }
        };
        Box::new(Ear { exchange, recorder: self.recorder.clone(), began: clock::now() })
    }
}

/// Hears one exchange to its end. Dropped before that, somebody has left.
pub struct Ear {
    /// `None` when it is told of, or not kept.
    exchange: Option<Exchange>,
    recorder: Arc<Recorder>,
    began: Instant,
}

impl Ear {
    fn ms(&self) -> u64 {
        clock::ms(clock::now().duration_since(self.began))
    }

    pub fn head(&mut self, status: u16, headers: &HeaderMap) {
        let ms = self.ms();
        if let Some(exchange) = &mut self.exchange {
            exchange.status = status;
            exchange.told = headers.clone();
            exchange.head_ms = ms;
        }
    }

    pub fn piece(&mut self, bytes: &Bytes) {
        let ms = self.ms();
        let Some(exchange) = &mut self.exchange else { return };
        let room = exchange.held.more(bytes.len() + PER_PIECE);
        let lost = match room {
            true if exchange.held.mine <= self.recorder.max_exchange => None,
            true => Some(Dropped::TooLarge),
            false => Some(Dropped::Busy),
        };
        match lost {
            None => exchange.pieces.push((ms, bytes.clone())),
            Some(why) => {
                self.exchange = None;
                self.recorder.drops(why);
            }
        }
    }

    pub fn end(&mut self, end: Ending) {
        // Without a head there was no answer: nothing to say again.
        let Some(mut exchange) = self.exchange.take().filter(|exchange| exchange.status != 0) else { return };
        exchange.end = end;
        if self.recorder.queue.try_send(exchange).is_err() {
            self.recorder.drops(Dropped::Busy);
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.end(Ending::Left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(recorder: &Arc<Recorder>, body: &'static str, pieces: &[&'static str]) -> Box<Ear> {
        let request = Request::post("/v1/x?a=1").body(Bytes::from_static(body.as_bytes())).expect("a request");
        let mut ear = Tap::new("lab", recorder.clone()).listen(&request);
        ear.head(200, &HeaderMap::new());
        pieces.iter().for_each(|piece| ear.piece(&Bytes::from_static(piece.as_bytes())));
        ear
    }

    #[test]
    fn an_exchange_is_handed_over_once_however_it_ends() {
        let (recorder, out) = Recorder::new(1000);
        heard(&recorder, "{}", &["a", "b"]).end(Ending::Whole);
        drop(heard(&recorder, "{}", &["a"]));
        let (one, two) = (out.recv().expect("one"), out.recv().expect("two"));
        assert_eq!((one.end, one.pieces.len(), &*one.path, &*one.provider), (Ending::Whole, 2, "/v1/x?a=1", "lab"));
        assert_eq!((two.end, two.pieces.len()), (Ending::Left, 1));
        assert!(out.try_recv().is_err());
        assert_eq!(recorder.held.load(Ordering::Relaxed), 2 * 2 + 3 + 3 * PER_PIECE);
        drop((one, two));
        assert_eq!(recorder.held.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_does_not_fit_is_counted_and_nobody_waits() {
        let (recorder, out) = Recorder::new(200);
        heard(&recorder, "{}", &["a", "b", "c", "d"]).end(Ending::Whole);
        assert_eq!(recorder.dropped(Dropped::TooLarge), 1);
        for _ in 0..QUEUE + 3 {
            heard(&recorder, "{}", &["a"]).end(Ending::Whole);
        }
        assert_eq!(recorder.dropped(Dropped::Busy), 3);
        assert_eq!(out.try_iter().count(), QUEUE);
        // Nobody is there any more.
        drop(out);
        heard(&recorder, "{}", &["a"]).end(Ending::Whole);
        assert_eq!((recorder.dropped(Dropped::Busy), recorder.held.load(Ordering::Relaxed)), (4, 0));
    }
}
