//! Token counts as Anthropic counts them, both ways.
//!
//! `input_tokens` excludes what was read from or written to the cache; `output_tokens` includes thinking. In a stream the counts
//! are cumulative: `message_start` has the first, `message_delta` may repeat or raise any of them, so the last one said counts.
//! `iterations` repeats the work per model and is inside the totals already.

use crate::Stamp;
use crate::object::{Object, Writer, whole};
use serde_json::Number;
use serde_json::value::RawValue;
use slip_ir::event::Start;
use slip_ir::{Nano, Tier, Usage};

/// More tokens than any reply could have: a count above it is a defect of the upstream, not a bill.
const MOST_TOKENS: u64 = 10_000_000_000;

/// The last count said of each class.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    input: Option<u64>,
    output: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    cache_write_5m: Option<u64>,
    cache_write_1h: Option<u64>,
    thinking: Option<u64>,
    web_searches: Option<u64>,
    cost: Option<Nano>,
    pub service_tier: Option<String>,
}

impl Counts {
    /// Take in one `usage` object. Absent, null, negative and absurd counts leave what was known.
    pub fn absorb(&mut self, usage: &RawValue) {
        let Ok(mut usage) = Object::parse(usage.get(), "") else { return };
        take(&mut usage, "input_tokens", &mut self.input);
        take(&mut usage, "output_tokens", &mut self.output);
        take(&mut usage, "cache_read_input_tokens", &mut self.cache_read);
        take(&mut usage, "cache_creation_input_tokens", &mut self.cache_write);
        if let Ok(Some(mut written)) = usage.object("cache_creation", "") {
            take(&mut written, "ephemeral_5m_input_tokens", &mut self.cache_write_5m);
            take(&mut written, "ephemeral_1h_input_tokens", &mut self.cache_write_1h);
        }
        if let Ok(Some(mut details)) = usage.object("output_tokens_details", "") {
            take(&mut details, "thinking_tokens", &mut self.thinking);
        }
        if let Ok(Some(mut tools)) = usage.object("server_tool_use", "") {
            take(&mut tools, "web_search_requests", &mut self.web_searches);
        }
        if let Ok(Some(tier)) = usage.string("service_tier", "") {
            self.service_tier = Some(tier);
        }
        let unknown = usage.take("cost_unknown").is_some_and(|raw| raw.get() == "true");
        if let Some(cost) = usage.take("cost").and_then(|raw| dollars(raw.get()))
            && !unknown
        {
            self.cost = Some(cost);
        }
    }

    /// `None` while nothing has been counted.
    pub fn usage(&self) -> Option<Usage> {
        self.input.or(self.output).or(self.cache_read)?;
        let one_hour = self.cache_write_1h.unwrap_or(0);
        // The flat count may be newer than the split, and the split may come without the flat one.
        let written = self.cache_write.unwrap_or(0).max(self.cache_write_5m.unwrap_or(0) + one_hour);
        let output = self.output.unwrap_or(0);
        let thinking = self.thinking.unwrap_or(0).min(output);
        Some(Usage {
            input: self.input.unwrap_or(0),
            cache_read: self.cache_read.unwrap_or(0),
            cache_write: written - one_hour,
            cache_write_1h: one_hour,
            output: output - thinking,
            reasoning: thinking,
            web_searches: self.web_searches.unwrap_or(0),
            upstream_cost: self.cost,
            tier: self.service_tier.as_deref().and_then(Tier::parse),
            ..Usage::default()
        })
    }
}

fn take(from: &mut Object<'_>, name: &str, into: &mut Option<u64>) {
    let said = from.take(name).and_then(|raw| serde_json::from_str::<Number>(raw.get()).ok());
    if let Some(count) = said.as_ref().and_then(whole).filter(|n| *n <= MOST_TOKENS) {
        *into = Some(count);
    }
}

/// An amount another router wrote, cut to whole nano-dollars.
fn dollars(text: &str) -> Option<Nano> {
    let cut = match text.split_once('.') {
        Some((whole, fraction)) if !text.contains(['e', 'E']) => {
            format!("{whole}.{}", fraction.get(..9).unwrap_or(fraction))
        }
        _ => text.to_owned(),
    };
    Nano::usd(&cut).ok()
}

