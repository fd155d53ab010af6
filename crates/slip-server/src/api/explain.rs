//! An explanation as JSON: who asks for what, every endpoint with what speaks for and against it, and what may be expected.

use super::usd;
use crate::flow::admit::Caller;
use crate::flow::read::Inbound;
use crate::world::World;
use serde_json::{Map, Value, json};
use slip_ir::{Fault, MediaKind, Nano, Price, Tier, Want};
use slip_route::eligible::{EXPECTED_OUTPUT, expected_output};
use slip_route::explain::{Chance, Told, Verdict};
use slip_route::resolve::{Reach, Wish};
use slip_route::{Allow, Explained, NoRoute, Rule, View, Vital};

/// As much of a key's name as tells it from others.
const HASH: usize = 12;

/// Whose request is explained, and when.
pub struct Asked<'a> {
    pub inbound: &'a Inbound,
    pub caller: &'a Caller,
    pub world: &'a World,
    /// What its key is held to.
    pub allow: Option<&'a Allow>,
    pub view: &'a View<'a>,
    /// Whether another would be asked beside the first.
    pub hedge: Value,
    /// How urgent it is, and whether it would wait.
    pub queue: Value,
    pub now_ms: u64,
    /// What is said where everybody who may serve would lose something that must not be lost.
    pub nobody: Option<Fault>,
}

pub fn shown(told: &Explained, asked: &Asked<'_>) -> Value {
    let peek = &asked.inbound.peek;
    let order: Vec<&str> = told.each.iter().filter(|one| rank(one).is_some()).map(|one| &*one.endpoint.tag).collect();
    json!({
        "key": key(asked),
        "surface": asked.inbound.dialect.name(),
        "asked": told.asked.iter().map(name).collect::<Vec<_>>(),
        "unserved": told.unserved.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "wants": wants(&peek.want),
        "provider": peek.provider.as_ref().map(slip_ir::Raw::value),
        "strategy": told.asked.first().map(|first| json!({
            "name": first.strategy.name(),
            "about": first.strategy.about(),
            "chosen_by": first.by.name(),
        })),
        "endpoints": told.each.iter().map(|one| endpoint(one, told, asked)).collect::<Vec<_>>(),
        "order": order,
        "draws": told.draws,
        "conversation": conversation(told, asked.view),
        "expects": expects(told),
        "hedge": asked.hedge,
        "queue": asked.queue,
        "cache": "off",
        "no_route": told.no.clone().map(no_route).or_else(|| asked.nobody.as_ref().map(nobody)),
    })
}

fn rank(one: &Told) -> Option<usize> {
    one.chance().and_then(|chance| chance.rank)
}

fn key(asked: &Asked<'_>) -> Value {
    let Some(key) = asked.caller.key() else { return Value::Null };
    let some = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
    let guardrails: Vec<&str> = asked.allow.iter().flat_map(|allow| allow.guards()).map(|guard| &*guard.name).collect();
    json!({
        "label": key.label,
        "name": key.name,
        "hash": key.hash.get(..HASH),
        "kind": key.kind.name(),
        "may_use": {
            "models": some(&key.detail.models),
            "providers": some(&key.detail.providers),
            "guardrails": guardrails,
        },
    })
}

fn name(asked: &slip_route::explain::Asked) -> Value {
    let leads_to = match &asked.name.reach {
        Reach::Model(_) => "model",
        Reach::Endpoint(_) => "endpoint",
        Reach::House(_) => "house",
        Reach::These(_) => "provider",
    };
    let Wish { sort, free, thinking, extended, online } = asked.name.wish;
    let suffixes = [(free, "free"), (thinking, "thinking"), (extended, "extended"), (online, "online")];
    json!({
        "name": asked.name.asked,
        "leads_to": leads_to,
        "suffixes": suffixes.iter().filter(|(set, _)| *set).map(|(_, word)| *word).collect::<Vec<_>>(),
        "suffix_sort": sort.map(|sort| sort.strategy().name()),
        "strategy": asked.strategy.name(),
        "chosen_by": asked.by.name(),
    })
}

