//! Verb 9, settle: the one record of a request. Opened at hold, written exactly once, whichever way the request ends.

use super::admit::Caller;
use super::cached::{Note, Storing, Told};
use super::calls::Offered;
use super::hold::{self, Hold, Limits};
use super::keeping::Keeping;
use super::read::Inbound;
use super::resume::Tried;
use super::shield::internal;
use super::told::{self, Head};
use crate::App;
use crate::clock;
use crate::decisions::Entry;
pub use crate::queue::door::InFlight;
use crate::sticky::{STAYS_LONG_MS, STAYS_MS};
use crate::vitals::Flight;
use bytes::Bytes;
use http::HeaderValue;
use slip_ir::{Dialect, Fault, FaultKind, Finish, Loss, Nano, Price, Tier, Usage};
use slip_quota::Pass;
use slip_route::health::Answered;
use slip_route::{Endpoint, Plan, Refusal, Sticky};
use slip_store::{Attempt, Cached, Charged, Failure, Generation, OnDisk, Opening, ProviderKey, Ruled, Slot};
use slip_wire::lens::Torn;
use slip_wire::{Stamp, Tally};
use std::sync::Arc;
use std::time::{Duration, Instant};

mod fund;

/// Most characters a record keeps of one thing that somebody else wrote: it stays in memory for a while, and in the database.
const MAX_TEXT: usize = 256;
/// The same for the words of an error, and for how many losses are told.
const MAX_MESSAGE: usize = 2048;
const MAX_LOSSES: usize = 64;
/// How much of what guardrails wanted noted is.
const MAX_NOTED: usize = 16;
/// How many endpoints are told that were ruled out, and how many that came last.
const MAX_RULED: usize = 16;

/// As much of a text as a record keeps.
fn short(mut text: String, most: usize) -> String {
    if let Some((at, _)) = text.char_indices().nth(most) {
        text.truncate(at);
        text.shrink_to_fit();
    }
    text
}

fn failure(fault: &Fault) -> Failure {
    Failure { kind: fault.kind.reason(), message: short(fault.says.to_string(), MAX_MESSAGE) }
}

fn ruled(refusal: &Refusal) -> Ruled {
    let Refusal { endpoint, rule } = refusal;
    Ruled { endpoint: endpoint.tag.clone(), rule: rule.name().into(), says: rule.to_string() }
}

/// The tier of service it is asked for, where that is not the standard one.
fn routed(endpoint: &Endpoint) -> Option<Tier> {
    (endpoint.tier != Tier::Standard).then_some(endpoint.tier)
}

/// Providers cache no prompt shorter than this (OpenAI's and Anthropic's pages on prompt caching, read 2026-11).
const LEAST_CACHED: u64 = 1024;

/// Who is being asked.
#[derive(Clone, Copy)]
struct Stop {
    endpoint: u64,
    instance: u32,
    /// It caches prompts without being told to, and reading them is cheaper.
    caches: bool,
}

/// What is being sent.
struct Sent {
    endpoint: Arc<str>,
    price: Option<Arc<Price>>,
    prompt_tokens: u64,
}

