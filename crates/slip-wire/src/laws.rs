//! Laws that hold for any input whatever, whichever dialects are on either side.

mod recorded;

use crate::frame::Framing;
use crate::frame::eventstream::put_message;
use crate::lens::meter::Meter;
use crate::quirks::{MaxTokens, ReasoningStyle};
use crate::{End, Lens, Peek, Quirks, Stamp, Tally, json, lens, openai_chat, wire};
use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use slip_ir::{Dialect, Fault, FaultKind, Remedy, Usage};
use std::borrow::Cow;
use std::sync::Arc;

/// Every pair of upstream and caller.
fn pairs() -> impl Iterator<Item = (Dialect, Dialect)> {
    Dialect::ALL.into_iter().flat_map(|up| Dialect::ALL.map(|caller| (up, caller)))
}

fn stamp() -> Arc<Stamp> {
    Arc::new(Stamp {
        id: "gen-1-abcdefghijklmnopqrst".into(),
        created: 1,
        model: "m/n".into(),
        provider: "P".into(),
        prompt_estimate: 11,
        ..Stamp::default()
    })
}

/// Frames each dialect's servers send, in no order: a stream drawn from them may well be nonsense.
fn frames(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::OpenAiChat => &[
            r#"{"id":"a","model":"x","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"zażółć \ud83d\ude00"},"finish_reason":null}]}"#,
            r#"{"choices":[{"index":0,"delta":{"reasoning_content":"hm"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":""}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
            r#"{"choices":[{"index":1,"delta":{"content":"b"},"finish_reason":"length"}]}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":5,"total_tokens":20,"prompt_tokens_details":{"cached_tokens":4}}}"#,
            r#"{"choices":[],"x_groq":{"usage":{"prompt_tokens":9,"completion_tokens":5}}}"#,
            r#"{"error":{"message":"m","code":429}}"#,
            "[DONE]",
            "{",
        ],
        Dialect::Anthropic => &[
            r#"{"type":"message_start","message":{"id":"a","model":"x","role":"assistant","content":[],"usage":{"input_tokens":5,"output_tokens":1}}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"zażółć"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{}"}}"#,
            r#"{"type":"content_block_start","index":2,"content_block":{"type":"thinking","thinking":""}}"#,
            r#"{"type":"content_block_delta","index":2,"delta":{"type":"thinking_delta","thinking":"hm"}}"#,
            r#"{"type":"content_block_delta","index":2,"delta":{"type":"signature_delta","signature":"s"}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7}}"#,
            r#"{"type":"message_stop"}"#,
            r#"{"type":"ping"}"#,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#,
            "{",
        ],
        Dialect::Gemini => &[
            r#"{"candidates":[{"content":{"parts":[{"text":"zażółć"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":5},"responseId":"r","modelVersion":"x"}"#,
            r#"{"candidates":[{"content":{"parts":[{"text":"hm","thought":true}],"role":"model"}}]}"#,
            r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{}},"thoughtSignature":"s"}]}}]}"#,
            r#"{"candidates":[{"content":{"parts":[{"text":""}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":7,"thoughtsTokenCount":2,"totalTokenCount":14}}"#,
            r#"{"candidates":[{"content":{},"finishReason":"SAFETY"}]}"#,
            r#"{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}"#,
            "{",
        ],
        Dialect::Completions => &[
            r#"{"id":"a","object":"text_completion","model":"x","choices":[{"index":0,"text":"zażółć \ud83d\ude00","logprobs":null,"finish_reason":null}]}"#,
            r#"{"choices":[{"index":0,"text":" b","logprobs":{"tokens":[" b"],"token_logprobs":[-0.5],"top_logprobs":[{" b":-0.5}],"text_offset":[3]}}],"usage":null}"#,
            r#"{"choices":[{"index":1,"text":"c","finish_reason":"length"}]}"#,
            r#"{"choices":[{"index":0,"text":"","finish_reason":"stop","stop_reason":null}]}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14}}"#,
            r#"{"error":{"message":"m","code":429}}"#,
            "[DONE]",
            "{",
        ],
        Dialect::Responses => &[
            r#"{"type":"response.created","response":{"id":"r","model":"x","created_at":1,"status":"in_progress","output":[]}}"#,
            r#"{"type":"response.output_item.added","output_index":0,"item":{"id":"m","type":"message","role":"assistant","content":[]}}"#,
            r#"{"type":"response.output_text.delta","output_index":0,"item_id":"m","content_index":0,"delta":"zażółć \ud83d\ude00","logprobs":[{"token":"z","logprob":-0.1}]}"#,
            r#"{"type":"response.output_text.annotation.added","output_index":0,"item_id":"m","content_index":0,"annotation":{"type":"url_citation","url":"u"}}"#,
            r#"{"type":"response.refusal.delta","output_index":0,"item_id":"m","content_index":1,"delta":"no"}"#,
            r#"{"type":"response.output_item.done","output_index":0,"item":{"id":"m","type":"message","role":"assistant","content":[{"type":"output_text","text":"all"}]}}"#,
            r#"{"type":"response.output_item.added","output_index":1,"item":{"id":"c","type":"function_call","call_id":"k","name":"f","arguments":""}}"#,
            r#"{"type":"response.function_call_arguments.delta","output_index":1,"item_id":"c","delta":"{}"}"#,
            r#"{"type":"response.output_item.done","output_index":2,"item":{"id":"d","type":"custom_tool_call","call_id":"l","name":"g","input":"x"}}"#,
            r#"{"type":"response.reasoning_summary_text.delta","output_index":3,"item_id":"rs_1","summary_index":0,"delta":"hm"}"#,
            r#"{"type":"response.reasoning_text.delta","output_index":3,"item_id":"rs_1","content_index":0,"delta":"hm"}"#,
            r#"{"type":"response.output_item.done","output_index":3,"item":{"id":"rs_1","type":"reasoning","summary":[],"encrypted_content":"gAAA"}}"#,
            r#"{"type":"response.output_item.done","output_index":4,"item":{"id":"w","type":"web_search_call","status":"completed"}}"#,
            r#"{"type":"response.output_item.done","output_index":5,"item":{"id":"i","type":"image_generation_call","result":"iVBORw0KGgo="}}"#,
            r#"{"type":"response.completed","response":{"status":"completed","output":[],"usage":{"input_tokens":9,"output_tokens":5,"total_tokens":14,"input_tokens_details":{"cached_tokens":4}}}}"#,
            r#"{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}}"#,
            r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"m"}}}"#,
            r#"{"type":"error","error":{"type":"insufficient_quota","code":"insufficient_quota","message":"m"}}"#,
            "[DONE]",
            "{",
        ],
        Dialect::Ollama => &[
            r#"{"model":"x","created_at":"2026-08-05T08:10:56.372032Z","message":{"role":"assistant","content":"zażółć \ud83d\ude00"},"done":false}"#,
            r#"{"message":{"role":"assistant","content":"","thinking":"hm"},"done":false}"#,
            r#"{"message":{"role":"assistant","content":"","tool_calls":[{"id":"c","function":{"index":0,"name":"f","arguments":{"a":1}}}]},"done":false}"#,
            r#"{"message":{"role":"assistant","content":"b"},"logprobs":[{"token":"b","logprob":-0.5}],"done":false}"#,
            r#"{"model":"x","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","total_duration":7,"prompt_eval_count":5,"eval_count":7}"#,
            r#"{"error":"m"}"#,
            "{",
        ],
        Dialect::OllamaGenerate => &[
            r#"{"model":"x","created_at":"2026-08-05T08:10:56.372032Z","response":"zażółć","done":false}"#,
            r#"{"response":"","thinking":"hm","done":false}"#,
            r#"{"model":"x","response":"","done":true,"done_reason":"length","context":[1,2],"prompt_eval_count":5,"eval_count":7}"#,
            r#"{"error":"m"}"#,
            "{",
        ],
        Dialect::Cohere => &[
            r#"{"id":"a","type":"message-start","delta":{"message":{"role":"assistant","content":[],"tool_plan":"","tool_calls":[],"citations":[]}}}"#,
            r#"{"type":"content-start","index":0,"delta":{"message":{"content":{"type":"text","text":""}}}}"#,
            r#"{"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"zażółć"}}}}"#,
            r#"{"type":"content-end","index":0}"#,
            r#"{"type":"content-delta","index":1,"delta":{"message":{"content":{"thinking":"hm"}}}}"#,
            r#"{"type":"citation-start","index":0,"delta":{"message":{"citations":{"start":0,"end":4,"text":"zaż","sources":[{"type":"tool","id":"t:0","tool_output":{"content":"x"}}],"type":"TEXT_CONTENT"}}}}"#,
            r#"{"type":"citation-end","index":0}"#,
            r#"{"type":"tool-plan-delta","delta":{"message":{"tool_plan":"plan"}}}"#,
            r#"{"type":"tool-call-start","index":0,"delta":{"message":{"tool_calls":{"id":"c","type":"function","function":{"name":"f","arguments":""}}}}}"#,
            r#"{"type":"tool-call-delta","index":0,"delta":{"message":{"tool_calls":{"function":{"arguments":"{}"}}}}}"#,
            r#"{"type":"tool-call-end","index":0}"#,
            r#"{"type":"message-end","delta":{"finish_reason":"COMPLETE","usage":{"billed_units":{"input_tokens":4,"output_tokens":8},"tokens":{"input_tokens":15,"output_tokens":22},"cached_tokens":3}}}"#,
            r#"{"type":"message-end","delta":{"finish_reason":"ERROR","error":"m"}}"#,
            "[DONE]",
            "{",
        ],
        // The type of each message before its payload.
        Dialect::Bedrock => &[
            r#"messageStart {"role":"assistant","p":"abc"}"#,
            r#"contentBlockDelta {"contentBlockIndex":0,"delta":{"text":"zażółć"},"p":"a"}"#,
            r#"contentBlockDelta {"contentBlockIndex":0,"delta":{"citation":{"title":"t","location":{"web":{"url":"https://u"}}}}}"#,
            r#"contentBlockStop {"contentBlockIndex":0}"#,
            r#"contentBlockStart {"contentBlockIndex":1,"start":{"toolUse":{"toolUseId":"t","name":"f"}}}"#,
            r#"contentBlockDelta {"contentBlockIndex":1,"delta":{"toolUse":{"input":"{}"}}}"#,
            r#"contentBlockDelta {"contentBlockIndex":2,"delta":{"reasoningContent":{"text":"hm"}}}"#,
            r#"contentBlockDelta {"contentBlockIndex":2,"delta":{"reasoningContent":{"signature":"s"}}}"#,
            r#"contentBlockDelta {"contentBlockIndex":3,"delta":{"reasoningContent":{"redactedContent":"QUFBQQ=="}}}"#,
            r#"contentBlockStart {"contentBlockIndex":4,"start":{"toolUse":{"toolUseId":"t","name":"n","type":"server_tool_use"}}}"#,
            r#"contentBlockStart {"contentBlockIndex":5,"start":{"image":{"format":"png"}}}"#,
            r#"contentBlockDelta {"contentBlockIndex":5,"delta":{"image":{"source":{"bytes":"QUFBQQ=="}}}}"#,
            r#"messageStop {"stopReason":"end_turn"}"#,
            r#"metadata {"usage":{"inputTokens":5,"outputTokens":7,"totalTokens":12}}"#,
            r#"throttlingException {"message":"m"}"#,
            "messageStop {",
        ],
    }
}

