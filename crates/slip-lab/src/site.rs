//! A simulated endpoint: what it charges, how fast it is, what it can bear, what goes wrong with it and when.

use crate::dice;
use crate::traffic::{BLOCK, Call};
use fastrand::Rng;
use slip_ir::{Fault, FaultKind, Nano, Pico, Price, Rates, Remedy, Usage};
use slip_route::plan::Sent;
use std::collections::VecDeque;
use std::time::Duration;

pub mod limits;
pub mod prefixes;
pub mod trouble;

pub use limits::{Headroom, Limit, Tells};
pub use prefixes::Prefixes;
pub use trouble::{Script, Trouble};

/// How long a refusal takes to arrive: a closed port, a limit, an error.
const REFUSED_MS: u64 = 4;
const LIMITED_MS: u64 = 40;
const ERROR_MS: u64 = 150;
/// A place fully taken serves each of its requests this much slower than an idle one.
const LOADED: f64 = 0.6;
/// How the speed of answers varies (deviation of its logarithm).
const SPEED_SIGMA: f64 = 0.15;

/// What an endpoint is like on a good day.
#[derive(Clone, Debug)]
pub struct Site {
    pub name: &'static str,
    /// Millionths of a dollar per million tokens would be too fine: thousandths. In, out, read from the cache.
    pub milli_dollars: [u64; 3],
    /// Time to first content of a short prompt on an idle machine: median, and the deviation of its logarithm.
    pub ttft_ms: f64,
    pub spread: f64,
    /// Tokens a second: prompt read, answer written.
    pub reads: f64,
    pub writes: f64,
    /// Requests served at once, and waiting beyond those.
    pub slots: u32,
    pub queue: u32,
    pub limit: Option<Limit>,
    /// Blocks of prompts it remembers, and for how long.
    pub cache: Option<(usize, u64)>,
    pub script: Script,
}

impl Site {
    pub fn price(&self) -> Price {
        let [input, output, cached] = self.milli_dollars.map(|m| Pico(m * 1_000));
        Price { rates: Rates { input, output, cache_read: Some(cached), ..Rates::default() }, ..Price::default() }
    }
}

/// Tokens of one call: read afresh, read from the cache, written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    pub fresh: u64,
    pub cached: u64,
    pub output: u64,
}

impl Used {
    pub fn usage(&self) -> Usage {
        Usage { input: self.fresh, cache_read: self.cached, output: self.output, ..Usage::default() }
    }
}

/// What a call at a site will come to, decided when it arrives. Times are from then.
#[derive(Clone, Debug)]
pub enum Fate {
    /// It ends here, without content.
    Fails { after_ms: u64, fault: Fault, sent: Sent, billed: Nano },
    /// Content, and then the end or a break. `read` is what the prompt alone is billed.
    Flows { first_ms: u64, whole_ms: u64, broken: bool, used: Used, billed: Nano, read: Nano },
    /// It takes the call and never says a word.
    Hangs { billed: Nano },
}

/// What happens to a call that was just sent.
#[derive(Debug)]
pub enum Arrival {
    /// It has a place. The place is held until [`Running::leave`].
    Served(Fate),
    /// It waits; [`Running::leave`] of another gives it its place.
    Waits,
    /// It was turned away, and holds nothing.
    Away { after_ms: u64, fault: Fault, sent: Sent },
}

/// A site while a simulation runs.
#[derive(Debug)]
pub struct Running {
    pub site: Site,
    price: Price,
    limits: Option<limits::Bucket>,
    prefixes: Option<Prefixes>,
    busy: u32,
    waiting: VecDeque<u32>,
}

impl Running {
    pub fn new(site: Site) -> Running {
        Running {
            price: site.price(),
            limits: site.limit.map(limits::Bucket::new),
            prefixes: site.cache.map(|(blocks, ttl)| Prefixes::new(blocks, ttl)),
            busy: 0,
            waiting: VecDeque::new(),
            site,
        }
    }

