//! The door of the house: `limits.max_concurrent` requests are inside, others wait before it.
//!
//! While there is room and nobody waits, entering and leaving are an atomic each.

use super::{Counts, Waiters, locked};
use crate::{App, clock};
use slip_quota::line::Terms;
use slip_quota::{Class, May, Ticket};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::timeout_at;

/// Its name in metrics.
const GATEWAY: &str = "gateway";
/// What of the room the classes may take, in thousandths: whoever waits for an account inside keeps its place meanwhile, and there
/// must be room for those who are waited for however many such there are.
const SHARES: [usize; 3] = [1_000, 800, 600];

/// See the head of this file.
pub struct Door {
    most: AtomicUsize,
    waiting: AtomicUsize,
    waiters: Mutex<Waiters<(), InFlight>>,
    counts: Counts,
}

/// Counts a request as in flight, from before its body is read to when its record is closed. Dropping it lets in the next.
pub struct InFlight {
    app: Arc<App>,
    /// How long it stood before the door.
    pub waited: Duration,
}

/// Nobody else may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shut {
    /// As many wait as may.
    Full,
    /// It waited as long as it may.
    Late,
    /// The house is being closed.
    Closed,
}

impl Door {
    pub fn new(counts: Counts) -> Door {
        Door {
            most: AtomicUsize::new(usize::MAX),
            waiting: AtomicUsize::new(0),
            waiters: Mutex::new(Waiters::new()),
            counts,
        }
    }

    /// In force from now on; more room is used when the next one leaves or comes.
    pub fn set(&self, most: u32, terms: Terms) {
        self.most.store(most as usize, SeqCst);
        locked(&self.waiters).line.set_terms(terms);
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(SeqCst)
    }

    /// Nobody waits any more: whoever does is told so by the end of its channel.
    pub fn close(&self) {
        let mut waiters = locked(&self.waiters);
        for ticket in waiters.each.keys().copied().collect::<Vec<_>>() {
            waiters.leave(ticket);
        }
        self.waiting.store(0, SeqCst);
    }

    /// Let in whoever is next while there is room.
    fn pump(&self, app: &Arc<App>) {
        let mut missed = Vec::new();
        loop {
            let mut waiters = locked(&self.waiters);
            let Some(inside) = self.step_in(app, Class::Interactive) else { break };
            let next =
                waiters.next_if(
                    clock::unix_ms_signed(),
                    |(), class| {
                        if inside < self.room(class) { May::Go } else { May::Nobody }
                    },
                );
            self.waiting.store(waiters.each.len(), SeqCst);
            match next {
                // Its own task is about to leave the line: the place is given on.
                Some(((), tell)) => missed.extend(tell.send(InFlight::of(app)).err()),
                None => {
                    app.in_flight.fetch_sub(1, SeqCst);
                    break;
                }
            }
            drop(waiters);
            // Not while the line is locked: it lets in the next.
            missed.clear();
        }
    }

    /// How many were inside before, if there was room.
    fn step_in(&self, app: &App, class: Class) -> Option<usize> {
        let room = self.room(class);
        app.in_flight.fetch_update(SeqCst, SeqCst, |inside| (inside < room).then_some(inside + 1)).ok()
    }

    /// However little it is, it is not nothing.
    fn room(&self, class: Class) -> usize {
        let most = self.most.load(SeqCst);
        if class == Class::Interactive { most } else { (most.saturating_mul(SHARES[class as usize]) / 1_000).max(1) }
    }
}

impl InFlight {
    fn of(app: &Arc<App>) -> InFlight {
        InFlight { app: app.clone(), waited: Duration::ZERO }
    }

    /// At once, or not at all. Nobody overtakes who waits.
    pub fn enter(app: &Arc<App>, class: Class) -> Option<InFlight> {
        let free = app.door.waiting.load(SeqCst) == 0 && app.door.step_in(app, class).is_some();
        free.then(|| InFlight::of(app))
    }

    /// Stand in line. Whoever drops this has left it.
    pub fn wait(app: &Arc<App>, class: Class, deadline_ms: i64) -> Result<Waiting, Shut> {
        let door = &app.door;
        let mut waiters = locked(&door.waiters);
        if app.draining.load(SeqCst) {
            return Err(Shut::Closed);
        }
        let now = clock::unix_ms_signed();
        let (ticket, told) = waiters.push(class, deadline_ms, now, ()).map_err(|_| {
            door.counts.shed(GATEWAY, class);
            Shut::Full
        })?;
        let until_ms = waiters.line.deadline(ticket).unwrap_or(now);
        door.waiting.store(waiters.each.len(), SeqCst);
        drop(waiters);
        // Somebody may have left before it was known that one waits.
        door.pump(app);
        let began = clock::now();
        let patience = Duration::from_millis(u64::try_from(until_ms - now).unwrap_or(0));
        Ok(Waiting { app: app.clone(), ticket, told, class, began, until: began + patience })
    }

    pub fn app(&self) -> &Arc<App> {
        &self.app
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.app.in_flight.fetch_sub(1, SeqCst);
        if self.app.door.waiting.load(SeqCst) > 0 {
            self.app.door.pump(&self.app);
        }
    }
}

/// A place in the line before the door.
pub struct Waiting {
    app: Arc<App>,
    ticket: Ticket,
    told: oneshot::Receiver<InFlight>,
    class: Class,
    began: Instant,
    until: Instant,
}

impl Waiting {
    /// Until it is let in.
    pub async fn turn(&mut self) -> Result<InFlight, Shut> {
        let app = self.app.clone();
        let counts = &app.door.counts;
        let _counted = counts.stands(GATEWAY, self.class);
        match timeout_at(self.until.into(), &mut self.told).await {
            Ok(Ok(mut place)) => {
                place.waited = clock::now().duration_since(self.began);
                counts.served(GATEWAY, self.class, place.waited);
                Ok(place)
            }
            Ok(Err(_)) if app.draining.load(SeqCst) => Err(Shut::Closed),
            // It is taken out when its time is up, whoever looks first.
            _ => {
                counts.expired(GATEWAY, self.class);
                Err(Shut::Late)
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waiters = locked(&self.app.door.waiters);
        waiters.leave(self.ticket);
        self.app.door.waiting.store(waiters.each.len(), SeqCst);
        // A place that was on its way to it is given back after the line is unlocked: with `told`.
    }
}
