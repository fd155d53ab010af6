//! Google's error envelope, both ways.

use super::tree::{self, Members, Node};
use crate::upstream_error::{classify, clean};
use serde_json::value::RawValue;
use slip_ir::{Fault, FaultKind, Remedy};
use std::time::Duration;

/// A longer pause is a daily quota, not a delay; believing it would bench an endpoint for good.
const LONGEST_PAUSE: f64 = 3600.0;

/// What an error object says.
#[derive(Default)]
struct Told {
    code: Option<u16>,
    message: String,
    /// `INVALID_ARGUMENT`, …
    status: Option<String>,
    /// `API_KEY_INVALID`, … from `details[]`.
    reason: Option<String>,
    pause: Option<Duration>,
    /// Names a quota: a limit of rate, however the message reads.
    quota: bool,
}

/// An answer with a status of 400 or more: `{"error": …}`, possibly inside a list.
pub(super) fn decode(status: u16, headers: &http::HeaderMap, body: &[u8]) -> Fault {
    let told = serde_json::from_slice::<&RawValue>(body).ok().and_then(envelope).unwrap_or_else(|| {
        let message = clean(body);
        Told { message, ..Told::default() }
    });
    judge(status, headers, &told, body)
}

/// An error in the place of a reply or in the middle of one: the value of `error`.
pub(super) fn in_band(raw: &RawValue) -> Fault {
    let told = read(raw);
    // The error carries the status the answer should have had.
    let status = told.code.filter(|code| (400..600).contains(code)).or_else(|| told.status.as_deref().and_then(number));
    judge(status.unwrap_or(500), &http::HeaderMap::new(), &told, raw.get().as_bytes())
}

fn envelope(raw: &RawValue) -> Option<Told> {
    let first = tree::list(raw)?.into_iter().next()?;
    Members::of(first)?.get("error").map(read)
}

fn read(raw: &RawValue) -> Told {
    let Some(m) = Members::of(raw) else {
        return Told { message: tree::string(raw).unwrap_or_default(), ..Told::default() };
    };
    let mut told = Told {
        code: m.get("code").and_then(tree::count).and_then(|code| u16::try_from(code).ok()),
        message: m.get("message").and_then(tree::string).unwrap_or_default(),
        status: m.get("status").and_then(tree::string),
        ..Told::default()
    };
    for raw in m.get("details").and_then(tree::list).unwrap_or_default() {
        let Some(detail) = Members::of(raw) else { continue };
        let text = |name: &str| detail.get(name).and_then(tree::string);
        told.reason = told.reason.take().or_else(|| text("reason"));
        told.pause = told.pause.or_else(|| text("retryDelay").and_then(|delay| pause(&delay)));
        told.quota |= text("@type").is_some_and(|kind| kind.ends_with("QuotaFailure"));
    }
    told
}

