//! What is answered, whole and streamed, both ways.

use super::*;
use slip_ir::request::format;
use slip_ir::{Block, Dialect, FaultKind, Finish, Usage};

fn converse(content: Value, stop: &str) -> Value {
    json!({
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop,
        "usage": {"inputTokens": 5, "outputTokens": 7, "totalTokens": 12},
        "metrics": {"latencyMs": 1},
    })
}

#[test]
fn every_reason_to_stop_has_its_word() {
    let rows = [
        ("end_turn", Finish::Stop),
        ("stop_sequence", Finish::Stop),
        ("max_tokens", Finish::Length),
        ("model_context_window_exceeded", Finish::Length),
        ("tool_use", Finish::ToolCalls),
        ("guardrail_intervened", Finish::ContentFilter),
        ("content_filtered", Finish::ContentFilter),
        ("malformed_model_output", Finish::Error),
        ("something_new", Finish::Stop),
    ];
    for (word, want) in rows {
        let reply = read(&converse(json!([{"text": "a"}]), word));
        assert_eq!((reply.choices[0].finish, reply.choices[0].native.as_deref()), (Some(want), Some(word)));
        let told = whole(&reply)["stopReason"].clone();
        assert!(told == word || word == "something_new" && told == "end_turn", "{word} became {told}");
    }
}

#[test]
fn a_stream_comes_to_the_same_as_the_whole_reply() {
    let server =
        json!({"toolUse": {"toolUseId": "s", "name": "nova_code", "input": {"a": 1}, "type": "server_tool_use"}});
    let result = json!({"toolResult": {"toolUseId": "s", "type": "nova_code_result", "status": "success", "content": [{"json": {"x": 1}}]}});
    let content = json!([
        {"reasoningContent": {"redactedContent": "RXRrRUNrZ0k9"}},
        {"text": "hé"},
        server,
        result,
        {"toolUse": {"toolUseId": "t", "name": "f", "input": {"city": "Ulm"}}},
        {"image": {"format": "png", "source": {"bytes": "AAAA"}}},
    ]);
    let plain = read(&converse(content, "tool_use"));
    let kinds: Vec<&Block> = plain.choices[0].blocks.iter().collect();
    assert!(matches!(kinds[2], Block::Opaque { dialect: Dialect::Bedrock, .. }), "not the caller's to run: {kinds:?}");
    let at = |index: u64, delta: Value| {
        message("contentBlockDelta", json!({"contentBlockIndex": index, "delta": delta, "p": "abc"}))
    };
    let start =
        |index: u64, start: Value| message("contentBlockStart", json!({"contentBlockIndex": index, "start": start}));
    let stop = |index: u64| message("contentBlockStop", json!({ "contentBlockIndex": index }));
    let messages = [
        message("initial-response", json!({})),
        message("messageStart", json!({"role": "assistant", "p": "ab"})),
        at(0, json!({"reasoningContent": {"redactedContent": "RXRrRUNrZ0k9"}})),
        stop(0),
        at(1, json!({"text": "h"})),
        at(1, json!({"text": "é"})),
        stop(1),
        start(2, json!({"toolUse": {"toolUseId": "s", "name": "nova_code", "type": "server_tool_use"}})),
        at(2, json!({"toolUse": {"input": "{\"a\":"}})),
        at(2, json!({"toolUse": {"input": "1}"}})),
        stop(2),
        start(3, json!({"toolResult": {"toolUseId": "s", "type": "nova_code_result", "status": "success"}})),
        at(3, json!({"toolResult": [{"json": {"x": 1}}]})),
        stop(3),
        start(4, json!({"toolUse": {"toolUseId": "t", "name": "f"}})),
        at(4, json!({"toolUse": {"input": ""}})),
        at(4, json!({"toolUse": {"input": "{\"city\":\"Ulm\"}"}})),
        stop(4),
        start(5, json!({"image": {"format": "png"}})),
        at(5, json!({"image": {"source": {"bytes": "AAAA"}}})),
        stop(5),
        message("messageStop", json!({"stopReason": "tool_use"})),
        message("metadata", json!({"usage": {"inputTokens": 5, "outputTokens": 7, "totalTokens": 12}})),
    ];
    assert_eq!(folded(&messages), plain);
    // And what we write ourselves, either way, is read as the same.
    assert_eq!(read(&whole(&plain)), plain);
    assert_eq!(folded(&streamed(&plain)), plain);
}

