//! Many ask the same at once: one asks the provider, the others read along. Who leads may leave; another takes over.
//!
//! No I/O, no waiting, no wakers: every call says whom to wake by number. A caller is either the leader, which reads the provider
//! and tells what it reads ([`Flights::begin`], [`Flights::push`], [`Flights::finish`]), or a follower, which asks for what is new
//! ([`Flights::read`]). Both say when they leave.
//!
//! * A follower gets every chunk from the first on, however late it joins, byte for byte.
//! * A leader whose client hangs up hands its upstream (`U`) over to the follower that is furthest on, if there is one; if not it gets
//!   it back, to end or to finish by itself.
//! * A leader that has nothing (`None`) before anything was told makes a follower ask anew; after [`MOST_LEADERS`] the others are
//!   let go, each to ask by itself. After something was told nobody can ask anew, since half an answer is never taken
//!   back: followers are told that it broke.
//! * Whoever comes when a flight has ended, is full or has told more than it keeps, begins another.
//!
//! A key has its tenant in it, so nobody reads along with a stranger.
//!
//! ```
//! use bytes::Bytes;
//! use slip_cache::flight::{End, Flights, Joined, Read};
//! use slip_cache::Key;
//!
//! let mut flights: Flights<u16, ()> = Flights::default();
//! let key = Key::new([1; 32]);
//! let Joined::Lead(leader) = flights.join(key) else { unreachable!() };
//! let Joined::Follow(follower) = flights.join(key) else { unreachable!() };
//! assert!(matches!(flights.read(follower), Read::Wait));
//! // The provider answers; whoever waits is woken.
//! assert_eq!(flights.begin(leader, 200), [follower]);
//! flights.push(leader, Bytes::from_static(b"Hel"));
//! flights.push(leader, Bytes::from_static(b"lo"));
//! flights.finish(leader, End::Complete);
//! assert!(matches!(flights.read(follower), Read::Head(200)));
//! assert!(matches!(flights.read(follower), Read::Chunks(chunks) if chunks.concat() == b"Hello"));
//! assert!(matches!(flights.read(follower), Read::End(End::Complete)));
//! assert!(flights.is_empty());
//! ```

#[cfg(test)]
mod tests;

use crate::Key;
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Answers kept for those who come late; a flight that has told more takes no more followers.
pub const KEPT_BYTES: usize = 4 * 1024 * 1024;
/// Followers of one flight.
pub const MOST_FOLLOWERS: usize = 1024;
/// Flights at once; beyond, everybody asks by itself.
pub const MOST_FLIGHTS: usize = 65_536;
/// Leaders that may fail before the others are let go: they would wait for one failure after another.
pub const MOST_LEADERS: u32 = 2;

/// One caller on one flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    flight: u64,
    caller: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// Ask the provider, and tell what it says.
    Lead(Ticket),
    /// Somebody is asking: read along.
    Follow(Ticket),
    /// There are too many flights: ask, and tell nobody.
    Alone,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Complete,
    /// It broke off, for everybody.
    Broken,
    /// This follower read so slowly that what comes next for it is no longer kept.
    Lagged,
}

/// What there is for a follower.
#[derive(Debug, PartialEq, Eq)]
pub enum Read<H, U> {
    /// Nothing yet; it will be woken.
    Wait,
    /// Status and headers: always first.
    Head(H),
    /// Whatever is new, in order.
    Chunks(Vec<Bytes>),
    /// It leads from here on, and has read everything that was told: it goes on with the upstream of who led before; if there is
    /// none it asks anew, and nothing has been told yet.
    Lead(Option<U>),
    /// Nothing was told, and nobody is asking: it asks by itself, and has left the flight.
    Alone,
    /// Nothing comes any more; it has left the flight.
    End(End),
}

/// Who is to be woken after somebody left, and what that one gets back.
#[derive(Debug)]
pub struct Left<U> {
    pub wake: Vec<Ticket>,
    /// The upstream, if there was nobody to take it.
    pub upstream: Option<U>,
}

/// Everything that is being asked right now. `H` is the head of a reply, `U` whatever reads the provider.
pub struct Flights<H, U> {
    /// Flights that can be joined.
    open: HashMap<Key, u64>,
    flights: HashMap<u64, Flight<H, U>>,
    next: u64,
}

impl<H, U> Default for Flights<H, U> {
    fn default() -> Self {
        Flights { open: HashMap::new(), flights: HashMap::new(), next: 0 }
    }
}

struct Flight<H, U> {
    key: Key,
    lead: Lead<U>,
    head: Option<H>,
    chunks: VecDeque<Bytes>,
    bytes: usize,
    /// Chunks that are no longer kept.
    dropped: usize,
    /// It can be joined, so that everything is kept.
    open: bool,
    followers: BTreeMap<u64, Follower>,
    failed: u32,
    end: Option<End>,
}

