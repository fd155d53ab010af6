//! What is told of a small house.

use super::*;
use crate::plan::Allow;
use crate::rules::Rules;
use crate::testing::{seat, small};
use crate::view::{Board, Calm, Sticky, Vital, Vitals};
use slip_ir::Raw;

fn field() -> Field {
    Field::build(&small(), vec![seat("alpha", &[1]), seat("beta", &[2]), seat("gamma", &[3])], vec![]).unwrap()
}

fn told(models: &[&str], rules: &str, want: &Want, vitals: &dyn Vitals, allow: Option<Allow>) -> Explained {
    let ask = Ask {
        models: models.iter().map(|m| (*m).to_owned()).collect(),
        rules: Rules::parse(&Raw::parse(rules).unwrap()).unwrap(),
        allow: allow.map(Arc::new),
        ..Ask::default()
    };
    explain(&field(), &ask, want, &View::of(vitals, 0), 1_000, &mut Rng::with_seed(1), &mut |_| None)
}

fn lines(told: &Explained) -> Vec<String> {
    let line = |one: &Told| match &one.verdict {
        Verdict::Refused(rules) => {
            format!("{}: {}", one.endpoint.tag, rules.iter().map(Rule::name).collect::<Vec<_>>().join(", "))
        }
        Verdict::Unfit(why) => format!("{}: unfit: {why}", one.endpoint.tag),
        Verdict::May(chance) => format!("{} {:?} {:.1}", one.endpoint.tag, chance.rank, chance.first),
    };
    told.each.iter().map(line).collect()
}

#[test]
fn every_rule_against_an_endpoint_is_told_not_only_the_first() {
    let want = Want { tools: true, max_tokens: Some(4_000), ..Want::default() };
    let told = told(&["acme/road-1"], r#"{"zdr":true,"quantizations":["bf16"]}"#, &want, &Calm, None);
    assert_eq!(
        lines(&told),
        [
            "alpha Some(0) 1.0",
            "alpha: variant, quantizations, zdr",
            "beta/turbo: quantizations, zdr, tools, max_tokens"
        ]
    );
    assert!(told.no.is_none());
}

#[test]
fn parts_make_up_the_score_and_chances_follow_it() {
    let mut board = Board::default();
    for endpoint in field().endpoints() {
        let odds = if &*endpoint.provider == "beta" { 0.5 } else { 1.0 };
        let live = Vital { odds, ttft_ms: Some(500), tokens_per_second: Some(50), ..Vital::default() };
        board.0.insert((endpoint.key, endpoint.pool[0].id), live);
    }
    let told = told(&["acme/road-1"], "{}", &Want { prompt_tokens: 1_000, ..Want::default() }, &board, None);
    let chances: Vec<&Chance> = told.each.iter().filter_map(Told::chance).collect();
    assert_eq!(chances.len(), 2);
    for chance in &chances {
        assert!((chance.parts.total() - chance.candidate.score).abs() < 1.0, "{chance:?}");
        assert!(chance.parts.waiting > 0.0);
    }
    let beta = told.each.iter().find(|one| &*one.endpoint.provider == "beta").and_then(Told::chance).unwrap();
    assert!(beta.parts.failure > beta.parts.price && beta.first < 0.5, "{beta:?}");
    assert!((chances.iter().map(|c| c.first).sum::<f64>() - 1.0).abs() < 1e-9);
}

#[test]
fn it_is_told_who_chose_the_strategy() {
    for (name, rules, by, strategy) in [
        ("acme/road-1", "{}", By::Default, "expected-cost"),
        ("acme/road-1:nitro", "{}", By::Suffix, "throughput"),
        ("acme/road-1:nitro", r#"{"sort":"price"}"#, By::Request, "least-cost"),
        ("acme/road-1", r#"{"load_balancer":"random"}"#, By::Request, "random"),
        ("acme/road-1", r#"{"order":["beta"]}"#, By::Order, "least-cost"),
    ] {
        let told = told(&[name], rules, &Want::default(), &Calm, None);
        assert_eq!((told.asked[0].by, told.asked[0].strategy.name()), (by, strategy), "{name} {rules}");
    }
}

#[test]
fn why_somebody_comes_last_is_told_in_full() {
    let mut board = Board::default();
    for endpoint in field().endpoints().iter().filter(|e| &*e.provider == "alpha") {
        let live = Vital { cooldown_until_ms: 9_000, ttft_ms: Some(9_000), ..Vital::default() };
        board.0.insert((endpoint.key, 1), live);
    }
    let want = Want { sealed: vec!["anthropic-claude-v1".to_owned()], ..Want::default() };
    let told = told(&["acme/road-1"], "{}", &want, &board, None);
    let alpha = told.each.iter().find(|one| &*one.endpoint.tag == "alpha").and_then(Told::chance).unwrap();
    assert_eq!(alpha.demoted, [Rule::CooledDown, Rule::SealedElsewhere]);
    assert_eq!((alpha.rank, alpha.first), (Some(1), 0.0));
}

#[test]
fn a_request_that_can_go_nowhere_is_explained_all_the_same() {
    let nobody = Allow::new(Some(vec!["other/*".to_owned()]), None);
    let refused = told(&["acme/road-1"], "{}", &Want::default(), &Calm, Some(nobody));
    assert!(matches!(refused.no, Some(NoRoute::NoEndpoint { .. })));
    assert!(lines(&refused).iter().all(|line| line.contains("key_model")), "{:?}", lines(&refused));
    assert!(matches!(told(&["acme/raod-1"], "{}", &Want::default(), &Calm, None).no, Some(NoRoute::UnknownModel(_))));
}

#[test]
fn without_fallbacks_only_who_can_be_first_has_a_rank() {
    let told = told(&["acme/road-1"], r#"{"allow_fallbacks":false,"sort":"price"}"#, &Want::default(), &Calm, None);
    assert_eq!(lines(&told), ["beta/turbo Some(0) 1.0", "alpha None 0.0", "alpha: variant"]);
}

#[test]
fn a_conversation_that_stays_is_first() {
    let field = field();
    let ask = Ask { models: vec!["acme/road-1".to_owned()], ..Ask::default() };
    let beta = field.endpoints().iter().find(|e| &*e.provider == "beta").unwrap().key;
    let sticky = Some(Sticky { endpoint: beta, instance: 2, cached: 4_000 });
    let view = View { sticky, affinity: Some(7), ..View::of(&Calm, 0) };
    let want = Want { prompt_tokens: 5_000, ..Want::default() };
    let told = explain(&field, &ask, &want, &view, 0, &mut Rng::with_seed(3), &mut |_| None);
    let first = told.each[0].chance().unwrap();
    assert!(first.candidate.sticky && first.first == 1.0, "{first:?}");
}
