//! Requests, replies, events and streams made up for the laws.

use super::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use slip_ir::event::{Kind, Piece, Start};
use slip_ir::request::{Function, format};
use slip_ir::{
    Block, Cache, Choice, Dialect, Effort, Finish, Format, Media, MediaKind, Params, Raw, Reasoning, Role, Source,
    Text, Thinking, ThinkingKind, Tier, Tool, ToolCall, ToolChoice, ToolResult, Turn, Usage,
};
use std::collections::BTreeSet;

fn raw(value: Value) -> Raw {
    Raw::parse(value.to_string()).expect("JSON")
}

/// Text with all that JSON must escape, neither empty nor ending in white space.
pub fn words() -> impl Strategy<Value = String> {
    "[a-zé漢😀 \"\\\\\n\t{}:]{0,12}[a-z漢]"
}

fn cache() -> impl Strategy<Value = Option<Cache>> {
    option::weighted(0.2, option::of("1h|5m").prop_map(|ttl| Cache { ttl }))
}

fn plain() -> impl Strategy<Value = Block> {
    (words(), cache()).prop_map(|(text, cache)| Block::Text(Text { text, cache, ..Text::default() }))
}

fn media() -> impl Strategy<Value = Block> {
    let source = prop_oneof![
        Just((MediaKind::Image, Source::Url("https://x/a.png".to_owned()))),
        Just((MediaKind::Image, Source::Data { mime: "image/png".to_owned(), base64: "AA==".to_owned() })),
        Just((MediaKind::Image, Source::FileId("file_1".to_owned()))),
        Just((MediaKind::File, Source::Data { mime: "application/pdf".to_owned(), base64: "AA==".to_owned() })),
        Just((MediaKind::File, Source::Url("https://x/a.pdf".to_owned()))),
        words().prop_map(|text| (MediaKind::File, Source::Text(text))),
    ];
    (source, option::of(words()), cache()).prop_map(|((kind, source), name, cache)| {
        let file = kind == MediaKind::File;
        let extra = (file && name.is_some()).then(|| raw(json!({"citations":{"enabled":true}})));
        Block::Media(Media { kind, source, name: name.filter(|_| file), detail: None, cache, extra })
    })
}

fn signed() -> impl Strategy<Value = Block> {
    // Binary in base64: the first byte of Anthropic's own is 0x12.
    let sealed = "E[g-v][A-Za-z0-9+/]{0,18}={0,2}";
    prop_oneof![
        ("[a-z ]{0,9}", sealed).prop_map(|(text, signature)| Thinking {
            text,
            signature: Some(signature),
            format: format::ANTHROPIC.to_owned(),
            ..Thinking::default()
        }),
        sealed.prop_map(|data| Thinking {
            kind: ThinkingKind::Encrypted,
            data: Some(data),
            format: format::ANTHROPIC.to_owned(),
            ..Thinking::default()
        }),
    ]
    .prop_map(Block::Thinking)
}

/// Reasoning only a reply may hold: another family's, or nobody's.
fn foreign() -> impl Strategy<Value = Block> {
    let family =
        prop_oneof![Just(format::GEMINI), Just(format::OPENAI), Just("meta-responses-v1"), Just(format::UNKNOWN)];
    (family, words(), option::of("[a-z]{3}"), option::of("rs_[a-z]{3}"), any::<bool>()).prop_map(
        |(family, text, signature, id, encrypted)| {
            let format = family.to_owned();
            Block::Thinking(if encrypted {
                Thinking { kind: ThinkingKind::Encrypted, data: Some(text), format, id, ..Thinking::default() }
            } else {
                Thinking { text, signature, format, id, ..Thinking::default() }
            })
        },
    )
}

fn call() -> impl Strategy<Value = Block> {
    ("[a-zA-Z0-9_-]{1,20}", "[a-z_]{1,8}", option::of(words()), any::<bool>()).prop_map(
        |(id, name, argument, caller)| {
            let arguments = argument.map_or("{}".to_owned(), |a| json!({"a":a,"n":[1,2.50,{}]}).to_string());
            let extra = caller.then(|| raw(json!({"caller":{"type":"direct"}})));
            Block::ToolCall(ToolCall { id, name, arguments, extra, ..ToolCall::default() })
        },
    )
}

