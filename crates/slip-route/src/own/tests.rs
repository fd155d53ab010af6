//! Who is tried when a caller has keys of its own.

use super::*;
use crate::testing::{declared, seat, small};
use crate::{Ask, Board, Chosen, Field, NoRoute, Rules, Sent, Step, View, Vital, choose, explain};
use fastrand::Rng;
use slip_ir::{Fault, FaultKind, Raw, Remedy, Want};

fn key(provider: &str, id: u32, reserve: bool) -> OwnKey {
    OwnKey::new(provider, Instance { id, weight: 1 }, reserve, None)
}

/// Beta and alpha have seats; gamma has a place at the table and no key of the house's.
fn field() -> Arc<Field> {
    let mut gamma = seat("gamma", &[]);
    gamma.models = vec![declared("acme/road-1")];
    let seats = vec![seat("alpha", &[2]), seat("beta", &[1]), gamma];
    Arc::new(Field::build(&small(), seats, vec![]).unwrap())
}

fn ask(rules: &str, own: Vec<OwnKey>) -> Ask {
    let rules = Rules::parse(&Raw::parse(rules).unwrap()).unwrap();
    Ask { models: vec!["acme/road-1".to_owned()], rules, own: Own::of(own), ..Ask::default() }
}

fn start(ask: &Ask, board: &Board) -> Result<Chosen, NoRoute> {
    choose(&field(), ask, &Want::default(), &View::of(board, 0), 1_000, &mut Rng::with_seed(1))
}

/// The instances that are called, in order, when each answers with this.
fn calls(ask: &Ask, board: &Board, kind: FaultKind) -> Vec<u32> {
    let Ok(Chosen { mut plan, .. }) = start(ask, board) else { return Vec::new() };
    let (mut now, mut called) = (1_000, Vec::new());
    loop {
        match plan.next(now, board) {
            Step::Try(attempt) => {
                called.push(attempt.instance.id);
                plan.failed(&attempt, &Fault::upstream(kind, Remedy::Elsewhere, "no"), Sent::Rejected, now);
            }
            Step::Wait(pause) => now += pause.as_millis() as u64,
            Step::Stop(_) | Step::Full => return called,
        }
    }
}

