//! Every strategy of slip-route, through the code the gateway runs: `choose`, the plan's own steps, and the live statistics that
//! are written after every attempt. What is the server's around them (whom a conversation used before, the right to retry) is
//! done here as it is there.

use super::Entry;
use crate::policy::{Ended, Failed, Moment, Policy, Step, want};
use crate::site::{Headroom, Site};
use fastrand::Rng;
use slip_ir::{Dialect, Fault, FaultKind, Op, Ops, Origin, Remedy, Want};
use slip_route::health::{Allowance, Answered, Health, Left, Waiting};
use slip_route::plan::{self, Sent};
use slip_route::{
    Ask, Attempt, Catalog, Declared, Endpoint, Field, Instance, Metric, Percentiles, Plan, ProviderSeat, Rules,
    STRATEGIES, Sticky, View, Vital, Vitals, choose, strategy,
};
use std::collections::HashMap;
use std::sync::Arc;

const MODEL: &str = "lab/model";
/// How long a conversation is remembered, and how long a prompt must be: `slip-server`'s.
const STAYS_MS: u64 = 600_000;
const LEAST_CACHED: u64 = 1_024;
/// A simulation begins at zero, which to live statistics means never.
const DAWN_MS: u64 = 1_700_000_000_000;

/// A row for each strategy, the default first.
pub fn entries() -> impl Iterator<Item = Entry> {
    STRATEGIES.iter().map(|s| Entry {
        name: s.name(),
        about: s.about(),
        ours: true,
        make: |fleet, name| Box::new(Ours::new(fleet, name)),
    })
}

/// What routing is asked for one request.
#[derive(Clone, Debug, Default)]
pub struct Question {
    pub ask: Ask,
    pub want: Want,
    /// The same for all turns of one conversation.
    pub conversation: Option<u64>,
}

type Asking<'a> = Box<dyn Fn(&Moment<'_>) -> Question + 'a>;
/// Endpoints by their keys, and instances.
type Places = HashMap<(u64, u32), usize>;

pub struct Ours<'a> {
    field: Arc<Field>,
    asking: Asking<'a>,
    /// By the place of the site.
    health: Vec<Health>,
    /// Whether it caches prompts without being told to, and reading them is cheaper.
    caches: Vec<bool>,
    places: Places,
    /// When the simulation begins.
    dawn_ms: u64,
    open: HashMap<u32, Open>,
    conversations: HashMap<u64, (Sticky, u64)>,
    turn: u64,
}

/// A request on its way.
struct Open {
    plan: Plan,
    attempt: Option<Attempt>,
    waiting: Option<Waiting>,
    conversation: Option<u64>,
}

/// The statistics at a moment.
struct At<'a>(&'a [Health], &'a Places, u64);

impl At<'_> {
    fn health(&self, endpoint: u64, instance: u32) -> Option<&Health> {
        self.0.get(*self.1.get(&(endpoint, instance))?)
    }
}

impl Vitals for At<'_> {
    fn read(&self, endpoint: u64, instance: u32, into: &mut Vital) {
        *into = self.health(endpoint, instance).map(|health| health.vital(self.2)).unwrap_or_default();
    }

    fn percentiles(&self, endpoint: u64, instance: u32, metric: Metric) -> Option<Percentiles> {
        self.health(endpoint, instance)?.percentiles(metric, self.2)
    }
}

/// The sites of a field: every endpoint through each of its instances.
pub fn sites(field: &Field) -> Vec<(Arc<Endpoint>, Instance)> {
    let through = |endpoint: &Arc<Endpoint>| {
        endpoint.pool.iter().map(|instance| (endpoint.clone(), *instance)).collect::<Vec<_>>()
    };
    field.endpoints().iter().flat_map(through).collect()
}

impl<'a> Ours<'a> {
    pub fn new(fleet: &[Site], strategy: &str) -> Ours<'static> {
        let rules = Rules { balancer: strategy::find(strategy), ..Rules::default() };
        let ask = Ask { models: vec![MODEL.to_owned()], rules, ..Ask::default() };
        let asking = move |moment: &Moment<'_>| Question {
            ask: ask.clone(),
            want: want(moment.call),
            conversation: moment.call.conversation(),
        };
        let caches = fleet.iter().map(|site| site.cache.is_some()).collect();
        Ours::over(Arc::new(field(fleet)), caches, DAWN_MS, Box::new(asking))
    }

    /// Over a field of one's own, whose sites are numbered as [`sites`] lists them.
    pub fn over(field: Arc<Field>, caches: Vec<bool>, dawn_ms: u64, asking: Asking<'a>) -> Ours<'a> {
        let sites = sites(&field);
        Ours {
            health: sites.iter().map(|_| Health::default()).collect(),
            caches,
            places: sites.iter().enumerate().map(|(at, (e, i))| ((e.key, i.id), at)).collect(),
            field,
            asking,
            dawn_ms,
            open: HashMap::new(),
            conversations: HashMap::new(),
            turn: 0,
        }
    }

    /// What is known of a site before the first call.
    pub fn health(&self, site: usize) -> Option<&Health> {
        self.health.get(site)
    }

    fn start(&mut self, moment: &Moment<'_>, now: u64, dice: &mut Rng) -> Option<()> {
        self.turn += 1;
        let Question { ask, want, conversation } = (self.asking)(moment);
        let before = conversation.and_then(|key| self.conversations.get(&key));
        let vitals = At(&self.health, &self.places, now);
        let view = View {
            vitals: &vitals,
            turn: self.turn,
            affinity: conversation,
            sticky: before.filter(|(_, until)| *until > now).map(|(sticky, _)| *sticky),
        };
        let plan = choose(&self.field, &ask, &want, &view, now, dice).ok()?.plan;
        self.open.insert(moment.request, Open { plan, attempt: None, waiting: None, conversation });
        Some(())
    }
}