fn server() -> impl Strategy<Value = Block> {
    prop_oneof![
        words().prop_map(|q| json!({"type":"server_tool_use","id":"s","name":"web_search","input":{"query":q}})),
        words().prop_map(
            |t| json!({"type":"web_search_tool_result","tool_use_id":"s","content":[{"title":t,"page_age":null}]})
        ),
    ]
    .prop_map(|value| Block::Opaque { dialect: Dialect::Anthropic, raw: raw(value) })
}

#[derive(Clone, Debug)]
enum Cited {
    Page,
    Web(String),
}

fn cited() -> impl Strategy<Value = (String, Vec<Cited>)> {
    let one = prop_oneof![Just(Cited::Page), words().prop_map(Cited::Web)];
    (words(), vec(one, 0..3))
}

/// Give annotations the span their text has within its message.
fn place(blocks: Vec<Result<Block, (String, Vec<Cited>)>>) -> Vec<Block> {
    let mut chars = 0;
    let place = |block: Result<Block, (String, Vec<Cited>)>| match block {
        Ok(block) => block,
        Err((text, cited)) => {
            let start = chars;
            chars += text.chars().count();
            let annotations = cited.into_iter().map(|cited| {
                raw(match cited {
                    Cited::Page => json!({"type":"url_citation","url_citation":{"url":"#document-0-page-2","title":"",
                        "content":"c","start_index":start,"end_index":chars,"location":{"type":"page_location",
                        "cited_text":"c","document_index":0,"start_page_number":2}}}),
                    Cited::Web(title) => json!({"type":"url_citation","url_citation":{"url":"https://x","title":title,
                        "content":"c","start_index":start,"end_index":chars,"encrypted_index":"ZQ=="}}),
                })
            });
            Block::Text(Text { text, annotations: annotations.collect(), ..Text::default() })
        }
    };
    blocks.into_iter().map(place).collect()
}

fn answer(thinking: BoxedStrategy<Block>) -> impl Strategy<Value = Vec<Block>> {
    let rest = prop_oneof![cited().prop_map(Err), call().prop_map(Ok), server().prop_map(Ok), cited().prop_map(Err)];
    (vec(thinking, 0..3), vec(rest, 1..5)).prop_map(|(thinking, mut rest)| {
        let mut seen = BTreeSet::new();
        rest.retain(|block| !matches!(block, Ok(Block::ToolCall(call)) if !seen.insert(call.id.clone())));
        place(thinking.into_iter().map(Ok).chain(rest).collect())
    })
}

/// Rounds of user and assistant, with the results of the tools each called, and the user's last word.
fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let says = || vec(prop_oneof![3 => plain(), 1 => media()], 1..4);
    let result = (vec(prop_oneof![plain(), media()], 0..3), any::<bool>(), cache());
    let round = (says(), answer(signed().boxed()), vec(result, 8));
    (vec(plain(), 0..3), vec(round, 0..4), says()).prop_map(|(system, rounds, last)| {
        let mut turns = Vec::new();
        if !system.is_empty() {
            turns.push(Turn::new(Role::System, system));
        }
        for (user, assistant, results) in rounds {
            let ids = assistant.iter().filter_map(|block| match block {
                Block::ToolCall(call) => Some(call.id.clone()),
                _ => None,
            });
            let results: Vec<Block> = ids
                .zip(results)
                .map(|(id, (content, is_error, cache))| {
                    Block::ToolResult(ToolResult { id, name: None, content, is_error, cache })
                })
                .collect();
            turns.push(Turn::new(Role::User, user));
            turns.push(Turn::new(Role::Assistant, assistant));
            if !results.is_empty() {
                turns.push(Turn::new(Role::Tool, results));
            }
        }
        turns.push(Turn::new(Role::User, last));
        turns
    })
}

fn tools() -> impl Strategy<Value = Vec<Tool>> {
    let function = ("[a-z]{1,6}", option::of(words()), option::of(Just(true)), cache()).prop_map(
        |(name, description, strict, cache)| {
            let parameters = Some(raw(json!({"type":"object","properties":{"z":{"type":"string"},"a":{}}})));
            let extra = strict.map(|_| raw(json!({"defer_loading":false})));
            Tool::Function(Function { name, description, parameters, strict, cache, extra })
        },
    );
    let server =
        Just(Tool::Opaque { dialect: Dialect::Anthropic, raw: raw(json!({"type":"bash_20250124","name":"bash"})) });
    vec(prop_oneof![4 => function, 1 => server], 0..3)
}

