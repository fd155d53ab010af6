//! The steps of a plan.

use super::{Attempt, MAX_ATTEMPTS, MAX_SAME, Next, Past, Plan, Sent, Step, verdict};
use crate::eligible::Candidate;
use crate::field::{Endpoint, Instance};
use crate::own::{self, Holder};
use crate::strategy::Seat;
use crate::view::{View, Vitals};
use slip_ir::{Fault, FaultKind, Remedy};
use std::sync::Arc;
use std::time::Duration;

impl Plan {
    /// What to do now. After `Wait`, ask again; after `Stop`, it stays `Stop`.
    pub fn next(&mut self, now_ms: u64, vitals: &dyn Vitals) -> Step {
        if let Next::Over(fault) = &self.next {
            return Step::Stop(fault.clone());
        }
        if self.attempts >= MAX_ATTEMPTS || self.grace == Some(0) {
            return self.over();
        }
        if let Next::Again(candidate, instance, not_before) = self.next {
            return match not_before.checked_sub(now_ms).filter(|left| *left > 0) {
                Some(left) => Step::Wait(Duration::from_millis(left)),
                None => self.attempt(candidate, instance),
            };
        }
        if let Next::Sibling(candidate) = self.next {
            self.next = Next::Open;
            if self.tries(candidate) < self.siblings(candidate)
                && let Some(instance) = self.draw(candidate, now_ms, vitals)
            {
                return self.attempt(candidate, instance);
            }
        }
        while self.cursor < self.line.len() {
            let candidate = self.cursor;
            self.cursor += 1;
            if self.hedged != Some(candidate)
                && !self.barred(candidate)
                && let Some(instance) = self.draw(candidate, now_ms, vitals)
            {
                return self.attempt(candidate, instance);
            }
        }
        if !self.full.is_empty() {
            return Step::Full;
        }
        self.second_lap(now_ms, vitals)
    }

    /// Tells the plan that an attempt was not made, because the account it would be made with has no room now. Others are asked
    /// first: other keys of the same provider, then whoever is next in line.
    pub fn busy(&mut self, attempt: &Attempt) {
        self.attempts = self.attempts.saturating_sub(1);
        self.grace = self.grace.map(|left| left + 1);
        self.full.push((attempt.candidate, attempt.instance));
        self.next = Next::Sibling(attempt.candidate);
    }

    /// Tells the plan that a failed attempt was told that nothing is left there now, and from when there is again: it is come back
    /// to like one that had no room.
    pub fn comes_back(&mut self, attempt: &Attempt) {
        if !matches!(self.next, Next::Over(_)) {
            self.full.push((attempt.candidate, attempt.instance));
        }
    }

    /// Those that had no room, in the order in which they would have been asked.
    pub fn full(&self) -> impl Iterator<Item = (&Arc<Endpoint>, Instance)> {
        let told = |at: &(usize, Instance)| Some((self.endpoint(self.line.get(at.0)?)?, at.1));
        self.full.iter().filter_map(told)
    }

    /// One of [`Plan::full`] has room: it is asked next.
    pub fn admit(&mut self, which: usize) -> Step {
        if which >= self.full.len() {
            return self.over();
        }
        let (candidate, instance) = self.full.remove(which);
        self.attempt(candidate, instance)
    }

    /// Who might be asked beside `first`, which is still silent: the next in line under the same name that is well, through an
    /// instance that is `apart` from the first one's. One for a request. Whoever asks tells each failure with [`Plan::failed`], as
    /// always, and asks [`Plan::next`] only when nobody is silent any more.
    pub fn hedge(
        &mut self,
        first: &Attempt,
        now_ms: u64,
        vitals: &dyn Vitals,
        apart: &dyn Fn(Instance) -> bool,
    ) -> Option<Attempt> {
        if self.hedged.is_some() || !self.past.is_empty() || self.attempts >= MAX_ATTEMPTS {
            return None;
        }
        for candidate in self.cursor..self.line.len() {
            let one = *self.line.get(candidate)?;
            let endpoint = self.endpoint(&one)?;
            // Nor is one paid by another than the first is: money is held for one of them.
            let same = usize::from(one.place) == first.place && one.holder.is_own() == first.holder.is_own();
            if !same || one.cooled() {
                continue;
            }
            let well = |i: &&Instance| apart(**i) && !vitals.vital(endpoint.key, i.id).rests(now_ms, self.tokens);
            let pool = self.pool(&one, endpoint);
            let Some(instance) = pool.iter().filter(well).max_by_key(|i| i.weight).copied() else { continue };
            self.hedged = Some(candidate);
            return match self.attempt(candidate, instance) {
                Step::Try(attempt) => Some(attempt),
                _ => None,
            };
        }
        None
    }

