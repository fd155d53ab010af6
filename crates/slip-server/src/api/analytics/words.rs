//! What can be asked for: metrics, dimensions, operators, granularities. Only what is counted.

use crate::api::usd;
use serde_json::{Value, json};
use slip_ir::Nano;
use slip_store::{By, Sums};

pub struct Metric {
    pub name: &'static str,
    pub label: &'static str,
    of: Of,
}

/// How it comes out of the sums.
enum Of {
    Count(fn(&Sums) -> i64),
    Money(fn(&Sums) -> Nano),
    /// A part of a whole, which cannot be added up.
    Share(fn(&Sums) -> i64, fn(&Sums) -> i64),
    /// Milliseconds, on an average of so many.
    Time(fn(&Sums) -> i64, fn(&Sums) -> i64),
}

impl Metric {
    pub const fn is_rate(&self) -> bool {
        matches!(self.of, Of::Share(..) | Of::Time(..))
    }

    pub const fn format(&self) -> &'static str {
        match self.of {
            Of::Count(_) => "number",
            Of::Money(_) => "currency",
            Of::Share(..) => "percent",
            Of::Time(..) => "latency",
        }
    }

    pub fn told(&self, sums: &Sums) -> Value {
        match self.of {
            Of::Count(count) => json!(count(sums)),
            Of::Money(amount) => usd(amount(sums)),
            Of::Share(part, whole) | Of::Time(part, whole) => json!(ratio(part(sums), whole(sums))),
        }
    }

    /// To order by.
    pub fn size(&self, sums: &Sums) -> f64 {
        match self.of {
            Of::Count(count) => count(sums) as f64,
            Of::Money(amount) => amount(sums).0 as f64,
            Of::Share(part, whole) | Of::Time(part, whole) => ratio(part(sums), whole(sums)).unwrap_or(-1.0),
        }
    }
}

/// Of nothing there is no share.
fn ratio(part: i64, whole: i64) -> Option<f64> {
    (whole != 0).then(|| part as f64 / whole as f64)
}

const fn metric(name: &'static str, label: &'static str, of: Of) -> Metric {
    Metric { name, label, of }
}

pub static METRICS: &[Metric] = &[
    metric("request_count", "Requests", Of::Count(|s| s.requests)),
    metric("failed_count", "Failed requests", Of::Count(|s| s.failed)),
    metric("tokens_total", "Tokens", Of::Count(|s| s.prompt.saturating_add(s.completion))),
    metric("tokens_prompt", "Prompt tokens", Of::Count(|s| s.prompt)),
    metric("tokens_completion", "Completion tokens", Of::Count(|s| s.completion)),
    metric("reasoning_tokens", "Reasoning tokens", Of::Count(|s| s.reasoning)),
    metric("cached_tokens", "Cached tokens", Of::Count(|s| s.cached)),
    metric("total_usage", "Total cost", Of::Money(|s| s.cost + s.byok)),
    metric("credits_usage", "Charged", Of::Money(|s| s.cost)),
    metric("byok_usage", "Paid to providers by own keys", Of::Money(|s| s.byok)),
    metric("hedge_waste", "Cost of hedges that were outrun", Of::Money(|s| s.waste)),
    metric("error_rate", "Share of failed requests", Of::Share(|s| s.failed, |s| s.requests)),
    metric("cache_hit_rate", "Share of cached prompt tokens", Of::Share(|s| s.cached, |s| s.prompt)),
    metric("avg_latency", "Time to the first content", Of::Time(|s| s.ttft_ms, |s| s.ttft_count)),
    metric("avg_duration", "Time to the end", Of::Time(|s| s.total_ms, |s| s.requests)),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    Model,
    Provider,
    Key,
    User,
    Workspace,
}

impl Dimension {
    pub const ALL: [Dimension; 5] =
        [Dimension::Model, Dimension::Provider, Dimension::Key, Dimension::User, Dimension::Workspace];

    pub const fn name(self) -> &'static str {
        match self {
            Dimension::Model => "model",
            Dimension::Provider => "provider",
            Dimension::Key => "api_key_id",
            Dimension::User => "user",
            Dimension::Workspace => "workspace",
        }
    }

    pub const fn label(self) -> &'static str {
        match self {
            Dimension::Model => "Model",
            Dimension::Provider => "Provider",
            Dimension::Key => "API Key",
            Dimension::User => "User",
            Dimension::Workspace => "Workspace",
        }
    }

    pub fn of(self, by: &By) -> &str {
        match self {
            Dimension::Model => &by.model,
            Dimension::Provider => &by.provider,
            Dimension::Key => &by.key_hash,
            Dimension::User => &by.member,
            Dimension::Workspace => &by.workspace,
        }
    }
}

pub const OPERATORS: &[(&str, &str)] = &[
    ("eq", "scalar"),
    ("neq", "scalar"),
    ("in", "array"),
    ("not_in", "array"),
    ("gt", "scalar"),
    ("gte", "scalar"),
    ("lt", "scalar"),
    ("lte", "scalar"),
];

pub const GRANULARITIES: &[(&str, &str)] = &[("hour", "Hour"), ("day", "Day"), ("week", "Week"), ("month", "Month")];
