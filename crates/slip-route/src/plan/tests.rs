//! Plans, step by step: what fails, what is tried next, what the caller hears.

use super::*;
use crate::catalog::Catalog;
use crate::field::{House, ProviderSeat};
use crate::testing::{declared, price, seat, small};
use crate::view::{Board, Calm, Vital};
use slip_ir::{FaultKind, Origin, Raw, Remedy};
use std::collections::HashMap;

/// Providers `a`, `b`, `c`, … each with the model `m/one` at 1, 2, 3, … dollars, and `m/two` beside it at `b`.
fn world(pools: &[&[u32]]) -> Arc<Field> {
    let seats = pools
        .iter()
        .enumerate()
        .map(|(at, pool)| {
            let dollars = (at + 1).to_string();
            let mut seat: ProviderSeat = seat(&char::from(b'a' + at as u8).to_string(), pool);
            for id in ["m/one", "m/two"].iter().take(if at == 1 { 2 } else { 1 }) {
                seat.models.push(crate::Declared { price: Some(price(&dollars, &dollars)), ..declared(id) });
            }
            seat
        })
        .collect();
    let house =
        House { name: "house/x".to_owned(), endpoints: vec!["m/one".to_owned(), "m/two".to_owned()], balancer: None };
    Arc::new(Field::build(&Catalog::default(), seats, if pools.len() > 1 { vec![house] } else { vec![] }).unwrap())
}

fn ask(models: &[&str], rules: &str) -> Ask {
    Ask {
        models: models.iter().map(|m| m.to_string()).collect(),
        rules: Rules::parse(&Raw::parse(rules).unwrap()).unwrap(),
        ..Ask::default()
    }
}

fn plan(field: &Arc<Field>, ask: &Ask) -> Plan {
    choose(field, ask, &Want { prompt_tokens: 100, ..Want::default() }, &View::calm(0), 0, &mut Rng::with_seed(1))
        .unwrap()
        .plan
}

fn fault(kind: FaultKind, remedy: Remedy) -> Fault {
    Fault::upstream(kind, remedy, "x")
}

/// Runs a plan against scripted failures, then success: `provider#instance` per try, `wait` per pause, `! kind` at the end.
fn run(mut plan: Plan, script: &[(Fault, Sent)]) -> (Vec<String>, Option<Fault>) {
    let (mut now, mut path, mut script) = (0, Vec::new(), script.iter());
    loop {
        match plan.next(now, &Calm) {
            Step::Try(attempt) => {
                path.push(format!("{}#{}", attempt.endpoint.tag, attempt.instance.id));
                assert!(path.len() < 20);
                let Some((fault, sent)) = script.next() else { return (path, None) };
                plan.failed(&attempt, fault, *sent, now);
            }
            Step::Full => panic!("nobody was busy"),
            Step::Wait(pause) => {
                assert!(pause <= MAX_PAUSE && !pause.is_zero());
                path.push("wait".to_owned());
                now += pause.as_millis() as u64;
            }
            Step::Stop(fault) => {
                assert!(matches!(plan.next(now, &Calm), Step::Stop(_)), "it stays over");
                return (path, Some(fault));
            }
        }
    }
}

#[track_caller]
fn check(
    field: &Arc<Field>,
    ask: &Ask,
    script: &[(Fault, Sent)],
    path: &[&str],
    end: Option<FaultKind>,
) -> Option<Fault> {
    let (got, last) = run(plan(field, ask), script);
    assert_eq!(
        (got.iter().map(String::as_str).collect::<Vec<_>>(), last.as_ref().map(|f| f.kind)),
        (path.to_vec(), end)
    );
    last
}

/// `sort: price` makes the order certain: a, b, c.
const SORTED: &str = r#"{"sort":"price"}"#;

#[test]
fn a_failure_moves_on_to_the_next_endpoint() {
    let field = world(&[&[1], &[2], &[3]]);
    let down = (fault(FaultKind::Upstream, Remedy::Elsewhere), Sent::Rejected);
    let script = vec![down; 9];
    let one = ask(&["m/one"], SORTED);
    check(&field, &one, &[], &["a#1"], None);
    check(&field, &one, &script[..1], &["a#1", "b#2"], None);
    check(&field, &one, &script, &["a#1", "b#2", "c#3"], Some(FaultKind::Upstream));
}

