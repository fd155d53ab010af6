//! Traffic of a seed, for where the real traces are not: quiet and busy spells, log-normal sizes, conversations that grow.

use super::{BLOCK, Call, Kind};
use crate::dice;
use fastrand::Rng;
use std::sync::Arc;

const CALLS: usize = 12_000;
/// Mean gaps in a quiet and in a busy spell, and how long spells last, all in milliseconds.
const GAPS: [f64; 2] = [400.0, 90.0];
const SPELL: f64 = 20_000.0;
/// Of calls with shared prompts, how many go on with a conversation of the last few hundred.
const GOES_ON: f64 = 0.55;
const OPEN: usize = 300;

/// Medians and the deviations of the logarithms of prompt and output; near those of the traces they stand in for.
const fn sizes(kind: Kind) -> [(f64, f64); 2] {
    match kind {
        Kind::Chat => [(900.0, 0.9), (150.0, 0.8)],
        Kind::Code => [(1_600.0, 0.8), (15.0, 0.9)],
        Kind::Conversations => [(1_500.0, 1.0), (250.0, 0.8)],
    }
}

pub fn calls(kind: Kind, dice: &mut Rng) -> Vec<Call> {
    let [prompt, output] = sizes(kind);
    let draw =
        |(median, sigma): (f64, f64), dice: &mut Rng| dice::log_normal(median, sigma, dice).clamp(1.0, 60_000.0) as u32;
    let (mut now, mut busy, mut turns_at) = (0.0, 0, 0.0);
    let (mut open, mut next_block): (Vec<Arc<[u32]>>, u32) = (Vec::new(), 1);
    let mut calls = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        now += dice::exponential(GAPS[busy], dice);
        if now > turns_at {
            busy = 1 - busy;
            turns_at = now + dice::exponential(SPELL, dice);
        }
        let (mut size, answer) = (draw(prompt, dice), draw(output, dice));
        let mut blocks: Arc<[u32]> = Arc::new([]);
        if kind == Kind::Conversations {
            let talk = (!open.is_empty() && dice.f64() < GOES_ON).then(|| dice.usize(0..open.len()));
            let mut grown = talk.and_then(|t| open.get(t)).map_or(vec![0], |b| b.to_vec());
            let more = size / BLOCK + 1;
            grown.extend(next_block..next_block + more);
            next_block += more;
            size = grown.len() as u32 * BLOCK;
            blocks = grown.into();
            match talk.or_else(|| (open.len() >= OPEN).then(|| dice.usize(0..open.len()))) {
                Some(at) => open[at] = blocks.clone(),
                None => open.push(blocks.clone()),
            }
        }
        calls.push(Call { at_ms: now as u64, prompt: size, output: answer, blocks });
    }
    calls
}
