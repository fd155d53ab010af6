//! An account at a provider: what it may do in a minute and at once, and who waits for it.
//!
//! Two things hold requests up here. The limits that the configuration names are the account's, and are kept exactly: whoever is
//! next in line and finds no room is waited for by all behind it, or else a long prompt would never get any. What the provider's
//! own answers say is left ([`Health`]) is of one model at one account: who waits for another model goes past. When such a limit is
//! thought to be over, one request goes to find out, and the others follow when its answer has said how many may.
//!
//! Where nothing is limited and nobody waits, a request costs two atomics here.

use super::{Counted, Counts, Waiters, locked};
use crate::clock;
use crate::config::AccountLimits;
use slip_quota::line::Terms;
use slip_quota::window::Taken;
use slip_quota::{Class, May, Ticket, Window};
use slip_route::Health;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot};

/// Its name in metrics.
const ACCOUNT: &str = "account";
/// How long interactive traffic is remembered, and what of a limit the classes below may take meanwhile, in thousandths.
const LATELY_MS: i64 = 60_000;
const SHARES: [u64; 3] = [WHOLE, 800, 600];
const WHOLE: u64 = 1_000;
/// Where nobody can say when there is room, it is looked after this long.
const LOOK_MS: i64 = 1_000;

/// What one request needs of it.
#[derive(Clone)]
pub struct Need {
    pub class: Class,
    /// Prompt and answer, as far as anybody can tell.
    pub tokens: u64,
    /// Of its prompt.
    pub prompt: u64,
    /// Of the model through this account; `None`: what the provider says of itself is not looked at.
    pub health: Option<Arc<Health>>,
    /// So long (Unix milliseconds) it may wait.
    pub latest_ms: i64,
}

impl Need {
    fn model(&self) -> Option<usize> {
        self.health.as_ref().map(|health| Arc::as_ptr(health) as usize)
    }

    /// From when the provider is thought to have room; `None` is now.
    fn opens(&self, now_ms: i64) -> Option<i64> {
        let opens = self.health.as_ref()?.opens(unsigned(now_ms), self.prompt)?;
        Some(i64::try_from(opens).unwrap_or(i64::MAX))
    }
}

/// See the head of this file. Outlives a configuration.
pub struct Account {
    limited: AtomicBool,
    waiting: AtomicUsize,
    /// There is no room for anybody before this moment, as far as is known.
    full_until_ms: AtomicI64,
    state: Mutex<State>,
    /// Somebody joined, or the limits changed.
    changed: Notify,
    counts: Counts,
}

struct State {
    room: Room,
    waiters: Waiters<Need, Lease>,
    /// A task looks after the line.
    watched: bool,
}

/// What is used, and of how much.
struct Room {
    places: Option<u64>,
    inside: u64,
    requests: Window,
    tokens: Window,
    /// When an interactive request was last let in or wanted to be.
    interactive_ms: i64,
    /// Of models that were waited for, by where their health is kept.
    models: HashMap<usize, Model>,
}

/// Let in, and not yet under way.
#[derive(Clone, Copy, Default)]
struct Model {
    requests: u32,
    tokens: u64,
    /// The provider had said that none is left, and it is not known yet what came after.
    spent: bool,
    /// One is finding out.
    trial: bool,
}

impl Account {
    pub fn new(counts: Counts) -> Account {
        Account {
            limited: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            full_until_ms: AtomicI64::new(0),
            state: Mutex::new(State {
                room: Room {
                    places: None,
                    inside: 0,
                    requests: Window::new(None),
                    tokens: Window::new(None),
                    interactive_ms: i64::MIN,
                    models: HashMap::new(),
                },
                waiters: Waiters::new(),
                watched: false,
            }),
            changed: Notify::new(),
            counts,
        }
    }

    /// In force from now on. What was taken before stays taken.
    pub fn set(&self, limits: AccountLimits, terms: Terms) {
        let mut state = locked(&self.state);
        state.room.requests.set_limit(limits.requests_per_minute);
        state.room.tokens.set_limit(limits.tokens_per_minute);
        state.room.places = limits.concurrent;
        state.waiters.line.set_terms(terms);
        self.limited.store(limits != AccountLimits::default(), SeqCst);
        self.note(&mut state.room, clock::unix_ms_signed());
        drop(state);
        self.changed.notify_one();
    }

