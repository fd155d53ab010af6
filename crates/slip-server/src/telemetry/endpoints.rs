//! How each endpoint has been doing, as metrics: read off its health when somebody asks, nothing is counted twice.
//!
//! Only endpoints that were asked at least once appear, all their instances as one.

use crate::App;
use crate::clock;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use slip_route::health::{Class, Span, Window};
use slip_route::{Endpoint, Health, Metric, Vitals};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

type Figure<L> = Family<L, Gauge<f64, AtomicU64>>;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Who {
    provider: Arc<str>,
    model: Arc<str>,
    tag: Arc<str>,
}

/// Who, and which of several figures of it.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct Which<L> {
    who: Who,
    which: L,
}

impl Who {
    fn which<L>(&self, which: L) -> Which<L> {
        Which { who: self.clone(), which }
    }
}

impl<L: EncodeLabelSet> EncodeLabelSet for Which<L> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), fmt::Error> {
        self.who.encode(encoder)?;
        self.which.encode(encoder)
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Quantile {
    quantile: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Over {
    window: &'static str,
}

/// The families, empty until [`Figures::add`].
#[derive(Default)]
struct Figures {
    attempts: Family<Which<Outcome>, Counter>,
    ttft: Figure<Which<Quantile>>,
    throughput: Figure<Which<Quantile>>,
    duration: Figure<Which<Quantile>>,
    uptime: Figure<Which<Over>>,
    odds: Figure<Who>,
    in_flight: Figure<Who>,
    resting: Figure<Who>,
    requests_left: Figure<Who>,
    tokens_left: Figure<Who>,
    cached: Figure<Who>,
    price: Figure<Who>,
    bad_calls: Figure<Who>,
}

impl Figures {
    fn add(&self, app: &App, endpoint: &Endpoint, now: u64) {
        let world = app.world();
        let each: Vec<Arc<Health>> = endpoint.pool.iter().map(|i| world.health(endpoint, i.id)).collect();
        let sum = |of: &dyn Fn(&Health) -> u64| each.iter().map(|health| of(health)).sum::<u64>() as f64;
        if sum(&|health| health.totals().attempts()) == 0.0 {
            return;
        }
        let (provider, model, tag) = (endpoint.provider.clone(), endpoint.model.id.clone(), endpoint.tag.clone());
        let who = Who { provider, model, tag };
        for class in Class::ALL {
            let label = who.which(Outcome { outcome: class.name() });
            self.attempts.get_or_create(&label).inc_by(each.iter().map(|health| health.totals().of(class)).sum());
        }
        // Of speed, what nine in ten reach lies at a tenth from below: quantiles are of the figures as they are.
        let metrics = [
            (&self.ttft, Metric::FirstContent, 1e-3),
            (&self.duration, Metric::Total, 1e-3),
            (&self.throughput, Metric::Throughput, 1.0),
        ];
        for (family, metric, unit) in metrics {
            let all = each.iter().map(Arc::as_ref);
            let Some(p) = Health::together(all, metric, Span::FiveMinutes, now) else { continue };
            for (quantile, figure) in [("0.5", p.p50), ("0.75", p.p75), ("0.9", p.p90), ("0.99", p.p99)] {
                family.get_or_create(&who.which(Quantile { quantile })).set(figure * unit);
            }
        }
        for (window, name) in [(Window::FiveMinutes, "5m"), (Window::HalfHour, "30m"), (Window::Day, "1d")] {
            let (well, ill) = each.iter().map(|h| h.uptime(window, now)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
            if well + ill > 0 {
                let label = who.which(Over { window: name });
                self.uptime.get_or_create(&label).set(well as f64 / (well + ill) as f64);
            }
        }
        let moment = world.at(now);
        let vitals: Vec<_> = endpoint.pool.iter().map(|i| moment.vital(endpoint.key, i.id)).collect();
        let most = |of: &dyn Fn(&slip_route::Vital) -> f64| vitals.iter().map(of).fold(0.0, f64::max);
        let set = |family: &Figure<Who>, value: f64| {
            family.get_or_create(&who).set(value);
        };
        set(&self.odds, most(&|v| f64::from(v.odds)));
        set(&self.in_flight, vitals.iter().map(|v| f64::from(v.in_flight)).sum());
        let rest = vitals.iter().map(|v| v.cooldown_until_ms.saturating_sub(now)).min().unwrap_or(0);
        set(&self.resting, rest as f64 / 1e3);
        let left = |of: &dyn Fn(&slip_route::Vital) -> Option<u32>| {
            let said: Vec<u32> = vitals.iter().filter_map(of).collect();
            (!said.is_empty()).then(|| said.iter().map(|n| f64::from(*n)).sum::<f64>())
        };
        for (family, value) in
            [(&self.requests_left, left(&|v| v.requests_left)), (&self.tokens_left, left(&|v| v.tokens_left))]
        {
            if let Some(value) = value {
                set(family, value);
            }
        }
        let tokens = sum(&|h| h.totals().prompt_tokens());
        if tokens > 0.0 {
            set(&self.cached, sum(&|h| h.totals().cached_tokens()) / tokens);
        }
        let all_tokens = tokens + sum(&|h| h.totals().output_tokens());
        if all_tokens > 0.0 {
            set(&self.price, sum(&|h| h.totals().cost()) / 1e9 / all_tokens * 1e6);
        }
        let (calls, bad) = each.iter().map(|h| h.totals().tool_calls()).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        if calls > 0 {
            set(&self.bad_calls, bad as f64 / calls as f64);
        }
    }

    fn register(self) -> Registry {
        let mut registry = Registry::with_prefix("slipswitch_endpoint");
        registry.register("attempts", "Attempts since the process began, by what they came to", self.attempts);
        registry.register("ttft_seconds", "Time to the first content, last five minutes", self.ttft);
        registry.register("duration_seconds", "From beginning to end, last five minutes", self.duration);
        registry.register("throughput", "Output tokens per second from end to end, last five minutes", self.throughput);
        registry.register(
            "uptime_ratio",
            "Successes over successes and failures; rate limits are neither",
            self.uptime,
        );
        registry.register("odds", "How likely routing takes the next attempt to succeed", self.odds);
        registry.register("inflight", "Attempts under way", self.in_flight);
        registry.register(
            "resting_seconds",
            "How long it is still passed over if anybody else can be asked",
            self.resting,
        );
        registry.register("requests_left", "What is left of its rate limit, as it said", self.requests_left);
        registry.register("tokens_left", "What is left of its rate limit, as it said", self.tokens_left);
        registry.register("cached_ratio", "Share of the prompt tokens read from its prompt cache", self.cached);
        registry.register("effective_usd_per_mtok", "What a million tokens have really cost there", self.price);
        registry.register(
            "bad_tool_call_ratio",
            "Share of the replies with tool calls of which one was of no use",
            self.bad_calls,
        );
        registry
    }
}

/// In the text format, without the end mark.
pub fn text(app: &App) -> String {
    let figures = Figures::default();
    let now = clock::unix_ms();
    for endpoint in app.world().field.endpoints() {
        figures.add(app, endpoint, now);
    }
    let mut text = String::new();
    match encode(&mut text, &figures.register()) {
        Ok(()) => text.trim_end_matches("# EOF\n").to_owned(),
        Err(_) => String::new(),
    }
}
