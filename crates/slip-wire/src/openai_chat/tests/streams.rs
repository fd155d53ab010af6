//! Streams: what upstreams send, what callers get.

use super::*;
use crate::dialect::Decode;
use crate::frame::Frame;
use crate::openai_chat::stream::Chunks;
use slip_ir::{Block, FaultKind, Finish, fold};

/// Chunks as one stream, with `[DONE]`.
fn stream(chunks: &[&str]) -> Vec<Event> {
    let mut text: String = chunks.iter().map(|c| format!("data: {c}\n\n")).collect();
    text.push_str("data: [DONE]\n\n");
    let events = decode_stream(&text);
    check_grammar(&events);
    events
}

/// Deltas of choice 0 around which everything is ordinary.
fn deltas(deltas: &[&str], finish: &str) -> Reply {
    let mut chunks: Vec<String> = deltas
        .iter()
        .map(|d| format!(r#"{{"id":"i","choices":[{{"index":0,"delta":{d},"finish_reason":null}}]}}"#))
        .collect();
    chunks.push(format!(r#"{{"id":"i","choices":[{{"index":0,"delta":{{}},"finish_reason":{finish}}}]}}"#));
    fold(stream(&chunks.iter().map(String::as_str).collect::<Vec<_>>()))
}

/// One line per block: enough to see what was understood.
fn told(reply: &Reply) -> Vec<String> {
    let block = |b: &Block| match b {
        Block::Text(t) => format!("text {} {}", t.text, t.annotations.len()),
        Block::Refusal(t) => format!("refusal {t}"),
        Block::Thinking(t) => {
            let (s, d) = (t.signature.as_deref().unwrap_or("-"), t.data.as_deref().unwrap_or("-"));
            format!("thinking {} {s} {d} {}", t.text, t.format)
        }
        Block::ToolCall(c) => {
            format!("call {} {} {} {}", c.id, c.name, c.arguments, c.signature.as_deref().unwrap_or("-"))
        }
        Block::Media(m) => format!("{} {}", m.kind.name(), super::super::media::to_url(&m.source).unwrap_or_default()),
        other => format!("{other:?}"),
    };
    reply.choices.iter().flat_map(|c| c.blocks.iter().map(block)).collect()
}

#[test]
fn deltas_become_blocks_however_they_are_spelt() {
    let rows: &[(&[&str], &[&str])] = &[
        (&[r#"{"role":"assistant","content":""}"#, r#"{"content":"a"}"#, r#"{"content":"b"}"#], &["text ab 0"]),
        (&[r#"{"content":"\ud83d"}"#], &["text \u{fffd} 0"]),
        (&[r#"{"reasoning_content":"r"}"#, r#"{"content":"a"}"#], &["thinking r - - unknown", "text a 0"]),
        (&[r#"{"reasoning":"r","reasoning_content":"r"}"#], &["thinking r - - unknown"]),
        (
            &[
                r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"r"}]},{"type":"text","text":"a"}]}"#,
                r#"{"content":"b"}"#,
            ],
            &["thinking r - - unknown", "text ab 0"],
        ),
        (
            &[
                r#"{"reasoning":"r","reasoning_details":[{"type":"reasoning.text","text":"r","index":0,"format":"anthropic-claude-v1","signature":""}]}"#,
                r#"{"reasoning_details":[{"type":"reasoning.text","signature":"s","index":0}]}"#,
                r#"{"reasoning_details":[{"type":"reasoning.text","text":"q","index":1}]}"#,
                r#"{"reasoning_details":[{"type":"reasoning.encrypted","data":"d","index":2,"id":"rs_1","format":"openai-responses-v1"}]}"#,
            ],
            &["thinking r s - anthropic-claude-v1", "thinking q - - unknown", "thinking  - d openai-responses-v1"],
        ),
        // A whole call in one delta; a call without arguments; numbers from one.
        (
            &[r#"{"tool_calls":[{"index":1,"id":"a","function":{"name":"f","arguments":"{\"x\":1}"}}]}"#],
            &[r#"call a f {"x":1} -"#],
        ),
        (&[r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":""}}]}"#], &["call a f {} -"]),
        // Parallel calls, interleaved.
        (
            &[
                r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{"}},{"index":1,"id":"b","function":{"name":"g","arguments":"["}}]}"#,
                r#"{"tool_calls":[{"index":1,"function":{"arguments":"]"}}]}"#,
                r#"{"tool_calls":[{"index":0,"function":{"arguments":"}"}}]}"#,
            ],
            &["call a f {} -", "call b g [] -"],
        ),
        // No number; the same number for all; ids repeated in every piece; arguments as an object; a name that comes later.
        (
            &[
                r#"{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{"}}]}"#,
                r#"{"tool_calls":[{"function":{"arguments":"}"}}]}"#,
                r#"{"tool_calls":[{"id":"b","function":{"name":"g"}}]}"#,
            ],
            &["call a f {} -", "call b g {} -"],
        ),
        (
            &[
                r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"1"}}]}"#,
                r#"{"tool_calls":[{"index":0,"id":"b","function":{"name":"f","arguments":"2"}}]}"#,
                r#"{"tool_calls":[{"index":0,"function":{"arguments":"3"}}]}"#,
            ],
            &["call a f 1 -", "call b f 23 -"],
        ),
        (
            &[
                r#"{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"1"}}]}"#,
                r#"{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"2"}}]}"#,
            ],
            &["call a f 12 -"],
        ),
        (
            &[r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":{"x":1}}}]}"#],
            &[r#"call a f {"x":1} -"#],
        ),
        (
            &[
                r#"{"tool_calls":[{"index":0,"id":"a","function":{"arguments":"{"}}]}"#,
                r#"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"}"}}]}"#,
            ],
            &["call a f {} -"],
        ),
        (
            &[r#"{"function_call":{"name":"f","arguments":"{"}}"#, r#"{"function_call":{"arguments":"}"}}"#],
            &["call  f {} -"],
        ),
        // Gemini's signatures: beside the call, in a detail before it, in a detail after it, and on text.
        (
            &[
                r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"s"}}}]}"#,
            ],
            &["call a f {} s"],
        ),
        (
            &[
                r#"{"reasoning_details":[{"type":"reasoning.encrypted","data":"s","id":"a","format":"google-gemini-v1","index":0}],"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}"#,
            ],
            &["call a f {} s"],
        ),
        (
            &[
                r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}"#,
                r#"{"reasoning_details":[{"type":"reasoning.encrypted","data":"s","id":"a","format":"google-gemini-v1","index":0}]}"#,
            ],
            &["call a f {} s"],
        ),
        (
            &[
                r#"{"reasoning_details":[{"type":"reasoning.encrypted","data":"s","id":"nobody","format":"google-gemini-v1"}],"content":"a"}"#,
            ],
            &["text a 0", "thinking  - s google-gemini-v1"],
        ),
        // Members that are always there and say nothing.
        (
            &[
                r#"{"content":"a","refusal":"","function_call":{"name":"","arguments":""},"audio":{"id":"","data":"","transcript":""},"tool_calls":[{"id":"","function":{"name":"","arguments":""},"custom":{"name":"","input":""}}],"reasoning_details":[],"images":null}"#,
            ],
            &["text a 0"],
        ),
        (&[r#"{"refusal":"no"}"#], &["refusal no"]),
        (
            &[r#"{"annotations":[{"type":"url_citation","url_citation":{"url":"u"}}]}"#, r#"{"content":"a"}"#],
            &["text a 1"],
        ),
        (
            &[
                r#"{"content":"a"}"#,
                r#"{"images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]}"#,
            ],
            &["text a 0", "image data:image/png;base64,AA=="],
        ),
        (
            &[r#"{"audio":{"id":"x","data":"QQ==","transcript":"h"}}"#, r#"{"audio":{"data":"Qg=="}}"#],
            &["audio data:audio/pcm16;base64,QUI="],
        ),
    ];
    for (given, want) in rows {
        assert_eq!(told(&deltas(given, "\"stop\"")), *want, "{given:?}");
    }
}

#[test]
fn finishes_are_told_in_five_words() {
    let call = r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}"#;
    let text = r#"{"content":"a"}"#;
    let rows = [
        (text, r#""stop""#, Finish::Stop, Some("stop")),
        (text, r#""eos""#, Finish::Stop, Some("eos")),
        (text, r#""length""#, Finish::Length, Some("length")),
        (text, r#""""#, Finish::Stop, None),
        (text, "null", Finish::Stop, None),
        (text, r#""content_filter""#, Finish::ContentFilter, Some("content_filter")),
        (text, r#""error""#, Finish::Error, Some("error")),
        (call, r#""tool_calls""#, Finish::ToolCalls, Some("tool_calls")),
        (call, r#""function_call""#, Finish::ToolCalls, Some("function_call")),
        (call, r#""stop""#, Finish::ToolCalls, Some("stop")),
        (call, r#""""#, Finish::ToolCalls, None),
        (call, r#""length""#, Finish::Length, Some("length")),
    ];
    for (delta, word, finish, native) in rows {
        let reply = deltas(&[delta], word);
        assert_eq!((reply.choices[0].finish, reply.choices[0].native.as_deref()), (Some(finish), native), "{word}");
    }
}

#[test]
fn usage_is_found_wherever_it_stands_and_never_added() {
    let usage = |n: u64| format!(r#"{{"prompt_tokens":{n},"completion_tokens":2,"total_tokens":{}}}"#, n + 2);
    let text = r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}"#;
    let rows: Vec<Vec<String>> = vec![
        vec![text.to_owned(), format!(r#"{{"choices":[],"usage":{}}}"#, usage(3))],
        vec![format!(r#"{{"choices":[],"usage":{}}}"#, usage(3)), text.to_owned()],
        vec![
            text.to_owned(),
            format!(r#"{{"choices":[],"usage":{}}}"#, usage(1)),
            format!(r#"{{"choices":[],"usage":{}}}"#, usage(3)),
        ],
        vec![text.to_owned(), format!(r#"{{"choices":[],"x_groq":{{"usage":{}}}}}"#, usage(3))],
        vec![format!(
            r#"{{"choices":[{{"index":0,"delta":{{"content":"a"}},"finish_reason":"stop","usage":{}}}]}}"#,
            usage(3)
        )],
        vec![format!(r#"{{"choices":[{{"delta":{{"content":"a"}},"finish_reason":"stop"}}],"usage":{}}}"#, usage(3))],
    ];
    for chunks in rows {
        let reply = fold(stream(&chunks.iter().map(String::as_str).collect::<Vec<_>>()));
        assert_eq!(reply.usage.unwrap().total(), 5, "{chunks:?}");
        assert_eq!(reply.choices[0].text(), "a");
    }
}

#[test]
fn a_finish_said_early_or_twice_counts_once_and_loses_no_text() {
    let chunk = |text: &str, finish: &str| {
        format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":{finish}}}]}}"#)
    };
    for chunks in [
        vec![chunk("a", r#""stop""#), chunk("b", r#""stop""#), chunk("", "null")],
        vec![chunk("ab", "null"), chunk("", r#""stop""#), chunk("", r#""stop""#)],
    ] {
        let events = stream(&chunks.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(fold(events).choices[0].text(), "ab");
    }
}

#[test]
fn choices_keep_apart_when_they_interleave() {
    let reply = fold(stream(&[
        r#"{"choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{"content":"x"}}]}"#,
        r#"{"choices":[{"index":1,"delta":{"content":"y"},"finish_reason":"length"}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"stop"}]}"#,
    ]));
    let all: Vec<_> = reply.choices.iter().map(|c| (c.text(), c.finish)).collect();
    assert_eq!(all, [("ab".to_owned(), Some(Finish::Stop)), ("xy".to_owned(), Some(Finish::Length))]);
}

#[test]
fn sources_beside_the_choices_become_citations_once() {
    let chunk = r#"{"citations":["u1","u2"],"search_results":[{"title":"T","url":"u1"}],"choices":[{"index":0,"message":{"content":"so far"},"delta":{"content":"a"},"finish_reason":null}]}"#;
    let end = r#"{"citations":["u1","u2"],"choices":[{"index":0,"message":{"content":"aaa"},"delta":{"content":""},"finish_reason":"stop"}]}"#;
    let reply = fold(stream(&[chunk, chunk, end]));
    let Block::Text(text) = &reply.choices[0].blocks[0] else { panic!() };
    assert_eq!((text.text.as_str(), text.annotations.len()), ("aa", 2));
    assert_eq!(text.annotations[0].value()["url_citation"]["title"], "T");
}

#[test]
fn failures_in_the_middle_come_last_and_keep_what_was_said() {
    let text = r#"data: {"choices":[{"index":0,"delta":{"content":"a"}}]}"#;
    let rows = [
        (r#"data: {"error":{"message":"m","code":429}}"#, FaultKind::RateLimited),
        (
            "event: error\ndata: {\"error\":{\"message\":\"m\",\"type\":\"invalid_request_error\",\"status_code\":400}}",
            FaultKind::BadRequest,
        ),
        (
            r#"data: {"error":{"code":400,"message":"Token limit reached"},"choices":[{"index":0,"delta":{"content":""},"finish_reason":null}]}"#,
            FaultKind::BadRequest,
        ),
        (
            r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"error","error":{"code":502,"message":"m"}}]}"#,
            FaultKind::Upstream,
        ),
        (r#"data: {"error":"overloaded"}"#, FaultKind::Overloaded),
        (r#"data: {"object":"error","message":"m","code":50001}"#, FaultKind::Upstream),
        (r#"data: {"choices":[],"x_groq":{"error":"over capacity"}}"#, FaultKind::Overloaded),
        ("data: {\"choices\":", FaultKind::Upstream),
        ("", FaultKind::Upstream),
    ];
    for (failure, kind) in rows {
        let events = decode_stream(&format!("{text}\n\n{failure}\n\n"));
        check_grammar(&events);
        let reply = fold(events);
        assert_eq!(reply.choices[0].text(), "a", "{failure}");
        assert_eq!(reply.fault.map(|f| f.kind), Some(kind), "{failure}");
    }
    let after = fold(decode_stream(
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n",
    ));
    assert_eq!((after.fault, after.choices[0].finish), (None, Some(Finish::Stop)), "a finish without [DONE] is an end");
    assert!(fold(decode_stream("data: [DONE]\n\n")).fault.is_some(), "an empty stream is no reply");
}

#[test]
fn our_stream_is_spelt_as_clients_expect() {
    let events = stream(&[
        r#"{"id":"up","model":"theirs","system_fingerprint":"fp","choices":[{"index":0,"delta":{"role":"assistant","reasoning_details":[{"type":"reasoning.text","text":"r","index":5,"format":"anthropic-claude-v1","signature":"s"}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"a"},"logprobs":{"content":[]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":3,"id":"c1","function":{"name":"f","arguments":"{}"}},{"index":4,"function":{"name":"g","arguments":""}}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls","native_finish_reason":"tool_use"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
    ]);
    let text = encode_stream(&events, &stamp());
    let head = r#"data: {"id":"gen-1700000000-abcdefghij0123456789","object":"chat.completion.chunk","created":1700000000,"model":"house/model-1","provider":"Provider","system_fingerprint":"fp","choices":["#;
    let open = |delta: &str| {
        format!(
            r#"{{"index":0,"delta":{{"role":"assistant","content":{delta}}},"finish_reason":null,"native_finish_reason":null}}]}}"#
        )
    };
    let end = r#"{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"tool_calls","native_finish_reason":"tool_use"}]"#;
    let bodies = [
        open(r#""""#),
        open(r#""","reasoning":"r","reasoning_details":[{"type":"reasoning.text","text":"r","format":"anthropic-claude-v1","index":0}]"#),
        open(r#""","reasoning_details":[{"type":"reasoning.text","text":"","signature":"s","format":"anthropic-claude-v1","index":0}]"#),
        open(r#""a""#),
        r#"{"index":0,"delta":{"role":"assistant","content":""},"logprobs":{"content":[]},"finish_reason":null,"native_finish_reason":null}]}"#.to_owned(),
        open(r#""","tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":""}}]"#),
        open(r#""","tool_calls":[{"index":0,"function":{"arguments":"{}"}}]"#),
        open(r#""","tool_calls":[{"index":1,"id":"call_abcdefghij0123456789_0","type":"function","function":{"name":"g","arguments":""}}]"#),
        open(r#""","tool_calls":[{"index":1,"function":{"arguments":"{}"}}]"#),
        format!("{end}}}"),
    ];
    let mut lines = text.split("\n\n");
    for body in bodies {
        assert_eq!(lines.next().unwrap(), format!("{head}{body}"));
    }
    let usage = lines.next().unwrap();
    assert!(usage.starts_with(&format!(r#"{head}{end},"usage":{{"prompt_tokens":1,"#)), "{usage}");
    assert_eq!((lines.next(), lines.next(), lines.next()), (Some("data: [DONE]"), Some(""), None));
}

#[test]
fn a_failure_is_told_in_band_and_the_stream_still_ends() {
    let events = decode_stream(
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"error\":{\"code\":429,\"message\":\"slow\"}}\n\n",
    );
    let text = encode_stream(&events, &stamp());
    let tail = r#""error":{"code":429,"message":"the provider is limiting the rate of requests","metadata":{"error_type":"rate_limit_exceeded","reason":"rate_limited","raw":"{\"error\":{\"code\":429,\"message\":\"slow\"}}","provider_code":"429"}},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error","native_finish_reason":null}]}"#;
    assert!(text.ends_with(&format!("{tail}\n\ndata: [DONE]\n\n")), "{text}");
}

#[test]
fn hidden_reasoning_leaves_its_seals_only_to_tool_calls() {
    let think = r#"{"choices":[{"index":0,"delta":{"reasoning_details":[{"type":"reasoning.text","text":"secret","index":0,"signature":"sig"},{"type":"reasoning.encrypted","data":"blob","index":1}]}}]}"#;
    let call = r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}}]}"#;
    let end = r#"{"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}"#;
    let hide = Stamp { hide_reasoning: true, ..stamp() };
    for (chunks, seals) in [(vec![think, end], false), (vec![think, call, end], true)] {
        let events = stream(&chunks);
        let whole = OpenAiChat.encode_reply(&fold(events.clone()), &hide);
        for text in [encode_stream(&events, &hide), String::from_utf8(whole).unwrap()] {
            assert!(!text.contains("secret"), "{text}");
            assert_eq!((text.contains("sig"), text.contains("blob")), (seals, seals), "{text}");
        }
    }
}

#[test]
fn what_nobody_counted_is_estimated() {
    let events = stream(&[r#"{"choices":[{"index":0,"delta":{"content":"12345678"},"finish_reason":"stop"}]}"#]);
    let text = encode_stream(&events, &Stamp { prompt_estimate: 7, ..stamp() });
    assert!(text.contains(r#""usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9"#), "{text}");
    assert!(text.contains(r#""estimated":true"#));
}

#[test]
fn a_signature_said_twice_is_kept_once() {
    let extra = r#""extra_content":{"google":{"thought_signature":"s"}}"#;
    for pieces in [
        vec![format!(r#"{{"content":"a","thought_signature":"s",{extra}}}"#)],
        vec![r#"{"content":"a","thought_signature":"s"}"#.to_owned(), format!("{{{extra}}}")],
    ] {
        let reply = deltas(&pieces.iter().map(String::as_str).collect::<Vec<_>>(), r#""stop""#);
        let Some(Block::Text(text)) = reply.choices[0].blocks.first() else { panic!("text") };
        assert_eq!(text.signature.as_deref(), Some("s"), "{pieces:?}");
    }
}

/// Chunks that are nearly, but not all, plain text, each of them as the short way might mistake it.
const KINDS: [&str; 22] = [
    r#"{"id":"i","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
    r#"{"id":"i","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}"#,
    r#"{"id":"i","object":"chat.completion.chunk","created":1,"model":"m","service_tier":"x","system_fingerprint":null,"choices":[{"index":0,"delta":{"content":" b\n"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"kx"}"#,
    r#"{"id":"i","choices":[{"index":0,"delta":{"role":"assistant","content":"\u00e9\ud83d\ude00","refusal":null},"finish_reason":null}]}"#,
    r#"{"id":"i","choices":[{"index":1,"delta":{"content":"other"},"finish_reason":null}]}"#,
    r#"{"id":"i","choices":[{"index":0,"delta":{"content":"x"}},{"index":1,"delta":{"content":"y"}}]}"#,
    r#"{"id":"i","choices":[{"index":0,"delta":{"reasoning_content":"r"},"finish_reason":null}]}"#,
    r#"{"id":"i","choices":[{"index":0,"delta":{"content":"c","reasoning":"r"},"finish_reason":null}]}"#,
    r#"{"id":"i","choices":[{"index":0,"delta":{"content":"c","content":"twice"},"finish_reason":null}]}"#,
    r#"{"id":"i","choices":[{"index":0,"delta":{"content":"c"},"delta":{"content":"twice"}}]}"#,
    r#"{"id":"i","choices":[{"index":0,"delta":{"content":"c"}}],"choices":[]}"#,
    r#"{"id":"i","choices":[{"index":0,"delta":{"refusal":"no"},"finish_reason":null}]}"#,
    r#"{"id":"i","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":"{}"}}]}}]}"#,
    r#"{"id":"i","choices":[{"index":0,"delta":{"content":"l"},"logprobs":{"content":[]},"finish_reason":null}]}"#,
    r#"{"id":"i","choices":[{"index":0,"delta":{"content":"last"},"finish_reason":"stop"}]}"#,
    r#"{"id":"i","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
    r#"{"id":"i","choices":[{"index":0,"delta":{"content":"u"}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
    r#"{"id":"i","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
    r#"{"id":"i","object":"error","message":"m","choices":[{"index":0,"delta":{"content":"e"}}]}"#,
    r#"{"id":"i","choices":[{"index":0,"delta":{"content":"e"}}],"error":{"message":"broke"}}"#,
    r#"{"id":"i","choices":[{"index":0,"delta":{"content":"cited"}}],"citations":["https://example.com"]}"#,
    r#"{"id":"i","choices":[{"index":0,"delta":{"content":"cut"#,
];

proptest::proptest! {
    #[test]
    fn the_short_way_and_the_long_way_hear_the_same(kinds in proptest::collection::vec(0..KINDS.len(), 1..12)) {
        let (mut short, mut long) = (Chunks::default(), Chunks::careful());
        let (mut one, mut other) = (Vec::new(), Vec::new());
        for kind in kinds {
            let frame = Frame { event: None, data: KINDS[kind].as_bytes() };
            short.frame(&frame, &mut one);
            long.frame(&frame, &mut other);
            proptest::prop_assert_eq!(&one, &other, "{}", KINDS[kind]);
        }
        short.eof(&mut one);
        long.eof(&mut other);
        proptest::prop_assert_eq!(one, other);
    }
}
