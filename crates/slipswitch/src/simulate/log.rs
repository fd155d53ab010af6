//! A decision log, read: what was asked, what was known, what came of it.

use super::stats::Served;
use crate::exit::{Code, Ending};
use serde_json::Value;
use slip_ir::{FaultKind, MediaKind, Op, Raw, Tier, Usage, Want};
use slip_route::Vital;
use slip_route::vocabulary::PARAMETERS;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// More is not read: the figures do not change with it any more.
const MAX_REQUESTS: usize = 200_000;
const MAX_LINE: u64 = 1024 * 1024;

pub struct Request {
    pub at_ms: u64,
    pub models: Vec<String>,
    pub rules: Option<Raw>,
    pub want: Want,
    pub known: Vec<Known>,
    pub usage: Usage,
    cost: Option<f64>,
    first_ms: f64,
    total_ms: f64,
    failed: bool,
    attempts: u32,
}

/// An endpoint as it was known to be.
pub struct Known {
    pub tag: String,
    pub model: String,
    pub live: Vital,
    pub cooled: bool,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcome {
    /// To the first content, or to the failure.
    pub ms: f64,
    /// Of what was written after it.
    pub ms_per_token: f64,
    pub fault: Option<FaultKind>,
}

#[derive(Default)]
pub struct Log {
    pub requests: Vec<Request>,
    outcomes: HashMap<(String, String), Vec<Outcome>>,
    /// Lines nobody could read.
    pub strange: usize,
    pub dropped: u64,
}

impl Request {
    /// How it really went.
    pub fn served(&self) -> Served {
        let Request { cost, first_ms, total_ms, failed, attempts, .. } = *self;
        Served { cost: cost.filter(|_| !failed), first_ms, total_ms, failed, attempts }
    }

    pub fn completion(&self) -> u64 {
        self.usage.output
    }
}

impl Log {
    pub fn read(path: &Path) -> Result<Log, Ending> {
        let failed = |e: std::io::Error| Ending::new(Code::NotFound, format!("error: {}: {e}", path.display()));
        let mut reader = BufReader::new(std::fs::File::open(path).map_err(failed)?);
        let mut log = Log::default();
        let mut line = Vec::new();
        while log.requests.len() < MAX_REQUESTS {
            line.clear();
            if reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).map_err(failed)? == 0 {
                break;
            }
            match serde_json::from_slice::<Value>(&line) {
                Ok(value) if value["dropped"].is_u64() => log.dropped += value["dropped"].as_u64().unwrap_or(0),
                Ok(value) if value["models"].is_array() => log.take(&value),
                _ => log.strange += 1,
            }
        }
        Ok(log)
    }

    /// How attempts at this endpoint ended.
    pub fn outcomes(&self, tag: &str, model: &str) -> &[Outcome] {
        self.outcomes.get(&(tag.to_owned(), model.to_owned())).map(Vec::as_slice).unwrap_or_default()
    }

    fn take(&mut self, line: &Value) {
        let known: Vec<Known> = each(&line["endpoints"]).iter().map(known).collect();
        let prompt = number(&line["usage"]["prompt"]);
        let cached = number(&line["usage"]["cached"]).min(prompt);
        let output = number(&line["usage"]["completion"]);
        let status = number(&line["status"]);
        let (first, total) = (line["ttft_ms"].as_f64(), line["total_ms"].as_f64().unwrap_or(0.0));
        for attempt in each(&line["attempts"]) {
            let Some(at) = known.iter().find(|k| attempt["endpoint"] == *k.tag) else { continue };
            let reason = attempt["fault"].as_str();
            let fault = reason.map(|reason| {
                FaultKind::ALL.into_iter().find(|kind| kind.reason() == reason).unwrap_or(FaultKind::Upstream)
            });
            let after = (total - first.unwrap_or(total)).max(0.0);
            let outcome = Outcome {
                ms: attempt["ms"].as_f64().unwrap_or(0.0),
                ms_per_token: if fault.is_none() && output > 0 { after / output as f64 } else { 0.0 },
                fault,
            };
            self.outcomes.entry((at.tag.clone(), at.model.clone())).or_default().push(outcome);
        }
        let rules = (!line["provider"].is_null()).then(|| Raw::parse(line["provider"].to_string())).flatten();
        self.requests.push(Request {
            at_ms: number(&line["at_ms"]),
            models: each(&line["models"]).iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            rules,
            want: want(line),
            known,
            usage: Usage { input: prompt - cached, cache_read: cached, output, ..Usage::default() },
            cost: line["cost_nano"].as_f64(),
            first_ms: first.unwrap_or(total),
            total_ms: total,
            failed: status != 200,
            attempts: u32::try_from(each(&line["attempts"]).len()).unwrap_or(u32::MAX),
        });
    }
}