#[test]
fn stop_means_stop() {
    let field = world(&[&[1], &[2]]);
    let bad = (Fault::caller(FaultKind::BadRequest, "bad"), Sent::Rejected);
    check(&field, &ask(&["m/one", "m/two"], SORTED), &[bad], &["a#1"], Some(FaultKind::BadRequest));
}

#[test]
fn no_more_than_six_are_tried() {
    let pools: Vec<[u32; 1]> = (0..9).map(|id| [id]).collect();
    let field = world(&pools.iter().map(|p| &p[..]).collect::<Vec<_>>());
    let down = vec![(fault(FaultKind::Overloaded, Remedy::Again), Sent::Rejected); 20];
    check(
        &field,
        &ask(&["m/one"], SORTED),
        &down,
        &["a#0", "b#1", "c#2", "d#3", "e#4", "f#5"],
        Some(FaultKind::Overloaded),
    );
}

#[test]
fn who_turns_out_unable_costs_no_attempt_and_is_not_asked_again() {
    let pools: Vec<[u32; 2]> = (0..9).map(|id| [id, id + 100]).collect();
    let field = world(&pools.iter().map(|p| &p[..]).collect::<Vec<_>>());
    let unable = (Fault::house(FaultKind::NoEndpoint, "it would lose something"), Sent::NotSent);
    let (path, last) = run(plan(&field, &ask(&["m/one"], SORTED)), &vec![unable; 20]);
    assert_eq!((path.len(), last.map(|f| f.kind)), (9, Some(FaultKind::NoEndpoint)), "{path:?}");
}

#[test]
fn the_same_endpoint_is_asked_again_only_when_nobody_else_is_left() {
    let again = (fault(FaultKind::Upstream, Remedy::Again), Sent::NotSent);
    let gone = (fault(FaultKind::Upstream, Remedy::Elsewhere), Sent::Rejected);
    let script = [again.clone(), again.clone(), again.clone(), again.clone(), again.clone()];
    let one = ask(&["m/one"], SORTED);
    check(&world(&[&[1]]), &one, &script, &["a#1", "wait", "a#1"], Some(FaultKind::Upstream));
    check(&world(&[&[1], &[2]]), &one, &[again, gone], &["a#1", "b#2", "wait", "a#1"], None);
}

#[test]
fn a_short_retry_after_is_waited_for_and_a_long_one_is_not() {
    let limited = |after: Option<u64>| {
        let fault =
            Fault { retry_after: after.map(Duration::from_millis), ..fault(FaultKind::RateLimited, Remedy::Again) };
        vec![(fault, Sent::Rejected); 3]
    };
    let (alone, one) = (world(&[&[1]]), ask(&["m/one"], SORTED));
    let rows: &[(Option<u64>, &[&str], u64)] = &[
        (Some(5_000), &["a#1", "wait", "a#1"], 5_000),
        (Some(5_001), &["a#1"], 5_001),
        (None, &["a#1"], 2_000),
        (Some(0), &["a#1", "a#1"], 0),
    ];
    for (after, path, told) in rows {
        let last = check(&alone, &one, &limited(*after), path, Some(FaultKind::RateLimited)).unwrap();
        assert_eq!(last.retry_after, Some(Duration::from_millis(*told)), "{after:?}");
    }
    let script: Vec<_> =
        [9_000, 7_000, 8_000].into_iter().flat_map(|ms| limited(Some(ms)).into_iter().take(1)).collect();
    let last = check(&world(&[&[1], &[2], &[3]]), &one, &script, &["a#1", "b#2", "c#3"], Some(FaultKind::RateLimited));
    assert_eq!(last.unwrap().retry_after, Some(Duration::from_secs(7)), "the soonest");
}

#[test]
fn what_may_have_been_worked_on_is_tried_once_more_and_elsewhere() {
    let lost = (fault(FaultKind::UpstreamTimeout, Remedy::Again), Sent::Ambiguous);
    let down = (fault(FaultKind::Upstream, Remedy::Again), Sent::Rejected);
    let one = ask(&["m/one"], SORTED);
    let three = world(&[&[1], &[2], &[3]]);
    check(&three, &one, &[lost.clone(), lost.clone()], &["a#1", "b#2"], Some(FaultKind::UpstreamTimeout));
    check(&three, &one, &[lost.clone(), down.clone()], &["a#1", "b#2"], Some(FaultKind::Upstream));
    check(&three, &one, &[down, lost.clone(), lost.clone()], &["a#1", "b#2", "c#3"], Some(FaultKind::UpstreamTimeout));
    check(&world(&[&[1]]), &one, std::slice::from_ref(&lost), &["a#1"], Some(FaultKind::UpstreamTimeout));
    check(&world(&[&[1, 2]]), &ask(&["m/one"], "{}"), &[lost], &["a#1"], Some(FaultKind::UpstreamTimeout));
}