#[test]
fn reasoning_is_whose_signature_it_bears() {
    let block = |text: Value| read(&converse(json!([{"reasoningContent": {"reasoningText": text}}]), "end_turn"));
    let of = |reply: &Reply| match reply.choices[0].blocks.as_slice() {
        [Block::Thinking(t)] => (t.format.clone(), t.signature.clone()),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        of(&block(json!({"text": "t", "signature": "EpMC"}))),
        (format::ANTHROPIC.to_owned(), Some("EpMC".to_owned()))
    );
    assert_eq!(of(&block(json!({"text": "t"}))), (format::UNKNOWN.to_owned(), None));
    let foreign = block(json!({"text": "t", "signature": "google-gemini-v1::CiQB"}));
    assert_eq!(of(&foreign), (format::GEMINI.to_owned(), Some("CiQB".to_owned())));
    assert_eq!(read(&whole(&foreign)), foreign);
}

#[test]
fn text_that_rests_on_sources_keeps_them() {
    let cited = json!({"citationsContent": {
        "content": [{"text": "20 days"}],
        "citations": [{"title": "policy", "sourceContent": [{"text": "20 days annual leave"}], "location": {"documentChunk": {"documentIndex": 0, "start": 1, "end": 2}}}],
    }});
    let reply = read(&converse(json!([{"text": "They get "}, cited]), "end_turn"));
    let [_, Block::Text(text)] = reply.choices[0].blocks.as_slice() else { panic!("{reply:?}") };
    let inner = &text.annotations[0].value()["url_citation"];
    assert_eq!(
        (&inner["url"], &inner["start_index"], &inner["end_index"]),
        (&json!("#document-0"), &json!(9), &json!(16))
    );
    assert_eq!(whole(&reply)["output"]["message"]["content"], json!([{"text": "They get "}, cited]));
    assert_eq!(folded(&streamed(&reply)), reply);
}

#[test]
fn a_stream_begins_says_blocks_in_order_and_ends_with_the_counts() {
    let reply =
        read(&converse(json!([{"text": "a"}, {"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}]), "tool_use"));
    let names: Vec<String> = streamed(&reply).into_iter().map(|(name, _)| name).collect();
    let want = [
        "messageStart",
        "contentBlockDelta",
        "contentBlockStop",
        "contentBlockStart",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
    ];
    assert_eq!(names, want);
    let nothing = streamed(&Reply::default());
    let names: Vec<&str> = nothing.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["messageStart", "messageStop", "metadata"]);
}

#[test]
fn what_goes_wrong_in_a_stream_is_a_fault_and_comes_last() {
    let begun = [
        message("messageStart", json!({"role": "assistant"})),
        message("contentBlockDelta", json!({"contentBlockIndex": 0, "delta": {"text": "a"}})),
    ];
    let rows = [
        (message("throttlingException", json!({"message": "slow down"})), FaultKind::RateLimited),
        (message("modelStreamErrorException", json!({"originalMessage": "m"})), FaultKind::Upstream),
        (message("InternalFailure", json!({"message": "m"})), FaultKind::Upstream),
    ];
    for (last, want) in rows {
        let events = events_of(begun.iter().chain([&last]));
        let Some(Event::Fault(fault)) = events.last() else { panic!("{events:?}") };
        assert_eq!(fault.kind, want, "{last:?}");
        assert!(matches!(events[events.len() - 2], Event::Close { .. }), "what was open is closed: {events:?}");
    }
    let events = events_of(&begun);
    assert!(matches!(events.last(), Some(Event::Fault(fault)) if fault.says.contains("before it was finished")));
}

#[test]
fn counts_come_after_the_end_and_an_error_body_is_no_reply() {
    let counted = [
        message("messageStop", json!({"stopReason": "end_turn"})),
        message("metadata", json!({"usage": {"inputTokens": 1, "outputTokens": 2}})),
    ];
    let reply = folded(&counted);
    assert_eq!(reply.usage, Some(Usage { input: 1, output: 2, ..Usage::default() }));
    let error = read(&json!({"message": "Too many requests", "__type": "ThrottlingException"}));
    assert_eq!(error.fault.map(|fault| fault.kind), Some(FaultKind::RateLimited));
    assert!(Bedrock.decode_reply(b"{}", &Quirks::BEDROCK).is_err());
}
