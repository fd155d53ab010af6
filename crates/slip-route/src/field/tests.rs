//! What a configuration can reach.

use super::*;
use crate::testing::{declared, price, seat, small};

fn build(seats: Vec<ProviderSeat>, houses: Vec<House>) -> Result<Field, BadField> {
    Field::build(&small(), seats, houses)
}

fn tags(endpoints: &[Arc<Endpoint>]) -> Vec<String> {
    endpoints.iter().map(|e| format!("{}{}", e.tag, e.variant.as_ref().map_or("", |_| ":free"))).collect()
}

#[test]
fn models_with_a_provider_are_listed_first_and_the_others_say_who_would_serve() {
    let field = build(vec![seat("gamma", &[1])], vec![]).unwrap();
    let got: Vec<_> = field
        .models()
        .map(|l| {
            (l.model.id.to_string(), tags(l.endpoints), l.absent.iter().map(|p| p.to_string()).collect::<Vec<_>>())
        })
        .collect();
    let row = |id: &str, here: &[&str], absent: &[&str]| {
        let own = |l: &[&str]| l.iter().map(|s| s.to_string()).collect::<Vec<_>>();
        (id.to_owned(), own(here), own(absent))
    };
    assert_eq!(
        got,
        [
            row("anthropic/claude-tiny-4.5", &["gamma"], &[]),
            row("acme/road-1", &[], &["alpha", "beta"]),
            row("acme/road-2", &[], &["alpha"]),
        ]
    );
}

#[test]
fn an_endpoint_inherits_what_its_row_leaves_out() {
    let mut alpha = seat("Alpha", &[4]);
    alpha.policy = Policy { trains: Some(true), retains: Some(true), zdr: false };
    let field = build(vec![alpha, seat("beta", &[5])], vec![]).unwrap();
    let road = field.model("acme/road-1").unwrap().endpoints;
    assert_eq!(tags(road), ["alpha", "alpha:free", "beta/turbo"]);
    assert_eq!((road[0].context, road[0].max_output), (Some(131_072), Some(32_768)));
    assert_eq!((road[2].context, road[2].max_output), (Some(8_192), Some(1_024)));
    assert_eq!(road[0].policy, Policy { trains: Some(false), retains: Some(false), zdr: true }, "its own");
    assert_eq!(
        road[1].policy,
        Policy { trains: Some(true), retains: Some(true), zdr: false },
        "the rest is the seat's"
    );
    assert!(road[0].params.as_ref().unwrap().contains(&"tools".to_owned()), "the model's");
    assert!(!road[2].params.as_ref().unwrap().contains(&"tools".to_owned()), "its own");
    assert_eq!(&*road[0].provider_name, "Alpha AI");
    let mut keys: Vec<_> = field.endpoints().iter().map(|e| e.key).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), field.endpoints().len(), "keys are distinct");
}

#[test]
fn a_declared_model_is_its_own_or_laid_over_the_catalogues() {
    let mut lab = seat("lab", &[1]);
    lab.models = vec![
        declared("lab/one"),
        Declared {
            upstream: Some("two-v1".to_owned()),
            context: Some(32_768),
            price: Some(price("0.5", "1.5")),
            ..declared("lab/two")
        },
        declared("acme/ROAD-1"),
        declared("meta/llama"),
    ];
    let mut alpha = seat("alpha", &[2]);
    alpha.models = vec![Declared { price: Some(price("9", "9")), ..declared("acme/road-1") }];
    let field = build(vec![lab, alpha], vec![]).unwrap();
    let one = field.model("lab/one").unwrap();
    assert_eq!((&*one.endpoints[0].upstream, one.endpoints[0].price.clone()), ("one", None), "unknown, not free");
    assert!(one.endpoints[0].params.is_none() && one.endpoints[0].context.is_none());
    assert_eq!((&*one.model.author, &*one.model.author_name), ("lab", "Lab AI"));
    let two = &field.model("lab/two").unwrap().endpoints[0];
    assert_eq!(
        (&*two.upstream, two.context, two.price.as_deref()),
        ("two-v1", Some(32_768), Some(&price("0.5", "1.5")))
    );
    assert_eq!(&*field.model("meta/llama").unwrap().endpoints[0].upstream, "meta/llama");
    let road = field.model("acme/road-1").unwrap().endpoints;
    assert_eq!(tags(road), ["alpha", "alpha:free", "lab"]);
    assert_eq!(road[0].price.as_deref(), Some(&price("9", "9")), "the declared price wins");
    assert_eq!(&*road[0].upstream, "road-one", "the rest stays the catalogue's");
    assert_eq!((&*road[2].upstream, road[2].context), ("acme/ROAD-1", Some(131_072)));
}

