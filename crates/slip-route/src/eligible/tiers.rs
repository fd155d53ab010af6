//! Tiers of service: an endpoint that serves sooner or later than the standard one is used by who asked for that, and by nobody else.
//!
//! `service_tier` asks for one; so does its tag in `provider.order` or `provider.only`. `:floor` lets the cheaper tier compete by its
//! price and `:nitro` the quicker one by its speed; a plain `sort` lets neither.

use super::{Rule, Stand};
use crate::field::{Endpoint, Field};
use crate::resolve::{Resolved, Wish};
use crate::rules::{Rules, Sort};
use slip_ir::{Op, Tier, Want};

/// Whether some endpoint behind a name is of the tier asked for. Where none is, the request goes where it would have gone without.
pub(crate) fn sold(field: &Field, asked: &Resolved, want: &Want) -> bool {
    let Some(tier @ (Tier::Flex | Tier::Priority)) = want.tier else { return false };
    field.reach(&asked.reach).iter().any(|e| e.tier == tier)
}

pub(super) fn refused(stand: &Stand<'_>, want: &Want, rules: &Rules) -> Option<Rule> {
    let e = stand.endpoint;
    match want.tier {
        // Who wants it cheap does not want it dear when it cannot be had cheap.
        Some(Tier::Flex) if stand.tiered && e.tier != Tier::Flex => Some(Rule::NotTier(Tier::Flex)),
        // Only conversations are told at which tier they shall be served.
        _ if want.op != Op::Chat && e.tier != Tier::Standard => Some(Rule::Tier(e.tier)),
        _ if e.tier == Tier::Standard || want.tier == Some(e.tier) || named(e, rules) => None,
        // The standard tier was asked for in so many words.
        Some(Tier::Standard) => Some(Rule::Tier(e.tier)),
        _ if admitted(e.tier, stand.asked.wish) => None,
        _ => Some(Rule::Tier(e.tier)),
    }
}

/// Comes after those of the tier asked for.
pub(super) fn later(stand: &Stand<'_>, want: &Want) -> bool {
    stand.tiered && want.tier != Some(stand.endpoint.tier)
}

fn named(e: &Endpoint, rules: &Rules) -> bool {
    rules.order.iter().chain(&rules.only).any(|word| **word == *e.tag)
}

fn admitted(tier: Tier, wish: Wish) -> bool {
    matches!((tier, wish.sort), (Tier::Flex, Some(Sort::Price)) | (Tier::Priority, Some(Sort::Throughput)))
}

#[cfg(test)]
mod tests {
    use crate::catalog::Catalog;
    use crate::testing::{ACME, seat};
    use crate::{Ask, Board, By, Field, NoRoute, Rules, View, choose};
    use fastrand::Rng;
    use serde_json::json;
    use slip_ir::{Raw, Tier, Want};
    use std::sync::Arc;

    /// One shop sells road-1 at three tiers, another at one; road-2 is sold at one only.
    fn field() -> Arc<Field> {
        let from = "source = \"https://example.com\"\nchecked = \"2026-11-01\"\n";
        let shop = format!(
            "provider = \"shop\"\n[[endpoint]]\nmodel = \"acme/road-1\"\nupstream = \"one\"\nprice = {{ input = \"2\", output = \"2\" }}\n{from}
            [[endpoint.service]]\ntier = \"flex\"\nprice = {{ input = \"1\", output = \"1\" }}\n{from}
            [[endpoint.service]]\ntier = \"priority\"\ncontext = 1000\nprice = {{ input = \"4\", output = \"4\" }}\n{from}
            [[endpoint]]\nmodel = \"acme/road-2\"\nupstream = \"two\"\nprice = {{ input = \"2\", output = \"2\" }}\n{from}"
        );
        let plain = format!(
            "provider = \"plain\"\n[[endpoint]]\nmodel = \"acme/road-1\"\nupstream = \"one\"\nprice = {{ input = \"3\", output = \"3\" }}\n{from}"
        );
        let catalog = Catalog::parse(&[("acme", ACME)], &[("shop", &shop), ("plain", &plain)]).unwrap();
        Arc::new(Field::build(&catalog, vec![seat("shop", &[1]), seat("plain", &[2])], Vec::new()).unwrap())
    }

    /// Who is tried, in order, and who chose the order.
    fn line(model: &str, tier: Option<&str>, provider: serde_json::Value) -> Result<(Vec<String>, By), NoRoute> {
        let rules = Rules::parse(&Raw::of(&provider).unwrap()).unwrap();
        let ask = Ask { models: vec![model.to_owned()], rules, ..Ask::default() };
        let want = Want { tier: tier.and_then(Tier::parse), prompt_tokens: 10, ..Want::default() };
        let board = Board::default();
        let plan = choose(&field(), &ask, &want, &View::of(&board, 0), 0, &mut Rng::with_seed(1))?.plan;
        let tags = plan.line().filter_map(|(_, e)| e).map(|e| e.tag.to_string()).collect();
        Ok((tags, plan.by()))
    }

