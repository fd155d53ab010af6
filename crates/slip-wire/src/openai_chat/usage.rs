//! Token counts as OpenAI-shaped servers report them, and as this house reports them.

use crate::{Stamp, json};
use bytes::{BufMut, BytesMut};
use slip_ir::{Nano, Usage};

/// No reply holds a thousand million tokens; a counter above it is noise and counts as missing.
const MOST_TOKENS: u64 = 1_000_000_000;
/// No reply costs more than this; beyond it the upstream's own figure is not believed. One million dollars.
const MOST_COST: f64 = 1_000_000.0;

/// What one counter said.
#[derive(Clone, Copy, PartialEq)]
enum Count {
    Absent,
    Absurd,
    Is(u64),
}

impl Count {
    fn of(value: &[u8]) -> Count {
        match value {
            b"null" => Count::Absent,
            _ => match json::integer(value) {
                Some(n) if (0..=MOST_TOKENS as i64).contains(&n) => Count::Is(n as u64),
                _ => Count::Absurd,
            },
        }
    }

    fn or_zero(self) -> u64 {
        if let Count::Is(n) = self { n } else { 0 }
    }

    fn known(self) -> Option<u64> {
        if let Count::Is(n) = self { Some(n) } else { None }
    }
}

/// Read a `usage` object. `None` when it does not say what was consumed: then the caller of this estimates.
///
/// Conventions of the dialect: `prompt_tokens` includes cached, cache-written and audio tokens; `completion_tokens` includes
/// reasoning, audio and image tokens, unless `total_tokens` is larger than both together: the gap is reasoning counted outside.
pub fn parse_usage(raw: &[u8]) -> Option<Usage> {
    let (mut prompt, mut completion, mut total) = (Count::Absent, Count::Absent, Count::Absent);
    let (mut cached, mut hit, mut top_cached) = (Count::Absent, Count::Absent, Count::Absent);
    let (mut reasoning, mut top_reasoning) = (Count::Absent, Count::Absent);
    let mut usage = Usage::default();
    for (key, value) in json::fields(raw) {
        match &*key.bytes() {
            b"prompt_tokens" => prompt = Count::of(value),
            b"completion_tokens" => completion = Count::of(value),
            b"total_tokens" => total = Count::of(value),
            b"prompt_cache_hit_tokens" => hit = Count::of(value),
            b"cached_tokens" => top_cached = Count::of(value),
            b"reasoning_tokens" => top_reasoning = Count::of(value),
            b"prompt_tokens_details" => {
                for (key, value) in json::fields(value) {
                    match &*key.bytes() {
                        b"cached_tokens" => cached = Count::of(value),
                        b"cache_write_tokens" => usage.cache_write = Count::of(value).or_zero(),
                        b"audio_tokens" => usage.audio_in = Count::of(value).or_zero(),
                        _ => {}
                    }
                }
            }
            b"completion_tokens_details" => {
                for (key, value) in json::fields(value) {
                    match &*key.bytes() {
                        b"reasoning_tokens" => reasoning = Count::of(value),
                        b"audio_tokens" => usage.audio_out = Count::of(value).or_zero(),
                        b"image_tokens" => usage.image_out = Count::of(value).or_zero(),
                        b"accepted_prediction_tokens" => usage.accepted_prediction = Count::of(value).or_zero(),
                        b"rejected_prediction_tokens" => usage.rejected_prediction = Count::of(value).or_zero(),
                        _ => {}
                    }
                }
            }
            b"server_tool_use_details" => {
                let searches = json::field(value, "web_search_requests");
                usage.web_searches = searches.map_or(0, |v| Count::of(v).or_zero());
            }
            b"num_search_queries" => usage.web_searches = Count::of(value).or_zero(),
            b"cost" => usage.upstream_cost = cost(value),
            _ => {}
        }
    }
    if prompt == Count::Absurd || completion == Count::Absurd {
        return None;
    }
    let (prompt, completion) = match (prompt.known(), completion.known(), total.known()) {
        (None, None, _) => return None,
        (Some(p), Some(c), _) => (p, c),
        (Some(p), None, t) => (p, t.map_or(0, |t| t.saturating_sub(p))),
        (None, Some(c), t) => (t.map_or(0, |t| t.saturating_sub(c)), c),
    };
    split_prompt(prompt, cached.known().or(hit.known()).or(top_cached.known()).unwrap_or(0), &mut usage);
    let outside = total.known().unwrap_or(0).saturating_sub(prompt.saturating_add(completion));
    let inside = reasoning.known().or(top_reasoning.known()).unwrap_or(0);
    split_completion(completion, if outside > 0 { 0 } else { inside }, &mut usage);
    if outside > 0 {
        usage.reasoning = outside;
    }
    Some(usage)
}

