//! Who may serve this request, and of everybody else, why not.

use crate::field::{Endpoint, Field, Instance, lower};
use crate::guard::Against;
use crate::health::Metric;
use crate::own::{self, Holder, Own};
use crate::plan::Allow;
use crate::resolve::{Reach, Resolved, suffixes};
use crate::rules::Rules;
use crate::view::{View, Vital};
use crate::vocabulary::Params;
use slip_ir::want::MediaSet;
use slip_ir::{MediaKind, Nano, Op, Price, Tier, Want, request::format};
use std::collections::HashSet;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

mod rule;
#[cfg(test)]
mod tests;
pub(crate) mod tiers;

pub use rule::{Line, Rule};

/// Output tokens that a reply is expected to have when prices are compared: a usual chat answer. Only the order of endpoints
/// depends on it, never what is held or charged.
pub const EXPECTED_OUTPUT: u64 = 512;

/// An endpoint that may serve, and the numbers a strategy orders by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Which of the names the caller asked for.
    pub place: u16,
    /// Which endpoint of that name, as listed.
    pub at: u32,
    /// What this request would cost; `None` is unknown.
    pub price: Option<Nano>,
    /// Of all its instances.
    pub weight: u32,
    /// The best of those of its instances that do not rest; in flight is all of theirs. Where all rest, when the first is back.
    pub live: Vital,
    /// Output tokens that are expected of a reply.
    pub expects: u32,
    /// Prompt tokens that are expected to be read from the provider's cache.
    pub cached: u64,
    /// [`Endpoint::key`].
    pub key: u64,
    /// Whose key it is tried with. One endpoint may be several candidates, one for each holder.
    pub holder: Holder,
    /// This conversation was here before, and part of its prompt is thought to be cached.
    pub sticky: bool,
    /// Set by strategies that compute one: what they ordered by.
    pub score: f64,
    /// Set by strategies that take turns: how many turns this endpoint had before. Its instances take turns by it.
    pub lap: Option<u64>,
    /// Lower tiers are tried first; a strategy orders inside one.
    pub(crate) tier: u32,
}

impl Candidate {
    /// Every instance is cooling down: tried only when nobody else is left.
    pub const fn cooled(&self) -> bool {
        self.tier & tier::COOLED != 0
    }

    /// A key that sorts by price, unknown last.
    pub(crate) const fn dearness(&self) -> i64 {
        match self.price {
            Some(price) => price.0,
            None => i64::MAX,
        }
    }
}

/// What decides before any strategy does, strongest first.
pub(crate) mod tier {
    pub const COOLED: u32 = 1 << 31;
    /// The conversation carries reasoning that only another family can read.
    pub const FOREIGN: u32 = 1 << 30;
    /// Slower than the caller prefers.
    pub const SLOW: u32 = 1 << 29;
    /// The place in the list of models: 11 bits.
    pub const PLACE: u32 = 18;
    /// Keys of the caller's own come before the house's, and those kept for the case after them: 2 bits.
    pub const HOLDER: u32 = 16;
    /// The place in `provider.order`: 14 bits.
    pub const ORDER: u32 = 2;
    /// Not in `provider.order`.
    pub const UNLISTED: u32 = (1 << 14) - 1;
    /// Serves at another tier of service than the caller would have.
    pub const LATER: u32 = 1 << 1;
    /// Would ignore something the caller asked for.
    pub const LACKS: u32 = 1;
}

/// A no.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub endpoint: Arc<Endpoint>,
    pub rule: Rule,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.endpoint, self.rule)
    }
}

/// Everything eligibility looks at.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    pub field: &'a Field,
    pub asked: &'a [Resolved],
    pub want: &'a Want,
    pub rules: &'a Rules,
    pub allow: Option<&'a Allow>,
    /// Keys of the caller's own.
    pub own: Option<&'a Own>,
    pub view: View<'a>,
    pub now_ms: u64,
}

