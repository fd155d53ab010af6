//! Who asks for what again: generated streams by the troubles they make for a cache, and the blocks of real conversations.
//!
//! Sizes are those of a trace of real requests; prices are a mixture of list prices. How dear an answer is does not depend on how
//! often it is asked for.

use super::Ask;
use crate::Library;
use crate::traffic::Trace;
use fastrand::Rng;
use slip_cache::policy::Load;

/// What an entry weighs beside its text, and the text of a token.
const OVERHEAD: u64 = 700;
const TOKEN: u64 = 4;
/// A block of a prefix cache, in what it holds of keys and values. One number for all: only proportions count.
const BLOCK: u64 = 64 * 1024;

/// List prices in nano-USD per token (in, out) of models from small to large, and how often each is asked.
const PRICES: &[(u64, u64, u64)] = &[
    (100, 400, 25),
    (150, 600, 20),
    (250, 1_250, 10),
    (800, 4_000, 10),
    (1_250, 10_000, 10),
    (2_500, 10_000, 10),
    (3_000, 15_000, 10),
    (15_000, 75_000, 5),
];

/// Requests of a generated stream, and how many different ones are asked for again and again.
const ASKS: usize = 300_000;
const POPULAR: usize = 40_000;
/// Popularity falls with the rank to this power.
const ZIPF: f64 = 0.9;

/// A generated stream: which troubles it has.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub name: &'static str,
    pub about: &'static str,
    /// Of a hundred requests, those that are never repeated.
    wonders: u32,
    /// Between batches that go through the same few thousand requests in order; 0: none.
    scan_every: usize,
    /// Requests until another of the popular ones is replaced by a new one; 0: never.
    drift_every: usize,
}

pub const KINDS: &[Kind] = &[
    Kind { name: "zipf", about: "popularity by Zipf's law, exponent 0.9", wonders: 0, scan_every: 0, drift_every: 0 },
    Kind { name: "wonders", about: "the same, 35 % never repeated", wonders: 35, scan_every: 0, drift_every: 0 },
    Kind {
        name: "scans",
        about: "the same as zipf, and every 20,000 requests a batch of 2,500 in order, the same every time",
        wonders: 0,
        scan_every: 20_000,
        drift_every: 0,
    },
    Kind {
        name: "drift",
        about: "the same as zipf, and every 20 requests one of the popular ones gives way to a new one",
        wonders: 0,
        scan_every: 0,
        drift_every: 20,
    },
    Kind { name: "mixed", about: "all of these at once", wonders: 35, scan_every: 20_000, drift_every: 20 },
];

const SCAN: usize = 2_500;

/// Numbers as good as random, one for each thing.
fn number(nth: u64, seed: u64) -> u64 {
    Rng::with_seed(nth ^ seed.rotate_left(40)).u64(..)
}

/// The size of a real request and the price of some model.
fn load(id: u64, sizes: &Trace) -> Load {
    let mut dice = Rng::with_seed(id);
    let nth = dice.usize(..sizes.calls.len().max(1));
    let (prompt, output) = sizes.calls.get(nth).map_or((1_000, 200), |call| (call.prompt.into(), call.output.into()));
    let all: u64 = PRICES.iter().map(|(.., often)| often).sum();
    let mut mark = dice.u64(..all);
    let price = PRICES.iter().find(|(.., often)| match mark.checked_sub(*often) {
        Some(rest) => {
            mark = rest;
            false
        }
        None => true,
    });
    let (input_price, output_price, _) = price.copied().unwrap_or((1, 1, 1));
    let (prompt, output): (u64, u64) = (prompt, output);
    Load { bytes: OVERHEAD + TOKEN * output, worth: prompt * input_price + output * output_price }
}

impl Kind {
    /// A stream of this kind. Another seed has other requests in another order.
    pub fn stream(&self, sizes: &Trace, seed: u64) -> Vec<Ask> {
        let mut dice = Rng::with_seed(seed);
        let mut reach = 0.0;
        let reached: Vec<f64> = (1..=POPULAR)
            .map(|rank| {
                reach += (rank as f64).powf(-ZIPF);
                reach
            })
            .collect();
        let mut popular: Vec<u64> = (0..POPULAR as u64).collect();
        let mut made = POPULAR as u64;
        let mut fresh = || {
            made += 1;
            made
        };
        let batch: Vec<u64> = (0..SCAN).map(|_| fresh()).collect();
        let mut scan = batch.len();
        let mut asks = Vec::with_capacity(ASKS);
        for nth in 1..=ASKS {
            if self.drift_every > 0 && nth % self.drift_every == 0 {
                // As likely among the first ten as among the next ninety.
                let rank = (POPULAR as f64).powf(dice.f64()) as usize;
                if let Some(place) = popular.get_mut(rank.min(POPULAR) - 1) {
                    *place = fresh();
                }
            }
            if self.scan_every > 0 && nth % self.scan_every == 0 {
                scan = 0;
            }
            let nth = if let Some(nth) = batch.get(scan) {
                scan += 1;
                *nth
            } else if dice.u32(..100) < self.wonders {
                fresh()
            } else {
                let mark = dice.f64() * reach;
                let rank = reached.partition_point(|r| *r < mark);
                popular.get(rank).copied().unwrap_or_default()
            };
            let id = number(nth, seed);
            asks.push(Ask { id, load: load(id, sizes) });
        }
        asks
    }
}

/// The prefix blocks of conversations, in the order in which prompts bring them. All weigh and cost the same.
pub fn blocks(library: &Library) -> Vec<Ask> {
    let calls = library.conversations.calls.iter();
    let load = Load { bytes: BLOCK, worth: 1_000_000 };
    calls.flat_map(|call| call.blocks.iter().map(|nth| Ask { id: number(u64::from(*nth), 0), load })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::footprint;

    #[test]
    fn streams_are_what_they_say_and_the_same_every_time() {
        let library = Library::new(None, None, None).unwrap();
        for kind in KINDS {
            let asks = kind.stream(&library.chat, 7);
            assert_eq!(asks.len(), ASKS);
            assert_eq!(asks[..1000], kind.stream(&library.chat, 7)[..1000]);
            assert_ne!(asks[..1000], kind.stream(&library.chat, 8)[..1000]);
            let mut often = std::collections::HashMap::new();
            asks.iter().for_each(|ask| *often.entry(ask.id).or_insert(0) += 1);
            let once = often.values().filter(|n| **n == 1).count();
            let least = ASKS * kind.wonders as usize / 120;
            assert!(once >= least, "{}: {once} asked once", kind.name);
            assert!(footprint(&asks) > 10_000_000);
        }
        let mean = |f: fn(&Ask) -> u64, asks: &[Ask]| asks.iter().map(f).sum::<u64>() / asks.len() as u64;
        let asks = KINDS[0].stream(&library.chat, 1);
        assert!((1_000..4_000).contains(&mean(|a| a.load.bytes, &asks)));
        assert!((500_000..20_000_000).contains(&mean(|a| a.load.worth, &asks)), "{}", mean(|a| a.load.worth, &asks));
    }

    #[test]
    fn blocks_come_in_the_order_of_the_prompts() {
        let text = "{\"timestamp\":1,\"input_length\":900,\"output_length\":5,\"hash_ids\":[0,14]}\n{\"timestamp\":2,\"input_length\":900,\"output_length\":5,\"hash_ids\":[0,15]}";
        let asks = blocks(&Library::new(None, None, Some(text)).unwrap());
        assert_eq!(asks.len(), 4);
        assert!(asks[0] == asks[2] && asks[1] != asks[3]);
    }
}
