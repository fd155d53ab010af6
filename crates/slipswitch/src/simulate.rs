//! `slipswitch simulate`: yesterday's requests under other rules. Each request of a decision log is routed again by another
//! configuration, at its own time on the clock of `slip-lab` and by the code of the gateway, which learns from what comes of it; how
//! an attempt ends is what the log shows of that endpoint about then. Nobody is asked.
//!
//! What the log cannot show is not made up: an endpoint that was never tried there answers at once and never fails, and is named.

mod log;
mod trouble;

use crate::cli;
use crate::exit::{Code, Ending};
use log::{Log, Request};
use serde_json::{Value, json};
use slip_lab::compare::{self, Difference, Served};
use slip_lab::past::Past;
use slip_lab::policies::ours::{self, Ours, Question};
use slip_lab::policy::Moment;
use slip_lab::run::{Came, End, Log as Run};
use slip_lab::{Outcome, Terms, run_on};
use slip_route::{Ask, Endpoint, Field, Instance, Rules};
use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;
use trouble::Troubles;

pub fn simulate(args: &cli::Simulate) -> Result<(), Ending> {
    let troubles = Troubles::read(&args.outage, &args.limit)?;
    let log = Log::read(&args.log)?;
    if log.requests.is_empty() {
        return Err(Ending::new(Code::NotFound, format!("error: no request in {}", args.log.display())));
    }
    let world = crate::config::quiet_world(Some(&args.config))?;
    troubles.known(world.field.endpoints())?;
    let replay = Replay { sites: ours::sites(&world.field), log: &log };
    let run = replay.run(&world.field, &troubles, world.timeouts.total, args.seed);
    let before: Vec<Served> = log.requests.iter().map(Request::served).collect();
    let after = replay.served(&run);
    let differences = compare::compare(&before, &after, args.seed);
    let told = told(&log, &differences, &replay.unseen(&run), args);
    let mut out = std::io::stdout().lock();
    let written = if args.json { writeln!(out, "{told}") } else { table(&mut out, &told) };
    match written {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Ending::new(Code::Failure, format!("error: {e}"))),
        _ => Ok(()),
    }
}

struct Replay<'a> {
    sites: Vec<(Arc<Endpoint>, Instance)>,
    log: &'a Log,
}

impl Replay<'_> {
    fn run(&self, field: &Arc<Field>, troubles: &Troubles, total: Duration, seed: u64) -> Run {
        let past = |(endpoint, _): &(Arc<Endpoint>, Instance)| {
            let seen = self.log.seen(&endpoint.tag, &endpoint.model.id).to_vec();
            Past::new(seen, endpoint.price.as_deref().cloned(), &troubles.of(endpoint))
        };
        let pasts: Vec<Past> = self.sites.iter().map(past).collect();
        let asking = |moment: &Moment<'_>| {
            let Some(one) = self.log.requests.get(moment.request as usize) else { return Question::default() };
            let rules = one.rules.as_ref().and_then(|raw| Rules::parse(raw).ok()).unwrap_or_default();
            let ask = Ask { models: one.models.clone(), rules, ..Ask::default() };
            Question { ask, want: one.want.clone(), conversation: None }
        };
        let dawn = self.log.dawn_ms;
        let mut policy = Ours::over(field.clone(), vec![false; pasts.len()], dawn, Box::new(asking));
        for (at, past) in pasts.iter().enumerate() {
            if let Some(health) = policy.health(at) {
                past.teach(health, dawn.saturating_sub(1));
            }
        }
        let total_ms = u64::try_from(total.as_millis()).unwrap_or(u64::MAX);
        // Of one try it is in the log how long it took: no other deadline is simulated.
        let terms = Terms { tries: slip_route::plan::MAX_ATTEMPTS as usize, patience_ms: total_ms, total_ms };
        run_on(&self.log.calls(), pasts, &mut policy, terms, seed)
    }

    /// By the requests of the log, in its order.
    fn served(&self, run: &Run) -> Vec<Served> {
        let mut limited = vec![0; self.log.requests.len()];
        for one in run.tries.iter().filter(|one| one.came == Came::Limited) {
            if let Some(count) = limited.get_mut(one.request as usize) {
                *count += 1;
            }
        }
        let mut all = vec![Served::failed(0.0, 0); self.log.requests.len()];
        for one in &run.outcomes {
            let at = one.request as usize;
            if let (Some(place), Some(limited)) = (all.get_mut(at), limited.get(at)) {
                *place = self.one(one, *limited);
            }
        }
        all
    }

    fn one(&self, one: &Outcome, limited: u32) -> Served {
        let total_ms = (one.ended_ms - one.arrived_ms) as f64;
        let attempts = u32::try_from(one.tries).unwrap_or(u32::MAX);
        if one.end != End::Served {
            return Served { limited, ..Served::failed(total_ms, attempts) };
        }
        let priced = one.site.and_then(|at| self.sites.get(at)).is_some_and(|(endpoint, _)| endpoint.price.is_some());
        Served {
            cost: priced.then_some(one.cost.0 as f64),
            first_ms: one.first_ms.map_or(total_ms, |ms| ms as f64),
            total_ms,
            failed: false,
            attempts,
            limited,
            prompt: one.used.fresh + one.used.cached,
            cached: one.used.cached,
        }
    }

    /// Endpoints that were tried here and never in the log.
    fn unseen(&self, run: &Run) -> BTreeSet<String> {
        let tried: BTreeSet<usize> = run.tries.iter().map(|one| one.site).collect();
        let endpoints = tried.into_iter().filter_map(|at| self.sites.get(at)).map(|(endpoint, _)| endpoint);
        let unseen = endpoints.filter(|one| self.log.seen(&one.tag, &one.model.id).is_empty());
        unseen.map(ToString::to_string).collect()
    }
}