/// Bytes that a failing case prints readably.
#[derive(Clone)]
struct Bytes(Vec<u8>);

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl std::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// A stream of such frames in any framing, perhaps damaged, perhaps cut.
fn stream(dialect: Dialect) -> impl Strategy<Value = Bytes> {
    let ends = proptest::sample::select(vec!["\n", "\r\n", "\r"]);
    let frames = vec(proptest::sample::select(frames(dialect)), 0..9);
    let damage = proptest::option::weighted(0.2, (any::<proptest::sample::Index>(), any::<u8>()));
    let cut = proptest::option::weighted(0.2, any::<proptest::sample::Index>());
    (ends, frames, damage, cut).prop_map(move |(end, frames, damage, cut)| {
        let mut bytes = Vec::new();
        for frame in frames {
            if wire(dialect).framing() == Framing::Lines {
                bytes.extend_from_slice(format!("{frame}\n").as_bytes());
                continue;
            }
            if wire(dialect).framing() == Framing::EventStream {
                bytes.extend_from_slice(&message(frame));
                continue;
            }
            if dialect == Dialect::Anthropic {
                let name = json::field(frame.as_bytes(), "type").and_then(json::string).unwrap_or_default();
                bytes.extend_from_slice(format!("event: {name}{end}").as_bytes());
            }
            bytes.extend_from_slice(format!("data: {frame}{end}{end}").as_bytes());
        }
        if let (Some((at, byte)), false) = (damage, bytes.is_empty()) {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let (Some(at), false) = (cut, bytes.is_empty()) {
            bytes.truncate(at.index(bytes.len()));
        }
        Bytes(bytes)
    })
}

/// One of Amazon's messages, its type written before its payload.
fn message(frame: &str) -> BytesMut {
    let (name, payload) = frame.split_once(' ').unwrap_or((frame, ""));
    let mut out = BytesMut::new();
    put_message(name, payload.as_bytes(), &mut out);
    out
}

fn quirks(dialect: Dialect) -> Quirks {
    Quirks::of(dialect).clone()
}

/// The bytes, cut into chunks of the given sizes over and over.
fn chunks<'a>(mut bytes: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut chunks = Vec::new();
    for size in sizes.iter().cycle() {
        if bytes.is_empty() {
            break;
        }
        let (chunk, rest) = bytes.split_at((*size).clamp(1, bytes.len()));
        chunks.push(chunk);
        bytes = rest;
    }
    chunks
}

