//! The journey of a request, on one screen: nine verbs, one file each, always in this order.

pub mod admit;
mod afford;
pub mod again;
pub mod bounds;
pub mod cached;
mod calls;
pub mod carry;
pub mod choose;
mod class;
pub mod count;
mod errand;
pub mod explain;
pub mod form;
pub mod heads;
mod hedge;
pub mod hold;
mod invoked;
pub mod judge;
mod keeping;
mod lend;
pub mod lower;
pub mod metadata;
mod pace;
pub mod read;
pub mod refuse;
pub mod relay;
mod resume;
pub mod screen;
pub mod settle;
pub mod share;
pub mod shield;

pub mod strict;
#[cfg(test)]
mod tests;
mod tier;
pub mod told;
mod turn;
mod upload;
pub mod waiting;

use crate::body::Body;
use crate::clock;
use crate::queue::account::Lease;
use crate::routes::{self, Found, To};
use crate::upstream::{self, Failed};
use crate::vitals::Flight;
use crate::world::World;
use crate::{App, api};
use admit::{Caller, admit};
use errand::{Errand, Terms};
use form::Wrong;
use http::{HeaderValue, Method, Request, Response};
use hyper::body::Incoming;
use lower::Seals;
use pace::Pace;
use read::{Call, Inbound};
use refuse::refuse;
use relay::Relay;
use resume::Mender;
use settle::{Book, InFlight};
use shield::{internal, shield};
use slip_ir::{Dialect, Fault, FaultKind, Loss, Origin, Remedy};
use slip_route::{Plan, Step};
use slip_wire::envelope::asked::Asked;
use slip_wire::ops::Manner;
use slip_wire::{Stamp, seals};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use strict::Strict;
use tokio::time::timeout;
use upload::Upload;

const MAX_URI: usize = 4096;

/// The attempts of a streamed request, until one of them has content.
pub type Attempts = Pin<Box<dyn Future<Output = Result<Relay, (Fault, Box<Book>)>> + Send>>;

