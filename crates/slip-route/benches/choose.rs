//! How long a decision takes: `choose` over 5, 50 and 500 endpoints of one model. Prints nanoseconds per call, the best of seven.

#![allow(clippy::disallowed_methods, reason = "a bench is a stopwatch")]

use fastrand::Rng;
use slip_ir::{Dialect, Pico, Price, Rates, Raw, Want};
use slip_route::{Ask, Calm, Catalog, Declared, Field, Instance, Policy, ProviderSeat, Rules, Step, View, choose};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

fn field(endpoints: u32) -> Arc<Field> {
    let seat = |at: u32| ProviderSeat {
        slug: format!("provider-{at}"),
        name: format!("Provider {at}"),
        dialect: Dialect::OpenAiChat,
        ops: slip_ir::Ops::of(slip_ir::Op::ALL),
        policy: Policy::default(),
        instances: vec![Instance { id: at, weight: 1 }],
        only_declared: true,
        models: vec![Declared {
            id: "meta-llama/llama-3.3-70b-instruct".to_owned(),
            context: Some(131_072),
            params: Some(vec!["tools".to_owned(), "temperature".to_owned(), "max_tokens".to_owned()]),
            price: Some(Price {
                rates: Rates {
                    input: Pico(100_000 + u64::from(at)),
                    output: Pico(300_000 + u64::from(at % 7) * 10_000),
                    ..Rates::default()
                },
                ..Price::default()
            }),
            ..Declared::default()
        }],
    };
    Arc::new(Field::build(&Catalog::default(), (0..endpoints).map(seat).collect(), vec![]).expect("a good field"))
}

fn main() {
    let want = Want { tools: true, prompt_tokens: 1_000, params: vec!["tools", "temperature"], ..Want::default() };
    let rows = [
        ("default", "{}"),
        ("sort by price", r#"{"sort":"price"}"#),
        ("order and parameters", r#"{"order":["provider-3","provider-1"],"require_parameters":true}"#),
        ("only one", r#"{"only":["provider-2"]}"#),
    ];
    for endpoints in [5, 50, 500] {
        let field = field(endpoints);
        for (name, rules) in rows {
            let rules = Rules::parse(&Raw::parse(rules).expect("json")).expect("good rules");
            let models = vec!["meta-llama/llama-3.3-70b-instruct".to_owned()];
            let ask = Ask { models, rules, allow: None };
            let mut dice = Rng::with_seed(1);
            let calls = 200_000 / endpoints;
            let best = (0..7)
                .map(|_| {
                    let start = Instant::now();
                    for turn in 0..calls {
                        let view = View::calm(u64::from(turn));
                        let mut chosen = choose(&field, black_box(&ask), &want, &view, 0, &mut dice).expect("a route");
                        assert!(matches!(black_box(chosen.plan.next(0, &Calm)), Step::Try(_)));
                    }
                    start.elapsed().as_nanos() / u128::from(calls)
                })
                .min();
            println!("{endpoints:>4} endpoints, {name:<21} {:>8} ns", best.unwrap_or_default());
        }
    }
}
