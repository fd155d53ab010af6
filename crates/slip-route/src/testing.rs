//! Small worlds for the tests of this crate.

use crate::catalog::{Catalog, Policy};
use crate::eligible::Candidate;
use crate::field::{Declared, Instance, ProviderSeat};
use crate::strategy::{Seat, Strategy};
use crate::view::{View, Vital};
use fastrand::Rng;
use slip_ir::{Dialect, Nano, Pico, Price, Rates};

/// Candidates with these prices in nano-USD, numbered in `at`.
pub fn line(prices: &[Option<i64>]) -> Vec<Candidate> {
    let one = |(at, price): (usize, &Option<i64>)| Candidate {
        place: 0,
        at: at as u32,
        price: price.map(Nano),
        weight: 1,
        live: Vital::default(),
        expects: 100,
        cached: 0,
        key: at as u64,
        holder: crate::Holder::House,
        sticky: false,
        score: 0.0,
        lap: None,
        tier: 0,
    };
    prices.iter().enumerate().map(one).collect()
}

/// Instances with so many requests under way and this time to first content.
pub fn seats(each: &[(u32, Option<u32>)]) -> Vec<Seat> {
    let one = |(id, (in_flight, peak_ms)): (usize, &(u32, Option<u32>))| Seat {
        instance: Instance { id: id as u32, weight: 1 },
        live: Vital { in_flight: *in_flight, peak_ms: *peak_ms, ..Vital::default() },
    };
    each.iter().enumerate().map(one).collect()
}

pub fn order(line: &[Candidate]) -> Vec<u32> {
    line.iter().map(|c| c.at).collect()
}

pub fn rank(strategy: &dyn Strategy, line: &mut [Candidate], turn: u64, seed: u64) {
    strategy.rank(line, &View::calm(turn), &mut Rng::with_seed(seed));
}

/// How often each is first in so many draws.
pub fn firsts(strategy: &dyn Strategy, line: &[Candidate], draws: u64) -> Vec<u64> {
    let mut count = vec![0; line.len()];
    let mut dice = Rng::with_seed(7);
    for _ in 0..draws {
        let mut line = line.to_vec();
        strategy.rank(&mut line, &View::calm(0), &mut dice);
        count[line[0].at as usize] += 1;
    }
    count
}

/// USD per million tokens.
pub fn price(input: &str, output: &str) -> Price {
    Price {
        rates: Rates {
            input: Pico::per_million(input).unwrap(),
            output: Pico::per_million(output).unwrap(),
            ..Rates::default()
        },
        ..Price::default()
    }
}

pub fn seat(slug: &str, instances: &[u32]) -> ProviderSeat {
    ProviderSeat {
        slug: slug.to_owned(),
        name: format!("{}{} AI", slug[..1].to_uppercase(), &slug[1..]),
        dialect: Dialect::OpenAiChat,
        ops: slip_ir::Ops::of(slip_ir::Op::ALL),
        policy: Policy::default(),
        instances: instances.iter().map(|id| Instance { id: *id, weight: 1 }).collect(),
        only_declared: false,
        models: Vec::new(),
    }
}

pub fn declared(id: &str) -> Declared {
    Declared { id: id.to_owned(), ..Declared::default() }
}

/// Two authors, three models, four providers.
pub fn small() -> Catalog {
    let models = [
        ("models/acme.toml", ACME),
        (
            "models/anthropic.toml",
            r#"
            [author]
            id = "anthropic"
            name = "Anthropic"
            [[model]]
            id = "anthropic/claude-tiny-4.5"
            canonical = "anthropic/claude-4.5-tiny-20251001"
            name = "Claude Tiny 4.5"
            aliases = ["claude-tiny"]
            family = "claude-tiny"
            released = "2025-10-01"
            context = 200000
            max_output = 64000
            input = ["text", "image", "file"]
            output = ["text"]
            params = ["max_tokens", "tools", "reasoning", "temperature"]
            source = "https://example.com"
            checked = "2026-11-01"
            "#,
        ),
    ];
    let endpoints = [
        (
            "endpoints/alpha.toml",
            r#"
            provider = "alpha"
            [[endpoint]]
            model = "acme/road-1"
            upstream = "road-one"
            quantization = "bf16"
            price = { input = "1", output = "2", cache_read = "0.1" }
            tiers = [{ above = 100000, input = "2", output = "4" }]
            policy = { trains = false, retains = false, zdr = true }
            source = "https://example.com"
            checked = "2026-11-01"
            [[endpoint]]
            model = "acme/road-2"
            upstream = "road-two"
            price = { input = "3", output = "6" }
            source = "https://example.com"
            checked = "2026-11-01"
            [[endpoint]]
            model = "acme/road-1"
            upstream = "road-one"
            variant = "free"
            price = { input = "0", output = "0" }
            policy = { trains = true }
            source = "https://example.com"
            checked = "2026-11-01"
            "#,
        ),
        (
            "endpoints/beta.toml",
            r#"
            provider = "beta"
            [[endpoint]]
            model = "acme/road-1"
            upstream = "acme/Road-1"
            tag = "turbo"
            quantization = "fp8"
            context = 8192
            max_output = 1024
            params = ["max_tokens", "temperature"]
            price = { input = "0.5", output = "1" }
            source = "https://example.com"
            checked = "2026-11-01"
            "#,
        ),
        (
            "endpoints/gamma.toml",
            r#"
            provider = "gamma"
            [[endpoint]]
            model = "anthropic/claude-tiny-4.5"
            upstream = "claude-tiny-4-5"
            price = { input = "1", output = "5" }
            source = "https://example.com"
            checked = "2026-11-01"
            "#,
        ),
    ];
    Catalog::parse(&models, &endpoints).unwrap()
}

pub const ACME: &str = r#"
[author]
id = "acme"
name = "Acme"
[[model]]
id = "acme/road-1"
canonical = "acme/road-1-20250101"
name = "Acme: Road 1"
family = "road"
released = "2025-01-01"
context = 131072
max_output = 32768
input = ["text"]
output = ["text"]
params = ["max_tokens", "temperature", "seed", "tools", "response_format", "structured_outputs"]
open_weights = true
source = "https://example.com"
checked = "2026-11-01"
[[model]]
id = "acme/road-2"
name = "Acme: Road 2"
family = "road"
released = "2026-01-01"
context = 131072
input = ["text", "image"]
output = ["text", "image"]
params = ["max_tokens", "tools"]
reasoning = { efforts = ["low", "high"], mandatory = true }
source = "https://example.com"
checked = "2026-11-01"
"#;