    /// Nothing is limited here and nobody waits.
    pub fn is_idle(&self) -> bool {
        !self.limited.load(SeqCst) && self.waiting.load(SeqCst) == 0
    }

    /// It has no room now for anybody, as far as can be told at a glance. A decision asks this of many.
    pub fn is_full(&self, now_ms: u64) -> bool {
        unsigned(self.full_until_ms.load(SeqCst)) > now_ms
    }

    /// From when it may have room (Unix milliseconds), where that is a matter of time.
    pub fn full_until(&self) -> Option<u64> {
        let at = self.full_until_ms.load(SeqCst);
        (at > 0 && at < i64::MAX).then_some(unsigned(at))
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(SeqCst)
    }

    /// Leave to ask, at once or not at all.
    pub fn take(self: &Arc<Account>, need: &Need) -> Option<Lease> {
        let now = clock::unix_ms_signed();
        if self.is_idle() {
            return need.opens(now).is_none().then(Lease::default);
        }
        let mut state = locked(&self.state);
        state.room.wanted(need.class, now);
        if !state.waiters.line.is_empty() {
            drop(state);
            // It may be that those who wait, wait for something else.
            let mut standing = self.join(need.clone())?;
            return standing.told.try_recv().ok();
        }
        match state.room.may(need, need.class, now) {
            Ok(May::Go) => {
                let lease = self.lend(&mut state.room, need, false, now);
                self.note(&mut state.room, now);
                Some(lease)
            }
            _ => None,
        }
    }

    /// Stand in line. Whoever drops this has left it. Where as many wait as may: in how long there may be room.
    pub fn stand(self: &Arc<Account>, need: Need) -> Result<Standing, Duration> {
        let now = clock::unix_ms_signed();
        // Requests that were made are not taken back: whoever would wait for that in vain hears it at once.
        let opens = locked(&self.state).room.requests.opens(1, WHOLE, now);
        let standing = if opens.is_none_or(|at| at < need.latest_ms) { self.join(need.clone()) } else { None };
        standing.ok_or_else(|| {
            self.counts.shed(ACCOUNT, need.class);
            self.opens_in(&need)
        })
    }

    fn join(self: &Arc<Account>, need: Need) -> Option<Standing> {
        let now = clock::unix_ms_signed();
        let mut state = locked(&self.state);
        state.room.wanted(need.class, now);
        let (ticket, told) = state.waiters.push(need.class, need.latest_ms, now, need.clone()).ok()?;
        let until_ms = state.waiters.line.deadline(ticket).unwrap_or(now);
        let unwatched = !std::mem::replace(&mut state.watched, true);
        self.waiting.store(state.waiters.each.len(), SeqCst);
        drop(state);
        self.pump();
        if unwatched {
            tokio::spawn(watch(self.clone()));
        } else {
            self.changed.notify_one();
        }
        let patience = Duration::from_millis(unsigned(until_ms.saturating_sub(now)));
        let began = clock::now();
        let until = began + patience;
        Some(Standing { account: self.clone(), ticket, told, need, began, until, over: false })
    }

    /// In how long there will be room for this, as far as is known.
    fn opens_in(&self, need: &Need) -> Duration {
        let now = clock::unix_ms_signed();
        let at = match locked(&self.state).room.may(need, need.class, now) {
            Ok(_) => need.opens(now).unwrap_or(now),
            Err(at) => at,
        };
        Duration::from_millis(unsigned(at.saturating_sub(now)).max(unsigned(LOOK_MS)))
    }

    /// Let in everybody for whom there is room. When to look again; `None`: nobody waits.
    fn pump(self: &Arc<Account>) -> Option<i64> {
        loop {
            let mut state = locked(&self.state);
            let State { room, waiters, .. } = &mut *state;
            let now = clock::unix_ms_signed();
            let mut look = now.saturating_add(LOOK_MS);
            let mut missed = None;
            // Nobody overtakes others that wait for the same model, however little he needs.
            let mut passed: Vec<usize> = Vec::new();
            while missed.is_none() {
                let next = waiters.next_if(now, |need, class| {
                    let model = need.model();
                    if model.is_some_and(|model| passed.contains(&model)) {
                        return May::Pass;
                    }
                    let may = room.may(need, class, now);
                    passed.extend(model.filter(|_| may == Ok(May::Pass)));
                    look = may.err().or_else(|| need.opens(now)).unwrap_or(look).min(look);
                    may.unwrap_or(May::Nobody)
                });
                let Some((need, tell)) = next else { break };
                missed = tell.send(self.lend(room, &need, true, now)).err();
            }
            let left = waiters.each.len();
            self.waiting.store(left, SeqCst);
            self.note(room, now);
            if missed.is_none() {
                return (left > 0).then_some(look.max(now + 1));
            }
            // Dropped where the line is not locked: it makes room for the next.
            drop(state);
        }
    }

