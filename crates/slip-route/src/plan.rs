//! From a question to a plan, and the plan itself: a machine without clock or sleep that says whom to try next.

use crate::eligible::{Candidate, Question, Refusal, eligible, tiers};
use crate::field::{Endpoint, Field, Instance, lower};
use crate::guard::{Against, Guard, Names};
use crate::no_route::NoRoute;
use crate::own::{Holder, Own};
use crate::resolve::{Reach, Resolved, Unresolved, suffixes};
use crate::rules::{Rules, Sort};
use crate::strategy::{self, Strategy};
use crate::view::{Sticky, View};
use fastrand::Rng;
use slip_ir::{Fault, Tier, Want};
use std::sync::Arc;
use std::time::Duration;

mod machine;
#[cfg(test)]
mod tests;
mod verdict;

/// Names in one `models` list; each may lead to many endpoints.
pub const MAX_MODELS: usize = 64;
/// Upstream calls for one request, all told: the caller is waiting, and a bad request must not be multiplied.
pub const MAX_ATTEMPTS: u32 = 6;
/// Calls of one endpoint while another is left, and of one instance ever.
pub const MAX_SAME: u32 = 2;
/// A longer pause than this is for the caller to make.
pub const MAX_PAUSE: Duration = Duration::from_secs(5);
/// Before the same endpoint is tried again without having said when: anywhere up to this.
pub const PAUSE: Duration = Duration::from_millis(100);

/// What is asked.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// `model`, then `models`, as the caller wrote them.
    pub models: Vec<String>,
    pub rules: Rules,
    /// What the caller's key may use; `None` is everything.
    pub allow: Option<Arc<Allow>>,
    /// Keys of the caller's own; `None` is none.
    pub own: Option<Arc<Own>>,
}

/// What a key may use. Names in lower case; `author/*` takes in all of an author, `*` everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow {
    models: Option<Names>,
    providers: Option<Names>,
    /// What it is held to beside.
    guards: Vec<Arc<Guard>>,
}

impl Allow {
    /// `None` allows all.
    pub fn new(models: Option<Vec<String>>, providers: Option<Vec<String>>) -> Allow {
        let names = |list: Option<Vec<String>>| list.map(|l| Names::new(l.iter().map(String::as_str)));
        Allow { models: names(models), providers: names(providers), guards: Vec::new() }
    }

    /// Held to these as well.
    pub fn under(self, guards: Vec<Arc<Guard>>) -> Allow {
        Allow { guards, ..self }
    }

    pub fn guards(&self) -> &[Arc<Guard>] {
        &self.guards
    }

    /// Whether it may use this endpoint under the name of its model, whatever a request says.
    pub fn endpoint(&self, endpoint: &Endpoint) -> bool {
        let id = lower(&endpoint.model.id);
        (self.name(&id) || self.model(&endpoint.model.canonical))
            && self.provider(endpoint)
            && self.guards.iter().all(|guard| guard.objection(&id, endpoint).is_none())
    }

    /// The name as it was asked for, suffixes apart: a key may be given a house name and nothing behind it.
    pub(crate) fn name(&self, asked: &str) -> bool {
        self.models.is_none() || self.model(suffixes(&lower(asked)).0)
    }

    pub(crate) fn model(&self, id: &str) -> bool {
        self.models.as_ref().is_none_or(|names| names.take_in(&lower(id)))
    }

    pub(crate) fn provider(&self, endpoint: &Endpoint) -> bool {
        self.providers.as_ref().is_none_or(|names| names.provider(endpoint))
    }

    /// What the guardrails have against an endpoint that this name led to, each the first of its reasons.
    pub(crate) fn objections<'a>(
        &'a self,
        asked: &'a str,
        endpoint: &'a Endpoint,
    ) -> impl Iterator<Item = (&'a Arc<str>, Against)> {
        let said = |guard: &'a Arc<Guard>| Some((&guard.name, guard.objection(asked, endpoint)?));
        self.guards.iter().filter_map(said)
    }
}

/// The answer: how to go about it, and what was left out.
#[derive(Debug)]
pub struct Chosen {
    pub plan: Plan,
    /// Endpoints that may not serve, each with its reason.
    pub refusals: Vec<Refusal>,
    /// Endpoints of the plan that come last, and why.
    pub demoted: Vec<Refusal>,
    /// Names of the list that are known but not served here, skipped because others are.
    pub unserved: Vec<Unresolved>,
}

/// How much of a failed attempt went out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Nothing: connecting failed.
    NotSent,
    /// Some or all of it, and no usable answer: it may have been worked on, and billed.
    Ambiguous,
    /// All of it, and the upstream said no.
    Rejected,
}

/// One call to make.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    pub endpoint: Arc<Endpoint>,
    pub instance: Instance,
    /// Whose key it is made with.
    pub holder: Holder,
    /// Which of the names asked for ([`Plan::asked`]).
    pub place: usize,
    /// What the request is expected to cost here.
    pub price: Option<slip_ir::Nano>,
    candidate: usize,
}

