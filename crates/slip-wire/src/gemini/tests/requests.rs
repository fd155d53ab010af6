//! Requests in and out.

use super::{Gemini, WIDE, json, request};
use crate::dialect::Wire;
use crate::{Quirks, Stamp};
use serde_json::{Value, json as j};
use slip_ir::request::{Function, format};
use slip_ir::*;

fn written(request: &Request, quirks: &Quirks) -> (Value, Vec<String>) {
    let (bytes, losses) = Gemini.encode_request(request, quirks);
    (json(bytes), losses.iter().map(|loss| loss.what.to_string()).collect())
}

/// Read and write again: nothing changes, nothing is lost.
fn same(body: Value) {
    let (value, losses) = written(&request(&body.to_string()), &WIDE);
    assert_eq!(value, body);
    assert_eq!(losses, [""; 0], "{body}");
}

fn says(text: &str) -> Value {
    j!([{"role": "user", "parts": [{"text": text}]}])
}

fn ask(turns: Vec<Turn>) -> Request {
    Request { turns, ..Request::default() }
}

fn call(id: &str, name: &str, arguments: &str) -> Block {
    Block::ToolCall(ToolCall { id: id.into(), name: name.into(), arguments: arguments.into(), ..ToolCall::default() })
}

fn result(id: &str, content: Vec<Block>, is_error: bool) -> Block {
    Block::ToolResult(ToolResult { id: id.into(), content, is_error, ..ToolResult::default() })
}

#[test]
fn bodies_come_back_as_they_were() {
    same(j!({"contents": says("hi")}));
    same(j!({
        "contents": says("hi"),
        "systemInstruction": {"parts": [{"text": "be"}, {"text": "brief"}]},
        "generationConfig": {"temperature": 0.5, "topK": 40.0, "seed": -1, "maxOutputTokens": 5, "stopSequences": ["a"],
            "candidateCount": 2, "responseModalities": ["TEXT", "IMAGE"], "responseLogprobs": true, "logprobs": 3,
            "imageConfig": {"aspectRatio": "16:9"}, "speechConfig": {"languageCode": "de"}},
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        "cachedContent": "cachedContents/x", "labels": {"my_team": "a"}, "serviceTier": "flex",
    }));
    same(j!({
        "contents": [
            {"role": "user", "parts": [{"text": "go"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
                {"fileData": {"fileUri": "https://x/a.pdf", "mimeType": "application/pdf"}},
                {"fileData": {"fileUri": "gs://b/c", "mimeType": "audio/x-odd"}},
                {"fileData": {"fileUri": "https://www.youtube.com/watch?v=1"}, "videoMetadata": {"fps": 1}}]},
            {"role": "model", "parts": [{"text": "think", "thought": true}, {"text": "", "thoughtSignature": "c2ln"},
                {"text": "so", "thoughtSignature": "dHh0"},
                {"functionCall": {"name": "f", "args": {"b": 1.0, "a": 2}}, "thoughtSignature": "Zm4="},
                {"functionCall": {"name": "f", "args": {}}},
                {"executableCode": {"language": "PYTHON", "code": "1"}}, {"codeExecutionResult": {"outcome": "OUTCOME_OK"}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"result": "ok"}}},
                {"functionResponse": {"name": "f", "response": {"error": "no"}}}, {"text": "and?"}]},
        ],
        "tools": [{"googleSearch": {}}, {"functionDeclarations": [
            {"name": "f", "description": "d", "parametersJsonSchema": {"type": "object"}, "behavior": "NON_BLOCKING"}]}],
    }));
    for calling in [
        j!({"mode": "AUTO"}),
        j!({"mode": "NONE"}),
        j!({"mode": "ANY"}),
        j!({"mode": "ANY", "allowedFunctionNames": ["f"]}),
        j!({"mode": "ANY", "allowedFunctionNames": ["f", "g"]}),
        j!({"mode": "VALIDATED"}),
    ] {
        same(j!({"contents": says("hi"), "toolConfig": {"functionCallingConfig": calling}}));
    }
    for thinking in
        [j!({"thinkingBudget": 0}), j!({"thinkingBudget": -1}), j!({"thinkingBudget": 9, "includeThoughts": true})]
    {
        same(j!({"contents": says("hi"), "generationConfig": {"thinkingConfig": thinking}}));
    }
    for format in [
        j!({"responseMimeType": "application/json"}),
        j!({"responseMimeType": "text/plain"}),
        j!({"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}}),
        j!({"responseMimeType": "text/x.enum", "responseSchema": {"type": "string", "enum": ["a"]}}),
    ] {
        same(j!({"contents": says("hi"), "generationConfig": format}));
    }
}

#[test]
fn both_spellings_are_read() {
    let snake = request(
        r#"{"contents":{"parts":{"inline_data":{"mime_type":"image/png","data":"AA"}}},"system_instruction":"s",
            "generation_config":{"max_output_tokens":"7","top_p":1,"thinking_config":{"thinking_level":"LOW"}},
            "tools":[{"function_declarations":[{"name":"f","parameters":{"type":"OBJECT"}}]},{"google_search":{}}],
            "tool_config":{"function_calling_config":{"mode":2}},"model":"models/x"}"#,
    );
    let camel = request(
        r#"{"contents":[{"role":"user","parts":[{"inlineData":{"mimeType":"image/png","data":"AA"}}]}],
            "systemInstruction":{"parts":[{"text":"s"}]},
            "generationConfig":{"maxOutputTokens":7,"topP":1,"thinkingConfig":{"thinkingLevel":"low"}},
            "tools":[{"functionDeclarations":[{"name":"f","parametersJsonSchema":{"type":"object"}}]},{"googleSearch":{}}],
            "toolConfig":{"functionCallingConfig":{"mode":"ANY"}}}"#,
    );
    assert_eq!(snake, camel);
    assert_eq!(snake.params.max_tokens, Some(7));
    assert_eq!(snake.tool_choice, Some(ToolChoice::Required));
}

