//! Leases: this gateway's parts of limits that others spend from as well. [`Leases`] is how a request that found too little asks for more;
//! [`Keeper`] goes to the database for it, one round for everybody who asks.
//!
//! A request never waits for the database as long as its lease has enough. The keeper asks ahead of need, gives back what lies idle, and
//! takes what it has for over when it has not been heard of in time: by then others may have it.

mod keeper;
mod round;

pub use keeper::{Keeper, Turned};
pub(crate) use round::{Item, Kept, Round};

use crate::keys::Reset;
use crate::scopes::ScopeId;
use slip_ir::Nano;
use slip_quota::keeper::Ask;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

/// Limits one gateway has a part of at once. Whoever asks for one more waits until another has been given back.
const MOST: usize = 8192;

/// A limit: whose, and for which kind of period.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Spot {
    pub scope: ScopeId,
    pub reset: Option<Reset>,
}

/// Where requests ask for more. Cheap to clone.
#[derive(Clone)]
pub struct Leases(Arc<Shared>);

struct Shared {
    demand: Mutex<Demand>,
    /// Rings for the keeper.
    bell: Notify,
    heard: watch::Sender<Heard>,
}

#[derive(Default)]
struct Demand {
    /// Rounds begun: what is asked now goes with the next.
    begun: u64,
    asks: HashMap<Spot, Ask>,
}

/// The last round that ended.
#[derive(Clone, Copy, Debug)]
struct Heard {
    round: u64,
    /// The database answered.
    well: bool,
}

/// What came of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The lease is what it can be at this moment.
    Told,
    /// The database could not be asked.
    Away,
    /// Not within the time one is ready to wait.
    Late,
}

impl Leases {
    fn new() -> Leases {
        let (heard, _) = watch::channel(Heard { round: 0, well: true });
        Leases(Arc::new(Shared { demand: Mutex::default(), bell: Notify::new(), heard }))
    }

    /// Ask for so much of a limit, `least` of which are worth having, and wait for nothing. Says with which round it goes.
    pub fn ask(&self, scope: &ScopeId, reset: Option<Reset>, amount: Nano, least: Nano) -> u64 {
        let ask = if amount.0 > 0 { Ask::waiting(least.min(amount), amount, amount) } else { Ask::spare() };
        let spot = Spot { scope: scope.clone(), reset };
        let mut demand = self.demand();
        let round = demand.begun + 1;
        if demand.asks.len() < MOST || demand.asks.contains_key(&spot) {
            let before = demand.asks.entry(spot).or_default();
            *before = before.with(ask);
        }
        drop(demand);
        self.0.bell.notify_one();
        round
    }

    /// Wait until that round is over, but not for longer than this.
    pub async fn wait(&self, round: u64, patience: Duration) -> Answer {
        let mut heard = self.0.heard.subscribe();
        if !heard.borrow_and_update().well {
            return Answer::Away;
        }
        match timeout(patience, heard.wait_for(|heard| heard.round >= round)).await {
            Ok(Ok(heard)) if heard.well => Answer::Told,
            Ok(_) => Answer::Away,
            Err(_) => Answer::Late,
        }
    }

    fn demand(&self) -> MutexGuard<'_, Demand> {
        self.0.demand.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