impl Question<'_> {
    /// How many endpoints the names lead to, counted once per name.
    fn reach(&self) -> usize {
        self.asked.iter().map(|a| self.field.reach(&a.reach).len()).sum()
    }
}

/// Every endpoint of the names asked for is in exactly one of `candidates` and `refusals`, and only once but for the keys it can be
/// called with: it is a candidate once with the house's and once with the caller's own.
#[derive(Debug, Default)]
pub struct Answer {
    /// In the order of the names, and for each as listed.
    pub candidates: Vec<Candidate>,
    pub refusals: Vec<Refusal>,
    /// Candidates that go last, and why.
    pub demoted: Vec<Refusal>,
}

/// What the request needs, in the form in which endpoints are compared with it.
struct Needs {
    params: Params,
    wishes: Params,
    sealed: bool,
    has_max_price: bool,
}

pub fn eligible(q: &Question<'_>) -> Answer {
    let needs = Needs::of(q.want, q.rules);
    let mut answer = Answer { candidates: Vec::with_capacity(q.reach()), ..Answer::default() };
    each(q, |stand| {
        let refused = objections(q, &needs, stand, |rule| {
            answer.refusals.push(Refusal { endpoint: stand.endpoint.clone(), rule });
            ControlFlow::Break(())
        });
        if refused.is_break() {
            return;
        }
        for holder in own::holders(q.own, stand.endpoint) {
            if let Some(rule) = candidate(q, &needs, stand, holder, &mut answer.candidates) {
                answer.demoted.push(Refusal { endpoint: stand.endpoint.clone(), rule });
            }
        }
    });
    expect(q, &mut answer.candidates);
    answer
}

/// An endpoint and how the request came to it.
pub(crate) struct Stand<'a> {
    pub place: usize,
    pub at: usize,
    pub asked: &'a Resolved,
    /// Some endpoint that this name leads to is of the tier of service asked for.
    pub tiered: bool,
    /// The key may use the name that leads here.
    named: bool,
    /// That name in lower case, suffixes apart.
    name: &'a str,
    pub endpoint: &'a Arc<Endpoint>,
}

/// Every endpoint of the names asked for, once.
pub(crate) fn each(q: &Question<'_>, mut visit: impl FnMut(&Stand<'_>)) {
    // Only several names can lead to one endpoint twice.
    let mut seen: Option<HashSet<u64>> = (q.asked.len() > 1).then(|| HashSet::with_capacity(q.reach()));
    for (place, asked) in q.asked.iter().enumerate() {
        let named = q.allow.is_none_or(|a| a.name(&asked.asked));
        let tiered = tiers::sold(q.field, asked, q.want);
        let low = lower(&asked.asked);
        let name = suffixes(&low).0;
        for (at, endpoint) in q.field.reach(&asked.reach).iter().enumerate() {
            if seen.as_mut().is_none_or(|s| s.insert(endpoint.key)) {
                visit(&Stand { place, at, asked, tiered, named, name, endpoint });
            }
        }
    }
}

/// Prices all of one model for a reply as long as theirs usually are, or as [`EXPECTED_OUTPUT`] says where nobody was measured. One
/// length for all of them: how long a reply gets is the prompt's doing far more than the endpoint's.
fn expect(q: &Question<'_>, line: &mut [Candidate]) {
    for group in line.chunk_by_mut(|a, b| a.place == b.place) {
        let measured = group.iter().filter_map(|c| c.live.output_tokens);
        let (sum, count) = measured.fold((0, 0), |(sum, count), tokens| (sum + u64::from(tokens), count + 1));
        let usual = sum.checked_div(count).unwrap_or(EXPECTED_OUTPUT);
        let Some(asked) = group.first().and_then(|c| q.asked.get(usize::from(c.place))) else { continue };
        let (reach, output) = (q.field.reach(&asked.reach), expected_output(q.want, usual));
        let expects = u32::try_from(output).unwrap_or(u32::MAX);
        for candidate in group {
            let price = reach.get(candidate.at as usize).and_then(|e| e.price.as_deref());
            candidate.price = price.map(|p| effective(p, q.want, candidate.cached, output));
            candidate.expects = expects;
        }
    }
}