fn wants(want: &Want) -> Value {
    let media = |set: slip_ir::want::MediaSet| set.iter().map(MediaKind::name).collect::<Vec<_>>();
    let makes = [(want.image_out, "image"), (want.audio_out, "audio")];
    json!({
        "operation": want.op.name(),
        "stream": want.stream,
        "prompt_tokens": want.prompt_tokens,
        "max_tokens": want.max_tokens,
        "expected_output_tokens": expected_output(want, EXPECTED_OUTPUT),
        "choices": want.n.max(1),
        "tools": want.tools,
        "json_object": want.json_object,
        "json_schema": want.json_schema,
        "reasoning": want.reasoning,
        "media": media(want.media),
        "media_read_here": media(want.readable),
        "makes": makes.iter().filter(|(set, _)| *set).map(|(_, word)| *word).collect::<Vec<_>>(),
        "parameters": want.params,
        "sealed_reasoning": want.sealed,
        "service_tier": want.tier.map(Tier::name),
    })
}

fn endpoint(one: &Told, told: &Explained, asked: &Asked<'_>) -> Value {
    let e = &one.endpoint;
    let rests = |instance: &&slip_route::Instance| {
        asked.view.vitals.vital(e.key, instance.id).rests(asked.now_ms, asked.inbound.peek.want.prompt_tokens)
    };
    let (verdict, rules): (&str, &[Rule]) = match &one.verdict {
        Verdict::Refused(rules) => ("refused", rules),
        Verdict::Unfit(_) => ("refused", &[]),
        Verdict::May(chance) if chance.rank.is_none() => ("never", &chance.demoted),
        Verdict::May(chance) if asked.queue["waits"] == true && chance.demoted.contains(&Rule::Spent) => {
            ("waits", &chance.demoted)
        }
        Verdict::May(chance) if !chance.demoted.is_empty() || chance.ignores => ("last", &chance.demoted),
        Verdict::May(chance) => ("eligible", &chance.demoted),
    };
    let mut because: Vec<Value> =
        rules.iter().map(|rule| json!({ "rule": rule.name(), "says": rule.to_string() })).collect();
    if let Verdict::Unfit(why) = &one.verdict {
        because.push(json!({ "rule": "unfit", "says": why }));
    }
    if one.chance().is_some_and(|chance| chance.ignores) {
        because.push(json!({ "rule": "ignores", "says": "it would ignore something that was asked for, tried last" }));
    }
    if verdict == "never" {
        because.push(json!({ "rule": "allow_fallbacks", "says": "another is tried, and there are no fallbacks" }));
    }
    let strategy = told.asked.get(one.place).map(|asked| asked.strategy.name());
    json!({
        "endpoint": &*e.tag,
        "provider": &*e.provider,
        "provider_name": &*e.provider_name,
        "model": &*e.model.id,
        "upstream": &*e.upstream,
        "dialect": e.dialect.name(),
        "variant": e.variant.as_deref(),
        "quantization": e.quantization.as_deref(),
        "service_tier": e.tier.tag(),
        "context": e.context,
        "max_output": e.max_output,
        "asked": told.asked.get(one.place).map(|asked| &*asked.name.asked),
        "verdict": verdict,
        "because": because,
        "rank": rank(one).map(|rank| rank + 1),
        "first": one.chance().map_or(0.0, |chance| chance.first),
        "instances": one.pool.len(),
        "instances_resting": one.pool.iter().filter(rests).count(),
        "credential": one.holder.name(),
        "own_keys": one.pool.iter().filter_map(|instance| own_key(asked.world, instance.id)).collect::<Vec<_>>(),
        "live": live(&one.live, asked.now_ms),
        "price": price(e.price.as_deref(), one.chance()),
        "score": one.chance().map(|chance| score(chance, strategy)),
        "sticky": one.chance().is_some_and(|chance| chance.candidate.sticky),
    })
}

/// Which of the workspace's keys, as far as it may be told.
fn own_key(world: &World, instance: u32) -> Option<Value> {
    let key = world.own_key(instance)?;
    Some(json!({ "id": &*key.filed.id, "label": key.label, "name": key.name }))
}