#[test]
fn a_refused_key_gives_way_to_its_sibling_before_the_endpoint_is_left() {
    let auth = (fault(FaultKind::UpstreamAuth, Remedy::Elsewhere), Sent::Rejected);
    let one = ask(&["m/one"], SORTED);
    let (path, last) = run(plan(&world(&[&[1, 2, 3], &[4]]), &one), &vec![auth.clone(); 9]);
    let tags: Vec<&str> = path.iter().map(|p| &p[..1]).collect();
    assert_eq!(tags, ["a", "a", "b", "a"], "two keys, then elsewhere, then what is left: {path:?}");
    let mut keys: Vec<_> = path.clone();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 4, "no key twice: {path:?}");
    assert_eq!(last.map(|f| f.kind), Some(FaultKind::UpstreamAuth));
    let down = (fault(FaultKind::Upstream, Remedy::Elsewhere), Sent::Rejected);
    let (path, _) = run(plan(&world(&[&[1, 2], &[4]]), &one), &[down.clone(), down]);
    assert_eq!(path.iter().map(|p| &p[..1]).collect::<Vec<_>>(), ["a", "b", "a"], "a sick host first makes room");
}

#[test]
fn another_model_is_tried_only_where_several_were_listed() {
    let long = (fault(FaultKind::ContextTooLong, Remedy::OtherModel), Sent::Rejected);
    let field = world(&[&[1], &[2], &[3]]);
    let too_long = Some(FaultKind::ContextTooLong);
    check(&field, &ask(&["m/one"], SORTED), std::slice::from_ref(&long), &["a#1"], too_long);
    check(&field, &ask(&["m/one", "m/two"], SORTED), std::slice::from_ref(&long), &["a#1", "b#2"], None);
    check(&field, &ask(&["m/one", "m/two"], SORTED), &[long.clone(), long.clone()], &["a#1", "b#2"], too_long);
    check(&field, &ask(&["house/x"], SORTED), std::slice::from_ref(&long), &["a#1", "b#2"], None);
    check(&field, &ask(&["m/one", "m/one"], SORTED), &[long], &["a#1"], too_long);
}

