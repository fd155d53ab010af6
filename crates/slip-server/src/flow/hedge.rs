//! A second attempt beside a silent first: whoever has content first is the one, and the other is hung up on. Only where the owner
//! asked for it, only for requests that change nothing in the world, and as rarely as the governor says.

use super::errand::{Errand, Terms};
use super::lower::{Seals, Turn};
use super::read::Inbound;
use super::{Answer, Trip, Won, carry};
use crate::clock;
use crate::config::{After, Hedge};
use crate::upstream::{Failed, Origin};
use crate::vitals::Flight;
use crate::world::{Route, World};
use serde_json::{Map, Value, json};
use slip_ir::{Loss, Nano, Op, Remedy, Usage};
use slip_route::explain::Told;
use slip_route::resolve::Resolved;
use slip_route::{Attempt, Endpoint, Explained, Governor, Health, Metric};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Fewer samples make no percentile.
const ENOUGH: u64 = 20;
/// What an endpoint is given of which nothing is known yet, if its time to the first content is not shorter still.
const UNKNOWN: Duration = Duration::from_secs(10);
/// Nobody notices less, whatever the percentile.
const LEAST: Duration = Duration::from_millis(50);

/// Leave to hedge one request.
pub(super) struct Hedging {
    hedge: Hedge,
    governor: Arc<Governor>,
}

/// The attempt that decides, and how it went.
pub(super) struct Raced {
    pub attempt: Attempt,
    pub began: Instant,
    pub outcome: Outcome,
}

type Outcome = Result<(Won, &'static str, Vec<Loss>), Failed>;

/// One of the two.
struct Runner<'a> {
    attempt: Attempt,
    began: Instant,
    hedge: bool,
    run: Pin<Box<dyn Future<Output = (Outcome, Flight)> + Send + 'a>>,
}

async fn fly(mut errand: Errand<'_>, mut flight: Flight) -> (Outcome, Flight) {
    let outcome = errand.run(Some(&mut flight)).await;
    let Errand { outbound, stamp, .. } = errand;
    (outcome.map(|answer| (Won { answer, stamp }, outbound.lens, outbound.losses)), flight)
}

impl Trip {
    /// May this attempt be raced? Only the first of a request may.
    pub(super) fn hedging(&self, attempt: &Attempt) -> Option<Hedging> {
        if attempt.number > 1 || self.plan.line().len() < 2 {
            return None;
        }
        let asked = self.plan.asked().get(attempt.place)?;
        let (route, hedge) = leave(&self.world, asked, self.hedge, &self.inbound).ok()?;
        route.governor.request(hedge.share, attempt.price);
        Some(Hedging { hedge, governor: route.governor.clone() })
    }

    /// The first attempt, and another beside it once it has been silent for too long.
    pub(super) async fn race(&mut self, hedging: Hedging, attempt: Attempt, began: Instant) -> Raced {
        let world = self.world.clone();
        let errand = self.lowered(&world, &attempt, began);
        let Some((errand, flight)) = errand.and_then(|errand| Some((errand, self.flight.take()?))) else {
            // Something about it is special: it goes the usual way.
            let outcome = self.attempt(&attempt, began, Seals::Kept).await;
            return Raced { attempt, began, outcome };
        };
        let patience = self.silence(&hedging, &attempt);
        let mut first = Runner { attempt, began, hedge: false, run: Box::pin(fly(errand, flight)) };
        let second = match timeout(patience, first.run.as_mut()).await {
            Ok((outcome, flight)) => return self.decided(first, outcome, flight),
            Err(_) => self.second(&world, &hedging, &first.attempt),
        };
        let Some(second) = second else {
            let (outcome, flight) = first.run.as_mut().await;
            return self.decided(first, outcome, flight);
        };
        let (ended, (outcome, flight), mut other) = sooner(first, second).await;
        match outcome {
            // What is wrong with the request in the eyes of the second, the first may not mind.
            Err(failed) if ended.hedge || failed.fault.remedy != Remedy::Stop => {
                // One is down, and the other goes on alone.
                let own = self.world.own_key(ended.attempt.instance.id);
                self.book.attempt(&ended.attempt, own, self.spoken(&ended.attempt));
                self.book.hedge(ended.hedge);
                self.fell(&ended.attempt, ended.began, Some(flight), failed);
                let (outcome, flight) = other.run.as_mut().await;
                self.decided(other, outcome, flight)
            }
            outcome => {
                let lost = waste(&other.attempt.endpoint, self.inbound.peek.want.prompt_tokens, &outcome);
                self.book.outrun(&other.attempt.endpoint, other.hedge, other.began, ended.began, lost);
                if self.inbound.peek.stream {
                    let health = self.world.health(&other.attempt.endpoint, other.attempt.instance.id);
                    health.silent(clock::unix_ms(), clock::now().duration_since(other.began));
                }
                // Hanging up is what cancels it.
                drop(other);
                self.decided(ended, outcome, flight)
            }
        }
    }

