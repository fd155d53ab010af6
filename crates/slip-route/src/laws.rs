//! What holds for every configuration, every request and every outage.

use crate::catalog::Catalog;
use crate::eligible::{Question, eligible};
use crate::explain::{Verdict, explain};
use crate::field::{Declared, Field, Instance, ProviderSeat};
use crate::plan::{Ask, MAX_ATTEMPTS, MAX_SAME, Plan, Sent, Step, choose};
use crate::resolve::Resolved;
use crate::rules::Rules;
use crate::strategy::STRATEGIES;
use crate::testing::{declared, line, price, seat};
use crate::view::{Board, Calm, View, Vital};
use fastrand::Rng;
use proptest::prelude::*;
use slip_ir::{Fault, FaultKind, Origin, Raw, Remedy, Want};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// One provider: instances with weight and health, and per model a price or none.
type Shape = (Vec<(u32, bool)>, Vec<Option<u8>>);

fn shapes() -> impl Strategy<Value = Vec<Shape>> {
    let instance = (0u32..4, any::<bool>());
    let models = proptest::collection::vec(proptest::option::of(0u8..5), 2);
    proptest::collection::vec((proptest::collection::vec(instance, 0..4), models), 1..6)
}

fn build(shapes: &[Shape]) -> (Arc<Field>, Board) {
    let mut next = 0;
    let mut cold = Vec::new();
    let seats: Vec<ProviderSeat> = shapes
        .iter()
        .enumerate()
        .map(|(at, (instances, models))| {
            let mut seat = seat(&format!("p{at}"), &[]);
            for (weight, cooled) in instances {
                seat.instances.push(Instance { id: next, weight: *weight });
                if *cooled {
                    cold.push(next);
                }
                next += 1;
            }
            for (model, dollars) in models.iter().enumerate() {
                let price = dollars.map(|d| price(&d.to_string(), "1"));
                seat.models.push(Declared { price, ..declared(&format!("m/{model}")) });
            }
            seat
        })
        .collect();
    let field = Field::build(&Catalog::default(), seats, vec![]).unwrap();
    let mut board = Board::default();
    for endpoint in field.endpoints() {
        for instance in endpoint.pool.iter().filter(|i| cold.contains(&i.id)) {
            let vital = Vital { cooldown_until_ms: 1_000_000, failing: true, ..Vital::default() };
            board.0.insert((endpoint.key, instance.id), vital);
        }
    }
    (Arc::new(field), board)
}

