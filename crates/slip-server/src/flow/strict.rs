//! `provider.require_parameters`: an endpoint that would lose something the caller asked for is not used, and the refusal says what.

use crate::upstream::{Failed, Sent};
use slip_ir::{Fault, FaultKind, Loss, Origin, Remedy};
use slip_route::{Endpoint, Refusal};

/// Endpoints an error names before it only counts them, and losses of one.
const NAMED: usize = 40;
const LOSSES: usize = 8;

#[derive(Default)]
pub struct Strict {
    on: bool,
    /// Who was ruled out before the plan was made.
    ruled_out: Vec<Refusal>,
    /// Who turned out to lose something, and what.
    unfit: Vec<String>,
}

impl Strict {
    pub fn new(on: bool, refusals: Vec<Refusal>) -> Strict {
        Strict { on, ruled_out: if on { refusals } else { Vec::new() }, unfit: Vec::new() }
    }

    pub fn is_on(&self) -> bool {
        self.on
    }

    /// These were ruled out before.
    pub fn rule_out(&mut self, refusals: Vec<Refusal>) {
        if self.on {
            self.ruled_out = refusals;
        }
    }

    /// May a request that loses this go out? Nothing has been sent yet.
    pub fn check(&mut self, endpoint: &Endpoint, losses: &[Loss]) -> Result<(), Failed> {
        if !self.on || losses.is_empty() {
            return Ok(());
        }
        let lost: Vec<String> = losses
            .iter()
            .filter(|loss| loss.counts())
            .take(LOSSES)
            .map(|loss| format!("{} ({})", loss.what, loss.why))
            .collect();
        if lost.is_empty() {
            return Ok(());
        }
        let says = format!("provider.require_parameters is true, and it would lose {}", lost.join(", "));
        let unfit = format!("{endpoint}: {says}");
        if self.unfit.len() < NAMED && !self.unfit.contains(&unfit) {
            self.unfit.push(unfit);
        }
        Err(Failed {
            fault: Fault::new(FaultKind::NoEndpoint, Origin::House, Remedy::Elsewhere, says),
            sent: Sent::NotSent,
        })
    }

    /// What the caller hears when the plan is at its end with `fault`.
    pub fn last_word(&self, fault: Fault) -> Fault {
        if self.unfit.is_empty() || fault.kind != FaultKind::NoEndpoint {
            return fault;
        }
        let mut says = "No endpoints found that can handle the requested parameters".to_owned();
        let all = self.unfit.iter().cloned().chain(self.ruled_out.iter().map(ToString::to_string));
        for (at, one) in all.take(NAMED).enumerate() {
            says.push_str(if at == 0 { ". " } else { "; " });
            says.push_str(&one);
        }
        Fault::caller(FaultKind::NoEndpoint, says)
    }
}