fn told(log: &Log, differences: &[Difference], unseen: &BTreeSet<String>, args: &cli::Simulate) -> Value {
    let one = |d: &Difference| {
        json!({
            "figure": d.figure, "unit": d.unit, "before": d.before, "after": d.after,
            "difference": d.after - d.before, "low": d.low, "high": d.high, "certain": d.is_certain(),
        })
    };
    json!({
        "requests": log.requests.len(),
        "lines_not_understood": log.strange,
        "lines_dropped_by_the_gateway": log.dropped,
        "figures": differences.iter().map(one).collect::<Vec<_>>(),
        "never_tried_in_the_log": unseen,
        "outages_added": args.outage,
        "limits_added": args.limit,
    })
}

fn table(out: &mut impl Write, told: &Value) -> std::io::Result<()> {
    writeln!(out, "{} requests, routed again. 95 % of resamplings lie between the last two.\n", told["requests"])?;
    for (what, names) in [("outage", "outages_added"), ("limit", "limits_added")] {
        for name in told[names].as_array().into_iter().flatten() {
            writeln!(out, "  with {what} {}", name.as_str().unwrap_or(""))?;
        }
    }
    writeln!(out, "  {:<26} {:>14} {:>14} {:>14}   {:>14} {:>14}", "", "before", "after", "difference", "from", "to")?;
    for one in told["figures"].as_array().into_iter().flatten() {
        let unit = one["unit"].as_str().unwrap_or("");
        let show = |value: &Value| match (value.as_f64(), unit) {
            (None, _) => "?".to_owned(),
            (Some(n), "usd") => format!("{n:.7}"),
            (Some(n), "share") => format!("{:.2} %", n * 100.0),
            (Some(n), _) => format!("{n:.0} ms"),
        };
        writeln!(
            out,
            "  {:<26} {:>14} {:>14} {:>14}   {:>14} {:>14}{}",
            one["figure"].as_str().unwrap_or(""),
            show(&one["before"]),
            show(&one["after"]),
            show(&one["difference"]),
            show(&one["low"]),
            show(&one["high"]),
            if one["certain"] == true { "" } else { "   may be chance" }
        )?;
    }
    for name in told["never_tried_in_the_log"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap_or("");
        writeln!(out, "\nnot known: the log never tried {name}; here it answers at once and never fails")?;
    }
    Ok(())
}