#[test]
fn a_seat_of_declared_models_only_offers_nothing_else() {
    let mut alpha = seat("alpha", &[1]);
    alpha.only_declared = true;
    alpha.models = vec![declared("acme/road-2")];
    let field = build(vec![alpha], vec![]).unwrap();
    assert_eq!(field.endpoints().len(), 1);
    let road = &field.endpoints()[0];
    let listed = Price { version: Some("catalogue 2026-11-01".into()), ..price("3", "6") };
    assert_eq!((&*road.upstream, road.price.as_deref()), ("road-two", Some(&listed)), "known facts are borrowed");
}

#[test]
fn a_house_gathers_the_endpoints_of_its_names_in_order() {
    let house = |name: &str, endpoints: &[&str]| House {
        name: name.to_owned(),
        endpoints: endpoints.iter().map(|e| e.to_string()).collect(),
        balancer: Some("round-robin".to_owned()),
    };
    let seats = || vec![seat("alpha", &[1]), seat("beta", &[2]), seat("gamma", &[3])];
    let field = build(
        seats(),
        vec![
            house("house/fast", &["gamma/claude-tiny-4-5", "acme/road-1", "beta/acme/road-1", "alpha/new"]),
            house("house/free", &["acme/road-1:free"]),
        ],
    )
    .unwrap();
    let got: Vec<_> = field.houses().map(|(name, endpoints)| (name.to_owned(), tags(endpoints))).collect();
    assert_eq!(got[0].1, ["gamma", "alpha", "beta/turbo", "alpha"]);
    assert!(field.houses().next().unwrap().1[3].ad_hoc);
    assert_eq!(got[1].1, ["alpha:free"]);
    let rows = [
        (
            house("h", &["acme/raod-1"]),
            "models.\"h\".endpoints[0]: `acme/raod-1` is not a valid model ID. Did you mean acme/road-1",
        ),
        (house("h", &[]), "models.\"h\".endpoints: at least one endpoint is needed"),
        (
            House { balancer: Some("rond-robin".to_owned()), ..house("h", &["acme/road-1"]) },
            "(did you mean round-robin?): rond-robin",
        ),
        (house("h", &["acme/road-2:free"]), "none of them leads to an endpoint"),
        (house("h", &["h"]), "`h` is not a valid model ID"),
    ];
    for (house, want) in rows {
        let bad = build(seats(), vec![house]).unwrap_err().to_string();
        assert!(bad.contains(want), "{bad} does not say {want}");
    }
    assert!(build(vec![seat("a", &[1]), seat("A", &[1])], vec![]).is_err(), "a provider has one seat");
}

#[test]
fn an_endpoint_answers_to_slug_display_name_and_tag() {
    let field = build(vec![seat("beta", &[2])], vec![]).unwrap();
    let beta = &field.endpoints()[0];
    for (word, want) in [
        ("beta", true),
        ("beta ai", true),
        ("beta/turbo", true),
        ("beta/tur", false),
        ("bet", false),
        ("beta/turbo/x", false),
        ("", false),
    ] {
        assert_eq!(beta.answers_to(word), want, "{word}");
    }
}