/// The record while it is being written. Its place in the ledger's queue was taken before the upstream was called, so writing can
/// neither block nor fail. Dropping it unwritten means the caller left: it is then written as cancelled.
pub struct Book {
    /// `None` once written.
    slot: Option<Slot>,
    /// The record on its way to the disk.
    landing: OnDisk,
    /// The place it has by the limits of its caller.
    pass: Option<Pass>,
    /// Somebody says how much may be spent.
    capped: bool,
    fund: Option<fund::Fund>,
    row: Generation,
    started: Instant,
    /// Time spent waiting for providers, so that what is left is ours.
    upstream_us: u64,
    stamp: Option<Arc<Stamp>>,
    /// The attempt whose reply goes to the caller.
    flight: Option<Flight>,
    /// The conversation, and where it is now.
    conversation: Option<u64>,
    at: Option<Stop>,
    sent: Option<Sent>,
    /// The attempt under way was made beside another.
    hedge: bool,
    /// The key of the caller's own that the attempt under way is made with.
    own: Option<Arc<str>>,
    /// What was said and paid for before somebody else went on.
    before: Option<(Usage, Nano)>,
    first: Option<Instant>,
    /// When the attempt that answered began.
    began: Instant,
    /// What of the request could not be carried to whoever answered.
    losses: Vec<Loss>,
    /// Its line of the decision log, where there is one.
    entry: Option<Box<Entry>>,
    /// OpenRouter's account of the routing, where nobody answered and the caller asked for it.
    account: Option<Arc<str>>,
    /// The tools of the request, to judge the reply's calls by.
    offered: Option<Offered>,
    /// What is asked and answered, where the key wants it kept.
    kept: Option<Box<Keeping>>,
    /// The answer, where others may get it too.
    storing: Option<Box<Storing>>,
    /// What the reply's head says of that.
    cache: Option<Box<Told>>,
    in_flight: InFlight,
}

impl Book {
    pub fn open(
        in_flight: InFlight,
        held: Hold,
        id: String,
        inbound: &Inbound,
        caller: &Caller,
        started: Instant,
    ) -> Box<Book> {
        let peek = &inbound.peek;
        let row = Generation {
            id,
            created_ms: i64::try_from(clock::unix_ms()).unwrap_or(i64::MAX),
            key_hash: caller.key().map(|k| k.hash.clone()),
            workspace: caller.key().map(|k| k.workspace.clone()).unwrap_or_default(),
            member: caller.key().and_then(|k| k.detail.member.clone()),
            model_requested: peek.model.clone().unwrap_or_default(),
            op: peek.want.op.name(),
            dialect_in: inbound.dialect.name(),
            streamed: peek.stream,
            priority: inbound.heads.class.name(),
            queued_ms: clock::ms(in_flight.waited),
            noted: inbound.noted.iter().take(MAX_NOTED).map(|text| short(text.clone(), MAX_TEXT)).collect(),
            http_referer: inbound.heads.referer.clone(),
            app_title: inbound.heads.title.clone(),
            user_agent: inbound.heads.user_agent.clone(),
            external_user: peek.user.clone().map(|user| short(user, MAX_TEXT)),
            session_id: peek
                .session_id
                .clone()
                .map(|session| short(session, MAX_TEXT))
                .or_else(|| inbound.heads.session.clone()),
            ..Generation::default()
        };
        let Hold { slot, pass } = held;
        let capped = slot.standing().is_some_and(|standing| {
            let now = clock::moment();
            standing.quota.accounts().iter().any(|account| account.tightest(now).is_some())
        });
        Box::new(Book {
            slot: Some(slot),
            landing: OnDisk::default(),
            pass,
            capped,
            fund: None,
            row,
            started,
            upstream_us: micros(in_flight.waited),
            stamp: None,
            flight: None,
            conversation: None,
            at: None,
            sent: None,
            hedge: false,
            own: None,
            before: None,
            first: None,
            began: started,
            losses: Vec::new(),
            entry: None,
            account: None,
            offered: Offered::of(inbound),
            kept: Keeping::of(inbound, caller),
            storing: None,
            cache: None,
            in_flight,
        })
    }

    pub fn app(&self) -> &Arc<App> {
        self.in_flight.app()
    }

    /// It waited for an account: that is neither the provider's time nor what the gateway added.
    pub fn waited(&mut self, time: Duration) {
        self.upstream_us = self.upstream_us.saturating_add(micros(time));
        self.row.queued_ms = self.row.queued_ms.saturating_add(clock::ms(time));
    }

    /// Where it is taken down what the caller gets.
    pub fn kept(&mut self) -> Option<&mut Keeping> {
        self.kept.as_deref_mut()
    }

