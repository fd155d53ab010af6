//! Streams in and out.

use super::{Gemini, events, folded, json, payloads, stamp, stream};
use crate::Stamp;
use crate::dialect::Wire;
use serde_json::{Value, json as j};
use slip_ir::event::Start;
use slip_ir::*;

fn chunk(parts: Value) -> String {
    j!({"candidates": [{"content": {"parts": parts, "role": "model"}, "index": 0}], "responseId": "r", "modelVersion": "m"})
        .to_string()
}

fn last(parts: Value) -> String {
    j!({"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 2, "candidatesTokenCount": 3}})
        .to_string()
}

fn blocks(chunks: &[String]) -> Vec<Block> {
    folded(chunks).choices.remove(0).blocks
}

#[test]
fn text_of_successive_chunks_is_one_block() {
    let chunks = [
        chunk(j!([{"text": "hm", "thought": true}])),
        chunk(j!([{"text": " m", "thought": true}])),
        chunk(j!([{"text": "a"}])),
        chunk(j!([{"text": "b"}, {"functionCall": {"name": "f"}}])),
        chunk(j!([{"text": "c"}])),
        last(j!([{"text": ""}])),
    ];
    let told = events(&chunks);
    let opened = told.iter().filter(|event| matches!(event, Event::Open { .. })).count();
    assert_eq!(opened, 4);
    assert_eq!(told[0], Event::Start(Start { id: Some("r".into()), model: Some("m".into()), ..Start::default() }));
    let choice = folded(&chunks).choices.remove(0);
    assert_eq!(choice.text(), "abc");
    assert_eq!(choice.finish, Some(Finish::ToolCalls));
    assert!(matches!(&choice.blocks[0], Block::Thinking(thinking) if thinking.text == "hm m"));
}

#[test]
fn a_late_signature_closes_what_was_said() {
    let signed = |text: &str, signature: &str| {
        Block::Text(Text { text: text.into(), signature: Some(signature.into()), ..Text::default() })
    };
    let rows: Vec<(Vec<Value>, Vec<Block>)> = vec![
        (vec![j!([{"text": "a"}]), j!([{"text": "", "thoughtSignature": "s"}])], vec![signed("a", "s")]),
        (
            vec![j!([{"text": "a"}]), j!([{"text": "b", "thoughtSignature": "s"}]), j!([{"text": "c"}])],
            vec![signed("ab", "s"), Block::text("c")],
        ),
        (vec![j!([{"text": "a"}]), j!([{"thoughtSignature": "s"}])], vec![signed("a", "s")]),
    ];
    for (parts, want) in rows {
        let chunks: Vec<String> = parts.into_iter().map(chunk).collect();
        assert_eq!(blocks(&chunks), want);
    }
    let alone =
        blocks(&[chunk(j!([{"functionCall": {"name": "f"}}])), last(j!([{"text": "", "thoughtSignature": "s"}]))]);
    assert!(matches!(&alone[1], Block::Thinking(t) if t.text.is_empty() && t.signature.as_deref() == Some("s")));
}

#[test]
fn usage_is_told_when_it_changes_and_never_added() {
    let counted = |n: u64| {
        j!({"candidates": [{"content": {"parts": [{"text": "x"}]}}], "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": n}}).to_string()
    };
    let told = events(&[counted(1), counted(1), counted(5), last(j!([]))]);
    let counts: Vec<u64> = told
        .iter()
        .filter_map(|event| match event {
            Event::Usage(usage) => Some(usage.output),
            _ => None,
        })
        .collect();
    assert_eq!(counts, [1, 5, 3]);
}

#[test]
fn a_finish_reason_on_every_chunk_ends_nothing_early() {
    let told = events(&[last(j!([{"text": "a"}])), last(j!([{"text": "b"}]))]);
    assert_eq!(fold(told.clone()).choices[0].text(), "ab");
    assert_eq!(told.iter().filter(|event| matches!(event, Event::Finish { .. })).count(), 1);
    assert!(matches!(told.last(), Some(Event::Finish { .. })));
}

#[test]
fn broken_streams_end_in_one_fault() {
    let error = j!({"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}}).to_string();
    let rows: [(Vec<String>, FaultKind); 6] = [
        (vec![], FaultKind::Upstream),
        (vec![chunk(j!([{"text": "a"}]))], FaultKind::Upstream),
        (vec![chunk(j!([{"text": "a"}])), "{broken".into(), last(j!([]))], FaultKind::Upstream),
        (vec!["7".into()], FaultKind::Upstream),
        (vec![chunk(j!([{"text": "a"}])), error.clone(), last(j!([]))], FaultKind::RateLimited),
        (vec![last(j!([{"text": "a"}])), error], FaultKind::RateLimited),
    ];
    for (chunks, kind) in rows {
        let told = events(&chunks);
        let faults = told.iter().filter(|event| matches!(event, Event::Fault(_))).count();
        assert_eq!(faults, 1, "{chunks:?}");
        let Some(Event::Fault(fault)) = told.last() else { panic!("the fault is not last: {told:?}") };
        assert_eq!(fault.kind, kind, "{chunks:?}");
        let opened = told.iter().filter(|event| matches!(event, Event::Open { .. })).count();
        assert_eq!(opened, told.iter().filter(|event| matches!(event, Event::Close { .. })).count());
    }
}

#[test]
fn a_done_mark_and_empty_frames_do_no_harm() {
    let told = events(&[String::new(), last(j!([{"text": "a"}])), "[DONE]".into(), chunk(j!([{"text": "late"}]))]);
    assert_eq!(fold(told).choices[0].text(), "a");
}

#[test]
fn a_stream_is_written_as_google_writes_it() {
    let usage = Usage { input: 1, output: 2, ..Usage::default() };
    let told = [
        Event::Start(Start { service_tier: Some("standard".into()), ..Start::default() }),
        Event::Ping,
        Event::Open { choice: 0, block: 0, kind: BlockKind::Text },
        Event::Delta { choice: 0, block: 0, piece: Piece::Text("hi".into()) },
        Event::Delta { choice: 0, block: 0, piece: Piece::Text(String::new()) },
        Event::Close { choice: 0, block: 0 },
        Event::Open {
            choice: 0,
            block: 1,
            kind: BlockKind::ToolCall { id: "c".into(), name: "f".into(), extra: None },
        },
        Event::Delta { choice: 0, block: 1, piece: Piece::Arguments("{\n\"a\"".into()) },
        Event::Delta { choice: 0, block: 1, piece: Piece::Arguments(": 1}".into()) },
        Event::Close { choice: 0, block: 1 },
        Event::Finish { choice: 0, reason: Finish::ToolCalls, native: Some("tool_calls".into()), stop_sequence: None },
        Event::Usage(usage),
    ];
    let bytes = stream(&told, stamp());
    assert_eq!(bytes.matches("\r\n\r\n").count(), 3);
    assert!(!bytes.replace("\r\n\r\n", "").contains(['\r', '\n']), "a line end inside a frame: {bytes}");
    assert!(bytes.split("\r\n\r\n").all(|line| line.is_empty() || line.starts_with("data: {")));
    let chunks: Vec<Value> = payloads(&bytes).iter().map(json).collect();
    assert_eq!(
        chunks[0],
        j!({"candidates": [{"content": {"parts": [{"text": "hi"}], "role": "model"}, "index": 0}],
        "modelVersion": "google/gemini", "responseId": "gen-1-abc"})
    );
    assert_eq!(
        chunks[1]["candidates"][0]["content"]["parts"],
        j!([{"functionCall": {"name": "f", "args": {"a": 1}, "id": "c"}}])
    );
    assert_eq!(chunks[2]["candidates"][0]["finishReason"], "STOP");
    let counts = &chunks[2]["usageMetadata"];
    assert_eq!(
        (&counts["totalTokenCount"], &counts["serviceTier"], &counts["cost"]),
        (&j!(3), &j!("standard"), &j!(0))
    );
}

#[test]
fn calls_that_were_never_closed_are_still_sent() {
    let told = [
        Event::Open {
            choice: 0,
            block: 0,
            kind: BlockKind::ToolCall { id: String::new(), name: "f".into(), extra: None },
        },
        Event::Finish { choice: 0, reason: Finish::ToolCalls, native: None, stop_sequence: None },
    ];
    let chunks = payloads(&stream(&told, stamp()));
    assert_eq!(
        json(&chunks[0])["candidates"][0]["content"]["parts"],
        j!([{"functionCall": {"name": "f", "args": {}}}])
    );
}

#[test]
fn a_fault_is_an_error_chunk_and_the_end() {
    let fault = Fault::upstream(FaultKind::Overloaded, Remedy::Again, "too busy");
    let told = [Event::Usage(Usage { input: 9, ..Usage::default() }), Event::Fault(fault), Event::Ping];
    let chunks = payloads(&stream(&told, stamp()));
    assert_eq!(chunks.len(), 1);
    let chunk = json(&chunks[0]);
    assert_eq!((&chunk["error"]["code"], &chunk["error"]["status"]), (&j!(503), &j!("UNAVAILABLE")));
    assert_eq!(chunk["usageMetadata"]["promptTokenCount"], 9);
}

#[test]
fn hidden_reasoning_streams_only_its_seal() {
    let told = [
        Event::Open {
            choice: 0,
            block: 0,
            kind: BlockKind::Thinking { kind: ThinkingKind::Text, format: request::format::ANTHROPIC.into(), id: None },
        },
        Event::Delta { choice: 0, block: 0, piece: Piece::Text("secret".into()) },
        Event::Delta { choice: 0, block: 0, piece: Piece::Signature("si".into()) },
        Event::Delta { choice: 0, block: 0, piece: Piece::Signature("g".into()) },
        Event::Close { choice: 0, block: 0 },
    ];
    let bytes = stream(&told, Stamp { hide_reasoning: true, ..stamp() });
    assert!(!bytes.contains("secret"));
    let part = json(&payloads(&bytes)[0])["candidates"][0]["content"]["parts"][0].clone();
    assert_eq!(part, j!({"text": "", "thought": true, "thoughtSignature": "YW50aHJvcGljLWNsYXVkZS12MTo6c2ln"}));
    let open = payloads(&stream(&told, stamp()));
    assert_eq!(json(&open[0])["candidates"][0]["content"]["parts"], j!([{"text": "secret", "thought": true}]));
}

#[test]
fn a_decoder_asked_twice_for_the_end_says_it_once() {
    let mut decoder = Gemini.decoder(&crate::Quirks::GEMINI);
    let mut out = Vec::new();
    decoder.eof(&mut out);
    decoder.eof(&mut out);
    assert_eq!(out.len(), 1);
}