#[derive(Debug)]
pub enum Step {
    Try(Attempt),
    Wait(Duration),
    /// All who are left have no room ([`Plan::busy`]). Whoever comes to have some is taken up by [`Plan::admit`].
    Full,
    Stop(Fault),
}

/// One failed attempt, for the record.
#[derive(Clone, Debug)]
pub struct Past {
    pub number: u32,
    pub endpoint: Arc<Endpoint>,
    pub instance: Instance,
    pub fault: Fault,
    pub sent: Sent,
    pub at_ms: u64,
    candidate: usize,
}

/// Whom to try, in which order, and what was tried. Ask [`Plan::next`]; on a failure tell [`Plan::failed`] and ask again; on a
/// success drop it.
#[derive(Debug)]
pub struct Plan {
    field: Arc<Field>,
    own: Option<Arc<Own>>,
    asked: Vec<Resolved>,
    line: Vec<Candidate>,
    dice: Rng,
    /// The next of `line` not looked at yet.
    cursor: usize,
    attempts: u32,
    past: Vec<Past>,
    /// Says what to do next: nothing was decided, a candidate is due again, or it is over.
    next: Next,
    /// Attempts left after one that may have been worked on.
    grace: Option<u32>,
    /// Who was asked beside another.
    hedged: Option<usize>,
    /// Whose account had no room for it.
    full: Vec<(usize, Instance)>,
    /// The caller (or the house) listed several models.
    many_models: bool,
    /// By the place of the name asked for.
    strategies: Vec<(&'static dyn Strategy, By)>,
    /// What instances are picked by.
    turn: u64,
    affinity: Option<u64>,
    sticky: Option<Sticky>,
    /// Prompt tokens, for rate limits.
    tokens: u64,
}

#[derive(Clone, Debug)]
enum Next {
    /// Whoever is next in line.
    Open,
    /// Another instance of this candidate first.
    Sibling(usize),
    /// Nobody else is left: this instance of this candidate again, not before.
    Again(usize, Instance, u64),
    Over(Fault),
}

/// Decides who may serve a request and in which order. Pure: the same arguments and dice give the same plan.
pub fn choose(
    field: &Arc<Field>,
    ask: &Ask,
    want: &Want,
    view: &View<'_>,
    now_ms: u64,
    dice: &mut Rng,
) -> Result<Chosen, NoRoute> {
    let (asked, unserved) = resolve(field, ask)?;
    let question = Question {
        field,
        asked: &asked,
        want,
        rules: &ask.rules,
        allow: ask.allow.as_deref(),
        own: ask.own.as_deref(),
        view: *view,
        now_ms,
    };
    let answer = eligible(&question);
    if answer.candidates.is_empty() {
        return Err(NoRoute::NoEndpoint { models: ask.models.clone(), refusals: answer.refusals });
    }
    let mut line = answer.candidates;
    let strategies: Vec<_> = asked.iter().map(|asked| strategy_of(field, asked, &ask.rules, want)).collect();
    line_up(&mut line, &strategies, &ask.rules, view, dice);
    let many_models = asked.len() > 1 || matches!(asked.first(), Some(Resolved { reach: Reach::House(_), .. }));
    let plan = Plan {
        field: field.clone(),
        own: ask.own.clone(),
        asked,
        line,
        dice: dice.fork(),
        cursor: 0,
        attempts: 0,
        past: Vec::new(),
        next: Next::Open,
        grace: None,
        hedged: None,
        full: Vec::new(),
        many_models,
        strategies,
        turn: view.turn,
        affinity: view.affinity,
        sticky: view.sticky.filter(|_| ask.rules.order.is_empty()),
        tokens: want.prompt_tokens,
    };
    Ok(Chosen { plan, refusals: answer.refusals, demoted: answer.demoted, unserved })
}

/// A misspelt name is an error wherever it stands; a model nobody serves here is one only when it stands alone.
pub(crate) fn resolve(field: &Field, ask: &Ask) -> Result<(Vec<Resolved>, Vec<Unresolved>), NoRoute> {
    if ask.models.len() > MAX_MODELS {
        return Err(NoRoute::TooManyModels(ask.models.len()));
    }
    let (mut asked, mut unserved) = (Vec::with_capacity(ask.models.len()), Vec::new());
    for name in &ask.models {
        match field.resolve(name) {
            Ok(found) => asked.push(found),
            Err(no) if no.known.is_some() => unserved.push(no),
            Err(no) => return Err(NoRoute::UnknownModel(no)),
        }
    }
    match (asked.is_empty(), unserved.is_empty()) {
        (true, true) => Err(NoRoute::NoModel),
        (true, false) => Err(NoRoute::UnknownModel(unserved.swap_remove(0))),
        _ => Ok((asked, unserved)),
    }
}

/// Sorts by tier, and inside a tier by the strategy of whoever is asked there.
fn order(line: &mut [Candidate], strategies: &[(&'static dyn Strategy, By)], view: &View<'_>, dice: &mut Rng) {
    if !line.is_sorted_by_key(|c| c.tier) {
        line.sort_by_key(|c| c.tier);
    }
    for group in line.chunk_by_mut(|a, b| a.tier == b.tier) {
        let place = group.first().map_or(0, |c| usize::from(c.place));
        strategies.get(place).map_or(strategy::DEFAULT, |(strategy, _)| *strategy).rank(group, view, dice);
        if group.first().is_some_and(Candidate::cooled) {
            // Of those who rest, whoever is back the soonest is the likeliest to have it: what it costs comes after that.
            group.sort_by_key(|c| c.live.cooldown_until_ms);
        }
    }
}

/// In the order in which they are tried; without fallbacks, only who may be tried at all.
pub(crate) fn line_up(
    line: &mut Vec<Candidate>,
    strategies: &[(&'static dyn Strategy, By)],
    rules: &Rules,
    view: &View<'_>,
    dice: &mut Rng,
) {
    order(line, strategies, view, dice);
    if !rules.allow_fallbacks {
        own_alone(line, rules.order.is_empty());
        if rules.order.is_empty() {
            only_first(line, rules.mix_models);
        }
    }
}

/// Who brings keys and wants no fallbacks wants none to the house's account: not at the endpoints they open, nor, where no others
/// are named, anywhere.
fn own_alone(line: &mut Vec<Candidate>, anywhere: bool) {
    let own: Vec<(u16, u64)> = line.iter().filter(|c| c.holder == Holder::Own).map(|c| (c.place, c.key)).collect();
    if !own.is_empty() {
        let opened = |c: &Candidate| own.iter().any(|(place, key)| *place == c.place && (anywhere || *key == c.key));
        line.retain(|c| c.holder == Holder::Own || !opened(c));
    }
}

/// Who chose the strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// `provider.sort` or `provider.load_balancer`.
    Request,
    /// `:floor`, `:nitro`, `:exacto`.
    Suffix,
    /// The house name's `load_balancer`.
    House,
    /// `provider.order`: the others follow by price.
    Order,
    /// `service_tier` is `priority`, and there is such a tier.
    Tier,
    /// What the key's workspace is used to.
    Workspace,
    Default,
}

impl By {
    pub const fn name(self) -> &'static str {
        match self {
            By::Request => "request",
            By::Suffix => "suffix",
            By::House => "house",
            By::Order => "order",
            By::Tier => "service_tier",
            By::Workspace => "workspace",
            By::Default => "default",
        }
    }
}

/// The request's own sort, then its balancer, then the suffix, then the house's. `order` alone switches balancing off, and who pays to
/// be served before others gets the quickest.
pub(crate) fn strategy_of(field: &Field, asked: &Resolved, rules: &Rules, want: &Want) -> (&'static dyn Strategy, By) {
    let hurried = want.tier == Some(Tier::Priority) && tiers::sold(field, asked, want);
    match (rules.sort, rules.balancer, asked.wish.sort, asked.balancer) {
        (Some(sort), ..) => (sort.strategy(), By::Request),
        (None, Some(balancer), ..) => (balancer, By::Request),
        (None, None, Some(sort), _) => (sort.strategy(), By::Suffix),
        (None, None, None, Some(house)) => (house, By::House),
        (None, None, None, None) if hurried && rules.order.is_empty() => (Sort::Throughput.strategy(), By::Tier),
        (None, None, None, None) if !rules.order.is_empty() => (&strategy::least_cost::LeastCost, By::Order),
        (None, None, None, None) => match rules.habit {
            Some(habit) => (habit.strategy(), By::Workspace),
            None => (strategy::DEFAULT, By::Default),
        },
    }
}

/// Without fallbacks every model keeps its first endpoint; models that compete together keep one between them.
fn only_first(line: &mut Vec<Candidate>, mixed: bool) {
    let mut had = [false; MAX_MODELS];
    line.retain(|c| {
        let place = if mixed { 0 } else { usize::from(c.place) };
        had.get_mut(place).is_some_and(|had| !std::mem::replace(had, true))
    });
}

impl Plan {
    /// The names asked for, resolved.
    pub fn asked(&self) -> &[Resolved] {
        &self.asked
    }

    /// The name of the strategy that put the first candidate first.
    pub fn strategy(&self) -> &'static str {
        self.line.first().map_or(strategy::DEFAULT, |c| self.strategy_for(c)).name()
    }

    fn strategy_for(&self, candidate: &Candidate) -> &'static dyn Strategy {
        self.strategies.get(usize::from(candidate.place)).map_or(strategy::DEFAULT, |(strategy, _)| *strategy)
    }

    /// Who chose it.
    pub fn by(&self) -> By {
        let first = self.line.first().and_then(|c| self.strategies.get(usize::from(c.place)));
        first.map_or(By::Default, |(_, by)| *by)
    }

    /// Everybody who may be tried, in order.
    pub fn line(&self) -> impl ExactSizeIterator<Item = (&Candidate, Option<&Arc<Endpoint>>)> {
        self.line.iter().map(|c| (c, self.endpoint(c)))
    }

    /// Failed attempts, oldest first.
    pub fn past(&self) -> &[Past] {
        &self.past
    }

    fn endpoint(&self, candidate: &Candidate) -> Option<&Arc<Endpoint>> {
        let asked = self.asked.get(usize::from(candidate.place))?;
        self.field.reach(&asked.reach).get(candidate.at as usize)
    }
}
