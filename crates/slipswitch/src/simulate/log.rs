//! A decision log, read: what was asked, what was known, what came of it.

use crate::exit::{Code, Ending};
use serde_json::Value;
use slip_ir::{FaultKind, MediaKind, Op, Raw, Tier, Want};
use slip_lab::Call;
use slip_lab::compare::Served;
use slip_lab::past::Seen;
use slip_route::vocabulary::PARAMETERS;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

/// More is not read: the figures do not change with it any more.
const MAX_REQUESTS: usize = 200_000;
const MAX_LINE: u64 = 1024 * 1024;

pub struct Request {
    pub at_ms: u64,
    pub models: Vec<String>,
    pub rules: Option<Raw>,
    pub want: Want,
    prompt: u64,
    cached: u64,
    output: u64,
    limited: u32,
    cost: Option<f64>,
    first_ms: f64,
    total_ms: f64,
    failed: bool,
    attempts: u32,
}

#[derive(Default)]
pub struct Log {
    pub requests: Vec<Request>,
    /// When its first request came.
    pub dawn_ms: u64,
    seen: HashMap<(String, String), Vec<Seen>>,
    /// Lines nobody could read.
    pub strange: usize,
    pub dropped: u64,
}

impl Request {
    /// How it really went.
    pub fn served(&self) -> Served {
        let Request { cost, first_ms, total_ms, failed, attempts, limited, prompt, cached, .. } = *self;
        if failed {
            return Served { limited, ..Served::failed(total_ms, attempts) };
        }
        Served { cost, first_ms, total_ms, failed, attempts, limited, prompt, cached }
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
        log.begin();
        Ok(log)
    }

    /// Times count from the first request.
    fn begin(&mut self) {
        self.dawn_ms = self.requests.iter().map(|one| one.at_ms).min().unwrap_or(0);
        for one in self.seen.values_mut().flatten() {
            one.at_ms = one.at_ms.saturating_sub(self.dawn_ms);
        }
    }

    /// How attempts at this endpoint ended.
    pub fn seen(&self, tag: &str, model: &str) -> &[Seen] {
        self.seen.get(&(tag.to_owned(), model.to_owned())).map(Vec::as_slice).unwrap_or_default()
    }

    /// The requests as calls of the laboratory. Nobody knows how long an answer would have been that never came: as the others.
    pub fn calls(&self) -> Vec<Call> {
        let answered = || self.requests.iter().filter(|one| !one.failed);
        let usual = answered().map(|one| one.output).sum::<u64>() / answered().count().max(1) as u64;
        let small = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        let call = |one: &Request| Call {
            at_ms: one.at_ms.saturating_sub(self.dawn_ms),
            prompt: small(if one.prompt > 0 { one.prompt } else { one.want.prompt_tokens }),
            output: small(if one.failed { usual } else { one.output }),
            blocks: Arc::new([]),
        };
        self.requests.iter().map(call).collect()
    }

    fn take(&mut self, line: &Value) {
        let prompt = number(&line["usage"]["prompt"]);
        let cached = number(&line["usage"]["cached"]).min(prompt);
        let output = number(&line["usage"]["completion"]);
        let at_ms = number(&line["at_ms"]);
        let (first, total) = (line["ttft_ms"].as_f64(), line["total_ms"].as_f64().unwrap_or(0.0));
        let broke = number(&line["status"]) == 200 && line["error"].is_string();
        let request = u32::try_from(self.requests.len()).unwrap_or(u32::MAX);
        let (mut attempts, mut limited) = (0, 0);
        for attempt in each(&line["attempts"]) {
            let reason = attempt["fault"].as_str();
            // One that was hung up on because another was quicker shows nothing.
            if reason.is_none() && attempt["status"].is_null() {
                continue;
            }
            let fault = reason.map(|reason| {
                FaultKind::ALL.into_iter().find(|kind| kind.reason() == reason).unwrap_or(FaultKind::Upstream)
            });
            attempts += 1;
            limited += u32::from(fault == Some(FaultKind::RateLimited));
            let known = each(&line["endpoints"]).iter().find(|known| known["endpoint"] == attempt["endpoint"]);
            let named = known.and_then(|known| Some((known["endpoint"].as_str()?, known["model"].as_str()?)));
            let Some((tag, model)) = named else { continue };
            let after = (total - first.unwrap_or(total)).max(0.0);
            let good = fault.is_none();
            let seen = Seen {
                at_ms,
                request,
                ms: attempt["ms"].as_f64().unwrap_or(0.0),
                ms_per_token: if good && output > 0 { after / output as f64 } else { 0.0 },
                fault,
                broke: broke && good,
                cached: if prompt > 0 { cached as f64 / prompt as f64 } else { 0.0 },
                output,
            };
            self.seen.entry((tag.to_owned(), model.to_owned())).or_default().push(seen);
        }
        let rules = (!line["provider"].is_null()).then(|| Raw::parse(line["provider"].to_string())).flatten();
        self.requests.push(Request {
            at_ms,
            models: each(&line["models"]).iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            rules,
            want: want(line),
            prompt,
            cached,
            output,
            limited,
            cost: line["cost_nano"].as_f64(),
            first_ms: first.unwrap_or(total),
            total_ms: total,
            failed: number(&line["status"]) != 200 || broke,
            attempts,
        });
    }
}

fn each(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
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
            "attempts": [{ "endpoint": "lab", "status": 429, "ms": 7, "fault": "rate_limited" },
                         { "endpoint": "lab", "status": 200, "ms": 20 }],
            "usage": { "prompt": 90, "cached": 30, "completion": 10 }, "cost_nano": 1500, "ttft_ms": 30, "total_ms": 130,
        }));
        log.begin();
        let one = &log.requests[0];
        assert_eq!((one.prompt, one.cached, one.output), (90, 30, 10));
        assert!(one.want.tools && one.want.media.contains(MediaKind::Image) && one.want.params == ["seed", "tools"]);
        let (attempts, limited) = (2, 1);
        let served = Served {
            cost: Some(1500.0),
            first_ms: 30.0,
            total_ms: 130.0,
            failed: false,
            attempts,
            limited,
            prompt: 90,
            cached: 30,
        };
        assert_eq!(one.served(), served);
        let [failed, answered] = log.seen("lab", "m/a") else { panic!("two attempts") };
        assert_eq!((failed.fault, failed.ms, failed.at_ms), (Some(FaultKind::RateLimited), 7.0, 0));
        assert_eq!(
            (answered.fault, answered.ms, answered.ms_per_token, answered.cached),
            (None, 20.0, 10.0, 1.0 / 3.0)
        );
        let call = &log.calls()[0];
        assert_eq!((call.at_ms, call.prompt, call.output), (0, 90, 10));
    }
}
