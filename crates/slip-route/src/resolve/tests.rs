//! Names as callers write them.

use super::*;
use crate::field::{House, ProviderSeat};
use crate::testing::{declared, seat, small};

fn field(slugs: &[&str]) -> Field {
    let mut seats: Vec<ProviderSeat> = slugs.iter().map(|s| seat(s, &[1])).collect();
    for seat in seats.iter_mut().filter(|s| s.slug == "lab") {
        seat.models = vec![declared("lab/one"), declared("lab/two:7b"), declared("lab/odd:free")];
        seat.only_declared = true;
    }
    let house = House { name: "House/Fast".to_owned(), endpoints: vec!["acme/road-1".to_owned()], balancer: None };
    Field::build(&small(), seats, if slugs.contains(&"alpha") { vec![house] } else { vec![] }).unwrap()
}

/// The endpoints a name reaches, as `tag=upstream`.
fn reached(field: &Field, name: &str) -> Vec<String> {
    match field.resolve(name) {
        Ok(found) => field.reach(&found.reach).iter().map(|e| format!("{}={}", e.tag, e.upstream)).collect(),
        Err(no) => vec![format!("! {no}")],
    }
}

#[test]
fn every_spelling_of_a_name_leads_to_its_endpoints() {
    let field = field(&["alpha", "beta", "gamma", "lab"]);
    let road: &[&str] = &["alpha=road-one", "alpha=road-one", "beta/turbo=acme/Road-1"];
    let rows: &[(&str, &[&str])] = &[
        ("acme/road-1", road),
        (" ACME/Road-1 ", road),
        ("acme/road-1-20250101", road),
        ("road-1", road),
        ("road-one", road),
        ("house/fast", &["alpha=road-one", "beta/turbo=acme/Road-1"]),
        ("HOUSE/FAST:nitro", &["alpha=road-one", "beta/turbo=acme/Road-1"]),
        ("~acme/road-latest", &["alpha=road-two"]),
        ("anthropic/claude-tiny-4.5", &["gamma=claude-tiny-4-5"]),
        ("anthropic/claude-tiny-4-5", &["gamma=claude-tiny-4-5"]),
        ("claude-tiny-4-5", &["gamma=claude-tiny-4-5"]),
        ("claude-tiny", &["gamma=claude-tiny-4-5"]),
        ("~anthropic/claude-tiny-latest", &["gamma=claude-tiny-4-5"]),
        ("acme/road-1:free:online", road),
        ("alpha/road-two", &["alpha=road-two"]),
        ("beta/acme/road-1", &["beta/turbo=acme/Road-1"]),
        ("beta/Some-Thing.New", &["beta=Some-Thing.New"]),
        ("beta/Some-Thing:1b:floor", &["beta=Some-Thing:1b"]),
        ("gamma/acme/road-1", &["gamma=acme/road-1"]),
        ("lab/one", &["lab=one"]),
        ("lab/two:7b", &["lab=two:7b"]),
        ("lab/two:7b:floor", &["lab=two:7b"]),
        ("lab/odd:free", &["lab=odd:free"]),
    ];
    for (name, want) in rows {
        assert_eq!(reached(&field, name), *want, "{name}");
    }
}

#[test]
fn a_name_without_an_endpoint_says_what_would_help() {
    let all = field(&["alpha", "beta", "gamma", "lab"]);
    let few = field(&["gamma"]);
    let rows = [
        (&all, "acme/raod-1", "`acme/raod-1` is not a valid model ID. Did you mean acme/road-1 or acme/road-2?"),
        (&all, "claude-tyni-4.5", "`claude-tyni-4.5` is not a valid model ID. Did you mean anthropic/claude-tiny-4.5?"),
        (
            &all,
            "acme/road-1:fast",
            "`acme/road-1:fast` is not a valid model ID. Did you mean acme/road-1 or acme/road-2?",
        ),
        (&all, "zzz/qqq", "`zzz/qqq` is not a valid model ID"),
        (&all, "lab/three", "`lab/three` is not a valid model ID"),
        (&all, "", "`` is not a valid model ID"),
        (&all, "beta/", "`beta/` is not a valid model ID"),
        (&few, "acme/road-1", "no configured provider serves `acme/road-1`: add a key for alpha or beta"),
        (&few, "acme/road-2:free", "no configured provider serves `acme/road-2:free`: add a key for alpha"),
    ];
    for (field, name, want) in rows {
        let got = field.resolve(name).unwrap_err().to_string();
        assert!(got.starts_with(want), "{got} is not {want}");
    }
    let long = "é".repeat(400);
    assert_eq!(all.resolve(&long).unwrap_err().name.len(), MAX_NAME);
}

#[test]
fn a_word_that_two_models_claim_means_neither() {
    let mut lab = seat("lab", &[1]);
    lab.models = vec![declared("x/same"), declared("y/same")];
    let field = Field::build(&small(), vec![lab], vec![]).unwrap();
    assert!(field.resolve("same").is_err());
    assert_eq!(reached(&field, "x/same"), ["lab=x/same"]);
}

#[test]
fn suffixes_come_off_the_end_in_any_order() {
    let none = Wish::default();
    let rows = [
        ("a/b", "a/b", none),
        ("a/b:free", "a/b", Wish { free: true, ..none }),
        ("a/b:nitro:free", "a/b", Wish { free: true, sort: Some(Sort::Throughput), ..none }),
        ("a/b:online:floor", "a/b", Wish { online: true, sort: Some(Sort::Price), ..none }),
        ("a/b:exacto", "a/b", Wish { sort: Some(Sort::Exacto), ..none }),
        ("a/b:thinking:extended", "a/b", Wish { thinking: true, extended: true, ..none }),
        ("a/b:1b", "a/b:1b", none),
        ("a/b:free:1b", "a/b:free:1b", none),
        ("a/b:1b:free", "a/b:1b", Wish { free: true, ..none }),
    ];
    for (name, base, wish) in rows {
        assert_eq!(suffixes(name), (base, wish), "{name}");
    }
}