    #[test]
    fn a_tier_is_used_by_who_asked_for_it() {
        let sort = |by: &str| json!({ "sort": by });
        let price = || sort("price");
        let rows: &[(&str, Option<&str>, serde_json::Value, &[&str])] = &[
            // Nothing said: the standard endpoints only, whatever they are sorted by.
            ("acme/road-1", None, price(), &["shop", "plain"]),
            ("acme/road-1", Some("auto"), price(), &["shop", "plain"]),
            ("acme/road-1", Some("default"), price(), &["shop", "plain"]),
            ("acme/road-1", Some("scale"), price(), &["shop", "plain"]),
            ("acme/road-1", None, json!({ "order": ["shop"] }), &["shop", "plain"]),
            // Flex is flex or nothing; where nobody sells it, it goes as it would have gone.
            ("acme/road-1", Some("flex"), price(), &["shop/flex"]),
            ("acme/road-1", Some("flex"), json!({ "order": ["plain"] }), &["shop/flex"]),
            ("acme/road-2", Some("flex"), price(), &["shop"]),
            ("acme/road-1", Some("flex"), json!({ "only": ["plain"] }), &[]),
            // Priority first, then the others; the caller's own order is stronger.
            ("acme/road-1", Some("priority"), price(), &["shop/priority", "shop", "plain"]),
            ("acme/road-1", Some("fast"), price(), &["shop/priority", "shop", "plain"]),
            ("acme/road-1", Some("priority"), json!({ "order": ["plain"] }), &["plain", "shop/priority", "shop"]),
            ("acme/road-2", Some("priority"), price(), &["shop"]),
            // By its tag.
            ("acme/road-1", None, json!({ "order": ["shop/priority"] }), &["shop/priority", "shop", "plain"]),
            ("acme/road-1", None, json!({ "only": ["shop/flex"] }), &["shop/flex"]),
            ("acme/road-1", None, json!({ "only": ["shop"] }), &["shop"]),
            (
                "acme/road-1",
                Some("priority"),
                json!({ "ignore": ["shop/priority"], "sort": "price" }),
                &["shop", "plain"],
            ),
            // A suffix admits the tier it is about, and a plain sort does not; `default` means what it says.
            ("acme/road-1:floor", None, json!({}), &["shop/flex", "shop", "plain"]),
            ("acme/road-1:floor", Some("default"), json!({}), &["shop", "plain"]),
            // A provider's own word for the model means all its tiers.
            ("shop/one", Some("flex"), json!({}), &["shop/flex"]),
            ("shop/one", None, json!({}), &["shop"]),
            ("shop/acme/road-1", Some("flex"), json!({}), &["shop/flex"]),
        ];
        for (model, tier, provider, want) in rows {
            let shown = format!("{model} {tier:?} {provider}");
            match line(model, *tier, provider.clone()) {
                Ok((tags, _)) => assert_eq!(tags, *want, "{shown}"),
                Err(no) => assert!(want.is_empty(), "{shown}: {no:?}"),
            }
        }
        let (mut nitro, _) = line("acme/road-1:nitro", None, json!({})).unwrap();
        nitro.sort();
        assert_eq!(nitro, ["plain", "shop", "shop/priority"]);
    }

    #[test]
    fn who_pays_for_priority_gets_the_quickest() {
        assert_eq!(line("acme/road-1", Some("priority"), json!({})).unwrap().1, By::Tier);
        assert_eq!(line("acme/road-1", Some("priority"), json!({ "sort": "price" })).unwrap().1, By::Request);
        assert_eq!(line("acme/road-2", Some("priority"), json!({})).unwrap().1, By::Default);
        assert_eq!(line("acme/road-1", Some("flex"), json!({})).unwrap().1, By::Default);
    }

    #[test]
    fn each_tier_knows_what_the_others_cost() {
        let field = field();
        let shop: Vec<_> = field.endpoints().iter().filter(|e| &*e.provider == "shop" && e.sells_tiers()).collect();
        assert_eq!(shop.iter().map(|e| &*e.tag).collect::<Vec<_>>(), ["shop", "shop/flex", "shop/priority"]);
        for endpoint in &shop {
            let price = endpoint.price.as_ref().unwrap();
            for (served, million) in [(Tier::Standard, "2"), (Tier::Flex, "1"), (Tier::Priority, "4")] {
                let rate = price.at(Some(served)).map(|p| p.rates.input.to_million_string());
                assert_eq!(rate.as_deref(), Some(million), "{} served at {served:?}", endpoint.tag);
            }
            assert_eq!(price.at(None), Some(&**price), "{}", endpoint.tag);
            assert_eq!(price.at(Some(Tier::Other)), None);
        }
        assert_eq!(shop[2].context, Some(1000));
        let keys: std::collections::BTreeSet<u64> = shop.iter().map(|e| e.key).collect();
        assert_eq!(keys.len(), 3, "each is measured for itself");
    }

    #[test]
    fn a_price_of_ones_own_is_for_the_standard_tier_alone() {
        let from = "source = \"https://example.com\"\nchecked = \"2026-11-01\"\n";
        let shop = format!(
            "provider = \"shop\"\n[[endpoint]]\nmodel = \"acme/road-1\"\nupstream = \"one\"\nprice = {{ input = \"2\", output = \"2\" }}\n{from}
            [[endpoint.service]]\ntier = \"flex\"\nprice = {{ input = \"1\", output = \"1\" }}\n{from}"
        );
        let catalog = Catalog::parse(&[("acme", ACME)], &[("shop", &shop)]).unwrap();
        let mut own = seat("shop", &[1]);
        let price = Some(crate::testing::price("9", "9"));
        own.models = vec![crate::Declared { price, ..crate::testing::declared("acme/road-1") }];
        let field = Field::build(&catalog, vec![own], Vec::new()).unwrap();
        assert_eq!(field.endpoints().iter().map(|e| &*e.tag).collect::<Vec<_>>(), ["shop"]);
        assert!(!field.endpoints()[0].sells_tiers());
    }
}