fn cross(up: Dialect, caller: Dialect, chunks: &[&[u8]]) -> (Vec<u8>, Tally) {
    let mut lens = Lens::new(up, caller, stamp(), &quirks(up));
    let mut out = BytesMut::new();
    for chunk in chunks {
        lens.push(chunk, &mut out);
    }
    let tally = lens.end(End::Eof, &mut out);
    (out.to_vec(), tally)
}

/// What the full decoder says of the same bytes.
fn decoded(dialect: Dialect, bytes: &[u8]) -> Tally {
    let mut decode = wire(dialect).decoder(&quirks(dialect));
    let mut events = Vec::new();
    let mut framer = crate::frame::Framer::new(wire(dialect).framing());
    let mut each = |frame: crate::frame::Frame<'_>| decode.frame(&frame, &mut events);
    let unframed = framer.push(bytes, &mut each).and_then(|()| framer.finish(&mut each)).is_err();
    decode.eof(&mut events);
    let mut meter = Meter::default();
    if unframed {
        meter.fault(Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, "damaged"));
    }
    events.iter().for_each(|event| meter.event(event));
    meter.settle(&stamp());
    meter.tally
}

fn reported(tally: &Tally) -> Option<&Usage> {
    tally.usage.as_ref().filter(|usage| !usage.estimated)
}

