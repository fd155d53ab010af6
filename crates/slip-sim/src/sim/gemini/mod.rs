//! Google Gemini `generateContent` and `streamGenerateContent`. Reading is in `read.rs` and `contents.rs`, the
//! schema subset in `subset.rs`.
//!
//! A stream's lines end in CRLF and it has no terminator; without `alt=sse` it is one JSON array. Usage is on every chunk and
//! cumulative. A reply with calls finishes with STOP like any other.

mod contents;
mod object;
mod read;
mod subset;

use super::ask::{Ask, Refusal, Thinking, Why, mix};
use super::mind::{Answer, Call, Choice, Finish};
use super::sign;
use super::speak::{Event, Route, Shape, Speak, Told, bearer};
use crate::fault::Mode;
use crate::http::Incoming;
use bytes::Bytes;
use serde_json::{Value, json};

pub(crate) struct Gemini;

impl Speak for Gemini {
    fn base(&self) -> &'static str {
        "/v1beta"
    }

    fn route(&self, request: &Incoming) -> Route {
        let path = request.path();
        let Some(rest) = path.strip_prefix("/v1beta/models").or_else(|| path.strip_prefix("/v1/models")) else {
            return Route::Lost;
        };
        match request.method.as_str() {
            "GET" if rest.is_empty() => Route::Models,
            "POST" if target(request).is_some() => Route::Generate,
            _ => Route::Lost,
        }
    }

    fn credential(&self, request: &Incoming) -> Option<String> {
        let own = request.header("x-goog-api-key").or_else(|| request.query("key"));
        own.map(str::to_owned).or_else(|| bearer(request))
    }

    fn ask(&self, request: &Incoming, body: &Value) -> Result<Ask, Refusal> {
        let (model, stream) = target(request).unwrap_or_default();
        read::ask(body, model, stream)
    }

    fn whole(&self, ask: &Ask, answer: &Answer, shape: Shape) -> Value {
        let candidate = |(index, choice): (usize, &Choice)| {
            let mut content = json!({"role": "model"});
            let parts = parts(ask, choice);
            if !parts.is_empty() {
                content["parts"] = parts.into();
            }
            let mut candidate = json!({"content": content, "finishReason": finish(&choice.finish), "index": index});
            if let Some(top) = ask.logprobs {
                candidate["logprobsResult"] = logprobs(&choice.text, top);
                candidate["avgLogprobs"] = json!(-0.1);
            }
            candidate
        };
        let candidates = answer.choices.iter().enumerate().map(candidate).collect();
        let counted = (answer.completion_tokens() - answer.reasoning_tokens(), answer.reasoning_tokens());
        envelope(ask, candidates, shape.usage.then(|| usage(answer, counted)))
    }

    fn stream(&self, request: &Incoming, ask: &Ask, answer: &Answer, shape: Shape) -> Vec<Event> {
        let mut turns: Vec<_> = answer.choices.iter().enumerate().map(|(i, c)| pieces(ask, i, c).into_iter()).collect();
        let (mut said, mut thought) = (0, 0);
        let mut out = Vec::new();
        loop {
            let round: Vec<Piece> = turns.iter_mut().filter_map(Iterator::next).collect();
            if round.is_empty() {
                break;
            }
            for (candidate, tokens, thoughts) in round {
                said += tokens;
                thought += thoughts;
                let usage = shape.usage.then(|| usage(answer, (said, thought)));
                let body = envelope(ask, vec![candidate], usage);
                let bytes = framed(request, &body, out.is_empty());
                out.push(Event { bytes, tokens: tokens + thoughts });
            }
        }
        if shape.done && !sse(request) {
            out.push(Event { bytes: Bytes::from_static(b"]\r\n"), tokens: 0 });
        }
        out
    }

    fn stream_type(&self, request: &Incoming) -> &'static str {
        if sse(request) { "text/event-stream" } else { "application/json; charset=UTF-8" }
    }

    fn refusal(&self, refusal: &Refusal, _: u64) -> Told {
        // The delay is told in the body only.
        let status = if refusal.kind == Why::Auth { 400 } else { refusal.status };
        Told { status, headers: Vec::new(), body: error(refusal) }
    }

    fn error_event(&self, request: &Incoming, refusal: &Refusal, _: u64) -> Bytes {
        framed(request, &error(refusal), false)
    }

    fn models(&self, models: &[String]) -> Value {
        let of = |id: &String| {
            json!({
                "name": format!("models/{id}"),
                "displayName": id,
                "version": "1",
                "inputTokenLimit": 1_048_576,
                "outputTokenLimit": 65_536,
                "supportedGenerationMethods": ["generateContent", "countTokens"],
            })
        };
        json!({"models": models.iter().map(of).collect::<Vec<_>>()})
    }

    fn mode_refusal(&self, mode: &Mode) -> Option<Refusal> {
        Some(match mode {
            Mode::Auth => Refusal::new(400, Why::Auth, "API key not valid. Please pass a valid API key."),
            Mode::Quota => {
                Refusal::new(429, Why::Quota, "You exceeded your current quota, check your plan and billing")
            }
            Mode::Context => {
                let message = "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576).";
                Refusal::new(400, Why::Context, message)
            }
            _ => return None,
        })
    }
}

