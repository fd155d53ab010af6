//! Who waits where there is no room: at the door of the house ([`door`]), and before an account at a provider ([`account`]).
//!
//! Who is next is `slip_quota::line`'s to say; here it is told to a task. The worker threads share each line behind a mutex that is
//! held for as long as it takes to find the next one, and never while anything is awaited. Whoever is let in is handed what lets it
//! in, and dropping that lets in the next; whoever stops waiting, for whatever reason, drops its place.

pub mod account;
pub mod door;
#[cfg(test)]
mod tests;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use slip_quota::line::{Full, Terms};
use slip_quota::{Class, Line, May, Ticket};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// Those who wait, what each needs, and where it is told.
struct Waiters<N, G> {
    line: Line,
    each: HashMap<Ticket, (N, oneshot::Sender<G>)>,
}

impl<N, G> Waiters<N, G> {
    fn new() -> Waiters<N, G> {
        Waiters { line: Line::new(Terms::default()), each: HashMap::new() }
    }

    fn push(
        &mut self,
        class: Class,
        deadline_ms: i64,
        now_ms: i64,
        need: N,
    ) -> Result<(Ticket, oneshot::Receiver<G>), Full> {
        let ticket = self.line.push(class, deadline_ms, now_ms)?;
        let (tell, told) = oneshot::channel();
        self.each.insert(ticket, (need, tell));
        Ok((ticket, told))
    }

    fn next_if(&mut self, now_ms: i64, mut may: impl FnMut(&N, Class) -> May) -> Option<(N, oneshot::Sender<G>)> {
        let Waiters { line, each } = self;
        let next =
            line.next_if(now_ms, |ticket, class| each.get(&ticket).map_or(May::Go, |(need, _)| may(need, class)));
        each.remove(&next?)
    }

    fn leave(&mut self, ticket: Ticket) {
        self.line.leave(ticket);
        self.each.remove(&ticket);
    }
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which line, and whose.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Place {
    queue: &'static str,
    class: &'static str,
}

/// What is counted of all lines of a kind.
#[derive(Clone)]
pub struct Counts {
    waiting: Family<Place, Gauge>,
    waited: Family<Place, Histogram>,
    expired: Family<Place, Counter>,
    shed: Family<Place, Counter>,
}

impl Default for Counts {
    fn default() -> Counts {
        let waited: fn() -> Histogram = || Histogram::new(exponential_buckets(0.001, 2.0, 20));
        Counts {
            waiting: Family::default(),
            waited: Family::new_with_constructor(waited),
            expired: Family::default(),
            shed: Family::default(),
        }
    }
}

/// Who stands in a line, while it does.
pub struct Counted {
    counts: Counts,
    place: Place,
}

impl Counts {
    pub fn register(&self, registry: &mut Registry) {
        let c = self.clone();
        registry.register("queue_length", "Requests that wait, at the gateway's door or before an account", c.waiting);
        registry.register_with_unit("queue_wait", "How long those waited that were let in", Unit::Seconds, c.waited);
        registry.register("queue_expired", "Requests that waited as long as they may, in vain", c.expired);
        registry.register("queue_shed", "Requests refused because as many wait as may", c.shed);
    }

    fn shed(&self, queue: &'static str, class: Class) {
        self.shed.get_or_create(&Place { queue, class: class.name() }).inc();
    }

    fn expired(&self, queue: &'static str, class: Class) {
        self.expired.get_or_create(&Place { queue, class: class.name() }).inc();
    }

    fn served(&self, queue: &'static str, class: Class, waited: Duration) {
        self.waited.get_or_create(&Place { queue, class: class.name() }).observe(waited.as_secs_f64());
    }

    fn stands(&self, queue: &'static str, class: Class) -> Counted {
        let place = Place { queue, class: class.name() };
        self.waiting.get_or_create(&place).inc();
        Counted { counts: self.clone(), place }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.counts.waiting.get_or_create(&self.place).dec();
    }
}