#[test]
fn own_keys_come_first_in_their_order_then_the_houses_then_those_kept_for_that_case() {
    let refused = |rules: &str, own| calls(&ask(rules, own), &Board::default(), FaultKind::UpstreamAuth);
    let rows: Vec<(&str, Vec<OwnKey>, &[u32])> = vec![
        (r#"{"sort":"price"}"#, vec![], &[1, 2]),
        (r#"{"sort":"price"}"#, vec![key("alpha", 22, false)], &[22, 1, 2]),
        (r#"{"sort":"price"}"#, vec![key("alpha", 22, false), key("alpha", 21, false)], &[22, 21, 1, 2]),
        // Three in a row, though one endpoint is otherwise asked twice.
        (
            r#"{"sort":"price"}"#,
            vec![key("alpha", 23, false), key("alpha", 22, false), key("alpha", 21, false)],
            &[23, 22, 21, 1, 2],
        ),
        (r#"{"sort":"price"}"#, vec![key("alpha", 22, true), key("beta", 11, false)], &[11, 1, 2, 22]),
        // Stronger than the caller's own order, and within it.
        (r#"{"order":["alpha"]}"#, vec![key("beta", 11, false)], &[11, 2, 1]),
        (r#"{"order":["alpha"]}"#, vec![key("beta", 11, false), key("alpha", 22, false)], &[22, 11, 2, 1]),
        // Who allows no fallbacks pays nobody else's.
        (
            r#"{"sort":"price","allow_fallbacks":false}"#,
            vec![key("alpha", 22, false), key("alpha", 21, false)],
            &[22, 21],
        ),
        (r#"{"order":["beta","alpha"],"allow_fallbacks":false}"#, vec![key("alpha", 22, false)], &[22, 1]),
        // A provider that the house has no key for.
        (r#"{"sort":"price"}"#, vec![key("gamma", 33, false)], &[33, 1, 2]),
        (r#"{"only":["gamma"]}"#, vec![key("Gamma", 33, true)], &[33]),
        (r#"{"only":["gamma"]}"#, vec![key("alpha", 22, false)], &[]),
        (r#"{"ignore":["alpha"],"sort":"price"}"#, vec![key("alpha", 22, false)], &[1]),
    ];
    for (rules, own, want) in rows {
        let shown = format!("{rules} {own:?}");
        assert_eq!(refused(rules, own), want, "{shown}");
    }
}

#[test]
fn what_is_wrong_with_the_provider_is_not_tried_with_the_next_key_first() {
    let own = vec![key("alpha", 22, false), key("alpha", 21, false)];
    let called = calls(&ask(r#"{"sort":"price"}"#, own), &Board::default(), FaultKind::NotFound);
    assert_eq!(called.first_chunk(), Some(&[22, 1, 2]));
}

#[test]
fn a_key_that_rests_lets_the_next_go_first_and_where_all_rest_the_house_does() {
    let own = || vec![key("alpha", 22, false), key("alpha", 21, false)];
    let endpoint = field().endpoints().iter().find(|e| *e.tag == *"alpha").unwrap().key;
    let rests = |ids: &[u32]| {
        let vital = Vital { cooldown_until_ms: 90_000, ..Vital::default() };
        Board(ids.iter().map(|id| ((endpoint, *id), vital)).collect())
    };
    let rows: [(&[u32], &[u32]); 3] = [(&[22], &[21, 1, 2, 22]), (&[22, 21], &[1, 2, 22, 21]), (&[2], &[22, 21, 1, 2])];
    for (resting, want) in rows {
        let called = calls(&ask(r#"{"sort":"price"}"#, own()), &rests(resting), FaultKind::UpstreamAuth);
        assert_eq!(called, want, "{resting:?}");
    }
    // Who allows no fallbacks would rather wait for its own.
    let called = calls(&ask(r#"{"allow_fallbacks":false}"#, own()), &rests(&[22, 21]), FaultKind::UpstreamAuth);
    assert_eq!(called, [22, 21]);
}

#[test]
fn a_key_is_used_for_the_models_it_is_for() {
    let of = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let own = OwnKey::new("alpha", Instance { id: 22, weight: 1 }, false, Some(&names));
        calls(&ask(r#"{"sort":"price"}"#, vec![own]), &Board::default(), FaultKind::UpstreamAuth)
    };
    assert_eq!(of(&["ACME/road-1"]), [22, 1, 2]);
    assert_eq!(of(&["acme/*"]), [22, 1, 2]);
    assert_eq!(of(&["acme/road-2", "other/*"]), [1, 2]);
}

#[test]
fn an_explanation_tells_an_endpoint_once_for_each_holder_of_a_key() {
    let ask = ask(r#"{"sort":"price"}"#, vec![key("alpha", 22, false), key("alpha", 23, true)]);
    let dice = &mut Rng::with_seed(1);
    let told = explain(&field(), &ask, &Want::default(), &View::of(&Board::default(), 0), 1_000, dice, &mut |_| None);
    let line: Vec<_> = told
        .each
        .iter()
        .filter(|one| one.chance().is_some())
        .map(|one| (&*one.endpoint.tag, one.holder, one.pool.iter().map(|i| i.id).collect::<Vec<_>>()))
        .collect();
    let want = [
        ("alpha", Holder::Own, vec![22]),
        ("beta/turbo", Holder::House, vec![1]),
        ("alpha", Holder::House, vec![2]),
        ("alpha", Holder::Reserve, vec![23]),
    ];
    assert_eq!(line, want);
    assert!(told.each.iter().any(|one| &*one.endpoint.tag == "gamma" && one.chance().is_none()));
}