    fn decided(&mut self, runner: Runner<'_>, outcome: Outcome, flight: Flight) -> Raced {
        let Runner { attempt, began, hedge, run } = runner;
        drop(run);
        self.flight = Some(flight);
        self.pace = self.pace.of_attempt(&self.world, &self.plan, &attempt, began);
        self.book.attempt(&attempt, self.world.own_key(attempt.instance.id), self.spoken(&attempt));
        self.book.hedge(hedge);
        Raced { attempt, began, outcome }
    }

    /// How long the first may be silent.
    fn silence(&self, hedging: &Hedging, attempt: &Attempt) -> Duration {
        let health = self.world.health(&attempt.endpoint, attempt.instance.id);
        patience(hedging.hedge, &health, self.inbound.peek.stream, self.pace.timeouts.first_content)
    }

    /// The second attempt, if there may be one and somebody to make it.
    fn second<'w>(&mut self, world: &'w World, hedging: &Hedging, first: &Attempt) -> Option<Runner<'w>> {
        let now = clock::unix_ms();
        // What is slow is counted whether or not there is anybody else.
        if !hedging.governor.late() {
            return None;
        }
        let host = |instance: u32| world.seat(instance).ok().map(|seat| &seat.target.origin);
        let apart = |other: slip_route::Instance| host(other.id) != host(first.instance.id);
        let attempt = self.plan.hedge(first, now, &world.at(now), &apart)?;
        let began = clock::now();
        let pace = self.pace;
        self.pace = pace.of_attempt(world, &self.plan, &attempt, began);
        let errand = self.lowered(world, &attempt, began);
        self.pace = pace;
        let charge = world.charge(&attempt.endpoint, attempt.instance.id).ok();
        // Nobody waits to ask twice.
        let asked = errand.zip(charge).zip(self.leave(&attempt, None)).filter(|_| hedging.governor.take(attempt.price));
        let Some(((errand, charge), lease)) = asked else {
            self.plan.unhedge();
            return None;
        };
        // A hedge is no retry: it is the governor's to allow, not the budget's.
        let flight = Flight::begin(charge, false, self.inbound.peek.stream, self.inbound.peek.want.prompt_tokens);
        let flight = flight.by(lease);
        Some(Runner { attempt, began, hedge: true, run: Box::pin(fly(errand, flight)) })
    }

    /// Ready to be sent, where nothing about it is special: no file has to be fetched or read for it, and its form is the
    /// provider's to keep.
    fn lowered<'w>(&mut self, world: &'w World, attempt: &Attempt, began: Instant) -> Option<Errand<'w>> {
        let endpoint = &attempt.endpoint;
        let seat = world.seat(attempt.instance.id).ok()?;
        let spoken = seat.provider.spoken_for(self.inbound.dialect, &endpoint.upstream, self.inbound.infills());
        let needs = carry::needs(&self.inbound, endpoint, spoken.dialect, spoken.quirks);
        if needs.any() {
            return None;
        }
        let turn = Turn { seals: Seals::Kept, needs, wrong: None, torn: None };
        let mends = self.continues(attempt);
        let terms = Terms { pace: self.pace, began, alone: false, last: attempt.number > 1, mends };
        let (id, strict) = (self.book.id(), &mut self.strict);
        let errand = Errand::lower(world, &mut self.inbound, strict, id, attempt, turn, terms).ok()?;
        errand.outbound.ordered.is_none().then_some(errand)
    }
}