    /// Its answer may be given again, and others may be waiting for it.
    pub fn keeps(&mut self, storing: Box<Storing>) {
        (self.storing, self.cache) = (Some(storing), Some(Box::new(Told::Miss)));
    }

    /// Where what others may get is taken down.
    pub fn storing(&mut self) -> Option<&mut Storing> {
        self.storing.as_deref_mut()
    }

    /// Others read along.
    pub fn is_followed(&self) -> bool {
        self.storing.as_ref().is_some_and(|storing| storing.is_followed())
    }

    /// Its answer is nobody else's any more.
    pub fn lets_go(&mut self) {
        self.storing = None;
    }

    /// A stream begins.
    pub fn flows(&mut self, media_type: Option<&HeaderValue>) {
        if self.storing.is_some() {
            let note = self.note_of(media_type);
            if let Some(storing) = &mut self.storing {
                storing.flows(&self.row.id, note);
            }
        }
    }

    /// All of the answer.
    pub fn tells(&mut self, bytes: &Bytes, media_type: &HeaderValue, tally: &Tally) {
        if self.storing.is_some() {
            let mut note = self.note_of(Some(media_type));
            note.losses.extend(tally.losses.iter().take(MAX_LOSSES).map(pair));
            if let Some(storing) = &mut self.storing {
                storing.answered(note, bytes);
            }
        }
    }

    fn note_of(&self, media_type: Option<&HeaderValue>) -> Note {
        Note {
            model: self.row.model.to_string(),
            slug: self.row.provider_slug.to_string(),
            provider: self.row.provider_name.to_string(),
            media_type: media_type.and_then(|value| value.to_str().ok()).map(str::to_owned),
            losses: self.losses.iter().take(MAX_LOSSES).map(pair).collect(),
            ..Note::default()
        }
    }

    /// It gets another's answer.
    pub fn gets(&mut self, note: &Note, cached: Cached, told: Told) {
        self.row.model = note.model.as_str().into();
        self.row.provider_slug = note.slug.as_str().into();
        self.row.provider_name = note.provider.as_str().into();
        self.row.dialect_out = self.row.dialect_in;
        (self.row.cache, self.cache) = (Some(Box::new(cached)), Some(Box::new(told)));
        // Nothing was decided that other rules would have decided otherwise.
        self.entry = None;
    }

    /// Now it is known what that cost.
    pub fn saves(&mut self, cost: Option<Nano>) {
        if let (Some(cached), Some(cost)) = (&mut self.row.cache, cost) {
            cached.saved = Some(cost);
        }
    }

    pub fn id(&self) -> &str {
        &self.row.id
    }

    pub fn model(&self) -> &str {
        &self.row.model
    }

    pub fn provider(&self) -> Arc<str> {
        self.row.provider_name.clone()
    }

    /// Who may be tried, and who not.
    pub fn routed(&mut self, plan: &Plan, refusals: &[Refusal], demoted: &[Refusal]) {
        let told = |all: &[Refusal]| all.iter().take(MAX_RULED).map(ruled).collect();
        self.row.refusals = u32::try_from(refusals.len()).unwrap_or(u32::MAX);
        self.row.ruled_out = told(refusals);
        self.row.tried_last = told(demoted);
        self.row.strategy = plan.strategy().into();
        self.row.chosen_by = plan.by().name().into();
    }

    /// Tell the decision log, once it is known what came of it.
    pub fn log(&mut self, entry: Option<Box<Entry>>) {
        self.entry = entry;
    }

    /// Nobody answered, and this is how that came about.
    pub fn accounts(&mut self, account: Arc<str>) {
        self.account = Some(account);
    }

    pub fn account(&self) -> Option<Arc<str>> {
        self.account.clone()
    }

    /// How many endpoints were ruled out.
    pub fn refusals(&self) -> u32 {
        self.row.refusals
    }

    /// Under which the endpoint is remembered that it used.
    pub fn converses(&mut self, conversation: Option<u64>) {
        self.conversation = conversation;
    }