fn check_split(up: Dialect, caller: Dialect, bytes: &[u8], sizes: &[usize]) -> Result<(), TestCaseError> {
    let (whole, tally) = cross(up, caller, &[bytes]);
    let (split, split_tally) = cross(up, caller, &chunks(bytes, sizes));
    prop_assert_eq!(String::from_utf8_lossy(&split), String::from_utf8_lossy(&whole), "{} to {}", up, caller);
    prop_assert_eq!(split_tally, tally);
    Ok(())
}

proptest! {
    #[test]
    fn any_split_of_the_bytes_gives_the_same_bytes(
        streams in Vec::from(Dialect::ALL.map(stream)),
        sizes in vec(1usize..40, 1..8),
    ) {
        for (up, bytes) in Dialect::ALL.into_iter().zip(&streams) {
            for caller in Dialect::ALL {
                check_split(up, caller, bytes, &sizes)?;
            }
        }
    }

    #[test]
    fn no_bytes_make_a_lens_panic_or_write_broken_events(
        bytes in prop_oneof![
            vec(any::<u8>(), 0..200),
            vec(proptest::sample::select(b"data: {}[]\":,\n\r\\choicesdelta01".to_vec()), 0..200),
        ],
        hide in any::<bool>(),
    ) {
        for (up, caller) in pairs() {
            cross(up, caller, &[&bytes]);
            let stamp = Stamp { hide_reasoning: hide, ..(*stamp()).clone() };
            let _ = lens::reply(up, caller, &bytes, &stamp, &quirks(up));
        }
        let _ = Peek::openai_chat(&bytes);
        let _ = Peek::anthropic(&bytes);
        let _ = Peek::gemini(&bytes, "m", true);
        let _ = openai_chat::usage::parse_usage(&bytes);
    }

    #[test]
    fn every_patched_event_is_valid_json_and_the_last_is_done(chat in stream(Dialect::OpenAiChat)) {
        let (out, _) = cross(Dialect::OpenAiChat, Dialect::OpenAiChat, &[&chat]);
        let text = String::from_utf8(out).unwrap();
        let mut events: Vec<&str> = text.split_terminator("\n\n").collect();
        prop_assert_eq!(events.pop(), Some("data: [DONE]"));
        for event in events {
            let chunk = event.strip_prefix("data: ").unwrap();
            prop_assert!(json::check(chunk.as_bytes()).is_ok(), "{}", chunk);
            // Half of a surrogate pair goes through as it came: the other half may be in the next chunk.
            if let Ok(chunk) = serde_json::from_str::<Value>(chunk) {
                recorded::check_chunk(&chunk);
            }
        }
    }

    #[test]
    fn verbatim_out_equals_in(
        anthropic in vec(proptest::sample::select(&frames(Dialect::Anthropic)[..9]), 0..9),
        gemini in vec(proptest::sample::select(&frames(Dialect::Gemini)[..4]), 0..9),
        responses in vec(proptest::sample::select(&frames(Dialect::Responses)[..14]), 0..9),
        bedrock in vec(proptest::sample::select(&frames(Dialect::Bedrock)[..12]), 0..9),
        sizes in vec(1usize..40, 1..8),
    ) {
        let bytes: Vec<u8> = bedrock.into_iter().chain([frames(Dialect::Bedrock)[12], frames(Dialect::Bedrock)[13]])
            .flat_map(message).collect();
        let (out, tally) = cross(Dialect::Bedrock, Dialect::Bedrock, &chunks(&bytes, &sizes));
        prop_assert_eq!((out, tally.fault), (bytes, None));
        let ends = [
            (Dialect::Anthropic, anthropic, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":7}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"),
            (Dialect::Gemini, gemini, "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}]},\"finishReason\":\"STOP\"}]}\r\n\r\n"),
            (Dialect::Responses, responses, "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\"}}\n\n"),
        ];
        for (dialect, frames, end) in ends {
            let mut bytes: Vec<u8> = frames.iter().flat_map(|frame| {
                let name = json::field(frame.as_bytes(), "type").and_then(json::string).unwrap_or_default();
                format!("event: {name}\ndata: {frame}\n\n").into_bytes()
            }).collect();
            bytes.extend_from_slice(end.as_bytes());
            let (out, tally) = cross(dialect, dialect, &chunks(&bytes, &sizes));
            if tally.fault.is_none() {
                prop_assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&bytes));
            }
        }
    }

    #[test]
    fn the_meter_counts_what_the_decoder_counts(
        streams in Vec::from(Dialect::ALL.map(stream)),
    ) {
        for (dialect, bytes) in Dialect::ALL.into_iter().zip(&streams) {
            let (_, metered) = cross(dialect, dialect, &[bytes]);
            let full = decoded(dialect, bytes);
            // A stream that failed is billed by what was seen until then, which both need not see alike.
            if metered.fault.is_none() && full.fault.is_none() {
                prop_assert_eq!(metered.finish, full.finish, "{}", dialect);
                prop_assert_eq!(reported(&metered), reported(&full), "{}", dialect);
            }
        }
    }
}

