//! Everything since the process began, for metrics: exact and never going down.

use super::Answered;
use slip_ir::FaultKind;
use std::sync::atomic::{AtomicU64, Ordering};

/// What an attempt came to, coarse enough for a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Ok,
    /// It broke off after its first content.
    Broken,
    RateLimited,
    Overloaded,
    Timeout,
    /// Unreachable, an error of its own, or nonsense.
    Failed,
    /// It refused our credential, or our account is out of money.
    Account,
    /// The model is not there.
    NoModel,
    /// What the caller sent cannot work there.
    Caller,
}

impl Class {
    pub const ALL: [Class; 9] = [
        Class::Ok,
        Class::Broken,
        Class::RateLimited,
        Class::Overloaded,
        Class::Timeout,
        Class::Failed,
        Class::Account,
        Class::NoModel,
        Class::Caller,
    ];

    pub const fn of(kind: FaultKind) -> Class {
        match kind {
            FaultKind::RateLimited => Class::RateLimited,
            FaultKind::Overloaded | FaultKind::Busy => Class::Overloaded,
            FaultKind::UpstreamTimeout => Class::Timeout,
            FaultKind::Upstream | FaultKind::Internal => Class::Failed,
            FaultKind::UpstreamAuth | FaultKind::UpstreamQuota => Class::Account,
            FaultKind::UnknownModel | FaultKind::NotFound => Class::NoModel,
            _ => Class::Caller,
        }
    }

    /// The word in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Class::Ok => "ok",
            Class::Broken => "broken",
            Class::RateLimited => "rate_limited",
            Class::Overloaded => "overloaded",
            Class::Timeout => "timeout",
            Class::Failed => "failed",
            Class::Account => "account",
            Class::NoModel => "no_model",
            Class::Caller => "caller",
        }
    }
}

#[derive(Default)]
pub struct Totals {
    classes: [AtomicU64; 9],
    prompt: AtomicU64,
    cached: AtomicU64,
    output: AtomicU64,
    cost: AtomicU64,
    calls: AtomicU64,
    bad_calls: AtomicU64,
}

impl Totals {
    fn class(&self, class: Class) -> Option<&AtomicU64> {
        self.classes.get(class as usize)
    }

    pub(super) fn failed(&self, class: Class) {
        if let Some(count) = self.class(class) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn answered(&self, reply: &Answered) {
        self.failed(if reply.broke { Class::Broken } else { Class::Ok });
        for (cell, amount) in [
            (&self.prompt, reply.prompt),
            (&self.cached, reply.cached),
            (&self.output, reply.output),
            (&self.cost, reply.cost),
        ] {
            if amount > 0 {
                cell.fetch_add(amount, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn called(&self, bad: bool) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.bad_calls.fetch_add(u64::from(bad), Ordering::Relaxed);
    }

    pub fn of(&self, class: Class) -> u64 {
        self.class(class).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    pub fn attempts(&self) -> u64 {
        Class::ALL.into_iter().map(|class| self.of(class)).sum()
    }

    pub fn prompt_tokens(&self) -> u64 {
        self.prompt.load(Ordering::Relaxed)
    }

    pub fn cached_tokens(&self) -> u64 {
        self.cached.load(Ordering::Relaxed)
    }

    pub fn output_tokens(&self) -> u64 {
        self.output.load(Ordering::Relaxed)
    }

    /// Nano-USD.
    pub fn cost(&self) -> u64 {
        self.cost.load(Ordering::Relaxed)
    }

    /// Replies that called tools, and those of them with a call that could not be used.
    pub fn tool_calls(&self) -> (u64, u64) {
        (self.calls.load(Ordering::Relaxed), self.bad_calls.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_a_place_and_a_name_of_its_own() {
        let totals = Totals::default();
        for (at, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, at);
            totals.failed(class);
            assert_eq!(Class::ALL.iter().filter(|c| c.name() == class.name()).count(), 1);
        }
        assert!(Class::ALL.into_iter().all(|class| totals.of(class) == 1));
        assert_eq!(totals.attempts(), 9);
    }
}