/// What the name gives leave to and this request wants, or why it is not hedged.
fn leave<'w>(
    world: &'w World,
    asked: &Resolved,
    wish: Option<bool>,
    inbound: &Inbound,
) -> Result<(&'w Route, Hedge), &'static str> {
    let route = world.route(Some(asked)).ok_or("only names of this house can be hedged")?;
    let hedge = route.hedge.ok_or("nothing is hedged under this name")?;
    match wish {
        Some(false) => return Err("the request says provider.hedge: false"),
        None if !hedge.unasked => return Err("under this name a request must ask for it by provider.hedge: true"),
        _ => {}
    }
    if asked.wish.online || !harmless(inbound) {
        return Err("asking twice might do more than asking once");
    }
    Ok((route, hedge))
}

/// How long an endpoint of this health may be silent.
fn patience(hedge: Hedge, health: &Health, stream: bool, first_content: Duration) -> Duration {
    let share = match hedge.after {
        After::Fixed(time) => return time,
        After::Percentile(share) => share,
    };
    let metric = if stream { Metric::FirstContent } else { Metric::Total };
    match health.percentiles(metric, clock::unix_ms()).filter(|known| known.count >= ENOUGH) {
        Some(known) => Duration::from_secs_f64((known.at(share) / 1e3).clamp(0.0, 3600.0)).max(LEAST),
        None => UNKNOWN.min(first_content / 2),
    }
}

/// For an explanation: whether the request would be hedged, after how long and where, or why not.
pub(super) fn told(world: &World, inbound: &Inbound, wish: Option<bool>, told: &Explained) -> Value {
    let off = |why: &str| json!({ "state": "off", "why": why });
    let mut ranked: Vec<_> = told.each.iter().filter_map(|one| Some((one.chance()?.rank?, one))).collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    let Some((_, first)) = ranked.first() else { return off("nobody may serve it") };
    let Some(asked) = told.asked.get(first.place) else { return off("nobody may serve it") };
    let (route, hedge) = match leave(world, &asked.name, wish, inbound) {
        Ok(leave) => leave,
        Err(why) => return off(why),
    };
    let hosts = |one: &Told| -> Vec<&Origin> {
        let seats = one.pool.iter().filter_map(|instance| world.seat(instance.id).ok());
        seats.map(|seat| &*seat.target.origin).collect()
    };
    let at = hosts(first);
    let well = |one: &Told| one.chance().is_some_and(|chance| !chance.candidate.cooled());
    let elsewhere = |one: &Told| hosts(one).iter().any(|host| !at.contains(host));
    let alike = |one: &Told| one.place == first.place && one.holder.is_own() == first.holder.is_own();
    let apart = |one: &&&Told| alike(one) && well(one) && elsewhere(one);
    let Some(second) = ranked.iter().skip(1).map(|(_, one)| one).find(apart) else {
        return off("nobody at another host may serve it");
    };
    let timeouts = world.timeouts.with(route.patience);
    let health = first.pool.first().map(|instance| world.health(&first.endpoint, instance.id));
    let after = health.map(|health| patience(hedge, &health, inbound.peek.stream, timeouts.first_content));
    json!({
        "state": "on",
        "after_ms": after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
        "max_share": f64::from(hedge.share) / 1e6,
        "first": &*first.endpoint.tag,
        "second": &*second.endpoint.tag,
    })
}

/// Whoever ends first, how it ended, and the other.
async fn sooner<'a>(mut one: Runner<'a>, mut two: Runner<'a>) -> (Runner<'a>, (Outcome, Flight), Runner<'a>) {
    let (first, ended) = poll_fn(|cx| {
        if let Poll::Ready(ended) = one.run.as_mut().poll(cx) {
            return Poll::Ready((true, ended));
        }
        two.run.as_mut().poll(cx).map(|ended| (false, ended))
    })
    .await;
    if first { (one, ended, two) } else { (two, ended, one) }
}