    /// One more endpoint was ruled out, before anything was sent.
    pub fn refused(&mut self, endpoint: &Endpoint, fault: &Fault) {
        self.row.refusals = self.row.refusals.saturating_add(1);
        if self.row.ruled_out.len() < MAX_RULED {
            let says = short(fault.says.to_string(), MAX_TEXT);
            self.row.ruled_out.push(Ruled { endpoint: endpoint.tag.clone(), rule: "unfit".into(), says });
        }
    }

    /// What the reply's head says of how it came about.
    pub fn head(&self) -> Head {
        let spent = || u64::try_from(clock::now().duration_since(self.started).as_micros()).unwrap_or(u64::MAX);
        Head {
            attempts: self.row.attempts.len(),
            strategy: self.row.strategy.clone(),
            // Settled once there is a first content; a failure is told at this moment.
            limits: self.slot.as_ref().and_then(|slot| Limits::of(slot.standing()?, self.row.dialect_in)),
            cache: self.cache.clone(),
            gateway_us: self.first.map_or_else(|| spent().saturating_sub(self.upstream_us), |_| self.row.overhead_us),
        }
    }

    /// An attempt begins: from now on this is who the record is about.
    pub fn attempt(&mut self, attempt: &slip_route::Attempt, own: Option<&Arc<ProviderKey>>, spoken: Dialect) {
        let (endpoint, instance) = (&attempt.endpoint, attempt.instance.id);
        let rates = endpoint.price.as_ref().map(|p| &p.rates);
        let cheaper = rates.is_some_and(|r| r.cache_read.is_some_and(|read| read < r.input));
        // Claude caches what it is told to, and says so; where else a read is cheaper, everything is cached unasked.
        let unasked = !matches!(spoken, Dialect::Anthropic | Dialect::Bedrock);
        self.at = Some(Stop { endpoint: endpoint.key, instance, caches: unasked && cheaper });
        self.hedge = false;
        self.own = own.map(|key| key.filed.id.clone());
        self.row.byok = attempt.holder.is_own();
        self.row.model = endpoint.model.canonical.clone();
        self.row.provider_slug = endpoint.provider.clone();
        self.row.provider_name = endpoint.provider_name.clone();
        self.row.dialect_out = spoken.name();
    }

    /// Somebody was asked.
    pub fn tried_any(&self) -> bool {
        !self.row.attempts.is_empty()
    }

    /// The attempt is about to be sent: should this process end before the record is written, this is what is known of it.
    /// To be waited for: it may have to be on the disk.
    pub fn sends(&mut self, endpoint: &Endpoint, prompt_tokens: u64) -> Result<OnDisk, Fault> {
        self.sent = Some(Sent { endpoint: endpoint.tag.clone(), price: endpoint.price.clone(), prompt_tokens });
        self.note(0).map_err(|_| hold::unwritable())?;
        Ok(self.slot.as_ref().map_or_else(OnDisk::default, Slot::on_disk))
    }

    /// To be waited for before the last byte leaves, once it is settled.
    pub fn landing(&mut self) -> OnDisk {
        std::mem::take(&mut self.landing)
    }

    /// The answer has come so far.
    pub fn reached(&mut self, output_tokens: u64) {
        // What was noted before still stands, and the record itself is yet to come.
        let _ = self.note(output_tokens);
    }

    fn note(&mut self, output_tokens: u64) -> Result<(), slip_store::Full> {
        let (Some(slot), Some(sent)) = (&mut self.slot, &self.sent) else { return Ok(()) };
        let row = &self.row;
        let usage = Usage { input: sent.prompt_tokens, output: output_tokens, ..Usage::default() };
        slot.open(&Opening {
            id: &row.id,
            created_ms: row.created_ms,
            key_hash: row.key_hash.as_deref(),
            workspace: &row.workspace,
            member: row.member.as_deref(),
            model: &row.model,
            provider_slug: &row.provider_slug,
            provider_name: &row.provider_name,
            endpoint: &sent.endpoint,
            dialect_in: row.dialect_in,
            byok: row.byok,
            prompt_tokens: usage.input,
            output_tokens,
            cost: sent.price.as_ref().map_or(Nano(0), |price| price.cost(&usage).total),
            cost_known: sent.price.is_some(),
        })
    }

