//! A server that answers as a log shows that it did: at about the same time, with what it said to the same request where it was
//! asked, and with something it said to another about then where it was not. Outages and limits of the log come back when they
//! came; others can be added.

use crate::run::Server;
use crate::site::limits::{Bucket, Limit, Tells};
use crate::site::{Arrival, Fate, Headroom, Script, Trouble, Used};
use crate::traffic::Call;
use fastrand::Rng;
use slip_ir::{Fault, FaultKind, Nano, Price, Remedy};
use slip_route::Health;
use slip_route::health::Answered;
use slip_route::plan::Sent;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// From so many answers around a moment one is drawn.
const NEAR: usize = 8;
/// So many of its answers are known to whoever begins, as a gateway knows what was usual before it was started again.
const KNOWN: usize = 50;
/// How long a closed port and a limit take to be heard of.
const REFUSED_MS: u64 = 4;
const LIMITED_MS: u64 = 40;

/// How one attempt ended.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seen {
    /// From the beginning of the log.
    pub at_ms: u64,
    /// Of which request of the log.
    pub request: u32,
    /// To the first content, or to the failure.
    pub ms: f64,
    /// Of what was written after it.
    pub ms_per_token: f64,
    pub fault: Option<FaultKind>,
    /// After its first content it broke off.
    pub broke: bool,
    /// The share of its prompt that was read from a cache.
    pub cached: f64,
    pub output: u64,
}

/// What is added to what the log shows.
#[derive(Clone, Debug, Default)]
pub struct Added {
    /// From, until.
    pub outages: Vec<(u64, u64)>,
    /// Requests a minute.
    pub limit: Option<f64>,
}

pub struct Past {
    /// In the order of time.
    seen: Vec<Seen>,
    /// What is left of the answers to each request.
    own: HashMap<u32, VecDeque<usize>>,
    price: Option<Price>,
    script: Script,
    limit: Option<Bucket>,
}

impl Past {
    pub fn new(mut seen: Vec<Seen>, price: Option<Price>, added: &Added) -> Past {
        seen.sort_by_key(|one| one.at_ms);
        let mut own: HashMap<u32, VecDeque<usize>> = HashMap::new();
        for (at, one) in seen.iter().enumerate() {
            own.entry(one.request).or_default().push_back(at);
        }
        let script = Script(added.outages.iter().map(|(from, to)| (*from, *to, Trouble::Refuses)).collect());
        let limit =
            added.limit.map(|requests| Bucket::new(Limit { requests, tokens: f64::MAX, tells: Tells::RetryAfter }));
        Past { seen, own, price, script, limit }
    }

    /// What is usual here, told to whoever begins to route.
    pub fn teach(&self, health: &Health, now_ms: u64) {
        for one in self.seen.iter().filter(|one| one.fault.is_none()).take(KNOWN) {
            let total = one.ms + one.ms_per_token * one.output as f64;
            health.begin(now_ms, 0);
            health.answered(
                now_ms,
                &Answered {
                    first_us: Some((one.ms * 1e3) as u64),
                    total_us: (total * 1e3) as u64,
                    prompt: 1_000,
                    cached: (one.cached * 1e3) as u64,
                    output: one.output,
                    ..Answered::default()
                },
            );
        }
    }

    /// What it said to this request, if it was asked and has not been asked again; else what it said to another about then.
    fn drawn(&mut self, now_ms: u64, request: Option<u32>, dice: &mut Rng) -> Seen {
        let own = request.and_then(|request| self.own.get_mut(&request)).and_then(VecDeque::pop_front);
        if let Some(one) = own.and_then(|at| self.seen.get(at)) {
            return *one;
        }
        let middle = self.seen.partition_point(|one| one.at_ms < now_ms);
        let (mut from, mut to) = (middle, middle);
        let far = |at: usize| self.seen.get(at).map_or(u64::MAX, |one| one.at_ms.abs_diff(now_ms));
        while to - from < NEAR.min(self.seen.len()) {
            let before = from.checked_sub(1).map_or(u64::MAX, far);
            if to >= self.seen.len() || before < far(to) { from -= 1 } else { to += 1 }
        }
        let near = self.seen.get(from..to).unwrap_or_default();
        near.get(dice.usize(..near.len().max(1))).copied().unwrap_or_default()
    }

    fn fate(&mut self, now_ms: u64, request: Option<u32>, call: &Call, dice: &mut Rng) -> Fate {
        let one = self.drawn(now_ms, request, dice);
        let first_ms = one.ms.max(0.0).round() as u64;
        if let Some(kind) = one.fault {
            let fault =
                Fault { status: Some(kind.status()), ..Fault::upstream(kind, remedy(kind), "as the log shows it") };
            return Fate::Fails { after_ms: first_ms, fault, sent: Sent::Rejected, billed: Nano(0) };
        }
        let (prompt, output) = (u64::from(call.prompt), u64::from(call.output));
        let cached = ((prompt as f64 * one.cached).round() as u64).min(prompt);
        let used = Used { fresh: prompt - cached, cached, output };
        let bill = |used: Used| self.price.as_ref().map_or(Nano(0), |price| price.cost(&used.usage()).total);
        let whole_ms = first_ms + (one.ms_per_token * output as f64).max(0.0).round() as u64;
        let read = bill(Used { output: 0, ..used });
        Fate::Flows { first_ms, whole_ms, broken: one.broke, used, billed: bill(used), read }
    }
}

