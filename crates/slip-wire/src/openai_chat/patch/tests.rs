//! Every spelling that upstreams of this dialect are known for, as a row: what comes in, what the caller sees.

use super::*;
use crate::{End, Phase, Stamp, Tally};
use slip_ir::{Fault, FaultKind, Finish, Pico, Price, Rates, Remedy, Usage};
use std::sync::Arc;

fn stamp() -> Stamp {
    let rates = Rates { input: Pico(1_000_000), output: Pico(2_000_000), ..Rates::default() };
    Stamp {
        id: "gen-1-abc".into(),
        created: 1,
        model: "m".into(),
        provider: "P".into(),
        price: Some(Arc::new(Price { rates, ..Price::default() })),
        prompt_estimate: 7,
        ..Stamp::default()
    }
}

const PREFIX: &str =
    r#"data: {"id":"gen-1-abc","object":"chat.completion.chunk","created":1,"model":"m","provider":"P","choices":["#;

/// Push frames one by one, end, and return what was written, one entry per event.
fn run_with(stamp: Stamp, frames: &[&str], how: End) -> (Vec<String>, Tally) {
    let mut patch = Patch::new(Arc::new(stamp));
    let mut out = BytesMut::new();
    for data in frames {
        patch.frame(&crate::frame::Frame { event: None, data: data.as_bytes() }, false, &mut out);
    }
    let tally = patch.end(how, &mut out);
    let text = String::from_utf8(out.to_vec()).unwrap();
    let events = text.split_terminator("\n\n").map(str::to_owned).collect::<Vec<_>>();
    for event in events.iter().filter(|event| *event != "data: [DONE]") {
        let json = event.strip_prefix("data: ").unwrap();
        serde_json::from_str::<serde_json::Value>(json).unwrap_or_else(|e| panic!("{e}: {json}"));
    }
    (events, tally)
}

fn run(frames: &[&str]) -> (Vec<String>, Tally) {
    run_with(stamp(), frames, End::Eof)
}

const STOP: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

/// What one frame becomes: the choices array's content and what follows it, or nothing.
fn chunk(frame: &str) -> Option<String> {
    let mut patch = Patch::new(Arc::new(stamp()));
    let mut out = BytesMut::new();
    // The role chunk has come before: from here on, only news is passed on.
    let role = r#"{"choices":[{"index":0,"delta":{"role":"assistant"}}]}"#;
    for data in [role, frame] {
        out.clear();
        patch.frame(&crate::frame::Frame { event: None, data: data.as_bytes() }, false, &mut out);
    }
    let text = String::from_utf8(out.to_vec()).unwrap();
    (!text.is_empty()).then(|| text.strip_prefix(PREFIX).unwrap().strip_suffix("}\n\n").unwrap().to_owned())
}