    fn lend(self: &Arc<Account>, room: &mut Room, need: &Need, waited: bool, now: i64) -> Lease {
        room.inside += 1;
        let taken = room.requests.take(1, now);
        room.tokens.take(need.tokens, now);
        let (mut model, mut trial) = (None, false);
        if let (Some(health), Some(at)) = (need.health.as_ref().filter(|_| waited), need.model()) {
            let unknown = health.headroom(unsigned(now)) == (None, None);
            let of = room.models.entry(at).or_default();
            // The only one: whoever waits for the same model waits for its answer.
            trial = of.spent && unknown;
            of.trial |= trial;
            of.requests += 1;
            of.tokens = of.tokens.saturating_add(need.prompt);
            model = Some(at);
        }
        let (tokens, prompt) = (need.tokens, need.prompt);
        let account = self.clone();
        Lease(Some(Box::new(Lent { account, taken, tokens, sent: false, model, prompt, trial })))
    }

    /// Somebody left, or it is known better what there is room for.
    fn open(self: &Arc<Account>) {
        if self.waiting.load(SeqCst) > 0 {
            self.pump();
        }
    }

    /// For those who glance at it.
    fn note(&self, room: &mut Room, now: i64) {
        self.full_until_ms.store(room.full(now).unwrap_or(0), SeqCst);
    }
}

impl Room {
    /// A request of this class is there.
    fn wanted(&mut self, class: Class, now: i64) {
        if class == Class::Interactive {
            self.interactive_ms = now;
        }
    }

    /// May this one go now, that stands among those of `class`? Else when there may be room in the account.
    fn may(&mut self, need: &Need, class: Class, now: i64) -> Result<May, i64> {
        if let (Some(health), Some(at)) = (&need.health, need.model()) {
            if need.opens(now).is_some() {
                self.models.entry(at).or_default().spent = true;
                return Ok(May::Pass);
            }
            let of = self.models.get(&at).copied().unwrap_or_default();
            let (requests, tokens) = health.headroom(unsigned(now));
            // Those that were let in and have not begun are not counted yet by whoever counts down.
            let short = requests.is_some_and(|left| left <= of.requests)
                || tokens.is_some_and(|left| u64::from(left) < of.tokens.saturating_add(need.prompt));
            if short || (of.trial && (requests, tokens) == (None, None)) {
                return Ok(May::Pass);
            }
        }
        let busy = now.saturating_sub(self.interactive_ms) < LATELY_MS;
        match self.opens(need.tokens, if busy { SHARES[class as usize] } else { WHOLE }, now) {
            None => Ok(May::Go),
            Some(at) => Err(at),
        }
    }

    /// When there may be room for anything at all, if there is none; at the end of time where somebody must leave first.
    fn full(&mut self, now: i64) -> Option<i64> {
        let crowded = self.places.is_some_and(|places| self.inside >= places);
        if crowded { Some(i64::MAX) } else { self.opens(1, WHOLE, now) }
    }

    fn opens(&mut self, tokens: u64, share: u64, now: i64) -> Option<i64> {
        let crowded = self.places.is_some_and(|places| self.inside >= (places.saturating_mul(share) / WHOLE).max(1));
        let look = crowded.then_some(now.saturating_add(LOOK_MS));
        let minute = self.requests.opens(1, share, now).max(self.tokens.opens(tokens, share, now));
        minute.max(look)
    }
}

/// Looks after a line as long as there is one: limits end by the passing of time, which nobody tells.
async fn watch(account: Arc<Account>) {
    loop {
        let look = account.pump();
        let now = clock::unix_ms_signed();
        match look {
            Some(at) => {
                let pause = Duration::from_millis(unsigned(at.saturating_sub(now)));
                let _ = tokio::time::timeout(pause, account.changed.notified()).await;
            }
            None => {
                let mut state = locked(&account.state);
                if state.waiters.each.is_empty() {
                    state.watched = false;
                    return;
                }
            }
        }
    }
}

