//! How an endpoint has been doing, in OpenRouter's fields: all its instances as one.

use crate::world::World;
use serde_json::{Value, json};
use slip_route::health::{Span, Window};
use slip_route::{Endpoint, Health, Metric, Vitals};
use std::sync::Arc;

pub struct Live {
    each: Vec<Arc<Health>>,
    /// Some of its instances may be asked, all of them rest, or they fail though they are asked.
    status: i32,
    now_ms: u64,
}

impl Live {
    pub fn of(world: &World, endpoint: &Endpoint, now_ms: u64) -> Live {
        let moment = world.at(now_ms);
        let vitals = || endpoint.pool.iter().map(|i| moment.vital(endpoint.key, i.id));
        let status = match () {
            () if vitals().all(|v| v.rests(now_ms, 0)) => -2,
            () if vitals().all(|v| v.failing || v.half_open) => -1,
            () => 0,
        };
        Live { each: endpoint.pool.iter().map(|i| world.health(endpoint, i.id)).collect(), status, now_ms }
    }

    /// OpenRouter's: 0 is well, below it is the worse the lower.
    pub fn status(&self) -> i32 {
        self.status
    }

    /// In per cent; null when nothing was asked of it.
    pub fn uptime(&self, window: Window) -> Value {
        let counts = self.each.iter().map(|health| health.uptime(window, self.now_ms));
        let (well, ill) = counts.fold((0, 0), |sum, (well, ill)| (sum.0 + well, sum.1 + ill));
        if well + ill == 0 {
            return Value::Null;
        }
        json!((well as f64 / (well + ill) as f64 * 10_000.0).round() / 100.0)
    }

    /// Of half an hour: milliseconds to the first content (so the contract's description; one of its examples looks like seconds), or
    /// tokens per second, each at percentiles that so many replies reach.
    pub fn percentiles(&self, metric: Metric) -> Value {
        let all = self.each.iter().map(Arc::as_ref);
        let Some(p) = Health::together(all, metric, Span::HalfHour, self.now_ms) else { return Value::Null };
        let tidy = |n: f64| (n * 1000.0).round() / 1000.0;
        match metric {
            // Of speed, what nine in ten reach is the tenth part from below.
            Metric::Throughput => {
                json!({ "p50": tidy(p.p50), "p75": tidy(p.p25), "p90": tidy(p.p10), "p99": tidy(p.p1) })
            }
            _ => json!({ "p50": tidy(p.p50), "p75": tidy(p.p75), "p90": tidy(p.p90), "p99": tidy(p.p99) }),
        }
    }
}