impl Needs {
    fn of(want: &Want, rules: &Rules) -> Needs {
        let mut wishes = Params::default();
        for (wanted, params) in [
            (want.json_object || want.json_schema, Params::RESPONSE_FORMAT),
            (want.json_schema, Params::STRUCTURED_OUTPUTS),
            (want.reasoning, Params::REASONING),
        ] {
            if wanted {
                wishes = wishes.with(params);
            }
        }
        let max = &rules.max_price;
        Needs {
            params: if rules.require_parameters { Params::of(want.params.iter().copied()) } else { Params::default() },
            wishes,
            sealed: want.sealed.iter().any(|f| !f.is_empty() && f != format::UNKNOWN),
            has_max_price: [max.prompt, max.completion, max.audio, max.request].iter().any(Option::is_some),
        }
    }
}

/// Every reason against it; the first is the one that decides.
pub(crate) fn against(q: &Question<'_>, stand: &Stand<'_>) -> Vec<Rule> {
    let mut all = Vec::new();
    let _ = objections(q, &Needs::of(q.want, q.rules), stand, |rule| {
        all.push(rule);
        ControlFlow::Continue(())
    });
    all
}

/// The reasons against it, cheapest checks first, each told to `no`, which says whether that is enough. What is not known of an
/// endpoint is never held against it, except where the caller asked for certainty: parameters, price, data policy.
///
/// Rules are given away where they are made, and not handed from one to the next: hundreds of endpoints are asked, and most have none.
#[inline]
fn objections(
    q: &Question<'_>,
    needs: &Needs,
    stand: &Stand<'_>,
    mut no: impl FnMut(Rule) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let (asked, e) = (stand.asked, stand.endpoint);
    let (want, rules, facts) = (q.want, q.rules, &e.facts);
    if own::holders(q.own, e).next().is_none() {
        no(Rule::NoInstance)?;
    }
    if !facts.ops.contains(want.op) {
        no(Rule::Op(want.op))?;
    }
    if let Some(allow) = q.allow {
        if !stand.named && !allow.model(&e.model.id) && !allow.model(&e.model.canonical) {
            no(Rule::KeyModel)?;
        }
        if !allow.provider(e) {
            no(Rule::KeyProvider)?;
        }
        for (guard, against) in allow.objections(stand.name, e) {
            no(Rule::Guard(guard.clone(), against))?;
        }
    }
    let among = |names: &[String]| names.iter().any(|n| e.answers_to(n));
    if !rules.only.is_empty() && !among(&rules.only) {
        no(Rule::NotInOnly)?;
    }
    if among(&rules.ignore) {
        no(Rule::Ignored)?;
    }
    if !rules.allow_fallbacks && !rules.order.is_empty() && !among(&rules.order) {
        no(Rule::NotInOrder)?;
    }
    if asked.wish.free {
        if !facts.free && !e.price.as_ref().is_some_and(|p| p.is_free()) {
            no(Rule::NotFree)?;
        }
    } else if let Some(variant) = &e.variant {
        // A house may list a variant, as its owner pleases.
        if !matches!(asked.reach, Reach::House(_)) && !asked.wish.variant(variant) {
            no(Rule::Variant)?;
        }
    }
    if let Some(rule) = tiers::refused(stand, want, rules) {
        no(rule)?;
    }
    if rules.quantizations.is_some_and(|q| !q.meets(facts.quant)) {
        no(Rule::Quantization)?;
    }
    if rules.deny_collection && (e.policy.trains, e.policy.retains) != (Some(false), Some(false)) {
        no(Rule::Collection)?;
    }
    if rules.zdr && !e.policy.zdr {
        no(Rule::Zdr)?;
    }
    if needs.has_max_price
        && let Some(rule) = too_dear(e.price.as_deref(), rules, want)
    {
        no(rule)?;
    }
    if !needs.params.is_empty() {
        let missing = facts.can.unwrap_or_default().missing(needs.params);
        if !missing.is_empty() {
            no(Rule::Parameters(missing))?;
        }
    }
    if want.tools && facts.can.is_some_and(|can| !can.has(Params::TOOLS)) {
        no(Rule::Tools)?;
    }
    let lacks = |has: Option<MediaSet>, kind: &MediaKind| has.is_some_and(|set| !set.contains(*kind));
    if let Some(kind) = want.media.iter().find(|k| lacks(facts.takes, k) && !want.readable.contains(*k)) {
        no(Rule::Input(kind))?;
    }
    for (wanted, kind) in [(want.image_out, MediaKind::Image), (want.audio_out, MediaKind::Audio)] {
        if wanted && lacks(facts.makes, &kind) {
            no(Rule::Output(kind))?;
        }
    }
    if let Some(has) = e.context.filter(|has| want.prompt_tokens > *has && !want.compress) {
        no(Rule::Context { needs: want.prompt_tokens, has })?;
    }
    if let (Some(needs), Some(has)) = (want.max_tokens, e.max_output)
        && needs > has
    {
        no(Rule::MaxTokens { needs, has })?;
    }
    ControlFlow::Continue(())
}