/// Leave to ask a provider once, and its place among those that do. Dropping it gives the place back, and what was not used.
/// Where nothing is counted it is nothing.
#[derive(Default)]
pub struct Lease(Option<Box<Lent>>);

struct Lent {
    account: Arc<Account>,
    taken: Taken,
    /// What is counted for it.
    tokens: u64,
    /// It was used.
    sent: bool,
    /// It was waited for, and the provider does not count it yet.
    model: Option<usize>,
    prompt: u64,
    trial: bool,
}

impl Lease {
    /// It is being used. What the provider said is left has been counted down.
    pub fn begins(&mut self) {
        let Some(lent) = &mut self.0 else { return };
        lent.sent = true;
        if !lent.trial {
            lent.under_way(false);
        }
    }

    /// One more request for the same answer. False: there is no room for it.
    pub fn again(&mut self) -> bool {
        let Some(lent) = &mut self.0 else { return true };
        let now = clock::unix_ms_signed();
        let room = &mut locked(&lent.account.state).room;
        let free = room.requests.opens(1, WHOLE, now).is_none();
        if free {
            lent.taken = room.requests.take(1, now);
            room.tokens.take(lent.tokens, now);
        }
        free
    }

    /// Its answer has begun, and with it is known what it said of limits.
    pub fn heard(&mut self) {
        if let Some(lent) = self.0.as_mut().filter(|lent| lent.model.is_some()) {
            lent.under_way(true);
            lent.account.open();
        }
    }

    /// It came to so many tokens.
    pub fn settle(&mut self, tokens: u64) {
        let Some(lent) = &mut self.0 else { return };
        let room = &mut locked(&lent.account.state).room;
        room.tokens.settle(lent.taken, lent.tokens, tokens, clock::unix_ms_signed());
        lent.tokens = tokens;
    }

    /// Nothing went out after all.
    pub fn unsent(&mut self) {
        if let Some(lent) = &mut self.0 {
            lent.sent = false;
        }
    }
}

impl Lent {
    fn under_way(&mut self, heard: bool) {
        let Some(at) = self.model.take() else { return };
        let models = &mut locked(&self.account.state).room.models;
        let Some(of) = models.get_mut(&at) else { return };
        of.requests = of.requests.saturating_sub(1);
        of.tokens = of.tokens.saturating_sub(self.prompt);
        if self.trial {
            of.trial = false;
            of.spent &= !heard;
        }
        if of.requests == 0 && !of.trial && !of.spent {
            models.remove(&at);
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.under_way(false);
        let now = clock::unix_ms_signed();
        let mut state = locked(&self.account.state);
        state.room.inside = state.room.inside.saturating_sub(1);
        if !self.sent {
            state.room.requests.settle(self.taken, 1, 0, now);
            state.room.tokens.settle(self.taken, self.tokens, 0, now);
        }
        self.account.note(&mut state.room, now);
        drop(state);
        self.account.open();
    }
}

/// A place in the line before an account.
pub struct Standing {
    account: Arc<Account>,
    ticket: Ticket,
    told: oneshot::Receiver<Lease>,
    need: Need,
    began: Instant,
    until: Instant,
    /// It was let in.
    over: bool,
}

impl Standing {
    /// When its time is up.
    pub fn until(&self) -> Instant {
        self.until
    }

    /// It is counted as waiting until this is dropped.
    pub fn counted(&self) -> Counted {
        self.account.counts.stands(ACCOUNT, self.need.class)
    }

    /// Is it its turn?
    pub fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Lease> {
        if self.over {
            return Poll::Pending;
        }
        let Poll::Ready(told) = Pin::new(&mut self.told).poll(cx) else { return Poll::Pending };
        self.over = true;
        let Ok(lease) = told else { return Poll::Pending };
        self.account.counts.served(ACCOUNT, self.need.class, clock::now().duration_since(self.began));
        Poll::Ready(lease)
    }

    /// It waited in vain. In how long there may be room.
    pub fn expired(&self) -> Duration {
        self.account.counts.expired(ACCOUNT, self.need.class);
        self.account.opens_in(&self.need)
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        let mut state = locked(&self.account.state);
        state.waiters.leave(self.ticket);
        self.account.waiting.store(state.waiters.each.len(), SeqCst);
        drop(state);
        // It may have held up those behind it. A lease that was on its way to it is given back with `told`.
        self.account.open();
    }
}

fn unsigned(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or(0)
}
