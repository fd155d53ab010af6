//! Whole replies in and out.

use super::{Gemini, json, stamp};
use crate::dialect::Wire;
use crate::{Quirks, Stamp};
use serde_json::json as j;
use slip_ir::*;
use std::sync::Arc;

fn decode(body: &str) -> Reply {
    Gemini.decode_reply(body.as_bytes(), &Quirks::GEMINI).expect("a reply")
}

/// A reply of one candidate.
fn choice(candidate: &str) -> Choice {
    decode(&format!(r#"{{"candidates":[{candidate}],"modelVersion":"m"}}"#)).choices.remove(0)
}

#[test]
fn a_finish_reason_means_what_came_with_it() {
    use Finish::*;
    let text = r#"{"parts":[{"text":"x"}]}"#;
    let called = r#"{"parts":[{"functionCall":{"name":"f"}}]}"#;
    let rows = [
        ("\"STOP\"", text, Stop, "STOP"),
        ("\"STOP\"", called, ToolCalls, "STOP"),
        ("1", text, Stop, "STOP"),
        ("\"MAX_TOKENS\"", r#"{"role":"model"}"#, Length, "MAX_TOKENS"),
        ("\"MAX_TOKENS\"", called, Length, "MAX_TOKENS"),
        ("\"SAFETY\"", "{}", ContentFilter, "SAFETY"),
        ("3", "null", ContentFilter, "SAFETY"),
        ("\"RECITATION\"", text, ContentFilter, "RECITATION"),
        ("\"MODEL_ARMOR\"", text, ContentFilter, "MODEL_ARMOR"),
        ("\"MALFORMED_FUNCTION_CALL\"", "{}", Error, "MALFORMED_FUNCTION_CALL"),
        ("\"MALFORMED_FUNCTION_CALL\"", text, Stop, "MALFORMED_FUNCTION_CALL"),
        ("\"UNEXPECTED_TOOL_CALL\"", called, ToolCalls, "UNEXPECTED_TOOL_CALL"),
        ("\"OTHER\"", "{}", Error, "OTHER"),
        ("\"SOMETHING_NEW\"", text, Stop, "SOMETHING_NEW"),
        ("77", "{}", Error, "77"),
    ];
    for (word, content, finish, native) in rows {
        let choice = choice(&format!(r#"{{"content":{content},"finishReason":{word}}}"#));
        assert_eq!((choice.finish, choice.native.as_deref()), (Some(finish), Some(native)), "{word} {content}");
    }
    assert_eq!(choice(r#"{"content":{"parts":[{"text":"x"}]}}"#).finish, None);
}

#[test]
fn parts_become_blocks() {
    let choice = choice(
        r#"{"content":{"parts":[{"text":"hm","thought":true,"thoughtSignature":"a"},{"text":"one"},{"text":"two","thoughtSignature":"b"},
            {"text":""},{"functionCall":{"id":"7","name":"f","args":{ "z" : 1.0,  "a":"x y" }},"thoughtSignature":"c"},
            {"inlineData":{"mimeType":"image/png","data":"AA"}},{"executableCode":{"code":"1"}},{"text":"","thoughtSignature":"d"},
            {"thoughtSignature":"e"},{"text":7},{}]}}"#,
    );
    let thought = |text: &str, signature: &str| {
        let format = request::format::GEMINI.to_owned();
        Block::Thinking(Thinking {
            text: text.into(),
            signature: Some(signature.into()),
            format,
            ..Thinking::default()
        })
    };
    let opaque = |raw: &str| Block::Opaque { dialect: Dialect::Gemini, raw: Raw::parse(raw).expect("JSON") };
    let want = [
        thought("hm", "a"),
        Block::text("one"),
        Block::Text(Text { text: "two".into(), signature: Some("b".into()), ..Text::default() }),
        Block::ToolCall(ToolCall {
            id: "7".into(),
            name: "f".into(),
            arguments: r#"{"z":1.0,"a":"x y"}"#.into(),
            signature: Some("c".into()),
            ..ToolCall::default()
        }),
        Block::Media(Media {
            kind: MediaKind::Image,
            source: Source::Data { mime: "image/png".into(), base64: "AA".into() },
            name: None,
            detail: None,
            cache: None,
            extra: None,
        }),
        opaque(r#"{"executableCode":{"code":"1"}}"#),
        thought("", "d"),
        thought("", "e"),
        opaque(r#"{"text":7}"#),
    ];
    assert_eq!(choice.blocks, want);
}

#[test]
fn a_refused_prompt_is_a_filtered_reply() {
    let reply = decode(
        r#"{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT","blockReasonMessage":"no"},"usageMetadata":{"promptTokenCount":4}}"#,
    );
    let choice = &reply.choices[0];
    assert_eq!(choice.blocks, [Block::Refusal("no".into())]);
    assert_eq!((choice.finish, choice.native.as_deref()), (Some(Finish::ContentFilter), Some("PROHIBITED_CONTENT")));
    assert_eq!(reply.usage.map(|usage| usage.input), Some(4));
    assert_eq!(decode(r#"{"promptFeedback":{"blockReason":3}}"#).choices[0].native.as_deref(), Some("3"));
    let told = json(Gemini.encode_reply(&decode(r#"{"promptFeedback":{"blockReason":"BLOCKLIST"}}"#), &stamp()));
    assert_eq!(told["candidates"][0]["finishReason"], "BLOCKLIST");
}

#[test]
fn counts_fall_into_disjoint_classes() {
    let u = |usage: &str| decode(&format!(r#"{{"candidates":[],"usageMetadata":{usage}}}"#)).usage;
    let rows = [
        (
            r#"{"promptTokenCount":9622,"candidatesTokenCount":35,"cachedContentTokenCount":9609,"thoughtsTokenCount":136}"#,
            Usage { input: 13, cache_read: 9609, output: 35, reasoning: 136, ..Usage::default() },
        ),
        (r#"{"promptTokenCount":5,"toolUsePromptTokenCount":10}"#, Usage { input: 15, ..Usage::default() }),
        (
            r#"{"promptTokenCount":100,"candidatesTokenCount":1300,"cachedContentTokenCount":40,
            "promptTokensDetails":[{"modality":"TEXT","tokenCount":22},{"modality":"IMAGE","tokenCount":8},{"modality":"AUDIO","tokenCount":70}],
            "cacheTokensDetails":[{"modality":"AUDIO","tokenCount":20}],
            "candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":1290},{"modality":4,"tokenCount":3}]}"#,
            Usage {
                input: 2,
                cache_read: 40,
                audio_in: 50,
                image_in: 8,
                output: 7,
                image_out: 1290,
                audio_out: 3,
                ..Usage::default()
            },
        ),
        (r#"{"promptTokenCount":"12","candidatesTokenCount":3.0}"#, Usage { input: 12, output: 3, ..Usage::default() }),
    ];
    for (text, want) in rows {
        assert_eq!(u(text), Some(want), "{text}");
    }
    for absurd in [
        r#"{"promptTokenCount":-1}"#,
        r#"{"promptTokenCount":1,"candidatesTokenCount":1.5}"#,
        r#"{"promptTokenCount":99999999999999}"#,
        r#"{"promptTokenCount":"many"}"#,
        "{}",
        r#"{"serviceTier":"standard"}"#,
    ] {
        assert_eq!(u(absurd), None, "{absurd}");
    }
}

#[test]
fn a_priced_reply_says_what_it_cost() {
    let price = Price {
        rates: Rates { input: Pico(1_000_000), output: Pico(2_000_000), ..Rates::default() },
        ..Price::default()
    };
    let usage =
        Usage { input: 10, cache_read: 5, audio_in: 1, output: 7, reasoning: 3, image_out: 2, ..Usage::default() };
    let reply = Reply { usage: Some(usage), ..Reply::default() };
    let told = |stamp: &Stamp, reply: &Reply| json(Gemini.encode_reply(reply, stamp))["usageMetadata"].clone();
    let priced = Stamp { price: Some(Arc::new(price)), ..stamp() };
    assert_eq!(
        told(&priced, &reply),
        j!({"promptTokenCount": 16, "candidatesTokenCount": 9, "totalTokenCount": 28, "cachedContentTokenCount": 5,
            "thoughtsTokenCount": 3, "cost": 0.00004,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 15}, {"modality": "AUDIO", "tokenCount": 1}],
            "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 7}, {"modality": "IMAGE", "tokenCount": 2}]})
    );
    let unpriced = told(&Stamp { price: None, ..stamp() }, &reply);
    assert_eq!((&unpriced["cost"], &unpriced["cost_unknown"]), (&j!(0), &j!(true)));
    assert_eq!(told(&Stamp { byok: true, ..priced }, &reply)["cost"], j!(0));
    let silent =
        Reply { choices: vec![Choice { blocks: vec![Block::text("12345")], ..Choice::default() }], ..Reply::default() };
    let guessed = told(&Stamp { prompt_estimate: 11, ..stamp() }, &silent);
    assert_eq!((&guessed["promptTokenCount"], &guessed["candidatesTokenCount"]), (&j!(11), &j!(2)));
    assert!(told(&stamp(), &silent).is_null());
}

#[test]
fn citations_count_characters_for_us_and_bytes_for_google() {
    let body = r#"{"candidates":[{"content":{"parts":[{"text":"héllo wörld"}]},"groundingMetadata":{
        "groundingChunks":[{"web":{"uri":"https://a","title":"A"}},{"retrievedContext":{"text":"t","fileSearchStore":"fs/1"}},{"odd":{}}],
        "groundingSupports":[{"segment":{"startIndex":7,"endIndex":13,"text":"wörld"},"groundingChunkIndices":[0,1,2,9]},
            {"segment":{"startIndex":100,"endIndex":105,"text":"héllo"},"groundingChunkIndices":[0]},
            {"segment":{"startIndex":2,"endIndex":3},"groundingChunkIndices":[0]}],
        "webSearchQueries":["q","r"]},
        "citationMetadata":{"citationSources":[{"startIndex":0,"endIndex":6,"uri":"https://c"},{"license":"x"}]}}],
        "usageMetadata":{"promptTokenCount":1}}"#;
    let reply = decode(body);
    let Block::Text(text) = &reply.choices[0].blocks[0] else { panic!("{reply:?}") };
    let citation = |url: &str, title: &str, start: u64, end: u64| j!({"type": "url_citation", "url_citation": {"url": url, "title": title, "start_index": start, "end_index": end}});
    let annotations: Vec<_> = text.annotations.iter().map(Raw::value).collect();
    let mut filed = citation("fs/1", "fs/1", 6, 11);
    filed["url_citation"]["content"] = j!("t");
    let want = [
        citation("https://a", "A", 6, 11),
        filed,
        citation("https://a", "A", 0, 5),
        // An offset inside a character points nowhere.
        citation("https://a", "A", 0, 0),
        citation("https://c", "https://c", 0, 5),
    ];
    assert_eq!(annotations, want);
    assert_eq!(reply.usage.as_ref().map(|usage| usage.web_searches), Some(2));
    let told = json(Gemini.encode_reply(&reply, &stamp()))["candidates"][0]["groundingMetadata"].clone();
    assert_eq!(told["groundingSupports"][0]["segment"], j!({"startIndex": 7, "endIndex": 13, "text": "wörld"}));
    assert_eq!(told["groundingChunks"][0], j!({"web": {"uri": "https://a", "title": "A"}}));
}

#[test]
fn sources_without_places_are_still_told() {
    let choice = choice(
        r#"{"content":{"parts":[{"functionCall":{"name":"f"}}]},"groundingMetadata":{"groundingChunks":[{"web":{"uri":"u"}}]}}"#,
    );
    let Some(Block::Text(text)) = choice.blocks.last() else { panic!("{choice:?}") };
    assert_eq!(text.annotations[0].value()["url_citation"]["url"], "u");
}

#[test]
fn log_probabilities_take_openais_shape_and_return() {
    let google = j!({
        "topCandidates": [{"candidates": [{"token": "a", "logProbability": -0.5}, {"token": "b", "logProbability": -2.0}]}],
        "chosenCandidates": [{"token": "a", "logProbability": -0.5}],
    });
    let body = j!({"candidates": [{"content": {"parts": [{"text": "a"}]}, "logprobsResult": google}]}).to_string();
    let reply = decode(&body);
    let raw = reply.choices[0].logprobs.as_ref().expect("log probabilities").value();
    assert_eq!(
        raw,
        j!({"content": [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [
            {"token": "a", "logprob": -0.5, "bytes": [97]}, {"token": "b", "logprob": -2.0, "bytes": [98]}]}], "refusal": null})
    );
    assert_eq!(json(Gemini.encode_reply(&reply, &stamp()))["candidates"][0]["logprobsResult"], google);
}

#[test]
fn several_candidates_keep_their_numbers() {
    let reply = decode(
        r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"},
            {"index":1,"content":{"parts":[{"text":"b"}]},"finishReason":"MAX_TOKENS"},{"index":4000000000}]}"#,
    );
    let told: Vec<_> = reply.choices.iter().map(|c| (c.index, c.text(), c.finish)).collect();
    assert_eq!(told, [(0, "a".into(), Some(Finish::Stop)), (1, "b".into(), Some(Finish::Length))]);
}

#[test]
fn a_list_of_chunks_is_one_reply() {
    let reply = decode(
        r#"[{"candidates":[{"content":{"parts":[{"text":"a"}]}}],"responseId":"r"},
            {"candidates":[{"content":{"parts":[{"text":"b"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1}}]"#,
    );
    assert_eq!(reply.choices[0].blocks, [Block::text("ab")]);
    assert_eq!(reply.start.id.as_deref(), Some("r"));
    let failed = decode(r#"[{"error":{"code":503,"message":"x","status":"UNAVAILABLE"}}]"#);
    assert_eq!(failed.fault.map(|fault| fault.kind), Some(FaultKind::Overloaded));
}

#[test]
fn what_is_no_reply_is_malformed() {
    for body in ["", "nope", "<html>", "{}", "[]", "7", "null", r#"{"choices":[]}"#] {
        assert!(
            matches!(Gemini.decode_reply(body.as_bytes(), &Quirks::GEMINI), Ok(Reply { fault: Some(_), .. }) | Err(_)),
            "{body}"
        );
    }
    for body in ["", "{}", "[]", r#"{"choices":[]}"#, "<html>"] {
        assert!(Gemini.decode_reply(body.as_bytes(), &Quirks::GEMINI).is_err(), "{body}");
    }
}

#[test]
fn hidden_reasoning_leaves_its_signature() {
    let thinking = Thinking {
        text: "t".into(),
        signature: Some("s".into()),
        format: request::format::GEMINI.into(),
        ..Thinking::default()
    };
    let unsigned = Thinking { signature: None, ..thinking.clone() };
    let blocks = vec![Block::Thinking(thinking), Block::Thinking(unsigned), Block::text("x")];
    let reply = Reply { choices: vec![Choice { blocks, ..Choice::default() }], ..Reply::default() };
    let told = json(Gemini.encode_reply(&reply, &Stamp { hide_reasoning: true, ..stamp() }));
    let want = j!([{"text": "", "thought": true, "thoughtSignature": "s"}, {"text": "x"}]);
    assert_eq!(told["candidates"][0]["content"]["parts"], want);
}
