//! The same decision as [`choose`](crate::choose), told in full: of every endpoint of the names asked for, each rule that speaks
//! against it, or how good its chances are. It asks the very functions a request is routed by, so that it cannot say otherwise.
//!
//! Where dice decide, they are thrown many times; what is said of chances is what came of that.

use crate::eligible::{Candidate, Question, Rule, against, each, eligible, live, tier};
use crate::field::{Endpoint, Field, Instance};
use crate::no_route::NoRoute;
use crate::own::{self, Holder};
use crate::plan::{Ask, By, line_up, resolve, strategy_of};
use crate::resolve::{Resolved, Unresolved};
use crate::strategy::{Strategy, expected_cost};
use crate::view::{View, Vital};
pub use expected_cost::Parts;
use fastrand::Rng;
use slip_ir::Want;
use std::cmp::Reverse;
use std::sync::Arc;

#[cfg(test)]
mod tests;

/// How often the dice are thrown.
const DRAWS: usize = 1000;
/// Candidates lined up in all: a long list is drawn less often, as somebody is waiting for the answer.
const MOST: usize = 50_000;
const LEAST: usize = 50;

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Explained {
    /// The names asked for, and who orders what they lead to.
    pub asked: Vec<Asked>,
    /// Names that are known but not served here, skipped because others are.
    pub unserved: Vec<Unresolved>,
    /// Every endpoint: those that may serve in their usual order, then the others as listed.
    pub each: Vec<Told>,
    /// Why it can go nowhere, if it cannot.
    pub no: Option<NoRoute>,
    /// How often the dice were thrown.
    pub draws: u32,
}

#[derive(Debug)]
pub struct Asked {
    pub name: Resolved,
    pub strategy: &'static dyn Strategy,
    pub by: By,
}

#[derive(Debug)]
pub struct Told {
    pub endpoint: Arc<Endpoint>,
    /// Whose key it is tried with: an endpoint is told once for each holder of one.
    pub holder: Holder,
    /// Through what.
    pub pool: Arc<[Instance]>,
    /// Which of the names asked for.
    pub place: usize,
    /// How it is through the best of its instances; where all of them rest, through the one that is back the soonest.
    pub live: Vital,
    pub verdict: Verdict,
}

#[derive(Debug)]
pub enum Verdict {
    /// Every rule that speaks against it; routing stops at the first.
    Refused(Vec<Rule>),
    /// No rule does, but it turns out not to be able to take this request, and is passed over when it is its turn.
    Unfit(String),
    May(Box<Chance>),
}

#[derive(Clone, Debug)]
pub struct Chance {
    /// The facts it was ordered by, with the score of its strategy if that has one.
    pub candidate: Candidate,
    /// Why it comes after others, the strongest first.
    pub demoted: Vec<Rule>,
    /// It would ignore something that was asked for, and comes after those that do not.
    pub ignores: bool,
    /// What an answer here is likely to cost, in parts; endpoints are compared with their equals.
    pub parts: Parts,
    /// The share of throws that put it first. Exactly 1 or 0 where no dice are thrown.
    pub first: f64,
    /// Its usual place, from 0; `None` where there are no fallbacks and it is never tried.
    pub rank: Option<usize>,
}

impl Told {
    pub fn chance(&self) -> Option<&Chance> {
        match &self.verdict {
            Verdict::May(chance) => Some(chance),
            Verdict::Refused(_) | Verdict::Unfit(_) => None,
        }
    }
}

