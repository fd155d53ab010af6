//! Keeps this gateway's leases: asks for more before they are used up, gives back what lies idle or is wanted elsewhere, and tells
//! the database how much is used.

use super::{Heard, Item, Kept, Leases, MOST, Round, Spot};
use crate::scopes::ScopeId;
use crate::spans::{Span, scope_name};
use crate::store::Store;
use slip_ir::Nano;
use slip_quota::keeper::{Ask, Told};
use slip_quota::{Account, Cap, Lease, Moment, day_of};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How often it looks for leases that are nearly used up. Who waits for one does not wait for this.
const LOOK: Duration = Duration::from_millis(25);
/// The same while there are none.
const QUIET_LOOK: Duration = Duration::from_secs(1);
/// How often, while there are leases, others hear what is used of them, and it is heard what others want.
const TICK_MS: i64 = 200;
/// The same without any: the gateway is there.
const QUIET_MS: i64 = 5_000;
/// Between two rounds, so that one serves many; after one that could not serve all, so that others get their turn; after one that failed.
const PAUSE: Duration = Duration::from_millis(4);
const SHORT_PAUSE: Duration = Duration::from_millis(25);
const FAILED_PAUSE: Duration = Duration::from_millis(250);
/// A lease of which nothing was used for so long is given back.
const IDLE_MS: i64 = 10_000;
/// The part of its time by which a gateway takes its leases for over before the database does: for clocks that do not run alike.
const MARGIN: u32 = 10;

/// The one who goes to the database. One per gateway.
pub struct Keeper {
    store: Store,
    leases: Leases,
    name: String,
    lasts: Duration,
    /// The epoch it was enrolled with; none before, and after others have buried it.
    enrolled: Option<i64>,
    /// It has been, in this process.
    began: bool,
    number: i64,
    /// Of the leases here: each that is begun has one of its own.
    epoch: u64,
    open: HashMap<Spot, Open>,
    closed: Vec<(String, String)>,
    gateways: u32,
    last_ms: i64,
}

/// What came of a turn.
#[derive(Clone, Copy, Debug)]
pub struct Turned {
    /// How long to leave it at that.
    pub pause: Duration,
    /// Others had taken this gateway for dead, and what it had for theirs. It began anew.
    pub buried: bool,
}

/// A lease.
struct Open {
    account: Arc<Account>,
    cap: Cap,
    span: Span,
    epoch: u64,
    fresh: bool,
    known: bool,
    slice: Nano,
    /// What others have been told that is used.
    told: Nano,
    used: Nano,
    changed_ms: i64,
    wanted: bool,
}

/// What is to be done about a lease.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Nothing,
    /// What is used has changed, or the lease is new.
    Tell,
    More,
    GiveBack,
    Retire,
    /// The cap has been taken away.
    Gone,
    /// Another period, or another cap.
    Anew,
}

impl Keeper {
    pub(crate) fn new(store: Store, name: String, lasts: Duration) -> Keeper {
        Keeper {
            store,
            leases: Leases::new(),
            name,
            lasts,
            enrolled: None,
            began: false,
            number: 0,
            epoch: 0,
            open: HashMap::new(),
            closed: Vec::new(),
            gateways: 1,
            last_ms: i64::MIN,
        }
    }

    pub(crate) fn leases(&self) -> Leases {
        self.leases.clone()
    }

    /// Wait until somebody asks, or it is time to look.
    pub async fn wait(&self, after: Duration) {
        tokio::time::sleep(after).await;
        // Who asks before this is heard as well.
        let look = if self.open.is_empty() { (self.lasts / 8).min(QUIET_LOOK) } else { LOOK };
        let _ = tokio::time::timeout(look, self.leases.0.bell.notified()).await;
    }

