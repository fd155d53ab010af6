//! Amazon Bedrock's Converse and ConverseStream. Reading is in `read.rs`, framing in `frames.rs`.

mod frames;
mod read;

use super::ask::{Ask, Refusal, Thinking, Why, mix};
use super::mind::{Answer, Call, Choice, Finish};
use super::sign;
use super::speak::{Event, Route, Shape, Speak, Told, bearer};
use crate::fault::Mode;
use crate::http::Incoming;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
#[cfg(test)]
pub(crate) use frames::crc32;
use serde_json::{Value, json};

/// Every payload is padded to a length that tells nothing about it.
const PADDING: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

pub(crate) struct Bedrock;

impl Speak for Bedrock {
    fn base(&self) -> &'static str {
        ""
    }

    fn route(&self, request: &Incoming) -> Route {
        match (request.method.as_str(), target(request)) {
            ("POST", Some(_)) => Route::Generate,
            _ => Route::Lost,
        }
    }

    fn credential(&self, request: &Incoming) -> Option<String> {
        bearer(request)
    }

    fn ask(&self, request: &Incoming, body: &Value) -> Result<Ask, Refusal> {
        let (model, stream) = target(request).unwrap_or_default();
        if model.is_empty() {
            return Err(Refusal::invalid("The provided model identifier is invalid."));
        }
        read::ask(body, model, stream)
    }

    fn whole(&self, ask: &Ask, answer: &Answer, shape: Shape) -> Value {
        let Some(choice) = answer.choices.first() else { return Value::Null };
        let mut body = json!({
            "metrics": {"latencyMs": 7},
            "output": {"message": {"role": "assistant", "content": blocks(ask, choice)}},
            "stopReason": stop(&choice.finish),
        });
        if shape.usage {
            body["usage"] = usage(ask, answer);
        }
        body
    }

    fn stream(&self, _: &Incoming, ask: &Ask, answer: &Answer, shape: Shape) -> Vec<Event> {
        let Some(choice) = answer.choices.first() else { return Vec::new() };
        let mut out = vec![event("messageStart", json!({"role": "assistant"}), 0)];
        for (index, (start, deltas)) in pieces(ask, choice).into_iter().enumerate() {
            // Nothing begins a text.
            if let Some(start) = start {
                out.push(event("contentBlockStart", json!({"contentBlockIndex": index, "start": start}), 1));
            }
            for (delta, tokens) in deltas {
                out.push(event("contentBlockDelta", json!({"contentBlockIndex": index, "delta": delta}), tokens));
            }
            out.push(event("contentBlockStop", json!({ "contentBlockIndex": index }), 0));
        }
        out.push(event("messageStop", json!({"stopReason": stop(&choice.finish)}), 0));
        if shape.done {
            let mut metadata = json!({"metrics": {"latencyMs": 7}});
            if shape.usage {
                metadata["usage"] = usage(ask, answer);
            }
            out.push(event("metadata", metadata, 0));
        }
        out
    }

    fn stream_type(&self, _: &Incoming) -> &'static str {
        "application/vnd.amazon.eventstream"
    }

    fn refusal(&self, refusal: &Refusal, id: u64) -> Told {
        let class = format!("{}:http://internal.amazon.com/coral/com.amazon.bedrock/", class(refusal));
        let mut headers = vec![
            ("x-amzn-errortype".to_owned(), class),
            (
                "x-amzn-requestid".to_owned(),
                format!("00000000-0000-0000-{:04x}-{:012x}", id >> 48, id & 0xffff_ffff_ffff),
            ),
        ];
        if let Some(after) = refusal.retry_after {
            headers.push(("retry-after".to_owned(), after.to_string()));
        }
        Told { status: refusal.status, headers, body: json!({"message": refusal.message}) }
    }

    fn error_event(&self, _: &Incoming, refusal: &Refusal, _: u64) -> Bytes {
        frames::message("exception", "internalServerException", &json!({"message": refusal.message}).to_string())
    }

    /// The list of models is another service's.
    fn models(&self, _: &[String]) -> Value {
        json!({})
    }

    fn mode_refusal(&self, mode: &Mode) -> Option<Refusal> {
        Some(match mode {
            Mode::Auth => Refusal::new(403, Why::Auth, "The security token included in the request is invalid."),
            Mode::Quota => Refusal::new(400, Why::Quota, "Your request exceeds the service quota for your account."),
            Mode::Context => Refusal::new(400, Why::Context, "Input is too long for requested model."),
            _ => return None,
        })
    }
}

/// The model of the path, and whether a stream is asked for.
fn target(request: &Incoming) -> Option<(String, bool)> {
    let (model, method) = request.path().strip_prefix("/model/")?.split_once('/')?;
    let stream = match method {
        "converse" => false,
        "converse-stream" => true,
        _ => return None,
    };
    let mut out = Vec::new();
    let mut bytes = model.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let hex = [bytes.next()?, bytes.next()?];
        out.push(u8::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok()?);
    }
    Some((String::from_utf8(out).ok()?, stream))
}