    /// Nobody was asked beside the first after all.
    pub fn unhedge(&mut self) {
        if self.hedged.take().is_some() {
            self.attempts = self.attempts.saturating_sub(1);
        }
    }

    /// Tells the plan that an attempt failed before anything reached the caller. After the first content there is no plan any
    /// more: what the caller has seen cannot be taken back.
    pub fn failed(&mut self, attempt: &Attempt, fault: &Fault, sent: Sent, now_ms: u64) {
        // Whoever lists several models wants the next when this one says no, for whatever reason: what one refuses another may take.
        let refused = fault.remedy == Remedy::Stop && sent == Sent::Rejected && fault.status.is_some();
        let remedy = if refused && self.asked.len() > 1 { Remedy::OtherModel } else { fault.remedy };
        self.past.push(Past {
            number: attempt.number,
            endpoint: attempt.endpoint.clone(),
            instance: attempt.instance,
            fault: Fault { remedy, ..fault.clone() },
            sent,
            at_ms: now_ms,
            candidate: attempt.candidate,
        });
        if matches!(self.next, Next::Over(_)) {
            return;
        }
        self.next = Next::Open;
        if fault.kind == FaultKind::NoEndpoint {
            // Nothing was tried: it is somebody who turned out not to be able to take this request.
            self.attempts = self.attempts.saturating_sub(1);
            return;
        }
        if sent == Sent::Ambiguous {
            // It may have been worked on and billed: one more try, somewhere else, and that is all. A hedge was that try.
            let more = u32::from(self.hedged.is_none());
            self.grace = Some(self.grace.map_or(more, |left| left.min(more)));
        }
        match remedy {
            Remedy::Stop => self.next = Next::Over(fault.clone()),
            Remedy::OtherModel if !self.many_models => self.next = Next::Over(fault.clone()),
            Remedy::OtherModel => {}
            Remedy::Elsewhere | Remedy::Again => {
                // Another key has its own quota, its own money and its own right to be there.
                let of_the_key =
                    matches!(fault.kind, FaultKind::UpstreamAuth | FaultKind::UpstreamQuota | FaultKind::RateLimited);
                if of_the_key && sent != Sent::Ambiguous {
                    self.next = Next::Sibling(attempt.candidate);
                }
            }
        }
    }