    /// How the last attempt went.
    pub fn tried(&mut self, endpoint: &Endpoint, began: Instant, fault: Option<&Fault>) {
        self.began = began;
        let spent = clock::now().duration_since(began);
        self.upstream_us += u64::try_from(spent.as_micros()).unwrap_or(u64::MAX);
        self.row.attempts.push(Attempt {
            endpoint: endpoint.tag.clone(),
            provider: endpoint.provider_name.clone(),
            model: endpoint.upstream.clone(),
            tier: routed(endpoint),
            status: fault.map_or(Some(200), |f| f.status),
            latency_ms: clock::ms(spent),
            fault: fault.map(|f| f.kind.reason()),
            hedge: self.hedge,
            own_key: self.own.clone(),
            ..Attempt::default()
        });
    }

    /// Whether the attempt that is spoken of was made beside another.
    pub fn hedge(&mut self, hedge: bool) {
        self.hedge = hedge;
    }

    /// One that began at `began` was hung up on, because one that began at `other` was quicker.
    pub fn outrun(&mut self, endpoint: &Endpoint, hedge: bool, began: Instant, other: Instant, waste: Nano) {
        // Until the other began, it was this one that was waited for.
        let alone = other.saturating_duration_since(began);
        self.upstream_us += u64::try_from(alone.as_micros()).unwrap_or(u64::MAX);
        self.row.hedge_waste = Some(Nano(self.row.hedge_waste.map_or(0, |n| n.0).saturating_add(waste.0)));
        self.row.attempts.push(Attempt {
            endpoint: endpoint.tag.clone(),
            provider: endpoint.provider_name.clone(),
            model: endpoint.upstream.clone(),
            tier: routed(endpoint),
            latency_ms: clock::ms(clock::now().duration_since(began)),
            hedge,
            cancelled: true,
            ..Attempt::default()
        });
    }

    /// The stream broke off, and somebody is asked to go on.
    pub fn tore(&mut self, torn: &Torn) {
        if let Some(last) = self.row.attempts.last_mut() {
            last.fault = Some(torn.fault.kind.reason());
            last.torn = true;
            last.upstream_id = torn.upstream_id.clone().map(|id| short(id, MAX_TEXT));
        }
        let price = self.stamp.as_ref().and_then(|stamp| stamp.price.clone());
        let cost = price.map_or(Nano(0), |price| price.cost(&torn.usage).total);
        if let Some(flight) = self.flight.take() {
            flight.answered(&self.answered(&torn.usage, cost, true, clock::now()));
        }
        self.before = Some((torn.usage.clone(), cost));
    }

    /// Somebody was asked to go on, in vain.
    pub fn tried_to_go_on(&mut self, tried: &Tried) {
        let (endpoint, fault) = (&tried.endpoint, tried.fault.as_ref());
        self.row.attempts.push(Attempt {
            endpoint: endpoint.tag.clone(),
            provider: endpoint.provider_name.clone(),
            model: endpoint.upstream.clone(),
            tier: routed(endpoint),
            status: fault.map_or(Some(200), |f| f.status),
            latency_ms: clock::ms(tried.ended.duration_since(tried.began)),
            fault: fault.map(|f| f.kind.reason()),
            continues: true,
            after_tokens: Some(tried.after),
            how: Some(tried.way.name()),
            ..Attempt::default()
        });
    }

    /// Somebody does.
    pub fn goes_on(&mut self, tried: &Tried, flight: Flight) {
        self.tried_to_go_on(tried);
        self.flight = Some(flight);
        (self.began, self.first) = (tried.began, None);
        // Its cache holds more of the conversation than that of the one that broke off.
        self.at = self.at.map(|at| Stop { endpoint: tried.endpoint.key, instance: tried.instance, ..at });
    }