fn class(refusal: &Refusal) -> &'static str {
    match (refusal.kind, refusal.status) {
        (Why::Auth, _) => "UnrecognizedClientException",
        (Why::Quota, _) => "ServiceQuotaExceededException",
        (_, 403) => "AccessDeniedException",
        (_, 404) => "ResourceNotFoundException",
        (_, 408) => "ModelTimeoutException",
        (_, 424) => "ModelErrorException",
        (_, 429) => "ThrottlingException",
        (_, 503) => "ServiceUnavailableException",
        (_, 500..) => "InternalServerException",
        _ => "ValidationException",
    }
}

fn event(name: &str, mut payload: Value, tokens: u64) -> Event {
    let text = payload.to_string().len() % PADDING.len();
    payload["p"] = PADDING.get(..text).unwrap_or_default().into();
    Event { bytes: frames::message("event", name, &payload.to_string()), tokens }
}

fn call_id(call: &Call) -> String {
    format!("tooluse_{:016x}", call.id)
}

fn redacts(ask: &Ask) -> bool {
    ask.model.contains("redacted")
}

/// Sealed text is bytes to this API, and so is coded once more.
fn blob(ask: &Ask) -> String {
    STANDARD.encode(sign::seal(ask.id))
}

fn thought(ask: &Ask, choice: &Choice) -> (String, String) {
    let shown = if ask.thinking == Thinking::Hidden { String::new() } else { choice.reasoning.concat() };
    let signature = sign::sign(mix(ask.id, 77), &shown);
    (shown, signature)
}

fn blocks(ask: &Ask, choice: &Choice) -> Vec<Value> {
    let mut out = Vec::new();
    if !choice.reasoning.is_empty() {
        let (text, signature) = thought(ask, choice);
        out.push(match redacts(ask) {
            true => json!({"reasoningContent": {"redactedContent": blob(ask)}}),
            false => json!({"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}}),
        });
    }
    if !choice.text.is_empty() {
        out.push(json!({"text": choice.text.concat()}));
    }
    // A call cut short by the cap has no arguments yet.
    let input = |call: &Call| serde_json::from_str(&call.pieces.concat()).unwrap_or_else(|_| json!({}));
    let call = |c: &Call| json!({"toolUse": {"toolUseId": call_id(c), "name": c.name, "input": input(c)}});
    out.extend(choice.calls.iter().map(call));
    out
}

/// How a block starts, where anything says so, and its deltas with their tokens.
type Piece = (Option<Value>, Vec<(Value, u64)>);

fn pieces(ask: &Ask, choice: &Choice) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::new();
    let thoughts = choice.reasoning_tokens();
    if thoughts > 0 && redacts(ask) {
        out.push((None, vec![(json!({"reasoningContent": {"redactedContent": blob(ask)}}), thoughts)]));
    } else if thoughts > 0 {
        let (shown, signature) = thought(ask, choice);
        let delta = |piece: &String| (json!({"reasoningContent": {"text": piece}}), 1);
        let mut deltas: Vec<_> =
            if shown.is_empty() { Vec::new() } else { choice.reasoning.iter().map(delta).collect() };
        deltas
            .push((json!({"reasoningContent": {"signature": signature}}), if shown.is_empty() { thoughts } else { 0 }));
        out.push((None, deltas));
    }
    if !choice.text.is_empty() {
        out.push((None, choice.text.iter().map(|piece| (json!({"text": piece}), 1)).collect()));
    }
    for call in &choice.calls {
        let delta = |piece: &String| (json!({"toolUse": {"input": piece}}), 1);
        let start = json!({"toolUse": {"toolUseId": call_id(call), "name": call.name}});
        out.push((Some(start), call.pieces.iter().map(delta).collect()));
    }
    out
}

fn stop(finish: &Finish) -> &'static str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::Sequence(_) => "stop_sequence",
        Finish::Calls => "tool_use",
    }
}

/// The three kinds of input are apart from each other; the cache's counters have two names each.
fn usage(ask: &Ask, answer: &Answer) -> Value {
    let output = answer.completion_tokens();
    let mut usage = json!({
        "inputTokens": answer.prompt_tokens - answer.cached - answer.cache_written,
        "outputTokens": output,
        "totalTokens": answer.prompt_tokens + output,
        "serverToolUsage": {},
    });
    if ask.caches {
        for (name, count) in [("cacheReadInputToken", answer.cached), ("cacheWriteInputToken", answer.cache_written)] {
            usage[format!("{name}s")] = count.into();
            usage[format!("{name}Count")] = count.into();
        }
        let ttl = if ask.caches_1h { "1h" } else { "5m" };
        usage["cacheDetails"] = json!([{"inputTokens": answer.cache_written, "ttl": ttl}]);
    }
    usage
}
