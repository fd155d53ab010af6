//! Requests: what callers send, what upstreams want.

use super::*;
use crate::quirks::{MaxTokens, ReasoningStyle, Replay, Structured, ToolIds};
use slip_ir::{Block, Effort, MediaKind, Request, Role, Source, ToolChoice};
use std::borrow::Cow;

fn read(body: &str) -> Request {
    OpenAiChat.decode_request(body.as_bytes()).unwrap_or_else(|why| panic!("{why}: {body}")).0
}

fn message(text: &str) -> Request {
    read(&format!(r#"{{"messages":[{text}]}}"#))
}

fn write(body: &str, quirks: &Quirks) -> (String, Vec<String>) {
    let (text, losses) = OpenAiChat.encode_request(&read(body), quirks);
    (String::from_utf8(text).unwrap(), losses.iter().map(ToString::to_string).collect())
}

#[test]
fn a_refusal_names_the_place_and_what_was_expected() {
    let rows = [
        ("", ""),
        ("[]", "expected an object, found an array"),
        ("{}", "messages: expected an array of messages, found nothing"),
        (r#"{"messages":null}"#, "messages: expected an array of messages, found nothing"),
        (r#"{"messages":[]}"#, "messages: expected at least one message"),
        (r#"{"messages":{}}"#, "messages: expected an array, found an object"),
        (r#"{"messages":[3]}"#, "messages[0]: expected an object, found a number"),
        (r#"{"messages":[{}]}"#, "messages[0].role: expected a string, found nothing"),
        (
            r#"{"messages":[{"role":"robot"}]}"#,
            "messages[0].role: expected system, developer, user, assistant or tool, found: robot",
        ),
        (
            r#"{"messages":[{"role":"user","content":3}]}"#,
            "messages[0].content: expected a string or an array of parts, found a number",
        ),
        (
            r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":1}}]}]}"#,
            "messages[0].content[0].image_url.url: expected a string, found a number",
        ),
        (
            r#"{"messages":[{"role":"user","content":[{"text":"x"}]}]}"#,
            "messages[0].content[0].type: expected a string, found nothing",
        ),
        (
            r#"{"messages":[{"role":"user","content":[{"type":"file","file":{}}]}]}"#,
            "messages[0].content[0].file.file_data: expected a string, found nothing",
        ),
        (
            r#"{"messages":[{"role":"tool","content":"x"}]}"#,
            "messages[0].tool_call_id: expected a string, found nothing",
        ),
        (
            r#"{"messages":[{"role":"assistant","tool_calls":[{"id":"a"}]}]}"#,
            "messages[0].tool_calls[0].function: expected an object, found nothing",
        ),
        (
            r#"{"messages":[{"role":"user","content":"x"}],"temperature":"hot"}"#,
            "temperature: expected a number, found a string",
        ),
        (r#"{"messages":[{"role":"user","content":"x"}],"max_tokens":-1}"#, "max_tokens: expected a count, found: -1"),
        (
            r#"{"messages":[{"role":"user","content":"x"}],"tool_choice":"maybe"}"#,
            "tool_choice: expected none, auto, required or a function, found: maybe",
        ),
        (
            r#"{"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function"}]}"#,
            "tools[0].function: expected an object, found nothing",
        ),
        (
            r#"{"messages":[{"role":"user","content":"x"}],"reasoning_effort":"much"}"#,
            "reasoning_effort: expected one of none, minimal, low, medium, high, xhigh, max, found: much",
        ),
    ];
    for (body, want) in rows {
        let why = OpenAiChat.decode_request(body.as_bytes()).unwrap_err().to_string();
        if !want.is_empty() {
            assert_eq!(why, want, "{body}");
        }
    }
}

#[test]
fn house_members_and_nulls_vanish_and_unknown_ones_stay() {
    let request = read(
        r#"{"messages":[{"role":"user","content":"x","name":null}],"provider":{"order":["a"]},"models":["b"],"route":"fallback",
        "plugins":[],"transforms":[],"preset":"p","session_id":"s","trace":{},"debug":{},"usage":{"include":true},
        "stream_options":{"include_usage":true},"structured_outputs":true,"temperature":null,"stream":true,
        "safe_prompt":true,"store":false}"#,
    );
    let names: Vec<&str> = request.extra.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["safe_prompt", "store"]);
    assert!(request.stream && request.params.temperature.is_none());
}

#[test]
fn aliases_mean_what_they_stand_for() {
    let rest = |text: &str| read(&format!(r#"{{"messages":[{{"role":"user","content":"x"}}],{text}}}"#));
    let both = rest(r#""max_completion_tokens":5,"max_tokens":9,"stop":"END""#);
    assert_eq!((both.params.max_tokens, both.params.stop), (Some(5), vec!["END".to_owned()]));
    let flat = rest(r#""reasoning_effort":"low","include_reasoning":false"#).reasoning.unwrap();
    assert_eq!((flat.effort, flat.exclude), (Some(Effort::Low), true));
    let object = rest(r#""reasoning_effort":"low","reasoning":{"effort":"high"}"#).reasoning.unwrap();
    assert_eq!(object.effort, Some(Effort::High));
    let old = rest(r#""functions":[{"name":"f","parameters":{}}],"function_call":{"name":"f"}"#);
    assert_eq!((old.tools.len(), old.tool_choice), (1, Some(ToolChoice::Named("f".to_owned()))));
    for (text, want) in [
        (r#""any""#, ToolChoice::Required),
        (r#"{"type":"required"}"#, ToolChoice::Required),
        (r#"{"type":"function","function":{"name":"f"}}"#, ToolChoice::Named("f".to_owned())),
        (r#"{"type":"function","name":"f"}"#, ToolChoice::Named("f".to_owned())),
        (r#"{"type":"allowed_tools","allowed_tools":{"mode":"auto"}}"#, ToolChoice::Auto),
    ] {
        assert_eq!(rest(&format!(r#""tool_choice":{text}"#)).tool_choice, Some(want), "{text}");
    }
}

#[test]
fn every_kind_of_part_is_understood() {
    let data = |mime: &str, base64: &str| Source::Data { mime: mime.to_owned(), base64: base64.to_owned() };
    let url = |url: &str| Source::Url(url.to_owned());
    let rows = [
        (r#"{"type":"image_url","image_url":{"url":"https://a/b"}}"#, MediaKind::Image, url("https://a/b")),
        (r#"{"type":"image_url","image_url":"https://a/b"}"#, MediaKind::Image, url("https://a/b")),
        (
            r#"{"type":"image_url","image_url":{"url":"data:image/gif;base64,AA"}}"#,
            MediaKind::Image,
            data("image/gif", "AA"),
        ),
        (
            r#"{"type":"image_url","image_url":{"url":"data:;base64,/9j/A"}}"#,
            MediaKind::Image,
            data("image/jpeg", "/9j/A"),
        ),
        (
            r#"{"type":"input_audio","input_audio":{"data":"AA","format":"wav"}}"#,
            MediaKind::Audio,
            data("audio/wav", "AA"),
        ),
        (r#"{"type":"video_url","video_url":{"url":"https://a/v"}}"#, MediaKind::Video, url("https://a/v")),
        (r#"{"type":"input_video","input_video":{"url":"https://a/v"}}"#, MediaKind::Video, url("https://a/v")),
        (
            r#"{"type":"file","file":{"filename":"a.pdf","file_data":"AA"}}"#,
            MediaKind::File,
            data("application/pdf", "AA"),
        ),
        (r#"{"type":"file","file":{"file_data":"https://a/f"}}"#, MediaKind::File, url("https://a/f")),
        (r#"{"type":"file","file":{"file_id":"f1"}}"#, MediaKind::File, Source::FileId("f1".to_owned())),
    ];
    for (part, kind, source) in rows {
        let request = message(&format!(r#"{{"role":"user","content":[{part}]}}"#));
        match request.turns[0].blocks.as_slice() {
            [Block::Media(media)] => assert_eq!((media.kind, &media.source), (kind, &source), "{part}"),
            other => panic!("{part}: {other:?}"),
        }
    }
    let request = message(
        r#"{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral","ttl":"1h"}},{"type":"new"}]}"#,
    );
    assert!(
        matches!(&request.turns[0].blocks[0], Block::Text(t) if t.cache.as_ref().unwrap().ttl.as_deref() == Some("1h"))
    );
    assert!(matches!(&request.turns[0].blocks[1], Block::Opaque { .. }));
}

#[test]
fn replayed_reasoning_is_joined_and_signatures_find_their_calls() {
    let request = message(
        r#"{"role":"assistant","content":null,"reasoning":"ignored","reasoning_details":[
            {"type":"reasoning.text","text":"a","index":0,"format":"anthropic-claude-v1"},
            {"type":"reasoning.text","text":"b","index":0},
            {"type":"reasoning.text","text":"","signature":"sig","index":0},
            {"type":"reasoning.encrypted","data":"blob","id":"rs_1","format":"openai-responses-v1","index":1},
            {"type":"reasoning.encrypted","data":"google","id":"call_1","format":"google-gemini-v1","index":2},
            {"type":"reasoning.server_tool_call"}],
          "tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":""}}]}"#,
    );
    match request.turns[0].blocks.as_slice() {
        [Block::Thinking(a), Block::Thinking(b), Block::ToolCall(c)] => {
            assert_eq!(
                (a.text.as_str(), a.signature.as_deref(), a.format.as_str()),
                ("ab", Some("sig"), "anthropic-claude-v1")
            );
            assert_eq!((b.data.as_deref(), b.id.as_deref()), (Some("blob"), Some("rs_1")));
            assert_eq!((c.signature.as_deref(), c.arguments.as_str()), (Some("google"), "{}"));
        }
        other => panic!("{other:?}"),
    }
    for (text, want) in [
        (r#""reasoning_details":[],"reasoning_content":"r""#, 1),
        (r#""reasoning":"r","reasoning_content":"r""#, 1),
        (r#""reasoning_details":[],"reasoning":"""#, 0),
    ] {
        let request = message(&format!(r#"{{"role":"assistant","content":"x",{text}}}"#));
        assert_eq!(request.turns[0].blocks.len(), want + 1, "{text}");
    }
}

#[test]
fn old_function_messages_answer_the_call_before_them() {
    let request = message(
        r#"{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},{"role":"function","name":"f","content":"7"}"#,
    );
    let (Block::ToolCall(call), Block::ToolResult(result)) = (&request.turns[0].blocks[0], &request.turns[1].blocks[0])
    else {
        panic!("{request:?}")
    };
    assert_eq!(call.id, result.id);
    assert_eq!(request.turns[1].role, Role::Tool);
}

const TALK: &str = r#"{"model":"m","messages":[{"role":"system","content":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}]},
    {"role":"developer","content":"d"},{"role":"user","content":"u"},
    {"role":"assistant","content":"","reasoning":"because","tool_calls":[{"id":"toolu_01.x","type":"function","function":{"name":"f","arguments":"{}"}}]},
    {"role":"tool","tool_call_id":"toolu_01.x","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}],
    "tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","additionalProperties":false}}}],"tool_choice":"required",
    "max_tokens":9,"stream":true,"top_k":3,"reasoning":{"effort":"high"},"safe_prompt":true,
    "response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"}}}}"#;

#[test]
fn each_quirk_changes_what_is_sent() {
    let base = Quirks::OPENAI_CHAT;
    let tool_ids = |tool_ids| Quirks { tool_ids, ..base.clone() };
    let rows: &[(Quirks, &str, &str)] = &[
        (base.clone(), r#""max_tokens":9"#, ""),
        (Quirks { max_tokens: MaxTokens::Completion, ..base.clone() }, r#""max_completion_tokens":9"#, ""),
        (base.clone(), r#""stream":true,"stream_options":{"include_usage":true}"#, ""),
        (Quirks { stream_options: false, ..base.clone() }, r#""stream":true,"max_tokens""#, ""),
        (base.clone(), r#""reasoning_effort":"high""#, ""),
        (Quirks { reasoning: ReasoningStyle::Object, ..base.clone() }, r#""reasoning":{"effort":"high"}"#, ""),
        (
            Quirks { reasoning: ReasoningStyle::Thinking, ..base.clone() },
            r#""thinking":{"type":"enabled"}"#,
            "reasoning.effort: this provider can only be told whether to think, not how much: high",
        ),
        (
            Quirks { reasoning: ReasoningStyle::EnableThinking, ..base.clone() },
            r#""enable_thinking":true"#,
            "reasoning.effort",
        ),
        (Quirks { reasoning: ReasoningStyle::Unsaid, ..base.clone() }, "", "reasoning: this provider cannot be told"),
        (base.clone(), "", "messages[].reasoning_details: this provider takes no earlier reasoning back"),
        (Quirks { replay: Replay::Reasoning, ..base.clone() }, r#""content":null,"reasoning":"because""#, ""),
        (Quirks { replay: Replay::ReasoningContent, ..base.clone() }, r#""reasoning_content":"because""#, ""),
        (
            Quirks { replay: Replay::Details, ..base.clone() },
            r#""reasoning_details":[{"type":"reasoning.text","text":"because","format":"unknown","index":0}]"#,
            "",
        ),
        (base.clone(), r#"{"role":"system","content":"d"}"#, ""),
        (Quirks { developer_role: true, ..base.clone() }, r#"{"role":"developer","content":"d"}"#, ""),
        (base.clone(), r#"{"role":"system","content":"s"}"#, "cache_control: this provider has no cache breakpoints"),
        (
            Quirks { cache_control: true, ..base.clone() },
            r#"[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}]"#,
            "",
        ),
        (
            base.clone(),
            r#""response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"}}}"#,
            "",
        ),
        (
            Quirks { structured: Structured::JsonObject, ..base.clone() },
            "",
            "response_format: this provider takes no schema",
        ),
        (
            Quirks { structured: Structured::Unsaid, ..base.clone() },
            "",
            "response_format: this provider has no response formats",
        ),
        (tool_ids(ToolIds::Any), r#""tool_call_id":"toolu_01.x""#, ""),
        (base.clone(), r#""tool_choice":"required""#, ""),
        (Quirks { tool_choice_required: Cow::Borrowed("any"), ..base.clone() }, r#""tool_choice":"any""#, ""),
        (base.clone(), r#""content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]"#, ""),
        (Quirks { content_parts: false, ..base.clone() }, r#""content":"a\nb""#, ""),
        (base.clone(), r#""top_k":3"#, ""),
        (
            Quirks { refuses: Cow::Owned(vec!["top_k".into(), "safe_prompt".into()]), ..base.clone() },
            "",
            "top_k: this provider refuses it",
        ),
        (base.clone(), r#""safe_prompt":true"#, ""),
        (
            Quirks { schema_subset: true, ..base.clone() },
            r#""parameters":{"type":"object"}"#,
            "json schema: additionalProperties",
        ),
    ];
    for (quirks, sent, lost) in rows {
        let (body, losses) = write(TALK, quirks);
        assert!(body.contains(sent), "{sent}\nin {body}");
        assert!(lost.is_empty() || losses.iter().any(|l| l.contains(lost)), "{lost}\nin {losses:?}");
    }
    let (body, _) = write(TALK, &rows[26].0);
    assert!(!body.contains("top_k") && !body.contains("safe_prompt"));
}

#[test]
fn tool_ids_keep_calls_and_results_together() {
    for (shape, fits) in [
        (
            ToolIds::Alnum9,
            (|id: &str| id.len() == 9 && id.bytes().all(|b| b.is_ascii_alphanumeric())) as fn(&str) -> bool,
        ),
        (ToolIds::Word64, |id: &str| {
            id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        }),
    ] {
        let (body, _) = write(TALK, &Quirks { tool_ids: shape, ..Quirks::OPENAI_CHAT });
        let sent: serde_json::Value = serde_json::from_str(&body).unwrap();
        let call = sent["messages"][3]["tool_calls"][0]["id"].as_str().unwrap();
        assert_eq!(sent["messages"][4]["tool_call_id"], call);
        assert!(fits(call), "{call}");
    }
    let mut nameless = read(TALK);
    for block in nameless.turns.iter_mut().flat_map(|t| &mut t.blocks) {
        match block {
            Block::ToolCall(call) => call.id.clear(),
            Block::ToolResult(result) => (result.id, result.name) = (String::new(), Some("f".to_owned())),
            _ => {}
        }
    }
    let (body, _) = OpenAiChat.encode_request(&nameless, &Quirks::OPENAI_CHAT);
    let sent: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(sent["messages"][4]["tool_call_id"], sent["messages"][3]["tool_calls"][0]["id"]);
}

#[test]
fn pictures_in_tool_results_move_to_a_user_message() {
    let body = r#"{"model":"m","messages":[{"role":"tool","tool_call_id":"a","content":[{"type":"text","text":"see"},{"type":"image_url","image_url":{"url":"https://a/b"}}]},
        {"role":"tool","tool_call_id":"b","content":[{"type":"image_url","image_url":{"url":"https://a/c"}}]}]}"#;
    let (body, losses) = write(body, &Quirks::OPENAI_CHAT);
    assert_eq!(
        body,
        concat!(
            r#"{"model":"m","messages":[{"role":"tool","tool_call_id":"a","content":"see"},"#,
            r#"{"role":"tool","tool_call_id":"b","content":"(see the next message)"},"#,
            r#"{"role":"user","content":[{"type":"text","text":"From the result of tool call a:"},{"type":"image_url","image_url":{"url":"https://a/b"}},"#,
            r#"{"type":"text","text":"From the result of tool call b:"},{"type":"image_url","image_url":{"url":"https://a/c"}}]}]}"#
        )
    );
    assert_eq!(losses, ["tool result media: moved into a user message, because tool messages hold text only"]);
}

#[test]
fn thinking_wishes_become_the_nearest_thing() {
    let rows = [
        (r#"{"max_tokens":8192}"#, ReasoningStyle::Effort, r#""reasoning_effort":"medium""#),
        (r#"{"enabled":true}"#, ReasoningStyle::Effort, r#""reasoning_effort":"medium""#),
        (r#"{"enabled":false}"#, ReasoningStyle::Effort, r#""reasoning_effort":"none""#),
        (r#"{"effort":"max"}"#, ReasoningStyle::Effort, r#""reasoning_effort":"xhigh""#),
        (r#"{"effort":"none"}"#, ReasoningStyle::Thinking, r#""thinking":{"type":"disabled"}"#),
        (r#"{"max_tokens":2000}"#, ReasoningStyle::Thinking, r#""thinking":{"type":"enabled","budget_tokens":2000}"#),
        (r#"{"max_tokens":2000}"#, ReasoningStyle::EnableThinking, r#""enable_thinking":true,"thinking_budget":2000"#),
        (r#"{"enabled":false}"#, ReasoningStyle::EnableThinking, r#""enable_thinking":false"#),
        (
            r#"{"max_tokens":9,"exclude":true}"#,
            ReasoningStyle::Object,
            r#""reasoning":{"max_tokens":9,"exclude":true}"#,
        ),
    ];
    for (wish, reasoning, want) in rows {
        let body = format!(r#"{{"messages":[{{"role":"user","content":"x"}}],"reasoning":{wish}}}"#);
        let (body, _) = write(&body, &Quirks { reasoning, ..Quirks::OPENAI_CHAT });
        assert!(body.contains(want), "{want}\nin {body}");
    }
    let (body, _) =
        write(r#"{"messages":[{"role":"user","content":"x"}],"include_reasoning":true}"#, &Quirks::OPENAI_CHAT);
    assert!(!body.contains("reasoning"), "{body}");
}

#[test]
fn a_router_s_own_tools_never_reach_a_plain_provider() {
    let body = r#"{"messages":[{"role":"user","content":"x"}],"tools":[{"type":"openrouter:web_search"}],"tool_choice":"auto"}"#;
    let (sent, losses) = write(body, &Quirks::OPENAI_CHAT);
    assert!(!sent.contains("tool"), "{sent}");
    assert_eq!(losses, ["tools: openrouter:web_search: no one here runs this tool"]);
    let (sent, losses) = write(body, &Quirks { router: true, ..Quirks::OPENAI_CHAT });
    assert!(sent.contains("openrouter:web_search") && losses.is_empty());
}

#[test]
fn a_member_of_a_message_that_nobody_knows_is_told() {
    let rows: &[(&str, &[&str])] = &[
        (r#","prefix":true"#, &["messages[].prefix: has no place in the vocabulary"]),
        (r#","prefix":false,"weight":null,"tool_calls":[]"#, &[]),
        (
            r#","weight":1,"provider_specific_fields":{"a":1}"#,
            &[
                "messages[].weight: has no place in the vocabulary",
                "messages[].provider_specific_fields: has no place in the vocabulary",
            ],
        ),
        (r#","reasoning_content":"x","refusal":null,"name":"a""#, &[]),
    ];
    for (members, want) in rows {
        let body = format!(r#"{{"messages":[{{"role":"assistant","content":"x"{members}}}]}}"#);
        let (_, losses) = OpenAiChat.decode_request(body.as_bytes()).unwrap();
        assert_eq!(losses.iter().map(ToString::to_string).collect::<Vec<_>>(), *want, "{members}");
    }
}

#[test]
fn a_turn_of_calls_has_its_reasoning_where_it_is_demanded() {
    let calls = r#""tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]"#;
    let rows: &[(&str, Replay, Option<&str>)] = &[
        (r#""reasoning":"because","#, Replay::ReasoningContent, Some("because")),
        ("", Replay::ReasoningContent, Some("")),
        ("", Replay::Reasoning, None),
        ("", Replay::Drop, None),
    ];
    for (thought, replay, want) in rows {
        let body = format!(
            r#"{{"messages":[{{"role":"assistant",{thought}"content":null,{calls}}},{{"role":"tool","tool_call_id":"a","content":"x"}}]}}"#
        );
        let (sent, _) = write(&body, &Quirks { replay: *replay, ..Quirks::OPENAI_CHAT });
        let sent: serde_json::Value = serde_json::from_str(&sent).unwrap();
        assert_eq!(sent["messages"][0]["reasoning_content"].as_str(), *want, "{thought} {replay:?}");
    }
}
