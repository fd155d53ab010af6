//! Laws: what is written reads back the same, and no bytes break the grammar.

use super::*;
use crate::quirks::{MaxTokens, ReasoningStyle, Replay};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use slip_ir::request::{Function, format};
use slip_ir::*;

/// An upstream that takes everything this vocabulary can say.
pub(super) fn lossless() -> Quirks {
    Quirks {
        max_tokens: MaxTokens::Completion,
        reasoning: ReasoningStyle::Object,
        replay: Replay::Details,
        developer_role: true,
        cache_control: true,
        router: true,
        ..Quirks::OPENAI_CHAT
    }
}

fn words() -> impl Strategy<Value = String> {
    "[ -~é\\n\"\\\\]{1,12}"
}

fn name() -> impl Strategy<Value = String> {
    "[a-z_]{1,8}"
}

fn cache() -> impl Strategy<Value = Option<Cache>> {
    of(of(Just("1h".to_owned())).prop_map(|ttl| Cache { ttl }))
}

fn text() -> impl Strategy<Value = Block> {
    (words(), cache()).prop_map(|(text, cache)| Block::Text(Text { text, cache, ..Text::default() }))
}

fn source() -> impl Strategy<Value = Source> {
    prop_oneof![
        name().prop_map(|n| Source::Url(format!("https://example.com/{n}"))),
        Just(Source::Data { mime: "image/png".to_owned(), base64: "iVBORw0KGgo=".to_owned() }),
    ]
}

fn media() -> impl Strategy<Value = Block> {
    let whole =
        |kind, source, name, detail, cache| Block::Media(Media { kind, source, name, detail, cache, extra: None });
    prop_oneof![
        (source(), of(Just("low".to_owned())), cache()).prop_map(move |(s, d, c)| whole(
            MediaKind::Image,
            s,
            None,
            d,
            c
        )),
        (source(), cache()).prop_map(move |(s, c)| whole(MediaKind::Video, s, None, None, c)),
        (source(), name(), cache()).prop_map(move |(s, n, c)| whole(MediaKind::File, s, Some(n), None, c)),
        cache().prop_map(move |c| {
            let sound = Source::Data { mime: "audio/wav".to_owned(), base64: "UklGRg==".to_owned() };
            whole(MediaKind::Audio, sound, None, None, c)
        }),
        name().prop_map(move |id| whole(MediaKind::File, Source::FileId(id), None, None, None)),
    ]
}

fn thinking() -> impl Strategy<Value = Thinking> {
    let seal = of(name());
    let readable = (words(), any::<bool>(), seal, of(name())).prop_map(|(text, summary, signature, id)| Thinking {
        kind: if summary { ThinkingKind::Summary } else { ThinkingKind::Text },
        text,
        signature,
        data: None,
        format: format::ANTHROPIC.to_owned(),
        id,
    });
    let sealed = (name(), of(name())).prop_map(|(data, id)| Thinking {
        kind: ThinkingKind::Encrypted,
        data: Some(data),
        // Ids of sealed thoughts are never those of calls, which begin with `call`.
        id: id.map(|id| format!("rs_{id}")),
        format: format::OPENAI.to_owned(),
        ..Thinking::default()
    });
    prop_oneof![readable, sealed]
}

fn calls() -> impl Strategy<Value = Vec<Block>> {
    vec((name(), of(name()), cache()), 0..3).prop_map(|list| {
        let one = |(n, (name, signature, cache)): (usize, (String, Option<String>, Option<Cache>))| {
            let arguments = format!("{{\"a\":{n}}}");
            Block::ToolCall(ToolCall { id: format!("call_{n}"), name, arguments, signature, cache, extra: None })
        };
        list.into_iter().enumerate().map(one).collect()
    })
}