enum Lead<U> {
    Caller(u64),
    /// The one before has left, and this follower will hear of it when it has read what there is.
    Offered {
        to: u64,
        upstream: Option<U>,
    },
    /// It has ended, or nobody is asking any more.
    Nobody,
}

#[derive(Default)]
struct Follower {
    headed: bool,
    /// The next chunk it has not had.
    next: usize,
    waiting: bool,
    lagged: bool,
}

impl<H: Clone, U> Flights<H, U> {
    /// Ask for this, or read along with who does.
    pub fn join(&mut self, key: Key) -> Joined {
        self.next += 1;
        let caller = self.next;
        if let Some(id) = self.open.get(&key).copied()
            && let Some(flight) = self.flights.get_mut(&id)
        {
            if flight.followers.len() < MOST_FOLLOWERS {
                flight.followers.insert(caller, Follower::default());
                return Joined::Follow(Ticket { flight: id, caller });
            }
            flight.open = false;
            self.open.remove(&key);
        }
        if self.flights.len() >= MOST_FLIGHTS {
            return Joined::Alone;
        }
        let flight = Flight {
            key,
            lead: Lead::Caller(caller),
            head: None,
            chunks: VecDeque::new(),
            bytes: 0,
            dropped: 0,
            open: true,
            followers: BTreeMap::new(),
            failed: 0,
            end: None,
        };
        self.flights.insert(caller, flight);
        self.open.insert(key, caller);
        Joined::Lead(Ticket { flight: caller, caller })
    }

    /// The flight, if it is this caller that leads it.
    fn led(&mut self, ticket: Ticket) -> Option<&mut Flight<H, U>> {
        let leads = |lead: &Lead<U>| matches!(lead, Lead::Caller(caller) if *caller == ticket.caller);
        self.flights.get_mut(&ticket.flight).filter(|flight| leads(&flight.lead))
    }

    /// The leader has the head of a reply that it will tell. Whoever is to be woken is returned, here and below.
    pub fn begin(&mut self, leader: Ticket, head: H) -> Vec<Ticket> {
        let Some(flight) = self.led(leader) else { return Vec::new() };
        flight.head.get_or_insert(head);
        flight.wake(leader.flight)
    }

    /// The leader has read more of it. To be told after [`Flights::begin`].
    pub fn push(&mut self, leader: Ticket, chunk: Bytes) -> Vec<Ticket> {
        let Some(flight) = self.led(leader) else { return Vec::new() };
        if flight.head.is_none() || chunk.is_empty() {
            return Vec::new();
        }
        flight.bytes += chunk.len();
        flight.chunks.push_back(chunk);
        if flight.bytes > KEPT_BYTES && flight.open {
            flight.open = false;
            let key = flight.key;
            self.open.remove(&key);
        }
        let Some(flight) = self.flights.get_mut(&leader.flight) else { return Vec::new() };
        flight.trim();
        flight.wake(leader.flight)
    }

    /// The leader has read it to its end, or to where it broke off. It has left the flight.
    pub fn finish(&mut self, leader: Ticket, end: End) -> Vec<Ticket> {
        let Some(flight) = self.led(leader) else { return Vec::new() };
        flight.lead = Lead::Nobody;
        // Nothing was told that could be complete.
        flight.end = Some(if flight.head.is_none() { End::Broken } else { end });
        let wake = flight.wake(leader.flight);
        self.close(leader.flight);
        wake
    }

    /// What is new for a follower.
    pub fn read(&mut self, ticket: Ticket) -> Read<H, U> {
        let gone = Read::End(End::Broken);
        let Some(flight) = self.flights.get_mut(&ticket.flight) else { return gone };
        let Some(follower) = flight.followers.get_mut(&ticket.caller) else { return gone };
        follower.waiting = false;
        if follower.lagged {
            flight.followers.remove(&ticket.caller);
            self.sweep(ticket.flight);
            return Read::End(End::Lagged);
        }
        if !follower.headed
            && let Some(head) = &flight.head
        {
            follower.headed = true;
            return Read::Head(head.clone());
        }
        let had = follower.next.saturating_sub(flight.dropped);
        if had < flight.chunks.len() {
            let new: Vec<Bytes> = flight.chunks.iter().skip(had).cloned().collect();
            follower.next = flight.dropped + flight.chunks.len();
            flight.trim();
            return Read::Chunks(new);
        }
        if let Lead::Offered { to, .. } = &flight.lead
            && *to == ticket.caller
        {
            flight.followers.remove(&ticket.caller);
            let before = std::mem::replace(&mut flight.lead, Lead::Caller(ticket.caller));
            return Read::Lead(match before {
                Lead::Offered { upstream, .. } => upstream,
                _ => None,
            });
        }
        let told = match flight.end {
            Some(end) => Read::End(end),
            None if matches!(flight.lead, Lead::Nobody) => Read::Alone,
            None => {
                follower.waiting = true;
                return Read::Wait;
            }
        };
        flight.followers.remove(&ticket.caller);
        self.sweep(ticket.flight);
        told
    }