/// A provider a site, each with one key.
fn field(fleet: &[Site]) -> Field {
    let seat = |(at, site): (usize, &Site)| ProviderSeat {
        slug: site.name.to_owned(),
        name: site.name.to_owned(),
        dialect: Dialect::OpenAiChat,
        policy: Default::default(),
        ops: Ops::of(Op::ALL),
        instances: vec![Instance { id: at as u32, weight: 1 }],
        only_declared: true,
        models: vec![Declared { id: MODEL.to_owned(), price: Some(site.price()), ..Declared::default() }],
    };
    let seats = fleet.iter().enumerate().map(seat).collect();
    Field::build(&Catalog::default(), seats, Vec::new()).unwrap_or_default()
}

impl Policy for Ours<'_> {
    fn next(&mut self, moment: &Moment<'_>, dice: &mut Rng) -> Step {
        let (now, request) = (self.dawn_ms + moment.now_ms, moment.request);
        if !self.open.contains_key(&request) && self.start(moment, now, dice).is_none() {
            return Step::Stop;
        }
        let Some(open) = self.open.get_mut(&request) else { return Step::Stop };
        loop {
            match open.plan.next(now, &At(&self.health, &self.places, now)) {
                plan::Step::Wait(pause) => return Step::Wait(pause.as_millis() as u64),
                plan::Step::Full | plan::Step::Stop(_) => return Step::Stop,
                plan::Step::Try(attempt) => {
                    let site = self.places.get(&(attempt.endpoint.key, attempt.instance.id)).copied();
                    let Some((site, health)) = site.and_then(|at| Some((at, self.health.get(at)?))) else {
                        return Step::Stop;
                    };
                    if attempt.number > 1 && !health.may_retry(now) {
                        let says = "so many of its requests were retries lately that no more are sent";
                        let fault = Fault::new(FaultKind::NoEndpoint, Origin::House, Remedy::Elsewhere, says);
                        open.plan.failed(&attempt, &fault, Sent::NotSent, now);
                        continue;
                    }
                    if attempt.number == 1 {
                        health.first_try(now);
                    }
                    health.begin(now, u64::from(moment.call.prompt));
                    open.waiting = Some(health.waits(now));
                    open.attempt = Some(attempt);
                    return Step::Try(site);
                }
            }
        }
    }

    fn ended(&mut self, now_ms: u64, ended: &Ended) {
        let now = self.dawn_ms + now_ms;
        let Some(health) = self.health.get(ended.site) else { return };
        let prompt = ended.used.fresh + ended.used.cached;
        health.answered(
            now,
            &Answered {
                heard: true,
                first_us: Some((ended.first_ms - ended.began_ms) * 1_000),
                total_us: (now_ms - ended.began_ms) * 1_000,
                prompt,
                cached: ended.used.cached,
                output: ended.used.output,
                cost: u64::try_from(ended.cost.0).unwrap_or(0),
                broke: ended.broken,
            },
        );
        let Some(open) = self.open.get(&ended.request).filter(|_| !ended.broken) else { return };
        let (Some(conversation), Some(attempt)) = (open.conversation, &open.attempt) else { return };
        let caches = self.caches.get(ended.site).copied().unwrap_or(false);
        let cached = if caches { prompt } else { ended.used.cached };
        if cached >= LEAST_CACHED {
            let sticky = Sticky { endpoint: attempt.endpoint.key, instance: attempt.instance.id, cached };
            self.conversations.insert(conversation, (sticky, now + STAYS_MS));
        }
    }

    fn failed(&mut self, now_ms: u64, failed: &Failed<'_>) {
        let now = self.dawn_ms + now_ms;
        let open = self.open.get_mut(&failed.request);
        let Some((open, health)) = open.zip(self.health.get(failed.site)) else { return };
        if let Some(waiting) = open.waiting.take() {
            health.unheard(waiting);
        }
        health.failed(now, failed.fault);
        if let Some(attempt) = &open.attempt {
            open.plan.failed(attempt, failed.fault, failed.sent, now);
        }
    }

    fn first(&mut self, now_ms: u64, request: u32, site: usize, _: u64) {
        let waiting = self.open.get_mut(&request).and_then(|open| open.waiting.take());
        if let Some((health, waiting)) = self.health.get(site).zip(waiting) {
            health.spoke(self.dawn_ms + now_ms, waiting);
        }
    }

    fn headers(&mut self, now_ms: u64, site: usize, headroom: &Headroom) {
        let left = |left, reset_ms| Some(Left { left, reset_ms });
        let said = Allowance {
            requests: left(headroom.requests, headroom.requests_reset_ms),
            tokens: left(headroom.tokens, headroom.tokens_reset_ms),
        };
        if let Some(health) = self.health.get(site) {
            health.allowed(self.dawn_ms + now_ms, &said);
        }
    }

    fn closed(&mut self, request: u32) {
        self.open.remove(&request);
    }
}