    fn answered(&self, usage: &Usage, cost: Nano, broke: bool, now: Instant) -> Answered {
        let micros = |until: Instant| u64::try_from(until.duration_since(self.began).as_micros()).unwrap_or(u64::MAX);
        Answered {
            // The flight knows.
            heard: false,
            first_us: self.first.filter(|_| self.row.streamed).map(micros),
            total_us: micros(now),
            prompt: usage.prompt_total(),
            cached: usage.cache_read,
            output: usage.completion_total(),
            cost: u64::try_from(cost.0).unwrap_or(0),
            broke,
        }
    }

    /// This attempt's reply goes to the caller.
    pub fn commit(
        &mut self,
        stamp: Arc<Stamp>,
        lens: &'static str,
        losses: Vec<Loss>,
        first: Instant,
        flight: Option<Flight>,
    ) {
        self.row.lens = lens;
        self.losses = losses;
        self.row.ttft_ms = Some(clock::ms(first.duration_since(self.started)));
        self.row.status = 200;
        self.row.byok = stamp.byok;
        // What of the time to the first content was not the provider's is what the gateway added.
        let total = u64::try_from(first.duration_since(self.started).as_micros()).unwrap_or(u64::MAX);
        self.row.overhead_us = total.saturating_sub(self.upstream_us);
        self.stamp = Some(stamp);
        self.flight = flight;
        self.first = Some(first);
    }

    /// What is lost as far as it is known now, for the reply's head.
    pub fn told(&self, tally: Option<&Tally>) -> Option<HeaderValue> {
        told::header(self.losses.iter().chain(tally.into_iter().flat_map(|tally| &tally.losses)))
    }

    /// The reply is over, well or badly.
    pub fn settle(&mut self, tally: Tally, cancelled: bool) {
        let Some(slot) = self.slot.take() else { return };
        let now = clock::now();
        let cancelled = cancelled || self.storing.as_ref().is_some_and(|storing| storing.is_left());
        let row = &mut self.row;
        row.cancelled = cancelled;
        row.finish = tally.finish.or_else(|| tally.fault.as_ref().map(|_| Finish::Error));
        row.native_finish = tally.native.map(|native| short(native, MAX_TEXT));
        row.upstream_id = tally.upstream_id.map(|id| short(id, MAX_TEXT));
        let losses = self.losses.iter().chain(&tally.losses).take(MAX_LOSSES);
        row.losses = losses.map(|loss| short(loss.to_string(), MAX_TEXT)).collect();
        if let Some(last) = row.attempts.last_mut().filter(|_| self.before.is_none()) {
            last.upstream_id = row.upstream_id.clone();
        }
        if cancelled {
            row.status = FaultKind::Gone.status();
        }
        if let Some(fault) = &tally.fault {
            row.error = Some(failure(fault));
        }
        let calls = tally.calls.any();
        let usage = tally.usage.unwrap_or_default();
        price(row, self.stamp.as_deref(), usage);
        row.total_ms = clock::ms(now.duration_since(self.started));
        // A caller who left proves nothing of the endpoint: the flight is dropped.
        if let Some(flight) = self.flight.take().filter(|_| !cancelled) {
            // A call that was cut off by the limit the caller set is not the provider's mistake.
            let whole = tally.fault.is_none() && tally.finish != Some(Finish::Length);
            if let (true, Some(offered), Some(calls)) = (whole, self.offered.take(), tally.calls.told()) {
                offered.judge(calls, flight.health());
            }
            let (mut usage, mut cost) = (self.row.tokens.clone(), self.row.cost);
            if let Some((before, paid)) = &self.before {
                // Only what this one did.
                usage.input = usage.input.saturating_sub(before.prompt_total());
                usage.output = usage.output.saturating_sub(before.completion_total());
                cost = Nano(cost.0.saturating_sub(paid.0));
            }
            flight.answered(&self.answered(&usage, cost, tally.fault.is_some(), now));
        }
        let row = &mut self.row;
        let (ended_well, tokens) = (tally.fault.is_none() && !cancelled, row.tokens.clone());
        if let Some(entry) = self.entry.take() {
            entry.end(row);
        }
        if let Some(pass) = self.pass.take() {
            pass.settle(tokens.total(), row.created_ms);
        }
        let kept = self.kept.take().map(|kept| kept.told(row));
        // Before the record, which is there before the last byte: whoever asks after that finds it.
        if let Some(storing) = self.storing.take() {
            storing.ends(row, calls);
        }
        let cached = row.cache.clone();
        self.landing = slot.write(std::mem::take(row));
        if let Some(piece) = kept {
            self.app().contents.put(piece);
        }
        if let Some(cached) = cached {
            self.app().cache.gave(&cached);
        }
        if ended_well {
            self.stay(&tokens);
        }
    }