fn each(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn known(one: &Value) -> Known {
    let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
    let small = |name: &str| one[name].as_u64().and_then(|n| u32::try_from(n).ok());
    Known {
        tag: text("endpoint"),
        model: text("model"),
        cooled: one["cooled"] == true,
        live: Vital {
            odds: one["odds"].as_f64().unwrap_or(1.0) as f32,
            ttft_ms: small("ttft_ms"),
            peak_ms: small("ttft_ms"),
            tokens_per_second: small("tokens_per_second"),
            output_tokens: small("output_tokens"),
            cached_permille: small("cached_permille").unwrap_or(0).min(1000) as u16,
            in_flight: small("in_flight").unwrap_or(0),
            ..Vital::default()
        },
    }
}

fn want(line: &Value) -> Want {
    let flag = |name: &str| line[name] == true;
    let mut want = Want {
        op: Op::ALL.into_iter().find(|op| line["operation"] == op.name()).unwrap_or_default(),
        stream: flag("stream"),
        tools: flag("tools"),
        json_object: flag("json_object"),
        json_schema: flag("json_schema"),
        reasoning: flag("reasoning"),
        prompt_tokens: number(&line["prompt_tokens"]),
        max_tokens: line["max_tokens"].as_u64(),
        n: line["choices"].as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or(1),
        params: PARAMETERS.into_iter().filter(|p| each(&line["parameters"]).iter().any(|have| have == p)).collect(),
        tier: line["service_tier"].as_str().and_then(Tier::parse),
        ..Want::default()
    };
    for kind in [MediaKind::Image, MediaKind::Audio, MediaKind::Video, MediaKind::File] {
        if each(&line["media"]).iter().any(|have| have == kind.name()) {
            want.media.insert(kind);
        }
    }
    want
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let mut log = Log::default();
        log.take(&json!({
            "at_ms": 5, "models": ["m/a"], "provider": { "sort": "price" }, "operation": "chat", "tools": true,
            "parameters": ["tools", "seed"], "prompt_tokens": 100, "media": ["image"], "status": 200,
            "endpoints": [{ "endpoint": "lab", "model": "m/a", "odds": 0.5, "ttft_ms": 80, "cooled": true }],
            "attempts": [{ "endpoint": "lab", "status": 503, "ms": 7, "fault": "upstream_error" },
                         { "endpoint": "lab", "status": 200, "ms": 20 }],
            "usage": { "prompt": 90, "cached": 30, "completion": 10 }, "cost_nano": 1500, "ttft_ms": 30, "total_ms": 130,
        }));
        let one = &log.requests[0];
        assert_eq!((one.usage.input, one.usage.cache_read, one.usage.output), (60, 30, 10));
        assert!(one.want.tools && one.want.media.contains(MediaKind::Image) && one.want.params == ["seed", "tools"]);
        assert!(one.known[0].cooled && one.known[0].live.ttft_ms == Some(80));
        assert_eq!(
            one.served(),
            Served { cost: Some(1500.0), first_ms: 30.0, total_ms: 130.0, failed: false, attempts: 2 }
        );
        let outcomes = log.outcomes("lab", "m/a");
        assert_eq!(outcomes.len(), 2);
        assert!(outcomes[0].fault.is_some());
        assert_eq!(outcomes[1], Outcome { ms: 20.0, ms_per_token: 10.0, fault: None });
    }
}