#[test]
fn a_delta_is_copied_into_the_house_form() {
    let tail = r#"},"finish_reason":null,"native_finish_reason":null"#;
    let rows: &[(&str, &str)] = &[
        // plain text, with everything an upstream adds around it
        (
            r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":9,"model":"x","service_tier":"default","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"content":"a\"\u00e9\n"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"x","p":"y"}"#,
            r#"{"index":0,"delta":{"role":"assistant","content":"a\"\u00e9\n"},"finish_reason":null,"native_finish_reason":null}],"system_fingerprint":"fp_1""#,
        ),
        (
            r#"{"choices":[{"delta":{"content":"a"}}],"system_fingerprint":null,"extra":{"k":1},"gone":null}"#,
            r#"{"index":0,"delta":{"role":"assistant","content":"a"},"finish_reason":null,"native_finish_reason":null}],"extra":{"k":1}"#,
        ),
        // logprobs stay
        (
            r#"{"choices":[{"index":0,"delta":{"content":"a"},"logprobs":{"content":[]},"token_ids":null}]}"#,
            r#"{"index":0,"delta":{"role":"assistant","content":"a"},"finish_reason":null,"native_finish_reason":null,"logprobs":{"content":[]}}]"#,
        ),
        // the cumulative message beside the delta is not news
        (
            r#"{"choices":[{"message":{"content":"all so far"},"index":0,"delta":{"content":"a"}}]}"#,
            r#"{"index":0,"delta":{"role":"assistant","content":"a"},"finish_reason":null,"native_finish_reason":null}]"#,
        ),
        // finish_reason "" is not an end
        (
            r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":""}]}"#,
            r#"{"index":0,"delta":{"role":"assistant","content":"a"},"finish_reason":null,"native_finish_reason":null}]"#,
        ),
        // unknown members of a delta stay, empty ones go
        (
            r#"{"choices":[{"index":0,"delta":{"content":"","reasoning":"r","channel":"analysis","refusal":null,"annotations":[]}}]}"#,
            r#"{"index":0,"delta":{"role":"assistant","content":"","reasoning":"r","reasoning_details":[{"type":"reasoning.text","text":"r","format":"unknown","index":0}],"channel":"analysis"},"finish_reason":null,"native_finish_reason":null}]"#,
        ),
    ];
    for (frame, want) in rows {
        assert_eq!(chunk(frame).as_deref(), Some(*want), "{frame}");
    }
    // deltas whose only difference is the delta
    let rows: &[(&str, &str)] = &[
        (r#""content":"a","reasoning_content":null"#, r#""a""#),
        (
            r#""content":null,"reasoning_content":"r\n""#,
            r#""","reasoning":"r\n","reasoning_details":[{"type":"reasoning.text","text":"r\n","format":"unknown","index":0}]"#,
        ),
        (
            r#""content":[{"type":"thinking","thinking":[{"type":"text","text":"r\""}]},{"type":"text","text":"a"},{"type":"text","text":"b"}]"#,
            r#""ab","reasoning":"r\"","reasoning_details":[{"type":"reasoning.text","text":"r\"","format":"unknown","index":0}]"#,
        ),
        (
            r#""content":"","reasoning":"r","reasoning_details":[{"type":"reasoning.text","text":"r","format":"anthropic-claude-v1","index":0}]"#,
            r#""","reasoning":"r","reasoning_details":[{"type":"reasoning.text","text":"r","format":"anthropic-claude-v1","index":0}]"#,
        ),
        (
            r#""reasoning_details":[{"type":"reasoning.summary","summary":"s"}]"#,
            r#""","reasoning":"s","reasoning_details":[{"type":"reasoning.summary","summary":"s"}]"#,
        ),
        (
            r#""reasoning_details":[{"type":"reasoning.text","signature":"sig","index":0}]"#,
            r#""","reasoning_details":[{"type":"reasoning.text","signature":"sig","index":0}]"#,
        ),
        (r#""content":"","refusal":"no""#, r#""","refusal":"no""#),
        (r#""content":"a","function_call":{"name":"","arguments":""},"audio":{"data":""}"#, r#""a""#),
        (
            r#""content":"","images":[{"type":"image_url","image_url":{"url":"data:,"}}]"#,
            r#""","images":[{"type":"image_url","image_url":{"url":"data:,"}}]"#,
        ),
    ];
    for (delta, want) in rows {
        let got = chunk(&format!(r#"{{"choices":[{{"index":0,"delta":{{{delta}}}}}]}}"#));
        let want = format!(r#"{{"index":0,"delta":{{"role":"assistant","content":{want}{tail}}}]"#);
        assert_eq!(got, Some(want), "{delta}");
    }
}

#[test]
fn frames_without_news_are_not_passed_on() {
    let rows: &[&str] = &[
        r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
        r#"{"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{}]}"#,
        r#"{"choices":[],"moderation":{}}"#,
        r#"{"choices":[{"index":0,"delta":{"content":null,"reasoning_content":""}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"","role":"assistant","reasoning_details":[]},"finish_reason":null}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
        "",
    ];
    for frame in rows {
        assert_eq!(chunk(frame), None, "{frame}");
    }
}

#[test]
fn a_stream_always_ends_in_usage_and_done() {
    let usage = r#""usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"cost":0.00002,"is_byok":false,"prompt_tokens_details":{"cached_tokens":0,"cache_write_tokens":0,"audio_tokens":0,"video_tokens":0},"cost_details":{"upstream_inference_cost":null,"upstream_inference_prompt_cost":0.00001,"upstream_inference_completions_cost":0.00001},"completion_tokens_details":{"reasoning_tokens":0,"image_tokens":0,"audio_tokens":0}}}"#;
    let counted = r#""usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}"#;
    let content = r#"{"choices":[{"index":0,"delta":{"content":"a"}}]}"#;
    let with_usage = |n: u32| {
        format!(
            r#"{{"choices":[{{"index":0,"delta":{{"content":"a"}}}}],"usage":{{"prompt_tokens":10,"completion_tokens":{n}}}}}"#
        )
    };
    let early = format!(r#"{{"choices":[],{counted}}}"#);
    let finish_and_usage = format!(r#"{{"choices":[{{"index":0,"delta":{{}},"finish_reason":"stop"}}],{counted}}}"#);
    let groq =
        format!(r#"{{"choices":[{{"index":0,"delta":{{}},"finish_reason":"stop"}}],"x_groq":{{"id":"r",{counted}}}}}"#);
    let in_choice = format!(r#"{{"choices":[{{"index":0,"delta":{{}},"finish_reason":"stop",{counted}}}]}}"#);
    let absurd = r#"{"choices":[],"usage":{"prompt_tokens":-1,"completion_tokens":9}}"#;
    let zero = r#"{"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}"#;
    let (one, two) = (with_usage(1), with_usage(5));
    let rows: &[(&str, Vec<&str>)] = &[
        ("usage in its own last chunk", vec![content, STOP, &early, "[DONE]"]),
        ("usage first", vec![&early, content, STOP, "[DONE]"]),
        ("usage on every chunk, cumulative", vec![&one, &two, STOP, "[DONE]"]),
        ("usage on the finish chunk, no [DONE]", vec![content, &finish_and_usage]),
        ("usage in x_groq", vec![content, &groq, "[DONE]"]),
        ("usage in the choice", vec![content, &in_choice, "[DONE]"]),
        ("an absurd count after a good one", vec![content, &early, STOP, absurd, "[DONE]"]),
        ("usage twice", vec![content, &finish_and_usage, &early, "[DONE]"]),
        ("finish told twice", vec![content, STOP, &finish_and_usage, "[DONE]"]),
        ("no finish but [DONE]", vec![content, &early, "[DONE]"]),
    ];
    for (name, frames) in rows {
        let (events, tally) = run(frames);
        let last: Vec<&str> = events.iter().rev().take(3).map(String::as_str).collect();
        assert_eq!(last[0], "data: [DONE]", "{name}");
        let ending =
            r#"{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop","native_finish_reason":"#;
        let native = if *name == "no finish but [DONE]" { "null" } else { "\"stop\"" };
        assert_eq!(last[1], format!("{PREFIX}{ending}{native}}}],{usage}"), "{name}");
        assert_eq!(last[2], format!("{PREFIX}{ending}{native}}}]}}"), "{name}");
        assert_eq!(events.iter().filter(|e| e.contains("\"usage\"")).count(), 1, "{name}");
        assert_eq!(events.iter().filter(|e| e.contains("finish_reason\":\"stop")).count(), 2, "{name}");
        assert_eq!(tally.usage, Some(Usage { input: 10, output: 5, ..Usage::default() }), "{name}");
        assert_eq!(tally.finish, Some(Finish::Stop), "{name}");
        assert_eq!(tally.fault, None, "{name}");
    }
    for missing in [vec![content, STOP], vec![content, STOP, zero]] {
        let (events, tally) = run(&missing);
        let estimated = Usage { input: 7, output: 1, estimated: true, ..Usage::default() };
        assert_eq!(tally.usage, Some(estimated));
        assert!(events[events.len() - 2].contains("\"estimated\":true"));
    }
}

/// The `tool_calls` arrays of a stream's chunks.
fn calls(deltas: &[&str]) -> Vec<String> {
    let frames: Vec<String> =
        deltas.iter().map(|d| format!(r#"{{"choices":[{{"index":0,"delta":{{"tool_calls":[{d}]}}}}]}}"#)).collect();
    let mut frames: Vec<&str> = frames.iter().map(String::as_str).collect();
    frames.push(r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#);
    let (events, tally) = run(&frames);
    assert_eq!(tally.finish, Some(Finish::ToolCalls));
    let found = |event: &String| {
        let from = event.find("\"tool_calls\":[")? + "\"tool_calls\":[".len();
        Some(event[from..].split("]},\"finish_reason\"").next()?.to_owned())
    };
    events.iter().filter_map(found).collect()
}

#[test]
fn tool_calls_open_once_and_continue_with_arguments_alone() {
    let open = r#"{"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":""}}"#;
    let more = |text: &str| format!(r#"{{"index":0,"function":{{"arguments":"{text}"}}}}"#);
    let brace = more("{\\\"a\\\":1}");
    let none = more("{}");
    let second = r#"{"index":1,"id":"c2","type":"function","function":{"name":"g","arguments":"{}"}}"#;
    let whole = r#"{"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}"#;
    let minted = r#"{"index":0,"id":"call_abc_0_0","type":"function","function":{"name":"f","arguments":"{}"}}"#;
    let row = |name: &'static str, deltas: &[&str], want: &[&str]| {
        (name, deltas.iter().map(|s| (*s).to_owned()).collect(), want.iter().map(|s| (*s).to_owned()).collect())
    };
    let rows: Vec<(&str, Vec<String>, Vec<String>)> = vec![
        row("as it should be", &[open, &brace], &[open, &brace]),
        row(
            "nulls and empty strings in continuations",
            &[
                open,
                r#"{"index":0,"id":null,"type":null,"function":{"name":null,"arguments":"{\"a\":1}"}}"#,
                r#"{"index":0,"id":"","function":{"name":"","arguments":null}}"#,
            ],
            &[open, &brace],
        ),
        row("the whole call in one delta", &[whole], &[whole]),
        row("no arguments at all", &[open], &[open, &none]),
        row(
            "index from 1, parallel",
            &[
                r#"{"index":1,"id":"c1","function":{"name":"f","arguments":"{}"}},{"index":2,"id":"c2","type":"function","function":{"name":"g","arguments":"{}"}}"#,
            ],
            &[&format!("{whole},{second}")],
        ),
        row(
            "the same index for every call",
            &[
                r#"{"index":0,"id":"c1","function":{"name":"f","arguments":"{}"}}"#,
                r#"{"index":0,"id":"c2","function":{"name":"g","arguments":"{}"}}"#,
            ],
            &[whole, second],
        ),
        row(
            "no index",
            &[
                r#"{"id":"c1","function":{"name":"f","arguments":""}}"#,
                r#"{"function":{"arguments":"{\"a\":1}"}}"#,
                r#"{"id":"c2","function":{"name":"g","arguments":"{}"}}"#,
            ],
            &[open, &brace, second],
        ),
        row("no id", &[r#"{"index":0,"function":{"name":"f","arguments":"{}"}}"#], &[minted]),
        row(
            "arguments as an object",
            &[r#"{"index":0,"id":"c1","function":{"name":"f","arguments":{"a":1}}}"#],
            &[r#"{"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}"#],
        ),
        row(
            "the id before the name",
            &[
                r#"{"index":0,"id":"c1","function":{"arguments":"{"}}"#,
                r#"{"index":0,"function":{"name":"f","arguments":"}"}}"#,
            ],
            &[whole],
        ),
        row(
            "members of its own",
            &[
                r#"{"index":0,"id":"c1","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{}},"custom":{"name":"","input":""}}"#,
            ],
            &[
                r#"{"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{}}}"#,
            ],
        ),
    ];
    for (name, deltas, want) in rows {
        let deltas: Vec<&str> = deltas.iter().map(String::as_str).collect();
        assert_eq!(calls(&deltas), want, "{name}");
    }
}

#[test]
fn interleaved_choices_keep_their_own_state() {
    let (events, tally) = run(&[
        r#"{"choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{"tool_calls":[{"index":0,"id":"x","function":{"name":"f","arguments":"{}"}}]}}]}"#,
        r#"{"choices":[{"index":1,"delta":{},"finish_reason":"tool_calls"}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"length"}]}"#,
    ]);
    assert_eq!(events.len(), 6);
    assert_eq!((tally.finish, tally.native.as_deref()), (Some(Finish::Length), Some("length")));
    assert_eq!(tally.fault, None);
    let (_, cut) =
        run(&[r#"{"choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{"content":"b"}}]}"#, STOP]);
    assert_eq!(cut.fault.map(|f| f.says.into_owned()).as_deref(), Some("the stream ended before it was finished"));
}

#[test]
fn endings_are_told_in_five_words() {
    let rows: &[(&str, bool, Finish)] = &[
        ("stop", false, Finish::Stop),
        ("stop", true, Finish::ToolCalls),
        ("eos", false, Finish::Stop),
        ("eos", true, Finish::ToolCalls),
        ("end_turn", true, Finish::ToolCalls),
        ("stop_sequence", false, Finish::Stop),
        ("completed", false, Finish::Stop),
        ("length", false, Finish::Length),
        ("max_tokens", false, Finish::Length),
        ("function_call", false, Finish::ToolCalls),
        ("tool_calls", true, Finish::ToolCalls),
        ("content_filter", false, Finish::ContentFilter),
        ("", true, Finish::ToolCalls),
        ("", false, Finish::Stop),
        ("something new", false, Finish::Stop),
    ];
    for (native, tools, want) in rows {
        assert_eq!(finish_of(native, *tools), *want, "{native} {tools}");
    }
    let (events, tally) = run(&[
        r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop","native_finish_reason":"end_turn"}]}"#,
    ]);
    assert!(events[1].contains(r#""finish_reason":"stop","native_finish_reason":"end_turn""#), "{}", events[1]);
    assert_eq!(tally.native.as_deref(), Some("end_turn"));
}

#[test]
fn errors_after_the_status_line_are_faults_in_every_shape() {
    let content = r#"{"choices":[{"index":0,"delta":{"content":"a"}}]}"#;
    let rows: &[(&str, FaultKind, Option<u16>)] = &[
        (r#"{"error":{"message":"slow down","code":429}}"#, FaultKind::RateLimited, Some(429)),
        (
            r#"{"error":{"message":"no","type":"invalid_request_error","code":"tool_use_failed"}}"#,
            FaultKind::BadRequest,
            None,
        ),
        (
            r#"{"id":"x","error":{"code":400,"message":"Token limit reached"},"choices":[{"index":0,"delta":{"content":""},"finish_reason":null}],"usage":{"prompt_tokens":43,"completion_tokens":10}}"#,
            FaultKind::BadRequest,
            Some(400),
        ),
        (r#"{"error":"overloaded"}"#, FaultKind::Overloaded, None),
        (r#"{"object":"error","message":"bad","code":503}"#, FaultKind::Overloaded, Some(503)),
        (r#"{"detail":"gone"}"#, FaultKind::Upstream, None),
        (r#"{"error":{"message":"x","type":"insufficient_quota"}}"#, FaultKind::UpstreamQuota, None),
        (r#"{"error":{"message":"x","code":"500"}}"#, FaultKind::Upstream, Some(500)),
        (
            r#"{"choices":[{"index":0,"delta":{},"error":{"code":502,"message":"x"},"finish_reason":"error"}]}"#,
            FaultKind::Upstream,
            Some(502),
        ),
        (r#"{"choices":[{"index":0,"delta":{},"finish_reason":"error"}]}"#, FaultKind::Upstream, None),
        (r#"{"choices": oops"#, FaultKind::Upstream, None),
    ];
    for (frame, kind, status) in rows {
        let (events, tally) = run(&[content, frame, "[DONE]"]);
        let fault = tally.fault.unwrap();
        assert_eq!((fault.kind, status.and(fault.status)), (*kind, *status), "{frame}");
        assert_eq!(events.len(), 3, "{events:?}");
        let error = &events[1];
        assert!(error.starts_with(&format!(
            r#"{PREFIX}{{"index":0,"delta":{{"role":"assistant","content":""}},"finish_reason":"error","native_finish_reason":null}}],"error":{{"code":{},"message":"#,
            kind.status()
        )), "{error}");
        assert!(error.contains("\"usage\":{\"prompt_tokens\":"), "{error}");
        assert_eq!(events[2], "data: [DONE]");
    }
    let mut patch = Patch::new(Arc::new(stamp()));
    let frame = crate::frame::Frame { event: Some("error"), data: br#"{"message":"m","code":500}"# };
    patch.frame(&frame, false, &mut BytesMut::new());
    assert_eq!(patch.phase(), Phase::Broken);
}

#[test]
fn only_content_commits() {
    let rows: &[(&str, Phase)] = &[
        (r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#, Phase::Waiting),
        (r#"{"choices":[{"index":0,"delta":{"content":null,"reasoning_content":""}}]}"#, Phase::Waiting),
        (r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":0}}"#, Phase::Waiting),
        (r#"{"choices":[{"index":0,"delta":{"content":"a"}}]}"#, Phase::Flowing),
        (r#"{"choices":[{"index":0,"delta":{"reasoning":"a"}}]}"#, Phase::Flowing),
        (r#"{"choices":[{"index":0,"delta":{"refusal":"a"}}]}"#, Phase::Flowing),
        (
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"x","function":{"name":"f"}}]}}]}"#,
            Phase::Flowing,
        ),
        (STOP, Phase::Finished),
        (r#"{"error":{}}"#, Phase::Waiting),
        (r#"{"error":{"code":500}}"#, Phase::Broken),
    ];
    for (frame, want) in rows {
        let mut patch = Patch::new(Arc::new(stamp()));
        patch.frame(&crate::frame::Frame { event: None, data: frame.as_bytes() }, false, &mut BytesMut::new());
        assert_eq!(patch.phase(), *want, "{frame}");
    }
}

#[test]
fn hidden_reasoning_is_left_out_but_sealed_blobs_stay() {
    let hide = Stamp { hide_reasoning: true, ..stamp() };
    let (events, tally) = run_with(
        hide.clone(),
        &[
            r#"{"choices":[{"index":0,"delta":{"role":"assistant"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"reasoning_content":"secret"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"reasoning":"secret","reasoning_details":[{"type":"reasoning.text","text":"secret"},{"type":"reasoning.encrypted","data":"xyz"}]}}]}"#,
            STOP,
        ],
        End::Eof,
    );
    assert!(!events.concat().contains("secret"), "{events:?}");
    assert!(events[1].contains(r#""reasoning_details":[{"type":"reasoning.encrypted","data":"xyz"}]"#), "{events:?}");
    assert_eq!((events.len(), tally.text_bytes), (5, 12));
    let body = r#"{"choices":[{"message":{"content":"a","reasoning":"secret"},"finish_reason":"stop"}]}"#;
    let (text, _) = reply(body.as_bytes(), &hide).unwrap();
    assert!(String::from_utf8(text).unwrap().contains(r#""reasoning":null"#));
}

#[test]
fn a_caller_who_left_is_told_nothing_and_still_counted() {
    let content = r#"{"choices":[{"index":0,"delta":{"content":"12345"}}]}"#;
    let (events, tally) = run_with(stamp(), &[content], End::Gone);
    assert_eq!(events.len(), 1);
    assert_eq!(tally.usage, Some(Usage { input: 7, output: 2, estimated: true, ..Usage::default() }));
    let late = Fault::upstream(FaultKind::UpstreamTimeout, Remedy::Elsewhere, "too slow");
    let (_, finished) = run_with(stamp(), &[content, STOP], End::Fault(late.clone()));
    assert_eq!(finished.fault, None, "after its finish, a stream is complete");
    let (events, tally) = run_with(stamp(), &[content], End::Fault(late.clone()));
    assert_eq!(tally.fault, Some(late));
    assert!(events[1].contains(r#""code":504,"message":"too slow""#), "{}", events[1]);
}

#[test]
fn line_ends_inside_a_document_do_not_break_the_framing() {
    let frame = "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"logprobs\":{\n\"content\": [\r\n]}}],\n\"x\":[1,\n2]}";
    let got = chunk(frame).unwrap();
    assert!(!got.contains(['\n', '\r']), "{got}");
    assert!(got.contains(r#""x":[1,2]"#), "{got}");
}

fn replied(body: &str) -> serde_json::Value {
    let (text, _) = reply(body.as_bytes(), &stamp()).unwrap_or_else(|fault| panic!("{fault:?}: {body}"));
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn a_whole_reply_has_every_member_clients_insist_on() {
    let (text, tally) = reply(
        br#"{"id":"chatcmpl-1","object":"chat.completion","created":5,"model":"x","choices":[{"index":0,"message":{"role":"assistant","content":"hi","annotations":[]},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#,
        &stamp(),
    )
    .unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.starts_with(r#"{"id":"gen-1-abc","object":"chat.completion","created":1,"model":"m","provider":"P","service_tier":null,"system_fingerprint":null,"choices":[{"index":0,"logprobs":null,"message":{"role":"assistant","content":"hi","refusal":null,"reasoning":null},"finish_reason":"stop","native_finish_reason":"stop"}],"usage":{"prompt_tokens":1,"#),
        "{text}"
    );
    assert_eq!(tally.upstream_id.as_deref(), Some("chatcmpl-1"));
    assert_eq!((tally.content, tally.text_bytes, tally.finish), (1, 2, Some(Finish::Stop)));
}

#[test]
fn whole_replies_are_mended() {
    let choice = |choice: &str| replied(&format!(r#"{{"choices":[{choice}]}}"#))["choices"][0].clone();
    let none = choice(r#"{"index":0,"finish_reason":"content_filter"}"#);
    assert_eq!(none["message"], serde_json::json!({"role":"assistant","content":null,"refusal":null,"reasoning":null}));
    assert_eq!(none["finish_reason"], "content_filter");

    let junk = choice(
        r#"{"index":0,"finish_reason":"","message":{"content":"","refusal":"","function_call":{"arguments":"","name":""},"audio":{"data":"","id":""},"tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":{"a":1}},"custom":{"name":"","input":""}},{"function":{"name":""}}]}}"#,
    );
    assert_eq!(junk["finish_reason"], "tool_calls");
    assert_eq!(junk["native_finish_reason"], serde_json::Value::Null);
    assert_eq!(
        junk["message"],
        serde_json::json!({"role":"assistant","content":"","refusal":null,"reasoning":null,"tool_calls":[
            {"index":0,"id":"t","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]})
    );

    let parts = choice(
        r#"{"finish_reason":"eos","message":{"content":[{"type":"thinking","thinking":"why"},{"type":"text","text":"a"},{"type":"text","text":"b"}]}}"#,
    );
    assert_eq!(
        (parts["message"]["content"].as_str(), parts["message"]["reasoning"].as_str()),
        (Some("ab"), Some("why"))
    );
    assert_eq!(parts["message"]["reasoning_details"][0]["text"], "why");
    assert_eq!((parts["finish_reason"].as_str(), parts["native_finish_reason"].as_str()), (Some("stop"), Some("eos")));

    let details = choice(
        r#"{"finish_reason":"stop","message":{"content":"a","reasoning_details":[{"type":"reasoning.text","text":"why","signature":"s"}]}}"#,
    );
    assert_eq!(details["message"]["reasoning"], "why");
    assert_eq!(details["message"]["reasoning_details"][0]["signature"], "s");

    let two = replied(
        r#"{"choices":[{"message":{"content":"a"},"finish_reason":"stop"},{"message":{"content":"b"},"finish_reason":"stop"}],"citations":["u"],"system_fingerprint":"fp"}"#,
    );
    assert_eq!(
        (two["choices"][1]["index"].as_u64(), two["choices"][1]["message"]["content"].as_str()),
        (Some(1), Some("b"))
    );
    assert_eq!((two["citations"][0].as_str(), two["system_fingerprint"].as_str()), (Some("u"), Some("fp")));
    assert_eq!(two["usage"]["estimated"], true);
}

#[test]
fn an_error_inside_a_success_is_an_error() {
    let rows: &[(&str, FaultKind, &str)] = &[
        ("<html>secret</html>", FaultKind::Upstream, "the provider answered something that is not JSON"),
        ("", FaultKind::Upstream, "the provider answered something that is not JSON"),
        (
            r#"{"error":{"message":"x","code":429}}"#,
            FaultKind::RateLimited,
            "the provider is limiting the rate of requests",
        ),
        (r#"{"choices":[],"usage":{}}"#, FaultKind::Upstream, "the provider answered without any choice"),
        ("{}", FaultKind::Upstream, "the provider answered without any choice"),
        (
            r#"{"choices":[{"message":{"content":"a"},"finish_reason":"error"}]}"#,
            FaultKind::Upstream,
            "the provider ended the reply with an error",
        ),
    ];
    for (body, kind, says) in rows {
        let fault = reply(body.as_bytes(), &stamp()).unwrap_err();
        assert_eq!((fault.kind, fault.says.as_ref()), (*kind, *says), "{body}");
        assert!(!format!("{fault:?}").contains("secret"), "{body}");
    }
}
