//! How long a decision takes: `choose` over 5, 50 and 500 endpoints of one model, all of them measured. Prints nanoseconds per call,
//! the best of
//! two hundred short spells, so that other work of a busy machine is in few of them. `cargo bench -p slip-route --bench choose -- 500`
//! measures those rows alone.

#![allow(clippy::disallowed_methods, reason = "a bench is a stopwatch")]

use fastrand::Rng;
use slip_ir::{Dialect, Pico, Price, Rates, Raw, Want};
use slip_route::health::Answered;
use slip_route::{
    Ask, ByEndpoint, Catalog, Declared, Field, Health, Instance, Policy, ProviderSeat, Rules, Step, View, Vital,
    Vitals, choose,
};
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

/// Everybody was asked now and then.
struct Measured(ByEndpoint<Health>);

impl Measured {
    fn of(field: &Field) -> Measured {
        let health = |n: usize| {
            let health = Health::default();
            for at in 0..20u64 {
                let now = at * 1_000;
                health.begin(now, 1_000);
                let reply = Answered {
                    first_us: Some(200_000 + n as u64 * 1_000),
                    total_us: 3_000_000,
                    prompt: 1_000,
                    cached: 100,
                    output: 200,
                    ..Answered::default()
                };
                health.answered(now, &reply);
            }
            health
        };
        let all = field.endpoints().iter().flat_map(|e| e.pool.iter().map(move |i| (e.key, i.id)));
        Measured(all.enumerate().map(|(n, who)| (who, health(n))).collect())
    }
}

impl Vitals for Measured {
    fn read(&self, endpoint: u64, instance: u32, into: &mut Vital) {
        match self.0.get(&(endpoint, instance)) {
            Some(health) => health.read(25_000, into),
            None => *into = Vital::default(),
        }
    }
}

fn main() {
    let want = Want { tools: true, prompt_tokens: 1_000, params: vec!["tools", "temperature"], ..Want::default() };
    let rows = [
        ("default", "{}"),
        ("sort by price", r#"{"sort":"price"}"#),
        ("order and parameters", r#"{"order":["provider-3","provider-1"],"require_parameters":true}"#),
        ("only one", r#"{"only":["provider-2"]}"#),
    ];
    let only: Vec<u32> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    for endpoints in [5, 50, 500].into_iter().filter(|n| only.is_empty() || only.contains(n)) {
        let field = field(endpoints);
        let measured = Measured::of(&field);
        for (name, rules) in rows {
            let rules = Rules::parse(&Raw::parse(rules).expect("json")).expect("good rules");
            let models = vec!["meta-llama/llama-3.3-70b-instruct".to_owned()];
            let ask = Ask { models, rules, ..Ask::default() };
            let mut dice = Rng::with_seed(1);
            let calls = 10_000 / endpoints;
            let best = (0..200)
                .map(|_| {
                    let start = Instant::now();
                    for turn in 0..calls {
                        let view = View::of(&measured, u64::from(turn));
                        let mut chosen =
                            choose(&field, black_box(&ask), &want, &view, 25_000, &mut dice).expect("a route");
                        assert!(matches!(black_box(chosen.plan.next(25_000, &measured)), Step::Try(_)));
                    }
                    start.elapsed().as_nanos() / u128::from(calls)
                })
                .min();
            println!("{endpoints:>4} endpoints, {name:<21} {:>8} ns", best.unwrap_or_default());
        }
    }
}
