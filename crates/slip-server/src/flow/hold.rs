//! Verb 4, hold: leave to go on by every limit of the caller, and the place this request's record will have in the ledger's queue,
//! before anything is spent. A congested ledger pushes back here, at the door, rather than at the end. Money is held for each attempt,
//! when it is known what that may cost: `afford.rs`.

use crate::App;
use crate::clock;
use crate::flow::admit::Caller;
use crate::upstream::show;
use slip_ir::{Dialect, Fault, FaultKind, Remedy, Want};
use slip_quota::{Class, Kind, Pass, Rate, Refused, Scope};
use slip_store::{ScopeId, Slot, Standing};
use std::time::Duration;

/// Tokens of an answer that are counted against a limit per minute before it is known how many come.
const ANSWER: u64 = 256;

/// What was got.
pub struct Hold {
    pub slot: Slot,
    /// Absent where nobody counts.
    pub pass: Option<Pass>,
}

pub fn hold(app: &App, caller: &Caller, want: &Want) -> Result<Hold, Fault> {
    let standing = caller.key().map(|key| app.store.standing(key));
    let pass = match &standing {
        None => None,
        Some(standing) => {
            let admitted = standing.quota.admit(clock::unix_ms_signed(), tokens(want));
            Some(admitted.map_err(|refused| too_many(&refused, standing))?)
        }
    };
    let slot = app.ledger.reserve(standing).map_err(|_| {
        let mut fault = Fault::house(FaultKind::Busy, "the ledger is behind and new requests are held off; try again");
        fault.retry_after = Some(Duration::from_secs(1));
        fault
    })?;
    Ok(Hold { slot, pass })
}

/// What a request is thought to use of the tokens of a minute.
pub fn tokens(want: &Want) -> u64 {
    want.prompt_tokens + want.max_tokens.unwrap_or(ANSWER).min(ANSWER)
}

/// What is left of the caller's limits per minute, for the reply's head: of several the one that leaves least.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    pub requests: Option<Leeway>,
    pub tokens: Option<Leeway>,
    /// When this was so, in Unix milliseconds.
    pub at_ms: i64,
    /// The caller's library reads Anthropic's names for it.
    pub as_anthropic: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct Leeway {
    pub limit: u64,
    pub remaining: u64,
    /// Until all of it is there again.
    pub resets: Duration,
}

impl Limits {
    /// `None` where nothing is limited. `dialect` is the caller's, by its name.
    pub fn of(standing: &Standing, dialect: &str) -> Option<Limits> {
        let now = clock::unix_ms_signed();
        let least = |rate: fn(&Scope) -> &Rate| {
            let every = standing.quota.scopes().iter().map(|scope| rate(scope)).filter_map(|rate| {
                let limit = rate.limit()?;
                let resets = Duration::from_millis(rate.resets_in(now));
                Some(Leeway { limit, remaining: rate.remaining(now)?, resets })
            });
            every.min_by_key(|leeway| leeway.remaining)
        };
        let (requests, tokens) = (least(|scope| &scope.requests), least(|scope| &scope.tokens));
        let limits = Limits { requests, tokens, at_ms: now, as_anthropic: dialect == Dialect::Anthropic.name() };
        (limits.requests.is_some() || limits.tokens.is_some()).then_some(limits)
    }
}

/// A limit per minute, or of requests at once, is reached.
fn too_many(refused: &Refused, standing: &Standing) -> Fault {
    let whose = standing.ids.get(refused.scope).unwrap_or(&ScopeId::Instance);
    let (limit, what) = (refused.limit, refused.kind.name());
    let after = match (refused.kind, refused.retry_after_ms) {
        // Somebody is about to leave.
        (Kind::Concurrency, _) => Duration::from_secs(1),
        (_, Some(ms)) => Duration::from_millis(ms),
        (_, None) => {
            let says = format!(
                "this request has more tokens than this {whose} may use in a whole minute ({limit}): make it shorter"
            );
            return Fault::caller(FaultKind::TooLarge, says);
        }
    };
    let says = format!("the limit of this {whose} is reached: {limit} {what}; try again in {}", show(after));
    let mut fault = Fault::caller(FaultKind::RateLimited, says);
    fault.retry_after = Some(after);
    fault
}

/// The journal cannot be written: what would be asked of a provider could be lost.
pub fn unwritable() -> Fault {
    let says = "the journal cannot be written (is the disk full?), and nothing is sent that might not be accounted for";
    let mut fault = Fault::house(FaultKind::Busy, says);
    fault.retry_after = Some(Duration::from_secs(5));
    fault
}

/// `limits.max_concurrent` is reached, and it was not waited for, or by as many as may.
pub fn full() -> Fault {
    let mut fault = Fault::house(FaultKind::Busy, "this gateway has as many requests as it takes at once; try again");
    fault.retry_after = Some(Duration::from_secs(1));
    fault
}

/// The same, and it waited in vain.
pub fn late(class: Class) -> Fault {
    let says = "this gateway has as many requests as it takes at once, and this one has waited as long as";
    let mut fault = Fault::house(FaultKind::Busy, format!("{says} {} requests may; try again", class.name()));
    fault.retry_after = Some(Duration::from_secs(2));
    fault
}

pub fn draining() -> Fault {
    let mut fault = Fault::house(FaultKind::Busy, "this gateway is shutting down; try again");
    fault.retry_after = Some(Duration::from_secs(2));
    fault
}

/// The drain is over, and with it whatever still runs.
pub fn cut() -> Fault {
    Fault::house(FaultKind::Busy, "this gateway is shutting down and the answer was cut; ask again")
}

pub fn out_of_time(total: Duration) -> Fault {
    Fault::upstream(FaultKind::UpstreamTimeout, Remedy::Stop, format!("no provider answered within {}", show(total)))
}