fn reasoning() -> impl Strategy<Value = Option<Reasoning>> {
    let shown = prop_oneof![Just((false, None)), Just((true, None)), Just((false, Some("auto".to_owned())))];
    let effort = option::of(prop_oneof![Just(Effort::Low), Just(Effort::High), Just(Effort::Max)]);
    option::of(prop_oneof![
        (1024u64..4000, shown.clone()).prop_map(|(budget, (exclude, summary))| Reasoning {
            enabled: Some(true),
            budget: Some(budget),
            exclude,
            summary,
            ..Reasoning::default()
        }),
        (effort, shown).prop_map(|(effort, (exclude, summary))| Reasoning {
            enabled: Some(true),
            adaptive: true,
            effort,
            exclude,
            summary,
            ..Reasoning::default()
        }),
        Just(Reasoning { enabled: Some(false), ..Reasoning::default() }),
    ])
}

prop_compose! {
    /// A request that Anthropic can be told without loss.
    pub fn request()(
        turns in turns(),
        tools in tools(),
        reasoning in reasoning(),
        choice in option::of(prop_oneof![Just(ToolChoice::Auto), Just(ToolChoice::None), Just(ToolChoice::Required), Just(ToolChoice::Named("f".to_owned()))]),
        single in any::<bool>(),
        schema in any::<bool>(),
        stream in any::<bool>(),
        sampling in 0u8..4,
        (max_tokens, stop, user, cache, container) in (4000u64..99_999, vec(words(), 0..3), option::of(words()), cache(), any::<bool>()),
    ) -> Request {
        let thinks = reasoning.as_ref().is_some_and(|r: &Reasoning| r.enabled == Some(true));
        let forced = matches!(choice, Some(ToolChoice::Required | ToolChoice::Named(_)));
        let tool_choice = choice.filter(|_| !(tools.is_empty() || thinks && forced));
        let params = Params {
            max_tokens: Some(max_tokens),
            temperature: (sampling == 1 && !thinks).then(|| "0.70".parse().expect("a number")),
            top_p: (sampling == 2).then(|| "0.95".parse().expect("a number")),
            top_k: (sampling == 3 && !thinks).then(|| 40.into()),
            stop,
            user,
            service_tier: container.then(|| "auto".to_owned()),
            cache,
            ..Params::default()
        };
        Request {
            model: "m".to_owned(),
            stream,
            turns,
            parallel_tool_calls: (single && matches!(tool_choice, Some(ref c) if *c != ToolChoice::None)).then_some(false),
            tools,
            tool_choice,
            format: schema.then(|| Format::JsonSchema {
                name: "output".to_owned(), schema: raw(json!({"additionalProperties":false})), strict: None, description: None,
            }),
            reasoning,
            params,
            extra: if container { vec![("container".to_owned(), raw(json!("c")))] } else { Vec::new() },
        }
    }
}

prop_compose! {
    pub fn usage()(n in proptest::array::uniform7(0u64..1_000_000)) -> Usage {
        Usage {
            input: n[0], cache_read: n[1], cache_write: n[2], cache_write_1h: n[3], output: n[4], reasoning: n[5],
            web_searches: n[6], tier: Some(Tier::Standard), ..Usage::default()
        }
    }
}

pub fn reply() -> impl Strategy<Value = Reply> {
    let thinking = prop_oneof![signed(), foreign()].boxed();
    let ends = prop_oneof![
        Just((Finish::Stop, "end_turn", None)),
        Just((Finish::Stop, "pause_turn", None)),
        Just((Finish::Stop, "stop_sequence", Some("END".to_owned()))),
        Just((Finish::Length, "max_tokens", None)),
        Just((Finish::ToolCalls, "tool_use", None)),
        Just((Finish::ContentFilter, "refusal", None)),
    ];
    (answer(thinking), ends, usage(), any::<bool>(), words()).prop_map(
        |(mut blocks, (finish, native, stop_sequence), usage, refused, why)| {
            if refused && finish == Finish::ContentFilter {
                blocks = vec![Block::Refusal(why)];
            }
            Reply {
                start: Start {
                    id: Some("gen-1-abc".to_owned()),
                    model: Some("anthropic/claude-sonnet-4.5".to_owned()),
                    service_tier: Some("standard".to_owned()),
                    ..Start::default()
                },
                choices: vec![Choice {
                    blocks,
                    finish: Some(finish),
                    native: Some(native.to_owned()),
                    stop_sequence,
                    ..Choice::default()
                }],
                usage: Some(usage),
                fault: None,
            }
        },
    )
}