fn too_dear(price: Option<&Price>, rules: &Rules, want: &Want) -> Option<Rule> {
    let Some(price) = price else { return Some(Rule::UnknownPrice) };
    let (rates, max) = (price.rates_for(want.prompt_tokens), &rules.max_price);
    let audio = rates.audio_in.max(rates.audio_out).unwrap_or_default();
    let lines = [
        (max.prompt, rates.input, Line::Prompt),
        (max.completion, rates.output, Line::Completion),
        (max.audio, audio, Line::Audio),
        (max.request, price.request, Line::Request),
    ];
    lines.into_iter().find(|(max, is, _)| max.is_some_and(|m| *is > m)).map(|(_, _, line)| Rule::MaxPrice(line))
}

/// Puts it behind the others, and tells why it is to go last, if it is.
#[inline]
fn candidate(
    q: &Question<'_>,
    needs: &Needs,
    stand: &Stand<'_>,
    holder: Holder,
    line: &mut Vec<Candidate>,
) -> Option<Rule> {
    let (place, e) = (stand.place, stand.endpoint);
    line.push(Candidate {
        place: place as u16,
        at: stand.at as u32,
        // What depends on the others is known when all are there: see `expect`.
        price: None,
        expects: 0,
        weight: e.facts.weight,
        live: Vital::default(),
        cached: 0,
        key: e.key,
        holder,
        sticky: false,
        score: 0.0,
        lap: None,
        tier: 0,
    });
    let candidate = line.last_mut()?;
    let live = &mut candidate.live;
    let rests = live_in(q, e, holder, live);
    if !q.want.tools {
        // How well it calls tools is of no concern to who brings none.
        live.call_odds = 1.0;
    }
    let foreign = needs.sealed && !q.want.sealed.iter().any(|f| f == e.facts.seals);
    let order = match q.rules.order.iter().position(|n| e.answers_to(n)) {
        Some(at) => at as u32,
        None => tier::UNLISTED,
    };
    let wish = q.asked.get(place).map(|a| a.wish).unwrap_or_default();
    let reads = |kind| e.facts.takes.is_none_or(|takes| takes.contains(kind));
    let lacks = e.facts.can.is_some_and(|can| !can.has(needs.wishes))
        || wish.misses(e.variant.as_deref())
        || !q.want.media.iter().all(reads)
        // Whom it need not be squeezed for.
        || e.context.is_some_and(|has| q.want.prompt_tokens > has);
    // The caller's own order is stronger than the caller's preferences.
    let slow = order == tier::UNLISTED && is_slow(q, e, holder, live);
    let mark = |set: bool, bit: u32| if set { bit } else { 0 };
    let tier = order << tier::ORDER
        | (holder as u32) << tier::HOLDER
        | mark(!q.rules.mix_models, (place as u32) << tier::PLACE)
        | mark(rests.is_some(), tier::COOLED)
        | mark(foreign, tier::FOREIGN)
        | mark(slow, tier::SLOW)
        | mark(tiers::later(stand, q.want), tier::LATER)
        | mark(lacks, tier::LACKS);
    // Where the caller says in which order, a conversation does not.
    let sticky = q.view.sticky.filter(|s| s.endpoint == e.key && q.rules.order.is_empty());
    let usual = q.want.prompt_tokens.saturating_mul(u64::from(live.cached_permille)) / 1000;
    candidate.cached = sticky.map_or(usual, |s| s.cached.max(usual));
    candidate.sticky = sticky.is_some();
    candidate.tier = tier;
    match rests {
        Some(rests) => Some(rests.rule()),
        None if foreign => Some(Rule::SealedElsewhere),
        None => slow.then_some(Rule::Slow),
    }
}