    /// Where the next turn of this conversation had better go: to whose prompt cache holds this one.
    fn stay(&self, tokens: &Usage) {
        let (Some(conversation), Some(at)) = (self.conversation, self.at) else { return };
        let said = tokens.cache_read + tokens.cache_write + tokens.cache_write_1h;
        // Who caches by itself says what it read, which is the beginning of what it now holds.
        let cached = if at.caches { tokens.prompt_total() } else { said };
        if cached < LEAST_CACHED {
            return;
        }
        let long = tokens.cache_write_1h > 0;
        let until = clock::unix_ms() + if long { STAYS_LONG_MS } else { STAYS_MS };
        let sticky = Sticky { endpoint: at.endpoint, instance: at.instance, cached };
        self.app().conversations.remember(conversation, sticky, until);
    }

    /// Nothing came of it; the caller was told so.
    pub fn refuse(&mut self, fault: &Fault) {
        let Some(slot) = self.slot.take() else { return };
        self.row.status = fault.kind.status();
        self.row.error = Some(failure(fault));
        self.row.cost_known = true;
        self.row.total_ms = clock::ms(clock::now().duration_since(self.started));
        if let Some(entry) = self.entry.take() {
            entry.end(&self.row);
        }
        // Where the caller left, another may ask in its place; where it failed, it would fail again.
        if let Some(storing) = self.storing.take().filter(|_| fault.kind != FaultKind::Gone) {
            storing.ends(&self.row, false);
        }
        let kept = self.kept.take().map(|kept| kept.told(&self.row));
        // Nothing was sent, or nothing that is known; what was noted before that is on the disk.
        drop(slot.write(std::mem::take(&mut self.row)));
        if let Some(piece) = kept {
            self.app().contents.put(piece);
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn pair(loss: &Loss) -> (String, String) {
    (short(loss.what.to_string(), MAX_TEXT), short(loss.why.to_string(), MAX_TEXT))
}

fn price(row: &mut Generation, stamp: Option<&Stamp>, usage: Usage) {
    row.upstream_cost = usage.upstream_cost;
    row.service_tier = usage.tier;
    if let Some(stamp) = stamp {
        row.charged = stamp.price.as_ref().and_then(|price| Charged::of(price, &usage));
        row.cost_known = row.charged.is_some();
        // A caller's own provider key is billed by the provider, not by us.
        let cost = stamp.price.as_ref().map(|price| price.cost(&usage).total);
        row.cost = cost.filter(|_| !stamp.byok).unwrap_or_default();
        if stamp.byok {
            row.upstream_cost = row.upstream_cost.or(cost);
        }
    }
    row.tokens = usage;
}

impl Drop for Book {
    /// The caller left before anything was decided, or we stumbled.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.refuse(&internal());
        } else if self.slot.is_some() {
            let fault = Fault::caller(FaultKind::Gone, "the caller hung up before the first content");
            self.row.cancelled = true;
            self.refuse(&fault);
        }
    }
}