/// Any block event for any of a few blocks, in any order.
pub fn event() -> impl Strategy<Value = Event> {
    let kind = prop_oneof![
        Just(Kind::Text),
        Just(Kind::Refusal),
        Just(Kind::Thinking { kind: ThinkingKind::Text, format: format::GEMINI.to_owned(), id: None }),
        Just(Kind::Thinking { kind: ThinkingKind::Encrypted, format: String::new(), id: None }),
        Just(Kind::ToolCall { id: String::new(), name: "f".to_owned(), extra: None }),
        Just(Kind::Media { kind: MediaKind::Image }),
    ];
    let piece = prop_oneof![
        words().prop_map(Piece::Text),
        Just(Piece::Arguments(String::new())),
        words().prop_map(Piece::Signature),
        words().prop_map(Piece::Data),
        Just(Piece::Annotation(raw(json!({"type":"url_citation","url_citation":{"url":"u"}})))),
    ];
    let (choice, block) = (prop_oneof![9 => Just(0u32), 1 => Just(1u32)], 0u32..4);
    prop_oneof![
        3 => (choice.clone(), block.clone(), kind).prop_map(|(choice, block, kind)| Event::Open { choice, block, kind }),
        6 => (choice.clone(), block.clone(), piece).prop_map(|(choice, block, piece)| Event::Delta { choice, block, piece }),
        2 => (choice, block).prop_map(|(choice, block)| Event::Close { choice, block }),
        1 => Just(Event::Ping),
        1 => usage().prop_map(Event::Usage),
    ]
}

/// Something an upstream might stream: right, wrong, or not JSON at all.
pub fn data() -> impl Strategy<Value = String> {
    let block = prop_oneof![
        Just(json!({"type":"text","text":"a","citations":[1]})),
        Just(json!({"type":"thinking","thinking":"a"})),
        Just(json!({"type":"redacted_thinking"})),
        Just(json!({"type":"tool_use","input":{"a":null}})),
        Just(json!({"type":"server_tool_use","input":{}})),
        Just(json!({"type":5})),
        Just(json!("x")),
    ];
    let delta = prop_oneof![
        Just(json!({"type":"text_delta","text":"b"})),
        Just(json!({"type":"thinking_delta","thinking":"b"})),
        Just(json!({"type":"signature_delta","signature":"unknown::"})),
        Just(json!({"type":"input_json_delta","partial_json":"{\""})),
        Just(json!({"type":"citations_delta","citation":{"type":"web_search_result_location","url":1}})),
        Just(json!({"text":[]})),
        Just(json!(null)),
    ];
    let index = prop_oneof![(0u64..3).prop_map(|n| json!(n)), Just(Value::Null), Just(json!("0")), Just(json!(-1))];
    prop_oneof![
        1 => Just(json!({"type":"message_start","message":{"id":1,"usage":{"input_tokens":3}}})),
        4 => (index.clone(), block).prop_map(|(i, b)| json!({"type":"content_block_start","index":i,"content_block":b})),
        6 => (index.clone(), delta).prop_map(|(i, d)| json!({"type":"content_block_delta","index":i,"delta":d})),
        3 => index.prop_map(|i| json!({"type":"content_block_stop","index":i})),
        1 => option::of("end_turn|refusal|odd").prop_map(|r| json!({"type":"message_delta","delta":{"stop_reason":r},"usage":{"output_tokens":9}})),
        1 => Just(json!({"type":"message_stop"})),
        1 => Just(json!({"type":"ping"})),
        1 => Just(json!({"type":"error","error":7})),
        1 => Just(json!([1, 2])),
    ]
    .prop_map(|value| value.to_string())
}
