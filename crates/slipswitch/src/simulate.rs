//! `slipswitch simulate`: yesterday's requests under other rules. Each request of a decision log is routed again by another
//! configuration, with the facts of its moment and a clock of its own; how an attempt ends is drawn from how the log shows that
//! endpoint's attempts to have ended. Nobody is asked.
//!
//! What the log cannot show is not made up: an endpoint that was never tried there answers at once and never fails, and is named.

mod log;
mod stats;

use crate::cli;
use crate::exit::{Code, Ending};
use log::{Log, Outcome, Request};
use serde_json::{Value, json};
use slip_ir::{Fault, FaultKind, Remedy};
use slip_route::plan::Sent;
use slip_route::{Ask, Board, Field, Rules, Step, View, Vital};
use stats::{Difference, Served};
use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Arc;

/// No plan takes more steps than this.
const STEPS: u32 = 32;

pub fn simulate(args: &cli::Simulate) -> Result<(), Ending> {
    let log = Log::read(&args.log)?;
    if log.requests.is_empty() {
        return Err(Ending::new(Code::NotFound, format!("error: no request in {}", args.log.display())));
    }
    let world = crate::config::quiet_world(Some(&args.config))?;
    let mut replay = Replay {
        field: world.field.clone(),
        log: &log,
        board: Board::default(),
        dice: fastrand::Rng::with_seed(args.seed),
        unseen: BTreeSet::new(),
    };
    let after: Vec<Served> =
        log.requests.iter().enumerate().map(|(turn, one)| replay.request(one, turn as u64)).collect();
    let before: Vec<Served> = log.requests.iter().map(Request::served).collect();
    let differences = stats::compare(&before, &after, args.seed);
    let told = told(&log, &differences, &replay.unseen);
    let mut out = std::io::stdout().lock();
    let written = if args.json { writeln!(out, "{told}") } else { table(&mut out, &told) };
    match written {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Ending::new(Code::Failure, format!("error: {e}"))),
        _ => Ok(()),
    }
}

struct Replay<'a> {
    field: Arc<Field>,
    log: &'a Log,
    /// The facts as they were last told.
    board: Board,
    dice: fastrand::Rng,
    /// Endpoints that were tried here and never in the log.
    unseen: BTreeSet<String>,
}

impl Replay<'_> {
    fn request(&mut self, one: &Request, turn: u64) -> Served {
        self.learn(one);
        let rules = one.rules.as_ref().and_then(|raw| Rules::parse(raw).ok()).unwrap_or_default();
        let ask = Ask { models: one.models.clone(), rules, allow: None };
        let view = View::of(&self.board, turn);
        let chosen = slip_route::choose(&self.field, &ask, &one.want, &view, one.at_ms, &mut self.dice);
        let Ok(mut plan) = chosen.map(|chosen| chosen.plan) else { return Served::failed(0.0, 0) };
        let (mut waited, mut attempts) = (0.0, 0);
        for _ in 0..STEPS {
            let now = one.at_ms.saturating_add(waited as u64);
            match plan.next(now, &self.board) {
                Step::Wait(pause) => waited += pause.as_secs_f64() * 1000.0,
                Step::Stop(_) => break,
                Step::Try(attempt) => {
                    attempts += 1;
                    let endpoint = &attempt.endpoint;
                    let outcomes = self.log.outcomes(&endpoint.tag, &endpoint.model.id);
                    let drawn = self.dice.usize(..outcomes.len().max(1));
                    let outcome = outcomes.get(drawn).copied().unwrap_or_else(|| {
                        self.unseen.insert(endpoint.to_string());
                        Outcome::default()
                    });
                    waited += outcome.ms;
                    match outcome.fault {
                        None => {
                            let cost = endpoint.price.as_ref().map(|price| price.cost(&one.usage).total.0 as f64);
                            let total_ms = waited + outcome.ms_per_token * one.completion() as f64;
                            return Served { cost, first_ms: waited, total_ms, failed: false, attempts };
                        }
                        Some(kind) => {
                            let fault = Fault::upstream(kind, remedy(kind), "as the log shows it");
                            plan.failed(&attempt, &fault, Sent::Rejected, one.at_ms.saturating_add(waited as u64));
                        }
                    }
                }
            }
        }
        Served::failed(waited, attempts)
    }

    /// The facts of the request's moment, for every instance alike.
    fn learn(&mut self, one: &Request) {
        for endpoint in self.field.endpoints() {
            let Some(known) = one.known.iter().find(|k| *k.tag == *endpoint.tag && *k.model == *endpoint.model.id)
            else {
                continue;
            };
            let cooldown_until_ms = if known.cooled { one.at_ms + 1 } else { 0 };
            for instance in endpoint.pool.iter() {
                self.board.0.insert((endpoint.key, instance.id), Vital { cooldown_until_ms, ..known.live });
            }
        }
    }
}

/// What the caller must change is the same everywhere; what else went wrong may go well elsewhere.
fn remedy(kind: FaultKind) -> Remedy {
    match kind {
        FaultKind::BadRequest | FaultKind::TooLarge | FaultKind::Gone => Remedy::Stop,
        FaultKind::ContextTooLong | FaultKind::Moderated => Remedy::OtherModel,
        _ => Remedy::Elsewhere,
    }
}

fn told(log: &Log, differences: &[Difference], unseen: &BTreeSet<String>) -> Value {
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
    })
}

fn table(out: &mut impl Write, told: &Value) -> std::io::Result<()> {
    writeln!(out, "{} requests, routed again. 95 % of resamplings lie between the last two.\n", told["requests"])?;
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
