//! Token counts as Converse counts them, both ways.
//!
//! `inputTokens` excludes what was read from or written to the cache; `outputTokens` includes reasoning, which is never told apart.
//! The cache counters come under two names each, and are one count.

use crate::Stamp;
use crate::anthropic::usage::{AS_IN_CHAT, write_cost};
use crate::json;
use crate::object::{Object, Writer, array, whole};
use serde_json::Number;
use serde_json::value::RawValue;
use slip_ir::{Tier, Usage};

/// More tokens than any reply could have: a count above it is a defect of the upstream, not a bill.
const MOST_TOKENS: u64 = 10_000_000_000;

/// `None` where nothing was counted.
pub fn read(usage: &RawValue) -> Option<Usage> {
    let mut o = Object::parse(usage.get(), "").ok()?;
    let mut count = |names: &[&str]| {
        let said: Vec<u64> = names.iter().filter_map(|name| counted(o.take(name)?)).collect();
        said.into_iter().max()
    };
    let (input, output) = (count(&["inputTokens"]), count(&["outputTokens"]));
    let read = count(&["cacheReadInputTokens", "cacheReadInputTokenCount"]).unwrap_or(0);
    let written = count(&["cacheWriteInputTokens", "cacheWriteInputTokenCount"]).unwrap_or(0);
    let mut hour = 0;
    for detail in o.array("cacheDetails", "").ok().flatten().unwrap_or_default() {
        let Ok(mut detail) = Object::parse(detail.get(), "") else { continue };
        if detail.string("ttl", "").ok().flatten().as_deref() == Some("1h") {
            hour += detail.take("inputTokens").and_then(counted).unwrap_or(0);
        }
    }
    let hour = hour.min(written);
    input.or(output)?;
    Some(Usage {
        input: input.unwrap_or(0),
        output: output.unwrap_or(0),
        cache_read: read,
        cache_write: written - hour,
        cache_write_1h: hour,
        ..Usage::default()
    })
}

/// The tier of service a reply names, beside its usage.
pub fn served(tier: Option<&[u8]>) -> Option<Tier> {
    Tier::parse(&json::string(json::field(tier?, "type")?)?)
}

fn counted(raw: &RawValue) -> Option<u64> {
    serde_json::from_str::<Number>(raw.get()).ok().as_ref().and_then(whole).filter(|n| *n <= MOST_TOKENS)
}

/// The `usage` object of a reply.
pub fn write(out: &mut Vec<u8>, usage: &Usage, stamp: &Stamp) {
    let written = usage.cache_write.saturating_add(usage.cache_write_1h);
    let mut w = Writer::open(out);
    w.put("inputTokens", &usage.input.saturating_add(usage.audio_in).saturating_add(usage.image_in));
    w.put("outputTokens", &usage.completion_total()).put("totalTokens", &usage.total());
    w.put("cacheReadInputTokens", &usage.cache_read).put("cacheWriteInputTokens", &written);
    let details = [("5m", usage.cache_write), ("1h", usage.cache_write_1h)];
    if written > 0 {
        let kept = details.iter().filter(|(_, tokens)| *tokens > 0);
        array(w.key("cacheDetails"), kept, |out, (ttl, tokens)| {
            let mut w = Writer::open(out);
            w.put("ttl", ttl).put("inputTokens", tokens);
            w.close();
        });
    }
    if usage.estimated {
        w.put("estimated", &true);
    }
    write_cost(&mut w, usage, stamp, AS_IN_CHAT);
    w.close();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_is_counted_once() {
        let rows = [
            (
                r#"{"inputTokens":12,"outputTokens":250,"totalTokens":1290,"cacheReadInputTokens":1028,"cacheReadInputTokenCount":1028}"#,
                Some(Usage { input: 12, output: 250, cache_read: 1028, ..Usage::default() }),
            ),
            (
                r#"{"inputTokens":10,"outputTokens":4,"cacheWriteInputTokens":100,"cacheDetails":[{"inputTokens":60,"ttl":"1h"},{"inputTokens":40,"ttl":"5m"}]}"#,
                Some(Usage { input: 10, output: 4, cache_write: 40, cache_write_1h: 60, ..Usage::default() }),
            ),
            (
                r#"{"inputTokens":-1,"outputTokens":4,"cacheDetails":[{"inputTokens":60,"ttl":"1h"},7]}"#,
                Some(Usage { output: 4, ..Usage::default() }),
            ),
            (r#"{"totalTokens":5}"#, None),
            ("[]", None),
        ];
        for (text, want) in rows {
            assert_eq!(read(serde_json::from_str(text).expect("a row is JSON")), want, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let usage = Usage { input: 1, cache_read: 2, cache_write: 3, cache_write_1h: 4, output: 5, ..Usage::default() };
        let mut out = Vec::new();
        write(&mut out, &usage, &Stamp::default());
        let value: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!(value["totalTokens"], 15);
        assert_eq!(read(serde_json::from_slice(&out).expect("JSON")), Some(usage));
    }
}