/// The parts of the prompt can never exceed the whole, whatever the upstream claims.
fn split_prompt(prompt: u64, cached: u64, usage: &mut Usage) {
    let mut rest = prompt;
    let mut take = |n: u64| {
        let taken = n.min(rest);
        rest -= taken;
        taken
    };
    usage.cache_read = take(cached);
    usage.cache_write = take(usage.cache_write);
    usage.audio_in = take(usage.audio_in);
    usage.input = rest;
}

fn split_completion(completion: u64, reasoning: u64, usage: &mut Usage) {
    let mut rest = completion;
    let mut take = |n: u64| {
        let taken = n.min(rest);
        rest -= taken;
        taken
    };
    usage.reasoning = take(reasoning);
    usage.audio_out = take(usage.audio_out);
    usage.image_out = take(usage.image_out);
    usage.output = rest;
}

/// What the upstream says it charged: a number of dollars, or an object with `total_cost`.
pub(crate) fn cost(value: &[u8]) -> Option<Nano> {
    let value = if value.first() == Some(&b'{') { json::field(value, "total_cost")? } else { value };
    let text = std::str::from_utf8(value).ok()?;
    if let Ok(exact) = Nano::usd(text) {
        return Some(exact);
    }
    // Servers print doubles (`0.0076509169000000005`); what is below a nano is their rounding, not money.
    let dollars = text.parse::<f64>().ok().filter(|d| (0.0..=MOST_COST).contains(d))?;
    Some(Nano((dollars * 1e9).round() as i64))
}

