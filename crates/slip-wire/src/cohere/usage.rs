//! Token counts: Cohere's and ours.
//!
//! `tokens` is what the model read and wrote, `billed_units` the part of it that is charged for (its own preamble is not). What
//! was read of the cache is inside `input_tokens`, pictures are beside it.

use crate::Stamp;
use crate::json;
use crate::openai_chat::write::Obj;
use bytes::BytesMut;
use slip_ir::Usage;

/// More tokens than any reply holds: a count above it is an accident, and one would be billed.
const MOST_TOKENS: i64 = 1_000_000_000;

pub(super) fn read(span: &[u8]) -> Option<Usage> {
    let (mut tokens, mut billed, mut cached) = (None, None, 0);
    for (key, value) in json::fields(span) {
        match &*key.bytes() {
            b"tokens" => tokens = pair(value),
            b"billed_units" => billed = pair(value),
            b"cached_tokens" => cached = count(value).unwrap_or(0),
            _ => {}
        }
    }
    let (input, output, reasoning) = tokens.or(billed)?;
    let (cache_read, reasoning) = (cached.min(input), reasoning.min(output));
    Some(Usage { input: input - cache_read, cache_read, output: output - reasoning, reasoning, ..Usage::default() })
}

/// Prompt, answer, and what of the answer was thought.
fn pair(span: &[u8]) -> Option<(u64, u64, u64)> {
    let (mut input, mut output, mut images, mut reasoning) = (None, None, 0, 0);
    for (key, value) in json::fields(span) {
        match &*key.bytes() {
            b"input_tokens" => input = count(value),
            b"output_tokens" => output = count(value),
            b"image_tokens" => images = count(value).unwrap_or(0),
            b"reasoning_tokens" => reasoning = count(value).unwrap_or(0),
            _ => {}
        }
    }
    input.or(output)?;
    Some((input.unwrap_or(0) + images, output.unwrap_or(0), reasoning))
}

fn count(value: &[u8]) -> Option<u64> {
    json::integer(value).filter(|n| (0..=MOST_TOKENS).contains(n)).and_then(|n| u64::try_from(n).ok())
}

pub(super) fn write(o: &mut Obj<'_, BytesMut>, usage: &Usage, stamp: &Stamp) {
    o.obj("usage", |o| {
        for name in ["billed_units", "tokens"] {
            o.obj(name, |o| {
                o.num("input_tokens", usage.prompt_total());
                o.num("output_tokens", usage.completion_total());
                if name == "tokens" && usage.reasoning > 0 {
                    o.num("reasoning_tokens", usage.reasoning);
                }
            });
        }
        o.num("cached_tokens", usage.cache_read);
        let bill = stamp.bill(usage);
        o.shown("cost", bill.charged.to_usd_string());
        if !bill.known {
            o.bool("cost_unknown", true);
        }
    });
}
