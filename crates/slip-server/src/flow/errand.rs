//! One call of one upstream, lowered and with all that it takes to make it. It borrows nothing of the request that another call
//! might want to change, so that two can be under way at once.

use super::judge::{self, Bench};
use super::lower::{self, Outbound, Turn};
use super::pace::Pace;
use super::read::Inbound;
use super::strict::Strict;
use super::{Answer, upstream};
use crate::upstream::{Failed, Incoming};
use crate::vitals::Flight;
use crate::world::{Seat, World};
use http::Response;
use slip_ir::{Dialect, Op, Usage};
use slip_providers::provider::{Serves, Spoken};
use slip_route::Attempt;
use slip_wire::Stamp;
use slip_wire::ops::{Inquiry, Shape};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long it may take.
#[derive(Clone, Copy)]
pub struct Terms {
    pub pace: Pace,
    pub began: Instant,
    /// There is nobody else.
    pub alone: bool,
    /// No other attempt is thought to follow.
    pub last: bool,
    /// Another may go on with its stream.
    pub mends: bool,
}

pub struct Errand<'a> {
    seat: &'a Seat,
    spoken: Spoken<'a>,
    service: Option<&'a Serves>,
    asked: Option<(&'a Inquiry, Shape)>,
    /// What an answer cost that was asked again.
    earlier: Option<&'a Usage>,
    pub outbound: Outbound,
    pub stamp: Arc<Stamp>,
    caller: Dialect,
    stream: bool,
    terms: Terms,
    /// For the head of the reply.
    patience: Duration,
}

impl<'a> Errand<'a> {
    /// Nothing has been sent yet.
    pub fn lower(
        world: &'a World,
        inbound: &mut Inbound,
        strict: &mut Strict,
        id: &str,
        attempt: &Attempt,
        turn: Turn<'_>,
        mut terms: Terms,
    ) -> Result<Errand<'a>, Failed> {
        let endpoint = &attempt.endpoint;
        let seat = world.seat(attempt.instance.id)?;
        let spoken = seat.provider.spoken_for(inbound.dialect, &endpoint.upstream, inbound.infills());
        let service = inbound.inquiry.as_ref().and_then(|asked| seat.provider.service(asked.op));
        let mut outbound = match (&inbound.inquiry, service) {
            (Some(inquiry), Some(service)) => lower::service(inbound, inquiry, endpoint, seat, service)?,
            _ => lower::lower(inbound, endpoint, seat, turn)?,
        };
        strict.check(endpoint, &outbound.losses)?;
        terms.mends &= outbound.reshape.is_none();
        if terms.mends {
            outbound.lens = "translated";
        }
        let byok = attempt.holder.is_own();
        let stamp = Arc::new(Stamp { byok, ..lower::stamp(inbound, id, endpoint) });
        let stream = inbound.peek.stream;
        // A plain reply may rightly take all the time there is before its first byte; but a provider that hangs must leave
        // enough of it for another to answer.
        let left = terms.pace.over.duration_since(terms.began);
        let share = if terms.last { left } else { left / 2 };
        if inbound.peek.want.op == Op::Image {
            // The first content of a picture is most of the picture.
            terms.pace.timeouts.first_content = share;
        }
        let patience = if stream { terms.pace.timeouts.first_content.min(left) } else { share };
        let caller = inbound.dialect;
        let (asked, earlier) = (None, None);
        Ok(Errand { seat, spoken, service, asked, earlier, outbound, stamp, caller, stream, terms, patience })
    }

    /// What is asked for where it is not a chat, and what an earlier answer cost that is asked again.
    pub fn ask(&mut self, inbound: &'a Inbound, earlier: Option<&'a Usage>) {
        self.asked = inbound.inquiry.as_ref().zip(self.service.map(|service| service.shape));
        self.earlier = earlier;
    }

    /// OpenRouter's account of the routing, for a caller that asked for it.
    pub fn tells(&mut self, metadata: Arc<str>) {
        Arc::make_mut(&mut self.stamp).metadata = Some(metadata);
    }

    /// Open and judge.
    pub(super) async fn run(&mut self, flight: Option<&mut Flight>) -> Result<Answer, Failed> {
        let response = self.open(flight).await?;
        let bench = self.bench();
        let judged = match (self.stream, bench.asked) {
            (true, Some(asked)) => judge::flowing(&bench, asked, response).await.map(Answer::Stream),
            (true, None) => judge::stream(&bench, response).await.map(Answer::Stream),
            (false, _) => judge::whole(&bench, response).await.map(Answer::Whole),
        };
        self.heard(&judged);
        judged
    }

    /// Open, and judge by the head alone: what comes is more of a stream that is under way.
    pub(super) async fn rerun(&mut self, flight: &mut Flight) -> Result<Incoming, Failed> {
        let response = self.open(Some(flight)).await?;
        let judged = judge::more(&self.bench(), response).await;
        self.heard(&judged);
        judged
    }

    /// What is spoken to the upstream.
    pub fn spoken(&self) -> Spoken<'a> {
        self.spoken
    }

    async fn open(&mut self, flight: Option<&mut Flight>) -> Result<Response<Incoming>, Failed> {
        let Terms { pace, alone, .. } = self.terms;
        let (seat, spoken) = (self.seat, self.spoken);
        let deadlines = upstream::Deadlines { connect: pace.timeouts.connect, headers: self.patience, alone };
        let (target, outbound) = (&seat.target, &mut self.outbound);
        let body = std::mem::take(&mut outbound.body);
        if let Some(keeper) = &seat.keeper {
            keeper.admit(target, &outbound.path, &body, self.patience, &mut outbound.headers).await?;
        }
        let accept = if self.stream { spoken.quirks.framing(spoken.dialect).media_type() } else { "application/json" };
        let response = upstream::open(target, &outbound.path, body, accept, &outbound.headers, deadlines).await?;
        if let Some(flight) = flight {
            flight.heard(response.headers());
        }
        Ok(response)
    }

    fn bench(&self) -> Bench<'_> {
        Bench {
            upstream: self.spoken.dialect,
            caller: self.caller,
            asked: self.asked,
            stamp: self.stamp.clone(),
            quirks: self.spoken.quirks,
            reshape: self.outbound.reshape.as_ref(),
            mends: self.terms.mends,
            earlier: self.earlier,
            faults: &self.seat.provider.faults,
            timeouts: self.terms.pace.timeouts,
            began: self.terms.began,
            over: self.terms.pace.over,
        }
    }

    fn heard<T>(&self, judged: &Result<T, Failed>) {
        if let (Err(failed), Some(keeper)) = (judged, &self.seat.keeper) {
            keeper.hear(&failed.fault);
        }
    }
}