#[test]
fn the_first_model_is_exhausted_before_the_second_unless_they_compete() {
    let field = world(&[&[1], &[2], &[3]]);
    let line = |models: &[&str], rules: &str| -> Vec<String> {
        let plan = plan(&field, &ask(models, rules));
        plan.line().map(|(_, e)| e.unwrap()).map(|e| format!("{}:{}", e.tag, e.model.id)).collect()
    };
    assert_eq!(line(&["m/two", "m/one"], SORTED), ["b:m/two", "a:m/one", "b:m/one", "c:m/one"]);
    let none = r#"{"sort":{"by":"price","partition":"none"}}"#;
    assert_eq!(line(&["m/two", "m/one"], none), ["a:m/one", "b:m/two", "b:m/one", "c:m/one"]);
    assert_eq!(line(&["m/one:floor"], "{}"), ["a:m/one", "b:m/one", "c:m/one"]);
    assert_eq!(line(&["m/one"], r#"{"order":["c","B AI"]}"#), ["c:m/one", "b:m/one", "a:m/one"]);
    assert_eq!(line(&["m/one"], r#"{"order":["c","b"],"allow_fallbacks":false}"#), ["c:m/one", "b:m/one"]);
    assert_eq!(line(&["m/one"], r#"{"sort":"price","allow_fallbacks":false}"#), ["a:m/one"]);
    assert_eq!(line(&["m/one", "m/two"], r#"{"sort":"price","allow_fallbacks":false}"#), ["a:m/one", "b:m/two"]);
    assert_eq!(line(&["house/x"], r#"{"load_balancer":"priority"}"#), ["a:m/one", "b:m/one", "c:m/one", "b:m/two"]);
}

#[test]
fn the_request_decides_before_the_suffix_and_the_suffix_before_the_house() {
    let field = world(&[&[1], &[2]]);
    let rows = [
        ("m/one", "{}", "expected-cost"),
        ("m/one:nitro", "{}", "throughput"),
        ("m/one:nitro", SORTED, "least-cost"),
        ("m/one:exacto", "{}", "exacto"),
        ("m/one:nitro", r#"{"load_balancer":"random"}"#, "random"),
        ("m/one", r#"{"load_balancer":"random","sort":"latency"}"#, "least-latency"),
        ("m/one", r#"{"order":["b"]}"#, "least-cost"),
        ("m/one", r#"{"order":["b"],"load_balancer":"random"}"#, "random"),
    ];
    for (model, rules, want) in rows {
        assert_eq!(plan(&field, &ask(&[model], rules)).strategy(), want, "{model} {rules}");
    }
}

#[test]
fn who_cools_down_is_tried_last_whatever_the_caller_prefers() {
    let field = world(&[&[1], &[2], &[3]]);
    let key = field.model("m/one").unwrap().endpoints[0].key;
    let board = Board([((key, 1), Vital { cooldown_until_ms: 500, ..Vital::default() })].into());
    let line = |now, rules: &str| -> Vec<String> {
        let ask = ask(&["m/one", "m/two"], rules);
        let view = View::of(&board, 0);
        let chosen = choose(&field, &ask, &Want::default(), &view, now, &mut Rng::with_seed(1)).unwrap();
        assert_eq!(chosen.demoted.len(), usize::from(now < 500));
        chosen.plan.line().map(|(_, e)| format!("{}:{}", e.unwrap().tag, e.unwrap().model.id)).collect()
    };
    assert_eq!(line(499, SORTED), ["b:m/one", "c:m/one", "b:m/two", "a:m/one"]);
    assert_eq!(line(499, r#"{"order":["a"]}"#).last().unwrap(), "a:m/one");
    assert_eq!(line(500, SORTED)[0], "a:m/one");
}

#[test]
fn of_those_who_rest_whoever_is_back_soonest_goes_first() {
    let field = world(&[&[1], &[2, 4], &[3]]);
    let key = |at: usize| field.model("m/one").unwrap().endpoints[at].key;
    let until = |ms| Vital { cooldown_until_ms: ms, ..Vital::default() };
    let rests =
        [((key(0), 1), until(900)), ((key(1), 2), until(800)), ((key(1), 4), until(600)), ((key(2), 3), until(700))];
    let board = Board(rests.into());
    for seed in 0..9 {
        let view = View::of(&board, 0);
        let chosen =
            choose(&field, &ask(&["m/one"], "{}"), &Want::default(), &view, 500, &mut Rng::with_seed(seed)).unwrap();
        let order: Vec<_> = chosen.plan.line().map(|(_, e)| e.unwrap().tag.to_string()).collect();
        assert_eq!(order, ["b", "c", "a"]);
    }
}

#[test]
fn cold_keys_rest_and_warm_ones_share_by_weight_or_take_turns() {
    let mut lab = seat("lab", &[1, 2, 3]);
    lab.instances[1].weight = 3;
    lab.models = vec![declared("m/one")];
    let field = Arc::new(Field::build(&Catalog::default(), vec![lab], vec![]).unwrap());
    let key = field.endpoints()[0].key;
    let board = Board([((key, 3), Vital { cooldown_until_ms: 500, ..Vital::default() })].into());
    let mut dice = Rng::with_seed(3);
    let mut draws = |rules: &str, turns: u64| {
        let mut count: HashMap<u32, u64> = HashMap::new();
        for turn in 0..turns {
            let view = View::of(&board, turn);
            let mut plan = choose(&field, &ask(&["m/one"], rules), &Want::default(), &view, 0, &mut dice).unwrap().plan;
            let Step::Try(attempt) = plan.next(0, &board) else { panic!("somebody is warm") };
            *count.entry(attempt.instance.id).or_default() += 1;
        }
        (count.get(&1).copied().unwrap_or(0), count.get(&2).copied().unwrap_or(0), count.contains_key(&3))
    };
    let (one, two, three) = draws("{}", 2_000);
    assert!((430..570).contains(&one) && (1_430..1_570).contains(&two) && !three, "{one} {two}");
    assert_eq!(draws(r#"{"load_balancer":"round-robin"}"#, 8), (2, 6, false));
}

#[test]
fn the_caller_hears_what_tells_most() {
    let field = world(&[&[1], &[2], &[3]]);
    let down = (fault(FaultKind::Upstream, Remedy::Elsewhere), Sent::Rejected);
    let own = (Fault::new(FaultKind::Unprocessable, Origin::Caller, Remedy::Elsewhere, "mend this"), Sent::Rejected);
    let limited = (fault(FaultKind::RateLimited, Remedy::Elsewhere), Sent::Rejected);
    let all = &["a#1", "b#2", "c#3"];
    let one = ask(&["m/one"], SORTED);
    check(&field, &one, &[own.clone(), down.clone(), limited.clone()], all, Some(FaultKind::Unprocessable));
    check(&field, &one, &[limited.clone(), limited.clone(), down.clone()], all, Some(FaultKind::Upstream));
    let mut plan = plan(&field, &one);
    for (fault, sent) in [&limited, &down] {
        let Step::Try(attempt) = plan.next(5, &Calm) else { panic!("three are left") };
        plan.failed(&attempt, fault, *sent, 5);
    }
    let past: Vec<_> = plan.past().iter().map(|p| (p.number, p.endpoint.tag.to_string(), p.fault.kind)).collect();
    assert_eq!(past, [(1, "a".to_owned(), FaultKind::RateLimited), (2, "b".to_owned(), FaultKind::Upstream)]);
}

#[test]
fn no_route_tells_each_endpoint_and_its_filter() {
    let field = Arc::new(Field::build(&small(), vec![seat("alpha", &[1]), seat("beta", &[2])], vec![]).unwrap());
    let allow = Arc::new(Allow::new(Some(vec!["other/*".to_owned()]), None));
    let tools = Want { tools: true, ..Want::default() };
    let many: Vec<&str> = vec!["acme/road-1"; 65];
    let rows: Vec<(Ask, Want, u16, &str, &str)> = vec![
        (ask(&[], "{}"), Want::default(), 400, "no model was named", "model_not_found"),
        (ask(&many, "{}"), Want::default(), 400, "at most 64 models, got 65", "model_not_found"),
        (
            ask(&["acme/raod-1"], "{}"),
            Want::default(),
            400,
            "`acme/raod-1` is not a valid model ID. Did you mean acme/road-1",
            "model_not_found",
        ),
        (
            ask(&["acme/road-1", "acme/raod-1"], "{}"),
            Want::default(),
            400,
            "`acme/raod-1` is not a valid model ID",
            "model_not_found",
        ),
        (
            ask(&["anthropic/claude-tiny-4.5"], "{}"),
            Want::default(),
            404,
            "No endpoints found: no configured provider serves `anthropic/claude-tiny-4.5`: add a key for gamma",
            "no_endpoints",
        ),
        (
            ask(&["beta/acme/road-1"], "{}"),
            tools,
            404,
            "No endpoints found that support tool use. beta/turbo (acme/road-1): no tool use",
            "constraint_filtered",
        ),
        (
            ask(&["acme/road-1"], r#"{"only":["beta"],"max_price":{"prompt":"0.1"}}"#),
            Want::default(),
            404,
            "No endpoints found that can serve this request. alpha (acme/road-1): not in provider.only; \
             alpha (acme/road-1): not in provider.only; beta/turbo (acme/road-1): dearer than provider.max_price.prompt",
            "constraint_filtered",
        ),
        (
            ask(&["acme/road-2"], r#"{"zdr":true}"#),
            Want::default(),
            404,
            "No endpoints found matching your data policy. alpha (acme/road-2): no zero data retention",
            "privacy_restricted",
        ),
        (
            ask(&["acme/road-2"], r#"{"only":["beta"]}"#),
            Want::default(),
            404,
            "No endpoints found: no allowed providers are available for the selected model. alpha (acme/road-2)",
            "constraint_filtered",
        ),
        (
            Ask { allow: Some(allow), ..ask(&["acme/road-2"], "{}") },
            Want::default(),
            403,
            "this key may not use the model: acme/road-2",
            "constraint_filtered",
        ),
    ];
    for (ask, want, status, says, code) in rows {
        let no = choose(&field, &ask, &want, &View::calm(0), 0, &mut Rng::with_seed(1)).map(|_| ()).unwrap_err();
        assert_eq!(no.code(), code, "{no:?}");
        let fault = Fault::from(no);
        assert!(fault.says.starts_with(says), "{} is not {says}", fault.says);
        assert_eq!((fault.kind.status(), fault.origin, fault.remedy), (status, Origin::Caller, Remedy::Stop));
    }
    let no = choose(
        &field,
        &ask(&["acme/road-1"], r#"{"only":["beta"],"quantizations":["fp4"]}"#),
        &Want::default(),
        &View::calm(0),
        0,
        &mut Rng::with_seed(1),
    )
    .unwrap_err();
    assert_eq!(no.excluded_by(), ["allowed_providers", "quantization"]);
}

#[test]
fn a_model_nobody_serves_here_is_skipped_where_another_is_listed() {
    let field = Arc::new(Field::build(&small(), vec![seat("alpha", &[1])], vec![]).unwrap());
    let ask = ask(&["anthropic/claude-tiny-4.5", "acme/road-2"], "{}");
    let chosen = choose(&field, &ask, &Want::default(), &View::calm(0), 0, &mut Rng::with_seed(1)).unwrap();
    assert_eq!(chosen.unserved.iter().map(|u| u.name.as_str()).collect::<Vec<_>>(), ["anthropic/claude-tiny-4.5"]);
    let (path, _) = run(chosen.plan, &[]);
    assert_eq!(path, ["alpha#1"]);
}

#[test]
fn what_one_model_refuses_the_next_of_the_list_may_take() {
    let field = world(&[&[1], &[2], &[3]]);
    let refused = Fault { status: Some(400), ..Fault::caller(FaultKind::BadRequest, "no") };
    let script = [(refused.clone(), Sent::Rejected), (refused, Sent::Rejected)];
    // Of three endpoints of the first model one was asked: another would say the same.
    check(&field, &ask(&["m/one", "m/two"], SORTED), &script[..1], &["a#1", "b#2"], None);
    check(&field, &ask(&["m/one", "m/two"], SORTED), &script, &["a#1", "b#2"], Some(FaultKind::BadRequest));
    check(&field, &ask(&["m/one"], SORTED), &script, &["a#1"], Some(FaultKind::BadRequest));
    // What we found wrong ourselves, before anything was sent, is wrong for every model.
    let ours = [(Fault::caller(FaultKind::BadRequest, "no"), Sent::NotSent)];
    check(&field, &ask(&["m/one", "m/two"], SORTED), &ours, &["a#1"], Some(FaultKind::BadRequest));
}

/// A plan after its first attempt, and who is asked beside it, by instance; `same` are instances on the first one's host.
fn beside(plan: &mut Plan, board: &Board, same: &[u32]) -> (Attempt, Option<Attempt>) {
    let Step::Try(first) = plan.next(0, board) else { panic!("nobody to try") };
    let second = plan.hedge(&first, 0, board, &|other| !same.contains(&other.id));
    (first, second)
}

#[test]
fn beside_a_silent_first_another_is_asked_that_is_well_and_apart() {
    let field = world(&[&[1], &[2, 5], &[3]]);
    let one = ask(&["m/one"], SORTED);
    let calm = Board::default();
    let asked = |board: &Board, same: &[u32]| {
        let (first, second) = beside(&mut plan(&field, &one), board, same);
        assert_eq!(first.instance.id, 1);
        second.map(|second| (second.number, second.instance.id))
    };
    assert_eq!(asked(&calm, &[1]).map(|(number, _)| number), Some(2));
    assert_eq!(asked(&calm, &[1, 2]), Some((2, 5)), "another instance of the next");
    assert_eq!(asked(&calm, &[1, 2, 5]), Some((2, 3)), "whoever comes after");
    assert_eq!(asked(&calm, &[1, 2, 5, 3]), None);
    let rests = Vital { cooldown_until_ms: 9, ..Vital::default() };
    let b = field.endpoints().iter().find(|e| &*e.provider == "b" && &*e.model.id == "m/one").unwrap().key;
    let board = Board(HashMap::from([((b, 2), rests), ((b, 5), rests)]));
    assert_eq!(asked(&board, &[1]), Some((2, 3)), "who rests is not woken for this");
    // Under another of the caller's names the answer would be another.
    let mut listed = plan(&world(&[&[1], &[2]]), &ask(&["m/two", "m/one"], SORTED));
    assert!(beside(&mut listed, &calm, &[2]).1.is_none());
}

#[test]
fn a_hedge_is_one_try_of_one_endpoint_like_any_other() {
    let field = world(&[&[1], &[2], &[3]]);
    let one = ask(&["m/one"], SORTED);
    let calm = Board::default();
    let down = fault(FaultKind::Upstream, Remedy::Elsewhere);
    let next = |plan: &mut Plan| match plan.next(0, &calm) {
        Step::Try(attempt) => Some(attempt.instance.id),
        _ => None,
    };
    // Both failed: the third one is next.
    let mut both = plan(&field, &one);
    let (first, second) = beside(&mut both, &calm, &[1]);
    both.failed(&second.unwrap(), &down, Sent::Rejected, 0);
    both.failed(&first, &down, Sent::Rejected, 0);
    assert!(both.hedge(&first, 0, &calm, &|_| true).is_none(), "one for a request");
    assert_eq!(next(&mut both), Some(3));
    // One of them may have been worked on: the hedge was the one more try there is.
    let mut lost = plan(&field, &one);
    let (first, second) = beside(&mut lost, &calm, &[1]);
    lost.failed(&first, &fault(FaultKind::UpstreamTimeout, Remedy::Elsewhere), Sent::Ambiguous, 0);
    lost.failed(&second.unwrap(), &down, Sent::Rejected, 0);
    assert_eq!(next(&mut lost), None);
    // Called off, it never was.
    let mut off = plan(&field, &one);
    let (first, second) = beside(&mut off, &calm, &[1]);
    assert!(second.is_some());
    off.unhedge();
    off.failed(&first, &down, Sent::Rejected, 0);
    assert_eq!(next(&mut off), Some(2));
}

/// Asks on until everybody is busy, and says who was.
fn all_busy(plan: &mut Plan) -> Vec<String> {
    let mut path = Vec::new();
    loop {
        match plan.next(0, &Calm) {
            Step::Try(attempt) => {
                path.push(format!("{}#{} {}", attempt.endpoint.tag, attempt.instance.id, attempt.number));
                assert!(path.len() < 20);
                plan.busy(&attempt);
            }
            Step::Full => return path,
            other => panic!("{other:?} after {path:?}"),
        }
    }
}

#[test]
fn who_has_no_room_is_come_back_to_when_everybody_else_was_asked() {
    let field = world(&[&[0, 1], &[2]]);
    let mut plan = plan(&field, &ask(&["m/one"], r#"{"sort":"price"}"#));
    let mut path = all_busy(&mut plan);
    // No attempt was made, whoever was looked at: other keys first, then whoever is next in line.
    path[..2].sort();
    assert_eq!(path, ["a#0 1", "a#1 1", "b#2 1"]);
    let waits: Vec<_> = plan.full().map(|(endpoint, instance)| (endpoint.tag.to_string(), instance.id)).collect();
    let at = waits.iter().position(|(tag, _)| tag == "b").expect("it waits");
    let Step::Try(attempt) = plan.admit(at) else { panic!("it has room") };
    assert_eq!((&*attempt.endpoint.tag, attempt.number), ("b", 1));
    plan.failed(&attempt, &fault(FaultKind::Upstream, Remedy::Elsewhere), Sent::Rejected, 0);
    assert!(matches!(plan.next(0, &Calm), Step::Full), "the others are still waited for");
    let Step::Try(attempt) = plan.admit(0) else { panic!("it has room") };
    assert_eq!((&*attempt.endpoint.tag, attempt.number), ("a", 2));
    assert!(matches!(plan.admit(7), Step::Stop(_)), "there is no such one");
}

#[test]
fn whoever_has_room_is_asked_before_anybody_is_waited_for() {
    let field = world(&[&[0], &[1]]);
    let mut plan = plan(&field, &ask(&["m/one"], r#"{"sort":"price"}"#));
    let Step::Try(first) = plan.next(0, &Calm) else { panic!("somebody is asked") };
    plan.busy(&first);
    let Step::Try(second) = plan.next(0, &Calm) else { panic!("another is asked") };
    assert_eq!([&*first.endpoint.tag, &*second.endpoint.tag], ["a", "b"]);
    plan.failed(&second, &fault(FaultKind::Upstream, Remedy::Elsewhere), Sent::Ambiguous, 0);
    assert!(matches!(plan.next(0, &Calm), Step::Full), "one more try is left, and it is the one that is waited for");
}