/// `34.4s`, as protobuf spells durations.
fn pause(text: &str) -> Option<Duration> {
    let seconds = text.strip_suffix('s')?.parse::<f64>().ok()?;
    (0.0..=LONGEST_PAUSE).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

/// The common table first, then what only Google's words can tell.
fn judge(status: u16, headers: &http::HeaderMap, told: &Told, raw: &[u8]) -> Fault {
    let code = told.reason.as_deref().or(told.status.as_deref());
    let mut fault = classify(status, headers, &told.message, code, raw);
    fault.retry_after = fault.retry_after.or(told.pause);
    let message = told.message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let is = |word: &str| told.status.as_deref() == Some(word);
    let verdict = if says(&NO_MONEY) {
        Some((FaultKind::UpstreamQuota, Remedy::Elsewhere, "this gateway's account at the provider is out of quota"))
    } else if status == 429 || is("RESOURCE_EXHAUSTED") {
        // "You exceeded your current quota, please check your plan and billing details" is what a limit per minute says too.
        Some((FaultKind::RateLimited, Remedy::Elsewhere, "the provider is limiting the rate of requests"))
    } else if told.reason.as_deref().is_some_and(|reason| reason.starts_with("API_KEY_")) || says(&BAD_KEY) {
        Some((FaultKind::UpstreamAuth, Remedy::Elsewhere, "the provider refused this gateway's credential"))
    } else if is("FAILED_PRECONDITION") && says(&["location"]) {
        Some((FaultKind::Forbidden, Remedy::Elsewhere, "the provider does not serve this region"))
    } else if says(&["payload size exceeds"]) {
        Some((FaultKind::TooLarge, Remedy::Elsewhere, "the request is too large for the provider"))
    } else {
        None
    };
    if let Some((kind, remedy, says)) = verdict {
        (fault.kind, fault.remedy, fault.says) = (kind, remedy, says.into());
    }
    fault
}

const NO_MONEY: [&str; 5] =
    ["credits are depleted", "spending cap", "billing to be enabled", "enable billing", "billing account"];
const BAD_KEY: [&str; 3] = ["api key not valid", "api key expired", "api key not found"];

/// `google.rpc.Code` names by the HTTP status each is sent with. The first of a status is the one we write.
const STATUSES: [(u16, &str); 19] = [
    (400, "INVALID_ARGUMENT"),
    (400, "FAILED_PRECONDITION"),
    (400, "OUT_OF_RANGE"),
    (401, "UNAUTHENTICATED"),
    (402, "FAILED_PRECONDITION"),
    (403, "PERMISSION_DENIED"),
    (404, "NOT_FOUND"),
    (405, "INVALID_ARGUMENT"),
    (408, "DEADLINE_EXCEEDED"),
    (409, "ABORTED"),
    (409, "ALREADY_EXISTS"),
    (429, "RESOURCE_EXHAUSTED"),
    (499, "CANCELLED"),
    (500, "INTERNAL"),
    (500, "UNKNOWN"),
    (501, "UNIMPLEMENTED"),
    (502, "UNAVAILABLE"),
    (503, "UNAVAILABLE"),
    (504, "DEADLINE_EXCEEDED"),
];

fn number(status: &str) -> Option<u16> {
    match status {
        // Sent with more than one status; these are Google's.
        "UNAVAILABLE" => Some(503),
        "DEADLINE_EXCEEDED" => Some(504),
        _ => STATUSES.iter().find(|(_, name)| *name == status).map(|(number, _)| *number),
    }
}

fn word(status: u16) -> &'static str {
    let exact = STATUSES.iter().find(|(number, _)| *number == status).map(|(_, name)| *name);
    exact.unwrap_or(if status < 500 { "INVALID_ARGUMENT" } else { "INTERNAL" })
}

pub(super) fn encode(fault: &Fault, id: Option<&str>) -> Vec<u8> {
    Node::object([("error", node(fault, id))]).to_vec()
}

/// The value of `error` for a Gemini client.
pub(super) fn node(fault: &Fault, id: Option<&str>) -> Node<'static> {
    let status = fault.kind.status();
    let mut metadata = Node::object([]);
    let told =
        [("provider", &fault.provider), ("provider_code", &fault.code), ("raw", &fault.raw), ("param", &fault.param)];
    if let Some(id) = id {
        metadata.set("generation_id", id.to_owned());
    }
    for (name, value) in told {
        if let Some(value) = value {
            metadata.set(name, value.clone());
        }
    }
    let reason = fault.kind.reason().to_ascii_uppercase();
    let mut details = vec![Node::object([
        ("@type", "type.googleapis.com/google.rpc.ErrorInfo".into()),
        ("reason", reason.into()),
        ("domain", "slipswitch".into()),
        ("metadata", metadata),
    ])];
    if let Some(pause) = fault.retry_after {
        let delay = format!("{}s", pause.as_secs_f64());
        let kind = "type.googleapis.com/google.rpc.RetryInfo".into();
        details.push(Node::object([("@type", kind), ("retryDelay", delay.into())]));
    }
    Node::object([
        ("code", u64::from(status).into()),
        ("message", fault.says.to_string().into()),
        ("status", word(status).into()),
        ("details", Node::Array(details)),
    ])
}
