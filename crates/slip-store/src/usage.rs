//! What was used, summed by hour and by day: per key, workspace, member, model and provider. Questions about last month read hundreds of
//! rows instead of millions of records.

use crate::generations::Generation;
use slip_ir::Nano;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grain {
    Hour,
    Day,
}

impl Grain {
    pub const ALL: [Grain; 2] = [Grain::Hour, Grain::Day];

    /// How it is stored. Never changes.
    pub const fn name(self) -> &'static str {
        match self {
            Grain::Hour => "h",
            Grain::Day => "d",
        }
    }

    pub const fn ms(self) -> i64 {
        match self {
            Grain::Hour => 3_600_000,
            Grain::Day => 86_400_000,
        }
    }

    /// The hour or day (UTC) of a Unix time in milliseconds, counted from 1970-01-01.
    pub const fn of(self, unix_ms: i64) -> i64 {
        unix_ms.div_euclid(self.ms())
    }
}

/// Which sums are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Between {
    pub grain: Grain,
    /// From this hour or day up to, and without, that one.
    pub from: i64,
    pub to: i64,
    pub key_hash: Option<String>,
    pub workspace: Option<String>,
}

/// What was used in one hour or day. Texts are empty where there is nothing to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Used {
    pub at: i64,
    pub by: By,
    pub sums: Sums,
}

/// By whom, and of what.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct By {
    pub key_hash: Arc<str>,
    pub workspace: Arc<str>,
    pub member: Arc<str>,
    pub model: Arc<str>,
    pub provider: Arc<str>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub requests: i64,
    /// Answered with a status of 400 or more.
    pub failed: i64,
    /// Tokens, of which `cached` were read from a provider's cache.
    pub prompt: i64,
    pub cached: i64,
    /// Tokens, of which `reasoning` were thought and not said.
    pub completion: i64,
    pub reasoning: i64,
    /// Charged.
    pub cost: Nano,
    /// Paid to providers by callers' own keys.
    pub byok: Nano,
    /// What hedges cost the house.
    pub waste: Nano,
    /// Of those requests that had a first content.
    pub ttft_ms: i64,
    pub ttft_count: i64,
    pub total_ms: i64,
}

impl Sums {
    pub fn of(g: &Generation) -> Sums {
        let count = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
        let tokens = &g.tokens;
        Sums {
            requests: 1,
            failed: i64::from(g.status >= 400),
            prompt: count(tokens.prompt_total()),
            cached: count(tokens.cache_read),
            completion: count(tokens.completion_total()),
            reasoning: count(tokens.reasoning),
            cost: g.cost,
            byok: g.own_key_cost(),
            waste: g.hedge_waste.unwrap_or_default(),
            ttft_ms: g.ttft_ms.map_or(0, count),
            ttft_count: i64::from(g.ttft_ms.is_some()),
            total_ms: count(g.total_ms),
        }
    }

    pub fn add(&mut self, more: &Sums) {
        let add = |sum: &mut i64, more: i64| *sum = sum.saturating_add(more);
        add(&mut self.requests, more.requests);
        add(&mut self.failed, more.failed);
        add(&mut self.prompt, more.prompt);
        add(&mut self.cached, more.cached);
        add(&mut self.completion, more.completion);
        add(&mut self.reasoning, more.reasoning);
        self.cost = self.cost + more.cost;
        self.byok = self.byok + more.byok;
        self.waste = self.waste + more.waste;
        add(&mut self.ttft_ms, more.ttft_ms);
        add(&mut self.ttft_count, more.ttft_count);
        add(&mut self.total_ms, more.total_ms);
    }
}

/// What somebody spent on one day, to rebuild running totals from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whose {
    pub key_hash: Arc<str>,
    pub workspace: Arc<str>,
    pub member: Arc<str>,
    pub day: i64,
    /// Everything up to that day, not that day alone.
    pub past: bool,
    pub cost: Nano,
    pub byok: Nano,
    pub requests: u64,
}

/// The sums of a batch of records, by hour.
#[derive(Default)]
pub(crate) struct Batch(BTreeMap<(i64, By), Sums>);

impl Batch {
    pub fn add(&mut self, g: &Generation) {
        let some = |text: &Option<Arc<str>>| text.clone().unwrap_or_default();
        let by = By {
            key_hash: some(&g.key_hash),
            workspace: g.workspace.clone(),
            member: some(&g.member),
            model: g.model.clone(),
            provider: g.provider_slug.clone(),
        };
        self.0.entry((Grain::Hour.of(g.created_ms), by)).or_default().add(&Sums::of(g));
    }

    /// Hours, then the days they add up to.
    pub fn rows(&self) -> impl Iterator<Item = (Grain, i64, &By, Sums)> {
        let mut days: BTreeMap<(i64, &By), Sums> = BTreeMap::new();
        for ((hour, by), sums) in &self.0 {
            days.entry((hour.div_euclid(24), by)).or_default().add(sums);
        }
        let hours = self.0.iter().map(|((at, by), sums)| (Grain::Hour, *at, by, *sums));
        hours.chain(days.into_iter().map(|((at, by), sums)| (Grain::Day, at, by, sums)))
    }
}