    /// Everybody had a turn. Untouched instances first, then, after a pause, whoever said "again".
    fn second_lap(&mut self, now_ms: u64, vitals: &dyn Vitals) -> Step {
        if self.grace.is_some() || self.past.is_empty() {
            return self.over();
        }
        for candidate in 0..self.line.len() {
            let last = self.past.iter().rfind(|p| p.candidate == candidate).map(|p| p.fault.remedy);
            if matches!(last, Some(Remedy::Elsewhere | Remedy::Again))
                && !self.barred(candidate)
                && let Some(instance) = self.draw(candidate, now_ms, vitals)
            {
                return self.attempt(candidate, instance);
            }
        }
        let alone = self.line.len() == 1;
        // Who can be asked again the soonest.
        let mut best: Option<(usize, Instance, u64)> = None;
        for candidate in 0..self.line.len() {
            if self.barred(candidate) || self.tries(candidate) >= MAX_SAME {
                continue;
            }
            let Some(past) = self.past.iter().rfind(|p| p.candidate == candidate) else { continue };
            let Some(pause) = verdict::pause(&past.fault, alone, &mut self.dice) else { continue };
            let due = past.at_ms.saturating_add(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
            if best.is_none_or(|(_, _, soonest)| due < soonest) {
                best = Some((candidate, past.instance, due));
            }
        }
        match best {
            Some((candidate, instance, due)) if due <= now_ms => self.attempt(candidate, instance),
            Some((candidate, instance, due)) => {
                self.next = Next::Again(candidate, instance, due);
                Step::Wait(Duration::from_millis(due - now_ms))
            }
            None => self.over(),
        }
    }

    fn attempt(&mut self, candidate: usize, instance: Instance) -> Step {
        self.next = Next::Open;
        let Some(one) = self.line.get(candidate) else { return self.over() };
        let Some(endpoint) = self.endpoint(one).cloned() else { return self.over() };
        self.attempts += 1;
        self.grace = self.grace.map(|left| left.saturating_sub(1));
        Step::Try(Attempt {
            number: self.attempts,
            endpoint,
            instance,
            holder: one.holder,
            place: usize::from(one.place),
            price: one.price,
            candidate,
        })
    }

    fn over(&mut self) -> Step {
        let fault = verdict::last_word(&self.past);
        self.next = Next::Over(fault.clone());
        Step::Stop(fault)
    }

    /// Through what a candidate can be called.
    fn pool(&self, one: &Candidate, endpoint: &Endpoint) -> Arc<[Instance]> {
        match one.holder {
            Holder::House => endpoint.pool.clone(),
            own => own::pool(self.own.as_deref(), endpoint, own).into(),
        }
    }

    /// How many of a candidate's keys are tried in a row when each is refused: of the caller's own, as many as there may be calls.
    fn siblings(&self, candidate: usize) -> u32 {
        let own = self.line.get(candidate).is_some_and(|one| one.holder.is_own());
        if own { MAX_ATTEMPTS } else { MAX_SAME }
    }

    fn tries(&self, candidate: usize) -> u32 {
        self.past.iter().filter(|p| p.candidate == candidate).count() as u32
    }

    /// Who cannot take this request is not asked again, nor is a model that cannot, whoever serves it.
    fn barred(&self, candidate: usize) -> bool {
        if self.past.iter().any(|p| p.candidate == candidate && p.fault.kind == FaultKind::NoEndpoint) {
            return true;
        }
        let mut bars = self.past.iter().filter(|p| p.fault.remedy == Remedy::OtherModel).peekable();
        if bars.peek().is_none() {
            return false;
        }
        let model = self.line.get(candidate).and_then(|c| self.endpoint(c)).map(|e| &e.model.id);
        bars.any(|p| model.is_none_or(|m| *m == p.endpoint.model.id))
    }

    /// An instance of this candidate not tried before, one that does not rest if there is: the one the conversation used before,
    /// else the strategy's choice.
    fn draw(&mut self, candidate: usize, now_ms: u64, vitals: &dyn Vitals) -> Option<Instance> {
        let one = *self.line.get(candidate)?;
        let endpoint = self.endpoint(&one)?;
        let (key, pool) = (endpoint.key, self.pool(&one, endpoint));
        if let ([only], true) = (&*pool, self.past.is_empty() && self.full.is_empty()) {
            return Some(*only);
        }
        let tried = |i: &&Instance| {
            !self.past.iter().any(|p| p.candidate == candidate && p.instance.id == i.id)
                && !self.full.contains(&(candidate, **i))
        };
        let seat = |i: &Instance| Seat { instance: *i, live: vitals.vital(key, i.id) };
        let (mut resting, mut awake) = (Vec::new(), Vec::with_capacity(pool.len()));
        for seat in pool.iter().filter(tried).map(seat) {
            if seat.live.rests(now_ms, self.tokens) { resting.push(seat) } else { awake.push(seat) }
        }
        let all_rest = awake.is_empty();
        let seats = if all_rest { resting } else { awake };
        if one.holder.is_own() {
            // Their owner said in which order. One that rests waits until everybody else had a turn.
            let early = all_rest && !one.cooled() && self.cursor < self.line.len();
            return if early { None } else { seats.first().map(|seat| seat.instance) };
        }
        if let Some(before) = self.sticky.filter(|s| s.endpoint == key && one.sticky)
            && let Some(seat) = seats.iter().find(|seat| seat.instance.id == before.instance)
        {
            return Some(seat.instance);
        }
        let at = match seats.len() {
            0 => return None,
            1 => 0,
            _ => {
                let view = View { vitals, turn: self.turn, affinity: self.affinity, sticky: None };
                self.strategy_for(&one).pick(&seats, one.lap, &view, &mut self.dice)
            }
        };
        seats.get(at).or(seats.first()).map(|seat| seat.instance)
    }
}