    /// A try comes in.
    pub fn arrive(&mut self, now_ms: u64, attempt: u32, call: &Call, dice: &mut Rng) -> Arrival {
        let away = |after_ms, fault, sent| Arrival::Away { after_ms, fault, sent };
        let script = &self.site.script;
        if script.any(now_ms, |t| matches!(t, Trouble::Refuses)) {
            let fault = upstream(FaultKind::Upstream, Remedy::Elsewhere, "the provider could not be reached");
            return away(REFUSED_MS, fault, Sent::NotSent);
        }
        if script.errors(now_ms) > dice.f64() {
            let fault = Fault { status: Some(500), ..upstream(FaultKind::Upstream, Remedy::Again, "internal error") };
            return away(ERROR_MS, fault, Sent::Rejected);
        }
        if let Some(bucket) = &mut self.limits
            && let Err(after) = bucket.take(now_ms, u64::from(call.prompt), u64::from(call.output))
        {
            let fault = upstream(FaultKind::RateLimited, Remedy::Elsewhere, "too many requests");
            let retry_after = after.map(Duration::from_millis);
            return away(LIMITED_MS, Fault { status: Some(429), retry_after, ..fault }, Sent::Rejected);
        }
        if self.busy < self.site.slots {
            self.busy += 1;
            return Arrival::Served(self.serve(now_ms, call, dice));
        }
        if (self.waiting.len() as u32) < self.site.queue {
            self.waiting.push_back(attempt);
            return Arrival::Waits;
        }
        let fault = Fault { status: Some(503), ..upstream(FaultKind::Overloaded, Remedy::Again, "over capacity") };
        away(LIMITED_MS, fault, Sent::Rejected)
    }

    /// One that was served is done, or was given up: its place goes to the first who waits, whose number is given back. Whoever
    /// asks then calls [`Running::serve`] for it.
    pub fn leave(&mut self) -> Option<u32> {
        match self.waiting.pop_front() {
            Some(next) => Some(next),
            None => {
                self.busy -= 1;
                None
            }
        }
    }

    /// One that waits is given up.
    pub fn forget(&mut self, attempt: u32) {
        self.waiting.retain(|a| *a != attempt);
    }

    /// What comes of a call that has its place.
    pub fn serve(&mut self, now_ms: u64, call: &Call, dice: &mut Rng) -> Fate {
        let cached = self.prefixes.as_mut().map_or(0, |p| p.hit(now_ms, &call.blocks));
        let cached = (cached as u32).saturating_mul(BLOCK).min(call.prompt);
        let script = &self.site.script;
        let load = 1.0 + LOADED * f64::from(self.busy) / f64::from(self.site.slots.max(1));
        let slow = load * script.slowness(now_ms);
        let ttft = dice::log_normal(self.site.ttft_ms, self.site.spread, dice);
        let reading = f64::from(call.prompt - cached) / self.site.reads * 1000.0;
        let writing = f64::from(call.output) / self.site.writes * 1000.0 * dice::log_normal(1.0, SPEED_SIGMA, dice);
        let first_ms = ((ttft + reading) * slow).max(1.0) as u64;
        let all =
            Used { fresh: u64::from(call.prompt - cached), cached: u64::from(cached), output: u64::from(call.output) };
        let dearness = script.dearness(now_ms);
        let bill = |used: Used| Nano((self.price.cost(&used.usage()).total.0 as f64 * dearness) as i64);
        let read = bill(Used { output: 0, ..all });
        if script.share(now_ms, |t| if let Trouble::Hangs(share) = t { Some(*share) } else { None }) > dice.f64() {
            return Fate::Hangs { billed: read };
        }
        if script.share(now_ms, |t| if let Trouble::SaysError(share) = t { Some(*share) } else { None }) > dice.f64() {
            let fault = upstream(FaultKind::Upstream, Remedy::Elsewhere, "the provider's stream failed");
            return Fate::Fails { after_ms: first_ms, fault, sent: Sent::Rejected, billed: read };
        }
        let broken =
            script.share(now_ms, |t| if let Trouble::Cuts(share) = t { Some(*share) } else { None }) > dice.f64();
        let part = if broken { dice.f64() } else { 1.0 };
        let used = Used { output: (f64::from(call.output) * part) as u64, ..all };
        let whole_ms = first_ms + (writing * slow * part) as u64;
        Fate::Flows { first_ms, whole_ms, broken, billed: bill(used), read, used }
    }

    /// What its headers tell of its limits.
    pub fn headroom(&mut self, now_ms: u64) -> Option<Headroom> {
        self.limits.as_mut()?.headroom(now_ms)
    }
}

fn upstream(kind: FaultKind, remedy: Remedy, says: &'static str) -> Fault {
    Fault::upstream(kind, remedy, says)
}

#[cfg(test)]
mod tests;