    /// See to everything there is to see to, or say why the database could not be asked.
    pub async fn turn(&mut self, now: Moment) -> Result<Turned, crate::Error> {
        let looks = self.look(now);
        let since = now.steady_ms.saturating_sub(self.last_ms);
        let quiet = QUIET_MS.min(self.lasts_ms() / 4);
        let due = since >= if self.open.is_empty() { quiet } else { TICK_MS.min(quiet) };
        let pressing = looks.iter().any(|(_, look)| !matches!(look, Look::Nothing | Look::Tell));
        let (number, asks) = {
            let mut demand = self.leases.demand();
            if demand.asks.is_empty() && !due && !pressing && self.closed.is_empty() {
                return Ok(Turned { pause: Duration::ZERO, buried: false });
            }
            demand.begun += 1;
            (demand.begun, std::mem::take(&mut demand.asks))
        };
        let done = self.rounds(now, looks, asks).await;
        let well = done.is_ok();
        self.leases.0.heard.send_replace(Heard { round: number, well });
        match done {
            Ok((short, buried)) => {
                self.last_ms = now.steady_ms;
                Ok(Turned { pause: if short { SHORT_PAUSE } else { PAUSE }, buried })
            }
            Err(e) => Err(e),
        }
    }

    /// How long to leave a database alone that could not be asked.
    pub const fn rest() -> Duration {
        FAILED_PAUSE
    }

    /// Give everything back: nothing is spent here any more.
    pub async fn leave(&mut self) -> Result<(), crate::Error> {
        for (spot, open) in self.open.drain() {
            open.account.give_back(spot.reset, Nano(0));
        }
        let (name, began) = (self.name.clone(), self.began);
        if began { self.store.of_database(move |db| db.leave(&name)).await } else { Ok(()) }
    }

    fn lasts_ms(&self) -> i64 {
        i64::try_from(self.lasts.as_millis()).unwrap_or(i64::MAX)
    }