/// The model and whether it shall stream: `/v1beta/models/a%2Fb:streamGenerateContent`.
fn target(request: &Incoming) -> Option<(String, bool)> {
    let (_, rest) = request.path().split_once("/models/")?;
    let (model, verb) = rest.rsplit_once(':')?;
    let stream = match verb {
        "generateContent" => false,
        "streamGenerateContent" => true,
        _ => return None,
    };
    Some((percent_decoded(model), stream)).filter(|(model, _)| !model.is_empty())
}

fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes().iter();
    while let Some(&byte) = bytes.next() {
        let code = (byte == b'%').then(|| bytes.as_slice().get(..2)).flatten();
        let code = code.and_then(|c| std::str::from_utf8(c).ok()).and_then(|c| u8::from_str_radix(c, 16).ok());
        out.push(code.unwrap_or(byte));
        if code.is_some() {
            bytes.nth(1);
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn sse(request: &Incoming) -> bool {
    request.query("alt") == Some("sse")
}

fn framed(request: &Incoming, body: &Value, first: bool) -> Bytes {
    match (sse(request), first) {
        (true, _) => format!("data: {body}\r\n\r\n").into(),
        (false, true) => format!("[{body}").into(),
        (false, false) => format!(",\r\n{body}").into(),
    }
}

fn envelope(ask: &Ask, candidates: Vec<Value>, usage: Option<Value>) -> Value {
    let mut body =
        json!({"candidates": candidates, "modelVersion": ask.model, "responseId": format!("{:016x}", ask.id)});
    if let Some(usage) = usage {
        body["usageMetadata"] = usage;
    }
    body
}

/// The newer family gives its calls ids and signs without being asked to show its thoughts.
fn newer(ask: &Ask) -> bool {
    ask.model.contains("gemini-3")
}

fn signs(ask: &Ask) -> bool {
    newer(ask) || ask.thinking != Thinking::Off
}

/// A call, signed if it is the first of several.
fn call_part(ask: &Ask, nth: usize, call: &Call) -> Value {
    let mut function = json!({"name": call.name, "args": call.args});
    if newer(ask) {
        function["id"] = format!("{:08x}", call.id as u32).into();
    }
    let mut part = json!({"functionCall": function});
    if nth == 0 && signs(ask) {
        part["thoughtSignature"] = sign::sign(mix(ask.id, 78), &contents::signed(&call.name, &call.args)).into();
    }
    part
}

/// A call that was cut short is not told at all.
fn told(choice: &Choice) -> impl Iterator<Item = &Call> {
    let whole = choice.finish != Finish::Length;
    choice.calls.iter().filter(move |c| whole || serde_json::from_str::<Value>(&c.pieces.concat()).is_ok())
}

fn parts(ask: &Ask, choice: &Choice) -> Vec<Value> {
    let mut out = Vec::new();
    if ask.thinking == Thinking::Shown && !choice.reasoning.is_empty() {
        out.push(json!({"text": choice.reasoning.concat(), "thought": true}));
    }
    if !choice.text.is_empty() {
        let mut part = json!({"text": choice.text.concat()});
        if signs(ask) {
            part["thoughtSignature"] = text_signature(ask).into();
        }
        out.push(part);
    }
    out.extend(told(choice).enumerate().map(|(nth, call)| call_part(ask, nth, call)));
    out
}

fn text_signature(ask: &Ask) -> String {
    sign::sign(mix(ask.id, 79), "")
}

/// A candidate, and the tokens of text and of thought it carries.
type Piece = (Value, u64, u64);

fn pieces(ask: &Ask, index: usize, choice: &Choice) -> Vec<Piece> {
    let of = |part: Value| json!({"content": {"role": "model", "parts": [part]}, "index": index});
    let mut out: Vec<Piece> = Vec::new();
    // Thoughts that are not shown are counted on what comes next.
    let mut hidden = choice.reasoning_tokens();
    if ask.thinking == Thinking::Shown {
        hidden = 0;
        out.extend(choice.reasoning.iter().map(|p| (of(json!({"text": p, "thought": true})), 0, 1)));
    }
    for (nth, piece) in choice.text.iter().enumerate() {
        let mut candidate = of(json!({"text": piece}));
        if let Some(top) = ask.logprobs {
            candidate["logprobsResult"] = logprobs_from(std::slice::from_ref(piece), nth, top);
        }
        out.push((candidate, 1, std::mem::take(&mut hidden)));
    }
    let mut untold: u64 = choice.calls.iter().map(|c| 1 + c.pieces.len() as u64).sum();
    for (nth, call) in told(choice).enumerate() {
        let tokens = 1 + call.pieces.len() as u64;
        untold -= tokens;
        out.push((of(call_part(ask, nth, call)), tokens, std::mem::take(&mut hidden)));
    }
    let mut last = json!({"text": ""});
    if signs(ask) && choice.calls.is_empty() {
        last["thoughtSignature"] = text_signature(ask).into();
    }
    let mut candidate = of(last);
    candidate["finishReason"] = finish(&choice.finish).into();
    out.push((candidate, untold, hidden));
    out
}

fn finish(finish: &Finish) -> &'static str {
    match finish {
        Finish::Length => "MAX_TOKENS",
        Finish::Stop | Finish::Sequence(_) | Finish::Calls => "STOP",
    }
}

fn logprobs(tokens: &[String], top: u64) -> Value {
    logprobs_from(tokens, 0, top)
}

/// As in the other dialects: e^-0.1 … e^-0.5, and around again.
fn logprobs_from(tokens: &[String], first: usize, top: u64) -> Value {
    let one = |token: String, logprob: f64| json!({"token": token, "logProbability": logprob});
    let logprob = |nth: usize| -0.1 * ((first + nth) % 5 + 1) as f64;
    let chosen: Vec<Value> = tokens.iter().enumerate().map(|(n, t)| one(t.clone(), logprob(n))).collect();
    let alternatives = |(n, t): (usize, &String)| -> Value {
        let of = |i: u64| match i {
            0 => one(t.clone(), logprob(n)),
            _ => one(format!("{t}~{i}"), logprob(n) - i as f64),
        };
        json!({"candidates": (0..top).map(of).collect::<Vec<_>>()})
    };
    let tops: Vec<Value> = tokens.iter().enumerate().map(alternatives).collect();
    json!({"chosenCandidates": chosen, "topCandidates": tops})
}

/// Nothing is told of what is zero.
fn usage(answer: &Answer, (said, thought): (u64, u64)) -> Value {
    let mut usage = json!({
        "promptTokenCount": answer.prompt_tokens,
        "totalTokenCount": answer.prompt_tokens + said + thought,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": answer.prompt_tokens}],
    });
    for (member, count) in
        [("candidatesTokenCount", said), ("thoughtsTokenCount", thought), ("cachedContentTokenCount", answer.cached)]
    {
        if count > 0 {
            usage[member] = count.into();
        }
    }
    usage
}

fn error(refusal: &Refusal) -> Value {
    let (code, status) = match (refusal.kind, refusal.status) {
        (Why::Auth, _) => (400, "INVALID_ARGUMENT"),
        (_, 401) => (401, "UNAUTHENTICATED"),
        (_, 403) => (403, "PERMISSION_DENIED"),
        (_, 404) => (404, "NOT_FOUND"),
        (_, 429) => (429, "RESOURCE_EXHAUSTED"),
        (_, 503) => (503, "UNAVAILABLE"),
        (_, 504) => (504, "DEADLINE_EXCEEDED"),
        (_, code @ 500..) => (code, "INTERNAL"),
        (_, code) => (code, "INVALID_ARGUMENT"),
    };
    let mut details = Vec::new();
    if refusal.kind == Why::Auth {
        let kind = "type.googleapis.com/google.rpc.ErrorInfo";
        details.push(json!({"@type": kind, "reason": "API_KEY_INVALID", "domain": "googleapis.com"}));
    }
    if refusal.kind == Why::Quota {
        let violation = json!({"quotaMetric": "generate_content_requests", "quotaId": "GenerateRequestsPerDay"});
        details.push(json!({"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}));
    }
    if let Some(after) = refusal.retry_after {
        details.push(json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": format!("{after}s")}));
    }
    let mut error = json!({"code": code, "message": refusal.message, "status": status});
    if !details.is_empty() {
        error["details"] = details.into();
    }
    json!({"error": error})
}
