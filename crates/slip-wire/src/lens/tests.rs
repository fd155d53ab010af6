//! How streams and whole replies end on each pair of dialects, above all when they end badly.

use super::*;
use crate::frame::Framing;
use crate::frame::eventstream::put_message;

const CHAT: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n";
const ANTHROPIC: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"a\",\"model\":\"x\",\"role\":\"assistant\",\"content\":[],\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\n";
const ANTHROPIC_END: &str = "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":7}}\n\n";
const ANTHROPIC_STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
const GEMINI: &str =
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hi\"}],\"role\":\"model\"}}]}\r\n\r\n";

fn stamp() -> Arc<Stamp> {
    Arc::new(Stamp { id: "gen-1-abc".into(), created: 1, prompt_estimate: 7, ..Stamp::default() })
}

fn quirks(dialect: Dialect) -> Quirks {
    Quirks::of(dialect).clone()
}

fn started(dialect: Dialect) -> Vec<u8> {
    match dialect {
        Dialect::OpenAiChat => CHAT.into(),
        Dialect::Anthropic => ANTHROPIC.into(),
        Dialect::Gemini => GEMINI.into(),
        Dialect::Bedrock => {
            let mut out = BytesMut::new();
            put_message("messageStart", br#"{"role":"assistant"}"#, &mut out);
            put_message("contentBlockDelta", br#"{"contentBlockIndex":0,"delta":{"text":"Hi"}}"#, &mut out);
            out.to_vec()
        }
        other => panic!("how does a stream of {other} begin?"),
    }
}

/// The same, and half an event more.
fn half(dialect: Dialect) -> Vec<u8> {
    let mut bytes = started(dialect);
    if quirks(dialect).framing(dialect) == Framing::EventStream {
        let mut more = BytesMut::new();
        put_message("half", b"{}", &mut more);
        bytes.extend_from_slice(&more[..more.len() - 3]);
    } else {
        bytes.extend_from_slice(b"data: {\"half");
    }
    bytes
}

/// Told as text, whatever it is.
fn cross(up: Dialect, caller: Dialect, bytes: impl AsRef<[u8]>, how: End) -> (String, Tally) {
    let mut lens = Lens::new(up, caller, stamp(), &quirks(up));
    let mut out = BytesMut::new();
    lens.push(bytes.as_ref(), &mut out);
    let tally = lens.end(how, &mut out);
    (String::from_utf8_lossy(&out).into_owned(), tally)
}

#[test]
fn content_commits_and_an_early_end_is_a_fault_on_every_pair() {
    for up in Dialect::ALL {
        for caller in Dialect::ALL {
            let mut lens = Lens::new(up, caller, stamp(), &quirks(up));
            let mut out = BytesMut::new();
            if quirks(up).framing(up).has_comments() {
                lens.push(b": note\n\n", &mut out);
            }
            assert_eq!(lens.phase(), Phase::Waiting, "{up} to {caller}");
            lens.push(&started(up), &mut out);
            assert_eq!((lens.phase(), lens.fault()), (Phase::Flowing, None), "{up} to {caller}");
            let tally = lens.end(End::Eof, &mut out);
            let fault = tally.fault.unwrap();
            assert_eq!(fault.says, "the stream ended before it was finished", "{up} to {caller}");
            let text = String::from_utf8_lossy(&out).into_owned();
            assert_eq!(text.matches("the stream ended before it was finished").count(), 1, "{up} to {caller}: {text}");
            assert_eq!(text.ends_with("data: [DONE]\n\n"), caller == Dialect::OpenAiChat, "{up} to {caller}");
            assert!(tally.usage.is_some(), "{up} to {caller}");
        }
    }
}

#[test]
fn a_connection_that_fails_is_told_and_a_caller_who_left_is_not() {
    let reset = Fault::upstream(FaultKind::UpstreamTimeout, Remedy::Elsewhere, "the provider stalled");
    for up in Dialect::ALL {
        for caller in Dialect::ALL {
            let cut = half(up);
            let (text, tally) = cross(up, caller, &cut, End::Fault(reset.clone()));
            assert_eq!(tally.fault.as_ref(), Some(&reset), "{up} to {caller}");
            assert_eq!(text.matches("the provider stalled").count(), 1, "{up} to {caller}: {text}");
            assert!(!text.contains("half"), "{up} to {caller}: a cut event must not go out");
            let (text, tally) = cross(up, caller, &cut, End::Gone);
            assert!(!text.contains("error"), "{up} to {caller}: {text}");
            assert_eq!((tally.fault, tally.usage.is_some()), (None, true), "{up} to {caller}");
        }
    }
}

#[test]
fn a_finished_stream_is_a_success_even_without_its_last_event() {
    let whole = [ANTHROPIC, ANTHROPIC_END, ANTHROPIC_STOP].concat();
    let cut = [ANTHROPIC, ANTHROPIC_END].concat();
    for bytes in [&whole, &cut] {
        let (text, tally) = cross(Dialect::Anthropic, Dialect::Anthropic, bytes, End::Eof);
        assert_eq!(text, whole);
        assert_eq!((tally.finish, tally.fault), (Some(Finish::Stop), None));
        assert_eq!(tally.usage.map(|u| (u.prompt_total(), u.completion_total())), Some((5, 7)));
    }
}

#[test]
fn the_upstreams_own_error_event_is_not_told_twice() {
    let error =
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n";
    let bytes = [ANTHROPIC, error, ANTHROPIC_END].concat();
    let (text, tally) = cross(Dialect::Anthropic, Dialect::Anthropic, &bytes, End::Eof);
    assert_eq!(text, [ANTHROPIC, error].concat(), "and nothing comes after it");
    assert_eq!(tally.fault.map(|f| f.kind), Some(FaultKind::Overloaded));
}

#[test]
fn what_is_no_reply_is_a_fault_that_quotes_nothing() {
    for up in Dialect::ALL {
        for caller in Dialect::ALL {
            let fault = reply(up, caller, b"<html>secret</html>", &stamp(), &quirks(up)).unwrap_err();
            assert_eq!(fault.says, "the provider answered something that is not JSON", "{up} to {caller}");
            assert!(!format!("{fault:?}").contains("secret"));
            let error = br#"{"error":{"message":"m","code":429,"type":"rate_limit_error"}}"#;
            assert!(reply(up, caller, error, &stamp(), &quirks(up)).is_err(), "{up} to {caller}");
        }
    }
}

#[test]
fn a_whole_reply_can_be_told_as_a_stream() {
    let body = br#"{"id":"a","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
    for caller in Dialect::ALL {
        let mut out = BytesMut::new();
        let quirks = Quirks::OPENAI_CHAT;
        let tally = stream_from_reply(Dialect::OpenAiChat, caller, body, &stamp(), &quirks, &mut out).unwrap();
        let usage = Usage { input: 3, output: 2, ..Usage::default() };
        assert_eq!((tally.finish, tally.usage), (Some(Finish::Stop), Some(usage)), "{caller}");
        // What was written is itself a stream that tells the same.
        let (_, again) = cross(caller, Dialect::OpenAiChat, &out, End::Eof);
        let text = String::from_utf8_lossy(&out);
        assert_eq!((again.finish, again.text_bytes, again.fault), (Some(Finish::Stop), 2, None), "{caller}: {text}");
    }
}

#[test]
fn the_last_event_is_told_once_whether_it_has_a_name_or_not() {
    let whole = [ANTHROPIC, ANTHROPIC_END, ANTHROPIC_STOP].concat();
    let bare: String = whole.lines().filter(|l| !l.starts_with("event:")).map(|l| format!("{l}\n")).collect();
    for bytes in [whole, bare] {
        let (out, _) = cross(Dialect::Anthropic, Dialect::Anthropic, &bytes, End::Eof);
        assert_eq!(out, bytes);
    }
}

#[test]
fn a_line_end_split_from_an_event_that_was_withheld_stays_withheld() {
    for before in [": note\r\r", ": note\r\n\r\n", ""] {
        let bytes = format!("{before}event: message_start\rdata: junk\r\r\n\r\n");
        let (whole, tally) = cross(Dialect::Anthropic, Dialect::Anthropic, &bytes, End::Eof);
        assert!(tally.fault.is_some() && whole.starts_with(&format!("{before}event: error\n")), "{whole:?}");
        for at in 1..bytes.len() {
            let mut lens = Lens::new(Dialect::Anthropic, Dialect::Anthropic, stamp(), &quirks(Dialect::Anthropic));
            let mut out = BytesMut::new();
            lens.push(&bytes.as_bytes()[..at], &mut out);
            lens.push(&bytes.as_bytes()[at..], &mut out);
            lens.end(End::Eof, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), whole, "{before:?} cut at {at}");
        }
    }
}

/// The events of a stream of server-sent ones, each inside one of Amazon's messages.
fn wrapped(sse: &str) -> Vec<u8> {
    use base64::Engine;
    let mut out = BytesMut::new();
    for data in sse.lines().filter_map(|line| line.strip_prefix("data: ")) {
        let coded = base64::engine::general_purpose::STANDARD.encode(data);
        put_message("chunk", format!(r#"{{"bytes":"{coded}"}}"#).as_bytes(), &mut out);
    }
    out.to_vec()
}

#[test]
fn a_stream_in_an_envelope_is_the_one_inside() {
    let inside = [ANTHROPIC, ANTHROPIC_END, ANTHROPIC_STOP].concat();
    let bytes = wrapped(&inside);
    let quirks = Quirks { envelope: Some(&crate::Envelope::INVOKE_MODEL), ..Quirks::ANTHROPIC };
    for caller in Dialect::ALL {
        let (bare, bare_tally) = {
            let mut lens = Lens::new(Dialect::Anthropic, caller, stamp(), &Quirks::ANTHROPIC);
            let mut out = BytesMut::new();
            lens.push(inside.as_bytes(), &mut out);
            let tally = lens.end(End::Eof, &mut out);
            (out, tally)
        };
        for size in [1, 7, bytes.len()] {
            let mut lens = Lens::new(Dialect::Anthropic, caller, stamp(), &quirks);
            let mut out = BytesMut::new();
            bytes.chunks(size).for_each(|chunk| lens.push(chunk, &mut out));
            assert_eq!((lens.end(End::Eof, &mut out), &out), (bare_tally.clone(), &bare), "{caller}");
        }
    }
}

#[test]
fn a_damaged_or_failing_envelope_is_a_fault() {
    use crate::frame::eventstream::put_exception;
    let quirks = Quirks { envelope: Some(&crate::Envelope::INVOKE_MODEL), ..Quirks::ANTHROPIC };
    let whole = wrapped(ANTHROPIC);
    let mut failing = BytesMut::from(&whole[..]);
    put_exception("serviceUnavailableException", br#"{"message":"try again"}"#, &mut failing);
    let mut damaged = whole.clone();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    let cut = whole[..last].to_vec();
    for (bytes, kind) in
        [(failing.to_vec(), FaultKind::Overloaded), (damaged, FaultKind::Upstream), (cut, FaultKind::Upstream)]
    {
        for caller in Dialect::ALL {
            let mut lens = Lens::new(Dialect::Anthropic, caller, stamp(), &quirks);
            let mut out = BytesMut::new();
            lens.push(&bytes, &mut out);
            let tally = lens.end(End::Eof, &mut out);
            assert_eq!(tally.fault.map(|fault| fault.kind), Some(kind), "{caller}");
        }
    }
}