fn rules() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("{}"),
        Just(r#"{"sort":"price"}"#),
        Just(r#"{"sort":{"by":"throughput","partition":"none"}}"#),
        Just(r#"{"order":["p1","p0"]}"#),
        Just(r#"{"order":["p1"],"allow_fallbacks":false}"#),
        Just(r#"{"allow_fallbacks":false}"#),
        Just(r#"{"ignore":["p0"],"load_balancer":"round-robin"}"#),
        Just(r#"{"max_price":{"prompt":2},"load_balancer":"weighted"}"#),
        Just(r#"{"load_balancer":"random"}"#),
    ]
}

fn faults() -> impl Strategy<Value = Vec<(Fault, Sent)>> {
    let kind = prop_oneof![
        Just(FaultKind::Upstream),
        Just(FaultKind::RateLimited),
        Just(FaultKind::UpstreamAuth),
        Just(FaultKind::ContextTooLong),
    ];
    let remedy = prop_oneof![
        1 => Just(Remedy::Stop),
        6 => Just(Remedy::Elsewhere),
        6 => Just(Remedy::Again),
        2 => Just(Remedy::OtherModel),
    ];
    let origin = prop_oneof![Just(Origin::Upstream), Just(Origin::Caller)];
    let sent = prop_oneof![2 => Just(Sent::NotSent), 1 => Just(Sent::Ambiguous), 4 => Just(Sent::Rejected)];
    let one = (kind, remedy, origin, sent, proptest::option::of(0u64..9_000)).prop_map(
        |(kind, remedy, origin, sent, after)| {
            let retry_after = after.map(Duration::from_millis);
            (Fault { retry_after, ..Fault::new(kind, origin, remedy, "x") }, sent)
        },
    );
    proptest::collection::vec(one, 12)
}

fn start(field: &Arc<Field>, board: &Board, rules: &str, models: &[usize], seed: u64) -> Option<Plan> {
    let ask = Ask {
        models: models.iter().map(|m| format!("m/{m}")).collect(),
        rules: Rules::parse(&Raw::parse(rules).unwrap()).unwrap(),
        ..Ask::default()
    };
    let view = View::of(board, seed);
    choose(field, &ask, &Want { prompt_tokens: 1_000, ..Want::default() }, &view, 0, &mut Rng::with_seed(seed))
        .ok()
        .map(|chosen| chosen.plan)
}

/// Every step of a run: (endpoint key, instance, model) of the tries, with the index of the failure they met.
fn run(mut plan: Plan, script: &[(Fault, Sent)]) -> (Vec<(u64, u32, String)>, u64, Option<Fault>) {
    let (mut now, mut tries, mut waited) = (0, Vec::new(), 0);
    for _ in 0..40 {
        match plan.next(now, &Calm) {
            Step::Try(a) => {
                assert_eq!(a.number as usize, tries.len() + 1);
                tries.push((a.endpoint.key, a.instance.id, a.endpoint.model.id.to_string()));
                let (fault, sent) = &script[(tries.len() - 1) % script.len()];
                plan.failed(&a, fault, *sent, now);
            }
            Step::Wait(pause) => {
                waited += 1;
                now += pause.as_millis() as u64;
            }
            Step::Full => panic!("nobody was busy"),
            Step::Stop(fault) => return (tries, waited, Some(fault)),
        }
    }
    (tries, waited, None)
}

proptest! {
    #[test]
    fn a_plan_ends_within_its_bounds(shapes in shapes(), rules in rules(), script in faults(), seed in 0u64..500, two in any::<bool>()) {
        let (field, board) = build(&shapes);
        let models: &[usize] = if two { &[0, 1] } else { &[0] };
        let Some(plan) = start(&field, &board, rules, models, seed) else { return Ok(()) };
        let line: Vec<(u64, usize)> =
            plan.line().map(|(_, e)| e.map_or((0, 0), |e| (e.key, e.pool.len()))).collect();
        let (tries, _, end) = run(plan, &script);
        prop_assert!(end.is_some(), "it ends");
        prop_assert!(tries.len() as u32 <= MAX_ATTEMPTS);
        let mut count: HashMap<(u64, u32), u32> = HashMap::new();
        for (at, (key, instance, model)) in tries.iter().enumerate() {
            let had = count.entry((*key, *instance)).or_default();
            *had += 1;
            prop_assert!(*had <= MAX_SAME, "no instance is tried more than twice");
            let of_endpoint = tries[..=at].iter().filter(|t| t.0 == *key).count() as u32;
            if of_endpoint > MAX_SAME {
                let untried = line.iter().any(|(k, pool)| *pool > 0 && !tries[..at].iter().any(|t| t.0 == *k));
                let barred = script[..at].iter().any(|(f, _)| f.remedy == Remedy::OtherModel);
                prop_assert!(!untried || barred, "an endpoint is tried a third time only when nobody else is left");
            }
            for (earlier, (fault, sent)) in script.iter().enumerate().take(at) {
                prop_assert!(fault.remedy != Remedy::Stop, "nothing is tried after stop");
                if fault.remedy == Remedy::OtherModel {
                    prop_assert_ne!(&tries[earlier].2, model, "a model that cannot take it is not asked again");
                }
                if *sent == Sent::Ambiguous {
                    prop_assert!(at == earlier + 1, "at most one try after an ambiguous one");
                    prop_assert_ne!(tries[earlier].0, *key, "and not the same endpoint");
                }
            }
        }
    }

    #[test]
    fn the_same_dice_give_the_same_path(shapes in shapes(), rules in rules(), script in faults(), seed in 0u64..500) {
        let (field, board) = build(&shapes);
        let go = || start(&field, &board, rules, &[0, 1], seed).map(|plan| run(plan, &script));
        prop_assert_eq!(go(), go());
    }

    #[test]
    fn everybody_is_eligible_or_refused_and_only_once(shapes in shapes(), rules in rules(), two in any::<bool>()) {
        let (field, board) = build(&shapes);
        let asked: Vec<Resolved> = (0..=usize::from(two)).map(|m| field.resolve(&format!("m/{m}")).unwrap()).collect();
        let rules = Rules::parse(&Raw::parse(rules).unwrap()).unwrap();
        let answer = eligible(&Question {
            field: &field, asked: &asked, want: &Want::default(), rules: &rules, allow: None, own: None,
            view: View::of(&board, 0), now_ms: 0,
        });
        let mut all: Vec<u64> = asked.iter().flat_map(|a| field.reach(&a.reach)).map(|e| e.key).collect();
        let yes = answer.candidates.iter().map(|c| field.reach(&asked[c.place as usize].reach)[c.at as usize].key);
        let mut got: Vec<u64> = yes.chain(answer.refusals.iter().map(|r| r.endpoint.key)).collect();
        all.sort_unstable();
        got.sort_unstable();
        prop_assert_eq!(all, got);
    }

    #[test]
    fn who_cools_down_comes_after_everybody_well(shapes in shapes(), rules in rules(), seed in 0u64..500) {
        let (field, board) = build(&shapes);
        let Some(plan) = start(&field, &board, rules, &[0, 1], seed) else { return Ok(()) };
        let cooled: Vec<bool> = plan.line().map(|(c, _)| c.cooled()).collect();
        prop_assert!(cooled.is_sorted(), "{:?}", cooled);
        for (candidate, endpoint) in plan.line() {
            let cold = endpoint.unwrap().pool.iter().all(|i| board.0.contains_key(&(endpoint.unwrap().key, i.id)));
            prop_assert_eq!(candidate.cooled(), cold);
        }
    }

    #[test]
    fn what_is_explained_is_what_is_chosen(shapes in shapes(), rules in rules(), two in any::<bool>(), seed in 0u64..500) {
        let (field, board) = build(&shapes);
        let ask = Ask {
            models: (0..=usize::from(two)).map(|m| format!("m/{m}")).collect(),
            rules: Rules::parse(&Raw::parse(rules).unwrap()).unwrap(),
            ..Ask::default()
        };
        let want = Want { prompt_tokens: 1_000, ..Want::default() };
        let told = explain(&field, &ask, &want, &View::of(&board, seed), 0, &mut Rng::with_seed(seed), &mut |_| None);
        let again = explain(&field, &ask, &want, &View::of(&board, seed), 0, &mut Rng::with_seed(seed), &mut |_| None);
        prop_assert_eq!(format!("{told:?}"), format!("{again:?}"), "the same dice tell the same");
        // The same throws of the same dice, so that nothing is left to chance: what is told is what comes of choosing, to the last one.
        let (mut dice, mut firsts, mut tried) = (Rng::with_seed(seed), HashMap::new(), HashSet::new());
        for nth in 0..u64::from(told.draws.max(1)) {
            let view = View::of(&board, seed.wrapping_add(nth));
            let chosen = choose(&field, &ask, &want, &view, 0, &mut dice.fork());
            prop_assert_eq!(chosen.is_err(), told.no.is_some());
            let Ok(chosen) = chosen else { return Ok(()) };
            let line: Vec<u64> = chosen.plan.line().map(|(_, e)| e.unwrap().key).collect();
            *firsts.entry(line[0]).or_insert(0u32) += 1;
            tried.extend(line);
            if nth > 0 {
                continue;
            }
            let refused: HashMap<u64, _> = chosen.refusals.iter().map(|r| (r.endpoint.key, r.rule.clone())).collect();
            for one in &told.each {
                match &one.verdict {
                    Verdict::Refused(rules) => prop_assert_eq!(rules.first(), refused.get(&one.endpoint.key)),
                    Verdict::Unfit(why) => prop_assert!(false, "everybody is fit: {}", why),
                    Verdict::May(_) => prop_assert!(!refused.contains_key(&one.endpoint.key)),
                }
            }
        }
        for one in &told.each {
            let (said, ranked) = one.chance().map_or((0.0, false), |chance| (chance.first, chance.rank.is_some()));
            let is = f64::from(firsts.get(&one.endpoint.key).copied().unwrap_or(0)) / f64::from(told.draws.max(1));
            prop_assert_eq!(said, is, "{}", one.endpoint);
            prop_assert_eq!(ranked, tried.contains(&one.endpoint.key), "{} has a rank if it is ever tried", one.endpoint);
        }
    }

    #[test]
    fn a_strategy_only_orders(
        prices in proptest::collection::vec(proptest::option::of(0i64..1_000_000), 0..12),
        weights in proptest::collection::vec(0u32..5, 12),
        turn in any::<u64>(), seed in any::<u64>(),
    ) {
        for strategy in STRATEGIES {
            let mut all = line(&prices);
            for (candidate, weight) in all.iter_mut().zip(&weights) {
                candidate.weight = *weight;
                candidate.live.failing = weight % 2 == 1;
                candidate.live.ttft_ms = (*weight > 2).then_some(*weight);
            }
            let mut ranked = all.clone();
            strategy.rank(&mut ranked, &View::calm(turn), &mut Rng::with_seed(seed));
            for candidate in &mut ranked {
                candidate.lap = None;
                candidate.score = 0.0;
            }
            ranked.sort_by_key(|c| c.at);
            prop_assert_eq!(ranked, all, "{}", strategy.name());
        }
    }
}
