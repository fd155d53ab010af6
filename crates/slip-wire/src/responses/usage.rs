//! Token counts as this dialect has them, both ways: `input_tokens` includes what the cache read and wrote, `output_tokens`
//! includes reasoning.

use crate::Stamp;
use crate::anthropic::usage::write_cost;
use crate::object::{Object, Writer, whole};
use serde_json::Number;
use serde_json::value::RawValue;
use slip_ir::{Nano, Usage};

/// More tokens than any reply could have: a count above it is a defect of the upstream, not a bill.
const MOST_TOKENS: u64 = 1_000_000_000;
/// No reply costs more than this; beyond it the upstream's own figure is not believed. One million dollars.
const MOST_COST: f64 = 1_000_000.0;
/// What the two sides of a price are called here.
const SPLIT: [&str; 2] = ["upstream_inference_input_cost", "upstream_inference_output_cost"];

/// Read a `usage` object. `None` when it does not say what was consumed.
pub fn read(usage: &RawValue) -> Option<Usage> {
    let mut o = Object::parse(usage.get(), "").ok()?;
    let (input, output) = (count(&mut o, "input_tokens"), count(&mut o, "output_tokens"));
    let total = count(&mut o, "total_tokens");
    let (input, output) = match (input, output, total) {
        (None, None, _) => return None,
        (Some(input), Some(output), _) => (input, output),
        (Some(input), None, total) => (input, total.map_or(0, |total| total.saturating_sub(input))),
        (None, Some(output), total) => (total.map_or(0, |total| total.saturating_sub(output)), output),
    };
    let mut read = Usage::default();
    let mut rest = input;
    if let Ok(Some(mut details)) = o.object("input_tokens_details", "") {
        read.cache_read = part(&mut details, "cached_tokens", &mut rest);
        read.cache_write = part(&mut details, "cache_write_tokens", &mut rest);
        read.audio_in = part(&mut details, "audio_tokens", &mut rest);
    }
    read.input = rest;
    rest = output;
    if let Ok(Some(mut details)) = o.object("output_tokens_details", "") {
        read.reasoning = part(&mut details, "reasoning_tokens", &mut rest);
        read.audio_out = part(&mut details, "audio_tokens", &mut rest);
        read.image_out = part(&mut details, "image_tokens", &mut rest);
    }
    read.output = rest;
    read.upstream_cost = cost(&mut o);
    Some(read)
}

fn count(o: &mut Object<'_>, name: &str) -> Option<u64> {
    let said = o.take(name).and_then(|raw| serde_json::from_str::<Number>(raw.get()).ok());
    said.as_ref().and_then(whole).filter(|n| *n <= MOST_TOKENS)
}

/// The parts can never exceed the whole, whatever the upstream claims.
fn part(o: &mut Object<'_>, name: &str, rest: &mut u64) -> u64 {
    let taken = count(o, name).unwrap_or(0).min(*rest);
    *rest -= taken;
    taken
}

/// What the upstream says it charged: in dollars, or in ticks of which ten thousand million are one.
fn cost(o: &mut Object<'_>) -> Option<Nano> {
    let unknown = o.take("cost_unknown").is_some_and(|raw| raw.get() == "true");
    if let Some(ticks) = count_of(o, "cost_in_usd_ticks") {
        return Some(Nano(i64::try_from((ticks + 5) / 10).unwrap_or(i64::MAX)));
    }
    let said = o.take("cost").filter(|_| !unknown)?;
    if let Ok(exact) = Nano::usd(said.get()) {
        return Some(exact);
    }
    let dollars = said.get().parse::<f64>().ok().filter(|d| (0.0..=MOST_COST).contains(d))?;
    Some(Nano((dollars * 1e9).round() as i64))
}

fn count_of(o: &mut Object<'_>, name: &str) -> Option<u64> {
    let said = o.take(name).and_then(|raw| serde_json::from_str::<Number>(raw.get()).ok());
    said.as_ref().and_then(whole).filter(|ticks| *ticks as f64 <= MOST_COST * 1e10)
}

/// The `usage` object as OpenRouter's clients read it.
pub fn write(out: &mut Vec<u8>, usage: &Usage, stamp: &Stamp) {
    let mut w = Writer::open(out);
    w.put("input_tokens", &usage.prompt_total());
    let mut details = Writer::open(w.key("input_tokens_details"));
    details.put("cached_tokens", &usage.cache_read);
    details.put("cache_write_tokens", &usage.cache_write.saturating_add(usage.cache_write_1h));
    details.close();
    w.put("output_tokens", &usage.completion_total());
    let mut details = Writer::open(w.key("output_tokens_details"));
    details.put("reasoning_tokens", &usage.reasoning);
    details.close();
    w.put("total_tokens", &usage.total());
    if usage.estimated {
        w.put("estimated", &true);
    }
    write_cost(&mut w, usage, stamp, SPLIT);
    w.close();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_told_apart_and_never_exceed_their_whole() {
        let u =
            |input, cache_read, output, reasoning| Usage { input, cache_read, output, reasoning, ..Usage::default() };
        let rows: &[(&str, Option<Usage>)] = &[
            (
                r#"{"input_tokens":352,"input_tokens_details":{"cached_tokens":320},"output_tokens":267,"output_tokens_details":{"reasoning_tokens":252},"total_tokens":619}"#,
                Some(u(32, 320, 15, 252)),
            ),
            (
                r#"{"input_tokens":4020,"input_tokens_details":{"cache_write_tokens":4012,"cached_tokens":0},"output_tokens":5}"#,
                Some(Usage { cache_write: 4012, ..u(8, 0, 5, 0) }),
            ),
            (r#"{"input_tokens":3,"input_tokens_details":{"cached_tokens":9},"output_tokens":1}"#, Some(u(0, 3, 1, 0))),
            (r#"{"input_tokens":3,"total_tokens":5,"input_tokens_details":null}"#, Some(u(3, 0, 2, 0))),
            (r#"{"input_tokens":-1,"output_tokens":1e300}"#, None),
            ("{}", None),
            ("null", None),
            ("[]", None),
        ];
        for (raw, want) in rows {
            assert_eq!(&read(serde_json::from_str(raw).expect("a row is JSON")), want, "{raw}");
        }
    }

    #[test]
    fn what_the_upstream_charged_is_read_in_dollars_and_in_ticks() {
        let rows = [
            (r#""cost_in_usd_ticks":7715000"#, Some(Nano(771_500))),
            (r#""cost":0.025265"#, Some(Nano(25_265_000))),
            (r#""cost":0,"cost_unknown":true"#, None),
            (r#""cost":-1"#, None),
            (r#""cost_in_usd_ticks":1e30"#, None),
        ];
        for (cost, want) in rows {
            let raw = format!(r#"{{"input_tokens":1,"output_tokens":1,{cost}}}"#);
            let usage = read(serde_json::from_str(&raw).expect("a row is JSON")).expect("counted");
            assert_eq!(usage.upstream_cost, want, "{cost}");
        }
    }

    #[test]
    fn written_usage_reads_back_the_same() {
        let usage = Usage { input: 1, cache_read: 2, cache_write: 3, output: 5, reasoning: 6, ..Usage::default() };
        let mut out = Vec::new();
        write(&mut out, &usage, &Stamp::default());
        assert_eq!(read(serde_json::from_slice(&out).expect("JSON")), Some(usage));
    }
}
