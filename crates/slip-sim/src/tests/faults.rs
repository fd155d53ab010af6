//! Every fault does on the socket what its line says, in every dialect, streamed and not.

use super::client::{Ended, Got};
use super::failing;
use super::talk::{Talk, ask, talk};
use crate::{Fault, Sim, SimConfig, modes};
use serde_json::Value;
use slip_ir::Dialect;
use std::time::Duration;

const COUNT: Talk = Talk {
    text: "count to 20",
    model: "sim/echo",
    tools: Vec::new(),
    force: false,
    schema: None,
    think: false,
    max_tokens: None,
    stop: None,
    stream: false,
};

/// How many numbered tokens came.
fn tokens(got: &Got) -> usize {
    let text = got.text();
    text.match_indices("tok").filter(|(at, _)| text[at + 3..].starts_with(|c: char| c.is_ascii_digit())).count()
}

fn has_error(got: &Got) -> bool {
    let text = got.text();
    text.contains("\"error\":{") || text.contains("{\"message\":\"")
}

async fn strike(dialect: Dialect, mode: &str, stream: bool) -> (Sim, Got) {
    let sim = failing(dialect, mode).await;
    let got = ask(&sim, &Talk { stream, ..COUNT }).await;
    (sim, got)
}

/// Mode, then for a stream and for a plain reply: status, ending, numbered tokens, whether it tells an error.
type Row = (&'static str, (u16, Ended, usize, bool), (u16, Ended, usize, bool));

/// A plain body breaks off in its middle, which differs by dialect.
const SOME: usize = usize::MAX;

const ROWS: &[Row] = &[
    ("status:503", (503, Ended::Properly, 0, true), (503, Ended::Properly, 0, true)),
    ("status:529", (529, Ended::Properly, 0, true), (529, Ended::Properly, 0, true)),
    ("reset:0", (200, Ended::Reset, 0, false), (200, Ended::Reset, 0, false)),
    ("reset:10", (200, Ended::Reset, 0, false), (200, Ended::Reset, 0, false)),
    ("reset-headers", (0, Ended::Reset, 0, false), (0, Ended::Reset, 0, false)),
    ("close", (0, Ended::Early, 0, false), (0, Ended::Early, 0, false)),
    ("never", (0, Ended::Silent, 0, false), (0, Ended::Silent, 0, false)),
    ("stall:0", (200, Ended::Silent, 0, false), (200, Ended::Silent, SOME, false)),
    ("stall:5", (200, Ended::Silent, 5, false), (200, Ended::Silent, SOME, false)),
    ("stall:99", (200, Ended::Silent, 20, false), (200, Ended::Silent, SOME, false)),
    ("cut:5", (200, Ended::Early, 5, false), (200, Ended::Early, SOME, false)),
    ("end:5", (200, Ended::Properly, 5, false), (200, Ended::Early, SOME, false)),
    ("error-first", (200, Ended::Properly, 0, true), (200, Ended::Properly, 0, true)),
    ("error:5", (200, Ended::Properly, 5, true), (200, Ended::Properly, 0, true)),
    ("error-200", (200, Ended::Properly, 0, true), (200, Ended::Properly, 0, true)),
    ("html", (200, Ended::Properly, 0, false), (200, Ended::Properly, 0, false)),
    ("html:502", (502, Ended::Properly, 0, false), (502, Ended::Properly, 0, false)),
    ("empty", (200, Ended::Properly, 0, false), (200, Ended::Properly, 0, false)),
    ("blank", (200, Ended::Properly, 0, false), (200, Ended::Properly, 0, false)),
    ("no-usage", (200, Ended::Properly, 20, false), (200, Ended::Properly, 20, false)),
    ("no-done", (200, Ended::Properly, 20, false), (200, Ended::Properly, 20, false)),
    ("huge-event:70000", (200, Ended::Properly, 20, false), (200, Ended::Properly, 20, false)),
    ("short-body", (200, Ended::Early, 20, false), (200, Ended::Early, 20, false)),
    ("not-http", (0, Ended::Early, 0, false), (0, Ended::Early, 0, false)),
    ("redirect", (307, Ended::Properly, 0, false), (307, Ended::Properly, 0, false)),
];

#[tokio::test]
async fn a_fault_looks_the_same_in_every_dialect() {
    let all: Vec<_> = Dialect::ALL.into_iter().map(|dialect| tokio::spawn(every_fault(dialect))).collect();
    for one in all {
        one.await.unwrap();
    }
}

async fn every_fault(dialect: Dialect) {
    {
        for (mode, streamed, plain) in ROWS {
            for (stream, expected) in [(true, streamed), (false, plain)] {
                let (sim, got) = strike(dialect, mode, stream).await;
                let counted = if expected.2 == SOME { SOME } else { tokens(&got) };
                let seen = (got.status, got.ended, counted, has_error(&got));
                assert_eq!(seen, *expected, "{dialect} {mode} stream: {stream}\n{}", got.text());
                if expected.2 == SOME {
                    assert!(!got.body.is_empty() && serde_json::from_slice::<Value>(&got.body).is_err(), "{mode}");
                }
                let entry = sim.journal().last().unwrap();
                assert_eq!(entry.fault, Some(Fault::parse(mode).unwrap().mode.to_string()));
                if stream && expected.1 != Ended::Properly && *mode != "short-body" {
                    assert_eq!(entry.emitted, expected.2 as u64, "{dialect} {mode}");
                }
            }
        }
    }
}

#[tokio::test]
async fn every_listed_mode_is_exercised_here() {
    let by_hand = ["slow-headers", "ttft", "bad-json", "auth", "quota", "context"];
    for (form, _) in modes() {
        let name = form.split([':', '[']).next().unwrap();
        let in_table = ROWS.iter().any(|(mode, ..)| mode.split(':').next() == Some(name));
        assert!(in_table || by_hand.contains(&name), "{form}");
    }
}

#[tokio::test]
async fn a_reset_leaves_exactly_the_bytes_before_it() {
    for dialect in Dialect::ALL {
        for stream in [true, false] {
            for n in [1, 10, 300] {
                let (_, got) = strike(dialect, &format!("reset:{n}"), stream).await;
                assert_eq!((got.body.len(), got.ended), (n, Ended::Reset), "{dialect} {stream}");
            }
        }
    }
}

#[tokio::test]
async fn a_short_body_is_a_hundred_bytes_short() {
    let (_, got) = strike(Dialect::OpenAiChat, "short-body", false).await;
    let promised: usize = got.header("content-length").unwrap().parse().unwrap();
    assert_eq!(promised, got.body.len() + 100);
}

#[tokio::test]
async fn a_delay_is_where_it_was_ordered() {
    for dialect in Dialect::ALL {
        let (_, slow) = strike(dialect, "slow-headers:80ms", true).await;
        assert!(slow.first_byte >= Duration::from_millis(75), "{:?}", slow.first_byte);
        let (_, late) = strike(dialect, "ttft:80ms", true).await;
        assert!(late.took - late.first_byte >= Duration::from_millis(50), "{late:?}");
        let (_, plain) = strike(dialect, "ttft:80ms", false).await;
        assert!(plain.first_byte >= Duration::from_millis(75));
        for got in [slow, late, plain] {
            assert_eq!((got.ended, tokens(&got)), (Ended::Properly, 20));
        }
    }
}

#[tokio::test]
async fn bad_json_is_bad_in_every_event_but_keeps_the_framing() {
    for dialect in Dialect::ALL {
        let (_, plain) = strike(dialect, "bad-json", false).await;
        assert_eq!(plain.ended, Ended::Properly);
        assert!(serde_json::from_slice::<Value>(&plain.body).is_err());
        let (_, streamed) = strike(dialect, "bad-json", true).await;
        if dialect == Dialect::Bedrock {
            // Half a message is no message: there is nothing left to keep.
            assert_eq!(streamed.ended, Ended::Properly);
            continue;
        }
        let events = streamed.events();
        assert!(streamed.ended == Ended::Properly && events.len() >= 15, "{dialect} {}", streamed.text());
        assert!(events.iter().all(|e| e.is_string() && e != "[DONE]"));
    }
}

#[tokio::test]
async fn refusals_are_worded_as_the_dialect_words_them() {
    let rows = [
        (Dialect::OpenAiChat, "auth", 401, "/error/code", "invalid_api_key"),
        (Dialect::OpenAiChat, "quota", 429, "/error/type", "insufficient_quota"),
        (Dialect::OpenAiChat, "context", 400, "/error/code", "context_length_exceeded"),
        (Dialect::OpenAiChat, "status:429", 429, "/error/code", "rate_limit_exceeded"),
        (Dialect::OpenAiChat, "status:500", 500, "/error/type", "server_error"),
        (Dialect::Anthropic, "auth", 401, "/error/type", "authentication_error"),
        (Dialect::Anthropic, "quota", 400, "/error/type", "invalid_request_error"),
        (Dialect::Anthropic, "context", 400, "/error/type", "invalid_request_error"),
        (Dialect::Anthropic, "status:529", 529, "/error/type", "overloaded_error"),
        (Dialect::Anthropic, "status:402", 402, "/error/type", "billing_error"),
        (Dialect::Bedrock, "auth", 403, "/message", "The security token included in the request is invalid."),
        (Dialect::Bedrock, "context", 400, "/message", "Input is too long for requested model."),
        (Dialect::Gemini, "auth", 400, "/error/details/0/reason", "API_KEY_INVALID"),
        (Dialect::Gemini, "quota", 429, "/error/status", "RESOURCE_EXHAUSTED"),
        (Dialect::Gemini, "context", 400, "/error/status", "INVALID_ARGUMENT"),
        (Dialect::Gemini, "status:503", 503, "/error/status", "UNAVAILABLE"),
        (Dialect::Gemini, "status:429:7", 429, "/error/details/0/retryDelay", "7s"),
    ];
    for (dialect, mode, status, pointer, expected) in rows {
        let (_, got) = strike(dialect, mode, true).await;
        let body = got.json();
        assert_eq!(
            (got.status, body.pointer(pointer).and_then(Value::as_str)),
            (status, Some(expected)),
            "{dialect} {mode}"
        );
    }
    for (mode, class) in [
        ("auth", "UnrecognizedClientException"),
        ("quota", "ServiceQuotaExceededException"),
        ("context", "ValidationException"),
        ("status:429", "ThrottlingException"),
        ("status:424", "ModelErrorException"),
    ] {
        let (_, got) = strike(Dialect::Bedrock, mode, true).await;
        assert_eq!(got.header("x-amzn-errortype").and_then(|h| h.split(':').next()), Some(class), "{mode}");
    }
    for (dialect, header) in
        [(Dialect::OpenAiChat, Some("7")), (Dialect::Anthropic, Some("7")), (Dialect::Gemini, None)]
    {
        assert_eq!(strike(dialect, "status:429:7", false).await.1.header("retry-after"), header, "{dialect}");
    }
}

#[tokio::test]
async fn what_is_left_out_is_left_out() {
    for dialect in Dialect::ALL {
        for stream in [true, false] {
            let (_, got) = strike(dialect, "no-usage", stream).await;
            assert!(
                !got.text().to_lowercase().contains("usage\":{") && !got.text().contains("usageMetadata"),
                "{dialect}"
            );
        }
    }
    let (_, openai) = strike(Dialect::OpenAiChat, "no-done", true).await;
    assert!(openai.text().contains("\"finish_reason\":\"stop\"") && !openai.text().contains("[DONE]"));
    let (_, anthropic) = strike(Dialect::Anthropic, "no-done", true).await;
    assert!(anthropic.text().contains("message_delta") && !anthropic.text().contains("message_stop"));
    let (_, huge) = strike(Dialect::Anthropic, "huge-event:70000", true).await;
    assert!(huge.chunks.iter().any(|c| c.len() > 70_000));
    let (_, redirect) = strike(Dialect::Gemini, "redirect", false).await;
    assert_eq!(redirect.header("location"), Some("/v1beta/elsewhere"));
    let (_, html) = strike(Dialect::Gemini, "html", true).await;
    assert_eq!(html.header("content-type"), Some("text/html; charset=utf-8"));
}

#[tokio::test]
async fn a_rate_below_one_strikes_about_that_often_and_alike_for_the_same_seed() {
    let run = || async {
        let fault = Some(Fault { mode: "status:503".parse().unwrap(), rate: 0.3 });
        let sim = Sim::start(SimConfig { fault, seed: 42, ..SimConfig::default() }).await.unwrap();
        let mut struck = Vec::new();
        for _ in 0..200 {
            struck.push(ask(&sim, &talk("hi")).await.status == 503);
        }
        struck
    };
    let (a, b) = (run().await, run().await);
    assert_eq!(a, b);
    let struck = a.iter().filter(|s| **s).count();
    assert!((40..=80).contains(&struck), "{struck}");
}

#[tokio::test]
async fn a_fault_can_be_set_and_lifted_while_it_runs() {
    let sim = super::start(Dialect::OpenAiChat).await;
    for (mode, status) in [(Some("status:500"), 500), (None, 200), (Some("auth"), 401)] {
        sim.set_fault(mode.map(|m| Fault::parse(m).unwrap()));
        assert_eq!(ask(&sim, &talk("hi")).await.status, status);
    }
}