/// Why an endpoint, or an instance of it, is not to be asked now.
#[derive(Clone, Copy)]
enum Rests {
    CooledDown,
    Probing,
    Spent,
}

impl Rests {
    const fn rule(self) -> Rule {
        match self {
            Rests::CooledDown => Rule::CooledDown,
            Rests::Probing => Rule::Probing,
            Rests::Spent => Rule::Spent,
        }
    }
}

/// How an endpoint is through the best of its instances, and why all of them rest if they do.
pub(crate) fn live(q: &Question<'_>, e: &Endpoint, holder: Holder) -> (Vital, Option<Rule>) {
    let mut best = Vital::default();
    let rests = live_in(q, e, holder, &mut best);
    (best, rests.map(Rests::rule))
}

/// The same, told to where it will stay.
#[inline]
fn live_in(q: &Question<'_>, e: &Endpoint, holder: Holder, into: &mut Vital) -> Option<Rests> {
    let rests = match &*own::pool(q.own, e, holder) {
        [only] => {
            q.view.vitals.read(e.key, only.id, into);
            resting(q, into)
        }
        pool => best(q, e.key, pool, into),
    };
    if rests.is_some() {
        *into = Vital { cooldown_until_ms: into.cooldown_until_ms, ..Vital::default() };
    }
    rests
}

#[inline]
fn resting(q: &Question<'_>, vital: &Vital) -> Option<Rests> {
    if !vital.rests(q.now_ms, q.want.prompt_tokens) {
        return None;
    }
    Some(match vital {
        Vital { cooldown_until_ms, .. } if *cooldown_until_ms > q.now_ms => Rests::CooledDown,
        Vital { probing: true, .. } => Rests::Probing,
        _ => Rests::Spent,
    })
}