/// What the caller must change is the same everywhere; what else went wrong may go well elsewhere.
fn remedy(kind: FaultKind) -> Remedy {
    match kind {
        FaultKind::BadRequest | FaultKind::TooLarge | FaultKind::Gone => Remedy::Stop,
        FaultKind::ContextTooLong | FaultKind::Moderated => Remedy::OtherModel,
        _ => Remedy::Elsewhere,
    }
}

impl Server for Past {
    fn arrive(&mut self, now_ms: u64, _: u32, request: u32, call: &Call, dice: &mut Rng) -> Arrival {
        if self.script.any(now_ms, |trouble| *trouble == Trouble::Refuses) {
            let fault = Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, "the provider could not be reached");
            return Arrival::Away { after_ms: REFUSED_MS, fault, sent: Sent::NotSent };
        }
        if let Some(Err(after)) = self.limit.as_mut().map(|limit| limit.take(now_ms, 0, 0)) {
            let fault = Fault::upstream(FaultKind::RateLimited, Remedy::Elsewhere, "too many requests");
            let retry_after = after.map(Duration::from_millis);
            let fault = Fault { status: Some(429), retry_after, ..fault };
            return Arrival::Away { after_ms: LIMITED_MS, fault, sent: Sent::Rejected };
        }
        Arrival::Served(self.fate(now_ms, Some(request), call, dice))
    }

    fn serve(&mut self, now_ms: u64, call: &Call, dice: &mut Rng) -> Fate {
        self.fate(now_ms, None, call, dice)
    }

    /// Nobody waits: how full it was is in how it answered.
    fn leave(&mut self) -> Option<u32> {
        None
    }

    fn forget(&mut self, _: u32) {}

    fn headroom(&mut self, _: u64) -> Option<Headroom> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn seen(at_s: u64, request: u32, fault: Option<FaultKind>) -> Seen {
        Seen { at_ms: at_s * 1_000, request, ms: at_s as f64, ms_per_token: 2.0, fault, ..Seen::default() }
    }

    fn call() -> Call {
        Call { at_ms: 0, prompt: 100, output: 10, blocks: Arc::new([]) }
    }

    fn comes(past: &mut Past, now_s: u64, request: u32) -> String {
        match past.arrive(now_s * 1_000, 0, request, &call(), &mut Rng::with_seed(1)) {
            Arrival::Served(Fate::Flows { first_ms, whole_ms, .. }) => format!("{first_ms}..{whole_ms}"),
            Arrival::Served(Fate::Fails { fault, .. }) | Arrival::Away { fault, .. } => fault.kind.reason().to_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn the_same_request_hears_what_it_heard_then_and_others_what_was_said_about_then() {
        let limited = Some(FaultKind::RateLimited);
        let all: Vec<Seen> = (0..100)
            .map(|s| seen(s, s as u32, limited.filter(|_| (40..60).contains(&s))))
            .chain([seen(7, 3, None)])
            .collect();
        let mut past = Past::new(all, None, &Added::default());
        assert_eq!(comes(&mut past, 90, 5), "5..25");
        assert_eq!(comes(&mut past, 3, 3), "3..23");
        assert_eq!(comes(&mut past, 3, 3), "7..27", "its second answer to the same request");
        let ms = |text: &str| text.split("..").next().and_then(|first| first.parse::<u64>().ok());
        assert!(ms(&comes(&mut past, 20, 1_000)).is_some_and(|ms| (16..=24).contains(&ms)));
        assert_eq!(comes(&mut past, 50, 1_000), "rate_limited", "the log's own limit comes back when it came");
        assert_eq!(comes(&mut Past::new(Vec::new(), None, &Added::default()), 5, 5), "0..0");
    }

    #[test]
    fn outages_and_limits_can_be_added() {
        let added = Added { outages: vec![(10_000, 20_000)], limit: Some(6.0) };
        let mut past = Past::new((0..30).map(|s| seen(s, 0, None)).collect(), None, &added);
        assert_ne!(comes(&mut past, 9, 1), "upstream_failed");
        assert_eq!(comes(&mut past, 10, 1), "upstream_failed");
        assert_ne!(comes(&mut past, 20, 1), "rate_limited");
        assert_eq!(comes(&mut past, 21, 1), "rate_limited", "one in ten seconds");
    }
}