fn live(live: &Vital, now_ms: u64) -> Value {
    json!({
        "odds": tidy(f64::from(live.odds)),
        "ttft_ms": live.ttft_ms,
        "peak_ttft_ms": live.peak_ms,
        "tokens_per_second": live.tokens_per_second,
        "output_tokens": live.output_tokens,
        "in_flight": live.in_flight,
        "cooldown_ms": live.cooldown_until_ms.saturating_sub(now_ms),
        "failing": live.failing,
        "recovering": live.half_open,
        "share_while_recovering": tidy(f64::from(live.warmth)),
        "cached_share": f64::from(live.cached_permille) / 1000.0,
        "rate_limit_requests_left": live.requests_left,
        "rate_limit_tokens_left": live.tokens_left,
    })
}

fn tidy(share: f64) -> f64 {
    (share * 10_000.0).round() / 10_000.0
}

/// What it costs by the million, and what this request is expected to.
fn price(price: Option<&Price>, chance: Option<&Chance>) -> Value {
    let million = |rate: slip_ir::Pico| rate.to_million_string().parse::<f64>().ok();
    json!({
        "known": price.is_some(),
        "input_per_million": price.and_then(|p| million(p.rates.input)),
        "output_per_million": price.and_then(|p| million(p.rates.output)),
        "cache_read_per_million": price.and_then(|p| million(p.rates.cache_read?)),
        "expected_usd": chance.and_then(|chance| chance.candidate.price).map(usd),
    })
}

/// What an answer is likely to cost, waiting and failing counted as money, and what the strategy ordered by if it is a number.
fn score(chance: &Chance, strategy: Option<&str>) -> Value {
    let dollars = |nano: f64| usd(Nano(nano.round() as i64));
    let parts = &chance.parts;
    json!({
        "expected_cost": dollars(parts.total()),
        "price": dollars(parts.price),
        "waiting": dollars(parts.waiting),
        "failure": dollars(parts.failure),
        "strategy": strategy,
        "strategy_score": (chance.candidate.score > 0.0).then_some(chance.candidate.score),
    })
}

fn conversation(told: &Explained, view: &View<'_>) -> Value {
    let Some(sticky) = view.sticky else { return json!({ "known": false }) };
    let at = told.each.iter().find(|one| one.endpoint.key == sticky.endpoint);
    json!({ "known": true, "endpoint": at.map(|one| &*one.endpoint.tag), "cached_tokens": sticky.cached })
}

/// By the chances of each to be first; null where nobody knows.
fn expects(told: &Explained) -> Value {
    let chances = || told.each.iter().filter_map(Told::chance).filter(|chance| chance.first > 0.0);
    let mean = |of: &dyn Fn(&Chance) -> Option<f64>| {
        let (mut sum, mut share) = (0.0, 0.0);
        for (value, first) in chances().filter_map(|chance| Some((of(chance)?, chance.first))) {
            sum += value * first;
            share += first;
        }
        (share > 0.0).then(|| sum / share)
    };
    let cost = mean(&|chance| chance.candidate.price.map(|price| price.0 as f64));
    let first = mean(&|chance| chance.candidate.live.ttft_ms.map(f64::from));
    let odds = mean(&|chance| Some(f64::from(chance.candidate.live.odds)));
    let mut expects = Map::new();
    expects.insert("cost_usd".to_owned(), cost.map_or(Value::Null, |nano| usd(Nano(nano.round() as i64))));
    expects.insert("first_token_ms".to_owned(), json!(first.map(f64::round)));
    expects.insert("first_attempt_succeeds".to_owned(), json!(odds.map(tidy)));
    Value::Object(expects)
}

fn no_route(no: NoRoute) -> Value {
    let excluded_by = no.excluded_by();
    let code = no.code();
    let fault: Fault = no.into();
    json!({
        "status": fault.kind.status(),
        "reason": fault.kind.reason(),
        "code": code,
        "message": &*fault.says,
        "excluded_by": excluded_by,
    })
}

fn nobody(fault: &Fault) -> Value {
    json!({
        "status": fault.kind.status(),
        "reason": fault.kind.reason(),
        "code": "constraint_filtered",
        "message": &*fault.says,
        "excluded_by": ["require_parameters"],
    })
}
