//! Metrics: a projection of the generation records, counted in the ledger's thread, off the request path.
//!
//! Labels come from bounded sets only (provider, model, status class): never a key, a user or a prompt. Models beyond
//! [`MAX_MODELS`] are counted as `other`.

mod endpoints;

use crate::App;
use crate::cache::Cache;
use crate::queue::Counts;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use slip_store::Generation;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A caller may invent model names (`provider/anything`); the metrics must not grow with them.
const MAX_MODELS: usize = 1000;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Request {
    provider: Arc<str>,
    model: Arc<str>,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Tokens {
    provider: Arc<str>,
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Provider {
    provider: Arc<str>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Try {
    provider: Arc<str>,
    fault: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Hedge {
    provider: Arc<str>,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

pub struct Telemetry {
    registry: Registry,
    counters: Counters,
    in_flight: Gauge,
    backlog: Gauge,
    undecided: Gauge,
    kept: Gauge,
    unkept: Gauge,
    cache: Cached,
}

/// Of answers that are given again. Counted elsewhere, told here.
#[derive(Default)]
struct Cached {
    answers: Family<Outcome, Gauge>,
    saved: Gauge<f64, AtomicU64>,
    entries: Gauge,
    bytes: Gauge,
    evicted: Gauge,
}

/// The part that counts. Cheap to clone; every clone counts into the same numbers.
#[derive(Clone)]
pub struct Counters {
    requests: Family<Request, Counter>,
    attempts: Family<Try, Counter>,
    hedges: Family<Hedge, Counter>,
    wasted: Counter<f64, AtomicU64>,
    continuations: Family<Hedge, Counter>,
    tokens: Family<Tokens, Counter>,
    cost: Family<Provider, Counter<f64, AtomicU64>>,
    unpriced: Family<Provider, Counter>,
    ttft: Family<Provider, Histogram>,
    overhead: Histogram,
}

fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.005, 2.0, 15))
}

impl Default for Telemetry {
    fn default() -> Telemetry {
        let counters = Counters {
            requests: Family::default(),
            attempts: Family::default(),
            hedges: Family::default(),
            wasted: Counter::default(),
            continuations: Family::default(),
            tokens: Family::default(),
            cost: Family::default(),
            unpriced: Family::default(),
            ttft: Family::new_with_constructor(seconds),
            overhead: Histogram::new(exponential_buckets(0.000_02, 2.0, 15)),
        };
        let (in_flight, backlog, undecided) = (Gauge::default(), Gauge::default(), Gauge::default());
        let mut registry = Registry::with_prefix("slipswitch");
        let c = counters.clone();
        registry.register("requests", "Requests by provider, model and the status the caller got", c.requests);
        registry.register(
            "attempts",
            "Upstream attempts by provider; fault is empty for those that answered, outrun where another was quicker",
            c.attempts,
        );
        registry.register("hedges", "Attempts made beside a slow one, by how they ended: won, lost, failed", c.hedges);
        registry.register("hedge_waste_usd", "Estimated cost of the attempts that were outrun, in dollars", c.wasted);
        registry.register(
            "continuations",
            "Streams that broke off, by who was to go on and what came of it: whole, broke, left, failed; nobody, by who broke off",
            c.continuations,
        );
        registry.register("tokens", "Tokens by provider and class", c.tokens);
        registry.register("cost_usd", "What callers were charged, in dollars", c.cost);
        registry.register("unpriced_requests", "Answered requests whose price is not known", c.unpriced);
        registry.register_with_unit("ttft", "Time to the first content", Unit::Seconds, c.ttft);
        registry.register_with_unit(
            "overhead",
            "What the gateway added before the first content",
            Unit::Seconds,
            c.overhead,
        );
        registry.register("inflight", "Requests in flight", in_flight.clone());
        registry.register("ledger_backlog", "Records waiting to be written", backlog.clone());
        registry.register(
            "decision_log_dropped",
            "Lines the decision log had no room for or could not write",
            undecided.clone(),
        );
        let (kept, unkept) = (Gauge::default(), Gauge::default());
        registry.register("content_kept", "Requests whose content was kept, for keys that ask for it", kept.clone());
        registry.register(
            "content_dropped",
            "Such content there was no room for, or that could not be written",
            unkept.clone(),
        );
        let cache = Cached::default();
        let told = "Requests that may be answered with another's answer, by what came of it: hit, joined, miss";
        registry.register("cache_answers", told, cache.answers.clone());
        registry.register("cache_saved_usd", "What those answers had cost, in dollars", cache.saved.clone());
        registry.register("cache_entries", "Answers that are kept", cache.entries.clone());
        registry.register("cache_bytes", "Memory they take", cache.bytes.clone());
        registry.register("cache_evicted", "Answers that left for want of room", cache.evicted.clone());
        Telemetry { registry, counters, in_flight, backlog, undecided, kept, unkept, cache }
    }
}

impl Telemetry {
    /// Count of lines what they count of themselves.
    pub fn lines(&mut self, counts: &Counts) {
        counts.register(&mut self.registry);
    }

    /// What the store calls for each record, in its own thread.
    pub fn observer(&self) -> slip_store::Observer {
        let counters = self.counters.clone();
        let mut models: HashSet<Arc<str>> = HashSet::new();
        Box::new(move |row| {
            let model = if models.contains(&row.model) {
                row.model.clone()
            } else if models.len() < MAX_MODELS {
                models.insert(row.model.clone());
                row.model.clone()
            } else {
                "other".into()
            };
            counters.count(row, model);
        })
    }

    pub fn encode(&self, app: &App) -> String {
        self.in_flight.set(i64::try_from(app.in_flight.load(Ordering::Relaxed)).unwrap_or(i64::MAX));
        self.backlog.set(i64::try_from(app.ledger.backlog()).unwrap_or(i64::MAX));
        let dropped = app.world().decisions.as_ref().map_or(0, |log| log.dropped());
        self.undecided.set(i64::try_from(dropped).unwrap_or(i64::MAX));
        self.kept.set(i64::try_from(app.contents.kept()).unwrap_or(i64::MAX));
        self.unkept.set(i64::try_from(app.contents.dropped()).unwrap_or(i64::MAX));
        self.cache.tell(&app.cache);
        let mut text = endpoints::text(app);
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(_) => "# EOF\n".to_owned(),
        }
    }
}

impl Cached {
    fn tell(&self, cache: &Cache) {
        let (counted, stats) = (cache.counted(), cache.store.stats());
        let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        for (outcome, n) in [("hit", counted.hits), ("joined", counted.joined), ("miss", counted.misses)] {
            self.answers.get_or_create(&Outcome { outcome }).set(signed(n));
        }
        self.saved.set(counted.saved.0 as f64 / 1e9);
        self.entries.set(signed(stats.entries));
        self.bytes.set(signed(stats.bytes));
        self.evicted.set(signed(stats.evicted));
    }
}

impl Counters {
    fn count(&self, row: &Generation, model: Arc<str>) {
        let provider = row.provider_slug.clone();
        self.requests.get_or_create(&Request { provider: provider.clone(), model, status: row.status }).inc();
        for attempt in &row.attempts {
            let fault = attempt.fault.unwrap_or(if attempt.cancelled { "outrun" } else { "" });
            let provider = attempt.provider.clone();
            if attempt.hedge {
                let outcome = match (attempt.cancelled, attempt.fault) {
                    (true, _) => "lost",
                    (false, Some(_)) => "failed",
                    (false, None) => "won",
                };
                self.hedges.get_or_create(&Hedge { provider: provider.clone(), outcome }).inc();
            }
            self.attempts.get_or_create(&Try { provider, fault }).inc();
        }
        for (provider, outcome) in continuations(row) {
            self.continuations.get_or_create(&Hedge { provider, outcome }).inc();
        }
        if let Some(waste) = row.hedge_waste.filter(|waste| waste.0 > 0) {
            self.wasted.inc_by(waste.0 as f64 / 1e9);
        }
        // What another request was told says nothing of a provider, and costs nothing.
        if row.cache.is_some() {
            return;
        }
        let t = &row.tokens;
        for (kind, n) in [
            ("input", t.input + t.audio_in + t.image_in),
            ("cache_read", t.cache_read),
            ("cache_write", t.cache_write + t.cache_write_1h),
            ("output", t.output + t.audio_out + t.image_out),
            ("reasoning", t.reasoning),
        ] {
            if n > 0 {
                self.tokens.get_or_create(&Tokens { provider: provider.clone(), kind }).inc_by(n);
            }
        }
        let label = Provider { provider };
        if row.cost.0 > 0 {
            self.cost.get_or_create(&label).inc_by(row.cost.0 as f64 / 1e9);
        }
        if let Some(ms) = row.ttft_ms {
            if !row.cost_known {
                self.unpriced.get_or_create(&label).inc();
            }
            self.ttft.get_or_create(&label).observe(ms as f64 / 1e3);
            self.overhead.observe(row.overhead_us as f64 / 1e6);
        }
    }
}

/// What became of streams that broke off where another was asked to go on.
fn continuations(row: &Generation) -> Vec<(Arc<str>, &'static str)> {
    let Some(torn) = row.attempts.iter().find(|attempt| attempt.torn) else { return Vec::new() };
    let asked = row.attempts.iter().filter(|attempt| attempt.continues);
    let how = |attempt: &slip_store::Attempt| match attempt.fault {
        Some(_) => "failed",
        None if row.cancelled => "left",
        None if row.error.is_some() => "broke",
        None => "whole",
    };
    let mut all: Vec<_> = asked.map(|attempt| (attempt.provider.clone(), how(attempt))).collect();
    if all.iter().all(|(_, outcome)| *outcome == "failed") {
        all.push((torn.provider.clone(), if row.cancelled { "left" } else { "nobody" }));
    }
    all
}
