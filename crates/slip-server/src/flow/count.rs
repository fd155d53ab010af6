//! Beside the journey: how many tokens a conversation would take. Asked of whoever would answer it, if that one can count and is
//! quick about it, and estimated here if not: programs ask this often, between two turns, and nothing is generated or paid. There
//! is no record of it, and no failure of its own.

use super::admit::Caller;
use super::read::{self, Call, Inbound};
use super::settle::InFlight;
use super::upload::Upload;
use super::{choose, class, hold, judge, lower, refuse};
use crate::body::Body;
use crate::world::World;
use crate::{App, clock, upstream};
use http::header::ACCESS_CONTROL_EXPOSE_HEADERS;
use http::{HeaderName, HeaderValue, Request, Response};
use hyper::body::Incoming;
use slip_route::Step;
use slip_wire::Stamp;
use slip_wire::ops::{self, Inquiry};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long a provider may take to count. An estimate at once is worth more than the truth later.
const PATIENCE: Duration = Duration::from_secs(5);
/// Says that the count is ours.
const ESTIMATED: HeaderName = HeaderName::from_static("x-slipswitch-estimated");

pub async fn count(
    app: Arc<App>,
    caller: Caller,
    call: Call,
    request: Request<Incoming>,
    arrived: Instant,
) -> Response<Body> {
    let dialect = call.dialect;
    let world = app.world_of(caller.key());
    let Some(_place) = InFlight::enter(&app, class::at_the_door(&caller, request.headers())) else {
        return refuse::refuse(dialect, &hold::full(), None);
    };
    if app.draining.load(Ordering::SeqCst) {
        return refuse::refuse(dialect, &hold::draining(), None);
    }
    let inbound = match read::read(&app, &world, &caller, call, request.map(Upload::from)).await {
        Ok(inbound) => inbound,
        Err(fault) => return refuse::refuse(dialect, &fault, None),
    };
    let Some(inquiry) = &inbound.inquiry else { return refuse::refuse(dialect, &super::internal(), None) };
    if let Some((answer, provider)) = asked(&app, &world, &caller, &inbound, inquiry, arrived).await {
        let mut response = refuse::json(http::StatusCode::OK, answer.to_vec());
        refuse::provider(response.headers_mut(), &provider);
        return response;
    }
    let stamp = Stamp { prompt_estimate: inbound.peek.want.prompt_tokens, ..Stamp::default() };
    let estimate = ops::count::estimate(inquiry, &stamp);
    let mut response = refuse::json(http::StatusCode::OK, estimate.body.to_vec());
    response.headers_mut().insert(ESTIMATED, HeaderValue::from_static("true"));
    response.headers_mut().insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("X-Slipswitch-Estimated"));
    response
}

/// The count of the provider that would be tried first, with its name. `None` where nobody would serve this, that provider cannot
/// count, or it failed: then a guess is as good as we get.
async fn asked(
    app: &App,
    world: &World,
    caller: &Caller,
    inbound: &Inbound,
    inquiry: &Inquiry,
    arrived: Instant,
) -> Option<(bytes::Bytes, String)> {
    let choose::Chosen { mut plan, .. } = choose::choose(app, inbound, caller, world).ok()?;
    let now = clock::unix_ms();
    let Step::Try(attempt) = plan.next(now, &world.at(now)) else { return None };
    let endpoint = &attempt.endpoint;
    let seat = world.seat(attempt.instance.id).ok()?;
    let service = seat.provider.service(inquiry.op)?;
    let mut outbound = lower::service(inbound, inquiry, endpoint, seat, service).ok()?;
    let spoken = seat.provider.spoken(inbound.dialect, &endpoint.upstream);
    outbound
        .headers
        .extend(lower::spoken_headers(inbound, seat.provider.spoken(seat.provider.dialect, &endpoint.upstream)));
    if let Some(keeper) = &seat.keeper {
        keeper.admit(&seat.target, &outbound.path, &outbound.body, PATIENCE, &mut outbound.headers).await.ok()?;
    }
    let stamp = Arc::new(lower::stamp(inbound, "", endpoint));
    let timeouts = world.timeouts;
    let deadlines = upstream::Deadlines { connect: timeouts.connect.min(PATIENCE), headers: PATIENCE, alone: true };
    let began = clock::now();
    let response =
        upstream::open(&seat.target, &outbound.path, outbound.body, "application/json", &outbound.headers, deadlines)
            .await
            .ok()?;
    let bench = judge::Bench {
        upstream: spoken.dialect,
        caller: inbound.dialect,
        asked: Some((inquiry, service.shape)),
        reshape: None,
        mends: false,
        earlier: None,
        stamp,
        quirks: spoken.quirks,
        faults: &seat.provider.faults,
        timeouts,
        began,
        over: arrived + PATIENCE,
    };
    let whole = judge::whole(&bench, response).await.ok()?;
    Some((whole.bytes, endpoint.provider_name.to_string()))
}