fn assistant() -> impl Strategy<Value = Turn> {
    let annotation = r#"{"type":"url_citation","url_citation":{"url":"https://example.com"}}"#;
    let said = (words(), cache(), any::<bool>()).prop_map(move |(text, cache, cited)| {
        let annotations = cited.then(|| Raw::parse(annotation).unwrap()).into_iter().collect();
        Block::Text(Text { text, cache, annotations, signature: None })
    });
    let image = source().prop_map(|source| {
        Block::Media(Media { kind: MediaKind::Image, source, name: None, detail: None, cache: None, extra: None })
    });
    (vec(thinking(), 0..3), of(said), of(words().prop_map(Block::Refusal)), of(image), calls()).prop_map(
        |(thoughts, said, refusal, image, calls)| {
            let mut blocks: Vec<Block> = thoughts.into_iter().map(Block::Thinking).collect();
            blocks.extend(said);
            blocks.extend(refusal);
            blocks.extend(image);
            blocks.extend(calls);
            Turn::new(Role::Assistant, blocks)
        },
    )
}

fn results() -> impl Strategy<Value = Turn> {
    let result = (name(), of(name()), vec(words().prop_map(Block::text), 1..3), cache()).prop_map(
        |(id, name, content, cache)| Block::ToolResult(ToolResult { id, name, content, is_error: false, cache }),
    );
    vec(result, 1..3).prop_map(|blocks| Turn::new(Role::Tool, blocks))
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        (vec(text(), 1..3), any::<bool>())
            .prop_map(|(b, d)| Turn::new(if d { Role::Developer } else { Role::System }, b)),
        (vec(prop_oneof![text(), media()], 0..3), of(name())).prop_map(|(blocks, name)| Turn {
            role: Role::User,
            name,
            blocks
        }),
        assistant(),
        results(),
    ]
}

/// Tool turns never follow each other: they share one.
fn turns() -> impl Strategy<Value = Vec<Turn>> {
    vec(turn(), 1..5).prop_map(|mut turns| {
        turns.dedup_by(|b, a| a.role == Role::Tool && b.role == Role::Tool);
        turns
    })
}