/// Everything that arrives comes in here.
pub async fn door(app: Arc<App>, peer: SocketAddr, request: Request<Incoming>) -> Response<Body> {
    let arrived = clock::now();
    let chunked = request.headers().contains_key(http::header::TRANSFER_ENCODING);
    let dialect = surface(request.uri().path());
    let entered = shield(&app, enter(app.clone(), peer, request, arrived)).await;
    let mut response = entered.unwrap_or_else(|fault| refuse(dialect, &fault, None));
    if chunked {
        // A request framed by Transfer-Encoding is the last on its connection: nothing can be smuggled behind it.
        response.headers_mut().insert(http::header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn enter(app: Arc<App>, peer: SocketAddr, request: Request<Incoming>, arrived: Instant) -> Response<Body> {
    if request.method() == Method::OPTIONS {
        return api::preflight();
    }
    let dialect = surface(request.uri().path());
    match recognise(&app, peer, &request) {
        Ok(Known { route, captured, caller }) => {
            let answered = match (api::call(route.to, &captured), route.to) {
                // On the heap, and gone when the head of the reply is written: a connection keeps room for the largest future it
                // may have to run for as long as it lives.
                (Some(Ok(call)), _) if call.counts() => {
                    return Box::pin(count::count(app, caller, call, request, arrived)).await;
                }
                (Some(Ok(call)), _) => return Box::pin(journey(app, caller, call, request, arrived)).await,
                (Some(Err(fault)), _) => Err(fault),
                (None, To::Explain) => Box::pin(explain::explain(app, caller, request)).await,
                (None, To::Keys(what)) => {
                    Box::pin(api::keys::answer(app.clone(), what, caller, captured, request)).await
                }
                (None, To::Team(team)) => Box::pin(api::teams::answer(&app, team, captured, request)).await,
                (None, To::SignIn(what)) => {
                    Box::pin(api::sign_in::answer(app.clone(), what, caller, peer, request)).await
                }
                (None, To::AnalyticsQuery) => Box::pin(api::analytics::query(&app, request)).await,
                (None, To::OllamaShow) => Box::pin(api::ollama::show(&app, request)).await,
                (None, to) => Box::pin(api::answer(&app, to, &caller, &captured, &request)).await,
            };
            answered.unwrap_or_else(|fault| refuse(dialect, &fault, None))
        }
        Err(response) => {
            // Many clients write all of their request before they read: they shall hear why, not a broken connection.
            read::linger(request, app.world().limits.body).await;
            *response
        }
    }
}

/// A request whose path and caller are known, its body still unread.
struct Known {
    route: &'static routes::Route,
    captured: Vec<String>,
    caller: Caller,
}

/// Path and caller, or the answer to a request that gets no further.
fn recognise(app: &App, peer: SocketAddr, request: &Request<Incoming>) -> Result<Known, Box<Response<Body>>> {
    let head = request.method() == Method::HEAD;
    let method = if head { &Method::GET } else { request.method() };
    let uri = request.uri();
    let dialect = surface(uri.path());
    let no = |fault: Fault| Box::new(refuse(dialect, &fault, None));
    if uri.path().len() > MAX_URI || uri.query().is_some_and(|q| q.len() > MAX_URI) {
        return Err(no(Fault::caller(FaultKind::BadRequest, "the URL is longer than 4096 bytes")));
    }
    if uri.query().is_some_and(names_a_key) {
        let says = "API keys are not accepted in URLs, where logs and proxies would keep them: send `Authorization: Bearer <your key>`";
        return Err(no(Fault::caller(FaultKind::BadRequest, says)));
    }
    let (route, captured) = match routes::find(method, uri.path()) {
        Found::Route(route, captured) => (route, captured),
        Found::Method(allowed) => {
            let says = format!("{} is not answered here, but {allowed}", request.method());
            let mut response = no(Fault::caller(FaultKind::MethodNotAllowed, says));
            response.headers_mut().insert(
                http::header::ALLOW,
                HeaderValue::from_str(&allowed).unwrap_or(HeaderValue::from_static("GET")),
            );
            return Err(response);
        }
        Found::Nothing(_) if uri.path() == "/" => return Err(Box::new(api::root())),
        Found::Nothing(near) => {
            let hint = near.map_or("the API is below /api/v1".to_owned(), |n| format!("did you mean {n}?"));
            let says = format!("no such path: {} ({hint})", api::shown(uri.path()));
            return Err(no(Fault::caller(FaultKind::NotFound, says)));
        }
    };
    let caller = admit(app, route.auth, request.headers(), peer, clock::unix_ms()).map_err(no)?;
    Ok(Known { route, captured, caller })
}

/// In whose words an error is told before the body was read.
fn surface(path: &str) -> Dialect {
    let rows = [
        ("/chat/completions", Dialect::OpenAiChat),
        ("/messages", Dialect::Anthropic),
        ("/v1beta/", Dialect::Gemini),
        (":generateContent", Dialect::Gemini),
        (":streamGenerateContent", Dialect::Gemini),
        ("/responses", Dialect::Responses),
        ("/completions", Dialect::Completions),
        ("/api/chat", Dialect::Ollama),
        ("/api/embed", Dialect::Ollama),
        ("/api/generate", Dialect::OllamaGenerate),
        ("/api/tags", Dialect::Ollama),
        ("/api/show", Dialect::Ollama),
        ("/api/ps", Dialect::Ollama),
        ("/v2/", Dialect::Cohere),
        ("/model/", Dialect::Bedrock),
    ];
    rows.iter().find(|(part, _)| path.contains(part)).map_or(Dialect::OpenAiChat, |(_, dialect)| *dialect)
}

fn names_a_key(query: &str) -> bool {
    query.split('&').any(|pair| {
        let name = pair.split('=').next().unwrap_or_default().to_ascii_lowercase();
        matches!(name.as_str(), "key" | "api_key" | "apikey" | "api-key" | "access_token" | "token")
    })
}

/// The journey, and for callers of InvokeModel the last step of it: back into their words.
async fn journey(
    app: Arc<App>,
    caller: Caller,
    call: Call,
    request: Request<Incoming>,
    arrived: Instant,
) -> Response<Body> {
    let mut invoked = None;
    let response = travel(app, caller, call, request, arrived, &mut invoked).await;
    match invoked {
        Some(asked) => invoked::told(response, asked),
        None => response,
    }
}

/// Admit has happened; read, choose, hold, then lower, open and judge for each attempt; relay; settle.
async fn travel(
    app: Arc<App>,
    caller: Caller,
    call: Call,
    request: Request<Incoming>,
    arrived: Instant,
    invoked: &mut Option<Asked>,
) -> Response<Body> {
    let dialect = call.dialect;
    let world = app.world_of(caller.key());
    // Counted before it is asked whether to drain: the drain asks the other way round.
    let mut request = request.map(Upload::from);
    let class = class::at_the_door(&caller, request.headers());
    let place = match InFlight::enter(&app, class) {
        Some(place) => place,
        // Boxed because it is rare: it must not be room that every request carries.
        None => match Box::pin(turn::before_the_door(&app, &world, class, &mut request, arrived)).await {
            Ok(place) => place,
            Err(fault) => return refuse(dialect, &fault, None),
        },
    };
    if app.draining.load(Ordering::SeqCst) {
        return refuse(dialect, &hold::draining(), None);
    }
    let mut inbound = match read::read(&app, &world, &caller, call, request).await {
        Ok(inbound) => inbound,
        Err(fault) => return refuse(dialect, &fault, None),
    };
    *invoked = inbound.invoked;
    let spoken = inbound.dialect;
    if let Some(loaded) = api::ollama::loads(&world, &inbound) {
        return loaded.unwrap_or_else(|fault| refuse(dialect, &fault, None));
    }
    let id = api::generation_id();
    let chosen = match choose::choose(&app, &inbound, &caller, &world) {
        Ok(chosen) => chosen,
        Err(choose::Nobody { fault, ruled_out }) => {
            let account = inbound.heads.metadata.then(|| metadata::nowhere(&inbound, ruled_out));
            return refuse::accounted(dialect, &fault, Some(&id), account.as_deref());
        }
    };
    let choose::Chosen { plan, refusals, demoted, strict, hedge, priority, conversation } = chosen;
    let (header, tier) = (inbound.heads.priority, inbound.peek.want.tier);
    inbound.heads.class = class::of(&caller, header, priority, tier);
    let held = match hold::hold(&app, &caller, &inbound.peek.want) {
        Ok(held) => held,
        Err(fault) => {
            let mut response = refuse(dialect, &fault, Some(&id));
            let limits = caller.key().and_then(|key| hold::Limits::of(&app.store.standing(key), dialect.name()));
            if let Some(limits) = limits {
                limits.put(response.headers_mut());
            }
            return response;
        }
    };
    let mut book = Book::open(place, held, id.clone(), &inbound, &caller, arrived);
    book.routed(&plan, &refusals, &demoted);
    book.log(world.decisions.as_ref().map(|log| log.entry(&inbound, &plan, &refusals)));
    book.converses(conversation);
    let strict = Strict::new(strict, refusals);
    let stream = inbound.peek.stream;
    let service = inbound.inquiry.is_some();
    let timeouts = world.timeouts;
    let pace = Pace::of_request(&world, &plan, arrived);
    // In one place from here on: what a future is given it holds twice, and where it is called it is copied whole.
    let trip =
        Trip { world, inbound, plan, strict, hedge, book, pace, lease: None, flight: None, won: None, broke: None };
    let trip = Box::new(trip);
    let caching = cached::wanted(&app, &trip.world, &caller, &trip.inbound, &trip.plan);
    if !stream {
        return match caching {
            None => trip.whole().await,
            // Boxed because it is rare: it must not be room that every request carries.
            Some(caching) => Box::pin(trip.whole_again(caching)).await,
        };
    }
    let mut attempts: Attempts = match caching {
        None => Box::pin(trip.streamed()),
        Some(caching) => Box::pin(trip.streamed_again(caching)),
    };
    if service {
        // Its head says what comes, and of bytes nothing could be said later: it waits for the first content.
        return match attempts.await {
            Ok(mut relay) => {
                let losses = relay.losses();
                tell(refuse::flowing(dialect, relay, &id), losses)
            }
            Err((fault, book)) => refused(dialect, &fault, book),
        };
    }
    match timeout(timeouts.head_commit, attempts.as_mut()).await {
        Ok(Ok(mut relay)) => {
            let (provider, losses, head) = (relay.provider().to_owned(), relay.losses(), relay.head());
            let mut response = refuse::event_stream(dialect, Body::Relay(Box::new(relay)));
            head.put(response.headers_mut());
            tell(stamped(response, &id, Some(&provider)), losses)
        }
        Ok(Err((fault, book))) => refused(dialect, &fault, book),
        Err(_) => {
            let waiting = waiting::Waiting::new(app, attempts, spoken, id.clone(), timeouts.keepalive);
            stamped(refuse::event_stream(dialect, Body::Waiting(Box::new(waiting))), &id, None)
        }
    }
}

/// Nothing came of it: written down, and told.
fn refused(dialect: Dialect, fault: &Fault, mut book: Box<Book>) -> Response<Body> {
    let (id, head, account) = (book.id().to_owned(), book.head(), book.account());
    book.refuse(fault);
    let mut response = refuse::accounted(dialect, fault, Some(&id), account.as_deref());
    head.put(response.headers_mut());
    response
}

fn stamped(mut response: Response<Body>, id: &str, provider: Option<&str>) -> Response<Body> {
    refuse::stamp(response.headers_mut(), id, provider);
    response
}

/// Name what was lost, if anything was.
fn tell(mut response: Response<Body>, losses: Option<HeaderValue>) -> Response<Body> {
    if let Some(losses) = losses {
        response.headers_mut().insert(told::LOSSES, losses);
    }
    response
}

/// A request on its way: what it is, whom it may try, and its record.
struct Trip {
    world: Arc<World>,
    inbound: Box<Inbound>,
    plan: Plan,
    strict: Strict,
    /// `provider.hedge`, as the caller said it.
    hedge: Option<bool>,
    book: Box<Book>,
    /// How long the attempt under way may take.
    pace: Pace,
    /// Leave to make the next attempt.
    lease: Option<Lease>,
    /// The attempt under way.
    flight: Option<Flight>,
    /// The one that answered, if another may go on with its stream.
    won: Option<slip_route::Attempt>,
    /// There was no money for one of the endpoints.
    broke: Option<Fault>,
}

/// What one attempt produced: a whole reply or the opening of a stream.
enum Answer {
    Whole(judge::Whole),
    Stream(judge::Opening),
}

struct Won {
    answer: Answer,
    stamp: Arc<Stamp>,
}

impl Trip {
    async fn whole(mut self: Box<Self>) -> Response<Body> {
        // Whatever is inside of InvokeModel, it refuses in Bedrock's words.
        let dialect = if self.inbound.invoked.is_some() { Dialect::Bedrock } else { self.inbound.dialect };
        let id = self.book.id().to_owned();
        match self.attempts().await {
            Ok(Won { answer: Answer::Whole(whole), stamp }) => self.tells(whole, &stamp.provider),
            Ok(Won { answer: Answer::Stream(_), .. }) => refuse(dialect, &internal(), Some(&id)),
            Err(fault) => refused(dialect, &fault, self.book),
        }
    }

    /// The whole answer goes to the caller.
    fn tells(mut self: Box<Self>, whole: judge::Whole, provider: &str) -> Response<Body> {
        let (losses, head) = (self.book.told(Some(&whole.tally)), self.book.head());
        if let Some(kept) = self.book.kept() {
            kept.answered(&whole.bytes);
        }
        self.book.tells(&whole.bytes, &whole.media_type, &whole.tally);
        let id = self.book.id().to_owned();
        self.book.settle(*whole.tally, false);
        let mut response = Response::new(Body::after(self.book.landing(), whole.bytes));
        let headers = response.headers_mut();
        refuse::common(headers);
        refuse::stamp(headers, &id, Some(provider));
        headers.insert(http::header::CONTENT_TYPE, whole.media_type);
        head.put(headers);
        tell(response, losses)
    }

    async fn streamed(mut self: Box<Self>) -> Result<Relay, (Fault, Box<Book>)> {
        match self.attempts().await {
            Ok(Won { answer: Answer::Stream(opening), .. }) => Ok(self.opens(opening)),
            Ok(_) => Err((internal(), self.book)),
            Err(fault) => Err((fault, self.book)),
        }
    }

    /// The stream goes to the caller from here on.
    fn opens(self: Box<Self>, opening: judge::Opening) -> Relay {
        let comments = self.inbound.inquiry.as_ref().is_none_or(|asked| asked.manner() == Manner::Events);
        let keepalive = comments && relay::keeps_alive(self.inbound.dialect);
        let Trip { world, inbound, plan, strict, book, pace, won, .. } = *self;
        let id = book.id().to_owned();
        let relay = opening.relay(book, pace.timeouts, pace.over, keepalive);
        match won {
            None => relay,
            Some(attempt) => relay.resumable(Box::new(Mender { world, inbound, plan, strict, attempt, pace, id })),
        }
    }

    /// Try, and try elsewhere, until one answers or the plan says stop.
    async fn attempts(&mut self) -> Result<Won, Fault> {
        let outcome = self.tries().await;
        if outcome.is_err() && self.inbound.heads.metadata {
            self.book.accounts(metadata::failed(&self.inbound, &self.plan, self.book.refusals()));
        }
        outcome
    }

    async fn tries(&mut self) -> Result<Won, Fault> {
        loop {
            let step = self.step().await?;
            let now = clock::unix_ms();
            match step {
                Step::Try(mut attempt) => {
                    let Some(flight) = self.take_off(&attempt, now) else { continue };
                    if let Err(fault) = self.afford(&attempt).await {
                        drop(flight);
                        self.book.refused(&attempt.endpoint, &fault);
                        let fault = self.broke.insert(fault).clone();
                        self.plan.failed(&attempt, &fault, upstream::Sent::NotSent, now);
                        continue;
                    }
                    self.flight = Some(flight);
                    self.book.attempt(&attempt, self.world.own_key(attempt.instance.id), self.spoken(&attempt));
                    if !self.book.sends(&attempt.endpoint, self.inbound.peek.want.prompt_tokens)?.await {
                        return Err(hold::unwritable());
                    }
                    let mut began = clock::now();
                    self.pace = self.pace.of_attempt(&self.world, &self.plan, &attempt, began);
                    let mut outcome = match self.hedging(&attempt) {
                        None => self.attempt(&attempt, began, Seals::Kept).await,
                        // Boxed because it is rare: it must not be room that every request carries.
                        Some(hedging) => {
                            let raced = Box::pin(self.race(hedging, attempt, began)).await;
                            (attempt, began) = (raced.attempt, raced.began);
                            raced.outcome
                        }
                    };
                    let endpoint = attempt.endpoint.clone();
                    if let Err(failed) = &outcome
                        && seals::refused(self.spoken(&attempt), &failed.fault)
                    {
                        self.book.tried(&endpoint, began, Some(&failed.fault));
                        began = clock::now();
                        // Boxed because it is rare: it must not be room that every request carries.
                        outcome = Box::pin(self.attempt(&attempt, began, Seals::Stripped)).await;
                    }
                    match outcome {
                        Ok((won, lens, losses)) => {
                            self.book.tried(&endpoint, began, None);
                            let first = match &won.answer {
                                Answer::Whole(_) => clock::now(),
                                Answer::Stream(opening) => opening.first,
                            };
                            if let Some(flight) = &mut self.flight {
                                flight.spoke();
                            }
                            self.book.commit(won.stamp.clone(), lens, losses, first, self.flight.take());
                            self.won = self.continues(&attempt).then_some(attempt);
                            return Ok(won);
                        }
                        Err(failed) => {
                            let flight = self.flight.take();
                            self.fell(&attempt, began, flight, failed);
                        }
                    }
                }
                Step::Wait(pause) => tokio::time::sleep(pause).await,
                Step::Full => {}
                Step::Stop(fault) => return Err(self.last_word(fault)),
            }
            if clock::now() >= self.pace.last_call() {
                return Err(hold::out_of_time(self.pace.total()));
            }
        }
    }

    /// Is there money for it? Where there is not enough for all of the answer it asks for, a shorter one is asked for.
    async fn afford(&mut self, attempt: &slip_route::Attempt) -> Result<(), Fault> {
        let (want, stream) = (&self.inbound.peek.want, self.inbound.peek.stream);
        match self.book.afford(attempt, want, stream).await? {
            Some(tokens) => {
                // It will be shorter than what others asked for, who may have more to spend.
                self.book.lets_go();
                self.inbound.limit(tokens)
            }
            None => Ok(()),
        }
    }

    /// Why nobody answered. If nobody was asked because there is no money for it, that is why.
    fn last_word(&mut self, fault: Fault) -> Fault {
        match self.broke.take() {
            Some(broke) if !self.book.tried_any() => Fault { remedy: Remedy::Stop, ..broke },
            _ => self.strict.last_word(fault),
        }
    }

    /// An attempt came to nothing.
    fn fell(&mut self, attempt: &slip_route::Attempt, began: Instant, flight: Option<Flight>, failed: Failed) {
        let Failed { mut fault, sent } = failed;
        let endpoint = &attempt.endpoint;
        if fault.origin != Origin::Caller {
            fault.provider.get_or_insert_with(|| endpoint.provider_name.to_string());
        }
        if let Ok(seat) = self.world.seat(attempt.instance.id) {
            seat.hush(&mut fault);
        }
        if let Some(key) = self.world.own_key(attempt.instance.id) {
            refuse::of_own_key(&mut fault, key);
        }
        match fault.kind {
            FaultKind::NoEndpoint => self.book.refused(endpoint, &fault),
            _ => {
                if let Some(flight) = flight {
                    flight.failed(&fault, sent);
                }
                self.book.tried(endpoint, began, Some(&fault));
            }
        }
        self.plan.failed(attempt, &fault, sent, clock::unix_ms());
        if fault.kind == FaultKind::RateLimited && self.is_worth_waiting_for(attempt) {
            self.plan.comes_back(attempt);
        }
    }

    /// The attempt begins, unless it is a retry and those asked of this endpoint lately are retries enough.
    fn take_off(&mut self, attempt: &slip_route::Attempt, now_ms: u64) -> Option<Flight> {
        let (prompt, stream) = (self.inbound.peek.want.prompt_tokens, self.inbound.peek.stream);
        let (charge, retry) = (self.world.charge(&attempt.endpoint, attempt.instance.id), attempt.number > 1);
        match charge {
            Ok(charge) if !retry || self.world.steady || charge.health.may_retry(now_ms) => {
                let flight = Flight::begin(charge, !retry, stream, prompt);
                Some(match self.lease.take() {
                    Some(lease) => flight.by(lease),
                    None => flight,
                })
            }
            Ok(_) => {
                let says = "so many of its requests were retries lately that no more are sent";
                let fault = Fault::new(FaultKind::NoEndpoint, Origin::House, Remedy::Elsewhere, says);
                self.plan.failed(attempt, &fault, upstream::Sent::NotSent, now_ms);
                None
            }
            Err(Failed { fault, sent }) => {
                self.plan.failed(attempt, &fault, sent, now_ms);
                None
            }
        }
    }

    /// What is spoken to the provider of this attempt.
    fn spoken(&self, attempt: &slip_route::Attempt) -> Dialect {
        let (caller, infill) = (self.inbound.dialect, self.inbound.infills());
        let model = &attempt.endpoint.upstream;
        let seat = self.world.seat(attempt.instance.id);
        seat.map_or(attempt.endpoint.dialect, |s| s.provider.spoken_for(caller, model, infill).dialect)
    }

    /// One attempt: lower, open, judge. An answer without the form that was asked for is shown to the model, and it is asked once
    /// more.
    async fn attempt(
        &mut self,
        attempt: &slip_route::Attempt,
        began: Instant,
        seals: Seals,
    ) -> Result<(Won, &'static str, Vec<Loss>), Failed> {
        let endpoint = &attempt.endpoint;
        let (mut began, mut wrong): (Instant, Option<Box<Wrong>>) = (began, None);
        loop {
            if wrong.is_some() || seals == Seals::Stripped {
                self.again()?;
            }
            let seat = self.world.seat(attempt.instance.id)?;
            let spoken = seat.provider.spoken_for(self.inbound.dialect, &endpoint.upstream, self.inbound.infills());
            let needs = match self.inbound.inquiry {
                None => carry::needs(&self.inbound, endpoint, spoken.dialect, spoken.quirks),
                Some(_) => carry::Needs::default(),
            };
            if needs.any() {
                // Boxed because it is rare: it must not be room that every request carries.
                Box::pin(carry::prepare(&mut self.inbound, needs, self.world.fetch.allow_private)).await?;
            }
            let turn = lower::Turn { seals, needs, wrong: wrong.as_deref(), torn: None };
            let alone = self.plan.line().len() < 2;
            let (last, mends) = (attempt.number > 1 || alone, self.continues(attempt));
            let terms = Terms { pace: self.pace, began, alone, last, mends };
            let (id, strict) = (self.book.id(), &mut self.strict);
            let mut errand = Errand::lower(&self.world, &mut self.inbound, strict, id, attempt, turn, terms)?;
            if self.inbound.heads.metadata {
                errand.tells(metadata::told(&self.inbound, &self.plan, self.book.refusals(), attempt));
            }
            errand.ask(&self.inbound, wrong.as_ref().and_then(|wrong| wrong.usage.as_ref()));
            let answer = errand.run(self.flight.as_mut()).await?;
            let Errand { outbound, stamp, .. } = errand;
            let mut formless = None;
            if let (Answer::Whole(whole), Some(ordered)) = (&answer, &outbound.ordered) {
                formless = Box::pin(ordered.check(&whole.said, whole.tally.usage.as_ref())).await.err();
            }
            match formless {
                None => return Ok((Won { answer, stamp }, outbound.lens, outbound.losses)),
                Some(again) if wrong.is_some() => return Err(again.failed()),
                Some(first) => (began, wrong) = (clock::now(), Some(first)),
            }
        }
    }
}