#[test]
fn wrong_types_are_refused_with_the_place() {
    let rows = [
        ("[]", "must be an object"),
        (r#"{"contents":"hi"}"#, "contents: must be a list"),
        (r#"{"contents":[],"contents":[]}"#, "names a member twice"),
        (r#"{"tools":[{"google_search":{},"googleSearch":{}}]}"#, "tools[0]: names a member twice"),
        (r#"{"contents":[{"role":"system"}]}"#, "contents[0].role: must be user or model: system"),
        (r#"{"contents":[{"parts":[{"text":1}]}]}"#, "contents[0].parts[0].text: must be a string"),
        (r#"{"contents":[{"parts":[{"functionCall":{}}]}]}"#, "contents[0].parts[0].functionCall.name: is required"),
        (r#"{"generationConfig":{"maxOutputTokens":-1}}"#, "generationConfig.maxOutputTokens: must be a whole number"),
        (r#"{"generationConfig":{"topK":"x"}}"#, "generationConfig.topK: must be a number"),
        (r#"{"generationConfig":{"stopSequences":[1]}}"#, "generationConfig.stopSequences: must be a list of strings"),
    ];
    for (body, want) in rows {
        let error = Gemini.decode_request(body.as_bytes()).expect_err(body);
        assert_eq!(error.to_string(), want, "{body}");
    }
    assert!(Gemini.decode_request(b"{").is_err());
    assert!(Gemini.decode_request(b"\xff").is_err());
}

#[test]
fn calls_without_ids_are_matched_with_their_answers() {
    let decoded = request(
        r#"{"contents":[{"role":"model","parts":[{"functionCall":{"name":"f"}},{"functionCall":{"name":"g"}},{"functionCall":{"name":"f"}}]},
            {"role":"user","parts":[{"functionResponse":{"name":"f","response":{}}},{"functionResponse":{"name":"g","response":{}}},
            {"functionResponse":{"name":"f","response":{}}}]}]}"#,
    );
    let ids = |turn: usize| -> Vec<&str> {
        decoded.turns[turn]
            .blocks
            .iter()
            .map(|block| match block {
                Block::ToolCall(call) => call.id.as_str(),
                Block::ToolResult(result) => result.id.as_str(),
                other => panic!("{other:?}"),
            })
            .collect()
    };
    assert_eq!(ids(0), ["gemini_call_0", "gemini_call_1", "gemini_call_2"]);
    assert_eq!(ids(1), ["gemini_call_0", "gemini_call_1", "gemini_call_2"]);
    assert_eq!((decoded.turns[0].role, decoded.turns[1].role), (Role::Assistant, Role::Tool));
    let (value, _) = written(&decoded, &WIDE);
    assert!(!value.to_string().contains("gemini_call_"));
}

#[test]
fn turns_find_their_place() {
    let conversation = ask(vec![
        Turn::new(Role::System, vec![Block::text("a")]),
        Turn::new(Role::User, vec![Block::text("q")]),
        Turn::new(Role::Developer, vec![Block::text("b")]),
        Turn::new(Role::User, vec![Block::text("q2")]),
        Turn::new(Role::Assistant, vec![Block::text(""), call("c1", "f", "{\"x\": 1}"), call("c2", "g", "")]),
        Turn::new(Role::Tool, vec![result("c1", vec![Block::text("fine")], false)]),
        Turn::new(Role::Tool, vec![result("c2", vec![Block::text("{\"k\":[1]}")], false)]),
        Turn::new(Role::Tool, vec![result("gone", vec![Block::text("bad")], true)]),
    ]);
    let (value, losses) = written(&conversation, &WIDE);
    assert_eq!(
        value,
        j!({
            "systemInstruction": {"parts": [{"text": "a"}, {"text": "b"}]},
            "contents": [
                {"role": "user", "parts": [{"text": "q"}, {"text": "q2"}]},
                {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"x": 1}, "id": "c1"}},
                    {"functionCall": {"name": "g", "args": {}, "id": "c2"}}]},
                {"role": "user", "parts": [
                    {"functionResponse": {"name": "f", "response": {"result": "fine"}, "id": "c1"}},
                    {"functionResponse": {"name": "g", "response": {"k": [1]}, "id": "c2"}},
                    {"functionResponse": {"name": "gone", "response": {"error": "bad"}, "id": "gone"}}]},
            ],
        })
    );
    assert_eq!(losses, ["messages[2].role"]);
    let (value, losses) = written(&ask(vec![Turn::new(Role::System, vec![Block::text("only")])]), &WIDE);
    assert_eq!(value, j!({"contents": says("only")}));
    assert_eq!(losses, ["messages[0].role"]);
}

#[test]
fn results_that_could_be_misread_are_wrapped() {
    for text in [r#"{"result":"x"}"#, r#"{"error":"x"}"#, "{}", "[1]", "plain", "", "{broken", r#"{"a":1}"#] {
        let turns = vec![Turn::new(
            Role::Tool,
            vec![Block::ToolResult(ToolResult {
                id: "i".into(),
                name: Some("f".into()),
                content: vec![Block::text(text)],
                ..ToolResult::default()
            })],
        )];
        let (bytes, losses) = Gemini.encode_request(&ask(turns.clone()), &WIDE);
        assert_eq!(losses, []);
        assert_eq!(Gemini.decode_request(&bytes).expect("our own").0.turns, turns, "{text}");
    }
}

#[test]
fn media_of_results_goes_inside_where_the_model_reads_it() {
    let image = || {
        Block::Media(Media {
            kind: MediaKind::Image,
            source: Source::Data { mime: "image/png".into(), base64: "AA".into() },
            name: None,
            detail: None,
            cache: None,
            extra: None,
        })
    };
    let mut conversation = ask(vec![
        Turn::new(Role::Tool, vec![result("1", vec![image()], false)]),
        Turn::new(Role::Tool, vec![result("2", vec![Block::text("x")], false)]),
    ]);
    let (value, losses) = written(&conversation, &WIDE);
    let parts = &value["contents"][0]["parts"];
    assert_eq!(parts[2], j!({"inlineData": {"mimeType": "image/png", "data": "AA"}}), "after all results");
    assert_eq!(losses, ["messages[0].content"]);
    conversation.model = "gemini-3-pro".into();
    let (value, losses) = written(&conversation, &WIDE);
    assert_eq!(value["contents"][0]["parts"][0]["functionResponse"]["parts"][0]["inlineData"]["data"], "AA");
    assert_eq!(losses, [""; 0]);
}

#[test]
fn reasoning_returns_only_to_its_family() {
    let thinking = |format: &str| Thinking {
        text: "t".into(),
        signature: Some("s".into()),
        format: format.into(),
        ..Thinking::default()
    };
    let conversation = ask(vec![Turn::new(
        Role::Assistant,
        vec![Block::Thinking(thinking(format::GEMINI)), Block::Thinking(thinking(format::ANTHROPIC)), Block::text("x")],
    )]);
    let (value, losses) = written(&conversation, &WIDE);
    assert_eq!(
        value["contents"][0]["parts"],
        j!([{"text": "t", "thought": true, "thoughtSignature": "s"}, {"text": "x"}])
    );
    assert_eq!(losses, ["messages[0].reasoning"]);
}

#[test]
fn gemini_3_gets_a_signature_on_the_first_call() {
    let sealed = |id: Option<&str>, data: &str| {
        Block::Thinking(Thinking {
            kind: ThinkingKind::Encrypted,
            data: Some(data.into()),
            format: format::GEMINI.into(),
            id: id.map(Into::into),
            ..Thinking::default()
        })
    };
    let signatures = |model: &str, blocks: Vec<Block>| -> Vec<Value> {
        let mut conversation = ask(vec![Turn::new(Role::Assistant, blocks)]);
        conversation.model = model.into();
        let (value, _) = written(&conversation, &WIDE);
        value["contents"][0]["parts"]
            .as_array()
            .expect("parts")
            .iter()
            .map(|part| part["thoughtSignature"].clone())
            .collect()
    };
    let two = || vec![call("a", "f", "{}"), call("b", "g", "{}")];
    let with = |first: Block| [vec![first], two()].concat();
    assert_eq!(signatures("gemini-3-pro", two()), [j!("skip_thought_signature_validator"), Value::Null]);
    assert_eq!(signatures("gemini-2.5-pro", two()), [Value::Null, Value::Null]);
    assert_eq!(signatures("gemini-3-pro", with(sealed(Some("b"), "sig"))), [Value::Null, j!("sig")]);
    assert_eq!(signatures("gemini-3-pro", with(sealed(None, "sig"))), [j!("sig"), Value::Null]);
    assert_eq!(signatures("gemini-2.5-pro", vec![sealed(None, "sig"), Block::text("x")]), [j!("sig"), Value::Null]);
}

#[test]
fn foreign_signatures_travel_through_a_gemini_client() {
    for thinking in [
        Thinking {
            text: "t".into(),
            signature: Some("EqQ=".into()),
            format: format::ANTHROPIC.into(),
            ..Thinking::default()
        },
        Thinking {
            kind: ThinkingKind::Encrypted,
            data: Some("gAAA".into()),
            format: format::OPENAI.into(),
            ..Thinking::default()
        },
    ] {
        let block = Block::Thinking(thinking);
        let reply =
            Reply { choices: vec![Choice { blocks: vec![block.clone()], ..Choice::default() }], ..Reply::default() };
        let sent = json(Gemini.encode_reply(&reply, &Stamp::default()));
        let replayed = j!({"contents": [sent["candidates"][0]["content"]]});
        assert_eq!(request(&replayed.to_string()).turns, [Turn::new(Role::Assistant, vec![block])]);
    }
}

#[test]
fn a_foreign_thought_that_was_streamed_goes_back_whole() {
    let seal = "YW50aHJvcGljLWNsYXVkZS12MTo6c2ln";
    let parts = j!([
        {"text": "first", "thought": true}, {"text": " then", "thought": true},
        {"text": "", "thought": true, "thoughtSignature": seal}, {"text": "said"}
    ]);
    let asked = request(&j!({"contents": [{"role": "model", "parts": parts}]}).to_string());
    let thinking = Thinking {
        text: "first then".into(),
        signature: Some("sig".into()),
        format: format::ANTHROPIC.into(),
        ..Thinking::default()
    };
    let whole = Turn::new(Role::Assistant, vec![Block::Thinking(thinking), Block::text("said")]);
    assert_eq!(asked.turns, [whole]);
}

#[test]
fn wishes_become_thinking_config() {
    let rows = [
        (
            "gemini-2.5-pro",
            Reasoning { effort: Some(Effort::High), ..Reasoning::default() },
            j!({"thinkingBudget": 24576, "includeThoughts": true}),
        ),
        (
            "gemini-2.5-pro",
            Reasoning { effort: Some(Effort::Low), exclude: true, ..Reasoning::default() },
            j!({"thinkingBudget": 13107}),
        ),
        (
            "gemini-3-pro",
            Reasoning { effort: Some(Effort::Low), ..Reasoning::default() },
            j!({"thinkingLevel": "low", "includeThoughts": true}),
        ),
        (
            "gemini-3-pro",
            Reasoning { effort: Some(Effort::Max), ..Reasoning::default() },
            j!({"thinkingLevel": "high", "includeThoughts": true}),
        ),
        (
            "gemini-3-pro",
            Reasoning { budget: Some(100), ..Reasoning::default() },
            j!({"thinkingBudget": 100, "includeThoughts": true}),
        ),
        (
            "gemini-2.5-pro",
            Reasoning { enabled: Some(true), ..Reasoning::default() },
            j!({"thinkingBudget": -1, "includeThoughts": true}),
        ),
        ("gemini-3-pro", Reasoning { enabled: Some(true), ..Reasoning::default() }, j!({"includeThoughts": true})),
        ("gemini-2.5-pro", Reasoning { enabled: Some(false), ..Reasoning::default() }, j!({"thinkingBudget": 0})),
        ("gemini-2.5-pro", Reasoning { effort: Some(Effort::None), ..Reasoning::default() }, j!({"thinkingBudget": 0})),
    ];
    for (model, reasoning, want) in rows {
        let request = Request { model: model.into(), reasoning: Some(reasoning.clone()), ..Request::default() };
        assert_eq!(written(&request, &WIDE).0["generationConfig"]["thinkingConfig"], want, "{model} {reasoning:?}");
    }
}

#[test]
fn what_has_no_place_is_listed() {
    let number = || Some(1.into());
    let request = Request {
        turns: vec![Turn {
            name: Some("bob".into()),
            ..Turn::new(
                Role::User,
                vec![
                    Block::Media(Media {
                        kind: MediaKind::Image,
                        source: Source::Url("https://x/y.webp".into()),
                        name: Some("n".into()),
                        detail: Some("high".into()),
                        cache: Some(Cache::default()),
                        extra: Raw::parse(r#"{"title":"t"}"#),
                    }),
                    Block::Media(Media {
                        kind: MediaKind::File,
                        source: Source::FileId("file-1".into()),
                        name: None,
                        detail: None,
                        cache: None,
                        extra: None,
                    }),
                    Block::Opaque { dialect: Dialect::Anthropic, raw: Raw::parse("{}").expect("JSON") },
                ],
            )
        }],
        tools: vec![
            Tool::Function(Function { name: "f".into(), strict: Some(true), ..Function::default() }),
            Tool::Opaque { dialect: Dialect::OpenAiChat, raw: Raw::parse("{}").expect("JSON") },
        ],
        parallel_tool_calls: Some(false),
        params: Params {
            min_p: number(),
            top_a: number(),
            repetition_penalty: number(),
            user: Some("u".into()),
            stop: (0..7).map(|n| n.to_string()).collect(),
            service_tier: Some("scale".into()),
            ..Params::default()
        },
        extra: vec![("provider".into(), Raw::parse("{}").expect("JSON"))],
        ..Request::default()
    };
    let (value, losses) = written(&request, &Quirks::GEMINI);
    assert_eq!(
        value["contents"][0]["parts"],
        j!([{"fileData": {"fileUri": "https://x/y.webp", "mimeType": "image/webp"}}])
    );
    assert_eq!(value["generationConfig"]["stopSequences"], j!(["0", "1", "2", "3", "4"]));
    assert_eq!(
        losses,
        [
            "messages[0].name",
            "messages[0].content[0].url",
            "messages[0].content[0].filename",
            "messages[0].content[0].detail",
            "cache_control",
            "messages[0].content[0].extra",
            "messages[0].content[1].file_id",
            "messages[0].content[2]",
            "tools[0].function.strict",
            "tools[1]",
            "stop",
            "service_tier",
            "min_p",
            "top_a",
            "repetition_penalty",
            "user",
            "parallel_tool_calls",
            "provider",
        ]
    );
    let refusing = Quirks { refuses: vec!["seed".into(), "topK".into()].into(), ..WIDE };
    let request =
        Request { params: Params { seed: Some(1), top_k: number(), ..Params::default() }, ..Request::default() };
    let (value, losses) = written(&request, &refusing);
    assert_eq!((value, losses), (j!({"contents": []}), vec!["top_k".to_owned(), "seed".to_owned()]));
}

#[test]
fn a_function_of_no_parameters_declares_none() {
    let nothing = r#"{"type":"object","properties":{},"additionalProperties":false}"#;
    let function = Function { name: "ping".into(), parameters: slip_ir::Raw::parse(nothing), ..Function::default() };
    let request = Request { tools: vec![Tool::Function(function)], ..Request::default() };
    let declared = |quirks: &Quirks| written(&request, quirks).0["tools"][0]["functionDeclarations"][0].clone();
    assert_eq!(declared(&Quirks::GEMINI), j!({"name": "ping"}));
    assert_eq!(declared(&WIDE)["parametersJsonSchema"]["type"], "object");
}

#[test]
fn to_be_shown_thoughts_is_to_want_them() {
    let asked = |config: Value| {
        request(&j!({"contents": says("hi"), "generationConfig": {"thinkingConfig": config}}).to_string())
    };
    let on = Reasoning { enabled: Some(true), ..Reasoning::default() };
    assert_eq!(asked(j!({"includeThoughts": true})).reasoning, Some(on));
    assert_eq!(asked(j!({"includeThoughts": false})).reasoning, None);
    let budget = Reasoning { budget: Some(9), ..Reasoning::default() };
    assert_eq!(asked(j!({"includeThoughts": true, "thinkingBudget": 9})).reasoning, Some(budget));
}

/// Google's own client sends what it called back with the id, and the answer without.
#[test]
fn an_answer_without_an_id_finds_the_call_of_its_name() {
    let call = |id: &str| j!({"functionCall": {"id": id, "name": "f", "args": {}}});
    let answer = |id: Option<&str>| {
        let mut response = j!({"name": "f", "response": {"result": "x"}});
        if let Some(id) = id {
            response["id"] = id.into();
        }
        j!({"functionResponse": response})
    };
    let rows = [
        (vec![answer(None), answer(None)], ["c1", "c2"]),
        (vec![answer(Some("c2")), answer(None)], ["c2", "c1"]),
        (vec![answer(Some("c1")), answer(None)], ["c1", "c2"]),
    ];
    for (answers, want) in rows {
        let asked = request(
            &j!({"contents": [
                {"role": "model", "parts": [call("c1"), call("c2")]},
                {"role": "user", "parts": answers},
            ]})
            .to_string(),
        );
        let ids: Vec<&str> = asked.turns[1]
            .blocks
            .iter()
            .filter_map(|block| match block {
                Block::ToolResult(result) => Some(result.id.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(ids, want);
    }
}