    /// This caller is going. A leader hands over what reads the provider, or `None` if it has nothing (the provider refused, or
    /// it was never asked); of a follower `upstream` is given back as it is.
    pub fn leave(&mut self, ticket: Ticket, upstream: Option<U>) -> Left<U> {
        let Some(flight) = self.flights.get_mut(&ticket.flight) else { return Left { wake: Vec::new(), upstream } };
        let follower = flight.followers.remove(&ticket.caller).is_some();
        let upstream = match std::mem::replace(&mut flight.lead, Lead::Nobody) {
            Lead::Caller(caller) if caller == ticket.caller => {
                flight.failed += u32::from(upstream.is_none());
                Some(upstream)
            }
            Lead::Offered { to, upstream: offered } if to == ticket.caller && follower => Some(offered),
            other => {
                flight.lead = other;
                None
            }
        };
        let mut left = Left { wake: Vec::new(), upstream: None };
        if let Some(upstream) = upstream {
            left.upstream = flight.hand_over(upstream);
            left.wake = flight.wake(ticket.flight);
            if matches!(flight.lead, Lead::Nobody) {
                self.close(ticket.flight);
            }
        } else {
            flight.trim();
        }
        self.sweep(ticket.flight);
        left
    }

    /// Nobody joins it any more.
    fn close(&mut self, id: u64) {
        let Some(flight) = self.flights.get_mut(&id) else { return };
        if std::mem::take(&mut flight.open) {
            self.open.remove(&flight.key);
        }
        flight.trim();
        self.sweep(id);
    }

    /// A flight that nobody is on is over.
    fn sweep(&mut self, id: u64) {
        let over = |flight: &Flight<H, U>| flight.followers.is_empty() && matches!(flight.lead, Lead::Nobody);
        if self.flights.get(&id).is_some_and(over)
            && let Some(flight) = self.flights.remove(&id)
            && flight.open
        {
            self.open.remove(&flight.key);
        }
    }

    /// Flights that somebody is on.
    pub fn len(&self) -> usize {
        self.flights.len()
    }

    pub fn is_empty(&self) -> bool {
        self.flights.is_empty()
    }

    /// Does anybody read along? A leader whose client is gone goes on only for them.
    pub fn followers(&self, ticket: Ticket) -> usize {
        self.flights.get(&ticket.flight).map_or(0, |flight| flight.followers.len())
    }
}

impl<H, U> Flight<H, U> {
    /// Everybody who was told to wait.
    fn wake(&mut self, id: u64) -> Vec<Ticket> {
        let woken = |(caller, follower): (&u64, &mut Follower)| {
            std::mem::take(&mut follower.waiting).then_some(Ticket { flight: id, caller: *caller })
        };
        self.followers.iter_mut().filter_map(woken).collect()
    }

    /// To the follower that is furthest on, of several to the first. What nobody can take is given back.
    fn hand_over(&mut self, upstream: Option<U>) -> Option<U> {
        if upstream.is_none() && (self.head.is_some() || self.failed >= MOST_LEADERS) {
            // Half told: broken. Not told at all: each asks by itself.
            self.end = self.head.is_some().then_some(End::Broken);
            return None;
        }
        let able = self.followers.iter().filter(|(_, follower)| !follower.lagged);
        let Some(to) =
            able.max_by_key(|(caller, f)| (f.headed, f.next, u64::MAX - **caller)).map(|(caller, _)| *caller)
        else {
            return upstream;
        };
        self.lead = Lead::Offered { to, upstream };
        None
    }

    /// Let go of what nobody will ask for any more, and of who is so far behind that too much is kept for it.
    fn trim(&mut self) {
        if self.open {
            return;
        }
        loop {
            let reading = self.followers.values().filter(|follower| !follower.lagged);
            let least = reading.map(|follower| follower.next).min().unwrap_or(usize::MAX);
            while self.dropped < least
                && let Some(chunk) = self.chunks.pop_front()
            {
                self.bytes -= chunk.len();
                self.dropped += 1;
            }
            if self.bytes <= 2 * KEPT_BYTES {
                return;
            }
            let offered = match &self.lead {
                Lead::Offered { to, .. } => Some(*to),
                _ => None,
            };
            let mut lagging = false;
            for (caller, follower) in &mut self.followers {
                if !follower.lagged && follower.next == least && Some(*caller) != offered {
                    (follower.lagged, lagging) = (true, true);
                }
            }
            if !lagging {
                return;
            }
        }
    }
}
