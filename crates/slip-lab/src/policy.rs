//! What a balancer is, seen from the simulation: it says whom to try, and is told what came of it.

use crate::site::{Headroom, Site, Used};
use crate::traffic::Call;
use fastrand::Rng;
use slip_ir::{Fault, Nano, Want};
use slip_route::plan::Sent;

/// What to do for a request now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The site of this place in the fleet.
    Try(usize),
    /// Ask again in so many milliseconds.
    Wait(u64),
    Stop,
}

/// A request that wants a site.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    pub now_ms: u64,
    pub request: u32,
    pub call: &'a Call,
    /// Sites it was tried at, in order.
    pub past: &'a [usize],
}

/// A try that had content: at its end.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    pub request: u32,
    pub site: usize,
    pub began_ms: u64,
    pub first_ms: u64,
    pub used: Used,
    pub cost: Nano,
    /// It broke off.
    pub broken: bool,
}

/// A try that had none.
#[derive(Clone, Copy, Debug)]
pub struct Failed<'a> {
    pub request: u32,
    pub site: usize,
    pub began_ms: u64,
    pub fault: &'a Fault,
    pub sent: Sent,
}

/// One policy at work in one run.
pub trait Policy {
    fn next(&mut self, moment: &Moment<'_>, dice: &mut Rng) -> Step;

    /// A try goes out.
    fn began(&mut self, _now_ms: u64, _site: usize) {}
    /// Its first content came.
    fn first(&mut self, _now_ms: u64, _request: u32, _site: usize, _ttft_ms: u64) {}
    fn ended(&mut self, _now_ms: u64, _ended: &Ended) {}
    fn failed(&mut self, _now_ms: u64, _failed: &Failed<'_>) {}
    /// What an answer's or a refusal's headers told.
    fn headers(&mut self, _now_ms: u64, _site: usize, _headroom: &Headroom) {}
    /// A request is over, however it ended.
    fn closed(&mut self, _request: u32) {}
}

/// What everybody may know of the providers beforehand: how many there are, and their list prices.
#[derive(Clone, Debug)]
pub struct Tariff(Vec<slip_ir::Price>);

impl Tariff {
    pub fn of(fleet: &[Site]) -> Tariff {
        Tariff(fleet.iter().map(Site::price).collect())
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a call is expected to cost at each, by the gateway's own estimate: nobody knows how long an answer will be.
    pub fn quotes(&self, call: &Call) -> Vec<i64> {
        let want = want(call);
        self.0.iter().map(|price| slip_route::eligible::estimate(price, &want).0).collect()
    }
}

/// A call as routing sees it.
pub fn want(call: &Call) -> Want {
    Want { stream: true, prompt_tokens: u64::from(call.prompt), n: 1, ..Want::default() }
}

/// A blank note for each site of a fleet.
pub fn notes<T: Clone + Default>(fleet: &[Site]) -> Vec<T> {
    vec![T::default(); fleet.len()]
}

/// Sites not tried yet.
pub fn untried(count: usize, past: &[usize]) -> Vec<usize> {
    (0..count).filter(|site| !past.contains(site)).collect()
}

/// The first of those or, where there is none, the end.
pub fn or_stop(site: Option<usize>) -> Step {
    site.map_or(Step::Stop, Step::Try)
}
