//! What one round of a keeper says to the database, and what it hears.

use crate::spans::Span;
use slip_ir::Nano;
use slip_quota::keeper::{Ask, Told};

/// One round: everything a gateway has to say about its leases, in one transaction.
#[derive(Debug, Default)]
pub(crate) struct Round {
    pub gateway: String,
    pub epoch: i64,
    /// Grows. A round that comes after a later one changes nothing.
    pub number: i64,
    /// For how long the gateway may be silent from now on.
    pub lasts_ms: i64,
    pub items: Vec<Item>,
    /// Leases that are over, by scope and span.
    pub closed: Vec<(String, String)>,
}

/// A lease that is new, or has changed, or should.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// Whose: a word for what it is, and a name.
    pub kind: &'static str,
    pub name: String,
    pub scope: String,
    pub span: Span,
    pub limit: Nano,
    pub byok: bool,
    /// The budget need not be made.
    pub known: bool,
    /// What the database may have of an earlier lease is void.
    pub fresh: bool,
    pub allowed: Nano,
    pub used: Nano,
    pub ask: Ask,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Others have buried this gateway, and all its leases are void.
    pub fenced: bool,
    /// How many gateways there are.
    pub gateways: u32,
    /// Of each item, in their order. `None`: its budget has gone.
    pub told: Vec<Option<Told>>,
    /// Of these others want a part, by scope and span.
    pub wanted: Vec<(String, String)>,
}