    /// When the leases of a round that is begun now are over here.
    fn until(&self, now: Moment) -> Moment {
        let lasts = self.lasts - self.lasts / MARGIN;
        now.after(i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX))
    }

    fn next_epoch(&mut self) -> u64 {
        self.epoch += 1;
        self.epoch
    }

    fn look(&mut self, now: Moment) -> Vec<(Spot, Look)> {
        self.open.iter_mut().map(|(spot, open)| (spot.clone(), open.look(spot, now))).collect()
    }

    /// Says whether somebody got too little of what others may have, and whether others had buried this gateway.
    async fn rounds(
        &mut self,
        now: Moment,
        looks: Vec<(Spot, Look)>,
        mut asks: HashMap<Spot, Ask>,
    ) -> Result<(bool, bool), crate::Error> {
        for (spot, look) in looks {
            match look {
                Look::Nothing => {}
                Look::Tell => {
                    asks.entry(spot).or_default();
                }
                Look::More => {
                    let ask = asks.entry(spot).or_default();
                    *ask = ask.with(Ask::spare());
                }
                Look::GiveBack => {
                    if let Some(open) = self.open.get_mut(&spot) {
                        open.yield_some(&spot);
                    }
                    asks.entry(spot).or_default();
                }
                Look::Gone => {
                    if let Some(open) = self.open.remove(&spot) {
                        self.closed.push((scope_name(&spot.scope), open.span.name));
                    }
                }
                Look::Retire if asks.contains_key(&spot) => {}
                Look::Retire => {
                    let epoch = self.next_epoch();
                    if let Some(open) = self.open.get(&spot)
                        && open.account.retire_lease(spot.reset, epoch)
                    {
                        self.closed.push((scope_name(&spot.scope), open.span.name.clone()));
                        self.open.remove(&spot);
                    }
                }
                Look::Anew => {
                    // What is over stays as it is in the database: what is under way may still be settled there.
                    self.open.remove(&spot);
                    self.begin(&spot, now);
                    asks.entry(spot).or_default();
                }
            }
        }
        let short = self.round(now, &asks).await?;
        if self.enrolled.is_some() {
            return Ok((short, false));
        }
        Ok((self.round(now, &asks).await?, true))
    }

    /// Begin a lease, with nothing in it.
    fn begin(&mut self, spot: &Spot, now: Moment) -> bool {
        let Some(account) = self.store.account(&spot.scope) else { return false };
        let Some(cap) = account.caps().of(spot.reset) else { return false };
        let (epoch, span) = (self.next_epoch(), Span::of(spot.reset, day_of(now.unix_ms)));
        if !account.set_lease(spot.reset, Lease::new(epoch, Nano(0), Moment::NEVER)) {
            return false;
        }
        let open = Open {
            account,
            cap,
            span,
            epoch,
            fresh: true,
            known: false,
            slice: Nano(0),
            told: Nano(0),
            used: Nano(0),
            changed_ms: now.steady_ms,
            wanted: false,
        };
        self.open.insert(spot.clone(), open);
        true
    }

    async fn round(&mut self, now: Moment, asks: &HashMap<Spot, Ask>) -> Result<bool, crate::Error> {
        let epoch = match self.enrolled {
            Some(epoch) => epoch,
            None => self.enrol(now).await?,
        };
        for spot in asks.keys() {
            if !self.open.contains_key(spot) && self.open.len() < MOST {
                self.begin(spot, now);
            }
        }
        let mut spots = Vec::new();
        let mut items = Vec::new();
        for (spot, open) in &mut self.open {
            let ask = asks.get(spot).copied();
            // One that is new is told of, whether anybody asks or not.
            if ask.is_none() && !open.fresh {
                continue;
            }
            if let Some(item) = open.item(spot, ask.unwrap_or_default()) {
                spots.push(spot.clone());
                items.push(item);
            }
        }
        self.number += 1;
        let (used, caps): (Vec<_>, Vec<_>) = items.iter().map(|item| (item.used, item.cap())).unzip();
        let closed = std::mem::take(&mut self.closed);
        let round = Round {
            gateway: self.name.clone(),
            epoch,
            number: self.number,
            lasts_ms: self.lasts_ms(),
            items,
            closed: closed.clone(),
        };
        let kept = match self.store.of_database(move |db| db.keep(&round)).await {
            Ok(kept) => kept,
            Err(e) => {
                // What is said twice does no harm.
                self.closed = closed;
                return Err(e);
            }
        };
        if kept.fenced {
            self.enrolled = None;
            return Ok(false);
        }
        let short = kept.told.iter().flatten().any(|told| told.short);
        self.hear(now, &kept, spots.iter().zip(used).zip(caps));
        Ok(short)
    }

    fn hear<'a>(&mut self, now: Moment, kept: &Kept, said: impl Iterator<Item = ((&'a Spot, Nano), Cap)>) {
        let until = self.until(now);
        for (spot, open) in &self.open {
            open.account.extend_lease(spot.reset, open.epoch, open.within(until));
        }
        for (((spot, used), cap), told) in said.zip(&kept.told) {
            let Some(open) = self.open.get_mut(spot) else { continue };
            match told {
                Some(told) => open.hear(spot, now, until, used, cap, told),
                None => open.known = false,
            }
        }
        for (spot, open) in &mut self.open {
            let name = scope_name(&spot.scope);
            open.wanted = kept.wanted.iter().any(|(scope, span)| *scope == name && *span == open.span.name);
        }
        if self.gateways != kept.gateways {
            self.gateways = kept.gateways;
            self.store.divide(kept.gateways);
        }
    }

    /// Be there. All leases begin anew: what the database has of them was had by another life of this gateway, or given to others.
    async fn enrol(&mut self, now: Moment) -> Result<i64, crate::Error> {
        let (name, lasts_ms, first) = (self.name.clone(), self.lasts_ms(), !self.began);
        let epoch = self.store.of_database(move |db| db.enrol(&name, lasts_ms, first)).await?;
        (self.enrolled, self.began, self.number) = (Some(epoch), true, 0);
        let spots: Vec<Spot> = self.open.drain().map(|(spot, _)| spot).collect();
        for spot in spots {
            self.begin(&spot, now);
        }
        Ok(epoch)
    }
}