/// Explains a request as it would be routed at this moment. Pure, like `choose`, and from the same arguments; `unfit` says of an
/// endpoint what only shows when the request is told in its words.
pub fn explain(
    field: &Field,
    ask: &Ask,
    want: &Want,
    view: &View<'_>,
    now_ms: u64,
    dice: &mut Rng,
    unfit: &mut dyn FnMut(&Endpoint) -> Option<String>,
) -> Explained {
    let (asked, unserved) = match resolve(field, ask) {
        Ok(found) => found,
        Err(no) => return Explained { no: Some(no), ..Explained::default() },
    };
    let (rules, allow, own) = (&ask.rules, ask.allow.as_deref(), ask.own.as_deref());
    let question = Question { field, asked: &asked, want, rules, allow, own, view: *view, now_ms };
    let answer = eligible(&question);
    let chosen: Vec<(&'static dyn Strategy, By)> =
        asked.iter().map(|name| strategy_of(field, name, rules, want)).collect();
    let unfit: Vec<Option<String>> = answer
        .candidates
        .iter()
        .map(|c| {
            let reach = field.reach(&asked.get(usize::from(c.place))?.reach);
            unfit(reach.get(c.at as usize)?)
        })
        .collect();
    let passed_over: Vec<(u16, u32)> =
        answer.candidates.iter().zip(&unfit).filter(|(_, why)| why.is_some()).map(|(c, _)| (c.place, c.at)).collect();
    let throws = Throws::of(&answer.candidates, view, dice, |line, view, dice| {
        line_up(line, &chosen, rules, view, dice);
        // After the order is made, as it happens: who is unfit has had a turn, and a place where there are no others.
        line.retain(|c| !passed_over.contains(&(c.place, c.at)));
    });
    let parts = parts(&answer.candidates);
    let mut told = Vec::new();
    each(&question, |stand| {
        let mut tell = |holder: Holder, verdict: Verdict| {
            let (endpoint, live) = (stand.endpoint.clone(), shown(&question, stand.endpoint, holder));
            let pool = own::pool(own, &endpoint, holder).into();
            told.push(Told { endpoint, holder, pool, place: stand.place, live, verdict });
        };
        let here = |c: &Candidate| (c.place as usize, c.at as usize) == (stand.place, stand.at);
        let mut found = answer.candidates.iter().enumerate().filter(|(_, c)| here(c)).peekable();
        if found.peek().is_none() {
            return tell(Holder::House, Verdict::Refused(against(&question, stand)));
        }
        for (n, candidate) in found {
            let verdict = match unfit.get(n).cloned().flatten() {
                Some(why) => Verdict::Unfit(why),
                None => {
                    let demoted = candidate.tier & (tier::COOLED | tier::FOREIGN | tier::SLOW) != 0;
                    let mut rules = answer.demoted.iter().filter(|r| demoted && r.endpoint.key == stand.endpoint.key);
                    let (why, parts) =
                        (rules.next().map(|r| r.rule.clone()), parts.get(n).copied().unwrap_or_default());
                    Verdict::May(Box::new(throws.chance(n, candidate, why, parts)))
                }
            };
            tell(candidate.holder, verdict);
        }
    });
    let last = (1, usize::MAX);
    told.sort_by_key(|one| one.chance().map_or((2, 0), |chance| chance.rank.map_or(last, |rank| (0, rank))));
    let models = ask.models.clone();
    let no = answer.candidates.is_empty().then_some(NoRoute::NoEndpoint { models, refusals: answer.refusals });
    let asked = asked.into_iter().zip(chosen).map(|(name, (strategy, by))| Asked { name, strategy, by }).collect();
    Explained { asked, unserved, each: told, no, draws: throws.count }
}

fn shown(question: &Question<'_>, endpoint: &Endpoint, holder: Holder) -> Vital {
    let (best, resting) = live(question, endpoint, holder);
    if resting.is_none() {
        return best;
    }
    let pool = own::pool(question.own, endpoint, holder);
    let each = pool.iter().map(|instance| question.view.vitals.vital(endpoint.key, instance.id));
    each.min_by_key(|vital| vital.cooldown_until_ms).unwrap_or(best)
}

/// What came of throwing the dice, per candidate.
struct Throws {
    count: u32,
    first: Vec<u32>,
    score: Vec<f64>,
    rank: Vec<Option<usize>>,
}

impl Throws {
    fn of(
        candidates: &[Candidate],
        view: &View<'_>,
        dice: &mut Rng,
        line_up: impl Fn(&mut Vec<Candidate>, &View<'_>, &mut Rng),
    ) -> Throws {
        let size = candidates.len();
        let count = if size < 2 { size } else { (MOST / size).clamp(LEAST, DRAWS) };
        let mut throws = Throws { count: count as u32, first: vec![0; size], score: vec![0.0; size], rank: Vec::new() };
        // How often each was in the line, and the sum of its places there.
        let mut places = vec![(0u64, 0u64); size];
        let mut line = Vec::with_capacity(size);
        for nth in 0..count as u64 {
            line.clear();
            line.extend_from_slice(candidates);
            // Whoever takes turns has had one more.
            // Dice of its own for each throw, as each request has: whoever forks the same dice can follow throw for throw.
            line_up(&mut line, &View { turn: view.turn.wrapping_add(nth), ..*view }, &mut dice.fork());
            for (rank, one) in line.iter().enumerate() {
                // In the order of names and endpoints, as `eligible` leaves them.
                let Ok(at) =
                    candidates.binary_search_by_key(&(one.place, one.at, one.holder), |c| (c.place, c.at, c.holder))
                else {
                    continue;
                };
                if let (Some(first), Some(score), Some(place)) =
                    (throws.first.get_mut(at), throws.score.get_mut(at), places.get_mut(at))
                {
                    *first += u32::from(rank == 0);
                    *score = one.score;
                    *place = (place.0 + 1, place.1 + rank as u64);
                }
            }
        }
        let mut usual: Vec<usize> =
            (0..size).filter(|at| places.get(*at).is_some_and(|(times, _)| *times > 0)).collect();
        let mean = |at: usize| places.get(at).map_or(0.0, |(times, sum)| *sum as f64 / *times as f64);
        usual.sort_by(|a, b| {
            let tier = |at: usize| candidates.get(at).map_or(u32::MAX, |c| c.tier);
            let often = |at: usize| Reverse(places.get(at).map_or(0, |(times, _)| *times));
            tier(*a).cmp(&tier(*b)).then(often(*a).cmp(&often(*b))).then(mean(*a).total_cmp(&mean(*b)))
        });
        throws.rank = (0..size).map(|at| usual.iter().position(|one| *one == at)).collect();
        throws
    }

    fn chance(&self, at: usize, candidate: &Candidate, why: Option<Rule>, parts: Parts) -> Chance {
        let has = |bit| candidate.tier & bit != 0;
        let also = [(tier::FOREIGN, Rule::SealedElsewhere), (tier::SLOW, Rule::Slow)];
        let also = also.into_iter().filter(|(bit, rule)| has(*bit) && why.as_ref() != Some(rule)).map(|(_, rule)| rule);
        let also: Vec<Rule> = also.collect();
        let first = self.first.get(at).copied().unwrap_or(0);
        Chance {
            candidate: Candidate { score: self.score.get(at).copied().unwrap_or(0.0), ..*candidate },
            demoted: why.into_iter().chain(also).collect(),
            ignores: has(tier::LACKS),
            parts,
            first: f64::from(first) / f64::from(self.count.max(1)),
            rank: self.rank.get(at).copied().flatten(),
        }
    }
}

/// Scores in parts, each among its equals.
fn parts(candidates: &[Candidate]) -> Vec<Parts> {
    let mut by_tier: Vec<usize> = (0..candidates.len()).collect();
    by_tier.sort_by_key(|at| candidates.get(*at).map(|c| c.tier));
    let mut all = vec![Parts::default(); candidates.len()];
    for group in by_tier.chunk_by(|a, b| candidates.get(*a).map(|c| c.tier) == candidates.get(*b).map(|c| c.tier)) {
        let line: Vec<Candidate> = group.iter().filter_map(|at| candidates.get(*at)).copied().collect();
        for (at, parts) in group.iter().zip(expected_cost::parts(&line)) {
            if let Some(place) = all.get_mut(*at) {
                *place = parts;
            }
        }
    }
    all
}