fn best(q: &Question<'_>, key: u64, pool: &[Instance], into: &mut Vital) -> Option<Rests> {
    let (mut best, mut why): (Option<Vital>, Option<Rests>) = (None, None);
    for instance in pool {
        let vital = q.view.vitals.vital(key, instance.id);
        if let Some(rule) = resting(q, &vital) {
            into.cooldown_until_ms = why.map_or(u64::MAX, |_| into.cooldown_until_ms).min(vital.cooldown_until_ms);
            why = Some(rule);
            continue;
        }
        let Some(best) = &mut best else {
            best = Some(vital);
            continue;
        };
        let least = |a: Option<u32>, b: Option<u32>| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        best.failing &= vital.failing;
        best.half_open &= vital.half_open;
        best.warmth = best.warmth.max(vital.warmth);
        best.odds = best.odds.max(vital.odds);
        best.call_odds = best.call_odds.max(vital.call_odds);
        best.ttft_ms = least(best.ttft_ms, vital.ttft_ms);
        best.peak_ms = least(best.peak_ms, vital.peak_ms);
        best.tokens_per_second = best.tokens_per_second.max(vital.tokens_per_second);
        best.cached_permille = best.cached_permille.max(vital.cached_permille);
        best.whole = best.whole.max(vital.whole);
        best.silent_ms = best.silent_ms.min(vital.silent_ms);
        best.output_tokens = best.output_tokens.or(vital.output_tokens);
        // Of all of them, as what is under way is; whoever was not measured is as it always was.
        let then = |vital: &Vital| vital.ahead.unwrap_or(vital.in_flight as f32);
        best.ahead = best.ahead.or(vital.ahead).map(|_| then(best) + then(&vital));
        best.in_flight = best.in_flight.saturating_add(vital.in_flight);
    }
    match best {
        Some(best) => {
            *into = best;
            None
        }
        None => why,
    }
}

/// Whether it is slower than the caller prefers, at the percentiles the caller named where they were measured. A percentile of
/// speed is what that share of replies reach: at p90, nine in ten are as fast or faster.
fn is_slow(q: &Question<'_>, e: &Endpoint, holder: Holder, live: &Vital) -> bool {
    let (throughput, latency) = (q.rules.min_throughput, q.rules.max_latency);
    if throughput.is_empty() && latency.is_empty() {
        return false;
    }
    let pool = own::pool(q.own, e, holder);
    let measured = |metric| {
        let each = pool.iter().filter_map(|i| q.view.vitals.percentiles(e.key, i.id, metric));
        each.max_by_key(|p| p.count)
    };
    let too_slow = !throughput.is_empty()
        && match (measured(Metric::Throughput), live.tokens_per_second.zip(throughput.usual())) {
            (Some(p), _) => !throughput.all(|share| p.at(1.0 - share), |is, least| is >= least),
            (None, Some((is, least))) => f64::from(is) < least,
            (None, None) => false,
        };
    let too_late = !latency.is_empty()
        && match (measured(Metric::FirstContent), live.ttft_ms.zip(latency.usual())) {
            (Some(p), _) => !latency.all(|share| p.at(share), |is, most| is <= most * 1000.0),
            (None, Some((is, most))) => f64::from(is) > most * 1000.0,
            (None, None) => false,
        };
    too_slow || too_late
}

/// Output tokens of the reply where so many are usual, for comparing endpoints only.
pub fn expected_output(want: &Want, usual: u64) -> u64 {
    want.max_tokens.unwrap_or(usual).min(usual).saturating_mul(u64::from(want.n.max(1)))
}

/// What a request like this usually costs here. For comparing endpoints only.
pub fn estimate(price: &Price, want: &Want) -> Nano {
    effective(price, want, 0, expected_output(want, EXPECTED_OUTPUT))
}

/// The same with so many prompt tokens read from the provider's cache.
fn effective(price: &Price, want: &Want, cached: u64, output: u64) -> Nano {
    let rates = price.rates_for(want.prompt_tokens);
    let cached = if rates.cache_read.is_some() { cached.min(want.prompt_tokens) } else { 0 };
    let lines = [
        (want.prompt_tokens - cached, rates.input),
        (cached, rates.cache_read.unwrap_or(rates.input)),
        (output, rates.output),
        (1, price.request),
    ];
    let pico: u128 = lines.iter().map(|(count, rate)| u128::from(*count) * u128::from(rate.0)).sum();
    // Hardly ever more than fits 64 bits, where dividing is a multiplication.
    match u64::try_from(pico) {
        Ok(pico) => Nano((pico / 1000) as i64),
        Err(_) => Nano(i64::try_from(pico / 1000).unwrap_or(i64::MAX)),
    }
}