/// What the one that is hung up on is thought to cost all the same: its prompt, and, where the winner's reply came whole, an answer
/// as long as that one.
fn waste(endpoint: &Endpoint, prompt: u64, winner: &Outcome) -> Nano {
    let output = match winner {
        Ok((Won { answer: Answer::Whole(whole), .. }, ..)) => {
            whole.tally.usage.as_ref().map_or(0, |usage| usage.completion_total())
        }
        _ => 0,
    };
    let usage = Usage { input: prompt, output, estimated: true, ..Usage::default() };
    endpoint.price.as_ref().map_or(Nano(0), |price| price.cost(&usage).total)
}

/// Asking twice does no more than asking once: nothing is stored, run or drawn at the provider.
pub(super) fn harmless(inbound: &Inbound) -> bool {
    let peek = &inbound.peek;
    let want = &peek.want;
    if inbound.inquiry.is_some() || want.op != Op::Chat || want.image_out || want.audio_out {
        return false;
    }
    if want.json_object || want.json_schema {
        // It may have to be asked again for its form; that is enough.
        return false;
    }
    let said = |name: &str| peek.member(name).and_then(|member| inbound.raw.get(member.value.clone()));
    const ACTING: [&str; 8] = [
        "store",
        "background",
        "previous_response_id",
        "conversation",
        "container",
        "mcp_servers",
        "plugins",
        "web_search_options",
    ];
    if ACTING.iter().any(|name| said(name).is_some_and(|value| !matches!(value, b"null" | b"false" | b"[]"))) {
        return false;
    }
    if let Some(span) = said("toolConfig") {
        let config: Map<String, Value> = serde_json::from_slice(span).unwrap_or_default();
        return config.get("tools").is_none_or(callers_own);
    }
    said("tools").is_none_or(|span| serde_json::from_slice::<Value>(span).is_ok_and(|tools| callers_own(&tools)))
}

/// Every tool is run by the caller.
fn callers_own(tools: &Value) -> bool {
    const SPELLINGS: [&str; 5] =
        ["input_schema", "functionDeclarations", "function_declarations", "toolSpec", "cachePoint"];
    let own = |tool: &Value| match tool["type"].as_str() {
        Some(kind) => matches!(kind, "function" | "custom"),
        None => SPELLINGS.iter().any(|name| tool.get(name).is_some()),
    };
    tools.as_array().is_none_or(|tools| tools.iter().all(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_that_a_provider_runs_are_told_from_the_callers_own() {
        let rows = [
            (json!([{ "type": "function", "function": { "name": "f" } }]), true),
            (json!([{ "name": "f", "input_schema": {} }]), true),
            (json!([{ "type": "custom", "name": "f" }]), true),
            (json!([{ "functionDeclarations": [] }]), true),
            (json!([{ "toolSpec": {} }, { "cachePoint": {} }]), true),
            (json!(null), true),
            (json!([{ "type": "web_search_20250305", "name": "web_search" }]), false),
            (json!([{ "type": "function", "name": "f" }, { "type": "code_interpreter" }]), false),
            (json!([{ "googleSearch": {} }]), false),
            (json!([{ "systemTool": { "name": "nova_code" } }]), false),
        ];
        for (tools, want) in rows {
            assert_eq!(callers_own(&tools), want, "{tools}");
        }
    }
}
