//! What must hold for any request, any reply and any bytes.

use super::{Gemini, WIDE, events, folded, payloads, stamp, stream};
use crate::dialect::Wire;
use crate::frame::Frame;
use crate::{Quirks, Stamp};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use slip_ir::event::Start;
use slip_ir::request::{Function, format};
use slip_ir::*;
use std::collections::{BTreeMap, BTreeSet};

fn words() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 é字\"\\\\\n]{1,12}"
}

fn name() -> impl Strategy<Value = String> {
    "[a-z_]{1,8}"
}

fn base64() -> impl Strategy<Value = String> {
    "[A-Za-z0-9+/]{4,16}"
}

fn object() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("{}".to_owned()),
        Just(r#"{"b":1.0,"a":[true,null]}"#.to_owned()),
        name().prop_map(|name| format!(r#"{{"{name}_x":{{"k":"v"}}}}"#)),
    ]
}

fn raw() -> impl Strategy<Value = Raw> {
    object().prop_map(|text| Raw::parse(text).expect("JSON"))
}

fn text() -> impl Strategy<Value = Block> {
    (words(), option::of(base64()))
        .prop_map(|(text, signature)| Block::Text(Text { text, signature, ..Text::default() }))
}

fn media() -> impl Strategy<Value = Block> {
    let kinds = prop_oneof![
        Just((MediaKind::Image, "image/png", "https://x.org/a.png")),
        Just((MediaKind::Audio, "audio/wav", "gs://bucket/a.wav")),
        Just((MediaKind::Video, "video/mp4", "https://youtu.be/x")),
        Just((MediaKind::File, "application/pdf", "https://x.org/a?b=c.png")),
    ];
    (kinds, any::<bool>(), base64()).prop_map(|((kind, mime, url), inline, base64)| {
        let source = match inline {
            true => Source::Data { mime: mime.to_owned(), base64 },
            false => Source::Url(url.to_owned()),
        };
        Block::Media(Media { kind, source, name: None, detail: None, cache: None, extra: None })
    })
}

fn thinking() -> impl Strategy<Value = Block> {
    let format = format::GEMINI.to_owned();
    let said = (words(), option::of(base64()));
    let mute = base64().prop_map(|signature| (String::new(), Some(signature)));
    prop_oneof![said, mute].prop_map(move |(text, signature)| {
        Block::Thinking(Thinking { text, signature, format: format.clone(), ..Thinking::default() })
    })
}

fn call() -> impl Strategy<Value = Block> {
    ("[a-z]{3}", name(), object(), option::of(base64())).prop_map(|(id, name, arguments, signature)| {
        Block::ToolCall(ToolCall { id, name, arguments, signature, ..ToolCall::default() })
    })
}

fn opaque() -> impl Strategy<Value = Block> {
    let raw = Raw::parse(r#"{"executableCode":{"code":"1"}}"#).expect("JSON");
    Just(Block::Opaque { dialect: Dialect::Gemini, raw })
}

fn result() -> impl Strategy<Value = Block> {
    ("[a-z]{3}", name(), option::of(prop_oneof![words(), object()]), any::<bool>()).prop_map(
        |(id, name, text, error)| {
            let is_error = error && text.is_some();
            let content = text.into_iter().map(Block::text).collect();
            Block::ToolResult(ToolResult { id, name: Some(name), content, is_error, cache: None })
        },
    )
}

/// Turns in the order a conversation has them: neighbours of one role would become one content.
fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let said = || vec(prop_oneof![text(), media()], 1..4).prop_map(|blocks| Turn::new(Role::User, blocks));
    let answered = vec(prop_oneof![text(), thinking(), call(), opaque()], 1..5)
        .prop_map(|blocks| Turn::new(Role::Assistant, blocks));
    let results = vec(result(), 1..3).prop_map(|blocks| Turn::new(Role::Tool, blocks));
    let system = vec(text(), 1..3).prop_map(|blocks| Turn::new(Role::System, blocks));
    let round = (said(), answered, option::of(results)).prop_map(|(said, answered, results)| {
        let mut turns = vec![said, answered];
        turns.extend(results);
        turns
    });
    (option::of(system), vec(round, 1..3), option::of(said())).prop_map(|(system, rounds, question)| {
        system.into_iter().chain(rounds.into_iter().flatten()).chain(question).collect()
    })
}

fn number() -> impl Strategy<Value = serde_json::Number> {
    prop_oneof![Just("0.5"), Just("1"), Just("40.0")].prop_map(|text| serde_json::from_str(text).expect("a number"))
}

fn params() -> impl Strategy<Value = Params> {
    let numbers = (option::of(number()), option::of(number()), option::of(number()), option::of(number()));
    let counts = (option::of(1..9000u64), option::of(any::<i64>()), option::of(1..8u32), vec(words(), 0..5));
    let rest = (option::of(any::<bool>()), option::of(0..20u32), vec(prop_oneof![Just("text"), Just("image")], 0..3));
    (numbers, counts, rest).prop_map(|(numbers, (max_tokens, seed, n, stop), (logprobs, top_logprobs, modalities))| {
        let (temperature, top_p, top_k, presence_penalty) = numbers;
        let modalities = modalities.into_iter().map(str::to_owned).collect();
        Params {
            temperature,
            top_p,
            top_k,
            presence_penalty,
            max_tokens,
            seed,
            n,
            stop,
            logprobs,
            top_logprobs,
            modalities,
            ..Params::default()
        }
    })
}

fn tools() -> impl Strategy<Value = Vec<Tool>> {
    let function = (name(), option::of(words()), option::of(raw())).prop_map(|(name, description, parameters)| {
        Tool::Function(Function { name, description, parameters, ..Function::default() })
    });
    let search = Tool::Opaque { dialect: Dialect::Gemini, raw: Raw::parse(r#"{"googleSearch":{}}"#).expect("JSON") };
    (any::<bool>(), vec(function, 0..3))
        .prop_map(move |(searches, functions)| searches.then(|| search.clone()).into_iter().chain(functions).collect())
}

fn requests() -> impl Strategy<Value = Request> {
    let choice = prop_oneof![
        Just(ToolChoice::Auto),
        Just(ToolChoice::None),
        Just(ToolChoice::Required),
        name().prop_map(ToolChoice::Named),
    ];
    let json = |schema| Format::JsonSchema { name: "response".to_owned(), schema, strict: None, description: None };
    let format = prop_oneof![Just(Format::Text), Just(Format::JsonObject), raw().prop_map(json)];
    let reasoning = prop_oneof![
        (1..9000u64, any::<bool>()).prop_map(|(n, exclude)| Reasoning {
            budget: Some(n),
            exclude,
            ..Reasoning::default()
        }),
        any::<bool>().prop_map(|exclude| Reasoning { effort: Some(Effort::Medium), exclude, ..Reasoning::default() }),
        Just(Reasoning { enabled: Some(false), exclude: true, ..Reasoning::default() }),
        Just(Reasoning { adaptive: true, ..Reasoning::default() }),
    ];
    let extra = option::of(raw().prop_map(|raw| ("safetySettings".to_owned(), raw)));
    let asked = (option::of(choice), option::of(format), option::of(reasoning));
    (turns(), tools(), params(), asked, extra).prop_map(|(turns, tools, params, asked, extra)| {
        let (tool_choice, format, reasoning) = asked;
        let extra = extra.into_iter().collect();
        Request { turns, tools, tool_choice, format, reasoning, params, extra, ..Request::default() }
    })
}

/// Blocks of a reply whose neighbours the wire can tell apart: chunks do not say where a text part ends.
fn apart(blocks: Vec<Block>) -> Vec<Block> {
    let mut out: Vec<Block> = Vec::new();
    for block in blocks {
        let unsigned = match (out.last(), &block) {
            (Some(Block::Text(text)), Block::Text(_)) => text.signature.is_none(),
            (Some(Block::Thinking(thinking)), Block::Thinking(_)) => thinking.signature.is_none(),
            _ => false,
        };
        if !unsigned {
            out.push(block);
        }
    }
    out
}

fn replies() -> impl Strategy<Value = Reply> {
    let block = prop_oneof![text(), thinking(), call(), opaque(), media()];
    let choice = (vec(block, 1..6), prop_oneof![Just("STOP"), Just("MAX_TOKENS"), Just("SAFETY"), Just("SPII")]);
    let counts = (0..5000u64, 0..5000u64, 0..5000u64, 0..50u64, 0..50u64);
    let usage = counts.prop_map(|(input, cache_read, output, reasoning, image_out)| Usage {
        input,
        cache_read,
        output,
        reasoning,
        image_out,
        audio_in: reasoning,
        ..Usage::default()
    });
    (vec(choice, 1..3), usage).prop_map(|(choices, usage)| {
        let choices = choices.into_iter().enumerate().map(|(index, (blocks, native))| {
            let blocks = apart(blocks);
            let finish = match native {
                "MAX_TOKENS" => Finish::Length,
                "STOP" if blocks.iter().any(|block| matches!(block, Block::ToolCall(_))) => Finish::ToolCalls,
                "STOP" => Finish::Stop,
                _ => Finish::ContentFilter,
            };
            Choice {
                index: index as u32,
                blocks,
                finish: Some(finish),
                native: Some(native.to_owned()),
                ..Choice::default()
            }
        });
        let Stamp { id, model, .. } = stamp();
        let start = Start { id: Some(id), model: Some(model), ..Start::default() };
        Reply { start, choices: choices.collect(), usage: Some(usage), fault: None }
    })
}

/// Anything shaped roughly like what Gemini sends: its names, in any place, with any value.
fn noise() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("-1".to_owned()),
        Just("1e400".to_owned()),
        Just("18446744073709551615".to_owned()),
        Just("\"STOP\"".to_owned()),
        Just("\"image/png\"".to_owned()),
        Just("\"\"".to_owned()),
        any::<u8>().prop_map(|n| n.to_string()),
        words().prop_map(|text| serde_json::to_string(&text).expect("a string")),
    ];
    const NAMES: [&str; 34] = [
        "candidates",
        "content",
        "parts",
        "text",
        "thought",
        "thoughtSignature",
        "functionCall",
        "functionResponse",
        "name",
        "args",
        "id",
        "response",
        "inlineData",
        "fileData",
        "mimeType",
        "data",
        "fileUri",
        "finishReason",
        "index",
        "usageMetadata",
        "promptTokenCount",
        "groundingMetadata",
        "groundingChunks",
        "groundingSupports",
        "segment",
        "web",
        "uri",
        "startIndex",
        "endIndex",
        "groundingChunkIndices",
        "error",
        "promptFeedback",
        "blockReason",
        "logprobsResult",
    ];
    leaf.prop_recursive(7, 80, 5, |inner| {
        let member = (prop::sample::select(NAMES.to_vec()), inner.clone());
        prop_oneof![
            vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            vec(member, 0..6).prop_map(|members| {
                let all: Vec<String> = members.into_iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
                format!("{{{}}}", all.join(","))
            }),
        ]
    })
}

/// A chunk that gets past the first door.
fn chunk() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (vec(noise(), 0..4), noise(), noise()).prop_map(|(parts, reason, rest)| format!(
            r#"{{"candidates":[{{"content":{{"parts":[{}]}},"finishReason":{reason},"groundingMetadata":{rest}}}],"usageMetadata":{rest}}}"#,
            parts.join(",")
        )),
        4 => (words(), any::<bool>(), option::of(base64())).prop_map(|(text, thought, signature)| {
            serde_json::json!({"candidates": [{"content": {"parts": [
                {"text": text, "thought": thought, "thoughtSignature": signature}, {"functionCall": {"name": "f"}}, {"text": "x"}]},
                "index": u8::from(thought)}]}).to_string()
        }),
        1 => noise(),
        1 => words(),
    ]
}

