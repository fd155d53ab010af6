//! The `provider` object, right and wrong.

use super::*;

fn parse(text: &str) -> Result<Rules, BadRules> {
    Rules::parse(&Raw::parse(text).unwrap())
}

#[test]
fn every_member_is_read() {
    let rules = parse(
        r#"{"order":["Groq"," DeepInfra/turbo"],"only":["a"],"ignore":["b"],"allow_fallbacks":false,
            "require_parameters":true,"data_collection":"deny","zdr":true,"enforce_distillable_text":true,
            "quantizations":["fp8","bf16"],"sort":{"by":"latency","partition":"none"},
            "preferred_min_throughput":50,"preferred_max_latency":{"p90":2.5,"p99":null},
            "max_price":{"prompt":1,"completion":"2.5","request":"0.01","audio":0.1,"image":0},
            "load_balancer":"round_robin","priority":"batch","options":{"whatever":1},"new_member":[1,2]}"#,
    )
    .unwrap();
    assert_eq!(rules.order, ["groq", "deepinfra/turbo"]);
    assert_eq!((rules.only, rules.ignore), (vec!["a".to_owned()], vec!["b".to_owned()]));
    assert!(!rules.allow_fallbacks && rules.require_parameters && rules.deny_collection && rules.zdr);
    assert!(rules.distillable && rules.mix_models);
    let quants = rules.quantizations.unwrap();
    for (word, want) in [("fp8", true), ("mxfp8", true), ("bf16", true), ("fp16", false), ("unknown", false)] {
        assert_eq!(quants.meets(Quants::one(word).unwrap()), want, "{word}");
    }
    assert_eq!(rules.sort, Some(Sort::Latency));
    assert_eq!((rules.min_throughput.usual(), rules.max_latency.usual()), (Some(50.0), Some(2.5)));
    assert_eq!(
        rules.max_price,
        MaxPrice {
            prompt: Some(Pico(1_000_000)),
            completion: Some(Pico(2_500_000)),
            audio: Some(Pico(100_000)),
            request: Some(Pico(10_000_000_000)),
            image: Some(Pico(0)),
        }
    );
    assert_eq!((rules.balancer.unwrap().name(), rules.priority), ("round-robin", Some("batch")));
}

#[test]
fn null_is_as_good_as_absent() {
    for text in ["null", "{}", r#"{"order":null,"sort":null,"max_price":null,"allow_fallbacks":null,"zdr":null}"#] {
        let rules = parse(text).unwrap();
        assert!(rules.order.is_empty() && rules.sort.is_none() && rules.allow_fallbacks && !rules.zdr, "{text}");
    }
    let rules = parse(r#"{"sort":{"by":null},"max_price":{"prompt":null},"quantizations":[]}"#).unwrap();
    assert!(rules.sort.is_none() && rules.quantizations.is_none() && rules.max_price == MaxPrice::default());
}

#[test]
fn a_wrong_type_is_refused_with_its_path() {
    let long = format!(r#"{{"order":[{}]}}"#, vec!["\"x\""; MAX_NAMES + 1].join(","));
    let rows: &[(&str, &str)] = &[
        ("[]", "provider: expected an object, got an array"),
        (r#""groq""#, r#"provider: expected an object, got "groq""#),
        (r#"{"priority":"now"}"#, r#"provider.priority: expected one of interactive, batch, background, got "now""#),
        (r#"{"order":"groq"}"#, r#"provider.order: expected an array of strings, got "groq""#),
        (r#"{"only":["a",1]}"#, "provider.only[1]: expected a string, got 1"),
        (r#"{"allow_fallbacks":"no"}"#, r#"provider.allow_fallbacks: expected true or false, got "no""#),
        (r#"{"zdr":1}"#, "provider.zdr: expected true or false, got 1"),
        (r#"{"data_collection":"never"}"#, r#"provider.data_collection: expected "allow" or "deny", got "never""#),
        (
            r#"{"sort":"cheap"}"#,
            r#"provider.sort: expected "price", "throughput", "latency", "exacto" or an object, got "cheap""#,
        ),
        (r#"{"sort":7}"#, r#"provider.sort: expected "price", "throughput", "latency", "exacto" or an object, got 7"#),
        (
            r#"{"sort":{"by":"cheap"}}"#,
            r#"provider.sort.by: expected "price", "throughput", "latency", "exacto", got "cheap""#,
        ),
        (r#"{"sort":{"partition":"all"}}"#, r#"provider.sort.partition: expected "model" or "none", got "all""#),
        (r#"{"quantizations":["fp8","q4"]}"#, "provider.quantizations[1]: expected one of int4, int8, "),
        (
            r#"{"preferred_min_throughput":"fast"}"#,
            "provider.preferred_min_throughput: expected a number of at least 0 or an object of percentiles",
        ),
        (
            r#"{"preferred_max_latency":{"p50":-1}}"#,
            "provider.preferred_max_latency.p50: expected a number of at least 0, got -1",
        ),
        (r#"{"max_price":3}"#, "provider.max_price: expected an object, got 3"),
        (r#"{"max_price":{"prompt":-1}}"#, "provider.max_price.prompt: expected an amount in USD"),
        (r#"{"max_price":{"prompt":"cheap"}}"#, "provider.max_price.prompt: expected an amount in USD"),
        (r#"{"max_price":{"request":[]}}"#, "provider.max_price.request: expected an amount in USD"),
        (r#"{"load_balancer":"sticky"}"#, "provider.load_balancer: not one of expected-cost, price-weighted, "),
        (&long, "provider.order: at most 256 entries, got 257"),
    ];
    for (text, want) in rows {
        let bad = parse(text).unwrap_err();
        assert!(bad.to_string().starts_with(want), "{bad} is not {want}");
        let fault = Fault::from(bad.clone());
        assert_eq!((fault.kind, fault.param.as_deref()), (FaultKind::BadRequest, Some(bad.at.as_str())));
    }
}