/// The `usage` object of a reply. `priced` adds the money, which is only known at the end.
pub fn write(out: &mut Vec<u8>, usage: &Usage, start: &Start, stamp: &Stamp, priced: bool) {
    let mut w = Writer::open(out);
    w.put("input_tokens", &usage.input.saturating_add(usage.audio_in).saturating_add(usage.image_in));
    w.put("cache_creation_input_tokens", &usage.cache_write.saturating_add(usage.cache_write_1h));
    w.put("cache_read_input_tokens", &usage.cache_read);
    let mut written = Writer::open(w.key("cache_creation"));
    written.put("ephemeral_5m_input_tokens", &usage.cache_write);
    written.put("ephemeral_1h_input_tokens", &usage.cache_write_1h);
    written.close();
    w.put("output_tokens", &usage.completion_total());
    if usage.reasoning > 0 {
        let mut details = Writer::open(w.key("output_tokens_details"));
        details.put("thinking_tokens", &usage.reasoning);
        details.close();
    } else {
        w.raw("output_tokens_details", "null");
    }
    if usage.web_searches > 0 {
        let mut tools = Writer::open(w.key("server_tool_use"));
        tools.put("web_search_requests", &usage.web_searches).put("web_fetch_requests", &0);
        tools.close();
    } else {
        w.raw("server_tool_use", "null");
    }
    w.put("service_tier", &start.service_tier);
    w.raw("inference_geo", "null");
    if priced && usage.estimated {
        w.put("estimated", &true);
    }
    if priced {
        write_cost(&mut w, usage, stamp, AS_IN_CHAT);
    }
    w.close();
}

/// The money, in OpenRouter's words. `split`: under which names the two sides of the provider's price are told.
pub fn write_cost(w: &mut Writer<'_>, usage: &Usage, stamp: &Stamp, split: [&str; 2]) {
    let bill = stamp.bill(usage);
    w.raw("cost", &bill.charged.to_usd_string());
    if !bill.known {
        w.put("cost_unknown", &true);
    }
    w.put("is_byok", &stamp.byok);
    let mut details = Writer::open(w.key("cost_details"));
    if stamp.byok && bill.known {
        details.raw("upstream_inference_cost", &bill.upstream.total.to_usd_string());
    } else {
        // Some clients add this to `cost`; repeating the charge here would make them count it twice.
        details.raw("upstream_inference_cost", "null");
    }
    let [input, output] = split;
    details.raw(input, &bill.upstream.input.to_usd_string()).raw(output, &bill.upstream.output.to_usd_string());
    details.close();
}

/// The names that chat completions have for the two sides of a price.
pub const AS_IN_CHAT: [&str; 2] = ["upstream_inference_prompt_cost", "upstream_inference_completions_cost"];

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(rows: &[&str]) -> Option<Usage> {
        let mut counts = Counts::default();
        for row in rows {
            counts.absorb(serde_json::from_str(row).expect("a row is JSON"));
        }
        counts.usage()
    }

    #[test]
    fn the_last_count_said_of_each_class_counts() {
        let rows: &[(&[&str], Usage)] = &[
            (
                &[r#"{"input_tokens":727,"output_tokens":1}"#, r#"{"input_tokens":1595,"output_tokens":158}"#],
                Usage { input: 1595, output: 158, ..Usage::default() },
            ),
            (
                &[
                    r#"{"input_tokens":4,"cache_read_input_tokens":10,"cache_creation_input_tokens":0,"output_tokens":1,
                       "cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0}}"#,
                    r#"{"input_tokens":null,"cache_creation_input_tokens":379,"output_tokens":290,
                       "output_tokens_details":{"thinking_tokens":19}}"#,
                ],
                Usage { input: 4, cache_read: 10, cache_write: 379, output: 271, reasoning: 19, ..Usage::default() },
            ),
            (
                &[r#"{"input_tokens":1,"output_tokens":2,"cache_creation_input_tokens":30,
                    "cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},
                    "server_tool_use":{"web_search_requests":3}}"#],
                Usage { input: 1, output: 2, cache_write: 10, cache_write_1h: 20, web_searches: 3, ..Usage::default() },
            ),
            (
                &[
                    r#"{"input_tokens":5,"output_tokens":6,"cost":0.0123456789012}"#,
                    r#"{"input_tokens":-5,"output_tokens":1e300,"cache_read_input_tokens":"x"}"#,
                    r#"[]"#,
                ],
                Usage { input: 5, output: 6, upstream_cost: Some(Nano(12_345_678)), ..Usage::default() },
            ),
        ];
        for (said, want) in rows {
            assert_eq!(counted(said).as_ref(), Some(want), "{said:?}");
        }
        assert_eq!(counted(&["{}"]), None);
    }
}