impl Open {
    fn look(&mut self, spot: &Spot, now: Moment) -> Look {
        let Some(cap) = self.account.caps().of(spot.reset) else { return Look::Gone };
        let Some(used) = self.account.lease_use(spot.reset).filter(|used| used.lease.epoch == self.epoch) else {
            return Look::Anew;
        };
        if self.span.over_ms.is_some_and(|over| now.unix_ms >= over) || cap.include_byok != self.cap.include_byok {
            return Look::Anew;
        }
        let spent = used.spent + used.held;
        if spent != self.used {
            (self.used, self.changed_ms) = (spent, now.steady_ms);
        }
        let idle = now.steady_ms.saturating_sub(self.changed_ms);
        if cap != self.cap {
            self.cap = cap;
            return Look::More;
        }
        match () {
            () if idle >= IDLE_MS && used.held.0 == 0 => Look::Retire,
            () if self.wanted && used.unused.0 > 0 => Look::GiveBack,
            () if self.slice.0 > 0 && used.unused.0 < self.slice.0 / 2 && spent != self.told => Look::More,
            () if spent != self.told || self.fresh => Look::Tell,
            () => Look::Nothing,
        }
    }

    /// Others want it: all of it where nobody uses it at this moment, half of what is not used otherwise.
    fn yield_some(&mut self, spot: &Spot) {
        if let Some(used) = self.account.lease_use(spot.reset) {
            let keep = if self.used == self.told { 0 } else { used.unused.0 / 2 };
            self.account.give_back(spot.reset, Nano(keep));
        }
        self.wanted = false;
    }

    fn item(&mut self, spot: &Spot, ask: Ask) -> Option<Item> {
        self.cap = self.account.caps().of(spot.reset)?;
        let mut used = self.account.lease_use(spot.reset)?;
        if ask.is_waiting() && used.unused < ask.most {
            // What does not serve those who wait goes back first: with what others give back it may serve somebody.
            self.account.give_back(spot.reset, Nano(0));
            used = self.account.lease_use(spot.reset)?;
        }
        let name = match &spot.scope {
            ScopeId::Key(name) | ScopeId::Member(name) | ScopeId::Workspace(name) => name.to_string(),
            ScopeId::Instance => String::new(),
        };
        Some(Item {
            kind: spot.scope.kind(),
            name,
            scope: scope_name(&spot.scope),
            span: self.span.clone(),
            limit: self.cap.limit,
            byok: self.cap.include_byok,
            known: self.known,
            fresh: self.fresh,
            allowed: used.lease.granted,
            used: used.spent + used.held,
            ask,
        })
    }

    fn hear(&mut self, spot: &Spot, now: Moment, until: Moment, used: Nano, cap: Cap, told: &Told) {
        let lease = Lease {
            epoch: self.epoch,
            granted: told.allowed,
            until: self.within(until),
            beyond: told.beyond,
            as_of_ms: now.steady_ms,
        };
        (self.fresh, self.known, self.told, self.slice) = (false, true, used, told.slice);
        if !self.account.renew_lease(spot.reset, cap, lease) {
            // Its terms have changed meanwhile: what was granted under the old ones is not had, and given back with the next round.
            self.told = Nano(i64::MIN);
        }
    }

    /// No longer than its period.
    fn within(&self, until: Moment) -> Moment {
        Moment { unix_ms: until.unix_ms.min(self.span.over_ms.unwrap_or(i64::MAX)), ..until }
    }
}

impl Item {
    fn cap(&self) -> Cap {
        Cap { limit: self.limit, include_byok: self.byok }
    }
}