/// Write the `usage` object as OpenRouter's clients read it. Numbers are always numbers, never null.
pub fn write_usage(usage: &Usage, stamp: &Stamp, out: &mut BytesMut) {
    let mut number = itoa::Buffer::new();
    let mut member = |out: &mut BytesMut, name: &str, value: u64| {
        out.put_slice(name.as_bytes());
        out.put_slice(number.format(value).as_bytes());
    };
    member(out, "{\"prompt_tokens\":", usage.prompt_total());
    member(out, ",\"completion_tokens\":", usage.completion_total());
    member(out, ",\"total_tokens\":", usage.total());
    let bill = stamp.bill(usage);
    out.put_slice(b",\"cost\":");
    out.put_slice(bill.charged.to_usd_string().as_bytes());
    if !bill.known {
        out.put_slice(b",\"cost_unknown\":true");
    }
    out.put_slice(if stamp.byok { b",\"is_byok\":true" } else { b",\"is_byok\":false" });
    member(out, ",\"prompt_tokens_details\":{\"cached_tokens\":", usage.cache_read);
    member(out, ",\"cache_write_tokens\":", usage.cache_write.saturating_add(usage.cache_write_1h));
    member(out, ",\"audio_tokens\":", usage.audio_in);
    out.put_slice(b",\"video_tokens\":0},\"cost_details\":{\"upstream_inference_cost\":");
    if stamp.byok {
        out.put_slice(bill.upstream.total.to_usd_string().as_bytes());
    } else {
        // Some clients add this to `cost`; repeating the charge here would make them count it twice.
        out.put_slice(b"null");
    }
    out.put_slice(b",\"upstream_inference_prompt_cost\":");
    out.put_slice(bill.upstream.input.to_usd_string().as_bytes());
    out.put_slice(b",\"upstream_inference_completions_cost\":");
    out.put_slice(bill.upstream.output.to_usd_string().as_bytes());
    member(out, "},\"completion_tokens_details\":{\"reasoning_tokens\":", usage.reasoning);
    member(out, ",\"image_tokens\":", usage.image_out);
    member(out, ",\"audio_tokens\":", usage.audio_out);
    if usage.accepted_prediction > 0 || usage.rejected_prediction > 0 {
        member(out, ",\"accepted_prediction_tokens\":", usage.accepted_prediction);
        member(out, ",\"rejected_prediction_tokens\":", usage.rejected_prediction);
    }
    out.put_u8(b'}');
    if usage.web_searches > 0 {
        member(out, ",\"server_tool_use_details\":{\"web_search_requests\":", usage.web_searches);
        out.put_u8(b'}');
    }
    if usage.estimated {
        out.put_slice(b",\"estimated\":true");
    }
    out.put_u8(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use slip_ir::{Pico, Price, Rates};
    use std::sync::Arc;

    #[test]
    fn every_spelling_of_the_counters_is_understood() {
        let u =
            |input, cache_read, output, reasoning| Usage { input, cache_read, output, reasoning, ..Usage::default() };
        let rows: &[(&str, Option<Usage>)] = &[
            (r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}"#, Some(u(10, 0, 5, 0))),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":2}}"#,
                Some(u(6, 4, 3, 2)),
            ),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_cache_hit_tokens":4,"prompt_cache_miss_tokens":6}"#,
                Some(u(6, 4, 5, 0)),
            ),
            (r#"{"prompt_tokens":10,"completion_tokens":5,"cached_tokens":3,"total_tokens":15}"#, Some(u(7, 3, 5, 0))),
            (r#"{"prompt_tokens":66,"completion_tokens":6,"total_tokens":100}"#, Some(u(66, 0, 6, 28))),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"reasoning_tokens":4,"total_tokens":15}"#,
                Some(u(10, 0, 1, 4)),
            ),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":null,"completion_tokens_details":null}"#,
                Some(u(10, 0, 5, 0)),
            ),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":null,"multimodal_tokens":null}}"#,
                Some(u(10, 0, 5, 0)),
            ),
            (r#"{"prompt_tokens":10,"total_tokens":15}"#, Some(u(10, 0, 5, 0))),
            (r#"{"prompt_tokens":3,"completion_tokens":5,"cached_tokens":9}"#, Some(u(0, 3, 5, 0))),
            (r#"{"prompt_tokens":-1,"completion_tokens":5}"#, None),
            (r#"{"prompt_tokens":1e12,"completion_tokens":5}"#, None),
            (r#"{"prompt_tokens":"10","completion_tokens":5}"#, None),
            (r#"{"total_tokens":15}"#, None),
            ("{}", None),
            ("null", None),
            ("[", None),
        ];
        for (raw, want) in rows {
            assert_eq!(parse_usage(raw.as_bytes()), *want, "{raw}");
        }
    }

    #[test]
    fn what_the_upstream_charged_is_kept() {
        let rows: &[(&str, Option<Nano>)] = &[
            ("0.000669", Some(Nano(669_000))),
            ("0.0076509169000000005", Some(Nano(7_650_917))),
            ("0", Some(Nano(0))),
            (r#"{"input_tokens_cost":0.001,"total_cost":0.006}"#, Some(Nano(6_000_000))),
            ("-1", None),
            ("1e300", None),
            ("\"0.1\"", None),
            ("null", None),
        ];
        for (cost, want) in rows {
            let raw = format!(r#"{{"prompt_tokens":1,"completion_tokens":1,"cost":{cost}}}"#);
            assert_eq!(parse_usage(raw.as_bytes()).unwrap().upstream_cost, *want, "{cost}");
        }
    }

    fn written(usage: &Usage, stamp: &Stamp) -> String {
        let mut out = BytesMut::new();
        write_usage(usage, stamp, &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn usage_is_written_with_its_price() {
        let rates = Rates { input: Pico(3_000_000), output: Pico(15_000_000), ..Rates::default() };
        let price = Some(Arc::new(Price { rates, ..Price::default() }));
        let usage = Usage { input: 17, output: 5, ..Usage::default() };
        let stamp = Stamp { price, ..Stamp::default() };
        assert_eq!(
            written(&usage, &stamp),
            r#"{"prompt_tokens":17,"completion_tokens":5,"total_tokens":22,"cost":0.000126,"is_byok":false,"prompt_tokens_details":{"cached_tokens":0,"cache_write_tokens":0,"audio_tokens":0,"video_tokens":0},"cost_details":{"upstream_inference_cost":null,"upstream_inference_prompt_cost":0.000051,"upstream_inference_completions_cost":0.000075},"completion_tokens_details":{"reasoning_tokens":0,"image_tokens":0,"audio_tokens":0}}"#
        );
        let own_key = written(&usage, &Stamp { byok: true, ..stamp });
        assert!(own_key.contains(r#""cost":0,"is_byok":true"#), "{own_key}");
        assert!(own_key.contains(r#""upstream_inference_cost":0.000126"#), "{own_key}");
    }

    #[test]
    fn an_unknown_price_is_never_shown_as_free() {
        let text = written(&Usage { input: 1, output: 1, ..Usage::default() }, &Stamp::default());
        assert!(text.contains(r#""cost":0,"cost_unknown":true"#), "{text}");
    }

    #[test]
    fn written_usage_reads_back_the_same() {
        let usage = Usage {
            input: 1,
            cache_read: 2,
            cache_write: 3,
            audio_in: 4,
            output: 5,
            reasoning: 6,
            audio_out: 7,
            image_out: 8,
            accepted_prediction: 1,
            rejected_prediction: 2,
            web_searches: 9,
            ..Usage::default()
        };
        let text = written(&usage, &Stamp::default());
        let back = parse_usage(text.as_bytes()).unwrap();
        assert_eq!(Usage { upstream_cost: None, ..back }, usage);
    }
}
