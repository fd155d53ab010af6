//! Verb 4, hold: take the place this request's record will have in the ledger's queue, before anything is spent. A congested ledger
//! pushes back here, at the door, rather than at the end. (Budgets will be held here too.)

use crate::App;
use crate::upstream::show;
use slip_ir::{Fault, FaultKind, Remedy};
use slip_store::Slot;
use std::time::Duration;

pub fn hold(app: &App) -> Result<Slot, Fault> {
    app.ledger.reserve().map_err(|_| {
        let mut fault = Fault::house(FaultKind::Busy, "the ledger is behind and new requests are held off; try again");
        fault.retry_after = Some(Duration::from_secs(1));
        fault
    })
}

/// The journal cannot be written: what would be asked of a provider could be lost.
pub fn unwritable() -> Fault {
    let says = "the journal cannot be written (is the disk full?), and nothing is sent that might not be accounted for";
    let mut fault = Fault::house(FaultKind::Busy, says);
    fault.retry_after = Some(Duration::from_secs(5));
    fault
}

/// `limits.max_concurrent` is reached.
pub fn full() -> Fault {
    let mut fault = Fault::house(FaultKind::Busy, "this gateway has as many requests as it takes at once; try again");
    fault.retry_after = Some(Duration::from_secs(1));
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