fn tool() -> impl Strategy<Value = Tool> {
    let schema = || Raw::parse(r#"{"type":"object","properties":{"b":{},"a":{}}}"#).unwrap();
    let function = (name(), of(words()), any::<bool>(), of(any::<bool>()), cache()).prop_map(
        move |(name, description, with, strict, cache)| {
            let extra = with.then(|| Raw::parse(r#"{"eager_input_streaming":true}"#).unwrap());
            let parameters = with.then(schema);
            Tool::Function(Function { name, description, parameters, strict, cache, extra })
        },
    );
    let raw = || Raw::parse(r#"{"type":"openrouter:web_search","parameters":{"max_results":3}}"#).unwrap();
    prop_oneof![4 => function, 1 => Just(()).prop_map(move |()| Tool::Opaque { dialect: Dialect::OpenAiChat, raw: raw() })]
}

fn params() -> impl Strategy<Value = Params> {
    let some = |text: &str| Raw::parse(text).unwrap();
    (of(1u64..9999), of(0.0f64..2.0), of(any::<i64>()), vec(name(), 0..3), any::<bool>()).prop_map(
        move |(max_tokens, temperature, seed, stop, full)| {
            let mut p = Params { max_tokens, seed, stop, ..Params::default() };
            p.temperature = temperature.and_then(serde_json::Number::from_f64);
            if full {
                p.top_p = serde_json::Number::from_f64(0.5);
                p.top_k = Some(40.into());
                p.min_p = Some(0.into());
                p.top_a = Some(1.into());
                p.frequency_penalty = Some(1.into());
                p.presence_penalty = Some((-1).into());
                p.repetition_penalty = Some(1.into());
                p.n = Some(2);
                p.logprobs = Some(true);
                p.top_logprobs = Some(5);
                p.logit_bias = Some(some(r#"{"50256":-100}"#));
                p.user = Some("u".to_owned());
                p.verbosity = Some("low".to_owned());
                p.service_tier = Some("flex".to_owned());
                p.prediction = Some(some(r#"{"type":"content","content":"x"}"#));
                p.modalities = vec!["text".to_owned(), "audio".to_owned()];
                p.audio = Some(some(r#"{"voice":"v","format":"wav"}"#));
                p.image_config = Some(some("{}"));
                p.web_search_options = Some(some("{}"));
                p.prompt_cache_key = Some("k".to_owned());
                p.cache = Some(Cache { ttl: Some("5m".to_owned()) });
                p.metadata = Some(some(r#"{"a":"b"}"#));
            }
            p
        },
    )
}

fn wish() -> impl Strategy<Value = Reasoning> {
    (of(0usize..7), of(1u64..9999), any::<bool>(), of(any::<bool>()), of(Just("auto".to_owned()))).prop_map(
        |(effort, budget, exclude, enabled, summary)| Reasoning {
            effort: effort.map(|n| Effort::ALL[n]),
            budget,
            exclude,
            enabled,
            summary,
            adaptive: false,
        },
    )
}

fn wanted() -> impl Strategy<Value = Format> {
    prop_oneof![
        Just(Format::Text),
        Just(Format::JsonObject),
        (name(), of(any::<bool>()), of(words())).prop_map(|(name, strict, description)| Format::JsonSchema {
            name,
            schema: Raw::parse(r#"{"type":"object"}"#).unwrap(),
            strict,
            description,
        }),
        Just(()).prop_map(|()| Format::Opaque {
            dialect: Dialect::OpenAiChat,
            raw: Raw::parse(r#"{"type":"grammar","grammar":"x"}"#).unwrap(),
        }),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let choice = prop_oneof![
        Just(ToolChoice::Auto),
        Just(ToolChoice::None),
        Just(ToolChoice::Required),
        name().prop_map(ToolChoice::Named),
    ];
    let toolbox = (vec(tool(), 0..3), of(choice), of(any::<bool>()));
    (name(), any::<bool>(), turns(), toolbox, of(wanted()), of(wish()), params(), any::<bool>()).prop_map(
        |(model, stream, turns, (tools, tool_choice, parallel), format, reasoning, params, extra)| {
            let some = !tools.is_empty();
            let extra = extra.then(|| ("safe_prompt".to_owned(), Raw::parse("true").unwrap()));
            Request {
                model,
                stream,
                turns,
                tools,
                tool_choice: tool_choice.filter(|_| some),
                parallel_tool_calls: parallel.filter(|_| some),
                format,
                reasoning,
                params,
                extra: extra.into_iter().collect(),
            }
        },
    )
}

/// A reply in the form this dialect can tell: neighbouring blocks of text are one, media and refusals stand alone.
fn reply() -> impl Strategy<Value = Reply> {
    let said = (words(), any::<bool>()).prop_map(|(text, cited)| {
        let raw = Raw::parse(r#"{"type":"url_citation","url_citation":{"url":"https://example.com"}}"#).unwrap();
        Block::Text(Text { text, annotations: if cited { vec![raw] } else { vec![] }, ..Text::default() })
    });
    let call = (name(), of(name())).prop_map(|(name, signature)| {
        Block::ToolCall(ToolCall {
            name,
            signature,
            arguments: r#"{"a":[1,"\u00e9"]}"#.to_owned(),
            ..ToolCall::default()
        })
    });
    let image = source().prop_map(|source| {
        Block::Media(Media { kind: MediaKind::Image, source, name: None, detail: None, cache: None, extra: None })
    });
    let block = prop_oneof![said, call, thinking().prop_map(Block::Thinking), words().prop_map(Block::Refusal), image];
    let usage = (0u64..99, 0u64..99, 0u64..99).prop_map(|(input, output, reasoning)| Usage {
        input,
        output,
        reasoning,
        ..Usage::default()
    });
    let choice = (vec(block, 1..6), any::<bool>(), any::<bool>()).prop_map(|(mut blocks, length, logprobs)| {
        blocks.dedup_by(|b, a| std::mem::discriminant(a) == std::mem::discriminant(b) && mergeable(a));
        for (n, block) in blocks.iter_mut().enumerate() {
            if let Block::ToolCall(call) = block {
                call.id = format!("call_{n}");
            }
        }
        let called = blocks.iter().any(|b| matches!(b, Block::ToolCall(_)));
        let finish = match (length, called) {
            (true, _) => Finish::Length,
            (false, true) => Finish::ToolCalls,
            (false, false) => Finish::Stop,
        };
        Choice {
            index: 0,
            blocks,
            finish: Some(finish),
            native: Some("its own word".to_owned()).filter(|_| !length).or(Some("max_tokens".to_owned())),
            stop_sequence: None,
            logprobs: logprobs.then(|| Raw::parse(r#"{"content":[]}"#).unwrap()),
        }
    });
    (vec(choice, 1..3), usage).prop_map(|(mut choices, usage)| {
        for (n, choice) in choices.iter_mut().enumerate() {
            choice.index = n as u32;
            for block in &mut choice.blocks {
                if let Block::ToolCall(call) = block {
                    call.id = format!("{}_{n}", call.id);
                }
            }
        }
        Reply { choices, usage: Some(usage), ..Reply::default() }
    })
}

fn mergeable(block: &Block) -> bool {
    matches!(block, Block::Text(_) | Block::Refusal(_))
}

/// What the house writes anew on every reply.
fn without_names(mut reply: Reply) -> Reply {
    reply.start = Default::default();
    if let Some(usage) = &mut reply.usage {
        usage.upstream_cost = None;
    }
    reply
}

/// A whole message keeps no order between its members.
fn by_kind(mut reply: Reply) -> Reply {
    for choice in &mut reply.choices {
        let rank = |block: &Block| match block {
            Block::Thinking(_) => 0,
            Block::Text(_) => 1,
            Block::Refusal(_) => 2,
            Block::Media(_) => 3,
            _ => 4,
        };
        choice.blocks.sort_by_key(rank);
        let mut joined: Vec<Block> = Vec::new();
        for block in choice.blocks.drain(..) {
            match (joined.last_mut(), block) {
                (Some(Block::Text(a)), Block::Text(b)) => {
                    a.text.push_str(&b.text);
                    a.annotations.extend(b.annotations);
                }
                (Some(Block::Refusal(a)), Block::Refusal(b)) => a.push_str(&b),
                (_, block) => joined.push(block),
            }
        }
        choice.blocks = joined;
    }
    reply
}

proptest! {
    #[test]
    fn a_request_written_reads_back_the_same(request in request()) {
        let (body, losses) = OpenAiChat.encode_request(&request, &lossless());
        prop_assert_eq!(losses, vec![]);
        let (back, losses) = OpenAiChat.decode_request(&body).unwrap();
        prop_assert_eq!(losses, vec![]);
        prop_assert_eq!(back, request);
    }

    #[test]
    fn any_request_is_written_as_json_whatever_the_upstream_takes(
        request in request(),
        strict in any::<bool>(),
        style in 0usize..5,
        replay in 0usize..4,
    ) {
        use crate::quirks::{Structured, ToolIds};
        let styles = [
            ReasoningStyle::Effort,
            ReasoningStyle::Object,
            ReasoningStyle::Thinking,
            ReasoningStyle::EnableThinking,
            ReasoningStyle::Unsaid,
        ];
        let replays = [Replay::Drop, Replay::ReasoningContent, Replay::Reasoning, Replay::Details];
        let quirks = Quirks {
            reasoning: styles[style],
            replay: replays[replay],
            content_parts: !strict,
            structured: if strict { Structured::JsonObject } else { Structured::Unsaid },
            tool_ids: if strict { ToolIds::Alnum9 } else { ToolIds::Word64 },
            schema_subset: strict,
            ..Quirks::OPENAI_CHAT
        };
        let (body, _) = OpenAiChat.encode_request(&request, &quirks);
        prop_assert_eq!(crate::json::members(&body).map(|m| m.is_empty()), Ok(false), "valid, and no member twice");
        let (again, _) = OpenAiChat.encode_request(&request, &quirks);
        prop_assert_eq!(body, again);
    }

    #[test]
    fn a_reply_streamed_reads_back_the_same(reply in reply()) {
        let mut events = Vec::new();
        unfold(&reply, &mut events);
        let text = encode_stream(&events, &stamp());
        let back = decode_stream(&text);
        check_grammar(&back);
        prop_assert_eq!(without_names(fold(back)), reply);
    }

    #[test]
    fn a_whole_reply_says_what_its_stream_says(reply in reply()) {
        let mut events = Vec::new();
        unfold(&reply, &mut events);
        let streamed = fold(decode_stream(&encode_stream(&events, &stamp())));
        let whole = OpenAiChat.encode_reply(&reply, &stamp());
        let whole = OpenAiChat.decode_reply(&whole, &Quirks::OPENAI_CHAT).unwrap();
        prop_assert_eq!(without_names(whole), by_kind(without_names(streamed)));
    }

    #[test]
    fn no_chunks_break_the_grammar(chunks in vec(chunk(), 0..12)) {
        let text: String = chunks.iter().map(|c| format!("data: {c}\n\n")).collect();
        let events = decode_stream(&text);
        check_grammar(&events);
        let out = encode_stream(&events, &stamp());
        prop_assert!(out.ends_with("data: [DONE]\n\n"));
        check_grammar(&decode_stream(&out));
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..200), status in 0u16..700) {
        let _ = OpenAiChat.decode_request(&bytes);
        let _ = OpenAiChat.decode_reply(&bytes, &Quirks::OPENAI_CHAT);
        let fault = OpenAiChat.decode_error(status, &http::HeaderMap::new(), &bytes);
        let body = OpenAiChat.encode_error(&fault, None);
        prop_assert!(crate::json::check(&body).is_ok());
        let mut decoder = OpenAiChat.decoder(&Quirks::OPENAI_CHAT);
        let mut events = Vec::new();
        decoder.frame(&Frame { event: None, data: &bytes }, &mut events);
        decoder.eof(&mut events);
        check_grammar(&events);
    }
}

/// Chunks that have the right members with the wrong, missing or repeated values.
fn chunk() -> impl Strategy<Value = String> {
    let value = || {
        prop_oneof![
            Just("null".to_owned()),
            Just("\"\"".to_owned()),
            Just("\"a\"".to_owned()),
            Just("0".to_owned()),
            Just("1".to_owned()),
            Just("-7.5".to_owned()),
            Just("{}".to_owned()),
            Just("[]".to_owned()),
            Just(r#"[{"type":"text","text":"t"},{"type":"thinking","thinking":[{"text":"h"}]},3]"#.to_owned()),
            Just(r#"[{"type":"reasoning.text","text":"r","index":0,"signature":"s"}]"#.to_owned()),
            Just(r#"[{"type":"reasoning.encrypted","data":"d","id":"a","format":"google-gemini-v1"}]"#.to_owned()),
            Just(r#"[{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}]"#.to_owned()),
            Just(r#"[{"index":0,"function":{"arguments":"}"}},{"id":"b","function":{"name":"g"}}]"#.to_owned()),
            Just(r#"[{"function":{"arguments":"x"}},{"custom":{"name":"c","input":"i"}}]"#.to_owned()),
            Just(r#"{"name":"f","arguments":"{}"}"#.to_owned()),
            Just(r#"{"id":"a","data":"QUJD","transcript":"t"}"#.to_owned()),
            Just(r#"[{"image_url":{"url":"data:image/png;base64,AA=="}}]"#.to_owned()),
        ]
    };
    let members = [
        "content",
        "reasoning",
        "reasoning_details",
        "tool_calls",
        "function_call",
        "refusal",
        "audio",
        "images",
        "annotations",
    ];
    let delta = vec((0usize..members.len(), value()), 0..4).prop_map(move |list| {
        let list: Vec<String> = list.into_iter().map(|(n, v)| format!("\"{}\":{v}", members[n])).collect();
        format!("{{{}}}", list.join(","))
    });
    let finish = prop_oneof![
        4 => Just("null".to_owned()),
        1 => Just("\"\"".to_owned()),
        1 => Just("\"stop\"".to_owned()),
        1 => value(),
    ];
    let ordinary = (0u32..3, prop_oneof![6 => delta, 1 => value()], finish, any::<bool>()).prop_map(
        |(index, delta, finish, whole)| {
            let key = if whole { "message" } else { "delta" };
            format!(r#"{{"id":"x","choices":[{{"index":{index},"{key}":{delta},"finish_reason":{finish}}}]}}"#)
        },
    );
    prop_oneof![
        12 => ordinary,
        1 => value(),
        1 => Just("[DONE]".to_owned()),
        1 => Just("ping".to_owned()),
        1 => Just("{\"choices\":".to_owned()),
        1 => Just(r#"{"error":{"message":"m","code":429}}"#.to_owned()),
        1 => Just(r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#.to_owned()),
        1 => Just(r#"{"choices":[],"citations":["https://example.com"]}"#.to_owned()),
    ]
}