/// The grammar of events.
fn check_grammar(told: &[Event]) {
    let mut open: BTreeSet<(u32, u32)> = BTreeSet::new();
    let mut next: BTreeMap<u32, u32> = BTreeMap::new();
    let mut finished = BTreeSet::new();
    for (place, event) in told.iter().enumerate() {
        match event {
            Event::Start(_) => assert_eq!(place, 0, "a start that is not first"),
            Event::Open { choice, block, .. } => {
                assert!(!finished.contains(choice), "content after the finish");
                assert_eq!(next.insert(*choice, block + 1).unwrap_or(0), *block, "blocks are numbered in order");
                open.insert((*choice, *block));
            }
            Event::Delta { choice, block, .. } => {
                assert!(open.contains(&(*choice, *block)), "a piece of no open block")
            }
            Event::Close { choice, block } => assert!(open.remove(&(*choice, *block)), "closed twice"),
            Event::Finish { choice, .. } => assert!(finished.insert(*choice), "finished twice"),
            Event::Fault(_) => assert_eq!(place + 1, told.len(), "a fault that is not last"),
            _ => {}
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
    assert!(
        told.iter().any(|event| matches!(event, Event::Fault(_) | Event::Finish { .. })),
        "neither finished nor failed"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn a_request_is_read_as_it_was_written(request in requests()) {
        // Levels of effort exist for Gemini 3 only, and there an unsigned call is given a signature.
        let mut sent = request.clone();
        if request.reasoning.as_ref().is_some_and(|reasoning| reasoning.effort.is_some()) {
            sent.model = "gemini-3-x".to_owned();
            let is_call = |block: &Block| matches!(block, Block::ToolCall(_));
            prop_assume!(!request.turns.iter().any(|turn| turn.blocks.iter().any(is_call)));
        }
        let (bytes, losses) = Gemini.encode_request(&sent, &WIDE);
        prop_assert_eq!(losses, vec![]);
        let (read, _) = Gemini.decode_request(&bytes).expect("our own request");
        prop_assert_eq!(read, request);
    }

    #[test]
    fn a_reply_is_read_as_it_was_written(reply in replies()) {
        let whole = Gemini.decode_reply(&Gemini.encode_reply(&reply, &stamp()), &Quirks::GEMINI).expect("our own reply");
        prop_assert_eq!(&whole, &reply);
        let mut told = Vec::new();
        unfold(&reply, &mut told);
        prop_assert_eq!(&folded(&payloads(&stream(&told, stamp()))), &reply);
    }

    #[test]
    fn any_bytes_keep_the_grammar(chunks in vec(chunk(), 0..6)) {
        check_grammar(&events(&chunks));
    }

    #[test]
    fn any_bytes_are_survived(text in noise(), bytes in vec(any::<u8>(), 0..64)) {
        for body in [text.as_bytes(), &bytes, format!(r#"{{"contents":[{{"parts":[{text}]}}],"tools":[{text}]}}"#).as_bytes()] {
            if let Ok((request, _)) = Gemini.decode_request(body) {
                for quirks in [&WIDE, &Quirks::GEMINI] {
                    let (bytes, _) = Gemini.encode_request(&request, quirks);
                    prop_assert!(serde_json::from_slice::<&serde_json::value::RawValue>(&bytes).is_ok());
                }
            }
            if let Ok(reply) = Gemini.decode_reply(body, &Quirks::GEMINI) {
                Gemini.encode_reply(&reply, &stamp());
            }
            let fault = Gemini.decode_error(400, &http::HeaderMap::new(), body);
            prop_assert!(fault.raw.is_none_or(|raw| raw.len() <= 2048));
            let mut out = Vec::new();
            let mut decoder = Gemini.decoder(&Quirks::GEMINI);
            decoder.frame(&Frame { event: Some("x"), data: body }, &mut out);
            decoder.eof(&mut out);
            check_grammar(&out);
        }
    }
}
