//! Beside the journey: how a request would be routed at this moment, and why. It goes the same way as far as the choice; nobody is
//! asked, nothing is counted, and nothing is remembered.

use super::admit::Caller;
use super::choose::{Asking, asking};
use super::heads::Heads;
use super::lower::{Seals, Turn, lower};
use super::read::{self, Inbound};
use super::settle::InFlight;
use super::strict::Strict;
use super::{carry, class, hedge, hold, refuse, turn};
use crate::body::Body;
use crate::sticky::Conversations;
use crate::world::World;
use crate::{App, api, clock};
use bytes::Bytes;
use fastrand::Rng;
use http::{Request, Response};
use hyper::body::Incoming;
use serde_json::Value;
use slip_ir::{Dialect, Fault, FaultKind};
use slip_quota::Class;
use slip_route::explain::Verdict;
use slip_route::{Endpoint, Explained, Refusal, Sticky, View};
use slip_wire::peek::Named;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The same state explains itself the same way.
const SEED: u64 = 1;

/// `POST /explain`: any chat request; `surface` says whose, where it is not OpenAI's.
pub async fn explain(app: Arc<App>, caller: Caller, request: Request<Incoming>) -> Result<Response<Body>, Fault> {
    let world = app.world_of(caller.key());
    let Some(_place) = InFlight::enter(&app, class::at_the_door(&caller, request.headers())) else {
        return Err(hold::full());
    };
    let (parts, body) = request.into_parts();
    let raw = read::bytes(&parts.headers, body, world.limits.body).await?;
    let mut inbound = understood(raw)?;
    inbound.heads.priority = class::header(&parts.headers)?;
    let turn = app.turn.load(Ordering::Relaxed);
    let asking = asking(&inbound)?.within(&app, &caller, &world, &inbound);
    let told = at_this_moment(&world, &mut inbound, asking, &caller, turn, Some(&app.conversations));
    Ok(refuse::json(http::StatusCode::OK, told.to_string().into_bytes()))
}

/// The same without a gateway: by a configuration alone, everybody well and nobody measured.
pub fn offline(world: &World, body: Vec<u8>) -> Result<Value, Fault> {
    let mut inbound = understood(body.into())?;
    let asking = asking(&inbound)?;
    Ok(at_this_moment(world, &mut inbound, asking, &Caller::Anyone, 0, None))
}

fn at_this_moment(
    world: &World,
    inbound: &mut Inbound,
    asking: Asking,
    caller: &Caller,
    turn: u64,
    conversations: Option<&Conversations>,
) -> Value {
    let now = clock::unix_ms();
    let remembered = |key| conversations.and_then(|all| all.find(key, now));
    let sticky: Option<Sticky> = asking.conversation(caller).and_then(remembered);
    let moment = world.at(now);
    let view = View { vitals: &moment, turn, affinity: asking.affinity, sticky };
    let want = inbound.peek.want.clone();
    let dice = &mut Rng::with_seed(SEED);
    let mut strict = Strict::new(asking.ask.rules.require_parameters, Vec::new());
    let unfit = &mut |endpoint: &Endpoint| strict.is_on().then(|| unfit(world, inbound, endpoint, &mut strict))?;
    let told: Explained = slip_route::explain(&world.field, &asking.ask, &want, &view, now, dice, unfit);
    let nobody = nobody(&told, strict);
    let said = asking.ask.rules.priority.and_then(Class::parse);
    let class = class::of(caller, inbound.heads.priority, said, want.tier);
    let queue = turn::told(world, class, &told, want.prompt_tokens, now);
    let hedge = hedge::told(world, inbound, asking.ask.rules.hedge, &told);
    let allow = asking.ask.allow.as_deref();
    let asked = api::explain::Asked { inbound, caller, world, allow, view: &view, hedge, queue, now_ms: now, nobody };
    api::explain::shown(&told, &asked)
}

/// What this request would lose at an endpoint, where none of it may be lost: it is told in the endpoint's words, and not sent.
fn unfit(world: &World, inbound: &mut Inbound, endpoint: &Endpoint, strict: &mut Strict) -> Option<String> {
    let seat = world.seat(endpoint.pool.first()?.id).ok()?;
    let spoken = seat.provider.spoken_for(inbound.dialect, &endpoint.upstream, inbound.infills());
    let needs = carry::needs(inbound, endpoint, spoken.dialect, spoken.quirks);
    if needs.any() && inbound.carried.is_none() {
        carry::pretend(inbound).ok()?;
    }
    let turn = Turn { seals: Seals::Kept, needs, wrong: None, torn: None };
    // What cannot be told at all is tried and fails, as it does when it is meant.
    let outbound = lower(inbound, endpoint, seat, turn).ok()?;
    strict.check(endpoint, &outbound.losses).err().map(|failed| failed.fault.says.to_string())
}

/// What the caller would hear if everybody who may serve would lose something.
fn nobody(told: &Explained, mut strict: Strict) -> Option<Fault> {
    let unfit = told.each.iter().any(|one| matches!(one.verdict, Verdict::Unfit(_)));
    let any = told.each.iter().any(|one| one.chance().is_some_and(|chance| chance.rank.is_some()));
    if any || !unfit {
        return None;
    }
    let refusals = told.each.iter().filter_map(|one| match &one.verdict {
        Verdict::Refused(rules) => Some(Refusal { endpoint: one.endpoint.clone(), rule: rules.first()?.clone() }),
        _ => None,
    });
    strict.rule_out(refusals.collect());
    Some(strict.last_word(Fault::house(FaultKind::NoEndpoint, "")))
}

/// What is said beside the request. Gemini's and Bedrock's callers name the model in the path, for which there is no place here:
/// they name it in the body like the others.
#[derive(Default, serde::Deserialize)]
struct Beside {
    #[serde(default)]
    surface: Value,
    #[serde(default)]
    model: Value,
    #[serde(default)]
    stream: Value,
}

fn understood(raw: Bytes) -> Result<Box<Inbound>, Fault> {
    let raw = read::text(raw)?;
    // What is not JSON is said by whoever reads it next, with the place where it is not.
    let beside: Beside = serde_json::from_slice(&raw).unwrap_or_default();
    let dialect = match &beside.surface {
        Value::Null => Dialect::OpenAiChat,
        said => said.as_str().and_then(surface).ok_or_else(|| {
            let all: Vec<&str> = Dialect::ALL.iter().map(|d| d.name()).collect();
            let says = format!("surface: not one of {}: {}", all.join(", "), api::shown(&said.to_string()));
            Fault::caller(FaultKind::BadRequest, says).at("surface")
        })?,
    };
    let named = matches!(dialect, Dialect::Gemini | Dialect::Bedrock).then(|| Named {
        model: beside.model.as_str().unwrap_or_default().to_owned(),
        stream: beside.stream == Value::Bool(true),
    });
    read::chat(dialect, raw, Heads::default(), named.as_ref())
}

/// By the name of the dialect, or of the path that is called.
fn surface(name: &str) -> Option<Dialect> {
    match name {
        "chat" | "chat/completions" => Some(Dialect::OpenAiChat),
        "messages" => Some(Dialect::Anthropic),
        "responses" => Some(Dialect::Responses),
        "completions" => Some(Dialect::Completions),
        name => Dialect::parse(name),
    }
}