/// Any JSON value, not too large.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i32>().prop_map(|n| Value::from(n as f64 / 8.0)),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((any::<String>(), inner), 0..5).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn serde_accepts(bytes: &[u8]) -> bool {
    serde_json::from_slice::<&serde_json::value::RawValue>(bytes).is_ok()
}

proptest! {
    #[test]
    fn the_scanner_agrees_with_serde_json(
        document in value(),
        pretty in any::<bool>(),
        edits in vec((any::<proptest::sample::Index>(), 0u8..3, any::<u8>()), 0..3),
    ) {
        let text = if pretty { serde_json::to_vec_pretty(&document) } else { serde_json::to_vec(&document) };
        let mut bytes = text.unwrap();
        prop_assert!(json::check(&bytes).is_ok());
        if let Value::Object(map) = &document {
            let members = json::members(&bytes).unwrap();
            prop_assert_eq!(members.len(), map.len());
            for member in members {
                prop_assert_eq!(&serde_json::from_slice::<Value>(&bytes[member.value]).unwrap(), &map[&member.key]);
            }
        }
        for (at, kind, byte) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => { bytes.remove(at); }
            }
        }
        prop_assert_eq!(json::check(&bytes).is_ok(), serde_accepts(&bytes), "{}", bytes.escape_ascii());
    }
}

