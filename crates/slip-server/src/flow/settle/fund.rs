//! The money of a request while it is under way: held before each attempt, more of it as a stream goes on, and settled with its record.

use super::Book;
use crate::clock;
use crate::flow::afford::{self, Bill, QUANTUM};
use crate::flow::lend;
use slip_ir::{Fault, Nano, Want};
use slip_route::Attempt;

/// The money that is held for an answer.
pub(super) struct Fund {
    bill: Bill,
    /// Tokens of the answer it is held for.
    covers: u64,
    /// No more is to be had.
    last: bool,
}

impl Book {
    /// Hold the money an attempt may cost, or as much as there is if that pays for an answer worth having. Says how many tokens the
    /// answer may have, where that is fewer than are asked for.
    pub async fn afford(&mut self, attempt: &Attempt, want: &Want, stream: bool) -> Result<Option<u64>, Fault> {
        self.fund = None;
        let app = self.in_flight.app();
        let Some(slot) = self.slot.as_mut().filter(|_| self.capped) else { return Ok(None) };
        let Some(standing) = slot.standing().cloned() else { return Ok(None) };
        let (endpoint, byok) = (&attempt.endpoint, attempt.holder.is_own());
        if lend::left(&standing, byok).is_none() {
            let held = slot.hold(Nano(0), Nano(0), byok, clock::moment());
            held.map_err(|denied| afford::too_little(&denied, &standing))?;
            return Ok(None);
        }
        let price = endpoint.price.as_ref().ok_or_else(afford::unpriced)?;
        let bill = Bill::of(endpoint, price, want, stream);
        let began = clock::now();
        if lend::is_lent(app) {
            // Boxed because it is rare: it must not be room that every request carries.
            Box::pin(lend::ready(app, &standing, bill.least(), byok, began)).await;
        }
        let left = || lend::left(&standing, byok).unwrap_or(Nano(i64::MAX));
        let mut full = bill.cost(bill.first);
        if !stream && want.max_tokens.is_none() {
            // Who does not say how long its answer may be leaves something for others who ask at the same time.
            full = full.min(bill.cost(bill.first.min(QUANTUM)).max(Nano(left().0 / 4)));
        }
        let held = match lend::hold_at_once(app, slot, full, bill.least(), byok) {
            Some(held) => held?,
            None => Box::pin(lend::hold(app, slot, full, bill.least(), byok, began)).await?,
        };
        if price.is_free() || bill.longest == 0 {
            return Ok(None);
        }
        let covers = bill.affords(held).min(bill.first);
        // What a stream goes on to use is held as it goes on.
        let most = if stream { bill.affords(held + left()) } else { covers };
        let asked = want.max_tokens.or(endpoint.max_output);
        let enough = asked.is_some_and(|asked| most >= asked) || stream && most >= bill.longest;
        self.fund = stream.then_some(Fund { bill, covers, last: false });
        Ok((!enough).then_some(most.max(1)))
    }

    /// Whether money is held for its answer as that goes on.
    pub fn is_funded(&self) -> bool {
        self.fund.is_some()
    }

    /// The answer has so many tokens by now: hold money for more. `Err` when it has to end here.
    pub fn says(&mut self, tokens: u64) -> Result<(), Fault> {
        let (Some(fund), Some(slot)) = (&mut self.fund, &mut self.slot) else { return Ok(()) };
        // A quarter of what is held is left for what comes while this is asked.
        let soon = fund.covers.saturating_sub(QUANTUM / 4);
        if tokens < if fund.last { fund.covers } else { soon } {
            return Ok(());
        }
        let more = fund.covers.max(tokens) + QUANTUM;
        let want = Nano(fund.bill.cost(more).0.saturating_sub(fund.bill.cost(fund.covers).0));
        match slot.top_up(want, want, clock::moment()) {
            Ok(_) => fund.covers = more,
            Err(denied) => {
                let Some(standing) = slot.standing() else { return Ok(()) };
                let fault = lend::top_up(self.in_flight.app(), standing, &denied, want);
                if tokens < fund.covers {
                    // Where more may come it is asked for again, as long as what is held lasts.
                    fund.last = fault.is_some();
                    return Ok(());
                }
                let fault = fault.unwrap_or_else(lend::unsure);
                return Err(Fault { says: format!("budget exhausted: {}", fault.says).into(), ..fault });
            }
        }
        Ok(())
    }
}