/// Members a caller may send, each with values of the right type.
fn members() -> impl Strategy<Value = Vec<(&'static str, Value)>> {
    let of = |name: &'static str, values: Vec<Value>| {
        proptest::option::of(proptest::sample::select(values)).prop_map(move |v| v.map(|v| (name, v)))
    };
    let unknown = proptest::option::of(value()).prop_map(|v| v.map(|v| ("safe_prompt", v)));
    let first = (
        of("model", vec![json!("a/b"), Value::Null]),
        of("stream", vec![json!(true), json!(false), Value::Null]),
        of("stream_options", vec![json!({}), json!({"include_usage": false, "x": [1]}), Value::Null]),
        of("max_tokens", vec![json!(5), json!(20000), Value::Null]),
        of("max_completion_tokens", vec![json!(9), Value::Null]),
        of(
            "reasoning",
            vec![
                json!({}),
                json!({"effort": "low"}),
                json!({"max_tokens": 3000}),
                json!({"enabled": false}),
                json!({"exclude": true}),
                Value::Null,
            ],
        ),
        of("reasoning_effort", vec![json!("high"), json!("none"), Value::Null]),
        of("include_reasoning", vec![json!(true), json!(false), Value::Null]),
    );
    let second = (
        of("provider", vec![json!({"only": ["a"]}), Value::Null]),
        of("models", vec![json!(["a"]), Value::Null]),
        of("usage", vec![json!({"include": true})]),
        of("user", vec![json!("u"), Value::Null]),
        of("seed", vec![json!(1), Value::Null]),
        of("temperature", vec![json!(0.5), Value::Null]),
        of("stop", vec![json!(["a"]), Value::Null]),
        unknown,
    );
    (first, second)
        .prop_map(|(a, b)| {
            let all = [a.0, a.1, a.2, a.3, a.4, a.5, a.6, a.7, b.0, b.1, b.2, b.3, b.4, b.5, b.6, b.7];
            all.into_iter().flatten().collect::<Vec<_>>()
        })
        .prop_shuffle()
}

fn any_quirks() -> impl Strategy<Value = Quirks> {
    let style = proptest::sample::select(vec![
        ReasoningStyle::Effort,
        ReasoningStyle::Object,
        ReasoningStyle::Thinking,
        ReasoningStyle::EnableThinking,
        ReasoningStyle::Unsaid,
    ]);
    (style, any::<[bool; 4]>()).prop_map(|(reasoning, [completion, stream_options, refuses, router])| Quirks {
        reasoning,
        max_tokens: if completion { MaxTokens::Completion } else { MaxTokens::Plain },
        stream_options,
        refuses: Cow::Owned(if refuses { vec!["user".into(), "seed".into()] } else { vec![] }),
        router,
        ..Quirks::OPENAI_CHAT
    })
}

/// The same rewriting done on values. Written apart from the splice, on purpose.
fn edited(mut body: serde_json::Map<String, Value>, peek: &Peek, quirks: &Quirks) -> Value {
    body.insert("model".into(), json!("up"));
    for name in ["user", "seed", "temperature", "stop", "stream"] {
        if body.get(name).is_some_and(Value::is_null) || quirks.refuses(name) {
            body.remove(name);
        }
    }
    let caps = [body.remove("max_completion_tokens"), body.remove("max_tokens")];
    if let Some(cap) = caps.into_iter().flatten().find(|cap| !cap.is_null()) {
        let name = if quirks.max_tokens == MaxTokens::Completion { "max_completion_tokens" } else { "max_tokens" };
        body.insert(name.into(), cap);
    }
    let options = body.remove("stream_options");
    if body.get("stream") == Some(&json!(true)) && quirks.stream_options {
        let mut options = options.and_then(|o| o.as_object().cloned()).unwrap_or_default();
        options.insert("include_usage".into(), json!(true));
        body.insert("stream_options".into(), options.into());
    }
    if quirks.router {
        return body.into();
    }
    for name in ["provider", "models", "usage"] {
        body.remove(name);
    }
    let object = body.remove("reasoning").filter(|r| !r.is_null());
    let said = object.is_some()
        | body.remove("reasoning_effort").is_some_and(|v| !v.is_null())
        | body.remove("include_reasoning").is_some_and(|v| !v.is_null());
    let thought = peek.reasoning;
    let cap = peek.want.max_tokens.unwrap_or(quirks.default_max_tokens);
    let off = thought.refused();
    let on = thought.wanted();
    let level = match (thought.effort, thought.budget) {
        _ if off => Some("none".to_owned()),
        (Some(effort), _) => Some(effort.name().to_owned()),
        (None, Some(budget)) => {
            let levels = [
                slip_ir::Effort::Minimal,
                slip_ir::Effort::Low,
                slip_ir::Effort::Medium,
                slip_ir::Effort::High,
                slip_ir::Effort::XHigh,
            ];
            let mut best = levels[0];
            for level in levels {
                if level.budget(cap).abs_diff(budget) < best.budget(cap).abs_diff(budget) {
                    best = level;
                }
            }
            Some(best.name().to_owned())
        }
        (None, None) => None,
    };
    let budget = thought.budget.or(thought.effort.map(|effort| effort.budget(cap)));
    match quirks.reasoning {
        _ if !said => {}
        ReasoningStyle::Effort => {
            if let Some(level) = level.or(on.then(|| "medium".to_owned())) {
                body.insert("reasoning_effort".into(), level.into());
            }
        }
        ReasoningStyle::Object => {
            let told = object.or(level.map(|l| json!({"effort": l}))).or(on.then(|| json!({"enabled": true})));
            told.map(|told| body.insert("reasoning".into(), told));
        }
        ReasoningStyle::Thinking if off => {
            body.insert("thinking".into(), json!({"type": "disabled"}));
        }
        ReasoningStyle::Thinking if on => {
            let mut told = json!({"type": "enabled"});
            if let Some(budget) = budget {
                told["budget_tokens"] = budget.into();
            }
            body.insert("thinking".into(), told);
        }
        ReasoningStyle::EnableThinking if off => {
            body.insert("enable_thinking".into(), false.into());
        }
        ReasoningStyle::EnableThinking if on => {
            body.insert("enable_thinking".into(), true.into());
            budget.map(|budget| body.insert("thinking_budget".into(), budget.into()));
        }
        _ => {}
    }
    body.into()
}

proptest! {
    #[test]
    fn splice_equals_parse_edit_serialise(members in members(), quirks in any_quirks(), pretty in any::<bool>()) {
        let mut text = String::from(r#"{"messages":[{"role":"user","content":"hi"}]"#);
        for (name, value) in &members {
            let value = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
            text.push_str(&format!(", {}:{}", json!(name), value.unwrap()));
        }
        text.push('}');
        let peek = Peek::openai_chat(text.as_bytes()).unwrap();
        let mut out = Vec::new();
        openai_chat::splice::splice(text.as_bytes(), &peek, "up", &quirks, &mut out);
        prop_assert!(json::members(&out).is_ok(), "a member appears twice: {}", out.escape_ascii());
        let got: Value = serde_json::from_slice(&out).unwrap();
        let body: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(got, edited(body, &peek, &quirks));
    }
}
